"""流域別: every river from its source to its mouth, gauge after gauge with how long the water took between them in past
rises, and what fell in its catchment.

Which gauge and rain gauge belongs to which river is what the town file says; those of which it says nothing come last.
All of it is observed; how long the water took is a statistic of the past (`analytics.rivers.link_records`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from analytics.rivers.effective_rain import EffectiveNow, Part, effective_now
from analytics.rivers.link_records import KnownLink, known_links
from analytics.rivers.rain import Sum
from api.access import READERS, Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.apart_now import apart_now, kinds_of
from api.pages.disaster import WINDOW, Gauge, gauge_of, thresholds_at
from api.pages.gauge_file import BOM, lines, number_text, time_text
from api.pages.rain import RainGauge, rain
from api.pages.readings import history, stations_now
from api.pages.site import moment, page
from devices.model import ObservedProperty, StationKind
from store.connection import Connection

router = Router()

NODE_APART, HEAD, FOOT, ACROSS = 84.0, 34.0, 30.0, 30.0  # of the line of a river, in its picture
_LONGEST = 2.0  # times NODE_APART between two gauges that lie far apart


@dataclass(frozen=True, slots=True)
class Node:
    """A gauge on its river: km from the mouth (None: not known), the way to the next gauge below it that is known, and
    how far down the picture it stands.
    """

    gauge: Gauge
    km: float | None
    below: KnownLink | None
    y: float


@dataclass(frozen=True, slots=True)
class Fell:
    """A rain gauge, and its effective rain (None: it has told nothing lately)."""

    gauge: RainGauge
    effective: EffectiveNow | None


@dataclass(frozen=True, slots=True)
class River:
    """`name` empty: what is of no river that we know of. `nodes` from the source down; `height` of the picture."""

    name: str
    name_en: str
    nodes: tuple[Node, ...]
    rain: tuple[Fell, ...]
    height: float


@router.get("/disaster/catchments")
@access(READERS, page=True)
def catchments_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        rivers = catchments(conn, at.now)
        apart = apart_now(conn, visit.tenant.municipality_id, at.now)
        alerts = open_alerts(conn, visit.user.role)
    trials = apart.trials_of(kinds_of("disaster"))
    return page(
        request,
        visit,
        at,
        "disaster_catchments",
        alerts,
        rivers=rivers,
        across=ACROSS,
        shadows=apart.levels(),
        trials=trials,
    )


@router.get("/disaster/catchments.csv")
@access(READERS, page=True)
def catchments_file(request: Request, visit: SignedIn) -> Response:
    """What the page says, a line a figure."""
    now, zone = visit.clock.now(), ZoneInfo(visit.tenant.timezone)
    with visit.transaction() as conn:
        rivers = catchments(conn, now)
    name = f"catchments_{now.astimezone(zone):%Y%m%d-%H%M}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(BOM + lines(_rows(rivers, zone)), media_type="text/csv; charset=utf-8", headers=headers)


def catchments(conn: Connection, now: datetime) -> tuple[River, ...]:
    """The rivers as the register has their gauges, what is of none last."""
    names, places = _places(conn)
    stations = stations_now(conn, StationKind.RIVER_GAUGE, now)
    readings = [s.readings.get(ObservedProperty.WATER_LEVEL) for s in stations]
    points = history(conn, [r.datastream_id for r in readings if r is not None], now - WINDOW, now)
    levels = thresholds_at(conn, now)
    gauges: dict[str, list[Gauge]] = {}
    for each in stations:
        river = places.get(each.station_id, ("", None))[0]
        gauges.setdefault(river, []).append(gauge_of(each, levels.get(each.station_id, ()), points))
    rain_gauges = rain(conn, now)
    effective = effective_now(conn, {g.now.datastream_id: g.now.step for g in rain_gauges if g.now is not None}, now)
    fell: dict[str, list[Fell]] = {}
    for gauge in rain_gauges:
        river = places.get(gauge.station.station_id, ("", None))[0]
        told = effective.get(gauge.now.datastream_id) if gauge.now is not None and gauge.current else None
        fell.setdefault(river, []).append(Fell(gauge, told))
    links = {(each.upstream_id, each.downstream_id): each for each in known_links(conn) if each.shown}
    found = [
        _river(name, names.get(name, name), gauges.get(name, []), fell.get(name, []), places, links)
        for name in dict.fromkeys([*gauges, *fell])
    ]
    return tuple(sorted(found, key=lambda river: not river.name))


def _places(conn: Connection) -> tuple[dict[str, str], dict[int, tuple[str, float | None]]]:
    """The rivers' English names; and of each station its river and km from the mouth."""
    names: dict[str, str] = {}
    places: dict[int, tuple[str, float | None]] = {}
    for station_id, river, km, name_en in conn.execute(
        """
        select r.station_id, r.river, r.km_from_mouth, coalesce(nullif(max(m.name_en), ''), r.river)
        from station_river r
        left join map_shape m on m.kind = 'river' and m.name = r.river and m.municipality_id = r.municipality_id
        group by r.station_id order by r.station_id
        """
    ):
        names[river] = name_en
        places[station_id] = (river, km)
    return names, places


