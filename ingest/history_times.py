"""Times as Japanese tables write them, and 24:00.

24:00 ends the day on whose line it stands: it is 00:00 of the next day. The usual ways to write a time are read without
being told the format: 2026-06-01 9:00, 2026/6/1 9:00:00, 2026.6.1 9:00, 2026年6月1日9時00分, 令和8年6月1日 9:00,
R8.6.1 9:00, and RFC 3339 with T and an offset.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from ingest.errors import Wrong

_USUAL = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:T| *)"
    r"(\d{1,2})(?:(?::|時)(\d{1,2})(?:分|:(\d{1,2})(?:\.\d+)?)?|時)"
    r" *(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_DAY_ALONE = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?", re.ASCII)
_ERA = re.compile(r"(令和|平成|昭和|[RHS])\.?(\d{1,2}|元)(?=[-/.年])", re.ASCII)
_ERA_BEFORE = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988, "昭和": 1925, "S": 1925}
_FIRST_YEAR = 1900
_DAY = timedelta(days=1)


def time_reader(written: str | None, zone: tzinfo) -> Callable[[str], datetime]:
    """A function from text to a moment in UTC. `written` is a format of strptime, None for the usual ways.

    The function raises Wrong for what is no time. A time without an offset is in `zone`.

    >>> from datetime import timezone
    >>> read = time_reader(None, timezone(timedelta(hours=9)))
    >>> read("2026/6/1 24:00").isoformat(), read("2026年6月2日 0時") == read("2026/6/1 24:00")
    ('2026-06-01T15:00:00+00:00', True)
    """

    def read(text: str) -> datetime:
        text = text.strip() if text.isascii() else unicodedata.normalize("NFKC", text).strip()
        local = _usual(text) if written is None else _formatted(text, written)
        if local.year < _FIRST_YEAR:
            raise Wrong(f"{text[:40]!r} is before {_FIRST_YEAR}", f"「{text[:40]}」は{_FIRST_YEAR}年より前です")
        return (local if local.tzinfo is not None else local.replace(tzinfo=zone)).astimezone(UTC)

    return read


def _usual(text: str) -> datetime:
    text = _ERA.sub(_western, text, count=1) if text[:1] in "令平昭RHS" else text
    match = _USUAL.fullmatch(text)
    if match is None:
        if _DAY_ALONE.fullmatch(text):
            raise Wrong(
                f"{text[:40]!r} is a day without a time: where a line stands for its whole day, give the map's time a "
                'format such as "%Y-%m-%d" and shift: 24h',
                f"「{text[:40]}」は日付だけで、時刻がありません。1行が1日分なら、日時の書式（%Y-%m-%d など）と"
                "ずらす時間（24h）を指定してください",
            )
        raise Wrong(
            f"{text[:40]!r} is not a time such as 2026-06-01 09:00",
            f"「{text[:40]}」は日時として読めません（例 2026-06-01 09:00）",
        )
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    ends_the_day = (hour, minute, second) == (24, 0, 0)
    try:
        local = datetime(year, month, day, 0 if ends_the_day else hour, minute, second)  # noqa: DTZ001 - the zone follows
        local = local + _DAY if ends_the_day else local
        if match[7] is None:
            return local
        return local.replace(tzinfo=datetime.fromisoformat(f"2000-01-01T00:00{match[7]}").tzinfo)
    except (ValueError, OverflowError):
        raise Wrong(
            f"{text[:40]!r} does not exist in the calendar or on the clock",
            f"「{text[:40]}」という日時は、暦か時計にありません",
        ) from None


def _western(match: re.Match[str]) -> str:
    return str(_ERA_BEFORE[match[1]] + (1 if match[2] == "元" else int(match[2])))


def _formatted(text: str, written: str) -> datetime:
    try:
        return datetime.strptime(text, written)  # noqa: DTZ007 - the zone follows
    except ValueError:
        pass
    # Only an hour of 24 becomes possible when it is read as 00: there is no month 00, and day and minute may be 24.
    for position in (match.start() for match in re.finditer("24", text)):
        try:
            midnight = datetime.strptime(f"{text[:position]}00{text[position + 2 :]}", written)  # noqa: DTZ007
        except ValueError:
            continue
        if (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0) and midnight.year >= _FIRST_YEAR:
            return midnight + _DAY
    raise Wrong(
        f"{text[:40]!r} is not a time written as {written}",
        f"「{text[:40]}」は、書式 {written} の日時として読めません",
    )
