"""The only door to what the rivers may do (the class internal_forecast: levels ahead, time to a level, soil water).

    with visit.transaction() as conn:
        door = opened(conn, visit)          None: this person is shown nothing of it
        if door is not None: ...            from here on the transaction sees the tables of migration 0049

It opens for somebody of the disaster desk, signed in, of a town that has switched it on. The database asks the same
again (`reads_internal_forecasts`), of the person named here: a query that has not come through this door, whoever wrote
it, sees no row. What is worked out without a table (the soil-water index) is asked for behind this door only. Nothing
of this may go into a message, an export of somebody else, or anything public; tests/test_internal_forecast.py walks
them all.
"""

from __future__ import annotations

from api.access import Visit
from api.roles import Role
from store.connection import Connection
from store.forecast_switch import Switch, switch_now

WHO = frozenset({Role.DISASTER})


def opened(conn: Connection, visit: Visit) -> Switch | None:
    """Opens the door for the rest of the visit's transaction; None where it stays shut."""
    if visit.user.role not in WHO:
        return None
    switch = switch_now(conn, visit.tenant.municipality_id)
    if switch is None or not switch.shown:
        return None
    conn.execute("select set_config('mimamori.forecast_reader', %s, true)", (str(visit.user.user_id),))
    return switch
