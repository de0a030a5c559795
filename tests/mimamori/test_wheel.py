"""What `pip install` gives to people without make: all that a town needs, and a demo that starts from anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from api.accounts import DEMO_PASSWORD
from dashboards import vendor
from mimamori.signed_in import SignedIn
from tests.test_repository import PYPROJECT, ROOT, tracked

ROOMS = {name.split(".")[0] for name in PYPROJECT["tool"]["setuptools"]["packages"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built as pip builds it; the libraries are those that are vendored already."""
    if not vendor.up_to_date(ROOT, vendor.VENDOR):
        pytest.skip("the front end's libraries are not here: python -m dashboards.vendor")
    source = tmp_path_factory.mktemp("source")
    for path in tracked():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    shutil.copytree(vendor.VENDOR, source / vendor.VENDOR.relative_to(ROOT))
    made = tmp_path_factory.mktemp("made")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation",
         "--no-deps", "--wheel-dir", str(made), str(source)],
        check=True,
    )  # fmt: skip
    return next(made.glob("*.whl"))


def test_a_wheel_holds_every_file_of_every_room_and_nothing_else(wheel: Path) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in tracked() if path.relative_to(ROOT).parts[0] in ROOMS}
    expected |= {path.relative_to(ROOT).as_posix() for path in vendor.VENDOR.iterdir()}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == expected


def unpacked(wheel: Path, folder: Path) -> dict[str, str]:
    """The wheel as an installation without the source tree; the environment in which it is the one that is found."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    (folder / "empty").mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MIMAMORI_", "XDG_"))}
    return clean | {"PYTHONPATH": str(folder / "installed"), "HOME": str(folder / "home")}


@pytest.mark.demo
def test_the_demo_starts_in_an_empty_folder_and_its_pages_live_without_the_libraries(
    wheel: Path, tmp_path: Path
) -> None:
    environment = unpacked(wheel, tmp_path)
    shutil.rmtree(tmp_path / "installed" / "dashboards" / "static" / "vendor")
    with (tmp_path / "stderr").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "mimamori", "demo", "--port", "0", "--history-days", "0"],
            cwd=tmp_path / "empty", env=environment, stdout=subprocess.PIPE, stderr=err, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        said = (tmp_path / "stderr").read_text("utf-8")
        assert url.startswith("http://127.0.0.1:"), said
        assert vendor.ABSENT in said
        officer = SignedIn(url, "disaster", DEMO_PASSWORD)

        def page(path: str) -> str:
            with officer.get(f"/{path}") as answer:
                return answer.read().decode()

        deadline = time.monotonic() + 60
        while 'class="line"' not in (text := page("disaster")):
            assert time.monotonic() < deadline, "no curve was drawn"
            time.sleep(0.2)
        assert "map-mark" in text and "vendor/" not in text and "data-map" not in text and "data-chart" not in text
        assert all("vendor/" not in page(name) for name in ("", "water", "tourism", "digital", "alerts"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
    assert process.returncode == 0
    assert list((tmp_path / "empty").iterdir()) == [], "what the demo keeps belongs to the user, not to the folder"
    kept = tmp_path / "home" / ".local" / "share" / "mimamori" / "demo"
    assert (kept / "postgres").is_dir()
    assert "no front-end libraries" in (kept / "logs" / "api.log").read_text("utf-8")


def test_without_the_extra_the_demo_says_exactly_what_to_install(wheel: Path, tmp_path: Path) -> None:
    environment = unpacked(wheel, tmp_path)
    hide = (
        "import importlib.util as u, runpy, sys\n"
        "import mimamori.embedded as e\n"
        "e.find_spec = lambda name: None\n"
        "e.available = lambda: ()\n"
        "sys.argv = ['mimamori', 'demo']\n"
        "runpy.run_module('mimamori', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide],
        cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    pins = PYPROJECT["project"]["optional-dependencies"]["embedded"]
    assert done.stderr.strip().endswith(f"{sys.executable} -m pip install {' '.join(pins)}")
