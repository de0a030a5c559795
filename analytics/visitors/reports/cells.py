"""What reports are made of: the choice, cells, tables, and the cells of a day, a month and a year.

    Asked            what somebody chose: kind, places, period, comparison, version
    Cell             a value (what Excel calculates with), a text (what people read), and its marks: p provisional,
                     e estimated, * days missing or in part, # the method changed, r running, s without small numbers
    Report, Table    rows of cells

A cell without a value says why in its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from analytics.visitors.reports import words
from analytics.visitors.reports.compare import Way
from analytics.visitors.reports.counting import Counted, Known, Sum, Version, of_month, together
from analytics.visitors.reports.periods import YearKind, days_of, months

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
    `simulated`: of a town that does not exist, which its files say.
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
    simulated: bool = False

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
    machines. `main`: the column of the prefecture's table with the visitors of the month.
    """

    asked: Asked
    title: str
    period: str
    tables: tuple[Table, ...]
    data: Table
    notes: tuple[tuple[str, str], ...]
    main: int = 0

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
            ("s", of.small),
        )
        if holds
    )


def sum_cell(asked: Asked, of: Sum) -> Cell:
    """A month or a year: its total, or why there is none, with what was counted."""
    if of.total is not None:
        return number(of.total, marks_of(of))
    days = {"unconfirmed": of.unconfirmed, "small": of.small}.get(of.why or "", of.missing + of.partial)
    note = asked.say("counted", n=f"{of.counted:,}") if of.counted else ""
    return Cell(None, asked.say(f"why.{of.why}", n=days), "count", note=note)


def day_cell(asked: Asked, of: Counted | None, day: date) -> Cell:
    """One day of a spot."""
    if day > asked.until:
        return Cell(None, asked.say("day.future"), "count")
    if of is None or of.visitors is None:
        if of is not None and of.below is not None:
            return Cell(None, asked.say("below", n=of.below), "count")
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


def methods(asked: Asked, of: frozenset[str]) -> str:
    """The methods by which something was counted."""
    return "・".join(words.method(each, asked.language) for each in sorted(of))
