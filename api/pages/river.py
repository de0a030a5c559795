"""Where a gauge stands on its river, which gauges the water passes before it, how long it took from there, and whose
rain it will feel.

Where it stands is what the town file says under `river`; how long the water took was learned from past rises, or said
by people (`analytics.rivers.link_records`). A gauge of another river stands here where people have set it so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from analytics.rivers.link_records import KnownLink, known_links
from api.pages.disaster import WINDOW, Gauge, gauge_of, thresholds_at
from api.pages.readings import StationNow, history, stations_now
from devices.model import ObservedProperty, StationKind
from store.connection import Connection


@dataclass(frozen=True, slots=True)
class Upstream:
    """A gauge that the water passes earlier: how far up the river from the page's own, km (None: it is on another one),
    and what is known of the way (None: nothing that may be told).
    """

    gauge: Gauge
    km: float | None
    link: KnownLink | None


@dataclass(frozen=True, slots=True)
class RiverHere:
    """`name` empty: nobody says which river it is, but what people have set above it. `name_en` is the name where the
    basemap has no English one. `upstream`: the nearest first.
    """

    name: str
    name_en: str
    km_from_mouth: float | None
    catchment_km2: float | None
    upstream: tuple[Upstream, ...]


def river_here(conn: Connection, station: StationNow, now: datetime) -> RiverHere | None:
    """The river of a river or rain gauge; None where nobody says which, nor what lies above it."""
    row = conn.execute(
        """
        select r.river, coalesce(nullif(m.name_en, ''), r.river), r.km_from_mouth, r.catchment_km2
        from station_river r
        left join map_shape m on m.kind = 'river' and m.name = r.river and m.municipality_id = r.municipality_id
        where r.station_id = %s limit 1
        """,
        (station.station_id,),
    ).fetchone()
    name, name_en, far, drained = row or ("", "", None, None)
    upstream = tuple(_upstream(conn, station.station_id, name, far, now))
    return RiverHere(name, name_en, far, drained, upstream) if name or upstream else None


def rain_gauges_of(conn: Connection, station: StationNow) -> frozenset[str]:
    """The codes of the rain gauges in the catchment that a station belongs to; none where nobody has said."""
    rows = conn.execute(
        """
        select s.code from station_river mine
        join station_river other on other.river = mine.river and other.municipality_id = mine.municipality_id
        join station s on s.station_id = other.station_id and s.kind = %s
        where mine.station_id = %s
        """,
        (StationKind.RAIN_GAUGE.value, station.station_id),
    ).fetchall()
    return frozenset(code for (code,) in rows)


def _upstream(conn: Connection, station_id: int, river: str, far: float | None, now: datetime) -> list[Upstream]:
    links = {each.upstream_id: each for each in known_links(conn, downstream_id=station_id)}
    above: dict[int, float | None] = {each: None for each, link in links.items() if link.shown}
    if far is not None:
        above |= conn.execute(
            "select station_id, km_from_mouth - %s from station_river where river = %s and km_from_mouth > %s",
            (far, river, far),
        ).fetchall()
    if not above:
        return []
    stations = [s for s in stations_now(conn, StationKind.RIVER_GAUGE, now) if s.station_id in above]
    readings = [s.readings.get(ObservedProperty.WATER_LEVEL) for s in stations]
    points = history(conn, [r.datastream_id for r in readings if r is not None], now - WINDOW, now)
    levels = thresholds_at(conn, now)
    found = [
        Upstream(gauge_of(s, levels.get(s.station_id, ()), points), above[s.station_id], links.get(s.station_id))
        for s in stations
    ]
    return sorted(found, key=lambda each: (each.km is None, each.km or 0.0))
