"""The files of the pages. Public: they hold nothing of the town.

Three stand at addresses of their own: the service worker, whose address says which pages it can be for, the manifest of
the page on a telephone's home screen, and the folder of all the others.
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.access import PUBLIC, Router, access
from api.errors import NotFound, Text
from api.language import page_language_of
from api.pages.site import site

router = Router()

_ICONS = (192, 512)


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


@router.get("/worker.js")
@access(PUBLIC)
def service_worker(request: Request) -> Response:
    """The service worker with the release that it belongs to: a browser takes another one when a byte differs."""
    assets = site().assets
    worker = assets.get(assets.release, "worker.js")
    assert worker is not None, "worker.js is in the folder of static files"
    queue = json.dumps(assets.url("field_queue.js"))
    head = f"const RELEASE = {json.dumps(assets.release)};\nimportScripts({queue});\n"
    return Response(head.encode() + worker.body, media_type=worker.media_type, headers={"Cache-Control": "no-cache"})


@router.get("/app.webmanifest")
@access(PUBLIC)
def manifest(request: Request) -> Response:
    """What a telephone needs for a page on its home screen; an iPhone takes messages there and nowhere else."""
    words, assets = site().words[page_language_of(request)], site().assets
    icons = [{"src": assets.url(f"icon-{n}.png"), "sizes": f"{n}x{n}", "type": "image/png"} for n in _ICONS]
    body = {
        "id": "/",
        "name": words("brand"),
        "short_name": words("brand"),
        "lang": words.code,
        "start_url": "/start",
        "scope": "/",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#ffffff",
        "icons": icons,
    }
    return JSONResponse(body, media_type="application/manifest+json", headers={"Cache-Control": "no-cache"})
