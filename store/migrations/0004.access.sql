-- Who may touch what. mimamori_worker writes (ingest, analytics, alerts); mimamori_api owns nothing and sees one
-- municipality at a time. Row-level security on the small tables; observations only through a view.
-- depends: 0003.alerts

do $$
begin
    -- Roles belong to the whole server: another town's database may have made them already, perhaps right now.
    perform pg_advisory_xact_lock(hashtext('mimamori roles'));
    if not exists (select from pg_roles where rolname = 'mimamori_worker') then
        create role mimamori_worker login;
    end if;
    if not exists (select from pg_roles where rolname = 'mimamori_api') then
        create role mimamori_api login;
    end if;
exception when duplicate_object or unique_violation then
    null;
end $$;

create function current_municipality() returns integer language sql stable parallel safe as
$$ select nullif(current_setting('mimamori.municipality_id', true), '')::integer $$;

grant usage on schema public to mimamori_worker, mimamori_api;
grant select, insert, update, delete on all tables in schema public to mimamori_worker;
revoke update, delete on observation_revision, alert_history from mimamori_worker;
revoke all on app_user, user_session from mimamori_worker;
grant select (user_id, municipality_id, display_name, role, email) on app_user to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker;

-- A worker makes next month's partition without owning the table.
alter function observation_partition(timestamptz) security definer set search_path = public, pg_temp;

do $$
declare
    t text;
begin
    foreach t in array array[
        'map_shape', 'station', 'device', 'datastream', 'attachment', 'field_mapping', 'threshold_set', 'threshold_level',
        'uplink', 'observation_revision', 'ingest_worker', 'rollup_hour', 'rollup_day', 'night_flow',
        'alert', 'alert_history', 'outbox'
    ] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select on %I to mimamori_api', t);
    end loop;
end $$;

grant select on municipality, town_clock to mimamori_api;
-- The feed has numbers and times only; one listener of the API serves every tenant's pages from it. What the API
-- announces itself is its tenant's.
grant select on feed, feed_cursor to mimamori_api;
alter table feed enable row level security;
create policy worker on feed to mimamori_worker using (true) with check (true);
create policy listen on feed for select to mimamori_api using (true);
create policy announce on feed for insert to mimamori_api with check (municipality_id = current_municipality());

-- No security_barrier: it would keep LIMIT from reaching the index, so that the newest value of a series read its whole
-- history; and it guards against predicates of somebody who, with this role, could set the municipality anyway.
create view tenant_observation as
    select o.* from observation o
    join datastream d using (datastream_id)
    where d.municipality_id = current_municipality();
comment on view tenant_observation is 'observations of the current municipality: the only way the API reads them';
grant select on tenant_observation to mimamori_api;

-- What a person may do to an alert through the API.
grant update (acknowledged_at, acknowledged_by, cleared_at, cleared_by) on alert to mimamori_api;
grant insert on alert_history, outbox to mimamori_api;
grant insert on feed to mimamori_api;
grant usage on all sequences in schema public to mimamori_api;

-- Signing in comes before the municipality is known, so accounts and sessions are behind their own policies:
-- the API may look them up, and keep sessions; it can neither make nor change an account.
grant select on app_user to mimamori_api;
grant select, insert, delete, update (expires_at) on user_session to mimamori_api;
