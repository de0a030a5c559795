"""Reading a YAML file by hand: every value with the line it stands on, every mistake collected.

The reader walks the nodes of the file instead of the values PyYAML would make of them. So `0102030405060708`
stays the text that was written (PyYAML reads an octal number), `no` stays a name, a key that is there twice is
noticed, and each mistake is reported with its own line. A reader method that finds a mistake notes it and gives
back None: the file is read to its end and the author gets all mistakes at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from devices.model import TownFileError
from devices.timestamps import parse_timestamp

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_DURATION = re.compile(r"(\d+)(s|min|h|d)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_MAX_DURATION = timedelta(days=3660)


class YamlReader:
    """The mistakes of one file. `problem` notes one; `finish` raises them all, in the order of the lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[tuple[int, str]] = []

    def problem(self, node: yaml.Node | Mapping, text: str) -> None:
        """Notes what is wrong at a place of the file, and what to do about it."""
        self._problems.append((node.start_mark.line + 1, text))

    @property
    def problems(self) -> int:
        """How many mistakes have been noted so far."""
        return len(self._problems)

    def finish(self) -> None:
        """Raises TownFileError with every mistake noted so far, if there is any."""
        if self._problems:
            lines = [f"{self._path}:{line}: {text}" for line, text in sorted(set(self._problems))]
            raise TownFileError("\n".join(lines))

    def root(self, text: str | None = None) -> Mapping:
        """The file's outermost mapping. TownFileError when there is none to read. `text`: what would stand in a file
        that is none; the path is then only its name in messages.
        """
        text = self._written() if text is None else text
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            what = error.problem or error.context
            raise TownFileError(f"{self._path}:{line}: this is not YAML: {what}") from None
        except yaml.YAMLError as error:
            raise TownFileError(f"{self._path}: this is not YAML: {error}") from None
        except RecursionError:
            raise TownFileError(f"{self._path}: is nested too deeply") from None
        if node is None:
            raise TownFileError(f"{self._path}:1: the file is empty")
        if not isinstance(node, yaml.MappingNode):
            raise TownFileError(f"{self._path}:1: the file must consist of keys with values, such as 'stations:'")
        return Mapping(self, node, "the file")

    def _written(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise TownFileError(f"{self._path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise TownFileError(
                f"{self._path}: is not UTF-8 (byte {error.start}): save it as UTF-8 in your editor"
            ) from None

    # --- values -------------------------------------------------------------------------------------------

    def text(self, node: yaml.Node, name: str) -> str | None:
        """A non-empty text, whatever YAML would make of it."""
        value = node.value.strip() if isinstance(node, yaml.ScalarNode) else None
        if not value or node.tag == "tag:yaml.org,2002:null":
            self.problem(node, f"{name} must be a text and must not be empty")
            return None
        if any(ord(character) < 0x20 for character in value):
            self.problem(node, f"{name} must be one line without control characters")
            return None
        return str(value)

    def number(self, node: yaml.Node, name: str) -> float | None:
        """A finite number."""
        if isinstance(node, yaml.ScalarNode) and node.style is None and _NUMBER.fullmatch(node.value):
            value = float(node.value)
            if math.isfinite(value):
                return value
        self.problem(node, f"{name} must be a number, not {_shown(node)}")
        return None

    def duration(self, node: yaml.Node, name: str, *, zero: bool = False) -> timedelta | None:
        """A duration such as 90s, 10min, 24h or 7d; above 0 unless `zero`."""
        match = _DURATION.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        if match is None:
            self.problem(node, f"{name} must be a duration such as 90s, 10min, 24h or 7d, not {_shown(node)}")
            return None
        seconds = int(match[1]) * _SECONDS[match[2]]
        if seconds == 0 and not zero:
            self.problem(node, f"{name} must be longer than 0")
            return None
        if seconds > _MAX_DURATION.total_seconds():
            self.problem(node, f"{name} must not be longer than ten years")
            return None
        return timedelta(seconds=seconds)

    def time(self, node: yaml.Node, name: str) -> datetime | None:
        """A moment with its time zone, in UTC."""
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, f"{name} must be a time such as 2026-06-01T09:00+09:00")
            return None
        try:
            return parse_timestamp(node.value)
        except ValueError as error:
            self.problem(node, f"{name}: {error}")
            return None

    def items(self, node: yaml.Node, name: str) -> list[yaml.Node]:
        """The entries of a list; none, with the mistake noted, where there is no list."""
        if not isinstance(node, yaml.SequenceNode):
            self.problem(node, f"{name} must be a list")
            return []
        return list(node.value)

    def mapping(self, node: yaml.Node, name: str) -> Mapping | None:
        """Keys with values."""
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"{name} must consist of keys with values, not {_shown(node)}")
            return None
        return Mapping(self, node, name)

    def mappings(self, node: yaml.Node, name: str) -> Iterator[Mapping]:
        """The entries of a list of mappings."""
        for item in self.items(node, name):
            entry = self.mapping(item, f"an entry of {name}")
            if entry is not None:
                yield entry


class Mapping:
    """The keys and values of one YAML mapping; `name` says in messages which one."""

    def __init__(self, reader: YamlReader, node: yaml.MappingNode, name: str) -> None:
        self._reader = reader
        self.name = name
        self.start_mark = node.start_mark
        self.keys: dict[str, yaml.Node] = {}  # the node of each key itself
        self._values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                reader.problem(key, f"{name}: a key must be a word")
            elif key.value in self._values:
                first = self.keys[key.value].start_mark.line + 1
                reader.problem(key, f"{name}: '{key.value}' is here twice (first in line {first}); remove one")
            else:
                self.keys[key.value] = key
                self._values[key.value] = value

    def only(self, allowed: Iterable[str]) -> None:
        """Notes every key that is none of `allowed`."""
        allowed = tuple(allowed)
        for key, node in self.keys.items():
            if key not in allowed:
                self._reader.problem(node, f"{self.name}: unknown key '{key}'; there can be {', '.join(allowed)}")

    def get(self, key: str) -> yaml.Node | None:
        """The value of an optional key; None where it is absent."""
        return self._values.get(key)

    def items(self) -> Iterator[tuple[str, yaml.Node]]:
        return iter(self._values.items())

    def required(self, key: str) -> yaml.Node | None:
        """The value of a key; where it is absent, that is noted."""
        value = self._values.get(key)
        if value is None:
            self._reader.problem(self, f"{self.name}: '{key}' is missing")
        return value

    def text(self, key: str) -> str | None:
        node = self.required(key)
        return None if node is None else self._reader.text(node, f"{self.name}: {key}")

    def number(self, key: str) -> float | None:
        node = self.required(key)
        return None if node is None else self._reader.number(node, f"{self.name}: {key}")

    def duration(self, key: str) -> timedelta | None:
        node = self.required(key)
        return None if node is None else self._reader.duration(node, f"{self.name}: {key}")

    def time(self, key: str) -> datetime | None:
        node = self.required(key)
        return None if node is None else self._reader.time(node, f"{self.name}: {key}")


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        value = node.value if len(node.value) <= 40 else node.value[:40] + "…"
        return "text in quotes" if node.style in ("'", '"') and _NUMBER.fullmatch(node.value) else repr(value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "keys with values"
