"""土壌雨量指数: how much of the rain that fell is still in the ground, by three tanks in a row.

    soil_water(amounts, step)                -> (n, ...) mm      the index at the end of each step
    soil_water_now(conn, station_id, at)     -> SoilWater | None of one rain gauge of the town

A pure function of the rain that a gauge measured. WHO MAY SEE IT is not decided here: it is of the data class
internal_forecast, and nobody but the pages behind that gate may show it (docs/rivers.md).

Water falls into the first tank; each has an outlet below into the next and one or two at its side, open above a height:

    tank     side outlets (height mm: share an hour)      below
    1        15: 0.10, 60: 0.15                           0.12
    2        15: 0.05                                     0.05
    3        15: 0.01                                     0.01

    S1' = (1 - b1 dt) S1 - q1 dt + R,  S2' = (1 - b2 dt) S2 - q2 dt + b1 S1 dt,  S3' = (1 - b3 dt) S3 - q3 dt + b2 S2 dt
    index = S1 + S2 + S3

One set of parameters for all of Japan, made on granite slopes of 六甲: it is not the ground of this town but a figure
that can be compared with its own past. It is that of one gauge, not the weather agency's, which is of 1 km squares of
analysed rain and goes on without end; ours begins with empty tanks `SPIN_UP` before, of which after 30 days nothing
that matters is left. More water never makes it less, so with a part of the rain missing it is at least what it says.

Cost: a loop over steps; 30 days of 10 minutes take 0.1 s, for one gauge or a hundred at once.

Source: Ishihara, Y. and Kobatake, S. (1979), Runoff model for flood forecasting, Bull. DPRI Kyoto Univ. 29(1), 27-43;
equations and parameters as the Japan Meteorological Agency uses them (気象庁「土壌雨量指数」).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from analytics.rivers.amounts import CELL, cells, read
from store.columns import Floats
from store.connection import Connection

SPIN_UP = timedelta(days=30)
_SIDE = (((15.0, 0.10), (60.0, 0.15)), ((15.0, 0.05),), ((15.0, 0.01),))
_BELOW = (0.12, 0.05, 0.01)


@dataclass(frozen=True, slots=True)
class SoilWater:
    """`index` mm at `time`, the gauge's newest observation. `missing`: how much of the last `SPIN_UP` was not measured;
    where any was, the index is at least what it says.
    """

    time: datetime
    index: float
    missing: timedelta

    @property
    def complete(self) -> bool:
        return not self.missing


def soil_water(amounts: Floats, step: timedelta = CELL) -> Floats:
    """The index in mm at the end of each `step` (at most an hour), from empty tanks on.

    `amounts` (n,) or (n, gauges): mm in each step, none of it nan: what was not measured is for the caller to say.
    Raises ValueError for nan, and for a step longer than an hour.

    >>> soil_water(np.array([100.0, 0.0]), timedelta(minutes=10)).round(2).tolist()
    [100.0, 97.58]
    """
    if np.isnan(amounts).any():
        raise ValueError("what was not measured is no amount: put 0 there and say that the index is at least so much")
    hours = step / timedelta(hours=1)
    if not 0.0 < hours <= 1.0:
        raise ValueError(f"a step of {step} is no step of the tanks: at most an hour")
    tanks = [np.zeros(amounts.shape[1:]) for _ in _BELOW]
    found = np.empty(amounts.shape)
    for n, fallen in enumerate(amounts):
        arriving = fallen
        for number, (outlets, below) in enumerate(zip(_SIDE, _BELOW, strict=True)):
            held = tanks[number]
            aside = sum((share * np.maximum(held - height, 0.0) for height, share in outlets), np.zeros_like(held))
            down = below * held
            tanks[number] = held - (aside + down) * hours + arriving
            arriving = down * hours
        found[n] = tanks[0] + tanks[1] + tanks[2]
    return found


def soil_water_now(conn: Connection, station_id: int, at: datetime) -> SoilWater | None:
    """The index of a rain gauge at its newest observation until `at`; None where there was none in an hour before
    `at`, or the station measures no rain. In a transaction of the tenant.
    """
    row = conn.execute(
        """
        select datastream_id, step from datastream
        where station_id = %s and observed_property = 'precipitation' and drill_run is null
        """,
        (station_id,),
    ).fetchone()
    if row is None:
        return None
    datastream_id, step = row
    amounts = read(conn, [datastream_id], at - SPIN_UP - step, at).get(datastream_id)
    if amounts is None or amounts.times[-1] < (at - max(step, timedelta(hours=1))).timestamp():
        return None
    end = float(amounts.times[-1])
    fallen = cells(amounts, step, end, SPIN_UP // CELL)
    return SoilWater(
        datetime.fromtimestamp(end, UTC), float(soil_water(fallen.amounts)[-1]), int(fallen.missing.sum()) * CELL
    )
