-- Word from the field: reports with photos by staff and by leaders of the districts, and the shelters.
-- depends: 0038.drill

create table field_link (
    field_link_id   integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    person_id       integer not null references person,
    token_hash      bytea not null unique check (octet_length(token_hash) = 32),
    shelters        boolean not null,
    made_at         timestamptz not null,
    made_by         integer not null references app_user,
    expires_at      timestamptz not null check (expires_at > made_at),
    revoked_at      timestamptz,
    revoked_by      integer references app_user,
    used_at         timestamptz,
    check ((revoked_at is null) = (revoked_by is null))
);
comment on table field_link is 'by which somebody without an account reports. Only the SHA-256 of its token is kept; all times are real time';
comment on column field_link.shelters is 'the person may say how the shelters are';
comment on column field_link.used_at is 'when something last came by it';
create index field_link_of on field_link (municipality_id, person_id);

create table field_report (
    field_report_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    client_key      uuid not null,
    drill           boolean not null,
    seen_at         timestamptz not null,
    received_at     timestamptz not null,
    user_id         integer references app_user,
    field_link_id   integer references field_link,
    station_id      integer references station,
    latitude        double precision check (latitude between -90 and 90),
    longitude       double precision check (longitude between -180 and 180),
    accuracy        real check (accuracy >= 0),
    place           text not null,
    text            text not null,
    gauge_reading   double precision,
    check (num_nonnulls(user_id, field_link_id) = 1),
    check ((latitude is null) = (longitude is null)),
    check (gauge_reading is null or station_id is not null),
    unique nulls not distinct (municipality_id, user_id, field_link_id, client_key)
);
comment on table field_report is 'append-only: what somebody saw. Times are town time';
comment on column field_report.client_key is 'made by the form: the same report sent again has the same';
comment on column field_report.gauge_reading is 'm, as somebody read it on the staff gauge (量水標) of the station: never an observation, never judged';
comment on column field_report.accuracy is 'm, as the telephone said of the position; null: nobody knows';
create index field_report_at on field_report (municipality_id, drill, received_at desc);
create index field_report_station on field_report (station_id, seen_at) where gauge_reading is not null;

create table field_report_event (
    field_report_event_id bigint generated always as identity primary key,
    municipality_id       integer not null references municipality,
    field_report_id       bigint not null references field_report,
    what                  text not null check (what in ('seen', 'acted', 'withdrawn', 'logged', 'attached', 'detached')),
    alert_id              bigint references alert,
    headquarters_log_id   bigint,
    note                  text not null,
    at                    timestamptz not null,
    user_id               integer not null references app_user,
    check ((what in ('attached', 'detached')) = (alert_id is not null)),
    check ((what = 'logged') = (headquarters_log_id is not null))
);
comment on table field_report_event is 'append-only: what the desk did with a report. The newest of seen, acted and withdrawn is its state; with none of them it is new';
create index field_report_event_of on field_report_event (field_report_id);
create index field_report_event_alert on field_report_event (alert_id) where alert_id is not null;
create unique index field_report_logged_once on field_report_event (field_report_id) where what = 'logged';

create table field_photo (
    field_photo_id  bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    field_report_id bigint not null references field_report,
    image           bytea,
    thumbnail       bytea,
    width           integer not null,
    height          integer not null,
    received_at     timestamptz not null,
    forgotten_at    timestamptz,
    forgotten_by    integer references app_user,
    check ((forgotten_at is null) = (image is not null)),
    check ((image is null) = (thumbnail is null))
);
comment on table field_photo is 'JPEG, upright, reduced, without anything a camera wrote beside it; after its days, or when somebody takes it away, the picture goes and the row stays';
comment on column field_photo.forgotten_by is 'null: its days were over';
alter table field_photo alter column image set storage external;
alter table field_photo alter column thumbnail set storage external;
create index field_photo_of on field_photo (field_report_id);
create index field_photo_kept on field_photo (municipality_id, received_at) where forgotten_at is null;

create table field_photo_release (
    field_photo_release_id bigint generated always as identity primary key,
    municipality_id        integer not null references municipality,
    field_photo_id         bigint not null references field_photo,
    released               boolean not null,
    caption                text not null,
    at                     timestamptz not null,
    user_id                integer not null references app_user
);
comment on table field_photo_release is 'append-only: a photo shown to everybody by a named person, or taken back; the newest counts';
create index field_photo_release_of on field_photo_release (field_photo_id);

create table shelter (
    shelter_id      integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null check (name <> ''),
    kana            text not null,
    address         text not null,
    latitude        double precision check (latitude between -90 and 90),
    longitude       double precision check (longitude between -180 and 180),
    capacity        integer check (capacity >= 0),
    access          text not null,
    public          text[] not null check (public <@ array['address', 'place', 'capacity', 'access', 'state', 'crowding',
                                                           'people', 'note']),
    entered_at      timestamptz not null,
    entered_by      integer not null references app_user,
    ended_at        timestamptz,
    check ((latitude is null) = (longitude is null))
);
comment on table shelter is '避難所, as the town lists them. entered_*: who wrote it last, in town time';
comment on column shelter.access is 'barrier-free: what there is, and what is not';
comment on column shelter.public is 'what of it and of its words everybody may read beside its names; nothing of it: it stands on no public page';
create unique index shelter_once on shelter (municipality_id, name) where ended_at is null;

create table shelter_word (
    shelter_word_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    shelter_id      integer not null references shelter,
    drill           boolean not null,
    state           text not null check (state in ('preparing', 'open', 'full', 'closed')),
    crowding        text check (crowding in ('free', 'some', 'crowded', 'full')),
    people          integer check (people >= 0),
    note            text not null,
    at              timestamptz not null,
    entered_at      timestamptz not null,
    user_id         integer references app_user,
    field_link_id   integer references field_link,
    check (num_nonnulls(user_id, field_link_id) = 1),
    check (crowding is null or state in ('open', 'full')),
    check ((crowding is not distinct from 'full') = (state = 'full'))
);
comment on table shelter_word is 'append-only: what somebody said of a shelter; the newest by at counts, none is unknown';
comment on column shelter_word.at is 'town time at which it was so; entered_at is when it came';
create index shelter_word_of on shelter_word (shelter_id, drill, at desc);

do $$
declare
    t text;
begin
    foreach t in array array['field_link', 'field_report', 'field_report_event', 'field_photo', 'field_photo_release',
                             'shelter', 'shelter_word'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant update (revoked_at, revoked_by, used_at) on field_link to mimamori_api;
grant update (image, thumbnail, forgotten_at, forgotten_by) on field_photo to mimamori_api;
grant update (image, thumbnail, forgotten_at) on field_photo to mimamori_worker;
grant update (name, kana, address, latitude, longitude, capacity, access, public, entered_at, entered_by, ended_at)
    on shelter to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;

-- Who follows a link has no session, and so no municipality: this tells whose it is, and nothing else.
create function municipality_of_field_link(token_hash bytea) returns integer
    language sql stable security definer set search_path = public, pg_temp as
$$ select l.municipality_id from field_link l where l.token_hash = $1 $$;
revoke all on function municipality_of_field_link(bytea) from public;
grant execute on function municipality_of_field_link(bytea) to mimamori_api;
