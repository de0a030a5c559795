"""A town's loggers by night on a real database: hours of two months on an invented network, and what people found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerts.evaluator import Evaluator
from alerts.shards import NAME as ALERTS
from analytics.findings import announce
from analytics.leaks.cases import stored as cases
from analytics.leaks.loggers import places, stored
from analytics.leaks.loggers.lively import Watched
from analytics.leaks.loggers.lively import look as look_at_once
from analytics.leaks.loggers.nightly import Kept, due, night
from analytics.leaks.network import stored as networks
from analytics.leaks.network.files import read_network
from analytics.leaks.watch import told_by_pressures
from devices.clock import FixedClock
from store import Connection, connect
from store.feed import Consumer
from tests.analytics.leaking import DAYS, DISTANCES, NETWORK, NODES, PIPES, record, text
from tests.analytics.series import Analyst

ZONE = ZoneInfo("Asia/Tokyo")
FIRST = date(2026, 4, 1)
_DAY = np.arange(DAYS)
# A leak that is repaired, and five days later another one 150 m away.
_LEAKS = {
    "e11": np.where((_DAY >= 28) & (_DAY < 36), 6.0, 0.0),
    "e21": np.where(_DAY >= 41, 6.0, 0.0),
}


def midnight(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=ZONE) + timedelta(days=day)


@pytest.fixture
def town(analyst: Analyst) -> Analyst:
    """Twelve loggers and two inlets on the network, with the hours of all days."""
    year = record(_LEAKS)
    hours = {
        **dict(zip(NODES, year.pressures.reshape(-1, 2, len(NODES)).mean(axis=1).T * 9.80665, strict=True)),
        **dict(zip(("in", "in2"), year.flows.reshape(-1, 2, 2).mean(axis=1).T, strict=True)),
    }
    number = analyst.town.municipality_id
    with connect(analyst.town.owner, name="test") as conn:
        user = conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'water', '水道', 'water', '') returning user_id",
            (number,),
        ).fetchone()[0]
        found = read_network({"streets.inp": text().encode()})
        version = networks.keep_draft(conn, number, found, ["streets.inp"], now=midnight(0), user_id=user)
        networks.take_over(conn, number, version, now=midnight(0), user_id=user)
        for element, values in hours.items():
            flow = element.startswith("in")
            station, series = conn.execute(
                """
                with placed as (
                    insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
                    values (%(town)s, %(code)s, %(kind)s, %(code)s, %(code)s, 35, 135) returning station_id
                )
                insert into datastream (municipality_id, station_id, observed_property, unit, step, statistic)
                select %(town)s, station_id, %(property)s, %(unit)s, '1 hour', 'instant' from placed
                returning station_id, datastream_id
                """,
                {
                    "town": number,
                    "code": f"logger-{element}",
                    "kind": "block_inlet" if flow else "pressure_point",
                    "property": "flow" if flow else "pressure",
                    "unit": "m3/h" if flow else "kPa",
                },
            ).fetchone()
            places.put(conn, number, station, element, False, now=midnight(0), user_id=user)
            with conn.cursor().copy(
                "copy rollup_hour (municipality_id, datastream_id, hour, n, expected, minimum, maximum, mean, "
                "worst_quality) from stdin"
            ) as copy:
                for at, value in enumerate(values):
                    hour = midnight(0) + timedelta(hours=at)
                    copy.write_row((number, series, hour, 1, 1.0, value, value, float(value), "good"))
    return analyst


def look(conn: Connection, analyst: Analyst, day: int, kept: Kept) -> None:
    """The night after a day."""
    when = midnight(day + 1) + timedelta(hours=13)
    number = analyst.town.municipality_id
    assert due(conn, number, ZONE, when) == FIRST + timedelta(days=day)
    night(conn, number, ZONE, FIRST + timedelta(days=day), when, kept)
    assert due(conn, number, ZONE, when) is None


def open_findings(analyst: Analyst) -> list[tuple[str, float]]:
    return analyst.rows(
        "select s.code, f.value from finding f join station s using (station_id) "
        "where f.kind = 'leak_suspect' and f.ended_at is null order by f.finding_id"
    )


def test_two_leaks_on_one_street_with_a_repair_between(town: Analyst) -> None:
    number, kept = town.town.municipality_id, Kept()
    with connect(town.town.worker, name="test", autocommit=True) as conn:
        assert due(conn, number, ZONE, midnight(20) + timedelta(hours=5)) == FIRST + timedelta(days=19)
        look(conn, town, 10, kept)
        assert stored.judged(conn, number).why == "days"
        look(conn, town, 27, kept)
        assert open_findings(town) == []
        look(conn, town, 32, kept)
        ((station, size),) = open_findings(town)
        assert size == pytest.approx(6.0, rel=0.5)
        watch = stored.judged(conn, number)
        assert watch.why is None and watch.by_model and (watch.loggers, watch.days) == (len(NODES), 33)
        ((finding, area),) = stored.suspects(conn, number).items()
        assert DISTANCES[area.pipe, PIPES.index("e11")] <= 300 and area.pipe in area.pipes
        assert 0.8 <= sum(area.chances) <= 1
        assert DISTANCES[area.pipe, [PIPES.index(f"e{x}1") for x in range(1, 4)]].min() <= 300 and station

        # The waterworks dig, and repair it in the night after the 35th day.
        user = town.rows("select user_id from app_user where login = 'water'")[0][0]
        with connect(town.town.owner, name="test") as office:
            new = cases.NewCase("e11", "", finding, area.network_id, area.pipes, area.pipe, midnight(28), size)
            cases.open_case(office, number, new, now=midnight(33), user_id=user)
            for kind, at, said in (
                ("found", 34, {"what": "joint", "pipe": "e11", "size_m3h": 6.0}),
                ("repaired", 36, {}),
            ):
                (case,) = cases.cases(office, number)
                step = cases.NewStep(kind, midnight(at), **said)
                cases.take(office, number, case, step, now=midnight(at), user_id=user)
        with conn.transaction():
            announce(conn, stored.end_settled(conn, number, midnight(37)))
        assert open_findings(town) == []
        look(conn, town, 40, kept)
        assert open_findings(town) == []
        look(conn, town, 47, kept)
        assert len(open_findings(town)) == 1, "near the repaired one, and said all the same"
        newest = stored.suspects(conn, number)
        assert len(newest) == 2 and DISTANCES[list(newest.values())[1].pipe, PIPES.index("e21")] <= 300
        look(conn, town, 48, kept)
        assert len(open_findings(town)) == 1, "said once"


def test_a_suspect_raises_one_alert_that_says_how_much_there_is_to_search(town: Analyst) -> None:
    with connect(town.town.worker, name="test", autocommit=True) as conn:
        look(conn, town, 32, Kept())
    # Said by hours that were put there, the series needs a reading: else it is an imported past, which tells nobody.
    series = town.rows("select datastream_id from finding")[0][0]
    now = midnight(33).astimezone(UTC)
    town.send(series, [(now, 60.0)])
    with connect(town.town.worker, name="alerts") as conn:
        Consumer(town.town.worker, ALERTS).drain(conn, Evaluator(FixedClock(now + timedelta(hours=1))).handle)
    assert town.rows("select rule from alert") == [("leak_suspect",)]
    assert "調査範囲：管路 " in town.rows("select body from outbox")[0][0]


_QUARTER = timedelta(minutes=15)
_BURST = np.where(_DAY == 40, 25.0, 0.0)


@pytest.fixture
def lively(town: Analyst) -> Analyst:
    """The same stations as they send every 15 minutes, from the 17th day to the burst at the 40th midnight and its
    repair a day later; the newest readings are sent by `readings`."""
    town.execute(
        "update datastream set step = '15 minutes' where datastream_id in (select datastream_id from rollup_hour)"
    )
    with (
        connect(town.town.owner, name="test") as conn,
        conn.cursor().copy("copy observation (datastream_id, phenomenon_time, value, quality) from stdin") as copy,
    ):
        for series, values in quarters(town).items():
            for at in range(17 * 96, 40 * 96):
                copy.write_row((series, midnight(0) + at * _QUARTER, float(values[at]), "good"))
    return town


def quarters(town: Analyst) -> dict[int, np.ndarray]:
    """By datastream what is measured each quarter of an hour of a record in which a street bursts."""
    year = record({"e11": _BURST})
    values = {
        **dict(zip(NODES, np.repeat(year.pressures, 2, axis=0).T * 9.80665, strict=True)),
        **dict(zip(("in", "in2"), np.repeat(year.flows, 2, axis=0).T, strict=True)),
    }
    found = town.rows(
        "select s.code, d.datastream_id from station s join datastream d using (station_id) "
        "where starts_with(s.code, 'logger-')"
    )
    return {series: values[code.removeprefix("logger-")] for code, series in found}


def send(town: Analyst, first: int, last: int) -> None:
    for series, values in quarters(town).items():
        town.send(series, [(midnight(0) + at * _QUARTER, float(values[at])) for at in range(first, last)])


def test_a_burst_is_told_by_pressures_at_once_and_ends_when_they_are_back(lively: Analyst) -> None:
    number, kept, watched = lively.town.municipality_id, Kept(), Watched()
    with connect(lively.town.worker, name="test", autocommit=True) as conn:
        # Those of the hour before are in the record already, and said once more.
        send(lively, 40 * 96 - 4, 40 * 96)
        assert look_at_once(conn, number, ZONE, kept, watched) == []
        assert watched.learned is not None
        send(lively, 40 * 96, 40 * 96 + 2)
        ((_, finding),) = look_at_once(conn, number, ZONE, kept, watched)
        ((station, size),) = open_findings(lively)
        assert size == pytest.approx(25.0, rel=0.4) and station.startswith("logger-n")
        area = stored.suspects(conn, number)[finding]
        assert DISTANCES[area.pipe, PIPES.index("e11")] <= 300 and area.km > 0
        inlet = lively.rows("select station_id from station where code = 'logger-in2'")[0][0]
        assert told_by_pressures(conn, number, inlet) and not told_by_pressures(conn, number, -1)
        assert look_at_once(conn, number, ZONE, kept, watched) == [], "no reading, nothing to judge"
        send(lively, 40 * 96 + 2, 40 * 96 + 12)
        assert look_at_once(conn, number, ZONE, kept, Watched()) == [], "after a restart it is the same one"
        send(lively, 41 * 96 - 12, 41 * 96 + 6)
        assert look_at_once(conn, number, ZONE, kept, watched) == [(number, finding)]
        assert open_findings(lively) == []
        told, _ = stored.told(conn, number, NETWORK, midnight(0), [])
        assert told.said == (), "what was over by itself does not keep the nights from finding a leak there"


def test_what_the_inflow_has_told_is_not_told_twice(lively: Analyst) -> None:
    number = lively.town.municipality_id
    lively.execute(
        """
        insert into finding (municipality_id, station_id, datastream_id, kind, started_at, value, usual, score,
                             rule_version, detail)
        select s.municipality_id, s.station_id, d.datastream_id, 'burst', %s, 70, 45, 2, 'burst:1', '{}'
        from station s join datastream d using (station_id) where s.code = 'logger-in'
        """,
        midnight(40) + _QUARTER,
    )
    with connect(lively.town.worker, name="test", autocommit=True) as conn:
        send(lively, 40 * 96, 40 * 96 + 2)
        assert look_at_once(conn, number, ZONE, Kept(), Watched()) == []
        assert open_findings(lively) == []
        (area,) = stored.suspects(conn, number).values()
        assert DISTANCES[area.pipe, PIPES.index("e11")] <= 300


def test_what_cannot_be_calculated_is_said_and_ends_nothing(town: Analyst) -> None:
    number = town.town.municipality_id
    # Two pipes of one name: no version that was taken over is so, and nobody knows which is meant.
    town.execute("update pipe_network set hydraulics = replace(hydraulics, 'e11', 'e10')")
    with connect(town.town.worker, name="test", autocommit=True) as conn:
        look(conn, town, 32, Kept())
        assert stored.judged(conn, number).why == "failed"


def test_a_name_that_the_network_does_not_have_is_said() -> None:
    def at(number: int, element: str, series: str) -> places.Placed:
        return places.Placed(number, str(number), "", "", 135.0, 35.0, {series: number}, None, element, False, None)

    placed = [
        at(1, "in", "flow"),
        at(2, "in", "flow"),
        at(3, "n00", "flow"),
        at(4, "e11", "pressure"),
        at(5, "x", "pressure"),
    ]
    found = places.located(NETWORK, placed)
    assert found.link == {1: "in"} and found.problem == {2: "taken", 3: "unknown", 5: "unknown"}
    assert set(found.node) == {4}
