"""How a page is made: the templates, the words, the files, and what every page shows (who, where, when, alerts).

A page's module computes its model inside the visit's transaction; here it becomes HTML. With ``?fragment=1`` the same
template gives only the blocks that live.js exchanges, so that every word is rendered in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.access import Visit
from api.curves import LENGTHS
from api.language import COOKIE, LANGUAGES, page_language_of
from api.pages import formats
from api.pages.alert_list import Alert, strip
from api.pages.assets import ROOM, Assets
from api.pages.public_text import ruby
from api.pages.town_map import TownMap
from api.pages.words import Words, load_words
from dashboards.vendor import ABSENT
from devices.clock import Clock
from quality.completeness import reliability
from store.drills import running

# What live.js says while the server cannot: the keys it needs, from the same catalogue.
_LIVE_WORDS = (
    "age.now",
    "age.minutes",
    "age.hours",
    "age.days",
    "lamp.on",
    "lamp.wait",
    "lamp.lost",
    "state.silent",
    "sentence.silent",
    "live.failed",
)


log = structlog.get_logger(__name__)

# What stands in a query for one answer only, and is no part of what the page shows.
_PASSING = frozenset({"fragment", "lang", "done"})


@dataclass(frozen=True, slots=True)
class Site:
    """Templates, catalogues and files of one process."""

    environment: Environment
    words: Mapping[str, Words]
    assets: Assets


@cache
def site() -> Site:
    """Loaded once, at the first request. Raises AssetsError, WordsError."""
    environment = Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assets = Assets(ROOM / "static")
    environment.globals["libraries"] = assets.libraries
    environment.filters["ruby"] = ruby
    if not assets.libraries:
        log.warning("no front-end libraries", remedy=ABSENT)
    return Site(environment, load_words(ROOM / "locales"), assets)


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where a page is rendered: one `now` for everything on it."""

    clock: Clock
    now: datetime
    zone: ZoneInfo
    words: Words


def moment(request: Request, visit: Visit) -> Moment:
    """The present of a page. Looks into the database for the clock: call before opening the transaction."""
    clock = visit.clock
    return Moment(clock, clock.now(), ZoneInfo(visit.tenant.timezone), site().words[page_language_of(request)])


def page(
    request: Request,
    visit: Visit,
    at: Moment,
    name: str,
    alerts: Sequence[Alert],
    *,
    status: int = 200,
    map: TownMap | None = None,
    **model: Any,
) -> Response:
    """The page `name` (template, words and navigation entry have this one name)."""
    fragment = "fragment" in request.query_params
    speed = f"{at.clock.speed:g}"
    with visit.transaction() as conn:
        drill_running = running(conn, visit.tenant.municipality_id)
    values = {
        "layout": "fragment.html" if fragment else "page.html",
        "page": name,
        "here": partial(_here, request, name),
        "asset": site().assets.url,
        "user": visit.user,
        "tenant": visit.tenant,
        "csrf_token": visit.csrf_token,
        "clock": at.clock,
        "speed": speed,
        "strip": strip(alerts),
        "alerts": alerts,
        "drill_running": drill_running,
        "map": map,
        "tiles": None if map is None else visit.state.tiles.now(),
        "live_words": {key: at.words.texts[key] for key in _LIVE_WORDS},
        **formats_at(at),
        **model,
    }
    response = HTMLResponse(site().environment.get_template(f"{name}.html").render(values), status)
    response.headers["X-Town-Now"] = at.now.isoformat()
    _remember_language(request, response)
    response.headers["Content-Language"] = at.words.code
    return response


def plain_page(
    request: Request, name: str, *, status: int = 200, language: str | None = None, **values: Any
) -> Response:
    """A page without a visit: signing in, and what went wrong."""
    words = site().words[language or page_language_of(request)]
    template = site().environment.get_template(f"{name}.html")
    response = HTMLResponse(template.render({"t": words, "page": name, "asset": site().assets.url, **values}), status)
    response.headers["Content-Language"] = words.code
    _remember_language(request, response)
    return response


def _here(request: Request, name: str, **changes: str) -> str:
    """This page's own address with its query, some of it changed. A page that answers a form stands at the address of
    the form, which can only be posted to: there it is the page's plain address.
    """
    if request.method != "GET":
        return f"/{name.replace('_', '/')}?{urlencode(changes)}" if changes else f"/{name.replace('_', '/')}"
    kept = {key: value for key, value in request.query_params.items() if key not in _PASSING}
    query = urlencode(kept | changes)
    return f"{request.url.path}?{query}" if query else request.url.path


def _remember_language(request: Request, response: Response) -> None:
    wish = request.query_params.get("lang")
    if wish in LANGUAGES:
        response.set_cookie(COOKIE, wish, max_age=365 * 86400, httponly=True, samesite="lax")


def formats_at(at: Moment) -> dict[str, Any]:
    """Numbers and times bound to this page's moment and language."""

    def time(value: datetime) -> str:
        return formats.clock_time(value, at.now, at.zone)

    def day(value: date) -> str:
        return formats.day(value, at.words)

    return {
        "t": at.words,
        "now": at.now,
        "num": formats.number,
        "decimals": formats.decimals,
        "signed": formats.signed,
        "trend": lambda rate: at.words("trend", rate=formats.signed(rate, "m"), word=at.words(_direction(rate))),
        "at": time,
        "ago": lambda value: formats.age(value, at.now, at.words),
        "date": day,
        "clock_at": lambda value: f"{value.astimezone(at.zone):%H:%M}",
        "hour": lambda value: f"{value.astimezone(at.zone):%H}–{value.astimezone(at.zone) + timedelta(hours=1):%H}",
        # A day that stands by itself, without a time, is a day of the town.
        "full_date": lambda value: f"{value.astimezone(at.zone) if isinstance(value, datetime) else value:%Y-%m-%d}",
        "size": formats.size,
        "level_word": lambda badge, whose=None: formats.level_word(badge, whose, at.words),
        "duration": lambda value: formats.duration(value, at.words),
        "took": lambda value: formats.took(value, at.words),
        "lengths": lambda: {str(n): formats.duration(timedelta(seconds=n), at.words) for n in LENGTHS},
        "observed": lambda points, unit: formats.observed(points, unit, at.now, at.zone, at.words),
        "stretch": lambda start, end: formats.stretch(start, end, at.now, at.zone),
        "reliability": reliability,
        "hour_words": lambda value: formats.hour_words(value, at.now, at.zone, at.words),
    }


def _direction(rate: float) -> str:
    """A centimetre an hour is within what a gauge's noise makes."""
    return "trend.steady" if abs(rate) < 0.015 else "trend.rising" if rate > 0 else "trend.falling"
