"""カメラ: which stand where and how their pictures come (the digital section), and their stills (everybody of the town
hall). A still is released to the public one by one, by a named person of the disaster section, as a photo of a report.

Nothing is fetched here: `ingest.cameras` does it, and notes what came of it. No password stands in the database or on a
page, only the name under which the process finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.headquarters import EDITORS
from api.pages.site import moment, page
from api.pages.typed import Form
from store import cameras, field_photos
from store.cameras import DAY, Camera, Entry
from store.connection import Connection
from store.errors import RecordError
from store.feed import append_headquarters
from store.field_photos import FieldPhoto

router = Router()

KEEPERS = frozenset({Role.DIGITAL})
_LIST = "/digital/cameras"
_DONE = frozenset({"made", "ended", "release", "take_back", "forget"})
_USUAL: Mapping[str, str] = {
    "station": "",
    "name": "",
    "way": "url",
    "url": "",
    "secret": "",
    "folder": "",
    "pattern": "*.jpg",
    "every": "10",
    "every_alert": "2",
}
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Strip:
    """A camera with the stills of its last day: the newest of each hour, newest first."""

    camera: Camera
    stills: tuple[FieldPhoto, ...]


def strips(conn: Connection, municipality_id: int, station: str, now: datetime) -> list[Strip]:
    """The cameras of a station."""
    return [
        Strip(each, _hourly(cameras.stills(conn, municipality_id, each.camera_id, now - DAY)))
        for each in cameras.cameras(conn, municipality_id, station=station)
    ]


def _hourly(stills: list[FieldPhoto]) -> tuple[FieldPhoto, ...]:
    kept: list[FieldPhoto] = []
    for each in stills:
        if not kept or kept[-1].received_at - each.received_at >= _HOUR:
            kept.append(each)
    return tuple(kept)


@router.get(_LIST)
@access(KEEPERS, page=True)
def cameras_page(request: Request, visit: SignedIn) -> Response:
    return _list(request, visit)


def _list(
    request: Request,
    visit: Visit,
    *,
    typed: Mapping[str, str] | None = None,
    refused: RecordError | None = None,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = cameras.cameras(conn, visit.tenant.municipality_id)
        stations = conn.execute(
            "select code, name, name_en from station where kind in ('river_gauge', 'rain_gauge') order by station_id"
        ).fetchall()
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "digital_cameras",
        alerts,
        status=200 if refused is None else 422,
        cameras=found,
        stations=stations,
        typed={name: (typed or {}).get(name, usual) for name, usual in _USUAL.items()},
        refused=refused,
        kept_days=field_photos.KEPT // timedelta(days=1),
        done=_done(request),
    )


@router.post(_LIST)
@access(KEEPERS)
def make(request: Request, visit: SignedIn, form: Form) -> Response:
    """Registers a camera; from then on it is asked."""
    by_url = form.get("way", "url") == "url"
    try:
        entry = Entry(
            form.get("station", ""),
            form.get("name", ""),
            url=form.get("url", "") if by_url else "",
            secret=form.get("secret", "") if by_url else "",
            folder="" if by_url else form.get("folder", ""),
            pattern=form.get("pattern", ""),
            every=_minutes(form, "every"),
            every_alert=_minutes(form, "every_alert"),
        )
        with visit.transaction() as conn:
            town, user = visit.tenant.municipality_id, visit.user.user_id
            cameras.add_camera(conn, town, entry, now=visit.clock.now(), user_id=user)
    except RecordError as error:
        return _list(request, visit, typed=form, refused=error)
    return RedirectResponse(f"{_LIST}?done=made#cameras", 303)


@router.post(_LIST + "/{camera_id}/end")
@access(KEEPERS)
def end(visit: SignedIn, camera_id: int) -> Response:
    """Nothing more is fetched of it. Once more does no harm."""
    with visit.transaction() as conn:
        _camera(conn, visit, camera_id)
        cameras.end_camera(conn, visit.tenant.municipality_id, camera_id, now=visit.clock.now())
    return RedirectResponse(f"{_LIST}?done=ended#cameras", 303)


@router.get("/disaster/cameras/{camera_id}")
@access(READERS, page=True)
def camera_page(request: Request, visit: SignedIn, camera_id: int) -> Response:
    """The stills of the last day; one of them large (`?photo=`), else the newest, with what can be done with it."""
    at = moment(request, visit)
    asked = request.query_params.get("photo", "")
    problem = request.query_params.get("problem", "")
    with visit.transaction() as conn:
        found = _camera(conn, visit, camera_id)
        town = visit.tenant.municipality_id
        stills = cameras.stills(conn, town, camera_id, at.now - DAY)
        chosen = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 18 else found.photo_id
        photo = None if chosen is None else cameras.still(conn, town, camera_id, chosen)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "disaster_camera",
        alerts,
        camera=found,
        stills=stills,
        photo=photo,
        until=None if photo is None else photo.received_at + field_photos.KEPT,
        most_caption=field_photos.MOST_CAPTION,
        kept_days=field_photos.KEPT // timedelta(days=1),
        may_write=visit.user.role in EDITORS,
        done=_done(request),
        problem=problem if f"record.problem.{problem}" in at.words.texts else None,
    )


@router.post("/disaster/cameras/{camera_id}")
@access(EDITORS)
def act(visit: SignedIn, camera_id: int, typed: Form) -> Response:
    """Releases a still to the public, takes it back, or takes the picture away; `do` says which."""
    do, photo = typed.get("do", ""), typed.get("photo", "")
    photo_id = int(photo) if photo.isascii() and photo.isdigit() and len(photo) < 18 else 0
    now, user, town = visit.clock.now(), visit.user.user_id, visit.tenant.municipality_id
    address = f"/disaster/cameras/{camera_id}?photo={photo_id}"
    try:
        with visit.transaction() as conn:
            _camera(conn, visit, camera_id)
            if cameras.still(conn, town, camera_id, photo_id) is None:
                raise RecordError("photo", "unknown")
            if do == "release":
                field_photos.release(conn, town, photo_id, caption=typed.get("caption", ""), now=now, user_id=user)
            elif do == "take_back":
                field_photos.take_back(conn, town, photo_id, now=now, user_id=user)
            elif do == "forget":
                field_photos.forget(conn, town, photo_id, now=now, user_id=user)
            append_headquarters(conn, town)
    except RecordError as error:
        return RedirectResponse(f"{address}&{urlencode({'problem': error.code})}", 303)
    return RedirectResponse(f"{address}&done={do}" if do in _DONE else address, 303)


def _camera(conn: Connection, visit: Visit, camera_id: int) -> Camera:
    found = cameras.camera(conn, visit.tenant.municipality_id, camera_id)
    if found is None:
        raise NotFound(Text(f"カメラ {camera_id} はありません。", f"There is no camera {camera_id}."))
    return found


def _minutes(form: Mapping[str, str], field: str) -> int:
    text = form.get(field, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _done(request: Request) -> str | None:
    done = request.query_params.get("done")
    return done if done in _DONE else None
