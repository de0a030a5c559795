"""Sources that a municipality has set up: whose messages come on which topic, and the maps of those that nobody knows.

What ingest reads of it is `load_definitions` (in the directory); pages and the command line use the rest. What was said
once stays: a message is opened again by what held when it was received (`devices.envelopes.definitions`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from devices.envelopes import MAPPABLE_KINDS, MQTT_KINDS, OWN_LEVELS, TOPIC_FILTERS
from devices.envelopes.definitions import Definition, Definitions, MqttSource, check_filter, overlap
from devices.envelopes.message_map import MessageMap, check, from_json, to_json
from store.connection import Connection
from store.errors import RegistrationError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


class Way(StrEnum):
    """How a source's messages come in."""

    HTTP = "http"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One source as an operator sees it. Times are town time, but of HTTP `made` and `ended` are real time.

    `topic_filter` is MQTT's, `per_minute` HTTP's. `maps`: how often a map was saved. `refused`: since when the broker
    does not let ingest subscribe.
    """

    way: Way
    source_id: int
    name: str
    kind: str
    topic_filter: str | None
    per_minute: int | None
    made: datetime
    ended: datetime | None
    last_message: datetime | None
    refused: datetime | None
    maps: int

    @property
    def key(self) -> str:
        """Its name in addresses."""
        return f"{self.way}-{self.source_id}"

    @property
    def mappable(self) -> bool:
        """Whether an operator's map says how its messages are opened."""
        return self.kind in MAPPABLE_KINDS

    @property
    def topic_pattern(self) -> str:
        """A regular expression of PostgreSQL for the topics of its messages."""
        if self.topic_filter is None:
            return f"^intake/{re.escape(self.name)}/"
        if self.topic_filter.endswith("#"):
            levels, end = self.topic_filter.split("/")[:-1], "(/|$)"
        else:
            levels, end = self.topic_filter.split("/"), "$"
        return "^" + "/".join("[^/]*" if level == "+" else _literal(level) for level in levels) + end


def _literal(level: str) -> str:
    return re.sub(r"([^\w\s])", r"\\\1", level)


_SOURCES = b"""
    select way, id, name, kind, topic_filter, per_minute, made, ended, last, refused, maps from (
    select 'http' as way, intake_source_id as id, name, kind, null as topic_filter, per_minute,
           created_at as made, revoked_at as ended, last_message_at as last, null::timestamptz as refused,
           (select count(*) from source_map m where m.intake_source_id = s.intake_source_id) as maps, municipality_id
    from intake_source s
    union all
    select 'mqtt', mqtt_source_id, name, kind, topic_filter, null, created_at, ended_at, last_message_at, refused_at,
           (select count(*) from source_map m where m.mqtt_source_id = s.mqtt_source_id), municipality_id
    from mqtt_source s
    ) source
    where municipality_id = %s order by ended is not null, name, way, id
"""


def list_sources(conn: Connection, municipality_id: int) -> list[SourceEntry]:
    """All sources there ever were, those in use first, by name."""
    return [SourceEntry(Way(row[0]), *row[1:]) for row in conn.execute(_SOURCES, (municipality_id,))]


def find_source(conn: Connection, municipality_id: int, key: str) -> SourceEntry | None:
    """One source by its `key`."""
    return next((entry for entry in list_sources(conn, municipality_id) if entry.key == key), None)


def load_definitions(conn: Connection, municipality_id: int) -> Definitions:
    """How the messages of each source are opened."""
    of_mqtt: dict[int, list[Definition]] = {}
    posted: dict[str, list[Definition]] = {}
    for map_id, since, kept, mqtt_source_id, name, kind in conn.execute(
        """
        select source_map_id, since, map, m.mqtt_source_id, s.name, coalesce(s.kind, q.kind)
        from source_map m
        left join intake_source s using (intake_source_id)
        left join mqtt_source q on q.mqtt_source_id = m.mqtt_source_id
        where m.municipality_id = %s order by source_map_id
        """,
        (municipality_id,),
    ):
        definition = Definition(kind, since, map_id, from_json(kept))
        if mqtt_source_id is None:
            posted.setdefault(name, []).append(definition)
        else:
            of_mqtt.setdefault(mqtt_source_id, []).append(definition)
    mqtt = tuple(
        MqttSource(source_id, topic_filter, (Definition(kind, made), *of_mqtt.get(source_id, ())), ended)
        for source_id, topic_filter, kind, made, ended in conn.execute(
            "select mqtt_source_id, topic_filter, kind, created_at, ended_at from mqtt_source "
            "where municipality_id = %s order by mqtt_source_id",
            (municipality_id,),
        )
    )
    return Definitions(mqtt, MappingProxyType({name: tuple(some) for name, some in posted.items()}))


