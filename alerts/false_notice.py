"""What there is to say of an alert as a whole: its highest step that anybody was told of, and where it was false, why.

For the API's role within one municipality.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from alerts import observed
from alerts.errors import AlertNotFound
from alerts.level_words import whose_of
from alerts.rule_words import Said
from alerts.rules.level import rule_at
from alerts.rules.transition import Event
from alerts.wording import Correction, Notice
from store import Connection


def of(conn: Connection, alert_id: int, correction: Correction | None, *, simulated: bool) -> Notice:
    """The notice of an alert, or of its correction."""
    with_names = conn.execute(_STEP, (alert_id,)).fetchone()
    if with_names is None:
        raise AlertNotFound(alert_id)
    rule, mode, cause, severity, town, timezone, station_id, name, name_en, unit, usual, *step, called = with_names
    time, value, level, version = step
    more: dict[str, Any] = {}
    if rule == "level":
        in_force = rule_at(observed.level_rules(conn, [station_id]).get(station_id, ()), time)
        more["level"] = None if in_force is None or level is None else in_force.named(level)
        more["whose"] = whose_of(None if in_force is None else in_force.source)
    elif rule == "silence":
        more["silence_after"] = timedelta(seconds=int(version.partition(":")[2])) if version else None
    elif rule == "written":
        more["written"] = Said(called or "", severity, ("", ""), ())
    return Notice(
        rule=rule,
        event=Event.RAISED if correction is None else Event.RETRACTED,
        municipality=town,
        station=name or town,
        station_en=name_en or town,
        timezone=timezone,
        time=time,
        value=value,
        usual=usual,
        unit=unit or "m",
        mode=mode,
        simulated=simulated,
        cause=cause or "",
        correction=correction,
        **more,
    )


_STEP = """
select a.rule, a.mode, a.cause, a.severity, m.name, m.timezone, s.station_id, s.name, s.name_en, d.unit, f.usual,
       h.phenomenon_time, h.value, h.level, h.rule_version,
       (select v.name from alert_rule_version v where v.alert_rule_id = a.alert_rule_id
        and v.valid_from <= h.phenomenon_time order by v.valid_from desc limit 1)
from alert a
join municipality m on m.municipality_id = a.municipality_id
left join station s on s.station_id = a.station_id
left join datastream d on d.datastream_id = a.datastream_id
left join finding f on f.finding_id = a.finding_id
join lateral (
    select t.* from alert_history t
    where t.alert_id = a.alert_id and t.event in ('raised', 'escalated', 'told')
    order by exists (select from outbox o where o.alert_history_id = t.alert_history_id and o.channel <> 'log') desc,
             t.level desc nulls last, t.alert_history_id
    limit 1
) h on true
where a.alert_id = %s
"""
