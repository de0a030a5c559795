"""Reports from the field: what somebody saw, and what the desk did with it. Nothing here is an observation.

    enter(conn, town, author, report, photos, key=, drill=, now=) -> (id, new)      sent twice: the same id, and False
    reports(conn, town, drill=, ...) -> [FieldReport], the newest first
    report(conn, town, id) -> FieldReport | None        events(conn, id)        photos: `store.field_photos`
    mark(...)  log(...)  attach(...)  detach(...)       the desk's word, each a row that stays
    readings(conn, station_id, since, until) -> what was read on a staff gauge
    new_reports(conn, town, drill=) -> how many nobody has looked at yet

A report is never changed. Its state is the newest of seen, acted and withdrawn; with none of them it is new. All times
are town time. Raises `RecordError`. Each writes in the caller's transaction; announcing it to the feed
(`append_headquarters`, the last statement) is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg import sql

from store import headquarters
from store.connection import Connection
from store.errors import RecordError
from store.field_photos import put_photos
from store.headquarters import AHEAD, clean

if TYPE_CHECKING:
    from devices.photos import Photo

MOST = {"place": 200, "text": 1000, "note": 500}  # characters
MOST_PHOTOS = 4  # of a report
MOST_AN_HOUR, MOST_A_DAY = 30, 100  # reports by one link
LONGEST_AGO = timedelta(days=7)
HIGHEST, LOWEST = 99.0, -20.0  # m on a staff gauge
STATES = ("seen", "acted", "withdrawn")


@dataclass(frozen=True, slots=True)
class Author:
    """Who reports: an account, or the holder of a link. Exactly one of the two."""

    user_id: int | None = None
    field_link_id: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody saw. `gauge_reading` m on the staff gauge of the station; `accuracy` m of the position."""

    seen_at: datetime
    text: str
    place: str = ""
    station_id: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy: float | None = None
    gauge_reading: float | None = None


@dataclass(frozen=True, slots=True)
class FieldReport:
    """A report as a list shows it. `state`: new, seen, acted or withdrawn, said by `state_by` at `state_at`. `photos`:
    their ids, of those whose picture is still there; `lost` those whose picture is gone. `alerts`: what it is attached
    to; `entry_id` its line of 本部記録. `leader`: it came by a link.
    """

    report_id: int
    drill: bool
    seen_at: datetime
    received_at: datetime
    author: str
    leader: bool
    station_code: str | None
    station: str | None
    station_en: str | None
    latitude: float | None
    longitude: float | None
    accuracy: float | None
    place: str
    text: str
    gauge_reading: float | None
    state: str
    state_at: datetime | None
    state_by: str | None
    photos: tuple[int, ...]
    lost: int
    alerts: tuple[int, ...]
    entry_id: int | None


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """One thing the desk did with a report."""

    what: str
    alert_id: int | None
    entry_id: int | None
    note: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class GaugeReading:
    """A level that somebody read on a staff gauge, m."""

    report_id: int
    seen_at: datetime
    value: float
    author: str
    photos: int


def enter(
    conn: Connection,
    municipality_id: int,
    author: Author,
    seen: Seen,
    photos: Sequence[Photo],
    *,
    key: UUID,
    drill: bool,
    now: datetime,
) -> tuple[int, bool]:
    """Takes a report; the same author's same `key` again is the same report, whatever else it says."""
    known = _known(conn, municipality_id, author, key)
    if known is not None:
        return known, False
    seen = checked(seen, len(photos), now)
    if author.field_link_id is not None:
        for span, most in ((timedelta(hours=1), MOST_AN_HOUR), (timedelta(days=1), MOST_A_DAY)):
            if _lately(conn, author.field_link_id, now - span) >= most:
                raise RecordError("text", "often")
    row = conn.execute(
        """
        insert into field_report (municipality_id, client_key, drill, seen_at, received_at, user_id, field_link_id,
                                  station_id, latitude, longitude, accuracy, place, text, gauge_reading)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict do nothing returning field_report_id
        """,
        (
            municipality_id,
            key,
            drill,
            seen.seen_at,
            now,
            author.user_id,
            author.field_link_id,
            seen.station_id,
            seen.latitude,
            seen.longitude,
            seen.accuracy,
            seen.place,
            seen.text,
            seen.gauge_reading,
        ),
    ).fetchone()
    if row is None:  # the same one came at the same moment by another connection
        known = _known(conn, municipality_id, author, key)
        assert known is not None
        return known, False
    put_photos(conn, municipality_id, row[0], photos, now=now)
    return int(row[0]), True


