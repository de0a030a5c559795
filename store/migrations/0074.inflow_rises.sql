-- Blocks that have nothing but an inlet: what rose in them, told once, and how far each was looked at.
-- depends: 0073.leak_step_keys

create table inflow_watch (
    datastream_id   integer primary key references datastream,
    municipality_id integer not null references municipality,
    day             date not null,
    worked_at       timestamptz not null,
    why             text,
    learned         date,
    first           date,
    level           double precision[] not null default '{}'
);
comment on table inflow_watch is 'the last day of an inlet''s flow that was judged by itself; a day begins at six, town time';
comment on column inflow_watch.why is 'why nothing could be said; null: it could';
comment on column inflow_watch.learned is 'the morning on which what is usual was learned last, from first and level: m3/h that was known of each day before';

create table inflow_rise (
    inflow_rise_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    told_on         date not null,
    start           date not null,
    began_first     date not null,
    began_last      date not null,
    growing         boolean not null,
    size            double precision not null,
    size_low        double precision not null,
    size_high       double precision not null,
    probability     double precision not null,
    finding_id      bigint references finding,
    ended_on        date,
    why             text check (why in ('gone', 'repaired', 'none')),
    check (began_first <= start and start <= began_last),
    check ((ended_on is null) = (why is null))
);
comment on table inflow_rise is 'rises of an inlet''s flow, each told once; start and the two ends of its 80 % interval are days, sizes m3/h';
comment on column inflow_rise.finding_id is 'the one that tells of it, which may be another''s: who tells first tells; null: another rise stands for the block';
comment on column inflow_rise.why is 'gone: it flows no more; repaired, none: as its case says';
create index inflow_rise_of on inflow_rise (datastream_id, start);

do $$
declare
    t text;
begin
    foreach t in array array['inflow_watch', 'inflow_rise'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api, mimamori_worker', t);
        execute format('grant insert, update on %I to mimamori_worker', t);
    end loop;
end $$;
grant usage on all sequences in schema public to mimamori_worker;

alter table finding drop constraint finding_kind_check;
alter table finding add constraint finding_kind_check check (kind in
    ('night_flow', 'burst', 'inflow_rise', 'leak_suspect', 'leak_sound', 'visits', 'counter', 'crowd_1', 'crowd_2',
     'crowd_3'));
alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'outage', 'night_flow', 'burst', 'inflow_rise', 'leak_suspect', 'leak_sound', 'visits',
     'counter', 'operation', 'written', 'crowd_1', 'crowd_2', 'crowd_3'));
