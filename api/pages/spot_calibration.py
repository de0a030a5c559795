"""カウンターの校正: manual counts beside a counter, typed on a phone, and the factor that follows from them.

The factor is worked out anew whenever the page is shown and when it is signed; nobody types one. It can be signed only
where its sessions are enough (`analytics.visitors.spots.calibration`), outside [0.8, 1.4] only with a written reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.checks import judged
from analytics.visitors.manual import NotANumber, parse
from analytics.visitors.spots.calibration import (
    LEAST_SESSIONS,
    RECHECK_AFTER,
    Estimate,
    Missing,
    Session,
    Unusable,
    estimate,
    length_fits,
    shortcomings,
    typical_hour,
)
from analytics.visitors.spots.plan import Source, plans
from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.daily_entry import COUNTING
from api.pages.site import Moment, moment, page
from api.pages.spots import ADDRESS, Calibrated, calibrated, day_of, editor, gauge_of, known, measured_until
from api.pages.typed import Form
from store.connection import Connection
from store.count_factors import (
    WEATHERS,
    CountSession,
    SignedFactor,
    add_session,
    factors_of,
    mounted_at,
    sessions_of,
    sign_factor,
    step_of,
    withdraw_factor,
    withdraw_session,
)
from store.errors import SpotError
from store.spots import Gauge, Measure, Spot, changes

router = Router()

_ADDRESS = ADDRESS + "/{place}/counters/{counter}"
_HOUR = timedelta(hours=1)
_DOING = frozenset({"session", "withdraw_session", "sign", "withdraw_factor"})


@dataclass(frozen=True, slots=True)
class Line:
    """A manual count. `manual` and `sensor` in the direction that is published; `why_not` None: it counts."""

    said: CountSession
    manual: int | None
    sensor: float | None
    why_not: str | None
    busy: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """All that the page shows of a counter at a spot. `estimate` and `missing` of the sessions that count."""

    spot: Spot
    gauge: Gauge
    measure: Measure
    step: timedelta
    mounted: datetime | None
    lines: tuple[Line, ...]
    usable: tuple[Session, ...]
    estimate: Estimate | None
    missing: tuple[Missing, ...]
    standing: Calibrated
    factors: tuple[SignedFactor, ...]


@router.get(_ADDRESS)
@access(READERS, page=True)
def calibration_page(request: Request, visit: SignedIn, place: str, counter: str) -> Response:
    """The sessions, what they say, and the form of one more."""
    return _page(request, visit, place, counter)


@router.post(_ADDRESS)
@access(COUNTING)
def calibrate(request: Request, visit: SignedIn, place: str, counter: str, form: Form) -> Response:
    """Keeps a session, signs a factor, or takes one of them back; or says what is wrong with it."""
    at = moment(request, visit)
    try:
        with visit.transaction() as conn:
            _do(conn, visit, at, _calibration(conn, place, counter, at), form)
    except SpotError as error:
        return _page(request, visit, place, counter, form, error.code)
    return RedirectResponse(f"{_ADDRESS.format(place=place, counter=counter)}?done={form['do']}", 303)


def _do(conn: Connection, visit: Visit, at: Moment, model: Calibration, form: Mapping[str, str]) -> None:
    who, station_id = editor(visit, form), model.gauge.station_id
    row = int(form["row"]) if form.get("row", "").isdecimal() else 0
    doing = form.get("do")
    if doing == "session":
        day = day_of(form.get("day", ""), wrong="time")
        begins, ends = _clock(form.get("from", "")), _clock(form.get("to", ""))
        if day is None:
            raise SpotError("time")
        outwards = form.get("out", "").strip()
        add_session(
            conn,
            editor(visit, {"reason": form.get("note", "").strip() or at.words("calibration.counted")}),
            station_id,
            starts=datetime.combine(day, begins, at.zone),
            ends=datetime.combine(day, ends, at.zone),
            counted_in=_count(form.get("in", "")),
            counted_out=_count(outwards) if outwards else None,
            counted_by=form.get("by", ""),
            weather=form.get("weather", ""),
            note=form.get("note", ""),
        )
    elif doing == "sign":
        _sign(conn, visit, at, model, form)
    elif doing == "withdraw_session":
        withdraw_session(conn, who, station_id, row)
    elif doing == "withdraw_factor":
        withdraw_factor(conn, who, station_id, row)
    else:
        raise SpotError("unknown")


def _sign(conn: Connection, visit: Visit, at: Moment, model: Calibration, form: Mapping[str, str]) -> None:
    found, day = model.estimate, day_of(form.get("from_day", ""), wrong="from_day")
    if found is None or model.missing or found.mape is None:
        raise SpotError("not_enough")
    if form.get("seen") != seen(model):
        raise SpotError("changed")
    if day is None or (model.mounted is not None and day < model.mounted.astimezone(at.zone).date()):
        raise SpotError("from_day")
    outside = form.get("outside", "").strip()
    if not found.trusted and not outside:
        raise SpotError("outside")
    ids = [each.session_id for each in model.usable]
    sign_factor(
        conn,
        editor(visit, form),
        model.gauge.station_id,
        model.measure,
        from_day=day,
        factor=found.factor,
        low=found.low,
        high=found.high,
        mape=found.mape,
        sessions=ids,
        measured_until=max(line.said.ends for line in model.lines if line.said.session_id in ids),
        signed_by=form.get("signed", ""),
        outside_reason="" if found.trusted else outside,
    )


def seen(model: Calibration) -> str:
    """Names what somebody signs: the sessions and the factor that they have been shown."""
    figure = "" if model.estimate is None else f"{model.estimate.factor:.4f}"
    return f"{figure} {' '.join(str(each.session_id) for each in model.usable)}"


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(text.strip())
    except ValueError:
        raise SpotError("time") from None


def _count(text: str) -> int:
    try:
        return parse(text)
    except NotANumber:
        raise SpotError("count") from None


def _page(
    request: Request,
    visit: Visit,
    place: str,
    counter: str,
    typed: Mapping[str, str] | None = None,
    problem: str | None = None,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        model = _calibration(conn, place, counter, at)
        log = changes(conn, station_id=model.gauge.station_id)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request, visit, at, "tourism_spot_counter", alerts,
        status=422 if problem else 200, here=lambda **_: _ADDRESS.format(place=place, counter=counter),
        model=model, seen=seen(model), changes=log, typed=typed or {}, problem=problem,
        today=at.now.astimezone(at.zone).date(), weathers=WEATHERS, least=LEAST_SESSIONS,
        done=done if done in _DOING else None, may_write=visit.user.role in COUNTING,
    )  # fmt: skip


def _calibration(conn: Connection, place: str, counter: str, at: Moment) -> Calibration:
    """Raises NotFound where the counter is none of the spot's, or counts nothing that a factor could put right."""
    spot, gauge = known(conn, place), gauge_of(conn, counter)
    plan = plans(conn, [spot.spot_id])[spot.spot_id]
    mine = [each for each in plan.sources if each.station_id == gauge.station_id and not each.measure.trend]
    step = step_of(conn, gauge.station_id)
    if not mine or step is None:
        raise NotFound(
            Text(
                f"「{gauge.name}」は、この地点の数になるカウンターではありません。",
                f"{gauge.name_en} is no counter whose counts are this spot's.",
            )
        )
    today = at.now.astimezone(at.zone).date()
    source = next((each for each in mine if each.holds(today)), mine[-1])
    mounted = mounted_at(conn, gauge.station_id)
    said = sessions_of(conn, gauge.station_id, vehicles=source.measure is Measure.VEHICLES)
    lines, usable = _judge(conn, said, source, mounted, at)
    factors = tuple(each for each in factors_of(conn, gauge.station_id) if each.measure is source.measure)
    return Calibration(
        spot,
        gauge,
        source.measure,
        step,
        mounted,
        lines,
        usable,
        estimate(usable),
        shortcomings(usable),
        calibrated(source, measured_until(conn), today, at.now),
        factors,
    )


