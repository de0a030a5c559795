-- What the waterworks know of their tanks and blocks, and which finding an alert came from.
-- depends: 0005.findings

create table service_tank (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    area_m2         double precision not null check (area_m2 > 0),
    full_m          double precision not null,
    low_m           double precision not null check (low_m >= 0),
    check (full_m > low_m)
);
comment on table service_tank is '配水池: volume above low = area_m2 * (level - low_m); levels in m above the floor';

create table block_inlet (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    pipe_km         double precision not null check (pipe_km > 0),
    tank_station_id integer references station
);
comment on table block_inlet is '配水ブロック: pipe_km is what would have to be searched for a leak; the tank that feeds it, null: none';

alter table alert add column finding_id bigint references finding;
comment on column alert.finding_id is 'what analytics found, for the rules that are kinds of findings';
alter table alert add constraint alert_finding_check
    check ((rule in ('level', 'silence')) = (finding_id is null));
-- A finding raises one alert, whatever the evaluators do; a person who cleared it is not asked again.
create unique index alert_of_finding on alert (finding_id);

do $$
declare
    t text;
begin
    foreach t in array array['service_tank', 'block_inlet'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_worker, mimamori_api', t);
    end loop;
end $$;
