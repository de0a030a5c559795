-- Leaks from loggers, night by night: where on the pipes the stations are, what was suspected, and which loggers are not
-- believed at present.
-- depends: 0067.leak_photos

create table logger_place (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    element         text not null check (element <> ''),
    reversed        boolean not null default false,
    said_at         timestamptz not null,
    said_by         integer references app_user
);
comment on table logger_place is 'where on the pipe network a station measures, as somebody said';
comment on column logger_place.element is 'the name of a node, pipe, valve, pump, hydrant or meter; it is looked for in the present version of the network';
comment on column logger_place.reversed is 'of a flow: it counts against the way that water is expected to go there';

create table leak_watch (
    municipality_id integer primary key references municipality,
    day             date not null,
    worked_at       timestamptz not null,
    pipe_network_id integer references pipe_network,
    days            integer not null,
    loggers         integer not null,
    by_model        boolean not null,
    why             text
);
comment on table leak_watch is 'the last day that the loggers of a town were judged by; town time';
comment on column leak_watch.days is 'of the record; loggers: of them with pressures that were used';
comment on column leak_watch.why is 'why nothing could be said; null: it could';

create table logger_fault (
    station_id      integer primary key references station,
    municipality_id integer not null references municipality,
    until           date not null
);
comment on table logger_fault is 'loggers that moved alone, as no pipe could, and are left out until a day';

create table leak_suspect (
    leak_suspect_id integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    finding_id      bigint not null unique references finding,
    pipe_network_id integer not null references pipe_network,
    day             date not null,
    pipe            integer not null,
    pipes           integer[] not null,
    chances         double precision[] not null,
    check (cardinality(pipes) = cardinality(chances)),
    foreign key (pipe_network_id, pipe) references network_pipe (pipe_network_id, pipe)
);
comment on table leak_suspect is 'append-only: the pipes that a finding leak_suspect speaks for; the rest of it is in the finding, which more people see';
comment on column leak_suspect.day is 'the last day of data that it was said by';
comment on column leak_suspect.pipe is 'the one to begin at; pipes: the search area, likeliest first, with the chances that it is each';
create index leak_suspect_of on leak_suspect (municipality_id, day desc);

do $$
declare
    t text;
begin
    foreach t in array array['logger_place', 'leak_watch', 'logger_fault', 'leak_suspect'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api, mimamori_worker', t);
    end loop;
end $$;
grant insert, update, delete on logger_place to mimamori_api;
grant insert, update, delete on leak_watch, logger_fault to mimamori_worker;
grant insert on leak_suspect to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker;

alter table finding drop constraint finding_kind_check;
alter table finding add constraint finding_kind_check check (kind in
    ('night_flow', 'burst', 'leak_suspect', 'visits', 'counter', 'crowd_1', 'crowd_2', 'crowd_3'));
alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'outage', 'night_flow', 'burst', 'leak_suspect', 'visits', 'counter', 'operation', 'written',
     'crowd_1', 'crowd_2', 'crowd_3'));
