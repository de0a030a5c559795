"""Publishing with QoS 1: nothing counts as sent before the broker has acknowledged it, or the intake answered for it.

What comes by HTTP (`Frame.posted`) goes to `config.sigfox`, everything else to the broker.

paho keeps what is not acknowledged and sends it again after a reconnection. Its network thread only notes which
message ids were acknowledged; everything else happens in the thread that publishes, so there is nothing to lock.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators.config import SimulatorConfig
from simulators.errors import SimulatorError
from simulators.frames import Frame
from simulators.ledger import Ledger
from simulators.poster import Poster

WINDOW = 200  # messages that may wait for their acknowledgement
_DRAIN_SECONDS = 5.0  # how long the end of a run waits for the last acknowledgements

log = structlog.get_logger()


class Publisher:
    """A connection to the broker that writes the ledger. `stop` ends every waiting."""

    def __init__(self, config: SimulatorConfig, ledger: Ledger, stop: threading.Event) -> None:
        self._address = f"{config.host}:{config.port}"
        self._ledger = ledger
        self._stop = stop
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._waiting: dict[int, tuple[Frame, int]] = {}
        self._refusal: str | None = None
        self._connected = threading.Event()
        self._posted = 0
        self.sent = 0
        self._poster: Poster | None = None
        if config.sigfox is not None:
            self._poster = Poster(config.sigfox, self._acknowledged.put, self._on_refusal)
        client = Client(CallbackAPIVersion.VERSION2, client_id=config.client_id, protocol=MQTTProtocolVersion.MQTTv311)
        if config.username is not None:
            client.username_pw_set(config.username, config.password)
        if config.tls:
            client.tls_set()
        client.max_inflight_messages_set(WINDOW)
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client
        client.connect_async(config.host, config.port)
        client.loop_start()

    def publish(self, frame: Frame, copy: int) -> None:
        """Hands one delivery to the broker; waits while `WINDOW` of them are unacknowledged or it is out of reach.

        Ended by `stop`, the delivery goes to the ledger as unsent. SimulatorError when the broker refuses us.
        """
        while not self._stop.is_set() and (len(self._waiting) >= WINDOW or not self._connected.is_set()):
            self.collect(0.1)
        if self._stop.is_set():
            self._ledger.write("unsent", frame, copy)
            return
        if frame.posted:
            self._post(frame, copy)
        else:
            info = self._client.publish(frame.topic, frame.body(), qos=1)
            self._waiting[info.mid] = (frame, copy)
        self.collect(0.0)

    def _post(self, frame: Frame, copy: int) -> None:
        if self._poster is None:
            raise SimulatorError(
                f"device {frame.device} speaks over {frame.network}, which only posts by HTTP, and nobody has said "
                "where to: make a source by `mimamori intake add`, and give its address and secret"
            )
        self._posted -= 1  # the broker's message ids are above 0
        self._waiting[self._posted] = (frame, copy)
        self._poster.put(self._posted, frame.body())

    def collect(self, seconds: float) -> None:
        """Writes what has been acknowledged to the ledger; waits up to `seconds` for the first of it."""
        if self._refusal is not None:
            raise SimulatorError(f"{self._refusal}")
        try:
            mid = self._acknowledged.get(timeout=seconds) if seconds > 0 else self._acknowledged.get_nowait()
            while True:
                frame, copy = self._waiting.pop(mid)
                self._ledger.write("sent", frame, copy)
                self.sent += 1
                mid = self._acknowledged.get_nowait()
        except queue.Empty:
            self._ledger.flush()

    def close(self) -> None:
        """Waits a few seconds for the last acknowledgements, then leaves; what has none is unsent."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._waiting and self._connected.is_set() and time.monotonic() < deadline:
            self.collect(0.1)
        self._client.disconnect()
        self._client.loop_stop()
        if self._poster is not None:
            self._poster.close()
        for frame, copy in self._waiting.values():
            self._ledger.write("unsent", frame, copy)
        self._waiting.clear()
        self._ledger.flush()

    # --- the poster's threads -----------------------------------------------------------------------------

    def _on_refusal(self, why: str) -> None:
        self._refusal = f"the intake refuses what is posted: {why}"

    # --- paho's network thread ----------------------------------------------------------------------------

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"the broker {self._address} refuses the simulator: {reason}"
        else:
            self._connected.set()

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        log.warning("the broker cannot be reached; trying again", broker=self._address)

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._connected.is_set() and reason.is_failure:
            log.warning("the connection to the broker broke; connecting again", broker=self._address)
        self._connected.clear()

    def _on_publish(self, _client: Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._acknowledged.put(mid)
