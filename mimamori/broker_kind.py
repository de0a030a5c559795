"""Which broker an embedded town runs, as the command line says it."""

from __future__ import annotations

from enum import StrEnum


class BrokerKind(StrEnum):
    auto = "auto"
    mosquitto = "mosquitto"
    nats = "nats"
