"""Which pipes lie behind a block's inlet, as somebody chooses it once; and what follows from them for a night outside:
in which order to close the valves of a step test, and where one more pressure logger would tell most.

Of those who may see where pipes are. All of it stands in words and tables; the picture says nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.blocks import stored
from analytics.leaks.blocks.stored import Block
from analytics.leaks.cases.step_test import Steps, entries, steps
from analytics.leaks.cases.walk import of_block
from analytics.leaks.location.placing import next_places
from analytics.leaks.network import stored as networks
from analytics.leaks.network.coordinates import WGS84, between
from analytics.leaks.network.pipes import Floats, Ints, Network
from api.access import Router, SignedIn, access
from api.errors import BadRequest, Conflict, Text
from api.pages.alert_list import open_alerts
from api.pages.block_water import BLOCKS, block_of
from api.pages.pipe_drawing import Drawing, draw
from api.pages.site import moment, page
from api.pages.typed import Form
from api.roles import PIPE_KEEPERS
from store.connection import Connection

router = Router()

_LOGGERS = 3  # places that are named
_NEAR_INLET, _NEAR_LOGGER = 500.0, 100.0  # m from a station to the pipe it stands on


@dataclass(frozen=True, slots=True)
class Place:
    """Where a logger could stand: `kind` hydrant, or node (the end of `pipe`)."""

    kind: str
    name: str
    pipe: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`inlet`: the pipe at whose end the block is fed, None: not known, and then nothing follows. `sure`: no other pipe
    leads into the block. `loggers` stand there already.
    """

    inlet: str | None
    sure: bool
    steps: Steps | None
    places: tuple[Place, ...]
    loggers: int
    drawing: Drawing | None


@router.post(BLOCKS + "/{block}/pipes")
@access(PIPE_KEEPERS)
def choose_pipes(visit: SignedIn, block: str, typed: Form) -> Response:
    """Which block of the pipe network the inlet feeds; nothing takes the choice back."""
    town, chosen = visit.tenant.municipality_id, typed.get("pipes", "")
    with visit.transaction() as conn:
        here = block_of(conn, block)
        if chosen and chosen not in (networks.block_names(conn, town) or ()):
            raise BadRequest(
                Text(
                    f"いまの管路データにブロック「{chosen[:40]}」はありません。画面を開き直して選んでください。",
                    f"The present pipe network has no block {chosen[:40]!r}. Open the page again and choose.",
                )
            )
        now, user = visit.clock.now(), visit.user.user_id
        if not stored.choose_pipes(conn, town, here.station_id, chosen or None, at=now, user_id=user):
            raise Conflict(
                Text(
                    f"管路のブロック「{chosen[:40]}」は、ほかの流入地点のものとして選ばれています。",
                    f"The block of pipes {chosen[:40]!r} is chosen for another inlet.",
                ),
                Text(
                    "そちらの配水ブロックの画面で選択をやめてから、もう一度選んでください。流入が2か所以上あるブロックなら、"
                    "ここでは選ばずに、「ロガーの位置」で流量計をすべて管路に登録してください。1つのブロックとして計算します。",
                    "Take the choice back on that block's page, then choose again. Where several inlets feed the "
                    "block, leave it, and say on the page of loggers' places where each meter stands: they are then "
                    "taken together.",
                ),
            )
    return RedirectResponse(f"{BLOCKS}/{here.code}?done={'pipes' if chosen else 'pipes_gone'}#pipes", 303)


