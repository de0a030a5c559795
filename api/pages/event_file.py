"""A list of local events out of a spreadsheet or a calendar program -> entries; and the calendar for other programs.

    read_events(data, kind, spots) -> [Entry]     CSV, Excel or iCalendar, told apart by what is inside
    calendar_of(events, name, now) -> bytes        RFC 5545, whole days, for any calendar program

Of a table the columns in `COLUMNS` count, others are left alone: name and first day must be there. Of a calendar each
event counts with its days; `kind` is what all of it is, unless its category says another. What cannot be taken is said
of every line at once in `FileProblems`; nothing is taken then. Raises `devices.sheets.SheetError` too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

from devices.sheets import read_sheet
from store.errors import RecordError
from store.events import Entry, EventKind, LocalEvent, checked
from store.spots import Spot

# In the order of the file that we write. The names on the first line are the town's own language in every case.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "name": "名称",
        "kind": "種類",
        "first_day": "開始日",
        "last_day": "終了日",
        "spots": "地点",
        "note": "備考",
    }
)
KINDS: Mapping[str, EventKind] = MappingProxyType(
    {
        "行事": EventKind.EVENT,
        "イベント": EventKind.EVENT,
        "キャンペーン": EventKind.CAMPAIGN,
        "通行止め": EventKind.CLOSURE,
        "通行止": EventKind.CLOSURE,
        "工事": EventKind.WORKS,
        "学校休業日": EventKind.SCHOOL_HOLIDAY,
        "学校休み": EventKind.SCHOOL_HOLIDAY,
    }
)
MOST_EVENTS = 2_000
_ERAS = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988}
_DAY = re.compile(
    r"(?P<era>令和|平成|R|H)?(?P<year>\d{1,4}|元)[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?(\(.\))?"
)
_LIST = re.compile(r"[、,，;／/\n]+")


class FileProblems(Exception):
    """What cannot be taken: (line or number of the event, column or what it is called, code of `events.problem`)."""

    def __init__(self, problems: Sequence[tuple[int, str, str]]) -> None:
        super().__init__("; ".join(f"{line}, {column}: {code}" for line, column, code in problems))
        self.problems = tuple(problems)


def read_day(text: str, field: str) -> date:
    """A day as people write it. Raises RecordError.

    >>> [f"{read_day(each, 'day')}" for each in ("2026-10-18", "２０２６/１０/１８", "令和8年10月18日(日)", "R8.10.18")]
    ['2026-10-18', '2026-10-18', '2026-10-18', '2026-10-18']
    """
    # a spreadsheet may write midnight behind a day
    written = re.sub(r"[ T]0?0:00(:00)?$", "", unicodedata.normalize("NFKC", text).strip()).replace(" ", "")
    found = _DAY.fullmatch(written)
    if found is None:
        raise RecordError(field, "day" if written else "empty")
    year = 1 if found["year"] == "元" else int(found["year"])
    if found["era"]:
        year += _ERAS[found["era"]]
    try:
        return date(year, int(found["month"]), int(found["day"]))
    except ValueError:
        raise RecordError(field, "day") from None


def read_events(data: bytes, kind: EventKind, spots: Sequence[Spot], zone: ZoneInfo) -> list[Entry]:
    """The entries of a file, in its order."""
    named = {each.code: each.code for each in spots}
    named |= {key(text): each.code for each in spots for text in (each.name, each.name_en, each.code)}
    if data.lstrip(b"\xef\xbb\xbf \r\n").upper().startswith(b"BEGIN:VCALENDAR"):
        return _calendar(data, kind, named, zone)
    return _table(data, named)


def key(text: str) -> str:
    """How a name is compared."""
    return unicodedata.normalize("NFKC", text).casefold().replace(" ", "")


def calendar_of(
    events: Iterable[LocalEvent], names: Mapping[str, str], kinds: Mapping[EventKind, str], town: str
) -> bytes:
    """The calendar; a day that ends is the last one, as whole-day events have it. `names` of spots by code."""
    calendar = Calendar()
    calendar.add("prodid", "-//Mimamori//local events//JA")
    calendar.add("version", "2.0")
    for each in events:
        event = Event()
        entry = each.entry
        event.add("uid", entry.uid or f"event-{each.event_id}@{town}.mimamori")
        event.add("dtstamp", each.entered_at)
        event.add("sequence", each.revision - 1)
        event.add("summary", entry.name)
        event.add("categories", [kinds[entry.kind]])
        event.add("dtstart", entry.first_day)
        event.add("dtend", entry.last_day + timedelta(days=1))
        if entry.spots:
            event.add("location", "、".join(names.get(code, code) for code in entry.spots))
        if entry.note:
            event.add("description", entry.note)
        calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written


# --- tables -----------------------------------------------------------------------------------------------


def _table(data: bytes, named: Mapping[str, str]) -> list[Entry]:
    sheet = read_sheet(data, most=MOST_EVENTS)
    heads = {cell.text.strip() for cell in sheet.header}
    absent = [(1, COLUMNS[name], "column") for name in ("name", "first_day") if COLUMNS[name] not in heads]
    if absent:
        raise FileProblems(absent)
    found, problems = [], []
    for row in sheet.rows:
        texts = {
            name: row.cells[head].text.removeprefix("'").strip() if head in row.cells else ""
            for name, head in COLUMNS.items()
        }
        if not any(texts.values()):
            continue
        try:
            found.append(_entry(texts, named))
        except RecordError as error:
            problems.append((row.number, COLUMNS.get(error.field, error.field), error.code))
    if problems:
        raise FileProblems(problems)
    return found


def _entry(texts: Mapping[str, str], named: Mapping[str, str]) -> Entry:
    kind = KINDS.get(texts["kind"]) if texts["kind"] else EventKind.EVENT
    if kind is None:
        if texts["kind"] not in set(EventKind):
            raise RecordError("kind", "kind")
        kind = EventKind(texts["kind"])
    first = read_day(texts["first_day"], "first_day")
    last = read_day(texts["last_day"], "last_day") if texts["last_day"] else first
    spots = []
    for each in filter(None, _LIST.split(texts["spots"])):
        code = named.get(key(each))
        if code is None:
            raise RecordError("spots", "spot")
        spots.append(code)
    return checked(Entry(kind, texts["name"], first, last, tuple(spots), note=texts["note"]))


# --- calendars --------------------------------------------------------------------------------------------


def _calendar(data: bytes, kind: EventKind, named: Mapping[str, str], zone: ZoneInfo) -> list[Entry]:
    try:
        components = [each for one in Calendar.from_ical(data, multiple=True) for each in one.walk("VEVENT")]
    except (ValueError, IndexError, KeyError):
        raise FileProblems([(1, "iCalendar", "calendar")]) from None
    if len(components) > MOST_EVENTS:
        raise FileProblems([(MOST_EVENTS + 1, "iCalendar", "many")])
    found, problems = [], []
    for number, component in enumerate(components, 1):
        title = str(component.get("summary", ""))
        try:
            if str(component.get("status", "")).upper() != "CANCELLED":
                found.append(_of_component(component, title, kind, named, zone))
        except RecordError as error:
            problems.append((number, title or error.field, error.code))
    if problems:
        raise FileProblems(problems)
    return found


def _of_component(component: Any, title: str, kind: EventKind, named: Mapping[str, str], zone: ZoneInfo) -> Entry:
    if "rrule" in component or "rdate" in component:
        raise RecordError("first_day", "repeats")
    if "dtstart" not in component:
        raise RecordError("first_day", "empty")
    first = _local(component.decoded("dtstart"), zone)
    if "dtend" in component:
        end = component.decoded("dtend")
    elif "duration" in component:
        end = component.decoded("dtstart") + component.decoded("duration")
    else:
        end = None
    last = first if end is None else _local(end, zone)
    # a whole day ends with the beginning of the next one, and so does what ends at midnight
    if end is not None and last > first and (not isinstance(end, datetime) or not _local_time(end, zone)):
        last -= timedelta(days=1)
    place = str(component.get("location", ""))
    spots = tuple(code for each in filter(None, _LIST.split(place)) if (code := named.get(key(each))) is not None)
    note = " ".join(filter(None, ["" if spots else place, str(component.get("description", ""))]))
    uid = str(component.get("uid", "")) or None
    return checked(Entry(_kind(component, kind), title, first, last, spots, note=note[:500], uid=uid))


def _kind(component: Any, kind: EventKind) -> EventKind:
    said = component.get("categories")
    for each in said if isinstance(said, list) else [said] if said is not None else []:
        for name in getattr(each, "cats", ()):
            if str(name) in KINDS:
                return KINDS[str(name)]
    return kind


def _local(value: date | datetime, zone: ZoneInfo) -> date:
    if not isinstance(value, datetime):
        return value
    return value.date() if value.tzinfo is None else value.astimezone(zone).date()


def _local_time(value: datetime, zone: ZoneInfo) -> bool:
    """Whether it is another time than midnight."""
    local = value if value.tzinfo is None else value.astimezone(zone)
    return (local.hour, local.minute, local.second) != (0, 0, 0)
