"""What the check of movements without a set rate doubts on recorded rivers.

    python -m tests.quality.leap_measured DATA

DATA holds `river/` and `anomaly/` as in the development data. One line a recording: its values, those doubted, those of
them above the 98.5 % of their gauge (where a reading may raise an alert), and of spikes that were put in, of 1 m and of
2 m, each into every 500th value, the share that is doubted. Nobody has labelled these levels: what is doubted may be
wrong indeed. The setting was chosen by hand beside these figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from quality.estimator import Floats
from quality.gate import free_of
from quality.leap import Leap
from tests.quality.neighbours_measured import rivers

HIGH = 98.5
SPIKES = (1.0, 2.0)
EVERY = 500


def main(data: Path) -> None:
    free = free_of("water_level", None)
    assert free is not None
    print("recording | step s | values | doubted | of them high | spikes of 1 m, 2 m doubted")
    for river in rivers(data, ("han", "gloria", "chino", "logan")):
        check = Leap(float(np.median(np.diff(river.times))), free)
        values = doubted = high = put = 0
        found = np.zeros(len(SPIKES))
        for column in river.values.T:
            flags = check.flags(river.times, column)
            known = np.flatnonzero(~np.isnan(column))
            values += known.size
            doubted += int(flags.sum())
            high += int((flags & (column > np.nanpercentile(column, HIGH))).sum())
            spiked = known[EVERY // 2 :: EVERY]
            put += spiked.size
            found += [_found(check, river.times, column, spiked, height) for height in SPIKES]
        shares = ", ".join(f"{share:.2f}" for share in found / put)
        print(f"{river.name} | {check.step:.0f} | {values} | {doubted} | {high} | {shares}")


def _found(check: Leap, times: Floats, column: Floats, at: np.ndarray[tuple[int], np.dtype[np.intp]], m: float) -> int:
    broken = column.copy()
    broken[at] += m
    return int(check.flags(times, broken)[at].sum())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
