"""A demo without people: runs its seconds, acknowledges alerts as the officer on duty, and judges what happened.

The last line on stdout is one JSON object about this run alone (DATA may hold earlier ones):

    stored                 {"river", "water", "tourism"}: observations stored, of each kind of station
    alerts                 alerts raised; acknowledged, cleared: how many of these went on to that
    complete               alerts that were raised, then acknowledged by a person, then cleared
    alerts_by_desk         {"disaster", "water", "tourism"}: of these, level crossings; bursts and night-flow steps;
                           counts far from usual and blocked counters
    seconds_to_first_page  real seconds from the command to the first page that answered
    seconds, town_hours    how long it ran from the first page on, in real and in town time
    sent, lost_on_air      uplinks the broker has acknowledged, and those that nobody heard, by the devices' ledger
    duplicates             how many of those sent were repetitions
    outcomes               what became of the messages that arrived
    restarts, rss_mb       of each process; the most memory it had (`mimamori.consumption`)

The exit code is 0 when all three kinds stored observations, at least one alert is complete and, in the scenario flood,
each desk had one of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import typer

from alerts.shards import NAME as ALERTS
from analytics.service import NAME as ANALYTICS
from devices.clock import Clock
from mimamori.consumption import memory as memory_of
from mimamori.duty import DutyOfficer
from mimamori.running import Demo
from store import Connection, connect
from store.feed import newest_id

_KINDS = {"river": "river_gauge", "water": "block_inlet", "tourism": "visitor_spot"}
_DESKS = {
    "disaster": ("level",),
    "water": ("burst", "night_flow", "inflow_rise", "leak_suspect", "leak_sound"),
    "tourism": ("visits", "counter"),
}
# Kept back from the run's seconds for the messages under way when the devices fall silent.
_LAST_SECONDS = 3.0
_PATIENCE = 30.0  # seconds for what is under way to arrive


def watch(demo: Demo, *, seconds: float) -> int:
    """Run so many seconds from the first page on, print the JSON object, and return the exit code."""
    first_page = demo.age()
    end = first_page + seconds
    officer = DutyOfficer(demo.url, demo.officer.login, demo.officer.password, say=demo.say)
    memory: dict[str, float] = {}
    next_look = 0.0
    with officer.on_duty():
        while (now := demo.age()) < end - _LAST_SECONDS:
            demo.supervisor.tend()
            if now >= next_look:
                next_look = now + 0.5
                for name, megabytes in memory_of(demo.supervisor.pids()).items():
                    memory[name] = max(megabytes, memory.get(name, 0.0))
            time.sleep(0.1)
        with connect(demo.server.dsn("owner"), name="headless", autocommit=True) as conn:
            _catch_up(conn, demo)
    restarts = demo.supervisor.restarts()  # of all; what has ended for good is not counted later
    demo.supervisor.end("devices")
    demo.supervisor.end("alerts")  # it would soon find, rightly and on a fast clock, that all devices are silent
    with connect(demo.server.dsn("owner"), name="headless", autocommit=True) as conn:
        demo.supervisor.wait(_Settled(conn, demo.clock), what="the end of the messages under way", timeout=_PATIENCE)
        while demo.age() < end:
            demo.supervisor.tend()
            time.sleep(0.05)
        result = _judge(conn, demo) | {
            "seconds_to_first_page": round(first_page, 1),
            "seconds": round(demo.age() - first_page, 1),
            "restarts": restarts | demo.supervisor.restarts(),
            "rss_mb": {name: round(megabytes) for name, megabytes in memory.items()},
        }
    typer.echo(json.dumps(result, ensure_ascii=False))
    return 0 if _as_it_should_be(result, demo.options.scenario) else 1


def _as_it_should_be(result: Mapping[str, Any], scenario: str) -> bool:
    desks = min(result["alerts_by_desk"].values()) > 0 or scenario != "flood"
    return min(result["stored"].values()) > 0 and result["complete"] > 0 and desks


def _catch_up(conn: Connection, demo: Demo) -> None:
    """Until what was sent by now is stored and judged: a slow machine is behind, and a database just started again."""

    def true(query: str, *values: object) -> bool:
        return bool(_row(conn, query, *values)[0])

    sent = [line for line in _lines(demo.ledger) if line["what"] == "sent" and line["event"] == "up"]
    for line in sent[-1:]:
        stored = "select exists (select from uplink where device_key = %s and session = %s and counter = %s)"
        last = partial(true, stored, line["device"], line["session"], line["counter"])
        demo.supervisor.wait(last, what="what was sent last", timeout=_PATIENCE)
    for name in (ANALYTICS, ALERTS):  # in this order: what the first finds the second is to judge
        followed = "select coalesce(max(feed_id), 0) >= %s from feed_cursor where consumer = %s"
        demo.supervisor.wait(
            partial(true, followed, newest_id(conn), name), what=f"what {name} had to judge", timeout=_PATIENCE
        )


class _Settled:
    """True once ingest has been listening for a second in which no message arrived."""

    def __init__(self, conn: Connection, clock: Clock) -> None:
        self._conn = conn
        self._clock = clock
        self._seen: tuple[Any, ...] = ()
        self._since = time.monotonic()

    def __call__(self) -> bool:
        lately = self._clock.now() - timedelta(seconds=3 * self._clock.speed)
        seen = _row(
            self._conn,
            "select coalesce(max(uplink_id), 0), coalesce(sum(repeats), 0), exists (select from ingest_worker "
            "where heartbeat_at > %s and listening_since is not null) from uplink",
            lately,
        )
        listening = seen[-1]
        if seen != self._seen or not listening:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > 1.0


def _judge(conn: Connection, demo: Demo) -> dict[str, Any]:
    stored: dict[str, int] = dict(
        conn.execute(
            """
            select s.kind, count(*)
            from observation o join datastream d using (datastream_id) join station s using (station_id)
            where o.uplink_id > %s and o.value is not null and d.drill_run is null group by s.kind
            """,
            (demo.before.uplink_id,),
        ).fetchall()
    )
    outcomes: dict[str, int] = dict(
        conn.execute(
            "select outcome::text, count(*) from uplink where uplink_id > %s group by outcome", (demo.before.uplink_id,)
        ).fetchall()
    )
    (outcomes["duplicate"],) = _row(
        conn, "select coalesce(sum(repeats), 0)::integer from uplink where uplink_id > %s", demo.before.uplink_id
    )
    alerts, acknowledged, cleared, complete = _row(
        conn,
        """
        select count(*), count(acknowledged_at), count(cleared_at),
               count(*) filter (where raised_at <= acknowledged_at and acknowledged_at <= cleared_at)
        from alert where alert_id > %s and mode = 'actual'
        """,
        demo.before.alert_id,
    )
    by_rule: dict[str, int] = dict(
        conn.execute(
            "select rule, count(*) from alert where alert_id > %s and mode = 'actual' group by rule",
            (demo.before.alert_id,),
        ).fetchall()
    )
    return {
        "stored": {name: stored.get(kind, 0) for name, kind in _KINDS.items()},
        "alerts": alerts,
        "acknowledged": acknowledged,
        "cleared": cleared,
        "complete": complete,
        "alerts_by_desk": {desk: sum(by_rule.get(rule, 0) for rule in rules) for desk, rules in _DESKS.items()},
        "town_hours": round((demo.clock.now() - demo.town_start).total_seconds() / 3600, 1),
        "outcomes": outcomes,
    } | _sent(demo.ledger)


def _sent(ledger: Path) -> dict[str, int]:
    lines = _lines(ledger)
    sent = [line for line in lines if line["what"] == "sent"]
    return {
        "sent": len(sent),
        "lost_on_air": sum(line["what"] == "lost" for line in lines),
        "duplicates": sum(line["copy"] > 0 for line in sent),
    }


def _lines(ledger: Path) -> list[dict[str, Any]]:
    """Those that are whole: the devices may be writing the last one."""
    return [json.loads(line) for line in ledger.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def _row(conn: Connection, query: str, *values: object) -> tuple[Any, ...]:
    row = conn.execute(query.encode(), values).fetchone()
    assert row is not None, "an aggregate gives a row"
    return row
