"""What processes take: with their children, also those that have ended, and pages they share not twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from mimamori.consumption import memory, processor_seconds

# Says a line when its memory and its children's are there, and goes on after a line.
FAMILY = """
import subprocess, sys
mine = bytearray(60_000_000)
child = subprocess.Popen([sys.executable, "-c", "m = bytearray(40_000_000); print(1, flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
sys.stdin.readline()
child.stdin.close(); child.wait()
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"])
print("worked", flush=True)
sys.stdin.readline()
"""


def test_a_process_counts_with_its_children_and_what_they_did() -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        both = memory({"family": process.pid})["family"]
        assert 100 < both < 200
        before = processor_seconds({"family": process.pid})["family"]
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert processor_seconds({"family": process.pid})["family"] - before >= 0.45, "also of a child that is gone"
        assert memory({"family": process.pid})["family"] < both - 30
        process.stdin.close()
    assert memory({"family": process.pid}) == {} == processor_seconds({"family": process.pid})


def test_pages_that_a_fork_shares_count_once() -> None:
    text = "import os, sys\nheld = b'x' * 80_000_000\nif os.fork() == 0: sys.stdin.readline(); os._exit(0)\n"
    text += "print(1, flush=True)\nsys.stdin.readline()\n"
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 30
        while memory({"fork": process.pid})["fork"] > 140 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert 80 < memory({"fork": process.pid})["fork"] < 140
        process.stdin.write(b"\n\n")
        process.stdin.close()


def test_this_process_is_there() -> None:
    assert memory({"own": os.getpid()})["own"] > 5