def add_mqtt_source(
    conn: Connection,
    municipality_id: int,
    *,
    name: str,
    topic_filter: str,
    kind: str,
    now: datetime,
    user_id: int | None,
) -> int:
    """Makes a source of what comes on these topics from `now` (town time) on; the caller commits. Running workers
    subscribe by themselves.

    Raises RegistrationError: `name`, `topic_filter` or `kind`.
    """
    if not _NAME.fullmatch(name):
        raise RegistrationError("name", f"the name {name!r} must be 1 to 40 characters out of a-z 0-9 -")
    if kind not in MQTT_KINDS:
        raise RegistrationError("kind", f"there is no kind {kind!r} over MQTT; use one of {', '.join(MQTT_KINDS)}")
    against = check_filter(topic_filter)
    if against is not None:
        raise RegistrationError("topic_filter", f"{topic_filter!r} will not do: {against}")
    first = topic_filter.split("/")[0]
    if kind not in OWN_LEVELS.get(first, (kind,)):
        raise RegistrationError(
            "topic_filter", f"what begins with {first}/ is read as {OWN_LEVELS[first][0]}: take a topic of its own"
        )
    # One at a time, so that two filters that overlap are not made at once.
    conn.execute("select pg_advisory_xact_lock(hashtext('mqtt_source'), %s)", (municipality_id,))
    for own in TOPIC_FILTERS:
        if overlap(own, topic_filter):
            raise RegistrationError(
                "topic_filter",
                f"{topic_filter!r} overlaps with {own}, which is read without a source: take a topic of its own",
            )
    for other in list_sources(conn, municipality_id):
        if other.ended is None and other.way is Way.MQTT:
            if other.name == name:
                raise RegistrationError(
                    "name", f"there is a source {name} already; choose another name, or end that one"
                )
            if other.topic_filter is not None and overlap(other.topic_filter, topic_filter):
                raise RegistrationError(
                    "topic_filter",
                    f"{topic_filter!r} overlaps with {other.topic_filter} of the source {other.name}: a topic belongs "
                    "to one source",
                )
    row = conn.execute(
        """
        insert into mqtt_source (municipality_id, name, topic_filter, kind, created_at, user_id)
        values (%s, %s, %s, %s, %s, %s) returning mqtt_source_id
        """,
        (municipality_id, name, topic_filter, kind, now, user_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def end_mqtt_source(conn: Connection, municipality_id: int, name: str, *, now: datetime) -> None:
    """Ends a source; the caller commits. What it has brought stays, and is opened as before. Raises RegistrationError
    where there is none of that name in use.
    """
    ended = conn.execute(
        "update mqtt_source set ended_at = %s "
        "where municipality_id = %s and name = %s and ended_at is null returning 1",
        (now, municipality_id, name),
    ).fetchone()
    if ended is None:
        raise RegistrationError("name", f"there is no MQTT source {name} in use; `mimamori source list` shows them")


def newest_map(conn: Connection, source: SourceEntry) -> MessageMap | None:
    """The map that opens what this source brings now; None: none has been drawn yet."""
    row = conn.execute(
        """
        select map from source_map where intake_source_id = %s or mqtt_source_id = %s
        order by since desc, source_map_id desc limit 1
        """,
        _ids(source),
    ).fetchone()
    return None if row is None else from_json(row[0])


def save_map(
    conn: Connection,
    municipality_id: int,
    source: SourceEntry,
    drawn: MessageMap,
    *,
    changed: bool,
    now: datetime,
    user_id: int | None,
) -> None:
    """Opens by this map what the source brings; the caller commits. `changed`: its sender has changed, and what was
    received before `now` (town time) is still opened as before. Else the map mends the last one, and takes its place.

    Raises RegistrationError for a source that has ended or is of a kind without maps, MapError for a map that will not
    do.
    """
    if not source.mappable:
        raise RegistrationError("map", f"what {source.name} brings is {source.kind}, which is read without a map")
    if source.ended is not None:
        raise RegistrationError("map", f"the source {source.name} has ended")
    check(drawn)
    intake_source_id, mqtt_source_id = _ids(source)
    conn.execute(
        """
        insert into source_map (municipality_id, intake_source_id, mqtt_source_id, since, map, saved_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (
            municipality_id,
            intake_source_id,
            mqtt_source_id,
            now if changed else _since(conn, source),
            json.dumps(to_json(drawn), ensure_ascii=False),
            now,
            user_id,
        ),
    )


def _ids(source: SourceEntry) -> tuple[int | None, int | None]:
    """(intake_source_id, mqtt_source_id)."""
    return (source.source_id, None) if source.way is Way.HTTP else (None, source.source_id)


def _since(conn: Connection, source: SourceEntry) -> datetime:
    """When the map that is mended began; of a first one, when messages of this source and no earlier one of its name
    could begin to come.
    """
    intake_source_id, mqtt_source_id = _ids(source)
    row = conn.execute(
        "select max(since) from source_map where intake_source_id = %s or mqtt_source_id = %s",
        (intake_source_id, mqtt_source_id),
    ).fetchone()
    if row is not None and row[0] is not None:
        began: datetime = row[0]
        return began
    if source.way is Way.MQTT:
        return source.made
    row = conn.execute(
        "select max(last_message_at) from intake_source where name = %s and intake_source_id <> %s",
        (source.name, source.source_id),
    ).fetchone()
    return _BEFORE_ALL if row is None or row[0] is None else row[0] + timedelta(microseconds=1)


def note_refused(conn: Connection, municipality_id: int, refused: Collection[str], now: datetime) -> None:
    """Which filters the broker does not let ingest subscribe to, and none of the others; the caller commits."""
    conn.execute(
        """
        update mqtt_source set refused_at = case when topic_filter = any(%(refused)s) then %(now)s::timestamptz end
        where municipality_id = %(municipality)s and ended_at is null
          and (refused_at is null) = (topic_filter = any(%(refused)s))
        """,
        {"refused": list(refused), "now": now, "municipality": municipality_id},
    )


def note_heard(conn: Connection, municipality_id: int, heard: Mapping[int, datetime]) -> None:
    """When each source last brought a message, by its id; the caller commits."""
    conn.execute(
        """
        update mqtt_source s set last_message_at = said.at
        from unnest(%s::integer[], %s::timestamptz[]) as said (id, at)
        where s.mqtt_source_id = said.id and s.municipality_id = %s
          and (s.last_message_at is null or s.last_message_at < said.at)
        """,
        (list(heard), list(heard.values()), municipality_id),
    )
