-- 試験: what a station that is being installed or repaired says is kept apart, by the time at which it was measured; and
-- drills of every series, not only of water levels.
-- depends: 0040.outbox_wakes

create table station_trial (
    trial_id        integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    properties      text[] check (cardinality(properties) > 0),
    starts_at       timestamptz not null,
    ends_at         timestamptz check (ends_at > starts_at),
    why             text not null check (why <> ''),
    entered_at      timestamptz not null,
    entered_by      integer not null references app_user,
    ended_at        timestamptz check (ended_at >= starts_at),
    ended_by        integer references app_user,
    counts_at       timestamptz,
    counts_by       integer references app_user,
    counted_at      timestamptz,
    closed_at       timestamptz,
    check ((ended_at is null) = (ended_by is null)),
    check ((counts_at is null) = (counts_by is null)),
    check (counted_at is null or counts_at is not null),
    -- a station is in one trial at a time
    exclude using gist (station_id with =, tstzrange(starts_at, least(ends_at, ended_at)) with &&)
);
comment on table station_trial is '試験: what is measured at the station from starts_at until before least(ends_at, ended_at) goes to shadows of its series (datastream.drill_run is trial:ID); all times are town time';
comment on column station_trial.properties is 'which series; null: every one, also those that are added meanwhile';
comment on column station_trial.ends_at is 'when it ends by itself; null: when somebody ends it';
comment on column station_trial.ended_at is 'when somebody ended it; starts_at where it was called off before it began';
comment on column station_trial.counts_at is 'when somebody said that what was measured in it counts; null: it does not';
comment on column station_trial.counted_at is 'when ingest had stored it as measured';
comment on column station_trial.closed_at is 'when the alerts process had ended its alerts and told those who had been told of them';
create index station_trial_of on station_trial (municipality_id, trial_id desc);

create table station_trial_told (
    station_trial_told_id integer generated always as identity primary key,
    trial_id              integer not null references station_trial,
    municipality_id       integer not null references municipality,
    person_id             integer references person,
    group_id              integer references call_group,
    check (num_nonnulls(person_id, group_id) = 1),
    unique nulls not distinct (trial_id, person_id, group_id)
);
comment on table station_trial_told is 'who is told of alerts in the trial: nobody else is';

comment on column datastream.drill_run is 'drill:ID or trial:ID, to which this series belongs; null for the real one';

-- The lock and then, with a snapshot of after it, the trials: who begins or ends one (store.trials) waits for every
-- writer that has looked at them before.
create function trials_standing(town integer)
    returns table (trial_id integer, station_id integer, properties text[], starts_at timestamptz, until timestamptz)
    language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtext('station_trial'), town);
    return query
        select t.trial_id, t.station_id, t.properties, t.starts_at, least(t.ends_at, t.ended_at) from station_trial t
        where t.municipality_id = town and t.counts_at is null
          and (t.ended_at is null or t.ended_at > t.starts_at) order by t.trial_id;
end $$;

do $$
declare
    t text;
begin
    foreach t in array array['station_trial', 'station_trial_told'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant update (ended_at, ended_by, counts_at, counts_by) on station_trial to mimamori_api;
grant update (counted_at, closed_at) on station_trial to mimamori_worker;

alter table drill_reading
    drop constraint drill_reading_drill_id_station_id_fkey,
    drop constraint drill_reading_pkey,
    add column observed_property text not null default 'water_level';
alter table drill_station
    drop constraint drill_station_pkey,
    add column observed_property text not null default 'water_level';
alter table drill_station
    alter column observed_property drop default,
    add primary key (drill_id, station_id, observed_property);
alter table drill_reading
    alter column observed_property drop default,
    add primary key (drill_id, station_id, observed_property, after),
    add foreign key (drill_id, station_id, observed_property) references drill_station;
comment on table drill_station is 'which series take part in a drill';
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
