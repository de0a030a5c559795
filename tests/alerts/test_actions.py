"""What persons do to alerts, through the API's role: first come stands, and nothing is cleared that is still there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from alerts import actions
from alerts.errors import (
    ActionError,
    AlertNotFound,
    AlreadyAcknowledged,
    AlreadyCleared,
    NoteRequired,
    StillAbove,
    StillSilent,
)
from devices.model import Quality, Reason
from store import Connection, connect
from tests.alerts.gauge import STEP, Gauge
from tests.conftest import START


@contextmanager
def as_api(gauge: Gauge, municipality_id: int | None = None) -> Iterator[Connection]:
    """A transaction of the API's role in one municipality."""
    municipality = gauge.town.municipality_id if municipality_id is None else municipality_id
    with connect(gauge.town.api, name="test api") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(municipality),))
        yield conn


def do(action: Callable[..., None], gauge: Gauge, *arguments: object, municipality_id: int | None = None) -> None:
    """Runs an action as the API does: its role, one municipality, one transaction, the town's time."""
    municipality = gauge.town.municipality_id if municipality_id is None else municipality_id
    alert_id, user_id, *rest = arguments
    with as_api(gauge, municipality) as conn:
        action(conn, municipality, alert_id, user_id, gauge.clock.now(), *rest)


@pytest.fixture
def alert_id(gauge: Gauge) -> int:
    """An open level alert at level 1, raised at START."""
    gauge.send_series(2.1)
    gauge.evaluate()
    return int(gauge.rows("select alert_id from alert")[0][0])


@pytest.fixture
def silent_id(gauge: Gauge) -> int:
    """An open silence alert of the bridge's gauge."""
    gauge.send_series(1.0)
    gauge.clock.advance(timedelta(minutes=41))
    gauge.listen(START)
    gauge.tick()
    return int(gauge.rows("select alert_id from alert where station_id = %s", gauge.station_id)[0][0])


def test_the_first_acknowledgement_stands_and_the_second_learns_whose_it_is(gauge: Gauge, alert_id: int) -> None:
    first, second = gauge.user("disaster", name="山田"), gauge.user("digital", name="佐藤")
    do(actions.acknowledge, gauge, alert_id, first, "見ました")
    with pytest.raises(AlreadyAcknowledged, match="山田") as refused:
        do(actions.acknowledge, gauge, alert_id, second)
    assert (refused.value.by, refused.value.at) == ("山田", START)
    assert gauge.rows("select acknowledged_at, acknowledged_by from alert") == [(START, first)]
    assert gauge.rows("select event, user_id, note, at, level from alert_history where user_id is not null") == [
        ("acknowledged", first, "見ました", START, 1)
    ]
    assert gauge.rows("select count(*) from feed where alert_ids = array[%s::bigint]", alert_id) == [(2,)]


def test_of_two_at_once_the_second_waits_and_learns_of_the_first(gauge: Gauge, alert_id: int) -> None:
    first, second = gauge.user("disaster", name="山田"), gauge.user("disaster", name="佐藤")
    refused: list[Exception] = []

    def acknowledge() -> None:
        try:
            do(actions.acknowledge, gauge, alert_id, second)
        except Exception as error:
            refused.append(error)

    with as_api(gauge) as conn:
        actions.acknowledge(conn, gauge.town.municipality_id, alert_id, first, START)
        thread = threading.Thread(target=acknowledge)
        thread.start()
        gauge.wait_until_blocked()
    thread.join()
    (error,) = refused
    assert isinstance(error, AlreadyAcknowledged)
    assert error.by == "山田"
    assert gauge.rows("select count(*) from alert_history where event = 'acknowledged'") == [(1,)]


def test_an_alert_that_is_over_can_still_be_acknowledged_and_commented(gauge: Gauge, alert_id: int) -> None:
    user = gauge.user("disaster")
    gauge.send([(START + n * STEP, 1.0) for n in range(1, 5)])
    gauge.evaluate()
    do(actions.acknowledge, gauge, alert_id, user)
    do(actions.comment, gauge, alert_id, user, "  翌朝に確認  ")
    assert [row[0] for row in gauge.told()] == ["raised", "cleared", "acknowledged", "commented"]
    assert gauge.rows("select note from alert_history where event = 'commented'") == [("翌朝に確認",)]


@pytest.mark.parametrize("note", ["", " \n", "あ" * 2001])
def test_a_comment_needs_words_but_not_a_book(gauge: Gauge, alert_id: int, note: str) -> None:
    with pytest.raises(NoteRequired) as refused:
        do(actions.comment, gauge, alert_id, gauge.user("disaster"), note)
    assert refused.value.overlong == (len(note) > 2000)
    assert gauge.told() == [("raised", 1)]


