"""The live stream over real connections: nothing missed, nothing of others, nothing that grows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from api import live as live_module
from api import stream as stream_module
from api.instruments import Instruments
from api.live import QUEUE_LENGTH, REPLAY_ROWS, Hub, Subscriber
from api.roles import Role
from store import Connection, connect
from store.feed import append_alerts
from tests.api.serving import Listener, TownHall, assert_problem, listening, minutes, populate, serving
from tests.conftest import Registered, run_async

LEVEL = "river-okusawa/water_level"
FLOW = "block-hamamachi/flow"


def wait_for(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def alternate(town_hall: TownHall, rounds: int) -> int:
    """Feed rows of both kinds in turn, which cannot be taken together; the last id."""
    with connect(town_hall.database.owner, name="test") as conn:
        last = conn.execute(
            """
            select max(feed_append(%s, case when n %% 2 = 0 then 'alerts' else 'observations' end,
                                   case when n %% 2 = 0 then '{}' else array[%s::integer] end,
                                   case when n %% 2 = 0 then '{}' else array[now()] end,
                                   case when n %% 2 = 0 then '{}' else array[now()] end,
                                   case when n %% 2 = 0 then array[%s::bigint] else '{}' end))
            from generate_series(1, %s) as n
            """,
            (
                town_hall.database.municipality_id,
                town_hall.database.datastream(*LEVEL.split("/")),
                alert_of(town_hall),
                rounds,
            ),
        ).fetchone()
    assert last is not None
    return int(last[0])


def alert_of(town_hall: TownHall) -> int:
    with connect(town_hall.database.owner, name="test") as conn:
        row = conn.execute("select max(alert_id) from alert").fetchone()
    return int(row[0]) if row is not None and row[0] is not None else town_hall.raise_alert(LEVEL)


def test_a_stored_observation_reaches_an_open_page_with_its_quality_and_its_feed_id(town_hall: TownHall) -> None:
    first, second = minutes(0, 10)
    with town_hall.visitor(Role.VIEWER) as client, listening(client) as page:
        clock = page.next()
        assert clock.event == "clock" and clock.data["simulated"] is True
        assert clock.id == page.settled(), "a page that leaves before the first event knows where it stood"
        feed_id = town_hall.observe(LEVEL, (first, 1.25), (second, None))
        event = page.until("observations")
    assert event.id == feed_id
    assert event.data == {
        "observations": [
            {
                "datastream": LEVEL,
                "mode": "actual",
                "station": "river-okusawa",
                "observed_property": "water_level",
                "unit": "m",
                "value": None,
                "quality": "missing",
                "reason": "sensor",
                "phenomenon_time": "2026-06-01T00:10:00Z",
                "from": "2026-06-01T00:00:00Z",
                "to": "2026-06-01T00:10:00Z",
            }
        ]
    }


def test_late_data_tell_the_touched_range_and_the_latest_value_stays(town_hall: TownHall) -> None:
    early, late = minutes(0, 60)
    town_hall.observe(LEVEL, (late, 2.0))
    with town_hall.visitor(Role.VIEWER) as client, listening(client) as page:
        page.settled()
        town_hall.observe(LEVEL, (early, 1.0))
        (told,) = page.until("observations").data["observations"]
    assert (told["value"], told["phenomenon_time"]) == (2.0, "2026-06-01T01:00:00Z")
    assert (told["from"], told["to"]) == ("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z")


def test_what_is_stored_while_the_listener_still_connects_is_not_missed(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(registered)
    connected = threading.Event()

    def slowly(*arguments: Any, **options: Any) -> Connection:
        connected.wait(20)
        return connect(*arguments, **options)

    monkeypatch.setattr(live_module, "connect", slowly)
    stored: list[int] = []

    def store() -> None:
        time.sleep(0.5)  # enough for a stream that does not wait for the listener
        stored.append(town_hall.observe(LEVEL, (minutes(0)[0], 1.0)))
        connected.set()

    with serving(registered) as town_hall, town_hall.visitor(Role.VIEWER) as client:
        thread = threading.Thread(target=store)
        thread.start()
        with listening(client) as page:
            complete = page.settled()
            thread.join()
            assert complete >= stored[0] or page.until("observations").id == stored[0]


def test_an_alert_and_what_a_person_does_to_it_reach_an_open_page(town_hall: TownHall) -> None:
    with (
        town_hall.visitor(Role.VIEWER) as watcher,
        town_hall.visitor(Role.DISASTER) as staff,
        listening(watcher) as page,
    ):
        page.settled()
        alert_id = town_hall.raise_alert(LEVEL)
        raised = page.until("alerts").data["alerts"]
        assert staff.post(f"/api/v1/alerts/{alert_id}/acknowledge").status_code == 200
        acknowledged = page.until("alerts").data["alerts"]
    assert raised == [
        {
            "alert_id": alert_id,
            "station": "river-okusawa",
            "kind": "river_gauge",
            "rule": "level",
            "mode": "actual",
            "level": 3,
            "state": "raised",
        }
    ]
    assert [alert["state"] for alert in acknowledged] == ["acknowledged"]


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_page_that_comes_back_is_told_what_it_missed(town_hall: TownHall, how: str) -> None:
    first, second, third = minutes(0, 10, 20)
    with town_hall.visitor(Role.WATER) as client:
        with listening(client) as page:
            seen = page.settled()
            assert page.id == seen
        town_hall.observe(LEVEL, (first, 1.0))
        town_hall.observe(LEVEL, (second, 1.1))
        last = town_hall.observe(FLOW, (third, 30.0))
        again = {"last_id": seen} if how == "header" else {"query": seen}
        with listening(client, **again) as page:
            missed = page.until("observations")
            assert page.settled() == last
    latest = {item["datastream"]: (item["value"], item["from"]) for item in missed.data["observations"]}
    assert latest == {LEVEL: (1.1, "2026-06-01T00:00:00Z"), FLOW: (30.0, "2026-06-01T00:20:00Z")}
    assert missed.id == last


def test_what_is_committed_around_the_moment_of_connecting_comes_once_or_more_but_never_not(
    town_hall: TownHall,
) -> None:
    """A writer commits all the while; pages connect, leave and come back with their last id."""
    times = minutes(*range(60))
    written: list[int] = []

    def write() -> None:
        written.extend(town_hall.observe(LEVEL, (at, float(n))) for n, at in enumerate(times))

    seen_values: set[float] = set()
    covered = None
    writer = threading.Thread(target=write)
    with town_hall.visitor(Role.VIEWER) as client:
        with listening(client) as page:
            last = page.settled()
        writer.start()
        while covered != times[-1].isoformat().replace("+00:00", "Z"):
            with listening(client, last_id=last) as page:
                (told,) = page.until("observations").data["observations"]
                assert page.id is not None and page.id > last
                last = page.id
                # each event's range begins where the one before ended: no hole between two connections
                start = times.index(_time(told["from"]))
                assert start <= len(seen_values), "observations were skipped"
                covered = told["to"]
                seen_values |= {float(n) for n in range(start, times.index(_time(covered)) + 1)}
    writer.join()
    assert seen_values == {float(n) for n in range(60)}
    assert last == written[-1]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_page_sees_nothing_of_another_town(town_hall: TownHall) -> None:
    (at,) = minutes(0)
    with town_hall.visitor(Role.DIGITAL, town="other") as client, listening(client) as page:
        before = page.settled()
        town_hall.observe(LEVEL, (at, 1.0))
        with connect(town_hall.database.owner, name="test") as conn:
            row = conn.execute(
                "select datastream_id, municipality_id from datastream join station using (station_id, municipality_id)"
                " where code = 'tonari-1'"
            ).fetchone()
            assert row is not None
            feed_id = conn.execute(
                "select feed_append(%s, 'observations', array[%s], array[now()], array[now()], '{}')",
                (row[1], row[0]),
            ).fetchone()
        event = page.until("observations")
    assert feed_id is not None and event.id == feed_id[0] > before
    assert [item["station"] for item in event.data["observations"]] == ["tonari-1"]


def test_an_id_that_the_feed_no_longer_holds_makes_the_page_load_itself_anew(town_hall: TownHall) -> None:
    times = minutes(0, 10, 20)
    ids = [town_hall.observe(LEVEL, (at, 1.0)) for at in times]
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute("delete from feed where feed_id <= %s", (ids[1],))
    with town_hall.visitor(Role.VIEWER) as client:
        with listening(client, last_id=ids[0] - 1) as page:
            reset = page.until("reset", "observations")
        with listening(client, last_id=ids[1]) as page:
            kept = page.until("reset", "observations")
    assert reset.event == "reset" and reset.id == ids[2]
    assert kept.event == "observations"


def test_an_id_from_the_future_of_another_database_makes_the_page_load_itself_anew(town_hall: TownHall) -> None:
    (at,) = minutes(0)
    newest = town_hall.observe(LEVEL, (at, 1.0))
    with town_hall.visitor(Role.VIEWER) as client, listening(client, last_id=newest + 1000) as page:
        assert page.until("reset").id == newest
        assert page.settled() == newest


def test_too_much_missed_is_not_replayed_but_loaded_anew(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        with listening(client) as page:
            seen = page.settled()
        last = alternate(town_hall, REPLAY_ROWS + 2)
        with listening(client, last_id=seen) as page:
            assert page.until("reset", "observations", "alerts").event == "reset"
            assert page.settled() == last


@pytest.mark.parametrize("wrong", ["abc", "-1", "1; drop", "٣", "9" * 40])
def test_a_last_event_id_that_is_no_number_is_refused(town_hall: TownHall, wrong: str) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        response = client.get("/api/v1/stream", params={"last_event_id": wrong})
    assert_problem(response, 400, "bad_request")


def test_after_the_database_cut_the_listener_off_nothing_is_missing(town_hall: TownHall) -> None:
    first, second = minutes(0, 10)
    with town_hall.visitor(Role.VIEWER) as client, listening(client) as page:
        page.settled()
        with psycopg.connect(town_hall.database.owner, autocommit=True) as conn:
            cut = conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'mimamori api feed' and datname = current_database()"
            ).fetchall()
            assert len(cut) == 1, "one listening connection a process"
        town_hall.observe(LEVEL, (first, 1.0))
        town_hall.observe(FLOW, (second, 2.0))
        told: set[str] = set()
        while told != {LEVEL, FLOW}:
            told |= {item["datastream"] for item in page.until("observations").data["observations"]}


def test_a_quiet_page_keeps_a_fresh_id_while_others_are_busy(
    registered: Registered, town_hall: TownHall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "HEARTBEAT_SECONDS", 0.2)
    with town_hall.visitor(Role.VIEWER, town="other") as client, listening(client) as page:
        page.settled()
        (at,) = minutes(0)
        feed_id = town_hall.observe(LEVEL, (at, 1.0))
        while page.settled() < feed_id:
            pass
        assert page.id == feed_id


def test_a_stream_ends_when_its_person_signs_out(town_hall: TownHall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "HEARTBEAT_SECONDS", 0.2)
    with town_hall.visitor(Role.VIEWER) as client, listening(client) as page:
        page.settled()
        with httpx.Client(base_url=town_hall.url, cookies=client.cookies, trust_env=False) as elsewhere:
            signed_out = elsewhere.delete("/api/v1/session", headers={"X-CSRF-Token": client.headers["x-csrf-token"]})
        assert signed_out.status_code == 204
        _read_to_the_end(page)


def test_a_subscriber_that_does_not_read_is_dropped_and_holds_nothing(town_hall: TownHall) -> None:
    """The queue is what a slow client can hold; two hundred events are more than fit."""
    alert_of(town_hall)

    async def scenario() -> tuple[Subscriber, Subscriber, int]:
        hub = Hub(town_hall.database.api, Instruments())
        hub.start()
        try:
            await asyncio.to_thread(wait_for, lambda: hub.connected)
            slow, foreign = (
                hub.subscribe(town_hall.database.municipality_id),
                hub.subscribe(town_hall.database.municipality_id + 1),
            )
            last = await asyncio.to_thread(alternate, town_hall, 2 * QUEUE_LENGTH)
            await asyncio.to_thread(wait_for, lambda: hub.position >= last)
            assert hub.clients == 1
            assert await slow.next() is None, "what waited is thrown away; the stream only ends"
            return slow, foreign, last
        finally:
            hub.close()
            await asyncio.to_thread(hub.join)

    slow, foreign, _ = run_async(scenario())
    assert slow.dropped and not foreign.dropped


def test_a_burst_reaches_a_page_whole_and_in_order(town_hall: TownHall) -> None:
    alert_of(town_hall)
    with town_hall.visitor(Role.VIEWER) as client, listening(client) as page:
        page.settled()
        last = alternate(town_hall, QUEUE_LENGTH // 2)
        ids: list[int] = []
        kinds: set[str | None] = set()
        while not ids or ids[-1] < last:
            message = page.until("observations", "alerts")
            kinds.add(message.event)
            assert message.id is not None
            ids.append(message.id)
    assert ids == sorted(set(ids)) and kinds == {"alerts", "observations"}


def test_a_stream_that_was_left_is_forgotten(town_hall: TownHall) -> None:
    def open_streams() -> float:
        with town_hall.visitor(Role.DIGITAL) as client:
            lines = client.get("/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("mimamori_stream_clients ")))

    with town_hall.visitor(Role.VIEWER) as client:
        with listening(client) as page:
            page.settled()
            wait_for(lambda: open_streams() == 1)
        wait_for(lambda: open_streams() == 0)


def test_the_server_stops_though_streams_are_open(registered: Registered, town_hall: TownHall) -> None:
    with serving(registered) as second, second.visitor(Role.VIEWER) as client:
        opened, ended = threading.Event(), threading.Event()

        def watch() -> None:
            with listening(client) as page:
                page.settled()
                opened.set()
                _read_to_the_end(page)
                ended.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert opened.wait(20)
        second.stop()  # `serving` says whether it did
        watcher.join(20)
    assert ended.is_set(), "the page saw a proper end of its stream"


def _read_to_the_end(page: Listener) -> None:
    try:
        while True:
            page.next()
    except StopIteration:
        return


def test_ids_are_those_of_the_feed(town_hall: TownHall) -> None:
    alert_id = alert_of(town_hall)
    with town_hall.visitor(Role.VIEWER) as client, listening(client) as page:
        page.settled()
        with connect(town_hall.database.owner, name="test") as conn:
            feed_id = append_alerts(conn, town_hall.database.municipality_id, [alert_id])
        assert page.until("alerts").id == feed_id
