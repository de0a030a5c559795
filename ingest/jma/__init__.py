"""Telegrams of the weather agency (気象庁防災情報XML), from the feed of an address or from a folder (docs/rivers.md).

config     what the worker is told
telegram   one telegram: safely parsed, and what it says of the town
feed       the Atom PULL feed
worker     the process: one a municipality
"""

from __future__ import annotations

from ingest.jma.config import JmaConfig
from ingest.jma.worker import run

__all__ = ["JmaConfig", "run"]
