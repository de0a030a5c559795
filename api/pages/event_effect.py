"""行事の効果: a picture of what was counted beside what was expected, one bar a day, and its file. The table beside it
has the same numbers; the sentence before both says what can be said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analytics.visitors.events.effect import EventDay, Verdict
from analytics.visitors.events.measured import Measured
from api.pages.chart import HEIGHT, LEFT, RIGHT, WIDTH, Tick, scale_of
from api.pages.formats import number, signed
from api.pages.site import Moment

_TOP, _BOTTOM = 12.0, 24.0
_MOST_LABELS = 8
MOST_BARS = 120  # of a longer campaign there is the table


@dataclass(frozen=True, slots=True)
class Bar:
    """A day: `y` and `height` of what was counted, `expected` the height of the mark; None where it is not known."""

    x: float
    y: float | None
    height: float | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class Bars:
    """The picture."""

    width: float
    height: float
    left: float
    right: float
    bottom: float
    wide: float
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def bars_of(days: tuple[EventDay, ...]) -> Bars | None:
    """One bar a day; None for a single day, too many of them or where nothing is known."""
    known = [value for day in days for value in (day.observed, day.expected) if value is not None]
    if not known or not 2 <= len(days) <= MOST_BARS:
        return None
    _, high, tick = scale_of([0.0, *known])
    right, bottom = WIDTH - RIGHT, HEIGHT - _BOTTOM
    pitch = (right - LEFT) / len(days)
    every = -(-len(days) // _MOST_LABELS)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * value / high, 1)

    bars = tuple(
        Bar(
            round(LEFT + pitch * (n + 0.15), 1),
            None if day.observed is None else y(day.observed),
            None if day.observed is None else round(bottom - y(day.observed), 1),
            None if day.expected is None else y(day.expected),
        )
        for n, day in enumerate(days)
    )
    x_ticks = tuple(
        Tick(round(LEFT + pitch * (n + 0.5), 1), f"{day.day.month}/{day.day.day}")
        for n, day in enumerate(days)
        if n % every == 0
    )
    y_ticks = tuple(Tick(y(n * tick), f"{n * tick:,.0f}") for n in range(round(high / tick) + 1))
    return Bars(WIDTH, HEIGHT, LEFT, right, bottom, round(pitch * 0.7, 1), bars, x_ticks, y_ticks)


def sentence(found: Measured, at: Moment) -> str:
    """What can be said, in one sentence for a councillor."""
    t, effect = at.words, found.effect
    if effect.difference is None or effect.share is None:
        return t(f"events.effect.why.{effect.why_not}")
    said = {
        "n": number(abs(effect.difference[0]), "{passage}"),
        "share": percent(effect.share[0]),
        "low": percent(effect.share[1]),
        "high": percent(effect.share[2]),
    }
    if effect.verdict is Verdict.UNKNOWN:
        return t(f"events.effect.unknown.{effect.why_not}", **said)
    return t(f"events.effect.{effect.verdict}", **said)


def percent(share: float) -> str:
    """A share as a change: +18 %."""
    return f"{signed(round(100 * share), '{passage}')} %"


def effect_rows(found: Measured, at: Moment, names: dict[str, str]) -> Iterator[tuple[object, ...]]:
    """The file: what it says, by which days, and how."""
    t, effect = at.words, found.effect
    yield t("events.effect.file.says"), sentence(found, at)
    yield t("events.effect.spots"), "、".join(names.get(each, each) for each in found.spots)
    yield t("events.effect.controls"), "、".join(names.get(each, each) for each in found.controls)
    if effect.difference is not None and effect.share is not None:
        for name, value in zip(("middle", "low", "high"), effect.difference, strict=True):
            yield t(f"events.effect.file.{name}"), round(value)
        for name, value in zip(("middle", "low", "high"), effect.share, strict=True):
            yield t(f"events.effect.file.share_{name}"), f"{100 * value:.1f}"
    yield t("events.effect.base"), effect.base
    yield t("events.effect.placebo"), f"{effect.placebo.found}/{effect.placebo.n}"
    yield t("events.effect.file.factor"), f"{effect.placebo.factor:.2f}"
    yield ()
    yield t("table.day"), t("events.effect.observed"), t("events.effect.expected")
    for day in effect.days:
        yield day.day.isoformat(), _whole(day.observed), _whole(day.expected)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
