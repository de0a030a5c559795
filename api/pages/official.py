"""公式の情報: the links of a gauge to official pages, set by disaster staff or the digital section.

Three have a name of their own and lead to the site of that name only; others have a title in both languages. They are
shown at the gauge and to everybody on the public page; who changed them, and when, stands below the form. Nothing of
those sites is ever fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.readings import StationNow
from api.pages.site import moment, page
from api.pages.station import find
from api.pages.typed import Form
from devices.official_links import LONGEST_TITLE, MOST_LINKS, LinkError, LinkKind, OfficialLink, official_link
from store.connection import Connection
from store.official import changes_of, links_of, put_links

router = Router()

WRITERS = frozenset({Role.DISASTER, Role.DIGITAL})
NAMED = (LinkKind.KAWA_BOUSAI, LinkKind.KAWA_SUII, LinkKind.KIKIKURU)
OTHERS = MOST_LINKS - len(NAMED)
_ADDRESS = "/disaster/stations/{code}/links"
_SPARE = 2  # empty rows beside those that are filled
_WRONG = {
    "url": Text(
        "https:// で始まるアドレスを、空白を入れずに貼り付けてください。",
        "Paste an address that begins with https:// and has no blanks.",
    ),
    "site": Text(
        "その名前のサイトのアドレスではありません。ほかのサイトなら、下の「ほかのページ」に名前を付けて入れてください。",
        "This is not an address of that site. For another one, use “Other pages” below with a title of its own.",
    ),
    "title": Text(
        f"何のページか、{LONGEST_TITLE}字以内で書いてください。",
        f"Say in up to {LONGEST_TITLE} characters what is there.",
    ),
    "title_en": Text(
        f"英語の名前も、{LONGEST_TITLE}字以内で書いてください。",
        f"Say it in English too, in up to {LONGEST_TITLE} characters.",
    ),
}


@router.get(_ADDRESS)
@access(WRITERS, page=True)
def links_page(request: Request, visit: SignedIn, code: str) -> Response:
    """The form, as the links are."""
    return _page(request, visit, code)


@router.post(_ADDRESS)
@access(WRITERS)
def keep_links(request: Request, visit: SignedIn, code: str, form: Form) -> Response:
    """Keeps what was typed in place of what was there, or says what is wrong with it; an empty address is no link."""
    links, wrong = links_from(form)
    if wrong:
        return _page(request, visit, code, form, wrong, status=422)
    with visit.transaction() as conn:
        station = _station(conn, visit, code)
        put_links(
            conn,
            visit.tenant.municipality_id,
            station.station_id,
            links,
            now=visit.clock.now(),
            user_id=visit.user.user_id,
        )
    return RedirectResponse(f"/disaster/stations/{code}#official", 303)


def links_from(form: Mapping[str, str]) -> tuple[list[OfficialLink], dict[str, str]]:
    """The links that a form says, and what of its fields cannot be meant: field -> which mistake of `_WRONG`."""
    links: list[OfficialLink] = []
    wrong: dict[str, str] = {}
    rows = [(kind, f"url.{kind}", "", "") for kind in NAMED]
    rows += [(LinkKind.OTHER, f"url.{i}", f"title.{i}", f"title_en.{i}") for i in range(OTHERS)]
    for kind, *names in rows:
        url, title, title_en = (form.get(name, "").strip() if name else "" for name in names)
        if not (url or title or title_en):
            continue
        try:
            links.append(official_link(kind, url, title, title_en))
        except LinkError as error:
            wrong[{"title": names[1], "title_en": names[2]}.get(error.what, names[0])] = error.what
    return links, wrong


def fields_of(links: Sequence[OfficialLink]) -> dict[str, str]:
    """The form of the links that are there."""
    fields = {f"url.{link.kind}": link.url for link in links if link.kind is not LinkKind.OTHER}
    for i, link in enumerate(link for link in links if link.kind is LinkKind.OTHER):
        fields |= {f"url.{i}": link.url, f"title.{i}": link.title, f"title_en.{i}": link.title_en}
    return fields


def _page(
    request: Request,
    visit: Visit,
    code: str,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        station = _station(conn, visit, code)
        there, changes = links_of(conn, station.station_id), changes_of(conn, station.station_id)
        alerts = open_alerts(conn, visit.user.role)
    fields = fields_of(there.links) if typed is None else typed
    filled = [i for i in range(OTHERS) if any(fields.get(f"{name}.{i}") for name in ("url", "title", "title_en"))]
    language = page_language_of(request)
    return page(
        request,
        visit,
        at,
        "disaster_official",
        alerts,
        status=status,
        here=lambda **changed: _ADDRESS.format(code=code),
        station=station,
        there=there,
        changes=changes,
        typed=fields,
        named=NAMED,
        rows=range(min(OTHERS, max(filled, default=-1) + 1 + _SPARE)),
        problems={name: _WRONG[what].of(language) for name, what in (wrong or {}).items()},
    )


def _station(conn: Connection, visit: Visit, code: str) -> StationNow:
    found = find(conn, code, visit.clock.now())
    if found is None:
        raise NotFound(Text(f"観測所「{code[:60]}」はありません。", f"There is no gauge {code[:60]!r}."))
    return found[1]
