"""`mimamori bench town`: what a whole town takes of a machine while nothing special happens.

A town of so many devices (`simulators.towns.larger`) with some days of history runs as the demo runs it - PostgreSQL,
broker, ingest, analytics, alerts, api - at real speed, its devices reporting at their usual intervals. When all of the
history is judged and the start is over, it is watched for `--for` seconds, and then as long again with one open page
of the disaster desk. The simulated devices are no part of a town and told apart; the bench itself does not count.

The JSON object:

    devices, stations, speed, broker   the town
    history_days, history_messages     what its tables held
    uplinks_an_hour                    what its devices send in an hour of that history
    seconds                            how long each of the two was watched
    rss_mb, rss_mb_total, rss_limit_mb          the most memory it had, in either (`mimamori.consumption`)
    cpu_share_of_2_cores, cpu_share_total, cpu_limit    processor time / (2 x seconds), without a page; 1 is both cores
    uplinks, stored                    messages and observations that arrived in these seconds
    with_page                          the same three with the page open, and what it did: {events, refreshes}
    apart                              {"devices": {rss_mb, cpu_share_of_2_cores}}, the simulated ones
    keeping_up                         whether the town keeps up with its devices (`mimamori.bench.keeping`)
    within_limits                      whether memory and processor time are

The watched time begins at a round half hour of the town, when most devices report: a short one is rather too busy.
Compare `uplinks` with `uplinks_an_hour`.

An hour of town time a minute is `--speed 60`: then processor time is no quiet town's any more, and `keeping_up` is what
counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.accounts import DEMO_ACCOUNTS, create_demo_users
from api.roles import Role
from devices.clock import ClockSetting, clock_from, real_now
from devices.model import Town
from devices.town import load_town
from ingest.sources import add_source
from mimamori.bench.keeping import Keeping
from mimamori.bench.page import OpenPage
from mimamori.bench.past import tell
from mimamori.bench.report import Row, bar, say
from mimamori.consumption import memory, processor_seconds
from mimamori.embedded import (
    BrokerChoice,
    answers,
    caught_up,
    child_environment,
    free_port,
    listening,
    refuse_real_channels,
    start_command,
    start_rooms,
    start_storage,
)
from mimamori.errors import StartError
from mimamori.places import sole_user
from mimamori.signed_in import SignedIn
from mimamori.stopping import interruptible
from mimamori.supervisor import Supervisor
from simulators.frames import CHIRPSTACK_V4
from simulators.towns import path as town_path
from simulators.towns.larger import MIXED, larger
from store import Connection, connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

RSS_LIMIT_MB = 1500.0
CPU_LIMIT = 0.10
CORES = 2
PARTS = ("postgres", "broker", "ingest", "analytics", "alerts", "api")

_ROOMS = ("ingest", "analytics", "alerts", "api")
# The watched time begins when most devices have something to say: a short one is rather too busy than too quiet.
_MARK = datetime(2026, 6, 20, 8, 30, tzinfo=UTC)
_LOOK_EVERY = 5.0
_APART = "devices"
_KEEPING = {
    "behind_s": "at most behind, s 遅れ",
    "queue": "at most waiting 待ち",
    "messages_a_second": "messages a second",
    "kept_up": "kept up 追いついた",
}


@dataclass(frozen=True, slots=True)
class TownBench:
    """What the command line said. `seconds` of each of the two times; `history` in days; `quiet`: no bar;
    `settle`: seconds before it is watched, in which imports, first queries and joins are over.
    """

    devices: int
    seconds: float
    history: float
    speed: float
    broker: BrokerChoice
    quiet: bool
    mixed: bool = False  # the further devices speak over four networks
    settle: float = 40.0

    @property
    def networks(self) -> tuple[str, ...]:
        return MIXED if self.mixed else (CHIRPSTACK_V4,)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What was seen in a time: megabytes and processor seconds of each process, and what arrived."""

    seconds: float
    megabytes: Mapping[str, float]
    most_megabytes: float
    processor: Mapping[str, float]
    uplinks: int
    stored: int
    keeping: Mapping[str, Any]

    def shares(self) -> dict[str, float]:
        """Of both cores, of each part of the town."""
        return {name: self.processor[name] / (CORES * self.seconds) for name in PARTS}


@dataclass(frozen=True, slots=True)
class _Running:
    supervisor: Supervisor
    server: EmbeddedServer
    url: str
    keeping: Keeping
    uplinks_an_hour: float | None


