"""Silence: when has a station said nothing for too long?

    judge_silence(devices, listening_since, now, open_since) -> transitions

Silence is judged on the town clock by each device's own `silence_after`. It has three answers, not two: HEARD,
SILENT and UNKNOWN. While nobody listens (ingest down, broker out of reach, heartbeat stale) we know nothing, and
after we begin to listen a full `silence_after` must pass first:

    silent  iff  max(last_heard, listening_since, attached_from) + silence_after < now

`now` is the moment until which we have listened: the last heartbeat, not the clock. What was sent since a worker died
waits at the broker, and on a fast town clock those seconds are hours.

A station with an open silence clears when each of its devices has spoken since (or need not have yet): the newer
message ends that silence, even where the next one has begun by the time anyone looks. Then it is raised anew.
Nothing but a message clears it: not a restart of ingest, not a stale heartbeat.

A device that has modes (危機管理型水位計, `devices.duty`) has the `silence_after` of the mode that it is in. One that
is excused owes no word at all: while somebody works on it as planned, or while an outage explains its silence
(`alerts.rules.outage`). Afterwards its patience begins anew (`listening_from`): behind a dead gateway nobody listens.

Heard means an accepted message. One that could not be read, or a mere join, brings no observation; for whoever
watches the river that is silence too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alerts.rules.transition import Event, Transition


class Hearing(StrEnum):
    """What we know of a device."""

    HEARD = "heard"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Listened:
    """One device that is attached now; `last_heard` is None where it never sent anything readable.

    `listening_from`: it could not be heard before, whoever listened; None: it always could. `excused`: it cannot now.
    """

    key: str
    silence_after: timedelta
    attached_from: datetime
    last_heard: datetime | None
    listening_from: datetime | None = None
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """One ingest worker as it describes itself; `listening_since` None while the broker is out of reach."""

    heartbeat_at: datetime
    listening_since: datetime | None


@dataclass(frozen=True, slots=True)
class Listening:
    """Somebody has listened from `since` to `until` without a break; of what came later nothing is known yet."""

    since: datetime
    until: datetime


def listening_of(workers: Iterable[Listener], now: datetime, fresh_for: timedelta) -> Listening | None:
    """For how long somebody has listened; None: nobody does now, so silence means nothing.

    Workers share one subscription: one that listens is enough. A heartbeat older than `fresh_for` is a dead worker.
    """
    alive = [
        (each.listening_since, each.heartbeat_at)
        for each in workers
        if each.listening_since is not None and now - each.heartbeat_at <= fresh_for
    ]
    if not alive:
        return None
    return Listening(min(since for since, _ in alive), min(now, max(heartbeat for _, heartbeat in alive)))


def hearing(device: Listened, listening: datetime | None, now: datetime) -> Hearing:
    """What we know of one device at `now`."""
    if device.last_heard is not None and device.last_heard + device.silence_after >= now:
        return Hearing.HEARD
    if listening is None or device.excused or quiet_since(device, listening) + device.silence_after >= now:
        return Hearing.UNKNOWN
    return Hearing.SILENT


def judge_silence(
    devices: Sequence[Listened], listening: datetime | None, now: datetime, open_since: datetime | None
) -> list[Transition]:
    """What one station's silence alert does at `now`.

    `devices`: those attached now. `listening`: since when somebody has listened up to `now`,
    None where nobody does. `open_since`: the `time` of the transition
    that raised the open alert, None without one.

    >>> from datetime import UTC
    >>> at = lambda hour: datetime(2026, 6, 1, hour, tzinfo=UTC)
    >>> gauge = Listened("a1", timedelta(hours=1), at(0), at(2))
    >>> [(str(each.event), each.time.hour, each.rule_version) for each in judge_silence([gauge], at(0), at(4), None)]
    [('raised', 2, 'silence:3600')]
    """
    transitions = []
    if open_since is not None:
        if not _ended(devices, now, open_since):
            return []
        spoke = max((each for each in devices if each.last_heard), key=lambda each: each.last_heard or open_since)
        transitions.append(Transition(Event.CLEARED, None, spoke.last_heard or now, None, _version(spoke)))
    if listening is not None:
        silent = [each for each in devices if hearing(each, listening, now) is Hearing.SILENT]
        if silent:
            first = min(silent, key=lambda each: (quiet_since(each, listening), each.key))
            transitions.append(Transition(Event.RAISED, None, quiet_since(first, listening), None, _version(first)))
    return transitions


def quiet_since(device: Listened, listening: datetime) -> datetime:
    """Since when a word of it would have been heard, and none was."""
    known = (listening, device.attached_from, device.last_heard, device.listening_from)
    return max(each for each in known if each is not None)


def _ended(devices: Sequence[Listened], now: datetime, open_since: datetime) -> bool:
    """Whether somebody has spoken and nobody is still owed a word."""
    spoken = False
    for each in devices:
        due = max(each.attached_from, each.last_heard or each.attached_from) + each.silence_after
        if each.last_heard is not None and (each.last_heard > open_since or due >= now):
            spoken = True
        elif due < now:
            return False
    return spoken


def _version(device: Listened) -> str:
    return f"silence:{device.silence_after.total_seconds():.0f}"
