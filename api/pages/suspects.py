"""漏水調査候補: what analytics found at the block inlets or by the loggers, open or lately over, and how far one would
have to search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from store.connection import Connection

SHOWN_AFTER = timedelta(days=7)
PRESSURES, SOUND, RISE = "leak_suspect", "leak_sound", "inflow_rise"
LOGGERS = (PRESSURES, SOUND)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One finding. `value` and `usual` m3/h, of the pressures and of a rise the size and None, of what is heard dB;
    `ended_at` None while it is open. `detail` as analytics left it.

    `pipe_km`: the pipes of the block, None where nobody has written them down.
    """

    kind: str
    started_at: datetime
    ended_at: datetime | None
    value: float
    usual: float | None
    detail: Mapping[str, Any]
    pipe_km: float | None
    finding_id: int
    station_id: int

    @property
    def excess(self) -> float:
        """In the unit of the value."""
        return self.value if self.usual is None else self.value - self.usual

    @property
    def size(self) -> float | None:
        """m3/h more than usual; None: nothing is known of how much. How loud a leak is says nothing of it."""
        return self.excess if self.kind != SOUND and self.excess > 0 else None

    @property
    def until(self) -> datetime | None:
        """Of the pressures: it began between `started_at` and then."""
        return datetime.fromisoformat(self.detail["until"]) if self.kind == PRESSURES else None

    @property
    def tank_at(self) -> datetime | None:
        """Of a burst: when the level was read from which its tank's hours are counted; None: it is not written down."""
        at = self.detail.get("tank_at")
        return None if at is None else datetime.fromisoformat(at)

    @property
    def began(self) -> tuple[str, str, str] | None:
        """Of a rise: the likeliest day of its beginning, and the two between which it is with 80 %."""
        return (self.detail["start"], self.detail["first"], self.detail["last"]) if self.kind == RISE else None


def suspects(conn: Connection, now: datetime) -> dict[int, tuple[Suspect, ...]]:
    """By station id: the open findings first, then what was over within a week."""
    found: dict[int, tuple[Suspect, ...]] = {}
    for station_id, *row in conn.execute(
        """
        select f.station_id, f.kind, f.started_at, f.ended_at, f.value, f.usual, f.detail,
               coalesce(network_km(f.station_id), b.pipe_km), f.finding_id, f.station_id
        from finding f left join block_inlet b using (station_id)
        where f.value is not null
          and (f.kind in ('leak_suspect', 'inflow_rise')
               or f.kind in ('night_flow', 'burst', 'leak_sound') and f.usual is not null)
          and (f.ended_at is null or (f.ended_at > %s and f.ended_at > f.started_at))
        order by f.ended_at desc nulls first, f.started_at
        """,
        (now - SHOWN_AFTER,),
    ):
        found[station_id] = (*found.get(station_id, ()), Suspect(*row))
    return found


def suspect_of(conn: Connection, finding_id: int) -> Suspect | None:
    """One finding as it is now, however long it is over; None where there is none of the night flow or of a burst."""
    row = conn.execute(
        """
        select f.kind, f.started_at, f.ended_at, f.value, f.usual, f.detail,
               coalesce(network_km(f.station_id), b.pipe_km),
               f.finding_id, f.station_id
        from finding f left join block_inlet b using (station_id)
        where f.finding_id = %s and f.value is not null
          and (f.kind in ('leak_suspect', 'inflow_rise')
               or f.kind in ('night_flow', 'burst', 'leak_sound') and f.usual is not null)
        """,
        (finding_id,),
    ).fetchone()
    return None if row is None else Suspect(*row)
