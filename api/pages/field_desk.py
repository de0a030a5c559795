"""What the disaster page says of the field: reports nobody has looked at, and how the shelters are."""

from __future__ import annotations

from dataclasses import dataclass

from store.connection import Connection
from store.field_reports import FieldReport, new_reports, reports
from store.shelters import STATES, shelters

SHOWN = 3


@dataclass(frozen=True, slots=True)
class FieldDesk:
    """`new`, `drill_new`: how many reports wait; `newest` of them, newest first. `shelters`: how many of the list are
    in each state, "unknown" the last; empty where none is listed.
    """

    new: int
    drill_new: int
    newest: tuple[FieldReport, ...]
    shelters: tuple[tuple[str, int], ...]


def field_desk(conn: Connection, municipality_id: int) -> FieldDesk:
    """The present of the field, in at most four queries."""
    new = new_reports(conn, municipality_id, drill=False)
    listed = [
        "unknown" if each.word is None or each.word.state is None else each.word.state
        for each in shelters(conn, municipality_id, drill=False)
    ]
    return FieldDesk(
        new,
        new_reports(conn, municipality_id, drill=True),
        tuple(reports(conn, municipality_id, drill=False, state="new", limit=SHOWN)) if new else (),
        tuple((state, listed.count(state)) for state in (*STATES, "unknown") if state in listed),
    )
