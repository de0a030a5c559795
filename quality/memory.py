"""What learning checks know, as bytes a series: to be kept in a database and taken up again.

    kept = pack(state)              a state of n series -> n byte strings, in the order of the series
    state = unpack(blank, kept)     `blank`: what `begin(n)` of the same check gives
    form(checks)                    names all their settings and the shape of their states

What was packed under one form says nothing under another: who finds another one begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import numpy as np

State = TypeVar("State")


class Begins(Protocol):
    """What learns."""

    def begin(self, n: int) -> Any: ...


def pack(state: Any) -> list[bytes]:
    """Each series of a state by itself. Every array in it has the series as its last axis."""
    columns = [np.asarray(array, dtype="<f8").reshape(-1, array.shape[-1]) for _, _, array in _places(state)]
    return [series.tobytes() for series in np.concatenate(columns).T]


def unpack(blank: State, kept: Sequence[bytes]) -> State:
    """The state of these series, in this order; `blank` is filled and returned.

    Raises ValueError where they were packed from something else.
    """
    whole = np.frombuffer(b"".join(kept), dtype="<f8").reshape(len(kept), -1).T
    at = 0
    for owner, name, array in list(_places(blank)):
        rows = array.size // array.shape[-1]
        part = whole[at : at + rows]
        setattr(owner, name, part.reshape(array.shape).astype(array.dtype))
        at += rows
    if at != len(whole):
        raise ValueError(f"a series was kept with {len(whole)} numbers, and {at} are wanted")
    return blank


def form(*checks: Begins) -> str:
    """The same for the same settings and shapes."""
    shapes = [(name, array.shape) for _, name, array in _places([each.begin(1) for each in checks])]
    return sha256(repr((checks, shapes)).encode()).hexdigest()[:16]


def _places(state: Any) -> Iterator[tuple[Any, str, np.ndarray[Any, Any]]]:
    """Where the arrays stand: (owner, name, array), always in the same order."""
    if isinstance(state, list):
        for part in state:
            yield from _places(part)
    elif is_dataclass(state):
        for field in fields(state):
            held = getattr(state, field.name)
            if isinstance(held, np.ndarray):
                yield state, field.name, held
            else:
                yield from _places(held)
