-- Two independent counts of the messages, what of a message was refused, and alerts about the operation itself.
-- depends: 0011.basemap 0012.backups 0013.intake

alter table uplink add column quarantined_fields text[] not null default '{}';
comment on column uplink.quarantined_fields is 'the fields of an accepted message that were not stored; detail says why';

-- A foreign key looks up town and device for each message and locks both, so that workers wait for each other. The count
-- below names the same two in the same transaction, once for all messages of an hour, and has the keys.
alter table uplink drop constraint uplink_municipality_id_fkey;
alter table uplink drop constraint uplink_device_id_fkey;

create table delivery_count (
    municipality_id integer not null references municipality,
    device_id       integer references device,
    hour            timestamptz not null,
    delivered       bigint not null default 0,
    accepted        bigint not null default 0,
    event           bigint not null default 0,
    duplicate       bigint not null default 0,
    quarantined     bigint not null default 0,
    given           bigint not null default 0,
    stored          bigint not null default 0,
    unchanged       bigint not null default 0,
    revised         bigint not null default 0,
    rejected        bigint not null default 0,
    unique nulls not distinct (municipality_id, device_id, hour)
);
comment on table delivery_count is 'the count from inside: what was delivered in an hour of receipt (town time), and what became of it';
comment on column delivery_count.device_id is 'null: the messages whose sender is not registered or cannot be read';
comment on column delivery_count.delivered is 'messages handed in, counted before any is decoded; each has one of the four outcomes, as the writer counts them: the sum must close';
comment on column delivery_count.given is 'values of new messages as the gate gave them to the writer; stored, unchanged and revised (replaced another, or lost against it) must add up to it';
comment on column delivery_count.rejected is 'values that no row could be made of: the quarantined fields';
create index delivery_count_hour on delivery_count (municipality_id, hour);

create table frame_run (
    frame_run_id    bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    device_id       integer not null references device,
    session         text not null,
    first_counter   bigint not null,
    last_counter    bigint not null,
    received        bigint not null,
    first_sent      timestamptz not null,
    last_sent       timestamptz not null,
    check (last_counter >= first_counter),
    check (received between 1 and last_counter - first_counter + 1)
);
comment on table frame_run is 'the count from outside: the frame counters of a device, without a restart between first and last. Expected are last - first + 1';
comment on column frame_run.first_sent is 'by the network''s time, else by the time of receipt, like last_sent';
create index frame_run_of on frame_run (device_id, session, frame_run_id desc);

create table frame_gap (
    frame_run_id    bigint not null references frame_run on delete cascade,
    municipality_id integer not null references municipality,
    device_id       integer not null references device,
    from_counter    bigint not null,
    to_counter      bigint not null,
    noticed_at      timestamptz not null,
    primary key (frame_run_id, from_counter),
    check (to_counter >= from_counter)
);
comment on table frame_gap is '欠番: frame counters that never came, by name. A late message takes its own out';
comment on column frame_gap.noticed_at is 'town time at which the frame after the gap was received';
create index frame_gap_noticed on frame_gap (municipality_id, noticed_at);
create index frame_gap_device on frame_gap (device_id, noticed_at);

do $$
declare
    t text;
begin
    foreach t in array array['delivery_count', 'frame_run', 'frame_gap'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api', t);
    end loop;
end $$;
grant select, insert, update on delivery_count, frame_run to mimamori_worker;
grant select, insert, update, delete on frame_gap to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker;

-- How far behind a consumer is in time: when the first batch that it has not read was committed.
alter table feed add column appended_at timestamptz;
alter table feed alter column appended_at set default clock_timestamp();
comment on column feed.appended_at is 'real time; null for what was there before it was noted';

-- An alert about the operation has no station: its cause says what it is about.
alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'night_flow', 'burst', 'visits', 'counter', 'operation'));
alter table alert drop constraint alert_finding_check;
alter table alert add constraint alert_finding_check
    check ((rule in ('level', 'silence', 'operation')) = (finding_id is null));
alter table alert alter column station_id drop not null;
alter table alert alter column datastream_id drop not null;
alter table alert add column cause text;
alter table alert add constraint alert_about check (
    case when rule = 'operation' then cause is not null and station_id is null and datastream_id is null
         else cause is null and station_id is not null and datastream_id is not null end);
comment on column alert.cause is 'of the rule operation: its kind, and after a colon what it concerns; null for every other rule';
create unique index alert_open_operation on alert (municipality_id, cause) where rule = 'operation' and cleared_at is null;

create table operation_condition (
    municipality_id integer not null references municipality,
    cause           text not null,
    since           timestamptz not null,
    primary key (municipality_id, cause)
);
comment on table operation_condition is 'what is wrong with the operation now, and since when (real time); it becomes an alert when it has lasted';

alter table operation_condition enable row level security;
create policy worker on operation_condition to mimamori_worker using (true) with check (true);
create policy tenant on operation_condition to mimamori_api using (municipality_id = current_municipality());
grant select, insert, delete on operation_condition to mimamori_worker;
grant select on operation_condition to mimamori_api;
