-- The staff of a spot enter its days by a link of its own: no account, no other spot, an end, and who made it.
-- depends: 0058.expected_events

create table count_link (
    count_link_id   integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    station_id      integer not null references station,
    name            text not null check (name <> ''),
    token_hash      bytea not null unique check (octet_length(token_hash) = 32),
    made_at         timestamptz not null,
    made_by         integer not null references app_user,
    expires_at      timestamptz not null check (expires_at > made_at),
    revoked_at      timestamptz,
    revoked_by      integer references app_user,
    used_at         timestamptz,
    check ((revoked_at is null) = (revoked_by is null))
);
comment on table count_link is 'by which the staff of a spot enter its daily totals without an account. Only the SHA-256 of its token is kept; all times are real time';
comment on column count_link.name is 'who has it, in the words of the office: it stands in the history of a day';
comment on column count_link.used_at is 'when something last came by it';
create index count_link_of on count_link (municipality_id, station_id);

alter table count_link enable row level security;
create policy worker on count_link to mimamori_worker using (true) with check (true);
create policy tenant on count_link to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select, insert on count_link to mimamori_api;
grant update (revoked_at, revoked_by, used_at) on count_link to mimamori_api;
grant select on count_link to mimamori_worker;
grant usage on all sequences in schema public to mimamori_api;

-- Who follows a link has no session, and so no municipality: this tells whose it is, and nothing else.
create function municipality_of_count_link(token_hash bytea) returns integer
    language sql stable security definer set search_path = public, pg_temp as
$$ select l.municipality_id from count_link l where l.token_hash = $1 $$;
revoke all on function municipality_of_count_link(bytea) from public;
grant execute on function municipality_of_count_link(bytea) to mimamori_api;

alter table manual_entry alter column entered_by drop not null;
alter table manual_entry add column count_link_id integer references count_link;
alter table manual_entry add constraint manual_entry_by check (num_nonnulls(entered_by, count_link_id) = 1);
comment on column manual_entry.count_link_id is 'by whose link it came; null: entered_by has an account';
create index manual_entry_by_link on manual_entry (count_link_id, manual_entry_id) where count_link_id is not null;

drop function enter_daily_total(integer, date, double precision, integer, timestamptz, text, text, text, uuid);

create function enter_daily_total(
    datastream integer, local_day date, total double precision, person integer, town_time timestamptz, remark text,
    over text default null, seen text default null, sent uuid default null, link integer default null
) returns text language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
-- The one way in which the API writes an observation, for a `person` of the office or by the `link` of a spot, which
-- takes nothing back and replaces no examined value. `total` null takes the day's entry back. Returns stored,
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
    select d.municipality_id, d.station_id, d.range_low, d.range_high, d.max_rate, d.stuck_after, m.timezone into series
    from datastream d join municipality m using (municipality_id)
    where d.datastream_id = datastream and d.municipality_id = current_municipality()
      and d.observed_property = 'passages_day' and d.drill_run is null;
    if not found then
        raise exception 'datastream % is no daily total of this municipality', datastream using errcode = '42501';
    end if;
    if link is null then
        perform from app_user u where u.user_id = person and u.municipality_id = series.municipality_id
                                  and u.role in ('tourism', 'digital');
        if not found then
            raise exception 'user % may not enter visitor counts here', person using errcode = '42501';
        end if;
    else
        perform from count_link l where l.count_link_id = link and l.municipality_id = series.municipality_id
                                    and l.station_id = series.station_id and l.revoked_at is null
                                    and l.expires_at > now();
        if not found or person is not null or total is null or over is not null then
            raise exception 'link % may not do this', link using errcode = '42501';
        end if;
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
                              entered_at, entered_by, count_link_id, note, client_key)
    values (series.municipality_id, datastream, ends, local_day, total, before.value, town_time, person, link, remark,
            sent);
    perform feed_append(series.municipality_id, 'observations', array[datastream], array[ends], array[ends], '{}');
    if series.max_rate is not null or series.stuck_after is not null then
        insert into judge_again (municipality_id, datastream_id, first_time, last_time)
        values (series.municipality_id, datastream, ends, ends);
    end if;
    return outcome;
end $$;
revoke execute on function enter_daily_total from public;
grant execute on function enter_daily_total to mimamori_api;
