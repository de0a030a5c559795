"""The JSON of /api/v1: what each resource says of itself.

Times are RFC 3339 in UTC ("2026-06-01T00:00:00Z"); lengths of time are seconds. A value is null exactly where the
quality is "missing": the device reported that it could not measure. No observation at all is something else: then
the list has no row, or `latest` is null.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from alerts.actions import MAX_NOTE
from devices.clock import Clock
from devices.levels import LevelKind
from devices.model import Quality, StationKind


class Out(BaseModel):
    """What leaves."""

    model_config = ConfigDict(frozen=True)


class In(BaseModel):
    """What comes in: a field nobody knows is a mistake, not a wish to be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockOut(Out):
    """The town's time. `simulated`: everything shown is marked 【模擬】. `speed`: town seconds in a real one."""

    now: datetime
    simulated: bool
    speed: float
    timezone: str | None = None


def clock_now(clock: Clock, timezone: str | None = None) -> ClockOut:
    return ClockOut(now=clock.now(), simulated=clock.simulated, speed=clock.speed, timezone=timezone)


class ObservationOut(Out):
    """One observation. `reason` says why the quality is not simply good (clock, range, rate, stuck, sensor)."""

    phenomenon_time: datetime
    value: float | None
    unit: str
    quality: Quality
    reason: str | None


class LatestOut(Out):
    """A datastream's newest observation; `observation` null: nothing has come yet. `mode` test: it is not real, its
    station is in trial.
    """

    datastream: str = Field(description="{station}/{observed_property}")
    station: str
    observed_property: str
    mode: Literal["actual", "test"]
    observation: ObservationOut | None


class DatastreamOut(Out):
    """One observed property of one station. `step_seconds` is the usual time between two observations."""

    datastream: str = Field(description="{station}/{observed_property}")
    station: str
    observed_property: str
    unit: str
    statistic: Literal["instant", "total"]
    step_seconds: float
    latest: ObservationOut | None


class ThresholdLevelOut(Out):
    """One level that is judged: 警戒レベル相当 1..5 and metres above gauge zero."""

    level: int
    name: str
    name_en: str
    value: float
    kind: LevelKind


class ThresholdMarkOut(Out):
    """One level without a number, metres above gauge zero: shown, never judged by itself."""

    kind: LevelKind
    name: str
    name_en: str
    value: float


class ThresholdSetOut(Out):
    """The reference levels in force at the town's present time."""

    valid_from: datetime
    reason: str
    clear_margin: float
    hold_seconds: float
    gauge_zero_tp: float | None
    levels: list[ThresholdLevelOut]
    marks: list[ThresholdMarkOut]


class StationOut(Out):
    """A place that is watched."""

    station: str = Field(description="the station's code")
    kind: StationKind
    name: str
    name_en: str
    latitude: float
    longitude: float
    thresholds: ThresholdSetOut | None
    datastreams: list[DatastreamOut]


class RawPage(Out):
    """Observations with from <= phenomenon_time <= to, oldest first. `next` null: this was the last page."""

    datastream: str
    step: Literal["raw"] = "raw"
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    observations: list[ObservationOut]
    next: str | None


class BucketOut(Out):
    """One hour or local day. `n` usable observations of `expected`; null figures: there was none usable.

    `start`: the hour's beginning, or the local day's; `total` only where the statistic of the datastream is total.
    `reliability`: less than 15 % of the observations missing: reliable; less than 40 %: doubtful; else missing. One
    that still runs is judged as if it were over.
    """

    start: datetime
    day: date | None = None
    n: int
    expected: float
    minimum: float | None
    maximum: float | None
    mean: float | None
    total: float | None
    worst_quality: Quality
    reliability: Literal["reliable", "doubtful", "missing"]


class BucketPage(Out):
    """Hours or local days that begin within from..to, oldest first; one without any row had no observation."""

    datastream: str
    step: Literal["hour", "day"]
    unit: str
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    buckets: list[BucketOut]
    next: str | None


class CurvePoint(Out):
    """A point of a curve. `value` null: the line breaks here, for nothing usable was observed.

    `quality`: the worst of what the point stands for, bad before doubtful before missing; null where there is nothing.
    Of the two points of a slice the one says it that was there, else the highest.
    """

    time: datetime
    value: float | None
    quality: Quality | None


class CurveOut(Out):
    """The history between from and to as at most so many points as were asked for, oldest first.

    `step` is what it was read from. `slice_seconds`: the length of time that a pair of points (lowest and highest
    value) or a total stands for; null where nothing was left out.
    """

    datastream: str
    step: Literal["raw", "hour", "day"]
    slice_seconds: float | None
    unit: str
    statistic: Literal["instant", "total"]
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    points: list[CurvePoint]


