"""TimescaleDB and plain PostgreSQL give the same answers on the same history: late, twice, corrected, compressed.

Runs where MIMAMORI_TEST_TIMESCALE_DSN names a server with TimescaleDB.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest

from devices.model import Quality
from store import chunks, connect
from store.batch import ObservationRow
from store.correct import Correction, Operation, correct
from store.writer import write_history
from tests.analytics.series import Analyst, Value
from tests.conftest import START, TOWN, copied, knowing_the_town

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAYS = 90  # several chunks of TimescaleDB and several partitions
NOW = START + (DAYS + 40) * DAY
ANSWERS = {
    "observation": "select datastream_id, phenomenon_time, value, quality::text, reason, uplink_id from observation",
    "revision": "select datastream_id, phenomenon_time, value, quality::text, reason, uplink_id, revised_at "
    "from observation_revision",
    "hour": "select datastream_id, hour, n, expected, minimum, maximum, mean, total, worst_quality::text, reliability "
    "from rollup_hour",
    "day": "select datastream_id, day, n, expected, minimum, maximum, mean, total, worst_quality::text, reliability "
    "from rollup_day",
    "night": "select datastream_id, day, minimum, minimum_from, completeness from night_flow",
    "latest": "select datastream_id, phenomenon_time, value, measured_time, measured_value, first_time "
    "from datastream_latest",
}


@pytest.fixture
def both(templates: dict[str, tuple[str, str, str]]) -> Iterator[dict[str, Analyst]]:
    """The demo town on each engine, with the same ids."""
    if len(templates) < 2:
        pytest.skip("needs both engines: MIMAMORI_TEST_TIMESCALE_DSN is not set")
    with ExitStack() as stack:
        found = {}
        for engine, addresses in templates.items():
            registered = knowing_the_town(stack.enter_context(copied(TOWN, engine, addresses)))
            with connect(registered.owner, name="test") as conn:
                conn.execute(
                    "insert into app_user (municipality_id, login, display_name, role, password_hash) "
                    "values (%s, 'sato', '佐藤', 'digital', 'x')",
                    (registered.municipality_id,),
                )
            found[engine] = Analyst(registered)
        yield found


def live(analyst: Analyst, seed: int) -> dict[str, int]:
    """A random history; the same for the same seed. Returns how often each thing happened."""
    chance = random.Random(seed)
    town = analyst.town
    ids = [
        town.datastream("river-mimamoribashi", "water_level"),
        town.datastream("spot-asaichi", "passages_in"),
        next(
            i
            for i, d in sorted(town.directory.datastreams.items())
            if d.observed_property == "flow" and town.directory.datastreams[i].station_code.startswith("block")
        ),
    ]
    happened = dict.fromkeys(("send", "history", "correct", "work", "compress", "compressed"), 0)

    def when() -> datetime:
        return START + chance.randrange(DAYS) * DAY + chance.randrange(0, 1440, 10) * MINUTE

    def value() -> Value:
        drawn = chance.randrange(640) / 64  # sums are exact, whatever the order
        return chance.choice([drawn, drawn, drawn, None, (drawn, Quality.BAD), (drawn, Quality.DOUBTFUL)])

    for ds in ids:  # whole nights, so that there is something to work out
        readings: list[tuple[datetime, Value]] = [
            (START + d * DAY + n * 10 * MINUTE, chance.randrange(640) / 64)
            for d in range(0, DAYS, 9)
            for n in range(144)
        ]
        analyst.send(ds, readings)
    analyst.work()
    for _ in range(120):
        action = chance.choice(["send"] * 6 + ["history", "correct", "work", "compress"])
        happened[action] += 1
        ds, start = chance.choice(ids), when()
        if action == "send":
            analyst.send(ds, [(start + n * 10 * MINUTE, value()) for n in range(chance.choice([1, 3, 60]))])
        elif action == "history":
            said = [
                ObservationRow(ds, start + n * 10 * MINUTE, chance.randrange(640) / 64, Quality.GOOD, None)
                for n in range(chance.choice([1, 30]))
            ]
            with connect(town.worker, name="test") as conn:
                write_history(conn, town.municipality_id, said, stated=NOW)
        elif action == "correct":
            operation = chance.choice([Operation.SHIFT, Operation.SCALE, Operation.MISSING, Operation.CONFIRM])
            amount = {Operation.SHIFT: 0.5, Operation.SCALE: 2.0}.get(operation)
            asked = Correction(operation, (ds,), start, start + chance.randrange(20) * DAY, "点検", 1, amount=amount)
            with connect(town.worker, name="test") as conn:
                correct(conn, town.municipality_id, asked, stated=NOW, paces={}, again=True)
        elif action == "work":
            analyst.work()
        else:
            ended_before = START + chance.choice([30, 60, 150]) * DAY
            with connect(town.worker, name="test") as conn:
                while chunks.compress(conn, ended_before) is not None:
                    conn.commit()
                    happened["compressed"] += 1
    analyst.work()
    return happened


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_history_gives_the_same_answers(both: dict[str, Analyst], seed: int) -> None:
    plain, timescale = both["postgresql"], both["timescaledb"]
    happened = live(timescale, seed)
    assert happened["compressed"] > 3, "chunks were compressed, and compressed again after late values"
    assert live(plain, seed) == happened | {"compressed": 0}
    for name, query in ANSWERS.items():
        columns = range(1, query.count(",", 0, query.index(" from ")) + 2)
        ordered = f"{query} order by {', '.join(map(str, columns))}"
        found = timescale.rows(ordered)
        assert found, name
        assert found == plain.rows(ordered), name
