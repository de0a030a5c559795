"""The spots of a municipality by name, for pages that list them: code, names, and which counters count for them now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from store import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """A spot as people know it; `retired`: published no more from this day on."""

    spot_id: int
    code: str
    name: str
    name_en: str
    virtual: bool
    retired: date | None


@dataclass(frozen=True, slots=True)
class CounterAt:
    """A counter that counts, or counted, for a spot."""

    station_id: int
    code: str
    name: str
    name_en: str
    entrance: str


def places(conn: Connection, municipality_id: int, code: str | None = None) -> list[Place]:
    """All of them in the order in which they were made, or the one of that code."""
    return [
        Place(*row)
        for row in conn.execute(
            """
            select p.spot_id, p.code, coalesce(p.name, s.name), coalesce(p.name_en, s.name_en), p.kind = 'virtual',
                   p.retired_from
            from spot p left join station s using (station_id)
            where p.municipality_id = %s and coalesce(%s, p.code) = p.code order by p.spot_id
            """,
            (municipality_id, code),
        )
    ]


def counters_of(conn: Connection, spot_ids: Sequence[int]) -> list[CounterAt]:
    """The counters of these spots, each once."""
    return [
        CounterAt(*row)
        for row in conn.execute(
            """
            select distinct on (s.station_id) s.station_id, s.code, s.name, s.name_en, c.entrance
            from spot_source c join station s using (station_id)
            where c.spot_id = any(%s) order by s.station_id, c.from_day desc nulls last
            """,
            (list(spot_ids),),
        )
    ]
