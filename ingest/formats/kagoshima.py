"""A prefecture's river data as Kagoshima publishes them (鹿児島県 河川砂防情報システムデータ, on BODIK, CC BY 4.0; the
data sets 460001_suii, _choui, _dam): a ZIP a year of a CSV a month, or one of its files.

    水位,,,                            the kind of what is measured; of a reservoir, its name
    ,12,139,                           the column's number, which stays the same over the years within its kind
    観測時刻,屋仁橋,古仁屋橋,           its name
    ,[cm],[cm],                        a line of units, of reservoirs only, and not in all years
    2024/1/1 0:10,52,***,              every ten minutes, in local time; whole centimetres

The row of 00:00 ends the day before (24:00): it is that moment, and belongs to that day. `***` is 障害欠測 (stored as
missing: failure), `---` 休止 (missing: out_of_service), an empty field says nothing. Negative levels are usual. Gauges
of 危機管理型 have a value every six hours, and one every few minutes when the water rises.

The key of a series is KIND/NUMBER: numbers come again in other kinds. Where the kind does not say that a file is of
危機管理型 gauges and its name does, the kind is KIND（危機管理型）.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import islice

from devices.model import Reason
from ingest.errors import HistoryError, Wrong
from ingest.formats.archive import Part, stem
from ingest.formats.known import Ask, Found, Wanted, missing, not_later, observed
from ingest.history_file import Line
from ingest.history_rows import Row, csv_table
from ingest.history_times import time_reader
from store.batch import ObservationRow

_JAPAN = timezone(timedelta(hours=9))
_CRISIS = "危機管理型"
_MARKS = {"***": Reason.FAILURE, "---": Reason.OUT_OF_SERVICE}
_HEADER = 3
_HEAD_LINES = 10
_WATER = ("水位", "潮位")
# A unit as it is written -> UCUM. Of a reservoir's level 3712 is EL. 37.12 m, whichever sign its power of ten has.
_UNITS = {
    "cm": "cm",
    "mm": "mm",
    "m": "m",
    "EL.10^-2m": "cm",
    "EL.10^2m": "cm",
    "10^-2m": "cm",
    "10^-3m3/s": "L/s",
    "m3/s": "m3/s",
}

Column = tuple[int, str, Wanted | Wrong]


class _Kagoshima:
    def recognises(self, part: Part, beginning: bytes) -> bool:
        lines = beginning.decode("cp932", "replace").splitlines()[:_HEADER]
        if len(lines) < _HEADER:
            return False
        numbers = [cell.strip() for cell in lines[1].split(",")][1:]
        return (
            any(numbers)
            and all(n.isdecimal() for n in numbers if n)
            and any(word in lines[2].partition(",")[0] for word in ("時刻", "日時"))
        )

    def head(self, part: Part) -> bytes:
        with part.open() as file:
            return b"".join(islice(file, _HEAD_LINES))

    def lines(self, part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
        rows = csv_table(part.name, part.open).rows()
        header = [self._header(part, rows, number) for number in range(1, _HEADER + 1)]
        kinds, numbers, names = header
        first = next(rows, None)
        units = _units(first)
        columns = self._columns(part, kinds, numbers, names, units, ask)
        read_time = time_reader(None, _JAPAN)
        width = max(map(len, header))
        body = rows if first is None or units else _with(first, rows)
        for number, cells, end in body:
            if isinstance(cells, Wrong):
                yield Line(number, (), (cells,), end)
            elif any(cell.strip() for cell in cells):
                try:
                    if any(cell.strip() for cell in cells[width:]):
                        raise Wrong(
                            f"has {len(cells)} fields, the header has {width}",
                            f"項目が{len(cells)}個あり、見出しの{width}個より多くなっています",
                        )
                    time = not_later(read_time(cells[0]), now)
                except Wrong as error:
                    yield Line(number, (), (error,), end)
                    continue
                yield Line(number, *_values(columns, cells, time), end)

    @staticmethod
    def _header(part: Part, rows: Iterator[Row], number: int) -> list[str]:
        row = next(rows, None)
        if row is None or isinstance(row.cells, Wrong):
            raise HistoryError(
                f"{part.name}:{number}: is not in this form: the kind, the columns' numbers and their names stand in "
                "the first three lines",
                f"{part.name}：{number}行目が、この形式ではありません"
                "（先頭の3行は、種別・列の番号・観測所の名前です）。",
            )
        return [" ".join(cell.split()) for cell in row.cells]

    @staticmethod
    def _columns(
        part: Part, kinds: list[str], numbers: list[str], names: list[str], units: Sequence[str], ask: Ask
    ) -> list[Column]:
        usual = next(filter(None, kinds), "") or stem(part)
        columns: list[Column] = []
        seen: dict[str, int] = {}
        for i, number in enumerate(numbers):
            if i == 0 or not number:
                continue
            kind = (kinds[i] if i < len(kinds) else "") or usual
            if _CRISIS in (part.member or part.name) and _CRISIS not in kind:
                kind += f"（{_CRISIS}）"
            key = f"{kind}/{number}"
            if key in seen:
                raise HistoryError(
                    f"{part.name}:2: the number {number} is there twice, in columns {seen[key] + 1} and {i + 1}",
                    f"{part.name}：2行目の番号 {number} が、{seen[key] + 1}列目と{i + 1}列目の二つにあります。",
                )
            seen[key] = i
            written = units[i] if i < len(units) else ""
            unit = _UNITS.get(written) if written else ("cm" if any(word in kind for word in _WATER) else None)
            name = names[i] if i < len(names) else ""
            wanted = ask(Found(key, name, unit, f"{part.name}:2"))
            if wanted is not None:
                columns.append((i, name or key, wanted))
        if not seen:
            raise HistoryError(
                f"{part.name}:2: has no numbers of columns, so it is not in this form",
                f"{part.name}：2行目に列の番号がないため、この形式ではありません。",
            )
        return columns


def _units(row: Row | None) -> list[str]:
    """The line of units, where this is one: nothing where the time would be, and no number."""
    if row is None or isinstance(row.cells, Wrong) or not row.cells or row.cells[0].strip():
        return []
    cells = [unicodedata.normalize("NFKC", cell).strip(" []").replace(" ", "") for cell in row.cells]
    return cells if any(cells) and not any(cell.lstrip("-").isdecimal() for cell in cells) else []


def _with(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _values(
    columns: Sequence[Column], cells: Sequence[str], time: datetime
) -> tuple[list[ObservationRow], list[Wrong]]:
    rows, problems = [], []
    for i, name, wanted in columns:
        text = cells[i].strip() if i < len(cells) else ""
        if not text:
            continue
        try:
            if isinstance(wanted, Wrong):
                raise wanted
            mark = _MARKS.get(text)
            rows.append(observed(wanted, time, text) if mark is None else missing(wanted, time, mark))
        except Wrong as error:
            problems.append(Wrong(f"{name}: {error}", f"{name}：{error.ja}"))
    return rows, problems


KAGOSHIMA = _Kagoshima()
