"""The past of the simulated town, as files of the kind a town has: a CSV file and its map for each kind of station.

    write_files(folder, config, town, until, days=60, visit_days=396) -> [Written(file, map_file), ...]

    river.csv      levels every 10 minutes          rain.csv    depths every 10 minutes
    water.csv      inflow and pressure, 5 minutes   tank.csv    levels every 10 minutes
    visitors-2026-06.csv, ...   a month each: passages every 10 minutes
    daily.csv                   the day's number of a spot without a counter

They are what `mimamori import-csv FILE --map MAP` reads. No line is later than `until`: what the devices say from then
on joins without a gap, and no value is told twice. The past is an ordinary one: `ordinary_past` is what happened in it;
a field is empty where a device was silent and `***` where it could not measure; the reception of the spot without a
counter is closed on Mondays and forgets a day now and then.

Every file is a pure function of (seed, scenario, origin, until, days): written again it is the same, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from devices.model import ObservedProperty, Quality, Reason, Station, StationKind, Town
from simulators.chance import uniform
from simulators.config import SimulatorConfig
from simulators.interventions import Happening, Intervention
from simulators.visits import HAND_COUNTED, Spot
from simulators.world import World

DAYS = 60
VISIT_DAYS = 396  # 13 months
OUTAGE = "***"

_TIME, _DAY = "日時", "日付"
_OUTAGE_SHARE = 1 / 60  # of a device's days
_FORGOTTEN_SHARE = 1 / 25  # of the days that people count by hand
_MONDAY = 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]


class Kind(StrEnum):
    """The kinds of file."""

    VISITORS = "visitors"
    DAILY = "daily"
    RIVER = "river"
    RAIN = "rain"
    WATER = "water"
    TANK = "tank"


@dataclass(frozen=True, slots=True)
class Written:
    """One file of history and the map that says what its columns are."""

    file: Path
    map_file: Path


@dataclass(frozen=True, slots=True)
class _Column:
    """One series: what the file calls it, and its text at a time of its own step."""

    name: str
    station: str
    observed_property: ObservedProperty
    step: timedelta
    text: Callable[[datetime], str]


def write_files(
    folder: Path,
    config: SimulatorConfig,
    town: Town,
    until: datetime,
    *,
    days: int = DAYS,
    visit_days: int = VISIT_DAYS,
    part: tuple[int, int] = (1, 1),
) -> list[Written]:
    """Writes the files of what the town has stations for, and returns them.

    `part` (1, 2) and (2, 2) are about half of the files each, for two processes at once. `config.origin` is when the
    scenario begins; None: at `until`, so that nothing of it has happened yet. Raises OSError where the folder cannot be
    written.
    """
    world = World(config, town, config.origin or until, ordinary_past(town, until))
    zone = ZoneInfo(town.municipality.timezone)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    of_days, of_visits = until - timedelta(days=days), until - timedelta(days=visit_days)
    files = [
        *((f"visitors-{first.astimezone(zone):%Y-%m}", Kind.VISITORS, first, last)
          for first, last in _months(of_visits, until, zone)),
        ("daily", Kind.DAILY, of_visits, until),
        *((kind.value, kind, of_days, until) for kind in (Kind.RIVER, Kind.WATER, Kind.RAIN, Kind.TANK)),
    ]  # fmt: skip
    for name, kind, first, last in files[part[0] - 1 :: part[1]]:
        columns = list(_by_hand(config, town) if kind is Kind.DAILY else _measured(kind, config, town, world))
        if not columns:
            continue
        layout: dict[str, object] = {"time": {"column": _TIME, "zone": town.municipality.timezone}}
        if kind is Kind.DAILY:
            # the day's own number counts from the end of the day on
            layout = {
                "time": {"column": _DAY, "format": "%Y-%m-%d", "zone": town.municipality.timezone, "shift": "24h"},
                "quality": Quality.MANUAL.value,
            }
        layout["missing"] = {OUTAGE: Reason.FAILURE.value}
        layout["columns"] = {
            each.name: {"station": each.station, "property": each.observed_property.value} for each in columns
        }
        file, map_file = folder / f"{name}.csv", folder / f"{name}.yaml"
        map_file.write_text(yaml.safe_dump(layout, allow_unicode=True, sort_keys=False), "utf-8")
        lines = _days(columns, zone, first, last) if kind is Kind.DAILY else _lines(columns, zone, first, last)
        with file.open("w", encoding="utf-8") as out:
            out.writelines(line + "\n" for line in lines)
        written.append(Written(file, map_file))
    return written


def _months(first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[Span]:
    """The stretch in pieces that end with each local month."""
    while first < last:
        local = first.astimezone(zone)
        following = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=zone).astimezone(UTC)
        yield first, min(last, following)
        first = following


def ordinary_past(town: Town, until: datetime) -> tuple[Intervention, ...]:
    """What happened before: festivals, a burst that was repaired the same day, an afternoon without the gateway."""
    zone = ZoneInfo(town.municipality.timezone)
    today = until.astimezone(zone).date()

    def at(days_ago: int, hour: float) -> datetime:
        return datetime.combine(today - timedelta(days=days_ago), time(0), zone) + timedelta(hours=hour)

    happened = [Intervention(Happening.FESTIVAL, at(days, 10), at(days, 17)) for days in _festivals(until, zone)]
    blocks = [station.code for station in town.stations if station.kind is StationKind.BLOCK_INLET]
    happened += [Intervention(Happening.BURST, at(26, 9.5), at(26, 17), block) for block in blocks[:1]]
    for number, device in enumerate(device for station in town.stations for device in station.devices):
        changed = 36 + number % 20  # days ago: the battery
        happened.append(Intervention(Happening.SILENCE, at(33, 13.2), at(33, 16.5), device.key))
        happened.append(Intervention(Happening.SILENCE, at(changed, 10), at(changed, 11.5), device.key))
    return tuple(happened)


def _festivals(until: datetime, zone: ZoneInfo) -> Iterator[int]:
    """How many days ago the town's festivals were: on the third Sundays of May and October."""
    today = until.astimezone(zone).date()
    for ago in range(1, VISIT_DAYS):
        day = today - timedelta(days=ago)
        if day.month in (5, 10) and day.weekday() == 6 and 15 <= day.day <= 21:
            yield ago


