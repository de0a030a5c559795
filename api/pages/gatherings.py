"""行事ごとの入力: how many came to an event at a spot - its name, from when to when, and the number.

What was typed stands in the address until it is stored. An event that is there is corrected by the number of its newest
entry: where somebody else has corrected it meanwhile, that number is no longer one, and the page shows what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.manual import NotANumber, doubt, parse
from analytics.visitors.part_counts import HeldPart, Kind, Part, PartEntry, arrived, held_parts, part_history, put_parts
from api.access import Router, SignedIn, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.count_copies import MAX_NOTE, MOST_NAME, What, asked_for, staff_copy
from api.pages.daily_entry import COUNTING, key_of, spots_by_hand
from api.pages.readings import StationNow
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from store.connection import Connection

router = Router()

ADDRESS = "/tourism/gatherings"
LONGEST = timedelta(days=62)
OLDEST = timedelta(days=3660)
MOST_VALUE = 1_000_000
_TYPED = 20
_FIELDS = ("name", "from", "to", "value", "note", "gathering")
_DONE = frozenset({"stored", "corrected", "unchanged", "again"})


@dataclass(frozen=True, slots=True)
class GatheringForm:
    """The page. `typed` is what stands in the fields, `chosen` the event that is being corrected; `problem`: name,
    from, to, order, long, old, future, number, range, there (this event is there already: `chosen`), or a
    doubt (much, little) against `last`, the event of this name before.
    """

    spots: tuple[StationNow, ...]
    spot: StationNow
    gatherings: tuple[HeldPart, ...]
    chosen: HeldPart | None
    typed: Mapping[str, str]
    problem: str | None
    last: HeldPart | None
    part: Part | None
    entries: tuple[PartEntry, ...]
    key: str


@router.get(ADDRESS)
@access(COUNTING, page=True)
def gatherings_start(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        spots = spots_by_hand(conn, at.now)
        alerts = open_alerts(conn, visit.user.role)
    if spots and asked_for(request):
        return staff_copy(request, visit, at, What.EVENTS, ADDRESS, spots)
    if spots:
        return RedirectResponse(f"{ADDRESS}/{spots[0].code}", 303)
    return page(request, visit, at, "tourism_gatherings", alerts, model=None, done=None)


@router.get(ADDRESS + "/{spot}")
@access(COUNTING, page=True)
def gatherings_page(request: Request, visit: SignedIn, spot: str) -> Response:
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        model = _form(conn, at, spot, query, judge="asked" in query)
        alerts = open_alerts(conn, visit.user.role)
    done = query.get("saved")
    return page(
        request,
        visit,
        at,
        "tourism_gatherings",
        alerts,
        model=model,
        done=done if done in _DONE else None,
        local=lambda time: f"{time.astimezone(at.zone):%Y-%m-%d %H:%M}",
        most_name=MOST_NAME,
        most_note=MAX_NOTE,
    )


@router.post(ADDRESS + "/{spot}")
@access(COUNTING)
def gatherings_submit(request: Request, visit: SignedIn, spot: str, typed: Form) -> Response:
    """Stores the event's number, or leads back to the form; without a number an event that is there is taken back."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        form = _form(conn, at, spot, typed, judge=True)
        key, town = key_of(typed.get("key")), visit.tenant.municipality_id
        if form.part is not None and arrived(conn, town, form.spot.station_id, Kind.EVENT, [form.part], key):
            return _back(form, "again", key)
        if form.problem is not None or form.part is None:
            return _asked(form, typed)
        outcome = put_parts(
            conn,
            town,
            form.spot.station_id,
            Kind.EVENT,
            [form.part],
            at=at.now,
            user_id=visit.user.user_id,
            note=typed.get("note", "").strip()[:MAX_NOTE],
            key=key,
        )
    return _asked(form, typed) if outcome.meanwhile else _back(form, outcome.word, key)


def _back(form: GatheringForm, saved: str, key: UUID | None) -> Response:
    query = {"saved": saved} | ({} if key is None else {"key": str(key)})
    return RedirectResponse(f"{ADDRESS}/{form.spot.code}?{urlencode(query)}", 303)


