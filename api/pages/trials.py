"""試験: which stations are being installed or repaired, the form that puts one in trial, and what came in it.

Who may: the digital section, and the desk that watches the station. Everybody of the town reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.apart import participants
from alerts.calling import About, ladder
from alerts.into_trial import concerned
from alerts.roster import channels, load_roster
from api.access import DESKS, READERS, Router, SignedIn, Visit, access
from api.errors import BadRequest, Conflict, NotFound, Refused, Text
from api.pages.alert_list import open_alerts
from api.pages.chart import Chart, line_chart
from api.pages.delivery import masked
from api.pages.drill_plan import StationHere, chosen_ids, stations_here
from api.pages.headquarters import csv_file, local
from api.pages.people_now import groups_now, people_now
from api.pages.readings import Point
from api.pages.site import Moment, moment, page
from api.pages.typed import Form
from api.roles import Role, desks_of
from devices.model import ObservedProperty, Quality, StationKind
from store import trials as kept
from store.connection import Connection
from store.errors import RecordError
from store.feed import append_headquarters
from store.trials import MOST_WHY, NewTrial, Trial

router = Router()

_HERE = "/digital/trials"
_NARROWED = "the station's desk, or the digital section"
_DONE = frozenset({"begun", "ended", "counts", "called_off"})
_SHOWN = 2_000  # values of a series on its page; the file has all


@router.get(_HERE)
@access(READERS, page=True)
def trials_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(_HERE)
@access(DESKS, narrowed=_NARROWED)
def begin_trial(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Puts a station in trial, from now or from a time to come. Where real alerts of it are open that would hear
    nothing more, only if whoever does it says that they know of each (`knows`).
    """
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    try:
        with visit.transaction() as conn:
            new = _read(conn, visit, typed, at)
            known = typed.get("knows", "").split(",")
            if any(str(each.alert_id) not in known for each in concerned(conn, new.station_id, new.properties)):
                raise RecordError("knows", "open_alerts")
            trial_id = kept.begin(conn, town, new, clock=at.clock, user_id=visit.user.user_id)
            append_headquarters(conn, town)
    except RecordError as error:
        return _page(request, visit, typed=typed, problem=error, status=400)
    return RedirectResponse(f"{_HERE}/{trial_id}?done=begun", 303)


def _read(conn: Connection, visit: Visit, typed: Mapping[str, str], at: Moment) -> NewTrial:
    """Raises `RecordError`: the field, and what is wrong with it."""
    station = next((each for each in stations_here(conn, at.now) if each.code == typed.get("station")), None)
    if station is None:
        raise RecordError("station", "unknown" if typed.get("station") else "empty")
    _allowed(visit, station.kind)
    chosen = [name for name in station.series if typed.get(f"property-{name}") == "1"]
    people = people_now(conn)
    persons, groups = chosen_ids(typed, "person"), chosen_ids(typed, "group")
    if not set(persons) <= {each.person_id for each in people} or not set(groups) <= {
        each.group_id for each in groups_now(conn, people)
    }:
        raise RecordError("told", "unknown")
    if typed.get("which") == "some" and not chosen:
        raise RecordError("properties", "empty")
    return NewTrial(
        station.station_id,
        chosen if typed.get("which") == "some" else (),
        _time(typed, "starts_at", at),
        _time(typed, "ends_at", at),
        typed.get("why", ""),
        persons,
        groups,
    )


def _time(typed: Mapping[str, str], field: str, at: Moment) -> datetime | None:
    text = typed.get(field, "").strip()
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=at.zone)
    except ValueError:
        raise RecordError(field, "unreadable") from None


def _allowed(visit: Visit, kind: StationKind) -> None:
    if visit.user.role not in desks_of("silence", kind):
        raise Refused(
            Text("この観測所の試験は、担当課かデジタル担当が決めます。", "Another desk puts these stations in trial."),
            Text("担当課に連絡してください。", "Call the section in charge."),
        )


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
        listed = kept.trials(conn, visit.tenant.municipality_id)
        here = [each for each in stations_here(conn, at.now) if visit.user.role in desks_of("silence", each.kind)]
        people = people_now(conn)
        groups = groups_now(conn, people)
        alerts = open_alerts(conn, visit.user.role)
        asked = {"station": request.query_params.get("station", "")} if typed is None else typed
        standing = _standing(conn, here, asked)
    fields = dict.fromkeys(("starts_at", "ends_at", "why"), "")
    # The digital section is told of a trial unless somebody decides otherwise.
    usual = {f"group-{g.group_id}": "1" for g in groups if any(w.desk == Role.DIGITAL for w in g.watches)}
    return page(
        request,
        visit,
        at,
        "digital_trials",
        alerts,
        status=status,
        trials=[(each, each.state(at.now)) for each in listed],
        stations=_by_desk(here),
        properties=_properties(here),
        people=people,
        groups=groups,
        most_why=MOST_WHY,
        typed={**fields, "which": "all", "station": "", **(usual if typed is None else {}), **asked},
        standing=[each for each in alerts if each.alert_id in standing],
        problem=problem,
    )


def _standing(conn: Connection, here: list[StationHere], asked: Mapping[str, str]) -> set[int]:
    """The open real alerts that would hear nothing more; none where no station is chosen yet."""
    station = next((each for each in here if each.code == asked.get("station")), None)
    if station is None:
        return set()
    chosen = [name for name in station.series if asked.get(f"property-{name}") == "1"]
    some = chosen if asked.get("which") == "some" else None
    return {each.alert_id for each in concerned(conn, station.station_id, some)}


def _by_desk(here: list[StationHere]) -> list[tuple[str, list[StationHere]]]:
    desks = ("disaster", "water", "tourism")
    found = [(desk, [each for each in here if each.kind.desk == desk]) for desk in desks]
    return [(desk, stations) for desk, stations in found if stations]


