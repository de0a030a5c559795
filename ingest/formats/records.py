"""Objects out of a file, whether it is JSON or comma-separated with a line of names, one after the other.

    for number, record, end in records(part, ";", "data"): ...

A record is a mapping of names to texts, numbers and None, or a Wrong that says why it cannot be read. `number` counts
the lines of a table, and from 1 the objects of JSON, which has no lines that mean anything. JSON is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ingest.errors import HistoryError, Wrong
from ingest.formats.archive import Part
from ingest.history_rows import BOM, csv_table

MOST_JSON = 100_000_000  # bytes; services give pages of a few megabytes

Record = Mapping[str, Any]


class Numbered(NamedTuple):
    """A record by its number; `end`: bytes read so far."""

    number: int
    record: Record | Wrong
    end: int


def is_json(beginning: bytes) -> bool:
    """Whether a file that begins like this is JSON."""
    return beginning.removeprefix(BOM).lstrip()[:1] in (b"{", b"[")


def parsed(part: Part) -> Any:
    """The whole of a JSON file. HistoryError where it is none."""
    with part.open() as file:
        content = file.read(MOST_JSON + 1)
    if len(content) > MOST_JSON:
        raise HistoryError(
            f"{part.name}: has more than {MOST_JSON:,} bytes, and JSON is read whole: fetch fewer days at a time",
            f"{part.name}：{MOST_JSON:,} バイトを超える JSON は読めません。期間を分けて取り直してください。",
        )
    try:
        return msgspec.json.decode(content.removeprefix(BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryError(
            f"{part.name}: is no whole JSON file ({error}): fetch it again",
            f"{part.name}：JSON として読めません（途中で切れている可能性があります）。もう一度取り直してください。",
        ) from None


def records(part: Part, delimiter: str, inside: str) -> Iterator[Numbered]:
    """The records of a file: the objects of JSON's list, which stands by itself or under the key `inside`; or the lines
    of a table between `delimiter`.
    """
    with part.open() as file:
        beginning = file.read(200)
    if is_json(beginning):
        yield from _objects(part, inside)
    else:
        yield from _lines(part, delimiter)


def _objects(part: Part, inside: str) -> Iterator[Numbered]:
    whole = parsed(part)
    listed = whole.get(inside) if isinstance(whole, dict) else whole
    if not isinstance(listed, list):
        raise HistoryError(
            f"{part.name}: has no list {inside!r}, so it is not in this form",
            f"{part.name}：一覧「{inside}」がないため、この形式ではありません。",
        )
    for number, each in enumerate(listed, 1):
        record = each if isinstance(each, dict) else Wrong(f"record {number} is no object", "項目の並びではありません")
        yield Numbered(number, record, 0)


def _lines(part: Part, delimiter: str) -> Iterator[Numbered]:
    names: list[str] | None = None
    for number, cells, end in csv_table(part.name, part.open, delimiter).rows():
        if isinstance(cells, Wrong):
            yield Numbered(number, cells, end)
        elif names is None:
            names = [cell.strip() for cell in cells]
        elif any(cell.strip() for cell in cells):
            if len(cells) > len(names):
                wrong = Wrong(
                    f"has {len(cells)} fields, the header has {len(names)}",
                    f"項目が{len(cells)}個あり、見出しの{len(names)}個より多くなっています",
                )
                yield Numbered(number, wrong, end)
            else:
                cut = [cell.strip() or None for cell in cells]
                yield Numbered(number, dict(zip(names, cut + [None] * (len(names) - len(cut)), strict=True)), end)


def text_of(record: Record, key: str) -> str:
    """A field that the record must have, as text. Raises Wrong where it has none."""
    value = record.get(key)
    if value is None or value == "":
        raise Wrong(f"has no {key!r}", f"{key} がありません")
    return str(value)


def table_head(part: Part, most: int) -> bytes:
    """The first lines of a table."""
    with part.open() as file:
        return b"".join(line for line, _ in zip(file, range(most), strict=False))


def first_of_each(rows: Sequence[Any], key: Any, most: int) -> list[Any]:
    """Of each group of rows the first `most`; `key` is a function from a row to its group."""
    seen: dict[str, int] = {}
    kept = []
    for row in rows:
        group = repr(key(row))  # whatever stands there: it may be a list
        seen[group] = seen.get(group, 0) + 1
        if seen[group] <= most:
            kept.append(row)
    return kept


def as_json(whole: Any) -> bytes:
    """JSON of it."""
    return msgspec.json.encode(whole)
