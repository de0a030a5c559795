"""時間ごとの入力: how many came in each hour of a day at a spot, on one page of small fields.

As in the form for a day, what was typed stands in the address until it is stored, so that a question is a page like any
other. The sum of the hours is offered for the day, and never put there by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.manual import NotANumber, doubt, parse
from analytics.visitors.part_counts import (
    HeldPart,
    Kind,
    Part,
    PartEntry,
    arrived,
    held_parts,
    part_history,
    put_parts,
    usual_hours,
)
from api.access import Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.count_copies import MAX_NOTE, What, asked_for, staff_copy
from api.pages.daily_entry import COUNTING, entry_day, key_of, spots_by_hand
from api.pages.days import day_start
from api.pages.readings import StationNow
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

ADDRESS = "/tourism/hours"
OPEN = range(8, 18)  # hours that are shown at once; the others behind a word, unless something stands there
_TYPED = 20
_DONE = frozenset({"stored", "corrected", "unchanged", "again"})


@dataclass(frozen=True, slots=True)
class HourField:
    """One hour. `value` is what is stored, `typed` what stands in the field; `before` and `last_week` the same hour of
    the day before and of the weekday; `problem`: number, much, little, future (not begun: `typed` is not stored) or
    meanwhile (then `by` has entered `value`).
    """

    hour: int
    start: datetime
    value: int | None
    typed: str
    before: int | None
    last_week: int | None
    usual: float | None
    problem: str | None
    by: str | None
    begun: bool


@dataclass(frozen=True, slots=True)
class HourForm:
    """The page: `total` the sum of what is stored, of `n` hours; `sure` what was asked about once, hour:typed."""

    spots: tuple[StationNow, ...]
    spot: StationNow
    day: date
    today: date
    oldest: date
    hours: tuple[HourField, ...]
    total: int
    n: int
    entries: tuple[PartEntry, ...]
    key: str
    note: str
    sure: str

    @property
    def first(self) -> list[HourField]:
        return [each for each in self.hours if each.hour in OPEN or each.typed]

    @property
    def others(self) -> list[HourField]:
        return [each for each in self.hours if each.hour not in OPEN and not each.typed]

    @property
    def asks(self) -> bool:
        return any(each.problem for each in self.hours)


@router.get(ADDRESS)
@access(COUNTING, page=True)
def hours_start(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        spots = spots_by_hand(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
    if spots and asked_for(request):
        return staff_copy(request, visit, at, What.HOURS, ADDRESS, spots)
    if spots:
        return RedirectResponse(f"{ADDRESS}/{spots[0].code}", 303)
    return page(request, visit, at, "tourism_hours", alerts, model=None, done=None)


@router.get(ADDRESS + "/{spot}")
@access(COUNTING, page=True)
def hours_page(request: Request, visit: SignedIn, spot: str) -> Response:
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        model = _form(conn, at, spot, entry_day(query.get("day"), at), query)
        alerts = open_alerts(conn, visit.user.role)
    done = query.get("saved")
    return page(request, visit, at, "tourism_hours", alerts, model=model, done=done if done in _DONE else None)


@router.post(ADDRESS + "/{spot}")
@access(COUNTING)
def hours_submit(request: Request, visit: SignedIn, spot: str, typed: Form) -> Response:
    """Stores all hours that differ from what is there, or leads back to the form, which says which are asked about."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        form = _form(conn, at, spot, entry_day(typed.get("day"), at), typed)
        key, town = key_of(typed.get("key")), visit.tenant.municipality_id
        if arrived(conn, town, form.spot.station_id, Kind.HOUR, _parts(form.hours, typed), key):
            return _back(form, "again", key)
        if any(each.problem for each in form.hours):
            return _asked(form, typed)
        outcome = put_parts(
            conn,
            town,
            form.spot.station_id,
            Kind.HOUR,
            [
                part
                for part, each in zip(_parts(form.hours, typed), form.hours, strict=True)
                if part.value != each.value
            ],
            at=at.now,
            user_id=visit.user.user_id,
            note=typed.get("note", "").strip()[:MAX_NOTE],
            key=key,
        )
    if outcome.meanwhile:
        return _asked(form, typed)
    return _back(form, outcome.word, key)


