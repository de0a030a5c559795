"""The learnt checks over the change feed: values are doubted for what their series has done so far.

Ingest judges a value before it is stored, by what somebody has said of its series (`quality.gate`). Here it is judged
again by what the series has taught (`quality.detector`), beside the pages and alerts and a moment later. A good value
that is told becomes doubtful, with the reason; the verdict before and the new one are both kept (`quality_verdict`).
Values that are told side by side are one event (`quality_event`), which people confirm or overrule.

Each value is looked at once, in the order of time: what comes late, behind what was judged, keeps the verdict of the
gate. What is known of a series is kept with the cursor in one transaction, so that a kill changes nothing, and how the
feed was cut into batches neither. A series that is seen for the first time is learnt from its last `LEARNT`.

Not everything that is unusual speaks against the sensor: `TOLD` says what does, by observed property.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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

_SENSOR = frozenset({Reason.SPIKE, Reason.STEP, Reason.DRIFT, Reason.NOISE, Reason.STUCK})
# A step or a slow change of a flow, a pressure or a tank is what a leak looks like: that is for `analytics.leaks` to
# tell, and the value is true. How many people or cars are there may jump as it likes. What is counted in an interval
# is compared by `analytics.visitors`; a contact has nothing to learn.
TOLD: Mapping[str, frozenset[Reason]] = {
    ObservedProperty.WATER_LEVEL: _SENSOR,
    ObservedProperty.RESIDUAL_CHLORINE: _SENSOR,
    ObservedProperty.TURBIDITY: _SENSOR - {Reason.STEP},
    ObservedProperty.TANK_LEVEL: frozenset({Reason.SPIKE, Reason.NOISE, Reason.STUCK}),
    ObservedProperty.FLOW: frozenset({Reason.SPIKE, Reason.NOISE, Reason.STUCK}),
    ObservedProperty.PRESSURE: frozenset({Reason.SPIKE, Reason.NOISE, Reason.STUCK}),
}

_ROWS = 2000  # of each series, judged at a time
_NEAR = 24  # so many values back a good one is looked for
_LINGER_STEPS, _LINGER = 6, timedelta(hours=1)  # doubted values that are no farther apart are one event


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
            excess, reasons = self._step(state, [part[i] for i in ids])
            for n, each in enumerate(watched):
                series = part[each.datastream_id]
                told += events.of(each, series, excess[:, n], reasons[n])
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

    def _step(self, state: Known, series: Sequence[Series]) -> tuple[Floats, list[list[Reason]]]:
        """The excess of each row of each series, shape (rows, n), and of each series the reasons row by row."""
        rows = max(len(each) for each in series)
        times, values = np.full((rows, len(series)), np.nan), np.full((rows, len(series)), np.nan)
        for n, each in enumerate(series):
            times[: len(each), n] = [time.timestamp() for time in each.times]
            values[: len(each), n] = _believable(each)
        excess, check = np.zeros(values.shape), np.zeros(values.shape, dtype=np.int8)
        for row in range(rows):
            found = self._detector.step(state, times[row], values[row])
            excess[row], check[row] = found.excess, found.check
        excess[np.isnan(values)] = 0.0
        checks = self._detector.checks
        return excess, [[checks[number].reason for number in check[:, n]] for n in range(len(series))]


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
        self._usual: dict[int, float] = {}

    def of(
        self, each: _Watched, series: Series, excess: Floats, reasons: Sequence[Reason]
    ) -> list[tuple[Verdict, int]]:
        """What is told of one series and may be doubted: good values that nobody has looked at."""
        given = []
        for row in range(len(series)):
            if excess[row] < 1.0 or reasons[row] not in each.told:
                if series.qualities[row] is Quality.GOOD:
                    self._usual[each.datastream_id] = float(series.values[row])
                continue
            if series.qualities[row] is not Quality.GOOD or series.reasons[row] is not None:
                continue
            event_id, reviewed = self._event(each, series.times[row], reasons[row], float(excess[row]))
            if reviewed != "true":
                verdict = Verdict(
                    each.datastream_id,
                    series.times[row],
                    float(series.values[row]),
                    Quality.GOOD,
                    None,
                    Quality.DOUBTFUL,
                    reasons[row],
                )
                given.append((verdict, event_id))
        return given

    def _event(self, each: _Watched, time: datetime, reason: Reason, excess: float) -> tuple[int, str | None]:
        """The event of this value, its own or the one that lasts."""
        held = self._newest.get(each.datastream_id)
        # What was found false is another case when it goes on; what was found true stays true while it lasts.
        if held is None or time - held.last > each.linger or held.reviewed in ("false", "shifted"):
            usual = self._usual.get(each.datastream_id)
            if usual is None:
                usual = self._before(each, time)
            event = Event(None, each.datastream_id, reason, time, time, 1, excess, usual)
        else:
            event = held._replace(last=time, n=held.n + 1)
            if excess > held.excess:
                event = event._replace(reason=reason, excess=excess)
        event_id = put_event(self._conn, self._municipality_id, event, told=self._now, rule=RULE)
        self._newest[each.datastream_id] = event._replace(event_id=event_id)
        return event_id, event.reviewed

    def _before(self, each: _Watched, time: datetime) -> float | None:
        """The last good value that is stored before a time, where it is near."""
        found = observations.before(self._conn, [each.datastream_id], [time], _NEAR)[each.datastream_id]
        good = [value for value, quality in zip(found.values, found.qualities, strict=True) if quality is Quality.GOOD]
        return float(good[-1]) if good else None
