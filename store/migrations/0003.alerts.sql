-- From a finding to a person.
-- depends: 0002.observations

create table alert (
    alert_id         bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    station_id       integer not null references station,
    rule             text not null check (rule in ('level', 'silence')),
    mode             text not null default 'actual' check (mode in ('actual', 'exercise', 'test')),
    datastream_id    integer not null references datastream,
    level            smallint check (level between 1 and 5),
    peak_level       smallint check (peak_level between 1 and 5),
    raised_at        timestamptz not null,
    phenomenon_time  timestamptz not null,
    value            double precision,
    acknowledged_at  timestamptz,
    acknowledged_by  integer references app_user,
    cleared_at       timestamptz,
    cleared_by       integer references app_user,
    check ((rule = 'level') = (level is not null))
);
comment on column alert.raised_at is 'town time at which it was raised; phenomenon_time and value are the observation that last moved it';
comment on column alert.cleared_by is 'null where the rule cleared it';

-- One open alert per cause, whatever the evaluators do.
create unique index alert_open_cause on alert (municipality_id, station_id, rule, mode) where cleared_at is null;
create index alert_recent on alert (municipality_id, raised_at desc);

create table alert_history (
    alert_history_id bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    alert_id         bigint not null references alert,
    at               timestamptz not null,
    event            text not null check (event in
                         ('raised', 'escalated', 'lowered', 'acknowledged', 'commented', 'cleared')),
    level            smallint check (level between 1 and 5),
    phenomenon_time  timestamptz,
    value            double precision,
    rule_version     text,
    user_id          integer references app_user,
    note             text
);
create index alert_history_of on alert_history (alert_id, alert_history_id);

create table alert_judged (
    datastream_id integer not null references datastream,
    municipality_id integer not null references municipality,
    rule          text not null,
    judged_to     timestamptz not null,
    primary key (datastream_id, rule)
);
comment on table alert_judged is 'the newest observation already judged: what is older than it is late';

create table outbox (
    outbox_id        bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    alert_history_id bigint not null references alert_history,
    channel          text not null,
    recipient        text not null,
    subject          text not null,
    body             text not null,
    attempts         integer not null default 0,
    next_attempt_at  timestamptz not null,
    sent_at          timestamptz,
    last_error       text,
    unique (alert_history_id, channel, recipient)
);
create index outbox_waiting on outbox (next_attempt_at) where sent_at is null;
comment on column outbox.next_attempt_at is 'real time: a mail server does not live on the town clock';
