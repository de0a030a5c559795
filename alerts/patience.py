"""For how long each station lets people wait (`alerts.rules.withholding`, `alerts.rules.telling`). SQL for the owner.

patience(conn, municipality_id)              of every station that has reference levels
set_patience(conn, municipality_id, code)    changes what is given; False: there is no such station
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from store import Connection


class Patience(NamedTuple):
    """`confirm_within`: people wait so long for a second reading; `confirming_rain`, mm in an hour: then for none.
    `tell_within`: of what is older when it becomes known nobody is told.
    """

    station: str
    confirm_within: timedelta
    confirming_rain: float
    tell_within: timedelta


def patience(conn: Connection, municipality_id: int, station: str | None = None) -> list[Patience]:
    """Of every station that has reference levels, or of this one; by code."""
    return [
        Patience(*row)
        for row in conn.execute(
            """
            select s.code, s.confirm_within, s.confirming_rain, s.tell_within from station s
            where s.municipality_id = %s and (s.code = %s or %s::text is null
                and exists (select from threshold_set t where t.station_id = s.station_id))
            order by s.code
            """,
            (municipality_id, station, station),
        )
    ]


def set_patience(
    conn: Connection,
    municipality_id: int,
    station: str,
    *,
    confirm_within: timedelta | None = None,
    confirming_rain: float | None = None,
    tell_within: timedelta | None = None,
) -> bool:
    """Changes what is not None; the caller commits."""
    cursor = conn.execute(
        """
        update station set confirm_within = coalesce(%s, confirm_within),
            confirming_rain = coalesce(%s, confirming_rain), tell_within = coalesce(%s, tell_within)
        where municipality_id = %s and code = %s
        """,
        (confirm_within, confirming_rain, tell_within, municipality_id, station),
    )
    return cursor.rowcount == 1
