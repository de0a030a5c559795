"""Messages of a network that nobody has written an envelope for: an operator says where in them is what.

The map (`message_map`) has a place for each thing; here they are looked up. Whatever the map and the message are, what
comes of it is a message or an EnvelopeError that names the place and its path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from devices.envelopes import json, lorawan
from devices.envelopes.csv_rows import rows_of
from devices.envelopes.message_map import BESIDE, PLACES, BytesForm, Form, MapError, MessageMap, TimeForm, check
from devices.model import EnvelopeError, Reading, Uplink
from devices.timestamps import from_epoch, from_epoch_of_unknown_unit, parse_timestamp

NETWORK = "mapped"
POSTED_WITH: tuple[str, ...] = ("device", "x-device")
LONGEST_MESSAGE = 256 * 1024
LEAVES = 100

_DOCUMENT = msgspec.json.Decoder()
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHOLE = re.compile(r"\d{1,18}")
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_JAPANESE = re.compile(
    r"(\d{4})[-/]?(\d{1,2})[-/]?(\d{1,2})(?:[T ]?(\d{1,2}):?(\d{2})(?::?(\d{2})(\.\d{1,9})?)?)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Found:
    """What one place led to in a message: as text, None where nothing is there; or what is wrong with it."""

    place: str
    written: str
    text: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A map tried on a message: what each place led to, and the message that came of it, or why none did. `problems`:
    what is wrong with the map itself, by place (`message_map.MapError`); then there is no message either.
    """

    found: tuple[Found, ...]
    uplink: Uplink | None
    problem: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


def open_posted(said: Mapping[str, str], raw: bytes) -> Uplink:
    """Always EnvelopeError: nobody has drawn a map for this source yet."""
    raise EnvelopeError(
        f"{NETWORK}: nobody has said yet where in the messages of this source is what: draw its map on the page "
        "通信網と送信元 (/digital/sources), with this message as the example"
    )


def opened(said: MessageMap, network: str, topic: str, beside: Mapping[str, str], raw: bytes) -> Uplink:
    """The device's message out of a message that this map is for. EnvelopeError names the place and its path."""
    return _Message(said, network, topic, beside, raw).uplink()


def tried(said: MessageMap, network: str, topic: str, beside: Mapping[str, str], raw: bytes) -> Trial:
    """The same step by step, for whoever writes the map, whatever is wrong with it."""
    problems: Mapping[str, str] = {}
    try:
        check(said)
    except MapError as error:
        problems = error.problems
    try:
        message = _Message(said, network, topic, beside, raw)
    except EnvelopeError as error:
        return Trial((), None, str(error), problems)
    found = tuple(message.shown(place, written) for place, written in _places(said))
    if problems:
        return Trial(found, None, problems=problems)
    try:
        return Trial(found, message.uplink())
    except EnvelopeError as error:
        return Trial(found, None, str(error))


def leaves(form: Form, topic: str, beside: Mapping[str, str], raw: bytes) -> list[tuple[str, str]]:
    """Every place in a message that has a value, and that value: what an operator has to choose from. The first of each
    list stands for all of it; LEAVES at most; empty where the message cannot be read.
    """
    try:
        message = _Message(MessageMap(form=form), NETWORK, topic, beside, raw)
    except EnvelopeError:
        return []
    return message.leaves()


def _places(said: MessageMap) -> list[tuple[str, str]]:
    places = [(name, getattr(said, name)) for name in PLACES if getattr(said, name)]
    return places + [(f"field {n}", written) for n, (_, written) in enumerate(said.fields, start=1)]


