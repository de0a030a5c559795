"""`mimamori bench leaks`: how soon the waterworks rules find what opens in a simulated block, and what they make up.

The rules are the real ones (`analytics.leaks.burst`, `analytics.leaks.night_alarm`), judged reading by reading and
night by night with nothing from later. Every seed is a block of its own (`mimamori.bench.blocks`); what is opened in it
has its own random time of day. Only the pressure at the inlet is witness.

The JSON object:

    blocks, days               how many quiet blocks, and the days in which each is judged (15 more to know the usual)
    burst.sizes                {"4": {n, within_20_minutes, received_within_20_minutes, found, median_minutes,
                               high_minutes}}: shares of n sudden bursts of so many m3/h. Minutes run from the opening
                               of the pipe to the reading that shows it; `received`: to the message that brings it,
                               sent every 15 minutes. found: within two hours; high: 9 of 10 of these were as soon
    burst.false_alarms, burst.block_years, burst.false_alarms_a_block_year       in the quiet blocks
    night.sizes                {"1": {n, within_2_nights, found, median_nights, high_nights}}: shares of n leaks that
                               open and stay; nights count from the first that is whole, found: within 14
    night.false_alarms, night.block_years, night.false_alarms_a_block_year
    limits                     {minutes, clear_m3h, share, night_clear_m3h, nights, false_alarms_a_block_year}: what is
                               asked for - bursts and leaks of at least that size, by that share, within that time
    within_limits              whether all of it holds
    seconds                    real time
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat
from multiprocessing import get_context
from typing import Any

import numpy as np

from analytics.leaks import burst, night_alarm
from analytics.leaks.burst import Burst, Grid, Values, Witness, judge_burst
from analytics.leaks.night_alarm import Night, assess
from analytics.leaks.watch import LEAST_FALL
from mimamori.bench.blocks import DAY, START, STEP, Quiet, sent
from mimamori.bench.report import Row
from simulators.chance import uniform

MINUTES = 20.0
# What is asked for: nine of ten of what is clearly larger than what is tolerated, and quiet nights for two people.
CLEAR_BURST, CLEAR_SHARE, CLEAR_LEAK, CLEAR_NIGHTS = 10.0, 0.9, 2.0, 2
FALSE_ALARMS = 4.0

_LEARNING = 15  # days
_HISTORY = timedelta(days=burst.USUAL_DAYS) + timedelta(hours=12)
_LOOKED = burst.LOOK_BACK // STEP
_BURST_LASTS = timedelta(hours=6)
_NIGHTS_AFTER = 14
_YEAR = 365


@dataclass(frozen=True, slots=True)
class LeaksBench:
    """What the command line said: sizes in m3/h; `each` bursts or leaks of a size in every block."""

    blocks: int
    days: int
    each: int
    bursts: tuple[float, ...]
    leaks: tuple[float, ...]
    first_seed: int = 1


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found in one block, by size, and what was not there."""

    delays: Mapping[float, list[tuple[float, float] | None]]
    nights: Mapping[float, list[int | None]]
    false_bursts: int
    false_nights: int


def measure(options: LeaksBench, progress: Callable[[int, int], None] = lambda _done, _of: None) -> dict[str, Any]:
    """Run the bench; the figures. `progress` hears how many blocks are done, of how many."""
    began = time.monotonic()
    seeds = range(options.first_seed, options.first_seed + options.blocks)
    judged = []
    progress(0, options.blocks)
    # Spawned, not forked: whoever calls may have threads.
    with ProcessPoolExecutor(min(options.blocks, os.cpu_count() or 1), mp_context=get_context("spawn")) as workers:
        for block in workers.map(_block, repeat(options), seeds):
            judged.append(block)
            progress(len(judged), options.blocks)
    delays = {size: [each for block in judged for each in block.delays[size]] for size in options.bursts}
    nights = {size: [each for block in judged for each in block.nights[size]] for size in options.leaks}
    false_bursts = sum(block.false_bursts for block in judged)
    false_nights = sum(block.false_nights for block in judged)
    figures = {
        "blocks": options.blocks,
        "days": options.days,
        "burst": {
            "sizes": {f"{size:g}": _burst_figures(found) for size, found in delays.items()},
            **_false(false_bursts, options.blocks * options.days / _YEAR),
        },
        "night": {
            "sizes": {f"{size:g}": _night_figures(found) for size, found in nights.items()},
            **_false(false_nights, options.blocks * (_YEAR - night_alarm.FEWEST_NIGHTS) / _YEAR),
        },
        "limits": {
            "minutes": MINUTES,
            "clear_m3h": CLEAR_BURST,
            "share": CLEAR_SHARE,
            "night_clear_m3h": CLEAR_LEAK,
            "nights": CLEAR_NIGHTS,
            "false_alarms_a_block_year": FALSE_ALARMS,
        },
    }
    return figures | {"within_limits": _within(figures), "seconds": round(time.monotonic() - began, 1)}