# --- what devices and people wrote down -------------------------------------------------------------------


def _measured(kind: Kind, config: SimulatorConfig, town: Town, world: World) -> Iterator[_Column]:
    station_kind, named = _MEASURED[kind]
    for station in (each for each in town.stations if each.kind is station_kind):
        for device in station.devices:
            silent = [
                (each.start, each.end)
                for each in world.interventions
                if each.happening is Happening.SILENCE and each.target == device.key
            ]
            out = _Outages(config.seed, device.key, silent)
            for stream in station.datastreams:
                observed = stream.observed_property
                if observed in named and any(line.observed_property is observed for line in device.mapping):
                    value = _VALUES[observed](world, station, stream.interval)
                    yield _Column(
                        station.name + named[observed], station.code, observed, stream.interval, out.of(value)
                    )


class _Outages:
    """When a device said nothing, or could not measure: hours of silence, and a stretch on one day in sixty."""

    def __init__(self, seed: int, device: str, silent: Iterable[Span]) -> None:
        self._seed, self._device, self._silent = seed, device, tuple(silent)
        self._of_day: dict[int, list[tuple[datetime, datetime, str]]] = {}

    def of(self, value: Callable[[datetime], str]) -> Callable[[datetime], str]:
        """The text of a field: the value, nothing, or that there was an outage."""

        def text(at: datetime) -> str:
            for start, end, instead in self._on_day((at - _EPOCH).days):
                if start <= at < end:
                    return instead
            return value(at)

        return text

    def _on_day(self, day: int) -> list[tuple[datetime, datetime, str]]:
        """From, to, and what stands there instead of values, of a day in UTC."""
        if day not in self._of_day:
            begins = _EPOCH + timedelta(days=day)
            ends = begins + timedelta(days=1)
            found = [(start, end, "") for start, end in self._silent if start < ends and end > begins]
            if uniform(self._seed, self._device, "outage", day) < _OUTAGE_SHARE:
                start = begins + 0.8 * timedelta(days=uniform(self._seed, self._device, "outage from", day))
                hours = 0.3 + 2.5 * uniform(self._seed, self._device, "outage for", day)
                found.append((start, start + timedelta(hours=hours), OUTAGE))
            self._of_day[day] = found
        return self._of_day[day]


def _level(world: World, station: Station, _step: timedelta) -> Callable[[datetime], str]:
    return lambda at: f"{world.river.level(station.code, at):.3f}"


def _tank_level(world: World, station: Station, _step: timedelta) -> Callable[[datetime], str]:
    return lambda at: f"{world.tanks[station.code].level(at):.3f}"


