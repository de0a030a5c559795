"""Operation: what is wrong with the machine room itself, for the digital section.

    problems(seen) -> causes, by one small function a condition
    judge_operation(causes, since, open_causes, now) -> what to note, forget, raise and clear

A cause is a kind and, after a colon, what it concerns: "worker_lost:0". A condition looks at what was read (`Seen`)
and says which causes are there now; a new one is a new function in `CONDITIONS` with its patience in `PATIENCE` and
its words in `alerts.operation_words`. A cause becomes an alert when it has been there for its patience, in real time,
and ends when it is gone. What cannot be seen (no folder of the database's files on this machine, no backup ever made)
is no cause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal[
    "counts_open",
    "consumer_behind",
    "worker_lost",
    "worker_broker",
    "worker_database",
    "worker_full",
    "disk_full",
    "outbox_failing",
    "nobody_told",
    "rules_untold",
    "backup_old",
    "folders_lost",
    "folder_away",
    "folder_late",
    "jma_stale",
]

# Those of which `alerts.reach` knows whose rules and from when to when.
NOBODY: tuple[Kind, ...] = ("nobody_told", "rules_untold")

# A heartbeat comes every second.
HEARTBEAT = timedelta(seconds=10)
BEHIND = timedelta(minutes=2)
BACKUP = timedelta(days=3)
# The process that reads the folders says that it lives after every look and every part of a file.
FOLDERS = timedelta(minutes=1)
FREE_SHARE, FREE_BYTES = 0.05, 1_000_000_000
# So much more must be free before it is over: a disk at the limit would raise an alert a minute.
FREE_AGAIN = 1.2
FAILED_ATTEMPTS = 3

# How long a cause must have been there. Nobody is to be woken for what mends itself: a restart, a broker that comes
# back.
PATIENCE: Mapping[Kind, timedelta] = {
    "counts_open": timedelta(0),
    "consumer_behind": timedelta(minutes=3),
    "worker_lost": timedelta(seconds=20),
    "worker_broker": timedelta(minutes=1),
    "worker_database": timedelta(minutes=1),
    "worker_full": timedelta(minutes=5),
    "disk_full": timedelta(minutes=1),
    "outbox_failing": timedelta(0),
    # whoever changes people and turns on the pages does it in several steps
    "nobody_told": timedelta(minutes=10),
    "rules_untold": timedelta(minutes=10),
    "backup_old": timedelta(0),
    "folders_lost": timedelta(minutes=1),
    "folder_away": timedelta(minutes=3),
    "folder_late": timedelta(0),
    "jma_stale": timedelta(minutes=1),
}


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """An ingest worker: how old (real time) its last sign of life is, and why it takes no messages, None where it does.
    `drained`: its session was emptied and ended, nobody need come back.
    """

    worker_id: str
    silent_for: timedelta
    obstacle: Literal["broker", "database", "full"] | None
    drained: bool


@dataclass(frozen=True, slots=True)
class FolderSeen:
    """A watched folder: whether it can be looked into, and for how long it has brought nothing new beyond what its
    contract allows (None: it has no contract, or keeps it).
    """

    name: str
    away: bool
    late_by: timedelta | None


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes on a disk."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The operation of one municipality as it was read at one moment; durations are real time.

    `open_hours`: hours whose counts do not close. `behind`: consumer of the feed -> for how long the oldest batch
    that it has not read has been there. `disk` None: not on this machine. `failed_mails`: notifications that were
    refused again and again and are not sent. `untold`: the causes of which nobody would be told within the coming day
    (`alerts.rules.reach`). `backup`: how old the newest one is, None where none was ever made.
    `folders`: those that are watched; `folders_silent_for`: how old the last sign of life of the process is that reads
    them. `jma_stale`: the feed of the weather agency's telegrams cannot say what holds now (False: it can, or there is
    none). `alarmed`: the causes that are alerts already.
    """

    open_hours: int = 0
    behind: Mapping[str, timedelta] = field(default_factory=dict)
    workers: tuple[WorkerSeen, ...] = ()
    disk: Room | None = None
    failed_mails: int = 0
    untold: tuple[str, ...] = ()
    backup: timedelta | None = None
    folders: tuple[FolderSeen, ...] = ()
    folders_silent_for: timedelta = timedelta(0)
    jma_stale: bool = False
    alarmed: frozenset[str] = frozenset()


def kind_of(cause: str) -> str:
    """The kind of a cause.

    >>> kind_of("worker_lost:0"), concerned(cause="worker_lost:0"), concerned("disk_full")
    ('worker_lost', '0', '')
    """
    return cause.partition(":")[0]


def concerned(cause: str) -> str:
    """What a cause is about; empty where its kind says it all."""
    return cause.partition(":")[2]


def counts_open(seen: Seen) -> Iterator[str]:
    """A message or a value went another way than it was counted."""
    if seen.open_hours:
        yield "counts_open"


def consumers_behind(seen: Seen) -> Iterator[str]:
    """Alerts, rollups or pages do not read what is committed."""
    yield from (f"consumer_behind:{name}" for name, lag in sorted(seen.behind.items()) if lag > BEHIND)


