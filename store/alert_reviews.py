"""After an event: was an alert right or false, and what was missed, as a person says; and how often, per rule.

    mark(conn, town, alert_id, verdict, note=, now=, user_id=)     the newest mark of an alert counts
    miss(conn, town, missed, note=, now=, user_id=) -> id          something that should have been alerted and was not
    take_back(conn, town, review_id, now=, user_id=)               a miss that was none
    marks(conn, town, alert_ids) -> {alert_id: Mark}
    misses(conn, town, since, until) -> [Missed], oldest first
    written_rules(conn, town) -> {"written:12": name}             rules that staff wrote for these places
    tally(conn, town, since, until) -> [Tally], a rule each

An alert that was retracted was false, whatever else was said of it. A rule is `level`, `silence`, or one that staff
wrote, by its number. Real alerts at the places of the disaster desk only: a drill is in no statistic. Raises
`RecordError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import AHEAD, clean

RULES = ("level", "silence")
MARKED = (*RULES, "written")  # as `alert.rule` has them
KINDS = ("river_gauge", "rain_gauge", "thermometer", "inundation_point", "shelter")
MOST_NOTE = 500  # characters

Verdict = Literal["right", "false", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody says of an alert."""

    verdict: Verdict
    note: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Something that should have been alerted at `at` and was not."""

    review_id: int
    at: datetime
    code: str
    name: str
    name_en: str
    rule: str
    note: str
    by: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How the alerts of one rule that people were told of have been judged; `unmarked` ones are neither right nor
    false. `retracted`: of the false ones those that were taken back, and corrected to whom they had reached. `untold`:
    those that nobody was told of, such as a spike that waited and was not borne out: they are in no other number.
    """

    rule: str
    alerts: int
    right: int
    false: int
    retracted: int
    unmarked: int
    untold: int
    missed: int


def mark(
    conn: Connection, municipality_id: int, alert_id: int, verdict: str, *, note: str, now: datetime, user_id: int
) -> None:
    """Says of an alert that it was right or false, or takes that back (`withdrawn`). What was retracted was false."""
    if verdict not in ("right", "false", "withdrawn"):
        raise RecordError("verdict", "empty")
    if conn.execute("select from alert_retraction where alert_id = %s", (alert_id,)).fetchone() is not None:
        raise RecordError("alert", "retracted")
    row = conn.execute(
        """
        insert into alert_review (municipality_id, alert_id, verdict, note, entered_at, entered_by)
        select a.municipality_id, a.alert_id, %s, %s, %s, %s
        from alert a join station s using (station_id)
        where a.municipality_id = %s and a.alert_id = %s and a.mode = 'actual' and a.rule = any(%s) and s.kind = any(%s)
        returning alert_review_id
        """,
        (
            verdict,
            clean("note", note, MOST_NOTE),
            now,
            user_id,
            municipality_id,
            alert_id,
            list(MARKED),
            list(KINDS),
        ),
    ).fetchone()
    if row is None:
        raise RecordError("alert", "unknown")


def miss(
    conn: Connection,
    municipality_id: int,
    *,
    station: str,
    rule: str,
    at: datetime,
    note: str,
    now: datetime,
    user_id: int,
) -> int:
    """Writes down that an alert of this rule was missing at a station (its code) at that time, and returns its id."""
    note = clean("note", note, MOST_NOTE)
    if not note:
        raise RecordError("note", "empty")
    if at > now + AHEAD:
        raise RecordError("missed_at", "future")
    if rule not in RULES and rule not in written_rules(conn, municipality_id):
        raise RecordError("rule", "empty")
    row = conn.execute(
        """
        insert into alert_review (municipality_id, missed_at, station_id, rule, verdict, note, entered_at, entered_by)
        select municipality_id, %s, station_id, %s, 'missed', %s, %s, %s
        from station where municipality_id = %s and code = %s and kind = any(%s) returning alert_review_id
        """,
        (at, rule, note, now, user_id, municipality_id, station, list(KINDS)),
    ).fetchone()
    if row is None:
        raise RecordError("station", "empty")
    return int(row[0])