def checked(seen: Seen, photos: int, now: datetime) -> Seen:
    """The report as it is stored. Raises `RecordError`."""
    place, text = (clean(name, getattr(seen, name), MOST[name]) for name in ("place", "text"))
    if not text and seen.gauge_reading is None and not photos:
        raise RecordError("text", "empty")
    if photos > MOST_PHOTOS:
        raise RecordError("photos", "photos")
    if seen.seen_at > now + AHEAD:
        raise RecordError("time", "future")
    if seen.seen_at < now - LONGEST_AGO:
        raise RecordError("time", "past")
    if seen.gauge_reading is not None:
        if seen.station_id is None:
            raise RecordError("station", "gauge")
        if not LOWEST <= seen.gauge_reading <= HIGHEST:
            raise RecordError("reading", "number")
    return Seen(
        min(seen.seen_at, now),
        text,
        place,
        seen.station_id,
        seen.latitude,
        seen.longitude,
        seen.accuracy,
        seen.gauge_reading,
    )


def _known(conn: Connection, municipality_id: int, author: Author, key: UUID) -> int | None:
    row = conn.execute(
        """
        select field_report_id from field_report
        where municipality_id = %s and client_key = %s and user_id is not distinct from %s
          and field_link_id is not distinct from %s
        """,
        (municipality_id, key, author.user_id, author.field_link_id),
    ).fetchone()
    return None if row is None else int(row[0])


def _lately(conn: Connection, field_link_id: int, since: datetime) -> int:
    row = conn.execute(
        "select count(*) from field_report where field_link_id = %s and received_at > %s",
        (field_link_id, since),
    ).fetchone()
    assert row is not None
    return int(row[0])


_REPORTS = sql.SQL("""
select r.field_report_id, r.drill, r.seen_at, r.received_at, coalesce(u.display_name, p.name), r.user_id is null,
       s.code, s.name, s.name_en, r.latitude, r.longitude, r.accuracy, r.place, r.text, r.gauge_reading,
       coalesce(said.what, 'new'), said.at, said.by,
       array(select f.field_photo_id from field_photo f
             where f.field_report_id = r.field_report_id and f.forgotten_at is null order by 1),
       (select count(*) from field_photo f where f.field_report_id = r.field_report_id and f.forgotten_at is not null),
       array(select held.alert_id from (
                 select distinct on (e.alert_id) e.alert_id, e.what from field_report_event e
                 where e.field_report_id = r.field_report_id and e.alert_id is not null
                 order by e.alert_id, e.field_report_event_id desc) held
             where held.what = 'attached' order by 1),
       (select e.headquarters_log_id from field_report_event e
        where e.field_report_id = r.field_report_id and e.what = 'logged')
from field_report r
left join app_user u on u.user_id = r.user_id
left join field_link l on l.field_link_id = r.field_link_id
left join person p on p.person_id = l.person_id
left join station s on s.station_id = r.station_id
left join lateral (
    select e.what, e.at, w.display_name as by from field_report_event e join app_user w on w.user_id = e.user_id
    where e.field_report_id = r.field_report_id and e.what in ('seen', 'acted', 'withdrawn')
    order by e.field_report_event_id desc limit 1) said on true
where r.municipality_id = %(town)s
""")


def reports(
    conn: Connection,
    municipality_id: int,
    *,
    drill: bool,
    since: datetime | None = None,
    until: datetime | None = None,
    state: str | None = None,
    alert_id: int | None = None,
    limit: int = 200,
) -> list[FieldReport]:
    """Reports by when they came, the newest first. `state`: new, seen, acted or withdrawn."""
    rows = conn.execute(
        sql.SQL(
            """
        {} and r.drill = %(drill)s
            and (%(since)s::timestamptz is null or r.received_at >= %(since)s)
            and (%(until)s::timestamptz is null or r.received_at < %(until)s)
            and (%(alert)s::bigint is null or exists (
                select from field_report_event a
                where a.field_report_id = r.field_report_id and a.alert_id = %(alert)s))
            and (%(state)s::text is null or coalesce(said.what, 'new') = %(state)s)
            order by r.received_at desc, r.field_report_id desc limit %(limit)s
        """
        ).format(_REPORTS),
        {
            "town": municipality_id,
            "drill": drill,
            "since": since,
            "until": until,
            "state": state,
            "alert": alert_id,
            "limit": limit,
        },
    )
    found = [_report(row) for row in rows]
    return found if alert_id is None else [each for each in found if alert_id in each.alerts]


def report(conn: Connection, municipality_id: int, report_id: int) -> FieldReport | None:
    """One report."""
    row = conn.execute(
        sql.SQL("{} and r.field_report_id = %(id)s").format(_REPORTS), {"town": municipality_id, "id": report_id}
    ).fetchone()
    return None if row is None else _report(row)


def _report(row: tuple[object, ...]) -> FieldReport:
    values = [tuple(each) if isinstance(each, list) else each for each in row]
    return FieldReport(*values)  # type: ignore[arg-type]  # the columns in the order of the fields


def events(conn: Connection, report_id: int) -> list[ReportEvent]:
    """What was done with a report, oldest first."""
    rows = conn.execute(
        """
        select e.what, e.alert_id, e.headquarters_log_id, e.note, e.at, u.display_name
        from field_report_event e join app_user u using (user_id)
        where e.field_report_id = %s order by e.field_report_event_id
        """,
        (report_id,),
    )
    return [ReportEvent(*row) for row in rows]


