"""県に出す表の様式: the columns of the prefecture's table, and how the office counts its years and gaps.

Both are said anew, never changed: a layout from a month on, the settings from now on. What is refused stays in its
fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.reports import kept
from analytics.visitors.reports.layout import LONGEST_TITLE, MOST_COLUMNS, UNITS, Column, LayoutError, read
from analytics.visitors.reports.periods import YearKind, after
from analytics.visitors.reports.prefecture import field_words
from api.access import READERS, Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.site import moment, page
from api.pages.typed import Form

router = Router()

MOST_MISSING: Final = 15
MOST_REASON: Final = 200
_BLANKS, _STEP = 3, 10
_BACK, _AHEAD = 13, 2  # months that a layout may begin in


@dataclass(frozen=True, slots=True)
class Row:
    """A column as it stands in the form."""

    n: int
    order: str
    field: str
    title: str
    unit: str


class _Refused(Exception):
    """What was typed cannot be taken: which sentence, of which column."""

    def __init__(self, code: str, row: int = 0) -> None:
        super().__init__(code)
        self.code, self.row = code, row


@router.get("/tourism/reports/layout")
@access(READERS, page=True)
def layout_page(request: Request, visit: SignedIn) -> Response:
    """The layout in use, all earlier ones, and the form for the next."""
    return _page(request, visit)


@router.post("/tourism/reports/layout")
@access(COUNTING)
def say(request: Request, visit: SignedIn, typed: Form) -> Response:
    """`do` settings or columns: stores it, or says on the page what is wrong with it."""
    at = moment(request, visit)
    town, user = visit.tenant.municipality_id, visit.user.user_id
    done = "settings" if typed.get("do") == "settings" else "columns"
    try:
        with visit.transaction() as conn:
            if done == "settings":
                kept.say_settings(conn, town, _settings(typed), user, at.now)
            else:
                since, columns = _since(typed, at.now.astimezone(at.zone).date()), _columns(typed)
                reason = " ".join(typed.get("reason", "").split())[:MOST_REASON]
                if not reason:
                    raise _Refused("reason")
                kept.say_layout(conn, town, columns, since, reason, user, at.now)
    except (_Refused, LayoutError) as refused:
        return _page(request, visit, typed, problem=(done, refused.code, refused.row))
    return RedirectResponse(f"/tourism/reports/layout?done={done}", 303)


def _page(
    request: Request,
    visit: Visit,
    typed: Mapping[str, str] | None = None,
    problem: tuple[str, str, int] | None = None,
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    this = at.now.astimezone(at.zone).date().replace(day=1)
    with visit.transaction() as conn:
        settings = kept.settings(conn, town)
        current = kept.layout_of(conn, town, this)
        earlier = kept.layouts(conn, town)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    columns_typed = typed is not None and problem is not None and problem[0] == "columns"
    return page(
        request,
        visit,
        at,
        "tourism_reports_layout",
        alerts,
        status=400 if problem else 200,
        settings=settings,
        current=current,
        earlier=earlier,
        rows=_typed_rows(typed) if columns_typed and typed is not None else _rows(current.columns),
        typed=typed or {},
        problem=problem,
        done=done if done in ("settings", "columns") else None,
        fields=field_words(at.words.code),
        units=UNITS,
        months=_months(this),
        this=this,
        most_missing=MOST_MISSING,
        longest=LONGEST_TITLE,
        most_reason=MOST_REASON,
        may_write=visit.user.role in COUNTING,
    )


def _months(this: date) -> list[date]:
    """The months that a layout may begin in, the newest first."""
    newest = this
    for _ in range(_AHEAD):
        newest = after(newest)
    found = [newest]
    while len(found) < _BACK + _AHEAD + 1:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found


def _rows(columns: tuple[Column, ...]) -> list[Row]:
    rows = [Row(n, str(n * _STEP), c.field, c.title, str(c.unit)) for n, c in enumerate(columns, start=1)]
    return rows + [Row(len(rows) + n, "", "", "", "1") for n in range(1, _BLANKS + 1)]


def _typed_rows(typed: Mapping[str, str]) -> list[Row]:
    numbers = sorted({int(name[6:]) for name in typed if re.fullmatch(r"field-\d{1,2}", name)})
    return [
        Row(n, *(typed.get(f"{name}-{n}", "")[:LONGEST_TITLE] for name in ("order", "field", "title", "unit")))
        for n in numbers
    ]


def _columns(typed: Mapping[str, str]) -> list[Column]:
    rows = _typed_rows(typed)
    if len(rows) > MOST_COLUMNS + _BLANKS:
        raise LayoutError("many")
    for row in rows:
        if row.field and not re.fullmatch(r"\d{1,4}", row.order or "9999"):
            raise _Refused("order", row.n)
        if row.field and len(typed.get(f"title-{row.n}", "").strip()) > LONGEST_TITLE:
            raise LayoutError("title", row.n)
    # the order is checked above; without one a column comes last
    rows.sort(key=lambda row: (int(row.order) if row.order.isdigit() else 9999, row.n))
    try:
        return read((row.field, row.title, row.unit if row.unit else "1") for row in rows)
    except LayoutError as refused:
        raise LayoutError(refused.code, rows[refused.row - 1].n if refused.row else 0) from refused


def _since(typed: Mapping[str, str], today: date) -> date:
    known = {f"{month:%Y-%m}": month for month in _months(today.replace(day=1))}
    since = known.get(typed.get("since", ""))
    if since is None:
        raise _Refused("since")
    return since


def _settings(typed: Mapping[str, str]) -> kept.Settings:
    kind, missing = typed.get("year_kind", ""), typed.get("most_missing", "")
    if kind not in set(YearKind):
        raise _Refused("year_kind")
    if not re.fullmatch(r"\d{1,2}", missing) or int(missing) > MOST_MISSING:
        raise _Refused("most_missing")
    return kept.Settings(YearKind(kind), int(missing))
