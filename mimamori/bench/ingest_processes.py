"""The processes that `mimamori bench ingest` measures, each of them one that waits for the word and then works.

    with Worker(config) as worker:      # imported, connected to nothing
        worker.go()
        ...
        used = worker.stop()            # what it took of the processor since the word

A worker is `ingest.run`, as `mimamori run ingest` calls it. For the stages its own functions are wrapped in that
process, a batch at a time: the product has no such clocks. Each stage is processor time of its own thread, without what
it called of another stage.

A receiver does nothing but receive and acknowledge at once: the least that this client library can cost.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from types import TracebackType
from typing import Any, Self

from ingest.broker import Broker
from ingest.config import IngestConfig
from mimamori import heap
from mimamori.errors import StartError
from mimamori.logs import configure_logs

_PATIENCE = 60.0
STAGES = ("receive", "decode", "gate", "write", "acknowledge")


@dataclass(frozen=True, slots=True)
class Used:
    """Processor seconds since the word: of the whole process, and of each of `STAGES`; empty of a receiver."""

    total: float
    stages: dict[str, float]


class _Process:
    """A process of `target(pipe, *arguments)`, which says that it is ready, works from `go` on, and is told to stop."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        # As new as those of the supervisor: a fork would bring the bench's memory along.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        self._hear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def go(self) -> None:
        """Says the word."""
        self._pipe.send("go")

    def stop(self) -> Used:
        """Asks for the end and returns what it took. StartError where it has ended before, or does not answer."""
        self._pipe.send("stop")
        used = self._hear()
        assert isinstance(used, Used)
        return used

    def wait(self) -> Used:
        """The same of one that ends by itself."""
        used = self._hear()
        assert isinstance(used, Used)
        return used

    def _hear(self) -> Any:
        try:
            if self._pipe.poll(_PATIENCE):
                return self._pipe.recv()
        except (EOFError, OSError):
            pass
        raise StartError("a process of the bench has ended before its time; what it said stands above")


class Worker(_Process):
    """An ingest worker."""

    def __init__(self, config: IngestConfig) -> None:
        super().__init__(_work, config)


class Receiver(_Process):
    """A subscriber that takes so many messages with QoS 1 from a session, and ends. `in_blocks`: by the client that
    ingest uses; else by paho as it is.
    """

    def __init__(self, broker: Broker, client_id: str, messages: int, *, in_blocks: bool) -> None:
        super().__init__(_receive, broker, client_id, messages, in_blocks)


class _Stages:
    """Processor time by stage; a stage that is called from another one is taken out of it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = threading.local()

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Clocks the function `name` of a module or class from now on."""
        function = getattr(owner, name)

        def clocked(*arguments: Any, **named: Any) -> Any:
            outer = getattr(self._inner, "seconds", 0.0)
            self._inner.seconds = 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                took = time.thread_time() - began
                self.seconds[stage] += took - self._inner.seconds
                self._inner.seconds = outer + took

        setattr(owner, name, clocked)


def _work(pipe: Pipe, config: IngestConfig) -> None:
    import ingest
    from ingest import settle, subscriber

    configure_logs(config.worker_id)
    logging.getLogger().setLevel(logging.WARNING)
    stages = _Stages()
    stages.wrap(subscriber.Subscriber, "_run", "receive")
    stages.wrap(subscriber.Subscriber, "_settle_acks", "acknowledge")
    stages.wrap(settle, "_decoded", "decode")
    stages.wrap(settle, "through_gate", "gate")
    stages.wrap(settle, "write_batch", "write")
    stop = threading.Event()
    heap.settle()  # as `mimamori run ingest` does
    pipe.send("ready")
    if not _told(pipe):
        return
    began = time.process_time()
    threading.Thread(target=_until_told, args=(pipe, stop), daemon=True).start()
    ingest.run(config, stop)
    pipe.send(Used(time.process_time() - began, dict(stages.seconds)))


def _receive(pipe: Pipe, broker: Broker, client_id: str, messages: int, in_blocks: bool) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    left = messages
    acknowledged: list[int] = []

    def take(_client: Client, _data: Any, message: Any) -> None:
        nonlocal left
        left -= 1
        if in_blocks:
            acknowledged.append(message.mid)

    if in_blocks:
        client: Any = broker.client(client_id, clean=False)
    else:
        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
        client.username_pw_set(broker.username, broker.password)
    client.on_message = take
    pipe.send("ready")
    if not _told(pipe):
        return
    began = time.process_time()
    client.connect(broker.host, broker.port)
    while left > 0:
        client.loop(timeout=1.0)
        while in_blocks and client.unread:
            client.loop_read()
        if in_blocks:
            client.ack_all(acknowledged)
            acknowledged.clear()
    used = time.process_time() - began
    client.disconnect()
    pipe.send(Used(used, {}))


def _until_told(pipe: Pipe, stop: threading.Event) -> None:
    _told(pipe)
    stop.set()


def _told(pipe: Pipe) -> bool:
    """Waits for a word; False where the bench has gone."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        return False
    return True
