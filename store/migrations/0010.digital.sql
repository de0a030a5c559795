-- What the digital section keeps of a device beside its readings, and what a visitor of the demo may set off.
-- depends: 0005.findings

create table device_status (
    device_id       integer primary key references device,
    municipality_id integer not null references municipality,
    battery         double precision not null,
    battery_low     boolean not null,
    measured_at     timestamptz not null
);
comment on table device_status is 'the newest battery reading of a device, in V: it belongs to the hardware, not to the place that it watches';
comment on column device_status.battery_low is 'below the limit of its model, or the device itself says so';

alter table device_status enable row level security;
create policy worker on device_status to mimamori_worker using (true) with check (true);
create policy tenant on device_status to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update on device_status to mimamori_worker;
grant select on device_status to mimamori_api;

-- Append-only: the simulated town is a function of everything that was ever set off, and goes on after a restart.
create table demo_event (
    demo_event_id   bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    kind            text not null check (kind in ('rain', 'burst', 'festival', 'silence')),
    starts_at       timestamptz not null,
    ends_at         timestamptz not null,
    target          text,
    user_id         integer references app_user,
    check (ends_at > starts_at),
    check ((target is not null) = (kind in ('burst', 'silence'))),
    -- one of a kind at a time, whoever presses
    exclude using gist (municipality_id with =, kind with =, tstzrange(starts_at, ends_at) with &&)
);
comment on table demo_event is 'what visitors of a simulated town set off, in town time; target: the station of a burst, the device that falls silent';
create index demo_event_recent on demo_event (municipality_id, starts_at desc);

alter table demo_event enable row level security;
create policy worker on demo_event for select to mimamori_worker using (true);
create policy tenant on demo_event to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select on demo_event to mimamori_worker;
grant select, insert on demo_event to mimamori_api;
