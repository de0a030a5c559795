"""`mimamori devices bulk`: what it registers, and what it says of a list that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mimamori.cli import app
from mimamori.errors import InputError
from store import connect
from tests.conftest import Registered
from tests.devices.test_sheets import workbook

HEADER = ["機器ID", "機種", "地点コード", "ひな形", "地点名", "緯度", "経度", "割付け"]
LINE: list[object] = [
    "new-1",
    "radar_level",
    "new-river",
    "河川水位計",
    "新川",
    32.44,
    135.04,
    "water_level=distance*-0.001+5",
]


def run(town: Registered, *arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["devices", "bulk", *map(str, arguments)], env={"MIMAMORI_OWNER_DSN": town.owner}
    )  # fmt: skip


def test_a_workbook_is_checked_and_then_registered(registered: Registered, tmp_path: Path) -> None:
    with connect(registered.owner, name="test") as conn:
        (code,) = conn.execute("select code from municipality").fetchone() or ("",)
    file = tmp_path / "list.xlsx"
    file.write_bytes(workbook(list(HEADER), LINE))
    checked = run(registered, file, "--municipality", code, "--check", "--json")
    assert checked.exit_code == 0, checked.output
    said = {"lines": 1, "added": 1, "changed": 0, "unchanged": 0, "stations": 1, "problems": []}
    assert json.loads(checked.stdout) == said | {"done": False}
    done = run(registered, file, "--municipality", code, "--json")
    assert json.loads(done.stdout) == said | {"done": True}
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("select count(*) from device where key = 'new-1'").fetchone() == (1,)

    file.write_bytes(workbook(list(HEADER), ["new-2", *LINE[1:5], "99", *LINE[6:]]))
    wrong = run(registered, file, "--municipality", code, "--json")
    assert wrong.exit_code == 1
    (problem,) = json.loads(wrong.stdout)["problems"]
    assert (problem["line"], problem["cell"], problem["column"]) == (2, "F2", "latitude") and "99" in problem["what"]
    assert "latitude 緯度" in run(registered, file, "--municipality", code).stdout


def test_a_list_that_cannot_be_read_is_one_sentence(registered: Registered, tmp_path: Path) -> None:
    merged = tmp_path / "merged.xlsx"
    merged.write_bytes(workbook(list(HEADER), LINE, LINE, merge="E2:E3"))
    for file, words in ((merged, "E2:E3"), (tmp_path / "nowhere.csv", "cannot be read")):
        result = run(registered, file, "--municipality", "999999")
        assert isinstance(result.exception, InputError) and words in str(result.exception)
    unknown = run(registered, _good(tmp_path), "--municipality", "000000")
    assert isinstance(unknown.exception, InputError) and "000000" in str(unknown.exception)


def _good(folder: Path) -> Path:
    file = folder / "good.csv"
    file.write_text("key\nx\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("option", ["--municipality"])
def test_whose_list_it_is_must_be_said(registered: Registered, tmp_path: Path, option: str) -> None:
    result = run(registered, _good(tmp_path))
    assert result.exit_code == 2 and option in result.output
