"""A report as tables: what the page shows is what Excel and CSV hold, cell by cell.

    make(asked, days) -> Report   of a month by day, of a year by month, of years (for the prefecture: `prefecture.py`)
    needed(asked)                 which days that takes

Everything here is pure: the days come from `building.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from analytics.visitors.day_types import day_type, holiday_name
from analytics.visitors.reports import words
from analytics.visitors.reports.cells import (
    Asked,
    Cell,
    Days,
    Kind,
    Place,
    Report,
    Table,
    day_cell,
    label,
    methods,
    month_name,
    month_sum,
    number,
    sum_cell,
    year_name,
    year_sum,
)
from analytics.visitors.reports.changes import changes
from analytics.visitors.reports.counting import MONTHLY_HISTORY, Counted, Sum, Version, together
from analytics.visitors.reports.periods import YearKind, days_of, months


def make(asked: Asked, days: Days) -> Report:
    """The report of a month day by day, of the months of a year, or of years. `days` holds what is needed of each
    place, the year before too where there is a comparison.
    """
    table, data, period = {Kind.DAILY: _daily, Kind.MONTHLY: _monthly, Kind.YEARLY: _yearly}[asked.kind](asked, days)
    tables = (table, *((changes(asked, days),) if asked.ways else ()))
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
    columns = (*_SUM_COLUMNS, *(("small",) if asked.version is Version.PUBLISHED else ()))
    head = tuple(asked.say(f"column.{name}") for name in columns)
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
                *((number(of.small),) if asked.version is Version.PUBLISHED else ()),
            )
        )
    return lines


# --- the notes --------------------------------------------------------------------------------------------------


def notes_of(asked: Asked, days: Days) -> tuple[tuple[str, str], ...]:
    """What has to be known to use the numbers."""
    say = asked.say
    found = [(say("note.simulated"), say("note.simulated.text"))] if asked.simulated else []
    found.append((say("note.what"), say("note.what.text")))
    if asked.kind is not Kind.DAILY:
        found.append((say("note.year"), say(f"note.year.{asked.year_kind.value}")))
    at = f"{asked.at:%Y-%m-%d %H:%M}"
    found.append((say("note.version"), say(f"note.version.{asked.version.value}", at=at)))
    found.append((say("note.gaps"), say("note.gaps.text", n=asked.most_missing)))
    if published := asked.version is Version.PUBLISHED:
        found.append((say("note.small"), say("note.small.text")))
    marks = "re*#s" if published else "rpe*#"
    found.append((say("note.marks"), "　".join(say(f"mark.{mark}") for mark in marks)))
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
