"""新しい機器の登録: what the page proposes, what it refuses, and that all of it is registered or nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from unittest.mock import ANY
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.access import Role
from devices.codecs import radar_level
from devices.duty import DutyCycle, crisis_gauge
from store import connect
from store.duty import duties, put_duty
from tests.api.serving import TownHall
from tests.conftest import START, Registered
from tests.dashboards.test_quarantine import deliver, text_of, work
from tests.ingest.town import chirpstack, query

NEW = "a84041ffff31ffff"
ELSEWHERE = "70b3d57ed005aaaa"  # of a maker that no device of the town is of
MINUTES = timedelta(minutes=1)
ADDRESS = "/digital/register"
PLACE = "32.47, 135.05"


def unknown(registered: Registered, *distances: int, key: str = NEW) -> None:
    """A radar gauge that nobody has registered, every 10 minutes, the last message just now."""
    n = len(distances)
    deliver(
        registered,
        *(
            chirpstack(
                key, radar_level.encode(distance=d, battery=3.6), counter=i, time=START - (n - 1 - i) * 10 * MINUTES
            )
            for i, d in enumerate(distances)
        ),
    )


def form_of(html: str) -> dict[str, str]:
    """What a browser would send of the form that registers, as it stands there."""
    form = html[html.index('<form class="card register"') :]
    form = form[: form.index("</form>")]
    said: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in found and (found.get("type") != "checkbox" or " checked" in tag):
            said[found["name"]] = found.get("value", "")
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        said[name] = chosen[1] if chosen else ""
    # dots are no word characters
    for tag in re.findall(r'<input[^>]*name="([\w.]+)"[^>]*>', form):
        said.setdefault(tag, "")
    return said


def registers(client: httpx.Client, said: dict[str, str], **typed: str) -> httpx.Response:
    return client.post(ADDRESS, data=said | typed | {"do": "register"})


def test_what_speaks_for_itself_is_proposed(registered: Registered, hall: TownHall) -> None:
    unknown(registered, 4970, 4960, 4950, 4940)
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(f"{ADDRESS}?key={NEW}")
        said, text = form_of(page.text), text_of(page.text)
    assert "待っている電文 4件" in text and "およそ10分ごと" in text
    assert "電波式水位計 4件すべて読めます" in text.replace("3件", "4件") and "同じ番号帯の機器が使用中" in text
    assert (said["model"], said["template"]) == ("radar_level", "river_gauge")
    assert (said["is.distance"], said["unit.distance"], said["down.distance"]) == ("water_level", "mm", "1")
    # how high the sensor hangs is nothing to guess: the gap stays, and no level is shown
    assert said["plus.distance"] == "" and "水位 " not in text[text.index("5.") :].replace("水位 項目", "")
    assert said["is.battery"] == ""


def test_a_gauge_comes_from_quarantine_to_its_values(registered: Registered, hall: TownHall) -> None:
    unknown(registered, 4970, 4960, 4950)
    with hall.visitor(Role.DIGITAL) as client:
        assert f"{ADDRESS}?key={NEW}" in client.get("/digital/quarantine").text
        said = form_of(client.get(f"{ADDRESS}?key={NEW}").text)
        tried = client.post(ADDRESS, data=said | {"plus.distance": "６．２０", "do": "try"}, follow_redirects=True)
        assert "水位 1.25 m" in text_of(tried.text) and "まだ何も保存していません" in tried.text
        assert query(registered.owner, "select count(*) from device where key = %s", NEW) == [(0,)]
        answer = registers(client, form_of(tried.text), name="上川橋", at=PLACE)
        assert answer.status_code == 303, answer.text
        waiting = client.get(answer.headers["location"])
        assert "受信処理を待っています（3件）" in text_of(waiting.text)
        work(registered)
        done = text_of(client.get(answer.headers["location"]).text)
    assert "待っていた電文 3件のうち 3件を読み込みました" in done
    assert "上川橋 1.25 m" in done
    assert query(
        registered.owner,
        """
        select s.code, s.kind, s.name, s.latitude, s.longitude, s.managed_by, d.step, v.model, v.silence_after
        from station s join datastream d using (station_id) join attachment using (station_id)
        join device v using (device_id) where v.key = %s
        """,
        NEW,
    ) == [
        ("river-gauge-1", "river_gauge", "上川橋", 32.47, 135.05, "people", 10 * MINUTES, "radar_level", 60 * MINUTES)
    ]
    values = query(
        registered.owner,
        "select value from observation join datastream using (datastream_id) join station using (station_id) "
        "where code = 'river-gauge-1' order by phenomenon_time",
    )
    assert [round(value, 6) for (value,) in values] == [1.23, 1.24, 1.25]


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"name": ""}, "観測所の名前を入れてください"),
        ({"at": ""}, "位置を地図で押すか"),
        ({"at": "川のそば"}, "のように、緯度と経度の順に"),
        ({"at": "135.05, 32.47"}, "緯度と経度が逆のようです"),
        ({"at": "43.06, 141.35"}, "町から離れすぎています"),
        ({"since": "昨日"}, "日時が読み取れません"),
        ({"since": "2026-06-02T00:00"}, "日時が未来です"),
        ({"plus.distance": ""}, "零点からセンサーまでの高さを入れてください"),
        ({"plus.distance": "六"}, "数として読み取れません"),
        ({"plus.distance": "1e999"}, "数として読み取れません"),
        ({"unit.distance": "kPa"}, "単位「kPa」は「m」に直せません"),
        ({"unit.distance": "㍍㍍"}, "直せません"),
        ({"is.distance": ""}, "少なくとも一つの項目を選んでください"),
        ({"is.battery": "water_level", "unit.battery": "m"}, "ほかの項目にも割り当てられています"),
        ({"name": "橋\x00"}, "登録できません"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_registered(
    registered: Registered, hall: TownHall, typed: dict[str, str], wrong: str
) -> None:
    unknown(registered, 4970)
    with hall.visitor(Role.DIGITAL) as client:
        said = form_of(client.get(f"{ADDRESS}?key={NEW}").text)
        good = {"name": "上川橋", "at": PLACE, "plus.distance": "6.20"}
        answer = registers(client, said, **(good | typed))
        assert answer.status_code == 303 and urlsplit(answer.headers["location"]).path == ADDRESS
        shown = client.get(answer.headers["location"])
        assert shown.status_code == 200 and wrong in text_of(shown.text)
        # what was typed is still there
        kept = form_of(shown.text)
        for name, value in (good | typed).items():
            if name in ("name", "at", "plus.distance") and "is.distance" not in typed:
                assert kept[name] == value.strip().replace("\x00", "\x00")
    for table in ("device where key = 'a84041ffff31ffff'", "station where managed_by = 'people'", "quarantine_replay"):
        assert query(registered.owner, f"select count(*) from {table}") == [(0,)]


def test_the_device_is_there_since_the_oldest_message_or_since_when_a_person_says(
    registered: Registered, hall: TownHall
) -> None:
    unknown(registered, 4970, 4960, 4950)
    with hall.visitor(Role.DIGITAL) as client:
        said = form_of(client.get(f"{ADDRESS}?key={NEW}").text)
        assert said["since"] == "2026-06-01T08:40"  # in the town's time
        good = {"name": "上川橋", "at": PLACE, "plus.distance": "6.20"}
        answer = registers(client, said, **good, since="2026-06-01T08:55")
        assert answer.headers["location"].startswith("/digital/registered")
        work(registered)
        done = text_of(client.get(answer.headers["location"]).text)
    assert "待っていた電文 3件のうち 1件を読み込みました" in done and "まだ読めない 2件を見る" in done
    ((since,),) = query(
        registered.owner, "select attached_from from attachment join device using (device_id) where key = %s", NEW
    )
    assert since == START - 5 * MINUTES


def test_a_device_may_come_to_a_station_that_is_there(registered: Registered, hall: TownHall) -> None:
    """A tank gets another gauge: the series goes on, the old one is down from then on."""
    unknown(registered, 1000, 1010, key=ELSEWHERE)
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(f"{ADDRESS}?key={ELSEWHERE}&station=tank-takadai")
        assert "観測所「" in text_of(page.text) and "に付けます" in text_of(page.text)
        said = form_of(page.text)
        assert (said["is.distance"], said["station"]) == ("tank_level", "tank-takadai") and "name" not in said
        refused = client.get(registers(client, said, **{"plus.distance": "5"}).headers["location"])
        assert "同じ値を送る機器がすでにあります" in refused.text
        old = re.search(r'name="swap" value="([0-9a-f]+)"', refused.text)
        assert old is not None
        answer = registers(client, form_of(refused.text), swap=old[1])
        assert answer.headers["location"].startswith("/digital/registered?"), text_of(
            client.get(answer.headers["location"]).text
        )
        assert parse_qs(urlsplit(answer.headers["location"]).query)["station"] == ["tank-takadai"]
    assert query(registered.owner, "select count(*) from station where managed_by = 'people'") == [(0,)]
    assert query(
        registered.owner,
        """
        select key, attached_from, attached_to from attachment join station s using (station_id)
        join device using (device_id) where s.code = 'tank-takadai' order by attached_from desc
        """,
    )[:2] == [(ELSEWHERE, START - 10 * MINUTES, None), (old[1], ANY, START - 10 * MINUTES)]


def cycles(registered: Registered) -> dict[str, DutyCycle]:
    with connect(registered.owner, name="test") as conn:
        known = dict(conn.execute("select device_id, key from device").fetchall())
        return {known[device_id]: cycle for device_id, cycle in duties(conn).items()}


def test_a_crisis_gauge_is_registered_with_its_paces(registered: Registered, hall: TownHall) -> None:
    unknown(registered, 4970, 4960, 4950)
    with hall.visitor(Role.DIGITAL) as client:
        plain = form_of(client.get(f"{ADDRESS}?key={NEW}").text)
        assert "start" not in plain, "who keeps its pace is asked for none"
        page = client.get(f"{ADDRESS}?key={NEW}&template=crisis_gauge")
        said = form_of(page.text)
        assert (said["start"], said["stop"], said["interval"], said["calm"]) == ("", "", "10", "1440")
        assert "silence" not in said
        good = {"name": "上川橋", "at": PLACE, "plus.distance": "6.20"}
        for typed, wrong in (
            ({}, "観測を始める水位を、1.20 のように"),
            ({"start": "1.2", "stop": "1.4"}, "観測をやめる水位を、始める水位以下の"),
            ({"start": "120", "stop": "100"}, "ありうる値の外"),
        ):
            refused = client.get(registers(client, said, **good, **typed).headers["location"])
            assert wrong in text_of(refused.text) and 'aria-invalid="true"' in refused.text
            assert typed.items() <= form_of(refused.text).items(), "what was typed is still there"
        assert cycles(registered) == {}
        answer = registers(client, said, **good, start="１．２", stop="1.0", interval="5", calm="720")
        assert answer.headers["location"].startswith("/digital/registered"), client.get(answer.headers["location"]).text
    wanted = crisis_gauge(1.2, 1.0, 5 * MINUTES, 720 * MINUTES)
    assert cycles(registered) == {NEW: wanted}
    assert query(registered.owner, "select silence_after from device where key = %s", NEW) == [(14 * 60 * MINUTES,)]


def test_at_a_station_with_reference_levels_the_lowest_is_proposed(registered: Registered, hall: TownHall) -> None:
    unknown(registered, 4970, 4960)
    with hall.visitor(Role.DIGITAL) as client:
        usual = client.get(f"{ADDRESS}?key={NEW}&station=river-okusawa")
        assert "危機管理型水位計" in usual.text and "start" not in form_of(usual.text)
        page = client.get(f"{ADDRESS}?key={NEW}&station=river-okusawa&template=crisis_gauge")
        said = form_of(page.text)
        assert said["start"] == "1.20" and float(said["stop"]) < 1.2 and "いちばん低い基準水位" in page.text
        typed = client.post(ADDRESS, data=said | {"plus.distance": "6.2", "do": "try"}, follow_redirects=True)
        old = re.search(r'name="swap" value="([0-9a-f]+)"', typed.text)
        assert old is not None
        answer = registers(client, form_of(typed.text), swap=old[1])
        assert answer.headers["location"].startswith("/digital/registered?"), client.get(
            answer.headers["location"]
        ).text
    assert cycles(registered)[NEW].above[0].start == 1.2


def test_a_gauge_in_the_place_of_another_takes_over_its_paces(registered: Registered, hall: TownHall) -> None:
    wanted = crisis_gauge(1.5, 1.3, 2 * MINUTES)
    with connect(registered.owner, name="test") as conn:
        ((old, key),) = conn.execute(
            "select v.device_id, v.key from device v join attachment using (device_id) join station s "
            "using (station_id) where s.code = 'river-okusawa'"
        ).fetchall()
        put_duty(conn, registered.municipality_id, old, wanted)
    unknown(registered, 4970, 4960)
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(f"{ADDRESS}?key={NEW}&station=river-okusawa")
        assert "引き継ぎます" in page.text and "start" not in form_of(page.text)
        answer = registers(client, form_of(page.text), **{"plus.distance": "6.2"}, swap=key)
        assert answer.headers["location"].startswith("/digital/registered?"), client.get(
            answer.headers["location"]
        ).text
    assert cycles(registered)[NEW] == wanted


def test_what_nobody_can_read_says_how_to_go_on(registered: Registered, hall: TownHall) -> None:
    deliver(registered, chirpstack(ELSEWHERE, b"\xfe\xfd\xfc", counter=1, time=START))
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(f"{ADDRESS}?key={ELSEWHERE}")
        assert "読める機種がありません" in page.text
        assert f"/digital/models?for={ELSEWHERE}#upload" in page.text and '<code class="raw-word">fe fd fc' in page.text
        assert '<form class="card register"' not in page.text
        gone = client.get(f"{ADDRESS}?key=never-heard")
        assert "この機器の電文は待っていません" in gone.text
        assert client.get(ADDRESS).headers["location"] == "/digital/quarantine#unknown"
        assert client.get("/digital/registered?key=x&station=nowhere").status_code == 404


def test_a_device_that_somebody_else_has_just_registered_is_not_registered_twice(
    registered: Registered, hall: TownHall
) -> None:
    unknown(registered, 4970)
    with hall.visitor(Role.DIGITAL) as client:
        said = form_of(client.get(f"{ADDRESS}?key={NEW}").text)
        good = {"name": "上川橋", "at": PLACE, "plus.distance": "6.20"}
        assert "/registered" in registers(client, said, **good).headers["location"]
        again = registers(client, said, **good)
        assert "もう登録されています" in client.get(again.headers["location"]).text
    assert query(registered.owner, "select count(*) from station where name = '上川橋'") == [(1,)]


def test_only_the_digital_section_of_the_own_town_registers(registered: Registered, hall: TownHall) -> None:
    unknown(registered, 4970)
    with hall.visitor(Role.DISASTER) as client:
        assert client.get(f"{ADDRESS}?key={NEW}").status_code == 403
        assert client.post(ADDRESS, data={"key": NEW, "do": "register"}).status_code == 403
    with hall.visitor(Role.DIGITAL, town="other") as client:
        page = client.get(f"{ADDRESS}?key={NEW}")
        assert "待っていません" in page.text and "4970" not in page.text
        said = {"key": NEW, "model": "radar_level", "template": "river_gauge", "name": "橋", "at": PLACE}
        registers(client, said, **{"is.distance": "water_level", "unit.distance": "mm", "plus.distance": "6"})
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("select count(*) from device where key = %s", (NEW,)).fetchone() == (0,)
