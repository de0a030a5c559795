-- What a night's step test showed, kept with a leak case. Nothing of it is changed; a wrong one is taken back with a reason.
-- depends: 0076.block_meters

create table leak_step_test (
    leak_step_test_id integer generated always as identity primary key,
    municipality_id   integer not null references municipality,
    leak_case_id      integer not null references leak_case,
    pipe_network_id   integer not null references pipe_network,
    station_id        integer not null references station,
    block             text not null check (block <> ''),
    inlet             text not null check (inlet <> ''),
    first_closed      jsonb not null,
    before_m3h        double precision not null check (before_m3h >= 0),
    steps             jsonb not null check (jsonb_array_length(steps) > 0),
    others_shut       boolean,
    day               date not null,
    text              text not null,
    entered_at        timestamptz not null,
    entered_by        integer not null references app_user,
    withdrawn_at      timestamptz,
    withdrawn_by      integer references app_user,
    withdrawn_text    text,
    check ((withdrawn_at is null) = (withdrawn_by is null) and (withdrawn_at is null) = (withdrawn_text is null))
);
comment on table leak_step_test is 'valves closed one after the other at night, and what still flowed into the block';
comment on column leak_step_test.pipe_network_id is 'the version in which block, inlet (a node) and the valves are names';
comment on column leak_step_test.station_id is 'the inlet whose flow was read';
comment on column leak_step_test.first_closed is 'before the first reading, to open rings: [[valve, its pipe], ...]';
comment on column leak_step_test.before_m3h is 'read before the first step';
comment on column leak_step_test.steps is 'in the order of closing: [[valve, its pipe, m3/h read after it], ...]';
comment on column leak_step_test.others_shut is 'the other ways into the block were known to be shut; null: it has none';
comment on column leak_step_test.day is 'of the test, local';
comment on column leak_step_test.entered_at is 'town time, as withdrawn_at';
create index leak_step_test_of on leak_step_test (leak_case_id);
-- The same test twice would count as two.
create unique index leak_step_test_once on leak_step_test (leak_case_id, day, before_m3h, md5(steps::text))
    where withdrawn_at is null;
alter table leak_step_test enable row level security;
create policy worker on leak_step_test to mimamori_worker using (true) with check (true);
create policy tenant on leak_step_test to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on leak_step_test to mimamori_api;
grant update (withdrawn_at, withdrawn_by, withdrawn_text) on leak_step_test to mimamori_api;
grant select on leak_step_test to mimamori_worker;
grant usage on all sequences in schema public to mimamori_api;
