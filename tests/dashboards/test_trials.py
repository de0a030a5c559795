"""The pages of trials; and what a trial leaves behind outside them: nothing, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from analytics.service import NAME as ANALYTICS
from analytics.service import handle
from api.roles import Role
from devices.clock import ClockSetting, FixedClock, real_now
from store import connect
from store.feed import Consumer
from store.town_clock import write_clock
from tests.alerts.people import channels, group, person
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered
from tests.dashboards.test_drills import everything, main
from tests.drilling import BRIDGE, STEP
from tests.trialling import Trialled

HERE = "/digital/trials"
PAGE = {"Accept": "text/html"}
PLAN = {"station": BRIDGE, "which": "all", "why": "水位計の交換"}
# What shows a trial to those who are signed in, marked; the messages of devices, which come in a trial as always; and
# who has looked at a household's meter, as this test does each time.
SHOWS_TRIALS = {
    "/alerts",
    "/disaster",
    "/disaster/catchments",
    "/disaster/notices",
    "/digital/weekly",
    f"/disaster/stations/{BRIDGE}",
    "/api/v1/reception",
    "/water/meters/views",
}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """At START, and there it stays: what differs then differs because of a trial."""
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=START, speed=1e-9))
    with serving(registered) as running:
        yield running


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        yield client


@pytest.fixture
def trial(hall: TownHall, clock: FixedClock) -> Trialled:
    """Its clock is a little ahead of the pages': what is measured now is measured in the trial."""
    clock.advance(timedelta(minutes=1))
    return Trialled(hall.database, clock)


def begun(staff: httpx.Client, trial: Trialled, **changes: str) -> str:
    """The address of a trial that began an hour ago, by the pages' clock that stands still."""
    answered = staff.post(HERE, data={**PLAN, **changes})
    assert answered.status_code == 303, main(answered)
    trial.rows("update station_trial set starts_at = starts_at - interval '1 hour' returning 1")
    return answered.headers["location"].partition("?")[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"station": ""}, "必要な欄が空です"),
        ({"station": "nowhere"}, "選んだものが見つかりません"),
        ({"why": " "}, "必要な欄が空です"),
        ({"which": "some"}, "必要な欄が空です"),
        ({"starts_at": "2026-05-31T09:00"}, "過ぎた時刻からは試験にできません"),
        ({"starts_at": "あした"}, "時刻として読み取れません"),
        ({"ends_at": "2026-05-31T09:00"}, "終わりが始まりより前"),
        ({"ends_at": "2027-12-01T09:00"}, "1年より"),
        ({"person-99": "1"}, "選んだものが見つかりません"),
    ],
)
def test_a_trial_that_cannot_be_is_refused_says_why_and_keeps_what_was_typed(
    staff: httpx.Client, changes: dict[str, str], why: str
) -> None:
    refused = staff.post(HERE, data={**PLAN, **changes})
    assert refused.status_code == 400 and why in main(refused), main(refused)
    assert 'value="水位計の交換"' in refused.text or "why" in changes
    assert "試験はまだありません" in main(refused)


def test_over_an_open_alert_it_takes_a_deliberate_yes(hall: TownHall, staff: httpx.Client) -> None:
    hall.observe(f"{BRIDGE}/water_level", (START, 3.3))
    alert_id = hall.raise_alert(f"{BRIDGE}/water_level")
    warned = staff.get(HERE, params={"station": BRIDGE}, headers=PAGE)
    assert "この観測所で発生中のアラート（1件）" in main(warned) and "承知のうえで試験にする" in main(warned)
    assert "発生中のアラート（" not in main(staff.get(HERE, headers=PAGE)), "no station is chosen yet"
    assert "発生中のアラート（" not in main(staff.get(HERE, params={"station": "river-okusawa"}, headers=PAGE))
    for knows in ({}, {"knows": ""}, {"knows": "999"}):
        refused = staff.post(HERE, data={**PLAN, **knows})
        assert refused.status_code == 400 and "印を付けてください" in main(refused), knows
        assert f'name="knows" value="{alert_id}"' in refused.text and 'value="水位計の交換"' in refused.text
    some = {"which": "some", "property-precipitation": "1", "station": "rain-okusawa"}
    assert staff.post(HERE, data={**PLAN, **some}).status_code == 303, "no alert of it is open"
    assert staff.post(HERE, data={**PLAN, "knows": str(alert_id)}).status_code == 303


