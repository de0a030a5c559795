"""The end of the line to the broker: one persistent session, read by one thread, acknowledged on request.

Contract
- Every message is handed to `deliver` as a `Delivery` in the order of arrival, and stays unacknowledged until
  `acknowledge` is called with it. Acknowledgements leave in the order in which they were asked for.
- An acknowledgement belongs to the connection its message came by (its generation). After a reconnection the
  broker delivers what was not acknowledged again, under packet ids that may mean other messages now; an
  acknowledgement of an old generation is therefore dropped.
- A message that the broker repeats on the same connection while it is still in hand is dropped: its first copy
  will be acknowledged, and an unacknowledged packet id cannot stand for another message.
- Memory is bounded. The broker's window (`Broker.max_unacked`) bounds what has QoS 1; above `hold_messages` or
  `hold_bytes` in hand, nothing more is read until some is acknowledged. A pause longer than the keep-alive ends
  the connection; it comes back when there is room.
- A lost connection is made again with growing pauses, for as long as it takes. `listening_since` is None until
  the broker has granted the subscriptions anew.
- `change` may be asked for at any time. The session first subscribes to what is new and only then leaves what is old:
  in between the broker may deliver a message twice, and never none. What waits in the session stays there
  (`Broker.keeps_unsubscribed`).
- A broker that refuses a subscription is left and asked again; of `optional` ones only `refused` says so, and the
  others stand.

The thread drives paho itself instead of by `loop_start`: so acknowledgements, generations and pauses need no
lock, and a pause stops the reading alone.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from paho.mqtt.client import Client, MQTTMessage

from devices.clock import Clock
from ingest.broker import Broker
from ingest.message import Message
from ingest.mqtt_client import MqttClient

KEEPALIVE_SECONDS = 30
POLL_SECONDS = 0.25
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
HOLD_BYTES = 16 * 1024 * 1024
# Packets read in a row before acknowledgements get their turn.
READ_IN_A_ROW = 256

log = structlog.get_logger(__name__)


class Delivery(Message, frozen=True, eq=False):
    """One message as the broker delivered it; `packet_id` 0 where it needs no acknowledgement (QoS 0)."""

    packet_id: int
    generation: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the session is to listen to, and to leave; numbered, so that a newer wish is told from an older one."""

    number: int
    filters: tuple[str, ...]
    without: tuple[str, ...]
    optional: frozenset[str]
    after: Subscriber | None


