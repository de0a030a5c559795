"""The job that looks ahead: trains a model for each river gauge, and says at each new observation what may come.

    follow(dsn, clock, stop)       looks ahead    }  each in a thread and with a connection of its own: levels and
    learn(dsn, clock, stop)        trains         }  alerts wait for neither, nor does the first wait for the second

Only for towns that have switched internal_forecast on (migration 0049); who sees what it stores is decided there.

- Looked ahead is from the newest usable level of each gauge, at most every 10 minutes of town time. Nothing is said of
  an observation older than STALE: of a gauge that is silent nothing is known. What came while the job was away is not
  said afterwards, for nobody could have acted on it.
- A gauge begins with the simple rule at once; what is stored of it is learned from next, and anew a week after the last
  time, after a flood, and when gauges came or went. Every version is kept; where it is worse than the one before it, on
  the observations that both have seen, that one goes on.
- Its scores come from a causal back-test: a twin, trained on the first two thirds of the time, is asked about the last
  one. What it said there is stored as rehearsed, so that past floods can be looked at from the first day on. A job that
  is stopped between the two does the back-test when it is back, from what is stored of the same time.

They have no cursor, and of two processes one does the work (`analytics.alone`). Cost: reading LOOKBACK of all gauges of
a town, once for all.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog

from analytics.alone import follow as alone
from analytics.rivers import forecast_store as stored
from analytics.rivers.backtest import Rehearsal, rehearse, worse
from analytics.rivers.forecast.fan import Fan
from analytics.rivers.forecast.forecaster import LEADS, Forecaster, OtherForm, train
from analytics.rivers.forecast.record import Record
from analytics.rivers.forecast_store import Model, Said
from analytics.rivers.inputs import HOUR, Gauge, Readings, gauges, lately, readings, record, step_of, stored_record
from devices.clock import Clock
from store import Connection

log = structlog.get_logger(__name__)

NAME, LEARNING = "forecasts", "forecast models"
EVERY = timedelta(minutes=10)
STALE = timedelta(hours=2)
LOOKBACK = timedelta(days=30)  # of what is looked at to say what may come
TRAINED_EVERY = timedelta(days=7)
TRAINED_ON = timedelta(days=10 * 366)
MOST_ROWS = 120_000  # of a longer past rows are an hour long
LATELY = timedelta(hours=1)  # who has said nothing usable for so long was missing
_PRUNED_EVERY = timedelta(hours=1)


def follow(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """Looks ahead at each new observation until `stop` is set; reconnects for as long as that takes."""
    job = Forecasts(clock)

    def turn(conn: Connection) -> bool:
        job.issue(conn)
        job.prune(conn)
        return False

    alone(dsn, NAME, turn, stop, rest=1.0)


def learn(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """Trains what is due, one gauge after the other, until `stop` is set."""
    alone(dsn, LEARNING, Forecasts(clock).train_one, stop, rest=10.0)


class Forecasts:
    """What there is to do at the moment. `clock` is the town's; connections are in autocommit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loaded: dict[int, Forecaster | None] = {}
        self._readable: dict[int, bool] = {}
        self._looked: dict[int, datetime] = {}  # up to which observation a gauge was looked at, whatever came of it
        self._prune_at: datetime | None = None

    # --- saying what may come -----------------------------------------------------------------------------------

    def issue(self, conn: Connection) -> int:
        """Looks ahead wherever there is a new observation; how many forecasts were stored."""
        return sum(self._issue_town(conn, town) for town in stored.towns(conn))

    def _issue_town(self, conn: Connection, town: int) -> int:
        now = self._clock.now()
        every = gauges(conn, town)
        ids = [each.datastream_id for each in every]
        measured, last = stored.measured_to(conn, ids), stored.last_times(conn, ids)
        due = [each for each in every if self._is_due(each, measured, last, now)]
        if not due:
            return 0
        known = stored.newest(conn, [each.datastream_id for each in due], used=True)
        for gauge in [each for each in due if each.datastream_id not in known]:
            known |= _begin(conn, town, gauge, now)
        looked_at = {each.datastream_id for each in due}
        looked_at |= {i for each in due for i in known[each.datastream_id].inputs}
        # A device's clock may run ahead, and its newest level is no less its newest.
        end = max(now, *(measured[each.datastream_id] for each in due))
        found = readings(conn, looked_at, now - LOOKBACK, end)
        said = [each for gauge in due if (each := self._look(conn, known[gauge.datastream_id], found, now)) is not None]
        self._looked.update({each.datastream_id: measured[each.datastream_id] for each in due})
        return stored.put(conn, town, said) if said else 0

    def _is_due(self, gauge: Gauge, measured: dict[int, datetime], last: dict[int, datetime], now: datetime) -> bool:
        newest = measured.get(gauge.datastream_id)
        if newest is None or newest <= now - STALE or newest == self._looked.get(gauge.datastream_id):
            return False
        before = last.get(gauge.datastream_id)
        return before is None or newest >= before + EVERY

    def _look(self, conn: Connection, model: Model, found: dict[int, Readings], now: datetime) -> Said | None:
        own = found[model.datastream_id]
        usable = np.flatnonzero(~np.isnan(own.values))
        forecaster = self._forecaster(conn, model.model_id)
        if forecaster is None or not usable.size or own.times[usable[-1]] <= (now - STALE).timestamp():
            return None
        at, level = float(own.times[usable[-1]]), float(own.values[usable[-1]])
        n = int(LOOKBACK / model.step)
        # What other gauges measured after this gauge's own newest is known by now, but has no row: it comes next time.
        grid = record(found, model.datastream_id, model.neighbours, model.rain, last=at, step=model.step, n=n)
        fan = forecaster.forecast(grid, np.array([n - 1]))
        if np.isnan(fan.quantiles).all():
            return None
        since = at - max(LATELY, model.step).total_seconds()
        lately_ = {each: lately(found[each], since) for each in model.inputs}
        return Said(
            model.datastream_id,
            _moment(at),
            model.model_id,
            False,
            now,
            level,
            tuple(fan.leads),
            fan.quantiles[0],
            tuple(i for i, (there, doubted) in lately_.items() if not there and not doubted),
            tuple(i for i, (_, doubted) in lately_.items() if doubted),
            tuple(i for i in _left_out(fan, 0, model.neighbours) if lately_[i] == (True, False)),
        )

    def _forecaster(self, conn: Connection, model_id: int) -> Forecaster | None:
        """None: it was kept by another release."""
        if model_id not in self._loaded:
            self._loaded[model_id] = _loaded(conn, model_id)
        return self._loaded[model_id]

    def _kept_by_others(self, conn: Connection, used: dict[int, Model]) -> set[int]:
        """The gauges whose model this release cannot read. Who learns needs no model but for this."""
        for model in used.values():
            if model.model_id not in self._readable:
                self._readable[model.model_id] = _loaded(conn, model.model_id) is not None
        return {gauge for gauge, model in used.items() if not self._readable[model.model_id]}

    # --- learning -----------------------------------------------------------------------------------------------

    def train_one(self, conn: Connection) -> bool:
        """Trains the gauge that needs it most; whether there was one."""
        now = self._clock.now()
        for town in stored.towns(conn):
            every = gauges(conn, town)
            known = stored.newest(conn, [each.datastream_id for each in every], used=False)
            over, rising = stored.floods(conn, town)
            used = stored.newest(conn, [each.datastream_id for each in every], used=True)
            for gauge_id in self._kept_by_others(conn, used):
                known.pop(gauge_id, None)
            wanted = [(why, each) for each in every if (why := _why(each, known, over, now)) is not None]
            if rising:
                # What can wait does not take the machine from those who look at a flood.
                wanted = [each for each in wanted if each[0] == "history"]
            if wanted:
                # Where the water is highest they are waited for.
                why, gauge = min(wanted, key=lambda e: (_WHY.index(e[0]), -rising.get(e[1].datastream_id, 0)))
                self._train(conn, town, gauge, why, now)
                return True
            left = None if rising else stored.without_scores(conn, town)
            if left is not None:
                self._back_test(conn, left, _again(conn, left), now)
                return True
        return False

    def _train(self, conn: Connection, town: int, gauge: Gauge, why: str, now: datetime) -> None:
        old = stored.newest(conn, [gauge.datastream_id], used=True).get(gauge.datastream_id)
        first, newest = stored.span(conn, gauge.datastream_id) or (now, now)
        first = max(first, now - TRAINED_ON)
        step, last = step_of(gauge.step), newest.timestamp()
        if (newest - first) / step > MOST_ROWS:
            step = HOUR

        def over_all(neighbours: Sequence[int], rain: Sequence[int], step: timedelta) -> Record:
            n = max(0, round((newest - first) / step)) + 1
            return stored_record(conn, gauge.datastream_id, neighbours, rain, last=last, step=step, n=n)

        grid = over_all(gauge.neighbours, gauge.rain, step)
        usable = np.flatnonzero(~np.isnan(grid.level))
        forecaster = train(grid)
        used = True
        before = None if old is None else _loaded(conn, old.model_id)
        if old is not None and old.trained_to is not None and before is not None:
            same = (old.neighbours, old.rain, old.step) == (gauge.neighbours, gauge.rain, step)
            of_old = grid if same else over_all(old.neighbours, old.rain, old.step)
            used = not worse(forecaster, grid, before, of_old, until=old.trained_to.timestamp())
        with conn.transaction():
            stored.versions_alone(conn, gauge.datastream_id)
            stored.put_model(
                conn,
                town,
                gauge.datastream_id,
                why=why,
                method=forecaster.method,
                step=step,
                neighbours=gauge.neighbours,
                rain=gauge.rain,
                now=now,
                trained=(_time(grid, usable[0]), _time(grid, usable[-1])) if usable.size else None,
                n=len(usable),
                used=used,
                dump=forecaster.dump(),
            )
            (model,) = stored.models(conn, gauge.datastream_id, 1)
        self._back_test(conn, model, grid, now)
        log.info("forecast_trained", station=gauge.code, why=why, method=forecaster.method, used=used)

    def _back_test(self, conn: Connection, model: Model, grid: Record, now: datetime) -> None:
        rehearsal = rehearse(grid)
        with conn.transaction():
            stored.score(conn, model.model_id, rehearsal.scores)
            if model.used:
                stored.put(conn, model.municipality_id, _rehearsed(model, rehearsal, now))

    def prune(self, conn: Connection) -> None:
        """Lets go of what is old, in small steps."""
        now = self._clock.now()
        if self._prune_at is None or now >= self._prune_at:
            more = stored.prune(conn, now)
            self._prune_at = None if more else now + _PRUNED_EVERY


