"""How much later the same noise is heard at B than at A.

    delay(a, b, rate, longest) -> Delay

Generalised cross-correlation with phase transform (GCC-PHAT): only the phases of the cross spectrum count, so that a
pipe that lets some frequencies through better does not move the peak. A frequency counts by what its noise is worth at
both places, coherence over incoherence (the weights of Hannan and Thomson), smoothed so that single lines, the hum of a
pump or of the mains, count for nothing.

Whether there is a noise in common at all is judged by the peak against the correlation at lags that no noise between
the two places can have. The interval comes from drawing the recording's pieces anew: where two peaks contend, it is as
wide as both.

When it works badly: a pipe with other loud sources (a draw, a pump, a pressure reducing valve), which are found as if
they were leaks; recorders of different kinds or with opposite poles; recorders that were not synchronous. Reflections
at ends and branches make further peaks. Cost: 30 s at 44 kHz take a quarter of a second, two minutes with
delays of up to 2 s ten times as much.

Sources: C. H. Knapp, G. C. Carter, The generalized correlation method for estimation of time delay, IEEE Trans. ASSP
24(4), 1976; E. J. Hannan, P. J. Thomson, Estimating group delay, Biometrika 60(2), 1973.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.leaks.network.pipes import Floats, Ints
from analytics.leaks.sound.recordings import RecordingError

Complexes = npt.NDArray[np.complex128]

_FASTEST = 8000  # samples a second that are enough: a leak in the ground is heard below 3 kHz
_PIECE = 4  # times the longest delay
_SHORTEST = 0.25  # s, a piece
_PIECES = 8  # whole ones at least
_DRAWS = 200
_LOWEST = 15.0  # Hz: below it is the street
_SMOOTH = 9  # frequencies; a line is three wide
_CLEAR = 8.0  # times what the correlation scatters elsewhere: of 320 pairs with nothing in common the highest had 6.5
_SHOWN = 240  # points of the curve
_SEED = 20190101


@dataclass(frozen=True, slots=True, eq=False)
class Delay:
    """`seconds` later at B than at A (negative: earlier). `clear`: whether the two places hear a noise in common; where
    they do not, the other figures mean nothing. `strength`: the peak, in standard deviations of what is no peak.
    `band` Hz in which nine tenths of what was heard in common lie. `draws` (k,) s: how else it could have come out.
    `lags` (m,) s and `curve` (m,): the correlation, 1 at its peak.
    """

    seconds: float
    clear: bool
    strength: float
    band: tuple[float, float]
    draws: Floats
    lags: Floats
    curve: Floats


def needed(longest: float) -> float:
    """Seconds of recording for delays of up to `longest` seconds.

    >>> needed(0.1)
    3.2
    """
    return round(_PIECES * max(_PIECE * longest, _SHORTEST), 1)


def delay(a: Floats, b: Floats, rate: int, longest: float) -> Delay:
    """Of `a` and `b` (n,), `rate` samples a second; |delay| is at most `longest` seconds. RecordingError 'short' where
    that cannot be told from so little.

    >>> noise = np.random.default_rng(1).standard_normal(40_000)
    >>> found = delay(noise[40:36_040], noise[:36_000], 4000, 0.05)
    >>> found.clear, round(found.seconds, 4)
    (True, 0.01)
    """
    if len(a) < needed(longest) * rate:
        raise RecordingError("", "short", f"{len(a) / rate:.1f}", f"{needed(longest):.1f}")
    a, b, rate = _slower(a, b, rate)
    size = _easy(int(max(_PIECE * longest, _SHORTEST) * rate))
    cross, power = _spectra(a, b, size)
    frequency: Floats = np.fft.rfftfreq(size, 1 / rate).astype(np.float64)
    weight = _weights(cross, power, frequency)
    reach = min(int(np.ceil(longest * rate)), size // 2 - 1)
    lags = np.arange(-reach, reach + 1)

    def correlation(mean: Complexes) -> Floats:
        found: Floats = np.fft.irfft(weight * np.exp(1j * np.angle(mean)), size) / _scatter(size)
        return found

    whole = correlation(cross.mean(axis=0))
    inside, outside = whole[lags], whole[reach + 1 : size - reach]
    at = int(np.argmax(inside))
    noise = float(np.std(outside)) or 1e-12
    peak = float(inside[at])
    # Neighbouring pieces share half of what they hear: they are drawn together.
    pairs = cross[: len(cross) // 2 * 2].reshape(len(cross) // 2, 2, -1).sum(axis=1)
    rng = np.random.default_rng(_SEED)
    draws = np.empty(_DRAWS)
    for n in range(_DRAWS):
        counts = rng.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)))
        other = correlation(counts @ pairs)[lags]
        draws[n] = _peak(other, int(np.argmax(other)), lags) / rate
    draws += rng.uniform(-0.5, 0.5, _DRAWS) / rate  # nothing is known better than a sample
    total = np.cumsum(weight)
    low, high = np.searchsorted(total, [0.05 * total[-1], 0.95 * total[-1]])
    step = max(1, len(lags) // _SHOWN)
    # Of each stretch of lags the highest, so that a peak of one sample is seen.
    shown = np.maximum.reduceat(inside, np.arange(0, len(inside), step)) / max(peak, 1e-12)
    return Delay(
        _peak(inside, at, lags) / rate,
        peak > _CLEAR * noise,
        peak / noise,
        (float(frequency[low]), float(frequency[min(high, len(frequency) - 1)])),
        draws,
        lags[::step] / rate,
        shown,
    )


def _easy(size: int) -> int:
    """The next size that a Fourier transform is fast in."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(size, real=True))


