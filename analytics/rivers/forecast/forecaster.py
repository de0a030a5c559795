"""The level in one to six hours: learned from a record, or by a simple rule where there is too little of one.

    train(record, leads=LEADS) -> Forecaster
    Forecaster.forecast(record, rows) -> Fan        row = issue time; nothing after it is used
    Forecaster.dump() -> bytes, Forecaster.load(bytes)

`method` says what stands behind it: `learned`; `rise` where less than `FEWEST` hours of the record can be learned from,
so that it goes on as it has for the last hour, damped; nothing is said of rows where no level is known.

Members (`linear`, `forest`) are stacked by how they did where they had not been trained, and weighed against each other
and the simple rule by what came true since (`running`), in the record and after it up to each issue time. Inputs are
held within what the record has seen, and what is expected within the largest rise and fall of it and what the rule
says: far beyond the record it is the rule that speaks.

There the record cannot say how far off that may be. Where a situation (`inputs.situation`) is so many times what the
record has seen, the upper end takes in what the members would expect of it made so much smaller, made so much larger
again, and a rise that goes on as it does now: the more, the further beyond, and all of it from twice the record on.

Cost: learning from 61,000 rows takes some seconds, most of it for the forest, which sees at most `FOREST_ROWS` of them:
all that move most and one in many of the others, with its weight. A forecast takes some milliseconds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from analytics.rivers.forecast.fan import QUANTILES, Fan
from analytics.rivers.forecast.forest import Forest
from analytics.rivers.forecast.inputs import Inputs, ahead, inputs, situation
from analytics.rivers.forecast.intervals import Intervals
from analytics.rivers.forecast.linear import KINDS, Linear
from analytics.rivers.forecast.record import Floats, Ints, Record
from analytics.rivers.forecast.running import Balance, guarded, rise
from analytics.rivers.forecast.stacking import folds, weigh

LEADS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
FEWEST = 72  # hours
FOREST_ROWS = 4000
NEIGHBOURS = 6  # the most that are listened to
MEMORABLE = 10  # times as long as it looks back must a record be, that it may look so far
GAP = 24  # hours between what a member learns from and what it is tried on
REACH = 1.1  # own changes, as a share of the largest seen
FARTHEST = 1.5  # an expected change, as a share of the largest seen
FURTHEST = 100.0  # times the record: further nothing is told apart
FORM = 2  # of what `dump` writes

Member = Linear | Forest


class OtherForm(Exception):
    """What was kept is of another release: it is to be learned again."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a record has taught. `chosen` neighbours of the record; `memory` hours looked back; `steps`, `low`, `high`:
    what it has seen of them and of each input, `most` (q,) of the `situation`; `falls`, `rises` (L,) the largest
    changes; `until` seconds since 1970.
    """

    chosen: Ints
    memory: float
    steps: Floats
    low: Floats
    high: Floats
    most: Floats
    falls: Floats
    rises: Floats
    members: tuple[Member, ...]
    balance: Balance
    intervals: Intervals
    until: float

    def expect(self, columns: Floats, simple: Floats) -> Floats:
        """The change (m, L, E) that each member and, last, the rule (m, L) expect."""
        told = np.clip(columns, self.low, self.high)
        return np.stack([*(member.expect(told) for member in self.members), simple], axis=-1)

    def beyond(self, seen: Inputs) -> Floats:
        """(m,) how many times the record each of these situations is; 1 where it is within."""
        times = situation(seen) / np.maximum(self.most, 1e-9)
        found: Floats = np.clip(times.max(axis=1, initial=0.0), 1.0, FURTHEST)
        return found


class Forecaster:
    """By what was learned, or without it by the rule of the rise with the increments of the record itself."""

    def __init__(self, leads: tuple[float, ...], learned: Learned | None) -> None:
        self.leads, self._learned = leads, learned
        self.method = "rise" if learned is None else "learned"

    def forecast(self, record: Record, rows: Ints) -> Fan:
        """What was to be expected at each of `rows` of the record, ascending, whose neighbours and rain gauges are
        those that were learned from. What came true between the end of the learning and a row is taken into account.
        """
        learned = self._learned
        rows = np.asarray(rows, dtype=np.intp)
        if learned is None:
            return self._by_rule(record, rows)
        heard = Record(record.start, record.step, record.level, record.neighbours[:, learned.chosen], record.rain)
        track = _track(record, learned.until, rows)
        # Where the gauge has missed readings it is the newest one that is gone on from.
        asked, rows = rows, rows - _age(record, rows)
        every = np.union1d(track, rows)
        # Most rows are both: the members are asked once.
        seen = inputs(heard, learned.steps, every).within(learned.memory)
        told, issued = np.searchsorted(every, track), np.searchsorted(every, rows)
        simple = rise(seen.rate, self.leads)
        experts = learned.expect(seen.columns, simple)
        changes = _changes(record, seen, self.leads, track)
        # Also the forecasts of the track are made with what was known by then.
        apart = _stride(record) / record.hour
        last = _known_by(track, every, self.leads, record.hour)
        weights = _at(learned.balance.after(experts[told], changes, apart), last, learned.balance.at_first())
        together = learned.balance.blend(weights, experts)
        together = guarded(together, together[told], changes, last, apart)
        room = FARTHEST * np.abs(simple)
        together = np.clip(together, learned.falls - room, learned.rises + room)
        size, least_reach = together.copy(), np.full(together.shape, -np.inf)
        beyond = learned.beyond(seen)
        far = np.flatnonzero(beyond > 1.0)
        if len(far):
            times, share = beyond[far, None], np.minimum(1.0, beyond[far, None] - 1.0)
            smaller = learned.expect(seen.columns[far] / times, simple[far] / times)
            as_much = times * learned.balance.blend(weights[far], smaller)
            as_fast = seen.rate[far, None] * np.array(self.leads)
            here = together[far]
            size[far] = np.maximum(np.abs(here), (1.0 - share) * np.abs(here) + share * np.abs(as_much))
            least_reach[far] = here + share * np.maximum(np.maximum(as_much, as_fast) - here, 0.0)
        spread = learned.intervals.spread(size, seen.rate, _rain(seen))
        stretches = learned.intervals.stretches(spread[told], changes - together[told], apart)
        stretch = _at(stretches, last[issued], np.zeros(stretches.shape[1:]))
        level = seen.level[rows]
        values = level[:, None] + together[issued]
        around = learned.intervals.quantiles(together[issued], spread[issued], stretch, least_reach[issued])
        quantiles = level[:, None, None] + around
        for at in np.flatnonzero(asked > rows):
            later = np.array(self.leads) + (asked[at] - rows[at]) / record.hour
            values[at] = np.interp(later, self.leads, values[at])
            quantiles[at] = np.column_stack([np.interp(later, self.leads, each) for each in quantiles[at].T])
        left_out = np.zeros((len(rows), record.neighbours.shape[1]), dtype=np.bool_)
        left_out[:, learned.chosen] = seen.left_out[asked]
        # Too old to be gone on from: nothing is known, and nothing is said.
        unknown = np.isnan(seen.level[asked])
        values[unknown], quantiles[unknown] = np.nan, np.nan
        return Fan(self.leads, values, quantiles, np.where(unknown, np.nan, level), left_out)

    def _by_rule(self, record: Record, rows: Ints) -> Fan:
        """The rule, and as intervals what the record itself has missed by it up to each row."""
        seen = inputs(record)
        simple = rise(seen.rate, self.leads)
        missed = _changes(record, seen, self.leads, np.arange(len(seen.level))) - simple
        quantiles = np.full((len(rows), len(self.leads), len(QUANTILES)), np.nan)
        for at, row in enumerate(rows):
            for lead, hours in enumerate(self.leads):
                known = missed[: max(0, row + 1 - round(hours * record.hour)), lead]
                known = known[~np.isnan(known)]
                # Fewer than this say nothing of one in twenty.
                if len(known) >= 40:
                    quantiles[at, lead] = simple[row, lead] + np.quantile(known, QUANTILES)
        level = seen.level[rows]
        return Fan(
            self.leads,
            level[:, None] + simple[rows],
            level[:, None, None] + quantiles,
            level,
            seen.left_out[rows],
        )

    def dump(self) -> bytes:
        """As one file of arrays (npz) without pickles."""
        arrays: dict[str, Any] = {"leads": np.array(self.leads), "form": np.array(FORM)}
        kinds = []
        if self._learned is not None:
            for name in _PLAIN:
                arrays[name] = getattr(self._learned, name)
            for part in ("balance", "intervals"):
                of = getattr(self._learned, part)
                arrays |= {f"{part}.{each.name}": getattr(of, each.name) for each in fields(of)}
            for at, member in enumerate(self._learned.members):
                kinds.append(member.kind if isinstance(member, Linear) else "forest")
                if isinstance(member, Linear):
                    arrays |= {f"{at}.names": np.array(member.names), f"{at}.weights": member.weights}
                else:
                    arrays |= {f"{at}.{each.name}": getattr(member, each.name) for each in fields(member)}
        arrays["kinds"] = np.array(json.dumps(kinds))
        stored = io.BytesIO()
        np.savez_compressed(stored, **arrays)
        return stored.getvalue()

    @staticmethod
    def load(stored: bytes) -> Forecaster:
        """OtherForm: it was kept by another release."""
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            leads = tuple(float(each) for each in arrays["leads"])
            if "until" not in arrays:
                return Forecaster(leads, None)
            if "form" not in arrays or int(arrays["form"]) != FORM:
                raise OtherForm
            members: list[Member] = []
            for at, kind in enumerate(json.loads(str(arrays["kinds"]))):
                if kind == "forest":
                    members.append(Forest(**{each.name: arrays[f"{at}.{each.name}"] for each in fields(Forest)}))
                else:
                    members.append(Linear(kind, tuple(str(n) for n in arrays[f"{at}.names"]), arrays[f"{at}.weights"]))
            plain = {name: arrays[name] for name in _PLAIN if name not in ("until", "memory")}
            return Forecaster(
                leads,
                Learned(
                    **plain,
                    memory=float(arrays["memory"]),
                    until=float(arrays["until"]),
                    members=tuple(members),
                    balance=Balance(**{each.name: arrays[f"balance.{each.name}"] for each in fields(Balance)}),
                    intervals=Intervals(**{each.name: arrays[f"intervals.{each.name}"] for each in fields(Intervals)}),
                ),
            )


_PLAIN = ("chosen", "memory", "steps", "low", "high", "most", "falls", "rises", "until")


def train(record: Record, leads: tuple[float, ...] = LEADS) -> Forecaster:
    """Any record, also an empty one."""
    chosen = np.arange(record.neighbours.shape[1])
    seen = inputs(record)
    changes = _changes(record, seen, leads, np.arange(len(seen.level)))
    rows = _learnable(record, changes)
    if len(rows) < FEWEST * record.hour:
        return Forecaster(leads, None)
    if len(chosen) > NEIGHBOURS:
        chosen = _telling(seen, changes[rows], rows, len(chosen))
        seen = inputs(Record(record.start, record.step, record.level, record.neighbours[:, chosen], record.rain))
    memory = len(rows) / record.hour / MEMORABLE
    seen = seen.within(memory)
    told, changes, rate = seen.columns[rows], changes[rows], seen.rate[rows]
    low, high = _reach(told, seen.names)
    makers: list[Callable[[Ints], Member]] = [_linear(kind, seen.names, told, changes, record.hour) for kind in KINDS]
    makers.append(_forest(told, changes, record.hour))
    simple = rise(rate, leads)
    tried = np.zeros((len(rows), len(leads), len(makers) + 1))
    tried[..., -1] = simple
    for learn, test in folds(rows, GAP * record.hour):
        # As later with what is beyond the record: held within what was seen.
        within = np.clip(told[test], *_reach(told[learn], seen.names))
        for at, make in enumerate(makers):
            tried[test, :, at] = make(learn).expect(within)
    prior = np.column_stack([weigh(tried[..., :-1], changes), np.zeros(len(leads))])
    balance = Balance.of(tried, prior, changes, record.hour)
    together = balance.blend(balance.at_first(), tried)
    everything = np.arange(len(rows))
    return Forecaster(
        leads,
        Learned(
            chosen=chosen,
            memory=memory,
            steps=seen.steps,
            low=low,
            high=high,
            most=situation(seen).max(axis=0),
            falls=FARTHEST * np.minimum(changes.min(axis=0), 0.0),
            rises=FARTHEST * np.maximum(changes.max(axis=0), 0.0),
            members=tuple(make(everything) for make in makers),
            balance=balance,
            intervals=Intervals.learn(together, rate, _rain(seen)[rows], changes - together, record.hour),
            until=record.start + record.step * (len(record.level) - 1),
        ),
    )


def _reach(columns: Floats, names: tuple[str, ...]) -> tuple[Floats, Floats]:
    """The least and the most of each input that is believed, 0 always among them."""
    own = np.array([REACH if name[0] in "ds" else 1.0 for name in names])
    return columns.min(axis=0, initial=0.0) * own, columns.max(axis=0, initial=0.0) * own


def _linear(kind: str, names: tuple[str, ...], columns: Floats, changes: Floats, hour: int) -> Callable[[Ints], Member]:
    return lambda rows: Linear.fit(kind, names, columns[rows], changes[rows], hour)


def _forest(columns: Floats, changes: Floats, hour: int) -> Callable[[Ints], Member]:
    moving = (np.abs(changes) / (np.sqrt((changes**2).mean(axis=0)) + 1e-12)).max(axis=1)

    def make(rows: Ints) -> Member:
        weights = np.ones(len(rows))
        if len(rows) > FOREST_ROWS:
            order = np.argsort(-moving[rows], kind="stable")
            most, others = order[: FOREST_ROWS // 2], order[FOREST_ROWS // 2 :]
            drawn = others[:: -(-len(others) // (FOREST_ROWS // 2))]
            weights = np.concatenate([np.ones(len(most)), np.full(len(drawn), len(others) / len(drawn))])
            rows = rows[np.concatenate([most, drawn])]
        return Forest.fit(columns[rows], changes[rows], weights, hour)

    return make


def _changes(record: Record, seen: Inputs, leads: tuple[float, ...], rows: Ints) -> Floats:
    """(m, L) from the level known at each of `rows` to the one measured so many hours later."""
    later = [ahead(record.level, round(lead * record.hour))[rows] for lead in leads]
    return np.column_stack(later) - seen.level[rows, None]


def _learnable(record: Record, changes: Floats) -> Ints:
    """Rows with a level of their own and all that came of it, the first hours left out."""
    known = ~np.isnan(record.level) & ~np.isnan(changes).any(axis=1)
    begun = np.flatnonzero(~np.isnan(record.level))
    if len(begun):
        known[: begun[0] + 6 * record.hour] = False
    return np.flatnonzero(known)


def _telling(seen: Inputs, changes: Floats, rows: Ints, k: int) -> Ints:
    """The neighbours whose last three hours say most of what the gauge's own course does not say."""
    own = seen.of("d1", "d2", "d3")[rows]
    middle = changes[:, changes.shape[1] // 2]
    rest = middle - own @ np.linalg.lstsq(own, middle, rcond=None)[0]
    scores = []
    for at in range(k):
        moved = seen.of(f"n{at}d1", f"n{at}d2", f"n{at}d3")[rows].sum(axis=1)
        size = np.sqrt((moved**2).sum() * (rest**2).sum())
        scores.append(abs(float(moved @ rest)) / size if size > 0 else 0.0)
    return np.sort(np.argsort(-np.array(scores), kind="stable")[:NEIGHBOURS])


def _age(record: Record, rows: Ints) -> Ints:
    """How many rows ago each level was measured; 0 where it never was."""
    measured = np.where(np.isnan(record.level), -1, np.arange(len(record.level)))
    last = np.maximum.accumulate(measured) if len(measured) else measured
    age: Ints = np.where(last[rows] < 0, 0, rows - last[rows])
    return age


def _rain(seen: Inputs) -> Floats:
    found = seen.of("e2")
    return found[:, 0] if found.shape[1] else np.zeros(len(found))


def _track(record: Record, until: float, rows: Ints) -> Ints:
    """Rows `_stride` apart from the end of the learning up to the last issue time."""
    first = max(0, int((until - record.start) // record.step) + 1)
    return np.arange(first, int(rows[-1]) + 1 if len(rows) else first, _stride(record), dtype=np.intp)


def _stride(record: Record) -> int:
    """About an hour, and not a whole one where it can be helped: many devices do the same thing every hour."""
    return record.hour + 1 if record.hour > 1 else 1


def _known_by(track: Ints, rows: Ints, leads: tuple[float, ...], hour: int) -> Ints:
    """(m, L) the last place of the track that has come true at each of `rows`: a lead's only after it; -1 for none."""
    return np.column_stack([np.searchsorted(track, rows - round(lead * hour), side="right") - 1 for lead in leads])


def _at(after: Floats, rows: Ints, at_first: Floats) -> Floats:
    """Of what holds `after` each row of the track (t, L, ...), that of `rows` (m, L), each lead its own; `at_first`
    (L, ...) where the row is negative.
    """
    if not len(after):
        return np.broadcast_to(at_first, (len(rows), *at_first.shape))
    early = (rows < 0).reshape(*rows.shape, *([1] * (at_first.ndim - 1)))
    return np.where(early, at_first, after[rows, np.arange(rows.shape[1])])
