"""What can be known of Windows and macOS without one: every module loads there, and nobody calls what they lack.

mypy judges every line for win32 (`make check`); the watching tether and the killing of process trees run here for
real (test_supervisor.py). What remains unknown without such a machine stands in docs/start.md.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mimamori.places import usual_folder

ROOT = Path(__file__).parent.parent.parent

# Loads all of ours once, so that other people's modules are there as this system has them; then again as on Windows:
# without the modules it lacks, and with the names of constants it has.
AS_ON_WINDOWS = """
import importlib, pathlib, pkgutil, signal, socket, subprocess, sys, types

ROOMS = %(rooms)r
names = [n for room in ROOMS for n in (room, *(m.name for m in pkgutil.walk_packages([room], room + ".")))]
names.remove("mimamori.__main__")
for name in names:
    importlib.import_module(name)

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name in %(lacking)r:
            raise ModuleNotFoundError(f"Windows has no {name}", name=name)

for name in [n for n in sys.modules if n.split(".")[0] in ROOMS or n in %(lacking)r]:
    del sys.modules[name]
sys.meta_path.insert(0, Lacking())
sys.platform = "win32"
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
subprocess.CREATE_NEW_PROCESS_GROUP = 0x200
signal.SIGBREAK, signal.CTRL_BREAK_EVENT = signal.Signals(21), signal.Signals(1)
socket.SO_EXCLUSIVEADDRUSE = ~socket.SO_REUSEADDR
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "pthread_sigmask", "sigwait"):
    delattr(signal, name)
for name in names:
    importlib.import_module(name)
print(len(names))
"""
LACKING = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "spwd", "nis", "crypt"}


def test_every_module_loads_without_what_windows_lacks() -> None:
    rooms = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
    script = AS_ON_WINDOWS % {"rooms": rooms, "lacking": LACKING}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("busy", ["stop.wait()", "import threading; threading.Lock().acquire(timeout=60)"])
def test_a_signal_sets_the_event_whatever_the_main_thread_waits_for(name: str, busy: str) -> None:
    script = (
        "from mimamori.stopping import stop_event\n"
        "import os, threading\n"
        "stop = stop_event()\n"
        "threading.Thread(target=lambda: (stop.wait(), print('stopped', flush=True), os._exit(0))).start()\n"
        f"print('up', flush=True)\n{busy}\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        process.send_signal(getattr(signal, name))
        said = process.stdout.readline()
        watchdog.cancel()
    assert said == "stopped\n"


def test_what_the_demo_keeps_goes_where_the_system_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/people/yamada"))
    for platform, environment, expected in (
        ("linux", {}, "/people/yamada/.local/share/mimamori"),
        ("linux", {"XDG_DATA_HOME": "/srv/data"}, "/srv/data/mimamori"),
        ("darwin", {}, "/people/yamada/Library/Application Support/mimamori"),
        ("win32", {"LOCALAPPDATA": "/AppData"}, "/AppData/mimamori"),
        ("win32", {}, "/people/yamada/AppData/Local/mimamori"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert usual_folder(environment) == Path(expected)
    monkeypatch.undo()
    assert usual_folder(os.environ).name == "mimamori"
