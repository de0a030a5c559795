-- Links of a station to official pages about its river (川の防災情報, 川の水位情報, キキクル and others): for people to
-- follow, never to be fetched from.
-- depends: 0044.waits

create table official_link (
    official_link_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    position         smallint not null,
    kind             text not null check (kind in ('kawa_bousai', 'kawa_suii', 'kikikuru', 'other')),
    title            text not null,
    title_en         text not null,
    url              text not null check (url like 'https://%'),
    said_at          timestamptz,
    user_id          integer references app_user,
    unique (station_id, position),
    constraint others_have_a_title check (kind <> 'other' or (title <> '' and title_en <> '')),
    constraint a_person_at_a_time check (user_id is null or said_at is not null)
);
comment on table official_link is 'links of a station to official pages, in the order in which they are shown';
comment on column official_link.said_at is 'when somebody said so on the page (town time); null: the town file says it';

alter table official_link enable row level security;
create policy worker on official_link to mimamori_worker using (true) with check (true);
create policy tenant on official_link to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on official_link to mimamori_worker;
grant select, insert, delete on official_link to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;
