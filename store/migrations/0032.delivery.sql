-- Delivery: who is told by what, what became of it, and who answered.
-- depends: 0031.rules

-- --- sending -----------------------------------------------------------------------------------------------

alter table outbox add column begun_at timestamptz;
alter table outbox add column unsure smallint not null default 0;
comment on column outbox.begun_at is 'an attempt began then and its end was not noted: while nobody sends the row, its sender died, and the message may have arrived';
comment on column outbox.unsure is 'attempts of which nobody knows whether the message arrived: the next one says so';

-- --- people ------------------------------------------------------------------------------------------------

create table person (
    person_id       integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null,
    kind            text not null default 'person' check (kind in ('person', 'equipment')),
    ended_at        timestamptz
);
comment on table person is 'who can be told. equipment: a lamp, a folder of texts to be read out, another system: it is told and never answers';
comment on column person.ended_at is 'town time; is not told any more. What was sent stays';

create table contact (
    contact_id      integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    person_id       integer not null references person,
    position        integer not null,
    channel         text not null,
    address         text not null,
    verified_at     timestamptz,
    ended_at        timestamptz
);
create unique index contact_once on contact (person_id, channel, address) where ended_at is null;
comment on table contact is 'how a person is told, in the order of their preference (position)';
comment on column contact.verified_at is 'when somebody last answered from there (town time); null: nobody ever did';

create table call_group (
    group_id        integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null,
    day_starts      time not null default '08:30',
    day_ends        time not null default '17:15',
    answer_within   interval not null default '5 minutes' check (answer_within > interval '0'),
    ended_at        timestamptz,
    check (day_starts < day_ends)
);
comment on table call_group is 'people who are told of the same things, and take turns. Times are local';
comment on column call_group.answer_within is 'real time: after it, at the two highest levels, the next ones are called';

create table group_member (
    group_id        integer not null references call_group,
    person_id       integer not null references person,
    municipality_id integer not null references municipality,
    primary key (group_id, person_id)
);

create table group_watch (
    group_watch_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    group_id        integer not null references call_group,
    desk            text not null check (desk in ('disaster', 'water', 'tourism', 'digital')),
    station_id      integer references station,
    least_level     smallint check (least_level between 1 and 5),
    unique nulls not distinct (group_id, desk, station_id)
);
comment on table group_watch is 'what a group is told of. station_id null: everything of that desk; least_level null: everything, also what has no level';

create table duty (
    group_id        integer not null references call_group,
    day             date not null,
    part            text not null check (part in ('day', 'night')),
    municipality_id integer not null references municipality,
    person_id       integer not null references person,
    substitute_id   integer references person,
    primary key (group_id, day, part),
    check (substitute_id <> person_id)
);
comment on table duty is 'whose turn it is. The night of a day ends on the next morning; a shift that nobody was named for is everybody''s';

create table delivery_channel (
    name            text primary key,
    kind            text not null
);
comment on table delivery_channel is 'the ways out that this installation has, as its alerts process said when it started';

alter table outbox add column person_id integer references person;
alter table outbox add column contact_id integer references contact;
alter table outbox add column written_at timestamptz;
alter table outbox add column instead_of bigint references outbox;
alter table outbox add column stood_in boolean not null default false;
alter table outbox add column brief text;
alter table outbox add column spoken text;
alter table outbox add column key uuid not null default gen_random_uuid();
comment on column outbox.brief is 'what could be public, for channels that are somebody else''s; spoken is the same for ears';
comment on column outbox.key is 'for receivers that know a repetition by its key. Not the outbox_id: after a restore that counts from an earlier number again';
comment on column outbox.person_id is 'null: nobody is configured, and the addresses of a section are told';
comment on column outbox.written_at is 'real time, like next_attempt_at';
comment on column outbox.instead_of is 'the message of the same person by the way that they prefer, and that did not arrive in time';
comment on column outbox.stood_in is 'another way was faster: this one is not tried any more';
create index outbox_of_person on outbox (person_id, alert_history_id) where person_id is not null;
create index outbox_instead on outbox (instead_of) where instead_of is not null;

do $$
declare
    t text;
begin
    foreach t in array array['person', 'contact', 'call_group', 'group_member', 'group_watch', 'duty'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_worker, mimamori_api', t);
    end loop;
end $$;
grant insert, update (name, ended_at) on person to mimamori_api;
grant insert, update (position, ended_at) on contact to mimamori_api;
grant insert, update (name, day_starts, day_ends, answer_within, ended_at) on call_group to mimamori_api;
grant insert, delete on group_member, group_watch to mimamori_api;
grant insert, update, delete on duty to mimamori_api;
grant select on delivery_channel to mimamori_api;
grant select, insert, update, delete on delivery_channel to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;

-- --- answering ---------------------------------------------------------------------------------------------

create table answer_link (
    token_hash      bytea primary key check (octet_length(token_hash) = 32),
    municipality_id integer not null references municipality,
    outbox_id       bigint not null references outbox,
    expires_at      timestamptz not null,
    answered_at     timestamptz
);
comment on table answer_link is 'the link in a message by which its recipient, and nobody else, answers. Only the SHA-256 of its token is kept; expires_at is real time, answered_at town time';
create index answer_link_of on answer_link (outbox_id);

-- Who follows a link has no session, and so no municipality: this tells whose it is, and nothing else.
create function municipality_of_answer(token_hash bytea) returns integer
    language sql stable security definer set search_path = public, pg_temp as
$$ select l.municipality_id from answer_link l where l.token_hash = $1 $$;
revoke all on function municipality_of_answer(bytea) from public;
grant execute on function municipality_of_answer(bytea) to mimamori_api;

alter table alert add column acknowledged_person integer references person;
comment on column alert.acknowledged_person is 'who answered by a link; acknowledged_by is then null';
alter table alert_history add column person_id integer references person;
alter table alert_history drop constraint alert_history_event_check;
alter table alert_history add constraint alert_history_event_check check (event in
    ('raised', 'escalated', 'lowered', 'told', 'called', 'acknowledged', 'commented', 'cleared'));
comment on column alert_history.event is 'called: nobody had answered, and the next ones were told';

create function outbox_written() returns trigger language plpgsql as $$
begin
    perform pg_notify('outbox', '');
    return null;
end $$;
create trigger outbox_written after insert on outbox for each statement execute function outbox_written();

alter table answer_link enable row level security;
create policy worker on answer_link to mimamori_worker using (true) with check (true);
create policy tenant on answer_link to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on answer_link to mimamori_worker;
grant select, update (answered_at) on answer_link to mimamori_api;
grant update (acknowledged_person) on alert to mimamori_api;
grant update (verified_at) on contact to mimamori_api;
