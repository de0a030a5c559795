"""Manual counts beside a counter, and the factors that were signed of them.

    sessions_of(conn, station_id), add_session, withdraw_session
    factors_of(conn, station_id), sign_factor, withdraw_factor

Nothing is changed once it is written: what was wrong is withdrawn, with a reason, and stays to be seen. Every act
leaves a line in `spot_change`. Works with the rights of the API's role within its municipality; the caller commits.
SpotError says what cannot be kept: `time` (it ends before it begins, or has not ended), `step` (not on the counter's
own steps), `counted` (somebody counted then already: one hour is one session), `count`, `by`, `weather`, `note`,
`reason`, `unknown`, `from_day` (a factor begins on that day already), `outside` (a factor outside [0.8, 1.4] has no
written reason), `signed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg

from store.connection import Connection
from store.errors import SpotError
from store.spot_changes import Editor, log_change
from store.spots import Measure

WEATHERS = ("sunny", "cloudy", "rain", "snow")
MOST = 100_000


@dataclass(frozen=True, slots=True)
class CountSession:
    """Somebody counted by hand from `starts` until before `ends`. `withdrawn`: why it does not stand, None: it does.

    `sensor_in`, `sensor_out`: what the counter said of the same time, None where it did not count all of it.
    """

    session_id: int
    starts: datetime
    ends: datetime
    counted_in: int
    counted_out: int | None
    counted_by: str
    weather: str
    note: str
    by: str
    withdrawn: str | None
    sensor_in: float | None
    sensor_out: float | None


@dataclass(frozen=True, slots=True)
class SignedFactor:
    """A factor as it was signed; see the table count_factor."""

    factor_id: int
    measure: Measure
    from_day: date
    factor: float
    low: float
    high: float
    mape: float
    sessions: tuple[int, ...]
    measured_until: datetime
    signed_by: str
    outside_reason: str | None
    by: str
    withdrawn: str | None


_SESSIONS = """
    select c.count_session_id, c.starts_at, c.ends_at, c.counted_in, c.counted_out, c.counted_by, c.weather, c.note,
           u.display_name, c.withdrawn_reason, inwards.total, outwards.total
    from count_session c join app_user u on u.user_id = c.user_id
    left join lateral (
        select sum(o.value) as total from datastream d join tenant_observation o using (datastream_id)
        where d.station_id = c.station_id and d.observed_property = any(%s) and d.drill_run is null
          and o.phenomenon_time > c.starts_at and o.phenomenon_time <= c.ends_at and o.quality not in ('bad', 'missing')
        having count(*) = extract(epoch from c.ends_at - c.starts_at) / extract(epoch from min(d.step))
    ) inwards on true
    left join lateral (
        select sum(o.value) as total from datastream d join tenant_observation o using (datastream_id)
        where d.station_id = c.station_id and d.observed_property = 'passages_out' and d.drill_run is null
          and o.phenomenon_time > c.starts_at and o.phenomenon_time <= c.ends_at and o.quality not in ('bad', 'missing')
        having count(*) = extract(epoch from c.ends_at - c.starts_at) / extract(epoch from min(d.step))
    ) outwards on true
    where c.station_id = %s order by c.starts_at desc, c.count_session_id desc
"""


def sessions_of(conn: Connection, station_id: int, *, vehicles: bool = False) -> list[CountSession]:
    """The manual counts at a counter, the newest first. `vehicles`: it counts these."""
    way_in = ["vehicles_in"] if vehicles else ["passages_in"]
    return [CountSession(*row) for row in conn.execute(_SESSIONS.encode(), (way_in, station_id)).fetchall()]


def step_of(conn: Connection, station_id: int) -> timedelta | None:
    """The counting period of a counter; None where it has no series of counts."""
    row = conn.execute(
        """
        select max(step) from datastream
        where station_id = %s and observed_property in ('passages_in', 'passages_out', 'vehicles_in')
          and drill_run is null
        """,
        (station_id,),
    ).fetchone()
    return None if row is None else row[0]


def mounted_at(conn: Connection, station_id: int) -> datetime | None:
    """When the device that counts at a station now was mounted there; None where none is known."""
    row = conn.execute(
        """
        select max(a.attached_from) from datastream d
        join field_mapping using (datastream_id) join attachment a using (attachment_id)
        where d.station_id = %s and d.drill_run is null
          and d.observed_property in ('passages_in', 'passages_out', 'vehicles_in')
        """,
        (station_id,),
    ).fetchone()
    return None if row is None else row[0]


def add_session(
    conn: Connection,
    editor: Editor,
    station_id: int,
    *,
    starts: datetime,
    ends: datetime,
    counted_in: int,
    counted_out: int | None,
    counted_by: str,
    weather: str,
    note: str,
) -> int:
    """Keeps a manual count, and returns its id. The editor's reason is what the log says of it."""
    if not starts < ends <= editor.now:
        raise SpotError("time")
    step = step_of(conn, station_id)
    if step is None:
        raise SpotError("unknown")
    # A count of the counter is of a whole step: what begins between two of them cannot be compared.
    if any(moment.timestamp() % step.total_seconds() for moment in (starts, ends)):
        raise SpotError("step")
    if not 0 <= counted_in <= MOST or not 0 <= (counted_out or 0) <= MOST:
        raise SpotError("count")
    if not counted_by.strip() or len(counted_by) > 40:
        raise SpotError("by")
    if weather not in WEATHERS:
        raise SpotError("weather")
    if len(note) > 500:
        raise SpotError("note")
    there = conn.execute(
        """
        select from count_session
        where station_id = %s and withdrawn_at is null and starts_at < %s and ends_at > %s
        """,
        (station_id, ends, starts),
    ).fetchone()
    if there is not None:
        raise SpotError("counted")
    row = conn.execute(
        """
        insert into count_session (municipality_id, station_id, starts_at, ends_at, counted_in, counted_out, counted_by,
                                   weather, note, entered_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning count_session_id
        """,
        (
            *(editor.municipality_id, station_id, starts, ends, counted_in, counted_out, counted_by.strip(), weather),
            *(note.strip(), editor.now, editor.user_id),
        ),
    ).fetchone()
    assert row is not None, "an insert returns its row"
    detail = {"in": counted_in, "out": counted_out, "at": starts.isoformat()}
    log_change(conn, editor, "session", detail, station_id=station_id)
    return int(row[0])


