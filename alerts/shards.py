"""Stations dealt out to several evaluators by their number, so that each station has one at a time.

    shards = deal(conn, 2)                 once, when the process starts: a cursor in the feed for each
    shard.mine(station_id)                 whether it is this one's to judge
    shard.own(conn, touched)               of what a batch touched, the series of its stations

Each shard reads the whole feed under a cursor of its own and judges its stations: a rule at one station that looks at
another one is judged by the evaluator of its own. How many there are changes nothing in what is decided. Processes of
one number share the work: whoever holds a shard's cursor judges it, so that one that dies leaves its shards to the
others. All processes have to be told the same number; where it changes, all new shards begin where the slowest old one
stood, and what is judged again comes to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store import Connection
from store.arrays import array
from store.feed import Touched

NAME = "alerts"  # of the feed cursor, of the first shard's
_SPREAD = 2_654_435_761  # Knuth's multiplier: neighbours in the register, and every second one, fall apart evenly
_BITS = 32


@dataclass(frozen=True, slots=True)
class Shard:
    """The stations of one evaluator among `of`."""

    number: int = 0
    of: int = 1

    @property
    def name(self) -> str:
        """Of its cursor.

        >>> Shard().name, Shard(1, 2).name
        ('alerts', 'alerts 2/2')
        """
        return NAME if self.number == 0 else f"{NAME} {self.number + 1}/{self.of}"

    @property
    def names(self) -> list[str]:
        """Of the cursors of all."""
        return [Shard(each, self.of).name for each in range(self.of)]

    def mine(self, station_id: int | None) -> bool:
        """What has no station is the first one's.

        >>> sum(Shard(0, 4).mine(station_id) for station_id in range(10_000))
        2502
        """
        if self.of == 1 or station_id is None:
            return self.number == 0
        return ((station_id * _SPREAD) % (1 << _BITS)) * self.of >> _BITS == self.number

    def own(self, conn: Connection, touched: Sequence[Touched]) -> Sequence[Touched]:
        """Those of the series that belong to its stations; for the worker."""
        if self.of == 1 or not touched:
            return touched
        stations: dict[int, int] = dict(
            conn.execute(
                "select datastream_id, station_id from datastream where datastream_id = any(%s::integer[])",
                (array({each.datastream_id for each in touched}),),
            ).fetchall()
        )
        return [each for each in touched if self.mine(stations.get(each.datastream_id))]


def deal(conn: Connection, of: int) -> list[Shard]:
    """The shards of so many evaluators, each with its cursor in the feed. Commits."""
    shards = [Shard(number, of) for number in range(of)]
    names = shards[0].names
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtext('alerts shards'))")
        known: dict[str, int] = dict(
            conn.execute(
                "select consumer, feed_id from feed_cursor where consumer = %s or consumer like %s for update",
                (NAME, f"{NAME} %/%"),
            ).fetchall()
        )
        if set(known) != set(names):
            conn.execute("delete from feed_cursor where consumer = any(%s)", (list(known),))
            begin = min(known.values(), default=0)
            conn.execute("insert into feed_cursor select name, %s from unnest(%s::text[]) as name", (begin, names))
    return shards
