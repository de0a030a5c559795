"""アラートの条件: written in a form, tried on the stored year first, kept in versions; by the desk of the stations."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from alerts.evaluator import Evaluator
from alerts.rule_words import PROPERTIES
from alerts.rules.condition import Body, decoded, encoded
from alerts.shards import NAME
from api.access import Role
from api.pages.rule_form import MEASURES, fields_of, read_form
from api.pages.words import load_words
from devices.clock import FixedClock
from store import connect
from store.feed import Consumer
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.test_quarantine import text_of

PROJECT = Path(__file__).resolve().parents[2]
STATION = "river-okusawa"
ADDRESS = "/alerts/rules"
RISE = {
    "name": "急な増水",
    "place": f"station:{STATION}",
    "severity": "3",
    "joined": "every",
    "property-1": "water_level",
    "measure-1": "rise-1800",
    "order-1": "above",
    "value-1": "0.3",
    "margin-1": "0.1",
    "property-2": "water_level",
    "measure-2": "reading",
    "order-2": "above",
    "value-2": "1.0",
    "hold": "20",
}


def flood(hall: TownHall) -> None:
    """Two days ago, within an hour; quiet before and after."""
    begin = START - timedelta(days=2)
    levels = [0.5] * 6 + [0.7, 0.9, 1.1, 1.3, 1.5, 1.6, 1.6, 1.6, 1.6] + [0.6] * 12
    hall.observe(
        f"{STATION}/water_level", *((begin + n * timedelta(minutes=10), value) for n, value in enumerate(levels))
    )


def digest(response: httpx.Response) -> str:
    match = re.search(r'name="rehearsed" value="([0-9a-f]{32})"', response.text)
    assert match is not None
    return match[1]


def save(client: httpx.Client, form: dict[str, str], address: str = f"{ADDRESS}/new") -> httpx.Response:
    tried = client.post(address, data={**form, "do": "rehearse"})
    assert tried.status_code == 200, text_of(tried.text)
    return client.post(address, data={"reason": "出水時の実績から", **form, "do": "save", "rehearsed": digest(tried)})


def rows(hall: TownHall, query: str) -> list[tuple[object, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def test_a_rule_is_tried_on_the_stored_year_and_then_saved_with_who_and_why(hall: TownHall) -> None:
    flood(hall)
    with hall.visitor(Role.DISASTER) as client:
        tried = client.post(f"{ADDRESS}/new", data={**RISE, "do": "rehearse"})
        said = text_of(tried.text)
        assert "この条件は 1回 あてはまりました。" in said
        assert "水位の30分間の上昇：0.60 m（条件：0.30 m以上）" in said and "水位：1.10 m（条件：1.00 m以上）" in said
        assert rows(hall, "select from alert_rule") == [], "nothing is saved by trying"
        assert save(client, RISE).headers["location"] == f"{ADDRESS}?done=saved"
        listed = text_of(client.get(ADDRESS).text)
        assert "水位の30分間の上昇が0.30 m以上、かつ水位が1.00 m以上" in listed and "出水時の実績から" in listed
    (row,) = rows(
        hall,
        "select v.name, v.severity, v.active, v.reason, u.role "
        "from alert_rule_version v join app_user u using (user_id)",
    )
    assert row == ("急な増水", 3, True, "出水時の実績から", "disaster")


def test_what_differs_from_what_was_tried_is_shown_again_before_it_is_saved(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        tried = client.post(f"{ADDRESS}/new", data={**RISE, "do": "rehearse"})
        other = {**RISE, "value-1": "0.1", "reason": "x", "do": "save", "rehearsed": digest(tried)}
        refused = client.post(f"{ADDRESS}/new", data=other)
        assert refused.status_code == 422 and "試したあとで条件が変わっています" in text_of(refused.text)
        assert rows(hall, "select from alert_rule") == []


def test_without_observations_nobody_knows_how_often(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        tried = client.post(f"{ADDRESS}/new?lang=en", data={**RISE, "do": "rehearse"})
    assert "There are no observations of this year: nobody knows how often it would be so." in text_of(tried.text)


def test_each_change_is_a_version_and_the_rule_can_be_switched_off(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        save(client, RISE)
        later = (START + timedelta(days=1, hours=9)).strftime("%Y-%m-%dT%H:%M")
        changed = save(client, {**RISE, "value-1": "0.5", "valid_from": later, "reason": "多すぎた"}, f"{ADDRESS}/1")
        assert changed.status_code == 303
        shown = text_of(client.get(f"{ADDRESS}/1").text)
        assert "版の記録 2件" in shown and "多すぎた" in shown and "0.50 m以上" in shown and "0.30 m以上" in shown
        off = client.post(f"{ADDRESS}/1", data={"do": "off", "off_reason": ""})
        assert off.status_code == 422 and "やめる理由を書いてください" in text_of(off.text)
        still = client.post(f"{ADDRESS}/1", data={"do": "off", "off_reason": "試験終了"})
        assert still.status_code == 422 and "これから始まる版があります" in text_of(still.text)


def test_a_rule_is_switched_off_with_a_reason(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        save(client, RISE)
        with connect(hall.database.owner, name="test") as conn:
            conn.execute("update alert_rule_version set valid_from = valid_from - interval '1 hour'")
        assert client.post(f"{ADDRESS}/1", data={"do": "off", "off_reason": "試験終了"}).status_code == 303
        assert "停止中" in text_of(client.get(ADDRESS).text)
    assert rows(hall, "select active from alert_rule_version order by valid_from") == [(True,), (False,)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "大雨警" + "報"}, "公式な発表"),
        ({"measure-1": "", "measure-2": ""}, "条件を一つは選んでください"),
        ({"value-1": "三十"}, "数を入れてください"),
        ({"measure-1": "total-3600"}, "合計は、雨量や通過数のような系列だけ"),
        ({"season_first": "夏", "season_last": "秋"}, "月-日"),
        ({"hours_first": "25:00", "hours_last": "06:00"}, "時:分"),
        ({"valid_from": "2020-01-01T00:00"}, "過去の時刻"),
        ({"measure-1": "difference"}, "差を比べる観測所"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_stays_typed(
    hall: TownHall, change: dict[str, str], said: str
) -> None:
    with hall.visitor(Role.DISASTER) as client:
        answer = client.post(f"{ADDRESS}/new", data={**RISE, **change, "reason": "理由", "do": "save"})
    assert answer.status_code == 422 and said in text_of(answer.text)
    for name, value in change.items():
        if value and not name.startswith("measure"):
            assert f'value="{value}"' in answer.text


def test_only_the_desk_of_the_stations_writes_their_rules_and_all_read_them(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        save(client, RISE)
    with hall.visitor(Role.WATER) as client:
        assert client.post(f"{ADDRESS}/1", data={**RISE, "do": "rehearse"}).status_code == 403
        assert client.post(f"{ADDRESS}/new", data={**RISE, "do": "rehearse"}).status_code == 403
        assert "担当の課が決めます" in text_of(client.get(f"{ADDRESS}/1").text)
    for role in (Role.DIGITAL, Role.VIEWER):
        with hall.visitor(role) as client:
            assert "急な増水" in text_of(client.get(ADDRESS).text)
            assert client.get(f"{ADDRESS}/new").status_code == 403


def test_the_alerts_page_names_the_rule_and_lists_what_was_known_too_late(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        save(client, RISE)
        with connect(hall.database.owner, name="test") as conn:
            conn.execute("update alert_rule_version set valid_from = valid_from - interval '30 days'")
        hall.observe(f"{STATION}/water_level", *((START + n * timedelta(minutes=10), v) for n, v in LATE))
        with connect(hall.database.worker, name="test") as conn:
            Consumer(hall.database.worker, NAME).drain(conn, Evaluator(FixedClock(START + timedelta(hours=3))).handle)
        hall.observe(f"{STATION}/water_level", *((START + n * timedelta(minutes=10), v) for n, v in FAST))
        with connect(hall.database.worker, name="test") as conn:
            Consumer(hall.database.worker, NAME).drain(conn, Evaluator(FixedClock(START + timedelta(hours=3))).handle)
        shown = text_of(client.get("/alerts").text)
        assert "後から分かったこと" in shown and "急な増水" in shown
        (alert,) = [each for each in client.get("/api/v1/alerts").json()["alerts"] if each["rule"] == "written"]
        assert (alert["cause"], alert["severity"], alert["level"]) == ("rule:1", 3, None)
        assert "急な増水" in shown and "至急対応" in shown
        assert client.post(f"/api/v1/alerts/{alert['alert_id']}/clear", json={}).status_code == 400, "a note is needed"
        done = client.post(f"/api/v1/alerts/{alert['alert_id']}/clear", json={"note": "見てきた"})
        assert done.json()["state"] == "cleared"


# It rises and falls early in the night, which comes late; and rises again.
LATE = [(n, 0.5) for n in range(12)]
FAST = [(-20, 0.5), (-19, 0.8), (-18, 1.1), (-17, 1.1), *((n, 0.5) for n in range(-16, -10))]
FAST += [(12, 0.7), (13, 0.9), (14, 1.1), (15, 1.2)]

FORMS = [
    {f"measure-{n}": measure, f"property-{n}": "precipitation" if "total" in measure else "water_level"}
    | {f"value-{n}": "1.5", f"order-{n}": order, f"margin-{n}": "0.1", f"at-{n}": at}
    | ({f"other-{n}": "river-x"} if measure == "difference" else {})
    | ({f"level-{n}": "橋げた下端"} if measure == "named" else {})
    for n, order, at in (("1", "above", ""), ("1", "below", "rain-y"))
    for measure in MEASURES
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['measure-1']} {form['order-1']}")
def test_what_a_form_says_comes_back_as_the_same_fields(form: dict[str, str]) -> None:
    body, problems = read_form({**form, "hold": "20", "lasting": "10", "hours_first": "22:00", "hours_last": "6:00"})
    assert problems == {} and isinstance(body, Body)
    again = decoded(encoded(body))
    fields = fields_of(again)
    assert fields is not None and {key: fields.get(key, "") for key in form} == form
    assert read_form(fields) == (body, {})


def test_what_the_form_cannot_say_is_not_put_into_it() -> None:
    nested = (
        '{"when": {"is": "every", "of": [{"is": "either", "of": [{"is": "compare", "left": {"is": "reading", "series": '
        '{"observed_property": "flow"}}, "order": "above", "right": {"is": "number", "value": 1}}]}]}}'
    )
    assert fields_of(decoded(nested)) is None


def test_every_measure_and_property_has_words_in_both_languages() -> None:
    for words in load_words(PROJECT / "dashboards" / "locales").values():
        for measure in MEASURES:
            assert words(f"rules.measure.{measure}")
        for name in PROPERTIES:
            assert words(f"property.{name}")
