"""Which messages of a batch the database refuses, found so that nobody else pays for it.

A poisonous device seldom sends one poisonous message. So messages are tried device by device, by halves, in
transactions that are rolled back; and a device that was caught is a suspect from then on: its messages are written in
a part of their own, after everybody else's are committed, until such a part passes whole.

Of a batch with the poison of one device, everybody else's messages are written once and committed once, and at most
twice where the device was not a suspect yet. What the search costs falls on the suspects' part: at most two tries for
each of its messages, none of them committed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")

# Tries whether these can be stored, leaves nothing behind, and returns what the database says against it.
Try = Callable[[Sequence[T]], Exception | None]

SUSPECTS = 1024  # devices; strangers are one together
_ONE_BY_ONE = 8  # from so few messages of one device on, halves save nothing


class Suspects:
    """The devices of which something was refused, the longest quiet ones forgotten first."""

    def __init__(self, limit: int = SUSPECTS) -> None:
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        self._limit = limit

    def __contains__(self, device: Hashable) -> bool:
        return device in self._known

    def add(self, device: Hashable) -> None:
        self._known[device] = None
        self._known.move_to_end(device)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)

    def clear(self, device: Hashable) -> None:
        """Its messages have passed again."""
        self._known.pop(device, None)

    def apart(self, batch: Sequence[T], device_of: Callable[[T], Hashable]) -> list[list[T]]:
        """The batch in at most two parts, everybody else's messages first; each keeps its order."""
        if not self._known:
            return [list(batch)] if batch else []
        others = [each for each in batch if device_of(each) not in self._known]
        suspects = [each for each in batch if device_of(each) in self._known]
        return [part for part in (others, suspects) if part]


def refused(
    part: Sequence[T], refusal: Exception, device_of: Callable[[T], Hashable], attempt: Try[T]
) -> dict[int, Exception]:
    """The positions in a part that was refused whole, of the messages that cannot be stored, and why.

    Empty where each message alone could be stored, and only together they cannot.
    """
    devices: dict[Hashable, list[int]] = {}
    for position, each in enumerate(part):
        devices.setdefault(device_of(each), []).append(position)
    found: dict[int, Exception] = {}

    def search(groups: list[list[int]], why: Exception) -> None:
        """Looks into groups of positions that were refused together."""
        if len(groups) == 1:
            (group,) = groups
            if len(group) == 1:
                found[group[0]] = why
                return
            groups = [[position] for position in group]
        size = 1 if len(groups) <= _ONE_BY_ONE else (len(groups) + 1) // 2
        for start in range(0, len(groups), size):
            some = groups[start : start + size]
            against = attempt([part[position] for group in some for position in group])
            if against is not None:
                search(some, against)

    search(list(devices.values()), refusal)
    return found
