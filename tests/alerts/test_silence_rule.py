"""The silence rule: three answers, and only a message ends a silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.rules.silence import Hearing, Listened, Listener, Listening, hearing, judge_silence, listening_of
from alerts.rules.transition import Event

HOUR = timedelta(hours=1)
FRESH = timedelta(seconds=30)


def at(hour: float) -> datetime:
    return datetime(2026, 6, 1, tzinfo=UTC) + hour * HOUR


def device(heard: float | None, *, key: str = "a1", after: timedelta = HOUR, attached: float = -100) -> Listened:
    return Listened(key, after, at(attached), None if heard is None else at(heard))


def test_a_device_is_heard_until_its_patience_is_over() -> None:
    assert hearing(device(2), at(0), at(3)) is Hearing.HEARD
    assert hearing(device(2), at(0), at(3.01)) is Hearing.SILENT


def test_while_nobody_listens_nothing_is_known() -> None:
    assert hearing(device(2), None, at(9)) is Hearing.UNKNOWN
    assert judge_silence([device(2)], None, at(9), None) == []


def test_after_listening_began_the_whole_patience_must_pass() -> None:
    assert hearing(device(2), at(5), at(6)) is Hearing.UNKNOWN
    assert hearing(device(2), at(5), at(6.01)) is Hearing.SILENT


def test_a_device_that_was_never_heard_is_silent_only_after_its_time() -> None:
    assert hearing(device(None), at(0), at(1)) is Hearing.UNKNOWN
    assert hearing(device(None), at(0), at(1.5)) is Hearing.SILENT
    assert hearing(device(None, attached=1), at(0), at(1.5)) is Hearing.UNKNOWN


def test_listening_is_what_a_living_worker_with_a_broker_does() -> None:
    now = at(5)
    assert listening_of([], now, FRESH) is None
    assert listening_of([Listener(at(4), at(0))], now, FRESH) is None, "its heartbeat is stale"
    assert listening_of([Listener(now, None)], now, FRESH) is None, "its broker is out of reach"
    alive = [Listener(now, at(3)), Listener(now - FRESH, at(1)), Listener(at(4), at(0))]
    assert listening_of(alive, now, FRESH) == Listening(at(1), now), "one that listens is enough"


def test_what_was_sent_since_the_last_heartbeat_is_not_known_yet() -> None:
    died = Listening(at(1), at(3))
    assert listening_of([Listener(at(3), at(1))], at(3) + FRESH, FRESH) == died
    assert judge_silence([device(2)], died.since, died.until, None) == []


def test_a_silence_is_raised_once_and_cleared_by_the_next_message() -> None:
    (raised,) = judge_silence([device(2)], at(0), at(4), None)
    assert (raised.event, raised.time, raised.rule_version) == (Event.RAISED, at(2), "silence:3600")
    assert judge_silence([device(2)], at(0), at(5), raised.time) == []
    (cleared,) = judge_silence([device(5.5)], at(0), at(5.6), raised.time)
    assert (cleared.event, cleared.time) == (Event.CLEARED, at(5.5))


def test_more_patience_ends_a_silence_of_a_device_that_is_not_due_yet() -> None:
    (cleared,) = judge_silence([device(2, after=6 * HOUR)], at(0), at(4), at(2))
    assert (cleared.event, cleared.rule_version) == (Event.CLEARED, "silence:21600")


def test_a_restart_of_ingest_ends_no_silence() -> None:
    assert judge_silence([device(2)], at(6), at(6.1), at(2)) == []
    assert judge_silence([device(2)], None, at(6.1), at(2)) == []


def test_a_message_between_two_silences_separates_them_even_if_nobody_looked() -> None:
    transitions = judge_silence([device(5)], at(0), at(9), at(2))
    assert [(each.event, each.time) for each in transitions] == [(Event.CLEARED, at(5)), (Event.RAISED, at(5))]
    assert judge_silence([device(5)], at(0), at(10), at(5)) == [], "and then it is one silence"


def test_a_station_is_silent_until_each_of_its_devices_has_spoken() -> None:
    slow = timedelta(hours=24)
    pair = [device(2, key="a1"), device(3.9, key="b2")]
    (raised,) = judge_silence(pair, at(0), at(4), None)
    assert raised.time == at(2)
    assert judge_silence([device(2, key="a1"), device(4.5, key="b2")], at(0), at(5), at(2)) == []
    back = [device(5, key="a1"), device(4.5, key="b2")]
    assert [each.event for each in judge_silence(back, at(0), at(5), at(2))] == [Event.CLEARED]
    # one that speaks once a day owes nothing yet
    daily = [device(5, key="a1"), device(1, key="b2", after=slow)]
    assert [each.event for each in judge_silence(daily, at(0), at(5), at(2))] == [Event.CLEARED]


def test_a_new_device_at_the_place_of_a_silent_one_must_speak_first() -> None:
    assert judge_silence([device(None, attached=5)], at(0), at(5.5), at(2)) == []
    (cleared,) = judge_silence([device(5.6, attached=5)], at(0), at(5.7), at(2))
    assert cleared.event is Event.CLEARED
