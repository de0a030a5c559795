-- What a correlator said of a leak case. Nothing of it is changed; a wrong one is taken back with a reason.
-- depends: 0074.inflow_rises

create table leak_correlation (
    leak_correlation_id integer generated always as identity primary key,
    municipality_id     integer not null references municipality,
    leak_case_id        integer not null references leak_case,
    pipe_network_id     integer references pipe_network,
    place_a             text not null check (place_a <> ''),
    place_b             text not null check (place_b <> ''),
    stretches           jsonb not null,
    length_m            double precision not null check (length_m > 0),
    metres              double precision not null,
    low_m               double precision not null,
    high_m              double precision not null,
    beyond              text check (beyond in ('a', 'b')),
    strength            double precision not null,
    delay_ms            double precision not null,
    seconds             double precision not null,
    day                 date not null,
    text                text not null,
    entered_at          timestamptz not null,
    entered_by          integer not null references app_user,
    withdrawn_at        timestamptz,
    withdrawn_by        integer references app_user,
    withdrawn_text      text,
    check (0 <= low_m and low_m <= metres and metres <= high_m and high_m <= length_m),
    check ((withdrawn_at is null) = (withdrawn_by is null) and (withdrawn_at is null) = (withdrawn_text is null))
);
comment on table leak_correlation is 'a result of two recordings, kept with a leak case; the recordings are not kept';
comment on column leak_correlation.pipe_network_id is 'the version in which place_a and place_b are names; null: there is no network';
comment on column leak_correlation.stretches is 'from A on: [[m, material or null, mm or null], ...]';
comment on column leak_correlation.length_m is 'as measured on site; metres, low_m (0.1) and high_m (0.9) from A';
comment on column leak_correlation.beyond is 'the noise comes from that end or from behind it; null: from between';
comment on column leak_correlation.strength is 'of the peak, in standard deviations of what is no peak';
comment on column leak_correlation.day is 'of the recording, local';
comment on column leak_correlation.entered_at is 'town time, as withdrawn_at';
create index leak_correlation_of on leak_correlation (leak_case_id);
alter table leak_correlation enable row level security;
create policy worker on leak_correlation to mimamori_worker using (true) with check (true);
create policy tenant on leak_correlation to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on leak_correlation to mimamori_api;
grant update (withdrawn_at, withdrawn_by, withdrawn_text) on leak_correlation to mimamori_api;
grant select on leak_correlation to mimamori_worker;
grant usage on all sequences in schema public to mimamori_api;
