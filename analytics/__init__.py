"""What the numbers mean: rollups, rivers, leaks and visitors, kept up with the feed."""

from typing import TYPE_CHECKING, Any

from analytics.config import AnalyticsConfig

if TYPE_CHECKING:
    from analytics.service import catch_up, run

__all__ = ["AnalyticsConfig", "catch_up", "run"]


def __getattr__(name: str) -> Any:
    """The service, when it is asked for: the pages need a few of this room's words and no more."""
    if name in ("catch_up", "run"):
        from analytics import service

        return getattr(service, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
