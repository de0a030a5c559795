"""行事の当日: how many are in the area now, for the tent of the headquarters. The sheet of paper afterwards is
`event_sheet`.

The page renews itself by the live stream, on a phone and on a screen on the wall. 滞在推定 is an estimate and says so;
延べ are passages inwards; 主催者発表 is what the organiser said. Each stands by itself with its source, and they are
never added up, averaged or put in one another's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.events.gates import counted, possible
from analytics.visitors.events.present import Gate, Present, Row
from analytics.visitors.manual import NotANumber, parse
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import Conflict, Text
from api.pages.alert_list import open_alerts
from api.pages.chart import Chart, line_chart
from api.pages.event import found_event
from api.pages.events import EVENTS, WRITERS
from api.pages.headquarters import csv_file, local
from api.pages.people_now import groups_now, people_now
from api.pages.readings import Point
from api.pages.site import Moment, moment, page
from api.pages.town_time import read_time
from api.pages.typed import Form
from devices.model import Quality
from store import event_days
from store.connection import Connection
from store.errors import RecordError
from store.event_days import ERRORS, MOST, MOST_LEVELS, USUAL_ERROR, Count, EventDay, Plan
from store.events import LocalEvent
from store.feed import append_headquarters

router = Router()

DONE = frozenset({"planned", "ended", "counted", "taken_back", "said"})
_SHOWN = 36  # rows of the course on the page; the file has all
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest estimate, and when."""

    estimate: int
    low: int
    high: int
    at: datetime


@dataclass(frozen=True, slots=True)
class HourOf:
    """An hour of the event: in and out over all gates, None where a gate has a gap; the last estimate in it."""

    start: datetime
    inwards: float | None
    outwards: float | None
    estimate: int | None

    @property
    def end(self) -> datetime:
        return self.start + _HOUR


@dataclass(frozen=True, slots=True)
class Watched:
    """What the gates of an event say at a moment; `next_level` the step of capacity that is not reached yet."""

    day: EventDay
    gates: Sequence[Gate]
    present: Present
    rows: Sequence[Row]
    counts: Sequence[Count]
    chart: Chart | None
    peak: Peak | None
    hours: Sequence[HourOf]

    @property
    def next_level(self) -> int | None:
        step = self.present.step
        return None if step is None or step >= len(self.day.plan.levels) else self.day.plan.levels[step]

    @property
    def drift(self) -> float | None:
        """in less out, as a share of what went in."""
        return self.present.imbalance / self.present.inwards if self.present.inwards else None


def watched(conn: Connection, day: EventDay, at: Moment) -> Watched:
    """Everything that the pages show of it."""
    said = event_days.counts(conn, day.municipality_id, day.event_id)
    found = counted(conn, day, said, at.now, "tenant_observation")
    rows = found.course(at.now)
    gates = [each.gate for each in found.present(at.now).flows]
    known = [each for each in rows if each.estimate is not None and each.low is not None and each.high is not None]
    peak = max(known, key=lambda each: each.estimate or 0, default=None)
    return Watched(
        day,
        gates,
        found.present(at.now),
        rows,
        said,
        _chart(day, rows, said, at),
        None if peak is None else Peak(peak.estimate or 0, peak.low or 0, peak.high or 0, peak.end),
        _hours(rows),
    )


def _chart(day: EventDay, rows: Sequence[Row], said: Sequence[Count], at: Moment) -> Chart | None:
    points = [
        Point(each.end, None if each.estimate is None else float(each.estimate), _quality(each.estimate))
        for each in rows
    ]
    if len(rows) < 2:
        return None
    levels = [
        (at.words("events.level", n=n), at.words("events.level", n=n), float(value))
        for n, value in enumerate(day.plan.levels, 1)
    ]
    counts = [(each.at, float(each.present)) for each in said]
    step = rows[0].end - rows[0].start
    return line_chart(points, day.plan.starts_at, rows[-1].end, step, at.zone, reported=counts, named=levels)


def _quality(estimate: int | None) -> Quality:
    return Quality.MISSING if estimate is None else Quality.ESTIMATED


