"""What the numbers mean: rollups, rivers, leaks and visitors, kept up with the feed."""

from analytics.config import AnalyticsConfig
from analytics.service import run

__all__ = ["AnalyticsConfig", "run"]
