"""The level in one to six hours: learned from a record, or by a simple rule where there is too little of one.

    train(record, leads=LEADS) -> Forecaster
    Forecaster.forecast(record, rows) -> Fan        row = issue time; nothing after it is used
    Forecaster.dump() -> bytes, Forecaster.load(bytes)

`method` says what stands behind it: `learned`; `rise` where less than `FEWEST` hours of the record can be learned from,
so that it goes on as it has for the last hour, damped; nothing is said of rows where no level is known.

Members (`linear`, `forest`) are stacked by how they did where they had not been trained, and weighed against the simple
rule by what came true since (`running`), in the record and after it up to each issue time. Inputs are held within what
the record has seen, and what is expected within the largest rise and fall of it and what the rule says: far beyond the
record it is the rule that speaks.

Cost: learning from 61,000 rows takes some seconds, most of it for the forest, which sees at most `FOREST_ROWS` of them:
all that move most and one in many of the others, with its weight. A forecast takes some milliseconds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from analytics.rivers.forecast.fan import QUANTILES, Fan
from analytics.rivers.forecast.forest import Forest
from analytics.rivers.forecast.inputs import Inputs, ahead, inputs
from analytics.rivers.forecast.intervals import Intervals
from analytics.rivers.forecast.linear import KINDS, Linear
from analytics.rivers.forecast.record import Floats, Ints, Record
from analytics.rivers.forecast.running import Balance, blend, guarded, rise
from analytics.rivers.forecast.stacking import folds, weigh

LEADS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
FEWEST = 72  # hours
FOREST_ROWS = 6000
NEIGHBOURS = 6  # the most that are listened to
MEMORABLE = 10  # times as long as it looks back must a record be, that it may look so far
GAP = 24  # hours between what a member learns from and what it is tried on
REACH = 1.1  # own changes, as a share of the largest seen
FARTHEST = 1.5  # an expected change, as a share of the largest seen

Member = Linear | Forest


@dataclass(frozen=True, slots=True)
class Learned:
    """What a record has taught. `chosen` neighbours of the record; `memory` hours looked back; `steps`, `low`, `high`: what it has seen of them and of
    each input; `falls`, `rises` (L,) the largest changes; `weights` (members, L); `until` seconds since 1970.
    """

    chosen: Ints
    memory: float
    steps: Floats
    low: Floats
    high: Floats
    falls: Floats
    rises: Floats
    members: tuple[Member, ...]
    weights: Floats
    balance: Balance
    intervals: Intervals
    until: float

    def expect(self, columns: Floats) -> Floats:
        """The change (m, L) that the members expect together."""
        told = np.clip(columns, self.low, self.high)
        return sum(
            (member.expect(told) * weight for member, weight in zip(self.members, self.weights, strict=True)),
            start=np.zeros((len(columns), self.weights.shape[1])),
        )


class Forecaster:
    """By what was learned, or without it by the rule of the rise with the increments of the record itself."""

    def __init__(self, leads: tuple[float, ...], learned: Learned | None) -> None:
        self.leads, self._learned = leads, learned
        self.method = "rise" if learned is None else "learned"

    def forecast(self, record: Record, rows: Ints) -> Fan:
        """What was to be expected at each of `rows` of the record, ascending, of which the neighbours and rain gauges are
        those that were learned from. What came true between the end of the learning and a row is taken into account.
        """
        learned = self._learned
        rows = np.asarray(rows, dtype=np.intp)
        if learned is None:
            return self._by_rule(record, rows)
        heard = Record(record.start, record.step, record.level, record.neighbours[:, learned.chosen], record.rain)
        seen = inputs(heard, learned.steps).within(learned.memory)
        track = _track(record, learned.until, rows)
        every = np.union1d(track, rows)
        # Most rows are both: the members are asked once.
        expected, simple = learned.expect(seen.columns[every]), rise(seen.rate[every], self.leads)
        told, issued = np.searchsorted(every, track), np.searchsorted(every, rows)
        changes = _changes(record, seen, self.leads)[track]
        # Also the forecasts of the track are made with what was known by then.
        after = learned.balance.after(expected[told], simple[told], changes, _stride(record) / record.hour)
        together = blend(after.at(_known_by(track, every, self.leads, record.hour), learned.balance), expected, simple)
        known = _known_by(track, every, self.leads, record.hour)
        together = guarded(
            together,
            together[told],
            changes,
            known,
            _stride(record) / record.hour,
        )
        room = FARTHEST * np.abs(simple)
        together = np.clip(together, learned.falls - room, learned.rises + room)
        spread = learned.intervals.spread(together, seen.rate[every], _rain(seen, every))
        stretched = learned.intervals.stretches(spread[told], changes - together[told])
        last = _known_by(track, rows, self.leads, record.hour)
        known = stretched[last, np.arange(len(self.leads))] if len(track) else np.zeros((*last.shape, 2))
        stretch = np.where((last >= 0)[..., None], known, 0.0)
        level = seen.level[rows]
        quantiles = learned.intervals.quantiles(together[issued], spread[issued], stretch)
        left_out = np.zeros((len(rows), record.neighbours.shape[1]), dtype=np.bool_)
        left_out[:, learned.chosen] = seen.left_out[rows]
        return Fan(self.leads, level[:, None] + together[issued], level[:, None, None] + quantiles, level, left_out)

    def _by_rule(self, record: Record, rows: Ints) -> Fan:
        """The rule, and as intervals what the record itself has missed by it up to each row."""
        seen = inputs(record)
        simple = rise(seen.rate, self.leads)
        missed = _changes(record, seen, self.leads) - simple
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
        arrays: dict[str, Floats | Ints] = {"leads": np.array(self.leads)}
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
        np.savez_compressed(stored, **arrays)  # type: ignore[arg-type]
        return stored.getvalue()

    @staticmethod
    def load(stored: bytes) -> Forecaster:
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            leads = tuple(float(each) for each in arrays["leads"])
            if "until" not in arrays:
                return Forecaster(leads, None)
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


_PLAIN = ("chosen", "memory", "steps", "low", "high", "falls", "rises", "weights", "until")


def train(record: Record, leads: tuple[float, ...] = LEADS) -> Forecaster:
    """Any record, also an empty one."""
    chosen = np.arange(record.neighbours.shape[1])
    seen = inputs(record)
    changes = _changes(record, seen, leads)
    rows = _learnable(record, changes)
    if len(rows) < FEWEST * record.hour:
        return Forecaster(leads, None)
    if len(chosen) > NEIGHBOURS:
        chosen = _telling(seen, changes[rows], rows, len(chosen))
        seen = inputs(Record(record.start, record.step, record.level, record.neighbours[:, chosen], record.rain))
    memory = len(rows) / record.hour / MEMORABLE
    seen = seen.within(memory)
    told, changes, rate = seen.columns[rows], changes[rows], seen.rate[rows]
    low, high = told.min(axis=0), told.max(axis=0)
    own = np.array([name[0] in "ds" for name in seen.names])
    low, high = np.where(own, low * REACH, low), np.where(own, high * REACH, high)

    makers: list[Callable[[Ints], Member]] = [_linear(kind, seen.names, told, changes, record.hour) for kind in KINDS]
    makers.append(_forest(told, changes, record.hour))
    tried = np.zeros((len(rows), len(makers), len(leads)))
    for learn, test in folds(rows, GAP * record.hour):
        for at, make in enumerate(makers):
            tried[test, at] = make(learn).expect(told[test])
    weights = weigh(tried, changes)
    expected = np.einsum("mal,al->ml", tried, weights)
    simple = rise(rate, leads)
    balance = Balance.of(expected, simple, changes, record.hour)
    together = blend(balance, expected, simple)
    counted = np.flatnonzero(weights.max(axis=1) > 0)
    everything = np.arange(len(rows))
    return Forecaster(
        leads,
        Learned(
            chosen=chosen,
            memory=memory,
            steps=seen.steps,
            low=low,
            high=high,
            falls=FARTHEST * np.minimum(changes.min(axis=0), 0.0),
            rises=FARTHEST * np.maximum(changes.max(axis=0), 0.0),
            members=tuple(makers[at](everything) for at in counted),
            weights=weights[counted],
            balance=balance,
            intervals=Intervals.learn(together, rate, _rain(seen, rows), changes - together),
            until=record.start + record.step * (len(record.level) - 1),
        ),
    )


def _linear(
    kind: str, names: tuple[str, ...], columns: Floats, changes: Floats, hour: int
) -> Callable[[Ints], Member]:
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


def _changes(record: Record, seen: Inputs, leads: tuple[float, ...]) -> Floats:
    """(n, L) from the level known at each row to the one measured so many hours later."""
    later = [ahead(record.level, round(lead * record.hour)) for lead in leads]
    return np.column_stack(later) - seen.level[:, None]


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


def _rain(seen: Inputs, rows: Ints) -> Floats:
    found = seen.of("e2")
    return found[rows, 0] if found.shape[1] else np.zeros(len(rows))


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
