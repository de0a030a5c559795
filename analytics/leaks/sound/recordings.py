"""Recordings of two places, as WAV files of what two recorders heard at the same time.

    read_pair([(name, bytes), ...]) -> Pair       one file with two channels, or two files, the first of A

PCM of 8 to 32 bits and floating point are read. Of a file with several channels that stands beside another one, the
first is taken. Both begin at the same time; what is longer than the other, or than two minutes, is cut.
RecordingError says of which file what is wrong.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.network.pipes import Floats

LONGEST = 120  # s of a recording; what is longer tells nothing more


class RecordingError(ValueError):
    """Recordings that cannot be compared. `code`:

    form      no WAV file, or one of a kind that cannot be read    empty    nothing in it
    silent    the same value all the time: nothing was recorded    rates    two files of different rates: which
    mono      one file alone, and it has one channel               number   neither one file nor two
    short     too short: how many seconds there are, and needed (`about`, `needed`)
    """

    def __init__(self, file: str, code: str, about: str = "", needed: str = "") -> None:
        super().__init__(f"{file}: {code} {about}".strip())
        self.file, self.code, self.about, self.needed = file, code, about, needed


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """`a` and `b` (n,) of `rate` samples a second, from the same moment on; -1 to 1 is what a file can hold."""

    a: Floats
    b: Floats
    rate: int
    names: tuple[str, str]

    @property
    def seconds(self) -> float:
        return len(self.a) / self.rate


def read_pair(files: Sequence[tuple[str, bytes]]) -> Pair:
    """Of one file with two channels or more, or of two files."""
    if len(files) not in (1, 2):
        raise RecordingError("", "number", str(len(files)))
    found = [_read(name, data) for name, data in files]
    name, (rate, first) = files[0][0], found[0]
    if len(files) == 1:
        if first.shape[1] < 2:
            raise RecordingError(name, "mono")
        return _pair(first[:, 0], first[:, 1], rate, (name, name))
    other, (other_rate, second) = files[1][0], found[1]
    if other_rate != rate:
        raise RecordingError(other, "rates", f"{rate} / {other_rate} Hz")
    return _pair(first[:, 0], second[:, 0], rate, (name, other))


def _pair(a: Floats, b: Floats, rate: int, names: tuple[str, str]) -> Pair:
    both = min(len(a), len(b), LONGEST * rate)
    for name, one in zip(names, (a[:both], b[:both]), strict=True):
        if not np.ptp(one):
            raise RecordingError(name, "silent")
    return Pair(a[:both], b[:both], rate, names)


def _read(name: str, data: bytes) -> tuple[int, Floats]:
    from scipy.io import wavfile  # loaded by who asks: most of the product does without

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of notes that a recorder leaves in its files
            rate, values = wavfile.read(io.BytesIO(data))
    # What is no WAV breaks its reader in many ways, all of them the file's fault.
    except Exception as error:
        raise RecordingError(name, "form", str(error)) from None
    sound = np.asarray(values).reshape(len(values), -1)
    if not sound.size or rate <= 0:
        raise RecordingError(name, "empty")
    if sound.dtype == np.uint8:
        return rate, (sound.astype(np.float64) - 128) / 128
    scale = 1.0 if sound.dtype.kind == "f" else float(np.iinfo(sound.dtype).max)
    return rate, np.nan_to_num(sound.astype(np.float64) / scale)
