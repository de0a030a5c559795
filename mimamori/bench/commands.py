"""The command line of `mimamori bench`. Benches are imported when they run: the command line stays small."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mimamori.broker_kind import BrokerKind

bench = typer.Typer(help="Measure, with the limits in the same run.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@bench.callback()
def benches() -> None:
    """Measure, with the limits in the same run."""


@bench.command("town")
def town(
    devices: Annotated[int, typer.Option(help="Devices in the town.", min=1, max=20_000)] = 200,
    seconds: Annotated[
        float, typer.Option("--for", help="Seconds to watch it, and again with a page open.", min=1.0)
    ] = 600.0,
    history: Annotated[float, typer.Option(help="Days of history in its tables.", min=0.0, max=60.0)] = 15.0,
    speed: Annotated[float, typer.Option(help="Town seconds a second; 1 is a real town.", min=0.001)] = 1.0,
    mixed: Annotated[bool, typer.Option("--mixed", help="Its further devices speak over four networks.")] = False,
    settle: Annotated[float, typer.Option(help="Seconds from its start until it is watched.", min=0.0)] = 40.0,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    as_json: AsJson = False,
) -> None:
    """Memory and processor time of a whole town while nothing special happens, and whether it keeps up."""
    from mimamori.bench.report import give
    from mimamori.bench.town import TownBench, measure, rows

    asked = TownBench(devices, seconds, history, speed, broker.value, as_json, mixed, settle)
    figures = measure(asked, os.environ)
    title = f"【模擬】{figures['devices']} devices, {figures['seconds']:g} s at speed {speed:g}"
    give(figures, title, ("", "MB", "% of 2 cores", "% with a page"), rows(figures), as_json=as_json)


@bench.command("simulate")
def simulate(
    devices: Annotated[int, typer.Option(help="Devices in the town.", min=15, max=100_000)] = 100_000,
    hours: Annotated[float, typer.Option(help="Town hours of what they say.", min=0.1, max=240.0)] = 0.5,
    faults: Annotated[float, typer.Option(help="Times as many faults as usual.", min=0.0, max=10_000.0)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """How many messages a second the simulated devices can say, in one process and without a broker, and its memory."""
    from mimamori.bench.report import give
    from mimamori.bench.simulate import measure, rows

    figures = measure(devices, hours, faults)
    title = f"【模擬】{devices} devices over four networks, {hours:g} h of town time"
    give(figures, title, ("", ""), rows(figures), as_json=as_json)


@bench.command("ingest")
def ingest(
    messages: Annotated[int, typer.Option(help="Messages in each queue that is emptied.", min=1)] = 30_000,
    rounds: Annotated[int, typer.Option(help="How often each is measured.", min=1)] = 3,
    sensors: Annotated[int, typer.Option(help="Gauges that send them.", min=1, max=9999)] = 2000,
    backlog: Annotated[int, typer.Option(help="Readings that wait after the outage.", min=1)] = 288_000,
    rate: Annotated[int, typer.Option(help="Messages a second, for the time until their commit.", min=1)] = 1000,
    seconds: Annotated[float, typer.Option("--for", help="Seconds of these.", min=1.0)] = 20.0,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    as_json: AsJson = False,
) -> None:
    """How fast messages become committed rows, beside the C client on the same queue."""
    from mimamori.bench.ingest import IngestBench, measure
    from mimamori.bench.ingest_figures import rows
    from mimamori.bench.report import give

    figures = measure(IngestBench(messages, rounds, sensors, backlog, rate, seconds, broker.value), os.environ)
    title = f"{figures['broker']}, {rounds} rounds of {messages} messages"
    give(figures, title, ("", "", "target"), rows(figures), as_json=as_json)


@bench.command("leaks")
def leaks(
    blocks: Annotated[int, typer.Option(help="Simulated blocks, each with a seed of its own.", min=1)] = 6,
    days: Annotated[int, typer.Option(help="Days in which each is judged for bursts.", min=1, max=350)] = 28,
    each: Annotated[int, typer.Option(help="Bursts and leaks of each size in every block.", min=1)] = 16,
    bursts: Annotated[str, typer.Option(help="Sizes of sudden bursts, m3/h.")] = "2,4,6,8,10,15,20",
    leaks: Annotated[str, typer.Option(help="Sizes of leaks that open and stay, m3/h.")] = "0.5,1,2,3,4",
    seed: Annotated[int, typer.Option(help="The first block's seed; the others count on.")] = 1,
    as_json: AsJson = False,
) -> None:
    """How soon the waterworks rules find bursts and leaks in simulated blocks, and how often they are wrong."""
    from mimamori.bench.leaks import LeaksBench, measure, rows
    from mimamori.bench.report import bar, give

    options = LeaksBench(blocks, days, each, _sizes("--bursts", bursts), _sizes("--leaks", leaks), seed)
    with bar("blocks", quiet=as_json) as progress:
        figures = measure(options, progress)
    columns = ("", "n", "in time", "found", "median", "9 of 10")
    give(figures, f"【模擬】{blocks} blocks, {figures['seconds']:g} s", columns, rows(figures), as_json=as_json)


@bench.command("quality")
def quality(
    days: Annotated[
        int,
        typer.Option(help="Days of 1,000 series for the speed; with less than 365 no limit counts.", min=1, max=3650),
    ] = 365,
    series: Annotated[int, typer.Option(help="Simulated places for each kind of fault.", min=1, max=1000)] = 60,
    months: Annotated[
        int, typer.Option(help="Of 30 days, with faults, after one without; 0: only the speed.", min=0, max=24)
    ] = 2,
    seed: Annotated[int, typer.Option(help="Another seed is another town.")] = 1,
    as_json: AsJson = False,
) -> None:
    """How fast values are judged, and which simulated faults the gate and the learnt checks find."""
    from mimamori.bench.quality import QualityBench, measure, rows
    from mimamori.bench.report import bar, give

    with bar("pieces", quiet=as_json) as progress:
        figures = measure(QualityBench(days, series, months, seed), progress)
    columns = ("", "faults", "recall", "precision", "delay: values, time", "limit", "kept")
    title = f"【模擬】{series} places of each kind, {months} months, {figures['seconds']:g} s"
    give(figures, title, columns, rows(figures), as_json=as_json)


@bench.command("visitors")
def visitors(
    spots: Annotated[int, typer.Option(help="Simulated counters of each of the five kinds of spot.", min=1)] = 4,
    days: Annotated[int, typer.Option(help="Days in which each is judged.", min=1, max=1500)] = 396,
    seed: Annotated[int, typer.Option(help="Another seed is another town.")] = 1,
    ahead: Annotated[int, typer.Option(help="Spots that are looked ahead at; 0: none.", min=0, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """How often the visitor rules are wrong in simulated counters, and how long it takes to look ahead at spots."""
    from mimamori.bench.report import bar, give
    from mimamori.bench.visitors import VisitorsBench, measure, rows

    with bar("spots", quiet=as_json) as progress:
        figures = measure(VisitorsBench(spots, days, seed, ahead), progress)
    title = f"【模擬】{figures['spot_months']:g} spot-months, {figures['seconds']:g} s"
    give(figures, title, ("", "", "limit"), rows(figures), as_json=as_json)


@bench.command("alerts")
def alerts(
    rate: Annotated[int, typer.Option(help="Readings a second.", min=1)] = 1000,
    seconds: Annotated[float, typer.Option("--for", help="Seconds of these.", min=1.0)] = 60.0,
    backlog: Annotated[int, typer.Option(help="Readings that wait after an outage.", min=1)] = 288_000,
    live: Annotated[int, typer.Option(help="Readings a second beside that backlog.", min=1)] = 50,
    sensors: Annotated[int, typer.Option(help="Gauges of the town.", min=40, max=9999)] = 2000,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    rules: Annotated[int, typer.Option(help="Gauges with a rule each, judged with the database.", min=10)] = 10_000,
    as_json: AsJson = False,
) -> None:
    """How long it takes from a reading that is sent to a notification that is handed over."""
    from mimamori.bench.alerts import AlertsBench, measure, rows
    from mimamori.bench.report import give

    figures = measure(AlertsBench(rate, seconds, backlog, live, sensors, broker.value, rules), os.environ)
    give(figures, f"{figures['broker']}, {sensors} gauges", ("", "", "target"), rows(figures), as_json=as_json)


@bench.command("store")
def store(
    rows: Annotated[int, typer.Option(help="Observations; 100,000,000 take about an hour.", min=100_000)] = 5_000_000,
    rounds: Annotated[int, typer.Option(help="How often each question is asked.", min=20)] = 200,
    dsn: Annotated[
        str | None,
        typer.Option(
            envvar="MIMAMORI_TEST_TIMESCALE_DSN",
            help="A superuser's address on a server with TimescaleDB, to measure there too.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What the questions of the API cost on millions of observations, and how much room a row takes."""
    from mimamori.bench.report import give
    from mimamori.bench.store import StoreBench, measure
    from mimamori.bench.store import rows as lines

    figures = measure(StoreBench(rows, rounds, dsn, quiet=as_json))
    title = f"【模擬】{figures['rows']:,} observations of {figures['stations']} stations, {figures['seconds']:g} s"
    give(figures, title, ("", "", "median", "95 %", "limit"), lines(figures), as_json=as_json)


