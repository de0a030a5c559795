"""Who would be told of what, in the coming day: reads the rules that are switched on and the roster. SQL for everybody.

    found = reach(conn, municipality_id, now, mail=True)       found.gaps, found.causes

For the worker, which watches over it (`alerts.operation`), and for the API's role within its municipality, which shows
it on the page 連絡先. What is judged, and how, is in `alerts.rules.reach`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alerts import roster
from alerts.calling import About, Roster
from alerts.rules.reach import DECISIVE_LEVEL, Gap, Ruled, causes, unreached
from devices.model import StationKind
from store import Connection

# Where analytics compares with the usual.
_FINDING_KINDS = (
    StationKind.BLOCK_INLET, StationKind.SERVICE_TANK, StationKind.PRESSURE_POINT, StationKind.VISITOR_SPOT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """What would reach nobody, and the causes that the rule `operation` makes of it."""

    gaps: tuple[Gap, ...]
    causes: tuple[str, ...]
    zone: ZoneInfo


def reach(conn: Connection, municipality_id: int, now: datetime, *, mail: bool) -> Reach:
    """At town time `now`; `mail` says whether mail is a channel of this town."""
    people = roster.load_roster(conn, municipality_id, now.date())
    channels = roster.channels(conn) | ({"mail"} if mail else set())
    rules = tuple(_rules(conn, municipality_id, people, now))
    gaps = unreached(people, rules, _sections(conn, municipality_id) if mail else (), channels, now)
    return Reach(gaps, causes(rules, gaps), people.zone)


def _sections(conn: Connection, municipality_id: int) -> frozenset[str]:
    """The desks that have an address (`alerts.recording.addresses_of`)."""
    return frozenset(
        row[0]
        for row in conn.execute(
            "select distinct role::text from app_user where municipality_id = %s and email <> ''", (municipality_id,)
        )
    )


def _rules(conn: Connection, municipality_id: int, people: Roster, now: datetime) -> Iterator[Ruled]:
    stations: dict[StationKind, dict[int, tuple[str, str]]] = {}
    for station_id, kind, *name in conn.execute(
        "select station_id, kind, name, name_en from station where municipality_id = %s order by station_id",
        (municipality_id,),
    ):
        stations.setdefault(StationKind(kind), {})[station_id] = (name[0], name[1])
    values = {"town": municipality_id, "now": now}
    for station_id, kind, name, name_en, levels in conn.execute(_LEVELS, values):
        for level in [each for each in levels if each >= DECISIVE_LEVEL] or levels[-1:]:
            yield Ruled("level", About(StationKind(kind).desk, station_id, level), (name, name_en))
    named = {watch.station_id for group in people.groups for watch in group.watches}
    for station_id, kind, name, severity in conn.execute(_WRITTEN, values):
        # of a rule of a kind the stations that some group names differ from one another, all others are alike
        here = stations.get(StationKind(kind), {})
        wanted = [each for each in here if each in named] if station_id is None else [station_id]
        others = [None] if station_id is None and len(here) > len(wanted) else []
        for each in (*wanted, *others):
            yield Ruled("written", About(StationKind(kind).desk, each, severity=severity), (name, name))
    for finding_kind in _FINDING_KINDS:
        for station_id, said in stations.get(finding_kind, {}).items():
            yield Ruled("finding", About(finding_kind.desk, station_id), said)
    for station_id, name, name_en in conn.execute(_LISTENED, values):
        yield Ruled("silence", About("digital", station_id), (name, name_en))
    yield Ruled("operation", About("digital"), ("見守りシステム", "Mimamori"))


_LEVELS = """
select s.station_id, s.kind, s.name, s.name_en, array_agg(distinct l.level order by l.level)
from (
    select distinct on (station_id) station_id, threshold_set_id from threshold_set
    where municipality_id = %(town)s and valid_from <= %(now)s
    order by station_id, valid_from desc, threshold_set_id desc
) in_force
join threshold_level l using (threshold_set_id)
join station s using (station_id)
where exists (select from datastream d where d.station_id = s.station_id and d.observed_property = 'water_level'
              and d.drill_run is null)
group by s.station_id order by s.station_id
"""
_WRITTEN = """
select r.station_id, coalesce(r.station_kind, s.kind), v.name, v.severity
from alert_rule r
left join station s using (station_id)
cross join lateral (
    select name, severity, active from alert_rule_version
    where alert_rule_id = r.alert_rule_id and valid_from <= %(now)s order by valid_from desc limit 1
) v
where r.municipality_id = %(town)s and v.active and v.severity is not null
order by r.alert_rule_id
"""
_LISTENED = """
select distinct s.station_id, s.name, s.name_en from attachment a join station s using (station_id)
where s.municipality_id = %(town)s and a.attached_from <= %(now)s
  and (a.attached_to is null or a.attached_to > %(now)s)
order by s.station_id
"""
