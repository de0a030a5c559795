"""機器台帳の一括登録: the lines of a device list become devices, stations and papers - all of them, or nothing.

    register(conn, municipality_id, listed, ...) -> Report

Each line is tried in a savepoint of its own, with the same functions as the pages, so that the report names what is
wrong in every line and not only in the first. Where anything is wrong, or the run is only a check, all of it is rolled
back; the caller commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Rollback

from devices.codecs import DeviceModel
from devices.device_list import PACE, PAPERS, DeviceList, Entry, Problem
from devices.duty import HEARTBEAT, DutyCycle, Mode, patience, wrong_with
from devices.mapping import MappingEntry, MappingError
from devices.model import ObservedProperty, Station, StationKind
from devices.proposals import propose
from devices.templates import TEMPLATES, Template
from store.connection import Connection
from store.duty import change_duty, duties, levels_proposed
from store.errors import RegistrationError
from store.mappings import defaults_of
from store.records import put_record, record_of
from store.registration import (
    add_device,
    add_station,
    attach,
    change_device,
    change_station,
    remap,
)
from store.uploaded import known_models

# What the functions of registration call a field, and the column where it stands.
_COLUMN_OF = {
    "code": "station",
    "since": "attached_from",
    "name": "station_name",
    "name_en": "station_name_en",
    "start": "start_level",
    "stop": "stop_level",
    "duty": "start_level",
}
_OBSERVING = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a list, or would: lines, and of them new devices, changed ones and those that are so already; new
    stations. `problems` in the order of the lines; where there is one, nothing was done. `done`: it was.
    """

    lines: int
    added: int
    changed: int
    unchanged: int
    stations: int
    problems: tuple[Problem, ...]
    done: bool


@dataclass(frozen=True, slots=True)
class _Town:
    """What is the same for all lines."""

    conn: Connection
    municipality_id: int
    models: Mapping[str, DeviceModel]
    now: datetime
    user_id: int | None


@dataclass(frozen=True, slots=True)
class _Known:
    """A device as it is registered; `station` where it is mounted now."""

    device_id: int
    model: str
    silence_after: Any
    station: str | None


