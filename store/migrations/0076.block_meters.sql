-- What the smart meters of a block used together: a balance then needs no meter's own hours.
-- depends: 0075.correlations

create table smart_block_day (
    municipality_id integer not null references municipality,
    block           text not null,
    day             date not null,
    litres          double precision[] not null check (cardinality(litres) = 24),
    meters          integer[] not null check (cardinality(meters) = 24),
    primary key (municipality_id, block, day)
);
comment on table smart_block_day is 'the 24 hours of a day of UTC, of all smart meters of a block together; kept for 13 months, as their readings are';
comment on column smart_block_day.litres is 'what flowed within the hour through the meters that are known of it; null: too few to be shown together';
comment on column smart_block_day.meters is 'how many these were';
create index smart_block_day_kept on smart_block_day (municipality_id, day);

alter table smart_block_day enable row level security;
create policy worker on smart_block_day to mimamori_worker using (true) with check (true);
create policy tenant on smart_block_day to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, delete on smart_block_day to mimamori_api;
-- The workers let go of what is old, and read nothing else of it.
grant select (municipality_id, day) on smart_block_day to mimamori_worker;
grant delete on smart_block_day to mimamori_worker;
