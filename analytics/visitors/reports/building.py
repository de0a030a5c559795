"""Reads the days of the spots and makes the report of what somebody chose.

    report(conn, municipality_id, town, asked) -> Report
    sizes(conn, municipality_id, places, year, ...) -> criterion (3) of the common standard, a spot

On a connection of the worker, or of the API's role with its municipality (`relation` tenant_observation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from analytics.visitors.checks.published import Publishing, read_for_publication
from analytics.visitors.month_totals import held_months
from analytics.visitors.reports import kept, prefecture, tables
from analytics.visitors.reports.cells import Asked, Kind, Place, Report
from analytics.visitors.reports.counting import HIDDEN, Counted, Known, Version, of_day, of_month
from analytics.visitors.reports.periods import YearKind, days_of, months
from analytics.visitors.reports.standard import Size, size
from analytics.visitors.spots.series import days_of as spot_days
from analytics.visitors.usual import Observations
from store import Connection


def report(
    conn: Connection, municipality_id: int, town: str, asked: Asked, *, relation: Observations = "observation"
) -> Report:
    """The report. `town` is what the municipality is called in the prefecture's table."""
    first, last = tables.needed(asked)
    days = counted(conn, asked.places, first, last, asked.version, relation=relation)
    if asked.kind is not Kind.PREFECTURE:
        return tables.make(asked, days)
    layout = kept.layout_of(conn, municipality_id, asked.month)
    said, surveyed = kept.standards(conn, municipality_id), kept.surveys(conn, municipality_id)
    facts = {
        place.spot_id: prefecture.Facts(
            said.get(place.spot_id, kept.Standard()).number,
            said.get(place.spot_id, kept.Standard()).category,
            tuple(each.survey for each in surveyed.get(place.spot_id, ())),
        )
        for place in asked.places
    }
    return prefecture.make(asked, days, layout.columns, layout.since, facts, town)


def counted(
    conn: Connection,
    places: Sequence[Place],
    first: date,
    last: date,
    version: Version,
    *,
    relation: Observations = "observation",
) -> dict[int, Known]:
    """What is known of each place from first to last, as a version has it, with the office's totals of past months. For
    publication nothing is known of a spot that is not public, and no small number.
    """
    if last < first:
        return {place.spot_id: Known({}) for place in places}
    ids = [place.spot_id for place in places]
    stations: dict[int, int] = dict(
        conn.execute("select station_id, spot_id from spot where spot_id = any(%s) and station_id is not null", (ids,))
    )
    held: dict[int, dict[date, int]] = {spot_id: {} for spot_id in ids}
    for (station_id, month), total in held_months(conn, list(stations), first.replace(day=1), last).items():
        held[stations[station_id]][month] = total.value
    if version is not Version.PUBLISHED:
        return {
            spot_id: Known({day.day: of_day(day, version) for day in days}, held[spot_id])
            for spot_id, days in spot_days(conn, ids, first, last, relation=relation).items()
        }
    publishing = read_for_publication(conn, ids, first, last, relation=relation)
    return {spot_id: _to_publish(publishing, spot_id, held[spot_id]) for spot_id in ids}


def _to_publish(publishing: Publishing, spot_id: int, held: Mapping[date, int]) -> Known:
    """Of a spot what may be told."""
    choice, known = publishing.choices[spot_id], {}
    for day in publishing.series[spot_id].values():
        each = of_day(day, Version.PUBLISHED)
        if not choice.public:
            each = Counted(day.day, None, why="not_public")
        elif each.visitors is not None and (told := publishing.day(spot_id, day.day)).state in HIDDEN:
            each = Counted(day.day, None, why=told.state, below=told.below)
        known[day.day] = each
    kept_months = {month: total for month, total in held.items() if choice.public and total >= choice.smallest}
    return Known(known, kept_months, choice.smallest)


def sizes(
    conn: Connection,
    places: Sequence[Place],
    year: int,
    until: date,
    most_missing: int,
    *,
    relation: Observations = "observation",
) -> Mapping[int, Size]:
    """Criterion (3) of a calendar year, of all days that have a number."""
    of_year = months(year, YearKind.CALENDAR)
    days = counted(conn, places, of_year[0], date(year, 12, 31), Version.ALL, relation=relation)
    return {
        place.spot_id: size(
            year, [(m, of_month(days_of(m), days[place.spot_id], until, most_missing)) for m in of_year]
        )
        for place in places
    }
