"""The words of a rule that staff write: a small typed tree of conditions over series, kept as JSON in dated versions.

    Body                          what a version says: when, until when, in which season, at which hours
      Compare | Every | Either    a condition: it is so, it is not so, or nobody knows
        Reading | Change | Total | Reference | Named | Usual | Number | Plus | Minus | Times     an expression: a
                                  number, in the unit of its series, or what is known of it

A rule at one station names series by their property ("water_level": of the station itself) or by another station's code
and property, so that one rule serves all stations of a kind. `alerts.rules.engine` judges; nothing here knows a time.

`decoded(json)` reads a body and raises `BodyError` with what is wrong in words; `encoded(body)` writes it.
`shape(body)` is the tree without its figures: bodies of one shape are judged together. `sight(body)` is what it looks
at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from devices.model import ObservedProperty

DAY = 86_400
LONGEST = 31 * DAY  # seconds of a window, of a duration, of a hold
MOST_PARTS = 40  # of one tree
MOST_WEEKS = 8
LONGEST_NAME = 60  # characters of a level's name
MOST_KNOWN = 1 << 15  # bodies of which a process remembers what they say

_DAY_OF_YEAR = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class BodyError(ValueError):
    """A body that is none: what is wrong with it, in words."""


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A series: a property of the rule's own station, or of the station with this code."""

    observed_property: str
    station: str | None = None


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    pass


class Reading(_Part, frozen=True, tag="reading"):
    """The value as it was last read. Unknown where that is longer ago than two and a half of its steps."""

    series: Series


class Change(_Part, frozen=True, tag="change"):
    """By how much it rose over the last `seconds` (`falling`: fell), with a straight line between two readings."""

    series: Series
    seconds: int
    falling: bool = False


class Total(_Part, frozen=True, tag="total"):
    """The sum of what was counted in the last `seconds`. Where an interval is missing it is at least the rest."""

    series: Series
    seconds: int


class Reference(_Part, frozen=True, tag="reference"):
    """The value of one of the station's own reference levels as it was in force then; 5 is where it overflows."""

    level: int


class Named(_Part, frozen=True, tag="named"):
    """The value of the station's own level of this name as it was in force then, with a number or without. A design
    level (計画高水位) is none that a rule can name.
    """

    name: str


class Usual(_Part, frozen=True, tag="usual"):
    """The median of the same expression at this time of day on this day of the week, in the `weeks` before."""

    of: Expression
    weeks: int = 4


class Number(_Part, frozen=True, tag="number"):
    value: float


class Plus(_Part, frozen=True, tag="plus"):
    left: Expression
    right: Expression


class Minus(_Part, frozen=True, tag="minus"):
    left: Expression
    right: Expression


class Times(_Part, frozen=True, tag="times"):
    """An expression times a number."""

    of: Expression
    factor: float


class Compare(_Part, frozen=True, tag="compare"):
    """`left` at or above `right` (`above`), or below it. It is over when that is no longer so by more than `margin`."""

    left: Expression
    order: Literal["above", "below"]
    right: Expression
    margin: float = 0.0


class Every(_Part, frozen=True, tag="every"):
    """All of them."""

    of: tuple[Condition, ...]


class Either(_Part, frozen=True, tag="either"):
    """At least one of them."""

    of: tuple[Condition, ...]


Expression = Reading | Change | Total | Reference | Named | Usual | Number | Plus | Minus | Times
Condition = Compare | Every | Either
Part = Expression | Condition


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From one to the other, as local time says it: days of the year "06-01" (both included), or times of day "22:00"
    (the second excluded). Over the turn of the year or midnight where the second comes first.
    """

    first: str
    last: str


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a version of a rule says.

    It is told when `when` has been so for `lasting` seconds, and it is over when `clear` has been so for `hold`
    seconds. Without a `clear`, when `when` is no longer so by the margins of its comparisons. Outside of `season` and
    `hours` nothing begins, and what is open ends after `hold`.
    """

    when: Condition
    clear: Condition | None = None
    lasting: int = 0
    hold: int = 0
    season: Span | None = None
    hours: Span | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Body)


def encoded(body: Body) -> str:
    return _ENCODER.encode(body).decode()


def decoded(text: str | bytes) -> Body:
    """Raises `BodyError`.

    >>> text = '{"when": {"is": "compare", "left": {"is": "reading", "series": {"observed_property": "water_level"}}, '
    >>> text += '"order": "above", "right": {"is": "number", "value": 1.5}}}'
    >>> decoded(text).when.right
    Number(value=1.5)
    """
    try:
        body = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BodyError(f"this is no rule: {error}") from None
    check(body)
    return body


@lru_cache(maxsize=MOST_KNOWN)
def trusted(text: str) -> Body:
    """A body that was checked when it was stored."""
    return _DECODER.decode(text)


def check(body: Body) -> None:
    """Raises `BodyError` where no rule can say this."""
    parts = list(walk(body))
    if len(parts) > MOST_PARTS:
        raise BodyError(f"a rule has at most {MOST_PARTS} parts, this one has {len(parts)}")
    for part in parts:
        _check_part(part)
    if not any(True for _ in series_of(body.when)):
        raise BodyError("a rule needs a series that it looks at")
    for name, seconds in (("lasting", body.lasting), ("hold", body.hold)):
        if not 0 <= seconds <= LONGEST:
            raise BodyError(f"{name}: 0 to {LONGEST} seconds, not {seconds}")
    for name, span, form in (("season", body.season, _DAY_OF_YEAR), ("hours", body.hours, _TIME_OF_DAY)):
        if span is None:
            continue
        if not (form.fullmatch(span.first) and form.fullmatch(span.last)):
            example = "06-01" if form is _DAY_OF_YEAR else "22:00"
            raise BodyError(f'{name}: two of the form "{example}", not "{span.first}" and "{span.last}"')
        if name == "hours" and span.first == span.last:
            raise BodyError("hours: from and to are the same")


