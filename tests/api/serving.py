"""A real server of the API over a real database, and the people who use it."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from alerts.public import acts
from alerts.public.notices import notice
from api.auth import COOKIE
from api.config import ApiConfig
from api.database import enter_municipality
from api.passwords import hash_password
from api.roles import Role
from api.server import run
from devices.clock import real_now
from devices.model import Quality, Reason
from store import latest
from store.counts import Tallies, slot
from store.feed import append_alerts
from store.writer import ObservationRow, write_batch
from tests.conftest import START, Registered, accepted
from tests.connections import kept

PASSWORD = "korekara-mimamoru"
OTHER_TOWN = "888888"


@dataclass(frozen=True)
class TownHall:
    """A running server with one account a role in the demo town, and one a role in another town."""

    url: str
    database: Registered
    config: ApiConfig
    stop: Callable[[], None]

    @contextmanager
    def visitor(self, role: Role | None, *, csrf: bool = True, town: str = "own") -> Iterator[httpx.Client]:
        """A client with a session of that role (None: no session), in the own or the other town."""
        headers, cookies = {"Accept": "application/json"}, {}
        if role is not None:
            token, csrf_token = self.session(f"{town}-{role.value}")
            cookies[COOKIE] = token
            if csrf:
                headers["X-CSRF-Token"] = csrf_token
        options: dict[str, Any] = {"timeout": 20, "trust_env": False, "verify": False}  # no TLS, no authorities to read
        with httpx.Client(base_url=self.url, headers=headers, cookies=cookies, **options) as client:
            yield client

    def session(self, login: str, *, lasts: timedelta = timedelta(hours=1)) -> tuple[str, str]:
        """A session opened behind the sign-in's back (which costs argon2): cookie and CSRF token."""
        token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        with kept(self.database.owner) as conn:
            conn.execute(
                """
                insert into user_session (token_hash, municipality_id, user_id, csrf_token, expires_at)
                select %s, municipality_id, user_id, %s, %s from app_user where login = %s
                """,
                (hashlib.sha256(token.encode()).digest(), csrf_token, real_now() + lasts, login),
            )
        return token, csrf_token

    def observe(self, datastream: str, *values: tuple[datetime, float | None]) -> int:
        """Stores observations as ingest does (None: the device could not measure); the id of their feed row."""
        station, observed_property = datastream.split("/")
        datastream_id = self.database.datastream(station, observed_property)
        rows = tuple(
            ObservationRow(
                datastream_id,
                time,
                value,
                Quality.MISSING if value is None else Quality.GOOD,
                Reason.SENSOR if value is None else None,
            )
            for time, value in values
        )
        device = next(iter(self.database.directory.devices.values()))
        uplink = accepted(device, START, rows)
        with kept(self.database.worker) as conn:
            delivered = Tallies()
            delivered.deliver([slot(uplink.device_id, uplink.received_time)])
            result = write_batch(conn, self.database.municipality_id, [uplink], delivered=delivered)
        assert result.feed_id is not None
        return result.feed_id

    def raise_alert(self, datastream: str, *, rule: str = "level", unconfirmed: bool = False) -> int:
        """An open alert of its own cause, with one entry of history and its feed row; earlier open ones are ended.
        `unconfirmed`: one doubtful reading alone says it, and it waits.
        """
        station, observed_property = datastream.split("/")
        with kept(self.database.owner) as conn:
            conn.execute("update alert set cleared_at = %s where cleared_at is null", (START,))
            row = conn.execute(
                """
                insert into alert (municipality_id, station_id, rule, datastream_id, level, peak_level, raised_at,
                                   phenomenon_time, value, confirmed_level, withheld, withheld_at)
                select d.municipality_id, s.station_id, %(rule)s, d.datastream_id, %(level)s, %(level)s, %(at)s,
                       %(at)s, 2.5, %(confirmed)s, %(withheld)s, %(since)s
                from datastream d join station s using (station_id)
                where s.code = %(station)s and d.observed_property = %(property)s
                returning alert_id, municipality_id
                """,
                {
                    "rule": rule,
                    "level": 3 if rule == "level" else None,
                    "confirmed": 3 if rule == "level" and not unconfirmed else None,
                    "withheld": "unconfirmed" if unconfirmed else None,
                    "since": START if unconfirmed else None,
                    "at": START,
                    "station": station,
                    "property": observed_property,
                },
            ).fetchone()
            assert row is not None, datastream
            alert_id, municipality_id = row
            conn.execute(
                """
                insert into alert_history (municipality_id, alert_id, at, event, level, phenomenon_time, value)
                values (%s, %s, %s, 'raised', %s, %s, 2.5)
                """,
                (municipality_id, alert_id, START, 3 if rule == "level" else None, START),
            )
            append_alerts(conn, municipality_id, [alert_id])
        return int(alert_id)

    def draft_notice(self, datastream: str, *, approved: bool) -> tuple[int, int]:
        """A notice to the public of an alert of its own, which is over by now; its number, and that of its words."""
        alert_id = self.raise_alert(datastream)
        town, zone = self.database.municipality_id, ZoneInfo("Asia/Tokyo")
        with kept(self.database.owner) as conn:
            enter_municipality(conn, town)
            conn.execute(
                """
                insert into observation (datastream_id, phenomenon_time, value, quality)
                values (%(series)s, %(at)s, 2.5, 'good'), (%(series)s, %(at)s + interval '10 minutes', 0.5, 'good')
                on conflict do nothing
                """,
                {"series": self.database.datastream(*datastream.split("/")), "at": START},
            )
            user = conn.execute("select user_id from app_user where login = 'own-disaster'").fetchone()
            assert user is not None
            notice_id = acts.draft(conn, town, alert_id, user[0], START)
            drafted = notice(conn, notice_id)
            assert drafted is not None
            if approved:
                until = START + timedelta(hours=3)
                acts.approve(conn, town, notice_id, drafted.text_id, until, user[0], START, zone)
        return notice_id, drafted.text_id


