"""The queries that the JSON API and the live stream share: latest observations and the state of alerts.

Every function runs in a transaction of one municipality (`api.database`) and sees its rows only. Series of
drills are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row, dict_row

from store.connection import Connection

LATEST = """
    select d.datastream_id, s.code as station, d.observed_property, d.unit, d.statistic, d.step,
           o.phenomenon_time, o.value, o.quality::text as quality, o.reason
    from datastream d join station s using (station_id)
    left join lateral (
        select phenomenon_time, value, quality, reason from tenant_observation
        where datastream_id = d.datastream_id order by phenomenon_time desc limit 1
    ) o on true
    where d.drill_run is null and (%(ids)s::integer[] is null or d.datastream_id = any(%(ids)s))
    order by s.code, d.observed_property
"""


@dataclass(frozen=True, slots=True)
class Latest:
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

    One index descent a datastream, whatever the length of its history.
    """
    with conn.cursor(row_factory=class_row(Latest)) as cursor:
        return cursor.execute(LATEST, {"ids": list(datastream_ids) if datastream_ids is not None else None}).fetchall()


def changed_alerts(conn: Connection, alert_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The present state of these alerts, as the stream tells it."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select a.alert_id, s.code as station, s.kind, a.rule, a.mode, a.level,
                   case when a.cleared_at is not null then 'cleared'
                        when a.acknowledged_at is not null then 'acknowledged' else 'raised' end as state
            from alert a join station s using (station_id)
            where a.alert_id = any(%s) order by a.alert_id
            """,
            (list(alert_ids),),
        ).fetchall()