class Subscriber:
    """Listens on `broker` as `client_id` for `filters`, and gives every message to `deliver`.

    `deliver` is called from the subscriber's own thread and must not block. `without` are filters that the session may
    have subscribed to earlier and leaves; `after` as for `change`.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        filters: Sequence[str],
        clock: Clock,
        deliver: Callable[[Delivery], None],
        *,
        without: Sequence[str] = (),
        optional: Collection[str] = (),
        after: Subscriber | None = None,
        hold_messages: int | None = None,
        hold_bytes: int = HOLD_BYTES,
    ) -> None:
        self._broker = broker
        self._wanted = _Wanted(1, tuple(filters), tuple(without), frozenset(optional), after)
        self._requested = 0  # the number of what the broker was last asked on this connection
        self._granted = 0  # ... and of what it has granted
        self._asked = self._wanted
        self._refused: frozenset[str] = frozenset()
        self._connected = False
        self._clock = clock
        self._deliver = deliver
        # Twice the window: only QoS 0, which has none, or several windows (NATS: one a filter) can fill it.
        self._hold_messages = hold_messages if hold_messages is not None else 2 * broker.max_unacked
        self._hold_bytes = hold_bytes
        self._client = broker.client(client_id, clean=False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = self._on_unsubscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.connect_timeout = 5.0
        self._generation = 0
        self._ending = ""
        self._since: datetime | None = None
        self._lost = clock.now()
        self._full_since: datetime | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._held = 0
        self._held_bytes = 0
        self._in_hand: set[int] = set()  # packet ids of this generation
        self._read = 0
        self._acks: deque[Delivery] = deque()
        self._stopping = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"subscriber {client_id}", daemon=True)
        self._failure: BaseException | None = None

    # --- for the pipeline, from any thread ---------------------------------------------------------------

    @property
    def listening_since(self) -> datetime | None:
        """Town time since which the subscriptions stand without a break; None while they do not."""
        return self._since

    @property
    def generation(self) -> int:
        """Counts the connections made."""
        return self._generation

    @property
    def lost_since(self) -> datetime:
        """Town time since which it has not heard the broker; means nothing while `listening_since` is not None."""
        return self._lost

    @property
    def full_since(self) -> datetime | None:
        """Town time since which nothing is read for want of room; None while there is some."""
        return self._full_since

    @property
    def refused(self) -> frozenset[str]:
        """The optional filters that the broker has refused when it was last asked."""
        return self._refused

    @property
    def received(self) -> int:
        """Messages read from the broker so far."""
        return self._read

    @property
    def held(self) -> int:
        """Messages delivered and not yet acknowledged."""
        return self._held

    def change(
        self,
        filters: Sequence[str],
        *,
        without: Sequence[str] = (),
        optional: Collection[str] = (),
        after: Subscriber | None = None,
    ) -> int:
        """Subscribe to `filters` and then leave `without`, now and after every reconnection; all of it only while
        `after` listens, which takes over what this one leaves.

        Returns a number for `granted`. All that the broker sent before it granted this has been delivered by then: to
        ask for the same again is to ask whether more is coming.
        """
        number = self._wanted.number + 1
        self._wanted = _Wanted(number, tuple(filters), tuple(without), frozenset(optional), after)
        self._wake()
        return number

    def granted(self, number: int) -> bool:
        """Whether the broker has granted that change on the connection that stands."""
        return self._granted >= number

    def start(self) -> None:
        """Starts listening; returns at once, whether or not there is a broker yet."""
        self._thread.start()

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tells the broker that these are safe. Each delivery once, also those that need no acknowledgement."""
        self._acks.extend(deliveries)
        self._wake()

    def check(self) -> None:
        """Raises what ended the subscriber's thread, if anything has."""
        if self._failure is not None:
            raise self._failure

    def stop(self, *, timeout: float = 10.0) -> None:
        """Sends the acknowledgements asked for so far, takes leave of the broker, and ends the thread."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._wake_in.close()
        self._wake_out.close()

    # --- the subscriber's thread -------------------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: it is awake; closed: it has ended
            self._wake_out.send(b"!")

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._settle_acks()
                if self._full():
                    self._rest(0.1)
                    continue
                try:
                    self._client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_SECONDS)
                except OSError as error:
                    log.warning("broker out of reach", broker=self._broker.address, error=str(error))
                else:
                    self._generation += 1
                    self._in_hand.clear()
                    self._ending = "connection lost"
                    self._serve()
                    self._silent()
                    if not self._stopping.is_set():
                        log.warning("broker lost", broker=self._broker.address, reason=self._ending)
                # Spread, so that workers of one broker do not come back in step.
                self._rest(self._pause * random.uniform(0.5, 1.0))
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        except BaseException as failure:
            self._silent()
            self._failure = failure
            raise

    def _rest(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _serve(self) -> None:
        """Runs one connection until it is lost or the end is asked for."""
        client = self._client
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_in, selectors.EVENT_READ)
            sock = client.socket()
            if sock is None:
                return
            registered = 0
            while client.socket() is sock:
                self._settle_acks()
                self._ask()
                if self._stopping.is_set():
                    client.disconnect()
                    self._flush(client)
                    return
                if client.socket() is not sock:
                    return
                wanted = (0 if self._full() else selectors.EVENT_READ) | (
                    selectors.EVENT_WRITE if client.want_write() else 0
                )
                if wanted != registered:
                    if registered:
                        selector.unregister(sock)
                    if wanted:
                        selector.register(sock, wanted)
                    registered = wanted
                # What was read in a block and not yet taken shows in no selector.
                unread = client.unread and not self._full()
                for key, events in selector.select(timeout=0 if unread else POLL_SECONDS):
                    if key.fileobj is self._wake_in:
                        with contextlib.suppress(BlockingIOError):
                            self._wake_in.recv(4096)
                        continue
                    unread = unread or bool(events & selectors.EVENT_READ)
                    if events & selectors.EVENT_WRITE and client.socket() is sock:
                        client.loop_write()
                if unread and client.socket() is sock:
                    self._read_some(client)
                if client.socket() is sock:
                    client.loop_misc()

    def _read_some(self, client: MqttClient) -> None:
        # paho reads one packet a call and does not say whether there was one; the count of messages does.
        for _ in range(READ_IN_A_ROW):
            before = self._read
            client.loop_read()
            if (self._read == before and not client.unread) or self._full():
                return

    def _flush(self, client: Client) -> None:
        deadline = time.monotonic() + 2.0
        while client.socket() is not None and client.want_write() and time.monotonic() < deadline:
            client.loop_write()
            time.sleep(0.01)

    def _settle_acks(self) -> None:
        packet_ids = []
        while self._acks:
            delivery = self._acks.popleft()
            self._held -= 1
            self._held_bytes -= len(delivery.raw)
            if delivery.packet_id and delivery.generation == self._generation:
                self._in_hand.discard(delivery.packet_id)
                packet_ids.append(delivery.packet_id)
        self._client.ack_all(packet_ids)

    def _full(self) -> bool:
        full = self._held >= self._hold_messages or self._held_bytes >= self._hold_bytes
        if full != (self._full_since is not None):
            self._full_since = self._clock.now() if full else None
        return full

    def _silent(self) -> None:
        self._connected, self._requested, self._granted = False, 0, 0
        if self._since is not None:
            self._since, self._lost = None, self._clock.now()

    def _ask(self) -> None:
        """Asks the broker for what is wanted, one request after the other."""
        wanted = self._wanted
        if not self._connected or self._requested == wanted.number or self._requested != self._granted:
            return
        if wanted.after is not None and wanted.after.listening_since is None:
            return
        self._requested = wanted.number
        self._asked = wanted
        if wanted.filters:
            self._client.subscribe([(name, 1) for name in wanted.filters])
        else:
            self._leave(wanted)

    def _leave(self, wanted: _Wanted) -> None:
        if wanted.without:
            self._client.unsubscribe(list(wanted.without))
        else:
            self._stands(wanted)

    def _stands(self, wanted: _Wanted) -> None:
        self._granted = wanted.number
        self._pause = FIRST_PAUSE_SECONDS
        if not wanted.filters:
            self._since = None
        elif self._since is None:
            self._since = self._clock.now()

    # --- called by paho ----------------------------------------------------------------------------------

    def _on_connect(self, client: Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("broker refused the sign-in", broker=self._broker.address, reason=str(reason))
            client.disconnect()
            return
        log.info("connected", broker=self._broker.address, generation=self._generation, resumed=flags.session_present)
        self._connected = True
        self._ask()

    def _on_subscribe(self, client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [name for name, reason in zip(self._asked.filters, reasons, strict=True) if reason.is_failure]
        self._refused = frozenset(refused)
        if refused:
            log.error("broker refused subscriptions", broker=self._broker.address, filters=refused)
            if not self._refused <= self._asked.optional:
                client.disconnect()
                return
        self._leave(self._asked)

    def _on_unsubscribe(self, _client: Client, _data: Any, _mid: int, _reasons: Any, _properties: Any) -> None:
        self._stands(self._asked)

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._silent()
        self._ending = str(reason)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._read += 1
        if message.qos:
            if message.mid in self._in_hand:
                return
            self._in_hand.add(message.mid)
        self._held += 1
        self._held_bytes += len(message.payload)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        packet_id = message.mid if message.qos else 0
        self._deliver(Delivery(topic, bytes(message.payload), self._clock.now(), packet_id, self._generation))