def withdraw_session(conn: Connection, editor: Editor, station_id: int, session_id: int) -> None:
    """It does not stand any more. Factors that were signed of it stay until they are withdrawn themselves."""
    reason = editor.checked()
    done = conn.execute(
        """
        update count_session set (withdrawn_at, withdrawn_by, withdrawn_reason) = (%s, %s, %s)
        where count_session_id = %s and station_id = %s and withdrawn_at is null
        """,
        (editor.now, editor.user_id, reason, session_id, station_id),
    ).rowcount
    if not done:
        raise SpotError("unknown")
    log_change(conn, editor, "session_withdrawn", {"session": session_id}, station_id=station_id)


def factors_of(conn: Connection, station_id: int) -> list[SignedFactor]:
    """Every factor of a counter, the newest beginning first."""
    rows = conn.execute(
        """
        select f.count_factor_id, f.measure, f.from_day, f.factor, f.low, f.high, f.mape, f.sessions,
               f.measured_until, f.signed_by, f.outside_reason, u.display_name, f.withdrawn_reason
        from count_factor f join app_user u on u.user_id = f.user_id
        where f.station_id = %s order by f.from_day desc, f.count_factor_id desc
        """,
        (station_id,),
    ).fetchall()
    return [
        SignedFactor(factor_id, Measure(measure), day, factor, low, high, mape, tuple(sessions), *rest)
        for factor_id, measure, day, factor, low, high, mape, sessions, *rest in rows
    ]


def sign_factor(
    conn: Connection,
    editor: Editor,
    station_id: int,
    measure: Measure,
    *,
    from_day: date,
    factor: float,
    low: float,
    high: float,
    mape: float,
    sessions: Sequence[int],
    measured_until: datetime,
    signed_by: str,
    outside_reason: str,
) -> None:
    """The factor is applied from a local day on. Who calls has seen that its sessions are enough."""
    editor.checked()
    if not signed_by.strip() or len(signed_by) > 40:
        raise SpotError("signed")
    if len(outside_reason) > 500:
        raise SpotError("outside")
    try:
        with conn.transaction():
            conn.execute(
                """
                insert into count_factor (municipality_id, station_id, measure, from_day, factor, low, high, mape,
                                          sessions, measured_until, signed_by, outside_reason, entered_at, user_id)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, nullif(%s, ''), %s, %s)
                """,
                (
                    *(editor.municipality_id, station_id, measure.value, from_day, factor, low, high, mape),
                    *(sorted(sessions), measured_until, signed_by.strip(), outside_reason.strip()),
                    *(editor.now, editor.user_id),
                ),
            )
    except psycopg.errors.UniqueViolation:
        raise SpotError("from_day") from None
    except psycopg.errors.CheckViolation:
        raise SpotError("outside") from None
    detail = {"measure": measure.value, "factor": round(factor, 3), "from_day": from_day, "signed": signed_by.strip()}
    log_change(conn, editor, "factor", detail, station_id=station_id)


def withdraw_factor(conn: Connection, editor: Editor, station_id: int, factor_id: int) -> None:
    """As if it had never been signed: the one before it goes on."""
    reason = editor.checked()
    row = conn.execute(
        """
        update count_factor set (withdrawn_at, withdrawn_by, withdrawn_reason) = (%s, %s, %s)
        where count_factor_id = %s and station_id = %s and withdrawn_at is null returning factor
        """,
        (editor.now, editor.user_id, reason, factor_id, station_id),
    ).fetchone()
    if row is None:
        raise SpotError("unknown")
    log_change(conn, editor, "factor_withdrawn", {"factor": round(row[0], 3)}, station_id=station_id)
