-- Who can be reached: from which severity on a group is told of the rules of the staff, and whether the chain holds.
-- depends: 0036.retraction

alter table group_watch add column least_severity smallint check (least_severity between 1 and 3);
comment on column group_watch.least_severity is 'of rules that staff wrote: 3 act at once, 2 act, 1 look at it; null: all that are told. least_level does not count for them';
-- Until now a severity was worth the level above it.
update group_watch set least_severity = least(least_level - 1, 3) where least_level > 1;

-- --- the test of the chain -----------------------------------------------------------------------------------

alter table call_group add column test_day smallint default 1 check (test_day between 1 and 28);
alter table call_group add column test_hour smallint not null default 10 check (test_hour between 0 and 23);
alter table call_group add column test_equipment boolean not null default false;
comment on column call_group.test_day is 'on this day of every month, at test_hour (local), everybody in it gets a test message; null: never. On from the beginning, as a chain that nobody tries is found broken by the flood';
comment on column call_group.test_equipment is 'whether the lamps, radios and systems of the group get it too';

create table call_test (
    call_test_id    bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    group_id        integer not null references call_group,
    month           date check (extract(day from month) = 1),
    user_id         integer references app_user,
    asked_at        timestamptz not null,
    begun_at        timestamptz,
    person_ids      integer[] not null default '{}',
    unique (group_id, month),
    check ((month is null) <> (user_id is null))
);
comment on table call_test is 'a test message to a group (mode test): of a month, or asked for by a person (user_id). Times are of the town';
comment on column call_test.begun_at is 'null: its messages are not written yet';
comment on column call_test.person_ids is 'everybody who should get it when it began. Who is in several groups gets one message of what is due together; who has none at all could not be reached by any contact';
create index call_test_of on call_test (municipality_id, call_test_id);
create index call_test_waiting on call_test (call_test_id) where begun_at is null;

alter table outbox add column call_test_id bigint references call_test;
alter table outbox drop constraint outbox_about;
alter table outbox add constraint outbox_about check (num_nonnulls(alert_history_id, weekly_digest_id, call_test_id) = 1);
alter table outbox add constraint outbox_test_once unique (call_test_id, person_id);

alter table call_test enable row level security;
create policy worker on call_test to mimamori_worker using (true) with check (true);
create policy tenant on call_test to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on call_test to mimamori_worker, mimamori_api;
grant update (begun_at, person_ids) on call_test to mimamori_worker;
grant update (test_day, test_hour, test_equipment) on call_group to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
