"""Instantaneous values of the United States Geological Survey, as its services give them:

  RDB                 tabs; `agency_cd site_no datetime tz_cd 69928_00065 69928_00065_cd`, then a line of widths
  JSON (waterservices) value.timeSeries[] of a site and a parameter, each with lists of values
  GeoJSON and CSV (api.waterdata) a feature, or a line, a value

The key of a series is SITE/PARAMETER (01037000/00065); where a file has several series of the two, or where one is to
be named alone, SITE/PARAMETER/SERIES. Feet and cubic feet a second become metres and m3/h by the parameter's unit.

Times: tz_cd says of every line whether it is daylight time, so that the hour that comes twice in autumn is two hours.
Qualifiers: A (approved, 確定値) is stored as confirmed, P (provisional) as any value, `e` and `~` (interpolated) as
estimated. What stands for a value that there is not (-999999, or a word such as Eqp or Ice) is stored as missing, with
the reason.
Daily values (no tz_cd) are refused: they are means of a day, not what was measured at a time.

Codes: https://help.waterdata.usgs.gov/codes-and-parameters/instantaneous-value-qualification-code-uv_rmk_cd
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from devices.model import Quality, Reason
from ingest.errors import HistoryError, Wrong
from ingest.formats.archive import Part
from ingest.formats.known import Ask, Found, Wanted, missing, not_later, observed, with_offset
from ingest.formats.records import as_json, first_of_each, is_json, parsed, records, table_head, text_of
from ingest.history_file import Line
from ingest.history_rows import csv_table
from store.batch import ObservationRow

# Hours from UTC. The codes of NWIS, daylight time apart from standard time.
_ZONES = {
    "UTC": 0, "GMT": 0, "Z": 0, "WST": 8, "ADT": -3, "AST": -4, "NST": -3.5, "NDT": -2.5, "EDT": -4, "EST": -5,
    "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8, "AKDT": -8, "AKST": -9, "HDT": -9, "HST": -10,
    "SST": -11, "GST": 10, "CHST": 10, "JST": 9,
}  # fmt: skip
_UNITS = {
    "00065": "ft", "00060": "[ft_i]3/s", "00045": "[in_i]", "00020": "Cel", "30208": "m3/s", "30207": "m",
    "99065": "m",
}  # fmt: skip
_WRITTEN = {"ft": "ft", "ft3/s": "[ft_i]3/s", "ft^3/s": "[ft_i]3/s", "in": "[in_i]", "m": "m", "m3/s": "m3/s"}
_NAMES = {
    "00065": "gage height",
    "00060": "discharge",
    "00045": "precipitation",
    "00020": "temperature, air",
    "30208": "discharge",
    "30207": "gage height",
}
# Words in place of a value, or beside -999999.
_MARKS = {
    "EQP": Reason.FAILURE, "ICE": Reason.FAILURE, "BKW": Reason.FAILURE, "FLD": Reason.FAILURE, "MNT": Reason.FAILURE,
    "RAT": Reason.FAILURE, "TST": Reason.FAILURE, "UKN": Reason.FAILURE, "PUM": Reason.FAILURE, "***": Reason.FAILURE,
    "SSN": Reason.OUT_OF_SERVICE, "DIS": Reason.OUT_OF_SERVICE, "DRY": Reason.NO_RECORD, "--": Reason.NO_RECORD,
    "ISD": Reason.FAILURE,
}  # fmt: skip
_NOTHING = "-999999"
_COLUMN = re.compile(r"(\d+)_(\d{5})(_\d{5})?", re.ASCII)
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_HEAD_VALUES = 3


class _Usgs:
    def recognises(self, part: Part, beginning: bytes) -> bool:
        text = beginning.decode("utf-8", "replace")
        if is_json(beginning):
            return '"timeSeries"' in text or '"timeSeriesResponse' in text or "ns1:timeSeries" in text or (
                '"monitoring_location_id"' in text and '"parameter_code"' in text
            )  # fmt: skip
        return "agency_cd\tsite_no" in text or (
            "monitoring_location_id" in text.partition("\n")[0] and "parameter_code" in text.partition("\n")[0]
        ) or (text.startswith("#") and "nwis" in text.lower())  # fmt: skip

    def lines(self, part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
        with part.open() as file:
            beginning = file.read(2000)
        if not is_json(beginning):
            first = next((line for line in beginning.splitlines() if not line.startswith(b"#")), b"")
            yield from _features(part, ask, now) if b"parameter_code" in first else _rdb(part, ask, now)
            return
        whole = parsed(part)
        series = _time_series(whole)
        yield from _features(part, ask, now) if series is None else _water_services(part, series, ask, now)

    def head(self, part: Part) -> bytes:
        with part.open() as file:
            beginning = file.read(200)
        if not is_json(beginning):
            return _head_of_sites(part) if b"\t" in beginning or beginning.startswith(b"#") else table_head(part, 300)
        whole = parsed(part)
        series = _time_series(whole)
        if series is None:
            kept = first_of_each(_dicts(whole.get("features")), _series_of, _HEAD_VALUES)
            return as_json({"type": "FeatureCollection", "features": kept})
        return as_json({"value": {"timeSeries": [_cut(each) for each in series]}})


def _head_of_sites(part: Part) -> bytes:
    """Of an RDB file each site's header and first values."""
    kept, since = [], 0
    with part.open() as file:
        for line in file:
            since = 0 if line.startswith(b"agency_cd") else since + 1
            if not line.startswith(b"#") and since <= 1 + _HEAD_VALUES:
                kept.append(line)
    return b"".join(kept)


