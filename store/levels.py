"""The threshold sets of a station as they were written, one after the other, and its surveyed cross-sections.

    station_sets(conn, station_id)     every set, the newest beginning first, of one beginning the newest written first
    in_force(sets, at)                 the one that is judged by at a moment; None before the first
    put_set(conn, ...)                 adds one; nothing that is written is ever changed
    marks_at(conn, at)                 what the sets in force say besides what is judged, by station
    level_names(conn)                  every name that a rule can use
    sections(conn, station_id), put_section(conn, ...)

A set that corrects another has its date: of several of one date the one written last stands. Works with the rights of
the API's role within its municipality; the caller commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg

from devices.levels import CrossSection, LevelKind, ThresholdMark
from devices.model import ThresholdLevel, ThresholdSet
from store.connection import Connection
from store.errors import RegistrationError
from store.ledgers import insert_section, insert_thresholds

Level = ThresholdLevel | ThresholdMark


@dataclass(frozen=True, slots=True)
class DatedSet:
    """A set with who wrote it. `levels` are judged, `marks` not, both lowest first; metres above gauge zero.

    `made_at` None: it came with the station, by the town file or when that was registered; `by` None: nobody's account.
    `corrects`: the id of the set of the same date that was wrong; `corrected_by`: of the one that says that this is.
    """

    set_id: int
    valid_from: datetime
    reason: str
    clear_margin: float
    hold: timedelta
    gauge_zero_tp: float | None
    levels: tuple[ThresholdLevel, ...]
    marks: tuple[ThresholdMark, ...]
    corrects: int | None = None
    corrected_by: int | None = None
    made_at: datetime | None = None
    by: str | None = None

    @property
    def every(self) -> tuple[Level, ...]:
        """All of them, the highest first."""
        return tuple(sorted((*self.levels, *self.marks), key=lambda each: -each.value))

    @property
    def overflow(self) -> Level | None:
        return overflow_of(self.levels, self.marks)


@dataclass(frozen=True, slots=True)
class Marks:
    """What the set in force at a station says besides what is judged. `gauge_zero_tp` m above T.P., None: unknown."""

    gauge_zero_tp: float | None = None
    marks: tuple[ThresholdMark, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """A cross-section with who entered it; `made_at` None: it came with the station."""

    section_id: int
    section: CrossSection
    made_at: datetime | None
    by: str | None


def overflow_of(levels: Sequence[ThresholdLevel], marks: Sequence[ThresholdMark]) -> Level | None:
    """Where the water leaves the river: what is called 氾濫開始水位, else the level 5; None where neither is known."""
    every: list[Level] = [*marks, *levels]
    said = [each for each in every if each.kind is LevelKind.OVERFLOW]
    said += [each for each in levels if each.level == 5]
    return next(iter(said), None)


def station_sets(conn: Connection, station_id: int) -> list[DatedSet]:
    """Every set of a station, the newest beginning first; of one beginning the one that stands first."""
    levels: dict[int, list[ThresholdLevel]] = {}
    for set_id, level, name, name_en, value, kind in conn.execute(
        """
        select threshold_set_id, level, l.name, l.name_en, value, kind
        from threshold_level l join threshold_set using (threshold_set_id)
        where station_id = %s order by value, level
        """,
        (station_id,),
    ):
        levels.setdefault(set_id, []).append(ThresholdLevel(level, name, name_en, value, LevelKind(kind)))
    marks: dict[int, list[ThresholdMark]] = {}
    for set_id, kind, name, name_en, value in conn.execute(
        """
        select threshold_set_id, kind, m.name, m.name_en, value
        from threshold_mark m join threshold_set using (threshold_set_id)
        where station_id = %s order by value, m.name
        """,
        (station_id,),
    ):
        marks.setdefault(set_id, []).append(ThresholdMark(LevelKind(kind), name, name_en, value))
    return [
        DatedSet(
            *(set_id, valid_from, reason, margin, hold, zero),
            tuple(levels.get(set_id, ())),
            tuple(marks.get(set_id, ())),
            *rest,
        )
        for set_id, valid_from, reason, margin, hold, zero, *rest in conn.execute(
            """
            select t.threshold_set_id, t.valid_from, t.reason, t.clear_margin, t.hold, t.gauge_zero_tp,
                   t.corrects, c.threshold_set_id, t.made_at, u.display_name
            from threshold_set t left join threshold_set c on c.corrects = t.threshold_set_id
            left join app_user u on u.user_id = t.user_id
            where t.station_id = %s order by t.valid_from desc, t.threshold_set_id desc
            """,
            (station_id,),
        )
    ]


def in_force(sets: Sequence[DatedSet], at: datetime) -> DatedSet | None:
    """The one in force at a moment; `sets` as `station_sets` gives them."""
    return next((each for each in sets if each.valid_from <= at), None)


def replaced_by(sets: Sequence[DatedSet], new: DatedSet) -> DatedSet | None:
    """What stood before a set at its beginning: the one it corrects, else the one that was in force until then, as
    the sets stand now.
    """
    if new.corrects is not None:
        return next(each for each in sets if each.set_id == new.corrects)
    return next((each for each in sets if each.valid_from < new.valid_from), None)


def put_set(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    wanted: ThresholdSet,
    *,
    corrects: int | None,
    now: datetime,
    user_id: int | None,
) -> int:
    """Adds a set and returns its id. `corrects`: the set of the same date that was wrong.

    RegistrationError `valid_from`: a set begins then already, or somebody has just corrected the same one; `levels`:
    two of one number or name.
    """
    try:
        with conn.transaction():
            return insert_thresholds(
                conn, municipality_id, station_id, wanted, corrects=corrects, made_at=now, user_id=user_id
            )
    except (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation) as error:
        if error.diag.table_name == "threshold_set":
            raise RegistrationError(
                "valid_from",
                f"a set begins at {wanted.valid_from:%Y-%m-%d %H:%M} UTC already: correct that one",
            ) from None
        raise RegistrationError("levels", "two levels have the same number or name") from None


def marks_at(conn: Connection, at: datetime) -> dict[int, Marks]:
    """station_id -> what its set in force says besides what is judged; of every station that has a set."""
    return {
        station_id: Marks(zero, tuple(ThresholdMark(LevelKind(kind), *rest) for kind, *rest in marks))
        for station_id, zero, marks in conn.execute(
            """
            select station_id, gauge_zero_tp,
                   (select coalesce(json_agg(json_build_array(kind, name, name_en, value) order by value, name), '[]')
                    from threshold_mark m where m.threshold_set_id = t.threshold_set_id)
            from (
                select distinct on (station_id) station_id, threshold_set_id, gauge_zero_tp from threshold_set
                where valid_from <= %s order by station_id, valid_from desc, threshold_set_id desc
            ) t
            """,
            (at,),
        )
    }


def level_names(conn: Connection) -> list[tuple[str, str]]:
    """Every name, with its English one, that a rule can use: of all sets, but for design levels."""
    return conn.execute(
        """
        select name, min(name_en) from (
            select name, name_en from threshold_level
            union all select name, name_en from threshold_mark where kind <> 'design'
        ) every group by name order by name
        """
    ).fetchall()


def sections(conn: Connection, station_id: int) -> list[Survey]:
    """The cross-sections of a station, the one that stands first."""
    found = []
    for section_id, day, reason, datum, distance, height, note, made_at, by in conn.execute(
        """
        select cross_section_id, surveyed_on, reason, datum, distance, height, note, made_at, u.display_name
        from cross_section c left join app_user u using (user_id)
        where station_id = %s order by surveyed_on desc, cross_section_id desc
        """,
        (station_id,),
    ):
        section = CrossSection(day, reason, datum, tuple(distance), tuple(height), tuple(note))
        found.append(Survey(section_id, section, made_at, by))
    return found


def put_section(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    section: CrossSection,
    *,
    now: datetime,
    today: date,
    user_id: int | None,
) -> int:
    """Adds a survey and returns its id. RegistrationError `surveyed_on`: it is of a day that is still to come."""
    if section.surveyed_on > today:
        raise RegistrationError("surveyed_on", f"{section.surveyed_on} is still to come: give the day of the survey")
    return insert_section(conn, municipality_id, station_id, section, made_at=now, user_id=user_id)
