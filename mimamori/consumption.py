"""What running processes take of the machine: memory and processor time, each with all its children.

Memory is the proportional set size where the system tells it (Linux): a page that several processes share counts in
parts, so that sums are true. Elsewhere it is resident memory, with what a process shares with its children counted
once. MB are 10^6 bytes.

Processor time is user and system time. A child that has ended since is in its parent's account, so that the difference
of two looks is right also for backends that come and go.
"""

from __future__ import annotations

from collections.abc import Mapping

import psutil


def memory(pids: Mapping[str, int]) -> dict[str, float]:
    """MB of each process with its children; whoever has just ended is left out."""
    found = {}
    for name, pid in pids.items():
        family = _family(pid)
        if family:
            found[name] = _megabytes(family)
    return found


def processor_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Seconds that each process and its children have worked since they began; whoever has just ended is left out."""
    found = {}
    for name, pid in pids.items():
        total, seen = 0.0, False
        for process in _family(pid):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            seen = True
            total += times.user + times.system + times.children_user + times.children_system
        if seen:
            found[name] = total
    return found


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _megabytes(family: list[psutil.Process]) -> float:
    proportional, resident, shared = 0.0, 0.0, [0.0]
    for process in family:
        try:
            info = process.memory_info()
            resident += info.rss
            shared.append(getattr(info, "shared", 0))
            proportional += getattr(process.memory_full_info(), "pss", 0)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            proportional = float("nan")  # a total without one of them would be too small
    if proportional > 0:
        return proportional / 1e6
    return (resident - sum(shared) + max(shared)) / 1e6
