"""報告リンク: who without an account may report from the field, until when, and how that is ended.

Made by the disaster desk or the digital section for a person of the contacts, or for somebody named here. The link is
shown once, with a code for the telephone's camera: the database knows only its hash.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.link_making import Made, made, number, pressed_end
from api.pages.site import moment, page
from api.pages.typed import Form
from store import field_links
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean
from store.links import Kind

router = Router()

KEEPERS = frozenset({Role.DISASTER, Role.DIGITAL})
LINKS = "/disaster/links"
DAYS = (3, 30, 90, 365)
USUAL_DAYS = 365
MOST_NAME = 100
_DONE = frozenset({"revoked"})


@router.get(LINKS)
@access(KEEPERS, page=True)
def links_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(LINKS)
@access(KEEPERS)
def change_links(request: Request, visit: SignedIn, typed: Form) -> Response:
    """`do=make` answers with the link; `do=revoke` ends one."""
    town, user_id = visit.tenant.municipality_id, visit.user.user_id
    try:
        with visit.transaction() as conn:
            if pressed_end(conn, visit, Kind.FIELD, typed):
                return RedirectResponse(f"{LINKS}?done=revoked", 303)
            name = clean("name", typed.get("name", ""), MOST_NAME)
            person_id = _new_person(conn, town, name) if name else number(typed.get("person", ""), "person")
            days = number(typed.get("days", str(USUAL_DAYS)), "days")
            token = field_links.make(
                conn,
                town,
                person_id=person_id,
                shelters=typed.get("shelters") == "1",
                days=days,
                user_id=user_id,
            )
            row = conn.execute("select name from person where person_id = %s", (person_id,)).fetchone()
    except RecordError as error:
        return _page(request, visit, problem=error, status=400)
    assert row is not None
    return _page(request, visit, made=made(request, Kind.FIELD, row[0], token))


def _page(
    request: Request,
    visit: Visit,
    *,
    made: Made | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        found = field_links.links(conn, town)
        people = conn.execute(
            "select person_id, name from person where municipality_id = %s and kind = 'person' and ended_at is null "
            "order by name",
            (town,),
        ).fetchall()
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "disaster_links",
        alerts,
        status=status,
        links=found,
        people=people,
        days=DAYS,
        usual_days=USUAL_DAYS,
        most_name=MOST_NAME,
        made=made,
        problem=problem,
        done=done if done in _DONE else None,
    )


def _new_person(conn: Connection, municipality_id: int, name: str) -> int:
    """Somebody whom the contacts do not know: named here, without an address."""
    row = conn.execute(
        "insert into person (municipality_id, name) values (%s, %s) returning person_id", (municipality_id, name)
    ).fetchone()
    assert row is not None
    return int(row[0])
