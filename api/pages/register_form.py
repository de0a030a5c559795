"""What a person says of a new device before it is registered, as it stands in the address of the page: the choices made
so far, what was typed, and what is wrong with it. Nothing here touches the database.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from api.pages.duty_form import DutyForm, rows_of, typed_duty, typed_form
from api.pages.field_rows import Row, address_of
from devices.duty import DutyCycle
from devices.model import Datastream, ObservedProperty, Station, StationKind
from devices.templates import PROPERTIES, TEMPLATES, Template
from store.errors import RegistrationError

LONGEST_NAME = 80
_PLACE = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*[,、\s]\s*([-+]?\d+(?:\.\d+)?)")
_MARGIN = 0.5  # of the town's width and height: a gauge may well stand upstream of the border
# What a town's devices keep to; a gap of another length is rounded to the nearest of these.
_INTERVALS = tuple(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1440))
SILENCES = tuple(timedelta(minutes=n) for n in (15, 30, 60, 120, 180, 360, 720, 1560, 2940))
_MINUTE = timedelta(minutes=1)
_GAPS_FOR_SILENCE = 3  # so many messages may be lost in a row


class Place(NamedTuple):
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What was said so far. Texts are as typed; empty: nothing yet. `station` is the code of one that is there already,
    else a new one is made by `template`; `swap` is the device there whose place this one takes. `fields` holds what was
    typed into the mapping (`api.pages.field_rows`), None where nobody has. `start`, `stop`, `interval` and `calm`: how
    often a gauge speaks (`api.pages.duty_form`). `tried`: the button was pressed, so what is missing is said.
    """

    key: str
    model: str = ""
    template: str = ""
    station: str = ""
    name: str = ""
    name_en: str = ""
    at: str = ""
    since: str = ""
    silence: str = ""
    swap: str = ""
    start: str = ""
    stop: str = ""
    interval: str = ""
    calm: str = ""
    fields: Mapping[str, str] | None = None
    tried: bool = False

    def query(self, rows: Sequence[Row] | None = None, **changes: str) -> dict[str, str]:
        """The address of the page that shows this; `rows` stand for the typed mapping. An empty change drops a part."""
        said = {name: getattr(self, name) for name in _TEXTS}
        if rows is not None:
            said |= {"mapped": "1"} | address_of(rows)
        if self.tried:
            said["tried"] = "1"
        return {name: value for name, value in (said | changes).items() if value}


_PACE = ("start", "stop", "interval", "calm")
_TEXTS = ("key", "model", "template", "station", "name", "name_en", "at", "since", "silence", "swap", *_PACE)


def wish_of(form: Mapping[str, str], *, posted: bool) -> Wish:
    """What an address or a form says."""
    said = {name: form.get(name, "").strip()[:200] for name in _TEXTS}
    typed = dict(form) if posted or "mapped" in form else None
    return Wish(**said, fields=typed, tried=posted or "tried" in form)


def place_of(text: str, bounds: Sequence[float]) -> Place | str:
    """The place that was typed or chosen on the map, or what is wrong with it: a key behind "register.problem."."""
    plain = re.sub(r"[−–ー]", "-", unicodedata.normalize("NFKC", text)).strip().strip("()")
    if not plain:
        return "at_missing"
    found = _PLACE.fullmatch(plain)
    if found is None:
        return "at_unreadable"
    latitude, longitude = float(found[1]), float(found[2])
    if _within(latitude, longitude, bounds):
        return Place(latitude, longitude)
    return "at_reversed" if _within(longitude, latitude, bounds) else "at_outside"


def _within(latitude: float, longitude: float, bounds: Sequence[float]) -> bool:
    west, south, east, north = bounds
    wide, high = (east - west) * _MARGIN, (north - south) * _MARGIN
    return south - high <= latitude <= north + high and west - wide <= longitude <= east + wide


def since_of(text: str, zone: ZoneInfo, default: datetime, now: datetime) -> datetime | str:
    """From when on the device has been where it is (a browser's local time), or what is wrong with it."""
    if not text:
        return default
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return "since_unreadable"
    if local.tzinfo is not None:
        return "since_unreadable"
    # The form has minutes: what it was filled with is meant exactly.
    if local == default.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0):
        return default
    since = local.replace(tzinfo=zone).astimezone(UTC)
    return since if since <= now else "since_future"


