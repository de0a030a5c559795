"""A false alarm is taken back, to exactly those whom it reached: whoever sends at that moment, whoever is first."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from alerts import actions, retraction
from alerts.channels import Channel, Notification, Undeliverable, Unsure
from alerts.errors import AlertNotFound, AlreadyRetracted, NoSuchPerson, NoteRequired, StillWrong
from alerts.escalation import Escalation
from alerts.outbox import Dispatcher
from devices.clock import real_now
from store import connect
from tests.alerts.gauge import STEP, Gauge
from tests.alerts.people import channels, group, person, turn
from tests.alerts.test_actions import as_api, do
from tests.alerts.test_delivery import MORNING, Way, later, send_all
from tests.alerts.test_outbox import AnyPort, Mailbox, killed_while_sending
from tests.conftest import START

WHY = "水位計に流木が当たっていた"


@pytest.fixture
def officer(gauge: Gauge) -> int:
    return gauge.user("disaster", name="山田")


@pytest.fixture
def raised(gauge: Gauge) -> Gauge:
    """Level 4, of which three people are told at once, tanaka by LINE first."""
    town = gauge.town
    channels(town, "line", "mail")
    tanaka = person(town, "田中", ("line", "U1"), ("mail", "tanaka@example.jp"))
    others = [person(town, each, ("mail", f"{each}@example.jp")) for each in ("suzuki", "sato")]
    group(town, "防災当番", [tanaka, *others])
    gauge.send_series(3.65)
    gauge.evaluate()
    return gauge


def retract(gauge: Gauge, officer: int, why: str = WHY, *, alert_id: int = 1, simulated: bool = False) -> int:
    with as_api(gauge) as conn:
        return retraction.retract(
            conn, gauge.town.municipality_id, alert_id, officer, gauge.clock.now(), why, simulated=simulated
        )


def corrections(gauge: Gauge) -> list[tuple[str, str]]:
    """(channel, address) of each correction."""
    return [
        (row[0], row[1])
        for row in gauge.rows(
            "select channel, recipient from outbox join alert_history using (alert_history_id) "
            "where event = 'retracted' and channel <> 'log' order by channel, recipient"
        )
    ]


def test_exactly_those_whom_it_reached_are_told_and_what_waited_goes_to_nobody(raised: Gauge, officer: int) -> None:
    line = Way("line")
    send_all(raised, line)  # the mail server is down: two people have not been told
    assert retract(raised, officer) == 1
    mail = Way("mail")
    send_all(raised, line, mail)
    assert [each.recipient for each in line.sent] == ["U1", "U1"] and mail.sent == []
    assert line.sent[1].subject.startswith("【訂正】") and "誤りでした" in line.sent[1].subject
    assert WHY in line.sent[1].body and WHY not in line.sent[1].brief
    assert raised.rows("select channel, withdrawn from outbox where sent_at is null and channel <> 'log'") == [
        ("mail", True),
        ("mail", True),
    ]
    assert raised.rows("select user_id, reason, at, was_open, reached, withdrawn from alert_retraction") == [
        (officer, WHY, START, True, 1, 2)
    ]
    assert raised.rows("select event, user_id, note from alert_history order by alert_history_id")[-1] == (
        "retracted",
        officer,
        WHY,
    )
    assert raised.rows("select cleared_at, cleared_by from alert") == [(START, officer)]


def test_whoever_was_called_later_and_whoever_has_left_is_told_and_whoever_is_on_duty_now_is_not(
    gauge: Gauge, officer: int
) -> None:
    town = gauge.town
    channels(town, "mail")
    tanaka, suzuki, sato = (person(town, each, ("mail", f"{each}@example.jp")) for each in ("tanaka", "suzuki", "sato"))
    turn(town, group(town, "防災当番", [tanaka, suzuki, sato]), MORNING, "day", tanaka, suzuki)
    gauge.send_series(3.65)
    gauge.evaluate()
    mail = Way("mail")
    send_all(gauge, mail)
    with connect(town.worker, name="test") as conn:
        assert Escalation(gauge.clock).look(conn, now=real_now() + timedelta(minutes=6)) == 1
    send_all(gauge, mail)
    with connect(town.owner, name="test") as conn:  # tanaka leaves, and sato has the turn now
        conn.execute("update person set ended_at = now() where person_id = %s", (tanaka,))
        conn.execute("update duty set person_id = %s, substitute_id = null", (sato,))
    assert retract(gauge, officer) == 2
    send_all(gauge, mail)
    assert mail.told == ["tanaka@example.jp", "suzuki@example.jp"] * 2


def test_one_that_was_told_of_several_steps_gets_one_correction_by_the_same_way(raised: Gauge, officer: int) -> None:
    ways = Way("line"), Way("mail")
    for n, value in enumerate((3.7, 4.5), start=1):
        raised.send([(START + n * STEP, value)])
        raised.evaluate()
        send_all(raised, *ways)
    before = len(ways[0].sent), len(ways[1].sent)
    assert before[0] > 1
    assert retract(raised, officer) == 3
    send_all(raised, *ways)
    assert (len(ways[0].sent), len(ways[1].sent)) == (before[0] + 1, before[1] + 2)
    assert "警戒レベル５相当" in ways[0].sent[-1].subject, "the highest step is what was false"


def test_an_alert_that_is_over_can_be_retracted_and_those_are_told_who_had_been(raised: Gauge, officer: int) -> None:
    ways = Way("line"), Way("mail")
    send_all(raised, *ways)
    raised.send([(START + n * STEP, 1.0) for n in range(1, 5)])
    raised.evaluate()
    raised.clock.advance(timedelta(hours=1))
    assert raised.told()[-1][0] == "cleared"
    cleared = raised.rows("select cleared_at, cleared_by from alert")
    assert retract(raised, officer) == 3
    assert raised.rows("select cleared_at, cleared_by from alert") == cleared, "it was over before"
    assert corrections(raised) == [("line", "U1"), ("mail", "sato@example.jp"), ("mail", "suzuki@example.jp")]


def test_a_drill_stays_marked_behind_the_word_correction(raised: Gauge, officer: int) -> None:
    with connect(raised.town.owner, name="test") as conn:
        conn.execute("update alert set mode = 'exercise'")
    line = Way("line")
    send_all(raised, line)
    retract(raised, officer, simulated=True)
    send_all(raised, line)
    for text in (line.sent[-1].subject, line.sent[-1].body, line.sent[-1].brief):
        assert text.startswith("【訂正】【模擬】【訓練】")
    assert line.sent[-1].spoken.startswith("これは模擬です") and "訂正のお知らせです" in line.sent[-1].spoken


def test_a_correction_does_not_fall_back_to_a_way_that_the_false_alarm_did_not_take(
    raised: Gauge, officer: int
) -> None:
    send_all(raised, Way("line"))
    retract(raised, officer)
    later(raised, timedelta(minutes=3))
    mail = Way("mail")
    send_all(raised, Way("line", fails=Undeliverable("gone")), mail)
    assert mail.sent == []


@pytest.mark.parametrize("fault", [Unsure("the line broke"), ConnectionRefusedError("down")], ids=["unsure", "refused"])
def test_who_may_have_got_it_is_told_and_who_surely_did_not_is_not(
    raised: Gauge, officer: int, fault: Exception
) -> None:
    send_all(raised, Way("line", fails=fault))
    doubt = isinstance(fault, Unsure)
    with as_api(raised) as conn:
        assert [each.doubt for each in retraction.look(conn, 1).reached] == [True] * doubt
    assert retract(raised, officer) == doubt
    with connect(raised.town.owner, name="test") as conn:
        conn.execute("update outbox set next_attempt_at = now()")
    line = Way("line")
    send_all(raised, line)
    assert [each.subject[:4] for each in line.sent] == ["【訂正】"] * doubt, "never the false one again"


@pytest.mark.parametrize("why", ["", "  ", "あ" * 2001])
def test_without_words_nothing_happens(raised: Gauge, officer: int, why: str) -> None:
    with pytest.raises(NoteRequired):
        retract(raised, officer, why)
    assert raised.rows("select from alert_retraction") == [] and raised.told() == [("raised", 4)]


def test_what_lasts_in_the_operation_is_not_retracted_and_what_is_unknown_is_not_found(
    gauge: Gauge, officer: int
) -> None:
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute(
            "insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time) "
            "values (%s, 'operation', 'disk_full', now(), now())",
            (gauge.town.municipality_id,),
        )
    with pytest.raises(StillWrong):
        retract(gauge, officer)
    with pytest.raises(AlertNotFound):
        retract(gauge, officer, alert_id=999)


# --- races ---------------------------------------------------------------------------------------------------------


class Slow(Way):
    """A channel whose messages are under way until `arrive` is set."""

    def __init__(self, name: str, *, fails: Exception | None = None) -> None:
        super().__init__(name)
        self.begun, self.arrive, self.then = threading.Event(), threading.Event(), fails

    def send(self, notification: Notification) -> None:
        self.begun.set()
        assert self.arrive.wait(60)
        if self.then is not None:
            raise self.then
        super().send(notification)


def sending(gauge: Gauge, *ways: Channel) -> threading.Thread:
    """A dispatcher that sends one message, in a thread."""

    def run() -> None:
        with connect(gauge.town.worker, name="test") as conn:
            Dispatcher(ways).send_next(conn)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_correction_of_what_is_under_way_waits_until_that_has_arrived(raised: Gauge, officer: int) -> None:
    slow = Slow("line")
    thread = sending(raised, slow)
    assert slow.begun.wait(60)
    assert retract(raised, officer) == 1, "it may arrive"
    quick = Way("line")
    send_all(raised, quick)
    assert quick.sent == [], "a correction before what it corrects corrects nothing"
    slow.arrive.set()
    thread.join()
    send_all(raised, quick)
    assert [each.subject[:4] for each in slow.sent] != ["【訂正】"]
    assert [each.subject[:4] for each in quick.sent] == ["【訂正】"]


def test_what_was_under_way_and_surely_did_not_arrive_needs_no_correction_and_is_not_tried_again(
    raised: Gauge, officer: int
) -> None:
    slow = Slow("line", fails=ConnectionRefusedError("down"))
    thread = sending(raised, slow)
    assert slow.begun.wait(60)
    assert retract(raised, officer) == 1
    slow.arrive.set()
    thread.join()
    with connect(raised.town.owner, name="test") as conn:
        conn.execute("update outbox set next_attempt_at = now()")
    line, mail = Way("line"), Way("mail")
    send_all(raised, line, mail)
    assert line.sent == mail.sent == []


def test_a_sender_that_has_its_row_but_has_not_begun_is_waited_for(raised: Gauge, officer: int) -> None:
    """The claim and the retraction take turns on the row: what is claimed first counts as begun."""
    told: list[int] = []
    with connect(raised.town.worker, name="claiming") as claiming:
        claiming.execute("select from outbox where channel = 'line' for update")
        thread = threading.Thread(target=lambda: told.append(retract(raised, officer)))
        thread.start()
        raised.wait_until_blocked()
        claiming.execute("update outbox set begun_at = now(), attempts = attempts + 1 where channel = 'line'")
        claiming.commit()
        thread.join()
    assert told == [1] and corrections(raised) == [("line", "U1")]


def test_a_message_by_the_next_way_that_is_being_written_is_withdrawn_too(raised: Gauge, officer: int) -> None:
    later(raised, timedelta(minutes=3))
    with connect(raised.town.worker, name="falling back") as conn:
        dispatcher = Dispatcher([Way("line"), Way("mail")])
        with conn.transaction():
            assert dispatcher.fall_back(conn) == 1  # tanaka by mail, not committed yet
            thread = threading.Thread(target=lambda: retract(raised, officer))
            thread.start()
            raised.wait_until_blocked()
        thread.join()
    assert raised.rows("select count(*) from outbox where channel <> 'log' and not withdrawn") == [(0,)]
    ways = Way("line"), Way("mail")
    later(raised, timedelta(minutes=3))
    send_all(raised, *ways)
    assert ways[0].sent == ways[1].sent == []


def test_nobody_falls_back_while_it_is_being_retracted(raised: Gauge, officer: int) -> None:
    later(raised, timedelta(minutes=3))
    with as_api(raised) as conn:
        retraction.retract(conn, raised.town.municipality_id, 1, officer, START, WHY, simulated=False)
        with connect(raised.town.worker, name="falling back") as other:
            other.execute("set lock_timeout = '5s'")  # it does not wait either
            assert Dispatcher([Way("line"), Way("mail")]).fall_back(other) == 0
    with connect(raised.town.worker, name="falling back") as other:
        assert Dispatcher([Way("line"), Way("mail")]).fall_back(other) == 0
    assert corrections(raised) == raised.rows("select from outbox where instead_of is not null") == []


def test_of_two_officers_at_once_the_second_learns_of_the_first_and_one_correction_goes_out(raised: Gauge) -> None:
    line = Way("line")
    send_all(raised, line)
    officers = [raised.user("disaster", name=name) for name in ("山田", "佐藤")]
    gate, refused = threading.Barrier(2), list[Exception]()

    def press(officer: int) -> None:
        gate.wait(60)
        try:
            retract(raised, officer)
        except AlreadyRetracted as error:
            refused.append(error)

    threads = [threading.Thread(target=press, args=(each,)) for each in officers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (error,) = refused
    assert isinstance(error, AlreadyRetracted) and error.by in ("山田", "佐藤")
    assert corrections(raised) == [("line", "U1")]
    assert raised.rows("select count(*) from alert_history where event = 'retracted'") == [(1,)]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_being_sent_meanwhile_those_and_only_those_who_got_it_are_corrected(
    gauge: Gauge, officer: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dispatchers send, some of it fails and is tried again at once, and the retraction falls somewhere between."""
    monkeypatch.setattr("alerts.outbox._FIRST_DELAY", timedelta(0))
    dice = random.Random(seed)
    town = gauge.town
    channels(town, "line", "mail")
    group(
        town, "防災当番",
        [person(town, f"p{n}", ("line", f"U{n}"), ("mail", f"p{n}@example.jp")) for n in range(12)],
    )  # fmt: skip
    gauge.send_series(3.65)
    gauge.evaluate()
    after = dice.randrange(1, 12)
    enough, press = threading.Lock(), threading.Event()
    count = 0

    class Shaky(Way):
        def send(self, notification: Notification) -> None:
            nonlocal count
            with enough:
                count += 1
                luck = dice.random()
                if count == after:
                    press.set()
            if luck < 0.2:
                raise ConnectionRefusedError("down")
            super().send(notification)
            if luck < 0.4:
                raise Unsure("the line broke")

    ways = Shaky("line"), Shaky("mail")
    stop = threading.Event()

    def dispatch() -> None:
        with connect(town.worker, name="test") as conn:
            dispatcher = Dispatcher(ways)
            while not stop.is_set():
                dispatcher.send_next(conn)

    threads = [threading.Thread(target=dispatch) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert press.wait(60)
    retract(gauge, officer)
    while gauge.rows(
        "select from outbox where sent_at is null and not stood_in and attempts < 100 and channel <> 'log' "
        "or begun_at is not null and sent_at is null"
    ):
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    for way in ways:
        false, corrected = list[str](), list[str]()
        for each in way.sent:
            if each.subject.removeprefix("【再送】").startswith("【訂正】"):
                corrected.append(each.recipient)
            else:
                assert each.recipient not in corrected, "a false message after its correction"
                false.append(each.recipient)
        assert set(corrected) == set(false)
        written = [address for channel, address in corrections(gauge) if channel == way.name]
        assert len(written) == len(set(written)) and set(false) <= set(written)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


def test_a_sender_killed_in_the_middle_leaves_a_doubt_that_is_corrected_and_nothing_false_is_sent_again(
    raised: Gauge, officer: int, mailbox: Mailbox
) -> None:
    killed_while_sending(raised, mailbox)
    ((reached,),) = raised.rows("select recipient from outbox where begun_at is not null")
    assert retract(raised, officer) == 1
    ways = Way("mail"), Way("line")
    send_all(raised, *ways)
    assert [(each.recipient, each.subject[:4]) for each in ways[0].sent] == [(reached, "【訂正】")]
    assert ways[1].sent == []


def test_a_sender_killed_with_the_correction_sends_it_once_more_and_says_so(
    raised: Gauge, officer: int, mailbox: Mailbox
) -> None:
    send_all(raised, Way("mail"))
    assert retract(raised, officer) == 2
    killed_while_sending(raised, mailbox)
    mail = Way("mail")
    send_all(raised, mail)
    assert sorted(each.repeated for each in mail.sent) == [False, True]
    assert all(each.subject.startswith("【訂正】") for each in mail.sent)


# --- who goes there -------------------------------------------------------------------------------------------------


def test_who_goes_there_stands_in_the_history_and_the_newest_counts(raised: Gauge, officer: int) -> None:
    first, second = (row[0] for row in raised.rows("select person_id from person order by person_id limit 2"))
    do(actions.assign, raised, 1, officer, first, "車で10分")
    raised.clock.advance(timedelta(minutes=5))
    do(actions.assign, raised, 1, officer, second)
    do(actions.assign, raised, 1, officer, None, "戻った")
    assert raised.rows(
        "select assigned_person, user_id, at, note from alert_history where event = 'assigned' order by 3, 4 desc"
    )[0] == (first, officer, START, "車で10分")
    assert [row[0] for row in raised.rows(
        "select assigned_person from alert_history where event = 'assigned' order by alert_history_id"
    )] == [first, second, None]  # fmt: skip


def _ended(gauge: Gauge) -> int:
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute("update person set ended_at = now()")
    return int(gauge.rows("select min(person_id) from person")[0][0])


def _equipment(gauge: Gauge) -> int:
    return person(gauge.town, "回転灯", kind="equipment")


@pytest.mark.parametrize("whom", [_ended, _equipment, lambda gauge: 999])
def test_only_people_who_are_there_go(raised: Gauge, officer: int, whom: Callable[[Gauge], int]) -> None:
    with pytest.raises(NoSuchPerson):
        do(actions.assign, raised, 1, officer, whom(raised))
    assert raised.told() == [("raised", 4)]
