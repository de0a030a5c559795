"""The noise of a leak as two recorders hear it, made to measure."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from scipy.io import wavfile

from analytics.leaks.network.pipes import Floats

RATE = 4000


def heard(
    late: float,
    *,
    seconds: float = 8.0,
    band: tuple[float, float] = (100, 900),
    noise: float = 1.0,
    hum: float = 0.0,
    seed: int = 1,
) -> tuple[Floats, Floats]:
    """(n,) at A and at B, where it comes `late` s later, exactly, with `noise` of each place of its own beside it (as
    loud as itself where 1) and a `hum` of 60 Hz that both hear at once.
    """
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    spectrum *= (frequency >= band[0]) & (frequency <= band[1])
    first = np.fft.irfft(spectrum, n)
    second = np.fft.irfft(spectrum * np.exp(-2j * np.pi * frequency * late), n)
    loud = first.std() or 1.0
    tone = hum * loud * np.sin(2 * np.pi * 60 * np.arange(n) / RATE)
    a, b = (each + noise * loud * rng.standard_normal(n) + tone for each in (first, 0.5 * second))
    return a, b


def wav(channels: Sequence[Floats], *, rate: int = RATE, kind: type[np.generic] = np.int16) -> bytes:
    """A file of these channels, as loud as its numbers allow."""
    together = np.stack(channels, axis=1)
    together = together / np.abs(together).max() * 0.9
    if np.issubdtype(kind, np.integer):
        together = together * np.iinfo(kind).max if kind is not np.uint8 else together * 127 + 128
    file = io.BytesIO()
    wavfile.write(file, rate, together.astype(kind))
    return file.getvalue()
