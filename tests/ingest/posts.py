"""What networks post to the HTTP intake: one level of river-okusawa in each kind, and sources that may post it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from devices.codecs import radar_level
from ingest.intake import IntakeConfig
from ingest.sources import add_source
from store import connect
from tests.api.serving import TownHall, serving
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.ingest.town import GAUGE, SENSOR_HEIGHT, level, query

KINDS = ("chirpstack_v4", "the_things_stack_v3", "sigfox", "soracom", "mimamori_v1")
SIGFOX_ID = "1a2b3c"
IMSI = "440109876543210"
# The device of river-okusawa goes by another name in these networks.
NAMES = {"sigfox": SIGFOX_ID, "soracom": IMSI}


@dataclass(frozen=True)
class Post:
    """One request without its secret."""

    body: bytes
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def post_of(kind: str, metres: float, *, counter: int, time: datetime) -> Post:
    """A water level as that network posts it."""
    payload = radar_level.encode(distance=round((SENSOR_HEIGHT - metres) * 1000))
    in_base64 = base64.b64encode(payload).decode()
    if kind == "chirpstack_v4":
        return Post(level(metres, counter=counter, time=time)[1], {"event": "up"})
    if kind == "the_things_stack_v3":
        return _json(
            {
                "end_device_ids": {"device_id": "okusawa-bridge", "dev_eui": GAUGE.upper(), "dev_addr": "00189440"},
                "received_at": (time + timedelta(milliseconds=300)).isoformat(),
                "uplink_message": {"f_cnt": counter, "f_port": 1, "frm_payload": in_base64}
                | {"received_at": time.isoformat()},
            }
        )
    if kind == "sigfox":
        seconds = int(time.timestamp())
        return _json(
            {"device": SIGFOX_ID.upper(), "time": seconds, "data": payload.hex(), "seqNumber": str(counter)},
        )
    if kind == "soracom":
        milliseconds = int(time.timestamp() * 1000)
        headers = {"X-Soracom-Imsi": IMSI, "X-Soracom-Timestamp": str(milliseconds)}
        return _json({"payload": in_base64}, headers)
    readings = {"distance": (SENSOR_HEIGHT - metres) * 1000}
    return _json({"device": GAUGE, "counter": counter, "time": time.isoformat(), "readings": readings})


def _json(body: dict[str, Any], headers: dict[str, str] | None = None) -> Post:
    return Post(json.dumps(body).encode(), {}, headers or {})


@dataclass(frozen=True)
class Intake:
    """A running API that takes messages in, and the means to post."""

    hall: TownHall
    secrets: dict[str, str]

    @property
    def database(self) -> Registered:
        return self.hall.database

    @contextmanager
    def client(self, source: str | None) -> Iterator[httpx.Client]:
        """A network that knows the secret of this source (None: none)."""
        headers = {} if source is None else {"Authorization": f"Bearer {self.secrets[source]}"}
        with httpx.Client(base_url=self.hall.url, headers=headers, timeout=30, trust_env=False) as client:
            yield client

    def post(self, source: str, post: Post, *, secret_of: str | None = None) -> httpx.Response:
        with self.client(secret_of or source) as client:
            return client.post(f"/intake/{source}", content=post.body, params=post.query, headers=post.headers)


def make_source(owner: str, name: str, kind: str, *, municipality: str = "999999", per_minute: int = 100_000) -> str:
    with connect(owner, name="test") as conn:
        return add_source(conn, name=name, kind=kind, municipality=municipality, per_minute=per_minute)


def rename_gauge(owner: str, key: str) -> None:
    """Registers the device of river-okusawa under its name in another network."""
    with connect(owner, name="test") as conn:
        conn.execute("update device set key = %s where key = %s", (key, GAUGE))


def source_of(kind: str) -> str:
    return kind.replace("_", "-")


@contextmanager
def taking(database: Registered, **options: Any) -> Iterator[Intake]:
    """The API with its intake, and a source of each kind."""
    secrets = {source_of(kind): make_source(database.owner, source_of(kind), kind) for kind in KINDS}
    with serving(database, intake=IntakeConfig(database.worker, **options)) as hall:
        yield Intake(hall, secrets)


def minutes_ago(n: float) -> datetime:
    return START - timedelta(minutes=n)


def wait_until_open(intake: Intake) -> None:
    """Until it has seen its sources: before that every answer is 503."""

    def is_open() -> bool:
        with httpx.Client(base_url=intake.hall.url, trust_env=False) as client:
            return client.post("/intake/nobody").status_code != 503

    wait_for(is_open, "the intake to open")


def outcomes(registered: Registered) -> dict[str, int]:
    """How many messages had which."""
    return dict(query(registered.owner, "select outcome, count(*) from uplink group by 1"))  # type: ignore[arg-type]


def numbered(n: int) -> Post:
    """The n-th of a network that counts, of a minute ago."""
    return post_of("sigfox", 1.0, counter=n, time=minutes_ago(1))


def levels(n: int) -> Post:
    """The n-th of a rising water, of half an hour ago."""
    return post_of("chirpstack_v4", 1 + n / 1000, counter=n, time=minutes_ago(30 - n))
