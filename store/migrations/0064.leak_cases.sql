-- 漏水調査: a case for what may be a leak, and everything that was done about it. Nothing of it is ever changed or
-- deleted: how often a suspect was none is what the town judges its methods by.
-- depends: 0063.block_water

create table leak_case (
    leak_case_id    integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null check (name <> ''),
    finding_id      bigint unique references finding,
    pipe_network_id integer references pipe_network,
    pipes           integer[] not null,
    suspect         integer,
    started_at      timestamptz,
    size_m3h        double precision check (size_m3h > 0),
    reason          text not null,
    opened_at       timestamptz not null check (opened_at >= started_at),
    opened_by       integer not null references app_user,
    check ((pipe_network_id is null) = (cardinality(pipes) = 0)),
    foreign key (pipe_network_id, suspect) references network_pipe (pipe_network_id, pipe)
);
comment on table leak_case is 'append-only; a 調査候補 until a step says what was found. Times are town time';
comment on column leak_case.finding_id is 'null: opened by hand';
comment on column leak_case.pipes is 'the search area: pipes of that version of the network; empty: nobody said where';
comment on column leak_case.suspect is 'the pipe to begin at; null: none is more likely than another';
comment on column leak_case.started_at is 'since when it may leak, size_m3h how much, as estimated at opening; null: not known';
create index leak_case_of on leak_case (municipality_id, opened_at desc);

create table leak_case_step (
    leak_case_id    integer not null references leak_case,
    number          integer not null check (number > 0),
    municipality_id integer not null references municipality,
    kind            text not null check (kind in ('planned', 'found', 'nothing', 'repaired', 'ended', 'note', 'undone')),
    at              timestamptz not null,
    what            text check (what is null or kind in ('found', 'ended')),
    pipe            text check (pipe is null or kind = 'found'),
    size_m3h        double precision check (size_m3h > 0),
    km              double precision check (km >= 0),
    text            text not null,
    undoes          integer check ((undoes is not null) = (kind = 'undone') and undoes < number),
    entered_at      timestamptz not null,
    entered_by      integer not null references app_user,
    primary key (leak_case_id, number)
);
comment on table leak_case_step is 'append-only: what was done about a case, numbered from 1';
comment on column leak_case_step.at is 'when it was done; of a plan when it is meant to be';
comment on column leak_case_step.what is 'the cause of what was found; why a case was ended without a leak';
comment on column leak_case_step.pipe is 'the name of the pipe that leaked; null: not said';
comment on column leak_case_step.km is 'walked at this visit; null: not said';

create table leak_water_price (
    leak_water_price_id integer generated always as identity primary key,
    municipality_id     integer not null references municipality,
    yen_m3              double precision not null check (yen_m3 > 0),
    said_at             timestamptz not null,
    said_by             integer not null references app_user
);
comment on table leak_water_price is 'append-only: what a lost m3 costs the town; the newest counts';

do $$
declare
    t text;
begin
    foreach t in array array['leak_case', 'leak_case_step', 'leak_water_price'] loop
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
