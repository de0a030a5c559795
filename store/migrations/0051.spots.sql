-- 地点: places whose visitors are published. What counts for one, from when to when; by which method its series goes; what
-- manual counts say of a counter.
-- depends: 0045.levels 0046.links 0047.official 0048.jma 0049.forecasts 0050.alerts

create table spot (
    spot_id         integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    code            text not null check (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    kind            text not null check (kind in ('real', 'virtual')),
    station_id      integer unique references station,
    name            text check (name <> ''),
    name_en         text check (name_en <> ''),
    note            text not null default '',
    made_at         timestamptz,
    user_id         integer references app_user,
    retired_from    date,
    unique (municipality_id, code),
    check (station_id is not null or (name is not null and name_en is not null)),
    check (station_id is null or kind = 'real')
);
comment on table spot is 'a place whose visitors are published. Virtual: the sum and difference of other spots';
comment on column spot.station_id is 'the station at whose form its days are entered; null: nobody enters any';
comment on column spot.name is 'with name_en: null as the station is called';
comment on column spot.made_at is 'town time; null, and user_id null: it came with its station';
comment on column spot.retired_from is 'from this day on it is published no more; null: it is';

create table spot_source (
    spot_source_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    station_id      integer not null references station,
    kind            text not null check (kind in ('line', 'camera', 'tickets', 'parking', 'area', 'radio')),
    measure         text not null
        check (measure in ('in', 'out', 'both', 'vehicles', 'present', 'parked', 'signals')),
    sign            smallint not null default 1 check (sign in (-1, 1)),
    weight          double precision not null default 1 check (weight > 0 and weight <= 100),
    entrance        text not null default '',
    from_day        date,
    to_day          date,
    made_at         timestamptz,
    user_id         integer references app_user,
    check (to_day > from_day),
    -- one counter counts once for a spot
    exclude using gist (spot_id with =, station_id with =, daterange(from_day, to_day) with &&)
);
comment on table spot_source is 'which counter counts for a spot, from from_day until before to_day; null: from the beginning, until further notice';
comment on column spot_source.measure is 'both: in + out. present, parked and signals are trends, and never part of a count';
comment on column spot_source.weight is 'the formula: visitors = sum of sign * weight * factor * count; 0.5 where every visitor passes twice, persons a vehicle at a gate of vehicles';
comment on column spot_source.entrance is 'where at the spot it stands, such as 北口';

create table spot_part (
    spot_part_id    integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    part_id         integer not null references spot,
    sign            smallint not null check (sign in (-1, 1)),
    from_day        date,
    to_day          date,
    made_at         timestamptz not null,
    user_id         integer references app_user,
    check (spot_id <> part_id),
    check (to_day > from_day),
    exclude using gist (spot_id with =, part_id with =, daterange(from_day, to_day) with &&)
);
comment on table spot_part is 'what a virtual spot is made of';

create table spot_method (
    spot_method_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    from_day        date,
    method          text not null check (method in ('form', 'counter')),
    made_at         timestamptz,
    user_id         integer references app_user,
    unique nulls not distinct (spot_id, from_day)
);
comment on table spot_method is 'by which method the series of a spot goes from a day on until the next; the other one may run beside it';

create table count_session (
    count_session_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    starts_at        timestamptz not null,
    ends_at          timestamptz not null,
    counted_in       integer not null check (counted_in >= 0),
    counted_out      integer check (counted_out >= 0),
    counted_by       text not null check (counted_by <> ''),
    weather          text not null check (weather in ('sunny', 'cloudy', 'rain', 'snow')),
    note             text not null default '',
    entered_at       timestamptz not null,
    user_id          integer not null references app_user,
    withdrawn_at     timestamptz,
    withdrawn_by     integer references app_user,
    withdrawn_reason text,
    check (ends_at > starts_at),
    check ((withdrawn_at is null) = (withdrawn_reason is null))
);
comment on table count_session is 'a person stood beside a counter and counted. One that was wrong is withdrawn, never changed';
comment on column count_session.counted_out is 'null: only those who went in were counted';
create index count_session_of on count_session (station_id, starts_at);

create table count_factor (
    count_factor_id  integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    measure          text not null check (measure in ('in', 'out', 'both', 'vehicles')),
    from_day         date not null,
    factor           double precision not null check (factor > 0),
    low              double precision not null,
    high             double precision not null,
    mape             double precision not null check (mape >= 0),
    sessions         integer[] not null check (cardinality(sessions) >= 3),
    measured_until   timestamptz not null,
    signed_by        text not null check (signed_by <> ''),
    outside_reason   text check (outside_reason <> ''),
    entered_at       timestamptz not null,
    user_id          integer not null references app_user,
    withdrawn_at     timestamptz,
    withdrawn_by     integer references app_user,
    withdrawn_reason text,
    check (low <= factor and factor <= high),
    check (factor between 0.8 and 1.4 or outside_reason is not null),
    check ((withdrawn_at is null) = (withdrawn_reason is null))
);
comment on table count_factor is 'manual / sensor of a counter, applied from from_day on until the next, or until its device is moved or exchanged after measured_until';
comment on column count_factor.low is 'with high: the 95 % interval';
comment on column count_factor.mape is 'mean absolute percentage error of the sessions without the factor, in percent';
comment on column count_factor.measured_until is 'the end of the last of its sessions';
create unique index count_factor_once on count_factor (station_id, measure, from_day) where withdrawn_at is null;

create table spot_change (
    spot_change_id  bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    spot_id         integer references spot,
    station_id      integer references station,
    what            text not null,
    detail          jsonb not null default '{}',
    reason          text not null check (reason <> ''),
    said_at         timestamptz not null,
    user_id         integer references app_user,
    check (spot_id is not null or station_id is not null)
);
comment on table spot_change is 'append-only: who changed what of a spot, or of the calibration of a counter, when and why';
create index spot_change_of on spot_change (spot_id, spot_change_id);
create index spot_change_at on spot_change (station_id, spot_change_id) where station_id is not null;

do $$
declare
    t text;
begin
    foreach t in array array['spot', 'spot_source', 'spot_part', 'spot_method', 'count_session', 'count_factor',
                             'spot_change'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_worker', t);
        execute format('grant select, insert on %I to mimamori_api', t);
    end loop;
end $$;
grant update (name, name_en, note, retired_from) on spot to mimamori_api;
grant update (from_day, to_day), delete on spot_source, spot_part to mimamori_api;
grant delete on spot_method to mimamori_api;
grant update (withdrawn_at, withdrawn_by, withdrawn_reason) on count_session, count_factor to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;

create function spot_of_station(wanted integer) returns void language plpgsql security definer
set search_path = public, pg_temp as $$
-- A station that counts who comes is a spot. With a counter from the beginning its series is the counter's; a counter
-- that comes later runs beside the form until somebody switches.
declare
    place   record;
    ours    integer;
    counted boolean;
begin
    select station_id, municipality_id, code into place from station where station_id = wanted and kind = 'visitor_spot';
    if not found then
        return;
    end if;
    insert into spot (municipality_id, code, kind, station_id)
    select place.municipality_id,
           case when exists (select from spot s where (s.municipality_id, s.code) = (place.municipality_id, lower(place.code)))
                     or lower(place.code) !~ '^[a-z0-9][a-z0-9-]{0,62}$'
                then 'station-' || wanted else lower(place.code) end,
           'real', wanted
    on conflict (station_id) do nothing;
    select spot_id into ours from spot where station_id = wanted;
    counted := exists (select from datastream
                       where station_id = wanted and observed_property = 'passages_in' and drill_run is null);
    if counted and not exists (select from spot_source where spot_id = ours) then
        insert into spot_source (municipality_id, spot_id, station_id, kind, measure)
        values (place.municipality_id, ours, wanted, 'line', 'in');
    end if;
    if not exists (select from spot_method where spot_id = ours) then
        insert into spot_method (municipality_id, spot_id, method)
        values (place.municipality_id, ours, case when counted then 'counter' else 'form' end);
    end if;
end $$;
revoke execute on function spot_of_station from public;

create function spot_of_datastream() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
    perform spot_of_station(new.station_id);
    return null;
end $$;
-- At the end of the transaction: a station is registered with all that it observes.
create constraint trigger spot after insert on datastream deferrable initially deferred for each row
    when (new.drill_run is null and new.observed_property in ('passages_in', 'passages_day'))
    execute function spot_of_datastream();

-- No statement with an answer: whoever migrates would print it.
do $$
declare
    each integer;
begin
    for each in select station_id from station where kind = 'visitor_spot' order by station_id loop
        perform spot_of_station(each);
    end loop;
end $$;
