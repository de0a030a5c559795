"""What there is to measure in a town, at any time: rivers, rain, pipes, tanks and visitors, and what happens to them.

A `World` is a pure function of (seed, scenario, origin, interventions, time): nothing in it has a state, and whoever
asks in whatever order gets the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from devices.model import ObservedProperty, Station, StationKind, Town
from simulators.config import Scenario, SimulatorConfig
from simulators.hydraulics import Table, network_of, read
from simulators.interventions import Happening, Intervention, of
from simulators.network import site
from simulators.pipes import FIRST_EVENT, Block
from simulators.rainfall import Bucket, shares
from simulators.rivers import River
from simulators.tanks import USUAL_TANK, Tank
from simulators.towns import SOLVED
from simulators.truth import Happened
from simulators.visits import (
    COVERED,
    FESTIVAL_EVERY,
    FESTIVAL_LASTS,
    FIRST_FESTIVAL,
    PROFILES,
    SHELTER,
    Spot,
)
from simulators.weather import FIRST_STORM, STORM, STORM_EVERY, basins

# Of the visitor spots by their profile, in a flood: the roadside station is a shelter, the hot spring's counter is
# covered with leaves.
_ON_HIGH_GROUND, _UNDER_TREES = 0, 3
_HOUR = timedelta(hours=1)
_NEVER = datetime(2200, 1, 1, tzinfo=UTC)


class World:
    """What there is to measure, at any time: a pure function of (seed, scenario, origin, interventions, time)."""

    def __init__(
        self, config: SimulatorConfig, town: Town, origin: datetime, interventions: Sequence[Intervention] = ()
    ) -> None:
        zone = ZoneInfo(town.municipality.timezone)
        kinds: Mapping[StationKind, list[Station]] = {
            kind: [station for station in town.stations if station.kind is kind] for kind in StationKind
        }
        self.interventions = tuple(interventions)
        self._storm = origin + FIRST_STORM if config.scenario.storms else None
        cloudbursts = [rain.start for rain in of(self.interventions, Happening.RAIN)]
        festivals = tuple((each.start, each.end) for each in of(self.interventions, Happening.FESTIVAL))
        storm = self._storm
        gauges = kinds[StationKind.RIVER_GAUGE]
        self.river = River(config.seed, config.scenario, origin, gauges, cloudbursts, basins(town.shapes))
        self.buckets = self._buckets(config.seed, kinds[StationKind.RAIN_GAUGE])
        self.blocks = {
            station.code: Block(
                config.seed,
                origin,
                zone,
                station.code,
                self._bursts(station.code),
                config.scenario,
                scoured_from=storm if position == 0 else None,
                festivals=festivals,
                festival_from=_festival(config, origin),
                site=site(config.seed, station.code, town.shapes),
                table=_table(town, station.code),
            )
            for position, station in enumerate(kinds[StationKind.BLOCK_INLET])
        }
        self.tanks = {
            station.code: self._tank(config.seed, zone, station, self._fed(station, kinds))
            for station in kinds[StationKind.SERVICE_TANK]
        }
        self.spots = {
            station.code: Spot(
                config.seed,
                zone,
                station.code,
                PROFILES[position % len(PROFILES)],
                festivals,
                _festival(config, origin) if position % 2 == 0 else None,
                shelter_from=storm if position % len(PROFILES) == _ON_HIGH_GROUND else None,
                covered_from=storm if position % len(PROFILES) == _UNDER_TREES else None,
            )
            for position, station in enumerate(kinds[StationKind.VISITOR_SPOT])
        }

    def _buckets(self, seed: int, gauges: Sequence[Station]) -> dict[str, Bucket]:
        found = {}
        for basin in dict.fromkeys(map(self.river.basin, gauges)):
            inside = [station for station in gauges if self.river.basin(station) == basin]
            for station, share in zip(inside, shares(len(inside)), strict=True):
                found[station.code] = Bucket(seed, self.river.weather, basin, station.code, share, _tip(station))
        return found

    def _tank(self, seed: int, zone: ZoneInfo, station: Station, blocks: tuple[Block, ...]) -> Tank:
        table = blocks[0].table if len(blocks) == 1 else None
        return Tank(seed, zone, station.code, station.tank or USUAL_TANK, blocks, table)

    def _fed(self, tank: Station, kinds: Mapping[StationKind, list[Station]]) -> tuple[Block, ...]:
        return tuple(
            self.blocks[inlet.code]
            for inlet in kinds[StationKind.BLOCK_INLET]
            if inlet.block is not None and inlet.block.tank == tank.code
        )

    def _bursts(self, code: str) -> tuple[tuple[datetime, datetime], ...]:
        return tuple((each.start, each.end) for each in of(self.interventions, Happening.BURST, code))

    def silent(self, device_key: str, at: datetime) -> bool:
        """Whether somebody has stopped the device."""
        return any(each.covers(at) for each in of(self.interventions, Happening.SILENCE, device_key))

    # --- what happens, for the truth file -----------------------------------------------------------------

    def happened(self, first: datetime, last: datetime) -> Iterator[Happened]:
        """What happens in the town at some time in [first, last), beside the faults of its devices."""
        for start in recurring(self._storm, STORM_EVERY, len(STORM) * _HOUR, first, last):
            yield Happened("storm", start, start + len(STORM) * _HOUR, parameters={"mm_an_hour": list(STORM)})
        for each in of(self.interventions, Happening.RAIN):
            if each.start < last and each.end > first:
                yield Happened("cloudburst", each.start, each.end)
        for block in self.blocks.values():
            yield from _in_block(block, first, last)
        for spot in self.spots.values():
            yield from _at_spot(spot, first, last)


def recurring(
    began: datetime | None, every: timedelta, lasts: timedelta, first: datetime, last: datetime
) -> Iterator[datetime]:
    """When something begins that began once and comes again and again, of what lasts at some time in [first, last)."""
    if began is None:
        return
    for n in range(max(0, (first - began - lasts) // every), max(0, (last - began) // every + 1)):
        start = began + n * every
        if start < last and start + lasts > first:
            yield start


def _in_block(block: Block, first: datetime, last: datetime) -> Iterator[Happened]:
    node = {} if block.site is None else {"node": block.site.node}
    for start, end, size in block.bursts(first, last):
        yield Happened("burst", start, end, station=block.code, parameters={"m3h": round(size, 2), **node})
    opened = block.origin + FIRST_EVENT
    if block.leak(last) and opened < last:
        yield Happened("leak", opened, None, station=block.code, parameters={"m3h": round(block.leak_size, 2), **node})
    for start, end in block.valves_shut(first, last):
        yield Happened("valve", start, end, station=block.code)


def _at_spot(spot: Spot, first: datetime, last: datetime) -> Iterator[Happened]:
    for start, end in spot.festivals:
        if start < last and end > first:
            yield Happened("festival", start, end, station=spot.code)
    for start in recurring(spot.festival_from, FESTIVAL_EVERY, FESTIVAL_LASTS, first, last):
        yield Happened("festival", start, start + FESTIVAL_LASTS, station=spot.code)
    for what, storm, hours in (("sheltering", spot.shelter_from, SHELTER), ("covered", spot.covered_from, COVERED)):
        for start in recurring(
            None if storm is None else storm + hours[0], STORM_EVERY, hours[1] - hours[0], first, last
        ):
            yield Happened(what, start, start + hours[1] - hours[0], station=spot.code)
    for start, end in spot.blocked_times(first, last):
        yield Happened("blocked", start, end, station=spot.code)


def _festival(config: SimulatorConfig, origin: datetime) -> datetime | None:
    """When the scenario's festivals begin."""
    return origin + FIRST_FESTIVAL if config.scenario is Scenario.FESTIVAL else None


def _table(town: Town, block: str) -> Table | None:
    """The solved network of a block, where the basemap has the very pipes that were solved."""
    network = network_of(town.shapes, block)
    if network is None or not SOLVED.exists():
        return None
    table = read(SOLVED)
    return table if table.digest == network.digest() else None


def quiet_block(block: Block) -> Block:
    """The block in which nothing opens by itself."""
    return replace(block, scenario=Scenario.VALVE, origin=_NEVER, opened=(), scoured_from=None)


def _tip(station: Station) -> float:
    """What one tip of the gauge at a station is worth, mm: as its town maps it."""
    lines = [line for device in station.devices for line in device.mapping]
    return next((line.scale for line in lines if line.observed_property is ObservedProperty.PRECIPITATION), 0.5)
