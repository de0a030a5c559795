"""`mimamori devices check` and `mimamori bench codecs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devices.codecs.javascript import Sandbox
from devices.codecs.javascript.sandbox import readings_of
from devices.model import CodecError
from mimamori.bench.codecs import LIMITS, CodecsBench, _own, measure, rows
from tests.devices.test_codec_folders import CHIRPSTACK, LORAWAN, write
from tests.mimamori.test_cli import command


def test_check_prints_one_object(tmp_path: Path) -> None:
    done = command("devices", "check", str(write(tmp_path, LORAWAN)), "--json")
    assert done.returncode == 0, done.stderr
    checked = json.loads(done.stdout)
    assert (checked["folder"], checked["passed"], checked["failed"]) == ("lorawan-devices", 3, 6)
    assert len(checked["failures"]) == checked["failed"]
    assert all({"file", "example", "reason"} <= set(failure) for failure in checked["failures"])
    broken = next(each for each in checked["failures"] if each["file"] == "vendor/acme/broken-codec.yaml")
    assert (broken["line"], broken["example"]) == (4, None)
    wrong = next(each for each in checked["failures"] if each["example"] == "wrong value")
    assert wrong["expected"]["data"]["level"] == 2.1 and wrong["got"]["data"]["level"] == 0.21


def test_check_prints_a_line_for_each_failure(tmp_path: Path) -> None:
    done = command("devices", "check", str(write(tmp_path, CHIRPSTACK)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 passed, 3 failed; 1 codec with examples, 1 of them stateless"
    assert (
        "vendors/acme/codecs/test_decode_gauge.json: wrong: data.level: expected 2.1, got 2.2"
        in done.stdout.splitlines()
    )


def test_check_of_another_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = command("devices", "check", str(tmp_path), "--json")
    assert done.returncode == 1 and done.stdout == ""
    assert "shaped like neither lorawan-devices" in done.stderr and "Traceback" not in done.stderr


def test_the_bench_decodes_what_a_device_would_send() -> None:
    requests = _own()
    with Sandbox() as sandbox:
        answers = sandbox.answers(requests)
    fields = []
    for answer in answers:
        assert not isinstance(answer, CodecError)
        fields.append({reading.field for reading in readings_of(answer)})
    assert {"level", "air_pressure", "battery"} < fields[0]
    assert fields[6] == {"level"} and len(readings_of(answers[6])) == 8  # type: ignore[arg-type]
    assert "status.charging" in fields[8] and "alarm_active" in fields[9]


def test_the_bench_measures_both_ways_and_says_what_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = measure(CodecsBench(400, 1, None), lambda done, total: None)
    assert figures["reused"]["per_core"] > figures["isolated"]["per_core"] > 0
    assert 5 < figures["rss_mb"]["empty"] <= figures["rss_mb"]["one_codec"] < 100
    assert 0 < figures["rss_mb"]["each_codec"] < 5
    assert len(rows(figures)) == 9
    monkeypatch.setitem(LIMITS, "isolated_per_core", 10**9)
    assert measure(CodecsBench(100, 1, None), lambda done, total: None)["within_limits"] is False


def test_the_bench_takes_a_folder(tmp_path: Path) -> None:
    done = command(
        "bench", "codecs", "--dir", str(write(tmp_path, LORAWAN)), "--decodes", "100", "--rounds", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["codecs"], figures["decodes"]) == (2, 100) and figures["limits"] == LIMITS
    empty = command("bench", "codecs", "--dir", str(write(tmp_path / "none", {"vendor.toml": "", "a.js": ""})))
    assert empty.returncode == 1 and "no codec with examples" in empty.stderr
