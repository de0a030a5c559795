-- The town's own geography: more kinds of shape, areas with holes, what a shape says of itself; and which gauge stands
-- on which river.
-- depends: 0010.digital

alter table map_shape drop constraint map_shape_kind_check;
alter table map_shape add constraint map_shape_kind_check check (kind in
    ('sea', 'terrain', 'shade', 'district', 'catchment', 'town', 'block', 'coast', 'river', 'road', 'pipe', 'node'));
alter table map_shape add column properties jsonb not null default '{}';
update map_shape set points = jsonb_build_array(points);
-- areas did not come back to where they began
update map_shape set points = jsonb_build_array(points -> 0 || jsonb_build_array(points #> '{0,0}'))
    where kind in ('town', 'block') and points #> '{0,0}' <> points #> '{0,-1}';
update map_shape set properties = '{"class": "river"}' where kind = 'river';
alter table map_shape rename column points to lines;
comment on column map_shape.lines is
    '[[[longitude, latitude], ...], ...]: the line, the one point, or the rings of an area, the outer one first';
comment on column map_shape.properties is 'what the kind says of itself: class, height_m, diameter_mm, block, ...';
comment on column map_shape.name is 'empty where the shape has none';

alter table block_inlet alter column pipe_km drop not null;
comment on column block_inlet.pipe_km is 'what would have to be searched for a leak; null: not known';

create table station_river (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    river           text not null,
    km_from_mouth   double precision check (km_from_mouth >= 0),
    catchment_km2   double precision check (catchment_km2 > 0)
);
comment on table station_river is
    'the river that a gauge watches; a rain gauge: in whose catchment it stands. null: not known';

alter table station_river enable row level security;
create policy worker on station_river to mimamori_worker using (true) with check (true);
create policy tenant on station_river to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on station_river to mimamori_worker, mimamori_api;
