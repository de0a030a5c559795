"""Corrections on their way out: never before the end of what they correct. SQL for the worker that sends.

A correction is a message about the step `retracted` of an alert. While a message of the same alert is being sent to
the same address, the correction waits; otherwise the false one could arrive behind it. Where that one then turns out
not to have arrived, and none had before, its recipient never heard of the alert: the correction is withdrawn as well.
A sender that died holds no lock: then nobody knows, and the correction goes out.
"""

from __future__ import annotations

from store import Connection


def waits(conn: Connection, outbox_id: int) -> bool:
    """Whether somebody is sending, right now, a message that this correction corrects. Within a transaction."""
    begun = conn.execute(_BEGUN, (outbox_id,)).fetchall()
    for (other,) in begun:
        row = conn.execute("select pg_try_advisory_xact_lock(hashtextextended('outbox', %s))", (other,)).fetchone()
        if row is None or not row[0]:
            return True
    return False


def spare(conn: Connection, outbox_id: int) -> None:
    """Withdraws the correction of a message that, as is known now, did not arrive, where nothing else arrived there."""
    conn.execute(_SPARE, {"message": outbox_id})


_BEGUN = """
select o.outbox_id
from outbox c
join alert_history now on now.alert_history_id = c.alert_history_id
join alert_history h on h.alert_id = now.alert_id and h.event <> 'retracted'
join outbox o on o.alert_history_id = h.alert_history_id and o.channel = c.channel and o.recipient = c.recipient
where c.outbox_id = %s and o.begun_at is not null
"""
_SPARE = """
with arrived as (
    select c.outbox_id,
           bool_or(o.sent_at is not null or o.begun_at is not null or o.unsure > 0) as somehow
    from outbox failed
    join alert_history step on step.alert_history_id = failed.alert_history_id
    join alert_history correction on correction.alert_id = step.alert_id and correction.event = 'retracted'
    join outbox c on c.alert_history_id = correction.alert_history_id
        and c.channel = failed.channel and c.recipient = failed.recipient
    join alert_history h on h.alert_id = step.alert_id and h.event <> 'retracted'
    join outbox o on o.alert_history_id = h.alert_history_id
        and o.channel = failed.channel and o.recipient = failed.recipient
    where failed.outbox_id = %(message)s and failed.withdrawn
    group by c.outbox_id
)
update outbox set withdrawn = true, stood_in = true
from arrived
where outbox.outbox_id = arrived.outbox_id and not arrived.somehow and outbox.sent_at is null
  and outbox.begun_at is null
"""
