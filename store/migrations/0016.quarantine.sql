-- Quarantine that heals: who asked for which messages to be read again, and what came of it; what is kept how long.
-- depends: 0011.basemap 0012.backups 0013.intake

create table quarantine_replay (
    replay_id       bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    reason          text,
    device_key      text,
    uplink_id       bigint,
    since           timestamptz,
    through         bigint not null,
    total           integer not null,
    asked_at        timestamptz not null,
    user_id         integer references app_user,
    reached         bigint not null default 0,
    accepted        integer not null default 0,
    event           integer not null default 0,
    duplicate       integer not null default 0,
    quarantined     integer not null default 0,
    finished_at     timestamptz
);
comment on table quarantine_replay is 'a wish to read messages again, and what came of it; a worker with the rights to store takes it up in small steps';
comment on column quarantine_replay.reason is 'with device_key, uplink_id and since: which messages are meant; null stands for all';
comment on column quarantine_replay.through is 'the newest uplink when it was asked: what comes later is not meant, so that it ends';
comment on column quarantine_replay.user_id is 'null: somebody with the command line';
comment on column quarantine_replay.reached is 'the newest uplink that was read again; moves in the transaction that writes its outcome';
comment on column quarantine_replay.duplicate is 'could be read, and was what another message had brought already';
create index quarantine_replay_open on quarantine_replay (municipality_id, replay_id) where finished_at is null;

-- Who looks for messages of one reason, or of one sender, should not read all that was ever refused.
create index uplink_quarantined_reason on uplink (municipality_id, reason, uplink_id) where outcome = 'quarantined';

create table uplink_pruned (
    municipality_id integer not null references municipality,
    device_id       integer references device,
    day             date not null,
    outcome         text not null check (outcome in ('accepted', 'event', 'quarantined')),
    reason          text,
    messages        bigint not null,
    repeats         bigint not null,
    bytes           bigint not null,
    unique nulls not distinct (municipality_id, device_id, day, outcome, reason)
);
comment on table uplink_pruned is 'what is no longer kept: quarantined messages that are gone, and the raw bytes of others that stay; day of receipt in UTC';
comment on column uplink_pruned.device_id is 'null: the sender is not registered or could not be read';

alter table uplink alter column raw drop not null;
comment on column uplink.raw is 'as it came; null where it is no longer kept (MIMAMORI_RAW_DAYS), never while quarantined';
alter table uplink add constraint uplink_quarantined_raw check (outcome <> 'quarantined' or raw is not null) not valid;

create table uplink_retention (
    municipality_id integer not null references municipality,
    outcome         text not null check (outcome in ('accepted', 'event')),
    pruned_to       timestamptz not null,
    primary key (municipality_id, outcome)
);
comment on table uplink_retention is 'how far the raw bytes of a class have been let go; a replay that accepts older messages takes it back';

do $$
declare
    t text;
begin
    foreach t in array array['quarantine_replay', 'uplink_pruned', 'uplink_retention'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api', t);
    end loop;
end $$;
grant select, insert, update on quarantine_replay, uplink_pruned, uplink_retention to mimamori_worker;
-- A person may ask, and only ask: what came of it is the worker's to say.
grant insert (municipality_id, reason, device_key, uplink_id, since, through, total, asked_at, user_id)
    on quarantine_replay to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
