"""The next way: a person whose message is refused, or has not gone out in time, is told by the contact behind it.

`fall_back` writes the next message; `stand_in` ends the tries of the others once one of them went out. The message
that a person prefers is tried on meanwhile, and whichever is first counts. The row that it stands in for is locked
meanwhile: a retraction (`alerts.retraction`) comes before it or after it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from store import Connection

# Real time. A mail server takes seconds; whoever has to decide has no more than minutes.
PATIENCE = timedelta(minutes=2)
_LONGEST = timedelta(days=1)


def fall_back(conn: Connection, channels: Collection[str], now: datetime, most_attempts: int) -> int:
    """Writes the next message of everybody who waits in vain at `now` (real time); how many. The caller commits."""
    return conn.execute(
        _FALL_BACK,
        {
            "now": now,
            "before": now - PATIENCE,
            "since": now - _LONGEST,
            "most": most_attempts,
            "channels": list(channels),
        },
    ).rowcount


def lock_ways(conn: Connection, outbox_id: int) -> None:
    """Locks this message and what else the same person is told of the same step, in the order of their numbers, as
    whoever locks several does: so that nobody waits for one who waits for them.
    """
    conn.execute(
        """
        with ways as (
            select m.outbox_id from outbox m where m.outbox_id = %(message)s
            union
            select o.outbox_id from outbox m
            join outbox o on o.person_id = m.person_id and o.alert_history_id = m.alert_history_id
            where m.outbox_id = %(message)s
        )
        select from outbox o join ways using (outbox_id) order by o.outbox_id for update of o
        """,
        {"message": outbox_id},
    )


def stand_in(conn: Connection, outbox_id: int) -> None:
    """Ends the tries of what this message, which went out, stands in for or is stood in for by. The caller commits."""
    conn.execute(
        """
        update outbox o set stood_in = true from outbox done
        where done.outbox_id = %s and o.person_id = done.person_id and o.alert_history_id = done.alert_history_id
          and o.outbox_id <> done.outbox_id and o.sent_at is null
          and (o.instead_of is not null or exists (select from outbox n where n.instead_of = o.outbox_id))
        """,
        (outbox_id,),
    )


_FALL_BACK = """
insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, brief, spoken,
                    next_attempt_at, person_id, contact_id, written_at, instead_of)
select o.municipality_id, o.alert_history_id, next.channel, next.address, o.subject, o.body, o.brief, o.spoken, %(now)s,
       o.person_id, next.contact_id, %(now)s, o.outbox_id
from outbox o
join contact c using (contact_id)
join person p on p.person_id = o.person_id and p.kind = 'person' and p.ended_at is null
cross join lateral (
    select n.contact_id, n.channel, n.address from contact n
    where n.person_id = o.person_id and n.ended_at is null and n.gone_at is null and n.channel = any(%(channels)s)
      and (n.position, n.contact_id) > (c.position, c.contact_id)
      and not exists (select from outbox u where u.alert_history_id = o.alert_history_id
                      and u.channel = n.channel and u.recipient = n.address)
    order by n.position, n.contact_id limit 1
) next
where o.sent_at is null and not o.stood_in and o.alert_history_id is not null and o.written_at > %(since)s
  and (o.written_at < %(before)s or o.attempts >= %(most)s)
  and not exists (select from outbox later where later.instead_of = o.outbox_id)
  -- A correction goes where the false alarm went, and nowhere else.
  and not exists (select from alert_retraction r where r.alert_history_id = o.alert_history_id)
for update of o skip locked
on conflict (alert_history_id, channel, recipient) do nothing
"""
