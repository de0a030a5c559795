"""When a device was heard, and how often it usually is: pieces of a query, for whoever asks for many devices at once.

Each is a lateral join after `device d` (parameters: `PARAMETERS`); a device that was never heard keeps its row.
"""

from __future__ import annotations

from datetime import timedelta

from store.connection import Connection

GAPS = 12  # messages of which the usual interval is taken
FEWEST_GAPS = 3
PARAMETERS = {"gaps": GAPS, "fewest_gaps": FEWEST_GAPS}

# heard.received_time and heard.network of the newest accepted message
LAST_HEARD = """
left join lateral (
    select u.received_time, u.network from uplink u
    where u.device_id = d.device_id and u.outcome = 'accepted' order by u.received_time desc limit 1
) heard on true
"""

# usual.gap: the median time between the last messages; null where too few were heard. By the network's time where there
# is one: what was held back on the way arrives in heaps.
USUAL_GAP = """
left join lateral (
    select percentile_cont(0.5) within group (order by gap) as gap
    from (
        select sent - lag(sent) over (order by sent) as gap
        from (
            select coalesce(u.network_time, u.received_time) as sent from uplink u
            where u.device_id = d.device_id and u.outcome = 'accepted' order by u.received_time desc limit %(gaps)s
        ) last_messages
    ) gaps
    where gap > interval '0' having count(*) >= %(fewest_gaps)s
) usual on true
"""

_DEVICES = "select d.device_id, usual.gap from device d"


def usual_gaps(conn: Connection) -> dict[int, timedelta]:
    """device_id -> how often it usually speaks, for all that were heard often enough to say."""
    return dict(conn.execute(_DEVICES + USUAL_GAP + "where usual.gap is not null", PARAMETERS).fetchall())
