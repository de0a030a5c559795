"""`mimamori source`: topics that a network leaves to its user, and whose they are (docs/ingest.md), as the owner.

What is posted by HTTP has sources of its own (`mimamori intake`); maps are drawn on the page /digital/sources.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mimamori.commands import settings
from mimamori.errors import InputError

if TYPE_CHECKING:
    from store.connection import Connection

source = typer.Typer(help="Which network speaks on which MQTT topics.", no_args_is_help=True)

_Municipality = Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")]


# The same words as devices.envelopes.MQTT_KINDS (a test compares them), without importing that room.
class MqttKind(StrEnum):
    CHIRPSTACK_V4 = "chirpstack_v4"
    CHIRPSTACK_V3 = "chirpstack_v3"
    THE_THINGS_STACK_V3 = "the_things_stack_v3"
    HELIUM = "helium"
    ACTILITY = "actility"
    AWS_IOT_LORAWAN = "aws_iot_lorawan"
    SORACOM = "soracom"
    MIMAMORI_V1 = "mimamori_v1"
    MAPPED = "mapped"


@source.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Its name: a-z 0-9 -.")],
    kind: Annotated[MqttKind, typer.Option(help="Whose JSON comes there; `mapped`: as its map says.")],
    topic: Annotated[str, typer.Option(help="The MQTT topic filter, as in town/aws/+.")],
    municipality: _Municipality,
) -> None:
    """Make a source of what comes on an MQTT topic; running ingest workers subscribe to it by themselves."""
    from store import connect
    from store.errors import RegistrationError
    from store.sources import add_mqtt_source
    from store.town_clock import load_clock

    with connect(settings().need("owner_dsn"), name="source add") as conn:
        try:
            add_mqtt_source(
                conn,
                _municipality_id(conn, municipality),
                name=name,
                topic_filter=topic,
                kind=kind.value,
                now=load_clock(conn).now(),
                user_id=None,
            )
        except RegistrationError as error:
            raise InputError(str(error)) from error
    typer.echo(f"{topic} is now read as {kind.value} (running ingest workers subscribe within seconds)")


@source.command("list")
def show(municipality: _Municipality) -> None:
    """List the sources of a municipality over MQTT and HTTP, with when each last brought something; ended ones last."""
    from store import connect
    from store.sources import list_sources

    with connect(settings().need("owner_dsn"), name="source list") as conn:
        entries = list_sources(conn, _municipality_id(conn, municipality))
    if not entries:
        typer.echo("no source yet: `mimamori source add` or `mimamori intake add` makes one", err=True)
    for entry in entries:
        brought = "nothing yet" if entry.last_message is None else f"last {entry.last_message:%Y-%m-%d %H:%M}Z"
        where = entry.topic_filter or f"/intake/{entry.name}"
        refused = "" if entry.refused is None else "  refused by the broker"
        ended = "" if entry.ended is None else f"  ended {entry.ended:%Y-%m-%d %H:%M}Z"
        typer.echo(f"{entry.way}  {entry.name}  {entry.kind}  {where}  {brought}{refused}{ended}")


@source.command("end")
def end(name: Annotated[str, typer.Argument(help="Its name.")], municipality: _Municipality) -> None:
    """End an MQTT source: nothing is read from its topics any more; what it has brought stays."""
    from store import connect
    from store.errors import RegistrationError
    from store.sources import end_mqtt_source
    from store.town_clock import load_clock

    with connect(settings().need("owner_dsn"), name="source end") as conn:
        try:
            end_mqtt_source(conn, _municipality_id(conn, municipality), name, now=load_clock(conn).now())
        except RegistrationError as error:
            raise InputError(str(error)) from error
    typer.echo(f"{name} has ended (running ingest workers leave its topics within seconds)")


def _municipality_id(conn: Connection, code: str) -> int:
    from store.registry import municipality_id_of

    found = municipality_id_of(conn, code)
    if found is None:
        raise InputError(f"there is no municipality {code}; register the town first")
    return found