def workers_lost(seen: Seen) -> Iterator[str]:
    """A session goes on collecting messages, and nobody takes them out."""
    for worker in seen.workers:
        if worker.silent_for > HEARTBEAT and not worker.drained:
            yield f"worker_lost:{worker.worker_id}"


def workers_hindered(seen: Seen) -> Iterator[str]:
    """A worker lives and cannot take messages."""
    for worker in seen.workers:
        if worker.obstacle is not None and worker.silent_for <= HEARTBEAT and not worker.drained:
            yield f"worker_{worker.obstacle}:{worker.worker_id}"


def disk_full(seen: Seen) -> Iterator[str]:
    """The database will soon be unable to write."""
    if seen.disk is None:
        return
    limit = max(FREE_SHARE * seen.disk.total, FREE_BYTES)
    if seen.disk.free < limit * (FREE_AGAIN if "disk_full" in seen.alarmed else 1.0):
        yield "disk_full"


def outbox_failing(seen: Seen) -> Iterator[str]:
    """Somebody who should be told is not."""
    if seen.failed_mails:
        yield "outbox_failing"


def nobody_reached(seen: Seen) -> Iterator[str]:
    """A rule is switched on, and nobody would hear of it."""
    yield from seen.untold


def backup_old(seen: Seen) -> Iterator[str]:
    """Backups are made here, and the last one is days old."""
    if seen.backup is not None and seen.backup > BACKUP:
        yield "backup_old"


def folders_lost(seen: Seen) -> Iterator[str]:
    """Files lie in the folders, and nobody reads them."""
    if seen.folders and seen.folders_silent_for > FOLDERS:
        yield "folders_lost"


def folders_away(seen: Seen) -> Iterator[str]:
    """A share is not mounted, or may not be read. While nobody looks, what was so counts as so."""
    for folder in seen.folders:
        cause = f"folder_away:{folder.name}"
        if folder.away and (seen.folders_silent_for <= FOLDERS or cause in seen.alarmed):
            yield cause


def folders_late(seen: Seen) -> Iterator[str]:
    """取込停止: a feed is older than its contract. Where nobody could look, nobody knows whether something has come."""
    for folder in seen.folders:
        cause = f"folder_late:{folder.name}"
        known = seen.folders_silent_for <= FOLDERS and not folder.away
        if folder.late_by is not None and (known or cause in seen.alarmed):
            yield cause


def jma_stale(seen: Seen) -> Iterator[str]:
    """What the weather agency issues does not arrive, and nobody may take that for silence."""
    if seen.jma_stale:
        yield "jma_stale"


CONDITIONS: tuple[Callable[[Seen], Iterator[str]], ...] = (
    counts_open,
    consumers_behind,
    workers_lost,
    workers_hindered,
    disk_full,
    outbox_failing,
    nobody_reached,
    backup_old,
    folders_lost,
    folders_away,
    folders_late,
    jma_stale,
)


def problems(seen: Seen) -> tuple[str, ...]:
    """The causes that are there now.

    >>> problems(Seen(open_hours=2, workers=(WorkerSeen("1", timedelta(minutes=5), None, False),)))
    ('counts_open', 'worker_lost:1')
    """
    return tuple(cause for condition in CONDITIONS for cause in condition(seen))


@dataclass(frozen=True, slots=True)
class Judged:
    """What to do about the causes: remember since when, forget, raise an alert, clear one."""

    note: tuple[str, ...]
    forget: tuple[str, ...]
    raised: tuple[str, ...]
    cleared: tuple[str, ...]


def judge_operation(
    causes: Collection[str], since: Mapping[str, datetime], alarmed: Collection[str], now: datetime
) -> Judged:
    """`since`: what was noted earlier, and when (real time, like `now`); `alarmed`: the causes of the open alerts.

    >>> from datetime import UTC
    >>> at = lambda minute: datetime(2026, 6, 1, 3, minute, tzinfo=UTC)
    >>> judge_operation(["worker_broker:0"], {}, [], at(0))
    Judged(note=('worker_broker:0',), forget=(), raised=(), cleared=())
    >>> judge_operation(["worker_broker:0"], {"worker_broker:0": at(0)}, [], at(1)).raised
    ('worker_broker:0',)
    >>> judge_operation([], {"worker_broker:0": at(0)}, ["worker_broker:0"], at(2))
    Judged(note=(), forget=('worker_broker:0',), raised=(), cleared=('worker_broker:0',))
    """
    there = sorted(set(causes))
    return Judged(
        note=tuple(cause for cause in there if cause not in since),
        forget=tuple(cause for cause in sorted(since) if cause not in there),
        raised=tuple(
            cause for cause in there if cause not in alarmed and now - since.get(cause, now) >= _patience(cause)
        ),
        cleared=tuple(cause for cause in sorted(alarmed) if cause not in there),
    )


def _patience(cause: str) -> timedelta:
    return next(patience for kind, patience in PATIENCE.items() if kind == kind_of(cause))
