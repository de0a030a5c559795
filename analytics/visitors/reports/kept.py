"""What an office says of its reports, and what is kept of it. SQL for the worker and, within its town, the API's role.

    settings, say_settings       fiscal or calendar years, how many missing days a month may have
    layout_of, say_layout        the columns of the prefecture's table, from a month on
    standards, say_standard      共通基準: what people say of a spot        append-only, the newest holds
    surveys, enter_survey, withdraw_survey

The monthly letters are `mails`.

Who says something is a user; `at` is town time. Nothing is changed afterwards: what was handed in can be made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from analytics.visitors.reports.cells import Place
from analytics.visitors.reports.layout import DEFAULT, Column
from analytics.visitors.reports.periods import YearKind
from analytics.visitors.reports.standard import SHARES, Survey
from store import Connection


@dataclass(frozen=True, slots=True)
class Settings:
    """How the office counts. `said_by` None: nobody has said, these are the built-in ones."""

    year_kind: YearKind = YearKind.FISCAL
    most_missing: int = 3
    said_at: datetime | None = None
    said_by: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """`since` None: the built-in one."""

    columns: tuple[Column, ...]
    since: date | None = None
    reason: str = ""
    said_at: datetime | None = None
    said_by: str = ""


@dataclass(frozen=True, slots=True)
class Standard:
    """What people say of a spot. None: nobody has said."""

    non_daily: bool | None = None
    measurable: bool | None = None
    category: str = ""
    number: str = ""
    source: str = ""
    said_at: datetime | None = None
    said_by: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    """A survey as it was entered."""

    survey_id: int
    survey: Survey
    entered_at: datetime
    entered_by: str


def places(conn: Connection, municipality_id: int, day: date) -> list[Place]:
    """The spots that are published on a day, in the order in which they were made."""
    return [Place(*row) for row in conn.execute(_PLACES, {"town": municipality_id, "day": day})]


def settings(conn: Connection, municipality_id: int) -> Settings:
    """The newest, or the built-in ones."""
    row = conn.execute(
        """
        select s.year_kind, s.most_missing, s.said_at, u.display_name
        from report_setting s join app_user u using (user_id)
        where s.municipality_id = %s order by s.report_setting_id desc limit 1
        """,
        (municipality_id,),
    ).fetchone()
    return Settings() if row is None else Settings(YearKind(row[0]), *row[1:])


def say_settings(conn: Connection, municipality_id: int, of: Settings, user_id: int, at: datetime) -> None:
    conn.execute(
        "insert into report_setting (municipality_id, year_kind, most_missing, said_at, user_id) "
        "values (%s, %s, %s, %s, %s)",
        (municipality_id, of.year_kind.value, of.most_missing, at, user_id),
    )


def layout_of(conn: Connection, municipality_id: int, month: date) -> Layout:
    """The layout in use in a month."""
    found = _layouts(conn, municipality_id, month, 1)
    return found[0] if found else Layout(DEFAULT)


def layouts(conn: Connection, municipality_id: int) -> list[Layout]:
    """All that were written, the latest first."""
    return _layouts(conn, municipality_id, date.max, 100)


def _layouts(conn: Connection, municipality_id: int, month: date, most: int) -> list[Layout]:
    return [
        Layout(tuple(Column(**each) for each in columns), *rest)
        for columns, *rest in conn.execute(
            """
            select l.columns, l.from_month, l.reason, l.said_at, u.display_name
            from report_layout l join app_user u using (user_id)
            where l.municipality_id = %s and l.from_month <= %s
            order by l.from_month desc, l.report_layout_id desc limit %s
            """,
            (municipality_id, month, most),
        )
    ]


def say_layout(
    conn: Connection,
    municipality_id: int,
    columns: Sequence[Column],
    since: date,
    reason: str,
    user_id: int,
    at: datetime,
) -> None:
    conn.execute(
        "insert into report_layout (municipality_id, from_month, columns, reason, said_at, user_id) "
        "values (%s, %s, %s, %s, %s, %s)",
        (
            municipality_id,
            since,
            json.dumps([asdict(each) for each in columns], ensure_ascii=False),
            reason,
            at,
            user_id,
        ),
    )


def standards(conn: Connection, municipality_id: int) -> dict[int, Standard]:
    """What was said last of each spot, by its id."""
    return {
        spot_id: Standard(*rest)
        for spot_id, *rest in conn.execute(
            """
            select distinct on (s.spot_id) s.spot_id, s.non_daily, s.measurable, s.category, s.number, s.source,
                   s.said_at, u.display_name
            from spot_standard s join app_user u using (user_id)
            where s.municipality_id = %s order by s.spot_id, s.spot_standard_id desc
            """,
            (municipality_id,),
        )
    }


def say_standard(
    conn: Connection, municipality_id: int, spot_id: int, of: Standard, user_id: int, at: datetime
) -> None:
    conn.execute(
        "insert into spot_standard (municipality_id, spot_id, non_daily, measurable, category, number, source, said_at,"
        " user_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (municipality_id, spot_id, of.non_daily, of.measurable, of.category, of.number, of.source, at, user_id),
    )


def surveys(conn: Connection, municipality_id: int) -> Mapping[int, list[Entered]]:
    """The surveys that stand, by spot, the newest first."""
    found: dict[int, list[Entered]] = {}
    for survey_id, spot_id, first, last, asked, source, *rest in conn.execute(
        """
        select s.spot_survey_id, s.spot_id, s.first_day, s.last_day, s.asked, s.source,
               s.day_trip, s.overnight, s.in_prefecture, s.other_prefectures, s.abroad, s.entered_at, u.display_name
        from spot_survey s join app_user u using (user_id)
        where s.municipality_id = %s and s.withdrawn_at is null order by s.last_day desc, s.spot_survey_id desc
        """,
        (municipality_id,),
    ):
        survey = Survey(first, last, asked, source, *rest[:5])
        found.setdefault(spot_id, []).append(Entered(survey_id, survey, *rest[5:]))
    return found


def enter_survey(conn: Connection, municipality_id: int, spot_id: int, of: Survey, user_id: int, at: datetime) -> None:
    conn.execute(
        "insert into spot_survey (municipality_id, spot_id, first_day, last_day, asked, source, day_trip, overnight,"
        " in_prefecture, other_prefectures, abroad, entered_at, user_id)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            municipality_id,
            spot_id,
            of.first,
            of.last,
            of.asked,
            of.source,
            *(getattr(of, share) for share in SHARES),
            at,
            user_id,
        ),
    )


def withdraw_survey(
    conn: Connection, municipality_id: int, spot_id: int, survey_id: int, user_id: int, at: datetime
) -> bool:
    """Whether there was one to withdraw."""
    done = conn.execute(
        "update spot_survey set withdrawn_at = %s, withdrawn_by = %s where spot_survey_id = %s and spot_id = %s "
        "and municipality_id = %s and withdrawn_at is null",
        (at, user_id, survey_id, spot_id, municipality_id),
    )
    return done.rowcount > 0


_PLACES = """
select s.spot_id, s.code, coalesce(s.name, t.name), coalesce(s.name_en, t.name_en)
from spot s left join station t using (station_id)
where s.municipality_id = %(town)s and (s.retired_from is null or s.retired_from > %(day)s)
order by s.spot_id
"""
