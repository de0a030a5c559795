"""`mimamori import-csv` as an operator runs it: what it prints, how it ends, and that errors are sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Registered
from tests.mimamori.test_cli import command

MAP = """
time: {column: 日時, zone: Asia/Tokyo}
columns: {奥沢: {station: river-okusawa, property: water_level, scale: 0.01}}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    file, layout = tmp_path / "history.csv", tmp_path / "map.yaml"
    file.write_bytes("日時,奥沢\r\n2026/5/1 24:00,52\r\n2026/5/2 0:10,高い\r\n".encode("cp932"))
    layout.write_text(MAP, "utf-8")
    return str(file), str(layout)


def test_a_program_gets_one_json_object(registered: Registered, files: tuple[str, str]) -> None:
    file, layout = files
    for stored, unchanged in ((1, 0), (0, 1)):
        done = command("import-csv", file, "--map", layout, "--json", WORKER_DSN=registered.worker)
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        assert (report["stored"], report["unchanged"], report["rejected"]) == (stored, unchanged, 1)
        (error,) = report["errors"]
        assert error["line"] == 3 and "奥沢: '高い' is no number" in error["reason"]


def test_several_files_go_by_one_map_or_each_by_its_own(registered: Registered, files: tuple[str, str]) -> None:
    file, layout = files
    second = Path(file).with_name("second.csv")
    second.write_text("日時,奥沢\n2026/5/3 0:00,54\n", "utf-8")
    done = command("import-csv", file, str(second), "--map", layout, "--json", WORKER_DSN=registered.worker)
    assert [json.loads(line)["stored"] for line in done.stdout.splitlines()] == [1, 1]
    second.with_suffix(".yaml").write_text(MAP, "utf-8")
    done = command("import-csv", str(second), "--json", WORKER_DSN=registered.worker)
    assert json.loads(done.stdout)["unchanged"] == 1
    done = command("import-csv", file, WORKER_DSN=registered.worker)
    assert done.returncode == 1 and "history.yaml: cannot be read" in done.stderr


def test_a_person_gets_a_table_and_the_lines_that_were_not_taken(
    registered: Registered, files: tuple[str, str]
) -> None:
    done = command("import-csv", files[0], "--map", files[1], WORKER_DSN=registered.worker)
    assert done.returncode == 0
    assert "history.csv: 2 lines" in done.stdout and "新規" in done.stdout and "line 3: 奥沢" in done.stdout


def test_bad_input_is_one_sentence_with_file_and_line(
    registered: Registered, files: tuple[str, str], tmp_path: Path
) -> None:
    file, layout = files
    (tmp_path / "wrong.yaml").write_text(MAP.replace("Asia/Tokyo", "Mars/Dome"), "utf-8")
    cases = {
        (file, str(tmp_path / "wrong.yaml")): "wrong.yaml:2: time: zone 'Mars/Dome' is unknown",
        (file, str(tmp_path / "none.yaml")): "none.yaml: cannot be read",
        (str(tmp_path / "none.csv"), layout): "none.csv: cannot be read: No such file",
        (layout, layout): "map.yaml:1:",
    }
    for (csv_file, map_file), sentence in cases.items():
        done = command("import-csv", csv_file, "--map", map_file, WORKER_DSN=registered.worker)
        assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert done.stdout == ""


def test_bad_usage_is_told(files: tuple[str, str]) -> None:
    assert command("import-csv").returncode == 2
    done = command("import-csv", files[0], "--map", files[1])
    assert done.returncode == 1 and "MIMAMORI_WORKER_DSN is not set" in done.stderr
