-- Old observations: compressed where the server can, forgotten where the town says so, corrected by people. And how far
-- an hour or a day can be trusted.
-- depends: 0011.basemap 0012.backups 0013.intake

-- By measurement (docs/store.md): what is uncompressed stays small; what is compressed is merged, because a chunk costs
-- about 120 kB however little is in it; and 41 days of hourly values, or of any usual step below, are a little less than
-- a whole number of batches of 1000 rows, which merging does not fill up. Chunks that are there keep their length.
do $$
begin
    if exists (select from pg_extension where extname = 'timescaledb') then
        perform set_chunk_time_interval('observation', interval '41 days');
    end if;
end $$;

create function observation_hold(datastreams integer[], times timestamptz[]) returns void language plpgsql as $$
-- Locks the rows of these keys, those that there are, until the transaction ends. TimescaleDB locks no row of a
-- compressed batch, so the batch is taken apart first; the limit for that is lifted, as the keys are one.
begin
    perform set_config(name, '0', true) from pg_settings
    where name = 'timescaledb.max_tuples_decompressed_per_dml_transaction';
    -- A row in conflict is locked also where the condition then leaves it alone.
    insert into observation as o (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
    select o.datastream_id, o.phenomenon_time, o.value, o.quality, o.reason, o.uplink_id
    from unnest(datastreams, times) as asked (datastream_id, phenomenon_time)
    join observation o using (datastream_id, phenomenon_time)
    order by 1, 2
    on conflict (datastream_id, phenomenon_time) do update set value = excluded.value where false;
end $$;

create function observation_compress(ended_before timestamptz) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
-- Compresses the oldest chunk that ended by then and is not, or no longer wholly, compressed; its name, or null where
-- there is none, on plain PostgreSQL, and without the Timescale License, which compression asks for.
declare
    part text;
begin
    if coalesce(current_setting('timescaledb.license', true), '') <> 'timescale' then
        return null;
    end if;
    if not (select h.compression_enabled from timescaledb_information.hypertables h
            where h.hypertable_schema = 'public' and h.hypertable_name = 'observation') then
        alter table observation set (timescaledb.compress, timescaledb.compress_segmentby = 'datastream_id',
                                     timescaledb.compress_orderby = 'phenomenon_time',
                                     timescaledb.compress_chunk_time_interval = '820 days');
    end if;
    select format('%I.%I', c.chunk_schema, c.chunk_name) into part
    from timescaledb_information.chunks c
    where c.hypertable_schema = 'public' and c.hypertable_name = 'observation' and c.range_end <= ended_before
      -- 8: rows were written into it since
      and (not c.is_compressed
           or _timescaledb_functions.chunk_status(format('%I.%I', c.chunk_schema, c.chunk_name)::regclass) & 8 <> 0)
    order by c.range_start limit 1;
    if part is not null then
        perform compress_chunk(part::regclass);
    end if;
    return part;
end $$;
revoke execute on function observation_compress from public;
grant execute on function observation_compress to mimamori_worker;
-- What can be done is made ready here, so that no process has to later.
do $$ begin perform observation_compress('-infinity'); end $$;  -- a select would print its answer

-- Raw values that were taken out because they are older than the town keeps them.
create table observation_kept (
    datastream_id   integer primary key references datastream,
    municipality_id integer not null references municipality,
    kept_from       timestamptz not null
);
comment on table observation_kept is 'raw is kept from this local midnight on, all of it where there is no row: hours, days and nights before it stay as they were worked out, for nobody can work them out again';

create function observation_drop_empty(ended_before timestamptz) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
-- Drops the partitions or chunks that ended by then and hold nothing; how many.
declare
    part  record;
    held  boolean;
    n     integer := 0;
begin
    for part in
        select format('%I.%I', n.nspname, c.relname)::regclass as name,
               (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') at time zone 'UTC' as ends
        from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
        where i.inhparent = 'observation'::regclass and c.relname ~ '^observation_[0-9]{6}$'
          and to_regclass('observation_default') is not null
    loop
        execute format('select exists (select from %s)', part.name) into held;
        if part.ends <= ended_before and not held then
            execute format('drop table %s', part.name);
            n := n + 1;
        end if;
    end loop;
    if to_regclass('observation_default') is null then
        for part in
            select c.range_start, c.range_end from timescaledb_information.chunks c
            where c.hypertable_schema = 'public' and c.hypertable_name = 'observation' and c.range_end <= ended_before
        loop
            if not exists (select from observation o
                           where o.phenomenon_time >= part.range_start and o.phenomenon_time < part.range_end) then
                perform drop_chunks('observation', older_than => part.range_end, newer_than => part.range_start);
                n := n + 1;
            end if;
        end loop;
    end if;
    return n;
end $$;
revoke execute on function observation_drop_empty from public;
grant execute on function observation_drop_empty to mimamori_worker;

-- FEWS: how far a bucket can be trusted follows from how much of it is missing.
alter table rollup_hour add column reliability text not null generated always as (case
    when (expected - n) * 100 < 15 * expected then 'reliable'
    when (expected - n) * 100 < 40 * expected then 'doubtful' else 'missing' end) stored;
alter table rollup_day add column reliability text not null generated always as (case
    when (expected - n) * 100 < 15 * expected then 'reliable'
    when (expected - n) * 100 < 40 * expected then 'doubtful' else 'missing' end) stored;
comment on column rollup_hour.reliability is 'less than 15 % of the expected observations missing: reliable; less than 40 %: doubtful; else missing. A bucket that still runs is judged as if it were over';
comment on column rollup_day.reliability is 'as in rollup_hour';

-- What people put right in stored values: who, why, and how far it has come.
create table correction (
    correction_id   bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    digest          bytea not null,
    again           integer not null default 0,
    operation       text not null check (operation in ('shift', 'scale', 'missing', 'confirm', 'replace')),
    amount          double precision,
    source          text,
    datastream_ids  integer[] not null,
    from_time       timestamptz not null,
    to_time         timestamptz not null,
    reason          text not null check (reason <> ''),
    user_id         integer not null references app_user,
    stated_at       timestamptz not null,
    done_datastream integer not null default 0,
    done_time       timestamptz,
    stored          bigint not null default 0,
    revised         bigint not null default 0,
    unchanged       bigint not null default 0,
    finished        boolean not null default false,
    unique (municipality_id, digest, again),
    check ((amount is not null) = (operation in ('shift', 'scale'))),
    check ((source is not null) = (operation = 'replace')),
    check (from_time <= to_time)
);
comment on table correction is 'one a mimamori correct, append-only but for its progress; the values before it are in observation_revision with revised_at = stated_at';
comment on column correction.digest is 'of all that was asked: the same asked again goes on where it ended, and does nothing where it was finished';
comment on column correction.again is 'counts on where a finished one was asked for once more on purpose';
comment on column correction.done_time is 'every value up to (done_datastream, done_time) is done';

do $$
declare
    t text;
begin
    foreach t in array array['observation_kept', 'correction'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I for select to mimamori_api
                        using (municipality_id = current_municipality())', t);
        execute format('grant select, insert, update on %I to mimamori_worker', t);
        execute format('grant select on %I to mimamori_api', t);
    end loop;
end $$;
revoke update on correction from mimamori_worker;
grant update (done_datastream, done_time, stored, revised, unchanged, finished) on correction to mimamori_worker;
grant usage on all sequences in schema public to mimamori_worker;
-- Who corrects is named by the login.
grant select (login) on app_user to mimamori_worker;
