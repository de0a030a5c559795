"""The learnt checks over the change feed: values are doubted for what their series has done so far.

Ingest judges a value before it is stored, by what somebody has said of its series (`quality.gate`). Here it is judged
again by what the series has taught (`quality.detector`), beside the pages and alerts and a moment later. A good value
that is told becomes doubtful, with the reason; the verdict before and the new one are both kept (`quality_verdict`).
Values that are told side by side are one event (`quality_event`), which people confirm or overrule.

A flood must never be doubted for being rare: a value that has jumped is told when the series has come back from it,
and not before (`Found.of`). A flood does not come back within three values.

Each value is looked at once, in the order of time: what comes late, behind what was judged, keeps the verdict of the
gate. What is known of a series is kept with the cursor in one transaction, so that a kill changes nothing, and how the
feed was cut into batches neither. A series that is seen for the first time is learnt from its last `LEARNT`.

Gauges are compared with those beside them (`quality.neighbours`). What a neighbour has measured counts where it was
stored when the value is judged, and is no later than it by its own time. So all gauges of a town are judged together,
as far as all are stored: then the verdicts follow from the values, in whatever order they are looked at.

Not everything that is unusual speaks against the sensor: `TOLD` says what does, by observed property.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from analytics.beside import Place, near
from analytics.judging import Doubt, Judging, alone, beside, contained
from devices.clock import Clock
from devices.model import ASIDE, ObservedProperty, Quality, Reason
from quality.estimator import Floats
from quality.memory import pack, unpack
from store import Connection, observations
from store.arrays import array
from store.doubts import Event, Memory, doubt, memories, newest_events, put_event, remember
from store.feed import FeedRow
from store.observations import Series
from store.verdicts import Verdict

NAME = "quality"  # of the feed cursor
LEARNT = timedelta(days=35)
RULE = "learnt:1"

# What rises and falls beside each other: others may be added once recordings show that it helps.
COMPARED = ObservedProperty.WATER_LEVEL
# What cannot jump.
CONTAINED = ObservedProperty.TANK_LEVEL
_SPIKE, _STUCK = Reason.SPIKE, Reason.STUCK
# A rise of the river is a step and a tremble in itself, so these are told of a gauge whose neighbours have not shared
# them; a leak is a step of the flow. Such a value is true, and what it means is for `alerts` and `analytics.leaks` to
# tell. How many people or cars are there may jump as it likes. The air cools by ten degrees under a thunderstorm, and
# trembles as the sun comes and goes. What is counted in an interval is compared by `analytics.visitors`; a contact has
# nothing to learn.
TOLD: dict[str, frozenset[Reason]] = {
    ObservedProperty.WATER_LEVEL: frozenset({_SPIKE, Reason.STEP, Reason.NOISE, Reason.NEIGHBOURS, _STUCK}),
    ObservedProperty.TANK_LEVEL: frozenset({_SPIKE, Reason.STEP, Reason.NOISE, _STUCK}),
    ObservedProperty.FLOW: frozenset({_SPIKE, Reason.NOISE, _STUCK}),
    ObservedProperty.PRESSURE: frozenset({_SPIKE, Reason.NOISE, _STUCK}),
    ObservedProperty.RESIDUAL_CHLORINE: frozenset({_SPIKE, Reason.STEP, Reason.DRIFT, Reason.NOISE, _STUCK}),
    ObservedProperty.AIR_TEMPERATURE: frozenset({_SPIKE, _STUCK}),
    ObservedProperty.TURBIDITY: frozenset({_SPIKE, Reason.DRIFT, Reason.NOISE, _STUCK}),
}

_ROWS = 2000  # of each series, judged at a time
_NEAR = 24  # so many values back a good one is looked for
_LINGER_STEPS, _LINGER = 6, timedelta(hours=1)


def told_of(observed: str, *, limited: bool) -> frozenset[Reason]:
    """What may be told of an observed property; `limited`: the gate tells a standstill, as somebody has set a limit."""
    return TOLD.get(observed, frozenset()) - ({Reason.STUCK} if limited else frozenset())


def judging_of(observed: str) -> Callable[[], Judging]:
    """How series of an observed property are judged."""
    return {COMPARED: beside, CONTAINED: contained}.get(ObservedProperty(observed), alone)


def linger(step: timedelta) -> timedelta:
    """Doubted values no farther apart are one event, of a series with so much between two values."""
    return max(_LINGER, _LINGER_STEPS * step)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A datastream that is judged. `newest`: of what the feed says has changed in it, None where it says nothing and
    the series is looked at for its neighbours. `place`: of what is compared with them.
    """

    datastream_id: int
    municipality_id: int
    observed: str
    told: frozenset[Reason]
    linger: timedelta
    newest: datetime | None
    place: Place | None


