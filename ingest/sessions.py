"""The sessions of a worker at the broker: the main one, and a spare one that lets the newest overtake a backlog.

A broker gives out what waits in a session in the order of its arrival: a reading published now would come after all
that an outage has left. So a worker that finds itself behind takes the new messages in a second session:

    main    ... subscribed .......... | leaves; brings what waited, until empty | subscribed ...
    spare                  subscribed | brings what is new .................... leaves; brings its rest, until empty

Contract
- At every moment one of the two is subscribed: one is granted the subscriptions before the other leaves them. In
  between a message may come by both (not where the subscription is shared); the store knows it.
- The two take turns, a batch each: what is new waits for one batch of the backlog, and the backlog for one of the new.
- Each message is acknowledged on the connection that brought it, in its order there. Nothing is acknowledged earlier
  than without a spare.
- No memory of this is needed. A worker that comes back subscribes with the main session and, once that stands, makes
  the spare one leave and bring what waits in it. The same after every reconnection of the main one.
- What is subscribed to may change at any time (`listen`): by the one that is subscribed, and by the other when its turn
  comes.
- Where a session loses what waits in it when it leaves (`Broker.keeps_unsubscribed`), there is no spare one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from devices.clock import Clock
from devices.envelopes.definitions import NOTHING, Definitions
from ingest.batcher import Batcher, batch_limit
from ingest.config import IngestConfig
from ingest.subscriber import Delivery, Subscriber

# Nothing but full batches for so long: new messages wait behind old ones.
BEHIND_SECONDS = 2.0
# How long the backlog's next batch is waited for before the new ones are looked at again.
TURN_SECONDS = 0.05
# How soon a broker that refused a subscription is asked again.
REFUSED_SECONDS = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """One session: who listens, and what was heard and not yet taken."""

    subscriber: Subscriber
    batcher: Batcher[Delivery]


@dataclass(frozen=True, slots=True)
class Hearing:
    """How a worker stands with the broker, in town time: since when it listens, or else since when it does not; since
    when it reads nothing for want of room. `held` counts the messages in hand.
    """

    listening_since: datetime | None
    lost_since: datetime
    full_since: datetime | None
    held: int


class Sessions:
    """What a worker hears, in batches. All but `hearing` is for one thread."""

    def __init__(self, config: IngestConfig, clock: Clock, definitions: Definitions = NOTHING) -> None:
        self._config = config
        self._limit = batch_limit(config.batch_size, config.broker)
        self._filters = config.filters(definitions)
        heard = self._batcher()
        main = Subscriber(
            config.broker,
            config.client_id,
            self._filters.wanted,
            clock,
            heard.put,
            without=self._filters.others,
            optional=self._filters.optional,
        )
        self._main = Session(main, heard)
        self._spare: Session | None = None
        if config.broker.keeps_unsubscribed:
            heard = self._batcher()
            spare = Subscriber(
                config.broker, config.spare_client_id, (), clock, heard.put, without=self._filters.all, after=main
            )
            self._spare = Session(spare, heard)
        self._live = self._main
        self._rest = self._spare
        self._coming: tuple[Session, int] | None = None  # who is to be the live one, once this number is granted
        self._asked = 1  # the rest was last asked by this number whether more is coming,
        self._received: int | None = None  # ... when it had received so many
        self._swept = 0  # the connection of the main session for which the spare one was last seen to be empty
        self._turn_of_rest = False
        self._ask_again = 0.0
        self._full_since: float | None = None
        self._heard: tuple[Session, datetime, datetime] | None = None

    @property
    def at_rest(self) -> bool:
        """Whether the main session alone listens, and nothing waits in the spare one."""
        return (
            self._live is self._main
            and self._rest is None
            and self._coming is None
            and (self._spare is None or self._swept == self._main.subscriber.generation)
        )

    def start(self) -> None:
        """Starts listening; returns at once, whether or not there is a broker yet."""
        for session in self._both():
            session.subscriber.start()

    def stop(self) -> None:
        """Takes leave of the broker; the sessions stay there."""
        for session in self._both():
            session.subscriber.stop()

    def check(self) -> None:
        """Raises what ended a subscriber's thread, if anything has."""
        for session in self._both():
            session.subscriber.check()

    def take(self, *, timeout: float) -> tuple[Subscriber, list[Delivery]]:
        """The next batch, empty when nothing came within `timeout` seconds, and who is to acknowledge it."""
        if self._rest is None:
            batch = self._live.batcher.take(timeout=timeout)
            if len(batch) < self._limit:
                self._full_since = None
            elif self._full_since is None:
                self._full_since = time.monotonic()
            return self._live.subscriber, batch
        if not self._turn_of_rest:
            batch = self._live.batcher.take(timeout=0.0, linger=0.0)
            if batch:
                self._turn_of_rest = True
                return self._live.subscriber, batch
        self._turn_of_rest = False
        return self._rest.subscriber, self._rest.batcher.take(timeout=min(timeout, TURN_SECONDS))

    @property
    def refused(self) -> frozenset[str]:
        """Topic filters of the municipality's own that the broker does not let us subscribe to."""
        refused = self._live.subscriber.refused
        return frozenset(own for name, own in self._filters.optional.items() if name in refused)

    def listen(self, definitions: Definitions) -> None:
        """Subscribes to what these sources bring from now on; costs nothing where that is the same as before."""
        filters = self._config.filters(definitions)
        if filters == self._filters:
            return
        log.info("topics", subscribed=filters.wanted)
        self._filters = filters
        self._ask_again = time.monotonic() + REFUSED_SECONDS
        self._bring(self._live if self._coming is None else self._coming[0])

    def rounds(self) -> None:
        """Whatever is due; to be called between batches."""
        if self.refused and self._coming is None and time.monotonic() >= self._ask_again:
            # Whoever looks after the broker may have allowed it meanwhile.
            self._ask_again = time.monotonic() + REFUSED_SECONDS
            self._bring(self._live)
        if self._coming is not None:
            session, number = self._coming
            if session.subscriber.granted(number):
                self._coming, left, self._live = None, self._live, session
                if left is not session:
                    self._leave(left)
        elif self._rest is not None:
            if self._is_empty(self._rest):
                self._rest_is_over(self._rest)
        elif self._spare is not None:
            if self._main.subscriber.generation != self._swept:
                # A broker that was put back to an earlier state may have subscribed the spare session again.
                self._leave(self._spare)
            elif self._full_since is not None and time.monotonic() - self._full_since >= BEHIND_SECONDS:
                log.info("behind: new messages overtake what waits")
                self._bring(self._spare)

    def hearing(self) -> Hearing:
        """How it stands with the broker; for one thread, whichever. A change of session is no break."""
        live = self._live
        since = live.subscriber.listening_since
        if since is None:
            self._heard = None
        elif self._heard is None or (self._heard[0] is live and self._heard[1] != since):
            self._heard = (live, since, since)
        else:
            self._heard = (live, since, self._heard[2])
        return Hearing(
            None if self._heard is None else self._heard[2],
            live.subscriber.lost_since,
            live.subscriber.full_since,
            sum(session.subscriber.held for session in self._both()),
        )

    # --- who is subscribed -------------------------------------------------------------------------------

    def _bring(self, session: Session) -> None:
        """Makes a session the live one; the other leaves once this one is subscribed."""
        self._full_since = None
        number = session.subscriber.change(
            self._filters.wanted, without=self._filters.others, optional=self._filters.optional
        )
        self._coming = (session, number)

    def _leave(self, session: Session) -> None:
        """Ends the subscriptions of a session while the other stands, and lets it bring what waits in it."""
        self._rest, self._received = session, None
        self._asked = session.subscriber.change((), without=self._filters.all, after=self._live.subscriber)

    def _is_empty(self, rest: Session) -> bool:
        """Whether nothing waits in a session that has left. It is asked twice: nothing must come in between."""
        subscriber = rest.subscriber
        if not subscriber.granted(self._asked) or subscriber.held:
            return False
        if subscriber.received == self._received:
            return True
        if self._received is None:
            self._swept = self._main.subscriber.generation
        self._received = subscriber.received
        self._asked = subscriber.change((), without=self._filters.all, after=self._live.subscriber)
        return False

    def _rest_is_over(self, rest: Session) -> None:
        self._rest = None
        if rest is self._main:
            log.info("caught up: the main session listens again")
            self._bring(self._main)

    # --- plumbing ----------------------------------------------------------------------------------------

    def _both(self) -> Iterable[Session]:
        return (self._main,) if self._spare is None else (self._main, self._spare)

    def _batcher(self) -> Batcher[Delivery]:
        return Batcher(limit=self._limit, linger=self._config.batch_seconds)
