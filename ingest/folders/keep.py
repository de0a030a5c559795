"""Where read files go, and the report beside them. Nothing is ever deleted or written over.

    FOLDER/NAME  ->  FOLDER/done/NAME, or FOLDER/failed/NAME where the file as a whole could not be read
                     ... NAME.txt beside it, where something could not be read: by line, in both languages

Where that is not possible (a share that may only be read) the file stays, and the ledger remembers it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ingest.folders.look import DONE, FAILED
from store.folders import Problem

_MOST_NAMES = 1000


class CannotMove(Exception):
    """The folder does not let us move a file."""


def move(folder: Path, place: str, *, failed: bool) -> str:
    """Moves a file to done/ or failed/ and returns its new place. CannotMove where the folder does not allow it."""
    shelf = FAILED if failed else DONE
    if Path(place).parent.name == shelf:
        return place
    target = folder / shelf
    try:
        target.mkdir(exist_ok=True)
        if target.is_symlink():
            raise CannotMove(f"{target} is a link")
        name = _free(target, Path(place).name)
        (folder / place).rename(target / name)
    except OSError as error:
        raise CannotMove(str(error)) from error
    return f"{shelf}/{name}"


def move_back(folder: Path, place: str) -> None:
    """Puts a file that was changed while it was moved where it will be read again."""
    with suppress(OSError):
        (folder / place).rename(folder / _free(folder, Path(place).name))


def report(
    folder: Path, place: str, *, why: tuple[str, str] | None, rejected: int, problems: Sequence[Problem]
) -> None:
    """Writes NAME.txt beside a file: why it could not be read, or what of which line. Where nothing is wrong only a
    report that was there is put right. What cannot be written stands on the page all the same.
    """
    path = (folder / place).with_name(Path(place).name + ".txt")
    if why is None and not rejected and not path.exists():
        return
    name = Path(place).name
    if why is not None:
        ja, en = [f"{name} は読めませんでした。", why[1]], [f"{name} could not be read.", why[0]]
    elif rejected:
        ja = [f"{name}：読めなかった値・行が {rejected} 件あります。ほかの行は保存しました。"]
        en = [f"{name}: {rejected} values or lines could not be read. The others are stored."]
        ja += [f"{p.line}行目：{p.reason_ja}" for p in problems]
        en += [f"line {p.line}: {p.reason}" for p in problems]
        if rejected > len(problems):
            ja.append(f"（ほか {rejected - len(problems)} 件）")
            en.append(f"(and {rejected - len(problems)} more)")
    else:
        ja, en = [f"{name}：すべて読めました。"], [f"{name}: everything was read."]
    # with a byte order mark and the line ends of the people whose share this is
    text = "\r\n".join([*ja, "", *en, ""])
    with suppress(OSError):
        if not path.is_symlink():
            path.write_bytes(text.encode("utf-8-sig"))


def move_report(folder: Path, old: str, new: str) -> None:
    """Takes a report along to where its file went."""
    before, after = (folder / f"{place}.txt" for place in (old, new))
    if old != new and before.is_file() and not before.is_symlink() and not after.exists():
        with suppress(OSError):
            before.rename(after)


def _free(folder: Path, name: str) -> str:
    """The name, or one with a number where it is taken."""
    stem, ending = Path(name).stem, Path(name).suffix
    for number in range(1, _MOST_NAMES):
        candidate = name if number == 1 else f"{stem} ({number}){ending}"
        if not os.path.lexists(folder / candidate):
            return candidate
    raise CannotMove(f"{folder} has too many files called {name}")
