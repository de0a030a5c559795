"""What the repository itself promises: locks with hashes and no addresses, no machine's paths, every package listed."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements.lock", "requirements-apprise.lock", "requirements-dev.lock", "requirements-build.lock")
# Written apart so that this file does not find itself.
HOSTS = re.compile(
    "|".join(["files" + r"\.python" + "hosted", "pypi" + r"\.org", "registry" + r"\.npmjs", "regis" + "try=http"])
)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:root|home|work|Users)/[\w.]")


def tracked() -> list[Path]:
    """The files of the repository: those git would commit, else (an unpacked archive) all that are not made."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the list of files is git's")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path.relative_to(ROOT), path.read_text("utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    lines = [
        f"{path}: {line.strip()[:100]}"
        for path, text in texts()
        for line in text.splitlines()
        if MACHINE_PATH.search(line)
    ]
    assert lines == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert [str(path) for path, text in texts() if HOSTS.search(text)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_in_a_lock_has_an_exact_version_and_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 2
    assert [line[:60] for line in lines if not re.match(r"^[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~! ]", r)[0]).lower() for r in requirements}

    def locked(lock: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text("utf-8"), re.MULTILINE))

    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    runtime = names(project["dependencies"]) | names(project["optional-dependencies"]["embedded"])
    assert runtime <= locked("requirements.lock")
    assert runtime | names(groups["dev"]) <= locked("requirements-dev.lock")
    assert runtime | {"apprise"} <= locked("requirements-apprise.lock") & locked("requirements-dev.lock")
    assert names(groups["build"]) <= locked("requirements-build.lock")
    assert not any("node" in name or "playwright" in name for name in locked("requirements.lock"))


def test_the_front_ends_lock_names_no_addresses() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text("utf-8")


def test_the_listed_packages_are_those_on_disk() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    rooms = {name.split(".")[0] for name in listed}
    on_disk = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for path in tracked()
        if path.name == "__init__.py" and path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")
    }
    assert set(listed) == on_disk
    assert (
        rooms == set(PYPROJECT["tool"]["mypy"]["packages"]) == set(PYPROJECT["tool"]["importlinter"]["root_packages"])
    )


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"] == "Apache-2.0"


def test_a_module_stays_readable_in_one_sitting_and_says_what_it_is() -> None:
    modules = [
        p for p in tracked() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")
    ]
    assert [str(p.relative_to(ROOT)) for p in modules if len(p.read_text("utf-8").splitlines()) > 450] == []
    silent = [
        str(p.relative_to(ROOT))
        for p in modules
        if (t := p.read_text("utf-8")).strip() and not t.lstrip().startswith('"""')
    ]
    assert silent == []


def test_make_and_ci_are_executable_as_they_stand() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111 == 0o111
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)
    for target in ("install", "demo", "test", "check", "test-browser", "pictures", "lock"):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
