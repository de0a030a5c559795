"""試験: a station, or some of its series, that is being installed or repaired. All times are town time.

    begin(conn, town, new, clock=, user_id=) -> trial_id     from a moment that is not over
    end(conn, town, trial_id, clock=, user_id=, counts=)     it is over, or does not take place
    count(conn, town, trial_id, now=, user_id=)              what was measured in one that is over counts after all
    trials, trial, open_trials                               for pages and letters
    standing, shadows_of                                     for ingest (`ingest.trial`)

Raises `RecordError`. Each writes in the caller's transaction, on a connection of the API's role; announcing it to the
feed (`store.feed.append_headquarters`, the last statement) is the caller's.

What is measured in a trial goes to shadows of the series (`datastream.drill_run` is trial:ID), by the time at which it
was measured, whenever it comes. So every query that wants what is real leaves it out without knowing of trials; what
shows it says so. `begin` and `end` take a lock that every writer shares from its look at the trials until its commit,
and read the clock under it: what was measured in a trial is in no transaction that had not heard of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import psycopg

from devices.clock import Clock
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean
from store.registry import DatastreamInfo

MOST_WHY = 500
LATEST_START = timedelta(days=366)
LONGEST = timedelta(days=366)
# One that is open for longer has most likely been forgotten.
REMIND_AFTER = timedelta(days=14)


class State(StrEnum):
    """What has become of a trial at a moment."""

    WAITING = "waiting"  # for its time
    OPEN = "open"
    OVER = "over"
    CALLED_OFF = "called_off"


@dataclass(frozen=True, slots=True)
class NewTrial:
    """`properties` empty: every series. `starts_at` None: now. `ends_at` None: until somebody ends it."""

    station_id: int
    properties: Sequence[str]
    starts_at: datetime | None
    ends_at: datetime | None
    why: str
    persons: Sequence[int] = ()
    groups: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """`until`: when it ended or is going to end, None: when somebody ends it. The names are those of the accounts."""

    trial_id: int
    station_id: int
    code: str
    kind: str
    name: str
    name_en: str
    properties: Sequence[str] | None
    starts_at: datetime
    until: datetime | None
    why: str
    entered_at: datetime
    entered_by: str
    ended_at: datetime | None
    ended_by: str | None
    counts_at: datetime | None
    counts_by: str | None
    counted_at: datetime | None

    def state(self, now: datetime) -> State:
        """What has become of it by then."""
        if self.until is not None and self.until <= self.starts_at:
            return State.CALLED_OFF
        if self.until is not None and self.until <= now:
            return State.OVER
        return State.WAITING if self.starts_at > now else State.OPEN

    def long_open(self, now: datetime) -> bool:
        """Whether somebody is to be reminded of it."""
        return self.state(now) is State.OPEN and now - self.starts_at > REMIND_AFTER


@dataclass(frozen=True, slots=True)
class Standing:
    """When a station's series are, or were, in trial, and what was measured then does not count."""

    trial_id: int
    station_id: int
    properties: Sequence[str] | None
    starts_at: datetime
    until: datetime | None

    def covers(self, info: DatastreamInfo, time: datetime) -> bool:
        """Whether what this series measured at that time is of the trial."""
        return (
            info.station_id == self.station_id
            and (self.properties is None or info.observed_property in self.properties)
            and self.starts_at <= time
            and (self.until is None or time < self.until)
        )


def begin(conn: Connection, municipality_id: int, new: NewTrial, *, clock: Clock, user_id: int) -> int:
    """Puts a station in trial and returns the trial's id. RecordError where it would begin in the past (what is stored
    already has been shown and judged), end before it begins, or touch another trial of the station.
    """
    why = clean("why", new.why, MOST_WHY)
    if not why:
        raise RecordError("why", "empty")
    now = _held(conn, municipality_id, clock)
    starts_at = now if new.starts_at is None else new.starts_at
    if starts_at < now:
        raise RecordError("starts_at", "begun")
    if starts_at - now > LATEST_START:
        raise RecordError("starts_at", "far")
    if new.ends_at is not None and new.ends_at <= starts_at:
        raise RecordError("ends_at", "before")
    if new.ends_at is not None and new.ends_at - starts_at > LONGEST:
        raise RecordError("ends_at", "far")
    try:
        with conn.transaction():
            row = conn.execute(
                """
                insert into station_trial (municipality_id, station_id, properties, starts_at, ends_at, why, entered_at,
                                           entered_by)
                values (%s, %s, %s, %s, %s, %s, %s, %s) returning trial_id
                """,
                (
                    municipality_id,
                    new.station_id,
                    sorted(set(new.properties)) or None,
                    starts_at,
                    new.ends_at,
                    why,
                    now,
                    user_id,
                ),
            ).fetchone()
    except psycopg.errors.ExclusionViolation:
        raise RecordError("station", "taken") from None
    assert row is not None
    trial_id = int(row[0])
    for column, chosen in (("person_id", new.persons), ("group_id", new.groups)):
        conn.execute(
            f"insert into station_trial_told (trial_id, municipality_id, {column}) "
            "select %s, %s, unnest(%s::integer[])",
            (trial_id, municipality_id, sorted(set(chosen))),
        )
    return trial_id


def end(
    conn: Connection, municipality_id: int, trial_id: int, *, clock: Clock, user_id: int, counts: bool = False
) -> None:
    """Ends it now; one that has not begun does not take place. `counts`: what was measured in it counts from now on.
    RecordError `changed` where it is over already.
    """
    now = _held(conn, municipality_id, clock)
    found = conn.execute(
        """
        update station_trial set ended_at = greatest(%(now)s, starts_at), ended_by = %(user)s,
            counts_at = case when %(counts)s and starts_at < %(now)s then %(now)s end,
            counts_by = case when %(counts)s and starts_at < %(now)s then %(user)s::integer end
        where municipality_id = %(town)s and trial_id = %(trial)s and ended_at is null
          and (ends_at is null or ends_at > %(now)s)
        """,
        {"now": now, "user": user_id, "counts": counts, "town": municipality_id, "trial": trial_id},
    )
    if not found.rowcount:
        raise RecordError("trial", "changed")