def _flow(world: World, station: Station, _step: timedelta) -> Callable[[datetime], str]:
    return lambda at: f"{world.blocks[station.code].flow(at):.2f}"


def _pressure(world: World, station: Station, _step: timedelta) -> Callable[[datetime], str]:
    return lambda at: f"{world.blocks[station.code].pressure(at):.1f}"


def _depth(world: World, station: Station, step: timedelta) -> Callable[[datetime], str]:
    bucket = world.buckets[station.code]
    return lambda at: f"{bucket.tips(at - step, at) * bucket.tip:.1f}"


def _inwards(world: World, station: Station, step: timedelta) -> Callable[[datetime], str]:
    return lambda at: str(world.spots[station.code].inwards(at, step))


def _outwards(world: World, station: Station, step: timedelta) -> Callable[[datetime], str]:
    return lambda at: str(world.spots[station.code].outwards(at, step))


_PASSAGES = {ObservedProperty.PASSAGES_IN: " 入", ObservedProperty.PASSAGES_OUT: " 出"}
_MEASURED: Mapping[Kind, tuple[StationKind, Mapping[ObservedProperty, str]]] = {
    Kind.RIVER: (StationKind.RIVER_GAUGE, {ObservedProperty.WATER_LEVEL: ""}),
    Kind.RAIN: (StationKind.RAIN_GAUGE, {ObservedProperty.PRECIPITATION: ""}),
    Kind.WATER: (StationKind.BLOCK_INLET, {ObservedProperty.FLOW: " 流量", ObservedProperty.PRESSURE: " 圧力"}),
    Kind.TANK: (StationKind.SERVICE_TANK, {ObservedProperty.TANK_LEVEL: ""}),
    Kind.VISITORS: (StationKind.VISITOR_SPOT, _PASSAGES),
}
_VALUES = {
    ObservedProperty.WATER_LEVEL: _level,
    ObservedProperty.PRECIPITATION: _depth,
    ObservedProperty.FLOW: _flow,
    ObservedProperty.PRESSURE: _pressure,
    ObservedProperty.TANK_LEVEL: _tank_level,
    ObservedProperty.PASSAGES_IN: _inwards,
    ObservedProperty.PASSAGES_OUT: _outwards,
}


def _by_hand(config: SimulatorConfig, town: Town) -> Iterator[_Column]:
    """The spots that no counter watches: the reception writes down the day's number. Asked for the start of a day."""
    zone = ZoneInfo(town.municipality.timezone)
    for station in town.stations:
        by_hand = [each for each in station.datastreams if each.observed_property is ObservedProperty.PASSAGES_DAY]
        if station.devices or not by_hand:
            continue
        spot = Spot(config.seed, zone, station.code, HAND_COUNTED)

        def text(at: datetime, spot: Spot = spot) -> str:
            day = at.astimezone(zone).date()
            if uniform(config.seed, spot.code, "forgotten", day) < _FORGOTTEN_SHARE:
                return ""
            return "0" if day.weekday() == _MONDAY else str(spot.visitors(day))

        yield _Column(station.name, station.code, ObservedProperty.PASSAGES_DAY, by_hand[0].interval, text)


# --- the files ---------------------------------------------------------------------------------------------


def _lines(columns: list[_Column], zone: ZoneInfo, first: datetime, until: datetime) -> Iterator[str]:
    """The header and a line a time after `first`: a column of a longer step has a text only at its own times."""
    yield ",".join((_TIME, *(each.name for each in columns)))
    step = min(each.step for each in columns)
    at = _EPOCH + ((first - _EPOCH) // step + 1) * step
    while at <= until:
        texts = [each.text(at) if not (at - _EPOCH) % each.step else "" for each in columns]
        yield ",".join((f"{at.astimezone(zone):%Y-%m-%d %H:%M}", *texts))
        at += step


def _days(columns: list[_Column], zone: ZoneInfo, first: datetime, until: datetime) -> Iterator[str]:
    """The header and a line a local day that begins after `first` and is over by `until`."""
    yield ",".join((_DAY, *(each.name for each in columns)))
    day = first.astimezone(zone).date() + timedelta(days=1)
    while (ends := datetime.combine(day + timedelta(days=1), time(0), zone)) <= until:
        begins = ends - timedelta(days=1)
        yield ",".join((day.isoformat(), *(each.text(begins) for each in columns)))
        day += timedelta(days=1)
