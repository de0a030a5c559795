"""Leaks of a block that has nothing but its inlets, live: ten months of made-up hours on a real database."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerts.evaluator import Evaluator
from alerts.shards import NAME as ALERTS
from analytics.findings import announce
from analytics.leaks.blocks import rises
from analytics.leaks.blocks import rises_stored as stored
from analytics.leaks.blocks.inlets import Inlet, beside, inlets
from analytics.leaks.blocks.rises import tell, turn
from analytics.leaks.blocks.together import Fed, Kept, Meter, fed
from analytics.leaks.cases import stored as cases
from analytics.leaks.loggers import places
from analytics.leaks.loggers.places import Placed
from analytics.leaks.network import stored as networks
from analytics.leaks.network.files import read_network
from analytics.leaks.network.inp import parse
from devices.clock import FixedClock
from store import connect
from store.feed import Consumer
from tests.analytics.series import Analyst

ZONE = ZoneInfo("Asia/Tokyo")
INLET, TANK = ("block-hamamachi", "flow"), ("tank-takadai", "tank_level")
FIRST = date(2025, 12, 1)
COLD = (date(2026, 2, 16), date(2026, 2, 21))
LEAK, SIZE = date(2026, 6, 10), 7.0
FILLED, TAKEN, AREA = (date(2026, 5, 20), date(2026, 5, 25)), 9.0, 500.0  # m3/h into the tank behind the inlet, m2
LAST = date(2026, 9, 30)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE)


def inflow() -> np.ndarray:
    """m3/h by the hour: a curve of the day that differs at weekends, grows with the season and scatters; taps left
    running in a cold week, guests in GW, five days that fill a tank, and from noon of a day in June a leak."""
    dice = np.random.default_rng(7)
    days = (LAST - FIRST).days + 1
    at = np.arange(days * 24) / 24
    day = (at // 1).astype(int)
    hour = at % 1
    weekend = (FIRST.weekday() + day) % 7 >= 5
    curve = 1 + 0.6 * np.sin(2 * np.pi * (hour - 0.3)) + 0.15 * weekend * np.sin(4 * np.pi * hour)
    flow = 60 * curve * (1 + 0.0005 * day) * dice.normal(1, 0.04, len(at)) + 15
    flow[((at >= on(COLD[0]) - 0.25) & (at < on(COLD[1]) + 0.375)) & ((hour < 0.375) | (hour > 0.75))] += 14
    flow[(at >= on(date(2026, 4, 29))) & (at < on(date(2026, 5, 7)))] += 12
    flow[(at >= on(FILLED[0])) & (at < on(FILLED[1]))] += TAKEN
    flow[at >= on(LEAK) + 0.5] += SIZE
    return flow


def on(day: date) -> int:
    return (day - FIRST).days


@pytest.fixture
def town(analyst: Analyst) -> Analyst:
    """The block with its hours from December on, the tank that it fills, and a thermometer."""
    number = analyst.town.municipality_id
    flow, level = (analyst.town.datastream(*each) for each in (INLET, TANK))
    analyst.execute(
        "insert into block_use (station_id, municipality_id, litres, known_m3h, fills, note, changed_at) "
        "select b.station_id, b.municipality_id, 1.7, 0, t.station_id, '', now() from station b, station t "
        "where b.code = %s and t.code = %s",
        INLET[0],
        TANK[0],
    )
    analyst.execute("update service_tank set area_m2 = %s", AREA)
    (air,) = analyst.rows(
        "insert into datastream (municipality_id, station_id, observed_property, unit, step, statistic) "
        "select municipality_id, station_id, 'air_temperature', 'Cel', '10 minutes', 'instant' from station "
        "where code = 'rain-yakuba' returning datastream_id"
    )[0]
    values = inflow()
    with (
        connect(analyst.town.owner, name="test") as conn,
        conn.cursor().copy(
            "copy rollup_hour (municipality_id, datastream_id, hour, n, expected, minimum, maximum, mean, "
            "worst_quality) from stdin"
        ) as rows,
    ):
        for at, value in enumerate(values):
            hour = midnight(FIRST) + timedelta(hours=at)
            rows.write_row((number, flow, hour, 6, 6.0, value, value, float(value), "good"))
            cold = COLD[0] <= hour.date() <= COLD[1] or hour.date() == COLD[0] - timedelta(days=1)
            low = -6.0 if cold and not 9 <= hour.hour < 18 else 8.0
            rows.write_row((number, air, hour, 6, 6.0, low, low, low, "good"))
            filled = 1.0 + TAKEN / AREA * 24 * min(max(at / 24 - on(FILLED[0]), 0), on(FILLED[1]) - on(FILLED[0]))
            rows.write_row((number, level, hour, 6, 6.0, filled, filled, filled, "good"))
    return analyst


def look(town: Analyst, day: date, kept: Kept | None = None) -> None:
    """The morning after a day, by whose end its readings are there."""
    now = midnight(day + timedelta(days=1)) + timedelta(hours=7)
    for of, value in ((INLET, 60.0), (TANK, 2.0)):
        town.send(town.town.datastream(*of), [(now - timedelta(minutes=30), value)])
    with connect(town.town.worker, name="test", autocommit=True) as conn:
        turn(conn, now.astimezone(UTC), threading.Event(), kept or Kept())


def alerts(town: Analyst, day: date) -> list[str]:
    """The rules of all alerts, once the evaluator has been told everything."""
    clock = FixedClock((midnight(day + timedelta(days=1)) + timedelta(hours=8)).astimezone(UTC))
    with connect(town.town.worker, name="test") as conn:
        Consumer(town.town.worker, ALERTS).drain(conn, Evaluator(clock).handle)
    return [rule for (rule,) in town.rows("select rule from alert where rule <> 'silence' order by alert_id")]


def nights(town: Analyst, until: date, above: date = LEAK + timedelta(days=1)) -> None:
    """Night minima of which those from `above` on are far above the usual ones, and the rules' turn."""
    town.execute(
        """
        insert into night_flow (municipality_id, datastream_id, day, minimum, minimum_from, completeness)
        select d.municipality_id, d.datastream_id, day, 30 + extract(day from day)::integer %% 3 * 0.2
               + case when day >= %s then %s else 0 end, day, 1
        from datastream d, generate_series(%s::date, %s::date, '1 day') day
        where d.datastream_id = %s on conflict do nothing
        """,
        above, SIZE, above - timedelta(days=40), until, town.town.datastream(*INLET),
    )  # fmt: skip
    town.work()


