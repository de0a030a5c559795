"""通知までの待ち時間: how long each gauge lets people wait before they are told, and what follows from it there.

Everybody of the town reads it, the disaster desk changes it; who said what when and why is kept. `mimamori rules waits`
does the same by the same function (`alerts.patience`).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.patience import Patience, changes, patience, set_patience
from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.paging import paged
from api.pages.site import moment, page
from api.pages.typed import Form
from store.errors import RegistrationError

router = Router()

_ADDRESS = "/alerts/waits"
_WRITERS = frozenset({Role.DISASTER})
_MINUTES, _HOURS = timedelta(minutes=1), timedelta(hours=1)
_WRONG = {
    "confirm_within": Text("0～1440分で入れてください。", "Give 0 to 1440 minutes."),
    "confirming_rain": Text("0.1～1000 mmで入れてください。", "Give 0.1 to 1000 mm."),
    "tell_within": Text(
        "0.1～8760時間で、次の観測値を待つ時間より長くしてください。短いと、待っている間に期限が過ぎてだれにも知らせません。",
        "Give 0.1 to 8760 hours, longer than the wait for the next reading: else nobody would be told.",
    ),
    "reason": Text(
        "変える理由を500字以内で書いてください。あとで見る人のためです。",
        "Say why in up to 500 characters, for whoever asks later.",
    ),
    "waits": Text("どの値も変わっていません。", "Nothing is different from before."),
}


@router.get(_ADDRESS)
@access(READERS, page=True)
def waits_page(request: Request, visit: SignedIn) -> Response:
    """Every gauge with reference levels: what it allows, what follows, who changed it last."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        stations = patience(conn, visit.tenant.municipality_id)
        said = changes(conn)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "alerts_waits",
        alerts,
        listed=paged(request, stations, lambda each: f"{each.station} {each.name} {each.name_en}"),
        newest={each: of[0] for each, of in said.items() if of},
        may_write=visit.user.role in _WRITERS,
        done=request.query_params.get("done") == "saved",
    )


@router.get(_ADDRESS + "/{code}")
@access(READERS, page=True)
def wait_page(request: Request, visit: SignedIn, code: str) -> Response:
    """One gauge: what it allows, the form, and everything that was said of it."""
    return _page(request, visit, code)


@router.post(_ADDRESS + "/{code}")
@access(_WRITERS)
def change_waits(request: Request, visit: SignedIn, code: str, form: Form) -> Response:
    """Changes what was typed, or says what is wrong with it."""
    numbers = {name: _number(form, name) for name in ("confirm_within", "confirming_rain", "tell_within")}
    wrong = [name for name, value in numbers.items() if value is None]
    if not wrong:
        try:
            with visit.transaction() as conn:
                known = set_patience(
                    conn,
                    visit.tenant.municipality_id,
                    code,
                    reason=form.get("reason", ""),
                    now=visit.clock.now(),
                    user_id=visit.user.user_id,
                    confirm_within=(numbers["confirm_within"] or 0) * _MINUTES,
                    confirming_rain=numbers["confirming_rain"],
                    tell_within=(numbers["tell_within"] or 0) * _HOURS,
                )
            if not known:
                raise _no_gauge(code)
            return RedirectResponse(f"{_ADDRESS}?done=saved&q={quote(code)}#wait-{code}", 303)
        except RegistrationError as error:
            wrong = [error.field]
    return _page(request, visit, code, form, wrong, status=422)


def _page(
    request: Request,
    visit: Visit,
    code: str,
    typed: Mapping[str, str] | None = None,
    wrong: list[str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = patience(conn, visit.tenant.municipality_id, code)
        if not found:
            raise _no_gauge(code)
        said = changes(conn, found[0].station_id).get(found[0].station_id, [])
        alerts = open_alerts(conn, visit.user.role)
    language = page_language_of(request)
    return page(
        request,
        visit,
        at,
        "alerts_wait",
        alerts,
        status=status,
        here=lambda **changed: f"{_ADDRESS}/{code}",
        gauge=found[0],
        said=said,
        typed=_fields(found[0]) if typed is None else typed,
        problems={name: _WRONG[name].of(language) for name in wrong or ()},
        may_write=visit.user.role in _WRITERS,
    )


def _fields(gauge: Patience) -> dict[str, str]:
    waits = gauge.waits
    return {
        "confirm_within": f"{waits.confirm_within / _MINUTES:g}",
        "confirming_rain": f"{waits.confirming_rain:g}",
        "tell_within": f"{waits.tell_within / _HOURS:g}",
        "reason": "",
    }


def _number(form: Mapping[str, str], name: str) -> float | None:
    """What was typed, in full width too; None where it is no number that a time could have."""
    try:
        value = float(unicodedata.normalize("NFKC", form.get(name, "")).strip())
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e6 else None


def _no_gauge(code: str) -> NotFound:
    return NotFound(Text(f"観測所 {code[:60]} はありません。", f"There is no station {code[:60]}."))
