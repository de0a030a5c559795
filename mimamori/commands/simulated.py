"""`mimamori demo`, `simulate`, `simulate-history`, `replay`: towns that are not real, or whose time is not."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mimamori.broker_kind import BrokerKind
from mimamori.commands import settings, stop_event

# The demo tells how long a person waited: from here, a tenth of a second after the command began.
_STARTED = time.monotonic()

simulated = typer.Typer()
_NO_SIM_CARDS = (
    "the scenario carrier is about senders with a SIM card, which the demo's town has none of: "
    "mimamori simulate --scenario carrier --devices 150 --mixed has some"
)


# The same words as in simulators.config (a test compares them), without importing that room.
class Scenario(StrEnum):
    NORMAL = "normal"
    LEAK = "leak"
    BURST = "burst"
    VALVE = "valve"
    FESTIVAL = "festival"
    FLOOD = "flood"
    GATEWAY = "gateway"
    CARRIER = "carrier"
    WEAR = "wear"


@simulated.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the pages on this machine; 0 takes a free one.")] = 8000,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for everything the demo keeps; it goes on from there. [default: the user's]"),
    ] = None,
    scenario: Annotated[Scenario, typer.Option(help="What happens in the town.")] = Scenario.FLOOD,
    speed: Annotated[
        float | None, typer.Option(help="Town seconds a second. [default: 60; headless: as --for needs]", min=0.001)
    ] = None,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    headless: Annotated[
        bool, typer.Option("--headless", help="For scripts: run for so many seconds, judge, print JSON.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--for", help="With --headless: seconds from the first page on. [default: 60]", min=20.0),
    ] = None,
    history_days: Annotated[
        int, typer.Option(help="At the first start: days of history; visitors have 13 months for 60.", min=0)
    ] = 60,
    seed: Annotated[
        int, typer.Option(help="Chance: another seed is another town's luck, the same one repeats it.")
    ] = 1,
) -> None:
    """Show a fictional town, alive: database, broker, devices, alerts and pages, all in DATA."""
    from mimamori.demo import show
    from mimamori.places import usual_folder
    from mimamori.running import DemoOptions

    if seconds is not None and not headless:
        raise typer.BadParameter("--for goes with --headless")
    if scenario is Scenario.CARRIER:
        raise typer.BadParameter(_NO_SIM_CARDS)
    options = DemoOptions(
        data=usual_folder(os.environ) / "demo" if data is None else data,
        port=port,
        scenario=scenario.value,
        speed=speed,
        broker=broker.value,
        seconds=(seconds or 60.0) if headless else None,
        started=_STARTED,
        history_days=history_days,
        seed=seed,
    )
    raise typer.Exit(show(options, os.environ))


@simulated.command()
def simulate(
    scenario: Annotated[Scenario, typer.Option(help="What happens in the town.")] = Scenario.NORMAL,
    origin: Annotated[
        datetime | None, typer.Option(help="Town time (UTC) at which the scenario begins. [default: now]")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Town time (UTC): tell first, as fast as it goes, what has been since. [default: now]"),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Write every message sent to this file, a JSON object a line.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Write all that goes wrong or happens to this file, a JSON object a line.")
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(help="A larger town of the same kind, with so many. [default: the demo's]", min=1, max=100_000),
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="With --devices: the further ones speak over four networks.")
    ] = False,
    faults: Annotated[
        float, typer.Option(help="Devices and gateways break so many times as often as usual.", min=0.0, max=10_000.0)
    ] = 0.0,
    sigfox: Annotated[
        str | None, typer.Option(metavar="URL", help="Where Sigfox posts, such as http://localhost:8000/intake/NAME.")
    ] = None,
    sigfox_secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="... and the file with the secret of that source.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Chance: another seed is another town's luck, the same one repeats it.")
    ] = 1,
    show: Annotated[bool, typer.Option("--list", help="Say what the scenarios are, and end.")] = False,
) -> None:
    """Be the devices of the demo's town: publish their uplinks to the broker on the town's clock."""
    if show:
        from simulators.config import SENTENCES

        width = max(map(len, SENTENCES))
        typer.echo("\n".join(f"{name:<{width}}  {sentence}" for name, sentence in SENTENCES.items()))
        return
    if mixed and devices is None:
        raise typer.BadParameter("--mixed goes with --devices")
    if scenario is Scenario.CARRIER and not mixed:
        raise typer.BadParameter(_NO_SIM_CARDS)
    from mimamori import rooms

    rooms.run_simulator(
        settings(),
        stop_event("simulate"),
        scenario=scenario.value,
        origin=origin and origin.replace(tzinfo=UTC),
        since=since and since.replace(tzinfo=UTC),
        ledger=ledger,
        truth=truth,
        devices=devices,
        mixed=mixed,
        faults=faults,
        sigfox=sigfox,
        sigfox_secret=sigfox_secret,
        seed=seed,
    )


@simulated.command("simulate-history")
def simulate_history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the files.")],
    until: Annotated[datetime, typer.Option(help="Town time (UTC) of the last line.")],
    scenario: Annotated[Scenario, typer.Option(help="What happens in the town.")] = Scenario.NORMAL,
    origin: Annotated[
        datetime | None, typer.Option(help="Town time (UTC) at which the scenario begins. [default: --until]")
    ] = None,
    days: Annotated[int, typer.Option(help="So many days of levels, rain and water.", min=1)] = 60,
    visit_days: Annotated[int, typer.Option(help="So many days of visitors.", min=1)] = 396,
    part: Annotated[str, typer.Option(help="1/2 or 2/2: half of the files, for two processes at once.")] = "1/1",
    seed: Annotated[
        int, typer.Option(help="Chance: another seed is another town's luck, the same one repeats it.")
    ] = 1,
) -> None:
    """Write the past of the demo's town as CSV files with their maps, as `import-csv` reads them."""
    from mimamori import rooms

    written = rooms.write_history(
        folder,
        scenario=scenario.value,
        origin=origin and origin.replace(tzinfo=UTC),
        until=until.replace(tzinfo=UTC),
        days=days,
        visit_days=visit_days,
        part=_part(part),
        seed=seed,
    )
    typer.echo("\n".join(str(file) for file in written))


