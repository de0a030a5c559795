"""機器の一括登録: a form to fill in with Excel, the file back again, a report line by line; then all of it, or nothing.

The report of a file that can be taken carries the file with it, so that what was checked is what is registered.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from api.access import Role, Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.site import Moment, moment, page
from devices.device_list import COLUMNS, Problem, read_list, written_mapping, written_pace
from devices.sheets import Sheet, SheetError, read_sheet
from devices.templates import TEMPLATES
from store.bulk import Report, register
from store.connection import Connection
from store.duty import duties
from store.records import RECORD_FIELDS, DeviceRecord, records
from store.registration import mountings

router = Router()

REGISTRARS = frozenset({Role.DIGITAL})
_ADDRESS = "/digital/devices/bulk"
# Twice in a form (base64 takes a third more) it must fit into what a request may bring.
MOST_BYTES = 600_000
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Upload:
    """A file as it came with the form, and whether it is to be registered or only checked."""

    name: str
    data: bytes
    register: bool


async def _uploaded(request: Request) -> _Upload:
    form = await request.form()
    wanted = form.get("do") == "register"
    carried = form.get("content")
    if isinstance(carried, str):
        try:
            data = base64.b64decode(carried, validate=True)
        except binascii.Error:
            data = b""
        return _Upload(str(form.get("name", ""))[:200], data, wanted)
    file = form.get("file")
    if file is None or isinstance(file, str):
        return _Upload("", b"", wanted)
    data = await file.read()
    await form.close()
    return _Upload((file.filename or "")[:200], data, wanted)


Upload = Annotated[_Upload, Depends(_uploaded)]


@router.get(_ADDRESS)
@access(REGISTRARS, page=True)
def bulk_page(request: Request, visit: SignedIn) -> Response:
    return _answer(request, visit)


@router.post(_ADDRESS)
@access(REGISTRARS)
def bulk(request: Request, visit: SignedIn, upload: Upload) -> Response:
    """The report on a file; where it says so and nothing is wrong, its lines are registered."""
    at = moment(request, visit)
    if not upload.data:
        return _answer(request, visit, wrong=at.words("bulk.no_file"))
    if len(upload.data) > MOST_BYTES:
        return _answer(request, visit, wrong=at.words("bulk.too_large", most=MOST_BYTES // 1000))
    try:
        sheet = read_sheet(upload.data)
    except SheetError as error:
        return _answer(request, visit, wrong=at.words(f"sheet.{error.code}", **error.values), name=upload.name)
    with visit.transaction() as conn:
        report = _registered(conn, visit, at, sheet, check=not upload.register)
    return _answer(request, visit, report=report, name=upload.name, data=upload.data)


def _registered(conn: Connection, visit: SignedIn, at: Moment, sheet: Sheet, *, check: bool) -> Report:
    listed = read_list(sheet, at.zone)
    town = visit.tenant.municipality_id
    return register(conn, town, listed, now=at.now, user_id=visit.user.user_id, check=check)


def _answer(
    request: Request,
    visit: SignedIn,
    *,
    wrong: str | None = None,
    report: Report | None = None,
    name: str = "",
    data: bytes = b"",
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
    problems = () if report is None else report.problems
    return page(
        request,
        visit,
        at,
        "digital_devices_bulk",
        alerts,
        wrong=wrong,
        report=report,
        file_name=name,
        problems=[(problem, _words(at, problem)) for problem in problems[:_MOST_SHOWN]],
        left_out=max(0, len(problems) - _MOST_SHOWN),
        content=base64.b64encode(data).decode() if report is not None and not problems and not report.done else "",
        columns=COLUMNS,
        templates=TEMPLATES,
        most=MOST_BYTES // 1000,
    )


def _words(at: Moment, problem: Problem) -> str:
    return at.words(f"bulk.problem.{problem.code}", **problem.values)


# --- the form to fill in ----------------------------------------------------------------------------------


@router.get(_ADDRESS + "/form.{kind}")
@access(REGISTRARS)
def form_file(request: Request, visit: SignedIn, kind: str) -> Response:
    """The header alone (?filled=1: with all devices as they are), as form.xlsx or form.csv."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        rows = list(_filled(conn, visit.tenant.municipality_id, at)) if "filled" in request.query_params else []
    name = f"devices_{visit.tenant.code}"
    if kind == "csv":
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(COLUMNS.values())
        writer.writerows(rows)
        # with a byte order mark: without one Excel takes UTF-8 for the code page of the machine
        return _download(out.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8", f"{name}.csv")
    return _download(
        _workbook(at, rows),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        f"{name}.xlsx",
    )


def _download(body: bytes, media_type: str, name: str) -> Response:
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _filled(conn: Connection, municipality_id: int, at: Moment) -> Iterable[list[str]]:
    """Every device as a line that changes nothing."""
    papers = records(conn, municipality_id)
    cycles = duties(conn)
    stations: Mapping[str, tuple[Any, ...]] = {
        row[0]: row for row in conn.execute("select code, kind, name, name_en, latitude, longitude from station")
    }
    for device_id, key, model, silence in conn.execute(
        "select device_id, key, model, silence_after from device order by key"
    ).fetchall():
        here = next((m for m in mountings(conn, municipality_id, key=key) if m.attached_to is None), None)
        station = None if here is None else stations[here.station_code]
        record = papers.get(device_id, DeviceRecord())
        line: dict[str, object] = {"key": key, "model": model, "silence_after": f"{silence.total_seconds() / 60:g}min"}
        if device_id in cycles:
            line |= written_pace(cycles[device_id])
        if here is not None and station is not None:
            line |= dict(zip(("station_name", "station_name_en", "latitude", "longitude"), station[2:], strict=True))
            line["station"] = here.station_code
            line["attached_from"] = f"{here.attached_from.astimezone(at.zone):%Y-%m-%d %H:%M}"
            line["mapping"] = written_mapping(here.mapping)
        line |= {name: getattr(record, name) for name in RECORD_FIELDS}
        if record.solar is not None:
            line["solar"] = "yes" if record.solar else "no"
        yield ["" if line.get(name) is None else _safe(str(line[name])) for name in COLUMNS]


def _safe(text: str) -> str:
    """A text that a spreadsheet takes for none of its formulas: somebody typed it, somebody else opens it."""
    return f"'{text}" if text[:1] in "=+@\t\r" else text


def _workbook(at: Moment, rows: list[list[str]]) -> bytes:
    """The form as a workbook; the second sheet says what belongs into which column."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    form = book.active
    assert form is not None
    form.title = at.words("bulk.sheet.form")
    form.append(list(COLUMNS.values()))
    for row in rows:
        form.append(row)
    form.freeze_panes = "B2"
    for column in form.columns:
        form.column_dimensions[column[0].column_letter].width = 18
        column[0].font = Font(bold=True)
        # As text, so that no digit of a key is lost; some lines ahead for who fills it in.
    for cells in form.iter_rows(min_row=2, max_row=len(rows) + 200, max_col=len(COLUMNS)):
        for cell in cells:
            cell.number_format = "@"
    about = book.create_sheet(at.words("bulk.sheet.about"))
    for name, title in COLUMNS.items():
        about.append([title, at.words(f"bulk.column.{name}")])
    about.append([])
    about.append([COLUMNS["template"], at.words("bulk.templates")])
    for template in TEMPLATES.values():
        about.append([template.title, at.words(f"kind.{template.kind.value}")])
    about.column_dimensions["A"].width = 24
    about.column_dimensions["B"].width = 90
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
