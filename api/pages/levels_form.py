"""A threshold set as the fields of a form, and back.

    read_form(form, ...) -> Typed | None, problems      problems: field -> what is wrong, in both languages
    fields_of(set) -> fields                             to begin a new set with what another one says

A row is a level: its kind, its number (or none), its names, and its height typed in one of three ways: above gauge
zero, as an elevation above T.P., or as so much below the overflow level of the same set. Metres; "315 cm" is
understood too.
A row without a height is no level.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.rule_book import MAX_REASON, OFFICIAL_WORDS
from api.errors import Text
from devices.levels import HIGHEST, USUAL_NAMES, LevelKind, ThresholdMark
from devices.model import ThresholdLevel, ThresholdSet
from store.levels import DatedSet

ROWS = tuple(str(n) for n in range(1, 13))
BASES = ("zero", "tp", "below")
LONGEST_NAME = 40
LONGEST_NAME_EN = 80
# 国土交通省: 水位観測所の基準水位
REFERENCE_NAMES = {
    1: ("水防団待機水位", "Flood-fighting corps standby level"),
    2: ("氾濫注意水位", "Flood watch level"),
    3: ("避難判断水位", "Evacuation judgement level"),
    4: ("氾濫危険水位", "Flood danger level"),
    5: ("氾濫発生水位", "Overflow level"),
}
_HIGHEST_TP = 4000.0
_MOST_MARGIN, _MOST_HOLD = 10.0, 1440.0
_HEIGHT = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*(m|cm)?", re.IGNORECASE)
_ONCE = (LevelKind.DESIGN, LevelKind.OBSERVATION_START, LevelKind.OVERFLOW)

Fields = dict[str, str]
Problems = dict[str, Text]


@dataclass(frozen=True, slots=True)
class Typed:
    """A set as it was typed. `corrects`: the set that it says was wrong."""

    wanted: ThresholdSet
    corrects: DatedSet | None


@dataclass(frozen=True, slots=True)
class _Row:
    row: str
    kind: LevelKind
    number: int | None
    name: str
    name_en: str
    basis: str
    typed: float


def fields_of(base: DatedSet | None) -> Fields:
    """What the form begins with: a set's own figures, or those of a gauge that never had any."""
    if base is None:
        return {"clear_margin": "0.10", "hold": "30"}
    fields = {
        "zero_tp": "" if base.gauge_zero_tp is None else _plain(base.gauge_zero_tp),
        "clear_margin": _plain(base.clear_margin),
        "hold": f"{base.hold / timedelta(minutes=1):g}",
    }
    for row, each in zip(ROWS, reversed(base.every), strict=False):
        number = str(each.level) if isinstance(each, ThresholdLevel) else ""
        said = {"kind": each.kind.value, "number": number, "name": each.name, "name_en": each.name_en, "basis": "zero"}
        fields |= {f"{name}-{row}": value for name, value in said.items()} | {f"value-{row}": _plain(each.value)}
    return fields


def read_form(
    form: Mapping[str, str],
    sets: Sequence[DatedSet],
    *,
    now: datetime,
    zone: ZoneInfo,
    valid_range: tuple[float | None, float | None],
    saving: bool,
) -> tuple[Typed | None, Problems]:
    """The set that was typed; None with problems where it is none. `sets`: those of the station, as they are stored;
    `valid_range`: what its water level can be. `saving`: it needs its reason.
    """
    problems: Problems = {}
    corrects, valid_from = _when(form, sets, now, zone, problems)
    reason = form.get("reason", "").strip()
    if (saving and not reason) or len(reason) > MAX_REASON:
        problems["reason"] = Text(
            f"変える理由を{MAX_REASON}字以内で書いてください。あとで見る人のためです。",
            f"Say why in up to {MAX_REASON} characters, for whoever asks later.",
        )
    margin = _between(form, "clear_margin", 0.0, _MOST_MARGIN, "0.10", problems)
    hold = _between(form, "hold", 0.0, _MOST_HOLD, "30", problems)
    zero = None
    if form.get("zero_tp", "").strip():
        zero = height(form["zero_tp"])
        if zero is None or abs(zero) > _HIGHEST_TP:
            problems["zero_tp"] = _NO_HEIGHT
            zero = None
    known = {each.name for base in sets for each in base.every}
    rows = [row for n in ROWS if (row := _row(form, n, known, problems)) is not None]
    _check_together(rows, problems)
    values = _values(rows, zero, problems)
    _check_values(rows, values, valid_range, problems)
    if problems:
        return None, problems
    wanted = ThresholdSet(
        valid_from,
        reason,
        tuple(
            ThresholdLevel(row.number, row.name, row.name_en, values[row.row], row.kind)
            for row in sorted(rows, key=lambda each: each.number or 0)
            if row.number is not None
        ),
        margin,
        timedelta(minutes=hold),
        zero,
        None,
        tuple(
            ThresholdMark(row.kind, row.name, row.name_en, values[row.row])
            for row in sorted(rows, key=lambda each: values[each.row])
            if row.number is None
        ),
    )
    return Typed(wanted, corrects), {}


