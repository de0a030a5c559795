"""What a known form of files has to do, and what it may count on.

A form is told nothing of the town. It names each series as its file does and asks once which of ours that is; what
comes back says where its numbers go and by how much they are multiplied. So it knows its file and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from devices.model import Quality, Reason
from ingest.errors import Wrong
from ingest.formats.archive import Part
from ingest.history_file import Line, number_of
from store.batch import ObservationRow


@dataclass(frozen=True, slots=True)
class Found:
    """A series that a file has. `key`: its name for maps. `name`: what the file calls it, empty where it does not.
    `unit`: UCUM, None where the file does not say. `where`: file and line, for messages. `longer`: a longer key that
    means this one too.
    """

    key: str
    name: str
    unit: str | None
    where: str
    longer: str = ""


class Wanted(NamedTuple):
    """One of our series: value = number x scale + offset, in its unit."""

    datastream_id: int
    scale: float
    offset: float


Ask = Callable[[Found], Wanted | Wrong | None]
"""Which of ours a series is: None: it is to be left alone; Wrong: its values cannot be taken, and why."""


class Format(Protocol):
    """A known form of files."""

    def recognises(self, part: Part, beginning: bytes) -> bool:
        """Whether a file that begins like this has this form."""

    def lines(self, part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
        """Every line (of JSON: every record, counted from 1) that says something of a wanted series, or that cannot be
        read. `now` is the town's present: what claims to be later is a mistake. HistoryError where the file as a whole
        cannot be read.
        """

    def head(self, part: Part) -> bytes:
        """The beginning of the file as a small file of the same form, for a page to show what is in it."""


def observed(
    wanted: Wanted, time: datetime, text: str, quality: Quality = Quality.GOOD, reason: Reason | None = None
) -> ObservationRow:
    """A number of a file as an observation. Raises Wrong for what is no number."""
    try:
        value = _scaled(text, wanted.scale, wanted.offset)
    except ValueError:
        raise Wrong(f"{text[:40]!r} is no number", f"「{text[:40]}」は数値ではありません") from None
    if not math.isfinite(value):
        raise Wrong(f"{text[:40]!r} is beyond all numbers", f"「{text[:40]}」は大きすぎて数値として扱えません")
    return ObservationRow(wanted.datastream_id, time, value, quality, reason)


@lru_cache(maxsize=1 << 15)  # a series says few different things, again and again
def _scaled(text: str, scale: float, offset: float) -> float:
    """A value without the noise of binary fractions: 57 cm is 0.57 m. What needs no conversion stays as it is."""
    number = number_of(text)
    return number if scale == 1 and offset == 0 else float(f"{number * scale + offset:.12g}")


def missing(wanted: Wanted, time: datetime, reason: Reason) -> ObservationRow:
    """That there is no value, and why."""
    return ObservationRow(wanted.datastream_id, time, None, Quality.MISSING, reason)


def not_later(time: datetime, now: datetime) -> datetime:
    """The time. Raises Wrong where it is later than the town's present."""
    if time > now:
        said = f"{time:%Y-%m-%d %H:%M%z}"
        raise Wrong(f"{said} is later than the town's present", f"{said} は、いまより先の日時です")
    return time


def with_offset(text: str) -> datetime:
    """A moment as RFC 3339 writes it. Raises Wrong where it is none, or has no offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Wrong(
            f"{text[:40]!r} is not a time with an offset such as 2026-06-01T09:00:00+09:00",
            f"「{text[:40]}」は、時差の付いた日時（例 2026-06-01T09:00:00+09:00）ではありません",
        )
    return time