def _judge(
    conn: Connection, said: Sequence[CountSession], source: Source, mounted: datetime | None, at: Moment
) -> tuple[tuple[Line, ...], tuple[Session, ...]]:
    """Which of the sessions count, and why the others do not."""
    standing = [each for each in said if each.withdrawn is None]
    newest = max((each.ends for each in standing), default=None)
    faults: set[datetime] = set()
    if said:
        days = [each.starts.astimezone(at.zone).date() for each in said]
        faults = {hour for _, hour in judged.hours(conn, source.datastreams, min(days), max(days))}
    lines, usable = [], []
    for each in said:
        manual, sensor = _direction(each, source.measure)
        length = each.ends - each.starts
        why: Unusable | None = None
        if each.withdrawn is not None:
            why = Unusable.WITHDRAWN
        elif not length_fits(length):
            why = Unusable.LENGTH
        elif mounted is not None and each.starts < mounted:
            why = Unusable.OTHER_DEVICE
        elif newest is not None and newest - each.ends > RECHECK_AFTER:
            why = Unusable.OLD
        elif manual is None:
            why = Unusable.NOT_COUNTED
        elif sensor is None:
            why = Unusable.GAPS
        elif any(each.starts - _HOUR < hour < each.ends for hour in faults):
            why = Unusable.FAULT
        typical = typical_hour(conn, source.datastreams, each.starts, at.zone)
        busy = manual is not None and (typical is None or manual / (length / _HOUR) >= typical)
        lines.append(Line(each, manual, sensor, None if why is None else why.value, busy))
        if why is None:
            day: date = each.starts.astimezone(at.zone).date()
            usable.append(Session(each.session_id, day, length, manual, sensor, busy))
    return tuple(lines), tuple(usable)


def _direction(said: CountSession, measure: Measure) -> tuple[int | None, float | None]:
    """What was counted by hand and by the counter, in the direction that is published."""
    if measure is Measure.OUT:
        return said.counted_out, said.sensor_out
    if measure is not Measure.BOTH:
        return said.counted_in, said.sensor_in
    manual = None if said.counted_out is None else said.counted_in + said.counted_out
    sensor = None if said.sensor_in is None or said.sensor_out is None else said.sensor_in + said.sensor_out
    return manual, sensor
