"""訓練: planned, started, watched, stopped and looked back on. The disaster section does; the whole town hall reads.

A drill is planned first (`POST /disaster/drills`), which tells nobody anything. Its own page then shows what is going
to happen and who is going to be told by what; only its button starts it, now or at a time. After that the same page is
its report. docs/drills.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.apart import participants
from alerts.calling import About, Call, ladder
from alerts.roster import channels, load_roster
from analytics.rivers.rises import SCENARIOS
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import BadRequest, Conflict, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.delivery import masked
from api.pages.drill_plan import KINDS, USUAL_STOP, StationHere, read_plan, stations_here
from api.pages.drill_report import courses, level_steps, report
from api.pages.event_steps import Step
from api.pages.headquarters import EDITORS, csv_file, local
from api.pages.people_now import groups_now, people_now
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from devices.model import StationKind
from store import drills as kept
from store.connection import Connection
from store.drills import MOST_NAME, SPEEDS, Drill, State
from store.errors import RecordError
from store.feed import append_headquarters

router = Router()

_HERE = "/disaster/drills"
_DONE = frozenset({"planned", "started", "stopped", "cancelled", "repeated"})


@dataclass(frozen=True, slots=True)
class Calling:
    """A step of the ladder at the highest level: who is told by what. `step` 0 at once."""

    step: int
    calls: Sequence[tuple[str, Sequence[tuple[str, str]]]]


@router.get("/disaster/drills")
@access(READERS, page=True)
def drills_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post("/disaster/drills")
@access(EDITORS)
def plan_drill(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Keeps a plan. Nothing runs and nobody is told."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            new = read_plan(conn, typed, at)
            _known(conn, new.persons, new.groups)
            drill_id = kept.plan(conn, town, new, now=at.now, user_id=visit.user.user_id)
            append_headquarters(conn, town)
    except RecordError as error:
        return _page(request, visit, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{_HERE}/{drill_id}?done=planned", 303)


def _listed(here: Sequence[StationHere]) -> list[tuple[str, list[StationHere]]]:
    """The stations as the form lists them: those that a flood is made for, those that can go along with it, and those
    of which only the past tells something.
    """
    along = (StationKind.RAIN_GAUGE, StationKind.INUNDATION_POINT)
    groups = {
        "gauges": [each for each in here if each.gauge is not None],
        "along": [each for each in here if each.gauge is None and each.kind in along],
        "past": [each for each in here if each.gauge is None and each.kind not in along],
    }
    return [(name, found) for name, found in groups.items() if found]


def _known(conn: Connection, persons: Sequence[int], groups: Sequence[int]) -> None:
    people = people_now(conn)
    if not set(persons) <= {each.person_id for each in people}:
        raise RecordError("enrolled", "unknown")
    if not set(groups) <= {each.group_id for each in groups_now(conn, people)}:
        raise RecordError("enrolled", "unknown")


def _page(
    request: Request,
    visit: Visit,
    *,
    typed: Mapping[str, str] | None = None,
    problem: RecordError | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        listed = kept.drills(conn, visit.tenant.municipality_id)
        here = stations_here(conn, at.now)
        people = people_now(conn)
        groups = groups_now(conn, people)
        alerts = open_alerts(conn, visit.user.role)
    usual = {"kind": "scenario", "scenario": "typhoon", "level": "4", "speed": "1", "stop_level": str(USUAL_STOP)}
    fields = dict.fromkeys(("name", "from", "to", "start", "peak", "hours"), "")
    return page(
        request,
        visit,
        at,
        "disaster_drills",
        alerts,
        status=status,
        drills=listed,
        stations=_listed(here),
        people=people,
        groups=groups,
        kinds=KINDS,
        scenarios=tuple(SCENARIOS),
        speeds=SPEEDS,
        most_name=MOST_NAME,
        typed={**fields, **usual, **(typed or {})},
        problem=problem,
        may_write=visit.user.role in EDITORS,
    )


@router.get("/disaster/drills/{drill_id}")
@access(READERS, page=True)
def drill_page(request: Request, visit: SignedIn, drill_id: int) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        drill = _drill(conn, town, drill_id)
        shown = courses(conn, drill, kept.series_of(conn, drill_id), at.now, at.zone)
        against = None if drill.ended_at is not None else kept.standing_against(conn, town, drill.stop_level)
        came = None if drill.started_at is None else report(conn, town, drill, at.now, at.zone, at.words)
        steps = [] if came is None else _course([*came.course, *level_steps(shown, at.words)])
        calling = _calling(conn, town, drill_id, at.now)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "disaster_drill",
        alerts,
        drill=drill,
        states=State,
        source=_source(drill, at),
        courses=shown,
        report=came,
        steps=steps,
        calling=calling,
        against=None if drill.started_at is not None else against,
        may_write=visit.user.role in EDITORS,
        done=done if done in _DONE else None,
    )


@router.post("/disaster/drills/{drill_id}")
@access(EDITORS)
def act_on_drill(request: Request, visit: SignedIn, drill_id: int, typed: Form) -> Response:
    """`do` start (at `starts_at`; empty: now), stop, or repeat: plan the same once more. A drill that has not begun is
    cancelled by stop.
    """
    at = moment(request, visit)
    town, user_id = visit.tenant.municipality_id, visit.user.user_id
    try:
        with visit.transaction() as conn:
            drill = _drill(conn, town, drill_id)
            if typed.get("do") == "start":
                begin = _begin(typed.get("starts_at", ""), at)
                kept.start(conn, town, drill_id, begin, now=at.now, user_id=user_id)
                done = "started"
            elif typed.get("do") == "stop":
                kept.stop(conn, town, drill_id, now=at.now, user_id=user_id)
                done = "cancelled" if drill.started_at is None else "stopped"
            elif typed.get("do") == "repeat":
                drill_id = kept.repeat(conn, town, drill_id, now=at.now, user_id=user_id)
                done = "repeated"
            else:
                raise BadRequest(Text("その操作はできません。", "There is no such action."))
            append_headquarters(conn, town)
    except RecordError as error:
        if error.code == "stopped":
            raise Conflict(
                Text(
                    "この訓練を止める段階の、実際のアラートが出ています。始めても、すぐに中止になります。",
                    "An actual alert stands at the level that breaks this drill off: it would end at once.",
                ),
                Text(
                    "アラートが解除されてから始めるか、これからの日時を決めてください。",
                    "Start it when that alert is over, or for a time to come.",
                ),
            ) from error
        if error.code == "changed":
            raise Conflict(
                Text(
                    "この訓練はすでに始まったか、終わっています。ページを開き直してください。",
                    "This drill has begun or ended already: open its page again.",
                )
            ) from error
        raise BadRequest(
            Text(
                "開始の日時を読み取れないか、過ぎているか、31日より先です。",
                "When it is to begin cannot be read, is over, or is more than 31 days ahead.",
            )
        ) from error
    return RedirectResponse(f"{_HERE}/{drill_id}?done={done}", 303)


def _begin(text: str, at: Moment) -> datetime:
    """When it is to begin: nothing is now. Raises `RecordError`."""
    if not text.strip():
        return at.now
    try:
        found = datetime.fromisoformat(text.strip()).replace(tzinfo=at.zone)
    except ValueError:
        raise RecordError("starts_at", "unreadable") from None
    if found < at.now - timedelta(minutes=1):
        raise RecordError("starts_at", "past")
    return found


@router.get("/disaster/drills/{drill_id}/report.csv")
@access(READERS, page=True)
def drill_file(request: Request, visit: SignedIn, drill_id: int) -> Response:
    """The course, each message and each answer in the order of time."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        drill = _drill(conn, town, drill_id)
        if drill.started_at is None:
            raise Conflict(Text("この訓練はまだ始まっていません。", "This drill has not begun."))
        came = report(conn, town, drill, at.now, at.zone, at.words)
        shown = courses(conn, drill, kept.series_of(conn, drill_id), at.now, at.zone)
    t = at.words
    found = [each for each in came.course if each.kind != "sent"] + level_steps(shown, t)
    for told in came.told:
        place, who = t.name(told.station, told.station_en), f"{told.name or t('delivery.section')}・{told.channel}"
        if told.sent_at is not None:
            found.append(Step(told.sent_at, "sent", place, f"{who}・{t('delivery.state.sent')}", ""))
        else:
            found.append(Step(told.written_at, "sent", place, f"{who}・{t(f'delivery.state.{told.state}')}", ""))
        if told.answered_at is not None:
            found.append(Step(told.answered_at, "sent", place, t("drills.answered"), told.name or ""))
    return csv_file(f"drill_{visit.tenant.code}_{drill_id}", _rows(at, _course(found)), t.code)


