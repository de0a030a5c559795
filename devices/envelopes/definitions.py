"""Which network speaks on a topic, where the topic does not say so itself; and how an operator's map has changed.

Some networks leave the topic to whoever sets them up (AWS, Helium, Actility), some speak a JSON of their own: for these
an operator has said on which topics they are, or to which address they post, and where needed has drawn a map: a
`Definition`. It holds from a moment on, and belongs to the messages received from then on: a message is opened again
as it was at first, although another definition has held since. A mended map begins when the one it mends began, and so
takes its place for every message of its time; a new one, because the sender has changed, begins when it is saved.

Before the first of a source and after its end, the nearest one holds: what a broker has kept for us is not lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from devices.envelopes.message_map import MessageMap

LONGEST_FILTER = 200


@dataclass(frozen=True, slots=True)
class Definition:
    """How the messages received from `since` (town time) on are opened: as this kind's, by this map where it has one.
    Of those that began at the same moment the one with the highest `version` holds.
    """

    kind: str
    since: datetime
    version: int = 0
    map: MessageMap | None = None


@dataclass(frozen=True, slots=True)
class MqttSource:
    """A topic filter with its definitions; `ended` (town time) None: it is in use."""

    source_id: int
    topic_filter: str
    definitions: tuple[Definition, ...]
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """All of one municipality. `posted`: of the HTTP sources with a map, by their name."""

    mqtt: tuple[MqttSource, ...] = ()
    posted: Mapping[str, tuple[Definition, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def filters(self) -> tuple[str, ...]:
        """What is to be subscribed to."""
        return tuple(sorted({source.topic_filter for source in self.mqtt if source.ended is None}))

    @property
    def left(self) -> tuple[str, ...]:
        """What was subscribed to once."""
        return tuple(sorted({source.topic_filter for source in self.mqtt} - set(self.filters)))

    def source_of(self, topic: str, received: datetime) -> MqttSource | None:
        """Whose messages come on a topic at that time; None: nobody's."""
        best: tuple[bool, bool, datetime] | None = None
        found = None
        for source in self.mqtt:
            if not matches(source.topic_filter, topic) or not source.definitions:
                continue
            since = min(each.since for each in source.definitions)
            rank = (since <= received, source.ended is None or received < source.ended, since)
            if best is None or rank > best:
                best, found = rank, source
        return found

    def of_topic(self, topic: str, received: datetime) -> Definition | None:
        """How a message on a topic of no network's own is opened; None: nobody has said."""
        source = self.source_of(topic, received)
        return None if source is None else holding(source.definitions, received)

    def of_source(self, name: str, received: datetime) -> Definition | None:
        """The same of what an HTTP source has posted; None: as its kind alone says."""
        return holding(self.posted.get(name, ()), received)


NOTHING = Definitions()


def holding(definitions: Iterable[Definition], received: datetime) -> Definition | None:
    """The one that holds at that time: the last to have begun, else the first that will; None where there is none."""
    first: Definition | None = None
    last: Definition | None = None
    for each in definitions:
        if each.since <= received:
            if last is None or (each.since, each.version) >= (last.since, last.version):
                last = each
        elif first is None or (each.since, -each.version) < (first.since, -first.version):
            first = each
    return last or first


def check_filter(topic_filter: str) -> str | None:
    """What is wrong with an MQTT topic filter, in words; None: nothing."""
    levels = topic_filter.split("/")
    if not topic_filter or len(topic_filter) > LONGEST_FILTER:
        return f"a topic filter has 1 to {LONGEST_FILTER} characters"
    if not topic_filter.isprintable():
        return "a topic filter is made of printable characters"
    if topic_filter.startswith("$") or levels[0] in ("intake",):
        return "topics that begin with $ or intake/ belong to the broker and to us"
    if any("#" in level and (level != "#" or n < len(levels)) for n, level in enumerate(levels, start=1)):
        return "# stands for all further levels: alone, and at the end"
    if any("+" in level and level != "+" for level in levels):
        return "+ stands for one level: alone between two slashes"
    if all(level in ("+", "#") for level in levels):
        return "this is every topic there is: begin with a level of your own"
    return None


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is one of the filter's."""
    wanted, said = topic_filter.split("/"), topic.split("/")
    for n, level in enumerate(wanted):
        if level == "#":
            return True
        if n >= len(said) or level not in ("+", said[n]):
            return False
    return len(wanted) == len(said)


def overlap(one: str, other: str) -> bool:
    """Whether there can be a topic that both filters take."""
    first, second = one.split("/"), other.split("/")
    for n in range(max(len(first), len(second))):
        a = first[n] if n < len(first) else None
        b = second[n] if n < len(second) else None
        if a == "#" or b == "#":
            return True
        if a is None or b is None or (a != b and "+" not in (a, b)):
            return False
    return True
