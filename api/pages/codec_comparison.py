"""What becomes of a model's fields if it reads by another codec: manufacturers rename fields between releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.access import Visit
from api.pages.trial import Sent, bench, last_messages
from devices.codecs.javascript import JavaScriptCodec, Vector, codec_of
from devices.model import CodecError
from store import models
from store.connection import Connection
from store.models import Codec, StoredModel

MESSAGES = 5
_VECTORS = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A field with its newest value by the codec in use and by the other one; `there` says which of them has it.
    `mapped`: stations get values by it.
    """

    field: str
    before: float | None
    after: float | None
    there: tuple[bool, bool]
    mapped: bool

    @property
    def vanishes(self) -> bool:
        return self.there == (True, False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`messages` and `examples` were read by both codecs; `wrong` of them the other one cannot read and this one can,
    the first with `why`. `changes` has those first that matter.
    """

    messages: int
    examples: int
    wrong: int
    why: str | None
    changes: tuple[Change, ...]

    @property
    def lost(self) -> tuple[Change, ...]:
        """What stations get values by, and would no longer."""
        return tuple(each for each in self.changes if each.vanishes and each.mapped)


def compare(conn: Connection, visit: Visit, model: StoredModel, codec: Codec) -> Comparison:
    """Reads the last messages of the model's devices, and the examples of both codecs, by both."""
    municipality_id, name = visit.tenant.municipality_id, model.entry.name
    tools = bench(visit, conn)
    held = last_messages(conn, name, MESSAGES)
    before = [tools.read(message, name) for message in held]
    present = tools.model(name)
    other = codec_of(models.codec_source(conn, municipality_id, codec.codec_id))
    examples = [*codec.vectors]
    if model.entry.codec_id is not None:
        examples = [*models.codec(conn, municipality_id, model.entry.codec_id).vectors, *examples]
    vectors = [_vector(each) for each in examples]
    tried = list({(each.payload, each.port): each for each in vectors if each is not None}.values())[:_VECTORS]
    if present is not None and present.codec is not None:
        before += [_read(visit, present.codec, each) for each in tried]
    else:
        tried = []
    if present is not None:
        tools.try_codec(replace(present, codec=other, decode=None))
    after = [tools.read(message, name) for message in held] + [_read(visit, other, each) for each in tried]
    mapped = {each.field for each in model.entry.fields if each.observed_property is not None} | {
        str(field)
        for (field,) in conn.execute(
            """
            select distinct field from field_mapping join attachment using (attachment_id) join device using (device_id)
            where model = %s
            """,
            (name,),
        )
    }
    worse = [new.wrong for old, new in zip(before, after, strict=True) if new.wrong and not old.wrong]
    return Comparison(
        len(held), len(tried), len(worse), worse[0] if worse else None, tuple(_changes(before, after, mapped))
    )


def _changes(before: Sequence[Sent], after: Sequence[Sent], mapped: set[str]) -> list[Change]:
    old, new = _values(before), _values(after)
    found = [
        Change(field, old.get(field), new.get(field), (field in old, field in new), field in mapped)
        for field in dict.fromkeys([*old, *new])
    ]
    return sorted(found, key=lambda each: (not (each.vanishes and each.mapped), each.there == (True, True)))


def _values(sent: Sequence[Sent]) -> dict[str, float | None]:
    """The newest value of each field: the first that has it."""
    return {field: value for each in reversed(sent) for field, value in each.fields}


def _vector(written: object) -> Vector | None:
    try:
        return Vector.from_json(written) if isinstance(written, dict) else None
    except ValueError:
        return None


def _read(visit: Visit, codec: JavaScriptCodec, vector: Vector) -> Sent:
    payload = vector.payload.hex(" ")
    try:
        readings = visit.state.sandbox.decode(codec, vector.payload, vector.port, vector.time, vector.variables)
    except CodecError as error:
        return Sent(payload, wrong=str(error))
    return Sent(payload, readings)