def _properties(here: list[StationHere]) -> list[str]:
    """What the stations measure, as a person chooses one series of it; in the order of the register."""
    return [each.value for each in ObservedProperty if any(each in station.series for station in here)]


@router.get(_HERE + "/{trial_id}")
@access(READERS, page=True)
def trial_page(request: Request, visit: SignedIn, trial_id: int) -> Response:
    """One trial: what came in it, who is told, and its end."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        trial = _trial(conn, visit, trial_id)
        series = _series(conn, trial_id, at)
        told = _told(conn, visit, trial, at)
        alerts = open_alerts(conn, visit.user.role)
        mine = [each for each in alerts if each.mode == "test" and each.code == trial.code]
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "digital_trial",
        alerts,
        trial=trial,
        state=trial.state(at.now),
        long_open=trial.long_open(at.now),
        series=series,
        told=told,
        raised=mine,
        may_act=visit.user.role in desks_of("silence", StationKind(trial.kind)),
        done=done if done in _DONE else None,
    )


@router.post(_HERE + "/{trial_id}")
@access(DESKS, narrowed=_NARROWED)
def act_on_trial(request: Request, visit: SignedIn, trial_id: int, typed: Form) -> Response:
    """`do` end (with `counts`: what was measured in it counts from now on), or count: of one that is over."""
    at = moment(request, visit)
    town, user_id = visit.tenant.municipality_id, visit.user.user_id
    try:
        with visit.transaction() as conn:
            trial = _trial(conn, visit, trial_id)
            _allowed(visit, StationKind(trial.kind))
            if typed.get("do") == "end":
                counts = typed.get("counts") == "1"
                kept.end(conn, town, trial_id, clock=at.clock, user_id=user_id, counts=counts)
                began = trial.starts_at <= at.now
                done = "called_off" if not began else "counts" if counts else "ended"
            elif typed.get("do") == "count":
                kept.count(conn, town, trial_id, now=at.now, user_id=user_id)
                done = "counts"
            else:
                raise BadRequest(Text("その操作はできません。", "There is no such action."))
            append_headquarters(conn, town)
    except RecordError as error:
        raise Conflict(
            Text(
                "この試験はすでに終わったか、もう数えています。ページを開き直してください。",
                "This trial is over already, or counts already: open its page again.",
            )
        ) from error
    return RedirectResponse(f"{_HERE}/{trial_id}?done={done}", 303)


@router.get(_HERE + "/{trial_id}/values.csv")
@access(READERS, page=True)
def trial_file(request: Request, visit: SignedIn, trial_id: int) -> Response:
    """Every value of a trial, each marked, in the order of time."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        trial = _trial(conn, visit, trial_id)
        rows = conn.execute(_VALUES, {"trial": trial_id, "most": None}).fetchall()
    return csv_file(f"trial_{trial.code}_{trial_id}", _rows(at, rows), at.words.code)


def _rows(at: Moment, rows: list[tuple[str, str, datetime, float | None, str, str | None]]) -> Iterator[list[object]]:
    t = at.words
    yield [t(f"trials.file.{name}") for name in ("time", "what", "value", "unit", "quality", "reason", "mode")]
    for observed, unit, time, value, quality, reason in rows:
        word = "" if reason is None else t(f"reason.{reason}")
        said = "" if value is None else f"{value:g}"
        yield [
            local(time, at.zone),
            t(f"property.{observed}"),
            said,
            t(f"unit.{unit}"),
            t(f"quality.{quality}"),
            word,
            t("mode.test"),
        ]


def _trial(conn: Connection, visit: Visit, trial_id: int) -> Trial:
    found = kept.trial(conn, visit.tenant.municipality_id, trial_id)
    if found is None:
        raise NotFound(Text(f"試験 {trial_id} はありません。", f"There is no trial {trial_id}."))
    return found


def _series(conn: Connection, trial_id: int, at: Moment) -> list[tuple[str, str, list[Point], Chart]]:
    """(property, unit, its newest values, their curve) of every series that has said something."""
    found: dict[tuple[str, str], list[Point]] = {}
    for observed, unit, time, value, quality, _ in conn.execute(_VALUES, {"trial": trial_id, "most": _SHOWN}):
        found.setdefault((observed, unit), []).append(Point(time, value, Quality(quality)))
    return [(*of, points, _curve(points, at)) for of, points in found.items()]


def _curve(points: list[Point], at: Moment) -> Chart:
    begin = points[0].time - timedelta(minutes=1)
    return line_chart(points, begin, points[-1].time + timedelta(minutes=1), None, at.zone)


def _told(conn: Connection, visit: Visit, trial: Trial, at: Moment) -> list[tuple[str, list[tuple[str, str]]]]:
    """Who is told by what at once, as it stands now; nobody: an empty list."""
    everybody = load_roster(conn, visit.tenant.municipality_id, at.now.date())
    roster = participants(everybody, *kept.told(conn, trial.trial_id))
    steps = ladder(roster, About(StationKind(trial.kind).desk, trial.station_id, 5), at.now, channels(conn))
    return [
        (call.person.name, [(way.channel, masked(way.address)) for way in call.contacts])
        for call in (steps[0] if steps else ())
    ]


# Newest first where only some are wanted, then in their order.
_VALUES = """
select * from (
    select d.observed_property, d.unit, o.phenomenon_time, o.value, o.quality::text, o.reason
    from datastream d join tenant_observation o using (datastream_id)
    where d.drill_run = 'trial:' || %(trial)s::text order by o.phenomenon_time desc limit %(most)s
) newest order by phenomenon_time, observed_property
"""
