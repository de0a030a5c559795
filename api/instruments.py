"""What one API process counts about itself, for /metrics (Prometheus)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from ingest.intake import Intake

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Instruments:
    """Counters of one application; a registry of its own, so that two applications in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mimamori_http_requests",
            "Answered requests, by route template.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "mimamori_http_request_seconds",
            "Time from a request to the end of its answer; the live stream is left out.",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0),
            registry=self.registry,
        )
        self.stream_clients = Gauge(
            "mimamori_stream_clients", "Open live streams (SSE) of this process.", registry=self.registry
        )
        self.stream_dropped = Counter(
            "mimamori_stream_dropped",
            "Live streams ended because the client read too slowly.",
            registry=self.registry,
        )

    def watch_intake(self, intake: Intake) -> None:
        """Tells of the intake, asked when collected."""
        words = "1 while messages posted over HTTP are taken and stored, else 0."
        taken = Gauge("mimamori_intake_open", words, registry=self.registry)
        taken.set_function(lambda: float(intake.state == "open"))
        held = Gauge("mimamori_intake_held", "Posted messages in hand, not settled yet.", registry=self.registry)
        held.set_function(lambda: float(intake.held))

    def answered(self, method: str, route: str, status: int, seconds: float, *, streamed: bool) -> None:
        """Counts one request. `route` is the template, never the path: labels must stay few."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        if not streamed:
            self._seconds.labels(route).observe(seconds)
