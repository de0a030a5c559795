"""One device: where it is and was, its papers, its care, planned work, calibration; and the forms that change them.

A form that cannot be meant leads back to the page with what was typed in its address; there it is tried again without a
trace, and the page says what is wrong beside it. So nothing typed is lost, and the page can be reloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages import device_acts
from api.pages.alert_list import open_alerts
from api.pages.device_health import health_part
from api.pages.device_list import Listed, listed
from api.pages.device_said import made, said
from api.pages.duty_form import rows_of, typed_form
from api.pages.site import Moment, moment, page
from devices.duty import WATER_LEVEL
from devices.pictures import PictureError, cleaned
from store.calibrations import calibrations
from store.connection import Connection
from store.duty import levels_proposed
from store.errors import RegistrationError
from store.planned_work import planned_work
from store.records import maintenance, photo, put_photo, remove_photo
from store.registration import mountings

router = Router()

KEEPERS = frozenset({Role.DIGITAL})
_ADDRESS = "/digital/devices/{device_id}"
_LONGEST_QUERY = 16_000


@dataclass(frozen=True, slots=True)
class Series:
    """A datastream that the device feeds or has fed: what can be calibrated."""

    datastream_id: int
    station: str
    name: str
    name_en: str
    observed_property: str
    unit: str


@dataclass(frozen=True, slots=True)
class Refused:
    """What is wrong with what was typed: in which form, at which field, and the sentence (in English) of the store."""

    act: str
    field: str
    sentence: str


async def _typed(request: Request) -> Mapping[str, str]:
    """The fields of a form; of a repeated one the last."""
    return {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}


async def _file(request: Request) -> bytes:
    """The file of a form; empty where none was chosen."""
    form = await request.form()
    chosen = form.get("photo")
    data = b"" if chosen is None or isinstance(chosen, str) else await chosen.read()
    await form.close()
    return data


Typed = Annotated[Mapping[str, str], Depends(_typed)]
File = Annotated[bytes, Depends(_file)]


@router.get(_ADDRESS)
@access(READERS, page=True)
def device_page(request: Request, visit: SignedIn, device_id: int) -> Response:
    at = moment(request, visit)
    typed = dict(request.query_params)
    act = typed.get("do", "")
    with visit.transaction() as conn:
        row = _device(conn, visit, at, device_id)
        refused = None
        if act in device_acts.ACTS and visit.user.role in KEEPERS:
            refused = _tried(conn, visit, at, row, act, typed)
        elif act == "photo":
            refused = Refused("photo", typed.get("problem", "kind"), "")
        town = visit.tenant.municipality_id
        model: dict[str, Any] = {
            "places": mountings(conn, town, key=row.now.key),
            "maintenance": maintenance(conn, town, device_id),
            "works": planned_work(conn, town, at.now, _FAR, device_id=device_id),
            "calibrations": calibrations(conn, town, device_id=device_id),
            "series": _series(conn, device_id),
            "stations": conn.execute("select code, name, name_en from station order by code").fetchall(),
            "others": conn.execute(
                """
                select key, model from device d where device_id <> %s and not exists (
                    select from attachment a where a.device_id = d.device_id and a.attached_to is null) order by key
                """,
                (device_id,),
            ).fetchall(),
            "has_photo": _photo_release(conn, device_id),
            "said": said(conn, town, device_id),
            "made": made(conn, device_id, at.now),
            "health": health_part(conn, at.now, device_id),
        }
        cycle = model["health"].duty.cycle if model["health"] and model["health"].duty else None
        proposed = levels_proposed(conn, town, row.now.station, at.now) if row.now.station else None
        names = {code: (name, name_en) for code, name, name_en in model["stations"]}
        alerts = open_alerts(conn, visit.user.role)
    pace = rows_of(cycle, proposed)
    if refused is not None and refused.act == "duty":
        pace = typed_form(pace, typed)
    done = typed.get("done", "")
    return page(
        request,
        visit,
        at,
        "digital_device",
        alerts,
        row=row,
        names=names,
        cycle=cycle,
        pace=pace,
        paced=cycle is not None
        or (refused is not None and refused.act in ("duty", "duty_ended"))
        or any(each.observed_property == WATER_LEVEL for each in model["series"]),
        refused=refused,
        typed=typed if refused is not None else {},
        done=done if done in device_acts.ACTS or done in ("photo", "photo_removed") else None,
        may_change=visit.user.role in KEEPERS,
        local=lambda time: f"{time.astimezone(at.zone):%Y-%m-%dT%H:%M}",
        **model,
    )


_FAR = datetime.max.replace(tzinfo=device_acts.UTC)


@router.post(_ADDRESS)
@access(KEEPERS)
def change(request: Request, visit: SignedIn, device_id: int, typed: Typed) -> Response:
    """Does what the form says (`do`), or leads back to it."""
    at = moment(request, visit)
    act = typed.get("do", "")
    if act not in device_acts.ACTS:
        raise NotFound(Text("そのような操作はありません。", "There is no such action."))
    address = f"/digital/devices/{device_id}"
    with visit.transaction() as conn:
        row = _device(conn, visit, at, device_id)
        try:
            with conn.transaction():
                _do(conn, visit, at, row, act, typed)
        except RegistrationError:
            kept = {name: value for name, value in typed.items() if name != "csrf_token" and value}
            query = urlencode(kept)
            if len(query) > _LONGEST_QUERY:
                query = urlencode({"do": act})
            return RedirectResponse(f"{address}?{query}#{act}", 303)
    return RedirectResponse(f"{address}?done={act}#{act}", 303)


@router.get(_ADDRESS + "/photo")
@access(READERS)
def photo_file(request: Request, visit: SignedIn, device_id: int) -> Response:
    """The photo as it was cleaned when it came in; the browser may keep it for itself."""
    with visit.transaction() as conn:
        found = photo(conn, visit.tenant.municipality_id, device_id)
    if found is None:
        raise NotFound(Text("この機器の写真はありません。", "There is no photo of this device."))
    headers = {
        "Cache-Control": "private, max-age=86400",
        "Content-Disposition": "inline",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(found.image, media_type=found.media_type, headers=headers)


@router.post(_ADDRESS + "/photo")
@access(KEEPERS)
def put_photo_file(request: Request, visit: SignedIn, device_id: int, file: File, typed: Typed) -> Response:
    """Takes a new photo, or takes the one there away (`do=photo_removed`)."""
    at = moment(request, visit)
    address = f"/digital/devices/{device_id}"
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        _device(conn, visit, at, device_id)
        if typed.get("do") == "photo_removed":
            remove_photo(conn, town, device_id)
            return RedirectResponse(f"{address}?done=photo_removed#photo", 303)
        try:
            picture = cleaned(file)
            with conn.transaction():
                put_photo(conn, town, device_id, picture, now=at.now, user_id=visit.user.user_id)
        except PictureError as error:
            return RedirectResponse(f"{address}?do=photo&problem={error.code if file else 'none'}#photo", 303)
        except RegistrationError:
            return RedirectResponse(f"{address}?do=photo&problem=large#photo", 303)
    return RedirectResponse(f"{address}?done=photo#photo", 303)


def _device(conn: Connection, visit: Visit, at: Moment, device_id: int) -> Listed:
    rows = listed(conn, visit.tenant.municipality_id, at.now, at.now.astimezone(at.zone).date())
    found = next((row for row in rows if row.device_id == device_id), None)
    if found is None:
        raise NotFound(
            Text("この機器は登録されていません。", "There is no such device."),
            Text("機器の一覧から選んでください。", "Choose one from the list of devices."),
        )
    return found


def _do(conn: Connection, visit: Visit, at: Moment, row: Listed, act: str, typed: Mapping[str, str]) -> None:
    doing = device_acts.Doing(
        conn, visit.tenant.municipality_id, row.device_id, row.now.key, visit.user.user_id, at.now, at.zone
    )
    do: Callable[[device_acts.Doing, Mapping[str, str]], None] = device_acts.ACTS[act]
    do(doing, typed)


def _tried(
    conn: Connection, visit: Visit, at: Moment, row: Listed, act: str, typed: Mapping[str, str]
) -> Refused | None:
    """What is wrong with it, found by trying without a trace; None where it could be done."""
    try:
        with conn.transaction(force_rollback=True):
            _do(conn, visit, at, row, act, typed)
    except RegistrationError as error:
        return Refused(act, error.field, str(error))
    return None


def _series(conn: Connection, device_id: int) -> list[Series]:
    rows = conn.execute(
        """
        select distinct d.datastream_id, s.code, s.name, s.name_en, d.observed_property, d.unit
        from attachment a join field_mapping f using (attachment_id) join datastream d using (datastream_id)
        join station s on s.station_id = d.station_id
        where a.device_id = %s and d.statistic = 'instant' order by s.code, d.observed_property
        """,
        (device_id,),
    )
    return [Series(*row) for row in rows]


def _photo_release(conn: Connection, device_id: int) -> str | None:
    """What changes with the photo, for its address; None where there is none."""
    row = conn.execute("select digest from device_photo where device_id = %s", (device_id,)).fetchone()
    return None if row is None else hashlib.sha256(bytes(row[0])).hexdigest()[:12]
