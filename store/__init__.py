"""The time-series store: connections, schema, observations, the feed; TimescaleDB or plain PostgreSQL."""

from store.connection import Connection, connect

__all__ = ["Connection", "connect"]
