"""相関 on the page and from the command line: one noise, one place, and words where there is none."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from api.roles import Role
from mimamori.cli import app
from mimamori.errors import InputError
from tests.analytics.pipe_networks import geojson
from tests.analytics.sounding import heard, wav
from tests.api.serving import TownHall
from tests.dashboards.reading import main

PAGE = "/water/correlate"
PIPE = {"length_1": "100", "speed": "1250"}
A, B = heard((70 - 30) / 1250, seconds=5)  # 30 m from A
OTHER, _ = heard(0.0, seconds=5, seed=2)


def post(client: httpx.Client, a: bytes, b: bytes | None, **typed: str) -> httpx.Response:
    files = {"file_a": ("a.wav", a)} | ({} if b is None else {"file_b": ("b.wav", b)})
    return client.post(PAGE, data=PIPE | typed, files=files, headers={"Accept": "text/html"})


def test_the_page_says_where_the_noise_is_and_what_to_mend(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        assert "録音を比べる" in main(client.get(PAGE, headers={"Accept": "text/html"}))
        answer = post(client, wav([A]), wav([B]))
        assert answer.status_code == 200 and "漏水調査候補：Aから 30." in main(answer).replace("29.", "30.")
        assert 'value="1250"' in answer.text, "what was typed stays"
        assert "外側" in main(post(client, wav([A, B]), None, length_1="18", speed="600"))
        assert "位置は分かりません" in main(post(client, wav([A]), wav([OTHER])))
        for words, typed in (
            ("1番目の管の管種を選ぶか", {"speed": ""}),
            ("延長「百」は 1～3000 m", {"length_1": "百"}),
            ("管の延長を入れて", {"length_1": ""}),
            ("口径「nan」", {"diameter_1": "nan"}),
        ):
            refused = post(client, wav([A]), wav([B]), **typed)
            assert refused.status_code == 400 and words in main(refused)
        refused = post(client, wav([A]), b"no sound")
        assert refused.status_code == 400 and "b.wav を WAV として読めません" in main(refused)


def test_the_command_says_the_same(tmp_path: Path) -> None:
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for file, sound in zip(files, (A, B), strict=True):
        file.write_bytes(wav([sound]))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["correlate", *map(str, files), *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    said = json.loads(run("--length", "100", "--speed", "1250", "--json"))
    low, metres, high = said["from_a_m"]
    assert said["clear"] and low < 30 < high and abs(metres - 30) < 1 and said["beyond"] is None
    assert said["from_b_m"][1] == pytest.approx(100 - metres, abs=0.11)
    assert said["delay_ms"][1] == pytest.approx(32, abs=0.1)
    mixed = ["--length", "40", "--material", "DIP管", "--diameter", "100", "--length", "60", "--material", "SP"]
    with pytest.raises(InputError, match="2 lengths and 1 diameters"):
        run(*mixed, "--json")
    assert len(json.loads(run(*mixed, "--diameter", "75", "--json"))["stretches"]) == 2
    with pytest.raises(InputError, match="'bamboo' is not known"):
        run("--length", "100", "--material", "bamboo")
    files[1].write_bytes(b"x")
    with pytest.raises(InputError, match=r"b\.wav cannot be read as a WAV"):
        run("--length", "100", "--material", "VP")


def test_an_answer_is_kept_with_a_case_moves_its_area_and_can_be_taken_back(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        client.headers.update({"Accept": "text/html"})
        client.post("/water/pipes", files={"file": ("town.geojson", geojson())})
        client.post("/water/pipes/1", data={"do": "take"})
        assert client.post("/water/leaks", data={"name": "浜町", "pipe": "枝1", "metres": "0"}).status_code == 303
        answer = post(client, wav([A]), wav([B]), case="1")
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text))
        form = {name: unescape(value) for name, value in form.items()} | {"case": "1", "day": "2026-05-30"}
        assert 'value="1" selected' in answer.text and float(form["metres"]) == pytest.approx(30, abs=1)

        def keep(**said: str) -> httpx.Response:
            return client.post(PAGE, data=form | {"do": "keep", "a": "弁1", "b": "枝2"} | said)

        refusals = {
            "いまの管路データにない": {"b": "枝9"},
            "AとBが同じ": {"b": "弁1"},
            "ありえない値": {"metres": "101"},
            "読み取れません": {"day": ""},
            "これからの日時": {"day": "2030-01-01"},
            "必要な欄が空": {"case": ""},
        }
        for words, said in refusals.items():
            refused = keep(**said)
            assert refused.status_code == 400 and words in main(refused) and 'name="stretches"' in refused.text
        assert keep().headers["location"] == "/water/leaks/1?done=correlated#evidence"
        page = client.get("/water/leaks/1")
        said = main(page)
        assert "A 弁1 〜 B 枝2（100 m）" in said and "ほかの根拠と合いません" in said and "まず 本管2 から" in said
        assert "管路図での距離は 160 m" in said, "the middle of the branch is 60 m behind the valve's pipe"
        assert "pipe-heard" in page.text and "浜町の録音" not in said
        assert "A 弁1 〜 B 枝2" in main(client.get("/water/leaks/1?copy=1"))
        assert "/correlations/1" not in client.get("/water/leaks/1?copy=1").text
        back = "/water/leaks/1/correlations/1"
        assert client.post(back, data={"text": " "}).status_code == 400
        assert client.post(back, data={"text": "別の弁だった"}).status_code == 303
        assert client.post(back, data={"text": "もう一度"}).status_code == 400
        said = main(client.get("/water/leaks/1"))
        assert "取り消し済み" in said and "別の弁だった" in said and "まず 枝1 から" in said
