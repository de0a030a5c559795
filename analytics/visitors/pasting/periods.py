"""Days, months and years as they are written in Japanese town halls, whole or in parts.

    read_period(text, bare=) -> Part | None     '令和８年６月１日（月）', 'R8.6.1', '6/1', '４月', '令和5年度', '1日'
    read_title(text) -> Part                    what a line above a table says of all of it
    merged(*parts) -> Part | None               what column and row say together; None: they contradict each other
    completed(part, title) -> Part              with what it does not say itself from the title
    day_of(part, today) / month_of(part)        the date; PeriodError says what is missing or wrong

A date without a year is the newest one that is not after today; where that is nearly a year ago, the coming one may be
meant, and it is none. A year of two digits without its era is none: 26 may be
2026 or 平成26年. Eras: 令和 from 2019, 平成 from 1989, 昭和 from 1926 (元年 is the first); no era's end is checked, for
people write 平成31年6月 and mean it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import StrEnum

_ERAS = {"令和": 2018, "r": 2018, "平成": 1988, "h": 1988, "昭和": 1925, "s": 1925}
_WEEKDAYS = "月火水木金土日"
_YEAR = r"(?:(?P<era>令和|平成|昭和|[rhs])\.?(?P<of_era>元|\d{1,2})|(?P<ad>(?:19|20)\d\d))"
_WEEKDAY = rf"(?:[(]?(?P<weekday>[{_WEEKDAYS}])(?:曜日?)?(?:[・･,]?[祝休振])?(?:日)?[)]?)?"
_CLOCK = r"(?: ?0{1,2}:00(?::00)?)?"
_PATTERNS = tuple(
    re.compile(pattern + _WEEKDAY + _CLOCK)
    for pattern in (
        _YEAR + r"(?:年|[/.-])(?P<month>\d{1,2})(?:月|[/.-])(?P<day>\d{1,2})日?",
        r"(?P<ad>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)",
        _YEAR + r"(?P<fiscal>年度)(?P<month>\d{1,2})月",
        _YEAR + r"(?:年|[/.-])(?P<month>\d{1,2})月?",
        _YEAR + r"(?P<fiscal>年度)",
        _YEAR + r"年?",
        r"(?P<month>\d{1,2})(?:月|/)(?P<day>\d{1,2})日?",
        r"(?P<month>\d{1,2})月(?:分|計)?",
        r"(?P<day>\d{1,2})日",
    )
)
_TITLES = tuple(
    re.compile(pattern) for pattern in (_YEAR + r"(?P<fiscal>年度)", _YEAR + r"年(?P<month>\d{1,2})月", _YEAR + "年")
)
_SURELY = timedelta(days=300)
_EXCEL_BEGINS = date(1899, 12, 30)  # day 0 of Excel's dates


class Bare(StrEnum):
    """What a number alone stands for, where its column or its neighbours say so."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    FISCAL = "fiscal"
    DATE = "date"  # a number of days that Excel shows where the cell has no date format


class PeriodError(ValueError):
    """`code`: period (not all that is needed is said), year (all but the year), unsure (last year's day, or the coming
    one), none (there is no such day), weekday (the day is another day of the week).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a day or month. `fiscal`: the 年度, from April; `weekday`: Monday is 0."""

    year: int | None = None
    fiscal: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None

    def __bool__(self) -> bool:
        return self != Part()