def _river(
    name: str,
    name_en: str,
    gauges: Iterable[Gauge],
    fell: Sequence[Fell],
    places: dict[int, tuple[str, float | None]],
    links: dict[tuple[int, int], KnownLink],
) -> River:
    def km(gauge: Gauge) -> float | None:
        return places.get(gauge.station.station_id, ("", None))[1]

    # Gauges of which nobody says where they stand come last, as the register has them.
    ordered = sorted(gauges, key=lambda each: (km(each) is None, -(km(each) or 0.0)))
    known = [each for each in map(km, ordered) if each is not None]
    usual = (known[0] - known[-1]) / (len(known) - 1) if len(known) > 1 else 0.0
    nodes: list[Node] = []
    y = HEAD
    for n, gauge in enumerate(ordered):
        here = km(gauge)
        if n:
            before = nodes[-1].km
            stretch = (before - here) / usual if usual and before is not None and here is not None else 1.0
            y += NODE_APART * min(max(stretch, 1.0), _LONGEST)
        lower = [links.get((gauge.station.station_id, each.station.station_id)) for each in ordered[n + 1 :]]
        nodes.append(Node(gauge, here, next((each for each in lower if each is not None), None), y))
    return River(name, name_en, tuple(nodes), tuple(fell), y + FOOT)


def _rows(rivers: Iterable[River], zone: ZoneInfo) -> Iterable[Sequence[object]]:
    yield ("river", "station", "km_from_mouth", "time", "quantity", "value", "unit", "complete", "state")
    for river in rivers:
        for node in river.nodes:
            gauge, reading = node.gauge, node.gauge.now
            place = (river.name, gauge.station.code, number_text(node.km))
            state = "never" if reading is None else reading.state.value
            time = time_text(reading.time, zone) if reading is not None and reading.time is not None else ""
            value = reading.value if reading is not None else None
            yield (*place, time, "water_level", number_text(value), "m", "", state)
            yield (*place, time, "level_reached", "" if gauge.level is None else gauge.level, "", "", state)
            yield (*place, time, "rate", number_text(gauge.rate), "m/h", "", state)
        for each in river.rain:
            yield from _rain_rows(river.name, each, zone)


def _rain_rows(river: str, each: Fell, zone: ZoneInfo) -> Iterable[Sequence[object]]:
    gauge = each.gauge
    state = "never" if gauge.now is None else gauge.now.state.value
    told: dict[str, Sum | Part | None] = {}
    time = ""
    if gauge.sums is not None and gauge.current:
        told = {"rain_1h": gauge.sums.hour, "rain_24h": gauge.sums.day, "rain_event": gauge.sums.event}
        time = time_text(gauge.sums.time, zone)
    if each.effective is not None:
        told |= {"effective_rain_1.5h": each.effective.short, "effective_rain_72h": each.effective.long}
    for name in ("rain_1h", "rain_24h", "rain_event", "effective_rain_1.5h", "effective_rain_72h"):
        part = told.get(name)
        figures = ("", "mm", "") if part is None else (number_text(part.amount), "mm", int(part.complete))
        yield (river, gauge.station.code, "", time, name, *figures, state)
