-- Drills: a flood that is not there runs on the real screens and channels, for those who take part and nobody else.
-- depends: 0037.reach

create table drill (
    drill_id        integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null check (name <> ''),
    source          jsonb not null,
    speed           double precision not null check (speed > 0),
    stop_level      smallint not null check (stop_level between 1 and 5),
    lasts           interval not null check (lasts > interval '0'),
    made_at         timestamptz not null,
    made_by         integer not null references app_user,
    starts_at       timestamptz,
    start_by        integer references app_user,
    started_at      timestamptz,
    fed_to          interval,
    ended_at        timestamptz,
    ended_by        integer references app_user,
    ending          text check (ending in ('done', 'stopped', 'alert', 'missed', 'cancelled')),
    ended_for       bigint references alert,
    closed_at       timestamptz,
    check ((starts_at is null) = (start_by is null)),
    check (started_at is null or starts_at is not null),
    check ((ended_at is null) = (ending is null)),
    check ((ending = 'alert') = (ended_for is not null) or ending is null),
    check (closed_at is null or ended_at is not null)
);
comment on table drill is '訓練: planned by made_by, started by start_by at starts_at; all times are town time. Runs from started_at to ended_at';
comment on column drill.source is 'where its readings are from: {"kind": "scenario" | "history" | "made", ...}, for people; they are in drill_reading';
comment on column drill.speed is 'how much faster than the source it runs; drill_reading has it already';
comment on column drill.stop_level is 'an actual alert of the disaster desk at this level, or above it, ends the drill';
comment on column drill.lasts is 'from its first reading to its last';
comment on column drill.fed_to is 'readings up to here are stored';
comment on column drill.ending is 'done: by itself; stopped: by ended_by; alert: by the actual alert ended_for; missed: not started in time; cancelled: not started, by ended_by';
comment on column drill.closed_at is 'when the alerts process had ended its alerts and told those who had been told of them';
create unique index drill_running on drill (municipality_id) where started_at is not null and ended_at is null;
create index drill_of on drill (municipality_id, drill_id desc);

create table drill_station (
    drill_id        integer not null references drill,
    station_id      integer not null references station,
    municipality_id integer not null references municipality,
    datastream_id   integer unique references datastream,
    primary key (drill_id, station_id)
);
comment on column drill_station.datastream_id is 'its shadow, made when the drill starts: datastream.drill_run is drill:ID';

create table drill_reading (
    drill_id        integer not null,
    station_id      integer not null,
    municipality_id integer not null references municipality,
    after           interval not null check (after >= interval '0'),
    value           double precision not null,
    primary key (drill_id, station_id, after),
    foreign key (drill_id, station_id) references drill_station
);
comment on table drill_reading is 'what the stations are going to say, so long after the start';

create table drill_enrolled (
    drill_enrolled_id integer generated always as identity primary key,
    drill_id          integer not null references drill,
    municipality_id   integer not null references municipality,
    person_id         integer references person,
    group_id          integer references call_group,
    check (num_nonnulls(person_id, group_id) = 1),
    unique nulls not distinct (drill_id, person_id, group_id)
);
comment on table drill_enrolled is 'who takes part: nobody else is told. Equipment takes part by itself only, never by its group';

do $$
declare
    t text;
begin
    foreach t in array array['drill', 'drill_station', 'drill_reading', 'drill_enrolled'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant update (starts_at, start_by, ended_at, ended_by, ending) on drill to mimamori_api;
grant update (started_at, fed_to, ended_at, ending, ended_for, closed_at) on drill to mimamori_worker;
grant update (datastream_id) on drill_station to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
