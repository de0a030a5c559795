-- What a town keeps of its devices beside their readings: papers, care, planned work, calibration. And kinds of station
-- for all that its templates put up.
-- depends: 0021.models

alter table station drop constraint station_kind_check;
alter table station add constraint station_kind_check check (kind in
    ('river_gauge', 'rain_gauge', 'inundation_point', 'shelter',
     'block_inlet', 'service_tank', 'pressure_point', 'pump', 'water_quality', 'leak_logger',
     'visitor_spot', 'visitor_area', 'parking'));

create table device_record (
    device_id         integer primary key references device,
    municipality_id   integer not null references municipality,
    serial_number     text,
    owner             text,
    phone             text,
    battery_type      text,
    battery_exchanged date,
    solar             boolean,
    service_ends      date,
    jc_star           smallint check (jc_star between 1 and 4),
    jc_star_label     text,
    note              text,
    changed_at        timestamptz not null,
    user_id           integer references app_user
);
comment on table device_record is 'the papers of a device: what nobody can read off its messages. null: not known';
comment on column device_record.phone is '電話先: who is called when it falls silent';
comment on column device_record.service_ends is 'the last day on which its network or contract carries messages (3G ended like this)';
comment on column device_record.jc_star is 'level of its JC-STAR label, 1 to 4; jc_star_label is the number on it';
comment on column device_record.user_id is 'null: somebody with the command line';

create table device_photo (
    device_id       integer primary key references device,
    municipality_id integer not null references municipality,
    media_type      text not null check (media_type in ('image/jpeg', 'image/png')),
    image           bytea not null check (octet_length(image) between 1 and 4000000),
    digest          bytea not null check (octet_length(digest) = 32),
    changed_at      timestamptz not null,
    user_id         integer references app_user
);
comment on table device_photo is 'the newest photo of a device, without what a camera writes beside the picture';

create table maintenance_entry (
    maintenance_entry_id bigint generated always as identity primary key,
    municipality_id      integer not null references municipality,
    device_id            integer not null references device,
    station_id           integer references station,
    done_at              timestamptz not null,
    done_by              text not null check (done_by <> ''),
    work                 text not null check (work <> ''),
    entered_at           timestamptz not null,
    user_id              integer references app_user
);
comment on table maintenance_entry is '点検記録, append-only; station_id is where the device was then';
create index maintenance_entry_of on maintenance_entry (device_id, done_at desc);

create table planned_work (
    planned_work_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    device_id       integer not null references device,
    starts_at       timestamptz not null,
    ends_at         timestamptz not null,
    work            text not null check (work <> ''),
    entered_at      timestamptz not null,
    user_id         integer references app_user,
    cancelled_at    timestamptz,
    cancelled_by    integer references app_user,
    check (ends_at > starts_at)
);
comment on table planned_work is '作業予定: what a device says meanwhile is doubtful (reason maintenance), and that it says nothing is no fault';
create index planned_work_of on planned_work (device_id, ends_at);

create table calibration (
    calibration_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    device_id       integer not null references device,
    datastream_id   integer not null references datastream,
    from_time       timestamptz not null,
    to_time         timestamptz,
    gain            double precision not null check (gain <> 0),
    value_offset    double precision not null,
    reason          text not null check (reason <> ''),
    withdraws       integer unique references calibration,
    entered_at      timestamptz not null,
    entered_real    timestamptz not null default now(),
    user_id         integer not null references app_user,
    settled_at      timestamptz,
    correction_id   bigint references correction,
    check (to_time > from_time),
    check (gain <> 1 or value_offset <> 0)
);
comment on table calibration is 'append-only: what a device measures of a datastream from from_time until before to_time is mapped value * gain + value_offset, one row upon the other in their order. One that was wrong is taken back by its opposite (withdraws)';
comment on column calibration.settled_at is 'town time at which all that had been stored without it was put right; until then each message that it was applied to is in calibration_stamp';
comment on column calibration.correction_id is 'what was done to the values stored before, null until it began';
create index calibration_open on calibration (municipality_id, calibration_id) where settled_at is null;

create table calibration_stamp (
    calibration_id  integer not null references calibration,
    uplink_id       bigint not null,
    municipality_id integer not null references municipality,
    primary key (calibration_id, uplink_id)
);
comment on table calibration_stamp is 'messages whose values came in with a calibration that is not settled yet: it is not applied to them twice';

alter table correction add column addend double precision;
alter table correction drop constraint correction_operation_check;
alter table correction add constraint correction_operation_check
    check (operation in ('shift', 'scale', 'missing', 'confirm', 'replace', 'calibrate'));
alter table correction drop constraint correction_check;
alter table correction add constraint correction_check
    check ((amount is not null) = (operation in ('shift', 'scale', 'calibrate')));
alter table correction add constraint correction_addend_check check ((addend is not null) = (operation = 'calibrate'));
comment on column correction.addend is 'calibrate: value * amount + addend';

do $$
declare
    t text;
begin
    foreach t in array array['device_record', 'device_photo', 'maintenance_entry', 'planned_work', 'calibration',
                             'calibration_stamp'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
    end loop;
end $$;
create trigger directory after insert or delete or update of settled_at on calibration
    for each row execute function directory_changed();
create trigger directory after insert or delete or update on planned_work
    for each row execute function directory_changed();

grant select on device_record, maintenance_entry, planned_work, calibration to mimamori_worker;
grant update (settled_at, correction_id) on calibration to mimamori_worker;
grant select, insert, delete on calibration_stamp to mimamori_worker;
grant select, insert, update on device_record to mimamori_api;
grant select, insert, update, delete on device_photo to mimamori_api;
grant select, insert on maintenance_entry, calibration to mimamori_api;
grant select, insert, update (cancelled_at, cancelled_by) on planned_work to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;
