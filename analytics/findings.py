"""What analytics says of a time range of a station, kept in `finding` and told to the feed.

A job judges the stored observations and says what it sees now; here that becomes rows. At most one finding of a kind
is open at a station. Saying the same again changes nothing and tells nobody, so a job may be run as often as one
likes: the same observations give the same rows. What has ended is history and is not opened again; if it comes back
it is a new finding.

    changes = Changes()
    changes += open_or_update(conn, Finding(...))      # or
    changes += end(conn, station_id, "burst", ended_at)
    announce(conn, changes)                            # the transaction's last statement

The alert rules follow the feed from there (docs/alerts.md): an open finding raises an alert, an ended one clears it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from store import Connection
from store.feed import append_findings

Kind = Literal[
    "night_flow",
    "burst",
    "inflow_rise",
    "leak_suspect",
    "leak_sound",
    "visits",
    "counter",
    "crowd_1",
    "crowd_2",
    "crowd_3",
]

# (municipality_id, finding_id) of each finding that was opened, changed or ended
Changes = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found, as it is now. `value` and `usual` are in the unit of the datastream, None where there is none.

    `score` compares with what is tolerated: 1 is just enough for a finding. `rule_version` names the exact rule that
    decided ("night_flow:1"). `detail` holds what a page needs to say why, as plain JSON. A job should round what it
    passes on: each change is a message to every open page.
    """

    municipality_id: int
    station_id: int
    datastream_id: int
    kind: Kind
    started_at: datetime
    value: float | None
    usual: float | None
    score: float
    rule_version: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """An open or the last ended finding of a station."""

    finding_id: int
    started_at: datetime
    ended_at: datetime | None
    value: float | None
    usual: float | None
    detail: Mapping[str, Any]


def open_or_update(conn: Connection, finding: Finding) -> Changes:
    """Opens the finding, or makes the open one of its station and kind say this; what changed."""
    row = conn.execute(
        """
        insert into finding as f (municipality_id, station_id, datastream_id, kind, started_at,
                                  value, usual, score, rule_version, detail)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (station_id, kind) where ended_at is null do update
            set (datastream_id, started_at, value, usual, score, rule_version, detail)
              = (excluded.datastream_id, excluded.started_at, excluded.value, excluded.usual, excluded.score,
                 excluded.rule_version, excluded.detail)
            where (f.datastream_id, f.started_at, f.value, f.usual, f.score, f.rule_version, f.detail)
                  is distinct from
                  (excluded.datastream_id, excluded.started_at, excluded.value, excluded.usual, excluded.score,
                   excluded.rule_version, excluded.detail)
        returning municipality_id, finding_id
        """,
        (
            finding.municipality_id,
            finding.station_id,
            finding.datastream_id,
            finding.kind,
            finding.started_at,
            finding.value,
            finding.usual,
            finding.score,
            finding.rule_version,
            Jsonb(dict(finding.detail)),
        ),
    ).fetchone()
    return [] if row is None else [(row[0], row[1])]


def end(conn: Connection, station_id: int, kind: Kind, ended_at: datetime) -> Changes:
    """Ends the open finding of a station and kind, where there is one; what changed."""
    return [
        (row[0], row[1])
        for row in conn.execute(
            """
            update finding set ended_at = greatest(started_at, %s)
            where station_id = %s and kind = %s and ended_at is null
            returning municipality_id, finding_id
            """,
            (ended_at, station_id, kind),
        )
    ]


def last(conn: Connection, station_id: int, kind: Kind) -> Stored | None:
    """The open finding of a station and kind, else the one that ended last; None where there never was one."""
    row = conn.execute(
        """
        select finding_id, started_at, ended_at, value, usual, detail from finding
        where station_id = %s and kind = %s order by ended_at desc nulls first limit 1
        """,
        (station_id, kind),
    ).fetchone()
    return None if row is None else Stored(*row)


def announce(conn: Connection, changes: Iterable[tuple[int, int]]) -> None:
    """The feed rows of what changed, one a municipality; must be the transaction's last statement."""
    by_municipality: dict[int, set[int]] = {}
    for municipality_id, finding_id in changes:
        by_municipality.setdefault(municipality_id, set()).add(finding_id)
    for municipality_id, finding_ids in sorted(by_municipality.items()):
        append_findings(conn, municipality_id, sorted(finding_ids))
