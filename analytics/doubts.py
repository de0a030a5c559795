"""The learnt checks over the change feed: values are doubted for what their series has done so far.

Ingest judges a value before it is stored, by what somebody has said of its series (`quality.gate`). Here it is judged
again by what the series has taught (`quality.detector`), beside the pages and alerts and a moment later. A good value
that is told becomes doubtful, with the reason; the verdict before and the new one are both kept (`quality_verdict`).
Values that are told side by side are one event (`quality_event`), which people confirm or overrule.

A flood must never be doubted for being rare: a value that has jumped is told when the series has come back from it,
and not before (`Row.returned`). A flood does not come back within three values.

Each value is looked at once, in the order of time: what comes late, behind what was judged, keeps the verdict of the
gate. What is known of a series is kept with the cursor in one transaction, so that a kill changes nothing, and how the
feed was cut into batches neither. A series that is seen for the first time is learnt from its last `LEARNT`.

Not everything that is unusual speaks against the sensor: `TOLD` says what does, by observed property.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from devices.clock import Clock
from devices.model import ASIDE, ObservedProperty, Quality, Reason
from quality.detector import Detector, Known
from quality.estimator import Floats
from quality.memory import form, pack, unpack
from store import Connection, observations
from store.arrays import array
from store.doubts import Event, Memory, doubt, memories, newest_events, put_event, remember
from store.feed import FeedRow
from store.observations import Series
from store.verdicts import Verdict

NAME = "quality"  # of the feed cursor
LEARNT = timedelta(days=35)
RULE = "learnt:1"

_SPIKE, _STUCK = Reason.SPIKE, Reason.STUCK
# A rise of the river is a step, a drift and a tremble in itself; a leak is a step of the flow. Such a value is true,
# and what it means is for `alerts` and `analytics.leaks` to tell. How many people or cars are there may jump as it
# likes. What is counted in an interval is compared by `analytics.visitors`; a contact has nothing to learn.
TOLD: dict[str, frozenset[Reason]] = {
    ObservedProperty.WATER_LEVEL: frozenset({_SPIKE, _STUCK}),
    ObservedProperty.TANK_LEVEL: frozenset({_SPIKE, _STUCK}),
    ObservedProperty.FLOW: frozenset({_SPIKE, _STUCK}),
    ObservedProperty.PRESSURE: frozenset({_SPIKE, _STUCK}),
    ObservedProperty.RESIDUAL_CHLORINE: frozenset({_SPIKE, Reason.STEP, Reason.DRIFT, Reason.NOISE, _STUCK}),
    ObservedProperty.TURBIDITY: frozenset({_SPIKE, Reason.DRIFT, Reason.NOISE, _STUCK}),
}

_ROWS = 2000  # of each series, judged at a time
_NEAR = 24  # so many values back a good one is looked for
_LINGER_STEPS, _LINGER = 6, timedelta(hours=1)  # doubted values that are no farther apart are one event


class _Found(NamedTuple):
    """What the checks say of one value, as `quality.detector.Row`."""

    excess: float
    reason: Reason
    returned: int
    height: float


@dataclass(frozen=True, slots=True)
class _Watched:
    """A datastream that is judged. `newest`: of what the feed says has changed in it."""

    datastream_id: int
    municipality_id: int
    told: frozenset[Reason]
    linger: timedelta
    newest: datetime


class Doubts:
    """The body of the feed consumer. `clock` is the town's."""

    def __init__(self, clock: Clock, detector: Detector | None = None) -> None:
        self._clock = clock
        self._detector = detector or Detector()
        self._form = form(self._detector)
        self._blank = pack(self._detector.begin(1))[0]

    def handle(self, conn: Connection, rows: Sequence[FeedRow]) -> None:
        """Judges what is new in the datastreams that the rows name, in the caller's transaction."""
        watched = _watched(conn, rows)
        given: dict[int, list[tuple[Verdict, int]]] = {}
        now = self._clock.now()
        for municipality_id in sorted({each.municipality_id for each in watched}):
            own = [each for each in watched if each.municipality_id == municipality_id]
            given[municipality_id] = self._judged(conn, municipality_id, own, now)
        for municipality_id, verdicts in given.items():
            if verdicts:
                doubt(conn, municipality_id, verdicts, told=now)

    def _judged(
        self, conn: Connection, municipality_id: int, watched: Sequence[_Watched], now: datetime
    ) -> list[tuple[Verdict, int]]:
        """What is told of these, with its event; what was learnt of them is kept."""
        kept = memories(conn, [each.datastream_id for each in watched])
        known = [self._of(each, kept.get(each.datastream_id)) for each in watched]
        behind = [n for n, each in enumerate(watched) if each.newest > known[n].judged_to]
        if not behind:
            return []
        watched, known = [watched[n] for n in behind], [known[n] for n in behind]
        ids = [each.datastream_id for each in watched]
        state = unpack(self._detector.begin(len(ids)), [each.state for each in known])
        judged_to = [each.judged_to for each in known]
        events = _Events(conn, municipality_id, newest_events(conn, ids), now)
        told: list[tuple[Verdict, int]] = []
        while True:
            part = observations.after(conn, ids, judged_to, _ROWS)
            if not any(part[i].times for i in ids):
                break
            rows = self._step(state, [part[i] for i in ids])
            for n, each in enumerate(watched):
                series = part[each.datastream_id]
                told += events.of(each, series, [found[n] for found in rows])
                if series.times:
                    judged_to[n] = series.times[-1]
        remember(
            conn,
            municipality_id,
            [Memory(*each) for each in zip(ids, [self._form] * len(ids), judged_to, pack(state), strict=True)],
        )
        return told

    def _of(self, each: _Watched, kept: Memory | None) -> Memory:
        if kept is not None and kept.form == self._form:
            return kept
        # What was judged before under other settings is learnt from again; its verdicts stand.
        return Memory(each.datastream_id, self._form, each.newest - LEARNT, self._blank)

    def _step(self, state: Known, series: Sequence[Series]) -> list[list[_Found]]:
        """Row by row what is found of each series. What is shorter than the longest has rows that say nothing."""
        rows = max(len(each) for each in series)
        times, values = np.full((rows, len(series)), np.nan), np.full((rows, len(series)), np.nan)
        for n, each in enumerate(series):
            times[: len(each), n] = [time.timestamp() for time in each.times]
            values[: len(each), n] = _believable(each)
        found = []
        for row in range(rows):
            judged = self._detector.step(state, times[row], values[row])
            judged.excess[np.isnan(values[row])] = 0.0
            reasons = [self._detector.checks[number].reason for number in judged.check]
            columns = (judged.excess.tolist(), reasons, judged.returned.tolist(), judged.height.tolist())
            found.append([_Found(*each) for each in zip(*columns, strict=True)])
        return found