def _slower(a: Floats, b: Floats, rate: int) -> tuple[Floats, Floats, int]:
    """With fewer samples where there are more than enough."""
    from scipy.signal import resample_poly  # loaded by who asks: most of the product does without

    factor = rate // _FASTEST
    if factor < 2 or rate % factor:
        return a, b, rate
    return resample_poly(a, 1, factor), resample_poly(b, 1, factor), rate // factor


def _spectra(a: Floats, b: Floats, size: int) -> tuple[Complexes, tuple[Floats, Floats]]:
    """The cross spectrum of each piece (k, f), complex, and the mean power of both (f,)."""
    window = np.hanning(size)
    first, second = (
        np.fft.rfft((each - each.mean(axis=1, keepdims=True)) * window, axis=1)
        for each in (np.lib.stride_tricks.sliding_window_view(one, size)[:: size // 2] for one in (a, b))
    )
    return np.conj(first) * second, ((np.abs(first) ** 2).mean(axis=0), (np.abs(second) ** 2).mean(axis=0))


def _scatter(size: int) -> Floats:
    """(size,) by lag, how much the correlation of noises that have nothing in common scatters: windows that are moved
    against each other have less to multiply.
    """
    power = np.abs(np.fft.rfft(np.hanning(size) ** 2)) ** 2
    shared = np.fft.irfft(power, size)
    scatter: Floats = np.sqrt(shared / shared[0])
    return scatter


def _weights(cross: Complexes, power: tuple[Floats, Floats], frequency: Floats) -> Floats:
    """(f,) what the phase of each frequency is worth."""
    from scipy.ndimage import median_filter, uniform_filter1d

    coherence = np.abs(cross.mean(axis=0)) ** 2 / np.maximum(power[0] * power[1], 1e-300)
    # Of noise that has nothing in common the coherence of k pieces is 1/k; overlapping pieces are a little fewer.
    by_chance = 1.1 / len(cross)
    coherence = uniform_filter1d(median_filter(coherence, _SMOOTH), _SMOOTH)
    coherence = np.clip((coherence - by_chance) / (1 - by_chance), 0.0, 0.95)
    weight: Floats = np.where(frequency >= _LOWEST, coherence / (1 - coherence), 0.0)
    return weight if weight.any() else (frequency >= _LOWEST).astype(np.float64)


def _peak(curve: Floats, at: int, lags: Ints) -> float:
    """The lag of a peak between samples, by the parabola through three of them."""
    if not 0 < at < len(curve) - 1:
        return float(lags[at])
    before, here, after = curve[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(lags[at] + (0.5 * (before - after) / bend if bend < 0 else 0.0))
