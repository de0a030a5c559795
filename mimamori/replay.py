"""`mimamori replay`: a recorded river through a real broker, ingest, analytics and alerts, on a simulated clock.

DATA holds a town of its own: database, broker, logs. Without one it is a temporary folder, removed at the end.
The town's clock: at `--speed N` it starts with the recording and runs N times as fast, and each value is sent when it
is due; at `--speed max` it starts an hour after the recording's end, so that no value lies in the future, and
everything is sent as fast as the broker takes it. Alerts judge by the observations' own times, so both give the same.

The JSON object:

    rows, columns, cells       of the recording; cells = rows x columns, empty ones included
    empty, published           cells without a value, for which nothing is sent; messages sent, one for each other cell
    stored, revised            values that are new in DATA, and that replaced another
    unchanged                  values that were there already
    rejected, errors           cells that are no values [{line, reason}], and messages that ingest could not read
    alerts, alerts_by_level    level alerts in DATA after the replay; {"0.5": how many of them reached that height, ...}
    seconds                    real time, the starting of database and broker included
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from devices.clock import ClockSetting, clock_from, real_now
from devices.model import Town
from ingest.broker import Broker
from mimamori.embedded import (
    BrokerChoice,
    caught_up,
    child_environment,
    listening,
    refuse_real_channels,
    start_rooms,
    start_storage,
)
from mimamori.errors import InputError, StartError
from mimamori.places import sole_user
from mimamori.stopping import interruptible
from mimamori.supervisor import Supervisor
from simulators.config import SimulatorConfig
from simulators.errors import SimulatorError
from simulators.replay import Levels, Reading, Recording, frames, publish, read_recording, town_of
from store import Connection, connect
from store.errors import TownConflict
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

_ROOMS = ("ingest", "analytics", "alerts")
_LOOK_EVERY = 0.3
_LOOK_SHARE = 10  # looking counts every message: it may take a tenth of the database's time, not more
# Nothing new stored for so long, though all is sent: something has stopped for good.
_STALLED_SECONDS = 120.0
_AFTER_THE_END = timedelta(hours=1)
_MOST_ERRORS = 1000
_WORDS = {
    "cells": "記録の欄",
    "empty": "空欄",
    "published": "送信",
    "stored": "新規",
    "unchanged": "変更なし",
    "revised": "訂正",
    "rejected": "取込不可",
    "alerts": "水位アラート",
}


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the command line said. `speed` None: as fast as it goes. `data` None: a folder that is removed again."""

    folder: Path
    speed: float | None
    levels: Levels
    data: Path | None
    broker: BrokerChoice
    neighbour_unit: str | None
    max_rate: float | None
    stuck_after: timedelta | None
    as_json: bool


def replay(options: ReplayOptions, environment: Mapping[str, str]) -> int:
    """Replay, print what became of it, and return the exit code. InputError where the recording or DATA will not do."""
    began = time.monotonic()
    refuse_real_channels(environment, "a replayed flood is over long ago")
    try:
        recording = read_recording(options.folder, neighbour_unit=options.neighbour_unit)
        town = town_of(recording, options.levels, max_rate=options.max_rate, stuck_after=options.stuck_after)
    except SimulatorError as error:
        raise InputError(str(error)) from error
    if recording.ignored:
        _say(f"columns that dataset.json does not name are left out: {', '.join(recording.ignored)}")
    with _folder(options.data) as data, interruptible(), sole_user(data):
        try:
            with Supervisor(data / "logs", say=_say) as supervisor:
                report = _run(options, recording, town, data, environment, supervisor)
        except KeyboardInterrupt:
            _say("stopped before the end")
            return 130
    report["seconds"] = round(time.monotonic() - began, 1)
    if options.as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _show(report, recording)
    return 0


def _run(
    options: ReplayOptions,
    recording: Recording,
    town: Town,
    data: Path,
    environment: Mapping[str, str],
    supervisor: Supervisor,
) -> dict[str, Any]:
    server, broker = start_storage(data, options.broker, environment, supervisor, say=_say)
    migrate(server.dsn("owner"))
    with connect(server.dsn("owner"), name="replay") as conn:
        _register(conn, town, data)
        town_start = recording.start if options.speed else recording.end + _AFTER_THE_END
        setting = ClockSetting(simulated=True, real_start=real_now(), town_start=town_start, speed=options.speed or 1.0)
        write_clock(conn, setting)
    span = recording.end - recording.start
    child = child_environment(environment, server, broker, OLDEST_DAYS=str(span.days + 365))
    start_rooms(_ROOMS, child, supervisor)
    with connect(server.dsn("owner"), name="replay", autocommit=True) as conn:
        supervisor.wait(lambda: listening(conn, town_start), what="ingest", timeout=60)
        before = _Before.of(conn)
        seen = Reading()
        sender = _Sender(broker.broker, recording, seen, setting if options.speed else None)
        published = _follow(conn, sender, recording, supervisor, quiet=options.as_json)
        quarantined = before.quarantined_since(conn)
        stored, revised = before.stored_since(conn)
        levels = conn.execute("select peak_level from alert where rule = 'level' and mode = 'actual'")
        alerts = [row[0] for row in levels]
    errors = seen.rejected[:_MOST_ERRORS]
    return {
        "rows": recording.rows,
        "columns": len(recording.columns),
        "cells": recording.cells,
        "empty": seen.empty,
        "published": published,
        "stored": stored,
        "unchanged": published - stored - revised - quarantined,
        "revised": revised,
        "rejected": quarantined + len(seen.rejected),
        "errors": [{"line": line, "reason": reason} for line, reason in errors],
        "alerts": len(alerts),
        "alerts_by_level": {
            f"{height:g}": sum(peak >= level for peak in alerts) for level, height in options.levels.numbered().items()
        },
    }


