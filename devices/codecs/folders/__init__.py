"""Folders of manufacturers' codecs that an operator has: read, and checked example by example. None of them is ours.

    contents = read_folder(Path("lorawan-devices"), sandbox)
    contents.models      VENDOR/MODEL, maker, title, codec, examples: what an import needs
    contents.problems    what could not be read, with file and line; the rest was read all the same

Two shapes are known, one module each; what they have in common stands in `contents`.
"""

from __future__ import annotations

from pathlib import Path

from devices.codecs.folders import chirpstack_profiles, lorawan_devices
from devices.codecs.folders.check import CheckedFolder, check_folder
from devices.codecs.folders.contents import (
    Contents,
    FolderCodec,
    FolderError,
    FolderModel,
    FolderProblem,
    Progress,
    Source,
)
from devices.codecs.javascript import Sandbox

__all__ = [
    "CheckedFolder",
    "Contents",
    "FolderCodec",
    "FolderError",
    "FolderModel",
    "FolderProblem",
    "check_folder",
    "read_folder",
]


def read_folder(
    folder: Path, sandbox: Sandbox, *, models: bool = True, progress: Progress = lambda done, total: None
) -> Contents:
    """What the folder holds; without `models` only the codecs, which is faster. FolderError: the shape is unknown."""
    if not folder.is_dir():
        raise FolderError(f"{folder} is no folder")
    root = folder.resolve()
    chirpstack, lorawan = chirpstack_profiles.vendors(root), lorawan_devices.vendors(root)
    if not chirpstack and not lorawan:
        raise FolderError(
            f"{folder} is shaped like neither {lorawan_devices.SHAPE} (vendor/NAME/*.yaml with uplinkDecoder) nor "
            f"{chirpstack_profiles.SHAPE} (vendors/NAME/vendor.toml); name the folder that holds vendor or vendors"
        )
    contents = Contents(chirpstack_profiles.SHAPE if chirpstack else lorawan_devices.SHAPE, _licence(root))
    source = Source(root, contents.problems)
    if chirpstack:
        chirpstack_profiles.read(source, chirpstack, contents, progress, sandbox, models=models)
    else:
        lorawan_devices.read(source, lorawan, contents, progress, models=models)
    return contents


def _licence(root: Path) -> str | None:
    """The text of the licence that lies in the folder, or beside its `vendor`."""
    for place in (root, root.parent, root.parent.parent):
        for path in sorted(place.glob("LICEN[CS]E*")):
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")
        if place.name not in ("vendor", "vendors") and place.parent.name not in ("vendor", "vendors"):
            return None
    return None
