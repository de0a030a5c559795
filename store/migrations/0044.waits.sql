-- How long a station lets people wait, changed on a page: who said so, when and why.
-- depends: 0040.outbox_wakes

create table station_wait (
    station_wait_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    tell_within     interval not null check (tell_within > interval '0'),
    confirm_within  interval not null check (confirm_within >= interval '0'),
    confirming_rain double precision not null check (confirming_rain > 0),
    reason          text not null check (reason <> ''),
    made_at         timestamptz not null,
    user_id         integer references app_user
);
comment on table station_wait is 'append-only: what was said of the three waits of a station; the newest stands in station too. A station without one has never been changed';
comment on column station_wait.user_id is 'null: somebody with the command line';
create index station_wait_of on station_wait (station_id, station_wait_id desc);

alter table station_wait enable row level security;
create policy tenant on station_wait to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on station_wait to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;
grant update (tell_within, confirm_within, confirming_rain) on station to mimamori_api;