def _rows(at: Moment, course: Sequence[Step]) -> Iterator[tuple[object, ...]]:
    t = at.words
    yield tuple(t(f"review_file.{name}") for name in ("time", "kind", "place", "what", "by", "drill"))
    for step in course:
        yield local(step.at, at.zone), t(f"review.kind.{step.kind}"), step.place, step.what, step.by, t("mode.exercise")


def _course(found: Sequence[Step]) -> list[Step]:
    return sorted(found, key=lambda step: step.at)


def _drill(conn: Connection, municipality_id: int, drill_id: int) -> Drill:
    found = kept.drill(conn, municipality_id, drill_id)
    if found is None:
        raise NotFound(Text(f"訓練 {drill_id} はありません。", f"There is no drill {drill_id}."))
    return found


def _calling(conn: Connection, municipality_id: int, drill_id: int, now: datetime) -> list[Calling]:
    """Who is told by what at the highest level, as it stands now; nobody: an empty list."""
    everybody = load_roster(conn, municipality_id, now.date())
    roster = participants(everybody, *kept.enrolled(conn, drill_id))
    steps = ladder(roster, About("disaster", None, 5), now, channels(conn))
    return [Calling(n, [_call(each) for each in step]) for n, step in enumerate(steps)]


def _call(call: Call) -> tuple[str, Sequence[tuple[str, str]]]:
    return call.person.name, [(way.channel, masked(way.address)) for way in call.contacts]


def _source(drill: Drill, at: Moment) -> str:
    """Where its readings are from, in words."""
    source = dict(drill.source)
    kind = source.pop("kind")
    if kind == "scenario":
        return at.words(
            "drills.source.scenario",
            name=at.words(f"drills.scenario.{source['name']}"),
            level=at.words("level.short", level=source["level"]),
        )
    if kind == "history":
        begin, end = (datetime.fromisoformat(source[each]).astimezone(at.zone) for each in ("from", "to"))
        return at.words("drills.source.history", begin=f"{begin:%Y-%m-%d %H:%M}", end=f"{end:%m-%d %H:%M}")
    return at.words("drills.source.made", peak=f"{source['peak']:g}", hours=f"{source['hours']:g}")
