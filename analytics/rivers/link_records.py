"""What is known of how the water goes from gauge to gauge: learned (`link_job`), and said by people.

    known_links(conn, ...)     -> [KnownLink, ...]     of a town, as the newest learning and the newest word have it
    further_up(links)          -> {station: (station, ...)}   whose water comes to each, the nearest in time first
    say(conn, ...)                                     what somebody says of a pair: append-only, with a reason

A word of people stands above what was learned. What was learned of gauges of different rivers is a proposal: it is
shown to people who may set it, and nowhere else.

  LinkError   what was said cannot be kept: `field` says which of its parts
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from analytics.rivers.links import LONGEST
from store.connection import Connection

SURE = 0.9  # how alike gauges of different rivers have to be, and EVENTS in how many rises, to be proposed
EVENTS = 8
_LONGEST_REASON = 500


class LinkError(Exception):
    """`field`: pair, travel or reason."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Verdict(StrEnum):
    SET = "set"
    REFUSED = "refused"
    OPEN = "open"


class LinkState(StrEnum):
    """SET and REFUSED by people; UNKNOWN: too few rises; BACKWARDS: the lower gauge rose first; TOGETHER: within what
    the gauges' intervals can tell; LEARNED.
    """

    SET = "set"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    BACKWARDS = "backwards"
    TOGETHER = "together"
    LEARNED = "learned"


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody said of a pair; `travel` None: as learned."""

    verdict: Verdict
    travel: timedelta | None
    reason: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class KnownLink:
    """A pair of gauges. `km` of river between them, None where they are not of one river. `step`: how finely both
    observe. Lags as in `links.Link`; `learnt_at` None: never looked at. `word` None: nobody has said anything.
    """

    upstream_id: int
    downstream_id: int
    km: float | None
    step: timedelta
    learnt_at: datetime | None
    since: datetime | None
    until: datetime | None
    rises: int
    events: int
    p10: timedelta | None
    p50: timedelta | None
    p90: timedelta | None
    alike: float | None
    word: Word | None

    @property
    def state(self) -> LinkState:
        if self.word is not None:
            return LinkState(self.word.verdict.value)
        if self.p50 is None:
            return LinkState.UNKNOWN
        if self.p50 <= -self.step:
            return LinkState.BACKWARDS
        return LinkState.TOGETHER if self.p50 < self.step / 2 else LinkState.LEARNED

    @property
    def seconds(self) -> float:
        """How long the water takes, as people have said it or as learned; endless where neither is."""
        travel = self.p50 if self.word is None or self.word.travel is None else self.word.travel
        return math.inf if travel is None else max(0.0, travel.total_seconds())

    @property
    def shown(self) -> bool:
        """Whether pages other than that of the links tell of it."""
        if self.state is LinkState.SET:
            return True
        return self.km is not None and self.state in (LinkState.LEARNED, LinkState.TOGETHER)

    @property
    def proposed(self) -> bool:
        """Whether people should be asked: of different rivers, and the record clearly has the one after the other."""
        return (
            self.km is None
            and self.state is LinkState.LEARNED
            and self.events >= EVENTS
            and (self.alike or 0.0) >= SURE
            and self.p10 is not None
            and self.p10 > timedelta(0)
            and self.p50 is not None
            and self.p90 is not None
            and self.p90 - self.p10 <= max(self.p50, 2 * self.step)
        )


def known_links(
    conn: Connection, *, downstream_id: int | None = None, municipality_id: int | None = None
) -> list[KnownLink]:
    """Every pair of which anything was learned or said, or those to one gauge; the lowest gauge's nearest first. In a
    transaction of the tenant; a worker, who sees all towns, says which.
    """
    rows = conn.execute(_KNOWN, {"downstream": downstream_id, "town": municipality_id}).fetchall()
    found = []
    for row in rows:
        verdict, travel, reason, said_at, by = row[-5:]
        said = None if verdict in (None, "open") else Word(Verdict(verdict), travel, reason, said_at, by)
        found.append(KnownLink(*(*row[:-5], said)))
    return found


def further_up(links: Iterable[KnownLink]) -> dict[int, tuple[int, ...]]:
    """Of each gauge those that its water passes earlier, over however many links that may be told: in the order of the
    travel time, as people have said it or as learned. What can only be reached by a link of unknown time comes last.
    """
    above: dict[int, list[tuple[int, float]]] = {}
    for each in links:
        if each.shown:
            above.setdefault(each.downstream_id, []).append((each.upstream_id, each.seconds))
    return {station: _in_time(station, above) for station in above}


def _in_time(station: int, above: dict[int, list[tuple[int, float]]]) -> tuple[int, ...]:
    """Dijkstra (1959), upstream."""
    waiting, reached = [(0.0, station)], dict[int, float]()
    while waiting:
        seconds, at = heapq.heappop(waiting)
        if at not in reached:
            reached[at] = seconds
            for upper, way in above.get(at, ()):
                heapq.heappush(waiting, (seconds + way, upper))
    return tuple(each for each in reached if each != station)


def say(
    conn: Connection,
    municipality_id: int,
    upstream_id: int,
    downstream_id: int,
    verdict: Verdict,
    *,
    travel: timedelta | None,
    reason: str,
    now: datetime,
    user_id: int,
) -> None:
    """Keeps a word. LinkError where the pair is one gauge or leads round in a circle, the travel time is none, or
    there is no reason.
    """
    reason = reason.strip()
    if upstream_id == downstream_id:
        raise LinkError("pair")
    if travel is not None and (verdict is not Verdict.SET or not timedelta(0) < travel <= LONGEST):
        raise LinkError("travel")
    if not reason or len(reason) > _LONGEST_REASON:
        raise LinkError("reason")
    # Two who say opposite things at once: the second sees what the first has said.
    conn.execute("select pg_advisory_xact_lock(hashtext('station_link_word'), %s)", (municipality_id,))
    if verdict is Verdict.SET and _leads_back(conn, upstream_id, downstream_id):
        raise LinkError("pair")
    conn.execute(
        """
        insert into station_link_word
            (municipality_id, upstream_id, downstream_id, verdict, travel, reason, said_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, upstream_id, downstream_id, verdict.value, travel, reason, now, user_id),
    )