def findings(town: Analyst) -> list[tuple[object, ...]]:
    return town.rows("select kind, ended_at is null from finding order by finding_id")


def test_a_leak_is_told_once_with_its_beginning_and_size_and_ends_with_its_repair(town: Analyst) -> None:
    look(town, LEAK - timedelta(days=1))
    assert town.rows("select why from inflow_watch") == [(None,)]
    assert town.rows("select * from inflow_rise") == [], "neither frost nor the guests of GW nor the tank"
    for day in range(7):
        look(town, LEAK + timedelta(days=day))
    nights(town, LEAK + timedelta(days=7))
    ((start, first, last, low, high, told),) = town.rows(
        "select start, began_first, began_last, size_low, size_high, told_on from inflow_rise"
    )
    assert first <= LEAK <= last + timedelta(days=1) and first <= start <= last
    assert low <= SIZE <= high and high - low < SIZE / 2
    assert told <= LEAK + timedelta(days=3)
    assert findings(town) == [("inflow_rise", True)], "the nights have seen the same, and are silent"
    assert alerts(town, LEAK + timedelta(days=6)) == ["inflow_rise"]

    user = town.rows("select user_id from app_user where role = 'water'")
    number, finding = town.rows("select municipality_id, finding_id from finding")[0]
    with connect(town.town.owner, name="test") as office:
        if not user:
            user = office.execute(
                "insert into app_user (municipality_id, login, display_name, role, password_hash) "
                "values (%s, 'waterworks', '水道', 'water', '') returning user_id",
                (number,),
            ).fetchall()
        who, at = user[0][0], midnight(LEAK + timedelta(days=7))
        cases.open_case(office, number, cases.NewCase("浜町", finding_id=finding), now=at, user_id=who)
        for step in (cases.NewStep("found", at, what="joint"), cases.NewStep("repaired", at)):
            (case,) = cases.cases(office, number)
            cases.take(office, number, case, step, now=at, user_id=who)
    look(town, LEAK + timedelta(days=7))
    town.work()
    assert findings(town) == [("inflow_rise", False)], "the nights are given time to fall"
    assert town.rows("select why from inflow_rise") == [("repaired",)]
    nights(town, LEAK + timedelta(days=12))
    look(town, LEAK + timedelta(days=12))
    town.work()
    assert findings(town)[1:] == [("night_flow", True)], "it flows on, whatever was repaired"


