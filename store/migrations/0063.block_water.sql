-- What the meters of a block's customers read together, and what may be used there at night: with the inlet's flow the
-- water balance of the block. Totals of blocks only: no customer, no address.
-- depends: 0062.network

create table metered_water (
    metered_water_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    read_from        date not null,
    read_until       date not null check (read_until > read_from),
    billed_m3        double precision not null check (billed_m3 >= 0),
    unbilled_m3      double precision check (unbilled_m3 >= 0),
    file             text not null,
    entered_at       timestamptz not null,
    entered_by       integer references app_user,
    replaced_at      timestamptz,
    replaced_by      integer references app_user
);
comment on table metered_water is '検針水量 of a block between two readings. Nothing goes: what was corrected or taken back is replaced';
comment on column metered_water.read_from is 'the day of the reading before; its water belongs to this period';
comment on column metered_water.read_until is 'the day of this reading; its water belongs to the next period';
comment on column metered_water.billed_m3 is '有収水量';
comment on column metered_water.unbilled_m3 is '有効無収水量 (flushing, fire, what meters do not feel); null: not known';
comment on column metered_water.entered_at is 'town time, as replaced_at';
create unique index metered_water_of on metered_water (station_id, read_from, read_until) where replaced_at is null;

create table block_use (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    connections     integer check (connections >= 0),
    litres          double precision not null check (litres >= 0),
    known_m3h       double precision not null check (known_m3h >= 0),
    fills           integer references station,
    note            text not null,
    changed_at      timestamptz not null,
    changed_by      integer references app_user
);
comment on table block_use is 'what may flow into a block at night without being lost';
comment on column block_use.connections is '給水戸数; null: not known, then the use is not known either';
comment on column block_use.litres is 'used at night by each connection, L/h';
comment on column block_use.known_m3h is 'used at night by known customers beside, m3/h';
comment on column block_use.fills is 'the tank behind the inlet that the inlet fills; null: none';

alter table metered_water enable row level security;
alter table block_use enable row level security;
create policy worker on metered_water to mimamori_worker using (true) with check (true);
create policy worker on block_use to mimamori_worker using (true) with check (true);
create policy tenant on metered_water to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
create policy tenant on block_use to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update on metered_water, block_use to mimamori_api, mimamori_worker;
grant usage on all sequences in schema public to mimamori_api, mimamori_worker;
