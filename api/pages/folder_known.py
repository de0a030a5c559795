"""The part of a folder's page that is about files in a known form: their series, and what the sample would become.

The sample has the beginning of such a file as a file of its own (`ingest.folders.tables`), and it is read here by the
code that will read the whole ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from api.pages.folders_now import Sample
from ingest import formats
from ingest.errors import HistoryError
from ingest.formats.known import Found
from ingest.history_file import Find, Line
from ingest.history_map import OWN, FormatMap
from ingest.history_rows import Open

Head = tuple[str, Open] | None
_LATEST = datetime.max.replace(tzinfo=UTC)
# The form whose series are numbered by somebody: what a number is called is kept, so that a new numbering is noticed.
_NUMBERED = "kagoshima"

Shown = tuple[str, tuple[str, ...], str, str, str, str]
"""A series: name, unit as an example, STATION/PROPERTY or empty, scale, offset, and what the file calls it."""


def columns(form: str, fields: Mapping[str, str], sample: Sample | None, head: Head, find: Find) -> Iterator[Shown]:
    """Every series of the sample, and those of the map that the sample does not have."""
    said = {value: key.removeprefix("column.") for key, value in fields.items() if key.startswith("column.")}
    found = {} if sample is None else _found(form, sample.name, head, find)
    for name in dict.fromkeys([*found, *(name for name in said if name)]):
        i = said.get(name, "")
        there = found.get(name)
        called = fields.get(f"called.{i}") or (there.name if there is not None and form == _NUMBERED else "")
        unit = there.unit if there is not None else None
        examples = tuple(filter(None, ("" if there is None else there.name, unit)))
        yield (
            name,
            examples,
            fields.get(f"series.{i}", ""),
            fields.get(f"scale.{i}", ""),
            fields.get(f"offset.{i}", ""),
            called,
        )


def _found(form: str, name: str, head: Head, find: Find) -> dict[str, Found]:
    if head is None or form == OWN:
        return {}
    reading = formats.read(name, head[1], FormatMap(form, {}), find, _LATEST)
    with suppress(HistoryError):
        for _ in reading.lines():
            pass
    return reading.unlisted


def lines(name: str, head: Head, layout: FormatMap, find: Find, latest: datetime) -> Iterator[Line]:
    """The lines of the sample under a map. HistoryError where it is in none of the known forms, or in another."""
    if head is None or head[0] != layout.format:
        raise HistoryError(
            f"{name}: the sample is not in the form {layout.format}",
            f"{name}：見本は {layout.format} の形式ではありません。",
        )
    return formats.read(name, head[1], layout, find, latest).lines()
