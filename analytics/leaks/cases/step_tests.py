"""What a night's step test showed, as somebody kept it with a leak case, and what it says of the search area.

    keep(conn, town, case, new, now=, user_id=) -> id        RecordError: empty, long, number, step, twice
    step_tests(conn, town, case_id) -> [StepTest, ...]       the newest first, those taken back too
    placed(network, pipes, kept) -> [Placed, ...]            which pipes each step took out, and which of them leak
    suspected(network, placed) -> [line, ...]                where that is, for a picture
    kept.take_back                                           a wrong one

What is kept is what was done and read: which valves, in which order, and the inflow. Which pipes hung on the inlet is
worked out from the network whenever it is looked at, so that a step that was left out, or a ring that stayed closed,
means what it meant that night. One that says nothing of where (`Placed.silent`) is shown and not combined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Literal

import numpy as np
from psycopg.types.json import Jsonb

from analytics.leaks.cases.case import ENDED, REPAIRED, Case
from analytics.leaks.cases.kept import AGAINST, MOST_TEXT
from analytics.leaks.cases.step_test import Key, fed
from analytics.leaks.cases.walk import of_block
from analytics.leaks.location.evidence import RIGHT, Evidence
from analytics.leaks.location.falls import Reading, Silent, chances, read
from analytics.leaks.network.pipes import Floats, Network
from analytics.leaks.sound.between import Part, Way, piece
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

MOST_STEPS = 40
MOST_INFLOW = 10_000.0  # m3/h
_NOTHING = 0.001  # km


@dataclass(frozen=True, slots=True)
class Closed:
    """A valve that was closed, and the `inflow` in m3/h that was read after it."""

    valve: str
    pipe: str
    inflow: float


@dataclass(frozen=True, slots=True)
class NewStepTest:
    """In the version `network_id`: `block` its pipes, `inlet` the name of the node at which the station feeds it.
    `first`: closed before the first reading, to open rings; `before` m3/h read then. `others`: whether the block's
    other ways in were known to be shut, None: it has none.
    """

    network_id: int
    station_id: int
    block: str
    inlet: str
    first: tuple[Key, ...]
    before: float
    steps: tuple[Closed, ...]
    others: bool | None
    day: date
    text: str = ""


@dataclass(frozen=True, slots=True)
class StepTest(NewStepTest):
    """`withdrawn_at`: somebody took it back, with `withdrawn_text`; None: it stands."""

    number: int = 0
    entered_at: datetime | None = None
    entered_by: str = ""
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""
    withdrawn_text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """`halves` (n + 1, 2, p) m of each pipe, at its start and its end, in what each step took out, the last what stayed
    fed; None where its block, inlet or valves are not in this network. `silent`: why it says nothing of where, also
    open: another way in may have been. `chances` (p,): None where it says nothing of pipes. `share` of them on the
    case's pipes, None where the case has none.
    """

    kept: StepTest
    halves: Floats | None = None
    reading: Reading | None = None
    silent: Silent | Literal["open"] | None = None
    chances: Floats | None = None
    share: float | None = None

    @property
    def against(self) -> bool:
        """That so little of it is on the case's pipes that both can hardly be true."""
        return self.share is not None and self.share < AGAINST

    @property
    def km(self) -> tuple[float, ...]:
        """Of each section."""
        return () if self.halves is None else tuple((self.halves.sum(axis=(1, 2)) / 1000).tolist())

    @property
    def idle(self) -> tuple[str, ...]:
        """The valves that shut nothing off."""
        return tuple(each.valve for each, km in zip(self.kept.steps, self.km, strict=False) if km < _NOTHING)

    @property
    def falls(self) -> tuple[float, ...]:
        """m3/h by which the inflow fell at each step; a rise is negative."""
        read_ = [self.kept.before, *(each.inflow for each in self.kept.steps)]
        return tuple(a - b for a, b in pairwise(read_))

    @property
    def evidence(self) -> Evidence | None:
        """To be combined with the others; None where it says nothing of pipes."""
        if self.chances is None or self.reading is None:
            return None
        return Evidence(self.chances, RIGHT * (1 - self.reading.none))


