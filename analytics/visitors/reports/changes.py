"""The comparison of a report with the year before, as a table: a row a spot and period, the ways side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from analytics.visitors.reports.cells import (
    Asked,
    Cell,
    Days,
    Kind,
    Table,
    label,
    month_name,
    month_sum,
    number,
    ratio_cell,
    year_name,
)
from analytics.visitors.reports.compare import Change, Way, change
from analytics.visitors.reports.counting import Known, together
from analytics.visitors.reports.periods import days_of, months, year_before


def changes(asked: Asked, days: Days) -> Table:
    """The table. A period of which nothing is known a year before has no row, unless it is the only one."""
    head = [asked.say("column.spot"), asked.say("column.period")]
    for way in asked.ways:
        head += [
            asked.say("column.now"),
            asked.say(f"change.{way.value}.before"),
            asked.say(f"change.{way.value}.ratio"),
        ]
    rows = []
    for place in asked.places:
        mine = []
        for name, of in _units(asked):
            if of[0] <= asked.until:
                found = [changed(asked, days[place.spot_id], of, way) for way in asked.ways]
                cells = [cell for each in found for cell in change_cells(asked, each)]
                row = (label(place.called(asked.language)), label(name), *cells)
                mine.append((row, any(each.why != "nothing" for each in found)))
        # What has nothing to stand beside is said once.
        rows += [row for row, told in mine if told] or [row for row, _ in mine[-1:]]
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
        why = Cell(None, asked.say(f"change.why.{of.why}"), "ratio", note=compared)
        if of.why == "nothing":
            return [Cell(None, "", "count"), Cell(None, "", "count"), replace(why, note="")]
        return [number(of.now), number(of.before), why]
    return [number(of.now), number(of.before), replace(ratio_cell(of.ratio), marks=marks, note=note)]