def plain(text: str) -> str:
    """A text without the width of its letters and the blanks in it.

    >>> plain(" Ｒ８．６．１　（月） ")
    'r8.6.1(月)'
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).lower()


def read_period(text: str, bare: Bare | None = None) -> Part | None:
    """The parts of a date in a text that is nothing else; None where it is none. `bare`: what a number alone means.

    >>> read_period("令和元年５月１日（水）")
    Part(year=2019, fiscal=None, month=5, day=1, weekday=2)
    >>> read_period("Ｒ8.6.1") == read_period("2026/06/01") == read_period("20260601")
    True
    >>> read_period("令和5年度").fiscal, read_period("4月").month, read_period("12", Bare.DAY).day
    (2023, 4, 12)
    >>> read_period("26/6/1")
    """
    said = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().lower()
    said = re.sub(r" (?!0{1,2}:00)", "", said)
    if re.fullmatch(r"\d{1,5}", said) and bare is not None:
        return _bare(int(said), bare)
    for pattern in _PATTERNS:
        found = pattern.fullmatch(said)
        if found is not None:
            return _part(found)
    return None


def read_weekday(text: str) -> Part | None:
    """The day of the week in a column of its own: 月, (月), 月曜日, 月・祝.

    >>> read_weekday("（土）").weekday, read_weekday("晴")
    (5, None)
    """
    found = re.fullmatch(_WEEKDAY, plain(text))
    return None if found is None or found["weekday"] is None else Part(weekday=_WEEKDAYS.index(found["weekday"]))


def read_title(text: str) -> Part:
    """The first year or month in a sentence.

    >>> read_title("令和８年６月 観光入込客数") == Part(year=2026, month=6), read_title("表１") == Part()
    (True, True)
    """
    said = plain(text)
    for pattern in _TITLES:
        found = pattern.search(said)
        if found is not None:
            return _part(found)
    return Part()


def _bare(number: int, bare: Bare) -> Part | None:
    if bare is Bare.DAY and 1 <= number <= 31:
        return Part(day=number)
    if bare is Bare.MONTH and 1 <= number <= 12:
        return Part(month=number)
    if bare in (Bare.YEAR, Bare.FISCAL) and 1900 <= number < 2100:
        return Part(year=number) if bare is Bare.YEAR else Part(fiscal=number)
    if bare is Bare.DATE and 30_000 <= number < 60_000:
        day = _EXCEL_BEGINS + timedelta(days=number)
        return Part(year=day.year, month=day.month, day=day.day)
    return None


def _part(found: re.Match[str]) -> Part:
    said = found.groupdict()
    year = None
    if said.get("era"):
        year = _ERAS[said["era"]] + (1 if said["of_era"] == "元" else int(said["of_era"]))
    elif said.get("ad"):
        year = int(said["ad"])
    fiscal = bool(said.get("fiscal"))
    month, day, weekday = (said.get(name) for name in ("month", "day", "weekday"))
    return Part(
        None if fiscal else year,
        year if fiscal else None,
        int(month) if month else None,
        int(day) if day else None,
        _WEEKDAYS.index(weekday) if weekday else None,
    )


def merged(*parts: Part) -> Part | None:
    """What several places say together; None where two say different things. A year beside a 年度 is the year.

    >>> merged(Part(month=4), Part(fiscal=2025)) == Part(fiscal=2025, month=4), merged(Part(month=4), Part(month=5))
    (True, None)
    """
    values: dict[str, int] = {}
    for part in parts:
        for field in fields(Part):
            value = getattr(part, field.name)
            if value is not None and values.setdefault(field.name, value) != value:
                return None
    return Part(**values)


def completed(part: Part, title: Part) -> Part:
    """A part with what it does not say itself from the title: no year beside a 年度 of its own, and the reverse.

    >>> completed(Part(year=2026, month=6, day=1), Part(fiscal=2025)) == Part(year=2026, month=6, day=1)
    True
    """
    dated = part.year is not None or part.fiscal is not None
    return Part(
        part.year if dated else title.year,
        part.fiscal if dated else title.fiscal,
        part.month if part.month is not None else title.month,
        part.day,
        part.weekday,
    )


def day_of(part: Part, today: date) -> date:
    """The day; without a year the newest that is not after today. Raises PeriodError.

    >>> day_of(Part(month=12, day=31), date(2026, 6, 1)), day_of(Part(fiscal=2025, month=2, day=1), date(2026, 6, 1))
    (datetime.date(2025, 12, 31), datetime.date(2026, 2, 1))
    """
    if part.month is None or part.day is None:
        raise PeriodError("period")
    year = _year(part)
    candidates = [year] if year is not None else [today.year - back for back in range(9)]
    for candidate in candidates:
        try:
            day = date(candidate, part.month, part.day)
        except ValueError:
            continue
        if year is None and day > today:
            continue
        if year is None and today - day > _SURELY:
            raise PeriodError("unsure")
        if part.weekday is not None and day.weekday() != part.weekday:
            raise PeriodError("weekday")
        return day
    raise PeriodError("none")


def month_of(part: Part) -> date:
    """The first day of the month. Raises PeriodError.

    >>> month_of(Part(fiscal=2025, month=3))
    datetime.date(2026, 3, 1)
    """
    if part.month is None or part.day is not None:
        raise PeriodError("period")
    year = _year(part)
    if year is None:
        raise PeriodError("year")
    if not 1 <= part.month <= 12:
        raise PeriodError("none")
    return date(year, part.month, 1)


def _year(part: Part) -> int | None:
    if part.year is not None or part.fiscal is None:
        return part.year
    return part.fiscal + (1 if part.month is not None and part.month < 4 else 0)
