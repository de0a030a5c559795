-- Rules that staff write, in dated versions, and the alerts that they raise. What is told late says so.
-- depends: 0029.neighbours

create table alert_rule (
    alert_rule_id   integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer references station,
    station_kind    text,
    made_at         timestamptz not null,
    check (num_nonnulls(station_id, station_kind) = 1)
);
comment on table alert_rule is 'a rule of one station, or of every station of a kind; what it says is in its versions';

create table alert_rule_version (
    alert_rule_version_id integer generated always as identity primary key,
    municipality_id       integer not null references municipality,
    alert_rule_id         integer not null references alert_rule,
    valid_from            timestamptz not null,
    name                  text not null check (name <> ''),
    severity              smallint check (severity between 1 and 3),
    active                boolean not null,
    body                  jsonb not null,
    other_stations        integer[] not null default '{}',
    reason                text not null check (reason <> ''),
    made_at               timestamptz not null,
    user_id               integer references app_user,
    unique (alert_rule_id, valid_from)
);
comment on table alert_rule_version is 'append-only; in force from valid_from until the next version of the same rule';
comment on column alert_rule_version.severity is '3 act at once, 2 act, 1 look at it; null: information, that nobody is written to about';
comment on column alert_rule_version.active is 'false: from then on the rule is switched off';
comment on column alert_rule_version.body is 'alerts.rules.condition.Body';
comment on column alert_rule_version.other_stations is 'the stations that the body names beside its own';
comment on column alert_rule_version.user_id is 'null: somebody with the command line';
create index alert_rule_of on alert_rule (municipality_id);

do $$
declare
    t text;
begin
    foreach t in array array['alert_rule', 'alert_rule_version'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant usage on all sequences in schema public to mimamori_api;

-- --- the alerts of these rules -----------------------------------------------------------------------------

alter table alert add column alert_rule_id integer references alert_rule;
comment on column alert.alert_rule_id is 'of the rule written by staff; null for every other';
alter table alert add column severity smallint check (severity between 1 and 3);
comment on column alert.severity is 'of a rule written by staff, as in the version that raised it';

alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'outage', 'night_flow', 'burst', 'visits', 'counter', 'operation', 'written'));
alter table alert drop constraint alert_finding_check;
alter table alert add constraint alert_finding_check
    check ((rule in ('level', 'silence', 'outage', 'operation', 'written')) = (finding_id is null));
alter table alert add constraint alert_written_check
    check ((rule = 'written') = (alert_rule_id is not null) and (severity is null or rule = 'written'));

-- One open alert per cause, whatever the evaluators do; each rule at a station is a cause.
drop index alert_open_cause;
create unique index alert_open_cause on alert (municipality_id, station_id, rule, mode) where cleared_at is null and alert_rule_id is null;
create unique index alert_open_written on alert (alert_rule_id, station_id, mode) where cleared_at is null;
create index alert_of_written on alert (alert_rule_id) where alert_rule_id is not null;

-- --- told, and told late ------------------------------------------------------------------------------------

alter table alert_history drop constraint alert_history_event_check;
alter table alert_history add constraint alert_history_event_check check (event in
    ('raised', 'escalated', 'lowered', 'told', 'acknowledged', 'commented', 'cleared'));
comment on column alert_history.event is 'told: what stood already, and nobody had been written to about, is so at the newest observation';

alter table station add column tell_within interval not null default '6 hours' check (tell_within > interval '0');
comment on column station.tell_within is 'nobody is written to about an observation that is older than this when it is judged';

create table late_excursion (
    late_excursion_id bigint generated always as identity primary key,
    municipality_id   integer not null references municipality,
    station_id        integer not null references station,
    datastream_id     integer not null references datastream,
    alert_rule_id     integer references alert_rule,
    mode              text not null check (mode in ('actual', 'exercise', 'test')),
    from_time         timestamptz not null,
    to_time           timestamptz not null,
    value             double precision,
    level             smallint check (level between 1 and 5),
    judged_at         timestamptz not null,
    check (to_time >= from_time)
);
comment on table late_excursion is 'known afterwards: what was so from from_time to to_time when newer observations already said otherwise. alert_rule_id null: the reference levels';
create index late_excursion_of on late_excursion (municipality_id, judged_at desc);
create index late_excursion_cause on late_excursion (station_id, from_time);

alter table late_excursion enable row level security;
create policy worker on late_excursion to mimamori_worker using (true) with check (true);
create policy tenant on late_excursion to mimamori_api using (municipality_id = current_municipality());
grant select, insert, update, delete on late_excursion to mimamori_worker;
grant select on late_excursion to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker;
