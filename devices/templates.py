"""Templates of stations: what a town usually puts up, so that a person chooses a name and not forty numbers.

A template says what is measured at such a place, how often, within which limits a value can be believed, and under
which names devices bring it. Everything in it is a proposal: whoever registers the station may change it. Two templates
can make the same kind of station: a 危機管理型水位計 is a river gauge that sleeps while the water is low.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from devices.model import Datastream, ObservedProperty, StationKind

_P = ObservedProperty
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# What can be observed at a kind of station.
PROPERTIES: Mapping[StationKind, tuple[ObservedProperty, ...]] = MappingProxyType(
    {
        StationKind.RIVER_GAUGE: (_P.WATER_LEVEL,),
        StationKind.RAIN_GAUGE: (_P.PRECIPITATION, _P.AIR_TEMPERATURE),
        StationKind.THERMOMETER: (_P.AIR_TEMPERATURE,),
        StationKind.INUNDATION_POINT: (_P.INUNDATION,),
        StationKind.SHELTER: (_P.PEOPLE_PRESENT,),
        StationKind.BLOCK_INLET: (_P.FLOW, _P.PRESSURE),
        StationKind.SERVICE_TANK: (_P.TANK_LEVEL,),
        StationKind.PRESSURE_POINT: (_P.PRESSURE,),
        StationKind.PUMP: (_P.PUMP_RUNNING,),
        StationKind.WATER_QUALITY: (_P.RESIDUAL_CHLORINE, _P.TURBIDITY),
        StationKind.LEAK_LOGGER: (_P.LEAK_SOUND,),
        StationKind.VISITOR_SPOT: (_P.PASSAGES_IN, _P.PASSAGES_OUT, _P.PASSAGES_DAY),
        StationKind.VISITOR_AREA: (_P.PEOPLE_PRESENT, _P.RADIO_SIGNALS),
        StationKind.PARKING: (_P.VEHICLES_PRESENT, _P.VEHICLES_IN),
    }
)


@dataclass(frozen=True, slots=True)
class Template:
    """A usual station. `fields` are the names that codecs give to a property, the most telling first; `silence_after`
    how long a device of the kind may say nothing. `duty` names the duty cycle (a function of `devices.duty`) of a
    device that changes its pace with what it measures, None for one that keeps it.
    """

    name: str
    kind: StationKind
    title: str
    title_en: str
    datastreams: tuple[Datastream, ...]
    fields: Mapping[ObservedProperty, tuple[str, ...]]
    silence_after: timedelta
    duty: str | None = None

    @property
    def desk(self) -> str:
        """Whose desk its stations stand on."""
        return self.kind.desk

    def property_of(self, field: str) -> ObservedProperty | None:
        """What a field of this name usually is at such a station; None where nobody can say.

        The whole name counts, then its last part: `water.level` is a `level`.

        >>> TEMPLATES["river_gauge"].property_of("water.Level").value
        'water_level'
        >>> TEMPLATES["river_gauge"].property_of("battery")
        """
        wanted = _plain(field)
        for name in (wanted, wanted.rpartition(".")[2]):
            for observed, usual in self.fields.items():
                if name in usual:
                    return observed
        return None


def _plain(field: str) -> str:
    """A field's name without what only its writer's habits put there: case, spaces, hyphens, numbers of channels."""
    return field.strip().lower().replace("-", "_").replace(" ", "_").replace("[0]", "")


def _template(
    name: str,
    kind: StationKind,
    titles: tuple[str, str],
    datastreams: tuple[Datastream, ...],
    fields: Mapping[ObservedProperty, tuple[str, ...]],
    silence_after: timedelta,
    duty: str | None = None,
) -> Template:
    return Template(name, kind, *titles, datastreams, MappingProxyType(dict(fields)), silence_after, duty)


_LEVEL_FIELDS = ("water_level", "level", "waterlevel", "stage", "depth", "distance")
_PEOPLE_FIELDS = ("people_present", "people", "occupancy", "people_count", "count", "region_count")
_PRESSURE_FIELDS = ("pressure", "water_pressure", "pipe_pressure")
_RAIN_FIELDS = ("precipitation", "rain", "rainfall", "rain_count", "count", "pulse", "pulses")
_TEMPERATURE_FIELDS = ("air_temperature", "temperature", "air_temp", "airtemperature", "outdoor_temperature", "temp")
# 187 mm fell in the wettest hour on record in Japan.
_RAIN = Datastream(_P.PRECIPITATION, 10 * _MINUTE, (0.0, 60.0))
# -41.0 and 41.8 °C are the records of Japan; a sensor that the sun reaches says a few more. Behind a cold front it may
# fall by ten in ten minutes. In fog it stands still for a night to the tenth of a degree, and not for a day.
_AIR = Datastream(_P.AIR_TEMPERATURE, 10 * _MINUTE, (-45.0, 50.0), 60.0, _DAY)

TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        template.name: template
        for template in (
            _template(
                "river_gauge",
                StationKind.RIVER_GAUGE,
                ("河川水位計", "River gauge"),
                (Datastream(_P.WATER_LEVEL, 10 * _MINUTE, (-2.0, 20.0), 6.0, _DAY),),
                {_P.WATER_LEVEL: _LEVEL_FIELDS},
                _HOUR,
            ),
            _template(
                "crisis_gauge",
                StationKind.RIVER_GAUGE,
                ("危機管理型水位計", "Crisis-management gauge"),
                # While the water is low it sends the same level once a day: that is no standstill.
                (Datastream(_P.WATER_LEVEL, 10 * _MINUTE, (-5.0, 20.0), 6.0, None),),
                {_P.WATER_LEVEL: _LEVEL_FIELDS},
                timedelta(hours=26),
                duty="crisis_gauge",
            ),
            _template(
                "rain_gauge",
                StationKind.RAIN_GAUGE,
                ("雨量計", "Rain gauge"),
                (_RAIN,),
                {_P.PRECIPITATION: _RAIN_FIELDS},
                timedelta(hours=2),
            ),
            _template(
                "inundation_contact",
                StationKind.INUNDATION_POINT,
                ("浸水センサ", "Inundation contact"),
                # It speaks when it becomes wet or dry, and once a day to say that it lives.
                (Datastream(_P.INUNDATION, _DAY, (0.0, 1.0)),),
                {_P.INUNDATION: ("inundation", "water_leak_status", "leak", "leakage", "flood", "wet", "contact")},
                timedelta(hours=26),
            ),
            _template(
                "block_inlet",
                StationKind.BLOCK_INLET,
                ("配水ブロック流入（流量・圧力）", "Block inlet (flow and pressure)"),
                (
                    Datastream(_P.FLOW, 10 * _MINUTE, (0.0, 500.0), None, _DAY),
                    Datastream(_P.PRESSURE, 10 * _MINUTE, (0.0, 1500.0), None, _DAY),
                ),
                {_P.FLOW: ("flow", "flow_rate", "flowrate", "current_flow"), _P.PRESSURE: _PRESSURE_FIELDS},
                _HOUR,
            ),
            _template(
                "pressure_point",
                StationKind.PRESSURE_POINT,
                ("水圧測定点", "Pressure point"),
                (Datastream(_P.PRESSURE, 10 * _MINUTE, (0.0, 1500.0), None, _DAY),),
                {_P.PRESSURE: _PRESSURE_FIELDS},
                _HOUR,
            ),
            _template(
                "service_tank",
                StationKind.SERVICE_TANK,
                ("配水池", "Service tank"),
                (Datastream(_P.TANK_LEVEL, 10 * _MINUTE, (0.0, 10.0), 3.0, _DAY),),
                {_P.TANK_LEVEL: ("tank_level", "water_level", "level", "depth", "distance")},
                _HOUR,
            ),
            _template(
                "pump_contact",
                StationKind.PUMP,
                ("ポンプ運転接点", "Pump contact"),
                (Datastream(_P.PUMP_RUNNING, 10 * _MINUTE, (0.0, 1.0)),),
                {_P.PUMP_RUNNING: ("pump_running", "running", "run", "contact", "di1", "din1", "input1")},
                _HOUR,
            ),
            _template(
                "water_quality",
                StationKind.WATER_QUALITY,
                ("残留塩素・濁度計", "Residual chlorine and turbidity"),
                (
                    Datastream(_P.RESIDUAL_CHLORINE, 10 * _MINUTE, (0.0, 5.0), None, _DAY),
                    Datastream(_P.TURBIDITY, 10 * _MINUTE, (0.0, 100.0), None, None),
                ),
                {
                    _P.RESIDUAL_CHLORINE: ("residual_chlorine", "free_chlorine", "chlorine", "cl2", "cl"),
                    _P.TURBIDITY: ("turbidity", "ntu", "turb"),
                },
                _HOUR,
            ),
            _template(
                "leak_logger",
                StationKind.LEAK_LOGGER,
                ("漏水音ロガー", "Leak noise logger"),
                # It listens at night, when the town is quiet, and sends what it heard in the morning.
                (Datastream(_P.LEAK_SOUND, _DAY, (0.0, 140.0)),),
                {_P.LEAK_SOUND: ("leak_sound", "noise", "noise_level", "sound_level", "level", "minimum_level")},
                timedelta(hours=49),
            ),
            _template(
                "line_counter",
                StationKind.VISITOR_SPOT,
                ("通過人数カウンター", "Line counter"),
                (
                    Datastream(_P.PASSAGES_IN, _HOUR, (0.0, 20_000.0)),
                    Datastream(_P.PASSAGES_OUT, _HOUR, (0.0, 20_000.0)),
                ),
                {
                    _P.PASSAGES_IN: ("passages_in", "in", "people_in", "line_1_in", "counter_in", "count_in", "ltr"),
                    _P.PASSAGES_OUT: ("passages_out", "out", "people_out", "line_1_out", "counter_out", "rtl"),
                },
                timedelta(hours=3),
            ),
            _template(
                "area_counter",
                StationKind.VISITOR_AREA,
                ("滞在人数センサ", "Area counter"),
                (Datastream(_P.PEOPLE_PRESENT, 10 * _MINUTE, (0.0, 5_000.0)),),
                {_P.PEOPLE_PRESENT: _PEOPLE_FIELDS},
                _HOUR,
            ),
            _template(
                "parking",
                StationKind.PARKING,
                ("駐車場", "Parking"),
                (Datastream(_P.VEHICLES_PRESENT, 10 * _MINUTE, (0.0, 5_000.0)),),
                {_P.VEHICLES_PRESENT: ("vehicles_present", "vehicles", "cars", "occupancy", "occupied", "count")},
                _HOUR,
            ),
            _template(
                "shelter",
                StationKind.SHELTER,
                ("避難所", "Shelter"),
                # Closed most of the year: the sensor says once a day that it lives.
                (Datastream(_P.PEOPLE_PRESENT, 10 * _MINUTE, (0.0, 5_000.0)),),
                {_P.PEOPLE_PRESENT: _PEOPLE_FIELDS},
                timedelta(hours=26),
            ),
            # Last: many a device says how warm it is besides what it is there for.
            _template(
                "weather_station",
                StationKind.RAIN_GAUGE,
                ("気象計（雨量・気温）", "Weather station (rain and temperature)"),
                (_RAIN, _AIR),
                {_P.PRECIPITATION: _RAIN_FIELDS, _P.AIR_TEMPERATURE: _TEMPERATURE_FIELDS},
                timedelta(hours=2),
            ),
            _template(
                "thermometer",
                StationKind.THERMOMETER,
                ("気温計", "Thermometer"),
                (_AIR,),
                {_P.AIR_TEMPERATURE: _TEMPERATURE_FIELDS},
                timedelta(hours=2),
            ),
        )
    }
)
