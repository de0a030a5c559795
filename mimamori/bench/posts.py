"""`mimamori bench posts`: how many posted messages a second the HTTP intake stores, beside a server that only answers.

One process of the API with its intake, over a database of its own with the demo town in it; so many senders at once,
each on a connection that is kept open, post own JSON of one value, every message another one. A message counts when its
202 has come: it is committed then. The limit is measured in the same run, in turns: the same requests to the same HTTP
server with an application that reads the body and answers 202, and does nothing else.

The JSON object:

    messages, senders, rounds
    stored_per_second      of the middle round; `stored_each` has all of them
    answered_per_second    the same of the server that only answers; `answered_each`
    ratio                  stored_per_second / answered_per_second
    processor_us           of the API's process, for a message stored and for one only answered
    p50_ms, p99_ms         from the request to its 202, over all rounds
    target_per_second, met whether the middle round reached it
    outcomes               rows of `uplink` by outcome: what was posted, once each, and the first that was taken
    seconds                real time
"""

from __future__ import annotations

import http.client
import json
import logging
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import numpy as np

from api.config import ApiConfig
from devices.clock import ClockSetting, real_now
from devices.town import load_town
from ingest.intake import IntakeConfig
from ingest.sources import add_source
from mimamori.bench.report import Row, bar
from mimamori.errors import StartError
from mimamori.logs import configure_logs
from simulators import towns
from store import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

TARGET = 200.0
_BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
_SOURCE = "bench"
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class PostsBench:
    """So many messages in each round, by so many senders at once."""

    messages: int
    senders: int
    rounds: int
    quiet: bool


def measure(options: PostsBench) -> dict[str, Any]:
    """Run the bench; the figures."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mimamori-posts-") as folder, EmbeddedServer(Path(folder)) as server:
        migrate(server.dsn("owner"))
        with connect(server.dsn("owner"), name="bench") as conn:
            town = load_town(towns.path())
            sync_town(conn, town)
            write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=_BEGIN, speed=1.0))
            secret = add_source(
                conn, name=_SOURCE, kind="mimamori_v1", municipality=town.municipality.code, per_minute=1_000_000
            )
            device = conn.execute("select key from device where model = 'radar_level' order by key limit 1").fetchone()
        if device is None:
            raise StartError("the demo town has no radar gauge any more: nothing to post for")
        config = ApiConfig(dsn=server.dsn("api"), intake=IntakeConfig(server.dsn("worker")))
        sender = _Sender(options, str(device[0]), secret)
        stored, answered = [], []
        with _serving(_store, config) as taking, _serving(_answer) as plain:
            sender.warm(taking)
            sender.warm(plain)
            with bar("rounds", quiet=options.quiet) as progress:
                for done in range(options.rounds):
                    stored.append(sender.round(taking))
                    answered.append(sender.round(plain))
                    progress(done + 1, options.rounds)
        with connect(server.dsn("owner"), name="bench") as conn:
            outcomes: dict[str, int] = dict(
                conn.execute("select outcome::text, count(*) from uplink group by 1").fetchall()
            )
    rate, limit = (statistics.median(each.rate for each in rounds) for rounds in (stored, answered))
    times = np.concatenate([each.times for each in stored]) * 1000
    return {
        "messages": options.messages,
        "senders": options.senders,
        "rounds": options.rounds,
        "stored_per_second": round(rate, 1),
        "stored_each": [round(each.rate, 1) for each in stored],
        "answered_per_second": round(limit, 1),
        "answered_each": [round(each.rate, 1) for each in answered],
        "ratio": round(rate / limit, 3),
        "processor_us": {
            "stored": round(statistics.median(each.processor_us for each in stored)),
            "answered": round(statistics.median(each.processor_us for each in answered)),
        },
        "p50_ms": round(float(np.percentile(times, 50)), 1),
        "p99_ms": round(float(np.percentile(times, 99)), 1),
        "target_per_second": TARGET,
        "met": rate >= TARGET,
        "outcomes": outcomes,
        "seconds": round(time.monotonic() - began, 1),
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The figures as lines of a table: what, how much, target."""
    used = figures["processor_us"]
    return [
        ("messages stored a second", f"{figures['stored_per_second']:.0f}", f"{TARGET:.0f}"),
        ("requests only answered a second", f"{figures['answered_per_second']:.0f}", ""),
        ("ratio", f"{figures['ratio']:.2f}", ""),
        ("processor time of the API, a message", f"{used['stored']} µs", ""),
        ("... of a request only answered", f"{used['answered']} µs", ""),
        ("until its 202, median", f"{figures['p50_ms']:.0f} ms", ""),
        ("until its 202, 99 %", f"{figures['p99_ms']:.0f} ms", ""),
    ]


