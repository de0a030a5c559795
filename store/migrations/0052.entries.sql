-- People count by day, by hour, for an event, or have only the month's total of earlier years: each entry arrives once.
-- depends: 0045.levels 0046.links 0047.official 0048.jma 0049.forecasts 0050.alerts

alter table manual_entry add column client_key uuid;
comment on column manual_entry.client_key is 'made by the form: the same entry sent again has the same. Null: older, or of a form that was used twice';
create unique index manual_entry_once on manual_entry (municipality_id, client_key) where client_key is not null;

drop function enter_daily_total(integer, date, double precision, integer, timestamptz, text, text);

create function enter_daily_total(
    datastream integer, local_day date, total double precision, person integer, town_time timestamptz, remark text,
    over text default null, seen text default null, sent uuid default null
) returns text language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
-- The one way in which the API writes an observation. `total` null takes the day's entry back. Returns stored,
-- unchanged, corrected, or why nothing has changed: again (this very entry, by its key, has arrived before), meanwhile
-- (`seen` names the value that the person saw, none where there was none, and another one is there now), stands (a
-- confirmed or corrected value is there, and `over` does not name it, as examined_value does). The feed row comes last
-- but for what is to be judged again. What it refuses is a mistake of the program, not of the person: the form has said
-- it in words before.
declare
    series  record;
    ends    timestamptz;
    before  record;
    earlier record;
    held    text;
    outcome text;
begin
    select d.municipality_id, d.range_low, d.range_high, d.max_rate, d.stuck_after, m.timezone into series
    from datastream d join municipality m using (municipality_id)
    where d.datastream_id = datastream and d.municipality_id = current_municipality()
      and d.observed_property = 'passages_day' and d.drill_run is null;
    if not found then
        raise exception 'datastream % is no daily total of this municipality', datastream using errcode = '42501';
    end if;
    perform from app_user u where u.user_id = person and u.municipality_id = series.municipality_id
                              and u.role in ('tourism', 'digital');
    if not found then
        raise exception 'user % may not enter visitor counts here', person using errcode = '42501';
    end if;
    if total < coalesce(series.range_low, 0) or total > series.range_high or total <> floor(total) then
        raise exception 'a daily total of % is outside the range of its series', total using errcode = '22003';
    end if;
    if local_day > (town_time at time zone series.timezone)::date then
        raise exception 'the day % has not begun', local_day using errcode = '22008';
    end if;
    ends := (local_day + 1)::timestamp at time zone series.timezone;
    -- one entry of a day at a time, also where no row stands yet that could be locked
    perform pg_advisory_xact_lock(hashtext('daily total'), hashtext(datastream || ' ' || local_day));
    if sent is not null then
        perform pg_advisory_xact_lock(hashtext('entry'), hashtext(sent::text));
        select m.datastream_id, m.day, m.value into earlier
        from manual_entry m where m.municipality_id = series.municipality_id and m.client_key = sent;
        if found then
            if (earlier.datastream_id, earlier.day) = (datastream, local_day)
               and earlier.value is not distinct from total then
                return 'again';
            end if;
            sent := null;  -- a page that was gone back to, with something else in it: an entry of its own
        end if;
    end if;
    perform observation_hold(array[datastream], array[ends]);
    select o.value, o.quality, o.reason, o.uplink_id into before
    from observation o where o.datastream_id = datastream and o.phenomenon_time = ends;
    if not found then
        if total is null then
            return 'unchanged';
        end if;
        if seen <> 'none' then
            return 'meanwhile';
        end if;
        insert into observation (datastream_id, phenomenon_time, value, quality)
        values (datastream, ends, total, 'manual');
        outcome := 'stored';
    elsif before.value is not distinct from total then
        return 'unchanged';
    elsif seen <> coalesce(before.value::text, 'none') then
        return 'meanwhile';
    else
        held := examined_value(before.value, before.reason);
        if held is not null and held is distinct from over then
            return 'stands';
        end if;
        insert into observation_revision (municipality_id, datastream_id, phenomenon_time, value, quality, reason,
                                          uplink_id, revised_at)
        values (series.municipality_id, datastream, ends, before.value, before.quality, before.reason,
                before.uplink_id, town_time);
        -- What replaces an examined value on purpose is one itself: no file and no device stands above it.
        insert into observation (datastream_id, phenomenon_time, value, quality, reason)
        values (datastream, ends, total, (case when total is null then 'missing' else 'manual' end)::quality,
                case when held is not null then 'corrected' when total is null then 'withdrawn' end)
        on conflict (datastream_id, phenomenon_time) do update set (value, quality, reason, uplink_id)
            = (excluded.value, excluded.quality, excluded.reason, null);
        outcome := 'corrected';
    end if;
    insert into manual_entry (municipality_id, datastream_id, phenomenon_time, day, value, replaced,
                              entered_at, entered_by, note, client_key)
    values (series.municipality_id, datastream, ends, local_day, total, before.value, town_time, person, remark, sent);
    perform feed_append(series.municipality_id, 'observations', array[datastream], array[ends], array[ends], '{}');
    if series.max_rate is not null or series.stuck_after is not null then
        insert into judge_again (municipality_id, datastream_id, first_time, last_time)
        values (series.municipality_id, datastream, ends, ends);
    end if;
    return outcome;
end $$;
revoke execute on function enter_daily_total from public;
grant execute on function enter_daily_total to mimamori_api;

create table part_entry (
    part_entry_id   bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    kind            text not null check (kind in ('hour', 'event')),
    name            text not null check ((name = '') = (kind = 'hour')),
    from_time       timestamptz not null,
    to_time         timestamptz not null check (to_time > from_time),
    value           integer check (value >= 0),
    replaced        integer,
    entered_at      timestamptz not null,
    entered_by      integer not null references app_user,
    note            text not null,
    client_key      uuid
);
comment on table part_entry is 'append-only: 延べ that a person counted in an hour of a day, or at an event, in town time; of one spot, kind, name and stretch the newest holds, value null takes it back. Never added to a day by itself';
comment on column part_entry.replaced is 'the value that stood there before; null where there was none';
comment on column part_entry.client_key is 'made by the form: one for everything that was sent together';
create index part_entry_of on part_entry (station_id, kind, from_time, part_entry_id desc);
create index part_entry_sent on part_entry (municipality_id, client_key) where client_key is not null;

create table month_entry (
    month_entry_id  bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    month           date not null check (extract(day from month) = 1),
    value           integer check (value >= 0),
    replaced        integer,
    source          text not null,
    entered_at      timestamptz not null,
    entered_by      integer not null references app_user
);
comment on table month_entry is 'append-only: totals of past months as the office kept them, a series of its own method (monthly_history) beside the days; of one spot and month the newest holds, value null takes it back';
comment on column month_entry.source is 'how it was counted, in the words of the office; empty: not said';
create index month_entry_of on month_entry (station_id, month, month_entry_id desc);

do $$
declare
    t text;
begin
    foreach t in array array['part_entry', 'month_entry'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I for select to mimamori_worker using (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant usage on all sequences in schema public to mimamori_api;
