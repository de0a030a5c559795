"""事後の記録: every ledger in the order of time, the highest levels, and what people say of the alerts."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from api.roles import Role
from devices.model import StationKind
from store import connect
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.reading import main

HERE = "/disaster/review"
GAUGE = "river-okusawa/water_level"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        yield client


def rows(client: httpx.Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"{HERE}.csv{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:]


def counts(client: httpx.Client, rule: str) -> list[int]:
    """Alerts, right, false, of these retracted, unmarked, told to nobody, missed."""
    table = client.get(HERE).text
    table = table[table.index('aria-labelledby="counts"') :]
    row = re.search(rf">{rule}</th>(.*?)</tr>", table, re.DOTALL)
    assert row is not None
    return [int(n) for n in re.findall(r">(\d+)</td>", row[1])]


def tell(hall: TownHall) -> None:
    """People are told of every step until now."""
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at)
            select municipality_id, alert_history_id, 'log', 'disaster', '-', '-', now() from alert_history
            on conflict do nothing
            """
        )


def test_every_ledger_is_in_the_course_in_the_order_of_time(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = hall.raise_alert(GAUGE)
    staff.post("/disaster/log", data={"text": "橋の下まで水", "source": "field", "place": "奥沢橋", "time": "0830"})
    order = {"do": "issue", "kind": "elderly", "districts": "奥沢地区", "decided_by": "町長", "issued_at": "0845"}
    assert staff.post("/disaster/evacuation", data=order).status_code == 303
    staff.post(
        "/disaster/evacuation", data={"do": "declare", "stage": "第2配備", "since": "0850", "decided_by": "町長"}
    )
    staff.post("/disaster/checklist/edit", data={"task-3": "広報車を出す"})
    staff.post("/disaster/checklist/items/1", data={"done": "1"})
    staff.post(f"/alerts/{alert_id}/acknowledge", data={"note": "現地に向かう"})
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at,
                                sent_at, attempts)
            select municipality_id, alert_history_id, 'mail', who, 's', 'b', now(), sent, 1
            from alert_history, (values ('a@x', now()), ('b@x', now()), ('c@x', null)) as o (who, sent)
            where alert_id = %s and event = 'raised'
            """,
            (alert_id,),
        )
    course = rows(staff)
    assert [row[0] for row in course] == sorted(row[0] for row in course)
    told = [(row[1], row[3].split("・")[0]) for row in course]
    for step in (
        ("本部記録", "現地"),
        ("避難情報", "警戒レベル３ 高齢者等避難 を発令"),
        ("配備体制", "第2配備"),
        ("アラート", "発生"),
        ("アラート", "確認"),
        ("送信", "mail で 2件送信"),
        ("送信", "mail で 1件が未送信（送信に失敗）"),
        ("チェック", "済"),
    ):
        assert told.count(step) == 1, (step, told)
    assert not any("@x" in cell for row in course for cell in row)
    page = main(staff.get(HERE))
    assert page.index("橋の下まで水") < page.index("第2配備") < page.index("現地に向かう")


def test_an_alert_gives_the_range_around_it(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = hall.raise_alert(GAUGE)
    for time in ("0530", "0630"):
        staff.post("/disaster/log", data={"text": f"{time} の話", "source": "field", "time": time})
    said = [row[3] for row in rows(staff, f"?alert={alert_id}")]
    assert not any("0530" in text for text in said) and any("0630" in text for text in said)
    assert staff.get(f"{HERE}?alert=999999").status_code == 404


def test_the_highest_usable_level_stands_with_the_level_it_reached(hall: TownHall, staff: httpx.Client) -> None:
    hall.observe(GAUGE, (START - 20 * MINUTE, 0.4), (START - 10 * MINUTE, 9.0), (START, 0.5))
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update observation set quality = 'bad' where value = 9.0")
    page = main(staff.get(HERE))
    assert "0.50 m 基準未満" in page and "9.00" not in page and "観測値なし" in page


def test_marks_and_misses_are_counted_per_rule_and_the_newest_word_counts(hall: TownHall, staff: httpx.Client) -> None:
    first, second = hall.raise_alert(GAUGE), hall.raise_alert(GAUGE)
    hall.raise_alert(GAUGE, rule="silence")
    tell(hall)
    hall.raise_alert(GAUGE, unconfirmed=True)
    assert counts(staff, "水位などの段階") == [2, 0, 0, 0, 2, 1, 0] and counts(staff, "通信断") == [1, 0, 0, 0, 1, 0, 0]

    def mark(alert_id: int, verdict: str) -> None:
        answer = staff.post(HERE, data={"do": "mark", "alert_id": alert_id, "verdict": verdict, "note": "流木"})
        assert answer.headers["location"].endswith("done=marked#marks")

    mark(first, "right")
    mark(second, "right")
    mark(second, "false")
    assert counts(staff, "水位などの段階") == [2, 1, 1, 0, 0, 1, 0]
    mark(first, "withdrawn")
    assert counts(staff, "水位などの段階") == [2, 0, 1, 0, 1, 1, 0]
    missed = {"do": "miss", "station": "river-okusawa", "rule": "level", "missed_at": "0800", "note": "越水した"}
    assert staff.post(HERE, data=missed).status_code == 303
    assert counts(staff, "水位などの段階")[-1] == 1 and "越水した" in main(staff.get(HERE))
    with connect(hall.database.owner, name="test") as conn:
        ((review,),) = conn.execute("select alert_review_id from alert_review where verdict = 'missed'").fetchall()
    staff.post(HERE, data={"do": "take_back", "missed": review})
    assert counts(staff, "水位などの段階")[-1] == 0 and "越水した" not in main(staff.get(HERE))


def test_a_miss_that_cannot_be_meant_comes_back_with_what_was_typed(staff: httpx.Client) -> None:
    missed = {"do": "miss", "station": "river-okusawa", "rule": "level", "missed_at": "昼ごろ", "note": "越水した"}
    answer = staff.post(HERE, data=missed)
    page = staff.get(answer.headers["location"])
    assert "時刻として読み取れません" in main(page) and 'value="越水した"' in page.text
    assert counts(staff, "水位などの段階")[-1] == 0


def test_a_drill_is_in_no_count_and_has_a_course_of_its_own(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = hall.raise_alert(GAUGE)
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update alert set mode = 'exercise' where alert_id = %s", (alert_id,))
    assert counts(staff, "水位などの段階") == [0, 0, 0, 0, 0, 0, 0] and rows(staff) == []
    ((_, kind, _, what, _, drill),) = rows(staff, "?drill=1")
    assert (kind, drill) == ("アラート", "【訓練】") and what.startswith("発生")
    assert staff.post(HERE, data={"do": "mark", "alert_id": alert_id, "verdict": "right"}).status_code == 404


def write_rule(hall: TownHall) -> int:
    """A rule of the staff for river gauges, renamed since."""
    with connect(hall.database.owner, name="test") as conn:
        town = hall.database.municipality_id
        rule_id = add_rule(conn, town, station_id=None, kind=StationKind.RIVER_GAUGE, now=START)
        for n, name in enumerate(("高い水位", "高い水位（橋）")):
            body = Body(Compare(Reading(Series("water_level")), "above", Number(1.5)))
            said = {"severity": 2, "active": True, "body": body, "reason": "試験", "user_id": None, "now": START}
            add_version(conn, town, rule_id, name=name, valid_from=START + n * MINUTE, **said)  # type: ignore[arg-type]
    return rule_id


def test_what_was_retracted_is_false_whatever_was_said_of_it_and_rules_of_the_staff_count(
    hall: TownHall, staff: httpx.Client
) -> None:
    first, second, third = (hall.raise_alert(GAUGE) for _ in range(3))
    tell(hall)
    rule_id = write_rule(hall)
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "update alert set rule = 'written', alert_rule_id = %s, severity = 2, level = null, peak_level = null "
            "where alert_id = any(%s)",
            (rule_id, [second, third]),
        )
    staff.post(HERE, data={"do": "mark", "alert_id": first, "verdict": "right"})
    staff.post(HERE, data={"do": "mark", "alert_id": third, "verdict": "right"})
    for alert_id in (first, second):
        answer = staff.post(f"/alerts/{alert_id}/retract", data={"note": "流木が当たっていた"})
        assert answer.headers["location"].endswith("done=retract")
    assert counts(staff, "水位などの段階") == [1, 0, 1, 1, 0, 0, 0]
    name = '<span class="raw-word">高い水位（橋）</span>'
    assert counts(staff, name) == [2, 1, 1, 1, 0, 0, 0]
    page = main(staff.get(HERE))
    assert page.count("誤報として訂正済み 流木が当たっていた") == 2
    assert staff.post(HERE, data={"do": "mark", "alert_id": first, "verdict": "right"}).status_code == 409
    missed = {
        "do": "miss",
        "station": "river-okusawa",
        "rule": f"written:{rule_id}",
        "missed_at": "0800",
        "note": "高い",
    }
    assert staff.post(HERE, data=missed).status_code == 303
    assert counts(staff, name) == [2, 1, 1, 1, 0, 0, 1]
    missed["rule"] = "written:999"
    assert "problem=empty" in staff.post(HERE, data=missed).headers["location"]
    file = staff.get(f"{HERE}/counts.csv")
    lines = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert lines[0][3:5] == ["空振り・誤り", "うち訂正"]
    assert ["高い水位（橋）", "2", "1", "1", "1", "0", "0", "1"] in lines
    assert [row[3] for row in rows(staff) if row[3].startswith("訂正・取消")] == [
        "訂正・取消・流木が当たっていた",
        "訂正・取消・高い水位・流木が当たっていた",
    ]


def test_what_was_withdrawn_is_no_failure_of_sending(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = hall.raise_alert(GAUGE)
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at,
                                sent_at, attempts)
            select municipality_id, alert_history_id, 'mail', who, 's', 'b', now(), sent, 1
            from alert_history, (values ('a@x', now()), ('b@x', null)) as o (who, sent) where alert_id = %s
            """,
            (alert_id,),
        )
    staff.post(f"/alerts/{alert_id}/retract", data={"note": "流木"})
    said = [row[3] for row in rows(staff) if row[1] == "送信"]
    assert said.count("mail で 1件送信") == 1 and "mail で 1件が送信待ち" in said, "one false, one correction"
    assert not any("未送信" in each for each in said)


def test_only_the_disaster_section_says_what_an_alert_was(hall: TownHall) -> None:
    alert_id = hall.raise_alert(GAUGE)
    with hall.visitor(Role.DIGITAL) as reader:
        assert "判断を記録する" not in main(reader.get(HERE))
        assert reader.post(HERE, data={"do": "mark", "alert_id": alert_id, "verdict": "right"}).status_code == 403