class Doubts:
    """The body of the feed consumer. `clock` is the town's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._judges = {each: _Judge(each()) for each in (alone, contained, beside)}

    def handle(self, conn: Connection, rows: Sequence[FeedRow]) -> None:
        """Judges what is new in the datastreams that the rows name, in the caller's transaction."""
        watched = _watched(conn, rows)
        given: dict[int, list[tuple[Verdict, int]]] = {}
        now = self._clock.now()
        for municipality_id in sorted({each.municipality_id for each in watched}):
            own = [each for each in watched if each.municipality_id == municipality_id]
            given[municipality_id] = [
                told
                for how, judge in self._judges.items()
                for told in judge.judged(conn, municipality_id, [e for e in own if judging_of(e.observed) is how], now)
            ]
        for municipality_id, verdicts in given.items():
            if verdicts:
                doubt(conn, municipality_id, verdicts, told=now)


class _Judge:
    """Judges series, each for itself or also beside its neighbours."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._form = judging.form
        self._blank = pack(judging.begin(1))[0]

    def judged(
        self, conn: Connection, municipality_id: int, watched: Sequence[_Watched], now: datetime
    ) -> list[tuple[Verdict, int]]:
        """What is told of these, with its event; what was learnt of them is kept."""
        kept = memories(conn, [each.datastream_id for each in watched])
        newest = max((each.newest for each in watched if each.newest is not None), default=now)
        known = [self._of(each, kept.get(each.datastream_id), newest) for each in watched]
        behind = [n for n, each in enumerate(watched) if each.newest is not None and each.newest > known[n].judged_to]
        if not behind:
            return []
        if not self._judging.compares:
            watched, known = [watched[n] for n in behind], [known[n] for n in behind]
        near_by = near([each.place for each in watched if each.place is not None])
        ids = [each.datastream_id for each in watched]
        state = unpack(self._judging.begin(len(ids)), [each.state for each in known])
        judged_to = [each.judged_to for each in known]
        events = _Events(conn, municipality_id, newest_events(conn, ids), now)
        told: list[tuple[Verdict, int]] = []
        while True:
            part = _even(observations.after(conn, ids, judged_to, _ROWS))
            if not any(part[i].times for i in ids):
                break
            found = self._judging.step(state, *_rows([part[i] for i in ids]), near_by)
            for n, each in enumerate(watched):
                series = part[each.datastream_id]
                told += events.of(each, series, found.of(n, each.told))
                if series.times:
                    judged_to[n] = series.times[-1]
        learnt = [
            Memory(i, self._form, to, packed)
            for i, to, packed, before in zip(ids, judged_to, pack(state), known, strict=True)
            if to > before.judged_to
        ]
        remember(conn, municipality_id, learnt)
        return told

    def _of(self, each: _Watched, kept: Memory | None, newest: datetime) -> Memory:
        if kept is not None and kept.form == self._form:
            return kept
        # What was judged before under other settings is learnt from again; its verdicts stand.
        return Memory(each.datastream_id, self._form, (each.newest or newest) - LEARNT, self._blank)


def _rows(series: Sequence[Series]) -> tuple[Floats, Floats]:
    """Times and believable values side by side. What is shorter than the longest has rows that say nothing."""
    rows = max(len(each) for each in series)
    times, values = np.full((rows, len(series)), np.nan), np.full((rows, len(series)), np.nan)
    for n, each in enumerate(series):
        times[: len(each), n] = [time.timestamp() for time in each.times]
        values[: len(each), n] = _believable(each)
    return times, values


def _even(part: dict[int, Series]) -> dict[int, Series]:
    """As far as all of them were read: of two neighbours none is judged before the other is there."""
    ends = [each.times[-1] for each in part.values() if len(each) == _ROWS]
    if not ends:
        return part
    return {i: each.until(min(ends)) for i, each in part.items()}


def _watched(conn: Connection, rows: Iterable[FeedRow]) -> list[_Watched]:
    newest: dict[int, datetime] = {}
    for row in rows:
        for touched in row.touched:
            newest[touched.datastream_id] = max(touched.end, newest.get(touched.datastream_id, touched.end))
    cursor = conn.execute(
        """
        with touched as (
            select datastream_id, municipality_id, observed_property from datastream
            where datastream_id = any(%s::integer[]) and observed_property = any(%s) and drill_run is null)
        select d.datastream_id, d.municipality_id, d.observed_property, d.step, d.stuck_after is not null,
               s.latitude, s.longitude, r.river, r.km_from_mouth
        from datastream d join station s using (station_id) left join station_river r using (station_id)
        where d.datastream_id in (select datastream_id from touched)
           or (d.observed_property = %s and d.drill_run is null
               and d.municipality_id in (select municipality_id from touched where observed_property = %s))
        order by d.datastream_id
        """,
        (array(sorted(newest)), list(TOLD), COMPARED, COMPARED),
    )
    return [
        _Watched(
            i,
            town,
            name,
            told_of(name, limited=limited),
            linger(step),
            newest.get(i),
            Place(*place) if name == COMPARED else None,
        )
        for i, town, name, step, limited, *place in cursor
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

    def of(self, each: _Watched, series: Series, found: Iterable[Doubt]) -> list[tuple[Verdict, int]]:
        """What is told of one series."""
        given = []
        for row, back, reason, excess in found:
            if back:
                before = self._before(each, series.times[row])
                given += self._tell(each, before, range(len(before) - back, len(before)), reason, excess)
            else:
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
