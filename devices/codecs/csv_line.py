"""csv_line: a device that sends its values as a line of text, or several, as many loggers with a SIM do.

    1.25,3.61                                           values only: measured when it was received
    2026-06-01T09:00:00+09:00,1.25,3.61                 with the time of measurement in front, RFC 3339 with an offset
    2026/06/01 09:00:00,1.25,3.61                       the same without one: Japan's

Separated by commas, semicolons or tabs; a line for each measurement. Fields: `c1` to `c16`, the values in the order of
the columns (the time is none of them); an empty column could not be measured. Several lines must all have a time, or
they could not be told apart. Text is UTF-8 or CP932. What names its columns, or says the device in the line, is not for
a codec but for a map (devices.envelopes.mapped).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from devices.codecs.models import DeviceModel
from devices.envelopes.csv_rows import rows_of
from devices.model import CodecError, EnvelopeError, Reading
from devices.timestamps import parse_timestamp

COLUMNS = 16

_NAME = "csv_line"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_TIME = re.compile(
    r"(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(?P<offset>[Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)


def encode(*lines: tuple[datetime | None, Sequence[float | None]]) -> bytes:
    """The payload for measurements (time, None: without one; values)."""
    return "\n".join(
        ",".join([*([] if time is None else [time.isoformat()]), *("" if v is None else repr(v) for v in values)])
        for time, values in lines
    ).encode()


def decode(payload: bytes) -> tuple[Reading, ...]:
    """The readings of one payload. CodecError names the line and the column."""
    try:
        rows = rows_of(payload, named=False, network=_NAME)["rows"]
    except EnvelopeError as error:
        raise CodecError(str(error)) from None
    lines = [_line(n, list(row.values())) for n, row in enumerate(rows, start=1)]
    times = [time for time, _ in lines]
    if len(lines) > 1 and None in times:
        raise CodecError(f"{_NAME}: line {times.index(None) + 1} has no time; of several lines each must have one")
    newest = max((time for time in times if time is not None), default=None)
    readings: list[Reading] = []
    for time, values in lines:
        for n, value in enumerate(values, start=1):
            if newest is None or time is None:
                readings.append(Reading(f"c{n}", value, time))
            else:
                # where these times turn out to be impossible, the ages still keep the lines apart
                readings.append(Reading(f"c{n}", value, time, newest - time))
    return tuple(readings)


def _line(number: int, cells: list[str]) -> tuple[datetime | None, list[float | None]]:
    match = _TIME.fullmatch(cells[0])
    time = None
    if match is not None:
        year, month, day, clock = match.groups()[:4]
        try:
            time = parse_timestamp(f"{year}-{month}-{day}T{clock}{match['offset'] or '+09:00'}")
        except ValueError as error:
            raise CodecError(f"{_NAME}: line {number}: {error}") from None
    texts = cells if match is None else cells[1:]
    if not texts:
        raise CodecError(f"{_NAME}: line {number} has a time and no value")
    if len(texts) > COLUMNS:
        raise CodecError(f"{_NAME}: line {number} has {len(texts)} values, this model knows {COLUMNS}")
    values: list[float | None] = []
    for column, text in enumerate(texts, start=1):
        if text and not _NUMBER.fullmatch(text):
            raise CodecError(f"{_NAME}: line {number}: value {column} is {text[:40]!r}, which is no number")
        values.append(float(text) if text else None)
    return time, values


MODEL = DeviceModel(
    name=_NAME,
    title="値を文字の行（CSV）で送る機器",
    title_en="Device that sends lines of CSV",
    fields={f"c{n}": "1" for n in range(1, COLUMNS + 1)},
    decode=decode,
    battery_field=None,
)
