"""A report as tables: what the page shows is what Excel and CSV hold, cell by cell.

    Asked            what somebody chose: kind, places, period, comparison, version
    make(asked, ...) -> Report

A cell has a value (what Excel calculates with) and a text (what people read), and its marks: p provisional, e
estimated, * days missing or in part, # the method changed, r running. A cell without a value says why in its text.
Everything here is pure: the days come from `building.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from analytics.visitors.day_types import day_type, holiday_name
from analytics.visitors.reports import words
from analytics.visitors.reports.compare import Change, Way, change
from analytics.visitors.reports.counting import MONTHLY_HISTORY, Counted, Known, Sum, Version, of_month, together
from analytics.visitors.reports.periods import YearKind, days_of, months, year_before

Days = Mapping[int, Known]


class Kind(StrEnum):
    """What a report lists."""

    DAILY = "daily"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    PREFECTURE = "prefecture"


@dataclass(frozen=True, slots=True)
class Place:
    """A spot as a report names it."""

    spot_id: int
    code: str
    name: str
    name_en: str

    def called(self, language: str) -> str:
        return self.name_en if language == "en" and self.name_en else self.name


@dataclass(frozen=True, slots=True)
class Asked:
    """What was chosen. `month`: its first day (daily, prefecture); `year` and `years` (the newest and how many of
    them): monthly and yearly. `until` is the last day that is over, `at` when the report is made (local).
    """

    kind: Kind
    places: tuple[Place, ...]
    month: date
    year: int
    years: int
    ways: tuple[Way, ...]
    version: Version
    year_kind: YearKind
    most_missing: int
    until: date
    at: datetime
    language: str = "ja"

    def say(self, key: str, /, **values: object) -> str:
        return words.text(key, self.language, **values)


@dataclass(frozen=True, slots=True)
class Cell:
    """`kind`: text, count, ratio (1.08 = 108 %), day. `note` stands below the text, smaller."""

    value: int | float | date | str | None
    text: str
    kind: str = "text"
    marks: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`labels` leading columns name the row; the last `totals` rows, and `total_columns`, are sums of the others.
    `shown`: the columns that a page has room for, None: all. What is left out stands in the notes of its cells.
    """

    key: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    labels: int = 1
    totals: int = 0
    total_columns: int = 0
    shown: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """`tables`: what is read, then the comparison if one was asked for; `data` one line a spot and period, for
    machines.
    """

    asked: Asked
    title: str
    period: str
    tables: tuple[Table, ...]
    data: Table
    notes: tuple[tuple[str, str], ...]

    @property
    def provisional(self) -> bool:
        """Whether a day in it is not confirmed."""
        return any("p" in cell.marks for table in self.tables for row in table.rows for cell in row)


def label(text: str, *, value: date | None = None, note: str = "") -> Cell:
    """A cell that names its row."""
    return Cell(text if value is None else value, text, "text" if value is None else "day", note=note)


def number(value: int, marks: str = "", note: str = "") -> Cell:
    """A count."""
    return Cell(value, f"{value:,}", "count", marks, note)


def ratio_cell(value: float) -> Cell:
    """A share of the year before."""
    return Cell(value, f"{value * 100:,.1f} %", "ratio")


def marks_of(of: Sum) -> str:
    """The marks of a sum."""
    return "".join(
        mark
        for mark, holds in (
            ("r", of.running),
            ("p", of.provisional),
            ("e", of.estimated),
            ("*", of.missing or of.partial),
            ("#", of.changed),
        )
        if holds
    )


def sum_cell(asked: Asked, of: Sum) -> Cell:
    """A month or a year: its total, or why there is none, with what was counted."""
    if of.total is not None:
        return number(of.total, marks_of(of))
    days = of.unconfirmed if of.why == "unconfirmed" else of.missing + of.partial
    note = asked.say("counted", n=f"{of.counted:,}") if of.counted else ""
    return Cell(None, asked.say(f"why.{of.why}", n=days), "count", note=note)


def day_cell(asked: Asked, of: Counted | None, day: date) -> Cell:
    """One day of a spot."""
    if day > asked.until:
        return Cell(None, asked.say("day.future"), "count")
    if of is None or of.visitors is None:
        return Cell(None, asked.say(f"day.{'missing' if of is None else of.why}"), "count")
    found = (("p", of.provisional), ("e", of.estimated), ("*", of.partial), ("#", of.switched))
    return number(of.visitors, "".join(mark for mark, holds in found if holds))


