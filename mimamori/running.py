"""A demo as it runs: what was asked for, what has been started, and how it speaks to people.

`mimamori.demo` makes one; `mimamori.headless` watches it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from api.accounts import DEMO_ACCOUNTS, DemoAccount
from api.roles import Role
from devices.clock import Clock
from mimamori.embedded import BrokerChoice
from mimamori.supervisor import Supervisor
from store.embedded import EmbeddedServer


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line said.

    `seconds` is set for a headless run; `speed` None takes the usual one. `started`: when, on the monotonic clock.
    `history_days`: what a first start loads; 0 for a town without a past. `seed`: the simulated town's luck.
    """

    data: Path
    port: int
    scenario: str
    speed: float | None
    broker: BrokerChoice
    seconds: float | None
    started: float
    history_days: int = 60
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Before:
    """What DATA held when this run began: the newest ids, 0 for none."""

    uplink_id: int
    alert_id: int


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo. `before` tells this run's rows from earlier ones."""

    options: DemoOptions
    supervisor: Supervisor
    server: EmbeddedServer
    url: str
    clock: Clock
    town_start: datetime
    before: Before
    ledger: Path

    @property
    def officer(self) -> DemoAccount:
        """The account of the disaster desk."""
        return next(account for account in DEMO_ACCOUNTS if account.role is Role.DISASTER)

    def say(self, sentence: str) -> None:
        """Tell people what happens."""
        progress(f"{self.age():5.1f} s: {sentence}")

    def age(self) -> float:
        """Real seconds since the command began."""
        return time.monotonic() - self.options.started


def progress(sentence: str) -> None:
    typer.echo(sentence, err=True)
