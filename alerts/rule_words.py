"""A rule that staff wrote, in plain words, in Japanese and English: for its message, for the pages, for its history.

    condition(body, "ja")      '水位が1.50 m以上'
    clearing(body, "ja")       '水位が1.40 m未満の状態が30分続いたとき'
    limits(body, "ja")         when it applies: season and hours; empty where it always does
    figure(compare, 0.42, …)   '水位の30分間の上昇 0.42 m（条件：0.30 m以上）'

Nothing here says what the river will do: a rise is one that was observed. Where a body names another station, `names`
(code -> Japanese, English) gives its name; else its code stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from alerts import finding_words
from alerts.rules.condition import (
    DAY,
    Body,
    Change,
    Compare,
    Condition,
    Either,
    Every,
    Expression,
    Minus,
    Named,
    Number,
    Plus,
    Reading,
    Reference,
    Series,
    Times,
    Total,
    Usual,
    walk,
)
from devices.model import ObservedProperty

Language = Literal["ja", "en"]
Names = Mapping[str, tuple[str, str]]

PROPERTIES: dict[ObservedProperty, tuple[str, str]] = {
    ObservedProperty.WATER_LEVEL: ("水位", "water level"),
    ObservedProperty.PRECIPITATION: ("雨量", "precipitation"),
    ObservedProperty.AIR_TEMPERATURE: ("気温", "air temperature"),
    ObservedProperty.TANK_LEVEL: ("配水池の水位", "tank level"),
    ObservedProperty.FLOW: ("流量", "flow"),
    ObservedProperty.PRESSURE: ("水圧", "pressure"),
    ObservedProperty.PASSAGES_IN: ("通過数（入・延べ）", "passages in"),
    ObservedProperty.PASSAGES_OUT: ("通過数（出・延べ）", "passages out"),
    ObservedProperty.PASSAGES_DAY: ("1日の通過数（延べ）", "passages of the day"),
    ObservedProperty.INUNDATION: ("浸水（1 浸水・0 なし）", "inundation (1 wet, 0 dry)"),
    ObservedProperty.PUMP_RUNNING: ("ポンプ（1 運転・0 停止）", "pump (1 running, 0 standing)"),
    ObservedProperty.RESIDUAL_CHLORINE: ("残留塩素", "residual chlorine"),
    ObservedProperty.TURBIDITY: ("濁度", "turbidity"),
    ObservedProperty.LEAK_SOUND: ("漏水音", "leak sound"),
    ObservedProperty.PEOPLE_PRESENT: ("滞在数（延べ）", "people present"),
    ObservedProperty.VEHICLES_PRESENT: ("駐車台数", "vehicles present"),
    ObservedProperty.VEHICLES_IN: ("入庫台数（延べ）", "vehicles in"),
    ObservedProperty.RADIO_SIGNALS: ("電波の数（傾向のみ）", "radio signals (trend only)"),
}
SEVERITIES: dict[int | None, tuple[str, str]] = {
    3: ("至急対応", "act at once"),
    2: ("対応", "act"),
    1: ("確認", "look at it"),
    None: ("情報", "information"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {"m3/h": "m³/h", "Cel": "°C", "1": "", "{degree}": "度", "{person}": "", "{vehicle}": "台", "{signal}": ""}
_UNITS_EN = {**_UNITS, "m3/h": "m3/h", "{degree}": "degrees", "{vehicle}": "vehicles"}


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of the rule that it comes from; `figures` and `when` in Japanese and English."""

    name: str
    severity: int | None
    when: tuple[str, str]
    figures: tuple[tuple[str, str], ...]


def condition(body: Body, language: Language, names: Names | None = None) -> str:
    """When it is raised."""
    so = _condition(body.when, language, names or {})
    if not body.lasting:
        return so
    length = duration(body.lasting, language)
    return f"{so}の状態が{length}続いたとき" if language == "ja" else f"{so}, for {length}"


def clearing(body: Body, language: Language, names: Names | None = None) -> str:
    """When it is cleared."""
    ja = language == "ja"
    if body.clear is not None:
        so = _condition(body.clear, language, names or {})
    else:
        margins = [
            f"{_left(each.left, language, names or {})} {_quantity(each.margin, each.left, language)}"
            for each in walk(body.when)
            if isinstance(each, Compare) and each.margin
        ]
        so = "この条件を外れたとき" if ja else "it is no longer so"
        if margins:
            so += f"（解除幅：{'、'.join(margins)}）" if ja else f" by a margin of {', '.join(margins)}"
    if not body.hold:
        return so
    length = duration(body.hold, language)
    if ja:
        return f"{so.removesuffix('とき')}の状態が{length}続いたとき" if body.clear is not None else f"{so}から{length}"
    return f"{so}, for {length}"


def limits(body: Body, language: Language) -> str:
    """In which season and at which hours it can begin; empty where always."""
    found = []
    if body.season is not None:
        found.append(
            f"{_date(body.season.first, language)}〜{_date(body.season.last, language)}"
            if language == "ja"
            else f"from {_date(body.season.first, language)} to {_date(body.season.last, language)}"
        )
    if body.hours is not None:
        found.append(
            f"{body.hours.first}〜{body.hours.last}"
            if language == "ja"
            else f"between {body.hours.first} and {body.hours.last}"
        )
    return ("・" if language == "ja" else ", ").join(found)


def figure(compare: Compare, left: float | None, language: Language, names: Names | None = None) -> str:
    """What one comparison compared."""
    names = names or {}
    what, wanted = _left(compare.left, language, names), _right(compare, language, names)
    if language == "ja":
        value = "不明" if left is None else _quantity(left, compare.left, language)
        return f"{what}：{value}（条件：{wanted}）"
    value = "unknown" if left is None else _quantity(left, compare.left, language)
    return f"{what[:1].upper()}{what[1:]}: {value} (condition: {wanted})"


