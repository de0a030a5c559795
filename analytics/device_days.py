"""`device_day`: how much each device sent on a day (UTC) that is over, and how far its clock was off.

Worked out of the stored messages once the day is a few hours over, one day a step and the newest first, so that a new
installation or an outage is made up for without holding anybody up. Nothing of it is on the way of a message.

The clock: the time of the newest value in a message minus when the network heard it (else when it was received). Some
delay is always in it, and it is smallest where that difference is largest; so the largest of the day is the clock's. A
device without a clock has its values at just that time: the difference is 0 in every message, and there is none.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from store import Connection

# Late messages come within hours; what comes later changes little here.
SETTLED = timedelta(hours=3)
DAYS_BACK = 35
KEPT = timedelta(days=400)  # of the daily figures, radio and batteries included


def next_day(conn: Connection, now: datetime) -> bool:
    """Works out one day that is over, if there is one; whether there may be more. The caller commits."""
    today = (now - SETTLED).astimezone(UTC).date()
    row = conn.execute(
        """
        select m.municipality_id, d.day::date
        from municipality m
        cross join generate_series(%(first)s::date, %(last)s::date, interval '1 day') as d (day)
        where not exists (select from device_day k where k.municipality_id = m.municipality_id and k.day = d.day::date)
          and exists (select from uplink u where u.municipality_id = m.municipality_id
                      and u.received_time >= d.day at time zone 'UTC'
                      and u.received_time < (d.day + interval '1 day') at time zone 'UTC'
                      and u.outcome = 'accepted' and u.device_id is not null)
        order by d.day desc limit 1
        """,
        {"first": today - timedelta(days=DAYS_BACK), "last": today - timedelta(days=1)},
    ).fetchone()
    if row is None:
        return False
    work_out(conn, row[0], row[1])
    return True


def work_out(conn: Connection, municipality_id: int, day: date) -> None:
    """Works out one day of a municipality anew."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    values = {"town": municipality_id, "day": day, "start": start, "end": start + timedelta(days=1)}
    conn.execute("delete from device_day where municipality_id = %(town)s and day = %(day)s", values)
    conn.execute(
        """
        with said as materialized (
            select uplink_id, device_id, payload_hash, repeats, coalesce(network_time, received_time) as sent
            from uplink
            where municipality_id = %(town)s and received_time >= %(start)s and received_time < %(end)s
              and outcome = 'accepted' and device_id is not null
        ), newest as (
            select o.uplink_id, max(o.phenomenon_time) as time
            from (
                select distinct f.datastream_id from field_mapping f join attachment a using (attachment_id)
                where a.device_id in (select device_id from said)
            ) d
            cross join lateral (
                select uplink_id, phenomenon_time from observation
                where datastream_id = d.datastream_id and uplink_id is not null and reason is distinct from 'clock'
                  and phenomenon_time >= %(start)s - interval '2 hours'
                  and phenomenon_time < %(end)s + interval '2 hours'
            ) o
            group by o.uplink_id
        ), apart as (
            select s.device_id, extract(epoch from n.time - s.sent) as seconds
            from said s join newest n using (uplink_id)
        )
        insert into device_day (device_id, day, municipality_id, messages, repeats, payloads, clock_offset)
        select s.device_id, %(day)s, %(town)s, count(*), sum(s.repeats), count(distinct s.payload_hash),
               (select case when bool_or(a.seconds <> 0) then max(a.seconds) end
                from apart a where a.device_id = s.device_id)
        from said s group by s.device_id order by s.device_id
        """,
        values,
    )


def forget(conn: Connection, now: datetime) -> None:
    """Lets go of daily figures that no trend looks at any more."""
    oldest = (now - KEPT).date()
    conn.execute("delete from device_day where day < %s", (oldest,))
    conn.execute("delete from radio_day where day < %s", (oldest,))
    conn.execute("delete from battery_day where day < %s", (oldest,))
