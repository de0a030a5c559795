-- The levels of a river as its offices write them: some have a number and are judged, others only a name. Who changed
-- them when, and cross-sections.
-- depends: 0044.waits

alter table threshold_level add column kind text not null default 'reference'
    check (kind in ('reference', 'overflow', 'local'));
comment on table threshold_level is 'the levels of a set that are judged: each number once';
comment on column threshold_level.kind is 'reference: 基準水位; overflow: 氾濫開始水位; local: 町の目安';

create table threshold_mark (
    threshold_set_id integer not null references threshold_set on delete cascade,
    municipality_id  integer not null references municipality,
    kind             text not null check (kind in ('design', 'observation_start', 'overflow', 'local')),
    name             text not null check (name <> ''),
    name_en          text not null check (name_en <> ''),
    value            double precision not null,
    primary key (threshold_set_id, name)
);
comment on table threshold_mark is 'the levels of a set that have a name and no number: shown, never judged by themselves';
comment on column threshold_mark.kind is 'design: 計画高水位 (H.W.L.), no danger level; observation_start, overflow: of a 危機管理型 gauge; local: 町の目安';
comment on column threshold_mark.value is 'metres above gauge zero';
create unique index threshold_mark_once on threshold_mark (threshold_set_id, kind) where kind <> 'local';

alter table threshold_set drop constraint threshold_set_station_id_valid_from_key;
alter table threshold_set add column corrects integer unique;
alter table threshold_set add column made_at timestamptz;
alter table threshold_set add column user_id integer references app_user;
alter table threshold_set add constraint threshold_set_dated unique (threshold_set_id, station_id, valid_from);
alter table threshold_set add constraint threshold_set_corrects
    foreign key (corrects, station_id, valid_from) references threshold_set (threshold_set_id, station_id, valid_from);
create unique index threshold_set_once on threshold_set (station_id, valid_from) where corrects is null;
create index threshold_set_of on threshold_set (station_id, valid_from, threshold_set_id);
comment on table threshold_set is 'append-only. In force from valid_from until the next set of the same station; of several of one date the one written last, which corrects the others';
comment on column threshold_set.corrects is 'the set of the same date that was wrong and stands no longer';
comment on column threshold_set.made_at is 'town time; null, and user_id null: with the station, by the town file or when it was registered';

create table cross_section (
    cross_section_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    surveyed_on      date not null,
    reason           text not null check (reason <> ''),
    datum            text not null check (datum in ('tp', 'zero')),
    distance         double precision[] not null,
    height           double precision[] not null,
    note             text[] not null,
    made_at          timestamptz,
    user_id          integer references app_user,
    check (cardinality(distance) >= 3 and cardinality(distance) = cardinality(height)
           and cardinality(distance) = cardinality(note))
);
comment on table cross_section is 'append-only: 横断図. The newest survey stands, of one day the one entered last';
comment on column cross_section.datum is 'tp: height is an elevation above T.P. in metres; zero: metres above gauge zero';
comment on column cross_section.distance is 'metres from the left bank, rising';
create index cross_section_of on cross_section (station_id, surveyed_on desc, cross_section_id desc);

do $$
declare
    t text;
begin
    foreach t in array array['threshold_mark', 'cross_section'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant usage on all sequences in schema public to mimamori_api;