class _Message:
    """One message with its map."""

    def __init__(self, said: MessageMap, network: str, topic: str, beside: Mapping[str, str], raw: bytes) -> None:
        if len(raw) > LONGEST_MESSAGE:
            raise EnvelopeError(f"{network}: the message has {len(raw)} bytes, more than {LONGEST_MESSAGE}")
        self._map = said
        self._network = network
        self._levels = topic.split("/")
        self._beside = beside
        self._document: object = (
            json.decode(raw, _DOCUMENT, network)
            if said.form is Form.JSON
            else rows_of(raw, named=said.form is Form.CSV_NAMED, network=network)
        )

    def uplink(self) -> Uplink:
        said = self._map
        device = self._device()
        counter = self._counter()
        network_time = self._time("network_time", said.network_time, said.network_time_form, self._document)
        session = self._text("session", said.session)
        payload, decoded, readings = b"", None, None
        measured = None
        if said.payload:
            payload = self._payload()
        elif said.decoded:
            payload = decoded = self._decoded()
            measured = self._time("measured_time", said.measured_time, said.measured_time_form, self._document)
        else:
            readings = self._readings()
            measured = readings[0].time
        if counter is None and network_time is None and (measured is None or readings is None):
            raise EnvelopeError(
                f"{self._network}: device {device}: there is neither a counter nor a time in this message; without one "
                "of them a repeated message cannot be told from a new one"
            )
        return Uplink(
            self._network,
            device,
            session,
            counter=counter,
            network_time=network_time,
            payload=payload,
            readings=readings,
            decoded=decoded,
        )

    def shown(self, place: str, written: str) -> Found:
        """What a place leads to, in a few words; of samples the first."""
        document = self._document
        try:
            if self._map.samples and (place == "measured_time" or place.startswith("field ")):
                document = next(iter(self._find("samples", self._map.samples, document)), None)
            found = self._find(place, written, document)
        except EnvelopeError as error:
            return Found(place, written, problem=str(error))
        if not found:
            return Found(place, written)
        text = found[0] if isinstance(found[0], str) else msgspec.json.encode(found[0]).decode(errors="replace")
        return Found(place, written, (text if len(text) <= 80 else text[:80] + "…") + _more(len(found)))

    def leaves(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        _collect(self._document, "$", found)
        found += [(f"topic[{n}]", level) for n, level in enumerate(self._levels)] if len(self._levels) > 1 else []
        found += [
            (f"{'header' if name.startswith('x-') else 'query'}[{name}]", value) for name, value in self._beside.items()
        ]
        return found[:LEAVES]

    # --- each place ----------------------------------------------------------------------------------------

    def _device(self) -> str:
        given = self._one("device", self._map.device, self._document)
        if given is None or isinstance(given, bool | float) or not isinstance(given, str | int):
            raise self._wrong("device", self._map.device, f"{_word(given)} is no name of a device")
        key = lorawan.hex_of(str(given).strip())
        if not _KEY.fullmatch(key):
            raise self._wrong(
                "device",
                self._map.device,
                f"{json.shown(str(given))} is no key of a device: 1 to 64 letters, digits and . _ -",
            )
        return key

    def _text(self, place: str, written: str) -> str:
        given = self._one(place, written, self._document) if written else None
        if given is None:
            return ""
        text = str(given).lower() if isinstance(given, str | int) else ""
        if not _KEY.fullmatch(text):
            raise self._wrong(place, written, f"{_word(given)} is not up to 64 letters, digits and . _ -")
        return text

    def _counter(self) -> int | None:
        written = self._map.counter
        given = self._one("counter", written, self._document) if written else None
        if given is None or given == "":
            return None
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if isinstance(given, bool) or not isinstance(given, str | int) or not _WHOLE.fullmatch(str(given).strip()):
            raise self._wrong("counter", written, f"{_word(given)} is not a whole number")
        return int(given)

    def _payload(self) -> bytes:
        written, form = self._map.payload, self._map.payload_form
        given = self._one("payload", written, self._document)
        if given is None:
            return b""
        if not isinstance(given, str):
            raise self._wrong("payload", written, f"{_word(given)} is not text")
        where = f"{self._network}: payload ({written})"
        if form is BytesForm.TEXT:
            return given.encode(errors="replace")
        compact = given.strip()
        return json.from_hex(compact, where) if form is BytesForm.HEX else json.from_base64(compact, where)

    def _decoded(self) -> bytes:
        written = self._map.decoded
        given = self._one("decoded", written, self._document)
        if not isinstance(given, dict | list):
            raise self._wrong("decoded", written, f"{_word(given)} is not an object of values")
        return msgspec.json.encode(given)

    def _readings(self) -> tuple[Reading, ...]:
        said = self._map
        if not said.samples:
            readings = self._sample(self._document)
        else:
            readings = [
                each for sample in self._find("samples", said.samples, self._document) for each in self._sample(sample)
            ]
            newest = max((each.time for each in readings if each.time is not None), default=None)
            if newest is not None:
                # where these times turn out to be impossible, the ages still keep the samples apart
                readings = [msgspec.structs.replace(each, age=newest - (each.time or newest)) for each in readings]
        if not readings:
            paths = ", ".join(written for _, written in said.fields[:5])
            within = f" in {said.samples}" if said.samples else ""
            raise EnvelopeError(f"{self._network}: none of the fields is in this message{within} ({paths})")
        return tuple(readings)

    def _sample(self, document: object) -> list[Reading]:
        said = self._map
        time = self._time("measured_time", said.measured_time, said.measured_time_form, document)
        readings = []
        for name, written in said.fields:
            found = self._find(name, written, document)
            if not found:
                continue
            try:
                readings.append(Reading(name, _number(found), time))
            except ValueError as error:
                readings.append(Reading(name, None, time, problem=f"{written}: {error}"))
        return readings

    def _time(self, place: str, written: str, form: TimeForm, document: object) -> datetime | None:
        given = self._one(place, written, document) if written else None
        if given is None or given == "":
            return None
        try:
            return _moment(given, form)
        except ValueError as error:
            raise self._wrong(place, written, str(error)) from None

    # --- looking -------------------------------------------------------------------------------------------

    def _one(self, place: str, written: str, document: object) -> object:
        """The one thing there; None where nothing is. The same several times is one."""
        found = self._find(place, written, document)
        if not found:
            return None
        if any(each != found[0] for each in found[1:]):
            raise self._wrong(place, written, f"leads to {len(found)} different values, and there must be one")
        return found[0]

    def _find(self, place: str, written: str, document: object) -> Sequence[object]:
        match = BESIDE.fullmatch(written)
        if match is not None:
            return self._besides(match)
        from devices.envelopes.jsonpaths import PathError, path  # a twentieth of every process's start: who has a map

        try:
            return path(written).find(document)
        except PathError as error:
            raise self._wrong(place, written, str(error)) from None

    def _besides(self, match: re.Match[str]) -> Sequence[str]:
        if match[1]:
            level = int(match[2])
            return [self._levels[level]] if -len(self._levels) <= level < len(self._levels) else []
        said = self._beside.get(match[4] or match[6])
        return [] if said is None else [said]

    def _wrong(self, place: str, written: str, text: str) -> EnvelopeError:
        return EnvelopeError(f"{self._network}: {place} ({written}): {text}")


def _collect(node: object, at: str, found: list[tuple[str, str]]) -> None:
    if len(found) >= LEAVES:
        return
    if isinstance(node, dict):
        for name, child in node.items():
            quoted = name.replace("\\", "\\\\").replace("'", "\\'")
            _collect(child, f"{at}.{name}" if _PLAIN.fullmatch(name) else f"{at}['{quoted}']", found)
    elif isinstance(node, list):
        if node:
            _collect(node[0], f"{at}[0]", found)
    else:
        text = node if isinstance(node, str) else msgspec.json.encode(node).decode()
        found.append((at, text if len(text) <= 40 else text[:40] + "…"))


def _more(n: int) -> str:
    return "" if n == 1 else f" (+{n - 1})"


def _word(given: object) -> str:
    """Somebody's value for an error message."""
    return "nothing" if given is None else json.shown(given if isinstance(given, str) else str(given))


def _number(found: Sequence[object]) -> float | None:
    """A number, also in quotation marks; true is 1, null is None. ValueError where it is none, or there are several."""
    if any(each != found[0] for each in found[1:]):
        raise ValueError(f"leads to {len(found)} different values, and there must be one")
    given = found[0]
    if given is None or given == "":
        return None
    if isinstance(given, bool | int | float) or (isinstance(given, str) and _NUMBER.fullmatch(given)):
        try:
            number = float(given)
        except OverflowError:
            raise ValueError(f"{_word(given)} is too large") from None
        if math.isfinite(number):
            return number
    raise ValueError(f"{_word(given)} is not a number")


def _moment(given: object, form: TimeForm) -> datetime:
    """A time as this form writes it. ValueError, in words, where it is none."""
    if form in (TimeForm.RFC3339, TimeForm.JAPAN):
        if not isinstance(given, str | int) or isinstance(given, bool):
            raise ValueError(f"{_word(given)} is not a time written as text")
        return _written(str(given).strip(), japan=form is TimeForm.JAPAN)
    number = _number([given])
    if number is None or isinstance(given, bool):
        raise ValueError(f"{_word(given)} is not a number of seconds since 1970")
    exact = int(given) if isinstance(given, str | int) and _WHOLE.fullmatch(str(given).strip()) else number
    if form is TimeForm.EPOCH:
        return from_epoch_of_unknown_unit(exact)
    try:
        moment = from_epoch(exact, 1000 if form is TimeForm.MILLISECONDS else 1)
    except ValueError:
        moment = None
    if moment is None or moment.year > 2200:
        unit, other = ("milliseconds", "less") if form is TimeForm.MILLISECONDS else ("seconds", "milliseconds")
        raise ValueError(f"{_word(given)} is no time in {unit} since 1970: is it in {other}?")
    return moment


def _written(text: str, *, japan: bool) -> datetime:
    match = _JAPANESE.fullmatch(text) if japan else None
    if match is None:
        return parse_timestamp(text)
    year, month, day, hour, minute, second, part = match.groups()
    return parse_timestamp(f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}{part or ''}+09:00")
