"""Whose reference levels a threshold set holds: it decides how the public may read of them (docs/notices.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ThresholdSource:
    """Those of the river `administrator`, or levels that the municipality adopted by `document`, `dated`."""

    administrator: str | None = None
    document: str | None = None
    dated: date | None = None