def unit_of(part: Expression) -> str:
    """The unit of an expression; empty for a bare number."""
    match part:
        case Reading(series=series) | Change(series=series) | Total(series=series):
            return ObservedProperty(series.observed_property).unit
        case Reference() | Named():
            return "m"
        case Usual(of=of) | Times(of=of):
            return unit_of(of)
        case Plus(left=left, right=right) | Minus(left=left, right=right):
            return unit_of(left) or unit_of(right)
    return ""


def duration(seconds: int, language: Language) -> str:
    """
    >>> duration(1800, "ja"), duration(86400, "en"), duration(5400, "ja")
    ('30分', '24 h', '90分')
    """
    if seconds % 3600 == 0 and seconds <= 2 * DAY:
        return f"{seconds // 3600}時間" if language == "ja" else f"{seconds // 3600} h"
    if seconds % DAY == 0:
        return f"{seconds // DAY}日" if language == "ja" else f"{seconds // DAY} d"
    if seconds % 60 == 0:
        return f"{seconds // 60}分" if language == "ja" else f"{seconds // 60} min"
    return f"{seconds}秒" if language == "ja" else f"{seconds} s"


def _condition(part: Condition, language: Language, names: Names, inner: bool = False) -> str:
    if isinstance(part, Compare):
        left, right = _left(part.left, language, names), _right(part, language, names)
        return f"{left}が{right}" if language == "ja" else f"{left} is {right}"
    assert isinstance(part, Every | Either)
    joint = {"ja": ("、かつ", "、または"), "en": (" and ", " or ")}[language][isinstance(part, Either)]
    said = joint.join(_condition(each, language, names, True) for each in part.of)
    if not inner or len(part.of) == 1:
        return said
    return f"（{said}）" if language == "ja" else f"({said})"


def _left(part: Expression, language: Language, names: Names) -> str:
    ja = language == "ja"
    match part:
        case Reading(series=series):
            return _series(series, language, names)
        case Change(series=series, seconds=seconds, falling=falling):
            what, length = _series(series, language, names), duration(seconds, language)
            if ja:
                return f"{what}の{length}間の{'下降' if falling else '上昇'}"
            return f"{'fall' if falling else 'rise'} of the {what} over {length}"
        case Total(series=series, seconds=seconds):
            what, length = _series(series, language, names), duration(seconds, language)
            return f"{what}の{length}の合計" if ja else f"{what} summed over {length}"
        case Reference(level=5):
            return "越水の水位（レベル５の基準水位）" if ja else "the overflow level (reference level 5)"
        case Reference(level=level):
            return f"レベル{level}の基準水位" if ja else f"reference level {level}"
        case Named(name=name):
            return f"「{name}」の水位" if ja else f"the level “{name}”"
        case Minus(left=Named(name=name), right=Reading(series=series)):
            what = _series(series, language, names)
            return f"「{name}」までの余裕（{what}）" if ja else f"margin below “{name}” ({what})"
        case Minus(left=Reference(level=5), right=Reading(series=series)):
            what = _series(series, language, names)
            return f"越水の水位までの余裕（{what}）" if ja else f"margin below the overflow level ({what})"
        case Usual(of=of, weeks=weeks):
            said = _left(of, language, names)
            if ja:
                return f"ふだんの{said}（過去{weeks}週の同じ曜日・時刻の中央値）"
            return f"the usual {said} (median of the same hour and weekday in the last {weeks} weeks)"
        case Number(value=value):
            return f"{value:g}"
        case Times(of=of, factor=factor):
            said = _left(of, language, names)
            return f"{said}の{factor:g}倍" if ja else f"{factor:g} times {said}"
        case Plus(left=left, right=right):
            return (
                f"（{_left(left, language, names)}＋{_left(right, language, names)}）"
                if ja
                else (f"the sum of {_left(left, language, names)} and {_left(right, language, names)}")
            )
        case Minus(left=left, right=right):
            first, second = _left(left, language, names), _left(right, language, names)
            return f"{first}と{second}の差" if ja else f"{first} minus {second}"
    raise AssertionError(f"no words for {part}")


def _right(compare: Compare, language: Language, names: Names) -> str:
    value = (
        _quantity(compare.right.value, compare.left, language)
        if isinstance(compare.right, Number)
        else _left(compare.right, language, names)
    )
    if language == "ja":
        return f"{value}{'以上' if compare.order == 'above' else '未満'}"
    return f"{'at least' if compare.order == 'above' else 'below'} {value}"


def _quantity(value: float, part: Expression, language: Language) -> str:
    unit = unit_of(part)
    if unit in ("m", "{passage}"):
        return finding_words.quantity(value, unit)
    shown = (_UNITS if language == "ja" else _UNITS_EN).get(unit, unit)
    digits = (
        f"{value:.2f}" if unit == "mg/L" else f"{value:g}" if unit in ("1", "{person}", "{vehicle}") else f"{value:.1f}"
    )
    return f"{digits} {shown}".strip()


def _series(series: Series, language: Language, names: Names) -> str:
    what = PROPERTIES[ObservedProperty(series.observed_property)][language == "en"]
    if series.station is None:
        return what
    station = names.get(series.station, (series.station, series.station))[language == "en"]
    return f"{station}の{what}" if language == "ja" else f"{what} at {station}"


def _date(text: str, language: Language) -> str:
    month, day = int(text[:2]), int(text[3:])
    if language == "ja":
        return f"{month}月{day}日"
    return f"{day} {_MONTHS[month - 1]}"