def _block(options: LeaksBench, seed: int) -> _Judged:
    """One block with all that is opened in it; the work of one process."""
    quiet = Quiet(seed, _LEARNING + options.days)
    usual = quiet.nights(quiet.block, 0, _YEAR)
    return _Judged(
        {size: [_delay(quiet, size, n) for n in range(options.each)] for size in options.bursts},
        {size: [_nights_to_find(quiet, usual, size, n) for n in range(options.each)] for size in options.leaks},
        len(_bursts_of(quiet)),
        alarms_of(usual),
    )


# --- bursts --------------------------------------------------------------------------------------------------


def _judged(
    quiet: Quiet, flow: Values, pressure: Values, newest: int, *, open: Burst | None, after: datetime | None
) -> burst.Verdict:
    """What is known at index `newest`, from as much of the past as the watch takes."""
    start = max(0, newest - _HISTORY // STEP)
    if open is not None:
        start = max(0, quiet.grid.index(open.started_at) - _HISTORY // STEP)
    grid = Grid(quiet.grid.time(start), STEP, newest - start + 1)
    witness = Witness("pressure", pressure[start : newest + 1], LEAST_FALL["pressure"])
    return judge_burst(grid, flow[start : newest + 1], [witness], open, after)


def _bursts_of(quiet: Quiet) -> list[datetime]:
    """When bursts begin that nobody has opened. Each time is judged: every judging looks two hours back."""
    found, open_, ended = [], None, None
    for newest in range(_LEARNING * DAY, quiet.grid.n, _LOOKED):
        verdict = _judged(quiet, quiet.flow, quiet.pressure, newest, open=open_, after=ended)
        if open_ is None and verdict.burst is not None:
            found.append(verdict.burst.started_at)
        open_, ended = verdict.burst, verdict.ended_at or ended
    return found


def _delay(quiet: Quiet, size: float, number: int) -> tuple[float, float] | None:
    """Minutes from the opening to the reading that shows it, and to its message; None: not within two hours."""
    span = (quiet.days - _LEARNING) * DAY - 2 * _LOOKED
    place = _LEARNING * DAY + _LOOKED + span * uniform(quiet.seed, "bench burst", size, number)
    begins = START + place * STEP
    first, newest = int(place) + 1, int(place) + _LOOKED
    flow, pressure = quiet.flow.copy(), quiet.pressure.copy()
    opened = quiet.opened(begins, size, _BURST_LASTS)
    flow[first : newest + 1], pressure[first : newest + 1] = quiet.series(opened, first, newest + 1)
    found = _judged(quiet, flow, pressure, newest, open=None, after=quiet.grid.time(first - 1)).burst
    if found is None:
        return None
    minute = timedelta(minutes=1)
    return (found.started_at - begins) / minute, (sent(found.started_at) - begins) / minute


def _burst_figures(found: Sequence[tuple[float, float] | None]) -> dict[str, Any]:
    known = [each for each in found if each is not None]
    shown = [delay for delay, _ in known]
    return {
        "n": len(found),
        "within_20_minutes": _share(sum(delay <= MINUTES for delay in shown), len(found)),
        "received_within_20_minutes": _share(sum(delay <= MINUTES for _, delay in known), len(found)),
        "found": _share(len(known), len(found)),
        "median_minutes": _quantile(shown, 0.5),
        "high_minutes": _quantile(shown, 0.9),
    }


# --- nights --------------------------------------------------------------------------------------------------


def alarms_of(nights: Sequence[Night]) -> int:
    """How many alarms a series of nights has raised: the last one, then what there was before it began, and so on."""
    alarms, known = 0, list(nights)
    while known:
        found = assess(known)
        if found.alarm is not None:
            alarms += 1
            known = [night for night in known if night.day < found.alarm.since]
        elif found.ended is not None:
            known = [night for night in known if night.day < found.ended]
        else:
            break
    return alarms


def _nights_to_find(quiet: Quiet, usual: Sequence[Night], size: float, number: int) -> int | None:
    """Nights from the first whole one with the leak until the alarm; None: not within 14."""
    first = _LEARNING + int((_YEAR - _LEARNING - _NIGHTS_AFTER) * uniform(quiet.seed, "bench leak", size, number))
    # Some time in the day before: between the end of one night and the beginning of the next.
    hours = 6 + 18 * uniform(quiet.seed, "bench leak hour", size, number)
    begins = START + timedelta(days=first) + timedelta(hours=hours - 9)
    leaking = quiet.opened(begins, size, timedelta(days=_NIGHTS_AFTER + 2))
    known = list(usual[:first])
    for night, more in enumerate(quiet.nights(leaking, first, first + _NIGHTS_AFTER), 1):
        known.append(more)
        alarm = assess(known).alarm
        if alarm is not None and alarm.newest == more.day:
            return night
    return None


def _night_figures(found: Sequence[int | None]) -> dict[str, Any]:
    known = [float(each) for each in found if each is not None]
    return {
        "n": len(found),
        "within_2_nights": _share(sum(nights <= CLEAR_NIGHTS for nights in known), len(found)),
        "found": _share(len(known), len(found)),
        "median_nights": _quantile(known, 0.5),
        "high_nights": _quantile(known, 0.9),
    }


# --- figures -------------------------------------------------------------------------------------------------


def _false(alarms: int, block_years: float) -> dict[str, Any]:
    return {
        "false_alarms": alarms,
        "block_years": round(block_years, 2),
        "false_alarms_a_block_year": round(alarms / block_years, 2),
    }


def _within(figures: Mapping[str, Any]) -> bool:
    bursts = [each for size, each in figures["burst"]["sizes"].items() if float(size) >= CLEAR_BURST]
    leaks = [each for size, each in figures["night"]["sizes"].items() if float(size) >= CLEAR_LEAK]
    return (
        all(each["within_20_minutes"] >= CLEAR_SHARE for each in bursts)
        and all(each["within_2_nights"] >= CLEAR_SHARE for each in leaks)
        and all(figures[rule]["false_alarms_a_block_year"] <= FALSE_ALARMS for rule in ("burst", "night"))
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3)


def _quantile(values: Iterable[float], share: float) -> float | None:
    known = list(values)
    return round(float(np.quantile(known, share)), 1) if known else None


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as lines of a table: what opens, how many, in time, found at all, median, 9 of 10."""
    lines: list[Row] = []
    for size, each in figures["burst"]["sizes"].items():
        lines.append(_row(f"burst {size} m3/h", each, "within_20_minutes", "minutes", "min"))
    lines.append(_none("no burst", figures["burst"]))
    for size, each in figures["night"]["sizes"].items():
        lines.append(_row(f"leak {size} m3/h", each, "within_2_nights", "nights", "nights"))
    lines.append(_none("no leak", figures["night"]))
    return lines


def _row(name: str, each: Mapping[str, Any], in_time: str, unit: str, word: str) -> Row:
    middle, high = each[f"median_{unit}"], each[f"high_{unit}"]
    return (
        name,
        str(each["n"]),
        f"{100 * each[in_time]:.0f} %",
        f"{100 * each['found']:.0f} %",
        "-" if middle is None else f"{middle:g} {word}",
        "-" if high is None else f"{high:g} {word}",
    )


def _none(name: str, rule: Mapping[str, Any]) -> Row:
    alarms = f"{rule['false_alarms']} false in {rule['block_years']:g} block-years"
    return name, "", alarms, "", f"{rule['false_alarms_a_block_year']:g} a year", f"limit {FALSE_ALARMS:g}"