def test_what_the_nights_have_told_of_is_kept_with_their_finding(town: Analyst) -> None:
    nights(town, LEAK + timedelta(days=3))
    town.send(town.town.datastream(*INLET), [(midnight(LEAK + timedelta(days=3)), 60.0)])
    town.work()
    assert findings(town) == [("night_flow", True)]
    look(town, LEAK + timedelta(days=3))
    assert findings(town) == [("night_flow", True)]
    assert town.rows("select f.kind from inflow_rise join finding f using (finding_id)") == [("night_flow",)]
    # Where the nights know nothing, the same rise speaks for itself.
    town.execute("update finding set ended_at = started_at")
    town.execute("update inflow_rise set finding_id = null")
    look(town, LEAK + timedelta(days=4))
    assert findings(town)[1:] == [("inflow_rise", True)]

    # A second one on top of it stands in its place until it is over, and says that the first still flows.
    later = LEAK + timedelta(days=5)
    with connect(town.town.worker, name="test") as conn:
        now = (midnight(later) + timedelta(hours=8)).astimezone(UTC)
        (inlet,) = (each for each in inlets(conn, now, {}) if each.series == town.town.datastream(*INLET))
        stored.add(conn, inlet, stored.Told(later, later, (later, later), False, 5.0, (4.0, 6.0), 0.9))
        announce(conn, tell(conn, inlet, now))
        conn.commit()
        shown = (
            "select ended_at is null, value, (detail->>'beside')::float from finding where kind = 'inflow_rise' "
            "order by ended_at is null, value"
        )
        ((_, first, none), (_, second, beside)) = town.rows(shown)
        assert (second, none) == (5.0, 0.0) and beside == pytest.approx(first, abs=0.1)
        conn.execute("update inflow_rise set ended_on = start, why = 'gone' where size = 5")
        announce(conn, tell(conn, inlet, now))
    assert [(flows, value) for flows, value, _ in town.rows(shown)] == [(False, second), (False, first), (True, first)]
    # The loggers say where: what they tell of is theirs.
    town.execute(
        "insert into finding (municipality_id, station_id, datastream_id, kind, started_at, value, score, "
        "rule_version, detail) values (%s, %s, %s, 'leak_suspect', %s, 7, 1, 'x', "
        "jsonb_build_object('until', '2026-06-12T00:00:00Z'::text))",
        inlet.municipality_id,
        inlet.station_id,
        inlet.series,
        midnight(LEAK),
    )
    look(town, later)
    assert not any(flows for flows, *_ in town.rows(shown))
    told = town.rows("select f.kind from inflow_rise r join finding f using (finding_id) where r.ended_on is null")
    assert told == [("leak_suspect",)]


TURNED, MOVED = date(2026, 5, 14), 9.0  # what the second inlet takes over from the first
STREETS = """
[JUNCTIONS]
a 0 1
b 0 1
c 0 1
d 0 1
[RESERVOIRS]
r 60
s 60
[PIPES]
one r a 20 300 120
street a b 400 200 120
two b s 20 300 120
door b c 20 100 120
lane c d 300 100 120
[OPTIONS]
Units CMH
"""


