"""The form of a folder's map: its fields, and the YAML that they become.

There is one language for maps (`ingest.history_map`), and this form writes it; whoever knows it may write it himself.
Fields are plain texts by name, as a browser posts them, so that a half-made map can be kept as it was typed.

    fields_of(layout)          the form as it stands for a map that is there
    guessed(guess, zone)       ... and for a folder that has none yet
    yaml_of(fields)            what they say as a map; what is not said right comes beside it, in both languages
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import yaml

from api.errors import Text
from devices.model import Quality, Reason
from ingest.folders.guess import Guess
from ingest.history_map import FORMATS, MISSING_REASONS, OWN, FormatMap, Layout

Fields = Mapping[str, str]

MOST_FIELDS, MOST_LETTERS = 900, 500
TIMES = ("time", "time2", "time3")  # the columns that make up the time
# Where several texts stand in one field, such as the markers of a missing value.
_BETWEEN = " "


def fields_of(layout: Layout) -> dict[str, str]:
    """The fields of a map. What the form has no field for (a fourth column of time) only the written map can say."""
    if isinstance(layout, FormatMap):
        return _known_fields(layout)
    time = layout.time
    fields = {
        "sheet": layout.sheet or "",
        "header": ",".join(map(str, layout.header)) or "0",
        "first_line": str(layout.first_line),
        **dict(zip(TIMES, time.columns, strict=False)),
        "format": time.format or "",
        "zone": str(time.zone).removeprefix("UTC") or "+00:00",
        "shift": _written(time.shift),
        "quality": (layout.reason or layout.quality).value,
        "blank": layout.missing[""].value if "" in layout.missing else "",
        "kind": "wide" if layout.long is None else "long",
    }
    for reason in MISSING_REASONS:
        marks = [mark for mark, meaning in layout.missing.items() if mark and meaning is reason]
        fields[f"missing.{reason.value}"] = _BETWEEN.join(marks)
    for i, (column, (station, measured)) in enumerate(layout.columns.items()):
        fields |= _series(i, column, f"{station}/{measured.observed_property}", measured.scale, measured.offset)
    if layout.long is not None:
        long = layout.long
        fields |= {"station": long.station, "property": long.observed_property, "value": long.value}
        for i, (name, code) in enumerate(long.stations.items()):
            fields |= {f"name.{i}": name, f"code.{i}": code}
        for i, (name, measured) in enumerate(long.properties.items()):
            fields |= {
                f"word.{i}": name,
                f"means.{i}": measured.observed_property.value,
                f"factor.{i}": f"{measured.scale:g}",
                f"plus.{i}": f"{measured.offset:g}",
            }
    return fields


def _known_fields(layout: FormatMap) -> dict[str, str]:
    fields = {"kind": layout.format}
    for i, (name, rule) in enumerate(layout.series.items()):
        fields |= _series(i, name, f"{rule.station}/{rule.observed_property}", rule.scale or 1.0, rule.offset)
        if rule.scale is None:
            del fields[f"scale.{i}"]
        if rule.name is not None:
            fields[f"called.{i}"] = rule.name
    return fields


def guessed(idea: Guess, zone: str) -> dict[str, str]:
    """The fields of a first idea."""
    fields = {
        "header": ",".join(map(str, idea.header)) or "0",
        "first_line": str(idea.first_line),
        **dict(zip(TIMES, idea.time, strict=False)),
        "zone": zone,
        "quality": Quality.GOOD.value,
        "kind": "wide" if idea.long is None else "long",
    }
    for i, each in enumerate(idea.columns):
        fields |= _series(i, each.column, f"{each.station}/{each.observed_property}", each.scale, 0.0)
    if idea.long is not None:
        fields |= dict(zip(("station", "property", "value"), idea.long, strict=True))
    return fields


def _series(i: int, column: str, series: str, scale: float, offset: float) -> dict[str, str]:
    return {
        f"column.{i}": column,
        f"series.{i}": series,
        f"scale.{i}": f"{scale:g}",
        f"offset.{i}": f"{offset:g}",
    }


def yaml_of(fields: Fields) -> tuple[str, list[Text]]:
    """The map that the fields say, and what of them cannot be meant."""
    problems: list[Text] = []
    said: dict[str, Any] = {}
    if fields.get("kind") in FORMATS:
        said = _known(fields, problems)
        return yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=1000), problems
    if fields.get("sheet"):
        said["sheet"] = fields["sheet"]
    header = _lines(fields.get("header", ""), problems)
    if header is not None:
        said["header"] = header[0] if len(header) == 1 else header
    if fields.get("first_line"):
        line = _lines(fields["first_line"], problems)
        said["first_line"] = line[0] if line else 0
    columns = [fields[key] for key in TIMES if fields.get(key)]
    if not columns:
        problems.append(Text("日時の列を選んでください。", "Choose the column of the time."))
    time: dict[str, Any] = {"column": columns[0] if len(columns) == 1 else columns}
    time |= {key: fields[key] for key in ("format", "zone", "shift") if fields.get(key)}
    said["time"] = time
    said["quality"] = fields.get("quality") or Quality.GOOD.value
    missing = dict(_missing(fields))
    if missing:
        said["missing"] = missing
    if fields.get("kind") == "long":
        _say_long(fields, said, problems)
    else:
        said["columns"] = dict(entry for _, entry in _columns(fields, problems))
        if not said["columns"]:
            problems.append(
                Text(
                    "どの列がどの観測所の値か、一つ以上選んでください。", "Say of one column at least what it measures."
                )
            )
    return yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=1000), problems


def _known(fields: Fields, problems: list[Text]) -> dict[str, Any]:
    """The map of a file in a known form. Without a factor the file's own unit is converted."""
    series: dict[str, dict[str, Any]] = {}
    for i, (name, entry) in _columns(fields, problems):
        if not fields.get(f"scale.{i}"):
            del entry["scale"]
        if not entry["offset"]:
            del entry["offset"]
        if fields.get(f"called.{i}"):
            entry["name"] = fields[f"called.{i}"]
        series[name] = entry
    if not series and fields["kind"] != OWN:
        problems.append(
            Text("どれがどの観測所の値か、一つ以上選んでください。", "Say of one series at least what it measures.")
        )
    return {"format": fields["kind"]} | ({"series": series} if series else {})


