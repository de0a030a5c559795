"""What the page of one source shows and takes: a map as the fields of a form, and what it makes of an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from api.errors import BadRequest, Text
from devices.envelopes import mapped, posted_said, sigfox
from devices.envelopes.message_map import PLACES, SIGFOX, BytesForm, Form, MessageMap, TimeForm
from devices.model import Uplink
from store.connection import Connection
from store.sources import SourceEntry

LONGEST_EXAMPLE = 64 * 1024
# Empty rows behind those that are filled, so that there is always one to write in.
SPARE_FIELDS = 3
_BYTES_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Example:
    """A message to try a map on. `uplink_id` None: somebody has pasted it."""

    topic: str
    raw: bytes
    received: datetime | None = None
    uplink_id: int | None = None
    detail: str | None = None

    @property
    def text(self) -> str:
        """As people read it; CP932 is what Japanese loggers write."""
        for encoding in ("utf-8", "cp932"):
            try:
                return self.raw.decode(encoding)
            except UnicodeDecodeError:
                continue
        return self.raw.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Tried:
    """What a map made of an example: by place what was found, and the message or why there is none. `problems` are the
    map's own, by place.
    """

    found: Mapping[str, mapped.Found]
    uplink: Uplink | None
    problem: str | None
    problems: Mapping[str, str]
    payload: str
    values: tuple[tuple[str, float | None, str | None, datetime | None], ...]  # field, value, problem, measured


def beginning(source: SourceEntry) -> MessageMap:
    """The map of a source that has none: the one that its kind alone would be read by, or an empty one."""
    return SIGFOX if source.kind == sigfox.NETWORK else MessageMap()


def read_form(form: Mapping[str, str]) -> MessageMap:
    """The map that was typed, whatever is wrong with it. BadRequest where a choice is none of the list."""
    names = [form.get(f"field-name-{n}", "").strip() for n in range(1, _rows(form) + 1)]
    paths = [form.get(f"field-path-{n}", "").strip() for n in range(1, _rows(form) + 1)]
    try:
        return MessageMap(
            form=Form(form.get("form", Form.JSON)),
            network_time_form=TimeForm(form.get("network_time_form", TimeForm.RFC3339)),
            measured_time_form=TimeForm(form.get("measured_time_form", TimeForm.RFC3339)),
            payload_form=BytesForm(form.get("payload_form", BytesForm.HEX)),
            fields=tuple((name, path) for name, path in zip(names, paths, strict=True) if name or path),
            **{place: form.get(place, "").strip() for place in PLACES},
        )
    except ValueError:
        raise BadRequest(Text("選択肢にない値です。", "That is none of the choices.")) from None


def _rows(form: Mapping[str, str]) -> int:
    numbers = [name.removeprefix("field-name-") for name in form if name.startswith("field-name-")]
    return max((int(number) for number in numbers if number.isdigit() and len(number) < 4), default=0)


def try_on(drawn: MessageMap, source: SourceEntry, example: Example) -> Tried:
    """What this map makes of an example; nothing is stored."""
    trial = mapped.tried(drawn, source.kind, example.topic, posted_said(example.topic), example.raw)
    uplink = trial.uplink
    payload = b"" if uplink is None or uplink.decoded is not None else uplink.payload
    readings = () if uplink is None or uplink.readings is None else uplink.readings
    return Tried(
        {found.place: found for found in trial.found},
        uplink,
        trial.problem,
        trial.problems,
        payload[:_BYTES_SHOWN].hex(" ") + (" …" if len(payload) > _BYTES_SHOWN else ""),
        tuple((each.field, each.value, each.problem, each.time) for each in readings[:SHOWN_VALUES]),
    )


SHOWN_VALUES = 12


def pasted(form: Mapping[str, str], source: SourceEntry) -> Example | None:
    """The example that was pasted, None where none was. BadRequest where it is too long."""
    text = form.get("example", "")
    if not text.strip():
        return None
    raw = text.encode(errors="replace")
    if len(raw) > LONGEST_EXAMPLE:
        raise BadRequest(
            Text(
                f"電文の例は {LONGEST_EXAMPLE // 1024} KB までです。",
                f"An example has up to {LONGEST_EXAMPLE // 1024} KB.",
            )
        )
    topic = form.get("topic", "").strip() or example_topic(source)
    return Example(topic[:1000], raw)


def example_topic(source: SourceEntry) -> str:
    """A topic as its messages have one."""
    if source.topic_filter is None:
        return f"intake/{source.name}/{source.kind}"
    return source.topic_filter.replace("+", "x").replace("#", "x")


def waiting(conn: Connection, source: SourceEntry) -> tuple[int, datetime | None]:
    """How many messages of this source could not be read, and when the oldest of them came."""
    row = conn.execute(
        "select count(*), min(received_time) from uplink where outcome = 'quarantined' and topic ~ %s",
        (source.topic_pattern,),
    ).fetchone()
    return (0, None) if row is None else (int(row[0]), row[1])


def newest_waiting(conn: Connection, source: SourceEntry) -> Example | None:
    """The message of this source that could not be read and came last."""
    row = conn.execute(
        """
        select topic, raw, received_time, uplink_id, detail from uplink
        where outcome = 'quarantined' and topic ~ %s and length(raw) <= %s
        order by received_time desc, uplink_id desc limit 1
        """,
        (source.topic_pattern, LONGEST_EXAMPLE),
    ).fetchone()
    return None if row is None else Example(row[0], bytes(row[1]), *row[2:])
