"""Calibration: every value of the device in its time is corrected once, whichever worker stored it when; and what
comes while somebody works at a device is marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from devices.model import Quality, Reason
from ingest.again import judge_again
from ingest.settle import KnownDevices, Settling
from ingest.subscriber import Delivery
from quality.gate import CLOCK
from store import connect
from store.calibrations import calibrate, calibrations, withdraw_calibration
from store.connection import Connection
from store.correct import Correction, Operation, correct
from store.errors import RegistrationError
from store.planned_work import cancel_work, plan_work, planned_work
from store.registration import add_device, swap
from store.registry import load_directory
from store.settling import settle
from tests.conftest import START, Registered
from tests.ingest.town import GAUGE, level

STEP = timedelta(minutes=10)
AT_ONCE = timedelta(0)


class Ingest:
    """What a worker knows and does, one batch at a time; it learns of changes only when it is told to."""

    def __init__(self, registered: Registered) -> None:
        self.registered = registered
        self.series = registered.datastream("river-okusawa", "water_level")
        self.conn = connect(registered.worker, name="test")
        self.known = KnownDevices(registered.municipality_id)
        self.known.refresh(self.conn)
        self._counter = 0

    def close(self) -> None:
        self.known.close()
        self.conn.close()

    def take(self, values: Sequence[tuple[datetime, float]], device: str = GAUGE) -> None:
        batch = []
        for time, metres in values:
            self._counter += 1
            topic, raw = level(metres, counter=self._counter, time=time, device=device)
            batch.append(Delivery(topic, raw, time, packet_id=self._counter, generation=1))
        settling = Settling(self.conn, self.known, batch, CLOCK)
        while not settling.over:
            settling.step(self.conn)

    def settle(self) -> int | None:
        report = settle(
            self.conn, self.registered.municipality_id, now=START + timedelta(days=1), paces={self.series: STEP},
            after=AT_ONCE,
        )  # fmt: skip
        return None if report is None else report.revised

    def stored(self) -> list[tuple[float | None, str, str | None]]:
        rows = self.conn.execute(
            "select value, quality::text, reason from observation where datastream_id = %s order by phenomenon_time",
            (self.series,),
        ).fetchall()
        self.conn.commit()
        return [(None if value is None else round(value, 9), quality, reason) for value, quality, reason in rows]

    def values(self) -> list[float | None]:
        return [row[0] for row in self.stored()]


@pytest.fixture
def ingest(registered: Registered) -> Iterator[Ingest]:
    with closing(Ingest(registered)) as one:
        yield one


@pytest.fixture
def person(registered: Registered) -> int:
    with connect(registered.owner, name="test") as conn:
        row = conn.execute(
            """
            insert into app_user (municipality_id, login, display_name, role, password_hash)
            values (%s, 'someone', '保守係', 'digital', '') returning user_id
            """,
            (registered.municipality_id,),
        ).fetchone()
        assert row is not None
        return int(row[0])


def as_api(registered: Registered) -> Connection:
    conn = connect(registered.api, name="test")
    conn.execute("select set_config('mimamori.municipality_id', %s, false)", (str(registered.municipality_id),))
    return conn


def enter(
    registered: Registered,
    person: int,
    start: datetime,
    end: datetime | None,
    *,
    gain: float = 1.0,
    offset: float = 0.0,
    series: int | None = None,
) -> int:
    """A calibration as the page enters it, with the rights of the API."""
    device = registered.directory.devices[GAUGE]
    with as_api(registered) as conn:
        found = calibrate(
            conn,
            registered.municipality_id,
            device.device_id,
            registered.datastream("river-okusawa", "water_level") if series is None else series,
            start=start,
            end=end,
            gain=gain,
            offset=offset,
            reason="水位標と比べて",
            now=START + timedelta(hours=12),
            user_id=person,
        )
        conn.commit()
    return found


def at(n: int) -> datetime:
    return START + n * STEP


def test_stored_values_and_new_ones_are_corrected_once_whoever_stored_them(
    registered: Registered, ingest: Ingest, person: int
) -> None:
    ingest.take([(at(n), 1.0 + n / 100) for n in range(4)])
    enter(registered, person, at(1), None, offset=0.5)
    ingest.take([(at(4), 1.04)])  # has not heard of it yet
    with closing(Ingest(registered)) as other:  # has
        other.take([(at(5), 1.05)])
    assert ingest.values() == [1.0, 1.01, 1.02, 1.03, 1.04, 1.55]
    assert ingest.settle() == 4
    assert ingest.values() == [1.0, 1.51, 1.52, 1.53, 1.54, 1.55]
    assert ingest.settle() is None, "there is nothing more to do"
    ingest.known.refresh(ingest.conn)
    assert not ingest.known.directory.unsettled
    ingest.take([(at(6), 1.06)])
    assert ingest.values()[-1] == 1.56
    kept = ingest.conn.execute(
        "select value from observation_revision where datastream_id = %s order by phenomenon_time", (ingest.series,)
    ).fetchall()
    assert [round(row[0], 9) for row in kept] == [1.01, 1.02, 1.03, 1.04], "what stood there is kept"
    assert ingest.conn.execute("select count(*) from calibration_stamp").fetchone() == (0,)


def test_it_waits_until_no_worker_can_be_without_it(registered: Registered, ingest: Ingest, person: int) -> None:
    ingest.take([(at(0), 1.0)])
    enter(registered, person, at(0), None, offset=1.0)
    town = registered.municipality_id
    assert settle(ingest.conn, town, now=START, paces={ingest.series: STEP}) is None
    assert ingest.values() == [1.0]


def test_the_end_is_not_part_of_it_and_other_devices_are_left_alone(
    registered: Registered, ingest: Ingest, person: int
) -> None:
    ingest.take([(at(n), 1.0) for n in range(4)])
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "insert into observation values (%s, %s, 1.0, 'good', null, null)", (ingest.series, at(1) + STEP / 2)
        )
    enter(registered, person, at(1), at(3), gain=2.0, offset=0.25)
    assert ingest.settle() == 2
    # the value of a file, between the second and the third, is not the device's
    assert ingest.values() == [1.0, 2.25, 1.0, 2.25, 1.0]


def test_one_that_was_wrong_is_taken_back_by_its_opposite(registered: Registered, ingest: Ingest, person: int) -> None:
    ingest.take([(at(n), 1.0) for n in range(3)])
    first = enter(registered, person, at(0), None, gain=2.0, offset=0.5)
    ingest.settle()
    assert ingest.values() == [2.5] * 3
    ingest.known.refresh(ingest.conn)
    ingest.take([(at(3), 1.0)])
    with as_api(registered) as conn:
        withdraw_calibration(
            conn, registered.municipality_id, first, reason="水位標の読み違い", now=at(80), user_id=person
        )
        conn.commit()
        with pytest.raises(RegistrationError, match="already"):
            withdraw_calibration(conn, registered.municipality_id, first, reason="again", now=at(80), user_id=person)
    assert ingest.settle() == 4
    assert ingest.values() == [1.0] * 4
    ingest.known.refresh(ingest.conn)
    ingest.take([(at(4), 1.0)])
    assert ingest.values() == [1.0] * 5
    shown = calibrations(ingest.conn, registered.municipality_id)
    assert [(each.withdraws, each.withdrawn) for each in shown] == [(first, False), (None, True)]


def test_several_apply_one_upon_the_other_in_their_order(registered: Registered, ingest: Ingest, person: int) -> None:
    ingest.take([(at(0), 1.0)])
    enter(registered, person, at(0), None, offset=0.5)
    enter(registered, person, at(0), None, gain=2.0)
    ingest.known.refresh(ingest.conn)
    ingest.take([(at(1), 1.0)])
    assert ingest.values() == [1.0, 3.0]
    assert (ingest.settle(), ingest.settle(), ingest.settle()) == (1, 1, None)
    assert ingest.values() == [3.0, 3.0]


def test_what_a_person_put_right_stays_and_verdicts_follow_the_new_value(
    registered: Registered, ingest: Ingest, person: int
) -> None:
    info = registered.directory.datastreams[ingest.series]
    assert info.range_high is not None
    ingest.take([(at(0), 1.0), (at(1), 1.0), (at(2), info.range_high - 0.1), (at(3), info.range_high + 0.1)])
    by_person = Correction(Operation.SHIFT, (ingest.series,), at(1), at(1), "目視", person, amount=0.25)
    correct(ingest.conn, registered.municipality_id, by_person, stated=at(40), paces={ingest.series: STEP})
    assert [row[1] for row in ingest.stored()] == ["good", "good", "doubtful", "bad"]
    enter(registered, person, at(0), None, offset=-0.2)
    ingest.settle()
    judge_again(ingest.conn, load_directory(ingest.conn, registered.municipality_id))
    first, second, third, fourth = ingest.stored()
    assert first == (0.8, "good", None)
    assert second == (1.25, "good", Reason.CORRECTED)
    assert third[0] == round(info.range_high - 0.3, 9) and third[1] == "doubtful"
    # in range now, and still much faster than the river: no longer impossible, but hard to believe beside the first two
    assert fourth[0] == round(info.range_high - 0.1, 9) and fourth[1] != "bad"


def test_a_value_that_leaves_what_can_be_is_bad_by_it(registered: Registered, ingest: Ingest, person: int) -> None:
    info = registered.directory.datastreams[ingest.series]
    assert info.range_high is not None
    ingest.take([(at(0), 1.0)])
    enter(registered, person, at(0), None, offset=info.range_high)
    ingest.settle()
    assert ingest.stored() == [(1.0 + info.range_high, "bad", Reason.RANGE)]
    ingest.known.refresh(ingest.conn)
    ingest.take([(at(1), 1.0)])
    assert ingest.stored()[1] == (1.0 + info.range_high, "bad", Reason.RANGE), "new ones are judged the same"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"gain": 0.0}, "gain"),
        ({"gain": float("nan")}, "gain"),
        ({"offset": float("inf")}, "offset"),
        ({}, "offset"),
        ({"offset": 1.0, "start": START + timedelta(days=2)}, "start"),
        ({"offset": 1.0, "start": at(3), "end": at(3)}, "end"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(
    registered: Registered, person: int, asked: dict[str, object], field: str
) -> None:
    wanted: dict[str, object] = {"start": at(0), "end": None} | asked
    with pytest.raises(RegistrationError) as caught:
        enter(registered, person, **wanted)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_series_that_the_device_does_not_feed_or_that_counts_is_refused(registered: Registered, person: int) -> None:
    for station, observed in (("river-takehara", "water_level"), ("rain-okusawa", "precipitation")):
        with pytest.raises(RegistrationError) as caught:
            enter(registered, person, at(0), None, offset=1.0, series=registered.datastream(station, observed))
        assert caught.value.field == "datastream"


def test_another_town_sees_and_changes_nothing_of_it(registered: Registered, person: int) -> None:
    number = enter(registered, person, at(0), None, offset=1.0)
    with connect(registered.owner, name="test") as conn:
        row = conn.execute(
            "insert into municipality (code, name, name_en, timezone, bounds) "
            "values ('999998', '隣町', 'Next', 'Asia/Tokyo', '{0,0,1,1}') returning municipality_id"
        ).fetchone()
        assert row is not None
    with connect(registered.api, name="test") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, false)", (str(row[0]),))
        assert calibrations(conn, registered.municipality_id) == []
        for table in ("device_record", "device_photo", "maintenance_entry", "planned_work", "calibration"):
            assert conn.execute(f"select count(*) from {table}".encode()).fetchone() == (0,)
        with pytest.raises(RegistrationError):
            withdraw_calibration(conn, row[0], number, reason="x", now=at(1), user_id=person)


# --- work, and swapping -----------------------------------------------------------------------------------


def test_what_comes_while_somebody_works_is_marked_and_no_neighbour_of_what_follows(
    registered: Registered, ingest: Ingest
) -> None:
    device = registered.directory.devices[GAUGE]
    ingest.take([(at(0), 1.0)])
    with as_api(registered) as conn:
        number = plan_work(
            conn,
            registered.municipality_id,
            device.device_id,
            starts_at=at(1),
            ends_at=at(3),
            work="センサ清掃",
            now=at(0),
            user_id=None,
        )
        conn.commit()
    ingest.known.refresh(ingest.conn)
    # the sensor is lifted out of the water and put back
    ingest.take([(at(1), 4.5), (at(2), 4.6), (at(3), 1.0), (at(4), 1.01)])
    assert ingest.stored() == [
        (1.0, Quality.GOOD, None),
        (4.5, Quality.DOUBTFUL, Reason.MAINTENANCE),
        (4.6, Quality.DOUBTFUL, Reason.MAINTENANCE),
        (1.0, Quality.GOOD, None),
        (1.01, Quality.GOOD, None),
    ]
    town = registered.municipality_id
    assert [work.work for work in planned_work(ingest.conn, town, at(2), at(2))] == ["センサ清掃"]
    assert planned_work(ingest.conn, town, at(3), at(3)) == [], "its end is not part of it"
    with as_api(registered) as conn:
        assert cancel_work(conn, town, number, now=at(2), user_id=None)
        assert not cancel_work(conn, town, number, now=at(2), user_id=None), "once is enough"
        conn.commit()
    (work,) = planned_work(ingest.conn, town, at(1), at(1))
    assert work.ends_at == at(2), "one that had begun lasted until it was called off"


def test_a_swapped_sensor_goes_on_with_the_same_series(registered: Registered, ingest: Ingest, person: int) -> None:
    town = registered.municipality_id
    old = registered.directory.devices[GAUGE]
    enter(registered, person, at(0), None, offset=0.5)
    ingest.known.refresh(ingest.conn)
    ingest.take([(at(0), 1.0), (at(1), 1.01)])
    with as_api(registered) as conn:
        add_device(conn, town, key="a84041ffff319999", model=old.model, silence_after=old.silence_after)
        swap(conn, town, GAUGE, "a84041ffff319999", at=at(2))
        conn.commit()
    ingest.known.refresh(ingest.conn)
    ingest.take([(at(2), 1.02), (at(3), 1.03)], device="a84041ffff319999")
    # What the old sensor was calibrated by is not the new one's.
    assert ingest.values() == [1.5, 1.51, 1.02, 1.03]
    # And a late message of the old one still belongs to its own time.
    ingest.take([(at(0) + STEP / 2, 1.005)])
    assert ingest.values() == [1.5, 1.505, 1.51, 1.02, 1.03]