@router.get(BLOCKS + "/{block}/plan")
@access(PIPE_KEEPERS, page=True)
def plan_page(request: Request, visit: SignedIn, block: str) -> Response:
    """The step test of a block and the place of its next logger."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    with visit.transaction() as conn:
        here = block_of(conn, block)
        number = networks.present(conn, town)
        network = None if number is None or here.pipes is None else networks.network_of(conn, town, number)
        where = positions(conn, here)
        alerts = open_alerts(conn, visit.user.role)
    found = None if network is None else _plan(network, here, *where)
    return page(
        request,
        visit,
        at,
        "water_plan",
        alerts,
        inlet=here,
        plan=found,
        here=lambda **changed: f"{BLOCKS}/{here.code}/plan?lang={changed.get('lang', at.words.code)}",
    )


def positions(conn: Connection, here: Block) -> tuple[Floats, Floats]:
    """Longitude and latitude of the inlet (1, 2), and of all stations that measure a pressure (n, 2)."""
    rows = conn.execute(
        """
        select s.longitude, s.latitude, s.station_id = %s,
               exists (select from datastream d where d.station_id = s.station_id and d.observed_property = 'pressure'
                       and d.drill_run is null)
        from station s
        """,
        (here.station_id,),
    ).fetchall()
    inlet, loggers = [each[:2] for each in rows if each[2]], [each[:2] for each in rows if each[3]]
    return np.array(inlet, float).reshape(-1, 2), np.array(loggers, float).reshape(-1, 2)


def _plan(network: Network, here: Block, inlet_at: Floats, loggers_at: Floats) -> Plan | None:
    """None where the network has no such block."""
    pipes = of_block(network, here.pipes or "")
    if not len(pipes):
        return None
    inlet, doors = fed_at(network, pipes, inlet_at)
    if inlet is None:
        return Plan(None, False, None, (), 0, draw(network, area=pipes.tolist()))
    found = steps(network, pipes, inlet)
    nodes = _nodes(network, pipes)
    there = _near(network, nodes, loggers_at, _NEAR_LOGGER)
    among = _hydrants(network, pipes) or {int(each): _end(network, pipes, int(each)) for each in nodes}
    best = next_places(network, pipes, inlet, among=list(among), there=there, count=_LOGGERS)
    return Plan(
        _end(network, pipes, inlet).pipe,
        doors <= 1,
        found,
        tuple(among[int(each)] for each in best),
        len(there),
        draw(network, area=pipes.tolist(), stops=[(each.x, each.y) for each in found.steps]),
    )


def fed_at(network: Network, pipes: Ints, inlet_at: Floats) -> tuple[int | None, int]:
    """The node at which a block is fed whose inlet stands at `inlet_at` (1, 2), degrees, None: not known; and how many
    ways lead into it.
    """
    doors = entries(network, pipes)
    if len(doors) == 1:
        return int(doors[0]), 1
    near = _near(network, doors if len(doors) else _nodes(network, pipes), inlet_at, _NEAR_INLET)
    return near[0] if near else None, len(doors)


def _nodes(network: Network, pipes: Ints) -> Ints:
    return np.unique(np.stack([network.pipes.start[pipes], network.pipes.end[pipes]]))


def _near(network: Network, nodes: Ints, places: Floats, metres: float) -> list[int]:
    """Of each place the nearest of these nodes, where one is near; nobody knows that of a network without a place."""
    if network.epsg is None or not len(places) or not len(nodes):
        return []
    there = between(WGS84, network.epsg, places)
    away = np.hypot(*(network.nodes.xy[nodes][None, :, :] - there[:, None, :]).transpose(2, 0, 1))
    away = np.where(np.isfinite(away), away, np.inf)
    nearest = away.argmin(axis=1)
    return [int(nodes[at]) for row, at in enumerate(nearest) if away[row, at] <= metres]


def _hydrants(network: Network, pipes: Ints) -> dict[int, Place]:
    """By the nearer end of its pipe, each hydrant of the block: a logger is screwed on a hydrant."""
    found: dict[int, Place] = {}
    own, wanted = network.pipes, set(pipes.tolist())
    fixtures = network.fixtures
    for name, kind, pipe, xy in zip(fixtures.names, fixtures.kind, fixtures.pipe.tolist(), fixtures.xy, strict=True):
        if kind == "hydrant" and pipe in wanted:
            ends = int(own.start[pipe]), int(own.end[pipe])
            away = [float(np.hypot(*(network.nodes.xy[each] - xy))) for each in ends]
            found.setdefault(ends[1] if away[1] < away[0] else ends[0], Place("hydrant", name, own.names[pipe]))
    return found


def _end(network: Network, pipes: Ints, node: int) -> Place:
    """The node by the pipe of the block that ends at it."""
    own = network.pipes
    pipe = next(each for each in pipes.tolist() if node in (own.start[each], own.end[each]))
    return Place("node", network.nodes.names[node], own.names[pipe])
