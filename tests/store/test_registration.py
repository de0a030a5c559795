"""Stations and devices registered by people: nothing half, nothing doubled, and the town file leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from devices.duty import DutyCycle, Mode
from devices.mapping import MappingEntry
from devices.model import (
    Datastream,
    DistributionBlock,
    ObservedProperty,
    RiverPlace,
    ServiceTank,
    Station,
    StationKind,
    ThresholdLevel,
    ThresholdSet,
    Town,
)
from store import Connection, connect
from store.duty import duties, put_duty
from store.errors import RegistrationError, TownConflict
from store.models import ModelEntry, add_model, change_model, remove_model
from store.registration import (
    add_device,
    add_station,
    attach,
    change_device,
    change_station,
    detach,
    device_key,
    mounted_since,
    mountings,
    put_datastream,
    remap,
    swap,
)
from store.registry import Directory, load_directory, sync_town
from tests.conftest import START, Registered
from tests.store.rights import as_api, neighbour

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEVEL, FLOW, PRESSURE = ObservedProperty.WATER_LEVEL, ObservedProperty.FLOW, ObservedProperty.PRESSURE
GAUGE = Station(
    "river-new", StationKind.RIVER_GAUGE, "新橋", "New Bridge", 32.9, 135.2, (Datastream(LEVEL, 10 * HOUR / 60),), ()
)
DISTANCE = MappingEntry("distance", LEVEL, scale=-0.001, offset=8.5)


@pytest.fixture(params=["api", "owner"])
def conn(request: pytest.FixtureRequest, registered: Registered) -> Iterator[Connection]:
    """Pages and commands do the same with other rights."""
    if request.param == "owner":
        with connect(registered.owner, name="test") as conn:
            yield conn
    else:
        with as_api(registered) as conn:
            yield conn


@pytest.fixture
def api(registered: Registered) -> Iterator[Connection]:
    with as_api(registered) as conn:
        yield conn


def directory(conn: Connection, registered: Registered) -> Directory:
    return load_directory(conn, registered.municipality_id)


def fed(directory: Directory, key: str) -> list[dict[str, tuple[str, str, float, float]]]:
    """Of each attachment of a device, the oldest first: field -> (station, property, scale, offset)."""
    return [
        {
            field: (
                directory.datastreams[each.datastream_id].station_code,
                directory.datastreams[each.datastream_id].observed_property,
                each.scale,
                each.offset,
            )
            for field, each in attachment.fields.items()
        }
        for attachment in directory.devices[key].attachments
    ]


def gauge_with(conn: Connection, town: int, key: str = "new-1", model: str = "radar_level") -> None:
    add_station(conn, town, GAUGE)
    add_device(conn, town, key=key, model=model, silence_after=HOUR)


def test_a_new_gauge_is_known_to_ingest(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    conn.commit()
    with connect(registered.worker, name="test") as worker:
        found = directory(worker, registered)
    device = found.devices["new-1"]
    assert (device.model, device.silence_after) == ("radar_level", HOUR)
    assert device.attachment_at(START - HOUR) is None
    assert fed(found, "new-1") == [{"distance": ("river-new", "water_level", -0.001, 8.5)}]
    (mounting,) = mountings(conn, town, key="new-1")
    assert (mounting.station_code, mounting.attached_from, mounting.attached_to) == ("river-new", START, None)
    assert (mounting.mapping, mounting.channels) == ((DISTANCE,), {})


def test_without_a_scale_the_unit_of_the_models_field_decides(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    attach(conn, town, "new-1", "river-new", since=START, mapping=[MappingEntry("distance", LEVEL, offset=0.5)])
    assert fed(directory(conn, registered), "new-1") == [{"distance": ("river-new", "water_level", 0.001, 0.5)}]


def test_a_station_brings_all_that_belongs_to_it(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    levels = (ThresholdLevel(2, "注意", "Caution", 1.0), ThresholdLevel(4, "避難", "Evacuate", 2.0))
    river = replace(
        GAUGE, river=RiverPlace("本川", 3.5, 12.0), thresholds=(ThresholdSet(START, "新設", levels, gauge_zero_tp=4.2),)
    )
    tank = replace(
        GAUGE, code="tank-new", kind=StationKind.SERVICE_TANK, tank=ServiceTank(50.0, 3.0, 1.0),
        datastreams=(Datastream(ObservedProperty.TANK_LEVEL, HOUR),),
    )  # fmt: skip
    block = replace(
        GAUGE, code="block-new", kind=StationKind.BLOCK_INLET, block=DistributionBlock(7.0, "tank-new"),
        datastreams=(Datastream(FLOW, HOUR), Datastream(PRESSURE, HOUR)),
    )  # fmt: skip
    for station in (river, tank, block):
        add_station(conn, town, station)
    found = conn.execute(
        """
        select (select array_agg(level order by level) from threshold_level join threshold_set using (threshold_set_id)
                join station s using (station_id) where s.code = 'river-new'),
               (select river from station_river join station s using (station_id) where s.code = 'river-new'),
               (select area_m2 from service_tank join station s using (station_id) where s.code = 'tank-new'),
               (select t.code from block_inlet b join station s using (station_id)
                join station t on t.station_id = b.tank_station_id where s.code = 'block-new')
        """
    ).fetchone()
    assert found == ([2, 4], "本川", 50.0, "tank-new")


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"code": "River 1"}, "code", "no code of a station"),
        ({"code": "river-okusawa"}, "code", "already"),
        ({"name": ""}, "name", "is empty"),
        ({"name_en": "a\0"}, "name_en", "is empty or no text"),
        ({"latitude": 91.0}, "latitude", "-90 to 90"),
        ({"longitude": float("nan")}, "longitude", "-180 to 180"),
        ({"datastreams": ()}, "datastreams", "say what is observed"),
        ({"datastreams": (*GAUGE.datastreams, *GAUGE.datastreams)}, "datastreams", "once"),
        ({"datastreams": (Datastream(LEVEL, timedelta(0)),)}, "interval", "longer than 0"),
        ({"datastreams": (Datastream(LEVEL, HOUR, (2.0, 1.0)),)}, "valid_range", "below the highest"),
        ({"datastreams": (Datastream(LEVEL, HOUR, (float("nan"), 1.0)),)}, "valid_range", "below the highest"),
        ({"datastreams": (Datastream(LEVEL, HOUR, max_rate=0.0),)}, "max_rate", "above 0"),
        ({"datastreams": (Datastream(LEVEL, HOUR, stuck_after=HOUR),)}, "stuck_after", "longer than the interval"),
    ],
)
def test_what_cannot_be_a_station_is_said(
    api: Connection, registered: Registered, wrong: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(RegistrationError, match=said) as refused:
        add_station(api, registered.municipality_id, replace(GAUGE, **wrong))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A8-40-41-FF-FF-31-00-01", "a84041ffff310001"),
        ("a8:40:41:ff:ff:31:00:01", "a84041ffff310001"),
        (" A84041FFFF310001\n", "a84041ffff310001"),
        ("295100000000001", "295100000000001"),
        ("plc-2.pump_1", "plc-2.pump_1"),
    ],
)
def test_a_key_as_it_stands_on_a_label(text: str, key: str) -> None:
    assert device_key(text) == key


@pytest.mark.parametrize("text", ["", "PLC 2", "-a", "a" * 65, "ａ", "a\0b"])
def test_no_key(text: str) -> None:
    with pytest.raises(RegistrationError, match="no key of a device"):
        device_key(text)


@pytest.mark.parametrize(
    ("do", "field", "said"),
    [
        (lambda c, t: add_device(c, t, key="new-1", model="radar_level", silence_after=HOUR), "key", "already"),
        (lambda c, t: add_device(c, t, key="new-2", model="radar", silence_after=HOUR), "model", "no device model"),
        (lambda c, t: add_device(c, t, key="new-2", model="values", silence_after=-HOUR), "silence_after", "silent"),
        (lambda c, t: change_device(c, t, "nobody", silence_after=HOUR), "key", "no device"),
        (lambda c, t: change_device(c, t, "new-1", model="a/b"), "model", "no device model"),
        (lambda c, t: attach(c, t, "nobody", "river-new", since=START), "key", "no device"),
        (lambda c, t: attach(c, t, "new-1", "nowhere", since=START), "station", "no station"),
        (lambda c, t: attach(c, t, "new-1", "river-new", since=START), "mapping", "would measure nothing"),
        (
            lambda c, t: attach(c, t, "new-1", "river-new", since=START, mapping=[MappingEntry("distance", FLOW)]),
            "mapping",
            "device new-1.*no series flow|device new-1.*cannot become",
        ),
        (
            lambda c, t: attach(c, t, "new-1", "river-new", since=START, mapping=[DISTANCE], channels={"2": "nowhere"}),
            "channels",
            "no station",
        ),
        (
            lambda c, t: attach(
                c, t, "new-1", "river-new", since=START, mapping=[DISTANCE], channels={"": "river-new"}
            ),
            "channels",
            "an input has a name",
        ),
        (lambda c, t: remap(c, t, "new-1", mapping=[DISTANCE]), "key", "mounted nowhere"),
        (lambda c, t: detach(c, t, "new-1", until=START), "key", "mounted nowhere"),
        (lambda c, t: mounted_since(c, t, "new-1", since=START), "key", "mounted nowhere"),
        (lambda c, t: swap(c, t, "new-1", "new-1", at=START), "new", "its own place"),
        (lambda c, t: swap(c, t, "new-1", "nobody", at=START), "key", "no device"),
        (lambda c, t: change_station(c, t, "nowhere", name="a"), "code", "no station"),
        (lambda c, t: put_datastream(c, t, "nowhere", Datastream(FLOW, HOUR)), "station", "no station"),
    ],
)
def test_what_cannot_be_is_said(
    api: Connection, registered: Registered, do: Callable[[Connection, int], object], field: str, said: str
) -> None:
    gauge_with(api, registered.municipality_id)
    with pytest.raises(RegistrationError, match=said) as refused:
        do(api, registered.municipality_id)
    if field != "code":
        assert refused.value.field == field


def test_a_swap_does_not_break_the_series(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    add_device(conn, town, key="new-2", model="radar_level", silence_after=HOUR)
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    swap(conn, town, "new-1", "new-2", at=START + DAY)
    found = directory(conn, registered)
    old, new = found.devices["new-1"], found.devices["new-2"]
    assert old.attachment_at(START + DAY - HOUR) is not None and old.attachment_at(START + DAY) is None
    assert new.attachment_at(START + DAY - HOUR) is None and new.attachment_at(START + DAY) is not None
    assert old.attachments[0].fields["distance"] == new.attachments[0].fields["distance"]
    # And back again, to another one's place: its own ends.
    swap(conn, town, "new-2", "new-1", at=START + 2 * DAY)
    assert len(directory(conn, registered).devices["new-1"].attachments) == 2
    with pytest.raises(RegistrationError, match="mounted nowhere"):
        swap(conn, town, "new-2", "new-1", at=START + 3 * DAY)


def test_the_successor_of_a_gauge_that_sleeps_sleeps_too(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    cycle = DutyCycle(Mode(DAY, 26 * HOUR), (Mode(HOUR / 6, HOUR, start=1.0, stop=0.8),))
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    put_duty(conn, town, directory(conn, registered).devices["new-1"].device_id, cycle)
    change_device(conn, town, "new-1", silence_after=26 * HOUR)
    new = add_device(conn, town, key="new-2", model="radar_level", silence_after=26 * HOUR)
    swap(conn, town, "new-1", "new-2", at=START + DAY)
    assert duties(conn)[new] == cycle


def test_a_swap_for_another_model_says_anew_what_is_measured(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    add_device(conn, town, key="plc", model="values", silence_after=HOUR)
    with pytest.raises(RegistrationError, match="plc would measure nothing"), conn.transaction():
        swap(conn, town, "new-1", "plc", at=START + DAY)
    swap(conn, town, "new-1", "plc", at=START + DAY, mapping=[MappingEntry("water_level", LEVEL)])
    assert fed(directory(conn, registered), "plc") == [{"water_level": ("river-new", "water_level", 1.0, 0.0)}]


def test_two_devices_never_feed_one_series_at_a_time(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    add_device(conn, town, key="new-2", model="radar_level", silence_after=HOUR)
    with pytest.raises(RegistrationError, match="already fed by device new-1"), conn.transaction():
        attach(conn, town, "new-2", "river-new", since=START + DAY, mapping=[DISTANCE])
    detach(conn, town, "new-1", until=START + DAY)
    attach(conn, town, "new-2", "river-new", since=START + DAY, mapping=[DISTANCE])
    # Not by setting back the clock either.
    with pytest.raises(RegistrationError, match="already fed by device new-1"), conn.transaction():
        mounted_since(conn, town, "new-2", since=START)


def test_a_device_is_in_one_place_at_a_time(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    add_station(conn, town, replace(GAUGE, code="river-other"))
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    with pytest.raises(RegistrationError, match="is at station river-new already"):
        attach(conn, town, "new-1", "river-new", since=START + DAY, mapping=[DISTANCE])
    with pytest.raises(RegistrationError, match="choose a later time"), conn.transaction():
        attach(conn, town, "new-1", "river-other", since=START, mapping=[DISTANCE])
    attach(conn, town, "new-1", "river-other", since=START + DAY, mapping=[DISTANCE])
    assert [each.station_code for each in mountings(conn, town, key="new-1")] == ["river-other", "river-new"]
    with pytest.raises(RegistrationError, match="at another station then"), conn.transaction():
        mounted_since(conn, town, "new-1", since=START + HOUR)
    mounted_since(conn, town, "new-1", since=START + 2 * DAY)
    with pytest.raises(RegistrationError, match="choose a later time"), conn.transaction():
        detach(conn, town, "new-1", until=START)
    detach(conn, town, "new-1", until=START + 3 * DAY)
    with pytest.raises(RegistrationError, match="was at a station after"), conn.transaction():
        attach(conn, town, "new-1", "river-new", since=START - DAY, mapping=[DISTANCE])


def test_an_input_of_a_logger_watches_another_station(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    for code in ("block-a", "block-b"):
        add_station(
            conn, town, replace(GAUGE, code=code, kind=StationKind.BLOCK_INLET, datastreams=(Datastream(FLOW, HOUR),))
        )
    fields = (MappingEntry("ch[0]", FLOW, "L/s"), MappingEntry("ch[1]", FLOW, "L/s", channel="2"))
    add_model(conn, town, ModelEntry("example/logger", "ロガー", "Logger", fields=fields), at=START, user_id=None)
    add_device(conn, town, key="logger", model="example/logger", silence_after=HOUR)
    attach(conn, town, "logger", "block-a", since=START)
    assert fed(directory(conn, registered), "logger") == [{"ch[0]": ("block-a", "flow", 3.6, 0.0)}]
    remap(conn, town, "logger", mapping=[], channels={"2": "block-b"})
    both = {"ch[0]": ("block-a", "flow", 3.6, 0.0), "ch[1]": ("block-b", "flow", 3.6, 0.0)}
    assert fed(directory(conn, registered), "logger") == [both]
    assert mountings(conn, town, key="logger")[0].channels == {"2": "block-b"}
    # The successor watches the same, and nobody else may.
    add_device(conn, town, key="next", model="example/logger", silence_after=HOUR)
    swap(conn, town, "logger", "next", at=START + DAY)
    assert fed(directory(conn, registered), "next") == [both]
    add_device(conn, town, key="third", model="values", silence_after=HOUR)
    with pytest.raises(RegistrationError, match="already fed by device"), conn.transaction():
        attach(conn, town, "third", "block-b", since=START + DAY, mapping=[MappingEntry("flow", FLOW)])


def test_what_a_model_says_holds_for_its_devices_at_once(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    entry = ModelEntry("example/level", "水位計", "Level", fields=(MappingEntry("level", LEVEL, "mm"),))
    add_model(conn, town, entry, at=START, user_id=None)
    gauge_with(conn, town, model="example/level")
    attach(conn, town, "new-1", "river-new", since=START)
    add_station(conn, town, replace(GAUGE, code="river-own"))
    add_device(conn, town, key="own", model="example/level", silence_after=HOUR)
    attach(conn, town, "own", "river-own", since=START, mapping=[MappingEntry("level", LEVEL, "mm", offset=1.5)])
    change_model(conn, town, replace(entry, fields=(MappingEntry("level", LEVEL, "cm", offset=0.2),)))
    found = directory(conn, registered)
    assert fed(found, "new-1") == [{"level": ("river-new", "water_level", 0.01, 0.2)}]
    assert fed(found, "own") == [{"level": ("river-own", "water_level", 0.001, 1.5)}], "its own goes before"


def test_a_new_series_is_fed_by_who_could_have_fed_it(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    inlet = replace(GAUGE, code="block-a", kind=StationKind.BLOCK_INLET, datastreams=(Datastream(FLOW, HOUR),))
    add_station(conn, town, inlet)
    fields = (MappingEntry("q", FLOW, "L/s"), MappingEntry("p", PRESSURE, "MPa"))
    add_model(conn, town, ModelEntry("example/logger", "ロガー", "Logger", fields=fields), at=START, user_id=None)
    add_device(conn, town, key="logger", model="example/logger", silence_after=HOUR)
    attach(conn, town, "logger", "block-a", since=START)
    put_datastream(conn, town, "block-a", Datastream(PRESSURE, HOUR, (0.0, 1000.0)))
    assert fed(directory(conn, registered), "logger")[0]["p"] == ("block-a", "pressure", 1000.0, 0.0)
    changed = put_datastream(conn, town, "block-a", Datastream(PRESSURE, 2 * HOUR, (0.0, 800.0)))
    info = directory(conn, registered).datastreams[changed]
    assert (info.step, info.range_high) == (2 * HOUR, 800.0)


def test_another_model_ends_what_was_said_of_the_fields_of_the_old_one(
    conn: Connection, registered: Registered
) -> None:
    town = registered.municipality_id
    gauge_with(conn, town)
    attach(conn, town, "new-1", "river-new", since=START, mapping=[DISTANCE])
    with pytest.raises(RegistrationError, match="would measure nothing"), conn.transaction():
        change_device(conn, town, "new-1", model="values")
    change_device(conn, town, "new-1", model="values", mapping=[MappingEntry("water_level", LEVEL)])
    assert fed(directory(conn, registered), "new-1") == [{"water_level": ("river-new", "water_level", 1.0, 0.0)}]
    change_device(conn, town, "new-1", silence_after=2 * HOUR)
    device = directory(conn, registered).devices["new-1"]
    assert (device.model, device.silence_after) == ("values", 2 * HOUR)
    assert fed(directory(conn, registered), "new-1") == [{"water_level": ("river-new", "water_level", 1.0, 0.0)}]


def test_a_device_of_a_model_that_comes_later_is_fed_when_it_comes(registered: Registered, town: Town) -> None:
    """A town file may name a model before anybody has brought it."""
    station = next(s for s in town.stations if s.kind is StationKind.RIVER_GAUGE)
    device = replace(station.devices[0], key="later-1", model="example/level", mapping=())
    new = replace(station, code="river-later", devices=(device,), thresholds=(), river=None)
    with connect(registered.owner, name="test") as conn:
        sync_town(conn, replace(town, stations=(*town.stations, new)))
        assert fed(directory(conn, registered), "later-1") == [{}]
        entry = ModelEntry("example/level", "水位計", "Level", fields=(MappingEntry("level", LEVEL, "mm"),))
        add_model(conn, registered.municipality_id, entry, at=START, user_id=None)
        assert fed(directory(conn, registered), "later-1") == [{"level": ("river-later", "water_level", 0.001, 0.0)}]
        with pytest.raises(RegistrationError, match="are registered as"):
            remove_model(conn, registered.municipality_id, "example/level")
        # The file may say otherwise, for its device.
        own = replace(new, devices=(replace(device, mapping=(*station.devices[0].mapping[:1],)),))
        sync_town(conn, replace(town, stations=(*town.stations, own)))
        ((only,),) = (found.values() for found in fed(directory(conn, registered), "later-1"))
        assert only[2:] == (station.devices[0].mapping[0].scale, station.devices[0].mapping[0].offset)


def test_the_file_leaves_alone_what_people_changed(registered: Registered, town: Town) -> None:
    municipality = registered.municipality_id
    station = next(s for s in town.stations if s.kind is StationKind.RIVER_GAUGE and s.river is not None)
    key = station.devices[0].key
    with as_api(registered) as conn:
        change_station(conn, municipality, station.code, name="橋の上", latitude=32.55)
        put_datastream(conn, municipality, station.code, replace(station.datastreams[0], interval=2 * HOUR))
        change_device(conn, municipality, key, silence_after=5 * HOUR)
        remap(conn, municipality, key, mapping=[replace(DISTANCE, offset=9.9)])
        add_station(conn, municipality, replace(GAUGE, river=RiverPlace("本川")))
        before = directory(conn, registered)
    with connect(registered.owner, name="test") as conn:
        changed = replace(station, name="ファイルの名前", river=None)
        sync_town(conn, replace(town, stations=tuple(changed if s is station else s for s in town.stations)))
        assert directory(conn, registered) == before
        found = conn.execute(
            "select name, latitude, name_en, managed_by from station where code = %s", (station.code,)
        ).fetchone()
        assert found == ("橋の上", 32.55, station.name_en, "people")
        rivers = conn.execute(
            "select code from station_river join station using (station_id) where managed_by = 'people' order by 1"
        ).fetchall()
        assert rivers == sorted([(station.code,), ("river-new",)])
    assert fed(before, key) == [{"distance": (station.code, "water_level", -0.001, 9.9)}]


def test_what_people_swapped_the_file_does_not_swap_back(registered: Registered, town: Town) -> None:
    municipality = registered.municipality_id
    station = next(s for s in town.stations if s.kind is StationKind.RIVER_GAUGE)
    with as_api(registered) as conn:
        add_device(conn, municipality, key="next-1", model=station.devices[0].model, silence_after=HOUR)
        swap(conn, municipality, station.devices[0].key, "next-1", at=START + DAY)
        before = directory(conn, registered)
    with connect(registered.owner, name="test") as conn:
        sync_town(conn, town)
        assert directory(conn, registered) == before


def test_what_the_file_adds_comes_also_where_people_changed_the_rest(registered: Registered, town: Town) -> None:
    station = next(s for s in town.stations if s.kind is StationKind.BLOCK_INLET)
    added = replace(station.devices[0], key="file-new", mapping=())
    with as_api(registered) as conn:
        change_station(conn, registered.municipality_id, station.code, name="手で直した名")
    changed = replace(station, devices=(*station.devices, added))
    with connect(registered.owner, name="test") as conn:
        sync_town(conn, replace(town, stations=tuple(changed if s is station else s for s in town.stations)))
        assert directory(conn, registered).devices["file-new"].attachments[0].station_code == station.code


def test_another_municipality_sees_and_changes_none_of_it(registered: Registered) -> None:
    other = neighbour(registered)
    with as_api(registered, other) as conn:
        add_station(conn, other, replace(GAUGE, code="river-okusawa", name="隣の奥沢"))
        add_device(conn, other, key="tonari", model="radar_level", silence_after=HOUR)
        attach(conn, other, "tonari", "river-okusawa", since=START, mapping=[DISTANCE])
        own = next(iter(registered.directory.devices))
        with pytest.raises(RegistrationError, match="no device"):
            change_device(conn, other, own, silence_after=HOUR)
        with pytest.raises(RegistrationError, match="no device"):
            change_device(conn, registered.municipality_id, own, silence_after=HOUR)
        with pytest.raises(RegistrationError, match="no station"):
            attach(conn, other, "tonari", "river-asamagawa", since=START + DAY)
    with as_api(registered) as conn:
        assert directory(conn, registered) == registered.directory
        assert mountings(conn, registered.municipality_id, key="tonari") == []


def test_every_change_is_told_to_who_listens(registered: Registered) -> None:
    town = registered.municipality_id
    heard: list[tuple[str, str]] = []
    with connect(registered.worker, name="test", autocommit=True) as listener:
        listener.add_notify_handler(lambda said: heard.append((said.channel, said.payload)))
        listener.execute("listen directory")

        def told() -> list[tuple[str, str]]:
            listener.execute("select 1")
            found, heard[:] = list(heard), []
            return found

        def does(work: Callable[[Connection], object]) -> None:
            with as_api(registered) as conn:
                work(conn)
                assert told() == [], "not before the commit"
                conn.commit()
                assert told() == [("directory", str(town))]

        entry = ModelEntry("example/level", "水位計", "Level", fields=(MappingEntry("level", LEVEL, "mm"),))
        does(lambda conn: add_station(conn, town, GAUGE))
        does(lambda conn: add_model(conn, town, entry, at=START, user_id=None))
        does(lambda conn: add_device(conn, town, key="new-1", model="example/level", silence_after=HOUR))
        does(lambda conn: attach(conn, town, "new-1", "river-new", since=START))
        does(lambda conn: change_model(conn, town, replace(entry, fields=())))
        does(lambda conn: change_device(conn, town, "new-1", silence_after=2 * HOUR))
        does(lambda conn: put_datastream(conn, town, "river-new", Datastream(LEVEL, 2 * HOUR)))
        does(lambda conn: detach(conn, town, "new-1", until=START + DAY))


def test_the_file_does_not_put_a_second_device_beside_one_of_people(registered: Registered, town: Town) -> None:
    station = next(s for s in town.stations if s.kind is StationKind.RIVER_GAUGE)
    device = station.devices[0]
    with as_api(registered) as conn:
        add_station(conn, registered.municipality_id, replace(GAUGE, code="river-both"))
        add_device(conn, registered.municipality_id, key="ours", model=device.model, silence_after=HOUR)
        attach(conn, registered.municipality_id, "ours", "river-both", since=START, mapping=[DISTANCE])
    both = replace(station, code="river-both", devices=(replace(device, key="file-new"),), thresholds=(), river=None)
    with (
        connect(registered.owner, name="test") as conn,
        pytest.raises(TownConflict, match="already fed by device ours"),
    ):
        sync_town(conn, replace(town, stations=(*town.stations, both)))
