"""What analytics has to be told; `mimamori` fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from store.retention import Retention


@dataclass(frozen=True, slots=True)
class AnalyticsConfig:
    """`dsn` is the worker role's; `retention` says how long messages are kept as they came,
    `keep` for how many years values are, by observed property: for ever where it does not say.
    """

    dsn: str = field(repr=False)
    retention: Retention = field(default_factory=Retention)
    keep: Mapping[str, int] = field(default_factory=dict)
