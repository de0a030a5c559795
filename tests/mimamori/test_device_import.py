"""`mimamori devices import`: models out of a folder, whole or not at all, and none replaced unless it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mimamori.device_import import model_name
from store import connect
from store.models import codec, codecs, history, model, models
from tests.conftest import Registered
from tests.devices.test_codec_folders import CODEC, LORAWAN, write
from tests.mimamori.test_cli import command

BETTER = CODEC.replace("/ 10}", "/ 10, extra: 1}")


def imported(registered: Registered, folder: Path, *words: str) -> dict[str, Any]:
    done = command(
        "devices", "import", str(folder), "--municipality", "999999", "--json", *words, OWNER_DSN=registered.owner
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def became(figures: dict[str, Any]) -> dict[str, str]:
    return {each["model"]: each["became"] for each in figures["models"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good models, one whose codec is none, and files that cannot be read."""
    more = {
        "vendor/acme/index.yaml": "endDevices:\n  - gauge\n  - Meter\n  - poem\n",
        "vendor/acme/Meter.yaml": LORAWAN["vendor/acme/gauge.yaml"],
        "vendor/acme/poem.yaml": """
name: Poem
firmwareVersions:
  - version: '1.0'
    profiles: {AS923: {id: p, codec: poem-codec}}
""",
        "vendor/acme/poem-codec.yaml": "uplinkDecoder:\n  fileName: poem.js\n",
        "vendor/acme/poem.js": "O water, rise!\n",
    }
    return write(tmp_path / "lorawan-devices", {**LORAWAN, **more})


def test_models_come_with_their_codecs_examples_and_licence(registered: Registered, folder: Path) -> None:
    figures = imported(registered, folder)
    assert became(figures) == {"acme/gauge": "added", "acme/meter": "added", "acme/poem": "refused"}
    assert (figures["added"], figures["refused"], figures["differs"]) == (2, 1, 0)
    first = next(each for each in figures["models"] if each["model"] == "acme/gauge")
    assert (first["passed"], first["failed"], first["codec"]) == (3, 0, "vendor/acme/gauge.js")
    refused = next(each for each in figures["models"] if each["model"] == "acme/poem")
    assert "is not JavaScript" in refused["reason"]
    assert {"vendor/acme/broken-codec.yaml", "vendor/acme/sjis-codec.yaml"} <= {
        each["file"] for each in figures["problems"]
    }
    with connect(registered.owner, name="test") as conn:
        town = registered.municipality_id
        stored = model(conn, town, "acme/gauge")
        assert (stored.entry.title, stored.entry.manufacturer) == ("Level Gauge", "ACME 計測")
        assert stored.sha256 == first["sha256"] and stored.entry.codec_id is not None
        kept = codec(conn, town, stored.entry.codec_id)
        assert (kept.passed, kept.failed, len(kept.vectors), kept.stateless) == (3, 0, 3, True)
        assert (kept.licence, kept.origin) == (
            "Licence of the folder", "folder lorawan-devices: vendor/acme/gauge.js",
        )  # fmt: skip
        # Both models read by one file: it is kept once.
        assert len(codecs(conn, town)) == 1 and kept.models == ("acme/gauge", "acme/meter")
        assert [each.by for each in history(conn, town, "acme/gauge")] == [None]


def test_the_same_again_changes_nothing(registered: Registered, folder: Path) -> None:
    imported(registered, folder)
    again = imported(registered, folder)
    assert became(again) == {"acme/gauge": "unchanged", "acme/meter": "unchanged", "acme/poem": "refused"}
    with connect(registered.owner, name="test") as conn:
        assert len(history(conn, registered.municipality_id, "acme/gauge")) == 1


def test_a_model_with_another_codec_is_told_and_stays(registered: Registered, folder: Path) -> None:
    imported(registered, folder)
    write(folder, {"vendor/acme/gauge.js": BETTER})
    figures = imported(registered, folder, "--model", "ACME/gauge")
    assert became(figures) == {"acme/gauge": "differs"}
    (only,) = figures["models"]
    assert only["failed"] == 2 and "--replace" in only["reason"]
    with connect(registered.owner, name="test") as conn:
        town = registered.municipality_id
        assert model(conn, town, "acme/gauge").sha256 != only["sha256"]
        assert len(codecs(conn, town)) == 1, "what is not taken is not kept either"
    assert became(imported(registered, folder, "--model", "acme/gauge", "--replace")) == {"acme/gauge": "replaced"}
    with connect(registered.owner, name="test") as conn:
        assert model(conn, town, "acme/gauge").sha256 == only["sha256"]
        assert model(conn, town, "acme/meter").sha256 != only["sha256"], "which was not asked for"
        assert len(history(conn, town, "acme/gauge")) == 2


def test_models_of_one_name_are_both_refused(registered: Registered, folder: Path) -> None:
    write(folder, {"vendor/acme/Gauge.yaml": LORAWAN["vendor/acme/gauge.yaml"]})
    figures = imported(registered, folder, "--model", "acme/gauge")
    assert figures["refused"] == 2 and figures["added"] == 0
    assert all("2 models called acme/gauge" in each["reason"] for each in figures["models"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--municipality", "999999", "--model", "acme/unknown"), "the folder has no such model; it has acme/gauge"),
        (("--municipality", "123456"), "municipality 123456 is not in the database"),
    ],
)
def test_what_cannot_be_asked_changes_nothing(
    registered: Registered, folder: Path, words: tuple[str, ...], said: str
) -> None:
    done = command("devices", "import", str(folder), *words, OWNER_DSN=registered.owner)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    with connect(registered.owner, name="test") as conn:
        assert models(conn, registered.municipality_id) == codecs(conn, registered.municipality_id) == []


def test_people_read_a_table_and_what_came_of_it(registered: Registered, folder: Path) -> None:
    done = command("devices", "import", str(folder), "--municipality", "999999", OWNER_DSN=registered.owner)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 added, 1 refused"
    assert "vendor/acme/sjis-codec.yaml:2: this line is not UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("acme/gauge", "acme/gauge"),
        ("Example Maker/Level_2 (EU)", "example-maker/level_2-eu"),
        ("水位/計", "model/model"),
    ],
)
def test_a_folders_name_becomes_one_of_ours(written: str, name: str) -> None:
    assert model_name(written) == name
