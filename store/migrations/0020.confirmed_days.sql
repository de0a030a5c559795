-- A daily total that a person has confirmed or corrected is not overwritten in passing.
-- depends: 0018.old_observations 0019.latest

drop function enter_daily_total(integer, date, double precision, integer, timestamptz, text);

create function enter_daily_total(
    datastream integer, local_day date, total double precision, person integer, town_time timestamptz, remark text,
    over text default null
) returns text language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
-- The one way in which the API writes an observation. `total` null takes the day's entry back. Returns stored,
-- unchanged, corrected, or stands: a confirmed or corrected value is there, and `over` does not name it, as
-- examined_value does; then nothing has changed. The feed row comes last but for what is to be judged again. What it
-- refuses is a mistake of the program, not of the person: the form has said it in words before.
declare
    series  record;
    ends    timestamptz;
    before  record;
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
    perform observation_hold(array[datastream], array[ends]);
    select o.value, o.quality, o.reason, o.uplink_id into before
    from observation o where o.datastream_id = datastream and o.phenomenon_time = ends;
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
                              entered_at, entered_by, note)
    values (series.municipality_id, datastream, ends, local_day, total, before.value, town_time, person, remark);
    perform feed_append(series.municipality_id, 'observations', array[datastream], array[ends], array[ends], '{}');
    if series.max_rate is not null or series.stuck_after is not null then
        insert into judge_again (municipality_id, datastream_id, first_time, last_time)
        values (series.municipality_id, datastream, ends, ends);
    end if;
    return outcome;
end $$;

create function examined_value(value double precision, reason text) returns text language sql immutable as $$
-- Names a value that a person has confirmed or corrected, so that whoever replaces it can say which they have seen;
-- null where it is none.
    select case when reason in ('confirmed', 'corrected') then concat_ws(' ', reason, value) end;
$$;

revoke execute on function enter_daily_total from public;
grant execute on function enter_daily_total to mimamori_api;
