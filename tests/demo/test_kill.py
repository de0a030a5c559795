"""`kill -9` of ingest, twelve times in the middle of a headless demo that goes on where it was ended: nothing lost,
nothing twice.

In between, everybody else who keeps or moves data is killed once, the database included; not the broker, which may
lose what it has not yet saved.

python -m tests.demo.test_kill [ROUNDS]      the same as a command; prints the sums
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from store import connect
from store.embedded import EmbeddedServer
from tests.demo.conftest import Ended
from tests.demo.town_process import gone, town

ROUNDS = 12
SECONDS = 48.0  # a whole flood, however short: its clock is the faster for it
# After so many kills of ingest, the process of this name too.
OTHERS = {3: "analytics", 5: "alerts", 8: "api", 10: "postgres"}

Transmission = tuple[str, str, int]  # device, session, counter


@dataclass(frozen=True)
class Run:
    """What the command printed, what the devices wrote down, what the database holds."""

    code: int
    result: dict[str, Any]
    stderr: str
    left: list[str]
    kills: int
    sent: Counter[Transmission]
    unsent: set[Transmission]
    stored: Counter[Transmission]
    without_observations: int
    doubled_observations: int
    messages: int  # events too
    first: datetime  # by the town's clock
    last: datetime


def run(data: Path, *, rounds: int = ROUNDS, broker: str = "auto", after: int = 0) -> Run:
    """Runs the headless demo, killing ingest `rounds` times at moments of chance. What the database holds up to the
    message `after` is of an earlier run.
    """
    chance = random.Random(20260620)
    kills = 0
    ledger = data / "ledger.jsonl"
    ledger.unlink(missing_ok=True)  # an earlier run's: this one's begins when the devices do
    log = data / "logs" / "ingest.log"
    with town(data, "--headless", "--for", str(SECONDS), "--broker", broker) as demo:
        demo.wait(lambda: ledger.exists(), within=60)
        everybody = demo.children()
        end = time.monotonic() + 0.7 * SECONDS
        connections = _connections(log)
        while kills < rounds:
            # Every other time of one that has listened: on a machine where starting takes longer than the pause
            # between two kills, nobody would hear the flood before it is over.
            if kills % 2:
                demo.wait(partial(_connected_again, log, connections, end), within=SECONDS)
            # At any moment of its life: while it imports, connects, writes, or waits.
            time.sleep(max(0.0, end - time.monotonic()) / (rounds - kills) * chance.uniform(0.2, 1.0))
            demo.kill("ingest")
            connections = _connections(log)
            kills += 1
            if kills in OTHERS:
                demo.kill(OTHERS[kills])
            everybody |= demo.children()
        code = demo.process.wait(3 * SECONDS)
        left = gone(everybody, within=10)
        result = json.loads(demo.stdout[-1])
        stderr = demo.stderr
    sent, unsent = _ledger(ledger)
    return Run(code, result, stderr, left, kills, sent, unsent, *_database(data, after))


def _connections(log: Path) -> int:
    return log.read_text("utf-8").count("connected broker=")


def _connected_again(log: Path, connections: int, end: float) -> bool:
    return _connections(log) > connections or time.monotonic() > end


def _ledger(path: Path) -> tuple[Counter[Transmission], set[Transmission]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    ups = [
        (line["what"], (line["device"], line["session"], line["counter"])) for line in lines if line["event"] == "up"
    ]
    return Counter(key for what, key in ups if what == "sent"), {key for what, key in ups if what == "unsent"}


def _database(data: Path, after: int) -> tuple[Counter[Transmission], int, int, int, datetime, datetime]:
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
        stored = Counter(
            {
                (device, session, counter): n
                for device, session, counter, n in conn.execute(
                    "select device_key, session, counter, count(*) from uplink "
                    "where outcome <> 'event' and uplink_id > %s group by 1, 2, 3",
                    (after,),
                )
            }
        )
        found = conn.execute(
            """
            select (
                select count(*) from uplink u where outcome = 'accepted'
                and not exists (select from observation o where o.uplink_id = u.uplink_id)
                and not exists (select from observation_revision r where r.uplink_id = u.uplink_id)
                -- of two readings of a counter in one interval the later one tells what fell
                and not exists (select from counter_reading c where c.device_id = u.device_id)
            ), (
                select count(*) - count(distinct (datastream_id, phenomenon_time)) from observation
            ), count(*), min(received_time), max(received_time) from uplink where uplink_id > %s
            """,
            (after,),
        ).fetchone()
    assert found is not None
    return stored, *found


@pytest.fixture(scope="module")
def killed(ended: Ended) -> Run:
    return run(ended.data, after=ended.newest)


pytestmark = pytest.mark.demo


def test_every_transmission_the_broker_took_is_stored(killed: Run) -> None:
    assert killed.kills == ROUNDS
    assert len(killed.sent) > 300
    assert set(killed.sent) - set(killed.stored) == set()


def test_no_transmission_is_stored_twice(killed: Run) -> None:
    assert [key for key, n in killed.stored.items() if n > 1] == []
    assert killed.doubled_observations == 0


def test_nothing_is_stored_that_nobody_sent(killed: Run) -> None:
    assert set(killed.stored) - set(killed.sent) - killed.unsent == set()


def test_every_accepted_message_has_its_observations(killed: Run) -> None:
    assert killed.without_observations == 0


def test_each_kill_was_followed_by_a_restart_and_the_town_ended_well(killed: Run) -> None:
    assert killed.code == 0, killed.stderr
    restarts = killed.result["restarts"]
    assert restarts["ingest"] >= ROUNDS
    assert all(restarts[name] >= 1 for name in OTHERS.values())
    assert restarts["broker"] == restarts["devices"] == 0
    assert killed.left == []


def test_it_went_on_where_the_last_run_ended(killed: Run, ended: Ended) -> None:
    assert ended.messages > 10
    assert killed.first >= ended.last, "the town's clock went on"
    assert (killed.last - ended.last).total_seconds() < 1.5 * 3600 * killed.result["town_hours"], "and stood still"
    outcomes = killed.result["outcomes"]
    assert killed.messages == outcomes["accepted"] + outcomes["event"], "it counts its own run only"


def test_the_last_line_is_the_promised_json_object(killed: Run) -> None:
    result = killed.result
    assert set(result["stored"]) == {"river", "water", "tourism"}
    assert min(result["stored"].values()) > 0
    assert 1 <= result["complete"] <= min(result["acknowledged"], result["cleared"]) <= result["alerts"]
    assert 0 < result["seconds_to_first_page"] < SECONDS <= result["seconds"]
    assert min(result["alerts_by_desk"].values()) >= 1 and set(result["alerts_by_desk"]) == {
        "disaster",
        "water",
        "tourism",
    }
    assert result["sent"] == killed.sent.total() + result["outcomes"]["event"]
    assert result["lost_on_air"] >= 0
    assert result["rss_mb"].keys() >= {"postgres", "broker", "ingest", "analytics", "alerts", "api", "devices"}


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        ran = run(Path(folder) / "data", rounds=rounds, broker=sys.argv[2] if len(sys.argv) > 2 else "auto")
    lost = set(ran.sent) - set(ran.stored)
    doubled = sum(n - 1 for n in ran.stored.values()) + ran.doubled_observations
    sums = {
        "rounds": ran.kills,
        "sent": len(ran.sent),
        "stored": len(ran.stored),
        "lost": len(lost),
        "doubled": doubled,
    }
    sys.stdout.write(json.dumps(sums | {"exit": ran.code, "result": ran.result}) + "\n")
    sys.exit(0 if ran.code == 0 and not lost and not doubled else 1)
