"""相関 on the page and from the command line: one noise, one place, and words where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from api.roles import Role
from mimamori.cli import app
from mimamori.errors import InputError
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