def _asked(form: GatheringForm, typed: Mapping[str, str]) -> Response:
    kept = {name: typed[name][:MAX_NOTE] for name in (*_FIELDS, "key", "sure") if typed.get(name)}
    return RedirectResponse(f"{ADDRESS}/{form.spot.code}?{urlencode({'asked': '1', **kept})}#which-number", 303)


def _form(conn: Connection, at: Moment, code: str, typed: Mapping[str, str], *, judge: bool) -> GatheringForm:
    """The form with what was typed; judged where it was sent. Raises NotFound."""
    spots = spots_by_hand(conn, at.now)
    spot = next((each for each in spots if each.code == code), None)
    if spot is None:
        raise NotFound(Text(f"地点 {code[:40]} はありません。", f"There is no spot {code[:40]}."))
    oldest, newest = at.now - OLDEST, at.now + LONGEST
    there = held_parts(conn, spot.station_id, Kind.EVENT, oldest, newest)
    wanted = typed.get("gathering", "")
    chosen = next((each for each in there if str(each.part_entry_id) == wanted), None)
    said = {name: typed.get(name, "").strip()[:MAX_NOTE] for name in _FIELDS}
    if chosen is not None:
        local = {"from": chosen.start, "to": chosen.end}
        said |= {"name": chosen.name} | {
            name: f"{time.astimezone(at.zone):%Y-%m-%d %H:%M}" for name, time in local.items()
        }
        if "value" not in typed:
            said["value"] = str(chosen.value)
    problem, part, last = None, None, None
    if judge:
        problem, part, chosen = _judged(at, said, there, chosen)
        last = None if part is None else _last(there, part)
        if problem is None and part is not None and part.value is not None and last is not None:
            asked = doubt(part.value, last.value)
            problem = asked.value if asked is not None and typed.get("sure") != str(part.value) else None
    return GatheringForm(
        tuple(spots),
        spot,
        there[::-1],
        chosen,
        said,
        problem,
        last,
        part,
        part_history(conn, spot.station_id, Kind.EVENT, oldest, newest),
        str((None if "saved" in typed else key_of(typed.get("key"))) or uuid4()),
    )


def _judged(
    at: Moment, said: Mapping[str, str], there: tuple[HeldPart, ...], chosen: HeldPart | None
) -> tuple[str | None, Part | None, HeldPart | None]:
    """What is wrong, or what is to be stored, and the event that is there already."""
    start, end = (chosen.start, chosen.end) if chosen is not None else (_time(said["from"], at), _time(said["to"], at))
    name = said["name"][:MOST_NAME]
    if not name:
        return "name", None, chosen
    if start is None or end is None:
        return ("from" if start is None else "to"), None, chosen
    if not start < end <= start + LONGEST:
        return ("order" if end <= start else "long"), None, chosen
    if not at.now - OLDEST <= start <= at.now:
        return ("old" if start < at.now else "future"), None, chosen
    try:
        value = parse(said["value"]) if said["value"] or chosen is None else None
    except NotANumber:
        return "number", None, chosen
    if value is not None and value > MOST_VALUE:
        return "range", None, chosen
    same = next((each for each in there if each.name == name and each.start < end and each.end > start), None)
    if chosen is None and same is not None:
        repeated = (same.start, same.end, same.value) == (start, end, value)
        return (None if repeated else "there"), Part(name, start, end, value, value), same
    return None, Part(name, start, end, value, None if chosen is None else chosen.value), chosen


def _last(there: tuple[HeldPart, ...], part: Part) -> HeldPart | None:
    """The event of this name before this one."""
    return next((each for each in reversed(there) if each.name == part.name and each.end <= part.start), None)


def _time(text: str, at: Moment) -> datetime | None:
    """A local time, as the browser's field or a person writes it; None where it is none."""
    try:
        time = datetime.fromisoformat(text.replace("/", "-")[:_TYPED])
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=at.zone)
