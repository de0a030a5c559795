"""What is wrong with a network or its files: where, what, and the numbers of it. The words are the page's.

    Problem(code, file, feature, values, xy)

`hint` is nothing wrong, but good to know. Of the files:
    geometry       neither a line, a point nor an area, or one without places
    outside        a feature that is not in the town
    number         a value that is no number, left out
    kind           a point of a kind that is not known, left out
    named_twice    the name was used before; it got another
    datum          the datum before 2002 (hint)
    columns        no column for this was found (hint): which
Of the network:
    near_end       an end lies within 0.5 m of a pipe without touching it
    duplicate      a pipe on another one
    zero_length    a pipe of no length
    no_diameter    not known (hint)
    odd_diameter, odd_year   hardly true
    length_differs stated and drawn differ by a fifth and 5 m
    lone_node      a node without a pipe
    apart          pipes that are not tied to the rest
    off_pipe       a valve, hydrant or meter with no pipe within 1 m
    empty_block    a block without pipes
    no_block       pipes in no block (hint)
    no_place       a node without coordinates
    split          a pipe was divided where others join it (hint)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# What is to be seen to first comes first.
CODES = (
    "outside", "geometry", "number", "near_end", "apart", "duplicate", "zero_length", "length_differs", "odd_diameter",
    "odd_year", "empty_block", "off_pipe", "lone_node", "no_place", "named_twice", "kind",
)  # fmt: skip
HINTS = ("datum", "columns", "no_diameter", "no_block", "split")


@dataclass(frozen=True, slots=True)
class Problem:
    """`file` and `feature` name what it is about ('' where it is the whole network); `xy` in the network's plane, m,
    or None. `values` stand in the words: numbers with their usual unit (m, mm), names as they are.
    """

    code: str
    file: str = ""
    feature: str = ""
    values: Mapping[str, str | float | int] = field(default_factory=lambda: MappingProxyType({}))
    xy: tuple[float, float] | None = None

    @property
    def hint(self) -> bool:
        return self.code in HINTS
