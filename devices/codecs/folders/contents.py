"""What a folder of manufacturers' codecs holds, whichever shape it has. Paths are relative to it, with slashes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from devices.codecs.javascript import JavaScriptCodec, Vector, codec_of
from devices.model import CodecError, DevicesError

Progress = Callable[[int, int], None]


class FolderError(DevicesError):
    """The folder is no folder of codecs."""


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """Something in the folder that cannot be used: the file, its line where that is known, the example if it is one,
    and what is wrong.
    """

    file: str
    reason: str
    line: int | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class FolderCodec:
    """A codec with its examples. `file` is where the examples stand, `script` the JavaScript file."""

    file: str
    script: str
    codec: JavaScriptCodec
    vectors: tuple[Vector, ...]


@dataclass(frozen=True, slots=True)
class FolderModel:
    """A device model. `name` is VENDOR/MODEL, as the folder's files are called; `title` is for people.

    Where its versions and regions have several codecs, `codec` is the one of the newest firmware (AS923 first) and
    `others` names the scripts of the rest.
    """

    name: str
    manufacturer: str
    title: str
    codec: FolderCodec
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Contents:
    """What was read. `licence` is the text of the folder's own licence file, None where there is none."""

    shape: str
    licence: str | None
    codecs: list[FolderCodec] = field(default_factory=list)
    models: list[FolderModel] = field(default_factory=list)
    problems: list[FolderProblem] = field(default_factory=list)


class Source:
    """The files of a folder: reads them as text, notes what cannot be read, and never leaves the folder."""

    def __init__(self, root: Path, problems: list[FolderProblem]) -> None:
        self.root = root.resolve()
        self.problems = problems

    def name(self, path: Path) -> str:
        """The path as people see it."""
        return path.relative_to(self.root).as_posix()

    def problem(self, path: Path, reason: str, line: int | None = None, example: str | None = None) -> None:
        problem = FolderProblem(self.name(path), reason, line, example)
        if problem not in self.problems:  # a file may be looked at for its codec and for its model
            self.problems.append(problem)

    def text(self, path: Path) -> str | None:
        """The file's text; None, noted, when it has none."""
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            self.problem(path, "this line is not UTF-8", error.object.count(b"\n", 0, error.start) + 1)
        except OSError as error:
            self.problem(path, f"the file cannot be read: {error.strerror}")
        return None

    def script(self, beside: Path, written: object) -> tuple[Path, JavaScriptCodec] | None:
        """The codec that a file names; None, noted for the file, when there is none."""
        if not isinstance(written, str) or not written:
            self.problem(beside, "no codec file is named here")
            return None
        path = (beside.parent / written).resolve()
        if not path.is_relative_to(self.root):
            self.problem(beside, f"the codec file {written} lies outside the folder")
            return None
        try:
            return path, codec_of(path.read_bytes())
        except OSError as error:
            self.problem(beside, f"the codec file {written} cannot be read: {error.strerror}")
        except CodecError as error:
            self.problem(path, str(error))
        return None
