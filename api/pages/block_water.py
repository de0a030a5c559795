"""配水ブロックの水量: what flows into each block beyond what is used at night, and its 有収率 by month and fiscal year.

Totals of what customers' meters read come as a table of the office (`analytics.leaks.blocks.meter_file`), all of it or
nothing. Of the waterworks and, to keep it, of the digital section.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated

from fastapi import File, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.blocks import inlets, meter_file, rises_stored, stored
from analytics.leaks.blocks.balance import Balance, fiscal_year, months, whole_year
from analytics.leaks.blocks.meter_file import COLUMNS, FileProblems
from analytics.leaks.blocks.night_use import LITRES, Use
from analytics.leaks.blocks.stored import Block
from analytics.leaks.cases import stored as leak_cases
from analytics.leaks.cases.case import ENDED, REPAIRED
from analytics.leaks.network.stored import block_names, network_of, present
from api.access import Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.blocks_now import blocks_now, hourly, inflow, repairs, shade, today
from api.pages.headquarters import csv_file
from api.pages.pipe_drawing import draw
from api.pages.readings import stations_now
from api.pages.site import Moment, moment, page
from api.pages.suspects import suspects
from api.pages.typed import Form
from api.pages.words import Words
from api.roles import PIPE_KEEPERS
from devices.model import StationKind
from devices.sheets import SheetError, read_sheet
from store.connection import Connection

router = Router()

BLOCKS = "/water/blocks"
_MOST_FILE = 900_000  # bytes
_OLDEST = 2000  # fiscal year
_MOST_NOTE = 200
_MOST_RISES = 10  # that are shown, the newest
_DONE = frozenset({"taken", "same", "use", "pipes", "pipes_gone"})
_LIMITS = {"connections": 1_000_000.0, "litres": 100.0, "known": 10_000.0, "known_metered": 10_000.0}


@router.get(BLOCKS)
@access(PIPE_KEEPERS, page=True)
def blocks_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(BLOCKS)
@access(PIPE_KEEPERS)
def take_file(request: Request, visit: SignedIn, file: Annotated[UploadFile | None, File()] = None) -> Response:
    """Takes the totals of a table, or says which lines are wrong."""
    at = moment(request, visit)
    words = at.words
    data = b"" if file is None else file.file.read(_MOST_FILE + 1)
    if file is None or not data or len(data) > _MOST_FILE:
        return _page(request, visit, problems=[words("blocks.file.none", most=_MOST_FILE // 1000)])
    town = visit.tenant.municipality_id
    try:
        sheet = read_sheet(data)
        with visit.transaction() as conn:
            found = stored.blocks(conn)
            names = {meter_file.plain(name): each.station_id for each in found for name in (each.name, each.code)}
            plan = meter_file.plan(meter_file.read(sheet, names, today(at)), stored.current(conn, town))
            stored.put_metered(
                conn, town, plan, file=(file.filename or "")[:_MOST_NOTE], at=at.now, user_id=visit.user.user_id
            )
    except SheetError as error:
        return _page(request, visit, problems=[words(f"sheet.{error.code}", **error.values)])
    except FileProblems as error:
        return _page(request, visit, problems=list(_said(words, error)))
    new = len(plan.put) - plan.corrected
    said = f"n={new}&corrected={plan.corrected}&gone={len(plan.gone)}"
    return RedirectResponse(f"{BLOCKS}?done=taken&{said}" if plan.put or plan.gone else f"{BLOCKS}?done=same", 303)


@router.get(BLOCKS + "/{block}")
@access(PIPE_KEEPERS, page=True)
def block_page(request: Request, visit: SignedIn, block: str) -> Response:
    """One block: its fiscal year by month, what was read, and what is used there at night."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    year = _year(request, at)
    with visit.transaction() as conn:
        here = block_of(conn, block)
        readings = stored.read_of(here, stored.metered(conn))
        flowed = inflow(conn, [here], year, at).get(here.station_id, {})
        metered = hourly(conn, [here], year, at).get(here.station_id, {})
        (now,) = blocks_now(conn, [here], at)
        cases = [each for each in leak_cases.cases(conn, town) if each.station_id in here.whole.stations]
        mended = repairs(conn, here, cases, at)
        taken = {each.finding_id for each in cases}
        told = suspects(conn, at.now)
        waiting = [
            each
            for station_id in here.whole.stations
            for each in told.get(station_id, ())
            if each.ended_at is None and each.finding_id not in taken
        ]
        rises = [] if here.flow is None else rises_stored.told(conn, here.flow)
        rises_watch = None if here.flow is None else rises_stored.watch(conn, here.flow)
        beside = [] if here.flow is None else inlets.beside(conn, here.flow)
        network_blocks = block_names(conn, town)
        tanks = stations_now(conn, StationKind.SERVICE_TANK, at.now)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "water_block",
        alerts,
        inlet=here,
        found=now,
        cases=[each for each in cases if each.state not in (ENDED, REPAIRED)],
        repairs=mended,
        waiting=waiting[0] if waiting else None,
        rises=rises[: -_MOST_RISES - 1 : -1],
        rises_watch=rises_watch,
        beside=beside,
        network_blocks=network_blocks,
        months=months(year, today(at), flowed, readings, metered),
        total=whole_year(year, today(at), flowed, readings, metered),
        year=year,
        later=year < fiscal_year(today(at)),
        readings=[each for each in reversed(readings) if each.end > date(year, 4, 1)],
        tanks=tanks,
        most_note=_MOST_NOTE,
        most_name=leak_cases.MOST_NAME,
        done=done if done in _DONE else None,
    )


