"""The domain's nouns: what a town consists of and what a device says, as plain frozen types (what there is
one of for every message as msgspec's structs, which are made in a quarter of a dataclass's time).

No database and no network here; every other room builds on these. Names follow OGC SensorThings where it has
one (Thing = station, Sensor = device, Datastream, Observation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from devices.duty import DutyCycle
from devices.levels import CrossSection, LevelKind, ThresholdMark
from devices.official_links import OfficialLink
from devices.threshold_source import ThresholdSource


class Quality(StrEnum):
    """How far an observation can be trusted, from best to worst (the database's enum has the same order)."""

    GOOD = "good"
    MANUAL = "manual"
    ESTIMATED = "estimated"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    MISSING = "missing"


class Reason(StrEnum):
    """Why an observation is not simply good."""

    CLOCK = "clock"  # the device's clock was impossible; the network's or received time stands in for it
    RANGE = "range"  # outside what the sensor or the place can produce
    RATE = "rate"  # moved faster than the place can
    STUCK = "stuck"  # has not moved for longer than the place can stand still
    SPIKE = "spike"  # jumped farther than the series ever does
    STEP = "step"  # its level is suddenly another: moved, exchanged, a gauge zero that was changed
    DRIFT = "drift"  # it walks away, day by day
    NOISE = "noise"  # trembles more than the series does
    NEIGHBOURS = "neighbours"  # walks away from what the gauges beside it say
    SENSOR = "sensor"  # the device itself says that it could not measure: quality missing, no value
    GAP = "gap"  # messages are missing: what the counter counted over the gap, spread evenly: quality estimated
    RESTART = "restart"  # the counter began anew in this interval: at least this much: quality estimated
    WITHDRAWN = "withdrawn"  # a person took back what they had entered: quality missing, no value
    CONFIRMED = "confirmed"  # 確定値: the office that keeps the record has examined it
    MAINTENANCE = "maintenance"  # 作業: somebody was at work at the device: quality doubtful
    REJECTED = "rejected"  # a person has found it false: quality bad
    CORRECTED = "corrected"  # a person put it right later (`mimamori correct`): nothing that comes stands above it
    # What an imported record says of a value that it does not have (quality missing):
    FAILURE = "failure"  # 障害欠測: something was broken
    OUT_OF_SERVICE = "out_of_service"  # 休止: nobody meant to measure then
    NO_RECORD = "no_record"  # nothing is written there, and nobody says why


# Values that say nothing about how those beside them moved.
ASIDE = frozenset({Reason.CLOCK, Reason.MAINTENANCE})
# What a person has looked into: no device and no check has the last word over it.
EXAMINED = frozenset({Reason.CONFIRMED, Reason.CORRECTED, Reason.REJECTED})


class StationKind(StrEnum):
    """What is watched at a place; which desk's page it stands on follows from it."""

    RIVER_GAUGE = "river_gauge"
    RAIN_GAUGE = "rain_gauge"  # with a thermometer too, where it is a 気象計
    THERMOMETER = "thermometer"  # of the air, alone
    INUNDATION_POINT = "inundation_point"  # 浸水センサ: a contact that is wet or dry
    SHELTER = "shelter"
    BLOCK_INLET = "block_inlet"
    SERVICE_TANK = "service_tank"
    PRESSURE_POINT = "pressure_point"
    PUMP = "pump"
    WATER_QUALITY = "water_quality"  # 給水栓などの残留塩素と濁度
    LEAK_LOGGER = "leak_logger"  # listens to a pipe at night
    VISITOR_SPOT = "visitor_spot"
    VISITOR_AREA = "visitor_area"  # how many are there now, where a spot counts who passes
    PARKING = "parking"

    @property
    def desk(self) -> str:
        """Whose desk watches it: disaster, water or tourism."""
        return _DESKS[self]


_DESKS = {
    StationKind.RIVER_GAUGE: "disaster",
    StationKind.RAIN_GAUGE: "disaster",
    StationKind.THERMOMETER: "disaster",
    StationKind.INUNDATION_POINT: "disaster",
    StationKind.SHELTER: "disaster",
    StationKind.BLOCK_INLET: "water",
    StationKind.SERVICE_TANK: "water",
    StationKind.PRESSURE_POINT: "water",
    StationKind.PUMP: "water",
    StationKind.WATER_QUALITY: "water",
    StationKind.LEAK_LOGGER: "water",
    StationKind.VISITOR_SPOT: "tourism",
    StationKind.VISITOR_AREA: "tourism",
    StationKind.PARKING: "tourism",
}


class Statistic(StrEnum):
    """What one observation stands for."""

    INSTANT = "instant"  # the value at its time (a level, a flow, a pressure)
    TOTAL = "total"  # the sum over the interval that ends at its time (passages)


class ObservedProperty(StrEnum):
    """What is measured. The unit (UCUM) belongs to the property: one property has one unit everywhere."""

    WATER_LEVEL = "water_level"  # m above gauge zero
    PRECIPITATION = "precipitation"  # mm in the interval
    AIR_TEMPERATURE = "air_temperature"  # °C (UCUM Cel), in the shade
    TANK_LEVEL = "tank_level"  # m above the tank's floor
    FLOW = "flow"  # m3/h
    PRESSURE = "pressure"  # kPa
    PASSAGES_IN = "passages_in"  # people counted inwards in the interval
    PASSAGES_OUT = "passages_out"
    PASSAGES_DAY = "passages_day"  # people counted by hand over a whole local day; time = END of that day
    INUNDATION = "inundation"  # contact: 1 wet, 0 dry
    PUMP_RUNNING = "pump_running"  # contact: 1 running, 0 standing
    RESIDUAL_CHLORINE = "residual_chlorine"  # mg/L
    TURBIDITY = "turbidity"  # 度, by polystyrene
    LEAK_SOUND = "leak_sound"  # dB at the logger: no more than a hint of where to look
    PEOPLE_PRESENT = "people_present"  # people counted or estimated to be there at the time
    VEHICLES_PRESENT = "vehicles_present"
    VEHICLES_IN = "vehicles_in"  # vehicles that came in, in the interval
    RADIO_SIGNALS = "radio_signals"  # phones heard by Wi-Fi or BLE: how busy it is, never how many people

    @property
    def unit(self) -> str:
        return _UNITS[self]

    @property
    def statistic(self) -> Statistic:
        return Statistic.TOTAL if self in _TOTALS else Statistic.INSTANT

    @property
    def contact(self) -> bool:
        """Whether it is a contact: 1 closed, 0 open, nothing between, and read as a word."""
        return self in CONTACTS


CONTACTS = frozenset({ObservedProperty.INUNDATION, ObservedProperty.PUMP_RUNNING})
_PASSAGES = {ObservedProperty.PASSAGES_IN, ObservedProperty.PASSAGES_OUT, ObservedProperty.PASSAGES_DAY}
_UNITS = {
    **dict.fromkeys(CONTACTS, "1"),
    **dict.fromkeys(_PASSAGES, "{passage}"),
    **dict.fromkeys((ObservedProperty.VEHICLES_PRESENT, ObservedProperty.VEHICLES_IN), "{vehicle}"),
    ObservedProperty.WATER_LEVEL: "m",
    ObservedProperty.PRECIPITATION: "mm",
    ObservedProperty.AIR_TEMPERATURE: "Cel",
    ObservedProperty.TANK_LEVEL: "m",
    ObservedProperty.FLOW: "m3/h",
    ObservedProperty.PRESSURE: "kPa",
    ObservedProperty.RESIDUAL_CHLORINE: "mg/L",
    ObservedProperty.TURBIDITY: "{degree}",
    ObservedProperty.LEAK_SOUND: "dB",
    ObservedProperty.PEOPLE_PRESENT: "{person}",
    ObservedProperty.RADIO_SIGNALS: "{signal}",
}
_TOTALS = {ObservedProperty.PRECIPITATION, *_PASSAGES, ObservedProperty.VEHICLES_IN}


class Outcome(StrEnum):
    """What became of one delivered message: exactly one of these."""

    ACCEPTED = "accepted"
    EVENT = "event"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


# --- the town, as its YAML says it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Municipality:
    """A tenant. `code` is the 6-digit 全国地方公共団体コード; `timezone` an IANA name, for local days."""

    code: str
    name: str
    name_en: str
    timezone: str


@dataclass(frozen=True, slots=True)
class ThresholdLevel:
    """One level of a station that is judged. `level`: 警戒レベル相当 1 to 5, `value`: metres above gauge zero. `kind`
    one of `devices.levels.NUMBERED`.
    """

    level: int
    name: str
    name_en: str
    value: float
    kind: LevelKind = LevelKind.REFERENCE


@dataclass(frozen=True, slots=True)
class ThresholdSet:
    """The reference levels of a river gauge, in force from `valid_from`, with the reason for the change.

    An alert clears when the level has stayed `clear_margin` metres below its threshold for `hold`.
    `gauge_zero_tp` is the elevation of gauge zero above T.P. in metres, None where it was never surveyed.
    `source` None: the levels are the municipality's own. `marks`: the levels that have no number.
    """

    valid_from: datetime
    reason: str
    levels: tuple[ThresholdLevel, ...]
    clear_margin: float = 0.10
    hold: timedelta = timedelta(minutes=30)
    gauge_zero_tp: float | None = None
    source: ThresholdSource | None = None
    marks: tuple[ThresholdMark, ...] = ()


@dataclass(frozen=True, slots=True)
class Datastream:
    """One observed property of one station.

    `interval` is the usual time between observations (and the counting period of a total); `valid_range` the
    lowest and highest value the place can produce; `max_rate` the fastest honest change per hour, in the
    unit; `stuck_after` how long an honest value can stand still. None switches that check off.
    """

    observed_property: ObservedProperty
    interval: timedelta
    valid_range: tuple[float | None, float | None] = (None, None)
    max_rate: float | None = None
    stuck_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """One field of a codec -> one datastream of the station: value = field x scale + offset."""

    field: str
    observed_property: ObservedProperty
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Device:
    """Hardware at a station. `key` is the network's identity (a DevEUI is 16 lower-case hex digits).

    `model` names a codec (`devices.codecs`); `silence_after` is how long it may say nothing before someone
    should look; `attached_from` is when it was mounted where it is. `duty`: how often it speaks, where that depends on
    what it measures; its `silence_after` is then that of the calm mode.
    """

    key: str
    model: str
    silence_after: timedelta
    attached_from: datetime
    mapping: tuple[FieldMapping, ...]
    duty: DutyCycle | None = None


@dataclass(frozen=True, slots=True)
class ServiceTank:
    """A 配水池: what a metre of level holds, and between which levels (m above the floor) it is worked."""

    area_m2: float
    full_m: float
    low_m: float


@dataclass(frozen=True, slots=True)
class DistributionBlock:
    """A 配水ブロック: the length of its pipes (of the basemap's, where that has any; None: not known), and the code of
    the tank that feeds it (None: none, or not known).
    """

    pipe_km: float | None = None
    tank: str | None = None


@dataclass(frozen=True, slots=True)
class RiverPlace:
    """Where a gauge belongs: the river (a rain gauge: whose catchment it stands in), how far from its mouth along the
    river, and how much land drains to it. None where it is not known.
    """

    river: str
    km_from_mouth: float | None = None
    catchment_km2: float | None = None


@dataclass(frozen=True, slots=True)
class Station:
    """A place that is watched (SensorThings: Thing)."""

    code: str
    kind: StationKind
    name: str
    name_en: str
    latitude: float
    longitude: float
    datastreams: tuple[Datastream, ...]
    devices: tuple[Device, ...]
    thresholds: tuple[ThresholdSet, ...] = ()
    tank: ServiceTank | None = None  # of a service tank, where it is known
    block: DistributionBlock | None = None  # of a block inlet, where it is known
    river: RiverPlace | None = None  # of a river or rain gauge, where it is known
    links: tuple[OfficialLink, ...] | None = None  # to official pages; None: the town file says nothing of them
    cross_sections: tuple[CrossSection, ...] = ()  # of a river gauge, where the river was surveyed


@dataclass(frozen=True, slots=True)
class Town:
    """A municipality and everything that is watched in it."""

    municipality: Municipality
    stations: tuple[Station, ...]
    # [west, south, east, north] in degrees, and what is drawn within them
    bounds: tuple[float, float, float, float]
    shapes: tuple[MapShape, ...] = ()


MapPoint = tuple[float, float]  # (longitude, latitude)


@dataclass(frozen=True, slots=True)
class MapShape:
    """One feature of the basemap (`devices.basemap.KINDS`); names are empty where it has none.

    `lines`: the line, the one point, or the rings of an area: the outer one, then its holes.
    """

    kind: str
    name: str
    name_en: str
    lines: tuple[tuple[MapPoint, ...], ...]
    properties: Mapping[str, str | float] = field(default_factory=dict)


# --- what a device says ----------------------------------------------------------------------------------


class Radio(Struct, frozen=True):
    """How a message was heard, by the gateway that heard it best: the one with the highest RSSI.

    `rssi` in dBm, `snr` in dB, `data_rate` as "SF10BW125"; None where the network does not say. `gateways`: how many
    heard it.
    """

    gateway: str | None = None
    rssi: float | None = None
    snr: float | None = None
    data_rate: str | None = None
    gateways: int = 1


class DeviceStatus(Struct, frozen=True):
    """What the network asked a device about itself: the battery in percent (None: unknown), whether it lives on mains
    instead, and by how many dB the last downlink was above what it could just have heard.
    """

    battery_percent: float | None = None
    external_power: bool = False
    margin_db: float | None = None


class Uplink(Struct, frozen=True):
    """One message of a device, with the network's wrapping taken off by an envelope.

    `device_key`, `session` and `counter` with the hash of the payload say which transmission it was: the same
    four again are a repetition. `session` is what the counter belongs to (LoRaWAN: the DevAddr), empty where
    the network has none. `counter` is None where neither sender nor network counts; then the payload must carry a
    time, or the network's time is part of what tells a repetition. `network_time` is when the network heard it, None
    where it does not say. A message that is no reading (join, status, ...) has `event` set to its name and no payload.

    `decoded` is what the network itself made of the payload, as JSON; it is read only of a device model that says so.
    """

    network: str
    device_key: str
    session: str
    counter: int | None
    network_time: datetime | None
    port: int | None = None
    payload: bytes = b""
    readings: tuple[Reading, ...] | None = None  # already decoded: our own JSON brings values, not bytes
    event: str | None = None
    radio: Radio | None = None
    status: DeviceStatus | None = None
    decoded: bytes | None = None


class Reading(Struct, frozen=True):
    """One decoded field: `value` None means that the device says it could not measure.

    `problem` says why the field cannot be used where the rest of its message can; its `value` is then None and means
    nothing.

    `time` is the device's own time of measurement; None where the device has no clock. `age` is how long
    before the newest reading of its message it was measured: where `time` is absent or impossible, the reading belongs
    to the network's (or received) time minus `age`.
    """

    field: str
    value: float | None
    time: datetime | None = None
    age: timedelta = timedelta(0)
    problem: str | None = None


class DevicesError(Exception):
    """Base of what this room raises.

    DevicesError
      TownFileError   the town's YAML or its basemap is wrong: file, line or feature, what and what to do
      DecodeError     a message cannot be read
        EnvelopeError   the network's wrapping is not what its documentation says
        CodecError      the payload is not what this device model sends
          UnloadableCodec   its codec in JavaScript decodes nothing (devices.codecs.javascript)
    """


class TownFileError(DevicesError):
    """The town's YAML is wrong."""


class DecodeError(DevicesError):
    """A message cannot be read; `reason` is a short code for counts and lists, the text is for people."""

    reason = "undecodable"


class EnvelopeError(DecodeError):
    """The network's wrapping is not what its documentation says."""

    reason = "envelope"


class CodecError(DecodeError):
    """The payload is not what this device model sends."""

    reason = "codec"
