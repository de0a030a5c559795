"""日別の入力: spot, day, number - the form with which people count.

Three addresses, no script: a link chooses the spot, a link the day, and one field takes the number. What was typed
stands in the address until it is stored, so that a question (ten times the usual?) is a page like any other: it can be
reloaded, translated and gone back from. `sure` repeats the number that the person was asked about; another number is
asked about anew.

`key` names what is sent, so that it is entered once however often it comes; `seen` the value that stood there when the
form was shown: where somebody else has entered another one since, the page says so and asks. entry_keep.js keeps what
was typed while there is no network, and sends the same form later; it also keeps a copy of the form (?copy=1) that
opens without one.

A value that somebody has examined (confirmed or corrected with `mimamori correct`) is not replaced in passing: the page
says whose it is, and whoever wants another one says so (`over` names the value that they have seen) and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.day_types import DayType
from analytics.visitors.manual import Entered, NotANumber, doubt, enter, parse, seen_name
from api.access import Role, Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.count_copies import MAX_NOTE, What, asked_for, staff_copy
from api.pages.daily_counts import MANUAL, Cell, Row, UsualDay, calendar, usual_day
from api.pages.day_entries import Entry, Standing, entries, standing
from api.pages.days import day_start
from api.pages.readings import StationNow, stations_now
from api.pages.site import Moment, moment, page
from devices.model import StationKind
from store.connection import Connection

router = Router()

HOME = "/tourism/entry"
COUNTING = frozenset({Role.TOURISM, Role.DIGITAL})
OLDEST = timedelta(days=400)  # further back a number is history that somebody imports
_MORNING = 12  # before this hour people write down yesterday
_OFFERED = 7  # days
_TYPED = 20  # characters of it that are worth keeping
_DONE = frozenset({"stored", "corrected", "unchanged", "again"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A day to compare with: `key` says which (yesterday, last_week)."""

    key: str
    day: date
    cell: Cell


@dataclass(frozen=True, slots=True)
class EntryForm:
    """What the form shows: the spots with the chosen day's cell, the days on offer, and what is known of the day.

    `problem` (number, range) refuses what was typed; `doubt` (much, little) asks back about `total`. `low` and `high`
    are what the series can hold. `standing`: the value there is an examined one; `unsaid`: somebody wanted to replace
    it and did not say so, or not why. `note` is what was typed beside the number. `seen` names the value that is there
    now, `meanwhile` is the entry that somebody has made since the person last looked, `key` names what will be sent.
    """

    spots: tuple[tuple[StationNow, Cell], ...]
    spot: StationNow
    day: date
    kind: DayType
    today: date
    oldest: date
    days: tuple[Row, ...]
    cell: Cell
    references: tuple[Reference, ...]
    usual: UsualDay
    entries: tuple[Entry, ...]
    typed: str
    total: int | None = None
    problem: str | None = None
    doubt: str | None = None
    low: int = 0
    high: int = 0
    standing: Standing | None = None
    unsaid: bool = False
    note: str = ""
    seen: str = "none"
    meanwhile: Entry | None = None
    key: str = ""

    def replaces(self, total: int | None, over: str, note: str) -> bool:
        """Whether it was said, where it has to be, that an examined value is to be replaced, and why."""
        held = self.standing
        return held is None or held.value == total or (over == held.name and bool(note.strip()))


