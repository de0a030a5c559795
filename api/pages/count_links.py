"""入力リンク: the staff of a spot enter its days without an account - which links there are, and how one is ended.

Made by the tourism office or the digital section, for one spot. The link is shown once, with a code for the telephone's
camera: the database knows only its hash.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING, spots_by_hand
from api.pages.link_making import Made, made, number, pressed_end
from api.pages.site import moment, page
from api.pages.typed import Form
from store import count_links
from store.errors import RecordError
from store.links import Kind

router = Router()

LINKS = "/tourism/links"
DAYS = (30, 90, 180, 365)
USUAL_DAYS = 365


@router.get(LINKS)
@access(COUNTING, page=True)
def count_links_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(LINKS)
@access(COUNTING)
def change_count_links(request: Request, visit: SignedIn, typed: Form) -> Response:
    """`do=make` answers with the link; `do=revoke` ends one."""
    town, user_id = visit.tenant.municipality_id, visit.user.user_id
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            if pressed_end(conn, visit, Kind.COUNT, typed):
                return RedirectResponse(f"{LINKS}?done=revoked", 303)
            stations = {each.code: each.station_id for each in spots_by_hand(conn, at.now)}
            if typed.get("spot", "") not in stations:
                raise RecordError("spot", "unknown")
            token = count_links.make(
                conn,
                town,
                station_id=stations[typed["spot"]],
                name=typed.get("name", ""),
                days=number(typed.get("days", str(USUAL_DAYS)), "days"),
                user_id=user_id,
            )
    except RecordError as error:
        return _page(request, visit, typed=typed, problem=error, status=400)
    return _page(request, visit, made=made(request, Kind.COUNT, typed["name"].strip(), token))


def _page(
    request: Request,
    visit: Visit,
    *,
    made: Made | None = None,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = count_links.links(conn, visit.tenant.municipality_id)
        spots = spots_by_hand(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "tourism_links",
        alerts,
        status=status,
        links=found,
        spots=spots,
        days=DAYS,
        usual_days=USUAL_DAYS,
        most_name=count_links.MOST_NAME,
        made=made,
        typed=typed or {},
        problem=problem,
        done="revoked" if request.query_params.get("done") == "revoked" else None,
    )
