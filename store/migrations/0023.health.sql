-- How devices fare: duty cycles with modes, what networks and batteries say of them by the day, outages that silence many
-- stations at once, and the week in one letter.
-- depends: 0022.registry

-- --- duty cycles -------------------------------------------------------------------------------------------

create table device_duty (
    device_id         integer primary key references device on delete cascade,
    municipality_id   integer not null references municipality,
    observed_property text not null,
    report_interval   interval not null check (report_interval > interval '0')
);
comment on table device_duty is 'a device that speaks more often while something happens (危機管理型水位計); without a row it keeps its pace. Its patience below the first start level is device.silence_after';
comment on column device_duty.observed_property is 'the property whose last known value says which mode the device is in';
comment on column device_duty.report_interval is 'how often it speaks below the first start level';

create table device_duty_mode (
    device_id       integer not null references device_duty on delete cascade,
    municipality_id integer not null references municipality,
    start_level     double precision not null,
    stop_level      double precision not null,
    report_interval interval not null check (report_interval > interval '0'),
    silence_after   interval not null,
    primary key (device_id, start_level),
    check (stop_level <= start_level),
    check (silence_after >= report_interval)
);
comment on table device_duty_mode is 'from start_level on and until below stop_level, in the unit of the property';

-- --- radio, batteries, clocks ------------------------------------------------------------------------------

create table radio_day (
    device_id       integer not null references device,
    day             date not null,
    gateway         text not null,
    municipality_id integer not null references municipality,
    uplinks         integer not null,
    best_rssi       real,
    best_snr        real,
    lowest_margin   real,
    margin_sum      double precision not null,
    margins         integer not null,
    heard_at        timestamptz not null,
    rssi            real,
    snr             real,
    spreading       smallint,
    gateways        smallint not null,
    primary key (device_id, day, gateway)
) with (fillfactor = 80);  -- each message updates a row of today, in place
comment on table radio_day is 'how well the gateway that heard a device best did so, by the day (UTC) of receipt; nothing for networks that do not say';
comment on column radio_day.uplinks is 'messages, without repetitions, of which this gateway was the best';
comment on column radio_day.best_rssi is 'dBm, like rssi; snr and margins in dB. A margin is the SNR above what the spreading factor needs to be understood';
comment on column radio_day.heard_at is 'of the newest of them, whose are rssi, snr, spreading and gateways (how many heard it)';
create index radio_day_gateway on radio_day (municipality_id, gateway, day);

create table battery_day (
    device_id       integer not null references device,
    day             date not null,
    unit            text not null check (unit in ('V', '%')),
    municipality_id integer not null references municipality,
    value           double precision not null,
    measured_at     timestamptz not null,
    primary key (device_id, day, unit)
);
comment on table battery_day is 'the first battery reading of each day (UTC): what the trend is worked out of';

create table device_report (
    device_id       integer primary key references device,
    municipality_id integer not null references municipality,
    battery_percent real,
    external_power  boolean,
    margin          real,
    reported_at     timestamptz not null
);
comment on table device_report is 'what a network last passed on of a device''s own account (LoRaWAN DevStatusAns); null: it did not say';

create table device_day (
    device_id       integer not null references device,
    day             date not null,
    municipality_id integer not null references municipality,
    messages        integer not null,
    repeats         bigint not null,
    payloads        integer not null,
    clock_offset    real,
    primary key (device_id, day)
);
create index device_day_of on device_day (municipality_id, day);
comment on table device_day is 'worked out of the messages once a day (UTC) is over';
comment on column device_day.payloads is 'how many different payloads its accepted messages had';
comment on column device_day.clock_offset is 's: the device''s time minus the network''s (else that of receipt) at the message with the least delay, positive: it is ahead; null: it has no clock of its own, or none that could be believed';

-- --- outages -----------------------------------------------------------------------------------------------

alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'outage', 'night_flow', 'burst', 'visits', 'counter', 'operation'));
alter table alert drop constraint alert_finding_check;
alter table alert add constraint alert_finding_check
    check ((rule in ('level', 'silence', 'outage', 'operation')) = (finding_id is null));
alter table alert drop constraint alert_about;
alter table alert add constraint alert_about check (
    case when rule in ('operation', 'outage') then cause is not null and station_id is null and datastream_id is null
         else cause is null and station_id is not null and datastream_id is not null end);
comment on column alert.cause is 'of the rules operation and outage: its kind, and after a colon what it concerns; null for every other rule';
create unique index alert_open_outage on alert (municipality_id, cause) where rule = 'outage' and cleared_at is null;

alter table alert add column part_of bigint references alert;
comment on column alert.part_of is 'the outage that explains this silence: it is told with that one, and cleared with it';
create index alert_part_of on alert (part_of) where part_of is not null;

create table outage_device (
    alert_id        bigint not null references alert,
    device_id       integer not null references device,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    last_heard      timestamptz not null,
    returned_at     timestamptz,
    primary key (alert_id, device_id)
);
comment on table outage_device is 'whom an outage silences. last_heard: before it did; returned_at: again meanwhile, null until then';
create index outage_device_of on outage_device (device_id, alert_id desc);

-- --- the week in one letter --------------------------------------------------------------------------------

create table weekly_digest (
    weekly_digest_id bigint generated always as identity primary key,
    municipality_id  integer not null references municipality,
    week             date not null check (extract(isodow from week) = 1),
    written_at       timestamptz not null,
    facts            jsonb not null,
    unique (municipality_id, week)
);
comment on table weekly_digest is 'what happened with the devices in the week (local) that begins on this Monday, as it was told';

alter table outbox alter column alert_history_id drop not null;
alter table outbox add column weekly_digest_id bigint references weekly_digest;
alter table outbox add constraint outbox_about check (num_nonnulls(alert_history_id, weekly_digest_id) = 1);
alter table outbox add constraint outbox_weekly_once unique (weekly_digest_id, channel, recipient);

do $$
declare
    t text;
begin
    foreach t in array array['device_duty', 'device_duty_mode', 'radio_day', 'battery_day', 'device_report', 'device_day',
                             'outage_device', 'weekly_digest'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_worker, mimamori_api', t);
    end loop;
end $$;
grant insert, update, delete on radio_day, battery_day, device_day to mimamori_worker;
grant insert, update on device_report, outage_device to mimamori_worker;
grant insert on weekly_digest to mimamori_worker;
-- A duty cycle is the town's to say: by its file, or on a page.
grant insert, update, delete on device_duty, device_duty_mode to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
