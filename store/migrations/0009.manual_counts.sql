-- Daily totals that a person enters: who, when, and what stood there before.
-- depends: 0005.findings

create table manual_entry (
    manual_entry_id bigint generated always as identity primary key,
    municipality_id integer not null references municipality,
    datastream_id   integer not null references datastream,
    phenomenon_time timestamptz not null,
    day             date not null,
    value           double precision check (value >= 0),
    replaced        double precision,
    entered_at      timestamptz not null,
    entered_by      integer not null references app_user,
    note            text
);
comment on table manual_entry is 'append-only: every entry, correction and withdrawal (value null), in town time; what holds now is in observation';
comment on column manual_entry.day is 'the local day; phenomenon_time is its end';
comment on column manual_entry.replaced is 'the value that stood there before; null where there was none';
create index manual_entry_of on manual_entry (datastream_id, day, manual_entry_id);

alter table manual_entry enable row level security;
create policy worker on manual_entry for select to mimamori_worker using (true);
create policy tenant on manual_entry for select to mimamori_api using (municipality_id = current_municipality());
grant select on manual_entry to mimamori_worker, mimamori_api;

create function enter_daily_total(
    datastream integer, local_day date, total double precision, person integer, town_time timestamptz, remark text
) returns text language plpgsql security definer set search_path = public, pg_temp as $$
-- The one way in which the API writes an observation. `total` null takes the day's entry back. Returns stored,
-- unchanged or corrected; the feed row is its last statement. What it refuses is a mistake of the program, not of the
-- person: the form has said it in words before.
declare
    series  record;
    ends    timestamptz;
    before  record;
    outcome text;
begin
    select d.municipality_id, d.range_low, d.range_high, m.timezone into series
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
    select o.value, o.quality, o.reason, o.uplink_id into before
    from observation o where o.datastream_id = datastream and o.phenomenon_time = ends for update;
    if not found then
        if total is null then
            return 'unchanged';
        end if;
        insert into observation (datastream_id, phenomenon_time, value, quality)
        values (datastream, ends, total, 'manual');
        outcome := 'stored';
    elsif before.value is not distinct from total then
        return 'unchanged';
    else
        insert into observation_revision (municipality_id, datastream_id, phenomenon_time, value, quality, reason,
                                          uplink_id, revised_at)
        values (series.municipality_id, datastream, ends, before.value, before.quality, before.reason,
                before.uplink_id, town_time);
        update observation o
        set value = total, uplink_id = null,
            quality = (case when total is null then 'missing' else 'manual' end)::quality,
            reason = case when total is null then 'withdrawn' end
        where o.datastream_id = datastream and o.phenomenon_time = ends;
        outcome := 'corrected';
    end if;
    insert into manual_entry (municipality_id, datastream_id, phenomenon_time, day, value, replaced,
                              entered_at, entered_by, note)
    values (series.municipality_id, datastream, ends, local_day, total, before.value, town_time, person, remark);
    perform feed_append(series.municipality_id, 'observations', array[datastream], array[ends], array[ends], '{}');
    return outcome;
end $$;

revoke execute on function enter_daily_total from public;
grant execute on function enter_daily_total to mimamori_api;
