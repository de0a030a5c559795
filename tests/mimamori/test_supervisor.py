"""The supervisor keeps children running, keeps their logs small, and leaves none behind: tied by the kernel, as on
Linux, and by a tether that watches, as on Windows and macOS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mimamori import supervisor as module
from mimamori import tether
from mimamori.errors import StartError
from mimamori.stopping import interruptible
from mimamori.supervisor import Service, Supervisor

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
# Ignores its stop signal, as a hung process does.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


@pytest.fixture(params=["become", "watch"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "become" and not sys.platform.startswith("linux"):
        pytest.skip("the kernel's death signal is Linux's")
    monkeypatch.setattr(tether, "WATCHES", request.param == "watch")
    return str(request.param)


def real(pid: int) -> int:
    """The service's own process: the tether has become it, or watches it."""
    if not tether.WATCHES:
        return pid
    eventually(lambda: bool(psutil.Process(pid).children()))
    return psutil.Process(pid).children()[0].pid


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", say=said.append) as it:
        yield it


def eventually(condition: Callable[[], bool], supervisor: Supervisor | None = None, *, within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "did not come true"
        if supervisor is not None:
            supervisor.tend()
        time.sleep(0.02)


def log_has(tmp_path: Path, name: str, text: str) -> bool:
    return text in (tmp_path / "logs" / f"{name}.log").read_text()


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_killed_child_is_running_again(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(Service("sleeper", SLEEPER))
    for _ in range(3):  # also when it is killed again and again
        pid = supervisor.pids()["sleeper"]
        victim = real(pid)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda pid=pid: supervisor.pids().get("sleeper", pid) != pid, supervisor)  # type: ignore[misc]
    assert supervisor.restarts() == {"sleeper": 3}
    assert "sleeper was ended by SIGKILL" in said[0]


def test_a_child_that_cannot_run_is_given_longer_and_longer_rests(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(Service("broken", [sys.executable, "-c", "raise SystemExit('no such table')"]))
    eventually(lambda: len(said) == 3, supervisor)
    rests = [float(sentence.split(" again in ")[1].split(" s")[0]) for sentence in said]
    assert rests == sorted(rests) and rests[2] >= 4 * rests[0]
    assert "broken ended with code 1: no such table" in said[0], "its last words belong into the sentence"


def test_an_interrupt_while_a_service_starts_waits_until_it_is_known(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen, started = subprocess.Popen, []

    def interrupted(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        process = popen(*arguments, **named)
        started.append(process)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with interruptible(), pytest.raises(KeyboardInterrupt):
        supervisor.start(Service("sleeper", SLEEPER))
    monkeypatch.undo()
    supervisor.stop()
    assert started[0].poll() is not None, "nobody is left behind"


def test_stopping_goes_in_reverse_order_and_kills_who_does_not_listen(tmp_path: Path, said: list[str]) -> None:
    order = tmp_path / "order"
    noted = (
        "import pathlib, signal, sys, time\n"
        f"def end(*_): pathlib.Path({str(order)!r}).open('a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
    )
    supervisor = Supervisor(tmp_path / "logs", say=said.append)
    supervisor.start(Service("first", [sys.executable, "-c", noted, "first"]))
    supervisor.start(Service("stubborn", STUBBORN))
    supervisor.start(Service("last", [sys.executable, "-c", noted, "last "]))
    for name in ("first", "stubborn", "last"):
        eventually(lambda name=name: log_has(tmp_path, name, "up"))  # type: ignore[misc]
    pids = [each for pid in supervisor.pids().values() for each in (pid, real(pid))]

    begun = time.monotonic()
    supervisor.stop(within=2.0)

    assert time.monotonic() - begun < 60.0, "the stubborn one has ten minutes to live"
    assert order.read_text() == "last first"
    assert not any(alive(pid) for pid in pids)


def test_a_child_is_in_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(supervisor: Supervisor) -> None:
    supervisor.start(Service("sleeper", SLEEPER))
    pid = supervisor.pids()["sleeper"]
    assert os.getsid(pid) == pid != os.getsid(0)


def test_what_a_stubborn_child_has_started_goes_with_it_where_there_are_no_sessions(tmp_path: Path) -> None:
    parent = f"import subprocess, time; print(subprocess.Popen({SLEEPER!r}).pid, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        module._kill_tree(process.pid)
    eventually(lambda: not alive(child))
    module._kill_tree(process.pid)  # nobody is there any more


def test_killing_the_supervisor_leaves_no_child(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from mimamori import tether\n"
        f"tether.WATCHES = {tether.WATCHES}\n"
        "from mimamori.supervisor import Service, Supervisor\n"
        f"supervisor = Supervisor(pathlib.Path({str(tmp_path / 'logs')!r}), say=print)\n"
        f"supervisor.start(Service('sleeper', {SLEEPER!r}))\n"
        "print(supervisor.pids()['sleeper'], flush=True)\n"
        "while True: supervisor.tend(); time.sleep(0.05)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        eventually(lambda: log_has(tmp_path, "sleeper", "up"))
        pids = (child, real(child))
        process.kill()
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_log_keeps_to_its_size(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_LIMIT", 10_000)
    chatter = (
        "import time\nfor n in range(2000): print(f'line {n}', flush=True)\nprint('done', flush=True); time.sleep(600)"
    )
    supervisor.start(Service("chatter", [sys.executable, "-c", chatter]))
    eventually(lambda: log_has(tmp_path, "chatter", "done"))
    sizes = [path.stat().st_size for path in (tmp_path / "logs").iterdir()]
    assert len(sizes) == 2 and max(sizes) < 11_000


def test_waiting_in_vain_names_what_did_not_come_and_where_to_look(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"the first page did not come up.*logs"):
        supervisor.wait(lambda: False, what="the first page", timeout=0.1)


def test_an_errand_runs_once_and_says_when_it_is_over(supervisor: Supervisor, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    word = [sys.executable, "-c", f"open({str(mark)!r}, 'a').write('x')"]
    over = supervisor.errand(Service("errand", word))
    supervisor.wait(over, what="the errand", timeout=30)
    supervisor.tend()
    assert over() and mark.read_text() == "x"
    assert "errand" not in supervisor.pids() | supervisor.restarts()


def test_an_errand_that_fails_is_a_sentence(supervisor: Supervisor) -> None:
    over = supervisor.errand(Service("errand", [sys.executable, "-c", "raise SystemExit('no such town')"]))
    with pytest.raises(StartError, match="errand ended with code 1: no such town"):
        supervisor.wait(over, what="the errand", timeout=30)