class AlertOut(Out):
    """One alert. `phenomenon_time` and `value` are the observation that last moved it; times are town time.

    One of the rule `operation` or `outage` has no station, datastream and unit; `cause` says what it is about. Of a
    rule that staff wrote (`written`) it is "rule:" and its number, null for every other. `part_of`: the outage that
    explains a silence.
    """

    alert_id: int
    station: str | None
    station_name: str | None
    station_kind: StationKind | None
    rule: Literal[
        "level",
        "silence",
        "outage",
        "night_flow",
        "burst",
        "inflow_rise",
        "leak_suspect",
        "leak_sound",
        "visits",
        "counter",
        "operation",
        "written",
        "crowd_1",
        "crowd_2",
        "crowd_3",
    ]
    cause: str | None
    severity: int | None = Field(description="of a rule written by staff: 3 act at once, 2 act, 1 look at it")
    part_of: int | None
    mode: Literal["actual", "exercise", "test"]
    state: Literal["raised", "acknowledged", "cleared", "retracted"]
    datastream: str | None
    level: int | None
    peak_level: int | None
    confirmed_level: int | None = Field(
        description="how much of `level` does not rest on one doubtful reading alone; null: none of it, or it has none"
    )
    withheld: Literal["unconfirmed", "work", "released", "dismissed"] | None = Field(
        description="why nobody has been written to yet: one doubtful reading, or work at the device; "
        "released, dismissed: a person has said that it is so, or not, and what follows is done in a moment"
    )
    raised_at: datetime
    phenomenon_time: datetime
    value: float | None
    unit: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None
    cleared_by: str | None
    retracted_at: datetime | None = Field(description="when a person took it back as false; it is over then as well")
    retracted_by: str | None
    assigned_to: str | None = Field(description="who goes there")
    may_act: bool = Field(description="whether the signed-in person's desk is in charge of it")


class AlertEventOut(Out):
    """One entry of an alert's history; `by` null: a rule did it."""

    at: datetime
    event: Literal[
        "raised",
        "escalated",
        "lowered",
        "confirmed",
        "withheld",
        "told",
        "called",
        "acknowledged",
        "assigned",
        "commented",
        "cleared",
        "retracted",
        "published",
        "expiring",
        "lapsed",
        "in_trial",
    ]
    level: int | None
    phenomenon_time: datetime | None
    value: float | None
    by: str | None
    note: str | None
    assigned_to: str | None = Field(description="of assigned: who goes there from then on; null: nobody any more")
    unconfirmed: bool = Field(description="one doubtful reading alone says it; of what is over or lower: said it")
    reason: (
        Literal[
            "unconfirmed",
            "work",
            "highest",
            "neighbour",
            "rain",
            "silent",
            "waited",
            "highest_at_work",
            "revised",
        ]
        | None
    ) = Field(description="why it is withheld, why it is told all the same, or that a revision of a reading decided")


class AlertDetailOut(AlertOut):
    """An alert with everything that happened to it, oldest first."""

    history: list[AlertEventOut]


class AlertPage(Out):
    """Alerts, newest first. `next` null: this was the last page."""

    alerts: list[AlertOut]
    next: str | None


class ReceptionCountOut(Out):
    """What came of a device in a window. delivered = accepted + event + duplicate + quarantined; `open`: messages and
    values for which that does not hold, 0 as it should be. `missing` counts numbers that the device gave its messages
    and that never came; null, like `expected`, where it does not number them.
    """

    delivered: int
    accepted: int
    event: int
    duplicate: int
    quarantined: int
    stored: int = Field(description="new values")
    unchanged: int = Field(description="values that were there already")
    revised: int = Field(description="values that replaced another, or lost against it")
    rejected: int = Field(description="values that could not be used, of messages that could")
    open: int
    missing: int | None
    expected: int | None


class ReceptionOut(Out):
    """A device over the last 24 hours and the last 30 days of town time, by hours of receipt. `device` null: the
    senders that are unknown or cannot be read, or with `files` the files of the watched folders.
    """

    device: str | None
    files: bool
    day: ReceptionCountOut
    month: ReceptionCountOut


class GapOut(Out):
    """Numbers from `first` to `last`, of a device's messages in a session, that never came; noticed by the next one."""

    device: str
    session: str
    first: int
    last: int
    noticed_at: datetime


class NoteIn(In):
    """What a person says about an alert."""

    note: str = Field(default="", max_length=MAX_NOTE)


class CommentIn(In):
    """A comment needs words."""

    note: str = Field(min_length=1, max_length=MAX_NOTE)


class AssignIn(In):
    """Who goes there: a person of the town's people (their number; null: nobody any more)."""

    person_id: int | None = Field(ge=1)
    note: str = Field(default="", max_length=MAX_NOTE)


class SignInIn(In):
    """Login and password of a local account."""

    login: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1000)


class SessionOut(Out):
    """Who is signed in. Methods that change something need `csrf_token` in the header X-CSRF-Token."""

    login: str
    display_name: str
    role: Literal["disaster", "water", "tourism", "digital", "viewer"]
    municipality: str
    municipality_name: str
    csrf_token: str
    expires_at: datetime
    demo: bool
