"""【模擬】: what can be set off, only in a demo, one of a kind at a time; the simulated devices then say it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

import httpx
import pytest

from api.access import Role
from api.app import create_app
from api.config import ApiConfig
from api.pages.demo import LASTS, Event
from devices import codecs, envelopes
from devices.model import Town
from mimamori.pressed import Pressed
from simulators import Happening, Intervention
from simulators.config import PERFECT, SimulatorConfig
from simulators.devices import Fleet
from store import connect
from tests.api.serving import TownHall, assert_problem, populate, serving
from tests.conftest import START, Registered

MINUTE = timedelta(minutes=1)


@pytest.fixture
def demo(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered, demo=True) as running:
        yield running


def press(client: httpx.Client, event: str, page: str = "start") -> httpx.Response:
    return client.post(f"/demo/{event}", data={"page": page})


def pressed(town_hall: TownHall) -> list[tuple[str, datetime, datetime, str | None]]:
    with connect(town_hall.database.owner, name="test") as conn:
        return conn.execute("select kind, starts_at, ends_at, target from demo_event order by demo_event_id").fetchall()


def over(town_hall: TownHall) -> None:
    """What was set off is long past."""
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute(
            "update demo_event set starts_at = starts_at - interval '1 day', ends_at = ends_at - interval '1 day'"
        )


def test_only_a_demo_has_the_buttons(town_hall: TownHall, registered: Registered) -> None:
    for event in Event:
        with town_hall.visitor(Role.DISASTER) as client:
            assert_problem(press(client, event), 404, "not_found")
            for page in ("/start", "/digital"):
                assert "/demo/" not in client.get(page).text
    assert pressed(town_hall) == []
    paths = {getattr(route, "path", "") for route in create_app(ApiConfig(dsn="postgresql://nowhere")).routes}
    assert not any("demo" in path for path in paths)


def test_every_role_can_set_everything_off_and_the_page_says_so(demo: TownHall) -> None:
    for role, event in zip(Role, (*Event, Event.RAIN), strict=True):
        with demo.visitor(role) as client:
            response = press(client, event, "digital")
            assert (response.status_code, response.headers["location"]) == (303, "/digital#demo")
            for path in ("/start", "/digital"):
                text = client.get(path).text
                assert f'id="demo-{event}"' in text
                assert f'data-event="{event}" disabled' in text
    kinds = [kind for kind, *_ in pressed(demo)]
    assert kinds == [event.value for event in Event], "the second rain fell while the first went on"


def test_a_press_is_the_towns_time_and_lasts_as_long_as_it_is_said(demo: TownHall) -> None:
    with demo.visitor(Role.VIEWER) as client:
        before = datetime.fromisoformat(client.get("/api/v1/clock").json()["now"])
        press(client, "festival")
        after = datetime.fromisoformat(client.get("/api/v1/clock").json()["now"])
    ((kind, starts_at, ends_at, target),) = pressed(demo)
    assert (kind, target) == ("festival", None)
    assert before <= starts_at <= after and ends_at - starts_at == LASTS[Event.FESTIVAL]


def test_each_press_stops_another_device_and_one_that_is_missed_soon(demo: TownHall) -> None:
    soonest = min(device.silence_after for device in demo.database.directory.devices.values())
    for _ in range(3):
        with demo.visitor(Role.DIGITAL) as client:
            press(client, "silence")
        over(demo)
    targets = [target for *_, target in pressed(demo)]
    assert len(set(targets)) == 3
    for target in targets:
        device = demo.database.directory.device(str(target))
        assert device is not None and device.silence_after == soonest
        assert device.silence_after < LASTS[Event.SILENCE], "it must be missed before it speaks again"


def test_a_town_without_blocks_says_that_nothing_can_burst(demo: TownHall) -> None:
    with demo.visitor(Role.WATER, town="other") as client:
        assert_problem(press(client, "burst"), 409, "conflict")
        assert press(client, "rain").status_code == 303
    with demo.visitor(Role.WATER) as client:
        assert 'id="demo-rain"' not in client.get("/start").text


@pytest.mark.parametrize(("event", "page", "status"), [("earthquake", "start", 422), ("rain", "//evil.example", 422)])
def test_nothing_else_can_be_set_off(demo: TownHall, event: str, page: str, status: int) -> None:
    with demo.visitor(Role.DISASTER) as client:
        assert_problem(press(client, event, page), status, "invalid")
    assert pressed(demo) == []


def test_a_press_for_rain_ends_in_what_the_gauges_send(demo: TownHall, town: Town) -> None:
    """The whole way: button, table, what the simulator's process reads, the bytes of a radar gauge."""
    with demo.visitor(Role.DISASTER) as client:
        press(client, "rain")
        press(client, "silence")
    with Pressed(demo.database.worker, town.municipality.code) as known:
        interventions = known.interventions()
    rain, silence = interventions
    assert (rain.happening, silence.happening) == (Happening.RAIN, Happening.SILENCE)
    config = SimulatorConfig("localhost", 1883, impairments=PERFECT)
    gauges = [device.key for station in town.stations for device in station.devices if device.model == "radar_level"]
    gauge = next(key for key in gauges if key != silence.target)

    def distances(*those: Intervention) -> dict[datetime, float]:
        fleet = Fleet(config, town, origin=START, first=START)
        fleet.intervene(those)
        sent = takewhile(lambda frame: frame.heard < rain.start + timedelta(hours=3), fleet.uplinks())
        found = {}
        for frame in sent:
            assert silence not in those or frame.device != silence.target or not silence.covers(frame.heard)
            if frame.device == gauge:
                readings = codecs.decode("radar_level", envelopes.open_uplink(frame.topic, frame.body()))
                found[frame.heard] = next(r.value for r in readings if r.field == "distance") or 0.0
        return found

    dry, wet = distances(), distances(*interventions)
    last = max(dry)
    assert dry[last] - wet[last] > 500, "mm nearer to the sensor"


def test_while_the_database_is_away_the_town_goes_on_with_what_is_known(demo: TownHall, town: Town) -> None:
    with demo.visitor(Role.DISASTER) as client:
        press(client, "rain")
    with Pressed(demo.database.worker, town.municipality.code) as known:
        (rain,) = known.interventions()
        with connect(demo.database.owner, name="test", autocommit=True) as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'mimamori simulate' and datname = current_database()"
            )
        assert known.interventions() == (rain,), "the lost connection costs nothing"
        with demo.visitor(Role.DISASTER) as client:
            press(client, "festival")
        assert [each.happening for each in known.interventions()] == [Happening.RAIN, Happening.FESTIVAL]


def test_events_of_the_page_and_of_the_simulator_are_the_same_words() -> None:
    assert [event.value for event in Event] == [happening.value for happening in Happening]
