"""What a codec answers, as flat fields: one dialect of names, for mapping, previews and stored readings alike.

    {"level": 2.1}                                  level
    {"water": {"level": "2.10"}}                    water.level         a number in a text is a number
    {"ch": [{"value": 1}, {"value": 2}]}            ch[0].value, ch[1].value
    {"level": {"value": 2.1, "unit": "m"}}          level               an object of value and unit is one field
    {"alarm": true}                                 alarm               1; false is 0
    {"a.b": 1, "": 2}                               ["a.b"], [""]       a key that could be read otherwise is quoted
    {"level": null}                                 level               without a value: it could not be measured
    {"mode": "auto"}                                -                   text is no reading

A time of its own (`time`, `timestamp`, `datetime`, `date_time`, `measured_at`; ISO 8601, without an offset UTC, or
seconds or milliseconds since 1970; of the years 2000 to 2099) dates everything in the object that it stands in, and is
then no field itself. A list whose every entry has one is a series: no index, its entries differ by their times. A list
`history` that is a series takes the names of what stands beside it:

    {"level": 2.1, "history": [{"time": "2026-06-01T00:00Z", "level": 2.0}]}        level, and level of 00:00
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from devices.model import CodecError, Reading

MOST_READINGS = 1000
_DEEPEST = 16
_LONGEST_NAME = 200
_TIME_KEYS = frozenset(("time", "timestamp", "datetime", "date_time", "measured_at"))
_STARTS = frozenset(" 0123456789.+-\t\r\n")  # of a text that may be a number
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\s*", re.ASCII)
_MOMENT = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_UNSAFE = re.compile(r"[.\[\]\"\x00-\x1f\ud800-\udfff]|^__proto__$")
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800  # 2000 to 2100, seconds

Path = tuple[str | int, ...]


def flatten(decoded: object, *, holes: Collection[Sequence[str | int]] = ()) -> tuple[Reading, ...]:
    """The readings of a codec's `data`, in its order. `holes` are the paths at which it had NaN or Infinity, which are
    null in JSON: these fields come with a problem instead of "could not be measured".

    A field that stands there twice with the same time has a problem, too. CodecError when it is no object or list,
    nested or numerous beyond reason, or a key is no name.
    """
    if not isinstance(decoded, (dict, list)):
        raise CodecError(f"the codec answered {_kind(decoded)} instead of named values")
    not_numbers = {tuple(path) for path in holes}
    readings: dict[tuple[str, datetime | None], Reading] = {}
    for field, value, time, path, _ in _fields_of(decoded):
        problem = None
        if value is None:
            if path in not_numbers:
                problem = f"{field} is not a number"
        elif not math.isfinite(value):
            value, problem = None, f"{field} is too large a number"
        key = (field, time)
        if key in readings:
            value, problem = None, f"there are two values called {field}"
        readings[key] = Reading(field, value, time, problem=problem)
    return tuple(readings.values())


def field_units(decoded: object) -> dict[str, str]:
    """The units that the codec itself states: of each `{value, unit}` the field's name and the unit as written."""
    if not isinstance(decoded, (dict, list)):
        return {}
    return {field: unit for field, _, _, _, unit in _fields_of(decoded) if unit is not None}


def checked_key(key: str) -> str:
    """The key of an object. CodecError when it is none that could be stored, shown or mapped."""
    if key == "__proto__":
        raise CodecError("the codec answered a field called __proto__, which is no name")
    if "\0" in key or any("\ud800" <= letter <= "\udfff" for letter in key):
        raise CodecError(f"the codec answered a field whose name is no text: {key[:40]!a}")
    if len(key) > _LONGEST_NAME:
        raise CodecError(f"the codec answered a field whose name has {len(key):,} characters: {key[:40]}…")
    return key


_Dated = tuple[str | None, datetime | None]  # the key and the time by which an object is dated
_UNDATED: _Dated = (None, None)
_Field = tuple[str, float | None, datetime | None, Path, str | None]


def _fields_of(decoded: Any) -> list[_Field]:
    found: list[_Field] = []
    _gather(found, decoded, "", None, (), None)
    return found


def _gather(found: list[_Field], node: Any, name: str, time: datetime | None, path: Path, unit: str | None) -> None:
    """Append the fields of a node that is called `name`. Runs for every value of every message: it appends to one list
    instead of handing values up, which takes half of the time.
    """
    kind = type(node)
    if kind is float or kind is int or kind is bool:
        found.append((name, float(node), time, path, unit))
    elif kind is dict:
        _members(found, node, name, time, path, _own_time(node))
    elif kind is list:
        _entries(found, node, name, name, time, path, unit)
    elif kind is str:
        if node[:1] in _STARTS and _NUMBER.fullmatch(node):
            found.append((name, float(node), time, path, unit))
    elif node is None:
        found.append((name, None, time, path, unit))
    if len(found) > MOST_READINGS:
        raise CodecError(f"the codec answered more than {MOST_READINGS:,} values")


def _entries(
    found: list[_Field], node: list[Any], name: str, series: str, time: datetime | None, path: Path, unit: str | None
) -> None:
    """Those of a list, which is called `series` if it is one."""
    if len(path) >= _DEEPEST:
        raise CodecError(f"the codec's answer is nested more than {_DEEPEST} deep, at {name[:80]}")
    dated = [_own_time(each) if type(each) is dict else _UNDATED for each in node]
    if node and all(own is not None for _, own in dated):
        for index, (each, own) in enumerate(zip(node, dated, strict=True)):
            _members(found, each, series, time, (*path, index), own)
    else:
        for index, each in enumerate(node):
            _gather(found, each, f"{name}[{index}]", time, (*path, index), unit)


def _members(
    found: list[_Field], node: dict[str, Any], name: str, time: datetime | None, path: Path, dated: _Dated
) -> None:
    """Those of an object with this time of its own."""
    if len(path) >= _DEEPEST:
        raise CodecError(f"the codec's answer is nested more than {_DEEPEST} deep, at {name[:80]}")
    time_key, own = dated
    if own is not None:
        time = own
    if name and "value" in node and ("unit" in node or "units" in node):
        unit = node.get("unit", node.get("units"))
        unit = unit if isinstance(unit, str) and unit else None
        _gather(found, node["value"], name, time, (*path, "value"), unit)
        return
    for key, each in node.items():
        if key == time_key:
            continue
        if not key or len(key) > _LONGEST_NAME or _UNSAFE.search(key):
            inner = f"{name}[{json.dumps(checked_key(key), ensure_ascii=False)}]"
        else:
            inner = f"{name}.{key}" if name else key
        if key == "history" and type(each) is list:
            _entries(found, each, inner, name, time, (*path, key), None)
        else:
            _gather(found, each, inner, time, (*path, key), None)


def _own_time(node: dict[str, Any]) -> _Dated:
    for key in node:
        if key in _TIME_KEYS or key.lower() in _TIME_KEYS:
            moment = _moment(node[key])
            if moment is not None:
                return key, moment
    return _UNDATED


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            if not _MOMENT.match(value):
                return None
            try:
                written = datetime.fromisoformat(value.strip())
                seconds = (written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp()
            except (ValueError, OverflowError):
                return None
            return datetime.fromtimestamp(seconds, UTC) if _EARLIEST <= seconds < _LATEST else None
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    for scale in (1, 1000):
        if _EARLIEST * scale <= value < _LATEST * scale:
            return datetime.fromtimestamp(value / scale, UTC)
    return None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else "a text"
