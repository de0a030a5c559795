"""What visitors of the demo have set off: read by the simulated devices from the database, every second or so.

with Pressed(dsn, code) as pressed:
    simulators.run(..., pressed.interventions)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import psycopg

from simulators.interventions import Happening, Intervention
from store import Connection, connect


class Pressed:
    """What visitors of the demo have set off, from the table demo_event.

    While the database is away the town goes on with what is known: a storm does not end because nobody can read of it.
    """

    def __init__(self, dsn: str, municipality: str) -> None:
        self._dsn = dsn
        self._municipality = municipality
        self._conn: Connection | None = None
        self._known: tuple[Intervention, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def interventions(self) -> Sequence[Intervention]:
        """All there ever were, oldest first."""
        try:
            if self._conn is None:
                self._conn = connect(self._dsn, name="simulate", autocommit=True)
            rows = self._conn.execute(
                """
                select kind, starts_at, ends_at, target from demo_event join municipality using (municipality_id)
                where code = %s order by demo_event_id
                """,
                (self._municipality,),
            ).fetchall()
        except psycopg.OperationalError:
            self._close()
        else:
            self._known = tuple(Intervention(Happening(kind), *rest) for kind, *rest in rows)
        return self._known

    def _close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
