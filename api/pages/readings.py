"""What the stations of one kind say now, and how far it may be believed.

Missing, zero, silent and never are four different things; `State` keeps them apart from here to the pixel:

  FRESH    the newest observation is as recent as the device's duty cycle promises
  LATE     it should have reported again, but has not yet been silent for long enough to call it lost
  STANDBY  a device that reports about once a day while nothing happens, and is in that mode (危機管理型): no fault
  SILENT   it has said nothing for longer than the device's silence_after: its last value is history, not the present
  MISSING  the newest observation says that the device could not measure
  NEVER    there is no observation at all

`value`, where the state is MISSING, is the last one that was measured, with its own time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from alerts.level_words import Whose, whose_of
from devices.duty import STANDBY
from devices.model import CONTACTS, Quality, StationKind
from store.connection import Connection
from store.duty import DutyNow, modes_now

# A device may lose two messages in a row before it counts as late: LPWA networks do lose messages.
LATE_AFTER_STEPS = 2.5
# Who is allowed this much silence reports on its own account about once a day, not at every step.
STANDBY_SILENCE = STANDBY
_QUALITIES = {quality.value: quality for quality in Quality}


class State(StrEnum):
    FRESH = "fresh"
    LATE = "late"
    STANDBY = "standby"
    SILENT = "silent"
    MISSING = "missing"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Care:
    """What else is known of the device behind a series: at which `pace` it reports once the value rises (None: it
    always keeps its pace), whom to call, until when somebody works on it, whether an open outage explains its silence,
    and whether its station is in trial, so that what it measures is kept apart.
    """

    pace: timedelta | None = None
    owner: str | None = None
    phone: str | None = None
    work_until: datetime | None = None
    outage: bool = False
    trial: bool = False


@dataclass(frozen=True, slots=True)
class Now:
    """The newest observation of a datastream, judged at one moment.

    `datastream` is its name outside ("station/property"), as the live stream calls it. `time` and `value` belong
    together. `silent_at` is when it turns SILENT if nothing comes; `missing_at` the time of the observation without
    a value (state MISSING only). `first` is the time of the oldest observation: before it nothing is missing, for
    nothing was there yet.
    """

    datastream_id: int
    datastream: str
    unit: str
    step: timedelta
    state: State
    time: datetime | None
    value: float | None
    quality: Quality | None
    reason: str | None
    silent_at: datetime | None
    missing_at: datetime | None = None
    first: datetime | None = None
    care: Care | None = None

    @property
    def sentence(self) -> str:
        """What there is to say of it in one sentence: a key of the catalogue behind "sentence."."""
        care = self.care or Care()
        if self.state is State.NEVER:
            return "trial" if care.trial else "never"
        if care.trial:
            return "trial"
        if care.work_until is not None:
            return "work"
        if self.state is State.SILENT:
            return "outage" if care.outage else "silent"
        if self.state is State.STANDBY:
            return "standby" if care.pace is None else "standby_pace"
        return self.state.value

    @property
    def contact(self) -> str | None:
        """Which word a contact reads as: `inundation.1` and the like; None of what is read as a number."""
        return contact_word(self.datastream.rpartition("/")[2], self.value)

    @property
    def current(self) -> bool:
        """True where the value may be taken for the present one."""
        return (
            self.state in (State.FRESH, State.LATE, State.STANDBY)
            and self.value is not None
            and self.quality is not Quality.BAD
        )


def contact_word(observed: str, value: float | None) -> str | None:
    """Which word a value of a contact reads as: `inundation.1` and the like; None of what is read as a number."""
    if observed not in CONTACTS or value is None:
        return None
    return f"{observed}.{1 if value >= 0.5 else 0}"


@dataclass(frozen=True, slots=True)
class StationNow:
    """A station with the newest observation of each of its datastreams, by observed property."""

    station_id: int
    code: str
    name: str
    name_en: str
    latitude: float
    longitude: float
    readings: Mapping[str, Now]
    kind: StationKind
    whose: Whose = "own"  # are its reference levels


def stations_now(conn: Connection, kind: StationKind | Sequence[StationKind], now: datetime) -> list[StationNow]:
    """The stations of a kind, or of several, as the register orders them (gauges: downstream). One query, two more
    where one of their devices has a duty cycle.

    `conn` is inside a tenant's transaction.
    """
    kinds = [kind.value] if isinstance(kind, StationKind) else [each.value for each in kind]
    rows = conn.execute(_STATIONS, {"kinds": kinds, "now": now}).fetchall()
    stations: dict[int, StationNow] = {}
    collected: dict[int, dict[str, Now]] = {}
    duties = modes_now(conn, now, tenant=True) if any(row[2] for row in rows) else {}
    for station_id, kind_, _, source, code, name, name_en, latitude, longitude, observed_property, *reading in rows:
        readings = collected.setdefault(station_id, {})
        if station_id not in stations:
            stations[station_id] = StationNow(
                station_id,
                code,
                name,
                name_en,
                latitude,
                longitude,
                readings,
                StationKind(kind_),
                whose_of(source),
            )
        if observed_property is not None:
            readings[observed_property] = _judge(f"{code}/{observed_property}", reading, now, duties)
    return list(stations.values())


def _judge(datastream: str, row: Sequence[object], now: datetime, duties: Mapping[int, DutyNow]) -> Now:
    datastream_id, unit, step, silence_after, device_id, owner, phone, work_until, outage, trial, *observed = row
    time, value, quality, reason, last_time, last_value, last_quality, first = observed
    assert isinstance(datastream_id, int) and isinstance(unit, str) and isinstance(step, timedelta)
    silence = silence_after if isinstance(silence_after, timedelta) else None
    duty = duties.get(device_id) if isinstance(device_id, int) else None
    if duty is not None and duty.datastream_id == datastream_id:
        silence = duty.mode.silence_after
    else:
        duty = None
    care = Care(
        None if duty is None or not duty.mode.standby else duty.cycle.above[0].interval,
        None if owner is None else str(owner),
        None if phone is None else str(phone),
        work_until if isinstance(work_until, datetime) else None,
        bool(outage),
        bool(trial),
    )
    if not isinstance(time, datetime):
        return Now(datastream_id, datastream, unit, step, State.NEVER, None, None, None, None, None, care=care)
    age = now - time
    silent_at = None if silence is None else time + silence
    if silence is not None and age > silence:
        state = State.SILENT
    elif value is None:
        state = State.MISSING
    elif duty is not None and duty.mode.standby:
        state = State.STANDBY
    elif age <= (step if duty is None else duty.mode.interval) * LATE_AFTER_STEPS:
        state = State.FRESH
    else:
        state = State.STANDBY if duty is None and silence is not None and silence >= STANDBY_SILENCE else State.LATE
    missing_at = None
    if value is None:
        missing_at = time
        time, value, quality = last_time, last_value, last_quality
    return Now(
        datastream_id,
        datastream,
        unit,
        step,
        state,
        time if isinstance(time, datetime) else None,
        value if isinstance(value, float) else None,
        None if quality is None else Quality(str(quality)),
        None if reason is None else str(reason),
        silent_at,
        missing_at,
        first if isinstance(first, datetime) else None,
        care,
    )


_STATIONS = """
select s.station_id, s.kind, exists (select from device_duty u where u.device_id = mounted.device_id),
       case when s.kind = 'river_gauge' then (
           select c.source from threshold_source c where c.threshold_set_id = (
               select t.threshold_set_id from threshold_set t
               where t.station_id = s.station_id and t.valid_from <= %(now)s
               order by t.valid_from desc, t.threshold_set_id desc limit 1)
           order by c.threshold_source_id desc limit 1) end,
       s.code, s.name, s.name_en, s.latitude, s.longitude, d.observed_property,
       d.datastream_id, d.unit, d.step, coalesce(mounted.silence_after, dropped.silence_after),
       mounted.device_id, paper.owner, paper.phone,
       (select max(w.ends_at) from planned_work w where w.device_id = mounted.device_id and w.cancelled_at is null
        and w.starts_at <= %(now)s and w.ends_at > %(now)s),
       exists (select from outage_device o join alert a using (alert_id)
               where o.device_id = mounted.device_id and o.returned_at is null and a.cleared_at is null),
       exists (select from station_trial t where t.station_id = s.station_id and t.starts_at <= %(now)s
               and coalesce(least(t.ends_at, t.ended_at), 'infinity') > %(now)s
               and (t.properties is null or d.observed_property = any(t.properties))),
       l.phenomenon_time, l.value, l.quality::text, l.reason,
       l.measured_time, l.measured_value, l.measured_quality::text, l.first_time