@router.get("/tourism/entry")
@access(COUNTING, page=True)
def entry_start(request: Request, visit: SignedIn) -> Response:
    """Leads to the first spot that nobody else counts. With ?copy=1 the form that a browser keeps."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        spots = spots_by_hand(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
    if spots and asked_for(request):
        return staff_copy(request, visit, at, What.DAY, HOME, spots)
    if spots:
        return RedirectResponse(f"/tourism/entry/{spots[0].code}", 303)
    return page(request, visit, at, "tourism_entry", alerts, model=None, done=None)


def typed_of(text: str) -> str:
    """As much of what was typed as is worth keeping."""
    return text[:_TYPED]


@router.get("/tourism/entry/{spot}")
@access(COUNTING, page=True)
def entry_form(request: Request, visit: SignedIn, spot: str) -> Response:
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        model = form_of(conn, at, spot, entry_day(query.get("day"), at), typed_of(query.get("value", "")))
        was = query.get("was")
        since = model.entries[0] if model.entries and was is not None and was != model.seen else None
        model = replace(
            model,
            note=query.get("note", "")[:MAX_NOTE],
            unsaid="unsaid" in query,
            meanwhile=since,
            key=str((None if "saved" in query else key_of(query.get("key"))) or uuid4()),
        )
        alerts = open_alerts(conn, visit.user.role)
    done = query.get("saved")
    return page(
        request,
        visit,
        at,
        "tourism_entry",
        alerts,
        model=model,
        done=done if done in set(Entered) else None,
        seen_name=seen_name,
    )


@router.post("/tourism/entry/{spot}")
@access(COUNTING)
def entry_submit(
    request: Request,
    visit: SignedIn,
    spot: str,
    day: Annotated[str, Form()],
    value: Annotated[str, Form(max_length=100)] = "",
    sure: Annotated[str, Form(max_length=20)] = "",
    note: Annotated[str, Form(max_length=MAX_NOTE)] = "",
    over: Annotated[str, Form(max_length=100)] = "",
    seen: Annotated[str | None, Form(max_length=20)] = None,
    key: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Stores the number, or leads back to the form, which says what is wrong with it."""
    at = moment(request, visit)
    sent = Sent(note, over, seen, key_of(key))
    with visit.transaction() as conn:
        form = form_of(conn, at, spot, entry_day(day, at), typed_of(value))
        total = form.total
        if total is None or form.problem is not None or (form.doubt is not None and sure != str(total)):
            return _asked(spot, form, sent, said=total is None or form.replaces(total, over, note))
        if not form.replaces(total, over, note):
            return _asked(spot, form, sent, said=False)
        done = _enter(conn, visit, at, form, total, sent)
    return _done(spot, form, sent, done)


@router.post("/tourism/entry/{spot}/withdraw")
@access(COUNTING)
def entry_withdraw(
    request: Request,
    visit: SignedIn,
    spot: str,
    day: Annotated[str, Form()],
    note: Annotated[str, Form(max_length=MAX_NOTE)] = "",
    over: Annotated[str, Form(max_length=100)] = "",
    seen: Annotated[str | None, Form(max_length=20)] = None,
) -> Response:
    """Takes the day's number back: it was another spot's, or another day's."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        form = form_of(conn, at, spot, entry_day(day, at), "")
        said = form.replaces(None, over, note)
        sent = Sent(note, over, seen, None)
        done = _enter(conn, visit, at, form, None, sent) if said else Entered.STANDS
    return _done(spot, form, sent, done)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came with the number: see `enter`."""

    note: str
    over: str
    seen: str | None
    key: UUID | None


