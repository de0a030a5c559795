"""Folders shaped like chirpstack-device-profiles: a folder for each vendor, TOML, and examples as JavaScript literals.

    vendors/V/vendor.toml                       vendor.name
    vendors/V/devices/DEVICE.toml               device.name; device.firmware, each naming its codec's file
    vendors/V/codecs/CODEC.js
    vendors/V/codecs/test_decode_CODEC.json     a list of name, input, expected; numbers may be hexadecimal

Some test files lack the numbers that their codec's name ends with (`test_decode_x.json` for `x-10.js`).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devices.codecs.folders.contents import Contents, FolderCodec, FolderModel, Progress, Source
from devices.codecs.javascript import Sandbox, Vector, codec_of
from devices.model import CodecError

SHAPE = "chirpstack-device-profiles"
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def vendors(root: Path) -> list[Path]:
    """The vendors' folders; none where the shape is another. It may also be `vendors`, or one vendor's folder."""
    if (root / "vendors").is_dir():
        root = root / "vendors"
    elif _is_vendor(root):
        return [root]
    return sorted(each for each in root.iterdir() if each.is_dir() and _is_vendor(each))


def read(
    source: Source, folders: list[Path], contents: Contents, progress: Progress, sandbox: Sandbox, *, models: bool
) -> None:
    """The codecs, and the models if they are wanted. The examples are evaluated in the sandbox: they are JavaScript."""
    for done, folder in enumerate(folders):
        progress(done, len(folders))
        codecs = {Path(codec.script).name: codec for codec in _codecs(source, folder, sandbox)}
        contents.codecs += codecs.values()
        if models:
            contents.models += _models(source, folder, codecs)
    progress(len(folders), len(folders))


def _is_vendor(folder: Path) -> bool:
    return (folder / "vendor.toml").is_file() or any((folder / "codecs").glob("test_decode_*.json"))


def _codecs(source: Source, folder: Path, sandbox: Sandbox) -> Iterator[FolderCodec]:
    scripts = {path.stem: path for path in sorted((folder / "codecs").glob("*.js"))}
    tests: dict[str, Path] = {}
    for path in sorted((folder / "codecs").glob("test_decode_*.json")):
        stem = path.stem.removeprefix("test_decode_")
        longer = (each for each in scripts if re.fullmatch(rf"{re.escape(stem)}(-\d+)+", each))
        tested = stem if stem in scripts else next(longer, None)
        if tested is None:
            source.problem(path, f"there is no codec {stem}.js beside these examples")
        else:
            tests[tested] = path
    for stem, path in scripts.items():
        found = source.script(path, path.name)
        if found is not None:
            test = tests.get(stem)
            vectors = () if test is None else tuple(_vectors(source, test, sandbox))
            yield FolderCodec(source.name(test or path), source.name(path), found[1], vectors)


def _vectors(source: Source, path: Path, sandbox: Sandbox) -> Iterator[Vector]:
    text = source.text(path)
    if text is None:
        return
    try:
        examples = json.loads(text)
    except ValueError:
        try:
            # What is no JSON is a JavaScript literal: only an engine can say what it means.
            examples = sandbox.raw(codec_of(f"function decodeUplink() {{ return {{data: {text}\n}}; }}"), b"")["data"]
        except (CodecError, KeyError) as error:
            source.problem(path, f"the examples are neither JSON nor a JavaScript literal: {error}")
            return
    if not isinstance(examples, list):
        source.problem(path, "the examples are no list")
        return
    for position, example in enumerate(examples, 1):
        example = example if isinstance(example, dict) else {}
        name = str(example.get("name") or f"example {position}")
        try:
            yield Vector.from_json({"name": name, "input": example.get("input"), "output": example.get("expected")})
        except ValueError as error:
            source.problem(path, str(error), example=name)


def _models(source: Source, folder: Path, codecs: Mapping[str, FolderCodec]) -> Iterator[FolderModel]:
    vendor = _toml(source, folder / "vendor.toml").get("vendor")
    manufacturer = str(vendor.get("name") or folder.name) if isinstance(vendor, dict) else folder.name
    for path in sorted((folder / "devices").glob("*.toml")):
        device = _toml(source, path).get("device")
        if not isinstance(device, dict):
            continue
        firmware = device.get("firmware")
        used = [
            str(each.get("codec"))
            for each in reversed(firmware if isinstance(firmware, list) else [])
            if isinstance(each, dict) and each.get("codec")
        ]
        for missing in sorted({name for name in used if name not in codecs}):
            source.problem(path, f"the codec file {missing} is not in codecs")
        used = [name for name in used if name in codecs]
        if used:
            others = dict.fromkeys(codecs[name].script for name in used if name != used[0])
            title = str(device.get("name") or path.stem)
            yield FolderModel(f"{folder.name}/{path.stem}", manufacturer, title, codecs[used[0]], tuple(others))


def _toml(source: Source, path: Path) -> dict[str, Any]:
    """What the file says; empty, noted with its line, when it is no TOML."""
    text = source.text(path) if path.is_file() else None
    if text is None:
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        what = _TOML_LINE.sub("", str(error))
        source.problem(path, f"this is no TOML: {what}", None if line is None else int(line[1]))
        return {}
