"""`mimamori run ingest`, one worker or several, and `mimamori ingest drain` (docs/reliability.md)."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mimamori.commands import settings, stop_event

ingest = typer.Typer(help="The workers that take messages in.", no_args_is_help=True)


def run_ingest(
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="So many processes that share the messages. [default: MIMAMORI_INGEST_WORKERS, 1]"),
    ] = None,
) -> None:
    """From the broker into the database."""
    from mimamori import rooms
    from mimamori import workers as several

    known = settings()
    number = known.ingest_workers if workers is None else workers
    if number == 1:
        rooms.run_ingest(known, stop_event("ingest"))
    else:
        several.tend(known, number, stop_event("ingest workers"))


@ingest.command("drain")
def drain(
    worker: Annotated[str, typer.Argument(help="Its id, 0 to N-1.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Empty the session of a worker that is not to come back, and end it; the others go on meanwhile."""
    from mimamori import rooms

    found = rooms.drain_ingest(settings(), worker, stop_event("drain"))
    counts = {outcome.value: n for outcome, n in found.outcomes.items()}
    if as_json:
        typer.echo(json.dumps({"worker": worker, "messages": found.messages, "outcomes": counts}))
    else:
        told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())) or "nothing was waiting"
        typer.echo(f"worker {worker}: {found.messages} messages ({told}); its session has ended")