def month_sum(asked: Asked, known: Known, month: date) -> Sum:
    """A month of one spot."""
    return of_month(days_of(month), known, asked.until, asked.most_missing)


def year_sum(asked: Asked, known: Known, year: int) -> Sum:
    """A year of one spot."""
    return together(month_sum(asked, known, month) for month in months(year, asked.year_kind))


def month_name(asked: Asked, month: date) -> str:
    """2026年4月"""
    return asked.say("month", year=month.year, month=month.month)


def year_name(asked: Asked, year: int, *, short: bool = False) -> str:
    """A year, always with which kind it is."""
    key = f"year.{asked.year_kind.value}{'.short' if short else ''}"
    return asked.say(key, year=year, next=year + 1) if not short else asked.say(key, year=year)


# --- the tables -------------------------------------------------------------------------------------------------


def make(asked: Asked, days: Days) -> Report:
    """The report of a month day by day, of the months of a year, or of years. `days` holds what is needed of each
    place, the year before too where there is a comparison.
    """
    table, data, period = {Kind.DAILY: _daily, Kind.MONTHLY: _monthly, Kind.YEARLY: _yearly}[asked.kind](asked, days)
    tables = (table, *((_changes(asked, days),) if asked.ways else ()))
    return Report(asked, table.title, period, tables, data, notes_of(asked, days))


def month_cells(report: Report) -> list[tuple[str, Cell]]:
    """Each place with the sum of `asked.month`; nothing of a report by years or for the prefecture."""
    asked, table = report.asked, report.tables[0]
    names = [place.called(asked.language) for place in asked.places]
    if asked.kind is Kind.DAILY:
        return list(zip(names, table.rows[-1][table.labels :], strict=True))
    wanted = month_name(asked, asked.month)
    if asked.kind is not Kind.MONTHLY or wanted not in table.head:
        return []
    return [(name, row[table.head.index(wanted)]) for name, row in zip(names, table.rows, strict=True)]


Rows = tuple[tuple[Cell, ...], ...]


def _daily(asked: Asked, days: Days) -> tuple[Table, Table, str]:
    rows, data = [], []
    for day in days_of(asked.month):
        named = holiday_name(day) if asked.language == "ja" else None
        weekday = words.WEEKDAYS[asked.language][day.weekday()]
        cells = [day_cell(asked, days[place.spot_id].days.get(day), day) for place in asked.places]
        date_label = label(f"{day.month}/{day.day}", value=day)
        rows.append((date_label, label(weekday), label(named or _kind(asked, day)), *cells))
        if day <= asked.until:
            data += [_day_line(asked, place, day, days[place.spot_id].days.get(day)) for place in asked.places]
    sums = [sum_cell(asked, month_sum(asked, days[place.spot_id], asked.month)) for place in asked.places]
    rows.append((label(asked.say("total.month")), label(""), label(""), *sums))
    head = [asked.say(f"column.{name}") for name in ("day", "weekday", "kind")]
    head += [place.called(asked.language) for place in asked.places]
    table = Table("main", asked.say("title.daily"), tuple(head), tuple(rows), labels=3, totals=1)
    names = ("day", "kind", "code", "spot", "visitors", "state", "version", "method", "changed")
    data_head = tuple(asked.say(f"column.{name}") for name in names)
    lines = Table("data", asked.say("title.data"), data_head, tuple(data), labels=4)
    return table, lines, month_name(asked, asked.month)


_KINDS = {
    "weekday": ("平日", "weekday"),
    "saturday": ("土曜", "Saturday"),
    "holiday": ("日曜・祝日", "Sunday, holiday"),
    "golden_week": ("GW", "Golden Week"),
    "obon": ("お盆", "Bon"),
    "new_year": ("年末年始", "New Year"),
}


def _kind(asked: Asked, day: date) -> str:
    return _KINDS[day_type(day).value][asked.language == "en"]


def _day_line(asked: Asked, place: Place, day: date, of: Counted | None) -> tuple[Cell, ...]:
    named = (label(day.isoformat(), value=day), label(_kind(asked, day)), label(place.code))
    if of is None or of.visitors is None:
        cell = day_cell(asked, of, day)
        state = (Cell(None, "", "count"), label(cell.text), label(""), label(""), label(""))
    else:
        how = "estimated" if of.estimated else "partial" if of.partial else "whole"
        state = (
            number(of.visitors),
            label(asked.say(f"state.{how}")),
            label(asked.say(f"version.{'provisional' if of.provisional else 'confirmed'}")),
            label(methods(asked, of.methods)),
            label(asked.say("yes") if of.switched else ""),
        )
    return (*named, label(place.called(asked.language)), *state)