@pytest.fixture
def second(town: Analyst) -> int:
    """A second inlet, its series: it gives four tenths of what is used, from `TURNED` on `MOVED` more, and half of the
    leak."""
    number = town.town.municipality_id
    (series,) = town.rows(
        """
        with made as (insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
                      values (%s, 'block-minami', 'block_inlet', '浜町南', 'Hamamachi South', 35, 135)
                      returning station_id, municipality_id)
        insert into datastream (municipality_id, station_id, observed_property, unit, step, statistic)
        select municipality_id, station_id, 'flow', 'm3/h', '10 minutes', 'instant' from made returning datastream_id
        """,
        number,
    )[0]
    gives = "(0.4 * mean" + 3 * " + case when hour >= %s and hour < %s then %s else 0 end" + ")"
    filled, end = (midnight(each) for each in FILLED), midnight(LAST)
    leaks = midnight(LEAK) + timedelta(hours=12)
    when = (*filled, -0.4 * TAKEN, midnight(TURNED), end, MOVED, leaks, end, 0.1 * SIZE)
    town.execute(
        f"insert into rollup_hour (municipality_id, datastream_id, hour, n, expected, minimum, maximum, mean, "
        f"worst_quality) select municipality_id, %s, hour, n, expected, {gives}, {gives}, {gives}, worst_quality "
        "from rollup_hour where datastream_id = %s",
        series, *when, *when, *when, town.town.datastream(*INLET),
    )  # fmt: skip
    town.execute(
        "update rollup_hour r set mean = r.mean - o.mean from rollup_hour o "
        "where r.hour = o.hour and r.datastream_id = %s and o.datastream_id = %s",
        town.town.datastream(*INLET),
        series,
    )
    # Always on time: how old what came last is decides nothing here.
    town.send(series, [(midnight(LAST), 30.0)])
    return series


def test_of_two_inlets_what_one_takes_over_is_no_leak_and_a_leak_is_told_once_with_its_whole_size(
    town: Analyst, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rises, "HISTORY", 75)  # that shows as much, in half the time
    number, shown = town.town.municipality_id, "select s.code, f.value from finding f join station s using (station_id)"
    look(town, TURNED + timedelta(days=6))
    ((at, moved),) = town.rows(f"{shown} where f.ended_at is null")
    assert at == "block-minami" and moved == pytest.approx(MOVED, abs=2), "by itself it is a leak of that size"

    with connect(town.town.owner, name="test") as conn:
        (user,) = conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'pipes', '水道', 'water', '') returning user_id",
            (number,),
        ).fetchone()
        found = read_network({"streets.inp": STREETS.encode()})
        version = networks.keep_draft(conn, number, found, ["streets.inp"], now=midnight(TURNED), user_id=user)
        networks.take_over(conn, number, version, now=midnight(TURNED), user_id=user)
        stations = dict(conn.execute("select code, station_id from station").fetchall())
        for code, element in ((INLET[0], "one"), ("block-minami", "two")):
            places.put(conn, number, stations[code], element, False, now=midnight(TURNED), user_id=user)
    kept = Kept()
    look(town, TURNED + timedelta(days=7), kept)
    assert findings(town) == [("inflow_rise", False)]
    assert town.rows("select distinct why from inflow_rise where ended_on is not null") == [("inlets",)]
    look(town, LEAK - timedelta(days=1), kept)
    for day in range(7):
        look(town, LEAK + timedelta(days=day), kept)
    flows = town.rows("select datastream_id, size_low, size_high, start from inflow_rise where ended_on is null")
    ((series, low, high, start),) = flows
    assert low <= SIZE <= high and low > SIZE / 2, "half of it flows through either"
    assert abs(start - LEAK) <= timedelta(days=1)
    ((at, size),) = town.rows(f"{shown} where f.ended_at is null")
    assert (at, series) == (INLET[0], town.town.datastream(*INLET)) and low < size < high
    assert town.rows("select why from inflow_watch where datastream_id = %s", second) == [("together",)]
    with connect(town.town.worker, name="test") as conn:
        for each in (series, second):
            assert [(one.code, one.lets_in, one.stands) for one in beside(conn, each)] == [
                (INLET[0], True, True),
                ("block-minami", True, False),
            ]
        assert stored.tells_of(conn, second, LEAK, LEAK + timedelta(days=6)), "its nights are silent, too"

    # Nobody has said any more where the second one is: each is judged by itself again. What somebody works on stays.
    ((finding,),) = town.rows("select finding_id from finding where ended_at is null")
    with connect(town.town.owner, name="test") as conn:
        now = midnight(LEAK + timedelta(days=7))
        cases.open_case(conn, number, cases.NewCase("浜町", finding_id=finding), now=now, user_id=user)
    town.execute("delete from logger_place where station_id = %s", stations["block-minami"])
    look(town, LEAK + timedelta(days=7), kept)
    flows = "select datastream_id, start, finding_id = %s, size from inflow_rise where ended_on is null order by 1, 2"
    (whole, moved, half) = town.rows(flows, finding)
    assert whole[:3] == (series, LEAK, True)
    assert [each[0] for each in (moved, half)] == [second, second] and half[1] == LEAK and half[3] < 0.7 * SIZE
    assert abs(moved[1] - TURNED) <= timedelta(days=1), "what it told before it was judged with the other is told anew"


