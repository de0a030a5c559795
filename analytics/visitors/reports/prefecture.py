"""The month's table for the prefecture: one line a spot, in the columns that the office has written (`layout.py`).

Shares (日帰り, 県内 ...) come from an interview survey at the spot and are its per cent of the month's 延べ: an
estimate, marked e, with the survey named in the remarks. A spot without a survey has words there, no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analytics.visitors.reports import words
from analytics.visitors.reports.cells import (
    Asked,
    Cell,
    Days,
    Place,
    Report,
    Table,
    label,
    marks_of,
    methods,
    month_name,
    month_sum,
    ratio_cell,
    sum_cell,
)
from analytics.visitors.reports.changes import changed
from analytics.visitors.reports.compare import Way
from analytics.visitors.reports.counting import Known, Sum, of_days, together
from analytics.visitors.reports.layout import FIELDS, Column
from analytics.visitors.reports.periods import YearKind, after, days_of, year_before
from analytics.visitors.reports.standard import SHARES, Survey, survey_for
from analytics.visitors.reports.tables import notes_of


@dataclass(frozen=True, slots=True)
class Facts:
    """What people said of a spot for this table: its number in the prefecture's list, its category, its surveys."""

    number: str = ""
    category: str = ""
    surveys: tuple[Survey, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """All that a column of a spot may ask for."""

    place: Place
    facts: Facts
    now: Sum
    before: Sum
    to_date: Sum
    ratio: float | None
    why: str | None
    before_changed: bool
    survey: Survey | None
    smallest: int


def make(
    asked: Asked,
    days: Days,
    columns: Sequence[Column],
    since: date | None,
    facts: Mapping[int, Facts],
    town: str,
) -> Report:
    """The table of `asked.month`; `since`: from which month on the layout holds, None for the built-in one."""
    lines = [_line(asked, place, days[place.spot_id], facts.get(place.spot_id, Facts())) for place in asked.places]
    head = tuple(_title(asked, column) for column in columns)
    rows = tuple(tuple(_cell(asked, column, line, town) for column in columns) for line in lines)
    table = Table("main", asked.say("title.prefecture"), head, rows, labels=_labels(columns))
    notes = list(notes_of(asked, days))
    if since is None:
        notes.append((asked.say("note.layout"), asked.say("note.layout.default")))
    else:
        notes.append((asked.say("note.layout"), asked.say("note.layout.text", month=month_name(asked, since))))
    main = next(n for n, column in enumerate(columns) if column.field == "visitors")
    return Report(asked, table.title, month_name(asked, asked.month), (table,), table, tuple(notes), main)


def _labels(columns: Sequence[Column]) -> int:
    """The leading columns that are no numbers: they name the row."""
    n = next((n for n, column in enumerate(columns) if FIELDS[column.field] or column.field == "change"), len(columns))
    return max(1, n)


def _title(asked: Asked, column: Column) -> str:
    unit = asked.say(f"unit.{column.unit}")
    return column.title if column.unit == 1 or unit in column.title else f"{column.title}（{unit}）"


def _line(asked: Asked, place: Place, known: Known, facts: Facts) -> _Line:
    month = asked.month
    earlier = year_before(month)
    now = month_sum(asked, known, month)
    if now.running:
        # Beside the same days of the year before, not beside the whole month.
        days = [day for day in days_of(earlier) if day.day <= now.days]
        before = of_days(days, known.days, asked.until, asked.most_missing)
    else:
        before = month_sum(asked, known, earlier)
    compared = changed(asked, known, (month,), Way.DATE)
    start = date(month.year, 4 if asked.year_kind is YearKind.FISCAL else 1, 1)
    each = start if start <= month else start.replace(year=month.year - 1)
    so_far = []
    while each <= month:
        so_far.append(month_sum(asked, known, each))
        each = after(each)
    return _Line(
        place,
        facts,
        now,
        before,
        together(so_far),
        compared.ratio if now.total is not None and before.total is not None else None,
        compared.why,
        compared.method_changed,
        survey_for(facts.surveys, month, days_of(month)[-1]),
        known.smallest,
    )


def _cell(asked: Asked, column: Column, line: _Line, town: str) -> Cell:
    field = column.field
    if field in SHARES:
        return _share(asked, column, line)
    if FIELDS[field]:
        return _scaled(_count(asked, field, line), column.unit)
    if field == "change":
        if line.ratio is None:
            return Cell(None, "" if line.why is None else asked.say(f"change.why.{line.why}"), "ratio")
        cell = ratio_cell(line.ratio)
        return Cell(cell.value, cell.text, "ratio", "#" if line.before_changed else "")
    texts = {
        "number": line.facts.number,
        "code": line.place.code,
        "name": line.place.called(asked.language),
        "category": line.facts.category,
        "town": town,
        "month": month_name(asked, asked.month),
        "method": methods(asked, line.now.methods),
        "blank": "",
    }
    if field == "missing":
        return Cell(line.now.missing, f"{line.now.missing}", "count")
    return label(_remarks(asked, line) if field == "remarks" else texts[field])


def _count(asked: Asked, field: str, line: _Line) -> Cell:
    if field == "difference":
        if line.now.total is None or line.before.total is None:
            return Cell(None, "", "count")
        apart = line.now.total - line.before.total
        return Cell(apart, f"{apart:+,}" if apart else "±0", "count", marks_of(line.now))
    return sum_cell(asked, {"visitors": line.now, "before": line.before, "year_to_date": line.to_date}[field])


def _scaled(cell: Cell, unit: int) -> Cell:
    """In hundreds as whole ones, in thousands with one decimal."""
    if unit == 1 or not isinstance(cell.value, int):
        return cell
    value = round(cell.value / unit, 1 if unit == 1000 else 0)
    return Cell(value, f"{value:,.{1 if unit == 1000 else 0}f}", "tenths" if unit == 1000 else "count", cell.marks)


def _share(asked: Asked, column: Column, line: _Line) -> Cell:
    share = None if line.survey is None else getattr(line.survey, column.field)
    if share is None:
        return Cell(None, asked.say("no_survey"), "count")
    if line.now.total is None:
        return sum_cell(asked, line.now)
    value = round(line.now.total * share / 100)
    if value < line.smallest:
        return Cell(None, asked.say("below", n=line.smallest), "count")
    return _scaled(Cell(value, f"{value:,}", "count", "e" + marks_of(line.now).replace("e", "")), column.unit)


def _remarks(asked: Asked, line: _Line) -> str:
    now, say = line.now, asked.say
    found = [say("remark.running", n=now.days)] if now.running else []
    if now.provisional:
        found.append(say("remark.provisional"))
    for name in ("missing", "partial", "estimated", "unconfirmed", "small"):
        if n := getattr(now, name):
            found.append(say(f"remark.{name}", n=n))
    if now.total is None and now.counted:
        found.append(say("remark.counted", n=f"{now.counted:,}"))
    if now.changed:
        found.append(say("remark.changed"))
    elif line.before_changed:
        found.append(say("remark.before_changed"))
    if line.survey is not None:
        found.append(say("remark.survey", first=line.survey.first, last=line.survey.last))
    return "、".join(found) if asked.language == "ja" else "; ".join(found)


def field_words(language: str) -> dict[str, str]:
    """Each field of a layout in words."""
    return {field: words.text(f"field.{field}", language) for field in FIELDS}