@simulated.command()
def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with dataset.json and series.csv.")],
    speed: Annotated[str, typer.Option(help="Town seconds a second, or max: as fast as it goes.")] = "max",
    levels: Annotated[str, typer.Option(help="Reference levels of the target in m, for example 0.5,0.7,0.9.")] = "",
    clear_margin: Annotated[float, typer.Option(help="An alert clears so many m below its level.", min=0.0)] = 0.10,
    hold: Annotated[float, typer.Option(help="... and after so many minutes there.", min=0.0)] = 0.0,
    neighbour_unit: Annotated[
        str | None, typer.Option(help="Unit of the neighbours' levels: m, cm, mm, ft. [default: the target's]")
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Doubt levels that change by more m/h. [default: do not check]", min=0.0)
    ] = None,
    stuck_after: Annotated[
        float | None, typer.Option(help="Doubt levels that stand still for so many hours. [default: do not]", min=0.1)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the town in this folder. [default: a temporary one, removed]")
    ] = None,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Send a recorded river through a broker of its own, on a simulated clock, and say what became of it."""
    from mimamori.replay import ReplayOptions
    from mimamori.replay import replay as run_replay
    from simulators.errors import SimulatorError
    from simulators.replay import Levels

    try:
        heights = tuple(float(height) for height in levels.split(",") if height.strip())
        wanted = Levels(heights, clear_margin, timedelta(minutes=hold))
    except ValueError as error:
        raise typer.BadParameter("--levels must be numbers with commas between them, such as 0.5,0.7,0.9") from error
    except SimulatorError as error:
        raise typer.BadParameter(str(error)) from error
    options = ReplayOptions(
        folder=folder,
        speed=_speed(speed),
        levels=wanted,
        data=data,
        broker=broker.value,
        neighbour_unit=neighbour_unit,
        max_rate=max_rate,
        stuck_after=None if stuck_after is None else timedelta(hours=stuck_after),
        as_json=as_json,
    )
    raise typer.Exit(run_replay(options, os.environ))


def _speed(text: str) -> float | None:
    """Town seconds a second; None for max."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1e6:
        raise typer.BadParameter("--speed must be a number such as 600, or max")
    return speed


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise typer.BadParameter("--part must be written like 1/2")
    return int(number), int(of)
