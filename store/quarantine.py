"""Quarantined messages: which there are, who asked to have them read again, and how that becomes their outcome.

A person (the page, the command line) leaves a wish: `ask`. Whoever may store takes it up in small steps: `next_open`,
`held`, `settle_again`, `advance`, each step one transaction. A message keeps what it is - its id, its bytes, when it
was received - and gets the outcome that it would have had if it could have been read at first.

`for_one` keeps two from changing the quarantine of one municipality at the same time (replay and retention); a live
message may come in meanwhile: it waits for nobody, and ends as a duplicate of what is being read again, or the
other way round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from devices.model import Outcome
from store.arrays import transposed
from store.batch import UplinkRow
from store.connection import Connection
from store.uplinks import count_repeats, known_uplinks, repeats_one_of


@dataclass(frozen=True, slots=True)
class Selection:
    """Which quarantined messages are meant; None: whichever. `since` is the earliest time of receipt."""

    reason: str | None = None
    device_key: str | None = None
    uplink_id: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """One wish and what came of it so far: of `total` messages so many accepted, ..., still `quarantined`."""

    replay_id: int
    selection: Selection
    total: int
    asked_at: datetime
    asked_by: str | None
    reached: int
    through: int
    accepted: int
    event: int
    duplicate: int
    quarantined: int
    finished_at: datetime | None

    @property
    def done(self) -> int:
        """How many messages have been read again."""
        return self.accepted + self.event + self.duplicate + self.quarantined


@dataclass(frozen=True, slots=True)
class Group:
    """The messages that wait for one reason; `senders` tells how many different ones there are."""

    reason: str
    messages: int
    senders: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A quarantined message as it came, and why it could not be read then."""

    uplink_id: int
    topic: str
    raw: bytes
    received_time: datetime
    device_key: str | None
    reason: str
    detail: str | None


# %(…)s as `_meant` gives them.
_MEANT = """
    municipality_id = %(municipality)s and outcome = 'quarantined'
    and (%(reason)s::text is null or reason = %(reason)s)
    and (%(device_key)s::text is null or device_key = %(device_key)s)
    and (%(uplink_id)s::bigint is null or uplink_id = %(uplink_id)s)
    and (%(since)s::timestamptz is null or received_time >= %(since)s)
"""
_REPLAY = """
    select r.replay_id, r.reason, r.device_key, r.uplink_id, r.since, r.total, r.asked_at, u.display_name,
           r.reached, r.through, r.accepted, r.event, r.duplicate, r.quarantined, r.finished_at
    from quarantine_replay r left join app_user u using (user_id)
"""


def _meant(municipality_id: int, selection: Selection) -> dict[str, object]:
    return {
        "municipality": municipality_id,
        "reason": selection.reason,
        "device_key": selection.device_key,
        "uplink_id": selection.uplink_id,
        "since": selection.since,
    }


def ask(
    conn: Connection, municipality_id: int, selection: Selection, *, now: datetime, user_id: int | None
) -> Replay | None:
    """Leaves the wish to have these messages read again; None where there are none. Works with the API's rights.

    What is asked for again while it is being done is the same wish.
    """
    meant = _meant(municipality_id, selection)
    asked = conn.execute(
        """
        with same as (
            select replay_id from quarantine_replay
            where municipality_id = %(municipality)s and finished_at is null
              and (reason, device_key, uplink_id, since) is not distinct from
                  (%(reason)s::text, %(device_key)s::text, %(uplink_id)s::bigint, %(since)s::timestamptz)
        ), made as (
            insert into quarantine_replay (municipality_id, reason, device_key, uplink_id, since, through, total,
                                           asked_at, user_id)
            select %(municipality)s, %(reason)s, %(device_key)s, %(uplink_id)s, %(since)s, max(uplink_id), count(*),
                   %(now)s, %(user)s
            from uplink where MEANT and not exists (select from same) having count(*) > 0
            returning replay_id
        )
        select replay_id from same union all select replay_id from made limit 1
        """.replace("MEANT", _MEANT).encode(),
        {**meant, "now": now, "user": user_id},
    ).fetchone()
    return None if asked is None else replay(conn, int(asked[0]))


