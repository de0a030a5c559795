"""Daily totals that a person enters: the series `passages_day`, beside what a counter says of the same spot.

One series a method: `passages_in` is a counter's, every ten minutes; `passages_day` a person's, one number a local day,
stored at the END of that day with quality `manual`, and so in `rollup_day` under that day. Which of the two a reader
wants is the reader's to say; they are never added and never replace one another.

    parse(text)        what a person typed -> a whole number
    doubt(total, ...)  is it so unlike the usual that a digit may be wrong?
    seen_name(value)   how a form names the value that stood there when it was shown
    enter(conn, ...)   stores, corrects or takes back; keeps who, when and what stood there before. A value that
                     somebody has confirmed or corrected with `mimamori correct` stands until it is named; one that
                     somebody else entered meanwhile until it was seen. What is sent twice is entered once

  NotANumber   what was typed is no whole number of visitors
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from store import Connection

TIMES = 10  # a digit too many, or one too few
NOT_SMALL = 50  # below this a tenth of it is an ordinary day
_DIGITS = re.compile(r"[0-9]{1,7}|[0-9]{1,3}(,[0-9]{3}){1,2}")


class NotANumber(ValueError):
    """What was typed is no whole number of visitors."""


class Doubt(StrEnum):
    """Why a number is asked back."""

    MUCH = "much"  # ten times the usual or more
    LITTLE = "little"  # a tenth of the usual or less


class Entered(StrEnum):
    """What became of an entry."""

    STORED = "stored"
    CORRECTED = "corrected"
    UNCHANGED = "unchanged"
    AGAIN = "again"  # this very entry has arrived before: nothing has changed
    STANDS = "stands"  # an examined value is there that was not named: nothing has changed
    MEANWHILE = "meanwhile"  # another value is there than the one that was seen: nothing has changed


def parse(text: str) -> int:
    """The number that a person typed, in half or full width, with or without separators or 人. Raises NotANumber; a
    comma that separates no thousands is a mistyped one.

    >>> parse("１，２３４ 人"), parse(" 0 ")
    (1234, 0)
    >>> parse("12,34")
    Traceback (most recent call last):
    analytics.visitors.manual.NotANumber: 12,34
    """
    plain = re.sub(r"[\s人]", "", unicodedata.normalize("NFKC", text))
    if not _DIGITS.fullmatch(plain):
        raise NotANumber(text)
    return int(plain.replace(",", ""))


def doubt(total: int, usual: float | None) -> Doubt | None:
    """Whether a person should look again; `usual` None: nothing is known that it could be unlike.

    >>> doubt(5120, 500).value, doubt(50, 500).value, doubt(1200, 500), doubt(12, 3)
    ('much', 'little', None, None)
    """
    if usual is None:
        return None
    if total >= TIMES * max(usual, NOT_SMALL / TIMES):
        return Doubt.MUCH
    return Doubt.LITTLE if usual >= NOT_SMALL and total * TIMES <= usual else None


def seen_name(value: float | None) -> str:
    """A stored value as `enter` takes it for `seen`.

    >>> seen_name(120.0), seen_name(None)
    ('120', 'none')
    """
    return "none" if value is None else f"{value:.0f}"


def enter(
    conn: Connection,
    datastream_id: int,
    day: date,
    total: int | None,
    user_id: int | None,
    at: datetime,
    note: str | None,
    *,
    over: str | None = None,
    seen: str | None = None,
    key: UUID | None = None,
    link: int | None = None,
) -> Entered:
    """Writes a day's total, None takes it back; `at` is town time. The transaction's last statement. Who writes is a
    person with an account (`user_id`) or, without one, whoever has the `link` of the spot (`store.count_links`).

    `over` names the examined value that this is to replace, as the database's `examined_value` does; `seen` the value
    that the person saw there (`seen_name`; None: whatever is there is replaced); `key` the entry itself: a repetition
    has the same.

    On a connection of the API's role with its municipality set: the database checks that the series is a daily total of
    that municipality and that the person or the link may write it, and raises psycopg.DatabaseError where not.
    """
    row = conn.execute(
        "select enter_daily_total(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (datastream_id, day, total, user_id, at, note, over, seen, key, link),
    ).fetchone()
    assert row is not None, "a function gives a row"
    return Entered(row[0])
