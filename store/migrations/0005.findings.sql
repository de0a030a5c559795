-- What analytics says of a time range of a station, and the kinds of station and rule that come with it.
-- depends: 0004.access

alter table station drop constraint station_kind_check;
alter table station add constraint station_kind_check check (kind in
    ('river_gauge', 'rain_gauge', 'block_inlet', 'service_tank', 'visitor_spot'));

alter table alert drop constraint alert_rule_check;
alter table alert add constraint alert_rule_check check (rule in
    ('level', 'silence', 'night_flow', 'burst', 'visits', 'counter'));

create table finding (
    finding_id      bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    datastream_id   integer not null references datastream,
    kind            text not null check (kind in ('night_flow', 'burst', 'visits', 'counter')),
    started_at      timestamptz not null,
    ended_at        timestamptz,
    value           double precision,
    usual           double precision,
    score           double precision not null,
    rule_version    text not null,
    detail          jsonb not null default '{}',
    check (ended_at >= started_at)
);
comment on table finding is 'one open finding a station and kind; value and usual in the unit of the datastream';
create unique index finding_open on finding (station_id, kind) where ended_at is null;
create index finding_recent on finding (municipality_id, started_at desc);

alter table finding enable row level security;
create policy worker on finding to mimamori_worker using (true) with check (true);
create policy tenant on finding to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert, update on finding to mimamori_worker;
grant select on finding to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;

-- The feed also tells of findings: their ids travel in a column of their own.
alter table feed drop constraint feed_kind_check;
alter table feed add constraint feed_kind_check check (kind in ('observations', 'alerts', 'findings'));
alter table feed add column finding_ids bigint[] not null default '{}';

create function feed_append_findings(municipality integer, findings bigint[]) returns bigint language plpgsql as $$
declare
    id bigint;
begin
    perform pg_advisory_xact_lock(hashtext('feed'));
    insert into feed (municipality_id, kind, finding_ids) values (municipality, 'findings', findings)
    returning feed_id into id;
    perform pg_notify('feed', id::text);
    return id;
end $$;