def test_its_values_stand_beside_what_is_real_marked_and_in_a_file_of_their_own(
    hall: TownHall, staff: httpx.Client, trial: Trialled
) -> None:
    channels(hall.database, "mail")
    digital = group(hall.database, "デジタル班", [person(hall.database, "佐藤", ("mail", "sato@example.jp"))])
    hall.observe(f"{BRIDGE}/water_level", (START - STEP, 0.9))
    address = begun(staff, trial, **{f"group-{digital}": "1"})
    assert "佐藤 mail sat…@example.jp" in main(staff.get(f"{address}?done=begun"))
    trial.send((trial.clock.now(), 3.7))
    trial.judge()
    for path in ("/disaster", f"/disaster/stations/{BRIDGE}", "/digital", address):
        page = main(staff.get(path, headers=PAGE))
        assert "【試験】" in page and "3.70 m" in page, path
        assert "0.90 m" in page or path not in ("/disaster", f"/disaster/stations/{BRIDGE}"), path
    assert "試験中です。値は【試験】として" in main(staff.get("/disaster", headers=PAGE))
    assert "【試験】 警戒レベル４相当" in main(staff.get("/alerts", headers=PAGE))
    for path in ("/water", "/tourism"):
        assert "【試験】" not in main(staff.get(path, headers=PAGE)), path
    file = staff.get(f"{address}/values.csv").content.decode("utf-8-sig").splitlines()
    assert len(file) == 2 and file[1].endswith("【試験】") and ",3.7," in file[1]
    assert staff.get("/api/v1/latest?trial=true").json()[0]["mode"] == "test"
    with hall.visitor(Role.WATER) as other:
        assert "3.70" in main(other.get(address)) and "試験を終わらせる" not in main(other.get(address))
        assert other.post(address, data={"do": "end"}).status_code == 403
        assert other.post(HERE, data=PLAN).status_code == 403
    assert staff.post(address, data={"do": "end"}).headers["location"].endswith("done=ended")
    assert staff.post(address, data={"do": "end"}).status_code == 409
    assert "数えない（試験のまま）" in main(staff.get(address))
    assert "【試験】" not in main(staff.get("/disaster", headers=PAGE)).partition("アラート")[0]


def test_the_one_who_ends_it_may_say_that_it_counts(hall: TownHall, staff: httpx.Client, trial: Trialled) -> None:
    address = begun(staff, trial)
    trial.send((trial.clock.now(), 1.2))
    trial.rows("update station_trial set ends_at = starts_at + interval '1 second', starts_at = starts_at returning 1")
    with connect(hall.database.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=START + STEP, speed=1e-9))
    with serving(hall.database) as later, later.visitor(Role.DIGITAL) as digital:
        assert "あとから数える" in main(digital.get(address))
        assert digital.post(address, data={"do": "count"}).headers["location"].endswith("done=counts")
        assert digital.post(address, data={"do": "count"}).status_code == 409
        assert "取り込み中" in main(digital.get(address))
        assert not trial.take_up()
        assert "取り込み中" not in main(digital.get(address))
    assert [value for _, value in trial.stored(real=True)] == [1.2]


def test_one_that_is_open_for_long_is_reminded_of(hall: TownHall, staff: httpx.Client, trial: Trialled) -> None:
    begun(staff, trial)
    assert "続いています" not in main(staff.get("/digital", headers=PAGE))
    trial.rows("update station_trial set starts_at = starts_at - interval '15 days' returning 1")
    assert "15日続いています" in main(staff.get("/digital", headers=PAGE))
    assert "15日続いています" in main(staff.get(HERE))


def test_nothing_public_no_export_and_no_report_is_different_by_a_byte(
    hall: TownHall, staff: httpx.Client, trial: Trialled
) -> None:
    hall.observe(f"{BRIDGE}/water_level", *((START - n * STEP, 1.0 + 0.1 * n) for n in range(6)))
    trial.send((START - 6 * STEP, 1.6))  # so that its device has been heard before, too
    trial.rows(
        "insert into feed_cursor (consumer, feed_id) values (%s, 0) on conflict do nothing returning 1", ANALYTICS
    )

    def learn() -> None:
        with connect(hall.database.worker, name="test") as conn:
            Consumer(hall.database.worker, ANALYTICS).drain(conn, handle)

    learn()
    with hall.visitor(None) as outside, hall.visitor(Role.WATER) as water:
        clients = {"outside": outside, "water": water, "disaster": staff}
        before = {name: everything(client) for name, client in clients.items()}
        assert len(before["disaster"]) > 60
        address = begun(staff, trial)
        for n, value in enumerate((1.2, 2.8, 3.7, 3.8)):
            trial.send((trial.clock.now() + timedelta(seconds=n), value))
            trial.judge()
            trial.tick()
        learn()
        assert [mode for mode, *_ in trial.alerts()] == ["test"]
        assert len(trial.stored(real=False)) == 4
        # What a trial leaves behind shows, to those who may see most, when it is over: this takes seconds each time.
        while_it_lasts = {name: everything(clients[name]) for name in ("outside", "water")}
        assert while_it_lasts["outside"] == before["outside"], "the public sees nothing of it while it lasts"
        staff.post(address, data={"do": "end"})
        trial.tick()
        after = {name: everything(clients[name]) for name in ("outside", "disaster")}
    for then in (while_it_lasts, after):
        changed = {
            path
            for name, pages in then.items()
            for path, content in pages.items()
            if content != before[name][path]
            and not path.split(" ")[1].startswith(HERE)
            and path.split(" ")[1] not in SHOWS_TRIALS
        }
        assert changed == set()
    assert after["outside"] == before["outside"]
    for table in ("rollup_hour", "rollup_day", "quality_memory", "finding"):
        assert trial.rows(
            f"select count(*) from {table} join datastream using (datastream_id) where drill_run is not null"
        ) == [(0,)], table
    assert staff.get("/api/v1/alerts").json()["alerts"] == []
    assert [each["mode"] for each in staff.get("/api/v1/alerts?trial=true").json()["alerts"]] == ["test"]