@router.post(BLOCKS + "/{block}")
@access(PIPE_KEEPERS)
def say_use(visit: SignedIn, block: str, typed: Form) -> Response:
    """What is used in a block at night, as the town knows it."""
    connections = _number(typed, "connections")
    use = Use(
        None if connections is None else round(connections),
        LITRES if (litres := _number(typed, "litres")) is None else litres,
        _number(typed, "known") or 0.0,
        _number(typed, "known_metered"),
    )
    if use.metered is not None and use.metered > use.known:
        raise BadRequest(
            Text(
                f"スマートメーターのある分（{use.metered:g} m³/h）が、合計（{use.known:g} m³/h）より多くなっています。",
                f"Known customers with a smart meter ({use.metered:g} m³/h) use more than all known ones "
                f"({use.known:g} m³/h).",
            ),
            Text(
                "合計には、スマートメーターのある分も入れてください。",
                "The total holds those with a smart meter, too.",
            ),
        )
    now = visit.clock.now()
    with visit.transaction() as conn:
        here = block_of(conn, block)
        tanks = {each.code: each.station_id for each in stations_now(conn, StationKind.SERVICE_TANK, now)}
        fills = typed.get("fills", "")
        if fills and fills not in tanks:
            raise BadRequest(Text(f"配水池 {fills[:40]} はありません。", f"There is no tank {fills[:40]}."))
        stored.put_use(
            conn,
            visit.tenant.municipality_id,
            here.station_id,
            use,
            fills=tanks.get(fills),
            note=typed.get("note", "").strip()[:_MOST_NOTE],
            at=now,
            user_id=visit.user.user_id,
        )
    return RedirectResponse(f"{BLOCKS}/{here.code}?done=use", 303)


@router.get(BLOCKS + ".csv")
@access(PIPE_KEEPERS, page=True)
def blocks_file(request: Request, visit: SignedIn) -> Response:
    """The months of all blocks of the fiscal year ?year=, and the year itself: a line each."""
    at = moment(request, visit)
    year = _year(request, at)
    with visit.transaction() as conn:
        found = stored.blocks(conn)
        readings = stored.metered(conn)
        flowed, metered = inflow(conn, found, year, at), hourly(conn, found, year, at)
    columns = (
        "block", "name", "first", "last", "inflow", "inflow_days", "billed", "billed_days", "shared_days", "lost",
        "billed_share", "effective_share", "hourly_days", "hourly_read",
    )  # fmt: skip
    rows: list[list[object]] = [[at.words(f"blocks.csv.{name}") for name in columns]]
    for each in found:
        if not each.stands:  # a block is a line, whatever number of inlets it has
            continue
        station = each.station_id
        known = flowed.get(station, {}), stored.read_of(each, readings), metered.get(station, {})
        for line in (*months(year, today(at), *known), whole_year(year, today(at), *known)):
            if line.days:
                rows.append([each.code, at.words.name(each.name, each.name_en), *_cells(line)])
    return csv_file(f"blocks_{visit.tenant.code}_{year}", rows, at.words.code)


def _cells(line: Balance) -> tuple[object, ...]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    def volume(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    return (
        line.first,
        line.end - timedelta(days=1),
        volume(line.inflow),
        line.inflow_days,
        volume(line.billed),
        line.billed_days,
        line.shared_days,
        volume(line.lost),
        share(line.billed_share),
        share(line.effective_share),
        line.hourly_days,
        share(line.hourly_read),
    )


def _page(request: Request, visit: Visit, *, problems: Sequence[str] = ()) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = blocks_now(conn, stored.blocks(conn), at)
        shades = {
            each.block.pipes: found_shade
            for each in found
            if each.block.pipes and (found_shade := shade(each.excess.per_km)) is not None
        }
        number = present(conn, visit.tenant.municipality_id) if any(each.block.pipes for each in found) else None
        network = None if number is None else network_of(conn, visit.tenant.municipality_id, number)
        alerts = open_alerts(conn, visit.user.role)
    query = request.query_params
    done = query.get("done")
    counts = {
        name: int(text) if (text := query.get(name, ""))[:6].isdecimal() else 0 for name in ("n", "corrected", "gone")
    }
    return page(
        request,
        visit,
        at,
        "water_blocks",
        alerts,
        status=400 if problems else 200,
        blocks=found,
        drawing=None if network is None else draw(network, shades=shades),
        year=fiscal_year(today(at)),
        columns=[names[0] for names in COLUMNS.values()],
        file_problems=problems,
        counts=counts,
        done=done if done in _DONE and not problems else None,
    )


def _said(words: Words, error: FileProblems) -> Iterator[str]:
    for each in error.problems:
        yield words("blocks.file.line", cell=each.cell, why=words(f"blocks.problem.{each.code}", text=each.text))


def block_of(conn: Connection, code: str) -> Block:
    """That block. Raises NotFound."""
    found = next((each for each in stored.blocks(conn) if each.code == code), None)
    if found is None:
        raise NotFound(Text(f"配水ブロック {code[:40]} はありません。", f"There is no block {code[:40]}."))
    return found


def _number(typed: Mapping[str, str], name: str) -> float | None:
    """None where nothing was typed."""
    text = meter_file.plain(typed.get(name, "")).replace(",", "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LIMITS[name]:
        raise BadRequest(
            Text(f"「{typed[name][:40]}」を読めません。", f"{typed[name][:40]!r} cannot be read."),
            Text(
                f"0 から {_LIMITS[name]:,.0f} までの数を入れてください。",
                f"Enter a number from 0 to {_LIMITS[name]:,.0f}.",
            ),
        )
    return value


def _year(request: Request, at: Moment) -> int:
    """The fiscal year that is asked for; what is none, or has not begun, is the running one."""
    text, running = request.query_params.get("year", ""), fiscal_year(today(at))
    return int(text) if len(text) == 4 and text.isdecimal() and _OLDEST <= int(text) <= running else running
