"""報告書: choose spots, period, comparison and version, read the table, take the file.

Everything that was chosen stands in the address, so a report can be kept as a bookmark, and its files are made from the
same query. What cannot be read there is said; what is left out is the usual: the months of the running year, all spots,
all three comparisons, with provisional days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from analytics.visitors.reports import kept
from analytics.visitors.reports.building import report
from analytics.visitors.reports.cells import Asked, Kind, Place, month_name, year_name
from analytics.visitors.reports.compare import Way
from analytics.visitors.reports.counting import Version
from analytics.visitors.reports.periods import YearKind, after, months, year_of
from analytics.visitors.reports.text_file import CP932, UTF_8, csv_file, lost
from analytics.visitors.reports.workbook import MEDIA_TYPE, workbook
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.site import Moment, moment, page
from store.connection import Connection

router = Router()

MONTHS_BACK: Final = 60
YEARS_BACK: Final = 10
MOST_YEARS: Final = 10
RELATION: Final = "tenant_observation"
COMPARED: Final = {
    "none": (),
    "date": (Way.DATE,),
    "weekday": (Way.WEEKDAY,),
    "holiday": (Way.HOLIDAY,),
    "all": tuple(Way),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the form offers, and the query of what was chosen (`query`), without which kind of file."""

    places: tuple[Place, ...]
    months: tuple[tuple[date, str], ...]
    years: tuple[tuple[int, str], ...]
    compared: str
    query: str


@router.get("/tourism/reports")
@access(READERS, page=True)
def reports_page(request: Request, visit: SignedIn) -> Response:
    """The form, and the report that it asks for."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        asked, choice = _asked(conn, request, visit, at)
        made = report(conn, town, visit.tenant.name, asked, relation=RELATION) if asked.places else None
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "tourism_reports",
        alerts,
        asked=asked,
        choice=choice,
        report=made,
        lost=lost(made) if made is not None else "",
        may_write=visit.user.role in COUNTING,
        most_years=MOST_YEARS,
    )


@router.get("/tourism/reports/file.{kind}")
@access(READERS, page=True)
def reports_file(request: Request, visit: SignedIn, kind: str) -> Response:
    """The same report as file.xlsx, file.csv (UTF-8 with byte order mark), or file.csv?encoding=cp932."""
    if kind not in ("xlsx", "csv"):
        raise NotFound(Text(f"{kind[:10]} のファイルはありません。", f"There is no file of the kind {kind[:10]}."))
    at = moment(request, visit)
    with visit.transaction() as conn:
        asked, _ = _asked(conn, request, visit, at)
        made = report(conn, visit.tenant.municipality_id, visit.tenant.name, asked, relation=RELATION)
    name = f"visits_{visit.tenant.code}_{_named(asked)}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Language": at.words.code}
    if kind == "xlsx":
        return Response(workbook(made), media_type=MEDIA_TYPE, headers=headers)
    encoding = CP932 if request.query_params.get("encoding") == "cp932" else UTF_8
    data, replaced = csv_file(made, encoding)
    if replaced:
        headers["X-Replaced"] = quote(replaced)
    charset = "Shift_JIS" if encoding == CP932 else "utf-8"
    return Response(data, media_type=f"text/csv; charset={charset}", headers=headers)


def _named(asked: Asked) -> str:
    if asked.kind in (Kind.DAILY, Kind.PREFECTURE):
        period = f"{asked.month:%Y%m}"
    else:
        period = f"{'fy' if asked.year_kind is YearKind.FISCAL else ''}{asked.year}"
    version = {Version.CONFIRMED: "", Version.ALL: "_provisional", Version.PUBLISHED: "_public"}[asked.version]
    return f"{asked.kind.value}_{period}{version}"


def _asked(conn: Connection, request: Request, visit: Visit, at: Moment) -> tuple[Asked, Choice]:
    """What the address asks for. Raises BadRequest."""
    query, local = request.query_params, at.now.astimezone(at.zone)
    town = visit.tenant.municipality_id
    settings = kept.settings(conn, town)
    today = local.date()
    kind = _one(query, "kind", [each.value for each in Kind], Kind.MONTHLY.value)
    version = _one(query, "version", [each.value for each in Version], Version.ALL.value)
    compared = _one(query, "compare", list(COMPARED), "all")
    month = _month(query, today)
    this_year = year_of(today, settings.year_kind)
    year = _number(query, "year", this_year - YEARS_BACK, this_year, this_year)
    years = _number(query, "years", 1, MOST_YEARS, 3)
    first = month if kind in ("daily", "prefecture") else months(year, settings.year_kind)[0]
    places = tuple(kept.places(conn, town, first))
    chosen = tuple(each for each in places if query.get(f"spot-{each.code}")) or places
    asked = Asked(
        Kind(kind),
        chosen,
        month,
        year,
        years,
        COMPARED[compared] if kind != "prefecture" else (),
        Version(version),
        settings.year_kind,
        settings.most_missing,
        today - timedelta(days=1),
        local,
        at.words.code,
        at.clock.simulated,
    )
    values: dict[str, object] = {"kind": kind, "version": version, "compare": compared}
    values |= {"month": f"{month:%Y-%m}", "year": year, "years": years}
    values |= {f"spot-{each.code}": 1 for each in chosen} if len(chosen) < len(places) else {}
    begun = today.replace(day=1)
    offered = [begun]
    while len(offered) < MONTHS_BACK:
        offered.append((offered[-1] - timedelta(days=1)).replace(day=1))
    if month not in offered:
        offered.append(month)
    return asked, Choice(
        places,
        tuple((each, month_name(asked, each)) for each in offered),
        tuple((each, year_name(asked, each, short=True)) for each in range(this_year, this_year - YEARS_BACK - 1, -1)),
        compared,
        urlencode(values),
    )


def _one(query: QueryParams, name: str, known: list[str], usual: str) -> str:
    value = query.get(name) or usual
    if value not in known:
        raise BadRequest(
            Text(f"{name}「{value[:20]}」は選べません。", f"{name} cannot be {value[:20]!r}."),
            Text(f"次から選んでください：{'、'.join(known)}", f"Choose one of {', '.join(known)}."),
        )
    return value


def _month(query: QueryParams, today: date) -> date:
    """The month asked for; without one the last that is over."""
    this = today.replace(day=1)
    text = query.get("month")
    if not text:
        return (this - timedelta(days=1)).replace(day=1)
    try:
        month = date.fromisoformat(f"{text}-01") if re.fullmatch(r"\d{4}-\d{2}", text) else date.max
    except ValueError:
        month = date.max
    if not date(2000, 1, 1) <= month < after(this):
        raise BadRequest(
            Text(f"月「{text[:20]}」は選べません。", f"The month {text[:20]!r} cannot be chosen."),
            Text("2026-05 のように、今月までの月を指定してください。", "Give a month up to this one, like 2026-05."),
        )
    return month


def _number(query: QueryParams, name: str, low: int, high: int, usual: int) -> int:
    text = query.get(name) or str(usual)
    if not re.fullmatch(r"\d{1,4}", text) or not low <= int(text) <= high:
        raise BadRequest(
            Text(f"{name}「{text[:20]}」は選べません。", f"{name} cannot be {text[:20]!r}."),
            Text(f"{low} から {high} までの数を指定してください。", f"Give a number from {low} to {high}."),
        )
    return int(text)
