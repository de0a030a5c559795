"""What Mimamori itself exports, back into a town: the CSV of a gauge's page, and CSV and NDJSON of the API.

    station,observed_property,time,value,unit,quality,reason            (a page; with a byte order mark)
    datastream,phenomenon_time,value,unit,quality,reason                (/api/v1/observations?format=csv)
    {"datastream":"river-okusawa/water_level","phenomenon_time":...}    (the same as NDJSON)

The key of a series is STATION/PROPERTY. Without a map they are ours already; with one only those that it names are
taken. Value, time, quality and reason come back as they went, so that into the town that they are from nothing is new,
and out of another town the same file comes again. A unit that is not ours is converted.

What people did to a value there (corrected, rejected, confirmed) keeps its rank here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from devices.model import Quality, Reason
from ingest.errors import HistoryError, Wrong
from ingest.formats.archive import Part
from ingest.formats.known import Ask, Found, not_later, observed, with_offset
from ingest.formats.records import Numbered, Record, is_json, records, table_head, text_of
from ingest.history_file import Line
from ingest.history_rows import BOM
from store.batch import ObservationRow

_HEAD_LINES = 300
_QUALITIES = {quality.value: quality for quality in Quality}
_REASONS = {reason.value: reason for reason in Reason}
_PAGE, _API = ("station", "observed_property", "time", "value"), ("datastream", "phenomenon_time", "value")
_TABLE_OF_HOURS = ("station", "observed_property", "start", "end")


class _Own:
    def recognises(self, part: Part, beginning: bytes) -> bool:
        first = beginning.removeprefix(BOM).partition(b"\n")[0].decode("utf-8", "replace").strip()
        if is_json(beginning):
            return '"datastream"' in first and '"phenomenon_time"' in first
        names = tuple(first.split(","))
        return names[:4] == _PAGE or names[:3] == _API or names[:4] == _TABLE_OF_HOURS

    def lines(self, part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
        with part.open() as file:
            beginning = file.read(500)
        first = beginning.removeprefix(BOM).partition(b"\n")[0].decode("utf-8", "replace").strip()
        if tuple(first.split(","))[:4] == _TABLE_OF_HOURS:
            raise HistoryError(
                f"{part.name}: has minimum and maximum of hours or days, not observations: choose a shorter range on "
                "the page, or take /api/v1/observations",
                f"{part.name}：1時間・1日ごとの最小と最大の表で、観測値ではありません。"
                "画面で短い期間を選ぶか、API（/api/v1/observations）から取り出してください。",
            )
        for number, record, end in _ndjson(part) if is_json(beginning) else records(part, ",", ""):
            try:
                if isinstance(record, Wrong):
                    raise record
                row = _read(part, number, record, ask, now)
            except Wrong as error:
                yield Line(number, (), (error,), end)
                continue
            if row is not None:
                yield Line(number, (row,), (), end)

    def head(self, part: Part) -> bytes:
        return table_head(part, _HEAD_LINES)


def _ndjson(part: Part) -> Iterator[Numbered]:
    """An object a line; the lines that tell a cursor (`next`) are no observations."""
    decoder = msgspec.json.Decoder()
    end = 0
    with part.open() as file:
        for number, raw in enumerate(file, 1):
            end += len(raw)
            if not raw.strip():
                continue
            try:
                record = decoder.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                record = None
            if not isinstance(record, dict):
                yield Numbered(number, Wrong("is no JSON object", "この行は JSON として読めません"), end)
            elif "next" not in record:
                yield Numbered(number, record, end)


def _read(part: Part, number: int, record: Record, ask: Ask, now: datetime) -> ObservationRow | None:
    if "datastream" in record:
        key, said = text_of(record, "datastream"), text_of(record, "phenomenon_time")
    else:
        key = f"{text_of(record, 'station')}/{text_of(record, 'observed_property')}"
        said = text_of(record, "time")
    wanted = ask(Found(key, "", str(record.get("unit") or "") or None, f"{part.name}:{number}"))
    if wanted is None:
        return None
    if isinstance(wanted, Wrong):
        raise wanted
    time = not_later(with_offset(said), now)
    quality = _QUALITIES.get(text_of(record, "quality"))
    written = record.get("reason")
    reason = None if written is None else _REASONS.get(str(written))
    if quality is None or (written is not None and reason is None):
        raise Wrong(
            f"quality {str(record.get('quality'))[:20]!r} with reason {str(written)[:20]!r} is none of ours",
            f"品質「{str(record.get('quality'))[:20]}」・理由「{str(written)[:20]}」は、このシステムのものではありません",
        )
    value = record.get("value")
    if (value is None) != (quality is Quality.MISSING):
        raise Wrong(
            "has a value and is said to be missing"
            if value is not None
            else "has no value and is not said to be missing",
            "値と「欠測」が食い違っています",
        )
    if value is None:
        return ObservationRow(wanted.datastream_id, time, None, quality, reason)
    return observed(wanted, time, str(value), quality, reason)


OWN_EXPORT = _Own()
