"""ロガーの位置: where on the pipes the town's loggers, inlets and tanks measure, and what the last night made of it and
of what the sound loggers heard. Of those who may see where pipes are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.detection.year import LEARNED
from analytics.leaks.loggers import places, sounds, stored
from analytics.leaks.loggers.measured import supplied
from analytics.leaks.loggers.places import Placed, Suggestion
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Network
from analytics.leaks.night_alarm import FEWEST_NIGHTS
from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.pages.typed import Form
from api.roles import PIPE_KEEPERS
from store.connection import Connection

router = Router()

LOGGERS = "/water/loggers"
_MOST_NAME = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A station with what was typed or said of it. `problem`: why it is not measured with, '' where nothing is wrong;
    `way` of a flow: the nodes before and behind it, as water is expected to go; None where it is nowhere.
    """

    placed: Placed
    element: str
    reversed: bool
    problem: str
    suggestion: Suggestion | None
    way: tuple[str, str] | None


@router.get(LOGGERS)
@access(PIPE_KEEPERS, page=True)
def loggers_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(LOGGERS)
@access(PIPE_KEEPERS)
def say_places(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Takes what was typed of all stations, or nothing, and says of which a name is not in the network."""
    now, town = visit.clock.now(), visit.tenant.municipality_id
    with visit.transaction() as conn:
        network = _present(conn, town)
        rows = [] if network is None else _rows(network, places.stations(conn, town), typed)
        if not any(row.problem for row in rows):
            for row in rows:
                places.put(
                    conn, town, row.placed.station_id, row.element, row.reversed, now=now, user_id=visit.user.user_id
                )
            return RedirectResponse(f"{LOGGERS}?done=saved", 303)
    return _page(request, visit, typed=typed, status=400)


def _page(request: Request, visit: Visit, *, typed: Mapping[str, str] | None = None, status: int = 200) -> Response:
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        network = _present(conn, town)
        placed = places.stations(conn, town)
        watch = stored.judged(conn, town)
        ears = sounds.ears(conn, town, sounds.last_over(at.zone.key, at.now))
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "water_loggers",
        alerts,
        status=status,
        network=network is not None,
        rows=[] if network is None else _rows(network, placed, typed),
        refused=typed is not None,
        watch=watch,
        learned=LEARNED,
        ears=ears,
        fewest_nights=FEWEST_NIGHTS,
        placed=sum(bool(each.element) and each.what != "sound" for each in placed),
        most_name=_MOST_NAME,
        done=request.query_params.get("done") == "saved",
    )


def _present(conn: Connection, municipality_id: int) -> Network | None:
    present = next((each for each in networks.versions(conn, municipality_id) if each.present), None)
    return None if present is None else networks.network_of(conn, municipality_id, present.pipe_network_id)


def _rows(network: Network, placed: list[Placed], typed: Mapping[str, str] | None) -> list[Row]:
    """As typed, else as said. A ticked suggestion counts where nothing was typed."""
    near = places.suggest(network, placed)
    if typed is not None:
        placed = [places.as_said(each, *_said(each, near.get(each.station_id), typed)) for each in placed]
    where = places.located(network, placed)
    ways = places.ways(supplied(network, placed, where), where)
    return [
        Row(
            each,
            each.element,
            each.reversed,
            where.problem.get(each.station_id, ""),
            near.get(each.station_id),
            ways.get(each.station_id),
        )
        for each in placed
    ]


def _said(each: Placed, near: Suggestion | None, typed: Mapping[str, str]) -> tuple[str, bool]:
    name = typed.get(f"at-{each.code}", "").strip()[:_MOST_NAME]
    if not name and near is not None and typed.get(f"use-{each.code}"):
        name = near.element
    return name, bool(typed.get(f"reversed-{each.code}")) and each.what == "flow"