def _leads_back(conn: Connection, upstream_id: int, downstream_id: int) -> bool:
    """Whether the water already goes from the lower gauge to the upper one."""
    below: dict[int, list[int]] = {}
    for each in known_links(conn):
        if each.shown:
            below.setdefault(each.upstream_id, []).append(each.downstream_id)
    seen, open_ = {downstream_id}, [downstream_id]
    while open_:
        for lower in below.get(open_.pop(), ()):
            if lower not in seen:
                seen.add(lower)
                open_.append(lower)
    return upstream_id in seen


_KNOWN = """
with learned as (
    select distinct on (upstream_id, downstream_id) * from station_link
    where (%(downstream)s::integer is null or downstream_id = %(downstream)s)
      and (%(town)s::integer is null or municipality_id = %(town)s)
    order by upstream_id, downstream_id, station_link_id desc
), word as (
    select distinct on (upstream_id, downstream_id) w.*, u.display_name
    from station_link_word w join app_user u using (user_id)
    where (%(downstream)s::integer is null or downstream_id = %(downstream)s)
      and (%(town)s::integer is null or w.municipality_id = %(town)s)
    order by upstream_id, downstream_id, station_link_word_id desc
)
select upstream_id, downstream_id,
       case when above.river = below.river and above.km_from_mouth > below.km_from_mouth
            then above.km_from_mouth - below.km_from_mouth end as km,
       coalesce((select max(d.step) from datastream d where d.station_id in (upstream_id, downstream_id)
                 and d.observed_property = 'water_level' and d.drill_run is null), interval '10 min'),
       l.learnt_at, l.since, l.until, coalesce(l.rises, 0), coalesce(l.events, 0),
       l.lag_p10, l.lag_p50, l.lag_p90, l.alike,
       w.verdict, w.travel, w.reason, w.said_at, w.display_name
from learned l full join word w using (upstream_id, downstream_id)
left join station_river above on above.station_id = upstream_id
left join station_river below on below.station_id = downstream_id
order by downstream_id, km nulls last, l.lag_p50 nulls last, upstream_id
"""
