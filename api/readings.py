"""The queries that the JSON API and the live stream share: latest observations and the state of alerts.

Every function runs in a transaction of one municipality (`api.database`) and sees its rows only. Series of
drills are left out, and those of trials but where the name says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.rows import dict_row

from store.connection import Connection

_LATEST = """
    select d.datastream_id, s.code as station, d.observed_property, d.unit, d.statistic, d.step,
           l.phenomenon_time, l.value, l.quality::text as quality, l.reason
    from datastream d join station s using (station_id) left join datastream_latest l using (datastream_id)
    where d.drill_run is null and (%(ids)s::integer[] is null or d.datastream_id = any(%(ids)s))
    order by s.code, d.observed_property
"""


# What came of trials: of those that last at a moment, or of these series.
_TRIALS = """
    select d.datastream_id, s.code as station, d.observed_property, d.unit, d.statistic, d.step,
           l.phenomenon_time, l.value, l.quality::text as quality, l.reason
    from station_trial t
    join datastream d on d.station_id = t.station_id and d.drill_run = 'trial:' || t.trial_id::text
    join station s on s.station_id = d.station_id left join datastream_latest l using (datastream_id)
    where d.datastream_id = any(%(ids)s)
       or %(ids)s::integer[] is null and t.starts_at <= %(now)s
          and coalesce(least(t.ends_at, t.ended_at), 'infinity') > %(now)s
    order by s.code, d.observed_property
"""


class Latest(NamedTuple):
    """A datastream and its newest observation; the last four are None where there is none yet."""

    datastream_id: int
    station: str
    observed_property: str
    unit: str
    statistic: str
    step: timedelta
    phenomenon_time: datetime | None
    value: float | None
    quality: str | None
    reason: str | None

    @property
    def datastream(self) -> str:
        """The name of a datastream outside: it stays when devices and database ids change."""
        return f"{self.station}/{self.observed_property}"


def latest_of(conn: Connection, datastream_ids: Sequence[int] | None = None) -> list[Latest]:
    """The newest observation of each of these datastreams (None: of all), by station and property.

    One row a datastream (`store.latest`): no history is looked at, whatever its length.
    """
    ids = None if datastream_ids is None else list(datastream_ids)
    return [Latest(*row) for row in conn.execute(_LATEST, {"ids": ids}).fetchall()]


def latest_in_trial(
    conn: Connection, *, now: datetime | None = None, datastream_ids: Sequence[int] | None = None
) -> list[Latest]:
    """The same of trials (`store.trials`): of those that last at `now`, or of these of their series. Never real, and to
    be marked wherever it goes.
    """
    ids = None if datastream_ids is None else list(datastream_ids)
    return [Latest(*row) for row in conn.execute(_TRIALS, {"ids": ids, "now": now}).fetchall()]


def changed_alerts(conn: Connection, alert_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The present state of these alerts, as the stream tells it."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select a.alert_id, s.code as station, s.kind, a.rule, a.mode, a.level,
                   case when exists (select from alert_retraction r where r.alert_id = a.alert_id) then 'retracted'
                        when a.cleared_at is not null then 'cleared'
                        when a.acknowledged_at is not null then 'acknowledged' else 'raised' end as state
            from alert a left join station s using (station_id)
            where a.alert_id = any(%s) order by a.alert_id
            """,
            (list(alert_ids),),
        ).fetchall()
