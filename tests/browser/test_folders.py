"""監視フォルダ in a real browser: from a file that nobody has described to observations, with words and a keyboard."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from ingest.folders import FoldersConfig
from ingest.folders.worker import Reader
from store import connect
from tests.browser.conftest import Town, screenshot, visiting
from tests.browser.fitting import at_every_width, unfold
from tests.ingest.formats import elsewhere

FILE = "水位月報,,\n日時,奥沢水位(cm),備考\n2026/6/1 8:00,52,晴\n2026/6/1 8:10,***,\n2026/6/1 8:20,54,\n"


class Share:
    """The folder, and the looks of the process that reads it."""

    def __init__(self, town: Town, root: Path) -> None:
        self.folder = root / "河川課"
        self.folder.mkdir(parents=True)
        self._town = town
        self._config = FoldersConfig(town.hall.database.worker, "999999", root, settle_seconds=0.0)
        self._watched: dict[str, Any] = {}

    def drop(self, name: str, text: str) -> None:
        (self.folder / name).write_bytes(text.encode("cp932"))
        self.look()

    def look(self) -> None:
        with (
            connect(self._town.hall.database.worker, name="folders") as conn,
            closing(Reader(self._config, conn, self._watched, threading.Event())) as reader,
        ):
            for _ in range(3):
                reader.look()


@pytest.fixture
def share(town_page: Town, tmp_path: Path) -> Share:
    return Share(town_page, tmp_path / "folders")


def clean(page: Page, name: str) -> None:
    for width in at_every_width(page, name):
        if width > 320:
            screenshot(page, f"{name}-{width}")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_file_becomes_observations_without_a_programmer(chromium: Browser, town_page: Town, share: Share) -> None:
    share.drop("水位.csv", FILE)
    with visiting(chromium, town_page, Role.DIGITAL) as visitor:
        page = visitor.open("/digital")
        page.get_by_role("link", name="監視フォルダ").click()
        expect(page.locator("table .state-word")).to_have_text("対応表が未設定")
        clean(page, "folders-ja")
        page.get_by_role("link", name="河川課").click()
        # the sample has been looked at: header, time, unit and place are proposed
        expect(page.get_by_label("見出しの行")).to_have_value("2")
        expect(page.get_by_label("日時の列")).to_have_value("日時")
        chosen = page.get_by_label("列「奥沢水位(cm)」の観測所と項目")
        expect(chosen).to_have_value("river-okusawa/water_level")
        expect(page.get_by_label("列「奥沢水位(cm)」の倍率")).to_have_value("0.01")
        expect(page.locator("#preview ~ ul")).to_contain_text("「***」は数値ではありません")
        clean(page, "folder-ja")
        page.get_by_label("障害欠測の記号").fill("***")
        page.get_by_role("button", name="確かめる").click()
        expect(page.get_by_text("保存していない下書きです")).to_be_visible()
        expect(page.locator("#preview ~ table")).to_contain_text("奥沢水位観測所 水位")
        expect(page.locator("#preview ~ table tbody tr").nth(1)).to_contain_text("欠測")
        expect(page.locator("#preview ~ table tbody tr").nth(2)).to_contain_text("0.54")
        page.locator("form", has=page.get_by_role("button", name="確かめる")).get_by_role(
            "button", name="保存する"
        ).click()
        expect(page.locator("#done")).to_contain_text("対応表を保存しました")
        share.look()
        page = visitor.open(page.url.partition("#")[0].removeprefix(town_page.url))
        expect(page.locator("#state ~ p .state-word")).to_have_text("正常")
        expect(page.locator("#files ~ table tbody tr")).to_contain_text("新しい値 3（3行）")
        assert visitor.complaints == []
    assert town_page.execute("select count(*) from observation where value = 0.54") == [(1,)]


def test_a_folder_in_trouble_says_so_in_both_languages(chromium: Browser, town_page: Town, share: Share) -> None:
    share.look()
    town_page.execute(
        """
        with saved as (
            insert into folder_map (folder_id, version, municipality_id, map, saved_at)
            select folder_id, 1, municipality_id, %s, found_at from folder returning 1
        ) select * from saved
        """,
        (
            "header: 2\ntime: {column: 日時, zone: Asia/Tokyo}\n"
            "columns: {奥沢水位(cm): {station: river-okusawa, property: water_level, scale: 0.01}}",
        ),
    )
    town_page.execute("update folder set map_version = 1 returning 1")
    share.drop("a.csv", FILE)
    share.drop("b.xls", "\u3042" * 10)
    (share.folder / "c.csv.part").write_text("x")
    town_page.execute(
        "update folder set every = '1 min', every_since = found_at - interval '1 day', fed_at = null returning 1"
    )
    share.look()
    with visiting(chromium, town_page, Role.DIGITAL) as visitor:
        for language, word in (("ja", "取込停止"), ("en", "feed stopped")):
            page = visitor.open(f"/digital/folders?lang={language}")
            expect(page.locator("table .state-word")).to_have_text(word)
            clean(page, f"folders-trouble-{language}")
            page.locator("tbody th a").click()
            expect(page.locator("#files")).to_be_visible()
            unfold(page)
            expect(page.locator("#files ~ table")).to_contain_text("***")
            clean(page, f"folder-trouble-{language}")
        assert visitor.complaints == []


def test_the_map_is_made_without_script_too(chromium: Browser, town_page: Town, share: Share) -> None:
    share.look()
    with visiting(chromium, town_page, Role.DIGITAL, java_script_enabled=False) as visitor:
        page = visitor.open("/digital/folders")
        page.get_by_role("link", name="河川課").click()
        page.get_by_label("見本のファイル").set_input_files(
            {"name": "見本.csv", "mimeType": "text/csv", "buffer": FILE.encode("cp932")}
        )
        page.get_by_role("button", name="見本にする").click()
        expect(page.get_by_text("見本：選んだファイル 見本.csv")).to_be_visible()
        page.get_by_label("見出しの行").fill("1")
        page.get_by_role("button", name="確かめる").click()
        expect(page.get_by_role("alert")).to_contain_text("列「日時」がありません")
        page.get_by_label("見出しの行").fill("2")
        page.get_by_label("最初の値の行").fill("")
        page.get_by_role("button", name="確かめる").click()
        expect(page.locator("#preview ~ table")).to_contain_text("0.52")


def test_a_prefectures_year_is_chosen_by_its_series_and_official_pages_are_set(
    chromium: Browser, town_page: Town, share: Share
) -> None:
    month = elsewhere.kagoshima(["2026/5/1 0:10,52,***"])
    (share.folder / "suii2026.zip").write_bytes(elsewhere.zipped({"水位_202605.csv": month}))
    share.look()
    with visiting(chromium, town_page, Role.DIGITAL) as visitor:
        page = visitor.open("/digital/folders")
        page.get_by_role("link", name="河川課").click()
        expect(page.get_by_label("並び方")).to_have_value("kagoshima")
        page.get_by_label("列「水位/12」の観測所と項目").select_option("river-okusawa/water_level")
        page.get_by_role("button", name="確かめる").click()
        expect(page.locator("#preview ~ table")).to_contain_text("0.52")
        clean(page, "folder-known-ja")
        page.get_by_role("button", name="保存する").first.click()
        expect(page.locator(".state-word").first).to_have_text("最初のファイル待ち")
        share.look()
        page.reload()
        expect(page.locator("#files ~ table")).to_contain_text("done/suii2026.zip")
        page = visitor.open("/disaster/stations/river-okusawa/links?lang=en")
        page.get_by_label("キキクル").fill("http://www.jma.go.jp/")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("キキクル")).to_have_attribute("aria-invalid", "true")
        clean(page, "official-en")
        page.get_by_label("キキクル").fill("https://www.jma.go.jp/bosai/risk/")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#official ~ ul a")).to_have_attribute("rel", "noopener noreferrer external")
        expect(page.locator("#official ~ ul a")).to_have_attribute("target", "_blank")
