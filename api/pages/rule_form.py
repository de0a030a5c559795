"""A rule as the fields of a form, and back: rows of "what of which series is at least or below how much".

    read_form(form) -> (Body | None, problems)     problems: field -> what is wrong, in both languages
    fields_of(version) -> fields | None            None: the rule says more than the form has rows for

A form has up to `ROWS` rows, all joined by "and" or all by "or", and one more that may clear it. What is nested deeper
is made by the command line and shown in words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from alerts.rules.condition import (
    Body,
    BodyError,
    Change,
    Compare,
    Condition,
    Either,
    Every,
    Expression,
    Minus,
    Named,
    Number,
    Reading,
    Reference,
    Series,
    Span,
    Times,
    Total,
    Usual,
    check,
)
from api.errors import Text
from devices.model import ObservedProperty, Statistic

ROWS = ("1", "2", "3", "4")
CLEARING = "c"  # the row that clears it
MEASURES = (
    "reading",
    "rise-600",
    "rise-1800",
    "rise-3600",
    "fall-600",
    "fall-1800",
    "fall-3600",
    "total-600",
    "total-3600",
    "total-10800",
    "total-86400",
    "overflow",
    "named",
    "difference",
    "usual",
)
_USUAL_HOUR = 3600
_DAY = re.compile(r"(\d{1,2})[-/](\d{1,2})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")

Fields = dict[str, str]
Problems = dict[str, Text]


def read_form(form: Mapping[str, str]) -> tuple[Body | None, Problems]:
    """The body that was typed; None with problems where it is none."""
    problems: Problems = {}
    rows = [row for row in ROWS if form.get(f"measure-{row}", "")]
    if not rows:
        problems["measure-1"] = Text("条件を一つは選んでください。", "Choose at least one condition.")
    parts = [part for row in rows if (part := _row(form, row, problems)) is not None]
    clear = _row(form, CLEARING, problems) if form.get(f"measure-{CLEARING}", "") else None
    lasting, hold = _minutes(form, "lasting", problems), _minutes(form, "hold", problems)
    season = _span(
        form, "season", _day, problems, Text("月-日（例 06-01）で両方を入れてください。", 'Both as month-day, "06-01".')
    )
    hours = _span(
        form,
        "hours",
        _clock,
        problems,
        Text("時:分（例 22:00）で両方を入れてください。", 'Both as hour:minute, "22:00".'),
    )
    if problems:
        return None, problems
    joined = Either(tuple(parts)) if form.get("joined") == "either" else Every(tuple(parts))
    body = Body(parts[0] if len(parts) == 1 else joined, clear, lasting, hold, season, hours)
    try:
        check(body)
    except BodyError as error:
        return None, {"measure-1": Text(f"この条件は使えません（{error}）。", f"This cannot be a rule: {error}.")}
    return body, {}


def fields_of(body: Body) -> Fields | None:
    """The fields of a body; None where the form cannot say it."""
    when = body.when
    parts: tuple[Condition, ...] = when.of if isinstance(when, Every | Either) else (when,)
    if len(parts) > len(ROWS):
        return None
    fields: Fields = {
        "joined": "either" if isinstance(when, Either) else "every",
        "lasting": f"{body.lasting / 60:g}" if body.lasting else "",
        "hold": f"{body.hold / 60:g}" if body.hold else "",
    }
    clearing = [] if body.clear is None else [(CLEARING, body.clear)]
    for row, part in [*zip(ROWS, parts, strict=False), *clearing]:
        said = _said(part)
        if said is None:
            return None
        fields |= {f"{name}-{row}": value for name, value in said.items()}
    for name, span in (("season", body.season), ("hours", body.hours)):
        if span is not None:
            fields |= {f"{name}_first": span.first, f"{name}_last": span.last}
    return fields


def _row(form: Mapping[str, str], row: str, problems: Problems) -> Compare | None:
    measure, name = form.get(f"measure-{row}", ""), form.get(f"property-{row}", "")
    if measure not in MEASURES:
        problems[f"measure-{row}"] = Text("選択肢から選んでください。", "Choose one of the list.")
        return None
    if name not in set(ObservedProperty):
        problems[f"property-{row}"] = Text("系列を選んでください。", "Choose a series.")
        return None
    value = _number(form, f"value-{row}", problems)
    margin = _number(form, f"margin-{row}", problems, empty=0.0)
    series = Series(name, form.get(f"at-{row}") or None)
    total = ObservedProperty(name).statistic is Statistic.TOTAL
    kind, _, seconds = measure.partition("-")
    if kind == "total" and not total:
        problems[f"measure-{row}"] = Text(
            "合計は、雨量や通過数のような系列だけに使えます。", "Only amounts such as rain or passages can be summed."
        )
    if kind in ("overflow", "named") and name != ObservedProperty.WATER_LEVEL:
        problems[f"property-{row}"] = Text(
            "水位の基準までの余裕は水位だけに使えます。", "Only a water level has a margin below a level."
        )
    named = form.get(f"level-{row}", "").strip()
    if kind == "named" and not named:
        problems[f"level-{row}"] = Text("水位の基準の名前を選んでください。", "Choose the name of a level.")
    if kind == "difference" and not form.get(f"other-{row}"):
        problems[f"other-{row}"] = Text("差を比べる観測所を選んでください。", "Choose the station to compare with.")
    if value is None or margin is None or margin < 0:
        if margin is not None and margin < 0:
            problems[f"margin-{row}"] = Text("0以上の数を入れてください。", "A number from 0 on.")
        return None
    if any(f"{field}-{row}" in problems for field in ("measure", "property", "other", "level")):
        return None
    left: Expression = Reading(series)
    right: Expression = Number(value)
    if kind in ("rise", "fall"):
        left = Change(series, int(seconds), kind == "fall")
    elif kind == "total":
        left = Total(series, int(seconds))
    elif kind == "overflow":
        left = Minus(Reference(5), Reading(series))
    elif kind == "named":
        left = Minus(Named(named), Reading(series))
    elif kind == "difference":
        left = Minus(Reading(series), Reading(Series(name, form[f"other-{row}"])))
    elif kind == "usual":
        left = Total(series, _USUAL_HOUR) if total else left
        right = Times(Usual(left), value)
    order = form.get(f"order-{row}", "above")
    return Compare(left, "below" if order == "below" else "above", right, margin)


def _said(part: Condition) -> Fields | None:
    """The row that says this; None where none does."""
    if not isinstance(part, Compare):
        return None
    fields: Fields = {"order": part.order, "margin": f"{part.margin:g}" if part.margin else ""}
    left, right = part.left, part.right
    if isinstance(right, Times) and isinstance(right.of, Usual) and right.of.of == left and right.of.weeks == 4:
        if isinstance(left, Total) and left.seconds != _USUAL_HOUR:
            return None
        if not isinstance(left, Total | Reading):
            return None
        return fields | {"measure": "usual", "value": f"{right.factor:g}"} | _of(left.series)
    if not isinstance(right, Number):
        return None
    fields["value"] = f"{right.value:g}"
    match left:
        case Reading(series=series):
            fields |= {"measure": "reading"} | _of(series)
        case Change(series=series, seconds=seconds, falling=falling):
            fields |= {"measure": f"{'fall' if falling else 'rise'}-{seconds}"} | _of(series)
        case Total(series=series, seconds=seconds):
            fields |= {"measure": f"total-{seconds}"} | _of(series)
        case Minus(left=Reference(level=5), right=Reading(series=series)):
            fields |= {"measure": "overflow"} | _of(series)
        case Minus(left=Named(name=name), right=Reading(series=series)):
            fields |= {"measure": "named", "level": name} | _of(series)
        case Minus(left=Reading(series=series), right=Reading(series=other)):
            if other.station is None or other.observed_property != series.observed_property:
                return None
            fields |= {"measure": "difference", "other": other.station} | _of(series)
        case _:
            return None
    return fields if fields["measure"] in MEASURES else None


def _of(series: Series) -> Fields:
    return {"property": series.observed_property, "at": series.station or ""}


def _number(form: Mapping[str, str], name: str, problems: Problems, *, empty: float | None = None) -> float | None:
    text = form.get(name, "").strip()
    if not text and empty is not None:
        return empty
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e9:
        problems[name] = Text("数を入れてください。", "This is not a number.")
        return None
    return value


def _minutes(form: Mapping[str, str], name: str, problems: Problems) -> int:
    value = _number(form, name, problems, empty=0.0)
    if value is None or not 0 <= value <= 7 * 1440:
        problems[name] = Text("0〜10080分の数を入れてください。", "Minutes, 0 to 10080.")
        return 0
    return round(value * 60)


def _span(form: Mapping[str, str], name: str, read, problems: Problems, wrong: Text) -> Span | None:  # type: ignore[no-untyped-def]
    texts = [form.get(f"{name}_{end}", "").strip() for end in ("first", "last")]
    if not any(texts):
        return None
    found = [read(text) for text in texts]
    if None in found:
        problems[f"{name}_first"] = wrong
        return None
    return Span(*found)


def _day(text: str) -> str | None:
    match = _DAY.fullmatch(text)
    if match is None or not (1 <= int(match[1]) <= 12 and 1 <= int(match[2]) <= 31):
        return None
    return f"{int(match[1]):02}-{int(match[2]):02}"


def _clock(text: str) -> str | None:
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        return None
    return f"{int(match[1]):02}:{match[2]}"
