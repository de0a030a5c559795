"""Codecs that a municipality has brought along: a manufacturer's file each, known by its SHA-256 and never changed.

`store.models` is the way in, for these too; what holds there holds here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from devices.codecs.javascript import codec_of
from devices.model import CodecError
from store.connection import Connection
from store.errors import RegistrationError
from store.ledgers import hold_ledgers, one
from store.registrable import NO_TEXT

_MOST_VECTORS = 1000
_MOST_JSON = 4_000_000  # characters


@dataclass(frozen=True, slots=True)
class CodecUpload:
    """A codec as somebody brings it.

    `vectors`: examples as JSON objects, as `devices.codecs.javascript.run_vectors` takes them; `result`: what came of
    them, as JSON.
    """

    file_name: str
    source: bytes
    origin: str
    licence: str | None = None
    vectors: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    stateless: bool = False


@dataclass(frozen=True, slots=True)
class Codec:
    """A stored codec, without its source. `models` read by it now; `uploaded_by` None: by the command line."""

    codec_id: int
    sha256: str
    file_name: str
    size: int
    licence: str | None
    origin: str
    vectors: tuple[Mapping[str, Any], ...]
    result: Mapping[str, Any]
    stateless: bool
    uploaded_at: datetime
    uploaded_by: str | None
    models: tuple[str, ...]

    @property
    def passed(self) -> int:
        """How many of its vectors came out as they should."""
        return int(self.result.get("passed", 0))

    @property
    def failed(self) -> int:
        return int(self.result.get("failed", 0))


def upload(conn: Connection, municipality_id: int, codec: CodecUpload, *, at: datetime, user_id: int | None) -> int:
    """Keeps a codec and returns its id; the same file again is the same codec, as it was brought first.

    Refuses what is larger than 1 MiB (`devices.codecs.javascript`), is not UTF-8 or cannot be stored.
    """
    try:
        checked = codec_of(codec.source)
    except CodecError as error:
        raise RegistrationError("source", f"{codec.file_name}: {error}") from None
    vectors = _json("vectors", list(codec.vectors))
    if len(codec.vectors) > _MOST_VECTORS:
        raise RegistrationError("vectors", f"there are {len(codec.vectors)} examples; at most {_MOST_VECTORS} are kept")
    hold_ledgers(conn, municipality_id)
    known = conn.execute(
        "select codec_id from codec where municipality_id = %s and sha256 = decode(%s, 'hex')",
        (municipality_id, checked.sha256),
    ).fetchone()
    if known is not None:
        return int(known[0])
    return one(
        conn,
        """
        insert into codec (municipality_id, sha256, file_name, source, licence, origin, vectors, result, stateless,
                           uploaded_at, user_id)
        values (%s, decode(%s, 'hex'), %s, %s, %s, %s, %s, %s, %s, %s, %s) returning codec_id
        """,
        (
            municipality_id,
            checked.sha256,
            text("file_name", codec.file_name, 200),
            codec.source.decode(),  # a byte order mark stays: the hash is that of the file
            None if codec.licence is None else text("licence", codec.licence, 100_000),
            text("origin", codec.origin, 1000),
            vectors,
            _json("result", dict(codec.result)),
            codec.stateless,
            at,
            user_id,
        ),
    )


def codecs(conn: Connection, municipality_id: int) -> list[Codec]:
    """All codecs, the newest first."""
    return _codecs(conn, municipality_id, None)


def codec(conn: Connection, municipality_id: int, codec_id: int) -> Codec:
    """One codec. RegistrationError where there is none."""
    found = _codecs(conn, municipality_id, codec_id)
    if not found:
        raise RegistrationError("codec", f"there is no codec {codec_id} here: upload it, or choose another")
    return found[0]


def _codecs(conn: Connection, municipality_id: int, codec_id: int | None) -> list[Codec]:
    rows = conn.execute(
        """
        select codec_id, encode(sha256, 'hex'), file_name, octet_length(source), licence, origin, vectors, result,
               stateless, uploaded_at, u.display_name,
               (select array_agg(m.name order by m.name) from device_model m where m.codec_id = c.codec_id)
        from codec c left join app_user u using (user_id)
        where c.municipality_id = %s and (%s::integer is null or codec_id = %s) order by uploaded_at desc, codec_id desc
        """,
        (municipality_id, codec_id, codec_id),
    )
    return [
        Codec(
            codec_id=row[0],
            sha256=row[1],
            file_name=row[2],
            size=row[3],
            licence=row[4],
            origin=row[5],
            vectors=tuple(row[6]),
            result=row[7],
            stateless=row[8],
            uploaded_at=row[9],
            uploaded_by=row[10],
            models=tuple(row[11] or ()),
        )
        for row in rows
    ]


def codec_source(conn: Connection, municipality_id: int, codec_id: int) -> str:
    """The file itself. RegistrationError where there is none."""
    row = conn.execute(
        "select source from codec where municipality_id = %s and codec_id = %s", (municipality_id, codec_id)
    ).fetchone()
    if row is None:
        raise RegistrationError("codec", f"there is no codec {codec_id} here: upload it, or choose another")
    return str(row[0])


def remove_codec(conn: Connection, municipality_id: int, codec_id: int) -> None:
    """Takes a codec away that no model reads by or ever read by; refuses any other."""
    hold_ledgers(conn, municipality_id)
    found = codec(conn, municipality_id, codec_id)
    if found.models:
        raise RegistrationError("codec", f"{found.file_name} is what {', '.join(found.models)} reads by: it stays")
    try:
        with conn.transaction():
            conn.execute("delete from codec where municipality_id = %s and codec_id = %s", (municipality_id, codec_id))
    except psycopg.errors.ForeignKeyViolation:
        raise RegistrationError(
            "codec", f"{found.file_name} was read by before: it stays, so that what was stored can be understood"
        ) from None


def text(name: str, text: str, longest: int) -> str:
    if not text.strip():
        raise RegistrationError(name, f"{name} is empty: say something")
    if len(text) > longest or NO_TEXT.search(text):
        raise RegistrationError(name, f"{name} cannot be kept: it may have {longest} characters of text")
    return text


def _json(name: str, value: object) -> str:
    """What PostgreSQL keeps as JSON."""
    try:
        written = json.dumps(_storable(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RegistrationError(name, f"{name} cannot be written as JSON: {error}") from None
    if len(written) > _MOST_JSON:
        raise RegistrationError(name, f"{name} are too many: more than {_MOST_JSON} characters of JSON")
    return written


def _storable(node: object) -> object:
    """The same with U+FFFD for what no text can hold (NUL, halves of surrogate pairs)."""
    if isinstance(node, Mapping):
        return {NO_TEXT.sub("\ufffd", str(key)): _storable(each) for key, each in node.items()}
    if isinstance(node, (list, tuple)):
        return [_storable(each) for each in node]
    return NO_TEXT.sub("\ufffd", node) if isinstance(node, str) else node
