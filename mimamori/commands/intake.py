"""`mimamori intake`: the sources that may bring messages by HTTP (docs/ingest.md), as the database's owner.

The secret of a new source goes to stdout, once; nobody can read it again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mimamori.commands import settings
from mimamori.errors import InputError

intake = typer.Typer(help="Who may bring messages by HTTP.", no_args_is_help=True)


# The same words as devices.envelopes.POSTED_KINDS (a test compares them), without importing that room.
class Kind(StrEnum):
    CHIRPSTACK_V4 = "chirpstack_v4"
    CHIRPSTACK_V3 = "chirpstack_v3"
    THE_THINGS_STACK_V3 = "the_things_stack_v3"
    HELIUM = "helium"
    ACTILITY = "actility"
    AWS_IOT_LORAWAN = "aws_iot_lorawan"
    SIGFOX = "sigfox"
    SORACOM = "soracom"
    MIMAMORI_V1 = "mimamori_v1"
    MAPPED = "mapped"


@intake.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Its name, which becomes part of the address: a-z 0-9 -.")],
    kind: Annotated[Kind, typer.Option(help="Whose JSON it posts; `mapped`: as its map says.")],
    municipality: Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")],
    per_minute: Annotated[int, typer.Option(help="So many messages a minute and no more.", min=1)] = 6000,
) -> None:
    """Make a source of messages and print its secret, once."""
    from ingest.errors import SourceError
    from ingest.sources import add_source
    from store import connect

    with connect(settings().need("owner_dsn"), name="intake add") as conn:
        try:
            secret = add_source(conn, name=name, kind=kind.value, municipality=municipality, per_minute=per_minute)
        except SourceError as error:
            raise InputError(str(error)) from error
    typer.echo(f"{name} may now post {kind.value} to /intake/{name}. Its secret, which is shown only this once:")
    typer.echo(secret)


@intake.command("list")
def show() -> None:
    """List the sources with when each last brought something (town time), revoked ones last."""
    from ingest.sources import list_sources
    from store import connect

    with connect(settings().need("owner_dsn"), name="intake list") as conn:
        entries = list_sources(conn)
    if not entries:
        typer.echo("no source yet: `mimamori intake add` makes one", err=True)
    for entry in entries:
        brought = "nothing yet" if entry.last_message_at is None else f"last {entry.last_message_at:%Y-%m-%d %H:%M}Z"
        revoked = "" if entry.revoked_at is None else f"  revoked {entry.revoked_at:%Y-%m-%d %H:%M}Z"
        typer.echo(
            f"{entry.municipality}  {entry.name}  {entry.kind}  {entry.per_minute}/min  "
            f"since {entry.created_at:%Y-%m-%d}  {brought}{revoked}"
        )


@intake.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Its name.")]) -> None:
    """End a source for ever; its name may be given again."""
    from ingest.errors import SourceError
    from ingest.sources import revoke_source
    from store import connect

    with connect(settings().need("owner_dsn"), name="intake revoke") as conn:
        try:
            revoke_source(conn, name)
        except SourceError as error:
            raise InputError(str(error)) from error
    typer.echo(f"{name} is refused from now on (a running API knows it within seconds)")
