"""A town of so many river gauges in a few statements: what the bench and the tests of ten thousand stations stand on.

    many_gauges(conn, municipality_id, 10_000, until)     stations, devices, series, reference levels, a rule each
    measured(conn, municipality_id, start, until)         what they said from then until then, silently into the past
    say(conn, municipality_id, at, restless=...)          a batch: one more observation of each, and the feed rows of it

What a gauge says is a function of (gauge, time), so the same numbers make the same town. Its level lies below its
lowest reference level; one in `restless` is above the second one in a batch that says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.rules.condition import Body, Change, Compare, Condition, Every, Number, Reading, Series, encoded
from store import Connection, latest
from store.arrays import array
from store.feed import append_observations

STEP = timedelta(minutes=10)
LEVEL = Series("water_level")
_A_BATCH = 500  # observations: what ingest commits at once


def many_gauges(conn: Connection, municipality_id: int, count: int, until: datetime) -> None:
    """So many gauges, each with a device that was heard, two reference levels and a rule of the staff."""
    asked = {"town": municipality_id, "count": count, "since": until - timedelta(days=400), "until": until}
    conn.execute(
        """
        with placed as (
            insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
            select %(town)s, 'gauge-' || n, 'river_gauge', '水位計' || n, 'Gauge ' || n,
                   32.0 + n %% 100 / 1e3, 135.0 + n / 100 / 1e3
            from generate_series(1, %(count)s) n returning station_id, code
        ), series as (
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step,
                                    range_low, range_high)
            select %(town)s, station_id, 'water_level', 'm', 'instant', interval '10 minutes', -0.5, 8.0
            from placed order by station_id returning datastream_id, station_id
        ), devices as (
            insert into device (municipality_id, key, model, silence_after)
            select %(town)s, code, 'mimamori_values', interval '40 minutes' from placed order by station_id
            returning device_id, key
        ), mounted as (
            insert into attachment (municipality_id, device_id, station_id, attached_from)
            select %(town)s, device_id, station_id, %(since)s from devices join placed on code = key
            returning attachment_id, station_id
        ), fed as (
            insert into field_mapping (attachment_id, municipality_id, field, datastream_id, scale, value_offset)
            select attachment_id, %(town)s, 'water_level', datastream_id, 1, 0
            from mounted join series using (station_id)
        ), dated as (
            insert into threshold_set (municipality_id, station_id, valid_from, reason, clear_margin, hold)
            select %(town)s, station_id, %(since)s, 'bench', 0.1, interval '30 minutes' from placed order by station_id
            returning threshold_set_id
        ), levels as (
            insert into threshold_level (threshold_set_id, municipality_id, level, name, name_en, value)
            select threshold_set_id, %(town)s, level, '水位' || level, 'level ' || level, 1.5 + 0.5 * level
            from dated cross join unnest(array[2, 4]) level
        )
        insert into uplink (municipality_id, device_id, device_key, session, counter, payload_hash, network, topic, raw,
                            network_time, received_time, outcome)
        select %(town)s, device_id, key, 'bench', n, sha256((key || n)::bytea), 'bench', 'bench', '{}',
               %(until)s - n * interval '10 minutes', %(until)s - n * interval '10 minutes', 'accepted'
        from devices cross join generate_series(0, 12) n
        """,
        asked,
    )
    stations = conn.execute(
        "select station_id from station where municipality_id = %s and code like 'gauge-%%' order by station_id",
        (municipality_id,),
    ).fetchall()
    conn.execute(
        """
        with said as (
            select * from unnest(%(stations)s::integer[], %(bodies)s::text[]) as said (station_id, body)
        ), made as (
            insert into alert_rule (municipality_id, station_id, made_at)
            select %(town)s, station_id, %(since)s from said returning alert_rule_id, station_id
        )
        insert into alert_rule_version
            (municipality_id, alert_rule_id, valid_from, name, severity, active, body, reason, made_at)
        select %(town)s, alert_rule_id, %(since)s, 'bench', 2, true, body::jsonb, 'bench', %(since)s
        from made join said using (station_id)
        """,
        {
            **asked,
            "stations": array(row[0] for row in stations),
            "bodies": array(encoded(rule(n, count)) for n in range(len(stations))),
        },
    )


def measured(
    conn: Connection, municipality_id: int, start: datetime, until: datetime, *, gauges: int | None = None
) -> None:
    """What the gauges said in [start, until), or the first so many, as if it had been judged long ago."""
    conn.execute(
        """
        select observation_partition(month)
        from generate_series(date_trunc('month', %s::timestamptz, 'UTC'), %s, '1 month') month
        """,
        (start, until),
    )
    conn.execute(
        """
        insert into observation (datastream_id, phenomenon_time, value, quality)
        select datastream_id, t, 1.5 + 0.2 * sin(datastream_id + extract(epoch from t) / 8e4), 'good'
        from generate_series(%(start)s, %(until)s - interval '1 second', %(step)s) t
        cross join (
            select datastream_id from datastream where municipality_id = %(town)s and observed_property = 'water_level'
            order by datastream_id limit %(gauges)s
        ) d
        on conflict do nothing
        """,
        {"town": municipality_id, "start": start, "until": until, "step": STEP, "gauges": gauges},
    )
    latest.recompute(conn)
    conn.execute(
        """
        insert into alert_judged (datastream_id, municipality_id, rule, judged_to)
        select datastream_id, municipality_id, 'level', phenomenon_time from datastream_latest
        where municipality_id = %s
        on conflict (datastream_id, rule) do update set judged_to = excluded.judged_to
        """,
        (municipality_id,),
    )


def say(conn: Connection, municipality_id: int, at: datetime, *, restless: int = 0) -> int:
    """One observation of every gauge at that time, committed as ingest commits them; how many. One gauge in `restless`
    is above its second level; 0: none is.
    """
    said = conn.execute(
        """
        insert into observation (datastream_id, phenomenon_time, value, quality)
        select datastream_id, %(at)s, 1.5 + 0.2 * sin(datastream_id + extract(epoch from %(at)s::timestamptz) / 8e4)
               + case when %(restless)s > 0 and datastream_id %% greatest(%(restless)s, 1) = 0 then 2.3 else 0 end,
               'good'
        from datastream where municipality_id = %(town)s and observed_property = 'water_level' order by datastream_id
        returning datastream_id
        """,
        {"town": municipality_id, "at": at, "restless": restless},
    ).fetchall()
    latest.recompute(conn, [row[0] for row in said])
    for start in range(0, len(said), _A_BATCH):
        append_observations(conn, municipality_id, [(row[0], at) for row in said[start : start + _A_BATCH]])
    conn.commit()
    return len(said)


def rule(n: int, count: int) -> Body:
    """The rule of one gauge of so many: level, rise, or both together for ten minutes, each with figures of its own."""
    level = Compare(Reading(LEVEL), "above", Number(round(2.5 + n / count, 4)), margin=0.1)
    rise = Compare(Change(LEVEL, (600, 1800, 3600)[n % 3]), "above", Number(round(0.5 + n / count, 4)))
    shapes: tuple[Condition, ...] = (level, rise, Every((level, rise)))
    return Body(shapes[n % 3], hold=1800, lasting=600 if n % 2 else 0)
