"""上流からの時間: what was learned of how long the water takes from gauge to gauge, and what people say of it.

Everybody of the town reads it. The disaster desk sets a pair, with a travel time of its own where it knows one, refuses
it, or takes back what it said; who said what when and why is kept (`analytics.rivers.link_records`).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.rivers.link_records import KnownLink, LinkError, Verdict, known_links, say
from api.access import READERS, Role, Router, SignedIn, Visit, access
from api.errors import Text
from api.language import page_language_of
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

_ADDRESS = "/disaster/catchments/links"
_WRITERS = frozenset({Role.DISASTER})
_MINUTE = timedelta(minutes=1)
_WRONG = {
    "pair": Text(
        "上流と下流に、別の水位観測所を選んでください。下流から上流へ戻る組は作れません。",
        "Choose two different river gauges. A pair cannot lead back upstream.",
    ),
    "travel": Text(
        "時間は1～2880分の数で、「つながっている」とするときだけ入れてください。",
        "Give 1 to 2880 minutes, and only where the gauges are set as linked.",
    ),
    "reason": Text(
        "理由を500字以内で書いてください。あとで見る人のためです。",
        "Say why in up to 500 characters, for whoever asks later.",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A river gauge by its names."""

    station_id: int
    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Row:
    """A pair of gauges, and what is known of it."""

    upper: Place
    lower: Place
    link: KnownLink


@router.get(_ADDRESS)
@access(READERS, page=True)
def travel_page(request: Request, visit: SignedIn) -> Response:
    """Every pair that was looked at or spoken of, and the form."""
    return _page(request, visit)


@router.post(_ADDRESS)
@access(_WRITERS)
def say_of_link(request: Request, visit: SignedIn, form: Form) -> Response:
    """Keeps what was said, or says what is wrong with it."""
    try:
        verdict, travel = Verdict(form.get("do", "set")), _travel(form.get("travel", ""))
    except ValueError:
        return _page(request, visit, form, ["travel"], status=422)
    with visit.transaction() as conn:
        ids = {each.code: each.station_id for each in _gauges(conn)}
        try:
            above, below = ids.get(form.get("upper", "")), ids.get(form.get("lower", ""))
            if above is None or below is None:
                raise LinkError("pair")
            say(
                conn,
                visit.tenant.municipality_id,
                above,
                below,
                verdict,
                travel=travel,
                reason=form.get("reason", ""),
                now=visit.clock.now(),
                user_id=visit.user.user_id,
            )
        except LinkError as error:
            wrong = error.field
        else:
            return RedirectResponse(f"{_ADDRESS}?done=saved", 303)
    return _page(request, visit, form, [wrong], status=422)


def _page(
    request: Request,
    visit: Visit,
    typed: Mapping[str, str] | None = None,
    wrong: Sequence[str] = (),
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        gauges = _gauges(conn)
        by_id = {each.station_id: each for each in gauges}
        pairs = [
            Row(by_id[each.upstream_id], by_id[each.downstream_id], each)
            for each in known_links(conn)
            if each.upstream_id in by_id and each.downstream_id in by_id
        ]
        alerts = open_alerts(conn, visit.user.role)
    language = page_language_of(request)
    return page(
        request,
        visit,
        at,
        "disaster_catchments_links",
        alerts,
        status=status,
        of_rivers=[row for row in pairs if row.link.km is not None or row.link.word is not None],
        proposed=[row for row in pairs if row.link.proposed],
        n_others=sum(row.link.km is None and row.link.word is None and not row.link.proposed for row in pairs),
        gauges=gauges,
        typed=dict(request.query_params) if typed is None else typed,
        problems={name: _WRONG[name].of(language) for name in wrong},
        may_write=visit.user.role in _WRITERS,
        done=request.query_params.get("done") == "saved",
    )


def _gauges(conn: Connection) -> list[Place]:
    rows = conn.execute(
        "select station_id, code, name, name_en from station where kind = 'river_gauge' order by station_id"
    ).fetchall()
    return [Place(*row) for row in rows]


def _travel(typed: str) -> timedelta | None:
    """Minutes as people type them, in full width too; None where nothing was typed. ValueError for anything else."""
    text = unicodedata.normalize("NFKC", typed).strip()
    if not text:
        return None
    minutes = float(text)
    if not math.isfinite(minutes) or abs(minutes) > 1e6:
        raise ValueError(typed)
    return minutes * _MINUTE