def _time_series(whole: Any) -> list[dict[str, Any]] | None:
    value = whole.get("value") if isinstance(whole, dict) else None
    return _dicts(value.get("timeSeries")) if isinstance(value, dict) else None


def _dicts(listed: Any) -> list[dict[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _cut(series: Mapping[str, Any]) -> dict[str, Any]:
    values = [each | {"value": _dicts(each.get("value"))[:_HEAD_VALUES]} for each in _dicts(series.get("values"))]
    return dict(series) | {"values": values}


def _series_of(feature: Mapping[str, Any]) -> Any:
    return _dicts([feature.get("properties")])[:1] and feature["properties"].get("time_series_id")


# --- RDB ----------------------------------------------------------------------------------------------------------


def _rdb(part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
    """A site after the other, each with a header of its own."""
    columns: dict[int, tuple[str, str, str]] = {}  # of the value: its series, parameter and name of the column
    named: list[str] = []
    widths = False
    for number, cells, end in csv_table(part.name, part.open, "\t").rows():
        if isinstance(cells, Wrong):
            yield Line(number, (), (cells,), end)
        elif (cells[:1] and cells[0].startswith("#")) or not any(cell.strip() for cell in cells):
            continue
        elif cells[0].strip() == "agency_cd":
            named, widths = [cell.strip() for cell in cells], True
            columns = _rdb_columns(part, number, named)
        elif not named:
            raise HistoryError(
                f"{part.name}:{number}: is no RDB file: a line that begins with agency_cd and site_no must come first",
                f"{part.name}：{number}行目：RDB 形式ではありません（agency_cd、site_no で始まる行が先に必要です）。",
            )
        elif widths:
            widths = False  # 5s 15s 20d: how wide each column is
        else:
            fields = dict(zip(named, (cell.strip() for cell in cells), strict=False))
            yield Line(number, *_rdb_line(part, number, fields, columns, ask, now), end)


def _rdb_columns(part: Part, number: int, named: Sequence[str]) -> dict[int, tuple[str, str, str]]:
    if "tz_cd" not in named or "datetime" not in named or "site_no" not in named:
        raise HistoryError(
            f"{part.name}:{number}: has no tz_cd, so these are no instantaneous values (service iv): daily means are "
            "not taken",
            f"{part.name}：{number}行目：tz_cd の列がありません。取り込めるのは瞬間値（iv）だけで、"
            "日平均は取り込みません。",
        )
    found = ((i, _COLUMN.fullmatch(name)) for i, name in enumerate(named))
    return {i: (match[1], match[2], named[i]) for i, match in found if match is not None}


def _rdb_line(
    part: Part,
    number: int,
    fields: Mapping[str, str],
    columns: Mapping[int, tuple[str, str, str]],
    ask: Ask,
    now: datetime,
) -> tuple[list[ObservationRow], list[Wrong]]:
    rows: list[ObservationRow] = []
    problems: list[Wrong] = []
    several = Counter(parameter for _, parameter, _ in columns.values())
    time: datetime | None = None
    for series, parameter, name in columns.values():
        key = f"{fields.get('site_no', '')}/{parameter}"
        longer = f"{key}/{series}"
        short = key if several[parameter] == 1 else longer
        found = Found(short, _NAMES.get(parameter, ""), _UNITS.get(parameter), f"{part.name}:{number}", longer)
        wanted = ask(found)
        text, code = fields.get(name, ""), fields.get(f"{name}_cd", "")
        if wanted is None or not (text or code):
            continue
        try:
            time = time or not_later(_local(fields), now)
            rows.append(_row(wanted, time, text, re.split(r"[^\w*~-]+", code)))
        except Wrong as error:
            problems.append(Wrong(f"{short}: {error}", f"{short}：{error.ja}"))
    return rows, problems


def _local(fields: Mapping[str, str]) -> datetime:
    text, zone = fields.get("datetime", ""), fields.get("tz_cd", "")
    match = _TIME.fullmatch(text)
    hours = _ZONES.get(zone.upper())
    if hours is None:
        raise Wrong(
            f"the time zone {zone[:20]!r} is not known; there can be {', '.join(_ZONES)}",
            f"時間帯「{zone[:20]}」は知られていません（{'、'.join(_ZONES)}）",
        )
    try:
        if match is None:
            raise ValueError(text)
        year, month, day, hour, minute, second = (int(each or 0) for each in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone(timedelta(hours=hours)))
    except ValueError:
        raise Wrong(
            f"{text[:40]!r} is not a time such as 2016-06-01 09:15",
            f"「{text[:40]}」は日時として読めません（例 2016-06-01 09:15）",
        ) from None


def _row(wanted: Wanted | Wrong, time: datetime, text: str, codes: Iterable[str]) -> ObservationRow:
    """A value with its codes: quality, or that there is none and why."""
    if isinstance(wanted, Wrong):
        raise wanted
    told = [code for code in codes if code]
    mark = _MARKS.get(text.upper())
    if mark is None and (not text or text.split(".")[0] == _NOTHING):
        mark = next((_MARKS[code.upper()] for code in told if code.upper() in _MARKS), Reason.NO_RECORD)
    if mark is not None:
        return missing(wanted, time, mark)
    approved = any(code in ("A", "Approved") for code in told)
    estimated = any(code in ("e", "E", "ESTIMATED", "~") for code in told)
    quality = Quality.ESTIMATED if estimated else Quality.GOOD
    return observed(wanted, time, text, quality, Reason.CONFIRMED if approved else None)


# --- JSON ---------------------------------------------------------------------------------------------------------


def _water_services(part: Part, listed: Sequence[Mapping[str, Any]], ask: Ask, now: datetime) -> Iterator[Line]:
    several = Counter(_site_parameter(each) for each in listed for _ in _dicts(each.get("values")))
    number = 0
    for each in listed:
        site, parameter = pair = _site_parameter(each)
        variable = each.get("variable") or {}
        said = str((variable.get("unit") or {}).get("unitCode") or "")
        unit = _WRITTEN.get(said, said) or _UNITS.get(parameter)
        nothing = variable.get("noDataValue")
        for position, values in enumerate(_dicts(each.get("values")), 1):
            method = (_dicts(values.get("method"))[:1] or [{}])[0].get("methodID") or position
            longer = f"{site}/{parameter}/{method}"
            key = f"{site}/{parameter}" if several[pair] == 1 else longer
            place = str((each.get("sourceInfo") or {}).get("siteName") or "")
            wanted = ask(Found(key, f"{place} {_NAMES.get(parameter, '')}".strip(), unit, part.name, longer))
            for value in _dicts(values.get("value")):
                number += 1
                if wanted is None:
                    continue
                try:
                    time = not_later(with_offset(text_of(value, "dateTime")), now)
                    text = "" if value.get("value") is None else str(value["value"])
                    absent = nothing is not None and _same(text, nothing)
                    row = _row(wanted, time, _NOTHING if absent else text, map(str, value.get("qualifiers") or ()))
                    yield Line(number, (row,), (), 0)
                except Wrong as error:
                    yield Line(number, (), (Wrong(f"{key}: {error}", f"{key}：{error.ja}"),), 0)


def _same(text: str, nothing: Any) -> bool:
    try:
        return float(text) == float(nothing)
    except (TypeError, ValueError):
        return False


def _site_parameter(series: Mapping[str, Any]) -> tuple[str, str]:
    site = _dicts((series.get("sourceInfo") or {}).get("siteCode"))[:1]
    code = _dicts((series.get("variable") or {}).get("variableCode"))[:1]
    return tuple(str(each[0].get("value") or "") if each else "" for each in (site, code))  # type: ignore[return-value]


def _features(part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
    """api.waterdata: of GeoJSON the properties of each feature, of CSV each line."""
    for number, each, end in records(part, ",", "features"):
        if isinstance(each, Wrong):
            yield Line(number, (), (each,), end)
            continue
        inner = each.get("properties", each)
        record = inner if isinstance(inner, dict) else {}
        try:
            if record.get("statistic_id") not in (None, "00011"):
                raise Wrong(
                    f"is a statistic of a day ({record['statistic_id']}), not what was measured at a time",
                    f"瞬間値ではなく、日の統計値（{record['statistic_id']}）です",
                )
            site = text_of(record, "monitoring_location_id").removeprefix("USGS-")
            parameter = text_of(record, "parameter_code")
            key = f"{site}/{parameter}"
            said = str(record.get("unit_of_measure") or "")
            unit = _WRITTEN.get(said, said) or _UNITS.get(parameter)
            # a page does not tell how many series of the two there are: one that is named alone goes by its own key
            longer = f"{key}/{record.get('time_series_id') or ''}"
            wanted = ask(Found(longer, _NAMES.get(parameter, ""), unit, f"{part.name}:{number}", key))
            if wanted is None:
                continue
            time = not_later(with_offset(text_of(record, "time")), now)
            text = "" if record.get("value") is None else str(record["value"])
            yield Line(number, (_row(wanted, time, text, _codes(record)),), (), end)
        except Wrong as error:
            yield Line(number, (), (error,), end)


def _codes(record: Mapping[str, Any]) -> list[str]:
    said = record.get("qualifier")
    listed = said if isinstance(said, list) else re.split(r"[^\w*~-]+", str(said or ""))
    return [*map(str, listed), str(record.get("approval_status") or "")]


USGS = _Usgs()
