"""What the rules look at, read from the store: rules, series, open alerts (devices: `alerts.heard`). SQL, nothing else.

Works for the worker and, within one municipality, for the API's role, except where a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from alerts.rules.finding import Found
from alerts.rules.level import LevelRule, Observed, Stand
from devices.model import Quality, ThresholdLevel
from store import Connection
from store.arrays import transposed
from store.feed import Touched


@dataclass(frozen=True, slots=True)
class Place:
    """A station in words, for a notification."""

    municipality_id: int
    municipality: str
    timezone: str
    station_id: int
    kind: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class LevelStream:
    """A datastream that the level rule judges; `mode` as `mode_of` says. An observation that is older
    than `tell_within` when it is judged is told to nobody.
    """

    datastream_id: int
    place: Place
    mode: str
    tell_within: timedelta


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The open alert of one cause. `finding_id` None where it came from no finding. `told_level`: the level after the
    last step that anybody was told of; None where nobody was. `confirmed`: as in `alerts.rules.level.Stand`.
    `withheld`: why nobody is written to of what it has come to, since `withheld_at`; None where nothing waits.
    """

    alert_id: int
    level: int | None
    phenomenon_time: datetime
    acknowledged: bool
    finding_id: int | None
    told_level: int | None = None
    confirmed: int | None = None
    withheld: str | None = None
    withheld_at: datetime | None = None

    @property
    def stand(self) -> Stand | None:
        return None if self.level is None else Stand(self.level, self.confirmed)


@dataclass(frozen=True, slots=True)
class PlacedFinding:
    """A finding with where it is and the series and unit of its values; the `event` that it is about, and the group
    that is told of it, where it names them; its `detail` as analytics left it.
    """

    found: Found
    place: Place
    datastream_id: int
    unit: str
    event: str | None
    group_id: int | None
    detail: Mapping[str, Any]


def mode_of(run: str | None) -> str:
    """The mode of what is judged of a series, by the drill or the trial that it belongs to (`datastream.drill_run`).

    >>> mode_of(None), mode_of("drill:3"), mode_of("trial:12")
    ('actual', 'exercise', 'test')
    """
    if run is None:
        return "actual"
    return "test" if run.startswith("trial:") else "exercise"


def level_streams(conn: Connection, datastream_ids: Sequence[int]) -> list[LevelStream]:
    """Those of the datastreams that are water levels of a station with reference levels, by id."""
    return [
        LevelStream(row[0], Place(*row[3:]), mode_of(row[1]), row[2])
        for row in conn.execute(
            """
            select d.datastream_id, d.drill_run, s.tell_within,
                   m.municipality_id, m.name, m.timezone, s.station_id, s.kind, s.name, s.name_en
            from datastream d join station s using (station_id)
            join municipality m on m.municipality_id = s.municipality_id
            where d.datastream_id = any(%s) and d.observed_property = 'water_level'
              and exists (select from threshold_set t where t.station_id = d.station_id)
            order by d.datastream_id
            """,
            (list(datastream_ids),),
        )
    ]


def level_rules(conn: Connection, station_ids: Iterable[int]) -> dict[int, tuple[LevelRule, ...]]:
    """station_id -> its threshold sets by `valid_from`; of one date the one that corrects the others comes last."""
    rows = conn.execute(
        """
        select t.station_id, t.threshold_set_id, t.valid_from, t.clear_margin, t.hold,
               (select s.source from threshold_source s where s.threshold_set_id = t.threshold_set_id
                order by s.threshold_source_id desc limit 1),
               l.level, l.name, l.name_en, l.value
        from threshold_set t left join threshold_level l using (threshold_set_id)
        where t.station_id = any(%s) order by t.station_id, t.valid_from, t.threshold_set_id, l.level
        """,
        (sorted(set(station_ids)),),
    ).fetchall()
    rules: dict[int, tuple[LevelRule, ...]] = {}
    for (station_id, set_id, valid_from, margin, hold, source), levels in groupby(rows, key=lambda row: row[:6]):
        named = tuple(ThresholdLevel(*row[6:]) for row in levels if row[6] is not None)
        rule = LevelRule(f"threshold_set:{set_id}", valid_from, named, margin, hold, source)
        rules[station_id] = (*rules.get(station_id, ()), rule)
    return rules