def populate(database: Registered) -> None:
    """Makes the accounts of both towns, and a station with an observation in the other one."""
    with kept(database.owner) as conn:
        other = conn.execute(
            """
            insert into municipality (code, name, name_en, timezone, bounds)
            values (%s, '隣町', 'Tonarimachi', 'Asia/Tokyo', '{134, 32, 135, 33}') returning municipality_id
            """,
            (OTHER_TOWN,),
        ).fetchone()
        assert other is not None
        station = conn.execute(
            """
            insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
            values (%s, 'tonari-1', 'river_gauge', '隣橋', 'Tonari Bridge', 32.5, 134.5) returning station_id
            """,
            other,
        ).fetchone()
        assert station is not None
        datastream = conn.execute(
            """
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)
            values (%s, %s, 'water_level', 'm', 'instant', '10 min') returning datastream_id
            """,
            (other[0], station[0]),
        ).fetchone()
        assert datastream is not None
        conn.execute(
            "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, %s, 9.87, 'good')",
            (datastream[0], START),
        )
        latest.recompute(conn)
        for town, municipality in (("own", database.municipality_id), ("other", other[0])):
            conn.execute(
                """
                insert into app_user (municipality_id, login, display_name, role, password_hash)
                select %s, %s || '-' || role, role || ' of the ' || %s || ' town', role, %s
                from unnest(%s::text[]) as role
                """,
                (municipality, town, town, _hashed(PASSWORD), [role.value for role in Role]),
            )


@lru_cache
def _hashed(password: str) -> str:
    """One argon2 hash for all: the accounts' passwords are not what most tests are about."""
    return hash_password(password)


@contextmanager
def serving(
    database: Registered, *, sockets: Sequence[socket.socket] | None = None, **options: Any
) -> Iterator[TownHall]:
    """Runs the API on a free port, in a thread, exactly as the process does; stops it at the end."""
    config = ApiConfig(dsn=database.api, **{"secure_cookies": False, **options})
    stop, ready = threading.Event(), threading.Event()
    ports: list[int] = []
    failures: list[BaseException] = []

    def answers(port: int) -> None:
        ports.append(port)
        ready.set()

    def serve() -> None:
        try:
            run(config, "127.0.0.1", 0, stop, sockets=sockets, ready=answers)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="api under test")
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(20)

    try:
        assert ready.wait(30) and ports, failures
        yield TownHall(f"http://127.0.0.1:{ports[0]}", database, config, end)
    finally:
        end()
    assert not thread.is_alive()
    assert not failures


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The one shape that every error of the API has; returns its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-language"] in ("ja", "en")
    assert "Accept-Language" in response.headers["vary"]
    body: dict[str, Any] = response.json()
    required = {"type", "title", "status", "detail", "action", "code", "instance"}
    assert required <= body.keys() <= required | {"errors", "incident"}
    assert body["type"] == "about:blank" and body["status"] == status and body["code"] == code
    assert body["instance"] == response.request.url.path
    for text in ("title", "detail", "action"):
        assert isinstance(body[text], str) and body[text].strip()
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    return body


@dataclass(frozen=True)
class Message:
    """One message of a live stream: an event with its data, or what only moves the id."""

    id: int | None
    event: str | None
    data: Any


class Listener:
    """Reads a live stream like a browser: `id` is what it would send as Last-Event-ID."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        self._lines = response.iter_lines()
        self.id: int | None = None
        # heartbeats would let a wait for something that never comes go on for ever
        self._deadline = time.monotonic() + 60.0

    def next(self) -> Message:
        """The next message, comments left out. StopIteration at the end of the stream."""
        fields: dict[str, str] = {}
        for line in self._lines:
            assert time.monotonic() < self._deadline, "what the test waits for did not come"
            if not line:
                if fields:
                    break
                continue
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            raise StopIteration
        if "id" in fields:
            self.id = int(fields["id"])
        return Message(
            int(fields["id"]) if "id" in fields else None,
            fields.get("event"),
            json.loads(fields["data"]) if "data" in fields else None,
        )

    def until(self, *kinds: str) -> Message:
        """The next event of one of these kinds."""
        while True:
            message = self.next()
            if message.event in kinds:
                return message

    def settled(self) -> int:
        """Waits until the stream says up to where it is complete; that id."""
        while True:
            message = self.next()
            if message.event is None and message.id is not None:
                return message.id


@contextmanager
def listening(client: httpx.Client, *, last_id: int | None = None, query: int | None = None) -> Iterator[Listener]:
    headers = {"Last-Event-ID": str(last_id)} if last_id is not None else {}
    params = {"last_event_id": str(query)} if query is not None else {}
    with client.stream("GET", "/api/v1/stream", headers=headers, params=params, timeout=30) as response:
        yield Listener(response)


def minutes(*offsets: int) -> Sequence[datetime]:
    return [START.astimezone(UTC) + timedelta(minutes=offset) for offset in offsets]
