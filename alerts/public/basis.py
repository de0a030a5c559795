"""Whose reference levels a threshold set holds, stated by a named person: it decides how the public reads of them.

Statements are only added; the newest one of a set stands. Without one a set is the municipality's own.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from alerts.public.forbidden import check
from alerts.public.words import Basis, Stage
from store import Connection

_LONGEST = 100  # characters


class BasisRefused(Exception):
    """A statement that cannot be meant: `field` of it, and why in both languages."""

    def __init__(self, field: str, ja: str, en: str) -> None:
        super().__init__(f"{field}: {en}")
        self.field, self.ja, self.en = field, ja, en


@dataclass(frozen=True, slots=True)
class SetInForce:
    """The threshold set of a gauge that is in force, its levels from below, and what was last stated of it;
    `statement_id` None: nothing.
    """

    threshold_set_id: int
    station: str
    name: str
    name_en: str
    stages: tuple[Stage, ...]
    basis: Basis
    stated_at: datetime | None
    stated_by: str | None
    statement_id: int | None


def sets_in_force(conn: Connection, at: datetime, station_id: int | None = None) -> list[SetInForce]:
    """The threshold sets in force at a moment, in the order in which the gauges were registered; of one station only
    where it is given.
    """
    rows = conn.execute(
        """
        select t.threshold_set_id, s.code, s.name, s.name_en,
               (select json_agg(json_build_array(l.level, l.name, l.name_en, l.value) order by l.value, l.level)
                from threshold_level l where l.threshold_set_id = t.threshold_set_id),
               b.source, b.authority, b.document, b.dated, b.words, b.words_en, b.stated_at, u.display_name,
               b.threshold_source_id
        from (
            select distinct on (station_id) station_id, threshold_set_id from threshold_set
            where valid_from <= %s and (%s::integer is null or station_id = %s)
            order by station_id, valid_from desc, threshold_set_id desc
        ) t
        join station s using (station_id)
        left join lateral (
            select * from threshold_source c where c.threshold_set_id = t.threshold_set_id
            order by c.threshold_source_id desc limit 1
        ) b on true
        left join app_user u using (user_id)
        order by s.station_id
        """,
        (at, station_id, station_id),
    ).fetchall()
    return [SetInForce(row[0], row[1], row[2], row[3], _stages(row[4]), _basis(row[5:11]), *row[11:]) for row in rows]


def state_basis(
    conn: Connection,
    municipality_id: int,
    threshold_set_id: int,
    *,
    source: str,
    authority: str = "",
    document: str = "",
    dated: str = "",
    words: str = "",
    words_en: str = "",
    levels: int,
    user_id: int | None,
    at: datetime,
) -> None:
    """Adds a statement about a set with that many levels. `dated` like 2026-04-01; `words` one a line, from below.

    Raises `BasisRefused`.
    """
    if source not in ("administrator", "adopted", "own"):
        raise BasisRefused("source", "どれかを選んでください。", "Choose one.")
    given = {"authority": _line(authority), "document": _line(document)}
    needed = {"administrator": "authority", "adopted": "document", "own": None}[source]
    for field, text in given.items():
        if field == needed and not text:
            raise BasisRefused(field, "ここを書いてください。", "Please fill this in.")
        if len(text) > _LONGEST:
            raise BasisRefused(field, f"{_LONGEST} 字以内で書いてください。", f"At most {_LONGEST} letters.")
    day = _day(dated) if source == "adopted" else None
    own = _words(words, words_en, levels) if source == "own" else None
    conn.execute(
        """
        insert into threshold_source (municipality_id, threshold_set_id, source, authority, document, dated, words,
                                      words_en, stated_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            municipality_id,
            threshold_set_id,
            source,
            given["authority"] if source == "administrator" else None,
            given["document"] if source == "adopted" else None,
            day,
            None if own is None else own[0],
            None if own is None else own[1],
            at,
            user_id,
        ),
    )


def carry_basis(
    conn: Connection, municipality_id: int, from_set: int, to_set: int, *, user_id: int | None, at: datetime
) -> None:
    """States of a new set what was last stated of another one, by whoever says that it is the same; nothing where
    nothing was. Words of one's own are taken along only where both sets have as many levels.
    """
    conn.execute(
        """
        insert into threshold_source (municipality_id, threshold_set_id, source, authority, document, dated, words,
                                      words_en, stated_at, user_id)
        select %(town)s, %(to)s, source, authority, document, dated, case when same then words end,
               case when same then words_en end, %(at)s, %(user)s
        from threshold_source b
        cross join (select (select count(*) from threshold_level where threshold_set_id = %(from)s)
                         = (select count(*) from threshold_level where threshold_set_id = %(to)s) as same) levels
        where b.threshold_set_id = %(from)s order by b.threshold_source_id desc limit 1
        """,
        {"town": municipality_id, "from": from_set, "to": to_set, "at": at, "user": user_id},
    )


def _stages(rows: list[Any] | None) -> tuple[Stage, ...]:
    return tuple(
        Stage(level, rank, name, name_en, value)
        for rank, (level, name, name_en, value) in enumerate(rows or (), start=1)
    )


def _basis(row: tuple[Any, ...]) -> Basis:
    source, authority, document, dated, words, words_en = row
    return Basis(
        _source(source),
        authority or "",
        document or "",
        "" if dated is None else f"{dated.year}年{dated.month}月{dated.day}日",
        tuple(words or ()),
        tuple(words_en or ()),
    )


def _source(stored: str | None) -> Literal["administrator", "adopted", "own"]:
    return "administrator" if stored == "administrator" else "adopted" if stored == "adopted" else "own"


def _line(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", text) if c.isprintable()).strip()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise BasisRefused(
            "dated", "文書の日付を 2026-04-01 のように書いてください。", "The document's date, like 2026-04-01."
        ) from None


def _words(words: str, words_en: str, levels: int) -> tuple[list[str], list[str]] | None:
    both = [[line for each in text.splitlines() if (line := _line(each))] for text in (words, words_en)]
    if both == [[], []]:
        return None
    for field, lines in zip(("words", "words_en"), both, strict=True):
        if len(lines) != levels:
            raise BasisRefused(
                field,
                f"この基準には {levels} 段階あります。低い段階から 1 行に 1 つ、{levels} 行で書いてください。",
                f"The set has {levels} levels: {levels} lines, one a level, the lowest first.",
            )
        for line in lines:
            if len(line) > 30:
                raise BasisRefused(field, "1 つの言葉は 30 字以内です。", "At most 30 letters a line.")
            for found in check(line, equivalent=False, highest=0):
                raise BasisRefused(field, f"「{found.word}」：{found.ja}", f"'{found.word}': {found.en}")
    return both[0], both[1]
