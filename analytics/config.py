"""What analytics has to be told; `mimamori` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AnalyticsConfig:
    """`dsn` is the worker role's."""

    dsn: str = field(repr=False)