def _loaded(conn: Connection, model_id: int) -> Forecaster | None:
    """None: it was kept by another release."""
    try:
        return Forecaster.load(stored.dump_of(conn, model_id))
    except OtherForm:
        return None


def _again(conn: Connection, model: Model) -> Record:
    """What a version was trained on, as it is stored by now."""
    if model.trained_from is None or model.trained_to is None:
        return Record(0.0, model.step.total_seconds(), np.empty(0), np.empty((0, 0)), np.empty((0, 0)))
    n = round((model.trained_to - model.trained_from) / model.step) + 1
    last = model.trained_to.timestamp()
    return stored_record(conn, model.datastream_id, model.neighbours, model.rain, last=last, step=model.step, n=n)


_WHY = ("history", "inputs", "flood", "weekly")  # the most urgent first


def _begin(conn: Connection, town: int, gauge: Gauge, now: datetime) -> dict[int, Model]:
    """The first version of a gauge goes by the simple rule, so that something is said until the past is learned from,
    which takes seconds a gauge. What there is then, by datastream.
    """
    rule = Forecaster(LEADS, None)
    with conn.transaction():
        stored.versions_alone(conn, gauge.datastream_id)
        if not stored.newest(conn, [gauge.datastream_id], used=False):
            begun = stored.put_model(
                conn,
                town,
                gauge.datastream_id,
                why="first",
                method=rule.method,
                step=step_of(gauge.step),
                neighbours=gauge.neighbours,
                rain=gauge.rain,
                now=now,
                trained=None,
                n=0,
                used=True,
                dump=rule.dump(),
            )
            stored.score(conn, begun, ())
        return stored.newest(conn, [gauge.datastream_id], used=True)