class _Wrong(Exception):
    """What is wrong with a line; never leaves this module."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def register(
    conn: Connection, municipality_id: int, listed: DeviceList, *, now: datetime, user_id: int | None, check: bool
) -> Report:
    """Registers all lines of a list, or none where one is wrong; with `check` none in any case. psycopg.Error only for
    what no line can cause.
    """
    town = _Town(conn, municipality_id, known_models(conn, municipality_id), now, user_id)
    problems = list(listed.problems)
    outcomes = {"added": 0, "changed": 0, "unchanged": 0}
    stations = 0
    with conn.transaction():
        for entry in listed.entries:
            try:
                with conn.transaction():
                    outcome, new_station = _line(town, entry)
                outcomes[outcome] += 1
                stations += new_station
            except _Wrong as wrong:
                problems.append(wrong.problem)
            except RegistrationError as error:
                column = _COLUMN_OF.get(error.field, error.field)
                problems.append(entry.problem(column, "refused", text=str(error)))
            except MappingError as error:
                problems.append(entry.problem("mapping", "refused", text=str(error)))
        if problems or check:
            raise Rollback
    problems.sort(key=lambda problem: problem.line)
    done = not problems and not check
    return Report(listed.lines, **outcomes, stations=stations, problems=tuple(problems), done=done)


def _line(town: _Town, entry: Entry) -> tuple[str, bool]:
    """Registers one line: added, changed or unchanged; and whether its station is new."""
    said = entry.values
    known = _known(town, said["key"])
    model = said.get("model", known.model if known else None)
    if model is None or model not in town.models:
        raise _Wrong(entry.problem("model", "missing_model", known=", ".join(sorted(town.models))))
    code = said.get("station", known.station if known else None)
    if known is None and code is None:
        raise _Wrong(entry.problem("station", "missing_station"))
    new_station, changed = _station(town, entry, code) if code is not None else (False, False)
    kind = _kind(town, code) if code is not None else None
    if known is None:
        template = _template(said.get("template"), kind)
        add_device(
            town.conn,
            town.municipality_id,
            key=said["key"],
            model=model,
            silence_after=said.get("silence_after", template.silence_after),
        )
        assert code is not None
        _attach(town, entry, code, template, model)
        _pace(town, entry, code)
        _papers(town, entry)
        return "added", new_station
    if model != known.model or said.get("silence_after", known.silence_after) != known.silence_after:
        change_device(
            town.conn, town.municipality_id, said["key"], model=model, silence_after=said.get("silence_after")
        )
        changed = True
    if code is not None and code != known.station:
        if "attached_from" not in said and known.station is not None:
            raise _Wrong(entry.problem("attached_from", "moved_when", text=known.station))
        _attach(town, entry, code, _template(said.get("template"), kind), model)
        changed = True
    elif "mapping" in said and _remapped(town, entry):
        changed = True
    changed |= _pace(town, entry, code)
    return "changed" if _papers(town, entry) or changed else "unchanged", new_station


def _known(town: _Town, key: str) -> _Known | None:
    row = town.conn.execute(
        """
        select d.device_id, d.model, d.silence_after, s.code
        from device d
        left join attachment a on a.device_id = d.device_id and a.attached_to is null
        left join station s using (station_id)
        where d.municipality_id = %s and d.key = %s
        """,
        (town.municipality_id, key),
    ).fetchone()
    return None if row is None else _Known(*row)


def _kind(town: _Town, code: str) -> StationKind:
    row = town.conn.execute(
        "select kind from station where municipality_id = %s and code = %s", (town.municipality_id, code)
    ).fetchone()
    assert row is not None, "it was made or found before"
    return StationKind(row[0])


def _template(name: str | None, kind: StationKind | None) -> Template:
    """The template named, else the usual one of the kind."""
    if name is not None:
        return TEMPLATES[name]
    return next(template for template in TEMPLATES.values() if template.kind is kind)


def _station(town: _Town, entry: Entry, code: str) -> tuple[bool, bool]:
    """Whether the station was made, and whether it was changed."""
    said = entry.values
    template = TEMPLATES[said["template"]] if "template" in said else None
    row = town.conn.execute(
        "select kind, name, name_en, latitude, longitude from station where municipality_id = %s and code = %s",
        (town.municipality_id, code),
    ).fetchone()
    if row is None:
        lacking = next((c for c in ("template", "station_name", "latitude", "longitude") if c not in said), None)
        if lacking is not None or template is None:
            raise _Wrong(entry.problem(lacking or "template", "new_station", text=code))
        add_station(
            town.conn,
            town.municipality_id,
            Station(
                code,
                template.kind,
                said["station_name"],
                said.get("station_name_en", said["station_name"]),
                said["latitude"],
                said["longitude"],
                template.datastreams,
                (),
            ),
        )
        return True, True
    if template is not None and template.kind.value != row[0]:
        raise _Wrong(entry.problem("template", "other_kind", text=code, kind=row[0], template=template.name))
    columns = {"name": "station_name", "name_en": "station_name_en", "latitude": "latitude", "longitude": "longitude"}
    before = dict(zip(columns, row[1:], strict=True))
    wanted = {name: said[column] for name, column in columns.items() if column in said}
    if all(before[name] == value for name, value in wanted.items()):
        return False, False
    change_station(town.conn, town.municipality_id, code, **wanted)
    return False, True


def _attach(town: _Town, entry: Entry, code: str, template: Template, model: str) -> None:
    attach(
        town.conn,
        town.municipality_id,
        entry.values["key"],
        code,
        since=entry.values.get("attached_from", town.now),
        mapping=_mapping(town, entry, template, model),
    )


def _mapping(town: _Town, entry: Entry, template: Template, model: str) -> tuple[MappingEntry, ...]:
    """What the line says, else what the model says, else what its fields' names say."""
    if "mapping" in entry.values:
        said: tuple[MappingEntry, ...] = entry.values["mapping"]
        return said
    defaults = defaults_of(town.conn, town.municipality_id, model)
    if defaults is not None and any(each.observed_property is not None for each in defaults.entries):
        return ()
    proposed = propose(dict(town.models[model].fields), [template], {})
    for proposal in proposed.values():
        if proposal.downward:
            observed = proposal.entry.observed_property or ObservedProperty.WATER_LEVEL
            example = f"{observed}={proposal.entry.field}*{proposal.entry.scale or -1:g}+5.2"
            raise _Wrong(entry.problem("mapping", "downward", field=proposal.entry.field, example=example))
    entries = tuple(proposal.entry for proposal in proposed.values() if not proposal.guessed)
    if not entries:
        fields = ", ".join(town.models[model].fields)[:300]
        raise _Wrong(entry.problem("mapping", "no_mapping", model=model, fields=fields))
    return entries


