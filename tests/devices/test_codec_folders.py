"""Folders of codecs: both shapes, with everything that can be wrong in them; and the real ones where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.codecs.folders import FolderError, check_folder, read_folder
from devices.codecs.javascript import Limits, Sandbox

CODEC = """function decodeUplink(input) {
  if (input.fPort !== 1) { return {errors: ["unknown port"]}; }
  return {data: {state: input.bytes[0] ? "on" : "off", level: input.bytes[1] / 10}};
}
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(patience_seconds=60.0)) as made:
        yield made


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


LORAWAN: dict[str, str | bytes] = {
    "LICENSE": "Licence of the folder",
    "vendor/index.yaml": "vendors:\n  - id: acme\n    name: ACME 計測\n  - id: none\n    name: None\n",
    "vendor/acme/index.yaml": "endDevices:\n  - gauge\n",
    "vendor/acme/gauge.yaml": """
name: Level Gauge
firmwareVersions:
  - version: '1.0'
    profiles:
      EU863-870: {id: p, codec: old-codec}
  - version: '2.0'
    profiles:
      EU863-870: {id: p, codec: old-codec}
      AS923: {id: p, codec: gauge-codec}
""",
    "vendor/acme/no-codec.yaml": "name: Silent\nfirmwareVersions:\n  - version: '1.0'\n    profiles: {AS923: {}}\n",
    "vendor/acme/gauge.js": CODEC,
    "vendor/acme/old.js": CODEC.replace("/ 10", "/ 100"),
    "vendor/acme/gauge-codec.yaml": """
uplinkDecoder:
  fileName: gauge.js
  examples:
    - description: on is a text in YAML 1.2
      input: {fPort: 1, bytes: [0x01, 21]}
      output: {data: {state: on, level: 2.1}}
    - description: off too
      input: {fPort: 1, bytes: [0, 21]}
      output: {data: {state: off, level: 2.1}}
    - description: another port
      input: {fPort: 9, bytes: []}
      output: {errors: [unknown port]}
""",
    "vendor/acme/old-codec.yaml": """
uplinkDecoder:
  fileName: old.js
  examples:
    - description: wrong value
      input: {fPort: 1, bytes: [1, 21]}
      output: {data: {state: 'on', level: 2.1}}
    - description: no bytes
      input: {fPort: 1}
      output: {data: {}}
""",
    "vendor/acme/broken-codec.yaml": "uplinkDecoder:\n  fileName: gauge.js\n  examples: [\n  - {a\n",
    "vendor/acme/outside-codec.yaml": "uplinkDecoder:\n  fileName: ../../../../etc/passwd\n",
    "vendor/acme/missing-codec.yaml": "uplinkDecoder:\n  fileName: nowhere.js\n",
    "vendor/acme/sjis-codec.yaml": "uplinkDecoder:\n  # 水位\n".encode("cp932"),
    "vendor/none/index.yaml": "endDevices: []\n",
}


def test_a_folder_like_lorawan_devices(tmp_path: Path, sandbox: Sandbox) -> None:
    contents = read_folder(write(tmp_path, LORAWAN), sandbox)
    assert contents.shape == "lorawan-devices" and contents.licence == "Licence of the folder"
    (model,) = contents.models
    assert (model.name, model.manufacturer, model.title) == ("acme/gauge", "ACME 計測", "Level Gauge")
    assert model.codec.script == "vendor/acme/gauge.js" and model.codec.codec.source == CODEC
    assert model.others == ("vendor/acme/old.js",)
    problems = {(problem.file.rsplit("/")[-1], problem.line): problem.reason for problem in contents.problems}
    assert "no YAML" in problems["broken-codec.yaml", 4]
    assert "outside the folder" in problems["outside-codec.yaml", None]
    assert "nowhere.js cannot be read" in problems["missing-codec.yaml", None]
    assert "not UTF-8" in problems["sjis-codec.yaml", 2]
    checked = check_folder(contents, sandbox)
    assert (checked.passed, checked.codecs, checked.stateless) == (3, 2, 2)
    failures = {failure.example: failure for failure in checked.failures if failure.example}
    assert failures["wrong value"].reason == "data.level: expected 2.1, got 0.21"
    assert failures["wrong value"].script == "vendor/acme/old.js"
    assert "list of numbers" in failures["no bytes"].reason
    assert len(checked.failures) == 6
    assert set(checked.failures[0].to_json()) >= {"file", "example", "reason"}


