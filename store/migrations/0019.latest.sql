-- The newest observation of every datastream, so that "what does the town say now" reads no history.
-- depends: 0009.manual_counts 0011.basemap 0012.backups 0013.intake

create table datastream_latest (
    datastream_id    integer primary key references datastream,
    municipality_id  integer not null references municipality,
    phenomenon_time  timestamptz not null,
    value            double precision,
    quality          quality not null,
    reason           text,
    uplink_id        bigint,
    measured_time    timestamptz,
    measured_value   double precision,
    measured_quality quality,
    first_time       timestamptz not null,
    check ((value is null) = (quality = 'missing')),
    check ((measured_time is null) = (measured_value is null) and (measured_time is null) = (measured_quality is null)),
    check (first_time <= phenomenon_time and measured_time <= phenomenon_time)
) with (fillfactor = 50);  -- each batch updates in place: room for the new version beside the old one
comment on table datastream_latest is 'always what a query over observation would say; kept by whoever writes observations, in the same transaction (store.latest). A datastream without observations has no row';
comment on column datastream_latest.measured_time is 'of the newest observation that has a value: the newest of all, unless the device could not measure since';
comment on column datastream_latest.first_time is 'of the oldest observation: before it nothing is missing, for nothing was there';

alter table datastream_latest enable row level security;
create policy worker on datastream_latest to mimamori_worker using (true) with check (true);
create policy tenant on datastream_latest to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update, delete on datastream_latest to mimamori_worker;
grant select on datastream_latest to mimamori_api;

create function latest_recompute(datastreams integer[]) returns void language plpgsql as $$
-- Works out anew the rows of these datastreams (null: of all), after observations were changed in some other way than
-- by the writer, such as taken out. Writers wait meanwhile: what they add must not fall between reading and writing.
begin
    lock table datastream_latest in share row exclusive mode;
    delete from datastream_latest where datastreams is null or datastream_id = any(datastreams);
    insert into datastream_latest
    select d.datastream_id, d.municipality_id,
           newest.phenomenon_time, newest.value, newest.quality, newest.reason, newest.uplink_id,
           measured.phenomenon_time, measured.value, measured.quality, oldest.phenomenon_time
    from datastream d
    cross join lateral (
        select o.phenomenon_time, o.value, o.quality, o.reason, o.uplink_id from observation o
        where o.datastream_id = d.datastream_id order by o.phenomenon_time desc limit 1
    ) newest
    left join lateral (
        select o.phenomenon_time, o.value, o.quality from observation o
        where o.datastream_id = d.datastream_id and o.value is not null order by o.phenomenon_time desc limit 1
    ) measured on true
    cross join lateral (
        select o.phenomenon_time from observation o
        where o.datastream_id = d.datastream_id order by o.phenomenon_time limit 1
    ) oldest
    where datastreams is null or d.datastream_id = any(datastreams);
end $$;

-- enter_daily_total writes observations too; it logs each in manual_entry before it tells the feed.
create function latest_of_entry() returns trigger language plpgsql as $$
begin
    perform latest_recompute(array[new.datastream_id]);
    return null;
end $$;
create trigger latest after insert on manual_entry for each row execute function latest_of_entry();

do $$ begin perform latest_recompute(null); end $$;
