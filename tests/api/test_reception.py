"""機器ごとの受信: two counts of each device beside each other, for people and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from api.reception import DAY, MONTH, Count, DeviceReception, missing_frames, reception, window
from api.roles import Role
from devices.model import Outcome
from store import connect
from store.batch import UplinkRow
from store.connection import Connection
from store.counts import Tallies, slot, write_tallies
from store.writer import write_batch
from tests.api.serving import TownHall
from tests.conftest import START, Registered, accepted

HOUR = timedelta(hours=1)


def deliver(registered: Registered, *rows: UplinkRow) -> None:
    with connect(registered.worker, name="test") as conn:
        delivered = Tallies()
        delivered.deliver(slot(row.device_id, row.received_time) for row in rows)
        write_batch(conn, registered.municipality_id, rows, delivered=delivered)


def heard(registered: Registered, position: int, counter: int, at: datetime) -> UplinkRow:
    """A message of a device that numbers its messages."""
    device = list(registered.directory.devices.values())[position]
    payload = f"{device.key} {counter}".encode().ljust(32)[:32]
    row = accepted(device, at, sent=at)
    return replace(row, session="a", counter=counter, payload_hash=payload)


def by_key(conn: Connection, now: datetime) -> dict[str | None, DeviceReception]:
    return {each.key: each for each in reception(conn, now)}


@pytest.fixture
def api(registered: Registered) -> Iterator[Connection]:
    with connect(registered.api, name="test") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, false)", (str(registered.municipality_id),))
        conn.commit()
        yield conn


def test_a_day_and_a_month_are_whole_hours_with_the_running_one(api: Connection, registered: Registered) -> None:
    now = START + timedelta(minutes=30)
    times = [window(now, MONTH) - HOUR, window(now, MONTH), window(now, DAY) - HOUR, window(now, DAY), now]
    deliver(registered, *(heard(registered, 0, counter, at) for counter, at in enumerate(times)))
    key = next(iter(registered.directory.devices))
    found = by_key(api, now)[key]
    assert (found.day.delivered, found.month.delivered) == (2, 4)
    assert found.day.missing == found.month.missing == 0


def test_each_device_has_its_own_counts_and_the_unknown_come_last(api: Connection, registered: Registered) -> None:
    good = [heard(registered, 0, counter, START) for counter in range(4)]
    lossy = [heard(registered, 1, counter, START) for counter in (1, 2, 7, 8)]
    unknown = replace(
        good[0], device_id=None, device_key="f00d", outcome=Outcome.QUARANTINED, reason="unknown_device", detail="?"
    )
    deliver(registered, *good, *lossy, lossy[0], unknown)
    first, second = list(registered.directory.devices)[:2]
    found = reception(api, START)
    assert found[0].key == second, "what loses most is on top"
    assert found[-1].key is None
    assert found[-1].day == Count(delivered=1, quarantined=1, missing=None)
    lost = by_key(api, START)[second].day
    assert (lost.delivered, lost.duplicate, lost.missing, lost.expected) == (5, 1, 4, 8)
    assert lost.missing_share == pytest.approx(0.5)
    assert by_key(api, START)[first].day.missing == 0
    assert [(gap.key, gap.start, gap.end, gap.frames) for gap in missing_frames(api, START)] == [(second, 3, 6, 4)]


def test_who_never_numbered_anything_has_no_missing_number_instead_of_none(
    api: Connection, registered: Registered
) -> None:
    device = next(iter(registered.directory.devices.values()))
    deliver(registered, replace(accepted(device, START), counter=None))
    assert by_key(api, START)[device.key].day.missing is None
    assert by_key(api, START)[device.key].day.missing_share is None


def test_the_page_the_file_and_the_api_say_the_same(town_hall: TownHall) -> None:
    registered = town_hall.database
    deliver(registered, *(heard(registered, 1, counter, START) for counter in (1, 2, 7, 8)))
    key = list(registered.directory.devices)[1]
    with connect(registered.owner, name="test") as conn:
        tallies = Tallies()
        tallies[slot(None, START)].delivered = 3
        write_tallies(conn, registered.municipality_id, tallies)
    with town_hall.visitor(Role.DIGITAL) as client:
        page = client.get("/digital/reception?lang=ja")
        english = client.get("/digital/reception?lang=en").text
        file = client.get("/digital/reception.csv?lang=en")
        said = client.get("/api/v1/reception").json()
        gaps = client.get("/api/v1/reception/missing").json()
    assert page.status_code == 200
    assert "50.0%（8通のうち）" in page.text
    assert "3–6" in page.text
    assert "3件合いません" in page.text
    assert "50.0 % of 8" in english
    assert "3 do not add up" in english
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    line = next(row for row in rows if row["device"] == key and row["window"] == "Last 24 hours")
    assert (line["received"], line["missing"], line["sent by their numbers"]) == ("4", "4", "8")
    unknown = next(row for row in rows if row["device"] == "Unknown senders")
    assert (unknown["missing"], unknown["not adding up"]) == ("", "3")
    device = next(each for each in said if each["device"] == key)
    assert (device["day"]["delivered"], device["day"]["missing"], device["day"]["expected"]) == (4, 4, 8)
    assert [(gap["device"], gap["first"], gap["last"]) for gap in gaps] == [(key, 3, 6)]


def test_an_alert_about_the_operation_is_for_the_digital_section(town_hall: TownHall) -> None:
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time)
            select municipality_id, 'operation', 'worker_lost:3', %(at)s, %(at)s from municipality
            """,
            {"at": START},
        )
        conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, phenomenon_time)
            select municipality_id, alert_id, raised_at, 'raised', raised_at from alert
            """
        )
    with town_hall.visitor(Role.DIGITAL) as client:
        for address in ("/alerts?lang=ja", "/digital?lang=ja"):
            text = client.get(address).text
            assert "取り込み 3 が動いていません" in text, address
            assert "mimamori ingest drain 3" in text, address
        (alert,) = client.get("/api/v1/alerts").json()["alerts"]
        assert (alert["rule"], alert["cause"], alert["station"], alert["may_act"]) == (
            "operation",
            "worker_lost:3",
            None,
            True,
        )
    with town_hall.visitor(Role.DISASTER) as client:
        for address in ("/alerts?lang=ja", "/digital?lang=ja", "/start?lang=ja", "/disaster?lang=ja"):
            assert "取り込み 3" not in client.get(address).text, address
        assert client.post(f"/api/v1/alerts/{alert['alert_id']}/acknowledge").status_code == 403
