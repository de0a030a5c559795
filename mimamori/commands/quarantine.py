"""`mimamori quarantine`: messages that could not be read, and reading them again (docs/ingest.md).

`replay` does the work itself, in small steps, with the worker's rights: it needs no running ingest, and beside one (or
beside another replay) each step is done once, by whoever takes it.

With `--json` each command prints one object:

    list     {"total", "reasons": [{"reason", "messages", "senders", "oldest", "newest"}]}
    replay   {"replay", "total", "accepted", "event", "duplicate", "quarantined"}; "replay" is null where nothing waited
    replay --dry-run
             {"total", "would": {"accepted", "event", "quarantined"}, "reasons": {reason: messages}}
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mimamori.commands import settings
from mimamori.errors import InputError

if TYPE_CHECKING:
    from quality.clock import Clock
    from store import Connection
    from store.quarantine import Held, Replay, Selection

quarantine = typer.Typer(help="Messages that could not be read, and reading them again.", no_args_is_help=True)

_STEP = 200
_STEP_BYTES = 4_000_000
_SAY_SECONDS = 5.0

_Reason = Annotated[str | None, typer.Option(help="Only of this reason (docs/ingest.md).")]
_Device = Annotated[str | None, typer.Option(help="Only of this device, as it names itself.")]
_Since = Annotated[str | None, typer.Option(help="Only received since then (town time): 2026-06-01 or with a time.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@quarantine.command("list")
def show(reason: _Reason = None, device: _Device = None, since: _Since = None, as_json: _Json = False) -> None:
    """Reasons with how many messages wait, newest first."""
    from store import connect
    from store.quarantine import groups

    known = settings()
    with connect(known.need("worker_dsn"), name="quarantine list") as conn:
        municipality_id, selection = _meant(conn, reason, device, since)
        found = groups(conn, municipality_id, selection)
    total = sum(group.messages for group in found)
    if as_json:
        reasons = [
            {
                "reason": group.reason,
                "messages": group.messages,
                "senders": group.senders,
                "oldest": group.oldest.isoformat(),
                "newest": group.newest.isoformat(),
            }
            for group in found
        ]
        typer.echo(json.dumps({"total": total, "reasons": reasons}))
        return
    for group in found:
        typer.echo(
            f"{group.messages:>9,}  {group.reason:<16} {group.senders:>6,} senders  "
            f"{group.oldest:%Y-%m-%d %H:%M}Z to {group.newest:%Y-%m-%d %H:%M}Z"
        )
    typer.echo(f"{total:>9,}  messages wait" if total else "no message waits", err=not total)


@quarantine.command("replay")
def replay(
    reason: _Reason = None,
    device: _Device = None,
    since: _Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen; nothing is changed.")] = False,
    as_json: _Json = False,
) -> None:
    """Read messages again after their cause was mended. It may be called again: what is there stays as it is."""
    from mimamori.logs import configure_logs
    from store import connect

    configure_logs("quarantine")
    known = settings()
    with connect(known.need("worker_dsn"), name="quarantine replay") as conn:
        municipality_id, selection = _meant(conn, reason, device, since)
        if dry_run:
            _say_dry(_tried(conn, municipality_id, selection), as_json=as_json)
        else:
            _say(_done(conn, municipality_id, selection), as_json=as_json)


def _meant(conn: Connection, reason: str | None, device: str | None, since: str | None) -> tuple[int, Selection]:
    from mimamori import rooms
    from store.quarantine import Selection
    from store.registry import municipality_id_of

    code = rooms.municipality_of(settings(), settings().need("worker_dsn"))
    municipality_id = municipality_id_of(conn, code)
    if municipality_id is None:
        raise InputError(f"municipality {code} is not in the database: load its town file first")
    row = conn.execute("select timezone from municipality where municipality_id = %s", (municipality_id,)).fetchone()
    assert row is not None
    return municipality_id, Selection(reason, device, since=None if since is None else _time(since, row[0]))


def _time(text: str, zone: str) -> datetime:
    """A time in the town's zone, unless it names another."""
    from zoneinfo import ZoneInfo

    try:
        said = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--since {text}: write it as 2026-06-01 or 2026-06-01T09:00") from error
    return said if said.tzinfo is not None else said.replace(tzinfo=ZoneInfo(zone))