@bench.command("fuzz")
def fuzz(
    messages: Annotated[int, typer.Option(help="Messages to settle; 1,000,000 take some minutes.", min=1)] = 100_000,
    seed: Annotated[int, typer.Option(help="Another seed brings other messages.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Damaged, repeated and made-up messages through the way in: has every one exactly one outcome?"""
    from mimamori.bench.fuzz import FuzzBench, measure
    from mimamori.bench.fuzz import rows as lines
    from mimamori.bench.report import bar, give

    with bar("messages", quiet=as_json) as progress:
        figures = measure(FuzzBench(messages, seed), progress)
    title = f"{messages:,} messages, {figures['seconds']:g} s"
    give(figures, title, ("", ""), lines(figures), as_json=as_json)
    if not figures["all_closed"]:
        raise typer.Exit(1)


@bench.command("posts")
def posts(
    messages: Annotated[int, typer.Option(help="Messages in each round.", min=1)] = 2000,
    senders: Annotated[
        int, typer.Option(help="Senders at once, each on a connection of its own.", min=1, max=200)
    ] = 16,
    rounds: Annotated[int, typer.Option(help="How often it is measured.", min=1)] = 3,
    as_json: AsJson = False,
) -> None:
    """How many messages a second the HTTP intake stores, beside a server that only answers."""
    from mimamori.bench.posts import PostsBench, measure
    from mimamori.bench.posts import rows as lines
    from mimamori.bench.report import give

    figures = measure(PostsBench(messages, senders, rounds, quiet=as_json))
    title = f"{rounds} rounds of {messages} messages by {senders} senders, {figures['seconds']:g} s"
    give(figures, title, ("", "", "target"), lines(figures), as_json=as_json)


@bench.command("compression")
def compression(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Recorded series: dataset.json and series.csv.")],
    server: Annotated[str, typer.Option(metavar="DSN", help="A superuser's address on a server with TimescaleDB.")],
    weeks: Annotated[
        int, typer.Option(help="Longer series count as several sensors side by side; 0: never.", min=0)
    ] = 52,
    as_json: AsJson = False,
) -> None:
    """Bytes a row on disk of recorded series: TimescaleDB by chunk interval and column order, PostgreSQL beside it."""
    from mimamori.bench.compression import measure, rows
    from mimamori.bench.report import bar, give

    with bar("variants", quiet=as_json) as progress:
        figures = measure(folder, server, weeks, progress)
    columns = ("chunks", "segment by", "order by", "bytes a row")
    title = f"{figures['rows']} rows of {figures['series']} series, {figures['seconds']:g} s"
    give(figures, title, columns, rows(figures), as_json=as_json)


@bench.command("codecs")
def codecs(
    decodes: Annotated[int, typer.Option(help="Decodes of each kind in a round.", min=100)] = 10_000,
    rounds: Annotated[int, typer.Option(help="How often each is measured; the best counts.", min=1)] = 3,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Decode the examples of a folder of codecs instead (`mimamori devices check`)."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How many messages a second manufacturers' JavaScript decodes in its process, and the memory it takes."""
    from mimamori.bench.codecs import CodecsBench, measure
    from mimamori.bench.codecs import rows as lines
    from mimamori.bench.report import bar, give

    with bar("rounds", quiet=as_json) as progress:
        figures = measure(CodecsBench(decodes, rounds, folder), progress)
    title = f"{rounds} rounds of {decodes:,} decodes by {figures['codecs']} codecs, {figures['seconds']:g} s"
    give(figures, title, ("", "", "limit"), lines(figures), as_json=as_json)


@bench.command("rivers")
def rivers(
    gauges: Annotated[int, typer.Option(help="Gauges to forecast.", min=1, max=10_000)] = 200,
    years: Annotated[
        float, typer.Option(help="Years of hourly values to learn one gauge from.", min=0.1, max=50.0)
    ] = 7.0,
    as_json: AsJson = False,
) -> None:
    """How long it takes to learn a river and to forecast many."""
    from mimamori.bench.report import give
    from mimamori.bench.rivers import measure
    from mimamori.bench.rivers import rows as lines

    figures = measure(gauges, years)
    give(figures, "Made-up rivers, one process", ("", "", "limit"), lines(figures), as_json=as_json)


@bench.command("import")
def imports(
    gauges: Annotated[int, typer.Option(help="Gauges in the file.", min=1, max=2000)] = 20,
    days: Annotated[int, typer.Option(help="Days of ten minutes of each.", min=1, max=399)] = 30,
    as_json: AsJson = False,
) -> None:
    """How long a file of recorded levels takes to come in, and the same file once more."""
    from mimamori.bench.imports import measure
    from mimamori.bench.imports import rows as lines
    from mimamori.bench.report import bar, give

    with bar("bytes", quiet=as_json) as progress:
        figures = measure(gauges, days, progress)
    title = f"【模擬】{figures['values']:,} values of {gauges} gauges"
    give(figures, title, ("", "", "limit"), lines(figures), as_json=as_json)


def _sizes(option: str, text: str) -> tuple[float, ...]:
    try:
        sizes = tuple(float(each) for each in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{option} must be numbers with commas between them, such as 2,4,10") from error
    if not all(0 < size <= 1000 for size in sizes) or len(set(sizes)) != len(sizes):
        raise typer.BadParameter(f"{option} must be different sizes above 0 and up to 1000 m3/h")
    return sizes
