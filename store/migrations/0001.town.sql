-- The ledgers: who watches what with which hardware, and the town's clock.
-- depends:

create type quality as enum ('good', 'manual', 'estimated', 'doubtful', 'bad', 'missing');
comment on type quality is 'ordered from best to worst, so that max() is the worst quality of a bucket';

create table municipality (
    municipality_id integer generated always as identity primary key,
    code            text not null unique check (code ~ '^[0-9]{6}$'),
    name            text not null,
    name_en         text not null,
    timezone        text not null,
    bounds          double precision[] not null check (cardinality(bounds) = 4)
);
comment on column municipality.code is '全国地方公共団体コード, 6 digits';
comment on column municipality.bounds is 'west, south, east, north of the map in degrees';

create table map_shape (
    map_shape_id    integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    kind            text not null check (kind in ('river', 'coast', 'block', 'town')),
    name            text not null,
    name_en         text not null,
    points          jsonb not null
);
comment on column map_shape.points is '[[longitude, latitude], ...]';

create table station (
    station_id      integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    code            text not null,
    kind            text not null check (kind in ('river_gauge', 'block_inlet', 'visitor_spot')),
    name            text not null,
    name_en         text not null,
    latitude        double precision not null,
    longitude       double precision not null,
    unique (municipality_id, code)
);

create table device (
    device_id       integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    key             text not null,
    model           text not null,
    silence_after   interval not null check (silence_after > interval '0'),
    unique (municipality_id, key)
);
comment on column device.key is 'identity in its network; a DevEUI in 16 lower-case hex digits';

create table datastream (
    datastream_id     integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    station_id        integer not null references station,
    observed_property text not null,
    unit              text not null,
    statistic         text not null check (statistic in ('instant', 'total')),
    step              interval not null check (step > interval '0'),
    range_low         double precision,
    range_high        double precision,
    max_rate          double precision,
    stuck_after       interval,
    drill_run         text,
    unique nulls not distinct (station_id, observed_property, drill_run)
);
comment on column datastream.step is 'usual time between observations; the counting period of a total';
comment on column datastream.drill_run is 'the drill this series belongs to; null for the real one';

create table attachment (
    attachment_id   integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    device_id       integer not null references device,
    station_id      integer not null references station,
    attached_from   timestamptz not null,
    attached_to     timestamptz,
    -- one device is in one place at a time
    exclude using gist (device_id with =, tstzrange(attached_from, attached_to) with &&)
);

create table field_mapping (
    attachment_id   integer not null references attachment on delete cascade,
    municipality_id integer not null references municipality,
    field           text not null,
    datastream_id   integer not null references datastream,
    scale           double precision not null,
    value_offset    double precision not null,
    primary key (attachment_id, field)
);
comment on table field_mapping is 'observation = field of the codec * scale + value_offset';

create table threshold_set (
    threshold_set_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    valid_from       timestamptz not null,
    reason           text not null,
    clear_margin     double precision not null check (clear_margin >= 0),
    hold             interval not null check (hold >= interval '0'),
    gauge_zero_tp    double precision,
    unique (station_id, valid_from)
);
comment on table threshold_set is 'in force from valid_from until the next set of the same station';

create table threshold_level (
    threshold_set_id integer not null references threshold_set on delete cascade,
    municipality_id  integer not null references municipality,
    level            smallint not null check (level between 1 and 5),
    name             text not null,
    name_en          text not null,
    value            double precision not null,
    primary key (threshold_set_id, level)
);

create table town_clock (
    singleton  boolean primary key default true check (singleton),
    simulated  boolean not null,
    real_start timestamptz not null,
    town_start timestamptz not null,
    speed      double precision not null check (speed > 0)
);

create table app_user (
    user_id         integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    login           text not null unique,
    display_name    text not null,
    role            text not null check (role in ('disaster', 'water', 'tourism', 'digital', 'viewer')),
    email           text,
    password_hash   text not null
);

create table user_session (
    token_hash      bytea primary key,
    municipality_id integer not null references municipality,
    user_id         integer not null references app_user on delete cascade,
    csrf_token      text not null,
    expires_at      timestamptz not null
);
comment on table user_session is 'real time, not town time: a sign-in must not outlive its hours because a flood was replayed fast';
