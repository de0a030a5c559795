"""漏水調査の成績: how often suspects were leaks and what was lost, by fiscal year; the price of a m3; files of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.cases import stored
from analytics.leaks.cases.case import FOUND, REPAIRED, Case
from analytics.leaks.cases.figures import Figures, decided_at, figures
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import middle_distances
from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.field_form import number
from api.pages.headquarters import csv_file, local
from api.pages.leak_cases import LEAKS, row_of
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from api.pages.words import Words
from api.roles import PIPE_KEEPERS
from store.connection import Connection
from store.errors import RecordError

router = Router()

RESULTS = LEAKS + "/results"
_APRIL = 4


@router.get(RESULTS)
@access(PIPE_KEEPERS, page=True)
def results(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(RESULTS)
@access(PIPE_KEEPERS)
def say_price(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Says what a lost m3 costs from now on."""
    at = moment(request, visit)
    try:
        yen = number(typed.get("yen", ""), "yen")
        if yen is None:
            raise RecordError("yen", "empty")
        with visit.transaction() as conn:
            stored.set_price(conn, visit.tenant.municipality_id, yen, now=at.now, user_id=visit.user.user_id)
    except RecordError as error:
        return _page(request, visit, typed=typed.get("yen", ""), problem=error, status=400)
    return RedirectResponse(f"{RESULTS}?done=price", 303)


@router.get(LEAKS + "/cases.csv")
@access(PIPE_KEEPERS, page=True)
def cases_file(request: Request, visit: SignedIn) -> Response:
    """All cases, a line each, as they are now."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        found = stored.cases(conn, town)
        price = stored.price(conn, town)
        off = _off(conn, town, found)
    return csv_file(f"leak_cases_{visit.tenant.code}", _rows(at, found, price, off), at.words.code)


@router.get(RESULTS + ".csv")
@access(PIPE_KEEPERS, page=True)
def figures_file(request: Request, visit: SignedIn) -> Response:
    """The figures, a line for each fiscal year."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        found = stored.cases(conn, town)
        price = stored.price(conn, town)
        years = _years(found, _off(conn, town, found), at)
    return csv_file(f"leak_figures_{visit.tenant.code}", _figure_rows(at.words, years, price), at.words.code)


def _page(
    request: Request, visit: Visit, *, typed: str = "", problem: RecordError | None = None, status: int = 200
) -> Response:
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        found = stored.cases(conn, town)
        price = stored.price(conn, town)
        off = _off(conn, town, found)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "water_leaks_results",
        alerts,
        status=status,
        years=_years(found, off, at),
        total=figures(found, off, at.now),
        price=price,
        typed=typed,
        problem=problem,
        done=request.query_params.get("done") == "price",
    )


def _years(found: Iterable[Case], off: Mapping[int, float], at: Moment) -> list[tuple[int, Figures]]:
    """By the fiscal year (from April) in which they were decided, the newest first."""
    by_year: dict[int, list[Case]] = {}
    for case in found:
        when = decided_at(case)
        if when is not None:
            by_year.setdefault(_year(when, at.zone), []).append(case)
    return [(year, figures(cases, off, at.now)) for year, cases in sorted(by_year.items(), reverse=True)]


def _year(when: datetime, zone: ZoneInfo) -> int:
    day = when.astimezone(zone)
    return day.year - (day.month < _APRIL)


def _off(conn: Connection, municipality_id: int, found: Iterable[Case]) -> dict[int, float]:
    """Metres along pipes from the pipe that was suspected to the one that leaked, by case, where both are known."""
    wanted: dict[int, list[tuple[int, int, str]]] = {}
    for case in found:
        step = case.last(FOUND)
        if case.network_id is not None and case.suspect is not None and step is not None and step.pipe is not None:
            wanted.setdefault(case.network_id, []).append((case.case_id, case.suspect, step.pipe))
    off = {}
    for network_id, several in wanted.items():
        network = networks.network_of(conn, municipality_id, network_id)
        index = {name: at for at, name in enumerate(network.pipes.names)}
        far = middle_distances(network, [suspect for _, suspect, _ in several])
        for way, (case_id, _, pipe) in zip(far, several, strict=True):
            if pipe in index and np.isfinite(way[index[pipe]]):
                off[case_id] = float(way[index[pipe]])
    return off


_YEARLY = (
    "year", "hits", "wrong", "rate", "km", "unsaid", "km_a_leak", "off", "off_n", "to_case", "to_case_n", "to_find",
    "to_find_n", "delay", "delay_n", "to_repair", "to_repair_n", "lost", "uncounted", "yen",
)  # fmt: skip


def _figure_rows(
    words: Words, years: Iterable[tuple[int, Figures]], price: stored.Price | None
) -> Iterator[tuple[object, ...]]:
    def figure(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    yield tuple(words(f"leaks.figures.{each}") for each in _YEARLY)
    for year, f in years:
        medians = ((f.off, 0), (f.to_case, 1), (f.to_find, 1), (f.delay, 1), (f.to_repair, 1))
        yield (
            year,
            f.hits,
            f.wrong,
            figure(f.rate, 3),
            figure(f.km, 2),
            f.unsaid,
            figure(f.km_a_leak, 2),
            *(cell for each, digits in medians for cell in (figure(each.value, digits), each.n)),
            figure(f.lost, 0),
            f.uncounted,
            "" if price is None else figure(f.lost * price.yen_m3, 0),
        )


_COLUMNS = (
    "number", "name", "state", "opened_at", "opened_by", "started_at", "size", "area", "lost", "yen", "found_at",
    "cause", "pipe", "off", "walked", "repaired_at", "ended", "year",
)  # fmt: skip


def _rows(
    at: Moment, found: Iterable[Case], price: stored.Price | None, off: Mapping[int, float]
) -> Iterator[tuple[object, ...]]:
    def time(value: datetime | None) -> str:
        return "" if value is None else local(value, at.zone)

    def figure(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    t = at.words
    yield tuple(t(f"leaks.file.{each}") for each in _COLUMNS)
    for case in found:
        row = row_of(case, price, at.now)
        leak, repaired, ended = case.last(FOUND), case.last(REPAIRED), case.last("ended")
        yield (
            case.case_id,
            case.name,
            t(f"leaks.state.{case.state}"),
            time(case.opened_at),
            case.opened_by,
            time(case.started_at),
            figure(case.size_m3h, 2),
            figure(case.km, 2),
            figure(row.lost, 0),
            figure(row.yen, 0),
            time(None if leak is None else leak.at),
            "" if leak is None else t(f"leaks.cause.{leak.what}"),
            "" if leak is None else leak.pipe or "",
            figure(off.get(case.case_id), 0),
            figure(case.walked_km, 2),
            time(None if repaired is None else repaired.at),
            "" if ended is None else t(f"leaks.ending.{ended.what}"),
            "" if (decided := decided_at(case)) is None else _year(decided, at.zone),
        )