def test_what_somebody_works_on_goes_over_to_the_inlet_that_stands_for_the_block(town: Analyst, second: int) -> None:
    number, first, at = town.town.municipality_id, town.town.datastream(*INLET), midnight(LEAK)
    stations = dict(town.rows("select datastream_id, station_id from datastream"))
    alone, here = (Inlet(each, number, stations[each], ZONE, at, None) for each in (second, first))
    block = Inlet(first, number, stations[first], ZONE, at, None, lets_in=(second,), with_it=(stations[second],))
    (user,) = town.rows(
        "insert into app_user (municipality_id, login, display_name, role, password_hash) "
        "values (%s, 'digs', '水道', 'water', '') returning user_id",
        number,
    )[0]
    with connect(town.town.owner, name="test") as conn:
        for inlet, size in ((alone, 5.0), (here, 4.0)):
            stored.add(conn, inlet, stored.Told(LEAK, LEAK, (LEAK, LEAK), False, size, (size - 1, size + 1), 0.9))
            tell(conn, inlet, at)
        (finding,) = conn.execute("select finding_id from finding where value = 5").fetchone()
        cases.open_case(conn, number, cases.NewCase("浜町", finding_id=finding), now=at, user_id=user)
        assert len(rises.regroup(conn, block, LEAK, at)) == 2, "the findings of either are over"
        assert conn.execute("select count(*) from finding where ended_at is null").fetchone() == (0,)
        kept = [(each.size, each.why) for each in stored.told(conn, first)]
        assert sorted(kept) == [(4.0, "inlets"), (5.0, None)] and stored.told(conn, second) == []
        assert rises.regroup(conn, block, LEAK, at) == [], "the meters are the same"
        for step in (cases.NewStep("found", at, what="joint"), cases.NewStep("repaired", at)):
            (case,) = cases.cases(conn, number)
            cases.take(conn, number, case, step, now=at, user_id=user)
        assert first in stored.in_cases(conn)
        rises.settle(conn, block, at)
        assert ("repaired",) in conn.execute("select why from inflow_rise").fetchall()