def _check_part(part: Part) -> None:
    for series in own_series(part):
        if series.observed_property not in set(ObservedProperty):
            raise BodyError(f'nothing that is measured is called "{series.observed_property}"')
    match part:
        case Change(seconds=seconds) | Total(seconds=seconds):
            if not 0 < seconds <= LONGEST:
                raise BodyError(f"a window has 1 to {LONGEST} seconds, not {seconds}")
        case Reference(level=level):
            if not 1 <= level <= 5:
                raise BodyError(f"a reference level is 1 to 5, not {level}")
        case Named(name=name):
            if not 0 < len(name.strip()) <= LONGEST_NAME:
                raise BodyError(f"a level is named in 1 to {LONGEST_NAME} characters")
        case Usual(weeks=weeks, of=of):
            if not 2 <= weeks <= MOST_WEEKS:
                raise BodyError(f"the usual is that of 2 to {MOST_WEEKS} weeks, not of {weeks}")
            if any(isinstance(each, Usual) for each in walk(of)):
                raise BodyError("the usual of the usual is no figure that anybody knows")
        case Compare(margin=margin):
            if not 0 <= margin < float("inf"):
                raise BodyError(f"a margin is 0 or more, not {margin}")
            if _looks_ahead(part):
                raise BodyError(
                    "a water level and its own rise in one comparison say when a level will be reached, which may go "
                    "into no message: compare the level and the rise each by itself and join them with every"
                )
        case Every(of=of) | Either(of=of):
            if not of:
                raise BodyError("every or either of nothing")


def _looks_ahead(compare: Compare) -> bool:
    """Whether a river's level and its own rise are added up: that is a time to a level (internal_forecast), and a
    message goes to people of whom nobody knows the role.
    """
    parts = [each for each in walk(compare) if isinstance(each, Reading | Change)]
    levels, rises = ({each.series for each in parts if isinstance(each, kind)} for kind in (Reading, Change))
    return any(each.observed_property == ObservedProperty.WATER_LEVEL for each in levels & rises)


def _inside(part: Body | Part) -> tuple[Part, ...]:
    kind = type(part)
    return _PARTS_OF[kind](part) if kind in _PARTS_OF else ()


# By a table: what a match asks of one class after the other is asked of every part of thousands of rules.
_PARTS_OF: dict[type, Callable[[Any], tuple[Part, ...]]] = {
    Body: lambda body: (body.when,) if body.clear is None else (body.when, body.clear),
    **dict.fromkeys((Every, Either), lambda part: part.of),
    **dict.fromkeys((Compare, Plus, Minus), lambda part: (part.left, part.right)),
    **dict.fromkeys((Usual, Times), lambda part: (part.of,)),
}


def walk(part: Body | Part) -> Iterator[Part]:
    """Every part of the tree, from the top."""
    if not isinstance(part, Body):
        yield part
    for each in _inside(part):
        yield from walk(each)


def own_series(part: Part) -> tuple[Series, ...]:
    return (part.series,) if isinstance(part, Reading | Change | Total) else ()


def series_of(part: Body | Part) -> Iterator[Series]:
    """The series that it looks at, in the order of the tree, some of them more than once."""
    for each in walk(part):
        yield from own_series(each)


def level_of(part: Part) -> int | str | None:
    """The number or the name of the level that a part stands for; None where it stands for none."""
    match part:
        case Reference(level=level):
            return level
        case Named(name=name):
            return name
    return None


class Sight(NamedTuple):
    """What a body looks at: its series as `series_of` says them, its levels by number or by name, how far back (s); and
    what it is judged together with.
    """

    series: tuple[Series, ...]
    references: tuple[int | str, ...]
    lookback: int
    shape: str


@lru_cache(maxsize=MOST_KNOWN)
def sight(body: Body) -> Sight:
    """The same body has the same one for ever: it is asked of thousands with every batch."""
    references = (level for each in walk(body) if (level := level_of(each)) is not None)
    return Sight(tuple(series_of(body)), tuple(dict.fromkeys(references)), lookback(body), shape(body))


def shape(part: Body | Part) -> str:
    """The tree without its figures and series.

    >>> shape(Compare(Reading(Series("water_level")), "above", Number(1.5)))
    'compare above(reading,number)'
    """
    if isinstance(part, Body):
        return f"{shape(part.when)}|{'' if part.clear is None else shape(part.clear)}"
    name = str(part.__struct_config__.tag)
    if isinstance(part, Compare):
        name += f" {part.order}"
    if isinstance(part, Usual):
        name += f" {part.weeks}"
    inside = _inside(part)
    return f"{name}({','.join(map(shape, inside))})" if inside else name


def lookback(part: Body | Part) -> int:
    """How many seconds before a moment it has to look, apart from the steps of its series, to say how things stand."""
    match part:
        case Body():
            return max(lookback(each) for each in _inside(part)) + part.lasting + part.hold
        case Change(seconds=seconds) | Total(seconds=seconds):
            return seconds
        case Usual(of=of, weeks=weeks):
            return lookback(of) + weeks * 7 * DAY
    return max((lookback(each) for each in _inside(part)), default=0)
