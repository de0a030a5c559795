"""今週の見込み: how many are expected at each spot on seven days, at one of them hour by hour beside what has been
counted today, and how often it was right on the days behind us.

What is expected is worked out each morning (`analytics.visitors.ahead`) and only read here. Everybody of the town hall
reads it; the public does not: the office says in its own words what it expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from analytics.visitors.ahead import Event, Expected, Standing, expected
from analytics.visitors.day_types import day_type, holiday_name
from analytics.visitors.spots.series import SpotDay, SpotHour, days_of, hours
from analytics.visitors.usual import COMPLETE_ENOUGH, day_start
from api.access import READERS, Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.site import Moment, moment, page
from store.connection import Connection
from store.spots import Spot, spots

router = Router()

WIDTH, HEIGHT = 720.0, 160.0  # of the picture of a day

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_AHEAD, _BEHIND = 7, 14
_TOO_FEW = 3  # days behind us, below which nothing is said of how often it was right


@dataclass(frozen=True, slots=True)
class Ahead:
    """A day that comes: its kind, and the name of its holiday."""

    day: date
    kind: str
    holiday: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A spot: by day what is expected, None where nothing can be said; of the days behind us, how many of `judged` lay
    inside, and by how much all of them were missed together (per cent of what came; None: too few).
    """

    spot: Spot
    days: tuple[Expected | None, ...]
    inside: int
    judged: int
    missed: float | None


@dataclass(frozen=True, slots=True)
class EventDay:
    """A day that comes on which an event is reckoned with at a spot."""

    day: date
    spot: Spot
    event: Event


@dataclass(frozen=True, slots=True)
class StandingDay:
    """A day that comes for which something of the weather agency stands, with what it is reckoned to change where."""

    day: date
    name: str
    office: str
    since: datetime
    spots: tuple[tuple[Spot, Standing], ...]


@dataclass(frozen=True, slots=True)
class Hour:
    """`counted` None: not yet, or nothing came; `state` as of analytics.visitors.spots.series, None: has not ended."""

    start: datetime
    expected: Expected
    counted: float | None
    state: str | None

    @property
    def beyond(self) -> str | None:
        """`more` or `fewer` than nine cases in ten."""
        if self.counted is None:
            return None
        return "more" if self.counted > self.expected.high else "fewer" if self.counted < self.expected.low else None


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour in the picture: `high` to `low` what is expected, `value` its middle, `counted` what was; all as y."""

    x: float
    width: float
    high: float
    low: float
    value: float
    counted: float | None


@router.get("/tourism/ahead")
@access(READERS, page=True)
def ahead_page(request: Request, visit: SignedIn) -> Response:
    """Seven days of every spot; today's hours of ?spot=."""
    at = moment(request, visit)
    today = at.now.astimezone(at.zone).date()
    with visit.transaction() as conn:
        known = [each for each in spots(conn) if each.retired_from is None or each.retired_from > today]
        ids = [each.spot_id for each in known]
        start, end = (day_start(today + n * _DAY, at.zone) for n in (-_BEHIND, _AHEAD))
        said = expected(conn, ids, 1, start, end)
        came = days_of(conn, ids, today - _BEHIND * _DAY, today - _DAY, relation="tenant_observation")
        rows = [_row(each, said.get(each.spot_id, ()), came[each.spot_id], today, at) for each in known]
        chosen = _chosen(request, known, rows)
        of_today = [] if chosen is None else _hours(conn, chosen, today, at)
        alerts = open_alerts(conn, visit.user.role)
    coming = [today + n * _DAY for n in range(_AHEAD)]
    return page(
        request, visit, at, "tourism_ahead", alerts,
        rows=rows,
        coming=[Ahead(day, day_type(day).value, holiday_name(day)) for day in coming],
        issued=max((each.issued for row in rows for each in row.days if each is not None), default=None),
        events=[
            EventDay(coming[n], row.spot, each.event)
            for n in range(_AHEAD) for row in rows
            if (each := row.days[n]) is not None and each.event is not None
        ],
        standing=_standing(coming, rows),
        chosen=chosen, hours=of_today, bars=bars(of_today), behind=_BEHIND, too_few=_TOO_FEW,
    )  # fmt: skip


def _row(spot: Spot, said: Sequence[Expected], came: Sequence[SpotDay], today: date, at: Moment) -> Row:
    by_day = {each.start.astimezone(at.zone).date(): each for each in said}
    pairs = [
        (by_day[day.day], day.visitors)
        for day in came
        if day.day in by_day and day.state == "ok" and day.visitors is not None and day.completeness >= COMPLETE_ENOUGH
    ]
    total = sum(visitors for _, visitors in pairs)
    missed = sum(abs(each.value - visitors) for each, visitors in pairs)
    return Row(
        spot,
        tuple(by_day.get(today + n * _DAY) for n in range(_AHEAD)),
        sum(round(each.low) <= visitors <= round(each.high) for each, visitors in pairs),
        len(pairs),
        100 * missed / total if total and len(pairs) >= _TOO_FEW else None,
    )


def _standing(coming: Sequence[date], rows: Sequence[Row]) -> list[StandingDay]:
    found: dict[tuple[date, str, str, datetime], list[tuple[Spot, Standing]]] = {}
    for n, day in enumerate(coming):
        for row in rows:
            if (each := row.days[n]) is not None and (said := each.standing) is not None:
                found.setdefault((day, said.name, said.office, said.since), []).append((row.spot, said))
    return [StandingDay(*what, tuple(spots)) for what, spots in found.items()]


def _chosen(request: Request, known: Sequence[Spot], rows: Sequence[Row]) -> Spot | None:
    """The spot that is asked for; where none is, the first of which something can be said. NotFound for one that is
    none.
    """
    wanted = request.query_params.get("spot")
    if not wanted:
        return next((row.spot for row in rows if any(row.days)), None)
    for each in known:
        if each.code == wanted:
            return each
    raise NotFound(Text(f"地点「{wanted[:60]}」はありません。", f"There is no spot {wanted[:60]!r}."))


def _hours(conn: Connection, spot: Spot, today: date, at: Moment) -> list[Hour]:
    """Today's, as far as something is expected of them."""
    start, end = day_start(today, at.zone), day_start(today + _DAY, at.zone)
    said = expected(conn, [spot.spot_id], 24, start, end).get(spot.spot_id, ())
    counted = {each.start: each for each in hours(conn, spot.spot_id, today, today)}
    return [_hour(each, counted.get(each.start), at.now) for each in said]


def _hour(said: Expected, counted: SpotHour | None, now: datetime) -> Hour:
    if counted is None or said.start + _HOUR > now:
        return Hour(said.start, said, None, None)
    return Hour(said.start, said, counted.visitors, counted.state)


def bars(of_today: Sequence[Hour]) -> list[Bar]:
    """One for each hour, scaled by the most that is expected or was counted."""
    top = max((max(each.expected.high, each.counted or 0.0) for each in of_today), default=0.0) or 1.0

    def y(visitors: float) -> float:
        return round(HEIGHT * (1 - visitors / top), 1)

    return [
        Bar(
            round(n * WIDTH / len(of_today), 1),
            round(0.8 * WIDTH / len(of_today), 1),
            *(y(each.expected.high), y(each.expected.low), y(each.expected.value)),
            None if each.counted is None else y(each.counted),
        )
        for n, each in enumerate(of_today)
    ]
