-- The way in: messages, observations, and the feed that tells everyone else.
-- depends: 0001.town

create table uplink (
    uplink_id       bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    device_id       integer references device,
    device_key      text,
    session         text not null default '',
    counter         bigint,
    payload_hash    bytea not null,
    epoch           integer not null default 0,
    network         text,
    topic           text not null,
    raw             bytea not null,
    network_time    timestamptz,
    received_time   timestamptz not null,
    outcome         text not null check (outcome in ('accepted', 'event', 'quarantined')),
    reason          text,
    detail          text,
    repeats         integer not null default 0,
    check ((outcome = 'quarantined') = (reason is not null))
);
comment on table uplink is 'every distinct message once, raw; a delivery of a known one only adds to repeats (outcome duplicate)';
comment on column uplink.epoch is 'counts on when a device uses the same session, counter and payload again more than a day later: a new transmission after a reset, not a repetition';
comment on column uplink.device_key is 'null where not even the sender could be read';

create unique index uplink_identity on uplink
    (municipality_id, coalesce(device_key, ''), session, coalesce(counter, -1), payload_hash, epoch);
-- When was a device last heard? Asked by the silence rule of every device, again and again.
create index uplink_heard on uplink (device_id, received_time) where outcome = 'accepted';
create index uplink_received on uplink (municipality_id, received_time);
create index uplink_quarantined on uplink (municipality_id, received_time) where outcome = 'quarantined';

-- A hypertable where TimescaleDB is installed, native partitions with a default one elsewhere: same columns, same key.
do $$
declare
    body constant text := '(
        datastream_id   integer not null,
        phenomenon_time timestamptz not null,
        value           double precision,
        quality         quality not null,
        reason          text,
        uplink_id       bigint,
        check ((value is null) = (quality = ''missing'')),
        primary key (datastream_id, phenomenon_time))';
begin
    if exists (select from pg_extension where extname = 'timescaledb') then
        execute 'create table observation ' || body;
        perform create_hypertable('observation', 'phenomenon_time',
                                  chunk_time_interval => interval '7 days', create_default_indexes => false);
    else
        execute 'create table observation ' || body || ' partition by range (phenomenon_time)';
        create table observation_default partition of observation default;
    end if;
end $$;
comment on table observation is 'the current value only; earlier and losing ones are in observation_revision';
comment on column observation.uplink_id is 'the message it came from; null for manual entry and imports';

create function observation_partition(month timestamptz) returns void language plpgsql as $$
-- Makes the partition of one UTC month, taking with it what the default partition holds of it.
declare
    first timestamptz := date_trunc('month', month at time zone 'UTC') at time zone 'UTC';
    next  timestamptz := (date_trunc('month', month at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    part  text := 'observation_' || to_char(month at time zone 'UTC', 'YYYYMM');
begin
    if to_regclass('observation_default') is null then
        return;  -- a hypertable makes its own chunks
    end if;
    perform pg_advisory_xact_lock(hashtext('observation_partition'));
    if to_regclass(part) is not null then
        return;
    end if;
    -- The parent first: a writer that has already chosen the default partition for its row would wait for it and then
    -- be refused by its new bounds. And who has read may go on to write: it stands before us in the parent's queue.
    lock table only observation in access exclusive mode;
    lock table observation_default in access exclusive mode;
    execute format('create table %I (like observation including defaults including constraints)', part);
    execute format('with moved as (delete from observation_default where phenomenon_time >= %L and phenomenon_time < %L returning *)
                    insert into %I select * from moved', first, next, part);
    execute format('alter table observation attach partition %I for values from (%L) to (%L)', part, first, next);
end $$;

create table observation_revision (
    revision_id     bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    datastream_id   integer not null,
    phenomenon_time timestamptz not null,
    value           double precision,
    quality         quality not null,
    reason          text,
    uplink_id       bigint,
    revised_at      timestamptz not null
);
comment on table observation_revision is 'append-only: values that are not, or no longer, the current one';
create index observation_revision_of on observation_revision (datastream_id, phenomenon_time);

create table feed (
    feed_id         bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    kind            text not null check (kind in ('observations', 'alerts')),
    datastream_ids  integer[] not null default '{}',
    from_times      timestamptz[] not null default '{}',
    to_times        timestamptz[] not null default '{}',
    alert_ids       bigint[] not null default '{}',
    check (cardinality(datastream_ids) = cardinality(from_times)
           and cardinality(datastream_ids) = cardinality(to_times))
);
comment on table feed is 'one row a committed batch, written last in its transaction by feed_append';

create function feed_append(
    municipality integer, kind text, datastreams integer[], froms timestamptz[], tos timestamptz[], alerts bigint[]
) returns bigint language plpgsql as $$
-- The lock makes ids visible in the order of commit: a reader that has seen id n will never find n - 1 later.
declare
    id bigint;
begin
    perform pg_advisory_xact_lock(hashtext('feed'));
    insert into feed (municipality_id, kind, datastream_ids, from_times, to_times, alert_ids)
    values (municipality, kind, datastreams, froms, tos, alerts) returning feed_id into id;
    perform pg_notify('feed', id::text);
    return id;
end $$;

create table feed_cursor (
    consumer text primary key,
    feed_id  bigint not null
);

create table ingest_worker (
    worker_id       text primary key,
    municipality_id integer not null references municipality,
    heartbeat_at    timestamptz not null,
    listening_since timestamptz
);
comment on table ingest_worker is 'town time; listening_since is null while the broker is out of reach: then silence means nothing';

create table rollup_hour (
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    hour            timestamptz not null,
    n               integer not null,
    expected        double precision not null,
    minimum         double precision,
    maximum         double precision,
    mean            double precision,
    total           double precision,
    worst_quality   quality not null,
    primary key (datastream_id, hour)
);

create table rollup_day (
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    day             date not null,
    n               integer not null,
    expected        double precision not null,
    minimum         double precision,
    maximum         double precision,
    mean            double precision,
    total           double precision,
    worst_quality   quality not null,
    primary key (datastream_id, day)
);
comment on column rollup_day.day is 'the local day of the municipality';
comment on column rollup_day.n is 'usable observations: neither bad nor missing';

create table night_flow (
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    day             date not null,
    minimum         double precision,
    minimum_from    timestamptz,
    completeness    double precision not null,
    primary key (datastream_id, day)
);
comment on table night_flow is '夜間最小流量: the lowest 60-minute mean between 01:00 and 05:00 local time; minimum is null where the night is too incomplete to say';
