-- Smart meters of customers: hourly readings of meters known by a keyed number alone, and who looked at them.
-- depends: 0064.leak_cases

create table smart_meter_key (
    municipality_id integer primary key references municipality,
    fingerprint     bytea not null check (octet_length(fingerprint) = 32),
    made_at         timestamptz not null
);
comment on table smart_meter_key is 'by which key the numbers of the town''s meters are kept: of another key nothing is taken. The key itself is in no database';

create table smart_meter (
    meter_id        integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    keyed           bytea not null check (octet_length(keyed) = 32),
    block           text,
    counts          text not null check (counts in ('index', 'usage')),
    unique (municipality_id, keyed)
);
comment on table smart_meter is 'a customer''s meter: no number, no name, no address';
comment on column smart_meter.keyed is 'HMAC-SHA256 of town and number: who has the number and the key finds the row, nobody else';
comment on column smart_meter.block is '配水ブロック as the file says; null: it does not';
comment on column smart_meter.counts is 'index: what the dial shows; usage: what flowed in an hour';

create table smart_meter_day (
    meter_id        integer not null references smart_meter on delete cascade,
    municipality_id integer not null references municipality,
    day             date not null,
    litres          double precision[] not null check (cardinality(litres) = 24),
    primary key (meter_id, day)
);
comment on table smart_meter_day is 'the 24 hours of a day of UTC; kept for 13 months';
comment on column smart_meter_day.litres is 'of an index what the dial shows at the beginning of the hour, of usage what flowed within it; null: not known';
create index smart_meter_day_kept on smart_meter_day (municipality_id, day);

create table smart_meter_file (
    smart_meter_file_id integer generated always as identity primary key,
    municipality_id     integer not null references municipality,
    name                text not null,
    read_at             timestamptz not null,
    read_by             integer references app_user,
    meters              integer not null,
    hours               integer not null,
    refused             integer not null,
    problems            jsonb not null,
    ignored             text[] not null
);
comment on table smart_meter_file is 'a file of readings: what of it was taken. Kept for 13 months';
comment on column smart_meter_file.refused is 'lines that were left out; problems: [[line, code, column], ...] of the first of them, without what stood there';
comment on column smart_meter_file.ignored is 'columns that were not read, such as names and addresses';
create index smart_meter_file_of on smart_meter_file (municipality_id, read_at desc);

create table smart_meter_view (
    smart_meter_view_id bigint generated always as identity primary key,
    municipality_id     integer not null references municipality,
    at                  timestamptz not null,
    user_id             integer not null references app_user,
    what                text not null check (what in ('list', 'meter', 'numbers', 'file')),
    meter_id            integer,
    n                   integer not null
);
comment on table smart_meter_view is 'append-only: who saw readings of meters, when, and of how many. Town time';
comment on column smart_meter_view.meter_id is 'the one that was looked at; it may be gone by now';
create index smart_meter_view_of on smart_meter_view (municipality_id, at desc);

do $$
declare
    t text;
begin
    foreach t in array array['smart_meter_key', 'smart_meter', 'smart_meter_day', 'smart_meter_file',
                             'smart_meter_view'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
    end loop;
end $$;
grant update (block) on smart_meter to mimamori_api;
grant update (litres) on smart_meter_day to mimamori_api;
-- The workers let go of what is old, and read nothing else of it.
grant select (meter_id, municipality_id) on smart_meter to mimamori_worker;
grant select (meter_id, municipality_id, day) on smart_meter_day to mimamori_worker;
grant select (smart_meter_file_id, municipality_id, read_at) on smart_meter_file to mimamori_worker;
grant delete on smart_meter, smart_meter_day, smart_meter_file to mimamori_worker;
grant usage on all sequences in schema public to mimamori_api;