def height(text: str) -> float | None:
    """Metres, in full width too; None where it is no height.

    >>> height("3.15"), height("３１５cm"), height("−0.4 m"), height("高い")
    (3.15, 3.15, -0.4, None)
    """
    match = _HEIGHT.fullmatch(unicodedata.normalize("NFKC", text).replace("−", "-").strip())
    if match is None:
        return None
    value = float(match[1])
    return round(value / 100, 4) if (match[2] or "m").lower() == "cm" else value


_NO_HEIGHT = Text("高さをmで入れてください（例 3.15、または 315cm）。", "A height in m, such as 3.15 (or 315cm).")


def _when(
    form: Mapping[str, str], sets: Sequence[DatedSet], now: datetime, zone: ZoneInfo, problems: Problems
) -> tuple[DatedSet | None, datetime]:
    """(the set that is corrected, from when on the new one is in force)."""
    asked = form.get("corrects", "")
    if asked:
        wrong = next((each for each in sets if str(each.set_id) == asked), None)
        if wrong is None or wrong.corrected_by is not None:
            problems["corrects"] = Text(
                "その組はもう訂正されています。画面を開き直してください。",
                "That set has been corrected already: open the page anew.",
            )
            return None, now
        return wrong, wrong.valid_from
    text = form.get("valid_from", "").strip()
    valid_from = now.replace(second=0, microsecond=0)
    if text:
        try:
            valid_from = datetime.fromisoformat(text)
        except ValueError:
            problems["valid_from"] = Text("日時を入れてください。", "This is not a date and time.")
            return None, now
        valid_from = valid_from if valid_from.tzinfo else valid_from.replace(tzinfo=zone)
    if any(each.valid_from == valid_from for each in sets):
        problems["valid_from"] = Text(
            "この日時に始まる組がもうあります。その誤りを直すときは「訂正」を選んでください。",
            "A set begins then already. Where it is wrong, choose to correct it.",
        )
    return None, valid_from


def _row(form: Mapping[str, str], n: str, known: set[str], problems: Problems) -> _Row | None:
    """The level of a row; None where there is none, or something is wrong with it."""
    typed = form.get(f"value-{n}", "").strip()
    name, name_en = (" ".join(form.get(f"{field}-{n}", "").split()) for field in ("name", "name_en"))
    if not typed:
        if name and name not in known:
            problems[f"value-{n}"] = Text("高さが空です。", "The height is missing.")
        return None
    kind_text, number_text, basis = (form.get(f"{field}-{n}", "") for field in ("kind", "number", "basis"))
    if kind_text not in set(LevelKind) or basis not in BASES or number_text not in ("", "1", "2", "3", "4", "5"):
        problems[f"kind-{n}"] = Text("選択肢から選んでください。", "Choose one of the list.")
        return None
    kind, number = LevelKind(kind_text), int(number_text) if number_text else None
    if number is None and kind is LevelKind.REFERENCE:
        problems[f"number-{n}"] = Text(
            "基準水位には番号1～5を選んでください。", "A reference level has a number from 1 to 5."
        )
    if number is not None and not kind.numbered:
        problems[f"number-{n}"] = Text(
            "この種類の水位は判定しません。番号は「なし」にしてください。",
            "A level of this kind is not judged: leave it without a number.",
        )
    usual = USUAL_NAMES.get(kind) or (REFERENCE_NAMES.get(number or 0) if kind is LevelKind.REFERENCE else None)
    if not name and usual is not None:
        name, name_en = usual[0], name_en or usual[1]
    if not name or len(name) > LONGEST_NAME:
        problems[f"name-{n}"] = Text(
            f"名前を{LONGEST_NAME}字以内で入れてください（例 橋げた下端）。",
            f"A name of up to {LONGEST_NAME} characters, such as bridge soffit.",
        )
    elif OFFICIAL_WORDS.search(name + name_en):
        problems[f"name-{n}"] = Text(
            "この言葉は気象台などの公式な発表のものです（気象業務法）。別の名前にしてください。",
            "These words belong to official announcements by law. Choose another name.",
        )
    if len(name_en) > LONGEST_NAME_EN:
        problems[f"name_en-{n}"] = Text(f"{LONGEST_NAME_EN}字以内です。", f"At most {LONGEST_NAME_EN} characters.")
    value = height(typed)
    if value is None or not math.isfinite(value):
        problems[f"value-{n}"] = _NO_HEIGHT
        return None
    return _Row(n, kind, number, name, name_en or name, basis, value)


