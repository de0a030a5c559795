-- Cumulative counters as their devices read them: what fell between two readings is their difference.
-- depends: 0005.findings

create table counter_reading (
    datastream_id   integer not null references datastream,
    municipality_id integer not null references municipality,
    slot            timestamptz not null,
    read_at         timestamptz not null,
    device_id       integer not null references device,
    count           bigint not null check (count >= 0),
    restarts        integer,
    latest          integer,
    modulus         integer not null check (modulus > 0),
    scale           double precision not null,
    doubtful        boolean not null,
    primary key (datastream_id, slot)
);
comment on table counter_reading is 'the last reading in each interval; the observations of the series follow from these rows alone';
comment on column counter_reading.slot is 'end of the interval: read_at at the nearest whole multiple of the datastream''s step';
comment on column counter_reading.scale is 'what one count is worth in the unit of the datastream, as mapped when it was read';

alter table counter_reading enable row level security;
create policy worker on counter_reading to mimamori_worker using (true) with check (true);
create policy tenant on counter_reading to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update on counter_reading to mimamori_worker;
grant select on counter_reading to mimamori_api;
