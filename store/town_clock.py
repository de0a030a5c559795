"""The town clock's place in the database: one row, read by every process of the town."""

from __future__ import annotations

from devices.clock import Clock, ClockSetting, clock_from
from store.connection import Connection
from store.errors import ClockNotSet


def write_clock(conn: Connection, setting: ClockSetting) -> None:
    """Sets the town's clock. Only the owner of the database may; processes read it when they start."""
    conn.execute(
        """
        insert into town_clock (simulated, real_start, town_start, speed) values (%s, %s, %s, %s)
        on conflict (singleton) do update set (simulated, real_start, town_start, speed)
            = (excluded.simulated, excluded.real_start, excluded.town_start, excluded.speed)
        """,
        (setting.simulated, setting.real_start, setting.town_start, setting.speed),
    )


def read_clock(conn: Connection) -> ClockSetting | None:
    """The stored setting, None where none was ever written."""
    row = conn.execute("select simulated, real_start, town_start, speed from town_clock").fetchone()
    if row is None:
        return None
    simulated, real_start, town_start, speed = row
    return ClockSetting(simulated=simulated, real_start=real_start, town_start=town_start, speed=speed)


def load_clock(conn: Connection) -> Clock:
    """The running clock. Raises `ClockNotSet` where none was ever written."""
    setting = read_clock(conn)
    if setting is None:
        raise ClockNotSet("the database has no town clock yet: run `mimamori migrate` first")
    return clock_from(setting)
