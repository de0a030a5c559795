"""Numbers and times as the pages write them: filters of the templates. None is never formatted: a template says in
words why there is no number.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from api.pages.words import Words

_DECIMALS = {"m": 2, "m3/h": 1, "kPa": 0, "{passage}": 0}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def number(value: float, unit: str) -> str:
    """A value with the decimals its unit is read with: m 2, m³/h 1, kPa and passages 0 with thousands."""
    text = f"{value:,.{_DECIMALS[unit]}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


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


def age(time: datetime, now: datetime, words: Words) -> str:
    """How long ago, in the largest whole unit (the rule of clock.js, which goes on counting in the browser)."""
    seconds = int((now - time) / timedelta(seconds=1))
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return words(f"age.{unit}", n=seconds // length)
    return words("age.now")


def day(value: date, words: Words) -> str:
    """6/1（月） or Mon 6/1."""
    weekday = words(f"weekday.{_WEEKDAYS[value.weekday()]}")
    return words("day", month=value.month, day=value.day, weekday=weekday)


def hour_words(time: datetime, now: datetime, zone: ZoneInfo, words: Words) -> str:
    """10時 or 10:00, with the date before it where it is not today's."""
    local = time.astimezone(zone)
    hour = words("hour", hour=local.hour)
    return hour if local.date() == now.astimezone(zone).date() else f"{local.month}/{local.day} {hour}"
