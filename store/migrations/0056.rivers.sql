-- A back-test that was not reached is told from one that had too little to say; and who changed the links to official
-- pages, what and when.
-- depends: 0045.levels 0046.links 0047.official 0048.jma 0049.forecasts 0050.alerts

alter table forecast_model alter column scores drop not null, alter column scores drop default;
comment on column forecast_model.scores is 'analytics.rivers.scores.Score by lead, of a causal back-test, which takes as long as the learning and comes after it; null until then, empty where there is too little';
-- What was learned and has none may have been stopped before its back-test: it is done again, once.
update forecast_model set scores = null where scores = '[]' and why <> 'first';

create table official_link_change (
    official_link_change_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    links           jsonb not null,
    said_at         timestamptz,
    user_id         integer references app_user,
    constraint a_person_at_a_time check (user_id is null or said_at is not null)
);
comment on table official_link_change is 'append-only: all links of a station each time that they became others';
comment on column official_link_change.links is 'in the order in which they are shown: kind, url, title, title_en';
comment on column official_link_change.said_at is 'when somebody said so on the page (town time); null: the town file says it';
create index official_link_change_of on official_link_change (station_id, official_link_change_id desc);

insert into official_link_change (municipality_id, station_id, links, said_at, user_id)
select municipality_id, station_id,
       jsonb_agg(jsonb_build_object('kind', kind, 'url', url, 'title', title, 'title_en', title_en) order by position),
       max(said_at), max(user_id)
from official_link group by 1, 2;

alter table official_link_change enable row level security;
create policy worker on official_link_change to mimamori_worker using (true) with check (true);
create policy tenant on official_link_change to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on official_link_change to mimamori_worker;
grant select, insert on official_link_change to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;
