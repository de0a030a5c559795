"""What evacuation information is in force: the last line of every notice to the public.

A person writes down what is in force (`store.evacuation`); nothing here guesses it from a water level.
`current_evacuation` is the one function that all texts ask. A town that has never written an order down here may order
all the same: then nobody is told that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from store import Connection, evacuation
from store.evacuation import EvacuationKind, EvacuationOrder


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


def current_evacuation(
    conn: Connection, municipality_id: int, now: datetime, zone: ZoneInfo, *, mode: str = "actual"
) -> Evacuation:
    """What is in force now, as a person has written it down; of an exercise what its drill has ordered."""
    drill = mode != "actual"
    written = evacuation.current_evacuation(conn, municipality_id, now, drill=drill)
    if not written and not evacuation.ever_issued(conn, municipality_id, drill=drill):
        return NOT_ENTERED
    return in_force([_in_words(each) for each in written], zone)


def _in_words(written: EvacuationOrder) -> Order:
    ja, en, plain = _NAMES[written.kind]
    return Order(
        written.issued_at,
        f"{ja}（{written.districts}）",
        f"{en} ({written.districts})",
        f"「{plain}」が 出（で）ました（{written.districts}）",
    )


_NAMES = {
    EvacuationKind.ELDERLY: (
        "高齢者等避難",
        "Evacuation of the Elderly, Etc.",
        "お年寄（としよ）りは 逃（に）げて ください",
    ),
    EvacuationKind.ORDER: ("避難指示", "Evacuation Order", "全員（ぜんいん） 逃（に）げて ください"),
    EvacuationKind.EMERGENCY: (
        "緊急安全確保",
        "Emergency Safety Measures",
        "すぐに 命（いのち）を 守（まも）って ください",
    ),
}


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