def _say_long(fields: Fields, said: dict[str, Any], problems: list[Text]) -> None:
    said["long"] = {key: fields.get(key, "") for key in ("station", "property", "value")}
    if not all(said["long"].values()):
        problems.append(
            Text("観測所・項目・値の列を選んでください。", "Choose the columns of station, property and value.")
        )
    stations = {fields[f"name.{i}"]: fields[f"code.{i}"] for i in _numbers(fields, "name") if fields.get(f"code.{i}")}
    properties = {}
    for i in _numbers(fields, "word"):
        if fields.get(f"means.{i}"):
            name = fields[f"word.{i}"]
            properties[name] = {
                "property": fields[f"means.{i}"],
                "scale": _number(fields.get(f"factor.{i}"), 1.0, name, problems),
                "offset": _number(fields.get(f"plus.{i}"), 0.0, name, problems),
            }
    said |= {key: value for key, value in (("stations", stations), ("properties", properties)) if value}


def _columns(fields: Fields, problems: list[Text]) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """(number of the field, (column, what it is)) of every column that has a series."""
    for i in _numbers(fields, "column"):
        station, _, observed_property = fields.get(f"series.{i}", "").partition("/")
        if station:
            name = fields[f"column.{i}"]
            entry = {
                "station": station,
                "property": observed_property,
                "scale": _number(fields.get(f"scale.{i}"), 1.0, name, problems),
                "offset": _number(fields.get(f"offset.{i}"), 0.0, name, problems),
            }
            yield i, (name, entry)


def _missing(fields: Fields) -> Iterator[tuple[str, str]]:
    for reason in MISSING_REASONS:
        for mark in fields.get(f"missing.{reason.value}", "").split():
            yield mark, reason.value
    blank = fields.get("blank", "")
    if blank in set(Reason):
        yield "", blank


def _numbers(fields: Fields, name: str) -> list[str]:
    """The numbers i of the fields NAME.i that say something."""
    there = (key.partition(".") for key, value in fields.items() if value)
    return sorted((number for key, _, number in there if key == name and number.isdecimal()), key=int)


def _lines(text: str, problems: list[Text]) -> list[int] | None:
    plain = unicodedata.normalize("NFKC", text).replace(" ", "").replace("、", ",")
    if not plain:
        return None
    parts = plain.split(",")
    if not all(part.isdecimal() and len(part) < 8 for part in parts):
        problems.append(
            Text(
                f"「{text}」は行番号ではありません。2 や 2,3 のように書いてください。",
                f"“{text}” is no line: write 2, or 2,3.",
            )
        )
        return None
    return [int(part) for part in parts]


def _number(text: str | None, default: float, column: str, problems: list[Text]) -> float:
    plain = unicodedata.normalize("NFKC", text or "").strip()
    if not plain:
        return default
    try:
        number = float(plain)
        if abs(number) < 1e12:
            return number
    except ValueError:
        pass
    problems.append(
        Text(
            f"列「{column}」の倍率・加算「{text}」は数値ではありません。", f"Column “{column}”: “{text}” is no number."
        )
    )
    return default


def _written(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s" if seconds else ""