def keep(conn: Connection, municipality_id: int, case: Case, new: NewStepTest, *, now: datetime, user_id: int) -> int:
    """Valves and inlet have been looked up in the network. The same a second time is refused: it would count twice."""
    if case.state in (ENDED, REPAIRED):
        raise RecordError("case", "step")
    if not new.steps:
        raise RecordError("steps", "empty")
    read_ = np.array([new.before, *(each.inflow for each in new.steps)])
    if len(read_) > MOST_STEPS + 1 or not ((read_ >= 0) & (read_ <= MOST_INFLOW)).all():
        raise RecordError("steps", "number")
    row = conn.execute(
        """
        insert into leak_step_test (municipality_id, leak_case_id, pipe_network_id, station_id, block, inlet,
                                    first_closed, before_m3h, steps, others_shut, day, text, entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict do nothing
        returning leak_step_test_id
        """,
        (
            municipality_id,
            case.case_id,
            new.network_id,
            new.station_id,
            new.block,
            new.inlet,
            Jsonb([list(each) for each in new.first]),
            new.before,
            Jsonb([[each.valve, each.pipe, each.inflow] for each in new.steps]),
            new.others,
            new.day,
            clean("text", new.text, MOST_TEXT),
            now,
            user_id,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("steps", "twice")
    return int(row[0])


def step_tests(conn: Connection, municipality_id: int, case_id: int) -> list[StepTest]:
    """Of a case."""
    rows = conn.execute(
        """
        select t.pipe_network_id, t.station_id, t.block, t.inlet, t.first_closed, t.before_m3h, t.steps, t.others_shut,
               t.day, t.text, t.leak_step_test_id, t.entered_at, e.display_name, t.withdrawn_at,
               coalesce(w.display_name, ''), coalesce(t.withdrawn_text, '')
        from leak_step_test t join app_user e on e.user_id = t.entered_by
        left join app_user w on w.user_id = t.withdrawn_by
        where t.municipality_id = %s and t.leak_case_id = %s
        order by t.day desc, t.leak_step_test_id desc
        """,
        (municipality_id, case_id),
    )
    return [
        StepTest(*[*row[:4], tuple(map(tuple, row[4])), row[5], tuple(Closed(*each) for each in row[6]), *row[7:]])
        for row in rows
    ]


def placed(network: Network, pipes: Sequence[int], several: Sequence[StepTest]) -> list[Placed]:
    """`pipes`: of the case, in this network. Those that were taken back say nothing of pipes."""
    return [Placed(each) if each.withdrawn_at is not None else _placed(network, list(pipes), each) for each in several]


def _placed(network: Network, own: list[int], each: StepTest) -> Placed:
    if each.inlet not in network.nodes.names:
        return Placed(each)
    closed = [(*each.first, *((step.valve, step.pipe) for step in each.steps[:n])) for n in range(len(each.steps) + 1)]
    inlet = network.nodes.names.index(each.inlet)
    on = fed(network, of_block(network, each.block), inlet, closed)
    if on is None or not on[0].sum() > 0:
        return Placed(each)
    halves = np.concatenate([on[:-1] - on[1:], on[-1:]])
    reading = read([each.before, *(step.inflow for step in each.steps)], on.sum(axis=(1, 2)) / 1000)
    silent = "open" if each.others is False else reading.silent
    if silent is not None:
        return Placed(each, halves, reading, silent)
    likely = chances(halves.sum(axis=1), reading)
    return Placed(each, halves, reading, None, likely, float(likely[own].sum()) if own else None)


def suspected(network: Network, test: Placed) -> list[Floats]:
    """(k, 2) m each: the pipes of the sections that hold the leak, halves where a closed valve divides them; none where
    the test says nothing of pipes.
    """
    if test.halves is None or test.reading is None or test.chances is None:
        return []
    at_start, at_end = test.halves[list(test.reading.area)].sum(axis=0) > 0
    found = []
    for pipe in np.flatnonzero(at_start | at_end).tolist():
        length = float(network.pipes.length[pipe])
        begin, end = (0.0 if at_start[pipe] else length / 2), (length if at_end[pipe] else length / 2)
        found += piece(network, Way((Part(pipe, begin, end),), end - begin))
    return found
