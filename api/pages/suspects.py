"""漏水調査候補: what analytics found at the block inlets or by the loggers, open or lately over, and how far one would
have to search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from store.connection import Connection

SHOWN_AFTER = timedelta(days=7)
LOGGERS = "leak_suspect"


@dataclass(frozen=True, slots=True)
class Suspect:
    """One finding. `value` and `usual` m3/h, of the loggers the size and None; `ended_at` None while it is open.
    `detail` as analytics left it.

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

    @property
    def excess(self) -> float:
        return self.value if self.usual is None else self.value - self.usual

    @property
    def until(self) -> datetime | None:
        """Of the loggers: it began between `started_at` and then."""
        return datetime.fromisoformat(self.detail["until"]) if self.kind == LOGGERS else None

    @property
    def evidence(self) -> str:
        """Which sentence says why: a key of the catalogue behind "water.evidence_"."""
        return self.kind if self.kind in ("night_flow", LOGGERS) else f"burst_{self.detail['witness']}"


def suspects(conn: Connection, now: datetime) -> dict[int, tuple[Suspect, ...]]:
    """By station id: the open findings first, then what was over within a week."""
    found: dict[int, tuple[Suspect, ...]] = {}
    for station_id, *row in conn.execute(
        """
        select f.station_id, f.kind, f.started_at, f.ended_at, f.value, f.usual, f.detail, b.pipe_km,
               f.finding_id
        from finding f left join block_inlet b using (station_id)
        where f.value is not null
          and (f.kind = 'leak_suspect' or f.kind in ('night_flow', 'burst') and f.usual is not null)
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
        select f.kind, f.started_at, f.ended_at, f.value, f.usual, f.detail, b.pipe_km, f.finding_id
        from finding f left join block_inlet b using (station_id)
        where f.finding_id = %s and f.value is not null
          and (f.kind = 'leak_suspect' or f.kind in ('night_flow', 'burst') and f.usual is not null)
        """,
        (finding_id,),
    ).fetchone()
    return None if row is None else Suspect(*row)
