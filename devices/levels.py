"""What a level of a river can be besides a number: its kind, the levels that only have a name, and how high two levels
may stand to each other.

Two sorts of level make a threshold set. One with a number 1 to 5 (`devices.model.ThresholdLevel`) is judged: reaching
it is an alert. One without (`ThresholdMark`) is shown, and a rule may name it; it never alerts by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

Datum = Literal["tp", "zero"]

HIGHEST = 100.0  # m from gauge zero, up or down: beyond it somebody wrote centimetres


class LevelKind(StrEnum):
    """What a level is. `reference` always has a number, `overflow` and `local` may have one, the others never."""

    REFERENCE = "reference"  # 基準水位, by the river's administrator or the town
    DESIGN = "design"  # 計画高水位 H.W.L.: what the levee was designed for, and no danger level
    OBSERVATION_START = "observation_start"  # 観測開始水位 of a 危機管理型水位計
    OVERFLOW = "overflow"  # 氾濫開始水位: from here on the water leaves the river
    LOCAL = "local"  # 町の目安: the soffit of a bridge, the floor of a shed

    @property
    def numbered(self) -> bool:
        """Whether it can have a number, and be judged."""
        return self in NUMBERED


NUMBERED = frozenset({LevelKind.REFERENCE, LevelKind.OVERFLOW, LevelKind.LOCAL})
# Where nobody says otherwise; 町の目安 have no usual name.
USUAL_NAMES = {
    LevelKind.DESIGN: ("計画高水位（H.W.L.）", "Design high water level (H.W.L.)"),
    LevelKind.OBSERVATION_START: ("観測開始水位", "Observation start level"),
    LevelKind.OVERFLOW: ("氾濫開始水位", "Overflow start level"),
}


@dataclass(frozen=True, slots=True)
class ThresholdMark:
    """A level without a number; `value` in metres above gauge zero. `kind` is never `reference`."""

    kind: LevelKind
    name: str
    name_en: str
    value: float


@dataclass(frozen=True, slots=True)
class CrossSection:
    """A survey. `distance` m from the left bank, rising; `height` m, above T.P. (`datum` "tp") or gauge zero ("zero");
    `note` what the survey says of a point, empty where nothing.
    """

    surveyed_on: date
    reason: str
    datum: Datum
    distance: tuple[float, ...]
    height: tuple[float, ...]
    note: tuple[str, ...]
