"""What everybody may read without an account: the notices that a person approved, as a page, a widget, feeds and CAP.

The municipality is named in the address. Only what was approved and is real is read here; a drill or a draft has no
address at all. Nothing is set in the reader's browser, no script runs, and every address may be kept by a cache for
half a minute: on a night of flood the town's line is thin. The widget alone may stand in a frame of another site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from alerts.public import cap, words
from alerts.public.cap import Publisher
from alerts.public.evacuation import Evacuation, current_evacuation
from alerts.public.notices import REMEMBERED, Notice, chain_before, notice, published
from alerts.public.words import VARIANTS, Variant
from api.access import PUBLIC, Router, access
from api.errors import NotFound, Text
from api.pages.jma import Board, board
from api.pages.public_feeds import cap_feed, feed
from api.pages.public_text import as_read, language_of_variant
from api.pages.site import site
from api.state import ApiState
from store.connection import Connection
from store.field_photos import released
from store.official import Linked, links_of_town
from store.shelters import any_public

router = Router()

CACHED = "public, max-age=30"
_ATOM = "application/atom+xml; charset=utf-8"
# As for every page, but that it may stand in a frame anywhere: it holds no form, and knows nobody.
_IN_FRAMES = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"
)
OPEN = {"Cache-Control": CACHED, "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a municipality has told, read at `now` of its clock; newest first. `shelters`, `photos`: there is something
    to read of them too. `official`: which stations have links to official pages.
    """

    publisher: Publisher
    notices: Sequence[Notice]
    evacuation: Evacuation
    now: datetime
    shelters: bool
    photos: bool
    official: Sequence[Linked]


@router.get("/public/{municipality}/notices")
@access(PUBLIC)
def notices_page(request: Request, municipality: str) -> Response:
    """What stands, and what stood in the last week."""
    return _page(request, told_of(request, municipality), "public_notices", jma=_relayed(request, municipality))


@router.get("/public/{municipality}/widget")
@access(PUBLIC)
def widget(request: Request, municipality: str) -> Response:
    """What stands, small enough for a frame in the town's own pages."""
    response = _page(request, told_of(request, municipality), "public_widget")
    response.headers["Content-Security-Policy"] = _IN_FRAMES
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@router.get("/public/{municipality}/notices.atom")
@access(PUBLIC)
def notices_feed(request: Request, municipality: str) -> Response:
    """The notices of the last week for feed readers, in one variant."""
    told = told_of(request, municipality)
    return Response(feed(told.publisher, told.notices, variant_of(request), told.now), media_type=_ATOM, headers=OPEN)


@router.get("/public/{municipality}/cap.atom")
@access(PUBLIC)
def messages_feed(request: Request, municipality: str) -> Response:
    """The same as CAP messages."""
    told = told_of(request, municipality)
    with _state(request).database.transaction(publisher_of(request, municipality)[0]) as conn:
        messages = [(each, _message(conn, told.publisher, each)) for each in told.notices]
    return Response(cap_feed(told.publisher, messages, told.now), media_type=_ATOM, headers=OPEN)


@router.get("/public/{municipality}/cap/{notice_id}.xml")
@access(PUBLIC)
def cap_message(request: Request, municipality: str, notice_id: int) -> Response:
    """One message, also when it is long over: others refer to it."""
    municipality_id, publisher = publisher_of(request, municipality)
    with _state(request).database.transaction(municipality_id) as conn:
        found = notice(conn, notice_id)
        if found is None or found.event != "approved" or found.mode != "actual":
            raise NotFound(Text(f"お知らせ {notice_id} はありません。", f"There is no notice {notice_id}."))
        document = _message(conn, publisher, found)
    return Response(document, media_type=f"{cap.MEDIA_TYPE}; charset=utf-8", headers=OPEN)


def _message(conn: Connection, publisher: Publisher, found: Notice) -> bytes:
    return cap.message(publisher, found, chain_before(conn, found) if found.supersedes else ())


def told_of(request: Request, code: str) -> Told:
    """What the municipality of an address has told. Raises NotFound."""
    state = _state(request)
    municipality_id, publisher = publisher_of(request, code)
    now = state.database.clock().now()
    with state.database.transaction(municipality_id) as conn:
        return Told(
            publisher,
            published(conn, now - REMEMBERED),
            current_evacuation(conn, municipality_id, now, publisher.zone),
            now,
            any_public(conn, municipality_id),
            bool(released(conn, municipality_id)),
            links_of_town(conn, municipality_id),
        )


def publisher_of(request: Request, code: str) -> tuple[int, Publisher]:
    """The municipality of an address, and its names. Raises NotFound."""
    database = _state(request).database
    clock = database.clock()
    with database.transaction(None) as conn:
        row = conn.execute(
            "select municipality_id, code, name, name_en, timezone from municipality where code = %s",
            (code.replace("\x00", ""),),
        ).fetchone()
    if row is None:
        raise NotFound(
            Text(f"団体コード {code} の市町村はここにありません。", f"There is no municipality {code} here.")
        )
    return row[0], Publisher(row[1], row[2], row[3], ZoneInfo(row[4]), clock.simulated)


def _relayed(request: Request, code: str) -> Board | None:
    """What the weather agency has issued, to be shown unchanged."""
    state = _state(request)
    municipality_id, _ = publisher_of(request, code)
    clock = state.database.clock()
    with state.database.transaction(municipality_id) as conn:
        return board(conn, municipality_id, clock)


def _page(request: Request, told: Told, name: str, **more: object) -> Response:
    variant = variant_of(request)
    language = language_of_variant(variant)
    texts = site().words[language]
    read = [as_read(told.publisher, each, variant, told.evacuation, told.now) for each in told.notices]
    html = (
        site()
        .environment.get_template(f"{name}.html")
        .render(
            {
                "t": texts,
                "page": name,
                "asset": site().assets.url,
                "variant": variant,
                "variants": VARIANTS,
                "manner": "plain" if variant == "plain" else "full",
                "publisher": told.publisher,
                "official": told.official,
                "beside": {"shelters": told.shelters, "photos": told.photos},
                "standing": [each for each in read if each.stands],
                "earlier": [each for each in read if not each.stands],
                "closing": words.closing(told.publisher.name, told.evacuation, variant),
                "read_at": words.said_time(told.now, told.publisher.zone, variant),
                "said_time": lambda time: words.said_time(time, told.publisher.zone, variant),
                **more,
            }
        )
    )
    return Response(
        html,
        media_type="text/html; charset=utf-8",
        headers={"Cache-Control": CACHED, "Content-Language": language},
    )


def variant_of(request: Request) -> Variant:
    """The variant that was asked for, else Japanese."""
    wish = request.query_params.get("lang")
    return next((variant for variant in VARIANTS if variant == wish), "ja")


def _state(request: Request) -> ApiState:
    state: ApiState = request.app.state.api
    return state
