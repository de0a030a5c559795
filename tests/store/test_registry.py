"""The ledgers say what the town's file says, and history keeps its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from devices.model import Town
from store import Connection, connect
from store.errors import RegistrationError, TownConflict
from store.levels import put_set, station_sets
from store.registry import load_directory, municipality_id_of, sync_town
from tests.conftest import START, Registered


def test_every_station_device_and_series_of_the_file_is_registered(registered: Registered, town: Town) -> None:
    directory = registered.directory
    devices = {device.key: station for station in town.stations for device in station.devices}
    assert set(directory.devices) == set(devices)
    for key, station in devices.items():
        (attachment,) = directory.devices[key].attachments
        assert attachment.station_code == station.code
        mapped = {directory.datastreams[f.datastream_id].observed_property for f in attachment.fields.values()}
        assert mapped <= {d.observed_property.value for d in station.datastreams}
    assert len(directory.datastreams) == sum(len(s.datastreams) for s in town.stations)


def test_the_same_file_twice_changes_nothing(registered: Registered, town: Town) -> None:
    with connect(registered.owner, name="test") as conn:
        assert sync_town(conn, town) == registered.municipality_id
        assert load_directory(conn, registered.municipality_id) == registered.directory
        assert municipality_id_of(conn, town.municipality.code) == registered.municipality_id
        assert municipality_id_of(conn, "000000") is None


def moved(town: Town, since_days: int) -> tuple[Town, str]:
    """The town with the first station's device carried over to the second one of the same kind."""
    giver = town.stations[0]
    taker = next(s for s in town.stations[1:] if s.kind is giver.kind)
    device = giver.devices[0]
    later = replace(device, attached_from=device.attached_from + timedelta(days=since_days))
    changed = {
        giver.code: replace(giver, devices=giver.devices[1:]),
        taker.code: replace(taker, devices=(*taker.devices, later)),
    }
    return replace(town, stations=tuple(changed.get(s.code, s) for s in town.stations)), device.key


def test_a_device_that_moved_leaves_its_earlier_readings_where_they_were(registered: Registered, town: Town) -> None:
    changed, key = moved(town, since_days=10)
    with connect(registered.owner, name="test") as conn:
        sync_town(conn, changed)
        device = load_directory(conn, registered.municipality_id).devices[key]
    earlier, later = device.attachments
    assert earlier.attached_to == later.attached_from
    assert device.attachment_at(earlier.attached_from) == earlier
    assert device.attachment_at(later.attached_from) == later
    assert device.attachment_at(earlier.attached_from - timedelta(seconds=1)) is None


def test_a_move_without_its_date_is_refused(registered: Registered, town: Town) -> None:
    changed, key = moved(town, since_days=0)
    with connect(registered.owner, name="test") as conn, pytest.raises(TownConflict, match=f"{key}.*attached_from"):
        sync_town(conn, changed)


def test_levels_in_force_are_not_rewritten(registered: Registered, town: Town) -> None:
    station = next(s for s in town.stations if s.thresholds)
    old = station.thresholds[0]
    raised = replace(old, levels=tuple(replace(level, value=level.value + 0.5) for level in old.levels))

    def with_sets(*sets: object) -> Town:
        stations = tuple(replace(s, thresholds=sets) if s.code == station.code else s for s in town.stations)  # type: ignore[arg-type]
        return replace(town, stations=stations)

    with connect(registered.owner, name="test") as conn:
        with pytest.raises(TownConflict, match=f"{station.code}.*valid_from"):
            sync_town(conn, with_sets(raised))
        conn.rollback()
        sync_town(conn, with_sets(old, replace(raised, valid_from=START, reason="after the flood")))
        found = conn.execute(
            "select count(*) from threshold_set join station using (station_id) where code = %s", (station.code,)
        ).fetchone()
    assert found == (len(station.thresholds) + 1,)


def test_what_people_have_corrected_of_the_file_stays_corrected(registered: Registered, town: Town) -> None:
    station = next(s for s in town.stations if s.thresholds)
    old = station.thresholds[0]
    raised = replace(old, reason="写し間違い", levels=tuple(replace(x, value=x.value + 0.5) for x in old.levels))
    with connect(registered.owner, name="test") as conn:
        known = conn.execute("select station_id from station where code = %s", (station.code,)).fetchone()
        assert known is not None
        (wrong,) = [x for x in station_sets(conn, known[0]) if x.valid_from == old.valid_from]
        new = put_set(
            conn, registered.municipality_id, known[0], raised, corrects=wrong.set_id, now=START, user_id=None
        )
        with pytest.raises(RegistrationError, match="correct that one"):
            put_set(conn, registered.municipality_id, known[0], raised, corrects=wrong.set_id, now=START, user_id=None)
        sync_town(conn, town)
        after = station_sets(conn, known[0])
    assert [x.set_id for x in after if x.valid_from == old.valid_from] == [new, wrong.set_id], "both, the new one first"


def test_whose_levels_they_are_is_taken_from_the_file_where_nobody_has_said_it(
    registered: Registered, town: Town
) -> None:
    def said(conn: Connection) -> list[Any]:
        return conn.execute(
            "select source, authority, document, dated, user_id from threshold_source order by threshold_source_id"
        ).fetchall()

    with connect(registered.owner, name="test") as conn:
        before = said(conn)
        assert ("administrator", "美守県", None, None, None) in before
        assert ("adopted", None, "美防第7号", date(2025, 3, 20), None) in before
        sync_town(conn, town)
        assert said(conn) == before, "once is enough"
        conn.execute("delete from threshold_source where document is not null")
        sync_town(conn, town)
        assert sorted(said(conn), key=str) == sorted(before, key=str)