def _hours(rows: Sequence[Row]) -> list[HourOf]:
    by_hour: dict[datetime, list[Row]] = {}
    for each in rows:
        by_hour.setdefault(each.start.replace(minute=0, second=0, microsecond=0), []).append(each)
    return [
        HourOf(start, _total(inside, 0), _total(inside, 1), inside[-1].estimate) for start, inside in by_hour.items()
    ]


def _total(rows: Sequence[Row], place: int) -> float | None:
    values = [pair[place] for each in rows for pair in each.gates.values()]
    known = [each for each in values if each is not None]
    return sum(known) if values and len(known) == len(values) else None


# --- pages ------------------------------------------------------------------------------------------------


@router.get(EVENTS + "/{event_id}/day")
@access(READERS, page=True)
def day_page(request: Request, visit: SignedIn, event_id: int) -> Response:
    return _page(request, visit, event_id)


@router.post(EVENTS + "/{event_id}/day")
@access(WRITERS)
def act_on_day(request: Request, visit: SignedIn, event_id: int, typed: Form) -> Response:
    """`do` plan: how it is watched; end: not any more; count: how many a person counted; take_back: that was wrong;
    state: what the organiser said.
    """
    at = moment(request, visit)
    town, user_id, do = visit.tenant.municipality_id, visit.user.user_id, typed.get("do", "")
    try:
        with visit.transaction() as conn:
            found_event(conn, visit, event_id)
            if do == "plan":
                plan = _read_plan(conn, typed, at)
                event_days.put_plan(conn, town, event_id, plan, now=at.now, user_id=user_id)
            elif do == "end":
                event_days.put_plan(conn, town, event_id, None, now=at.now, user_id=user_id)
            elif do == "take_back":
                number = typed.get("count", "")
                wrong = int(number) if number.isascii() and number.isdigit() and len(number) < 18 else 0
                event_days.take_back(conn, town, event_id, wrong, now=at.now, user_id=user_id)
            elif do == "state":
                people = _whole(typed.get("people", ""), "people") if typed.get("people", "").strip() else None
                event_days.state(
                    conn, town, event_id, people,
                    said_by=typed.get("said_by", ""), basis=typed.get("basis", ""), now=at.now, user_id=user_id,
                )  # fmt: skip
            else:
                event_days.count(
                    conn, town, event_id, _whole(typed.get("present", ""), "present"),
                    at=read_time(typed.get("time", ""), at.now, at.zone),
                    note=typed.get("note", ""), now=at.now, user_id=user_id,
                )  # fmt: skip
            append_headquarters(conn, town)
    except RecordError as error:
        return _page(request, visit, event_id, typed=typed, problem=error, status=400)
    done = {"plan": "planned", "end": "ended", "take_back": "taken_back", "state": "said"}.get(do, "counted")
    where = "report" if do == "state" else "day"
    return RedirectResponse(f"{EVENTS}/{event_id}/{where}?done={done}", 303)


