"""A codec as a person brings it to the page: the file, its examples however they are written, and what came of them.

Examples are taken as JSON or YAML: a list of {input: {bytes, fPort}, output: {data}}, alone or under `examples` or
`uplinkDecoder: examples` (as in a folder shaped like lorawan-devices); an example of another type than `uplink` is left
out. `bytes` may be a list of numbers or hexadecimal.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.errors import Text
from devices.codecs.javascript import JavaScriptCodec, Sandbox, VectorsResult, check_loads, codec_of, run_vectors
from devices.model import CodecError

MOST_VECTORS = 500
_LONGEST_SAID = 400


class Refusal(Exception):
    """What was brought cannot be used: `said` tells why, in both languages."""

    def __init__(self, said: Text) -> None:
        super().__init__(said.en)
        self.said = said


@dataclass(frozen=True, slots=True)
class Brought:
    """A codec that loads, with its examples and what came of them."""

    codec: JavaScriptCodec
    vectors: Sequence[Mapping[str, Any]]
    result: VectorsResult


def bring(sandbox: Sandbox, file_name: str, source: bytes, examples: str) -> Brought:
    """Reads and tries what was brought. Refusal: why it cannot be a codec, with its line where there is one."""
    if not source.strip():
        raise Refusal(Text("コーデックのファイル（.js）を選んでください。", "Choose the codec's file (.js)."))
    try:
        codec = codec_of(source)
        check_loads(sandbox, codec)
    except CodecError as error:
        raise _unusable(file_name, error) from None
    vectors = read_examples(examples)
    return Brought(codec, vectors, run_vectors(sandbox, codec, vectors))


def read_examples(text: str) -> list[Mapping[str, Any]]:
    """The examples in a text; none in an empty one. Refusal with the line where it cannot be read."""
    if not text.strip():
        return []
    found = _written(text)
    for name in ("uplinkDecoder", "examples"):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise Refusal(
            Text(
                "例は、input と output を持つものの一覧（JSON か YAML）で書いてください。",
                "Write the examples as a list (JSON or YAML) of what has input and output.",
            )
        )
    chosen = [each for each in found if each.get("type", "uplink") == "uplink"]
    if len(chosen) > MOST_VECTORS:
        raise Refusal(Text(f"例は {MOST_VECTORS} 件までです。", f"There may be at most {MOST_VECTORS} examples."))
    return [_example(n, each) for n, each in enumerate(chosen, start=1)]


def model_name(maker: str, model: str) -> str | None:
    """The name of a device model out of what a person types, None where it cannot be one.

    >>> model_name("Milesight", "EM500-UDL"), model_name("ミレサイト", "EM500")
    ('milesight/em500-udl', None)
    """
    parts = [re.sub(r"[\s/]+", "-", unicodedata.normalize("NFKC", part).strip().lower()) for part in (maker, model)]
    name = "/".join(parts)
    return name if re.fullmatch(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*", name) and len(name) <= 100 else None


def _example(n: int, written: Mapping[str, Any]) -> Mapping[str, Any]:
    """As `run_vectors` takes it; a name where it has none."""
    name = written.get("name") or written.get("description") or f"#{n}"
    return {"name": str(name)[:200], "input": written.get("input"), "output": written.get("output")}


def _written(text: str) -> Any:
    if text.lstrip()[:1] in "[{":
        try:
            return json.loads(text)
        except RecursionError:
            raise _unreadable("1", "nested too deep") from None
        except ValueError:
            pass  # YAML has braces, too
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).load(io.StringIO(text))
    except MarkedYAMLError as error:
        line = "?" if error.problem_mark is None else str(error.problem_mark.line + 1)
        raise _unreadable(line, str(error.problem)) from None
    except (YAMLError, ValueError, RecursionError, TypeError) as error:
        raise _unreadable("?", str(error)) from None


def _unreadable(line: str, why: str) -> Refusal:
    why = " ".join(why.split())[:_LONGEST_SAID]
    return Refusal(
        Text(
            f"例の {line} 行目が読めません（{why}）。JSON か YAML で書いてください。",
            f"Line {line} of the examples cannot be read ({why}). Write them as JSON or YAML.",
        )
    )


def _unusable(file_name: str, error: CodecError) -> Refusal:
    why = str(error)[:_LONGEST_SAID]
    return Refusal(
        Text(
            f"{file_name} はコーデックとして使えません：{why}。"
            "メーカーが配る JavaScript のファイルをそのまま選んでください。",
            f"{file_name} is no codec: {why}. Choose the JavaScript file as its maker gives it out.",
        )
    )