def _why(gauge: Gauge, known: dict[int, Model], over: dict[int, datetime], now: datetime) -> str | None:
    """Why a gauge is to be trained now; None where it need not be."""
    model = known.get(gauge.datastream_id)
    if model is None or model.why == "first":
        return "history"
    # In which order they are asked for is nothing to a model: it learns itself what each is worth.
    if (set(model.neighbours), set(model.rain)) != (set(gauge.neighbours), set(gauge.rain)):
        return "inputs"
    flood = over.get(gauge.datastream_id)
    if flood is not None and flood > model.trained_at:
        return "flood"
    return "weekly" if now >= model.trained_at + TRAINED_EVERY else None


def _rehearsed(model: Model, rehearsal: Rehearsal, now: datetime) -> list[Said]:
    """What the twin said, as it is stored."""
    fan = rehearsal.fan
    if fan is None:
        return []
    nothing = Said(model.datastream_id, now, model.model_id, True, now, 0.0, tuple(fan.leads), fan.quantiles[0])
    return [
        replace(
            nothing,
            time=_moment(at),
            level=float(fan.persistence[n]),
            quantiles=fan.quantiles[n],
            left_out=_left_out(fan, n, model.neighbours),
        )
        for n, at in enumerate(rehearsal.times.tolist())
        if not np.isnan(fan.persistence[n]) and not np.isnan(fan.quantiles[n]).all()
    ]


def _left_out(fan: Fan, n: int, neighbours: Sequence[int]) -> tuple[int, ...]:
    return tuple(each for each, out in zip(neighbours, fan.left_out[n].tolist(), strict=True) if out)


def _time(grid: Record, row: int) -> datetime:
    return _moment(grid.start + int(row) * grid.step)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
