"""Times at which a counter did not count who came (`count_period`): found by a rule, and what people say of them.

For the worker: `open_found`, `begin`, `end`, `refused`. For people, each with a reason and kept for good: `confirm` and
`overrule` what was found, `add` one by hand, `finish` one that lasts. What a person adds replaces what was found in the
same time; it does not replace what a person has said.

    PeriodError   what was said cannot be kept: `field` and `why`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store import Connection

Kind = Literal["outage", "blocked", "jammed", "works"]
Standing = Literal["found", "confirmed", "by_hand", "overruled", "replaced"]
LONGEST = timedelta(days=800)
LONGEST_REASON = 300


class PeriodError(ValueError):
    """What was said of a period cannot be kept; `field` names what is wrong: times, reason, overlap, gone."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


@dataclass(frozen=True, slots=True)
class Period:
    """One row; `ends_at` None: it lasts. `by` None: nobody has said anything of it."""

    count_period_id: int
    station_id: int
    kind: Kind
    starts_at: datetime
    ends_at: datetime | None
    standing: Standing
    detail: Mapping[str, Any]
    found_at: datetime
    said_at: datetime | None
    by: str | None
    reason: str

    @property
    def counts(self) -> bool:
        """Whether it takes its hours out of the counts."""
        return self.standing in ("found", "confirmed", "by_hand")


_PERIODS = """
select p.count_period_id, p.station_id, p.kind, p.starts_at, p.ends_at, p.standing, p.detail, p.found_at, p.said_at,
       u.display_name as by, p.reason
from count_period p left join app_user u using (user_id)
"""


def periods(conn: Connection, station_ids: Sequence[int], start: datetime, end: datetime) -> list[Period]:
    """Those of these counters that reach into [start, end), newest first; without what was replaced."""
    with conn.cursor(row_factory=class_row(Period)) as cursor:
        return cursor.execute(
            _PERIODS
            + """
            where p.station_id = any(%s) and p.starts_at < %s and coalesce(p.ends_at, 'infinity') > %s
              and p.standing <> 'replaced'
            order by p.starts_at desc, p.count_period_id desc
            """,
            (list(station_ids), end, start),
        ).fetchall()


# --- what a rule finds ------------------------------------------------------------------------------------------


def open_found(conn: Connection, station_id: int) -> Period | None:
    """The period of a rule that lasts, whether or not a person has confirmed it."""
    with conn.cursor(row_factory=class_row(Period)) as cursor:
        return cursor.execute(
            _PERIODS
            + """
            where p.station_id = %s and p.ends_at is null and p.standing in ('found', 'confirmed')
              and p.kind in ('blocked', 'jammed')
            """,
            (station_id,),
        ).fetchone()


def refused(conn: Connection, station_id: int, start: datetime, end: datetime) -> bool:
    """Whether a person has spoken of this time: overruled a finding in it, or given a period of their own."""
    row = conn.execute(
        """
        select exists (select from count_period
                       where station_id = %s and standing in ('overruled', 'by_hand', 'confirmed')
                         and starts_at < %s and coalesce(ends_at, 'infinity') > %s)
        """,
        (station_id, end, start),
    ).fetchone()
    return row is not None and bool(row[0])


def begin(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    kind: Kind,
    starts_at: datetime,
    found_at: datetime,
    rule_version: str,
    detail: Mapping[str, Any],
    ends_at: datetime | None = None,
) -> None:
    """A period, that lasts unless it is said when it ended. What is there already of that time stands."""
    conn.execute(
        """
        insert into count_period (municipality_id, station_id, kind, starts_at, ends_at, standing, rule_version, detail,
                                  found_at)
        values (%s, %s, %s, %s, %s, 'found', %s, %s, %s) on conflict on constraint one_period_at_a_time do nothing
        """,
        (municipality_id, station_id, kind, starts_at, ends_at, rule_version, Jsonb(dict(detail)), found_at),
    )


def end(conn: Connection, count_period_id: int, ends_at: datetime) -> None:
    """It counts again."""
    conn.execute(
        "update count_period set ends_at = greatest(%s, starts_at + interval '1 second') where count_period_id = %s",
        (ends_at, count_period_id),
    )


# --- what people say --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Saying:
    """Who says it, when (town time) and why."""

    user_id: int
    at: datetime
    reason: str


def confirm(conn: Connection, municipality_id: int, count_period_id: int, saying: Saying) -> Period:
    """Yes, it was at fault; also after having said no. Raises PeriodError."""
    period = _locked(conn, count_period_id)
    if period.standing == "overruled":
        _make_room(conn, period.station_id, period.starts_at, period.ends_at, saying, but=count_period_id)
    return _say(conn, municipality_id, period, "confirmed", saying)


