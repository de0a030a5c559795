"""Sums in which what is long past counts less: s(t) = kept s(t - 1) + x(t)."""

from __future__ import annotations

from analytics.rivers.forecast.record import Floats


def fading(values: Floats, kept: float) -> Floats:
    """`values` (n, ...) without nan, summed along the first axis: a share `kept` of a sum is left a row later.

    >>> import numpy as np
    >>> fading(np.array([1.0, 0.0, 2.0]), 0.5).tolist()
    [1.0, 0.5, 2.25]
    """
    from scipy.signal import lfilter  # takes most of a second to load, and only who forecasts needs it

    summed: Floats = lfilter([1.0], [1.0, -kept], values, axis=0)
    return summed