def unjudged(conn: Connection, datastream_ids: Sequence[int], limit: int) -> dict[int, list[Observed]]:
    """Per datastream its first `limit` usable observations newer than the newest judged one; for the worker.

    Bad and missing ones do not count as judged: when a bad reading is corrected, the correction is judged.
    """
    return _by_stream(
        conn.execute(
            """
            select d.datastream_id, o.*
            from datastream d
            left join alert_judged j on j.datastream_id = d.datastream_id and j.rule = 'level'
            cross join lateral (
                select phenomenon_time, value, quality::text, reason from observation
                where datastream_id = d.datastream_id
                  and phenomenon_time > coalesce(j.judged_to, '-infinity') and quality not in ('bad', 'missing')
                order by phenomenon_time limit %s
            ) o
            where d.datastream_id = any(%s) order by 1, 2
            """,
            (limit, list(datastream_ids)),
        )
    )


def judged_already(conn: Connection, touched: Sequence[Touched]) -> dict[int, list[Observed]]:
    """Per datastream those of the touched observations that are not newer than the newest one judged, but newer than a
    week before it; for the worker. A turn's own new ones are not judged yet.
    """
    return _by_stream(
        conn.execute(
            """
            select distinct asked.datastream_id, o.*
            from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) as asked (datastream_id, since, until)
            join alert_judged j on j.datastream_id = asked.datastream_id and j.rule = 'level'
            cross join lateral (
                select phenomenon_time, value, quality::text, reason from observation
                where datastream_id = asked.datastream_id and phenomenon_time >= asked.since
                  and phenomenon_time <= asked.until and phenomenon_time < j.judged_to
                  and phenomenon_time > j.judged_to - interval '7 days' and quality not in ('bad', 'missing')
                offset 0 -- series by series, from the index: else all that was ever observed may be joined
            ) o
            where asked.since < j.judged_to order by 1, 2
            """,
            transposed([(each.datastream_id, each.start, each.end) for each in touched], 3),
        )
    )


def window_before(
    conn: Connection, datastream_ids: Sequence[int], times: Sequence[datetime], spans: Sequence[timedelta]
) -> dict[int, list[Observed]]:
    """Per datastream the usable observations of the last `span` before its time, and the one before; for the worker."""
    return _by_stream(
        conn.execute(
            """
            select asked.datastream_id, o.*
            from unnest(%s::integer[], %s::timestamptz[], %s::interval[]) as asked (datastream_id, before, span)
            cross join lateral (
                (select phenomenon_time, value, quality::text, reason from observation
                 where datastream_id = asked.datastream_id and phenomenon_time < asked.before - asked.span
                   and quality not in ('bad', 'missing')
                 order by phenomenon_time desc limit 1)
                union all
                (select phenomenon_time, value, quality::text, reason from observation
                 where datastream_id = asked.datastream_id and phenomenon_time < asked.before
                   and phenomenon_time >= asked.before - asked.span and quality not in ('bad', 'missing'))
            ) o
            order by 1, 2
            """,
            (list(datastream_ids), list(times), list(spans)),
        )
    )


def revised(conn: Connection, touched: Sequence[Touched]) -> set[int]:
    """The datastreams of which an observation that was judged is another one now; for the worker."""
    return {
        row[0]
        for row in conn.execute(
            """
            select distinct asked.datastream_id
            from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) as asked (datastream_id, since, until)
            join alert_judged j on j.datastream_id = asked.datastream_id and j.rule = 'level'
            where asked.since <= j.judged_to and exists (
                select from observation_revision r where r.datastream_id = asked.datastream_id
                and r.phenomenon_time >= asked.since and r.phenomenon_time <= asked.until
                and r.phenomenon_time <= j.judged_to)
            """,
            transposed([(each.datastream_id, each.start, each.end) for each in touched], 3),
        )
    }


def since_raised(conn: Connection, alert_id: int, datastream_id: int) -> list[Observed]:
    """The usable observations that were judged from the one on that raised an alert; for the worker."""
    found = _by_stream(
        conn.execute(
            """
            select o.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason
            from alert_history h join alert_judged j on j.datastream_id = %(series)s and j.rule = 'level'
            join observation o on o.datastream_id = j.datastream_id
                 and o.phenomenon_time >= h.phenomenon_time and o.phenomenon_time <= j.judged_to
            where h.alert_id = %(alert)s and h.event = 'raised' and o.quality not in ('bad', 'missing') order by 2
            """,
            {"alert": alert_id, "series": datastream_id},
        )
    )
    return found.get(datastream_id, [])


