"""Verdicts worked out again where the gate could not know all that decides them.

A value is judged when it comes, by what is stored before it. What comes late falls between values that were judged
without it; what another worker commits in the same moment nobody saw. The writer notes such stretches
(`store.verdicts`), and here they are judged anew, with all that stands now. A verdict depends on the values alone and
not on verdicts, so it does not matter how often or in which order this is done: when nothing is noted any more, every
verdict is the one that a single worker would have given to messages in the order of their times.

Only the verdicts on how a value moved change here (`rate`, `stuck`, or good). A value keeps itself and where it came
from, so nothing goes to `observation_revision`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from devices.model import Quality, Reason
from ingest.gate import rules_of
from quality.gate import Rules, judge
from store.connection import Connection
from store.registry import Directory
from store.verdicts import Row, Stretch, Verdict, around, give, take

NEAR = timedelta(days=1)
_OPEN = {(Quality.GOOD, None), (Quality.DOUBTFUL, Reason.RATE), (Quality.DOUBTFUL, Reason.STUCK)}


def judge_again(conn: Connection, directory: Directory) -> int:
    """Works out what is noted, in transactions of its own, and returns how many verdicts have changed."""
    changed = 0
    while noted := take(conn, directory.municipality_id):
        rules = {i: _moving(rules_of(info)) for i, info in directory.datastreams.items()}
        asked = [
            (stretch, rules[stretch.datastream_id].context(), rules[stretch.datastream_id].stuck_after or timedelta(0))
            for stretch in _merged(noted)
            if stretch.datastream_id in rules
        ]
        verdicts: dict[tuple[int, datetime], Verdict] = {}
        for (stretch, _, _), rows in zip(asked, around(conn, asked), strict=True):
            for verdict in _judged(stretch, rules[stretch.datastream_id], rows):
                verdicts[verdict.datastream_id, verdict.time] = verdict
        changed += give(conn, directory.municipality_id, list(verdicts.values()))
        conn.commit()
    conn.rollback()
    return changed


def _merged(noted: Sequence[Stretch]) -> list[Stretch]:
    """Those that lie near each other as one: their surroundings are then read once."""
    merged: list[Stretch] = []
    for stretch in sorted(noted):
        last = merged[-1] if merged else None
        if last and last.datastream_id == stretch.datastream_id and stretch.first <= last.last + NEAR:
            merged[-1] = last._replace(last=max(last.last, stretch.last))
        else:
            merged.append(stretch)
    return merged


def _moving(rules: Rules) -> Rules:
    """Whether a value is possible at all follows from itself; what is bad by that is no neighbour."""
    return replace(rules, low=None, high=None)


def _judged(stretch: Stretch, rules: Rules, rows: Sequence[Row]) -> list[Verdict]:
    if not rows:
        return []
    known = [quality is not Quality.BAD and reason != Reason.CLOCK for _, _, quality, reason in rows]
    values = np.array(
        [np.nan if value is None or not k else value for (_, value, _, _), k in zip(rows, known, strict=True)]
    )
    found = judge(rules, np.array([time.timestamp() for time, *_ in rows]), values)
    return [
        Verdict(stretch.datastream_id, time, value, quality, reason, verdict.quality, verdict.reason)
        for (time, value, quality, reason), verdict in zip(rows, found, strict=True)
        if time >= stretch.first
        and value is not None
        and (quality, reason) in _OPEN
        and (verdict.quality, verdict.reason) != (quality, reason)
    ]
