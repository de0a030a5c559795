"""The weekly letter: once a week, on Monday morning, with what somebody has to do."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts import digest_words
from alerts.device_health import device_health
from alerts.digest import Weekly, stored, week_facts
from devices.clock import FixedClock
from store import connect
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

TOKYO = ZoneInfo("Asia/Tokyo")
WEEK = date(2026, 6, 1)  # a Monday; START is its 9 o'clock in Japan
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def town(registered: Registered) -> Registered:
    """One device was heard; its battery goes down, its service ends, somebody will work on it, and it was silent."""
    device = min(registered.directory.devices.values(), key=lambda each: each.device_id)
    with connect(registered.owner, name="test") as conn:
        write_batch(conn, registered.municipality_id, [accepted(device, START)])
        for day in range(40):
            at = START + timedelta(days=day - 36)
            conn.execute(
                "insert into battery_day values (%s, %s, 'V', %s, %s, %s)",
                (device.device_id, at.date(), registered.municipality_id, 3.60 - 0.004 * day, at),
            )
        conn.execute(
            "insert into device_status values (%s, %s, 3.45, false, %s)",
            (device.device_id, registered.municipality_id, START),
        )
        conn.execute(
            "insert into device_record (device_id, municipality_id, service_ends, changed_at) values (%s, %s, %s, %s)",
            (device.device_id, registered.municipality_id, date(2026, 9, 30), START),
        )
        conn.execute(
            "insert into planned_work (municipality_id, device_id, starts_at, ends_at, work, entered_at) "
            "values (%s, %s, %s, %s, '電池交換', %s)",
            (registered.municipality_id, device.device_id, START + 9 * DAY, START + 9 * DAY + HOUR, START),
        )
        conn.execute(
            """
            insert into alert (municipality_id, station_id, rule, datastream_id, raised_at, phenomenon_time, cleared_at)
            select municipality_id, station_id, 'silence', datastream_id, %s, %s, %s from datastream
            order by datastream_id limit 1
            """,
            (START + HOUR, START + 5 * HOUR, START + 5 * HOUR),
        )
        conn.execute(
            "insert into alert_history (municipality_id, alert_id, at, event, phenomenon_time) "
            "select municipality_id, alert_id, raised_at, 'raised', %s from alert",
            (START,),
        )
    return registered


def test_the_letter_of_a_week_is_written_once_on_monday_morning(town: Registered) -> None:
    clock = FixedClock(datetime(2026, 6, 8, 6, 59, tzinfo=TOKYO))
    with connect(town.worker, name="test") as conn:
        assert Weekly(clock).look(conn) == 0
        clock.advance(timedelta(minutes=1))
        assert Weekly(clock).look(conn) == 1
        assert Weekly(clock).look(conn) == 0
        conn.commit()
        found = conn.execute("select channel, recipient, subject, body from outbox").fetchall()
        facts = stored(conn, town.municipality_id, WEEK)
    ((channel, recipient, subject, body),) = found
    assert (channel, recipient) == ("log", "digital")
    mark = "【模擬】" if clock.simulated else ""
    assert subject == f"{mark}美守町 機器の週報 6/1〜6/7：通信断 1・電池 1・その他 1"
    assert facts is not None and facts["silences"][0]["until"] is not None
    for said in ("6/1 09:00 から 6/1 14:00 まで", "電池交換", "2026年9月30日まで", "日"):
        assert said in body, said


def test_a_town_that_was_not_there_has_nothing_to_tell(town: Registered) -> None:
    clock = FixedClock(datetime(2026, 6, 1, 8, tzinfo=TOKYO))
    with connect(town.worker, name="test") as conn:
        assert Weekly(clock).look(conn) == 0


def test_the_running_week_is_told_as_it_stands(town: Registered) -> None:
    with connect(town.worker, name="test") as conn:
        facts = week_facts(conn, town.municipality_id, WEEK, START + 3 * HOUR)
    assert facts["silences"][0]["until"] is None, "it was still open then"
    lines = [line for section in digest_words.sections(facts, TOKYO, "ja") for line in section.lines]
    assert any("から続いています" in line for line in lines)


def test_a_silence_that_was_taken_back_as_false_is_none(town: Registered) -> None:
    with connect(town.owner, name="test") as conn:
        conn.execute(
            """
            with officer as (
                insert into app_user (municipality_id, login, display_name, role, password_hash)
                select municipality_id, 'x', 'x', 'digital', '-' from municipality returning user_id
            ), told as (
                insert into alert_history (municipality_id, alert_id, at, event)
                select municipality_id, alert_id, raised_at, 'retracted' from alert returning *
            )
            insert into alert_retraction (alert_id, municipality_id, alert_history_id, at, user_id, reason, was_open,
                                          reached, withdrawn)
            select alert_id, municipality_id, alert_history_id, at, officer.user_id, '機器は届いていた', true, 0, 0
            from told, officer
            """
        )
    with connect(town.worker, name="test") as conn:
        assert week_facts(conn, town.municipality_id, WEEK, START + 3 * HOUR)["silences"] == []


def test_a_battery_that_goes_down_has_its_days_left_and_a_steady_one_has_none(town: Registered) -> None:
    with connect(town.worker, name="test") as conn:
        health = device_health(conn, START + 4 * DAY, municipality_id=town.municipality_id)
    known = [each for each in health.values() if each.battery is not None]
    (battery,) = [each.battery for each in known if each.battery is not None]
    assert battery.limit is not None and battery.outlook.days_left is not None
    assert battery.outlook.days_left == pytest.approx((3.444 - battery.limit) / 0.004, abs=1.0)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_kind_has_its_words(language: str) -> None:
    place = {"device": "a1", "ja": "試橋", "en": "Trial Bridge"}
    since = START.isoformat()
    facts = {
        "week": "2026-06-01",
        "devices": 9,
        "outages": [{"cause": "gateway:g1", "since": since, "until": None, "stations": 4}],
        "silences": [{"ja": "試橋", "en": "Trial Bridge", "since": since, "until": since}],
        "batteries": [
            {**place, "low": True, "days": None, "value": 3.1, "unit": "V"},
            {**place, "low": False, "days": 40, "value": 22.0, "unit": "%"},
        ],
        "gaps": [{**place, "lost": 40, "of": 400}],
        "sending": [{**place, "how": "too_often"}, {**place, "how": "the_same"}],
        "clocks": [{**place, "offset": -200, "per_day": 12.5}, {**place, "offset": 130, "per_day": None}],
        "radio": [{**place, "margin": 2.5, "change": -4.0}],
        "ends": [{**place, "on": "2026-09-30"}],
        "works": [{**place, "starts": since, "ends": since, "work": "電池交換"}],
        "trials": [
            {"ja": "試橋", "en": "Trial Bridge", "since": since, "days": 20, "long": long, "why": "水位計の交換"}
            for long in (False, True)
        ],
    }
    sections = digest_words.sections(facts, TOKYO, language)
    assert [section.kind for section in sections] == list(digest_words.KINDS)
    assert all(line for section in sections for line in section.lines)
    body = digest_words.body(facts, "美守町", TOKYO, simulated=False, language=language)
    assert all(section.title in body for section in sections)
    assert "dBm" not in body


def test_a_quiet_week_says_so() -> None:
    facts = {"week": "2026-06-01", "devices": 3}
    assert "対応することはありません" in digest_words.subject(facts, "美守町", simulated=False)
    assert "ありませんでした" in digest_words.body(facts, "美守町", TOKYO, simulated=False)
