"""Cases of what may be a leak in the town's database: opened, and every step; nothing is changed or deleted.

    open_case(conn, town, new, now=, user_id=) -> id
    take(conn, town, case, step, now=, user_id=)        the next step of the case as the person saw it -> its number
    entered(conn, town, case_id, key) -> number | None  the step that came with this key of a form before
    cases(conn, town, case_id=None) -> [Case, ...]      newest first
    price(conn, town) -> Price | None                   what a lost m3 costs the town; None: nobody has said it
    set_price(conn, town, yen, now=, user_id=)

Raises `RecordError`: `empty`, `long`, `future`, `order` (before what came before it), `changed` (somebody else took a
step meanwhile), `step` (it cannot come now), `taken` (the finding has a case), `unknown` (no such pipe, cause, ...).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from analytics.leaks.cases.case import (
    CAUSES,
    ENDED,
    ENDINGS,
    FOUND,
    KINDS,
    NOTHING,
    PLANNED,
    REPAIRED,
    UNDONE,
    Case,
    Step,
)
from store.connection import Connection
from store.errors import RecordError
from store.headquarters import AHEAD, clean

MOST_NAME, MOST_TEXT = 80, 1000  # characters


@dataclass(frozen=True, slots=True)
class NewCase:
    """As `case.Case`; the pipes are of the version `network_id`."""

    name: str
    reason: str = ""
    finding_id: int | None = None
    network_id: int | None = None
    pipes: tuple[int, ...] = ()
    suspect: int | None = None
    started_at: datetime | None = None
    size_m3h: float | None = None
    station_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewStep:
    """As `case.Step`. Of `undone` the step is the newest one that stands."""

    kind: str
    at: datetime
    text: str = ""
    what: str | None = None
    pipe: str | None = None
    size_m3h: float | None = None
    km: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """Yen a m3, and who said so when."""

    yen_m3: float
    said_at: datetime
    said_by: str


def open_case(conn: Connection, municipality_id: int, new: NewCase, *, now: datetime, user_id: int) -> int:
    """Its number."""
    name, reason = clean("name", new.name, MOST_NAME), clean("reason", new.reason, MOST_TEXT)
    if not name:
        raise RecordError("name", "empty")
    if new.started_at is not None and new.started_at > now:
        raise RecordError("started", "future")
    row = conn.execute(
        """
        insert into leak_case (municipality_id, name, finding_id, pipe_network_id, pipes, suspect, started_at, size_m3h,
                               reason, opened_at, opened_by, station_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (finding_id) do nothing
        returning leak_case_id
        """,
        (
            municipality_id,
            name,
            new.finding_id,
            new.network_id,
            list(new.pipes),
            new.suspect,
            new.started_at,
            new.size_m3h,
            reason,
            now,
            user_id,
            new.station_id,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("finding", "taken")
    return int(row[0])


def entered(conn: Connection, municipality_id: int, case_id: int, key: UUID) -> int | None:
    """The number of the step that has this key: it was sent before."""
    row = conn.execute(
        "select number from leak_case_step where municipality_id = %s and leak_case_id = %s and client_key = %s",
        (municipality_id, case_id, key),
    ).fetchone()
    return None if row is None else int(row[0])


def take(
    conn: Connection,
    municipality_id: int,
    case: Case,
    step: NewStep,
    *,
    now: datetime,
    user_id: int,
    seen: int | None = None,
    key: UUID | None = None,
) -> int:
    """Takes the next step of the case; its number. `seen`: how many steps the person saw when they wrote it, None: all
    of them. `key`: made by the form; one that has come before (`entered`) is `changed`.
    """
    if seen is not None and not _knows(conn, municipality_id, case, step, seen, user_id):
        raise RecordError("kind", "changed")
    text = clean("text", step.text, MOST_TEXT)
    if step.kind not in KINDS:
        raise RecordError("kind", "unknown")
    if step.kind not in case.may:
        raise RecordError("kind", "step")
    if step.kind in (FOUND, ENDED) and step.what is None:
        raise RecordError("what", "empty")
    if step.what not in {FOUND: CAUSES, ENDED: ENDINGS}.get(step.kind, (None,)):
        raise RecordError("what", "unknown")
    if step.kind in ("note", UNDONE) and not text:
        raise RecordError("text", "empty")
    if step.kind != PLANNED and step.at > now + AHEAD:
        raise RecordError("time", "future")
    found = case.last(FOUND)
    if step.kind == REPAIRED and found is not None and step.at < found.at:
        raise RecordError("time", "order")
    row = conn.execute(
        """
        insert into leak_case_step (leak_case_id, number, municipality_id, kind, at, what, pipe, size_m3h, km, text,
                                    undoes, entered_at, entered_by, client_key)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing returning number
        """,
        (
            case.case_id,
            len(case.steps) + 1,
            municipality_id,
            step.kind,
            step.at,
            step.what,
            step.pipe if step.kind == FOUND else None,
            step.size_m3h if step.kind == FOUND else None,
            step.km if step.kind in (FOUND, NOTHING) else None,
            text,
            case.standing[-1].number if step.kind == UNDONE else None,
            now,
            user_id,
            key,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("kind", "changed")
    return int(row[0])


def _knows(conn: Connection, municipality_id: int, case: Case, step: NewStep, seen: int, user_id: int) -> bool:
    """Whether nobody else has entered anything since the first `seen` steps. Who enters two steps where there is no
    network knows of the first what no page told. To undo is of the newest step: that one has to be seen.
    """
    if seen == len(case.steps):
        return True
    if seen > len(case.steps) or step.kind == UNDONE:
        return False
    others = conn.execute(
        """
        select from leak_case_step
        where municipality_id = %s and leak_case_id = %s and number > %s and entered_by <> %s limit 1
        """,
        (municipality_id, case.case_id, seen, user_id),
    ).fetchone()
    return others is None


def cases(conn: Connection, municipality_id: int, case_id: int | None = None) -> list[Case]:
    """All of them, or that one, with their steps."""
    steps: dict[int, list[Step]] = {}
    for row in conn.execute(
        """
        select s.leak_case_id, s.number, s.kind, s.at, s.what, s.pipe, s.size_m3h, s.km, s.text, s.undoes, s.entered_at,
               u.display_name
        from leak_case_step s join app_user u on u.user_id = s.entered_by
        where s.municipality_id = %(town)s and (%(case)s::integer is null or s.leak_case_id = %(case)s)
        order by s.leak_case_id, s.number
        """,
        {"town": municipality_id, "case": case_id},
    ):
        steps.setdefault(row[0], []).append(Step(*row[1:]))
    rows = conn.execute(
        """
        select c.leak_case_id, c.name, c.finding_id, c.pipe_network_id, c.pipes, c.suspect, c.started_at, c.size_m3h,
               c.reason, c.opened_at, u.display_name,
               (select sum(p.length_m) / 1000 from network_pipe p
                where p.pipe_network_id = c.pipe_network_id and p.pipe = any(c.pipes)),
               c.station_id
        from leak_case c join app_user u on u.user_id = c.opened_by
        where c.municipality_id = %(town)s and (%(case)s::integer is null or c.leak_case_id = %(case)s)
        order by c.leak_case_id desc
        """,
        {"town": municipality_id, "case": case_id},
    ).fetchall()
    return [Case(*[*row[:4], tuple(row[4]), *row[5:-1], tuple(steps.get(row[0], ())), row[-1]]) for row in rows]


def price(conn: Connection, municipality_id: int) -> Price | None:
    """The newest."""
    row = conn.execute(
        """
        select p.yen_m3, p.said_at, u.display_name from leak_water_price p join app_user u on u.user_id = p.said_by
        where p.municipality_id = %s order by p.leak_water_price_id desc limit 1
        """,
        (municipality_id,),
    ).fetchone()
    return None if row is None else Price(*row)


def set_price(conn: Connection, municipality_id: int, yen_m3: float, *, now: datetime, user_id: int) -> None:
    """Says what a lost m3 costs from now on."""
    if not 0 < yen_m3 < 100_000:
        raise RecordError("yen", "number")
    conn.execute(
        "insert into leak_water_price (municipality_id, yen_m3, said_at, said_by) values (%s, %s, %s, %s)",
        (municipality_id, yen_m3, now, user_id),
    )
