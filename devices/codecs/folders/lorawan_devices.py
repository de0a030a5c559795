"""Folders shaped like lorawan-devices: a folder for each vendor, everything in YAML.

    vendor/index.yaml               vendors: id, name
    vendor/V/index.yaml             endDevices: the ids of its devices
    vendor/V/DEVICE.yaml            name; firmwareVersions, each with profiles by region, each naming its codec's file
    vendor/V/CODEC.yaml             uplinkDecoder: fileName, and examples with input and output

YAML files without the words of a codec or a device are not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devices.codecs.folders import yaml_1_2
from devices.codecs.folders.contents import Contents, FolderCodec, FolderModel, Progress, Source
from devices.codecs.javascript import Vector

SHAPE = "lorawan-devices"
_REGION = "AS923"  # Japan's


def vendors(root: Path) -> list[Path]:
    """The vendors' folders; none where the shape is another. It may also be `vendor`, or one vendor's folder."""
    if (root / "vendor").is_dir():
        root = root / "vendor"
    elif _is_vendor(root):
        return [root]
    return sorted(each for each in root.iterdir() if each.is_dir() and _is_vendor(each))


def read(source: Source, folders: list[Path], contents: Contents, progress: Progress, *, models: bool) -> None:
    """The codecs, and the models if they are wanted."""
    names = _vendor_names(source, folders) if models else {}
    for done, folder in enumerate(folders):
        progress(done, len(folders))
        codecs = {}
        for path in sorted(folder.glob("*.yaml")):
            codec = _codec(source, path)
            if codec is not None:
                contents.codecs.append(codec)
                codecs[path.stem] = codec
        if models:
            contents.models += _models(source, folder, names.get(folder.name, folder.name), codecs)
    progress(len(folders), len(folders))


def _is_vendor(folder: Path) -> bool:
    for path in folder.glob("*.yaml"):
        with contextlib.suppress(OSError):
            text = path.read_text(encoding="utf-8", errors="replace")
            if "uplinkDecoder" in text or "firmwareVersions" in text:
                return True
    return False


def _codec(source: Source, path: Path) -> FolderCodec | None:
    text = source.text(path)
    if text is None or "uplinkDecoder" not in text:
        return None
    written = yaml_1_2.read(source, path, text)
    decoder = written.get("uplinkDecoder") if isinstance(written, dict) else None
    if not isinstance(decoder, dict):
        if written is not None:
            source.problem(path, "uplinkDecoder has no fileName and examples")
        return None
    found = source.script(path, decoder.get("fileName"))
    if found is None:
        return None
    script, codec = found
    vectors = tuple(_vectors(source, path, decoder.get("examples")))
    return FolderCodec(source.name(path), source.name(script), codec, vectors)


def _vectors(source: Source, path: Path, examples: Any) -> Iterator[Vector]:
    if not isinstance(examples, list):
        if examples is not None:
            source.problem(path, "the examples are no list")
        return
    for position, example in enumerate(examples, 1):
        example = example if isinstance(example, dict) else {}
        name = str(example.get("description") or f"example {position}")
        try:
            yield Vector.from_json({**example, "name": name})
        except ValueError as error:
            source.problem(path, str(error), example=name)


def _models(
    source: Source, folder: Path, manufacturer: str, codecs: Mapping[str, FolderCodec]
) -> Iterator[FolderModel]:
    for path in sorted(folder.glob("*.yaml")):
        if path.stem == "index" or path.stem in codecs:
            continue
        text = source.text(path)
        if text is None or "firmwareVersions" not in text:
            continue
        written = yaml_1_2.read(source, path, text)
        if not isinstance(written, dict):
            continue
        used = [codecs[name] for name in _codecs_of(written) if name in codecs]
        if used:
            others = dict.fromkeys(each.script for each in used if each.script != used[0].script)
            title = str(written.get("name") or path.stem)
            yield FolderModel(f"{folder.name}/{path.stem}", manufacturer, title, used[0], tuple(others))


def _codecs_of(device: Mapping[str, Any]) -> Iterator[str]:
    """The names of a device's codecs: the newest firmware's first, which is the last, and of it AS923's."""
    versions = device.get("firmwareVersions")
    for version in reversed(versions if isinstance(versions, list) else []):
        profiles = version.get("profiles") if isinstance(version, dict) else None
        regions = profiles if isinstance(profiles, dict) else {}
        for region in sorted(regions, key=lambda name: name != _REGION):
            profile = regions[region]
            if isinstance(profile, dict) and isinstance(profile.get("codec"), str):
                yield profile["codec"]


def _vendor_names(source: Source, folders: list[Path]) -> dict[str, str]:
    path = folders[0].parent / "index.yaml" if folders else None
    text = source.text(path) if path is not None and path.is_relative_to(source.root) and path.is_file() else None
    written = None if path is None or text is None else yaml_1_2.read(source, path, text)
    listed = written.get("vendors") if isinstance(written, dict) else None
    return {
        str(each["id"]): str(each.get("name") or each["id"])
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and "id" in each
    }