# --- servers, each a process of its own -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Served:
    port: int
    pipe: Pipe

    def processor(self) -> float:
        """Seconds of the processor that the process has taken so far."""
        self.pipe.send("processor")
        return float(self.pipe.recv())


@contextmanager
def _serving(target: Any, *arguments: Any) -> Iterator[_Served]:
    context = multiprocessing.get_context("spawn")
    pipes: tuple[Any, Any] = context.Pipe()
    ours, theirs = pipes
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_PATIENCE):
            raise StartError("the server of the bench did not start")
        yield _Served(int(ours.recv()), ours)
    finally:
        ours.close()  # ends it
        process.join(15)
        if process.is_alive():
            process.kill()


def _store(pipe: Pipe, config: ApiConfig) -> None:
    from api.server import run

    configure_logs("api")
    logging.disable(logging.INFO)
    stop = threading.Event()
    run(config, "127.0.0.1", 0, stop, ready=lambda port: _heed(pipe, stop, port))


def _answer(pipe: Pipe) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def take(request: Request) -> Response:
        await request.body()
        return JSONResponse({"outcome": "accepted", "reason": None, "detail": None}, 202)

    stop = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            _heed(pipe, stop, self.servers[0].sockets[0].getsockname()[1])

        async def on_tick(self, counter: int) -> bool:
            return stop.is_set() or await super().on_tick(counter)

    app = Starlette(routes=[Route("/intake/{source}", take, methods=["POST"])])
    # The settings of api.server.
    config = uvicorn.Config(
        app, "127.0.0.1", 0, ws="none", access_log=False, log_config=None, server_header=False, timeout_keep_alive=20
    )
    Server(config).run()


def _heed(pipe: Pipe, stop: threading.Event, port: int) -> None:
    """Says where it serves, tells its processor time when asked, and ends when the bench does."""
    pipe.send(port)

    def listen() -> None:
        try:
            while True:
                pipe.recv()
                pipe.send(time.process_time())
        except (EOFError, OSError):
            stop.set()

    threading.Thread(target=listen, daemon=True).start()


# --- senders ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Round:
    rate: float
    processor_us: float
    times: np.ndarray[Any, np.dtype[np.float64]]


class _Sender:
    """Posts messages of one device, each with a number and a time of its own."""

    def __init__(self, options: PostsBench, device: str, secret: str) -> None:
        self._options = options
        self._device = device
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self._numbers = count(1)

    def warm(self, served: _Served) -> None:
        """Posts until one is taken: an intake opens when it has seen its sources."""
        deadline = time.monotonic() + _PATIENCE
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        while (status := self._post(connection)) != 202:
            if time.monotonic() > deadline:
                raise StartError(f"the server of the bench takes no message: it answers {status}")
            time.sleep(0.1)
        connection.close()

    def round(self, served: _Served) -> _Round:
        """All senders at once, each its share."""
        share = -(-self._options.messages // self._options.senders)
        times: list[float] = []
        failures: list[str] = []

        def send() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
            try:
                for _ in range(share):
                    began = time.perf_counter()
                    status = self._post(connection)
                    times.append(time.perf_counter() - began)
                    if status != 202:
                        failures.append(f"it answers {status}")
                        return
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=send) for _ in range(self._options.senders)]
        used, began = served.processor(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        if failures:
            raise StartError(f"the server of the bench refused a message: {failures[0]}")
        used = served.processor() - used
        return _Round(len(times) / seconds, 1e6 * used / len(times), np.array(times))

    def _post(self, connection: http.client.HTTPConnection) -> int:
        number = next(self._numbers)
        at = _BEGIN - timedelta(seconds=number)
        # One of 0.5 to 2.5 m below a sensor that hangs a few metres above gauge zero.
        readings = {"distance": 500 + number * 7 % 2000}
        message = {"device": self._device, "counter": number, "time": at.isoformat(), "readings": readings}
        connection.request("POST", f"/intake/{_SOURCE}", json.dumps(message).encode(), self._headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