def _watched(conn: Connection, rows: Iterable[FeedRow]) -> list[_Watched]:
    newest: dict[int, datetime] = {}
    for row in rows:
        for touched in row.touched:
            newest[touched.datastream_id] = max(touched.end, newest.get(touched.datastream_id, touched.end))
    cursor = conn.execute(
        """
        select datastream_id, municipality_id, observed_property, step, stuck_after is not null from datastream
        where datastream_id = any(%s::integer[]) and observed_property = any(%s) and drill_run is null
        order by datastream_id
        """,
        (array(sorted(newest)), list(TOLD)),
    )
    return [
        # The gate tells a standstill of what somebody has set a limit for.
        _Watched(
            i,
            town,
            TOLD[name] - {Reason.STUCK} if limited else TOLD[name],
            max(_LINGER, _LINGER_STEPS * step),
            newest[i],
        )
        for i, town, name, step, limited in cursor
    ]


def _believable(series: Series) -> Floats:
    """The values that say something about how the series moves; nan in place of the others."""
    aside = [
        quality in (Quality.BAD, Quality.MISSING) or reason in ASIDE
        for quality, reason in zip(series.qualities, series.reasons, strict=True)
    ]
    return np.where(aside, np.nan, series.values)


class _Events:
    """Puts doubted values side by side into events, and gives the verdicts on them."""

    def __init__(self, conn: Connection, municipality_id: int, newest: dict[int, Event], now: datetime) -> None:
        self._conn = conn
        self._municipality_id = municipality_id
        self._newest = newest
        self._now = now

    def of(self, each: _Watched, series: Series, found: Sequence[_Found]) -> list[tuple[Verdict, int]]:
        """What is told of one series."""
        given = []
        for row in range(len(series)):
            excess, reason, returned, height = found[row]
            if returned and _SPIKE in each.told:
                before = self._before(each, series.times[row])
                given += self._tell(each, before, range(len(before) - returned, len(before)), _SPIKE, height)
            if excess >= 1.0 and reason in each.told and reason is not _SPIKE:
                given += self._tell(each, series, range(row, row + 1), reason, excess)
        return given

    def _before(self, each: _Watched, time: datetime) -> Series:
        """The values that the checks saw last before a time."""
        found = observations.before(self._conn, [each.datastream_id], [time], _NEAR)[each.datastream_id]
        seen = np.flatnonzero(~np.isnan(_believable(found)))
        return Series(
            [found.times[n] for n in seen],
            found.values[seen],
            [found.qualities[n] for n in seen],
            [found.reasons[n] for n in seen],
        )

    def _tell(
        self, each: _Watched, series: Series, rows: range, reason: Reason, excess: float
    ) -> list[tuple[Verdict, int]]:
        """The verdicts on those values of the series that may be doubted: good ones that nobody has looked at."""
        given = []
        for row in rows:
            if row < 0 or series.qualities[row] is not Quality.GOOD or series.reasons[row] is not None:
                continue
            time, value = series.times[row], float(series.values[row])
            event_id, reviewed = self._event(each, time, reason, excess)
            if reviewed != "true":
                verdict = Verdict(each.datastream_id, time, value, Quality.GOOD, None, Quality.DOUBTFUL, reason)
                given.append((verdict, event_id))
        return given

    def _event(self, each: _Watched, time: datetime, reason: Reason, excess: float) -> tuple[int, str | None]:
        """The event of this value, its own or the one that lasts."""
        held = self._newest.get(each.datastream_id)
        # What was found false is another case when it goes on; what was found true stays true while it lasts.
        if held is None or time - held.last > each.linger or held.reviewed in ("false", "shifted"):
            before = self._before(each, time)
            usual = float(before.values[-1]) if len(before) else None
            event = Event(None, each.datastream_id, reason, time, time, 1, excess, usual)
        else:
            event = held._replace(last=max(time, held.last), n=held.n + 1)
            if excess > held.excess:
                event = event._replace(reason=reason, excess=excess)
        event_id = put_event(self._conn, self._municipality_id, event, told=self._now, rule=RULE)
        self._newest[each.datastream_id] = event._replace(event_id=event_id)
        return event_id, event.reviewed
