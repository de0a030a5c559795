"""Changes of 地点: names, counters, formulas, methods, parts of virtual spots. Read by `store.spots`.

    add_spot, change_spot     names, note, published no more
    attach, end_source        a counter counts for a spot from a day until before another
    add_part, end_part        a virtual spot is the sum and difference of others
    switch                    form or counter, from a day on
    log_change                a line of the log

Dates are local days, None is open. Every change has a reason and leaves a line in `spot_change`. Works with the rights
of the API's role within its municipality; the caller commits. Refused with a SpotError, nothing changed:

    nothing counts twice: not one counter twice for a spot at a time, nor anywhere in what a virtual spot is made of
    no spot is a part of itself, directly or through others
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from store.connection import Connection
from store.errors import SpotError
from store.spots import CounterKind, Gauge, Measure, Spot, methods_of

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Editor:
    """Who changes something, where, when (town time) and why."""

    municipality_id: int
    user_id: int | None
    now: datetime
    reason: str

    def checked(self) -> str:
        """The reason. SpotError where there is none."""
        reason = self.reason.strip()
        if not reason or len(reason) > _LONGEST_REASON:
            raise SpotError("reason")
        return reason


def log_change(
    conn: Connection,
    editor: Editor,
    what: str,
    detail: Mapping[str, Any],
    *,
    spot_id: int | None = None,
    station_id: int | None = None,
) -> None:
    """A line of the log of a spot or counter; the reason is the editor's, and has to be there."""
    conn.execute(
        """
        insert into spot_change (municipality_id, spot_id, station_id, what, detail, reason, said_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            *(editor.municipality_id, spot_id, station_id, what),
            Jsonb({key: _plain(value) for key, value in detail.items()}),
            *(editor.checked(), editor.now, editor.user_id),
        ),
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def add_spot(conn: Connection, editor: Editor, code: str, name: str, name_en: str, *, virtual: bool) -> int:
    """A spot of its own beside those that came with their stations, and its id. Its series is its counters'.

    SpotError `code` (it is there already, or is no code), `name`, `reason`.
    """
    editor.checked()
    if not (name.strip() and name_en.strip()) or max(len(name), len(name_en)) > 80:
        raise SpotError("name")
    try:
        with conn.transaction():
            row = conn.execute(
                """
                insert into spot (municipality_id, code, kind, name, name_en, made_at, user_id)
                values (%s, %s, %s, %s, %s, %s, %s) returning spot_id
                """,
                (
                    *(editor.municipality_id, code, "virtual" if virtual else "real", name.strip(), name_en.strip()),
                    *(editor.now, editor.user_id),
                ),
            ).fetchone()
            assert row is not None, "an insert returns its row"
            if not virtual:
                conn.execute(
                    "insert into spot_method (municipality_id, spot_id, method, made_at, user_id)"
                    " values (%s, %s, 'counter', %s, %s)",
                    (editor.municipality_id, row[0], editor.now, editor.user_id),
                )
    except (psycopg.errors.UniqueViolation, psycopg.errors.CheckViolation):
        raise SpotError("code") from None
    log_change(conn, editor, "made", {"name": name.strip()}, spot_id=row[0])
    return int(row[0])


def change_spot(
    conn: Connection, editor: Editor, spot: Spot, *, name: str, name_en: str, note: str, retired_from: date | None
) -> None:
    """Names, note, and from when on it is published no more. SpotError `name`, `note`, `reason`."""
    if not (name.strip() and name_en.strip()) or max(len(name), len(name_en)) > 80:
        raise SpotError("name")
    if len(note) > 1000:
        raise SpotError("note")
    before = {"name": spot.name, "name_en": spot.name_en, "note": spot.note, "retired_from": spot.retired_from}
    after = {"name": name.strip(), "name_en": name_en.strip(), "note": note.strip(), "retired_from": retired_from}
    changed = {key: [_plain(before[key]), _plain(value)] for key, value in after.items() if value != before[key]}
    editor.checked()
    if not changed:
        raise SpotError("nothing")
    if "name" in changed or "name_en" in changed:  # else it goes on being called as its station
        conn.execute(
            "update spot set (name, name_en) = (%s, %s) where spot_id = %s",
            (after["name"], after["name_en"], spot.spot_id),
        )
    conn.execute("update spot set (note, retired_from) = (%s, %s) where spot_id = %s",
                 (after["note"], retired_from, spot.spot_id))  # fmt: skip
    log_change(conn, editor, "changed", changed, spot_id=spot.spot_id)


def attach(
    conn: Connection,
    editor: Editor,
    spot: Spot,
    gauge: Gauge,
    *,
    kind: CounterKind,
    measure: Measure,
    sign: int,
    weight: float,
    entrance: str,
    from_day: date | None,
    instead_of: int | None = None,
) -> None:
    """A counter counts for a real spot from a day on. `instead_of`: the id of the source that ends with that day, for
    which this one stands in.

    SpotError `virtual`, `measure` (this counter does not observe it, or one of its kind cannot), `weight`, `entrance`,
    `overlap` (it counts for the spot on some of these days already), `double`, `from_day` (the one before it began
    later).
    """
    if spot.virtual:
        raise SpotError("virtual")
    if measure not in kind.measures or not gauge.observes(measure):
        raise SpotError("measure")
    if not 0 < weight <= 100:
        raise SpotError("weight")
    if len(entrance) > 40:
        raise SpotError("entrance")
    editor.checked()
    _hold(conn, editor)
    try:
        with conn.transaction():
            if instead_of is not None:
                if from_day is None:
                    raise SpotError("from_day")
                _end(conn, "spot_source", spot.spot_id, instead_of, from_day)
            conn.execute(
                """
                insert into spot_source (municipality_id, spot_id, station_id, kind, measure, sign, weight, entrance,
                                         from_day, made_at, user_id)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                (
                    *(editor.municipality_id, spot.spot_id, gauge.station_id, kind, measure, sign, weight),
                    *(entrance.strip(), from_day, editor.now, editor.user_id),
                ),
            )
            _refuse_double(conn)
    except psycopg.errors.ExclusionViolation:
        raise SpotError("overlap") from None
    detail = {"counter": gauge.name, "measure": measure, "weight": weight * sign, "entrance": entrance.strip()}
    log_change(conn, editor, "attached", detail | {"from_day": from_day}, spot_id=spot.spot_id)


