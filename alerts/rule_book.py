"""The rules that staff write, as they are stored: append-only dated versions. SQL and nothing else.

Works for the worker and, within one municipality, for the API's role, where a function does not say otherwise. A
version is in force from its `valid_from` until the next one's; a version that is not `active` switches the rule off. So
which rule applied that night, who changed it and why can always be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from alerts.rules.condition import Body, check, encoded, series_of, trusted
from devices.model import StationKind
from store import Connection
from store.arrays import array
from store.errors import RegistrationError

MAX_NAME = 60
MAX_REASON = 500
# 気象業務法 第17条・第23条
OFFICIAL_WORDS = re.compile("([警予]|注意)報|避難(指示|勧告)|高齢者等(避難)")
SEVERITIES = (3, 2, 1)  # 3 act at once, 2 act, 1 look at it; None: information


@dataclass(frozen=True, slots=True)
class Version:
    """What a rule says from `valid_from` on. `by` None: somebody with the command line, or nobody asked."""

    version_id: int
    valid_from: datetime
    name: str
    severity: int | None
    active: bool
    body: Body
    reason: str
    made_at: datetime
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one station (`station_id`) or of every station of a `kind`; its versions by `valid_from`."""

    rule_id: int
    municipality_id: int
    station_id: int | None
    kind: StationKind | None
    versions: tuple[Version, ...]

    def at(self, time: datetime) -> Version | None:
        """The version in force at a time."""
        return next((each for each in reversed(self.versions) if each.valid_from <= time), None)


# Each way in which a rule can look at a station by itself, so that a long list of stations is joined and not searched.
_RULES = """
    with touched as (
        select station_id, municipality_id, kind from station where station_id = any(%(stations)s::integer[])
    ),
    wanted as (
        select alert_rule_id from alert_rule
        where %(stations)s::integer[] is null and municipality_id = %(town)s
          and (%(rule)s::integer is null or alert_rule_id = %(rule)s)
        union
        select r.alert_rule_id from alert_rule r join touched t on t.station_id = r.station_id
        union
        select r.alert_rule_id from alert_rule r
        join (select distinct municipality_id, kind from touched) t
          on t.municipality_id = r.municipality_id and t.kind = r.station_kind
        union
        select v.alert_rule_id from alert_rule_version v
        cross join unnest(v.other_stations) as o (station_id) join touched t on t.station_id = o.station_id
    )
    select r.alert_rule_id, r.municipality_id, r.station_id, r.station_kind, v.alert_rule_version_id, v.valid_from,
           v.name, v.severity, v.active, v.body::text, v.reason, v.made_at, u.display_name
    from wanted join alert_rule r using (alert_rule_id) join alert_rule_version v using (alert_rule_id)
    left join app_user u on u.user_id = v.user_id
    order by r.alert_rule_id, v.valid_from
"""


def rules_touching(conn: Connection, station_ids: Sequence[int]) -> list[Rule]:
    """The rules that look at any of these stations; for the worker."""
    return _rules(conn.execute(_RULES, {"stations": array(station_ids), "town": None, "rule": None}).fetchall())


def rules_of(conn: Connection, municipality_id: int, rule_id: int | None = None) -> list[Rule]:
    """All rules of a municipality, or one of them."""
    return _rules(conn.execute(_RULES, {"stations": None, "town": municipality_id, "rule": rule_id}))


def add_rule(
    conn: Connection,
    municipality_id: int,
    *,
    station_id: int | None,
    kind: StationKind | None,
    now: datetime,
) -> int:
    """A rule that says nothing yet; its id. `add_version` follows in the same transaction."""
    row = conn.execute(
        """
        insert into alert_rule (municipality_id, station_id, station_kind, made_at) values (%s, %s, %s, %s)
        returning alert_rule_id
        """,
        (municipality_id, station_id, None if kind is None else kind.value, now),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_version(
    conn: Connection,
    municipality_id: int,
    rule_id: int,
    *,
    valid_from: datetime,
    name: str,
    severity: int | None,
    active: bool,
    body: Body,
    reason: str,
    now: datetime,
    user_id: int | None,
) -> int:
    """What the rule says from `valid_from` on; its id. Raises RegistrationError naming the field: a version never
    begins in the past, nor before one that there is already; `BodyError` for a body that says nothing.
    """
    check(body)
    if not name.strip() or len(name) > MAX_NAME:
        raise RegistrationError("name", f"a name has 1 to {MAX_NAME} characters")
    if OFFICIAL_WORDS.search(name):
        raise RegistrationError("name", "these are the words of official announcements, which the law reserves")
    if not reason.strip() or len(reason) > MAX_REASON:
        raise RegistrationError("reason", f"say why in 1 to {MAX_REASON} characters, for whoever asks later")
    if severity not in (None, *SEVERITIES):
        raise RegistrationError("severity", "a severity is 1, 2, 3 or none")
    if valid_from < now:
        raise RegistrationError("valid_from", "a version cannot begin in the past: what was judged was judged")
    # Who changes the same rule waits here.
    conn.execute("select pg_advisory_xact_lock(hashtext('alert_rule'), %s)", (rule_id,))
    newest = conn.execute(
        "select max(valid_from) from alert_rule_version where alert_rule_id = %s", (rule_id,)
    ).fetchone()
    if newest is not None and newest[0] is not None and valid_from <= newest[0]:
        raise RegistrationError("valid_from", "a version of this rule begins then or later already")
    codes = sorted({each.station for each in series_of(body) if each.station is not None})
    others = conn.execute(
        "select station_id from station where municipality_id = %s and code = any(%s)", (municipality_id, codes)
    ).fetchall()
    if len(others) < len(codes):
        raise RegistrationError("body", f"not all of these stations exist: {', '.join(codes)}")
    row = conn.execute(
        """
        insert into alert_rule_version (municipality_id, alert_rule_id, valid_from, name, severity, active, body,
                                        other_stations, reason, made_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning alert_rule_version_id
        """,
        (
            municipality_id,
            rule_id,
            valid_from,
            name.strip(),
            severity,
            active,
            encoded(body),
            [each[0] for each in others],
            reason.strip(),
            now,
            user_id,
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _rules(rows: Iterable[tuple[Any, ...]]) -> list[Rule]:
    return [
        Rule(rule_id, town, station_id, None if kind is None else StationKind(kind), tuple(map(_version, versions)))
        for (rule_id, town, station_id, kind), versions in groupby(rows, key=lambda row: row[:4])
    ]


def _version(row: tuple[Any, ...]) -> Version:
    version_id, valid_from, name, severity, active, body, *rest = row[4:]
    return Version(version_id, valid_from, name, severity, active, trusted(body), *rest)