def replay(conn: Connection, replay_id: int) -> Replay:
    """A wish as it stands now."""
    row = conn.execute((_REPLAY + " where replay_id = %s").encode(), (replay_id,)).fetchone()
    assert row is not None, "wishes are never removed"
    return _replay(row)


def replays(conn: Connection, municipality_id: int, limit: int) -> list[Replay]:
    """The last wishes, newest first."""
    query = _REPLAY + " where r.municipality_id = %s order by replay_id desc limit %s"
    return [_replay(row) for row in conn.execute(query.encode(), (municipality_id, limit))]


def next_open(conn: Connection, municipality_id: int) -> Replay | None:
    """The oldest wish that is not done."""
    query = _REPLAY + " where r.municipality_id = %s and finished_at is null order by replay_id limit 1"
    row = conn.execute(query.encode(), (municipality_id,)).fetchone()
    return None if row is None else _replay(row)


def _replay(row: tuple[object, ...]) -> Replay:
    replay_id, reason, device_key, uplink_id, since, *rest = row
    return Replay(replay_id, Selection(reason, device_key, uplink_id, since), *rest)  # type: ignore[arg-type]


def for_one(conn: Connection, municipality_id: int) -> bool:
    """Whether this transaction may now change the quarantine of a municipality: one at a time may."""
    row = conn.execute("select pg_try_advisory_xact_lock(hashtext('quarantine'), %s)", (municipality_id,)).fetchone()
    return row is not None and bool(row[0])


def held(
    conn: Connection,
    municipality_id: int,
    selection: Selection,
    *,
    after: int,
    through: int,
    limit: int,
    max_bytes: int,
) -> list[Held]:
    """The first meant messages above the id `after`, in the order in which they came: at most `limit`, and at most
    `max_bytes` of them, but at least one where there is one.
    """
    rows = conn.execute(
        """
        select uplink_id, topic, raw, received_time, device_key, reason, detail from uplink
        join (
            select uplink_id from (
                select uplink_id, sum(length(raw)) over (order by uplink_id) as so_far,
                       row_number() over (order by uplink_id) as n
                from (select uplink_id, raw from uplink
                      where MEANT and uplink_id > %(after)s and uplink_id <= %(through)s
                      order by uplink_id limit %(limit)s) first_ones
            ) measured where so_far <= %(bytes)s or n = 1
        ) chosen using (uplink_id)
        order by uplink_id
        """.replace("MEANT", _MEANT).encode(),
        {
            **_meant(municipality_id, selection),
            "after": after,
            "through": through,
            "limit": limit,
            "bytes": max_bytes,
        },
    )
    return [Held(row[0], row[1], bytes(row[2]), *row[3:]) for row in rows]


def groups(conn: Connection, municipality_id: int, selection: Selection) -> list[Group]:
    """The reasons for which meant messages wait, the one with the newest message first."""
    rows = conn.execute(
        """
        select reason, count(*), count(distinct coalesce(device_key, '')), min(received_time), max(received_time)
        from uplink where MEANT group by reason order by 5 desc, 1
        """.replace("MEANT", _MEANT).encode(),
        _meant(municipality_id, selection),
    )
    return [Group(*row) for row in rows]


def held_newest(conn: Connection, municipality_id: int, selection: Selection, limit: int) -> list[Held]:
    """The meant messages that came last, newest first."""
    rows = conn.execute(
        """
        select uplink_id, topic, raw, received_time, device_key, reason, detail from uplink
        where MEANT order by received_time desc, uplink_id desc limit %(limit)s
        """.replace("MEANT", _MEANT).encode(),
        {**_meant(municipality_id, selection), "limit": limit},
    )
    return [Held(row[0], row[1], bytes(row[2]), *row[3:]) for row in rows]


def advance(
    conn: Connection, replay: Replay, outcomes: Counter[Outcome], *, reached: int, finished_at: datetime | None
) -> None:
    """Notes what a step did, in its own transaction."""
    conn.execute(
        """
        update quarantine_replay
        set reached = %s, accepted = accepted + %s, event = event + %s, duplicate = duplicate + %s,
            quarantined = quarantined + %s, finished_at = %s
        where replay_id = %s
        """,
        (
            reached,
            outcomes[Outcome.ACCEPTED],
            outcomes[Outcome.EVENT],
            outcomes[Outcome.DUPLICATE],
            outcomes[Outcome.QUARANTINED],
            finished_at,
            replay.replay_id,
        ),
    )