def mark(
    conn: Connection, municipality_id: int, report_id: int, what: str, *, note: str = "", now: datetime, user_id: int
) -> None:
    """Says what became of a report: seen, acted or withdrawn. The newest word counts; all stay."""
    assert what in STATES, what
    _add(conn, municipality_id, report_id, what, note=clean("note", note, MOST["note"]), now=now, user_id=user_id)


def log(
    conn: Connection, municipality_id: int, found: FieldReport, line: headquarters.Line, *, now: datetime, user_id: int
) -> int:
    """Enters a report into 本部記録, once; the number of the line. Raises `RecordError` (`changed`: it is there)."""
    # Two at once: the second waits here, and then sees the first one's line.
    conn.execute("select pg_advisory_xact_lock(hashtextextended('field_report', %s))", (found.report_id,))
    row = conn.execute(
        "select 1 from field_report_event where field_report_id = %s and what = 'logged'", (found.report_id,)
    ).fetchone()
    if row is not None:
        raise RecordError("text", "changed")
    entry_id = headquarters.enter(conn, municipality_id, line, drill=found.drill, now=now, user_id=user_id)
    _add(conn, municipality_id, found.report_id, "logged", entry_id=entry_id, now=now, user_id=user_id)
    return entry_id


def attach(
    conn: Connection, municipality_id: int, found: FieldReport, alert_id: int, *, now: datetime, user_id: int
) -> None:
    """Ties a report to an alert, a drill's to a drill's. Raises `RecordError` (`alert`, `unknown`)."""
    row = conn.execute(
        "select 1 from alert where municipality_id = %s and alert_id = %s and (mode <> 'actual') = %s",
        (municipality_id, alert_id, found.drill),
    ).fetchone()
    if row is None:
        raise RecordError("alert", "unknown")
    if alert_id not in found.alerts:
        _add(conn, municipality_id, found.report_id, "attached", alert_id=alert_id, now=now, user_id=user_id)


def detach(
    conn: Connection, municipality_id: int, found: FieldReport, alert_id: int, *, now: datetime, user_id: int
) -> None:
    """Unties it again."""
    if alert_id in found.alerts:
        _add(conn, municipality_id, found.report_id, "detached", alert_id=alert_id, now=now, user_id=user_id)


def _add(
    conn: Connection,
    municipality_id: int,
    report_id: int,
    what: str,
    *,
    alert_id: int | None = None,
    entry_id: int | None = None,
    note: str = "",
    now: datetime,
    user_id: int,
) -> None:
    conn.execute(
        """
        insert into field_report_event (municipality_id, field_report_id, what, alert_id, headquarters_log_id, note, at,
                                        user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, report_id, what, alert_id, entry_id, note, now, user_id),
    )


def readings(conn: Connection, station_id: int, since: datetime, until: datetime) -> list[GaugeReading]:
    """What people read on the staff gauge of a station, newest first; no drill's, and none that was withdrawn."""
    rows = conn.execute(
        """
        select r.field_report_id, r.seen_at, r.gauge_reading, coalesce(u.display_name, p.name),
               (select count(*) from field_photo f
                where f.field_report_id = r.field_report_id and f.forgotten_at is null)
        from field_report r
        left join app_user u on u.user_id = r.user_id
        left join field_link l on l.field_link_id = r.field_link_id
        left join person p on p.person_id = l.person_id
        where r.station_id = %s and r.gauge_reading is not null and not r.drill
          and r.seen_at >= %s and r.seen_at <= %s
          and coalesce((select e.what from field_report_event e
                        where e.field_report_id = r.field_report_id and e.what in ('seen', 'acted', 'withdrawn')
                        order by e.field_report_event_id desc limit 1), '') <> 'withdrawn'
        order by r.seen_at desc limit 100
        """,
        (station_id, since, until),
    )
    return [GaugeReading(*row) for row in rows]


def new_reports(conn: Connection, municipality_id: int, *, drill: bool) -> int:
    """How many nobody has looked at yet."""
    row = conn.execute(
        """
        select count(*) from field_report r
        where r.municipality_id = %s and r.drill = %s and not exists (
            select from field_report_event e
            where e.field_report_id = r.field_report_id and e.what in ('seen', 'acted', 'withdrawn'))
        """,
        (municipality_id, drill),
    ).fetchone()
    assert row is not None
    return int(row[0])


def attached_counts(conn: Connection, municipality_id: int) -> dict[int, int]:
    """How many reports are tied to each alert that is open or was closed lately."""
    rows = conn.execute(
        """
        select held.alert_id, count(*) from (
            select distinct on (e.field_report_id, e.alert_id) e.alert_id, e.what from field_report_event e
            where e.municipality_id = %s and e.alert_id is not null
            order by e.field_report_id, e.alert_id, e.field_report_event_id desc) held
        where held.what = 'attached' group by 1
        """,
        (municipality_id,),
    )
    return dict(rows.fetchall())
