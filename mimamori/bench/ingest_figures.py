"""The figures of `mimamori bench ingest`, beside their targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mimamori.bench.report import Row

RATIO_TARGET = 0.5
WORKER_US_TARGET = 60.0
P99_TARGET_MS = 300.0
BACKLOG_TARGET = 30.0
RSS_TARGET_MB = 120.0

_NOT_MEASURED = "not measured: mosquitto_sub is not installed, or the broker has no shared subscriptions"


def figures_of(
    measured: Mapping[str, Any],
    rounds: Sequence[Mapping[str, Any]],
    delays: Mapping[str, Any],
    outage: Mapping[str, Any],
    rss_mb: float,
) -> dict[str, Any]:
    """The JSON object, as the top of `mimamori.bench.ingest` describes it."""

    def median(name: str) -> float | None:
        values = [each[name] for each in rounds if each[name] is not None]
        return statistics.median(values) if values else None

    def medians(name: str) -> dict[str, float]:
        return {key: statistics.median(each[name][key] for each in rounds) for key in rounds[0][name]}

    figures: dict[str, Any] = {
        **measured,
        "c_client_rows_s": median("c_client_rows_s"),
        "two_workers_rows_s": median("two_workers_rows_s"),
        "ratio_to_c_client": median("ratio_to_c_client"),
        "ratio_target": RATIO_TARGET,
        "one_worker_rows_s": median("one_worker_rows_s"),
        "receive_us": medians("receive_us"),
        "worker_us_a_row": median("worker_us_a_row"),
        "worker_us_target": WORKER_US_TARGET,
        "stages_us": medians("stages_us"),
        "database_us_a_row": median("database_us_a_row"),
        "broker_us_a_row": median("broker_us_a_row"),
        "chirpstack_rows_s": median("chirpstack_rows_s"),
        "chirpstack_us_a_row": median("chirpstack_us_a_row"),
        "chirpstack_stages_us": medians("chirpstack_stages_us"),
        "latency": {**delays, "p99_target_ms": P99_TARGET_MS},
        **outage,
        "backlog_target": BACKLOG_TARGET,
        "worker_rss_mb": round(rss_mb, 1),
        "worker_rss_target": RSS_TARGET_MB,
        "rounds": list(rounds),
    }
    return figures | {"within_targets": within_targets(figures)}


def within_targets(figures: Mapping[str, Any]) -> dict[str, bool | None]:
    """Which targets are met; None where the figure could not be measured here."""
    ratio = figures["ratio_to_c_client"]
    return {
        "ratio_to_c_client": None if ratio is None else ratio >= RATIO_TARGET,
        "worker_us_a_row": figures["worker_us_a_row"] <= WORKER_US_TARGET,
        "p99_ms": figures["latency"]["p99_ms"] <= P99_TARGET_MS,
        "backlog_seconds": figures["backlog_seconds"] <= BACKLOG_TARGET,
        "worker_rss_mb": figures["worker_rss_mb"] <= RSS_TARGET_MB,
    }


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """To a tenth: what is after it is noise."""
    return {name: round(value, 1) for name, value in figures.items()}


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as lines of a table: words, figure, target."""

    def shown(value: float | None, form: str) -> str:
        return (
            "not measured: no mosquitto_sub here, or a broker that cannot share"
            if value is None
            else form.format(value)
        )

    delays = figures["latency"]
    stages = [(f"  {name}", f"{us:.1f} us", "") for name, us in figures["stages_us"].items()]
    return [
        ("rows/s, C client", shown(figures["c_client_rows_s"], "{:.0f}"), ""),
        ("rows/s, two workers", shown(figures["two_workers_rows_s"], "{:.0f}"), ""),
        ("ratio to the C client", shown(figures["ratio_to_c_client"], "{:.2f}"), f">= {RATIO_TARGET}"),
        ("receiving alone, paho as it is", f"{figures['receive_us']['paho']:.1f} us", ""),
        ("receiving alone, in blocks", f"{figures['receive_us']['in_blocks']:.1f} us", ""),
        ("processor time a row, one worker", f"{figures['worker_us_a_row']:.1f} us", f"<= {WORKER_US_TARGET:.0f} us"),
        *stages,
        ("... of the database beside it", f"{figures['database_us_a_row']:.1f} us", ""),
        ("... of the broker beside it", f"{figures['broker_us_a_row']:.1f} us", ""),
        ("processor time a row, ChirpStack", f"{figures['chirpstack_us_a_row']:.1f} us", ""),
        (
            f"publish to commit at {delays['messages_s']}/s, p50 / p99",
            f"{delays['p50_ms']:.0f} / {delays['p99_ms']:.0f} ms",
            f"<= {P99_TARGET_MS:.0f} ms",
        ),
        (
            f"backlog of {figures['backlog_readings']} readings",
            f"{figures['backlog_seconds']:.1f} s",
            f"<= {BACKLOG_TARGET:.0f} s",
        ),
        ("  of it until all is committed", f"{figures['backlog_ingest_seconds']:.1f} s", ""),
        ("memory of a worker", f"{figures['worker_rss_mb']:.0f} MB", f"<= {RSS_TARGET_MB:.0f} MB"),
    ]
