"""What the page of a new device shows, worked out step by step from the messages that wait and from what was said.

Nothing is changed here. Each answer that nobody has given is proposed, where something speaks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from api.access import Visit
from api.pages.digital import preview
from api.pages.duty_form import DutyForm
from api.pages.field_rows import Row, checked, entry_of, proposed_rows, typed_rows
from api.pages.register_form import (
    Place,
    Wish,
    cycle_of,
    pace_of,
    place_of,
    silence_of,
    since_of,
    station_of,
    template_for,
    usual_gap,
    watched,
)
from api.pages.site import Moment
from api.pages.trial import Bench, Sent, Tried, bench, imagined
from devices.codecs.models import DeviceModel
from devices.duty import DutyCycle
from devices.mapping import MappingEntry, MappingError
from devices.model import Datastream, ObservedProperty, StationKind
from devices.proposals import propose
from devices.templates import TEMPLATES, Template
from ingest.decode import UNKNOWN_DEVICE
from quality.gate import CLOCK, moment
from store.connection import Connection
from store.duty import duties, levels_proposed
from store.mappings import defaults_of
from store.quarantine import Group, Held, Selection, groups, held, held_newest

MESSAGES_SHOWN = 5
_TRIED_PER_MODEL = 3
_OLDEST_LOOKED_AT = 20  # of them the earliest time of measurement is taken
_OLDEST_BYTES = 1_000_000
_MOST_FIELDS = 40
_SHARED_KEY = 8  # digits of a DevEUI that the devices of one delivery share
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that waits, as it came and as the chosen model reads it."""

    received: datetime
    payload: str
    size: int
    text: str
    fields: tuple[tuple[str, float | None], ...]
    event: bool
    wrong: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with how many of `tried` messages it reads. `known` counts the fields whose meaning can be proposed,
    `like` says that devices with the same beginning of their identity are registered with it.
    """

    name: str
    title: str
    title_en: str
    read: int
    tried: int
    known: int
    like: bool

    @property
    def worse(self) -> tuple[object, ...]:
        """To sort by: the likeliest first."""
        return (-self.read, not self.like, -self.known, "/" in self.name, self.name)


@dataclass(frozen=True, slots=True)
class StationChoice:
    code: str
    kind: StationKind
    name: str
    name_en: str


@dataclass(slots=True)
class Plan:
    """All that the page shows. What a later step needs is None or empty until the step before it is answered.

    `problems` are keys behind "register.problem."; with none of them `place`, `since`, `silence`, `own` and `streams`
    are what would be registered. `occupant` is the device that brings the station's values now, where one does;
    `inherits`: its duty cycle is taken over with its place. Else `pace` is what is asked where the template has a duty
    cycle (`proposed`: with the station's levels), and `duty` what would be registered of it.
    """

    wish: Wish
    registered: bool
    group: Group | None
    stations: list[StationChoice]
    sent: list[Shown]
    candidates: list[Candidate]
    model: DeviceModel | None = None
    station: StationChoice | None = None
    template: Template | None = None
    likely: Sequence[Template] = ()
    gap: timedelta | None = None
    rows: Sequence[Row] = ()
    tried: Sequence[Tried] = ()
    streams: Sequence[Datastream] = ()
    occupant: str | None = None
    inherits: bool = False
    pace: DutyForm | None = None
    proposed: bool = False
    duty: DutyCycle | None = None
    own: Sequence[MappingEntry] = ()
    place: Place | None = None
    since: datetime | None = None
    silence: timedelta | None = None
    problems: Sequence[str] = ()


def plan_of(conn: Connection, visit: Visit, at: Moment, wish: Wish) -> Plan:
    """Works out what the page shows, step by step, as far as the answers reach."""
    municipality_id = visit.tenant.municipality_id
    meant = Selection(reason=UNKNOWN_DEVICE, device_key=wish.key)
    waiting = next(iter(groups(conn, municipality_id, meant)), None)
    newest = held_newest(conn, municipality_id, meant, MESSAGES_SHOWN) if waiting else []
    oldest = (
        held(
            conn,
            municipality_id,
            meant,
            after=0,
            through=2**63 - 1,
            limit=_OLDEST_LOOKED_AT,
            max_bytes=_OLDEST_BYTES,
        )
        if waiting
        else []
    )
    known = conn.execute("select 1 from device where key = %s", (wish.key,)).fetchone() is not None
    tools = bench(visit, conn)
    candidates = _candidates(conn, tools, wish.key, newest)
    name = wish.model or next((each.name for each in candidates if 0 < each.read == each.tried), "")
    model = tools.model(name)
    sent = [tools.read(message, model.name if model else "") for message in newest]
    shown = [_message(message, said) for message, said in zip(newest, sent, strict=True)]
    plan = Plan(wish, known, waiting, _stations(conn), shown, candidates, model)
    if model is None or waiting is None:
        return plan
    fields = _fields(model, sent)
    samples = {field: value for said in reversed(sent) for field, value in said.fields if value is not None}
    plan.station = next((each for each in plan.stations if each.code == wish.station), None)
    plan.gap = usual_gap([tools.read(message, "").at or message.received_time for message in oldest])
    plan.likely = _likely(fields, samples)
    plan.template = template_for(wish, plan.station.kind if plan.station else None, plan.likely)
    if plan.template is not None:
        measured = [time for message in oldest for time in _measured(message, tools.read(message, model.name))]
        _answer(conn, visit, at, plan, tools, fields, samples, newest, measured)
    return plan


def _answer(
    conn: Connection,
    visit: Visit,
    at: Moment,
    plan: Plan,
    tools: Bench,
    fields: Mapping[str, str | None],
    samples: Mapping[str, float],
    newest: Sequence[Held],
    measured: Sequence[datetime],
) -> None:
    """The last step: name and place, what the fields mean, and what the messages then say."""
    wish, template, model = plan.wish, plan.template, plan.model
    assert template is not None and model is not None
    properties = watched(template.kind)
    found = defaults_of(conn, visit.tenant.municipality_id, model.name)
    defaults = [each for each in (found.entries if found else ()) if each.observed_property in properties]
    rows = proposed_rows(fields, propose(fields, [template], samples), defaults, samples)
    if any(each.observed_property for each in defaults):
        # The model says itself what its fields are: then nothing is proposed beside it.
        said = {each.field for each in defaults}
        rows = [
            row if row.field in said else replace(row, observed=None, plus="", times="", down=False) for row in rows
        ]
    plan.rows = rows if wish.fields is None else typed_rows(rows, wish.fields, properties)
    problems = ["mapping_none"] if all(row.observed is None for row in plan.rows) else []
    if wish.fields is not None and any(row.problem for row in plan.rows):
        problems.append("mapping")
    usable = [row for row in checked(plan.rows) if row.observed is not None and row.problem is None]
    before = {each.field: each for each in defaults}
    plan.own = [entry for entry in map(entry_of, usable) if entry != before.get(entry.field)]
    plan.own += [MappingEntry(row.field, None) for row in plan.rows if row.observed is None and row.field in before]
    plan.silence = silence_of(wish.silence, template, plan.gap)
    place = Place(0.0, 0.0) if plan.station else place_of(wish.at, bounds_of(conn, visit))
    plan.place = place if isinstance(place, Place) else None
    new = station_of(template, "new", wish, plan.place or Place(0.0, 0.0), plan.gap)
    plan.streams = new.datastreams if plan.station is None else _streams(conn, plan.station.code)
    try:
        streams = [("", each) for each in plan.streams]
        device, infos = imagined(wish.key, model.name, plan.silence, _EVER, streams, defaults, plan.own)
        plan.tried = tools.store(newest, device, infos)
    except MappingError:
        if "mapping" not in problems:
            problems.append("mapping")
    assert plan.group is not None
    since = since_of(wish.since, at.zone, min([plan.group.oldest, *measured]), at.now)
    if isinstance(since, datetime):
        plan.since = since
    else:
        problems.append(since)
        plan.since = plan.group.oldest
    if plan.station is None:
        problems += [place] if isinstance(place, str) else []
        problems += [] if wish.name else ["name_missing"]
    if plan.station is not None:
        wanted = [row.observed for row in plan.rows if row.observed is not None]
        plan.occupant = _occupant(conn, plan.station.code, wanted)
        if plan.occupant not in (None, wish.swap):
            problems.append("occupied")
    problems += _pace(conn, visit, at, plan, template)
    plan.problems = [*problems, "known"] if plan.registered else problems


def _pace(conn: Connection, visit: Visit, at: Moment, plan: Plan, template: Template) -> list[str]:
    """How often the device speaks, where that depends on what it measures; and what is wrong with it."""
    if plan.occupant is not None:
        cycles = duties(conn)
        row = conn.execute("select device_id from device where key = %s", (plan.occupant,)).fetchone()
        plan.inherits = row is not None and row[0] in cycles
    if template.duty is None or plan.inherits:
        return []
    town = visit.tenant.municipality_id
    levels = levels_proposed(conn, town, plan.station.code, at.now) if plan.station is not None else None
    plan.pace = pace_of(plan.wish, levels)
    plan.proposed = levels is not None
    found = cycle_of(plan.pace, plan.streams)
    if isinstance(found, str):
        return [found]
    plan.duty, plan.silence = found, found.calm.silence_after
    return []


def _measured(message: Held, said: Sent) -> list[datetime]:
    """When what a message says was measured, as ingest dates it."""
    return [moment(each.time, said.at, message.received_time, each.age, CLOCK).time for each in said.readings]


def _message(message: Held, said: Sent) -> Shown:
    return Shown(
        message.received_time,
        said.payload,
        len(message.raw),
        preview(message.raw, len(message.raw)),
        tuple(said.fields),
        said.event,
        said.wrong,
    )


def _candidates(conn: Connection, tools: Bench, key: str, messages: Sequence[Held]) -> list[Candidate]:
    """Every model, the likeliest first: one that reads the messages, that devices like this one have, whose fields say
    something. What there was no time to try counts as not read.
    """
    like = _models_of_like(conn, key)
    tried = [message for message in messages if not tools.read(message, "").event][:_TRIED_PER_MODEL]
    found = []
    for name in sorted(tools.known, key=lambda each: (each not in like, "/" in each, each)):
        model, said = tools.known[name], []
        if not tools.late:
            said = [each for each in (tools.read(message, name) for message in tried) if each.readings]
        fields = _fields(model, said) if said else {}
        samples = {field: value for each in said for field, value in each.fields if value is not None}
        known = len(propose(fields, TEMPLATES.values(), samples)) if fields else 0
        found.append(Candidate(name, model.title, model.title_en, len(said), len(tried), known, name in like))
    return sorted(found, key=lambda each: each.worse)


def _models_of_like(conn: Connection, key: str) -> frozenset[str]:
    """The models of registered devices whose key begins as this one does: of one delivery, mostly."""
    if len(key) <= _SHARED_KEY:
        return frozenset()
    rows = conn.execute("select distinct model from device where left(key, %s) = %s", (_SHARED_KEY, key[:_SHARED_KEY]))
    return frozenset(str(model) for (model,) in rows)


def _fields(model: DeviceModel, sent: Sequence[Sent]) -> dict[str, str | None]:
    """The fields that the messages have, with the units that the model knows; those that it only may have come last,
    unless it may have any number of them.
    """
    units = dict(model.fields)
    fields = {field: units.get(field) for said in sent for field, _ in said.fields}
    if len(units) > _MOST_FIELDS:
        return fields
    return fields | {field: unit for field, unit in units.items() if field not in fields}


def _likely(fields: Mapping[str, str | None], samples: Mapping[str, float]) -> list[Template]:
    """The templates that the fields speak for, those first of which more is there."""
    found = [(len(propose(fields, [each], samples)), each) for each in TEMPLATES.values()]
    return [each for n, each in sorted(found, key=lambda pair: -pair[0]) if n]


def _stations(conn: Connection) -> list[StationChoice]:
    rows = conn.execute("select code, kind, name, name_en from station order by kind, station_id")
    return [StationChoice(code, StationKind(kind), name, name_en) for code, kind, name, name_en in rows]


def _streams(conn: Connection, code: str) -> tuple[Datastream, ...]:
    """The datastreams of a station that is there."""
    rows = conn.execute(
        """
        select observed_property, step, range_low, range_high, max_rate, stuck_after
        from datastream join station s using (station_id) where s.code = %s and drill_run is null
        """,
        (code,),
    )
    return tuple(
        Datastream(ObservedProperty(observed), step, (low, high), rate, stuck)
        for observed, step, low, high, rate, stuck in rows
    )


def _occupant(conn: Connection, station: str, wanted: Sequence[ObservedProperty]) -> str | None:
    """The device by which a station gets one of these values now."""
    row = conn.execute(
        """
        select v.key from field_mapping join attachment a using (attachment_id) join device v using (device_id)
        join datastream d using (datastream_id) join station s on s.station_id = d.station_id
        where s.code = %s and d.observed_property = any(%s) and a.attached_to is null limit 1
        """,
        (station, [each.value for each in wanted]),
    ).fetchone()
    return None if row is None else str(row[0])


def bounds_of(conn: Connection, visit: Visit) -> Sequence[float]:
    """West, south, east, north of the town."""
    row = conn.execute(
        "select bounds from municipality where municipality_id = %s", (visit.tenant.municipality_id,)
    ).fetchone()
    assert row is not None, "a visit is one of a municipality that there is"
    bounds: Sequence[float] = row[0]
    return bounds
