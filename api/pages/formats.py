"""Numbers and times as the pages write them: filters of the templates. None is never formatted: a template says in
words why there is no number.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.level_words import Whose, level_said
from api.pages.readings import Point
from api.pages.words import Words
from devices.model import Quality

_DECIMALS = {
    "m": 2,
    "mm": 1,
    "Cel": 1,
    "m3/h": 1,
    "m3": 0,
    "L": 0,
    "km": 1,
    "kPa": 0,
    "{passage}": 0,
    "mg/L": 2,
    "{degree}": 1,
    "dB": 0,
    "{person}": 0,
    "{vehicle}": 0,
    "{signal}": 0,
    "1": 0,
}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def number(value: float, unit: str) -> str:
    """A value with the decimals its unit is read with: m 2, mm, °C and m³/h 1, kPa and passages 0 with thousands."""
    text = f"{value:,.{_DECIMALS[unit]}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def decimals(unit: str) -> int:
    """How many decimals a unit is read with."""
    return _DECIMALS[unit]


def signed(value: float, unit: str) -> str:
    """A change: always with its sign, ±0 where it rounds to nothing."""
    text = number(abs(value), unit)
    if float(text.replace(",", "")) == 0:
        return f"±{text}"
    return f"{'+' if value > 0 else '−'}{text}"


def clock_time(time: datetime, now: datetime, zone: ZoneInfo) -> str:
    """HH:MM, with the date before it where it is not today's."""
    local = time.astimezone(zone)
    if local.date() == now.astimezone(zone).date():
        return f"{local:%H:%M}"
    return f"{local.month}/{local.day} {local:%H:%M}"


def observed(
    points: Iterable[Point], unit: str, now: datetime, zone: ZoneInfo, words: Words
) -> list[tuple[str, str, str]]:
    """Time, value with its unit, and quality of observations as a table has them: all at once, for a page may have
    thousands.
    """
    today = now.astimezone(zone).date()
    digits, unit_word, missing = _DECIMALS[unit], words(f"unit.{unit}"), words("state.missing")
    qualities = {quality: words(f"quality.{quality}") for quality in Quality}
    rows = []
    for time, value, quality in points:
        local = time.astimezone(zone)
        clock = f"{local.hour:02}:{local.minute:02}"
        if local.date() != today:
            clock = f"{local.month}/{local.day} {clock}"
        if value is None:
            text = missing
        else:
            # number() where it may come to -0
            text = f"{number(value, unit) if value < 0 else f'{value:,.{digits}f}'} {unit_word}"
        rows.append((clock, text, qualities[quality]))
    return rows


def stretch(start: datetime, end: datetime, now: datetime, zone: ZoneInfo) -> str:
    """From when to when: HH:MM–HH:MM, with the date as above; a whole day is its date, since there may be a year of
    them with the year.
    """
    first, last = start.astimezone(zone), end.astimezone(zone)
    if last - first == timedelta(days=1) and first.hour == first.minute == 0:
        return f"{first:%Y-%m-%d}"
    return f"{clock_time(start, now, zone)}–{last:%H:%M}"


def age(time: datetime, now: datetime, words: Words) -> str:
    """How long ago, in the largest whole unit (the rule of clock.js, which goes on counting in the browser)."""
    seconds = int((now - time) / timedelta(seconds=1))
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return words(f"age.{unit}", n=seconds // length)
    return words("age.now")


def duration(value: timedelta, words: Words) -> str:
    """How long, in the largest unit that is whole, else the largest with one decimal: 40分, 1時間, 2.5日."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        n = value.total_seconds() / length
        if n >= 1 or unit == "minutes":
            return words(f"duration.{unit}", n=f"{n:.1f}".removesuffix(".0"))
    raise AssertionError("minutes end the loop")


def took(value: timedelta, words: Words) -> str:
    """About how long the water took, as finely as it can be known: 5 minutes below 3 hours, else half an hour."""
    minutes = max(0.0, value / timedelta(minutes=1))
    if minutes < 180:
        return words("duration.minutes", n=round(minutes / 5) * 5)
    return words("duration.hours", n=f"{round(minutes / 30) / 2:g}")


def size(value: int) -> str:
    """Bytes in the unit in which they are one to three digits: 0 KB, 12.3 MB, 1.5 GB (powers of 1000)."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= length:
            return f"{value / length:.1f} {unit}"
    return f"{value / 1e3:.0f} KB"


def day(value: date, words: Words) -> str:
    """6/1（月） or Mon 6/1."""
    weekday = words(f"weekday.{_WEEKDAYS[value.weekday()]}")
    return words("day", month=value.month, day=value.day, weekday=weekday)


def hour_words(time: datetime, now: datetime, zone: ZoneInfo, words: Words) -> str:
    """10時 or 10:00, with the date before it where it is not today's."""
    local = time.astimezone(zone)
    hour = words("hour", hour=local.hour)
    return hour if local.date() == now.astimezone(zone).date() else f"{local.month}/{local.day} {hour}"


def level_word(badge: str | int, whose: Whose | None, words: Words) -> str:
    """A level as a badge says it, and whose criterion it is where that is known; what is no level has its own words."""
    if str(badge) not in "12345":
        return words(f"level.{badge}")
    return level_said(int(badge), whose, "en" if words.code == "en" else "ja")
