"""Plain CSV lines as the JSON that a map can look into.

Separated by commas, semicolons or tabs, whichever the first line has most of; in UTF-8, or in CP932 as Japanese loggers
write it. Empty lines are left out.
"""

from __future__ import annotations

import csv
import io

from devices.model import EnvelopeError

MOST_ROWS = 5_000


def rows_of(raw: bytes, *, named: bool, network: str) -> dict[str, list[dict[str, str]]]:
    """``{"rows": [{"c1": "…", "c2": "…"}, …]}``; `named`: the first line has names instead of c1, c2, … EnvelopeError
    where it is not CSV, or has no line of data.
    """
    text = _text(raw, network)
    if "\x00" in text:
        raise EnvelopeError(f"{network}: the message is not text")
    lines = io.StringIO(text, newline="")
    first = text.split("\n", 1)[0]
    separator = max((",", ";", "\t"), key=first.count)
    rows: list[dict[str, str]] = []
    names: list[str] | None = None
    try:
        for number, cells in enumerate(csv.reader(lines, delimiter=separator, strict=True), start=1):
            if number > MOST_ROWS:
                raise EnvelopeError(f"{network}: the message has more than {MOST_ROWS} lines")
            if not any(cell.strip() for cell in cells):
                continue
            if named and names is None:
                names = [cell.strip() or f"c{n}" for n, cell in enumerate(cells, start=1)]
                continue
            known = names or []
            rows.append({(known[n] if n < len(known) else f"c{n + 1}"): cell.strip() for n, cell in enumerate(cells)})
    except csv.Error as error:
        raise EnvelopeError(f"{network}: line {len(rows) + 1} is not CSV: {error}") from None
    if not rows:
        raise EnvelopeError(f"{network}: the message has no line of data")
    return {"rows": rows}


def _text(raw: bytes, network: str) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise EnvelopeError(f"{network}: the message is neither UTF-8 nor CP932")
