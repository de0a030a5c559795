"""Files in forms that are known: whoever has one says which of its series is which of ours, and nothing else.

  kagoshima   a prefecture's open data: wide CSV in CP932, a column a gauge, `***` and `---` (鹿児島県・BODIK)
  usgs        United States Geological Survey: RDB (tabs) and JSON of instantaneous values
  hubeau      Hub'Eau, the French gauges: JSON pages and CSV, real-time and elaborated
  mimamori    what Mimamori itself exports: CSV and NDJSON

`known` has the contract that each of them keeps, `archive` opens a ZIP of several files as its parts, and `records`
reads objects out of JSON and CSV alike.

    read(name, open_, layout, find, now) -> Reading    its lines, as `ingest.history_file` has them of other tables
    recognised(name, open_) -> str | None              which form a file has
    head(form, name, open_) -> bytes                   its beginning as a small file of the same form
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice

from devices.model import ObservedProperty
from devices.units import UnitError, conversion
from ingest.errors import HistoryError, Wrong
from ingest.formats import hubeau, kagoshima, own, usgs
from ingest.formats.archive import packed, parts_of, whole
from ingest.formats.known import Format, Found, Wanted
from ingest.history_file import Find, Line
from ingest.history_map import OWN, FormatMap, SeriesRule
from ingest.history_rows import Open

BY_NAME: Mapping[str, Format] = {
    "kagoshima": kagoshima.KAGOSHIMA,
    "usgs": usgs.USGS,
    "hubeau": hubeau.HUBEAU,
    OWN: own.OWN_EXPORT,
}
_NAMES_TOLD = 20


class Reading:
    """One reading of a file. `unlisted` and `absent` are whole when all lines have been read."""

    def __init__(self, name: str, open_: Open, layout: FormatMap, find: Find, now: datetime) -> None:
        self._name, self._open, self._layout, self._find, self._now = name, open_, layout, find, now
        self._known: dict[str, Wanted | Wrong | None] = {}
        self._listed: dict[str, Found] = {}
        self.unlisted: dict[str, Found] = {}
        """Series of the file that the map does not name, by their keys."""

    @property
    def absent(self) -> list[str]:
        """Series of the map that the file does not have."""
        return [key for key in self._layout.series if key not in self._listed]

    def lines(self) -> Iterator[Line]:
        """Every line with values. HistoryError where the file cannot be read, or does not fit its map."""
        with whole(self._name):
            yield from self._parts()
        if self._layout.series and not self._listed:
            there = list(self.unlisted)
            more = f" (and {len(there) - _NAMES_TOLD} more)" if len(there) > _NAMES_TOLD else ""
            names = ", ".join(there[:_NAMES_TOLD])
            raise HistoryError(
                f"{self._name}: has none of the map's series; it has {names or 'no values'}{more}",
                f"{self._name}：対応表にある系列が一つもありません。"
                f"ファイルにあるのは {'、'.join(there[:_NAMES_TOLD]) or 'なし'} です。",
            )

    def _parts(self) -> Iterator[Line]:
        form = BY_NAME[self._layout.format]
        before = begins = 0
        for part in parts_of(self._name, self._open):
            last = 0
            for line in form.lines(part, self._of, self._now):
                last = max(last, line.number)
                problems = [part.told(problem) for problem in line.problems]
                yield Line(line.number, line.observations, problems, begins + line.end, before)
            before, begins = before + last, begins + part.size

    def _of(self, found: Found) -> Wanted | Wrong | None:
        if found.key not in self._known:
            self._known[found.key] = self._meaning(found)
        return self._known[found.key]

    def _meaning(self, found: Found) -> Wanted | Wrong | None:
        series = self._layout.series
        key = next((key for key in (found.key, found.longer) if key in series), None)
        if key is not None:
            other = self._listed.setdefault(key, found)
            if other.key != found.key:
                raise HistoryError(
                    f"{found.where}: {key} is two series, {other.key} and {found.key}: name the one that you want",
                    f"{found.where}：{key} にあたる系列が二つあります（{other.key} と {found.key}）。"
                    "対応表に、必要な方の名前を書いてください。",
                )
            return self._wanted(found, key, series[key])
        if self._layout.format != OWN or self._layout.series:
            self.unlisted[found.key] = found
            return None
        station, _, observed_property = found.key.partition("/")
        try:
            return self._scaled(found, self._find(station, observed_property), observed_property, None, 0.0)
        except Wrong as error:
            return error

    def _wanted(self, found: Found, key: str, rule: SeriesRule) -> Wanted:
        if rule.name is not None and rule.name != found.name:
            raise HistoryError(
                f"{found.where}: {key} is called {found.name!r} here, and the map says {rule.name!r}: look which "
                "station it is, and mend the map",
                f"{found.where}：{key} の名前は「{found.name}」ですが、対応表では「{rule.name}」です。"
                "どの観測所かを確かめ、対応表を直してください。",
            )
        try:
            datastream_id = self._find(rule.station, rule.observed_property.value)
        except Wrong as error:
            raise HistoryError(f"the map's series {key}: {error}", f"対応表の系列「{key}」：{error.ja}。") from None
        return self._scaled(found, datastream_id, rule.observed_property.value, rule.scale, rule.offset)

    def _scaled(
        self, found: Found, datastream_id: int, observed_property: str, scale: float | None, offset: float
    ) -> Wanted:
        if scale is not None:
            return Wanted(datastream_id, scale, offset)
        unit = ObservedProperty(observed_property).unit
        if found.unit is None:
            raise HistoryError(
                f"{found.where}: does not say in which unit {found.key} is: give it a scale in the map (value in {unit}"
                " = number x scale)",
                f"{found.where}：{found.key} の単位が書かれていません。対応表に倍率 scale を書いてください"
                f"（値（{unit}）＝数値 × 倍率）。",
            )
        try:
            scale, plus = conversion(found.unit, unit)
        except UnitError as error:
            raise HistoryError(
                f"{found.where}: {found.key} is in {found.unit}, and {observed_property} in {unit}: {error}",
                f"{found.where}：{found.key} の単位は {found.unit} で、{unit} に直せません。"
                "項目が違うか、倍率 scale が必要です。",
            ) from None
        return Wanted(datastream_id, scale, plus + offset)


def read(name: str, open_: Open, layout: FormatMap, find: Find, now: datetime) -> Reading:
    """A reading of the file under its map; `name` is for messages, `now` the town's present."""
    return Reading(name, open_, layout, find, now)


def recognised(name: str, open_: Open) -> str | None:
    """The form that a file has, by its beginning; None where it is none of these, or cannot be opened."""
    try:
        with whole(name):
            part = next(iter(parts_of(name, open_)), None)
            if part is None:
                return None
            with part.open() as file:
                beginning = file.read(_BEGINNING)
    except (HistoryError, OSError, ValueError):
        return None
    return next((form for form, of in BY_NAME.items() if of.recognises(part, beginning)), None)


def head(form: str, name: str, open_: Open) -> bytes:
    """The beginning of a file of that form as a small file: a ZIP where it is one. HistoryError as `read`."""
    with whole(name):
        heads = [(part.member, BY_NAME[form].head(part)) for part in islice(parts_of(name, open_), _MOST_HEADS)]
    return heads[0][1] if not heads[0][0] else packed(heads)


_BEGINNING = 20_000  # bytes
_MOST_HEADS = 30  # of a year's months in two kinds
