-- Sound loggers: what each heard in a night, and the finding of a noise that stays.
-- depends: 0071.month_keys

create table night_sound (
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    day             date not null,
    level           double precision,
    completeness    double precision not null,
    primary key (datastream_id, day)
);
comment on table night_sound is 'what a sound logger heard between 01:00 and 05:00 local time, dB: nine tenths of its readings are above; level is null where the night is too incomplete to say';
create index night_sound_of on night_sound (municipality_id, day);

alter table night_sound enable row level security;
create policy worker on night_sound to mimamori_worker using (true) with check (true);
create policy tenant on night_sound to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on night_sound to mimamori_api, mimamori_worker;
grant insert, update, delete on night_sound to mimamori_worker;

-- What is heard changes from night to night, and with it the pipes: the newest row of a finding counts, the others stay.
alter table leak_suspect drop constraint leak_suspect_finding_id_key;
create index leak_suspect_finding on leak_suspect (finding_id);
comment on table leak_suspect is 'append-only: the pipes that a finding leak_suspect or leak_sound speaks for, the newest row of each counts; the rest of it is in the finding, which more people see';

alter table finding drop constraint finding_kind_check;
alter table finding add constraint finding_kind_check check (kind in
    ('night_flow', 'burst', 'leak_suspect', 'leak_sound', 'visits', 'counter', 'crowd_1', 'crowd_2', 'crowd_3'));
alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'outage', 'night_flow', 'burst', 'leak_suspect', 'leak_sound', 'visits', 'counter', 'operation',
     'written', 'crowd_1', 'crowd_2', 'crowd_3'));
