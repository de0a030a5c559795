"""The photos of a leak case: for who may see where pipes are, to be kept by nobody but their own browser.

They come with the steps of a case (`api.pages.leak_case`).
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from analytics.leaks.cases import photos
from api.access import Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.field_reports import JPEG, PHOTO_HEADERS
from api.pages.leak_cases import LEAKS
from api.roles import PIPE_KEEPERS

router = Router()

_PHOTO = LEAKS + "/{case_id}/photos/{photo_id}"


@router.get(_PHOTO)
@access(PIPE_KEEPERS)
def photo(visit: SignedIn, case_id: int, photo_id: int) -> Response:
    return _photo(visit, case_id, photo_id, small=False)


@router.get(_PHOTO + "/small")
@access(PIPE_KEEPERS)
def small_photo(visit: SignedIn, case_id: int, photo_id: int) -> Response:
    return _photo(visit, case_id, photo_id, small=True)


@router.post(_PHOTO)
@access(PIPE_KEEPERS)
def take_away(visit: SignedIn, case_id: int, photo_id: int) -> Response:
    """Takes the picture away: a face, a number plate, a mistake."""
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        if not photos.forget(conn, town, case_id, photo_id, now=visit.clock.now(), user_id=visit.user.user_id):
            raise _none(photo_id)
    return RedirectResponse(f"{LEAKS}/{case_id}?done=photo_gone", 303)


def _photo(visit: Visit, case_id: int, photo_id: int, *, small: bool) -> Response:
    with visit.transaction() as conn:
        found = photos.picture(conn, visit.tenant.municipality_id, case_id, photo_id, small=small)
    if found is None:
        raise _none(photo_id)
    return Response(found, media_type=JPEG, headers=PHOTO_HEADERS)


def _none(photo_id: int) -> NotFound:
    return NotFound(Text(f"写真 {photo_id} はありません。", f"There is no photo {photo_id}."))