def _register(conn: Connection, town: Town, data: Path) -> None:
    """Make the town, or find it as an earlier replay of the same recording made it."""
    other = f"{data} holds another town; take another folder for this replay"
    codes = {row[0] for row in conn.execute("select code from municipality")}
    if codes - {town.municipality.code}:
        raise InputError(other)
    known = {row[0] for row in conn.execute("select code from station")}
    if known and known != {station.code for station in town.stations}:
        raise InputError(other)
    wanted = sum(len(station.thresholds) for station in town.stations)
    row = conn.execute("select count(*) from threshold_set").fetchone()
    levels = f"{data} holds a replay with other levels, by which it was judged; take another folder"
    if known and row != (wanted,):
        raise InputError(levels)
    try:
        sync_town(conn, town)
    except TownConflict as error:
        raise InputError(levels) from error


class _Sender:
    """Publishes in a thread of its own, so that the processes can be tended meanwhile."""

    def __init__(self, broker: Broker, recording: Recording, seen: Reading, setting: ClockSetting | None) -> None:
        self._config = SimulatorConfig(
            host=broker.host,
            port=broker.port,
            username=broker.username,
            password=broker.password,
            client_id="mimamori-replay",
        )
        self._cells = frames(recording, seen)
        self._clock = None if setting is None else clock_from(setting)
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._published: int | None = None
        self._thread = threading.Thread(target=self._publish, name="replay", daemon=True)

    def __enter__(self) -> _Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(15)

    @property
    def published(self) -> int | None:
        """How many messages were sent, None as long as it lasts. StartError where it went wrong."""
        if self._failure is not None:
            raise StartError(str(self._failure)) from self._failure
        return self._published

    def _publish(self) -> None:
        try:
            self._published = publish(self._config, self._cells, self._clock, self._stop)
        except Exception as failure:  # raised to whoever asks
            self._failure = failure


class _Before:
    """What DATA held before, to tell this run's rows from earlier ones; the rest stands in a temporary table."""

    def __init__(self, messages: int, observations: int, revisions: int) -> None:
        self._messages = messages
        self._observations = observations
        self._revisions = revisions

    @classmethod
    def of(cls, conn: Connection) -> _Before:
        conn.execute("create temporary table earlier as select uplink_id, repeats from uplink")
        conn.execute("create unique index on earlier (uplink_id)")
        conn.execute("analyze earlier")
        return cls(_messages(conn), *_values(conn))

    def quarantined_since(self, conn: Connection) -> int:
        return _count(
            conn,
            "select count(*) from uplink where outcome = 'quarantined' "
            "and uplink_id not in (select uplink_id from earlier)",
        )

    def stored_since(self, conn: Connection) -> tuple[int, int]:
        """(new values, values that replaced another or lost against it)."""
        observations, revisions = _values(conn)
        return observations - self._observations, revisions - self._revisions


def _follow(conn: Connection, sender: _Sender, recording: Recording, supervisor: Supervisor, *, quiet: bool) -> int:
    """Tend the town until everything is sent, stored and judged; returns how many messages were sent."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), disable=quiet,
    )  # fmt: skip
    began = _messages(conn)
    arrived, changed_at = 0, time.monotonic()
    with bar, sender:
        task = bar.add_task(recording.name, total=recording.cells)
        while True:
            supervisor.tend()
            published = sender.published
            looked = time.monotonic()
            now = _messages(conn) - began
            look = time.monotonic() - looked
            if now != arrived:
                arrived, changed_at = now, time.monotonic()
            bar.update(task, completed=arrived, total=recording.cells if published is None else published)
            if published is not None:
                if arrived >= published and _settled(conn, published):
                    return published
                if time.monotonic() - changed_at > _STALLED_SECONDS:
                    raise StartError(f"{arrived} of {published} messages have arrived, and no more come: see DATA/logs")
            time.sleep(max(_LOOK_EVERY, _LOOK_SHARE * look))


def _settled(conn: Connection, published: int) -> bool:
    """Whether each message has its outcome (one delivered twice does not stand for another) and all is judged."""
    touched = _count(
        conn,
        "select count(*) from uplink u left join earlier e using (uplink_id) "
        "where e.uplink_id is null or u.repeats > e.repeats",
    )
    return touched >= published and caught_up(conn)


def _messages(conn: Connection) -> int:
    """Deliveries that have reached their outcome, repetitions included."""
    return _count(conn, "select count(*) + coalesce(sum(repeats), 0) from uplink")


def _values(conn: Connection) -> tuple[int, int]:
    return _count(conn, "select count(*) from observation"), _count(conn, "select count(*) from observation_revision")


def _count(conn: Connection, query: Any) -> int:
    row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _show(report: Mapping[str, Any], recording: Recording) -> None:
    console = Console(highlight=False)
    table = Table(title=f"【模擬】{recording.name}: {report['seconds']:g} s", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for key, words in _WORDS.items():
        table.add_row(f"{key} {words}", str(report[key]))
    for height, alerts in report["alerts_by_level"].items():
        table.add_row(f"  {height} m", str(alerts))
    console.print(table)
    for error in report["errors"][:20]:
        console.print(f"line {error['line']}: {error['reason']}", markup=False)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="mimamori-replay-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
