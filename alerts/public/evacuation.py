"""What evacuation information is in force: the last line of every notice to the public. One place, to be connected.

A person enters what is in force; nothing here guesses it from a water level. `current_evacuation` is the one function
that all texts ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from store import Connection


@dataclass(frozen=True, slots=True)
class Evacuation:
    """What is in force, as the end of a sentence in the three variants of a notice."""

    ja: str
    en: str
    plain: str


@dataclass(frozen=True, slots=True)
class Order:
    """One piece of evacuation information in force since `issued_at`; the words name what and for where."""

    issued_at: datetime
    ja: str
    en: str
    plain: str


NOT_ENTERED = Evacuation(
    ja="発令の有無は町の発表を確認してください",
    en="please see the announcements of the municipality",
    plain="町（まち）の 発表（はっぴょう）を 見（み）て ください",
)


def current_evacuation(conn: Connection) -> Evacuation:
    """What is in force now in the municipality of the transaction. Nobody enters it here yet, and the texts say so."""
    del conn
    return NOT_ENTERED


def in_force(orders: Sequence[Order], zone: ZoneInfo) -> Evacuation:
    """The same from what a person has entered; without any, that there is none.

    >>> in_force([], ZoneInfo("Asia/Tokyo")).ja
    '発令なし'
    """
    if not orders:
        return Evacuation("発令なし", "none in force", "出（で）て いません")
    times = [order.issued_at.astimezone(zone) for order in orders]
    return Evacuation(
        ja="、".join(f"{t.hour}時{t.minute:02}分 {o.ja}" for t, o in zip(times, orders, strict=True)),
        en="; ".join(f"{o.en} since {t:%H:%M}" for t, o in zip(times, orders, strict=True)),
        plain="、".join(f"{t.hour}時{t.minute:02}分に {o.plain}" for t, o in zip(times, orders, strict=True)),
    )
