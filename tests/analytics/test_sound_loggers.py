"""Sound loggers on a real database: what a town is told of a noise that stays, and what people said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from alerts.evaluator import Evaluator
from alerts.shards import NAME as ALERTS
from analytics.findings import Finding, open_or_update
from analytics.leaks.cases import stored as cases
from analytics.leaks.loggers import places, sounds, stored
from analytics.leaks.loggers.nightly import listen
from analytics.leaks.network import stored as networks
from analytics.leaks.network.files import read_network
from devices.clock import FixedClock
from store import connect
from store.feed import Consumer
from tests.analytics.leaking import PIPES, text
from tests.analytics.series import Analyst
from tests.analytics.test_leak_sound import EARS, FIRST, USUAL, levels_of

ZONE = ZoneInfo("Asia/Tokyo")


def midnight(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=ZONE) + timedelta(days=day)


def test_a_town_is_told_of_one_noise_once_and_it_is_usual_after_somebody_said_so(analyst: Analyst) -> None:
    number = analyst.town.municipality_id
    louder = dict(zip(EARS, levels_of("e11", EARS, 75.0), strict=True))
    series: dict[str, int] = {}
    with connect(analyst.town.owner, name="test") as conn:
        user = conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'water', '水道', 'water', '') returning user_id",
            (number,),
        ).fetchone()[0]
        found = read_network({"streets.inp": text().encode()})
        version = networks.keep_draft(conn, number, found, ["streets.inp"], now=midnight(0), user_id=user)
        networks.take_over(conn, number, version, now=midnight(0), user_id=user)
        for element in (*EARS, "n01"):
            station, series[element] = conn.execute(
                """
                with placed as (
                    insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
                    values (%(town)s, %(code)s, 'leak_logger', %(code)s, %(code)s, 35, 135) returning station_id
                )
                insert into datastream (municipality_id, station_id, observed_property, unit, step, statistic)
                select %(town)s, station_id, 'leak_sound', 'dB', '1 day', 'instant' from placed
                returning station_id, datastream_id
                """,
                {"town": number, "code": f"ear-{element}"},
            ).fetchone()
            places.put(conn, number, station, element, False, now=midnight(0), user_id=user)
    for element in EARS:  # n01 never says a word
        levels = [USUAL] * 9 + [round(float(louder[element]), 1)] * 3
        analyst.send(series[element], [(midnight(n) + timedelta(hours=6), level) for n, level in enumerate(levels)])
    analyst.work()
    assert analyst.rows("select count(*), count(level) from night_sound") == [(60, 60)]
    seen: dict[int, object] = {}
    opened = "select s.code, f.value, f.usual, f.detail, f.finding_id from finding f join station s using (station_id) "
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        listen(conn, midnight(10) + timedelta(hours=13), seen)
        assert analyst.rows(opened) == [], "two nights are not enough"
        for _ in range(3):
            listen(conn, midnight(11) + timedelta(hours=13), seen)
        ((station, value, usual, detail, finding),) = analyst.rows(opened)
        assert station == "ear-n11" and value > usual + 10 and usual == USUAL
        assert (len(detail["stations"]), detail["used"]) == (2, 3) and detail["silent"] == 1 and not detail["pressures"]
        area = stored.suspects(conn, number)[finding]
        assert area.name == "e11" and 0 < detail["km"] <= 1.5 and detail["holds"] >= 0.8
        assert len(analyst.rows("select from leak_suspect")) == 1, "judged again, nothing new"
        states = {each.name: each.state for each in sounds.ears(conn, number, FIRST + timedelta(days=11))}
        assert states["ear-n01"] == "never" and states[station] == "loud"

        now = midnight(11).astimezone(UTC) + timedelta(hours=13)
        with connect(analyst.town.worker, name="alerts") as alerting:
            Consumer(analyst.town.worker, ALERTS).drain(alerting, Evaluator(FixedClock(now)).handle)
        assert analyst.rows("select rule from alert") == [("leak_sound",)]
        body = analyst.rows("select body from outbox")[0][0]
        assert "漏水調査候補" in body and "調査範囲：管路 " in body

        # Pressures name some of the same pipes, and one elsewhere.
        likely = np.array([PIPES.index(each) for each in ("e11", "u11", "e62")])
        where = analyst.rows("select station_id from station where code = 'ear-n22'")[0][0]
        with conn.transaction():
            felt = Finding(
                number, where, series["n22"], "leak_suspect", midnight(9), 4.0, None, 1.5, "leak_suspect:1", {}
            )
            ((_, other),) = open_or_update(conn, felt)
            stored.put_area(conn, number, other, area.network_id, FIRST, 0, likely, np.array([0.3, 0.3, 0.3]))
        listen(conn, midnight(11) + timedelta(hours=14), seen)
        assert analyst.rows(opened + "where f.kind = 'leak_sound'")[0][3]["pressures"]
        both = stored.suspects(conn, number)[finding]
        assert both.name == "e11" and both.chances[0] > area.chances[0], "two that agree are surer than one"
        analyst.execute("update finding set ended_at = started_at where kind = 'leak_suspect'")

        # Somebody looks: it is a new pump.
        with connect(analyst.town.owner, name="test") as office:
            new = cases.NewCase("e11", "", finding, area.network_id, area.pipes, area.pipe, midnight(9), None)
            cases.open_case(office, number, new, now=midnight(12), user_id=user)
            (case,) = cases.cases(office, number)
            cases.take(
                office,
                number,
                case,
                cases.NewStep("ended", midnight(12), what="explained"),
                now=midnight(12),
                user_id=user,
            )
        listen(conn, midnight(12) + timedelta(hours=13), seen)
        states = {each.name: each.state for each in sounds.ears(conn, number, FIRST + timedelta(days=12))}
        assert states["ear-n11"] == "learning"
    assert analyst.rows("select kind, ended_at is null from finding where kind = 'leak_sound'") == [
        ("leak_sound", False)
    ], "nor at the others"
