-- How long the water takes from gauge to gauge: what was learned of it, and what people say of it.
-- depends: 0044.waits

create table station_link (
    station_link_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    upstream_id     integer not null references station,
    downstream_id   integer not null references station,
    learnt_at       timestamptz not null,
    days            integer not null check (days >= 0),
    since           timestamptz,
    until           timestamptz,
    rises           integer not null check (rises >= 0),
    events          integer not null check (events between 0 and rises),
    lag_p10         interval,
    lag_p50         interval,
    lag_p90         interval,
    alike           double precision check (alike between -1 and 1),
    check (upstream_id <> downstream_id),
    check ((lag_p50 is null) = (lag_p10 is null) and (lag_p50 is null) = (lag_p90 is null)),
    check ((since is null) = (rises = 0) and (until is null) = (rises = 0))
);
comment on table station_link is 'append-only: how long past rises took from one gauge to another, each time that it was learned; the newest holds. Lags null: too few rises to say';
comment on column station_link.days is 'days with data of both series together, when it was learned: with many more of them it is learned anew';
comment on column station_link.since is 'with until: the peaks of the first and last rise that was looked at';
comment on column station_link.rises is 'at the lower gauge; in events of them both gauges were alike';
comment on column station_link.alike is 'median correlation of the rates of rise';
create index station_link_newest on station_link (upstream_id, downstream_id, station_link_id desc);

create table station_link_word (
    station_link_word_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    upstream_id     integer not null references station,
    downstream_id   integer not null references station,
    verdict         text not null check (verdict in ('set', 'refused', 'open')),
    travel          interval check (travel is null or (travel > interval '0' and verdict = 'set')),
    reason          text not null check (reason <> ''),
    said_at         timestamptz not null,
    user_id         integer not null references app_user,
    check (upstream_id <> downstream_id)
);
comment on table station_link_word is 'append-only: that people say the water does, or does not, come from one gauge to the other; open takes that back. The newest holds';
comment on column station_link_word.travel is 'how long it takes by what they know, such as a study; null: as learned';
create index station_link_word_newest on station_link_word (upstream_id, downstream_id, station_link_word_id desc);

do $$
declare
    t text;
begin
    foreach t in array array['station_link', 'station_link_word'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api, mimamori_worker', t);
    end loop;
end $$;
grant insert on station_link to mimamori_worker;
grant insert on station_link_word to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