def settle_again(
    conn: Connection, municipality_id: int, rows: Sequence[tuple[int, UplinkRow]]
) -> tuple[list[tuple[int, UplinkRow]], list[int]]:
    """Gives quarantined messages (uplink_id, as they are read now) their outcome: (those that stand, duplicates).

    What could not even be said who sent it may turn out to be what another message has brought already. Then that
    other one counts a repetition more, and this one is gone: each distinct message is one row. Runs under `for_one`.
    """
    known = known_uplinks(conn, municipality_id, [row for _, row in rows])
    standing: list[tuple[int, int, UplinkRow]] = []  # (uplink_id, epoch, row)
    same_as: dict[int, int] = {}  # duplicate -> the message that it repeats
    twins: dict[tuple[str | None, str, int | None, bytes], list[tuple[int, int, datetime]]] = {}
    for uplink_id, row in rows:
        there = [*known.get(row.identity, ()), *twins.get(row.identity, ())]
        own = next((epoch for other, epoch, _ in there if other == uplink_id), None)
        if own is not None:
            standing.append((uplink_id, own, row))
            continue
        original = next((other for other, _, at in there if repeats_one_of(row, at)), None)
        if original is not None:
            same_as[uplink_id] = original
            continue
        epoch = max((epoch for _, epoch, _ in there), default=-1) + 1
        twins.setdefault(row.identity, []).append((uplink_id, epoch, row.sent_time))
        standing.append((uplink_id, epoch, row))
    if same_as:
        _fold(conn, same_as)
    if standing:
        _update(conn, standing)
        _keep_in_sight(conn, municipality_id, [row for _, _, row in standing])
    return [(uplink_id, row) for uplink_id, _, row in standing], list(same_as)


def _keep_in_sight(conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]) -> None:
    """Raw bytes are let go in the order of reception (`store.retention`): it goes back for what was accepted later."""
    oldest: dict[str, datetime] = {}
    for row in rows:
        if row.outcome is not Outcome.QUARANTINED:
            oldest[row.outcome.value] = min(row.received_time, oldest.get(row.outcome.value, row.received_time))
    conn.execute(
        """
        update uplink_retention r set pruned_to = said.oldest
        from unnest(%s::text[], %s::timestamptz[]) as said (outcome, oldest)
        where r.municipality_id = %s and r.outcome = said.outcome and r.pruned_to > said.oldest
        """,
        (*transposed(sorted(oldest.items()), 2), municipality_id),
    )


def _fold(conn: Connection, same_as: Mapping[int, int]) -> None:
    gone = conn.execute(
        "delete from uplink where uplink_id = any(%s) and outcome = 'quarantined' returning uplink_id, repeats",
        (list(same_as),),
    ).fetchall()
    repeats: Counter[int] = Counter()
    for uplink_id, seen in gone:
        repeats[same_as[uplink_id]] += 1 + seen
    count_repeats(conn, repeats)


def _update(conn: Connection, rows: Sequence[tuple[int, int, UplinkRow]]) -> None:
    conn.execute(
        """
        update uplink u
        set (device_id, device_key, session, counter, payload_hash, epoch, network, network_time, outcome, reason,
             detail, quarantined_fields)
          = (n.device_id, n.device_key, n.session, n.counter, n.payload_hash, n.epoch, n.network, n.network_time,
             n.outcome, n.reason, n.detail, string_to_array(n.fields, chr(31)))
        from unnest(%s::bigint[], %s::integer[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::bytea[],
                    %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[])
             as n (uplink_id, epoch, device_id, device_key, session, counter, payload_hash, network, network_time,
                   outcome, reason, detail, fields)
        where u.uplink_id = n.uplink_id and u.outcome = 'quarantined'
        """,
        transposed(
            [
                (
                    uplink_id,
                    epoch,
                    row.device_id,
                    row.device_key,
                    row.session,
                    row.counter,
                    row.payload_hash,
                    row.network,
                    row.network_time,
                    row.outcome.value,
                    row.reason,
                    row.detail,
                    "\x1f".join(row.quarantined_fields),
                )
                for uplink_id, epoch, row in sorted(rows, key=lambda each: each[0])
            ],
            13,
        ),
    )