@router.get(EVENTS + "/{event_id}/day.csv")
@access(READERS, page=True)
def day_file(request: Request, visit: SignedIn, event_id: int) -> Response:
    """Every five minutes: in and out of each gate, and the estimate with its bounds."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        found_event(conn, visit, event_id)
        day = event_days.day(conn, visit.tenant.municipality_id, event_id)
        if day is None:
            raise Conflict(
                Text("この行事は当日の人数を見ていません。", "The area of this event is not watched."),
                Text("当日のページで入口を選んでください。", "Choose its gates on the page of its day."),
            )
        found = watched(conn, day, at)
    return csv_file(f"event_{visit.tenant.code}_{event_id}", _rows(found, at), at.words.code)


def _page(
    request: Request,
    visit: Visit,
    event_id: int,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        event = found_event(conn, visit, event_id)
        day = event_days.day(conn, town, event_id)
        found = None if day is None else watched(conn, day, at)
        gates = possible(conn)
        people = people_now(conn)
        groups = groups_now(conn, people)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    shown = _plan_fields(event, day, at) | dict(typed or {})
    return page(
        request, visit, at, "tourism_event_day", alerts, status=status,
        event=event, found=found, rows=[] if found is None else list(found.rows)[: -_SHOWN - 1 : -1],
        possible=gates, groups=groups, typed=shown, problem=problem, do=(typed or {}).get("do", ""),
        levels=range(1, MOST_LEVELS + 1), errors=ERRORS, most=MOST,
        may_write=visit.user.role in WRITERS, done=done if done in DONE else None,
    )  # fmt: skip


# --- forms ------------------------------------------------------------------------------------------------


def _read_plan(conn: Connection, typed: Mapping[str, str], at: Moment) -> Plan:
    """What the form says. Raises RecordError."""
    known = {each.code: each.station_id for each in possible(conn)}
    chosen = [station for code, station in known.items() if typed.get(f"gate.{code}") == "1"]
    turned = [station for code, station in known.items() if typed.get(f"turned.{code}") == "1"]
    first = known.get(typed.get("main", ""))
    gates = sorted(chosen, key=lambda each: each != first)
    levels = [
        _whole(text, "levels") for n in range(1, MOST_LEVELS + 1) if (text := typed.get(f"level.{n}", "").strip())
    ]
    group = typed.get("group", "")
    groups = {str(each.group_id): each.group_id for each in groups_now(conn, people_now(conn))}
    if group and group not in groups:
        raise RecordError("group", "unknown")
    try:
        error = float(typed.get("error", "")) / 100
    except ValueError:
        raise RecordError("error", "error") from None
    return Plan(
        _time(typed, "starts", at.zone),
        _time(typed, "ends", at.zone),
        tuple(gates),
        tuple(turned),
        tuple(levels),
        groups.get(group),
        error,
    )


def _time(typed: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime:
    try:
        return datetime.fromisoformat(typed.get(name, "").strip()).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        raise RecordError(name, "time") from None


def _whole(text: str, field: str) -> int:
    try:
        return parse(text)
    except NotANumber:
        raise RecordError(field, "number") from None


def _plan_fields(event: LocalEvent, day: EventDay | None, at: Moment) -> dict[str, str]:
    """What the forms show: the plan in force, or a day from nine to five."""
    fields = {"present": "", "time": "", "note": "", "error": f"{100 * USUAL_ERROR:g}", "group": "", "main": ""}
    fields |= {f"level.{n}": "" for n in range(1, MOST_LEVELS + 1)}
    if day is None:
        opens, closes = time(9), time(17)
        fields["starts"] = datetime.combine(event.entry.first_day, opens).isoformat(timespec="minutes")
        fields["ends"] = datetime.combine(event.entry.first_day, closes).isoformat(timespec="minutes")
        return fields
    plan = day.plan
    fields["starts"] = f"{plan.starts_at.astimezone(at.zone):%Y-%m-%dT%H:%M}"
    fields["ends"] = f"{plan.ends_at.astimezone(at.zone):%Y-%m-%dT%H:%M}"
    fields["error"] = f"{100 * plan.error:g}"
    fields["group"] = "" if plan.group_id is None else str(plan.group_id)
    return fields | {f"level.{n}": str(value) for n, value in enumerate(plan.levels, 1)}


def _rows(found: Watched, at: Moment) -> Iterator[tuple[object, ...]]:
    t = at.words
    names = [t.name(each.name, each.name_en) for each in found.gates]
    yield (
        t("events.file.from"),
        t("events.file.to"),
        *(t(f"events.file.{way}", gate=name) for name in names for way in ("in", "out")),
        t("events.present"),
        t("events.file.low"),
        t("events.file.high"),
    )
    for each in found.rows:
        pairs = [each.gates[gate.station_id] for gate in found.gates]
        yield (
            local(each.start, at.zone),
            local(each.end, at.zone),
            *("" if value is None else f"{value:.0f}" for pair in pairs for value in pair),
            *("" if value is None else value for value in (each.estimate, each.low, each.high)),
        )