def _remapped(town: _Town, entry: Entry) -> bool:
    """Whether the mapping that the line says is another than there was."""

    def rows() -> list[tuple[Any, ...]]:
        return town.conn.execute(
            """
            select f.field, f.datastream_id, f.scale, f.value_offset
            from field_mapping f join attachment a using (attachment_id) join device d using (device_id)
            where d.municipality_id = %s and d.key = %s and a.attached_to is null order by 1
            """,
            (town.municipality_id, entry.values["key"]),
        ).fetchall()

    before = rows()
    remap(town.conn, town.municipality_id, entry.values["key"], mapping=entry.values["mapping"])
    return rows() != before


def _pace(town: _Town, entry: Entry, code: str | None) -> bool:
    """Gives the device the duty cycle that the line says, or that its template stands for; whether that is news."""
    said = entry.values
    known = _known(town, said["key"])
    assert known is not None
    before = duties(town.conn).get(known.device_id)
    template = TEMPLATES[said["template"]] if "template" in said else None
    wanted = template is not None and template.duty is not None and before is None
    if not wanted and not any(column in said for column in PACE):
        return False
    duty = _cycle(town, entry, code, before)
    if duty == before:
        return False
    change_duty(town.conn, town.municipality_id, said["key"], duty)
    return True


def _cycle(town: _Town, entry: Entry, code: str | None, before: DutyCycle | None) -> DutyCycle:
    """The cycle of a line: what it leaves out is as before, else as the station's reference levels propose."""
    said = entry.values
    if before is not None:
        starts: tuple[float | None, ...] = tuple(mode.start for mode in before.above)
        stops: tuple[float | None, ...] = tuple(mode.stop for mode in before.above)
        intervals, calm = tuple(mode.interval for mode in before.above), before.calm.interval
    else:
        levels = None if code is None else levels_proposed(town.conn, town.municipality_id, code, town.now)
        starts, stops = ((), ()) if levels is None else ((levels[0],), (levels[1],))
        intervals, calm = (_OBSERVING,), HEARTBEAT
    starts, stops = said.get("start_level", starts), said.get("stop_level", stops)
    intervals, calm = said.get("observing_interval", intervals), said.get("report_interval", calm)
    for column, given in (("start_level", starts), ("stop_level", stops)):
        if not given:
            raise _Wrong(entry.problem(column, "missing_levels"))
    if not len(starts) == len(stops) == len(intervals):
        raise _Wrong(entry.problem("start_level", "uneven"))
    kept = before.calm.silence_after if before is not None and before.calm.interval == calm else patience(calm)
    standby = Mode(calm, said.get("silence_after", kept))
    above = []
    for n, (start, stop, interval) in enumerate(zip(starts, stops, intervals, strict=True)):
        same = before.above[n] if before is not None and n < len(before.above) else None
        waits = same.silence_after if same is not None and same.interval == interval else patience(interval)
        above.append(Mode(interval, waits, start, stop))
    wrong = wrong_with(standby, above)
    if wrong is not None:
        raise _Wrong(entry.problem("start_level", "pace", text=wrong))
    return DutyCycle(standby, tuple(above)) if before is None else replace(before, calm=standby, above=tuple(above))


def _papers(town: _Town, entry: Entry) -> bool:
    """Writes the papers where the line says others; whether it did."""
    known = _known(town, entry.values["key"])
    assert known is not None
    before = record_of(town.conn, town.municipality_id, known.device_id)
    after = replace(before, **{name: value for name, value in entry.values.items() if name in PAPERS})
    if after == before:
        return False
    put_record(town.conn, town.municipality_id, known.device_id, after, now=town.now, user_id=town.user_id)
    return True
