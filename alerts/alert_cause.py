"""The cause of an alert that is stored already, from which follows who is told of it: for whoever may see it."""

from __future__ import annotations

from alerts.causes import Cause, WrittenCause
from alerts.observed import Place
from store import Connection


def cause_of(conn: Connection, alert_id: int) -> Cause:
    """Of an alert of a station. LookupError where there is none of that number."""
    row = conn.execute(_CAUSE, (alert_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no alert {alert_id} of a station")
    rule, mode, datastream_id, finding_id, group_id, rule_id, severity, *place = row
    if rule == "written":
        return WrittenCause(Place(*place), rule, mode, datastream_id, rule_id=rule_id, severity=severity)
    return Cause(Place(*place), rule, mode, datastream_id, finding_id, group_id)


_CAUSE = """
select a.rule, a.mode, a.datastream_id, a.finding_id, (f.detail ->> 'call_group')::integer, a.alert_rule_id, a.severity,
       m.municipality_id, m.name, m.timezone, s.station_id, s.kind, s.name, s.name_en
from alert a join station s using (station_id) join municipality m on m.municipality_id = a.municipality_id
left join finding f on f.finding_id = a.finding_id
where a.alert_id = %s
"""
