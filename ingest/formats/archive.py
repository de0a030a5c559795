"""A file as the parts that it is made of: itself, or the files of a ZIP in the order of their names.

Anybody may drop a ZIP: what it unpacks to is limited before any of it is unpacked, and nothing of it is written
anywhere. Names without a mark of their encoding are CP932, as Windows writes them.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, NoReturn

from ingest.errors import HistoryError, Wrong
from ingest.history_rows import Open

MOST_UNPACKED = 2_000_000_000  # bytes: thirty years of a prefecture's gauges
MOST_PARTS = 2000
_ZIP = b"PK\x03\x04"
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
_ENDINGS = (".csv", ".txt", ".tsv", ".rdb", ".json", ".geojson", ".ndjson")


# What a broken ZIP raises when it is read, also in the middle of a file; and, more than that, when it is opened.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError)
_UNOPENED = (*_BROKEN, ValueError, struct.error, OverflowError, NotImplementedError, RuntimeError)


@contextmanager
def whole(name: str) -> Iterator[None]:
    """What is read within is no broken ZIP; HistoryError where it is."""
    try:
        yield
    except _BROKEN as error:
        raise HistoryError(
            f"{name}: the ZIP is broken ({error}): fetch it again",
            f"{name}：ZIP が壊れています。もう一度取り直してください。",
        ) from None


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or one of a ZIP. `name` is for messages and includes that of the ZIP; `member` its own name there, empty
    of a file that stands for itself. `size`: the bytes that it takes up in the whole.
    """

    name: str
    member: str
    open: Open
    size: int

    def told(self, problem: Wrong) -> Wrong:
        """A problem of one of its lines, with the name of the part where there are several."""
        if not self.member:
            return problem
        return Wrong(f"{self.member}: {problem}", f"{self.member}：{problem.ja}")


def parts_of(name: str, open_: Open) -> Iterator[Part]:
    """The parts. HistoryError for a ZIP that cannot be read, or has nothing in it that could be."""
    with open_() as file:
        beginning = file.read(4)
        file.seek(0, io.SEEK_END)
        size = file.tell()
    if beginning != _ZIP:
        yield Part(name, "", open_, size)
        return
    found = _members(name, open_)
    for info, member in found:
        yield Part(f"{name}（{member}）", member, partial(_open, open_, info), info.compress_size)


def _members(name: str, open_: Open) -> list[tuple[zipfile.ZipInfo, str]]:
    try:
        with open_() as file, zipfile.ZipFile(file) as packed:
            infos = [info for info in packed.infolist() if info.filename and not info.is_dir()]
    except _UNOPENED:
        _refuse(
            name,
            "is no whole ZIP: fetch it again",
            "ZIP として読めません（途中で切れている可能性があります）。もう一度取り直してください",
        )
    named = [(info, _name(info)) for info in infos]
    wanted = sorted((each for each in named if each[1].lower().endswith(_ENDINGS)), key=lambda each: each[1])
    unpacked = sum(info.file_size for info, _ in wanted)
    if unpacked > MOST_UNPACKED or len(wanted) > MOST_PARTS:
        _refuse(
            name,
            f"unpacks to {unpacked:,} bytes in {len(wanted):,} files, and the limit is {MOST_UNPACKED:,} in "
            f"{MOST_PARTS:,}: unpack it and import its files",
            f"展開すると {len(wanted):,} 個、{unpacked:,} バイトで、上限（{MOST_PARTS:,} 個、{MOST_UNPACKED:,} バイト）"
            "を超えます。展開して、中のファイルを取り込んでください",
        )
    if any(info.flag_bits & _ENCRYPTED for info, _ in wanted):
        _refuse(name, "has a password: take it off", "パスワードが付いています。外してください")
    if not wanted:
        there = ", ".join(member for _, member in named)[:300]
        _refuse(
            name,
            f"has no CSV, text or JSON file in it; it has {there or 'nothing'}",
            f"中に CSV・テキスト・JSON のファイルがありません（あるのは {there or 'なし'}）",
        )
    return wanted


def _name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("cp932")
    except UnicodeError:
        return info.filename


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files by name as a ZIP."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for member, text in files:
            # the time of a ZIP's file is nobody's: the same files give the same ZIP
            target.writestr(zipfile.ZipInfo(member), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


class _Member(io.BufferedReader):
    """A file of a ZIP; closing it closes the ZIP. (Buffered in C: a ZIP's own lines are read in Python.)"""

    def __init__(self, member: BinaryIO, held: BinaryIO) -> None:
        super().__init__(member)  # type: ignore[arg-type]  # it has readinto, which is all that is asked of it
        self._held = held

    def close(self) -> None:
        try:
            super().close()
        except zipfile.BadZipFile:
            pass
        finally:
            self._held.close()


def _open(open_: Open, info: zipfile.ZipInfo) -> BinaryIO:
    held = open_()
    try:
        return _Member(zipfile.ZipFile(held).open(info), held)  # type: ignore[arg-type]
    except _UNOPENED as error:
        held.close()
        raise zipfile.BadZipFile(str(error)) from None


def _refuse(name: str, en: str, ja: str) -> NoReturn:
    raise HistoryError(f"{name}: {en}", f"{name}：{ja}。")


def stem(part: Part) -> str:
    """The name of the file itself, without folders and ending."""
    return PurePosixPath(part.member or part.name.replace("\\", "/")).stem