def test_the_nights_of_inlets_that_feed_one_block_are_added_up_where_all_are_known(town: Analyst, second: int) -> None:
    number, first = town.town.municipality_id, town.town.datastream(*INLET)
    town.execute(
        "insert into inflow_watch (datastream_id, municipality_id, day, worked_at, lets_in) values (%s, %s, %s, now(), "
        "array[%s])",
        first, number, LEAK, second,
    )  # fmt: skip
    town.execute(
        "insert into night_flow (municipality_id, datastream_id, day, minimum, completeness) "
        "select %s, %s, day, case when day > %s then %s else 20 end, 1 "
        "from generate_series(%s::date, %s::date, '1 day') day",
        number, second, LEAK, 20 - SIZE, LEAK - timedelta(days=40), LEAK + timedelta(days=4),
    )  # fmt: skip
    town.send(town.town.datastream(*INLET), [(midnight(LEAK + timedelta(days=5)), 60.0)])
    nights(town, LEAK + timedelta(days=4))
    assert findings(town) == [], "one took over from the other"
    for minimum, found in ((None, []), (20, [(first, 2)])):
        town.execute("update night_flow set minimum = %s where datastream_id = %s and day > %s", minimum, second, LEAK)
        town.send(second, [(midnight(LAST) + timedelta(hours=minimum or 10), 30.0)])
        town.work()
        told = town.rows("select datastream_id, (detail->>'meters')::integer from finding")
        assert told == found, "its own reading has the block judged"
    ((value, usual),) = town.rows("select value, usual from finding")
    assert usual == pytest.approx(50, abs=0.5) and value == pytest.approx(50 + SIZE, abs=0.5)
    # A pump has no nights: then the inlet is judged by its own.
    town.execute("update station set kind = 'pump' where code = 'block-minami'")
    town.send(first, [(midnight(LEAK + timedelta(days=5)) + timedelta(minutes=10), 60.0)])
    town.work()
    told = "select usual, (detail->>'meters')::integer from finding where ended_at is null"
    assert town.rows(told) == [(pytest.approx(30, abs=0.5), None)]


def test_what_a_block_uses_is_what_its_meters_let_in_less_what_they_let_out() -> None:
    def meter(number: int, element: str, **said: object) -> Placed:
        whole = {"tank_m2": None, "element": element, "reversed": False, "faulty_until": None, "series": {"flow": -1}}
        whole |= {"series": {"flow": 10 * number}} | said
        return Placed(number, str(number), "", "", 135.0, 35.0, **whole)

    network = parse(STREETS, "streets.inp")
    one, two, door = meter(1, "one"), meter(2, "two"), meter(3, "door")
    assert fed(network, [one]) == () and fed(network, [one, meter(3, "door")]) == (), "a source is within"
    found = fed(network, [one, two, door])
    assert found == (Fed((Meter(1, 10), Meter(2, 20)), (Meter(3, 30),), ()),)
    drawn = parse(STREETS.replace("[RESERVOIRS]\nr 60\ns 60\n", "r 0 1\ns 0 1\n"), "streets.inp")
    assert fed(drawn, [one, two, door]) == found, "of a map its ends are the sources, and the door is between blocks"
    (block,) = fed(network, [one, two, meter(3, "door", reversed=True)])
    assert len(block.lets_in) == 3, "what a meter counts is let in, whatever the map lets expect"
    inlet = Inlet(10, 1, 1, ZONE, midnight(LAST), None, lets_in=(20,), lets_out=(30,))
    assert inlet.meters == {10: 1, 20: 1, 30: -1}
    tank = STREETS.replace("[RESERVOIRS]", "[TANKS]\nt 0 1 0 3 20\n[RESERVOIRS]").replace(
        "[OPTIONS]", "[PIPES]\nup t a 10 100 120\n[OPTIONS]"
    )
    ((level, area),) = fed(parse(tank, "streets.inp"), [one, two])[0].tanks
    assert level is None and area == pytest.approx(np.pi * 100)
    gauge = meter(4, "t", series={"tank_level": 40})
    assert fed(parse(tank, "streets.inp"), [one, two, gauge])[0].tanks == ((40, area),)


def test_nights_of_frost_begin_nothing_for_the_night_flow(town: Analyst) -> None:
    town.send(town.town.datastream(*INLET), [(midnight(COLD[1]) + timedelta(hours=6), 60.0)])
    nights(town, COLD[1], above=COLD[0])
    assert findings(town) == []
    town.execute("delete from rollup_hour where mean < 0")
    town.send(town.town.datastream(*INLET), [(midnight(COLD[1]) + timedelta(hours=7), 60.0)])
    town.work()
    assert findings(town) == [("night_flow", True)], "nobody measured how cold it was"