CHIRPSTACK: dict[str, str | bytes] = {
    "vendors/acme/vendor.toml": '[vendor]\nname = "ACME 計測"\n',
    "vendors/acme/devices/gauge.toml": """[device]
name = "Level Gauge"
[[device.firmware]]
version = "1.0"
codec = "old.js"
[[device.firmware]]
version = "2.0"
codec = "gauge-10.js"
""",
    "vendors/acme/devices/broken.toml": '[device]\nname = "x\n',
    "vendors/acme/devices/lost.toml": '[device]\nname = "Lost"\n[[device.firmware]]\ncodec = "lost.js"\n',
    "vendors/acme/codecs/gauge-10.js": CODEC,
    "vendors/acme/codecs/old.js": CODEC,
    "vendors/acme/codecs/test_decode_gauge.json": """[
  // A literal, not JSON: comments, hexadecimal, loose keys, a comma too many.
  {name: 'hexadecimal', input: {fPort: 1, bytes: [0x01, 0x15]}, expected: {data: {state: "on", level: 2.1}}},
  {name: 'wrong', input: {fPort: 1, bytes: [0x01, 0x16]}, expected: {data: {state: "on", level: 2.1}}},
]
""",
    "vendors/acme/codecs/test_decode_old.json": "[{name: 'x', input: {bytes: [1}}]\n",
    "vendors/acme/codecs/test_decode_alone.json": "[]",
    "vendors/acme/codecs/test_encode_gauge.json": "[]",
}


def test_a_folder_like_chirpstack_device_profiles(tmp_path: Path, sandbox: Sandbox) -> None:
    contents = read_folder(write(tmp_path, CHIRPSTACK), sandbox)
    assert contents.shape == "chirpstack-device-profiles" and contents.licence is None
    (model,) = contents.models
    assert (model.name, model.manufacturer, model.title) == ("acme/gauge", "ACME 計測", "Level Gauge")
    assert (model.codec.script, model.others) == ("vendors/acme/codecs/gauge-10.js", ("vendors/acme/codecs/old.js",))
    problems = {problem.file.rsplit("/")[-1]: problem for problem in contents.problems}
    assert problems["broken.toml"].line == 2 and "no TOML" in problems["broken.toml"].reason
    assert "lost.js is not in codecs" in problems["lost.toml"].reason
    assert "neither JSON nor a JavaScript literal: line 1" in problems["test_decode_old.json"].reason
    assert "no codec alone.js" in problems["test_decode_alone.json"].reason
    checked = check_folder(contents, sandbox)
    assert (checked.passed, checked.codecs) == (1, 1)
    (failure,) = (failure for failure in checked.failures if failure.example)
    assert (failure.example, failure.reason) == ("wrong", "data.level: expected 2.1, got 2.2")


@pytest.mark.parametrize("inner", ["vendor", "vendor/acme"])
def test_the_folder_of_all_vendors_or_of_one_will_do(tmp_path: Path, sandbox: Sandbox, inner: str) -> None:
    contents = read_folder(write(tmp_path, LORAWAN) / inner, sandbox)
    assert [model.name for model in contents.models] == ["acme/gauge"]
    assert contents.licence == "Licence of the folder"


@pytest.mark.parametrize("inner", ["vendors", "vendors/acme"])
def test_so_will_those_of_the_other_shape(tmp_path: Path, sandbox: Sandbox, inner: str) -> None:
    assert [model.name for model in read_folder(write(tmp_path, CHIRPSTACK) / inner, sandbox).models] == ["acme/gauge"]


def test_another_folder_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(FolderError, match="shaped like neither"):
        read_folder(write(tmp_path, {"a/b.yaml": "x: 1\n", "c.txt": ""}), sandbox)
    with pytest.raises(FolderError, match="is no folder"):
        read_folder(tmp_path / "c.txt", sandbox)


def test_an_attack_in_a_file_of_examples_is_contained(tmp_path: Path, sandbox: Sandbox) -> None:
    files = {**CHIRPSTACK, "vendors/acme/codecs/test_decode_old.json": "(() => { for (;;) {} })()"}
    contents = read_folder(write(tmp_path, files), sandbox, models=False)
    assert any("stopped after" in problem.reason for problem in contents.problems)
    assert check_folder(contents, sandbox).passed == 1


REAL = {
    # The folder's environment variable, and how many examples may fail, for reasons that are theirs.
    "MIMAMORI_TEST_LORAWAN_DEVICES": (906, 4),
    "MIMAMORI_TEST_CHIRPSTACK_PROFILES": (162, 0),
}


@pytest.mark.parametrize("variable", REAL)
def test_the_manufacturers_own_examples(sandbox: Sandbox, variable: str) -> None:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} does not name a folder of manufacturers' codecs")
    least, may_fail = REAL[variable]
    checked = check_folder(read_folder(Path(folder), sandbox, models=False), sandbox)
    assert checked.passed + len(checked.failures) >= least
    assert len(checked.failures) <= may_fail, [failure.reason for failure in checked.failures]
