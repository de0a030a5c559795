"""The operation itself: one open alert a cause, for the digital section, raised when it lasts, cleared by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import psycopg
import pytest

from alerts import actions, operation_words
from alerts.errors import AlreadyCleared, StillWrong
from alerts.operation import Watch
from alerts.rules.operation import (
    BACKUP,
    BEHIND,
    CONDITIONS,
    FAILED_ATTEMPTS,
    FOLDERS,
    FREE_BYTES,
    HEARTBEAT,
    PATIENCE,
    FolderSeen,
    Kind,
    Room,
    Seen,
    WorkerSeen,
    judge_operation,
    kind_of,
    problems,
)
from devices.clock import FixedClock, real_now
from store import connect
from store.connection import Connection
from store.counts import Tallies, slot, write_tallies
from tests.conftest import START, Registered

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KINDS: tuple[Kind, ...] = get_args(Kind)
WELL = WorkerSeen("0", timedelta(0), None, False)


# --- the rule ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen(), ()),
        (Seen(open_hours=1), ("counts_open",)),
        (Seen(behind={"alerts": BEHIND, "rollups": BEHIND + SECOND}), ("consumer_behind:rollups",)),
        (Seen(workers=(WELL,)), ()),
        (Seen(workers=(WELL, WorkerSeen("1", HEARTBEAT + SECOND, None, False))), ("worker_lost:1",)),
        (Seen(workers=(WorkerSeen("1", HEARTBEAT + SECOND, None, True),)), ()),
        (Seen(workers=(WorkerSeen("1", SECOND, "broker", False),)), ("worker_broker:1",)),
        # of a worker that gives no sign of life nothing else is known
        (Seen(workers=(WorkerSeen("1", timedelta(days=1), "full", False),)), ("worker_lost:1",)),
        (Seen(disk=Room(FREE_BYTES, FREE_BYTES * 10)), ()),
        (Seen(disk=Room(FREE_BYTES - 1, FREE_BYTES * 10)), ("disk_full",)),
        (Seen(disk=Room(49, 1000), alarmed=frozenset()), ("disk_full",)),
        (Seen(disk=Room(11 * FREE_BYTES // 10, 0), alarmed=frozenset({"disk_full"})), ("disk_full",)),
        (Seen(disk=Room(13 * FREE_BYTES // 10, 0), alarmed=frozenset({"disk_full"})), ()),
        (Seen(failed_mails=1), ("outbox_failing",)),
        (Seen(untold=("rules_untold:water", "nobody_told:digital")), ("rules_untold:water", "nobody_told:digital")),
        (Seen(backup=BACKUP), ()),
        (Seen(backup=BACKUP + SECOND), ("backup_old",)),
        (Seen(folders_silent_for=2 * FOLDERS), ()),
        (Seen(folders=(FolderSeen("a", False, None),), folders_silent_for=FOLDERS), ()),
        (Seen(folders=(FolderSeen("a", False, None),), folders_silent_for=FOLDERS + SECOND), ("folders_lost",)),
        (Seen(folders=(FolderSeen("a", False, SECOND),)), ("folder_late:a",)),
        (Seen(jma_stale=True), ("jma_stale",)),
        (Seen(folders=(FolderSeen("a", True, SECOND),)), ("folder_away:a",)),
        # where nobody can look, nobody knows: what was so stays so, nothing new is said
        (Seen(folders=(FolderSeen("a", True, SECOND),), folders_silent_for=2 * FOLDERS), ("folders_lost",)),
        (
            Seen(
                folders=(FolderSeen("a", True, SECOND), FolderSeen("b", False, SECOND)),
                folders_silent_for=2 * FOLDERS,
                alarmed=frozenset({"folder_late:a", "folder_away:a"}),
            ),
            ("folders_lost", "folder_away:a", "folder_late:a"),
        ),
    ],
)
def test_each_condition_says_what_is_wrong_and_nothing_else(seen: Seen, expected: tuple[str, ...]) -> None:
    assert problems(seen) == expected


def test_a_cause_must_last_and_is_raised_once() -> None:
    since = {"worker_broker:0": NOW}
    patience = PATIENCE["worker_broker"]
    assert judge_operation(since, since, [], NOW + patience - SECOND).raised == ()
    assert judge_operation(since, since, [], NOW + patience).raised == ("worker_broker:0",)
    assert judge_operation(since, since, list(since), NOW + patience).raised == ()
    over = judge_operation([], since, list(since), NOW + patience)
    assert (over.forget, over.cleared) == (("worker_broker:0",), ("worker_broker:0",))


def test_every_kind_has_a_condition_patience_and_words_that_say_what_to_do() -> None:
    everything = Seen(
        open_hours=1,
        behind={"x": timedelta(days=1)},
        workers=(
            WorkerSeen("0", timedelta(days=1), None, False),
            *(WorkerSeen(each, SECOND, each, False) for each in ("broker", "database", "full")),  # type: ignore[arg-type]
        ),
        disk=Room(0, 1),
        failed_mails=1,
        untold=("nobody_told:all", "rules_untold:disaster"),
        backup=timedelta(days=9),
        folders=(FolderSeen("a", True, None), FolderSeen("b", False, SECOND)),
        folders_silent_for=timedelta(days=1),
        jma_stale=True,
        alarmed=frozenset({"folder_away:a", "folder_late:b"}),
    )
    causes = problems(everything)
    assert {kind_of(cause) for cause in causes} == set(KINDS) == set(PATIENCE)
    assert len(CONDITIONS) <= len(KINDS)
    for cause, language, cleared in product(causes, ("ja", "en"), (False, True)):
        text = operation_words.headline(cause, cleared, language) + operation_words.to_do(cause, language)
        assert "{" not in text
        assert (re.search(r"[ぁ-ん]", text) is not None) == (language == "ja"), text


# --- the watch -----------------------------------------------------------------------------------------------


class Alarm(NamedTuple):
    cause: str
    open: bool


@pytest.fixture
def conn(registered: Registered) -> Iterator[Connection]:
    with connect(registered.worker, name="test") as opened:
        yield opened


def alarms(conn: Connection) -> list[Alarm]:
    return [
        Alarm(*row)
        for row in conn.execute(
            "select cause, cleared_at is null from alert where rule = 'operation' order by alert_id"
        )
    ]


def age_conditions(registered: Registered) -> None:
    """What is wrong has been so for an hour."""
    with connect(registered.owner, name="test") as owner:
        owner.execute("update operation_condition set since = since - interval '1 hour'")


def worker_row(conn: Connection, registered: Registered, **values: Any) -> None:
    row = {"worker_id": "0", "heartbeat_at": START, "obstacle": None, "obstacle_since": None, "drained_at": None}
    row |= values
    conn.execute("delete from ingest_worker where worker_id = %(worker_id)s", row)
    conn.execute(
        """
        insert into ingest_worker (worker_id, municipality_id, heartbeat_at, obstacle, obstacle_since, drained_at)
        values (%(worker_id)s, %(municipality)s, %(heartbeat_at)s, %(obstacle)s, %(obstacle_since)s, %(drained_at)s)
        """,
        {**row, "municipality": registered.municipality_id},
    )
    conn.commit()


def test_a_lost_worker_raises_one_alert_for_the_digital_section_and_its_return_clears_it(
    conn: Connection, registered: Registered, clock: FixedClock
) -> None:
    with connect(registered.owner, name="test") as owner:
        for role in ("digital", "disaster"):
            owner.execute(
                "insert into app_user (municipality_id, login, display_name, role, email, password_hash) "
                "values (%s, %s, 'x', %s, %s, 'x')",
                (registered.municipality_id, role, role, f"{role}@example.org"),
            )
    worker_row(conn, registered, heartbeat_at=START - timedelta(minutes=5))
    Watch(clock, mail=True).look(conn)
    conn.commit()
    assert alarms(conn) == [], "it may be starting just now"
    age_conditions(registered)
    for _ in range(3):  # a restarted watch, or two of them
        Watch(clock, mail=True).look(conn)
        conn.commit()
    assert alarms(conn) == [Alarm("worker_lost:0", True)]
    worker_row(conn, registered, heartbeat_at=START)
    Watch(clock, mail=True).look(conn)
    assert alarms(conn) == [Alarm("worker_lost:0", False)]
    told = conn.execute("select channel, recipient, subject from outbox order by outbox_id").fetchall()
    assert [row[:2] for row in told] == [("log", "digital"), ("mail", "digital@example.org")] * 2
    assert "取り込み 0 が動いていません" in told[0][2]
    assert "取り込み 0 が動いています" in told[2][2]
    announced = conn.execute("select alert_ids from feed where kind = 'alerts'").fetchall()
    assert len(announced) == 2


def test_the_database_refuses_a_second_open_alert_of_a_cause(conn: Connection, registered: Registered) -> None:
    statement = """
        insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time)
        values (%s, 'operation', %s, now(), now())
    """
    conn.execute(statement, (registered.municipality_id, "worker_lost:0"))
    conn.execute(statement, (registered.municipality_id, "worker_lost:1"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(statement, (registered.municipality_id, "worker_lost:0"))


def test_a_drained_worker_is_missed_by_nobody(conn: Connection, registered: Registered, clock: FixedClock) -> None:
    worker_row(conn, registered, heartbeat_at=START - timedelta(days=1), drained_at=START - timedelta(days=1))
    Watch(clock).look(conn)
    assert conn.execute("select count(*) from operation_condition").fetchone() == (0,)


def test_counts_that_do_not_close_are_told_at_once(conn: Connection, registered: Registered, clock: FixedClock) -> None:
    tallies = Tallies()
    tallies[slot(None, START)].delivered = 1
    write_tallies(conn, registered.municipality_id, tallies)
    watch = Watch(clock)
    watch.look(conn)
    assert alarms(conn) == [Alarm("counts_open", True)]
    tallies = Tallies()
    tallies[slot(None, START)].duplicate = 1
    write_tallies(conn, registered.municipality_id, tallies)
    watch.look(conn, counts=True)
    assert alarms(conn) == [Alarm("counts_open", False)]


def test_what_lags_fails_or_grows_old_is_seen_in_the_tables(
    conn: Connection, registered: Registered, clock: FixedClock, tmp_path: Path
) -> None:
    with connect(registered.owner, name="test") as owner:
        owner.execute(
            """
            insert into feed (municipality_id, kind, appended_at)
            select municipality_id, 'observations', now() - i * interval '1 hour'
            from municipality, generate_series(2, 1, -1) i
            """
        )
        owner.execute("insert into feed_cursor values ('late', 0), ('current', (select max(feed_id) from feed))")
        owner.execute(
            "insert into backup_run (kind, began_at, ended_at, succeeded) values ('backup', %(at)s, %(at)s, true)",
            {"at": real_now() - timedelta(days=4)},
        )
        owner.execute(
            """
            with raised as (
                insert into alert (municipality_id, rule, cause, raised_at, phenomenon_time)
                select municipality_id, 'operation', 'disk_full', now(), now() from municipality returning *
            ), told as (
                insert into alert_history (municipality_id, alert_id, at, event)
                select municipality_id, alert_id, now(), 'raised' from raised returning *
            )
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, attempts,
                                last_error, next_attempt_at)
            select municipality_id, alert_history_id, 'mail', 'x', 'x', 'x', %s, 'refused', now() from told
            """,
            (FAILED_ATTEMPTS,),
        )
    Watch(clock, folder=tmp_path).look(conn)
    conn.commit()
    age_conditions(registered)
    Watch(clock, folder=tmp_path).look(conn)
    found = {each.cause for each in alarms(conn) if each.open}
    assert found - {"disk_full"} == {"consumer_behind:late", "outbox_failing", "backup_old"}


def test_a_person_cannot_clear_what_lasts(conn: Connection, registered: Registered, clock: FixedClock) -> None:
    tallies = Tallies()
    tallies[slot(None, START)].delivered = 1
    write_tallies(conn, registered.municipality_id, tallies)
    Watch(clock).look(conn)
    conn.commit()
    with connect(registered.owner, name="test") as owner:
        user = owner.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'd', 'D', 'digital', 'x') returning user_id",
            (registered.municipality_id,),
        ).fetchone()
        alert = owner.execute("select alert_id from alert").fetchone()
    assert user is not None
    assert alert is not None
    with connect(registered.api, name="test") as api:
        api.execute("select set_config('mimamori.municipality_id', %s, false)", (str(registered.municipality_id),))
        api.commit()
        actions.acknowledge(api, registered.municipality_id, alert[0], user[0], START)
        with pytest.raises(StillWrong):
            actions.clear(api, registered.municipality_id, alert[0], user[0], START, "I do not like it")
        api.commit()
        conn.execute("update delivery_count set duplicate = 1")
        Watch(clock).look(conn)
        conn.commit()
        with pytest.raises(AlreadyCleared):
            actions.clear(api, registered.municipality_id, alert[0], user[0], START, "gone")


def test_a_feed_older_than_its_contract_is_an_alert_until_something_new_comes(
    conn: Connection, registered: Registered, clock: FixedClock
) -> None:
    watch = Watch(clock)
    hour = timedelta(hours=1)

    def look(at: datetime, fed: datetime | None = None, seen: datetime | None = None) -> list[Alarm]:
        clock.at = at
        conn.execute("update folder set fed_at = %s", (fed,))
        conn.execute("update folder_watch set seen_at = %s", (seen or at,))
        for _ in range(2):  # noted, then raised
            watch.look(conn, counts=False)
        conn.commit()
        return alarms(conn)

    conn.execute(
        "insert into folder (municipality_id, name, found_at, looked_at, every, every_since) "
        "values (%s, 'kawa', %s, %s, %s, %s), (%s, 'dam', %s, %s, null, null)",
        (registered.municipality_id, START, START, hour, START, registered.municipality_id, START, START),
    )
    conn.execute("insert into folder_watch values (%s, %s)", (registered.municipality_id, START))
    # before the first file the contract counts from when it was made; a folder without one is never late
    assert look(START + hour) == []
    assert look(START + hour + SECOND) == [Alarm("folder_late:kawa", True)]
    assert look(START + 2 * hour, fed=START + 2 * hour) == [Alarm("folder_late:kawa", False)]
    assert look(START + 3 * hour, fed=START + 2 * hour) == [Alarm("folder_late:kawa", False)]
    # the process is gone: nobody knows whether something has come
    later = START + 5 * hour
    assert look(later, fed=START + 2 * hour, seen=later - 2 * FOLDERS) == [Alarm("folder_late:kawa", False)]
    notices = conn.execute("select body from outbox order by outbox_id").fetchall()
    assert any("取込停止" in body and "0 でも、異常なしでもありません" in body for (body,) in notices)