def methods(asked: Asked, of: frozenset[str]) -> str:
    """The methods by which something was counted."""
    return "・".join(words.method(each, asked.language) for each in sorted(of))


def _monthly(asked: Asked, days: Days) -> tuple[Table, Table, str]:
    of_year = months(asked.year, asked.year_kind)
    sums = [[month_sum(asked, days[place.spot_id], month) for month in of_year] for place in asked.places]
    rows = [
        (label(place.called(asked.language)), *(sum_cell(asked, each) for each in [*mine, together(mine)]))
        for place, mine in zip(asked.places, sums, strict=True)
    ]
    names = [month_name(asked, month) for month in of_year]
    head = (asked.say("column.spot"), *names, asked.say("total.year"))
    data = [
        line for n, month in enumerate(of_year) for line in _sum_lines(asked, f"{month:%Y-%m}", [m[n] for m in sums])
    ]
    table = Table("main", asked.say("title.monthly"), head, tuple(rows), total_columns=1)
    return table, _sum_table(asked, data), year_name(asked, asked.year)


def _yearly(asked: Asked, days: Days) -> tuple[Table, Table, str]:
    years = range(asked.year - asked.years + 1, asked.year + 1)
    sums = [[year_sum(asked, days[place.spot_id], year) for year in years] for place in asked.places]
    rows = [
        (label(place.called(asked.language)), *(sum_cell(asked, each) for each in mine))
        for place, mine in zip(asked.places, sums, strict=True)
    ]
    names = [year_name(asked, year, short=True) for year in years]
    data = [line for n, name in enumerate(names) for line in _sum_lines(asked, name, [mine[n] for mine in sums])]
    period = year_name(asked, asked.year) if asked.years == 1 else f"{names[0]}〜{year_name(asked, asked.year)}"
    table = Table("main", asked.say("title.yearly"), (asked.say("column.spot"), *names), tuple(rows))
    return table, _sum_table(asked, data), period


_SUM_COLUMNS = (
    "period", "code", "spot", "visitors", "state", "counted", "days", "missing", "partial", "estimated", "provisional",
    "unconfirmed", "method", "changed",
)  # fmt: skip


def _sum_table(asked: Asked, lines: Sequence[tuple[Cell, ...]]) -> Table:
    head = tuple(asked.say(f"column.{name}") for name in _SUM_COLUMNS)
    return Table("data", asked.say("title.data"), head, tuple(lines), labels=3)


def _sum_lines(asked: Asked, period: str, sums: Sequence[Sum]) -> list[tuple[Cell, ...]]:
    lines = []
    for place, of in zip(asked.places, sums, strict=True):
        if of.why == "future":
            continue
        cell = sum_cell(asked, of)
        state = asked.say("state.running") if of.running and of.total is not None else cell.text
        whole = of.total is not None and not of.running
        lines.append(
            (
                label(period),
                label(place.code),
                label(place.called(asked.language)),
                Cell(None, "", "count") if of.total is None else number(of.total),
                label(asked.say("state.whole") if whole else state),
                number(of.counted),
                *(number(n) for n in (of.days, of.missing, of.partial, of.estimated, of.provisional, of.unconfirmed)),
                label(methods(asked, of.methods)),
                label(asked.say("yes") if of.changed else ""),
            )
        )
    return lines


# --- the comparison ---------------------------------------------------------------------------------------------


def _changes(asked: Asked, days: Days) -> Table:
    head = [asked.say("column.spot"), asked.say("column.period")]
    for way in asked.ways:
        head += [
            asked.say("column.now"),
            asked.say(f"change.{way.value}.before"),
            asked.say(f"change.{way.value}.ratio"),
        ]
    rows = []
    for place in asked.places:
        for name, of in _units(asked):
            if of[0] > asked.until:
                continue
            cells = [label(place.called(asked.language)), label(name)]
            for way in asked.ways:
                cells += change_cells(asked, changed(asked, days[place.spot_id], of, way))
            rows.append(tuple(cells))
    shown = (0, 1, *range(4, len(head), 3))  # the ratios
    return Table("change", asked.say("title.change"), tuple(head), tuple(rows), labels=2, shown=shown)