def usual_gap(times: Sequence[datetime]) -> timedelta | None:
    """The usual time between messages, as one of the round intervals that devices keep; None where too little waits."""
    gaps = sorted(b - a for a, b in zip(sorted(set(times)), sorted(set(times))[1:], strict=False))
    if len(gaps) < 2:
        return None
    middle = gaps[len(gaps) // 2]
    return min(_INTERVALS, key=lambda each: abs(each - middle))


def template_for(wish: Wish, kind: StationKind | None, likely: Sequence[Template]) -> Template | None:
    """The chosen template, else the likeliest one; at an existing station one of its kind, the usual one first."""
    chosen = TEMPLATES.get(wish.template)
    if kind is not None:
        alike = templates_of(kind)
        return chosen if chosen in alike else next(iter(alike), None)
    return chosen or next(iter(likely), None)


def templates_of(kind: StationKind) -> list[Template]:
    """Those that can be at a station of the kind, the usual one first."""
    return [each for each in TEMPLATES.values() if each.kind is kind]


def pace_of(wish: Wish, levels: tuple[float, float] | None) -> DutyForm:
    """How often a gauge speaks, as it was typed, else as its station's reference levels propose."""
    form = rows_of(None, levels, more=0)
    said = {name: text for name in _PACE if (text := getattr(wish, name))}
    return typed_form(form, {"start": form.rows[0].start, "stop": form.rows[0].stop} | said)


def cycle_of(form: DutyForm, streams: Sequence[Datastream]) -> DutyCycle | str:
    """The cycle that the form says, or what is wrong with it: a key behind "register.problem."."""
    row = form.rows[0]
    said = {"start": row.start, "stop": row.stop}
    said |= {"interval": f"{row.interval / _MINUTE}", "calm": f"{form.calm / _MINUTE}"}
    try:
        cycle = typed_duty(said)
    except RegistrationError as error:
        return f"duty_{error.field}"
    for stream in streams:
        low, high = stream.valid_range
        levels = [level for mode in cycle.above for level in (mode.start, mode.stop) if level is not None]
        if stream.observed_property == cycle.observed_property and (
            (low is not None and min(levels) < low) or (high is not None and max(levels) > high)
        ):
            return "duty_range"
    return cycle


def silence_of(text: str, template: Template, gap: timedelta | None) -> timedelta:
    """How long the device may say nothing: what was chosen, else the template's, or longer where it speaks seldom."""
    if text.isdecimal() and timedelta(minutes=int(text)) in SILENCES:
        return timedelta(minutes=int(text))
    wanted = template.silence_after if gap is None else max(template.silence_after, _GAPS_FOR_SILENCE * gap)
    return next((each for each in SILENCES if each >= wanted), SILENCES[-1])


def station_of(template: Template, code: str, wish: Wish, place: Place, gap: timedelta | None) -> Station:
    """The new station. Its interval is the one that the waiting messages show, where the template leaves it open."""
    name_en = wish.name_en or wish.name
    streams = tuple(_stream(each, template, gap) for each in template.datastreams)
    return Station(code, template.kind, wish.name, name_en, place.latitude, place.longitude, streams, ())


def _stream(stream: Datastream, template: Template, gap: timedelta | None) -> Datastream:
    if gap is None or template.duty is not None or gap >= timedelta(hours=6):
        return stream
    return replace(stream, interval=gap)


def free_code(kind: StationKind, taken: Sequence[str]) -> str:
    """A code for a new station: nobody has to think of one.

    >>> free_code(StationKind.RIVER_GAUGE, ["river-gauge-1", "river-okusawa"])
    'river-gauge-2'
    """
    stem, n = kind.value.replace("_", "-"), 1
    while f"{stem}-{n}" in taken:
        n += 1
    return f"{stem}-{n}"


def watched(kind: StationKind) -> tuple[ObservedProperty, ...]:
    """What a device can bring to a station of the kind: not what people enter by hand."""
    return tuple(each for each in PROPERTIES[kind] if each is not ObservedProperty.PASSAGES_DAY)