def count(conn: Connection, municipality_id: int, trial_id: int, *, now: datetime, user_id: int) -> None:
    """What was measured in a trial that is over counts after all; `changed` where it does already, or is not over."""
    conn.execute(_HOLD, (municipality_id,))
    found = conn.execute(
        """
        update station_trial set counts_at = %(now)s, counts_by = %(user)s
        where municipality_id = %(town)s and trial_id = %(trial)s and counts_at is null
          and least(ends_at, ended_at) <= %(now)s and least(ends_at, ended_at) > starts_at
        """,
        {"now": now, "user": user_id, "town": municipality_id, "trial": trial_id},
    )
    if not found.rowcount:
        raise RecordError("trial", "changed")


def trials(conn: Connection, municipality_id: int, limit: int = 100) -> list[Trial]:
    """The newest first."""
    return [
        Trial(*row)
        for row in conn.execute(
            _TRIALS + "where t.municipality_id = %s order by t.trial_id desc limit %s", (municipality_id, limit)
        )
    ]


def trial(conn: Connection, municipality_id: int, trial_id: int) -> Trial | None:
    """One of them."""
    row = conn.execute(
        _TRIALS + "where t.municipality_id = %s and t.trial_id = %s", (municipality_id, trial_id)
    ).fetchone()
    return None if row is None else Trial(*row)


def open_trials(conn: Connection, municipality_id: int, now: datetime) -> list[Trial]:
    """Those that last at a moment, the oldest first."""
    return [
        Trial(*row)
        for row in conn.execute(
            _TRIALS
            + """
            where t.municipality_id = %(town)s and t.starts_at <= %(now)s
              and (least(t.ends_at, t.ended_at) is null or least(t.ends_at, t.ended_at) > %(now)s)
            order by t.starts_at, t.trial_id
            """,
            {"town": municipality_id, "now": now},
        )
    ]


def told(conn: Connection, trial_id: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(persons, groups) who are told of its alerts."""
    rows: Iterable[tuple[int | None, int | None]] = conn.execute(
        "select person_id, group_id from station_trial_told where trial_id = %s order by station_trial_told_id",
        (trial_id,),
    ).fetchall()
    return tuple(p for p, _ in rows if p is not None), tuple(g for _, g in rows if g is not None)


def standing(conn: Connection, municipality_id: int) -> list[Standing]:
    """Every trial, also those that are over, whose measurements do not count. Nobody begins or ends one before this
    transaction is over.
    """
    return [Standing(*row) for row in conn.execute("select * from trials_standing(%s)", (municipality_id,))]


def shadows_of(conn: Connection, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], DatastreamInfo]:
    """The shadow of each (trial_id, datastream_id), made where there is none; it is judged like the series itself. For
    the worker.
    """
    found = {}
    for trial_id, datastream_id in sorted(set(wanted)):
        asked = {"trial": trial_id, "series": datastream_id}
        row = conn.execute(_SHADOW, asked).fetchone() or conn.execute(_MAKE_SHADOW, asked).fetchone()
        assert row is not None, f"datastream {datastream_id} exists"
        found[trial_id, datastream_id] = DatastreamInfo(*row)
    return found


def _held(conn: Connection, municipality_id: int, clock: Clock) -> datetime:
    conn.execute(_HOLD, (municipality_id,))
    return clock.now()


_HOLD = "select pg_advisory_xact_lock(hashtext('station_trial'), %s)"
_TRIALS = """
select t.trial_id, t.station_id, s.code, s.kind, s.name, s.name_en, t.properties, t.starts_at,
       least(t.ends_at, t.ended_at), t.why, t.entered_at, entered.display_name, t.ended_at, ended.display_name,
       t.counts_at, counts.display_name, t.counted_at
from station_trial t join station s using (station_id)
join app_user entered on entered.user_id = t.entered_by
left join app_user ended on ended.user_id = t.ended_by
left join app_user counts on counts.user_id = t.counts_by
"""
_COLUMNS = """
    d.datastream_id, d.station_id, s.code, d.observed_property, d.unit, d.statistic, d.step, d.range_low, d.range_high,
    d.max_rate, d.stuck_after
"""
_SHADOW = f"""
select {_COLUMNS}
from datastream mine
join datastream d on d.station_id = mine.station_id and d.observed_property = mine.observed_property
     and d.drill_run = 'trial:' || %(trial)s::text
join station s on s.station_id = d.station_id
where mine.datastream_id = %(series)s and mine.drill_run is null
  and (d.step, d.range_low, d.range_high, d.max_rate, d.stuck_after)
      is not distinct from (mine.step, mine.range_low, mine.range_high, mine.max_rate, mine.stuck_after)
"""  # noqa: S608
_MAKE_SHADOW = f"""
with d as (
    insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step, range_low,
                            range_high, max_rate, stuck_after, drill_run)
    select municipality_id, station_id, observed_property, unit, statistic, step, range_low, range_high, max_rate,
           stuck_after, 'trial:' || %(trial)s::text
    from datastream where datastream_id = %(series)s and drill_run is null
    on conflict (station_id, observed_property, drill_run) do update
        set (step, range_low, range_high, max_rate, stuck_after)
          = (excluded.step, excluded.range_low, excluded.range_high, excluded.max_rate, excluded.stuck_after)
    returning *
)
select {_COLUMNS} from d join station s using (station_id)
"""  # noqa: S608
