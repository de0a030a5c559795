-- What may be told to the public before a person has looked: words that a named authority decided on beforehand, entered
-- by one person and signed by another. And cameras.
-- depends: 0040.outbox_wakes

create table standing_approval (
    standing_approval_id integer generated always as identity primary key,
    municipality_id      integer not null references municipality,
    station_id           integer not null references station,
    level                smallint not null check (level between 1 and 5),
    threshold_set_id     integer not null references threshold_set,
    threshold_source_id  integer references threshold_source,
    hours                smallint not null check (hours between 1 and 24),
    holds_until          timestamptz not null,
    authority            text not null check (authority <> ''),
    post                 text not null check (post <> ''),
    document             text not null check (document <> ''),
    dated                date not null,
    entered_at           timestamptz not null,
    entered_by           integer not null references app_user,
    check (holds_until > entered_at and extract(epoch from holds_until - entered_at) <= 367 * 86400),
    unique (standing_approval_id, entered_by)
);
comment on table standing_approval is 'append-only: 事前承認, that a gauge''s reaching a level may be told to the public in these words; it is nothing until it is signed';
comment on column standing_approval.threshold_set_id is 'with threshold_source_id: the levels, and the statement whose they are (null: none), for which the words were written; it tells nothing once either is another one';
comment on column standing_approval.hours is 'how long a notice of it holds';
comment on column standing_approval.authority is 'who decided it, in which post, by which document of which day';
create index standing_approval_of on standing_approval (station_id, level);

create table standing_approval_text (
    standing_approval_id integer not null references standing_approval,
    municipality_id      integer not null references municipality,
    step                 text not null check (step in ('reached', 'ended')),
    ja_headline          text not null check (ja_headline <> ''),
    ja_body              text not null check (ja_body <> ''),
    en_headline          text not null check (en_headline <> ''),
    en_body              text not null check (en_body <> ''),
    plain_headline       text not null check (plain_headline <> ''),
    plain_body           text not null check (plain_body <> ''),
    primary key (standing_approval_id, step)
);
comment on table standing_approval_text is 'append-only: its words, with places for the time and the value. ended: what takes the notice back when the alert is over; without such a row that is for a person';

create table standing_approval_event (
    standing_approval_id integer not null,
    municipality_id      integer not null references municipality,
    event                text not null check (event in ('signed', 'revoked', 'replaced')),
    at                   timestamptz not null,
    user_id              integer not null references app_user,
    entered_by           integer not null,
    primary key (standing_approval_id, event),
    foreign key (standing_approval_id, entered_by) references standing_approval (standing_approval_id, entered_by),
    check (event <> 'signed' or user_id <> entered_by)
);
comment on table standing_approval_event is 'append-only: signed by another person than the one who entered it (four eyes); revoked by any one; replaced by the signature of another for the same gauge and level';
create unique index standing_approval_ends_once on standing_approval_event (standing_approval_id) where event <> 'signed';

alter table public_notice alter column made_by drop not null;
alter table public_notice add column standing_approval_id integer references standing_approval;
alter table public_notice add column standing_step text check (standing_step in ('reached', 'ended'));
alter table public_notice add constraint public_notice_by check (num_nonnulls(made_by, standing_approval_id) = 1);
alter table public_notice add constraint public_notice_step check ((standing_step is null) = (standing_approval_id is null));
comment on column public_notice.standing_approval_id is 'in whose name it was told; then made_by is null';
-- Whatever dies and whoever else looks: once for each level of an alert, and its end once.
create unique index public_notice_reached_once on public_notice (alert_id, level) where standing_step = 'reached';
create unique index public_notice_ended_once on public_notice (alert_id) where standing_step = 'ended';

alter table public_notice_event alter column user_id drop not null;
alter table public_notice_event add column standing_approval_id integer references standing_approval;
alter table public_notice_event add constraint public_notice_event_by check
    (num_nonnulls(user_id, standing_approval_id) = 1 and (standing_approval_id is null or event = 'approved'));

alter table alert_history drop constraint alert_history_event_check;
alter table alert_history add constraint alert_history_event_check check (event in
    ('raised', 'escalated', 'lowered', 'confirmed', 'withheld', 'told', 'called', 'acknowledged', 'assigned', 'commented',
     'cleared', 'retracted', 'published'));

do $$
declare
    t text;
begin
    foreach t in array array['standing_approval', 'standing_approval_text', 'standing_approval_event'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant insert on public_notice, public_notice_text, public_notice_event to mimamori_worker;
-- What tells the public reads what the desk reads, one municipality at a time.
grant select on tenant_observation to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;

-- Cameras that stand at stations: their stills are kept like the photos of reports.
create table camera (
    camera_id       integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    name            text not null check (name <> ''),
    url             text check (url <> ''),
    secret          text check (secret <> ''),
    folder          text check (folder <> ''),
    pattern         text check (pattern <> ''),
    every           interval not null check (every >= interval '1 minute'),
    every_alert     interval not null check (every_alert >= interval '1 minute'),
    entered_at      timestamptz not null,
    entered_by      integer references app_user,
    ended_at        timestamptz,
    check (num_nonnulls(url, folder) = 1),
    check (secret is null or url is not null),
    check ((folder is null) = (pattern is null))
);
comment on table camera is 'a camera at a station, as the digital section has entered it: nothing else is ever fetched';
comment on column camera.secret is 'the name of a file with user:password among the secrets of the process; never what is in it';
comment on column camera.folder is 'below MIMAMORI_CAMERAS, with the names that are its pictures (pattern)';
comment on column camera.every_alert is 'while an alert of its station is open. Town time, as all here';
create unique index camera_once on camera (municipality_id, name) where ended_at is null;

create table camera_state (
    camera_id       integer primary key references camera,
    municipality_id integer not null references municipality,
    tried_at        timestamptz not null,
    heard_at        timestamptz,
    fault           text check (fault <> ''),
    fault_said      text,
    fault_since     timestamptz,
    check ((fault is null) = (fault_since is null))
);
comment on table camera_state is 'what came of the last try. heard_at: when a picture last came, also the same one again';

alter table field_photo alter column field_report_id drop not null;
alter table field_photo add column camera_id integer references camera;
alter table field_photo add column digest bytea check (octet_length(digest) = 32);
alter table field_photo add constraint field_photo_source check (num_nonnulls(field_report_id, camera_id) = 1);
comment on column field_photo.camera_id is 'a still of a camera: real, also during a drill. digest: SHA-256 of what came, so that the same picture is kept once';
create unique index field_photo_still_once on field_photo (camera_id, digest) where camera_id is not null;
create index field_photo_still on field_photo (camera_id, received_at desc) where camera_id is not null;

do $$
declare
    t text;
begin
    foreach t in array array['camera', 'camera_state'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api, mimamori_worker', t);
    end loop;
end $$;
grant insert, update (ended_at) on camera to mimamori_api;
grant insert, update on camera_state to mimamori_worker;
grant insert on field_photo to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