def measure(options: TownBench, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the bench; the figures. StartError where a part of the town does not start, or ends meanwhile."""
    refuse_real_channels(environment, "the bench's town is not real")
    town = larger(load_town(town_path()), options.devices, options.networks)
    with tempfile.TemporaryDirectory(prefix="mimamori-bench-", ignore_cleanup_errors=True) as made, interruptible():
        data = Path(made)
        with sole_user(data), Supervisor(data / "logs", say=say) as supervisor:
            return _measure(options, town, data, environment, supervisor)


def _measure(
    options: TownBench, town: Town, data: Path, environment: Mapping[str, str], supervisor: Supervisor
) -> dict[str, Any]:
    server, broker = start_storage(data, options.broker, environment, supervisor, say=say)
    migrate(server.dsn("owner"))
    with connect(server.dsn("owner"), name="bench") as conn:
        municipality_id = sync_town(conn, town)
        now = _start_clock(conn, options).town_start
        create_demo_users(conn, town.municipality.code)
        secret = data / "sigfox"
        if options.mixed:
            per_minute = 1_000_000
            posts = add_source(
                conn, name="sigfox", kind="sigfox", municipality=town.municipality.code, per_minute=per_minute
            )
            secret.write_text(posts, encoding="utf-8")
    with bar(f"{options.history:g} days of history", quiet=options.quiet) as progress:
        told = tell(
            server.dsn("owner"), municipality_id, options.devices, options.networks, now, options.history, progress
        )
    with connect(server.dsn("owner"), name="bench") as conn:
        # Again: it begins where the history ends, however long its telling took.
        clock = clock_from(_start_clock(conn, options))

    say("starting the town")
    port = free_port(0)
    url = f"http://127.0.0.1:{port}/"
    child = child_environment(environment, server, broker, HTTP_PORT=str(port), SECURE_COOKIES="false", DEMO="true")
    start_rooms(_ROOMS, child, supervisor)
    with connect(server.dsn("owner"), name="bench", autocommit=True) as conn:
        supervisor.wait(lambda: listening(conn, now), what="ingest", timeout=60)
        ledger = data / "ledger.jsonl"
        keeping = Keeping(conn, ledger, options.speed)
        keeping.begin()
        words = ["simulate", "--devices", str(options.devices), "--ledger", str(ledger)]
        supervisor.wait(lambda: answers(url), what="the first page", timeout=60)
        if options.mixed:
            words += ["--mixed", "--sigfox", f"{url}intake/sigfox", "--sigfox-secret", str(secret)]
        start_command(_APART, words, child, supervisor)
        an_hour = told / (24 * options.history) if options.history else None
        running = _Running(supervisor, server, url, keeping, an_hour)
        _rest(supervisor, (_MARK - clock.now()).total_seconds() / options.speed)
        # On a fast clock something new is always waiting: who has answered what was stored by now is there.
        stored = _count(conn, "select coalesce(max(feed_id), 0) from feed where kind = 'observations'")
        supervisor.wait(lambda: caught_up(conn, stored), what="analytics and alerts", timeout=120)
        say(f"watching {options.devices} devices for {options.seconds:g} s")
        quiet = _watch(running, options.seconds)
        desk = next(account for account in DEMO_ACCOUNTS if account.role is Role.DISASTER)
        page = OpenPage(SignedIn(url, desk.login, desk.password), "/disaster")
        say(f"... and {options.seconds:g} s with a page open")
        with_page = _watch(running, options.seconds, page.open())
    return _figures(options, town, broker.kind, told, quiet, with_page, page)


def _start_clock(conn: Connection, options: TownBench) -> ClockSetting:
    town_start = _MARK - timedelta(seconds=options.settle * options.speed)
    setting = ClockSetting(simulated=True, real_start=real_now(), town_start=town_start, speed=options.speed)
    write_clock(conn, setting)
    return setting


def _watch(running: _Running, seconds: float, meanwhile: AbstractContextManager[None] | None = None) -> _Watched:
    supervisor = running.supervisor
    with meanwhile or nullcontext():
        before = _newest(running.server)
        pids = supervisor.pids()
        worked, began = processor_seconds(pids), time.monotonic()
        most: dict[str, float] = {}
        total = 0.0
        running.keeping.forget()
        while (left := began + seconds - time.monotonic()) > 0:
            found = memory(pids)
            most = {name: max(megabytes, most.get(name, 0.0)) for name, megabytes in found.items()}
            total = max(total, sum(found.get(name, 0.0) for name in PARTS))
            running.keeping.look()
            _rest(supervisor, min(left, _LOOK_EVERY))
        now, took = processor_seconds(pids), time.monotonic() - began
    if supervisor.pids() != pids or set(now) != set(pids):
        raise StartError("a part of the town has ended while it was watched, so that the figures say nothing")
    uplinks, stored = _since(running.server, before)
    processor = {name: now[name] - worked[name] for name in now}
    running.keeping.look()
    keeping = running.keeping.figures(uplinks, took, running.uplinks_an_hour)
    return _Watched(took, most, total, processor, uplinks, stored, keeping)


def _rest(supervisor: Supervisor, seconds: float) -> None:
    """Wait, and tend the town."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        supervisor.tend()
        time.sleep(min(left, 0.5))


def _newest(server: EmbeddedServer) -> int:
    with connect(server.dsn("owner"), name="bench") as conn:
        return _count(conn, "select coalesce(max(uplink_id), 0) from uplink")


def _since(server: EmbeddedServer, uplink_id: int) -> tuple[int, int]:
    """Messages and observations that are newer."""
    with connect(server.dsn("owner"), name="bench") as conn:
        return (
            _count(conn, "select count(*) from uplink where uplink_id > %s", uplink_id),
            _count(conn, "select count(*) from observation where uplink_id > %s", uplink_id),
        )


def _count(conn: Connection, query: str, *values: object) -> int:
    row = conn.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


def _figures(
    options: TownBench, town: Town, broker: str, told: int, quiet: _Watched, with_page: _Watched, page: OpenPage
) -> dict[str, Any]:
    shares, shares_with_page = quiet.shares(), with_page.shares()
    most = {name: max(each.megabytes[name] for each in (quiet, with_page)) for name in quiet.megabytes}
    total = max(quiet.most_megabytes, with_page.most_megabytes)
    return {
        "devices": sum(len(station.devices) for station in town.stations),
        "stations": len(town.stations),
        "speed": options.speed,
        "broker": broker,
        "history_days": options.history,
        "history_messages": told,
        "uplinks_an_hour": round(told / (24 * options.history)) if options.history else None,
        "seconds": round(quiet.seconds, 1),
        "rss_mb": {name: round(most[name], 1) for name in PARTS},
        "rss_mb_total": round(total, 1),
        "rss_limit_mb": RSS_LIMIT_MB,
        "cpu_share_of_2_cores": _rounded(shares),
        "cpu_share_total": round(sum(shares.values()), 4),
        "cpu_limit": CPU_LIMIT,
        "uplinks": quiet.uplinks,
        "stored": quiet.stored,
        "keeping_up": dict(quiet.keeping),
        "with_page": {
            "cpu_share_of_2_cores": _rounded(shares_with_page),
            "cpu_share_total": round(sum(shares_with_page.values()), 4),
            "uplinks": with_page.uplinks,
            "stored": with_page.stored,
            "keeping_up": dict(with_page.keeping),
            "events": page.events,
            "refreshes": page.refreshes,
        },
        "apart": {
            _APART: {
                "rss_mb": round(most[_APART], 1),
                "cpu_share_of_2_cores": round(quiet.processor[_APART] / (CORES * quiet.seconds), 4),
            }
        },
        "within_limits": total <= RSS_LIMIT_MB and sum(shares.values()) <= CPU_LIMIT,
    }


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(share, 4) for name, share in shares.items()}


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as lines of a table: name, MB, and the two shares in percent."""
    paged, apart = figures["with_page"], figures["apart"]
    lines: list[Row] = [
        (
            name,
            f"{figures['rss_mb'][name]:.0f}",
            f"{100 * figures['cpu_share_of_2_cores'][name]:.2f}",
            f"{100 * paged['cpu_share_of_2_cores'][name]:.2f}",
        )
        for name in PARTS
    ]
    lines.append(
        (
            "whole town 町全体",
            f"{figures['rss_mb_total']:.0f}",
            f"{100 * figures['cpu_share_total']:.2f}",
            f"{100 * paged['cpu_share_total']:.2f}",
        )
    )
    lines.append(("limit 上限", f"{RSS_LIMIT_MB:.0f}", f"{100 * CPU_LIMIT:.2f}", ""))
    for name, taken in apart.items():
        lines.append((f"apart: {name}", f"{taken['rss_mb']:.0f}", f"{100 * taken['cpu_share_of_2_cores']:.2f}", ""))
    for name, words in _KEEPING.items():
        lines.append((words, "", str(figures["keeping_up"][name]), str(paged["keeping_up"][name])))
    lines.append(("messages 受信", "", str(figures["uplinks"]), str(paged["uplinks"])))
    lines.append(("observations 観測値", "", str(figures["stored"]), str(paged["stored"])))
    return lines