def test_clearing_is_refused_until_the_latest_reading_is_below_the_clearing_level(gauge: Gauge, alert_id: int) -> None:
    user = gauge.user("disaster")
    gauge.clock.advance(timedelta(minutes=40))
    with pytest.raises(StillAbove) as refused:
        do(actions.clear, gauge, alert_id, user, "大丈夫だと思う")
    assert (refused.value.value, refused.value.time, refused.value.clearing_level) == (2.1, START, 1.9)
    gauge.send([(START + STEP, 1.9), (START + 2 * STEP, (0.5, Quality.BAD, Reason.RANGE))])
    with pytest.raises(StillAbove):
        do(actions.clear, gauge, alert_id, user)
    gauge.send([(START + 3 * STEP, 1.89)])
    gauge.evaluate()
    assert gauge.told() == [("raised", 1)], "the rule still waits for its hold; a person need not"
    do(actions.clear, gauge, alert_id, user)
    assert gauge.rows("select cleared_at, cleared_by from alert") == [(gauge.clock.now(), user)]
    assert gauge.told() == [("raised", 1), ("cleared", None)]


def test_a_second_clearing_learns_of_the_first(gauge: Gauge, alert_id: int) -> None:
    gauge.send([(START + n * STEP, 1.0) for n in range(1, 5)])
    gauge.evaluate()
    with pytest.raises(AlreadyCleared, match="by its rule") as refused:
        do(actions.clear, gauge, alert_id, gauge.user("disaster"))
    assert refused.value.by is None


def test_after_a_person_cleared_it_the_next_rise_is_a_new_alert(gauge: Gauge, alert_id: int) -> None:
    gauge.send([(START + STEP, 1.0)])
    do(actions.clear, gauge, alert_id, gauge.user("disaster"))
    gauge.send([(START + 2 * STEP, 2.7)])
    gauge.evaluate()
    assert gauge.told() == [("raised", 1), ("cleared", None), ("raised", 2)]
    assert gauge.rows("select count(*) from alert") == [(2,)]


def test_a_gauge_that_fell_silent_high_is_cleared_by_who_went_to_look(gauge: Gauge, alert_id: int) -> None:
    """The last reading proves nothing any more, and an alert must not stay for ever."""
    user = gauge.user("disaster")
    gauge.clock.advance(timedelta(minutes=41))
    with pytest.raises(NoteRequired):
        do(actions.clear, gauge, alert_id, user)
    do(actions.clear, gauge, alert_id, user, "現地で水位の低下を確認、センサー流失")
    assert gauge.told() == [("raised", 1), ("cleared", None)]


def test_a_silence_is_not_cleared_while_the_device_is_silent(gauge: Gauge, silent_id: int) -> None:
    user = gauge.user("digital")
    with pytest.raises(StillSilent) as refused:
        do(actions.clear, gauge, silent_id, user)
    assert refused.value.since == START
    gauge.send([(gauge.clock.now(), 1.0)])
    do(actions.clear, gauge, silent_id, user)
    assert gauge.rows("select cleared_by from alert where alert_id = %s", silent_id) == [(user,)]


def test_the_silence_of_a_device_that_was_taken_down_can_be_cleared(gauge: Gauge, silent_id: int) -> None:
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute(
            "update attachment set attached_to = %s where station_id = %s", (gauge.clock.now(), gauge.station_id)
        )
    do(actions.clear, gauge, silent_id, gauge.user("digital"))


@pytest.mark.parametrize("action", [actions.acknowledge, actions.comment, actions.clear])
def test_the_alert_of_another_town_does_not_exist(gauge: Gauge, alert_id: int, action: Callable[..., None]) -> None:
    user = gauge.user("disaster")
    with pytest.raises(AlertNotFound):
        do(action, gauge, alert_id, user, "メモ", municipality_id=gauge.town.municipality_id + 1)
    with pytest.raises(AlertNotFound):
        do(action, gauge, alert_id + 1000, user, "メモ")
    assert gauge.told() == [("raised", 1)]


def test_a_refused_action_changes_nothing(gauge: Gauge, alert_id: int) -> None:
    user = gauge.user("disaster")
    before = gauge.rows("select * from alert"), gauge.rows("select count(*) from feed")
    with connect(gauge.town.api, name="test api") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(gauge.town.municipality_id),))
        for action, note in ((actions.acknowledge, "あ" * 2001), (actions.clear, None), (actions.comment, "")):
            with pytest.raises(ActionError):
                action(conn, gauge.town.municipality_id, alert_id, user, START, note)  # type: ignore[operator]
    assert (gauge.rows("select * from alert"), gauge.rows("select count(*) from feed")) == before


def test_the_api_cannot_rewrite_what_the_rule_found(gauge: Gauge, alert_id: int) -> None:
    with connect(gauge.town.api, name="test api") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(gauge.town.municipality_id),))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("update alert set level = 1")
