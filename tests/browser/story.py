"""One morning in the demo town, with everything on it that a page must be able to say: a river that rises, one that
sends nothing, a counter that counted nobody, one that could not measure, one that was never heard.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from analytics.findings import Finding, announce, open_or_update
from devices.model import Quality, Reason
from store import connect
from tests.browser.conftest import TOWN_NOW, Town

_MIDNIGHT = -(9 * 60 + 32)  # minutes from TOWN_NOW back to 0:00 in the town
_LAST_WEEK = -8 * 24 * 60  # everything has been there for longer than the pages look back


def tell(town: Town) -> None:
    """Stores the whole morning. Slow things (rollups, nights) are put in as analytics would have left them."""
    _rain(town)
    _rivers(town)
    _water(town)
    _visitors(town)


def _rain(town: Town) -> None:
    """A morning's rain in the hills, an hour of it told only afterwards by the counter; the town's gauge lost some."""
    slots = range(-30 * 60 - 2, 0, 10)
    amounts = {m: 0.5 * round(8 * math.exp(-(((m + 230) / 90) ** 2))) for m in slots}
    untold = range(-300, -240)
    town.observe("rain-okusawa/precipitation", *((m, v) for m, v in amounts.items() if m not in untold))
    guessed = [(m, v) for m, v in amounts.items() if m in untold]
    town.observe("rain-okusawa/precipitation", *guessed, quality=Quality.ESTIMATED, reason=Reason.GAP)
    town.observe("rain-yakuba/precipitation", *((m, v / 2) for m, v in amounts.items() if m not in range(-50, -20)))


def _rivers(town: Town) -> None:
    ten = range(-12 * 60 - 2, 0, 10)
    town.observe(
        "river-mimamoribashi/water_level",
        *((m, 0.85 + 2.62 / (1 + math.exp(-(m + 170) / 55))) for m in ten if not -400 < m < -340),
    )
    town.observe("river-takehara/water_level", *((m, 0.62 + 0.02 * math.sin(m / 40)) for m in ten if m < -2))
    town.observe("river-takehara/water_level", (-2, 0.66), quality=Quality.DOUBTFUL, reason=Reason.CLOCK)
    town.observe("river-okusawa/water_level", *((m, 0.48 + 0.0006 * (m + 720)) for m in ten if m < -95))


def _water(town: Town) -> None:
    def flow(m: float) -> float:
        hour = ((m - _MIDNIGHT) / 60) % 24
        return 14 + 9 * math.exp(-(((hour - 7.5) / 1.6) ** 2)) + 7 * math.exp(-(((hour - 19) / 2) ** 2)) + 0.3 * (m % 3)

    five = [m for m in range(-12 * 60 + 3, 0, 5) if not -330 <= m < -262]
    town.observe("block-hamamachi/flow", (_LAST_WEEK, 14.0), *((m, flow(m)) for m in five))
    town.observe("block-hamamachi/pressure", *((m, 412 - 3.2 * (flow(m) - 14)) for m in five))
    # the tank has been falling at 0.12 m/h for two hours, after it was full
    town.observe("tank-takadai/tank_level", *((m, 3.94 - 0.002 * max(0, m + 120)) for m in range(-12 * 60, 0, 10)))
    flow_id = town.hall.database.datastream("block-hamamachi", "flow")
    _find(
        town,
        Finding(
            town.hall.database.municipality_id,
            town.hall.database.directory.datastreams[flow_id].station_id,
            flow_id,
            "night_flow",
            TOWN_NOW - timedelta(hours=32, minutes=32),
            9.8,
            7.2,
            2.6,
            "night_flow:1",
            {"limit": 8.2, "usual_nights": 14, "nights": 2, "month_m3": 1872},
        ),
    )
    nights = ((0, 9.8, 0.97), (1, 9.1, 1.0), (2, 9.2, 0.99), (4, 9.0, 1.0), (5, None, 0.41))
    for back, minimum, completeness in nights:
        day = (TOWN_NOW - timedelta(days=back)).date()
        since = datetime(day.year, day.month, day.day, 2, 40, tzinfo=UTC) - timedelta(hours=9)
        town.execute(
            """
            insert into night_flow (municipality_id, datastream_id, day, minimum, minimum_from, completeness)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (
                town.hall.database.municipality_id,
                town.hall.database.datastream("block-hamamachi", "flow"),
                day,
                minimum,
                None if minimum is None else since,
                completeness,
            ),
        )


def _find(town: Town, finding: Finding) -> None:
    with connect(town.hall.database.worker, name="test") as conn:
        announce(conn, open_or_update(conn, finding))


def _visitors(town: Town) -> None:
    slots = range(_MIDNIGHT + 10, 0, 10)

    def count(m: int, most: float) -> float:
        hour = (m - _MIDNIGHT) / 60
        return float(round(most * math.exp(-(((hour - 9.5) / 2.2) ** 2)))) if hour > 5 else 0.0

    for spot, most, until in (("michinoeki", 46, 0), ("todai", 0, 0), ("taki", 12, -118), ("onsen", 9, 0)):
        slots_of = [m for m in slots if m < until]
        measured = [(m, None if spot == "onsen" and m > -70 else count(m, most)) for m in slots_of]
        town.observe(f"spot-{spot}/passages_in", (_LAST_WEEK, 3.0), *measured)
        town.observe(f"spot-{spot}/passages_out", *((m, v if v is None else round(v * 0.8)) for m, v in measured))
        for back in range(1, 7):
            if spot == "taki" and back == 3:
                continue
            for direction, share in (("in", 1.0), ("out", 0.97)):
                town.execute(
                    """
                    insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, worst_quality)
                    values (%s, %s, %s, %s, 144, %s, 'good')
                    """,
                    (
                        town.hall.database.municipality_id,
                        town.hall.database.datastream(f"spot-{spot}", f"passages_{direction}"),
                        (TOWN_NOW - timedelta(days=back)).date(),
                        117 if spot == "onsen" and back == 2 else 144,
                        round(most * 26 * (1.6 if back in (1, 2) else 1.0) * share),
                    ),
                )
