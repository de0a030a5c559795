"""気象庁の電文: what the weather agency has issued for the town, unchanged, with its time and office.

    board(conn, town, clock) -> Board | None     what the pages show of the present; None: the town has no feed

Everybody of the town hall reads; nobody writes here. Names, headlines and offices stand in elements of the class
`relayed` and come from the telegrams alone: no word of ours says what only the agency may say. A feed that cannot say
what holds now makes the board stale; then nothing here says that nothing is issued.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from api.access import READERS, Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.headquarters import csv_file, days_asked, file_name, local
from api.pages.site import Moment, moment, page
from devices.clock import Clock
from store import jma, jma_feed
from store.connection import Connection
from store.jma import ACTUAL, DRILL, TEST, Current, Kept, State
from store.jma_feed import Feed

router = Router()

MOST_SHOWN, MOST_ROWS = 200, 20_000


@dataclass(frozen=True, slots=True)
class Board:
    """`current` is what holds by what came, which is not what holds now where the board is `stale`, since `since`.
    `silent_at`: when it turns stale if nothing more comes. `simulated`: of an agency that does not exist.
    """

    feed: Feed
    current: Current
    stale: bool
    since: datetime
    silent_at: datetime | None
    simulated: bool

    def unsure(self, state: State) -> bool:
        """Whether it may have changed while nobody listened."""
        return self.feed.unsure(state.report_at)


def status_of(clock: Clock) -> str:
    """The telegrams that are a town's own: in a simulated one nothing is real."""
    return DRILL if clock.simulated else ACTUAL


def board(conn: Connection, municipality_id: int, clock: Clock) -> Board | None:
    """What the pages show of the present."""
    feed, now = jma_feed.feed(conn, municipality_id), clock.now()
    if feed is None:
        return None
    stale = feed.stale(now, clock.speed)
    return Board(
        feed,
        jma.current(conn, municipality_id, now, status=status_of(clock)),
        stale,
        feed.looked_at or feed.started_at,
        None if stale or feed.looked_at is None else feed.looked_at + jma_feed.patience(clock.speed),
        clock.simulated,
    )


@router.get("/disaster/jma")
@access(READERS, page=True)
def jma_page(request: Request, visit: SignedIn) -> Response:
    """What holds, what drills and tests say, what nobody here reads, and all that came in the days asked for."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    days = days_asked(request, at)
    own = status_of(at.clock)
    others = tuple(each for each in (ACTUAL, DRILL, TEST) if each != own)
    with visit.transaction() as conn:
        now = board(conn, town, at.clock)
        apart = {status: jma.current(conn, town, at.now, status=status).standing for status in others}
        came = jma.telegrams(conn, town, days.since, days.until, status=(own,), limit=MOST_SHOWN)
        drills = jma.telegrams(conn, town, days.since, days.until, status=others, limit=MOST_SHOWN)
        unknown = jma.telegrams(conn, town, days.since, days.until, status=(ACTUAL, DRILL, TEST), unknown=True)
        refused = jma_feed.refused(conn, town)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "disaster_jma",
        alerts,
        board=now,
        apart={status: found for status, found in apart.items() if found},
        range=days,
        came=came,
        most=MOST_SHOWN,
        drills=drills,
        unknown=unknown,
        refused=refused,
    )


_COLUMNS = (
    "time", "kind", "status", "info_type", "area", "name", "level", "in_force", "change", "withdrawn", "title",
    "headline", "office", "received",
)  # fmt: skip


@router.get("/disaster/jma.csv")
@access(READERS, page=True)
def jma_file(request: Request, visit: SignedIn) -> Response:
    """All telegrams of the days, a line for each area: drills and tests too, as their column says."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    days = days_asked(request, at)
    with visit.transaction() as conn:
        came: list[Kept] = []
        for unknown in (False, True):
            came += jma.telegrams(
                conn, town, days.since, days.until, status=(ACTUAL, DRILL, TEST), unknown=unknown, limit=MOST_ROWS
            )
    came.sort(key=lambda each: (each.report_at, each.sent_at, each.telegram_id))
    return csv_file(file_name("jma", visit, days, False), _rows(at, came), at.words.code)


def _rows(at: Moment, came: Iterable[Kept]) -> Iterator[tuple[object, ...]]:
    t = at.words
    yield tuple(t(f"jma_file.{name}") for name in _COLUMNS)
    for each in came:
        for item in each.items or (None,):
            yield (
                local(each.report_at, at.zone),
                t(f"jma.kind.{each.kind}"),
                each.status,
                each.info_type,
                "" if item is None else item.area,
                "" if item is None else item.name,
                "" if item is None or item.level is None else item.level,
                "" if item is None else int(item.in_force),
                "" if item is None else item.change,
                int(each.withdrawn),
                each.head_title,
                each.headline,
                each.office,
                local(each.received_at, at.zone),
            )


@router.get("/disaster/jma/{telegram_id}.xml")
@access(READERS, page=True)
def telegram_file(visit: SignedIn, telegram_id: int) -> Response:
    """One telegram as it came."""
    found = _found(visit, telegram_id)
    if found.raw is None:
        raise NotFound(
            Text(
                "この電文のXMLは保存期間が過ぎました。本文は残っています。",
                "The XML of this telegram is no longer kept; its words are.",
            )
        )
    return Response(
        found.raw.encode(),
        media_type="application/xml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="jma_{telegram_id}.xml"'},
    )


@router.get("/disaster/jma/{telegram_id}")
@access(READERS, page=True)
def telegram_page(request: Request, visit: SignedIn, telegram_id: int) -> Response:
    """One telegram in its own words."""
    at = moment(request, visit)
    found = _found(visit, telegram_id)
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
    return page(request, visit, at, "disaster_jma_telegram", alerts, telegram=found, own=status_of(at.clock))


def _found(visit: SignedIn, telegram_id: int) -> Kept:
    with visit.transaction() as conn:
        found = jma.telegram(conn, visit.tenant.municipality_id, telegram_id)
    if found is None:
        raise NotFound(Text(f"電文 {telegram_id} はありません。", f"There is no telegram {telegram_id}."))
    return found
