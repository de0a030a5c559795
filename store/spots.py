"""地点 as people see them: what they are called, what counts for one from when to when, who changed what and why.

    spots(conn), spot_of(conn, code)      with the names in force
    gauges(conn)                          the stations that can count for a spot
    sources_of, parts_of, methods_of      everything that was ever said of a spot, the newest first
    changes(conn, ...)                    the log

Dates are local days, None is open. Changed by `store.spot_changes`; what follows from it for the numbers is worked out
by `analytics.visitors.spots`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from store.connection import Connection


class Measure(StrEnum):
    """What of a counter is meant. The last three are trends: how busy it is, never how many came."""

    IN = "in"
    OUT = "out"
    BOTH = "both"  # in + out
    VEHICLES = "vehicles"
    PRESENT = "present"
    PARKED = "parked"
    SIGNALS = "signals"

    @property
    def trend(self) -> bool:
        return self in TRENDS

    @property
    def properties(self) -> tuple[str, ...]:
        """The observed properties that are added up."""
        return _PROPERTIES[self]


class CounterKind(StrEnum):
    """What kind of counter it is."""

    LINE = "line"
    CAMERA = "camera"  # counts at its edge: no picture leaves it
    TICKETS = "tickets"
    PARKING = "parking"
    AREA = "area"
    RADIO = "radio"  # Wi-Fi or BLE

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What of such a counter may be meant."""
        return _MEASURES[self]


TRENDS = frozenset({Measure.PRESENT, Measure.PARKED, Measure.SIGNALS})
_MEASURES = {
    CounterKind.LINE: (Measure.IN, Measure.OUT, Measure.BOTH),
    CounterKind.CAMERA: (Measure.IN, Measure.OUT, Measure.BOTH, Measure.PRESENT),
    CounterKind.TICKETS: (Measure.IN,),
    CounterKind.PARKING: (Measure.VEHICLES, Measure.PARKED),
    CounterKind.AREA: (Measure.PRESENT,),
    CounterKind.RADIO: (Measure.SIGNALS,),
}
_PROPERTIES = {
    Measure.IN: ("passages_in",),
    Measure.OUT: ("passages_out",),
    Measure.BOTH: ("passages_in", "passages_out"),
    Measure.VEHICLES: ("vehicles_in",),
    Measure.PRESENT: ("people_present",),
    Measure.PARKED: ("vehicles_present",),
    Measure.SIGNALS: ("radio_signals",),
}


@dataclass(frozen=True, slots=True)
class Spot:
    """A place whose visitors are published. `station`: the code of the station at whose form its days are entered;
    `form`: whether there is such a form.
    """

    spot_id: int
    code: str
    virtual: bool
    name: str
    name_en: str
    note: str
    station: str | None
    form: bool
    retired_from: date | None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A counter at a spot, see the table spot_source. `by` None: it came with its station."""

    source_id: int
    station_id: int
    station: str
    name: str
    name_en: str
    kind: CounterKind
    measure: Measure
    sign: int
    weight: float
    entrance: str
    from_day: date | None
    to_day: date | None
    made_at: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class PartRow:
    """A spot that a virtual one adds or takes away."""

    part_row_id: int
    code: str
    name: str
    name_en: str
    sign: int
    from_day: date | None
    to_day: date | None


@dataclass(frozen=True, slots=True)
class MethodRow:
    """From this day on (None: from the beginning) by this method."""

    from_day: date | None
    method: str
    made_at: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the log. `what` a word of the catalogue, `detail` its figures."""

    at: datetime
    by: str | None
    what: str
    detail: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Gauge:
    """A station that can count for a spot, and what it observes."""

    station_id: int
    code: str
    name: str
    name_en: str
    properties: tuple[str, ...]

    def observes(self, measure: Measure) -> bool:
        return set(measure.properties) <= set(self.properties)


_SPOT = """
    select p.spot_id, p.code, p.kind = 'virtual', coalesce(p.name, s.name), coalesce(p.name_en, s.name_en), p.note,
           s.code,
           exists (select from datastream d where d.station_id = s.station_id and d.observed_property = 'passages_day'
                   and d.drill_run is null),
           p.retired_from
    from spot p left join station s using (station_id)
"""


def spots(conn: Connection) -> list[Spot]:
    """Every spot, in the order in which they were made; those that are published no more last."""
    rows = conn.execute(_SPOT.encode() + b" order by p.retired_from is not null, p.spot_id").fetchall()
    return [Spot(*row) for row in rows]


def spot_of(conn: Connection, code: str) -> Spot | None:
    row = conn.execute(_SPOT.encode() + b" where p.code = %s", (code,)).fetchone()
    return None if row is None else Spot(*row)


def gauges(conn: Connection) -> list[Gauge]:
    """The stations that count who comes, in the order of the register."""
    rows = conn.execute(
        """
        select s.station_id, s.code, s.name, s.name_en,
               array(select observed_property from datastream d
                     where d.station_id = s.station_id and d.drill_run is null order by 1)
        from station s where s.kind in ('visitor_spot', 'visitor_area', 'parking') order by s.station_id
        """
    ).fetchall()
    found = [Gauge(station_id, code, name, name_en, tuple(every)) for station_id, code, name, name_en, every in rows]
    return [each for each in found if any(each.observes(measure) for measure in Measure)]


def sources_of(conn: Connection, spot_id: int) -> list[SourceRow]:
    """The newest first, of those from the beginning the one made last first."""
    rows = conn.execute(
        """
        select x.spot_source_id, x.station_id, s.code, s.name, s.name_en, x.kind, x.measure, x.sign, x.weight,
               x.entrance, x.from_day, x.to_day, x.made_at, u.display_name
        from spot_source x join station s using (station_id) left join app_user u on u.user_id = x.user_id
        where x.spot_id = %s order by x.from_day desc nulls last, x.spot_source_id desc
        """,
        (spot_id,),
    ).fetchall()
    return [
        SourceRow(*(source_id, station_id, code, name, name_en), CounterKind(kind), Measure(measure), *rest)
        for source_id, station_id, code, name, name_en, kind, measure, *rest in rows
    ]


def parts_of(conn: Connection, spot_id: int) -> list[PartRow]:
    rows = conn.execute(
        """
        select x.spot_part_id, p.code, coalesce(p.name, s.name), coalesce(p.name_en, s.name_en), x.sign, x.from_day,
               x.to_day
        from spot_part x join spot p on p.spot_id = x.part_id left join station s on s.station_id = p.station_id
        where x.spot_id = %s order by x.from_day desc nulls last, x.spot_part_id
        """,
        (spot_id,),
    ).fetchall()
    return [PartRow(*row) for row in rows]


def methods_of(conn: Connection, spot_id: int) -> list[MethodRow]:
    """The newest first."""
    rows = conn.execute(
        """
        select m.from_day, m.method, m.made_at, u.display_name
        from spot_method m left join app_user u using (user_id)
        where m.spot_id = %s order by m.from_day desc nulls last
        """,
        (spot_id,),
    ).fetchall()
    return [MethodRow(*row) for row in rows]


def changes(conn: Connection, *, spot_id: int | None = None, station_id: int | None = None) -> list[Change]:
    """The log of a spot, or of the calibration of a counter; the newest first."""
    rows = conn.execute(
        """
        select c.said_at, u.display_name, c.what, c.detail, c.reason
        from spot_change c left join app_user u using (user_id)
        where c.spot_id = %s or c.station_id = %s order by c.spot_change_id desc
        """,
        (spot_id, station_id),
    ).fetchall()
    return [Change(*row) for row in rows]