def end_source(conn: Connection, editor: Editor, spot: Spot, source_id: int, to_day: date) -> None:
    """From this day on the counter counts no more for the spot; from its first day on: as if it never had.

    SpotError `to_day` (it ended before already), `unknown`.
    """
    editor.checked()
    _hold(conn, editor)
    name = _end(conn, "spot_source", spot.spot_id, source_id, to_day)
    log_change(conn, editor, "detached", {"counter": name, "to_day": to_day}, spot_id=spot.spot_id)


def add_part(conn: Connection, editor: Editor, spot: Spot, part: Spot, *, sign: int, from_day: date | None) -> None:
    """A virtual spot adds (1) or takes away (-1) another one from a day on.

    SpotError `real` (this one is not virtual), `cycle`, `double` (a counter would count twice), `overlap`.
    """
    if not spot.virtual:
        raise SpotError("real")
    editor.checked()
    _hold(conn, editor)
    try:
        with conn.transaction():
            (inside,) = conn.execute(
                """
                with recursive inner_part (spot_id) as (
                    select %s::integer union select p.part_id from spot_part p join inner_part using (spot_id)
                ) select exists (select from inner_part where spot_id = %s)
                """,
                (part.spot_id, spot.spot_id),
            ).fetchone() or (True,)
            if inside:
                raise SpotError("cycle")
            conn.execute(
                """
                insert into spot_part (municipality_id, spot_id, part_id, sign, from_day, made_at, user_id)
                values (%s, %s, %s, %s, %s, %s, %s)
                """,
                (editor.municipality_id, spot.spot_id, part.spot_id, sign, from_day, editor.now, editor.user_id),
            )
            _refuse_double(conn)
    except psycopg.errors.ExclusionViolation:
        raise SpotError("overlap") from None
    detail = {"part": part.name, "sign": sign, "from_day": from_day}
    log_change(conn, editor, "part_added", detail, spot_id=spot.spot_id)


def end_part(conn: Connection, editor: Editor, spot: Spot, part_row_id: int, to_day: date) -> None:
    """From this day on it is a part no more; SpotError as `end_source`."""
    editor.checked()
    _hold(conn, editor)
    name = _end(conn, "spot_part", spot.spot_id, part_row_id, to_day)
    log_change(conn, editor, "part_ended", {"part": name, "to_day": to_day}, spot_id=spot.spot_id)


