"""`mimamori import-csv` as an operator runs it: what it prints, how it ends, and that errors are sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Registered
from tests.ingest.formats import elsewhere
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


def test_a_check_stores_nothing_and_lists_a_file_in_a_known_form_as_its_map(
    registered: Registered, tmp_path: Path
) -> None:
    file = tmp_path / "suii.csv"
    file.write_bytes(elsewhere.kagoshima(["2024/1/1 0:10,52,-3", "2024/1/1 0:20,高い,***"]))
    refused = command("import-csv", str(file), WORKER_DSN=registered.worker)
    assert refused.returncode == 1 and "--check lists what is in the file" in " ".join(refused.stderr.split())
    looked = command("import-csv", str(file), "--format", "kagoshima", "--check", WORKER_DSN=registered.worker)
    assert looked.returncode == 0 and "確認のみ" in looked.stdout
    listed = "\n".join(line for line in looked.stdout.splitlines() if line.startswith('  "'))
    filled = listed.replace("station: ,", "station: river-okusawa,").replace("property: ,", "property: water_level,")
    file.with_suffix(".yaml").write_text(f"format: kagoshima\nseries:\n{filled.splitlines()[0]}\n", "utf-8")
    for options in (("--check",), ()):
        report = json.loads(command("import-csv", str(file), "--json", *options, WORKER_DSN=registered.worker).stdout)
        assert (report["check"], report["stored"], report["unchanged"], report["rejected"]) == (bool(options), 1, 0, 1)
        assert report["unlisted"] == [{"series": "水位/139", "name": "古仁屋橋", "unit": "cm"}]
        assert report["absent"] == []


def test_bad_usage_is_told(files: tuple[str, str]) -> None:
    assert command("import-csv").returncode == 2
    done = command("import-csv", files[0], "--map", files[1])
    assert done.returncode == 1 and "MIMAMORI_WORKER_DSN is not set" in done.stderr