def take_back(conn: Connection, municipality_id: int, review_id: int, *, now: datetime, user_id: int) -> None:
    """Takes a miss back. A second time changes nothing."""
    row = conn.execute(
        """
        insert into alert_review (municipality_id, withdraws, verdict, note, entered_at, entered_by)
        select municipality_id, alert_review_id, 'withdrawn', '', %s, %s from alert_review
        where municipality_id = %s and alert_review_id = %s and verdict = 'missed' returning alert_review_id
        """,
        (now, user_id, municipality_id, review_id),
    ).fetchone()
    if row is None:
        raise RecordError("missed", "unknown")


def marks(conn: Connection, municipality_id: int, alert_ids: Sequence[int]) -> dict[int, Mark]:
    """What was last said of these alerts; nothing of those of whom nobody said anything, or it was taken back."""
    rows = conn.execute(
        """
        select distinct on (alert_id) alert_id, verdict, note, entered_at, u.display_name
        from alert_review r join app_user u on u.user_id = r.entered_by
        where r.municipality_id = %s and alert_id = any(%s) order by alert_id, alert_review_id desc
        """,
        (municipality_id, list(alert_ids)),
    )
    return {alert_id: Mark(*rest) for alert_id, *rest in rows if rest[0] != "withdrawn"}


def misses(conn: Connection, municipality_id: int, since: datetime, until: datetime) -> list[Missed]:
    """What was missed with since <= its time < until, oldest first."""
    rows = conn.execute(
        """
        select r.alert_review_id, r.missed_at, s.code, s.name, s.name_en, r.rule, r.note, u.display_name
        from alert_review r join station s using (station_id) join app_user u on u.user_id = r.entered_by
        where r.municipality_id = %s and r.verdict = 'missed' and r.missed_at >= %s and r.missed_at < %s
          and not exists (select from alert_review back where back.withdraws = r.alert_review_id)
        order by r.missed_at, r.alert_review_id
        """,
        (municipality_id, since, until),
    )
    return [Missed(*row) for row in rows]


def written_rules(conn: Connection, municipality_id: int) -> dict[str, str]:
    """The rules that staff wrote for places of the disaster desk, by what a miss calls them; their present names."""
    rows = conn.execute(
        """
        select r.alert_rule_id, (select v.name from alert_rule_version v where v.alert_rule_id = r.alert_rule_id
                                 order by v.valid_from desc limit 1)
        from alert_rule r left join station s on s.station_id = r.station_id
        where r.municipality_id = %s and coalesce(s.kind, r.station_kind) = any(%s) order by r.alert_rule_id
        """,
        (municipality_id, list(KINDS)),
    )
    return {f"written:{rule_id}": name or "" for rule_id, name in rows}


def tally(conn: Connection, municipality_id: int, since: datetime, until: datetime) -> list[Tally]:
    """How the alerts that were raised in a range have been judged, a rule each, also where it raised none."""
    counted = {
        rule: rest
        for rule, *rest in conn.execute(
            """
            select a.rule || coalesce(':' || a.alert_rule_id, ''), count(*) filter (where told.reached),
                   count(*) filter (where told.reached and back.alert_id is null and said.verdict = 'right'),
                   count(*) filter (where told.reached and (back.alert_id is not null or said.verdict = 'false')),
                   count(back.alert_id) filter (where told.reached), count(*) filter (where not told.reached)
            from alert a join station s using (station_id)
            left join alert_retraction back using (alert_id)
            cross join lateral (select exists (select from outbox o join alert_history h using (alert_history_id)
                                               where h.alert_id = a.alert_id) as reached) told
            left join lateral (select verdict from alert_review r where r.alert_id = a.alert_id
                               order by alert_review_id desc limit 1) said on true
            where a.municipality_id = %s and a.mode = 'actual' and s.kind = any(%s) and a.part_of is null
              and a.raised_at >= %s and a.raised_at < %s
            group by 1
            """,
            (municipality_id, list(KINDS), since, until),
        )
    }
    missed = [each.rule for each in misses(conn, municipality_id, since, until)]
    told = []
    for rule in (*RULES, *written_rules(conn, municipality_id)):
        alerts, right, false, retracted, untold = counted.get(rule, (0, 0, 0, 0, 0))
        told.append(Tally(rule, alerts, right, false, retracted, alerts - right - false, untold, missed.count(rule)))
    return told
