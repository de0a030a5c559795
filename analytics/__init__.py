"""What the numbers mean: rollups, rivers, leaks and visitors, kept up with the feed."""

from analytics.config import AnalyticsConfig
from analytics.service import catch_up, run

__all__ = ["AnalyticsConfig", "catch_up", "run"]