def _done(conn: Connection, municipality_id: int, selection: Selection) -> Replay | None:
    """Leaves the wish and fulfils it, or sees it fulfilled."""
    from ingest.replay import Replaying
    from ingest.settle import KnownDevices
    from store.quarantine import ask
    from store.quarantine import replay as standing
    from store.town_clock import load_clock

    clock = load_clock(conn)
    wish = ask(conn, municipality_id, selection, now=clock.now(), user_id=None)
    conn.commit()
    if wish is None:
        return None
    with closing(KnownDevices(municipality_id)) as devices:
        replaying = Replaying(devices, clock, _possible())
        said = time.monotonic()
        while wish.finished_at is None:
            if not replaying.step(conn):
                time.sleep(0.1)  # a worker has it in hand
            wish = standing(conn, wish.replay_id)
            conn.commit()
            if time.monotonic() - said >= _SAY_SECONDS:
                said = time.monotonic()
                typer.echo(f"{wish.done:,} of {wish.total:,} messages", err=True)
    return wish


def _tried(conn: Connection, municipality_id: int, selection: Selection) -> Counter[tuple[str, str | None]]:
    """(outcome, reason) -> messages, as it would be now."""
    from devices.codecs.javascript import Sandbox
    from ingest.replay import read_again
    from store.registry import load_directory

    directory = load_directory(conn, municipality_id)
    possible = _possible()
    found: Counter[tuple[str, str | None]] = Counter()
    with Sandbox() as sandbox:
        for message in _held(conn, municipality_id, selection):
            row = read_again(message, directory, possible, sandbox)
            found[row.outcome.value, row.reason] += 1
    return found


def _held(conn: Connection, municipality_id: int, selection: Selection) -> Iterator[Held]:
    from store.quarantine import held

    after = 0
    while some := held(
        conn, municipality_id, selection, after=after, through=2**63 - 1, limit=_STEP, max_bytes=_STEP_BYTES
    ):
        yield from some
        after = some[-1].uplink_id
        conn.commit()


def _possible() -> Clock:
    """Which times of a device can be, as the ingest worker has it."""
    from dataclasses import replace

    from quality.gate import CLOCK

    return replace(CLOCK, behind=settings().oldest_days * 86400.0)


def _say(wish: Replay | None, *, as_json: bool) -> None:
    counts = {
        name: 0 if wish is None else getattr(wish, name) for name in ("accepted", "event", "duplicate", "quarantined")
    }
    if as_json:
        ids = {"replay": None if wish is None else wish.replay_id, "total": 0 if wish is None else wish.done}
        typer.echo(json.dumps(ids | counts))
    elif wish is None:
        typer.echo("nothing to read again")
    else:
        repeated = f", {wish.duplicate:,} said what another message had brought" if wish.duplicate else ""
        typer.echo(
            f"{wish.done:,} messages read again: {wish.accepted + wish.event:,} stored{repeated}, "
            f"{wish.quarantined:,} still cannot be read"
        )


def _say_dry(found: Counter[tuple[str, str | None]], *, as_json: bool) -> None:
    would = dict.fromkeys(("accepted", "event", "quarantined"), 0)
    reasons: Counter[str] = Counter()
    for (outcome, reason), n in found.items():
        would[outcome] += n
        if reason is not None:
            reasons[reason] += n
    if as_json:
        typer.echo(json.dumps({"total": found.total(), "would": would, "reasons": dict(reasons.most_common())}))
        return
    typer.echo(f"of {found.total():,} messages {would['accepted'] + would['event']:,} would be stored now")
    for reason, n in reasons.most_common():
        typer.echo(f"{n:>9,}  still {reason}")
