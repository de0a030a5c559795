"""Where in a message is what, as an operator writes it for a network that nobody has written an envelope for.

A `MessageMap` has a place for each thing. A place is a JSONPath (`devices.envelopes.jsonpaths`) or one of ``topic[n]``
(a level of the MQTT topic, 0 the first, -1 the last), ``query[device]`` and ``header[x-device]`` (what the sender put
beside the body over HTTP). CSV becomes JSON first: ``{"rows": [{"c1": "…", "c2": "…"}, …]}``, with the names of the
first line instead of c1, c2, … where it has any.

    device         who sent it: text or a whole number; our key in lower case, a DevEUI also in base64
    counter        counts up by one with every message; session: what it belongs to
    network_time   when the network heard it
    measured_time  when the device measured it
    payload        the device's bytes, in hex, base64, or as text; or
    fields         values by the field names of the device's model; or
    decoded        an object of values, for a model that takes what its network has decoded
    samples        several measurements in one message: measured_time and fields are then sought in each of them, where
                   ``$`` is the one sample

There must be a device; one of payload, fields and decoded; and a counter or a time, as without either a repeated
message could not be told from a new one. What is not there in a message is left out; null says that the device could
not measure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import msgspec

from devices.envelopes import json

MOST_FIELDS = 64

# What is not in the body.
BESIDE = re.compile(r"(topic)\[(-?\d{1,3})\]|(query)\[(device)\]|(header)\[(x-device)\]")
_FIELD = re.compile(r"[A-Za-z_][\w.\[\]-]{0,199}")


class Form(StrEnum):
    """What the body is written in."""

    JSON = "json"
    CSV = "csv"  # every line is data
    CSV_NAMED = "csv_named"  # the first line names the columns


class TimeForm(StrEnum):
    """How a time is written."""

    RFC3339 = "rfc3339"  # 2026-06-01T09:00:00+09:00
    JAPAN = "japan"  # the same without an offset, and Japan's
    SECONDS = "s"  # since 1970
    MILLISECONDS = "ms"
    EPOCH = "epoch"  # since 1970, the number of digits says in what


class BytesForm(StrEnum):
    """How bytes are written."""

    HEX = "hex"
    BASE64 = "base64"
    TEXT = "text"


PLACES = ("device", "session", "counter", "network_time", "measured_time", "payload", "decoded", "samples")


@dataclass(frozen=True, slots=True)
class MessageMap:
    """Where in a message is what; an empty place is not there. `fields`: (name, place)."""

    form: Form = Form.JSON
    device: str = ""
    session: str = ""
    counter: str = ""
    network_time: str = ""
    network_time_form: TimeForm = TimeForm.RFC3339
    measured_time: str = ""
    measured_time_form: TimeForm = TimeForm.RFC3339
    payload: str = ""
    payload_form: BytesForm = BytesForm.HEX
    decoded: str = ""
    samples: str = ""
    fields: tuple[tuple[str, str], ...] = field(default=())


# The template of sigfox.py, to begin with where a town's own template names things otherwise.
SIGFOX = MessageMap(
    device="$.device",
    counter="$.seqNumber",
    network_time="$.time",
    network_time_form=TimeForm.SECONDS,
    payload="$.data",
)


class MapError(Exception):
    """A map that will not do; `problems`: what is wrong, by the name of the place (`field 3` the third of the fields,
    empty: the whole).
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{place}: {text}" if place else text for place, text in problems.items()))
        self.problems = dict(problems)


def check(said: MessageMap) -> None:
    """Raises MapError with all that is wrong."""
    problems: dict[str, str] = {}
    for place in PLACES:
        written = getattr(said, place)
        if written:
            _check_place(place, written, problems)
    names = [name for name, _ in said.fields]
    for n, (name, written) in enumerate(said.fields, start=1):
        if not _FIELD.fullmatch(name):
            problems[f"field {n}"] = f"{json.shown(name)} is no name of a field: letters, digits, _ . and [ ]"
        elif names.index(name) != n - 1:
            problems[f"field {n}"] = f"there is a field {name} already"
        else:
            _check_place(f"field {n}", written, problems)
    if len(said.fields) > MOST_FIELDS:
        problems[""] = f"{len(said.fields)} fields are too many: {MOST_FIELDS} at most"
    if not said.device:
        problems["device"] = "must be said: where in the message is who sent it?"
    if sum((bool(said.payload), bool(said.fields), bool(said.decoded))) != 1:
        problems.setdefault("payload", "one of the three must be said: the payload, fields, or an object of values")
    if not (said.counter or said.network_time or said.measured_time):
        problems.setdefault(
            "counter",
            "a counter or a time must be said: without one of them a repeated message cannot be told from a new one",
        )
    if said.samples and not said.fields:
        problems.setdefault("samples", "samples are for fields: the payload is one")
    elif said.samples and not said.measured_time:
        problems.setdefault("measured_time", "with samples each has its own time of measurement: say where")
    if problems:
        raise MapError(problems)


def _check_place(name: str, written: str, problems: dict[str, str]) -> None:
    if BESIDE.fullmatch(written) and name not in ("samples", "decoded"):
        return
    from devices.envelopes.jsonpaths import PathError, path  # a twentieth of every process's start: who has a map

    try:
        path(written)
    except PathError as error:
        problems[name] = str(error)


def to_json(said: MessageMap) -> dict[str, Any]:
    """For the database: what is said, and nothing that is as usual."""
    usual = MessageMap()
    kept = {each.name: getattr(said, each.name) for each in fields(said)}
    return {name: value for name, value in kept.items() if value != getattr(usual, name)}


def from_json(kept: Mapping[str, Any]) -> MessageMap:
    """What `to_json` gave. MapError where it is something else."""
    try:
        return msgspec.convert(dict(kept), MessageMap)
    except msgspec.ValidationError as error:
        raise MapError({"": str(error)}) from None