def _parts(hours: Sequence[HourField], typed: Mapping[str, str]) -> list[Part]:
    """Every hour as it stands in the form; one that has not begun, or cannot be read, as it is stored."""
    found = []
    for each in hours:
        value = each.value
        if each.begun and each.problem != "number":
            value = parse(each.typed) if each.typed else None
        found.append(Part("", each.start, each.start + timedelta(hours=1), value, _seen(typed, each.hour)))
    return found


def _back(form: HourForm, saved: str, key: UUID | None) -> Response:
    query = {"day": form.day.isoformat(), "saved": saved} | ({} if key is None else {"key": str(key)})
    return RedirectResponse(f"{ADDRESS}/{form.spot.code}?{urlencode(query)}", 303)


def _asked(form: HourForm, typed: Mapping[str, str]) -> Response:
    """Back to the fields with everything that was typed into them."""
    kept = {"day": form.day.isoformat(), "sure": typed.get("sure", "")[:500], "asked": "1"}
    kept |= {name: typed[name][:_TYPED] for hour in range(24) for name in (f"h{hour}", f"s{hour}") if name in typed}
    kept |= {name: typed[name][:MAX_NOTE] for name in ("note", "key") if typed.get(name)}
    return RedirectResponse(f"{ADDRESS}/{form.spot.code}?{urlencode(kept)}#which-number", 303)


def _form(conn: Connection, at: Moment, code: str, day: date, typed: Mapping[str, str]) -> HourForm:
    """The form with what is stored, or with what was typed where a field of it came. Raises NotFound."""
    spots = spots_by_hand(conn, at.now)
    spot = next((each for each in spots if each.code == code), None)
    if spot is None:
        raise NotFound(Text(f"地点 {code[:40]} はありません。", f"There is no spot {code[:40]}."))
    today = at.now.astimezone(at.zone).date()
    begins, ends = day_start(day, at.zone), day_start(day + timedelta(days=1), at.zone)
    held = held_parts(conn, spot.station_id, Kind.HOUR, day_start(day - timedelta(days=7), at.zone), ends)
    by_hour = {(each.start.astimezone(at.zone).date(), each.start.astimezone(at.zone).hour): each for each in held}
    usual = usual_hours(conn, spot.station_id, begins, at.zone)
    sure = set(typed.get("sure", "").split())
    hours = tuple(_hour(at, day, hour, by_hour, usual.get(hour), typed, sure) for hour in range(24))
    stored = [each.value for each in hours if each.value is not None]
    return HourForm(
        tuple(spots),
        spot,
        day,
        today,
        today - timedelta(days=400),
        hours,
        sum(stored),
        len(stored),
        part_history(conn, spot.station_id, Kind.HOUR, begins, ends),
        str((None if "saved" in typed else key_of(typed.get("key"))) or uuid4()),
        typed.get("note", "")[:MAX_NOTE] if "asked" in typed else "",
        " ".join(sorted(sure | {f"{each.hour}:{each.typed}" for each in hours if each.problem in ("much", "little")})),
    )


def _hour(
    at: Moment,
    day: date,
    hour: int,
    held: Mapping[tuple[date, int], HeldPart],
    usual: float | None,
    typed: Mapping[str, str],
    sure: set[str],
) -> HourField:
    start = datetime(day.year, day.month, day.day, hour, tzinfo=at.zone)
    there, before, last_week = (held.get((day - timedelta(days=back), hour)) for back in (0, 1, 7))
    value = None if there is None else there.value
    stored = "" if value is None else str(value)
    text = typed.get(f"h{hour}", stored).strip()[:_TYPED]
    if text == typed.get(f"s{hour}"):
        text = stored  # nobody has touched it, whatever stands there by now
    problem, begun = None, start <= at.now
    if text != stored and not begun:
        problem = "future"  # a telephone whose clock is ahead
    elif text != stored:
        try:
            number = parse(text) if text else None
        except NotANumber:
            problem = "number"
        else:
            asked = None if number is None or number == value else doubt(number, usual)
            problem = asked.value if asked is not None and f"{hour}:{text}" not in sure else None
            if f"s{hour}" in typed and _seen(typed, hour) != value and number != value:
                problem = "meanwhile"
    return HourField(
        hour,
        start,
        value,
        text,
        None if before is None else before.value,
        None if last_week is None else last_week.value,
        usual,
        problem,
        None if there is None else there.entered_by,
        begun,
    )


def _seen(typed: Mapping[str, str], hour: int) -> int | None:
    """The value that stood in the field when the form was shown."""
    text = typed.get(f"s{hour}", "")
    return int(text) if text.isascii() and text.isdigit() else None