def key_of(text: str | None) -> UUID | None:
    """The key of what is sent; None where the form had none that can be read."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _enter(conn: Connection, visit: Visit, at: Moment, form: EntryForm, total: int | None, sent: Sent) -> Entered:
    return enter(
        conn,
        form.spot.readings[MANUAL].datastream_id,
        form.day,
        total,
        visit.user.user_id,
        at.now,
        sent.note.strip() or None,
        over=sent.over or None,
        seen=sent.seen,
        key=sent.key,
    )


def _done(spot: str, form: EntryForm, sent: Sent, done: Entered) -> Response:
    if done in (Entered.STANDS, Entered.MEANWHILE):
        return _asked(spot, form, sent, said=done is Entered.MEANWHILE)
    named = {} if sent.key is None else {"key": str(sent.key)}
    return _back(spot, day=form.day.isoformat(), saved=done.value, **named)


def _asked(spot: str, form: EntryForm, sent: Sent, *, said: bool) -> Response:
    """Back to the number with what was typed. Not `said`: that an examined value is to be replaced, or why."""
    more = ({"note": sent.note} if sent.note.strip() else {}) | ({} if said else {"unsaid": "1"})
    more |= ({} if sent.seen is None else {"was": sent.seen}) | ({} if sent.key is None else {"key": str(sent.key)})
    return _back(spot, "which-number", day=form.day.isoformat(), value=form.typed, **more)


def _back(spot: str, place: str = "main", **query: str) -> Response:
    return RedirectResponse(f"/tourism/entry/{spot}?{urlencode(query)}#{place}", 303)


def spots_by_hand(conn: Connection, now: datetime) -> list[StationNow]:
    """The spots with a series of daily totals, those first that no counter watches."""
    spots = [spot for spot in stations_now(conn, StationKind.VISITOR_SPOT, now) if MANUAL in spot.readings]
    return sorted(spots, key=lambda spot: len(spot.readings))


def entry_day(text: str | None, at: Moment) -> date:
    """The day that was asked for; without one, yesterday in the morning and today later on. Raises BadRequest."""
    local = at.now.astimezone(at.zone)
    if not text:
        return local.date() - timedelta(days=1 if local.hour < _MORNING else 0)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            Text(f"日付「{text[:20]}」は読み取れません。", f"The day {text[:20]!r} cannot be read."),
            Text("2026-06-01 のように指定してください。", "Give it like 2026-06-01."),
        ) from None
    if not local.date() - OLDEST <= day <= local.date():
        raise BadRequest(
            Text("この日付には入力できません。", "No number can be entered for this day."),
            Text(
                f"今日から{OLDEST.days}日前までの日を選んでください。",
                f"Choose today or a day of the last {OLDEST.days} days.",
            ),
        )
    return day


def form_of(conn: Connection, at: Moment, code: str, day: date, typed: str) -> EntryForm:
    """The form as it stands for this spot, day and typed number. Raises NotFound."""
    spots = spots_by_hand(conn, at.now)
    spot = next((each for each in spots if each.code == code), None)
    if spot is None:
        raise NotFound(Text(f"地点 {code[:40]} はありません。", f"There is no spot {code[:40]}."))
    today = at.now.astimezone(at.zone).date()
    (of_day,) = calendar(conn, spots, day, day, at.now, at.zone)
    last_week = day - timedelta(days=7)
    around = {row.day: row for row in calendar(conn, [spot], last_week, day, at.now, at.zone)}
    usual = usual_day(conn, spot, day, at.now, at.zone)
    datastream_id = spot.readings[MANUAL].datastream_id
    low, high = _range_of(conn, datastream_id)
    ends = day_start(day + timedelta(days=1), at.zone)
    said = entries(conn, datastream_id, day, ends)
    total, problem, asked = None, None, None
    if typed:
        try:
            total = parse(typed)
        except NotANumber:
            problem = "number"
        else:
            problem = None if low <= total <= high else "range"
            asked = doubt(total, usual.level)
    return EntryForm(
        spots=tuple(zip(spots, of_day.cells, strict=True)),
        spot=spot,
        day=day,
        kind=of_day.kind,
        today=today,
        oldest=today - OLDEST,
        days=calendar(conn, [spot], today - timedelta(days=_OFFERED - 1), today, at.now, at.zone),
        cell=around[day].cells[0],
        references=tuple(
            Reference(key, each, around[each].cells[0])
            for key, each in (("before", day - timedelta(days=1)), ("last_week", last_week))
        ),
        usual=usual,
        entries=said,
        standing=standing(conn, datastream_id, ends, said),
        typed=typed,
        total=total,
        problem=problem,
        doubt=None if asked is None or problem is not None else asked.value,
        low=low,
        high=high,
        seen=seen_name(of_day.cells[spots.index(spot)].manual),
    )


def _range_of(conn: Connection, datastream_id: int) -> tuple[int, int]:
    row = conn.execute(
        "select coalesce(range_low, 0), coalesce(range_high, 9999999) from datastream where datastream_id = %s",
        (datastream_id,),
    ).fetchone()
    assert row is not None, "the form has just read this series"
    return int(row[0]), int(row[1])
