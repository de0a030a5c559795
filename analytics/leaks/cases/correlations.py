"""Results of the correlator that somebody kept with a leak case, and what they say of its search area.

    keep(conn, town, case, new, now=, user_id=) -> id                RecordError: empty, long, unknown, number, step
    correlations(conn, town, case_id) -> [Correlation, ...]          the newest first, those taken back too
    placed(network, pipes, kept) -> [Placed, ...]                    where on the network they are
    kept.take_back                                                   a wrong one; that it was there stays

What is kept is the answer, not the recordings. The area that a case was opened with never changes: what correlations
make of it (`location.evidence.together`) is worked out anew from what stands. One beyond A or B says that the noise is
not between them, and one whose places are not joined in the network says nothing of pipes: neither is combined, and
both are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from psycopg.types.json import Jsonb

from analytics.leaks.cases.case import ENDED, REPAIRED, Case
from analytics.leaks.cases.kept import AGAINST, MOST_TEXT
from analytics.leaks.location.evidence import Evidence
from analytics.leaks.network.pipes import Floats, Network
from analytics.leaks.sound.between import Heard, Spot, Way, chances, spot, way
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

MOST_PLACE, MOST_STRETCHES = 100, 10
_ROUGHLY, _SHORT = 0.2, 10.0  # of the length, m: map and street may differ by the larger of both

Stretch = tuple[float, str | None, float | None]  # m, material, mm


@dataclass(frozen=True, slots=True)
class NewCorrelation:
    """m are from A of the way as measured, `low` to `high` hold 0.8; `network_id`: the version with the places."""

    place_a: str
    place_b: str
    stretches: tuple[Stretch, ...]
    length: float
    metres: float
    low: float
    high: float
    beyond: str | None
    strength: float
    delay_ms: float
    seconds: float
    day: date
    network_id: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Correlation(NewCorrelation):
    """`withdrawn_at`: somebody took it back, with `withdrawn_text`; None: it stands."""

    number: int = 0
    entered_at: datetime | None = None
    entered_by: str = ""
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""
    withdrawn_text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """`along`: its way; None where its places are not in this network or nothing joins them. `map_metres` of it, where
    they differ from what was measured. `chances` (p,): None where it says nothing of pipes. `share` of them on the
    case's pipes, None where the case has none; `against`: that it is so little that both can hardly be true.
    """

    kept: Correlation
    along: Way | None = None
    map_metres: float | None = None
    chances: Floats | None = None
    share: float | None = None

    @property
    def against(self) -> bool:
        return self.share is not None and self.share < AGAINST

    @property
    def evidence(self) -> Evidence | None:
        """To be combined with the others; None where it says nothing of pipes."""
        return None if self.chances is None else Evidence(self.chances)


def keep(
    conn: Connection, municipality_id: int, case: Case, new: NewCorrelation, *, now: datetime, user_id: int
) -> int:
    """`new.network_id` has been looked up, and the places in it (`spots_of`)."""
    if case.state in (ENDED, REPAIRED):
        raise RecordError("case", "step")
    numbers = (new.length, new.metres, new.low, new.high, new.strength, new.delay_ms, new.seconds)
    if not all(np.isfinite(each) for each in numbers) or not 0 <= new.low <= new.metres <= new.high <= new.length:
        raise RecordError("metres", "number")
    if not 0 < len(new.stretches) <= MOST_STRETCHES or abs(sum(each[0] for each in new.stretches) - new.length) > 0.1:
        raise RecordError("length", "number")
    if new.beyond not in (None, "a", "b") or not new.length > 0:
        raise RecordError("metres", "number")
    row = conn.execute(
        """
        insert into leak_correlation (municipality_id, leak_case_id, pipe_network_id, place_a, place_b, stretches,
                                      length_m, metres, low_m, high_m, beyond, strength, delay_ms, seconds, day, text,
                                      entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        returning leak_correlation_id
        """,
        (
            municipality_id,
            case.case_id,
            new.network_id,
            place_of("a", new.place_a),
            place_of("b", new.place_b),
            Jsonb([list(each) for each in new.stretches]),
            new.length,
            new.metres,
            new.low,
            new.high,
            new.beyond,
            new.strength,
            new.delay_ms,
            new.seconds,
            new.day,
            clean("text", new.text, MOST_TEXT),
            now,
            user_id,
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def place_of(which: str, text: str) -> str:
    """The name of the place A or B as somebody typed it. Raises `RecordError`."""
    name = clean(which, text, MOST_PLACE)
    if not name:
        raise RecordError(which, "empty")
    return name


def spots_of(network: Network, place_a: str, place_b: str) -> tuple[Spot, Spot]:
    """Where they are. Raises `RecordError`: `unknown`, or `order` where both are the same."""
    a, b = spot(network, place_a), spot(network, place_b)
    for which, found in (("a", a), ("b", b)):
        if found is None:
            raise RecordError(which, "unknown")
    assert a is not None and b is not None
    if place_a == place_b:
        raise RecordError("b", "same")
    return a, b


def correlations(conn: Connection, municipality_id: int, case_id: int) -> list[Correlation]:
    """Of a case."""
    rows = conn.execute(
        """
        select c.place_a, c.place_b, c.stretches, c.length_m, c.metres, c.low_m, c.high_m, c.beyond, c.strength,
               c.delay_ms, c.seconds, c.day, c.pipe_network_id, c.text, c.leak_correlation_id, c.entered_at,
               e.display_name, c.withdrawn_at, coalesce(w.display_name, ''), coalesce(c.withdrawn_text, '')
        from leak_correlation c join app_user e on e.user_id = c.entered_by
        left join app_user w on w.user_id = c.withdrawn_by
        where c.municipality_id = %s and c.leak_case_id = %s
        order by c.day desc, c.leak_correlation_id desc
        """,
        (municipality_id, case_id),
    )
    return [Correlation(*[*row[:2], tuple((each[0], each[1], each[2]) for each in row[2]), *row[3:]]) for row in rows]


def placed(network: Network, pipes: Sequence[int], kept: Sequence[Correlation]) -> list[Placed]:
    """`pipes`: of the case, in this network. Those that were taken back say nothing of pipes."""
    found = []
    own = list(pipes)
    for each in kept:
        a, b = spot(network, each.place_a), spot(network, each.place_b)
        along = None if a is None or b is None or each.withdrawn_at is not None else way(network, a, b)
        if along is None:
            found.append(Placed(each))
            continue
        off = abs(along.metres - each.length)
        differs = along.metres if off > max(_ROUGHLY * each.length, _SHORT) else None
        if each.beyond is not None:
            found.append(Placed(each, along, differs))
            continue
        likely = chances(network, along, Heard(each.length, each.metres, each.low, each.high))
        found.append(Placed(each, along, differs, likely, float(likely[own].sum()) if own else None))
    return found
