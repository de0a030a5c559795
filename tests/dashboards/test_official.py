"""Links to official pages: who may set them, where they are shown, and that none leads elsewhere than it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.access import Role
from devices.model import TownFileError
from devices.town import load_town
from simulators.towns import path as town_path
from store import connect
from store.official import changes_of
from store.registry import sync_town
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered
from tests.dashboards.test_quarantine import text_of

STATION = "river-okusawa"
ADDRESS = f"/disaster/stations/{STATION}/links"
PREFECTURE = {
    "url.0": "https://kasen.example.lg.jp/p?id=1&x=2",
    "title.0": "県の水位",
    "title_en.0": "Prefecture's levels",
}
GOOD = {"url.kikikuru": " https://www.jma.go.jp/bosai/risk/#zoom:10 ", **PREFECTURE}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered) as running:
        yield running


def test_links_are_set_by_those_who_may_and_shown_to_everybody_as_others_pages(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        assert client.post(ADDRESS, data=GOOD).status_code == client.get(ADDRESS).status_code == 403
    with hall.visitor(Role.DISASTER) as client:
        assert client.post(ADDRESS, data=GOOD).headers["location"] == f"/disaster/stations/{STATION}#official"
        form = client.get(ADDRESS).text
        assert 'value="https://www.jma.go.jp/bosai/risk/#zoom:10"' in form and "disaster" in text_of(form)
    with hall.visitor(Role.VIEWER) as client:
        gauge = client.get(f"/disaster/stations/{STATION}").text
        assert ADDRESS not in gauge and "町のサイトではありません" in gauge
    with hall.visitor(None) as client:
        public = client.get("/public/999999/notices").text
        plain = client.get("/public/999999/notices?lang=plain").text
        other = client.get("/public/999998/notices").text
    link = '<a href="https://kasen.example.lg.jp/p?id=1&amp;x=2" target="_blank" rel="noopener noreferrer external">'
    for page in (gauge, public, plain):
        assert f"{link}県の水位</a>" in page and "（www.jma.go.jp・新しいタブで開きます）" in page
    assert "kasen.example.lg.jp" not in other
    with hall.visitor(Role.DIGITAL) as client:
        assert client.post(ADDRESS, data=GOOD).status_code == 303, "which changes nothing"
        assert client.post(ADDRESS, data=PREFECTURE).status_code == client.post(ADDRESS, data={}).status_code == 303
        log = text_of(client.get(ADDRESS).text).split("変更の記録")[1]
    cut = [log.index(words) for words in ("削除：県の水位", "削除：キキクル", "追加：キキクル", "追加：県の水位")]
    assert cut == sorted(cut), log
    said = ["digital of the own town", "digital of the own town", "disaster of the own town"]
    assert re.findall(r"2026-06-01 09:00 (\w+ of the own town)", log) == said
    with hall.visitor(Role.VIEWER) as client:
        assert 'id="official"' not in client.get(f"/disaster/stations/{STATION}").text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url.kikikuru": "http://www.jma.go.jp/"}, "https:// で始まるアドレス"),
        ({"url.kikikuru": "https://www.jma.go.jp.example.com/"}, "その名前のサイトのアドレスではありません"),
        ({"url.kikikuru": "https://notjma.go.jp/"}, "その名前のサイトのアドレスではありません"),
        ({"url.kawa_suii": "https://www.river.go.jp/"}, "その名前のサイトのアドレスではありません"),
        ({"url.kawa_bousai": "https://www.jma.go.jp@evil.example.com/"}, "https:// で始まるアドレス"),
        ({"url.0": "javascript:alert(1)"}, "https:// で始まるアドレス"),
        ({"url.0": "https://[x"}, "https:// で始まるアドレス"),
        ({"title.0": "　"}, "何のページか"),
        ({"title_en.0": ""}, "英語の名前も"),
        ({"title.0": "名" * 81}, "何のページか"),
    ],
)
def test_what_would_lead_astray_is_refused_in_words_and_kept_as_it_was_typed(
    hall: TownHall, wrong: dict[str, str], says: str
) -> None:
    with hall.visitor(Role.DISASTER) as client:
        refused = client.post(ADDRESS, data=GOOD | wrong)
        assert refused.status_code == 422 and says in text_of(refused.text) and "県の水位" in GOOD["title.0"]
        assert 'id="official"' in client.get(f"/disaster/stations/{STATION}").text
    with connect(hall.database.owner, name="test") as conn:
        (n,) = conn.execute("select count(*) from official_link where user_id is not null").fetchone() or (None,)
    assert n == 0


def test_a_town_file_says_them_or_leaves_them(registered: Registered, tmp_path: Path) -> None:
    text = town_path().read_text("utf-8")
    (tmp_path / "mimamori-cho.geojson").write_bytes((town_path().parent / "mimamori-cho.geojson").read_bytes())
    file = tmp_path / "town.yaml"

    def apply(links: str) -> list[tuple[str, str, str]]:
        file.write_text(text.replace("    kind: river_gauge\n", f"    kind: river_gauge\n{links}", 1), "utf-8")
        with connect(registered.owner, name="test") as conn:
            sync_town(conn, load_town(file))
            return conn.execute(
                "select l.kind, title, url from official_link l join station using (station_id) where code = %s "
                "order by position",
                (STATION,),
            ).fetchall()

    both = "    links: {other: [{title: 県, title_en: P, url: 'https://a.lg.jp/'}], kawa_suii: 'https://k.river.go.jp/1'}\n"
    expected = [("kawa_suii", "", "https://k.river.go.jp/1"), ("other", "県", "https://a.lg.jp/")]
    assert apply(both) == apply(both) == apply("") == expected and apply("    links: {}\n") == []
    with connect(registered.owner, name="test") as conn:
        (station_id,) = conn.execute("select station_id from station where code = %s", (STATION,)).fetchone() or (0,)
        log = changes_of(conn, station_id)
    assert [(len(each.before), len(each.after), each.said_at, each.by) for each in log] == [
        (2, 0, None, None),
        (0, 2, None, None),
    ], "an application that says the same again is no change"
    with pytest.raises(TownFileError) as refused:
        apply("    links: {kikikuru: 'http://x.jp', other: [{title: 県, url: 'https://a.lg.jp/'}], river: x}\n")
    said = str(refused.value)
    for words in ("begin with https://", "'title_en'", "unknown key 'river'"):
        assert words in said