def switch(conn: Connection, editor: Editor, spot: Spot, method: str, from_day: date) -> None:
    """The series goes by this method from a day on, until the next switch; said of the day of another switch it takes
    its place.

    SpotError `virtual`, `method` (there is no form, or it goes by this one then already).
    """
    if spot.virtual:
        raise SpotError("virtual")
    if method == "form" and not spot.form:
        raise SpotError("method")
    editor.checked()
    _hold(conn, editor)
    known = methods_of(conn, spot.spot_id)
    now = next((m for m in known if m.from_day is None or m.from_day <= from_day), None)
    if now is not None and now.method == method:
        raise SpotError("method")
    conn.execute("delete from spot_method where spot_id = %s and from_day = %s", (spot.spot_id, from_day))
    before = next((m for m in known if m.from_day is None or m.from_day < from_day), None)
    if before is None or before.method != method:
        conn.execute(
            """
            insert into spot_method (municipality_id, spot_id, from_day, method, made_at, user_id)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (editor.municipality_id, spot.spot_id, from_day, method, editor.now, editor.user_id),
        )
    log_change(conn, editor, "switched", {"method": method, "from_day": from_day}, spot_id=spot.spot_id)


def _hold(conn: Connection, editor: Editor) -> None:
    """One at a time changes what counts for what: the check for what counts twice looks at all of it."""
    conn.execute("select pg_advisory_xact_lock(hashtext('spots'), %s)", (editor.municipality_id,))


def _end(conn: Connection, table: str, spot_id: int, row_id: int, to_day: date) -> str:
    """Ends a source or part before a day; returns the name of the counter or spot."""
    if table == "spot_source":
        row = conn.execute(
            """
            select x.from_day, x.to_day, s.name from spot_source x join station s using (station_id)
            where x.spot_id = %s and x.spot_source_id = %s
            """,
            (spot_id, row_id),
        ).fetchone()
    else:
        row = conn.execute(
            """
            select x.from_day, x.to_day, coalesce(p.name, s.name)
            from spot_part x join spot p on p.spot_id = x.part_id left join station s on s.station_id = p.station_id
            where x.spot_id = %s and x.spot_part_id = %s
            """,
            (spot_id, row_id),
        ).fetchone()
    if row is None:
        raise SpotError("unknown")
    since, until, name = row
    if until is not None and until <= to_day:
        raise SpotError("to_day")
    if since is not None and to_day < since:
        raise SpotError("to_day")
    if since == to_day:
        statement = (
            "delete from spot_source where spot_source_id = %s"
            if table == "spot_source"
            else "delete from spot_part where spot_part_id = %s"
        )
        conn.execute(statement, (row_id,))
    else:
        statement = (
            "update spot_source set to_day = %s where spot_source_id = %s"
            if table == "spot_source"
            else "update spot_part set to_day = %s where spot_part_id = %s"
        )
        conn.execute(statement, (to_day, row_id))
    return str(name)


def _refuse_double(conn: Connection) -> None:
    """SpotError `double` where a virtual spot has a counter, or what people enter at a station, in it twice on a day
    with one sign: then somebody would be two visitors. What is added in one part and taken away in another is a
    difference, and no mistake.
    """
    row = conn.execute(
        """
        with recursive inner_part (top, spot_id, sign, days, path) as (
            select spot_id, part_id, sign::integer, daterange(from_day, to_day), array[spot_part_id] from spot_part
            union all
            select i.top, p.part_id, i.sign * p.sign, i.days * daterange(p.from_day, p.to_day), i.path || p.spot_part_id
            from spot_part p join inner_part i using (spot_id)
            where not isempty(i.days * daterange(p.from_day, p.to_day)) and not p.spot_part_id = any(i.path)
        ), leaf as (
            select i.top, i.path, 'counter ' || x.station_id as what, i.sign * x.sign as sign,
                   i.days * daterange(x.from_day, x.to_day) as days
            from inner_part i join spot_source x using (spot_id) where x.measure not in ('present', 'parked', 'signals')
            union all
            select i.top, i.path, 'spot ' || s.spot_id, i.sign, i.days
            from inner_part i join spot s using (spot_id) where s.kind = 'real'
        )
        select from leaf a join leaf b on a.top = b.top and a.what = b.what and a.sign = b.sign and a.path < b.path
               and a.days && b.days
        limit 1
        """
    ).fetchone()
    if row is not None:
        raise SpotError("double")