def _check_together(rows: Sequence[_Row], problems: Problems) -> None:
    numbers: set[int] = set()
    names: set[str] = set()
    kinds: set[LevelKind] = set()
    for row in rows:
        if row.number in numbers:
            problems[f"number-{row.row}"] = Text(
                f"番号{row.number}は上の行にもあります。一つの番号は一つの水位だけです。目安なら番号「なし」にできます。",
                f"Number {row.number} is there already: a number means one level. A local mark needs none.",
            )
        if row.name in names:
            problems[f"name-{row.row}"] = Text("同じ名前が上の行にあります。", "The same name is in a row above.")
        if row.kind in kinds and row.kind in _ONCE:
            problems[f"kind-{row.row}"] = Text("この種類は一つだけです。", "There can be only one of this kind.")
        if row.number is not None:
            numbers.add(row.number)
        names.add(row.name)
        kinds.add(row.kind)


def _values(rows: Sequence[_Row], zero: float | None, problems: Problems) -> dict[str, float]:
    """Row -> metres above gauge zero."""
    values: dict[str, float] = {}
    for row in rows:
        if row.basis == "zero":
            values[row.row] = row.typed
        elif row.basis == "tp" and zero is not None:
            values[row.row] = round(row.typed - zero, 4)
        elif row.basis == "tp":
            problems.setdefault(
                "zero_tp",
                Text(
                    "T.P.標高で入れた水位があります。零点高の標高を入れてください。",
                    "A level is given as an elevation: give the elevation of gauge zero.",
                ),
            )
    said = [row for row in rows if row.kind is LevelKind.OVERFLOW] or [row for row in rows if row.number == 5]
    for row in rows:
        if row.basis != "below":
            continue
        if row.typed < 0:
            problems[f"value-{row.row}"] = Text(
                "氾濫開始水位から何m下かを、0以上の数で入れてください（「−1.24」なら 1.24）。",
                "Say how many metres below the overflow level it is, as a number from 0 on (1.24, not −1.24).",
            )
        elif not said or said[0].basis == "below":
            problems[f"basis-{row.row}"] = Text(
                "氾濫開始水位そのものを、零点高かT.P.から入れてください。",
                "Give the overflow level itself above gauge zero or T.P.",
            )
        elif said[0].row in values:
            values[row.row] = round(values[said[0].row] - row.typed, 4)
    return values


def _check_values(
    rows: Sequence[_Row],
    values: Mapping[str, float],
    valid_range: tuple[float | None, float | None],
    problems: Problems,
) -> None:
    low = -HIGHEST if valid_range[0] is None else valid_range[0]
    high = HIGHEST if valid_range[1] is None else valid_range[1]
    for row in rows:
        value = values.get(row.row)
        if value is None or f"value-{row.row}" in problems:
            continue
        if abs(value) > HIGHEST:
            problems[f"value-{row.row}"] = Text(
                f"零点高から{value:.2f} mになります。cmなら「{row.typed:g}cm」と書いてください。",
                f"That is {value:.2f} m above gauge zero. Where it is cm, write “{row.typed:g}cm”.",
            )
        elif row.number is not None and not low <= value <= high:
            problems[f"value-{row.row}"] = Text(
                f"零点高から{value:.2f} mは、この観測所の水位の範囲（{low:g}～{high:g} m）の外です。判定できません。",
                f"{value:.2f} m is outside what this gauge can observe ({low:g} to {high:g} m): it is never judged.",
            )
    below: tuple[int, float] | None = None
    for row in sorted((row for row in rows if row.number is not None), key=lambda each: each.number or 0):
        value = values.get(row.row)
        if value is None:
            continue
        if below is not None and value <= below[1]:
            problems.setdefault(
                f"value-{row.row}",
                Text(
                    f"番号{row.number}（{value:.2f} m）は番号{below[0]}（{below[1]:.2f} m）より高くしてください。",
                    f"Number {row.number} ({value:.2f} m) must be above number {below[0]} ({below[1]:.2f} m).",
                ),
            )
        below = (row.number or 0, value)


def _between(form: Mapping[str, str], name: str, low: float, high: float, empty: str, problems: Problems) -> float:
    try:
        value = float(unicodedata.normalize("NFKC", form.get(name, "")).strip() or empty)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        problems[name] = Text(f"{low:g}～{high:g}の数を入れてください。", f"A number from {low:g} to {high:g}.")
        return low
    return value


def _plain(value: float) -> str:
    """As many decimals as it has, at least the two that a staff gauge is read with."""
    text = f"{value:.4f}".rstrip("0")
    return text if len(text.partition(".")[2]) >= 2 else f"{value:.2f}"
