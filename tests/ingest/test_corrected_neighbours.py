"""After a correction every verdict follows from the values as they stand now, also on those behind corrected ones."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from devices.model import Quality, Reason
from ingest.again import judge_again
from ingest.gate import judged, rules_of
from quality.gate import judge
from store import chunks, connect
from store import correct as correcting
from store.batch import ObservationRow
from store.correct import Correction, Operation, correct
from store.writer import write_history
from tests.conftest import START, Registered

STEP = timedelta(minutes=10)
N = 600
NOW = START + 60 * timedelta(days=1)
RULED = {None, Reason.RATE, Reason.STUCK}


def at(n: float) -> datetime:
    return START + n * STEP


@pytest.fixture
def river(registered: Registered) -> int:
    """Levels with steps, spikes, gaps, impossible values and a standstill of two days, judged as they came."""
    ds = registered.datastream("river-mimamoribashi", "water_level")
    chance = random.Random(20260601)
    height = 2.0
    said = []
    for n in range(N):
        height += chance.uniform(-0.1, 0.1) + (chance.random() < 0.03) * chance.choice([-1.5, 1.5])
        height = min(max(height, 0.2), 4.5)
        value = 2.5 if 200 <= n < 400 else height
        if chance.random() < 0.03:
            value = 9.9 if value == 2.5 else chance.choice([9.9, 4.9])  # impossible ones do not end a standstill
        if chance.random() > 0.05:
            said.append(ObservationRow(ds, at(n), round(value, 3), Quality.GOOD, None))
    with connect(registered.worker, name="test") as conn:
        write_history(
            conn, registered.municipality_id, said, stated=NOW, judge=partial(judged, conn, registered.directory)
        )
        conn.commit()
        judge_again(conn, registered.directory)
        if registered.engine == "timescaledb":
            while chunks.compress(conn, NOW) is not None:
                conn.commit()
    return ds


def stored(town: Registered) -> list[tuple[datetime, float | None, str, str | None]]:
    with connect(town.owner, name="test") as conn:
        return conn.execute(
            "select phenomenon_time, value, quality::text, reason from observation order by 1"
        ).fetchall()


def noted(town: Registered) -> list[tuple[datetime, datetime]]:
    with connect(town.owner, name="test") as conn:
        return conn.execute("select first_time, last_time from judge_again order by 1").fetchall()


def wrong(town: Registered, ds: int) -> int:
    """How many verdicts of the gate are not those that the values as they stand now deserve, all judged at once."""
    rows = stored(town)
    values = np.array([np.nan if v is None or q == "bad" else v for _, v, q, _ in rows])
    # Whether a value can be is not asked here: what the gate calls impossible is bad, and a person may say otherwise.
    rules = replace(rules_of(town.directory.datastreams[ds]), low=None, high=None)
    found = judge(rules, np.array([time.timestamp() for time, *_ in rows]), values)
    return sum(
        (quality, reason) != (verdict.quality, verdict.reason)
        for (_, value, quality, reason), verdict in zip(rows, found, strict=True)
        if value is not None and quality != "bad" and reason in RULED
    )


def asked(operation: Operation, ds: int, officer: int, **more: Any) -> Correction:
    return Correction(operation, (ds,), at(150), at(330), "零点高の測り直し", officer, **more)


def _file(ds: int, numbers: Any) -> dict[str, Any]:
    return {"source": "right.csv", "values": tuple((ds, at(n), 0.5 + (n % 3) / 8) for n in numbers)}


@pytest.mark.parametrize(
    ("operation", "numbers", "amount"),
    [
        (Operation.SHIFT, None, 2.5),
        (Operation.SCALE, None, 3.0),
        (Operation.MISSING, None, None),
        (Operation.CONFIRM, None, None),
        (Operation.REPLACE, range(150, 331), None),  # one after the other
        (Operation.REPLACE, range(150, 331, 2), None),  # every other one
        (Operation.REPLACE, [n + 0.5 for n in range(150, 331)], None),  # new ones between those that stand
        (Operation.REPLACE, [*range(150, 160), 165, 250, 330], None),
    ],
)
def test_the_verdicts_behind_corrected_values_are_worked_out_again(
    registered: Registered,
    river: int,
    monkeypatch: pytest.MonkeyPatch,
    operation: Operation,
    numbers: Any,
    amount: float | None,
) -> None:
    monkeypatch.setattr(correcting, "STEP", 50)
    officer = account(registered)
    assert wrong(registered, river) == 0 and noted(registered) == []
    more = {"amount": amount} if numbers is None else _file(river, numbers)
    with connect(registered.worker, name="test") as conn:
        correct(
            conn, registered.municipality_id, asked(operation, river, officer, **more), stated=NOW, paces={river: STEP}
        )
        assert wrong(registered, river) > 0, "nothing was to be judged again"
        before = {row[0]: row for row in stored(registered) if row[3] in ("corrected", "confirmed")}
        assert judge_again(conn, registered.directory) > 0
    assert wrong(registered, river) == 0 and noted(registered) == []
    assert before == {row[0]: row for row in stored(registered) if row[0] in before}, "what a person said stands"


def test_a_long_correction_asks_for_its_ends_only(registered: Registered, river: int) -> None:
    officer = account(registered)
    with connect(registered.worker, name="test") as conn:
        for correction in (
            asked(Operation.SHIFT, river, officer, amount=0.25),
            asked(Operation.REPLACE, river, officer, **_file(river, range(150, 331))),
        ):
            correct(conn, registered.municipality_id, correction, stated=NOW, paces={river: STEP})
            last = max(row[0] for row in stored(registered) if row[3] == "corrected")
            assert noted(registered) == [(last, last)]
            judge_again(conn, registered.directory)


def account(town: Registered) -> int:
    with connect(town.owner, name="test") as conn:
        found = conn.execute(
            """
            insert into app_user (municipality_id, login, display_name, role, password_hash)
            values (%s, 'sato', '佐藤', 'digital', 'x') returning user_id
            """,
            (town.municipality_id,),
        ).fetchone()
        assert found is not None
        return int(found[0])