def newest_judged(conn: Connection, datastream_ids: Sequence[int]) -> dict[int, list[Observed]]:
    """Per datastream the last two usable observations that the level rule has judged, where nothing newer waits to be
    judged; for the worker.
    """
    return _by_stream(
        conn.execute(
            """
            select j.datastream_id, o.*
            from alert_judged j
            cross join lateral (
                select phenomenon_time, value, quality::text, reason from observation
                where datastream_id = j.datastream_id and phenomenon_time <= j.judged_to
                  and quality not in ('bad', 'missing') order by phenomenon_time desc limit 2
            ) o
            where j.datastream_id = any(%s) and j.rule = 'level' and not exists (
                select from observation n where n.datastream_id = j.datastream_id
                and n.phenomenon_time > j.judged_to and n.quality not in ('bad', 'missing'))
            order by 1, 2
            """,
            (list(datastream_ids),),
        )
    )


def _by_stream(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[Observed]]:
    found: dict[int, list[Observed]] = {}
    for datastream_id, time, value, quality, reason in rows:
        found.setdefault(datastream_id, []).append(Observed(time, value, Quality(quality), reason))
    return found


def open_alert(conn: Connection, place: Place, rule: str, mode: str) -> OpenAlert | None:
    """The open alert of a cause, locked, so that a person and the rule take turns."""
    row = conn.execute(
        """
        select alert_id, level, phenomenon_time, acknowledged_at is not null, finding_id,
               (select h.level from alert_history h
                where h.alert_id = alert.alert_id and h.phenomenon_time is not null
                  and exists (select from outbox o where o.alert_history_id = h.alert_history_id)
                order by h.alert_history_id desc limit 1),
               confirmed_level, withheld, withheld_at
        from alert
        where municipality_id = %s and station_id = %s and rule = %s and mode = %s and cleared_at is null for update
        """,
        (place.municipality_id, place.station_id, rule, mode),
    ).fetchone()
    return None if row is None else OpenAlert(*row)


def open_levels(conn: Connection, station_ids: Sequence[int]) -> dict[tuple[int, str], OpenAlert]:
    """(station_id, mode) -> its open level alert, all of them locked; for the worker."""
    return {
        (row[0], row[1]): OpenAlert(*row[2:])
        for row in conn.execute(
            """
            select station_id, mode, alert_id, level, phenomenon_time, acknowledged_at is not null, finding_id,
                   (select h.level from alert_history h
                    where h.alert_id = alert.alert_id and h.phenomenon_time is not null
                      and exists (select from outbox o where o.alert_history_id = h.alert_history_id)
                    order by h.alert_history_id desc limit 1),
                   confirmed_level, withheld, withheld_at
            from alert where station_id = any(%s) and rule = 'level' and cleared_at is null order by alert_id for update
            """,
            (list(station_ids),),
        )
    }


def findings(conn: Connection, finding_ids: Iterable[int]) -> list[PlacedFinding]:
    """The findings in the order in which they were made: one of a cause that ended comes before its next."""
    return [
        PlacedFinding(Found(*row[:9]), Place(*row[14:]), *row[9:14])
        for row in conn.execute(
            """
            select f.finding_id, f.kind, f.started_at, f.ended_at, f.value, f.usual, f.rule_version,
                   exists (select from alert a where a.finding_id = f.finding_id),
                   coalesce(newest.phenomenon_time, f.started_at),
                   f.datastream_id, d.unit, f.detail ->> 'event', (f.detail ->> 'call_group')::integer, f.detail,
                   m.municipality_id, m.name, m.timezone, s.station_id, s.kind, s.name, s.name_en
            from finding f
            join datastream d using (datastream_id)
            join station s on s.station_id = f.station_id
            join municipality m on m.municipality_id = f.municipality_id
            left join lateral (
                select phenomenon_time from observation
                where datastream_id = f.datastream_id order by phenomenon_time desc limit 1
            ) newest on true
            where f.finding_id = any(%s) order by f.finding_id
            """,
            (sorted(set(finding_ids)),),
        )
    ]
