"""The past of a demo: what a town of its kind would have in its files, loaded before anybody looks.

`begin` has the simulated town write it (`mimamori simulate-history`), while database and broker are still starting;
`load` imports the files as any town's are (`mimamori import-csv`), and lets analytics answer all of it. Both work in
two processes. What is there already stays as it is: interrupted, it is done again by the next start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mimamori.running import progress
from mimamori.supervisor import Service, Supervisor

FOLDER = "history"  # in DATA
PATIENCE = 600.0  # s: a slow machine may take its time, and says what it does
_PROCESSES = 2  # of each step at a time
_VISITS_LONGER = 6.6  # 13 months beside 60 days


@dataclass(frozen=True, slots=True)
class Past:
    """A past that is being written. `folder` is to hold it; `days` of levels, rain and water."""

    folder: Path
    days: int
    written: tuple[Callable[[], bool], ...]


def begin(
    data: Path,
    supervisor: Supervisor,
    *,
    scenario: str,
    origin: datetime,
    until: datetime,
    days: int,
    seed: int,
) -> Past:
    """Start writing so many days of levels, rain and water, and 13 months of visitors for 60 of these."""
    folder = data.resolve() / FOLDER
    words = (
        "simulate-history", str(folder), "--scenario", scenario, "--origin", _written(origin),
        "--until", _written(until), "--days", str(days), "--visit-days", str(round(days * _VISITS_LONGER)),
        "--seed", str(seed),
    )  # fmt: skip
    return Past(
        folder,
        days,
        tuple(
            supervisor.errand(_service(number, (*words, "--part", f"{number}/{_PROCESSES}")))
            for number in range(1, _PROCESSES + 1)
        ),
    )


def load(past: Past, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
    """Import what was written, and work out its hours, days and nights. StartError where a file will not do."""
    _wait(
        supervisor,
        past.written,
        f"writing the town's past: {past.days} days, and {round(past.days * _VISITS_LONGER)} of visitors",
    )
    imports = tuple(
        supervisor.errand(_service(number, ("import-csv", *map(str, files), "--json"), environment))
        for number, files in enumerate(_shared_out(past.folder), 1)
    )
    _wait(supervisor, imports, "importing it, as any town's files")
    answered = supervisor.errand(_service(1, ("run", "analytics", "--once"), environment))
    _wait(supervisor, (answered,), "working out its hours, days and nights")


def _shared_out(folder: Path) -> list[list[Path]]:
    """The files for each process, of about the same size."""
    shares: list[list[Path]] = [[] for _ in range(_PROCESSES)]
    for file in sorted(folder.glob("*.csv"), key=lambda file: (-file.stat().st_size, file)):
        min(shares, key=lambda share: sum(each.stat().st_size for each in share)).append(file)
    return [share for share in shares if share]


def _wait(supervisor: Supervisor, errands: tuple[Callable[[], bool], ...], what: str) -> None:
    progress(what)
    supervisor.wait(lambda: sum(over() for over in errands) == len(errands), what=what, timeout=PATIENCE)


def _service(number: int, words: tuple[str, ...], environment: Mapping[str, str] | None = None) -> Service:
    return Service(f"history-{number}", [sys.executable, "-m", "mimamori", *words], environment or os.environ)


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"