from station s
left join datastream d on d.station_id = s.station_id and d.drill_run is null
left join datastream_latest l using (datastream_id)
left join (
    select f.datastream_id, max(v.silence_after) as silence_after,
           (array_agg(v.device_id order by v.silence_after desc, v.device_id))[1] as device_id
    from field_mapping f join attachment a using (attachment_id) join device v using (device_id)
    where a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
    group by f.datastream_id
) mounted using (datastream_id)
left join (
    -- of what no device sends but a file brings: silent when its folder's contract is over
    select f.datastream_id, max(o.every + (f.brought_at - f.newest)) as silence_after
    from folder_series f join folder o using (folder_id) group by f.datastream_id
) dropped using (datastream_id)
left join device_record paper on paper.device_id = mounted.device_id
where s.kind = any(%(kinds)s)
order by s.station_id, d.observed_property
"""


class Point(NamedTuple):
    """One stored observation; `value` None where the device could not measure."""

    time: datetime
    value: float | None
    quality: Quality

    @property
    def usable(self) -> bool:
        return self.value is not None and self.quality is not Quality.BAD


def history(conn: Connection, datastream_ids: Sequence[int], start: datetime, end: datetime) -> dict[int, list[Point]]:
    """The observations with start < time <= end of each datastream, oldest first; every id has an entry."""
    series: dict[int, list[Point]] = {i: [] for i in datastream_ids}
    rows = conn.execute(
        """
        select datastream_id, phenomenon_time, value, quality::text from tenant_observation
        where datastream_id = any(%s) and phenomenon_time > %s and phenomenon_time <= %s
        order by phenomenon_time
        """,
        (list(datastream_ids), start, end),
    ).fetchall()
    for datastream_id, time, value, quality in rows:
        series[datastream_id].append(Point(time, value, _QUALITIES[quality]))
    return series
