"""Serving: one process, one thread of events, ended by an event from outside within five seconds."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Generator, Sequence

import uvicorn

from api.app import create_app
from api.config import ApiConfig
from api.state import ApiState

_GRACE_SECONDS = 4


class _Server(uvicorn.Server):
    """uvicorn, stopped by an event, and closing live streams first: they would never end on their own."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ApiState,
        stop: threading.Event,
        ready: Callable[[int], None] | None,
    ) -> None:
        super().__init__(config)
        self._api = state
        self._stop = stop
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the caller's: the supervisor sets `stop`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    async def on_tick(self, counter: int) -> bool:
        return self._stop.is_set() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._api.hub.close()
        await super().shutdown(sockets)


def run(
    config: ApiConfig,
    host: str,
    port: int,
    stop: threading.Event,
    *,
    sockets: Sequence[socket.socket] | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serves until `stop` is set, then ends within five seconds even with live streams open.

    `port` 0 takes any free one; `ready` is called with the real one as soon as it answers. With `sockets`
    (already bound) host and port are not used. Raises SystemExit when the address cannot be bound.
    """
    app = create_app(config)
    settings = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=config.trusted_proxies,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=20,
    )
    state: ApiState = app.state.api
    _Server(settings, state, stop, ready).run(list(sockets) if sockets is not None else None)
