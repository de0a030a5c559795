-- Inlets that feed one block are judged together; sums of the smart meters that were taken in before there were sums; and
-- of the known customers of the night those that have such a meter. All of it may run twice.
-- depends: 0077.step_tests

alter table inflow_watch add column if not exists lets_in integer[] not null default '{}';
alter table inflow_watch add column if not exists lets_out integer[] not null default '{}';
comment on column inflow_watch.lets_in is 'the other series whose flow goes into the same block: these and lets_out were judged with it, as one';
comment on column inflow_watch.lets_out is 'the series whose flow goes out of the block';

alter table inflow_rise drop constraint if exists inflow_rise_why_check;
alter table inflow_rise add constraint inflow_rise_why_check check (why in ('gone', 'repaired', 'none', 'inlets'));
comment on column inflow_rise.why is 'gone: it flows no more; repaired, none: as its case says; inlets: the block is judged by other inlets since, and what flows on is told anew';

alter table block_use add column if not exists known_metered_m3h double precision
    check (known_metered_m3h between 0 and known_m3h);
comment on column block_use.known_metered_m3h is 'of known_m3h what customers with a smart meter use: it is not added to what those meters read; null: nobody has said';

-- As analytics.leaks.meters.sums makes them at each intake: of an index the difference to the next hour, without jumps
-- that are another dial's, and of ten meters or more. In which block a meter was then nobody knows: it is where it is now.
insert into smart_block_day (municipality_id, block, day, litres, meters)
select municipality_id, block, day, array_agg(case when known >= 10 then litres end order by n),
       array_agg(known::integer order by n)
from (
    select m.municipality_id, m.block, d.day, hour.n, sum(flow.litres) as litres, count(flow.litres) as known
    from smart_meter m
    join smart_meter_day d using (meter_id)
    left join smart_meter_day next on next.meter_id = d.meter_id and next.day = d.day + 1
    cross join lateral unnest(d.litres, d.litres[2:24] || next.litres[1]) with ordinality as hour (litres, later, n)
    cross join lateral (
        select case
            when m.counts = 'usage' then hour.litres
            when hour.later - hour.litres between -5000 and 200000 then hour.later - hour.litres
        end as litres
    ) flow
    where m.block is not null
    group by m.municipality_id, m.block, d.day, hour.n
) sums
group by municipality_id, block, day
having max(known) >= 10
on conflict do nothing;