def overrule(conn: Connection, municipality_id: int, count_period_id: int, saying: Saying) -> Period:
    """No, the counts were true: nobody came, or so many did. Raises PeriodError."""
    return _say(conn, municipality_id, _locked(conn, count_period_id), "overruled", saying, end_at=saying.at)


def finish(conn: Connection, municipality_id: int, count_period_id: int, ends_at: datetime, saying: Saying) -> Period:
    """Until then. Raises PeriodError."""
    period = _locked(conn, count_period_id)
    if not period.counts or ends_at <= period.starts_at or ends_at > saying.at:
        raise PeriodError("times")
    standing: Standing = "by_hand" if period.standing == "by_hand" else "confirmed"
    if period.ends_at is None or ends_at > period.ends_at:
        _make_room(conn, period.station_id, period.starts_at, ends_at, saying, but=count_period_id)
    conn.execute("update count_period set ends_at = %s where count_period_id = %s", (ends_at, count_period_id))
    return _say(conn, municipality_id, _locked(conn, count_period_id), standing, saying)


def add(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    kind: Kind,
    starts_at: datetime,
    ends_at: datetime | None,
    saying: Saying,
) -> Period:
    """A period that a person knows of. Raises PeriodError."""
    late = ends_at is not None and (ends_at <= starts_at or ends_at - starts_at > LONGEST)
    if late or starts_at > saying.at or saying.at - starts_at > LONGEST:
        raise PeriodError("times")
    _check_reason(saying)
    _make_room(conn, station_id, starts_at, ends_at, saying)
    row = conn.execute(
        """
        insert into count_period (municipality_id, station_id, kind, starts_at, ends_at, standing, found_at, said_at,
                                  user_id, reason)
        values (%s, %s, %s, %s, %s, 'by_hand', %s, %s, %s, %s) returning count_period_id
        """,
        (municipality_id, station_id, kind, starts_at, ends_at, saying.at, saying.at, saying.user_id, saying.reason),
    ).fetchone()
    assert row is not None, "an insert gives a row"
    return _say(conn, municipality_id, _locked(conn, row[0]), "by_hand", saying)


def _locked(conn: Connection, count_period_id: int) -> Period:
    with conn.cursor(row_factory=class_row(Period)) as cursor:
        found = cursor.execute(
            _PERIODS + "where p.count_period_id = %s and p.standing <> 'replaced' for update of p", (count_period_id,)
        ).fetchone()
    if found is None:
        raise PeriodError("gone")
    return found


def _make_room(
    conn: Connection, station_id: int, start: datetime, end: datetime | None, saying: Saying, but: int = 0
) -> None:
    """What a rule found in this time gives way; what a person has said does not."""
    there = conn.execute(
        """
        select count_period_id, standing from count_period
        where station_id = %s and tstzrange(starts_at, ends_at) && tstzrange(%s, %s) and count_period_id <> %s
          and standing in ('found', 'confirmed', 'by_hand') for update
        """,
        (station_id, start, end, but),
    ).fetchall()
    if any(standing != "found" for _, standing in there):
        raise PeriodError("overlap")
    conn.execute(
        """
        update count_period set standing = 'replaced', said_at = %s, user_id = %s, reason = %s
        where count_period_id = any(%s)
        """,
        (saying.at, saying.user_id, saying.reason, [each for each, _ in there]),
    )


def _say(
    conn: Connection,
    municipality_id: int,
    period: Period,
    standing: Standing,
    saying: Saying,
    end_at: datetime | None = None,
) -> Period:
    _check_reason(saying)
    ends_at = period.ends_at or end_at
    conn.execute(
        """
        update count_period set standing = %s, ends_at = %s, said_at = %s, user_id = %s, reason = %s
        where count_period_id = %s
        """,
        (standing, ends_at, saying.at, saying.user_id, saying.reason, period.count_period_id),
    )
    conn.execute(
        """
        insert into count_period_said (municipality_id, count_period_id, standing, kind, starts_at, ends_at, reason,
                                       said_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            *(municipality_id, period.count_period_id, standing, period.kind, period.starts_at, ends_at),
            *(saying.reason, saying.at, saying.user_id),
        ),
    )
    return _locked(conn, period.count_period_id)


def _check_reason(saying: Saying) -> None:
    if not 0 < len(saying.reason) <= LONGEST_REASON:
        raise PeriodError("reason")
