"""What everybody may read of shelters, and the photos that a named person released; no account, no cookie, no script.

Of a shelter only what is marked public (`store.shelters.as_public`), never who said it, and never a drill's word. Where
nobody has said anything the page says that it is unknown. Any cache may keep an answer for half a minute.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerts.public import words as notice_words
from alerts.public.cap import Publisher
from alerts.public.evacuation import current_evacuation
from alerts.wording import marks
from api.access import PUBLIC, Router, access
from api.errors import NotFound, Text
from api.language import LANGUAGES, Language
from api.pages import formats
from api.pages.public import CACHED, OPEN, publisher_of
from api.pages.site import site
from api.state import ApiState
from store import field_photos, shelters
from store.connection import Connection
from store.shelters import Shelter

router = Router()

_PHOTO_HEADERS = {
    "Cache-Control": CACHED,
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@router.get("/public/{municipality}/shelters")
@access(PUBLIC)
def shelters_page(request: Request, municipality: str) -> Response:
    """The shelters with what was last said of each."""
    town, publisher, now = town_of(request, municipality)
    with state_of(request).database.transaction(town) as conn:
        found = _public(conn, town)
        closing = _closing(conn, town, publisher, now, language_asked(request))
    return open_page(request, publisher, now, "public_shelters", shelters=found, closing=closing)


@router.get("/public/{municipality}/shelters.json")
@access(PUBLIC)
def shelters_file(request: Request, municipality: str) -> Response:
    """The same for programs: null is not public or not said; `state` is "unknown" where nobody said anything."""
    town, publisher, now = town_of(request, municipality)
    with state_of(request).database.transaction(town) as conn:
        found = _public(conn, town)
        closing = _closing(conn, town, publisher, now, "ja")
    body = {
        "municipality": publisher.code,
        "name": publisher.name,
        "mark": marks("actual", publisher.simulated),
        "read_at": now.isoformat(),
        "evacuation": closing,
        "shelters": [_as_json(each) for each in found],
    }
    return JSONResponse(body, headers=OPEN)


@router.get("/public/{municipality}/photos")
@access(PUBLIC)
def photos_page(request: Request, municipality: str) -> Response:
    """The photos that were released, the newest first."""
    town, publisher, now = town_of(request, municipality)
    with state_of(request).database.transaction(town) as conn:
        found = field_photos.released(conn, town)
        closing = _closing(conn, town, publisher, now, language_asked(request))
    return open_page(request, publisher, now, "public_photos", photos=found, closing=closing)


@router.get("/public/{municipality}/photos/{photo_id}.jpg")
@access(PUBLIC)
def photo(request: Request, municipality: str, photo_id: int) -> Response:
    """One of them."""
    town, _, _ = town_of(request, municipality)
    with state_of(request).database.transaction(town) as conn:
        found = field_photos.picture(conn, town, photo_id, public=True)
    if found is None:
        raise NotFound(Text(f"写真 {photo_id} はありません。", f"There is no photo {photo_id}."))
    return Response(found, media_type="image/jpeg", headers=_PHOTO_HEADERS)


def _public(conn: Connection, town: int) -> list[Shelter]:
    return [shown for each in shelters.shelters(conn, town, drill=False) if (shown := shelters.as_public(each))]


def _as_json(shelter: Shelter) -> dict[str, Any]:
    entry, word = shelter.entry, shelter.word
    told = "state" in entry.public
    return {
        "name": entry.name,
        "kana": entry.kana or None,
        "address": entry.address or None,
        "latitude": entry.latitude,
        "longitude": entry.longitude,
        "capacity": entry.capacity,
        "access": entry.access or None,
        "state": None if not told else "unknown" if word is None else word.state,
        "crowding": None if word is None else word.crowding,
        "people": None if word is None else word.people,
        "note": (word.note or None) if word is not None else None,
        "said_at": None if word is None else word.at.isoformat(),
    }


def _closing(conn: Connection, town: int, publisher: Publisher, now: datetime, language: Language) -> str:
    """The sentence about evacuation with which everything ends that the town tells the public."""
    return notice_words.closing(publisher.name, current_evacuation(conn, town, now, publisher.zone), language)


def town_of(request: Request, code: str) -> tuple[int, Publisher, datetime]:
    municipality_id, publisher = publisher_of(request, code)
    return municipality_id, publisher, state_of(request).database.clock().now()


def open_page(request: Request, publisher: Publisher, now: datetime, name: str, **model: Any) -> Response:
    language = language_asked(request)
    words = site().words[language]
    html = (
        site()
        .environment.get_template(f"{name}.html")
        .render(
            {
                "t": words,
                "page": name,
                "asset": site().assets.url,
                "publisher": publisher,
                "said_time": lambda time: notice_words.said_time(time, publisher.zone, language),
                "ago": lambda time: formats.age(time, now, words),
                "read_at": notice_words.said_time(now, publisher.zone, language),
                **model,
            }
        )
    )
    headers = {"Cache-Control": CACHED, "Content-Language": language}
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def language_asked(request: Request) -> Language:
    wish = request.query_params.get("lang")
    return next((language for language in LANGUAGES if language == wish), "ja")


def state_of(request: Request) -> ApiState:
    state: ApiState = request.app.state.api
    return state