def _units(asked: Asked) -> list[tuple[str, tuple[date, ...]]]:
    """The periods that are compared: what they are called, their months."""
    if asked.kind in (Kind.DAILY, Kind.PREFECTURE):
        return [(month_name(asked, asked.month), (asked.month,))]
    if asked.kind is Kind.YEARLY:
        years = range(asked.year - asked.years + 1, asked.year + 1)
        return [(year_name(asked, year, short=True), months(year, asked.year_kind)) for year in years]
    of_year = months(asked.year, asked.year_kind)
    return [*((month_name(asked, month), (month,)) for month in of_year), (asked.say("total.year"), of_year)]


def changed(asked: Asked, known: Known, of: Sequence[date], way: Way) -> Change:
    """These months beside the year before. Where the days have no pairs, whole months that have totals are compared by
    the same dates: so the past totals of an office are.
    """
    passed = [day for month in of for day in days_of(month) if day <= asked.until]
    begun = sum(month <= asked.until for month in of)
    found = change(passed, known.days, way, asked.most_missing, months=begun)
    if found.why not in ("nothing", "gaps") or way is not Way.DATE:
        return found
    now = together(month_sum(asked, known, month) for month in of)
    before = together(month_sum(asked, known, year_before(month)) for month in of)
    if now.total is None or before.total is None or now.days < now.length:
        return found
    return Change(
        *(way, now.total, before.total, 0, len(passed)),
        now.total / before.total if before.total else None,
        None if before.total else "zero",
        now.methods != before.methods,
        bool(now.estimated or before.estimated),
    )


def change_cells(asked: Asked, of: Change) -> list[Cell]:
    """The sums of both sides and their ratio, or why there is none."""
    marks = ("#" if of.method_changed else "") + ("e" if of.estimated else "")
    compared = asked.say("change.pairs", n=of.pairs, of=of.days) if of.pairs else asked.say("change.months")
    note = asked.say("change.note", now=f"{of.now:,}", before=f"{of.before:,}", compared=compared)
    if of.ratio is None:
        why = Cell(None, asked.say(f"change.why.{of.why}"), "ratio", note=note)
        if of.why == "nothing":
            return [Cell(None, "", "count"), Cell(None, "", "count"), replace(why, note="")]
        return [number(of.now), number(of.before), why]
    return [number(of.now), number(of.before), replace(ratio_cell(of.ratio), marks=marks, note=note)]


# --- the notes --------------------------------------------------------------------------------------------------


def notes_of(asked: Asked, days: Days) -> tuple[tuple[str, str], ...]:
    """What has to be known to use the numbers."""
    say = asked.say
    found = [(say("note.what"), say("note.what.text"))]
    if asked.kind is not Kind.DAILY:
        found.append((say("note.year"), say(f"note.year.{asked.year_kind.value}")))
    at = f"{asked.at:%Y-%m-%d %H:%M}"
    found.append((say("note.version"), say(f"note.version.{asked.version.value}", at=at)))
    found.append((say("note.gaps"), say("note.gaps.text", n=asked.most_missing)))
    found.append((say("note.marks"), "　".join(say(f"mark.{mark}") for mark in "rpe*#")))
    if asked.ways or asked.kind is Kind.PREFECTURE:
        found.append((say("note.compare"), say("note.compare.text")))
    found.append((say("note.methods"), _methods_note(asked, days)))
    return tuple(found)


def _methods_note(asked: Asked, days: Days) -> str:
    parts = []
    for place in asked.places:
        known = days[place.spot_id]
        used = frozenset[str]().union(*(of.methods for of in known.days.values()))
        used |= {MONTHLY_HISTORY} if known.months else set()
        parts.append(f"{place.called(asked.language)}：{methods(asked, used) or asked.say('why.nothing')}")
    return "、".join(parts)


def needed(asked: Asked) -> tuple[date, date]:
    """The first and last day that `make` looks at, with a margin for the comparison."""
    if asked.kind in (Kind.DAILY, Kind.PREFECTURE):
        first = asked.month
        if asked.kind is Kind.PREFECTURE:
            start = 4 if asked.year_kind is YearKind.FISCAL else 1
            first = date(asked.month.year - (asked.month.month < start), start, 1)
        last = days_of(asked.month)[-1]
    else:
        first = months(asked.year - (asked.years - 1 if asked.kind is Kind.YEARLY else 0), asked.year_kind)[0]
        last = days_of(months(asked.year, asked.year_kind)[-1])[-1]
    if asked.ways or asked.kind is Kind.PREFECTURE:
        first -= timedelta(days=366 + 30)
    return first, min(last, asked.until)
