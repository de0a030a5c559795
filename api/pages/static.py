"""The files of the pages. Public: they hold nothing of the town."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.access import PUBLIC, Router, access
from api.errors import NotFound, Text
from api.pages.site import site

router = Router()


@router.get("/static/{release}/{name:path}")
@access(PUBLIC)
def static_file(request: Request, release: str, name: str) -> Response:
    """A file of this very release, for a year: another content has another address."""
    asset = site().assets.get(release, name)
    if asset is None:
        raise NotFound(Text("このファイルはありません。", "There is no such file."))
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.body, media_type=asset.media_type, headers=headers)
