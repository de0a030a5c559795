-- How many visitors are expected at a spot, by day and by hour, as the newest forecast of each says.
-- depends: 0051.spots

create table visitor_expected (
    municipality_id integer not null references municipality,
    spot_id         integer not null references spot,
    per_day         smallint not null check (per_day in (1, 24)),
    start           timestamptz not null,
    lead_days       smallint not null check (lead_days between 1 and 7),
    issued_at       timestamptz not null,
    value           real not null check (value >= 0),
    low             real not null check (low >= 0 and low <= value),
    high            real not null check (high >= value),
    primary key (spot_id, per_day, start)
);
comment on table visitor_expected is '延べ expected of a local day (per_day 1) or hour (24), with the interval of nine cases in ten';
comment on column visitor_expected.lead_days is 'how many days ahead the newest forecast was; 1: made in the morning of that day. What is past keeps it';
comment on column visitor_expected.issued_at is 'town time';
create index visitor_expected_of on visitor_expected (municipality_id, start);

alter table visitor_expected enable row level security;
create policy worker on visitor_expected to mimamori_worker using (true) with check (true);
create policy tenant on visitor_expected for select to mimamori_api using (municipality_id = current_municipality());
grant select on visitor_expected to mimamori_api;
grant select, insert, update, delete on visitor_expected to mimamori_worker;
