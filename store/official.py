"""The links of stations to official pages, in the order in which they are shown.

put_links(conn, town, station_id, links, ...)   all of a station, in place of those that were there
links_of(conn, station_id)                      of a station, with who said them
links_of_town(conn, town)                       of all stations that have any
changes_of(conn, station_id)                    who made them what they were, when; the newest first

Only what makes them others is kept as a change: a town file that is applied again says nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from devices.official_links import LinkKind, OfficialLink
from store.connection import Connection

MOST_CHANGES = 20  # that a page tells


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a station. `said_at` None: the town file says them, or there are none; `by` None: nobody who can be
    named.
    """

    links: tuple[OfficialLink, ...] = ()
    said_at: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """A station that has links."""

    station: str
    name: str
    name_en: str
    links: tuple[OfficialLink, ...]


@dataclass(frozen=True, slots=True)
class LinksChange:
    """`before` and `after`: all of the station's. `said_at` and `by` as in `Links`."""

    said_at: datetime | None
    by: str | None
    before: tuple[OfficialLink, ...]
    after: tuple[OfficialLink, ...]

    @property
    def gone(self) -> tuple[OfficialLink, ...]:
        return tuple(each for each in self.before if each not in self.after)

    @property
    def added(self) -> tuple[OfficialLink, ...]:
        return tuple(each for each in self.after if each not in self.before)


def put_links(
    conn: Connection,
    municipality_id: int,
    station_id: int,
    links: Sequence[OfficialLink],
    *,
    now: datetime | None = None,
    user_id: int | None = None,
) -> None:
    """`now` and `user_id`: when a person said them, and who; without them they are the town file's."""
    # Two who save at once: the second is compared with what the first has left.
    conn.execute("select pg_advisory_xact_lock(hashtext('official_link'), %s)", (station_id,))
    if links_of(conn, station_id).links != tuple(links):
        told = [
            {"kind": each.kind.value, "url": each.url, "title": each.title, "title_en": each.title_en} for each in links
        ]
        conn.execute(
            """
            insert into official_link_change (municipality_id, station_id, links, said_at, user_id)
            values (%s, %s, %s, %s, %s)
            """,
            (municipality_id, station_id, Jsonb(told), now, user_id),
        )
    conn.execute("delete from official_link where station_id = %s", (station_id,))
    conn.cursor().executemany(
        """
        insert into official_link (municipality_id, station_id, position, kind, title, title_en, url, said_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            (municipality_id, station_id, position, link.kind.value, link.title, link.title_en, link.url, now, user_id)
            for position, link in enumerate(links)
        ],
    )


def links_of(conn: Connection, station_id: int) -> Links:
    """Of one station."""
    rows = conn.execute(
        """
        select l.kind, l.url, l.title, l.title_en, l.said_at, u.display_name
        from official_link l left join app_user u using (user_id)
        where l.station_id = %s order by l.position
        """,
        (station_id,),
    ).fetchall()
    links = tuple(OfficialLink(LinkKind(kind), *rest) for kind, *rest in (row[:4] for row in rows))
    return Links(links, rows[0][4], rows[0][5]) if rows else Links()


def changes_of(conn: Connection, station_id: int, most: int = MOST_CHANGES) -> tuple[LinksChange, ...]:
    """The newest of one station."""
    rows = conn.execute(
        """
        select c.said_at, u.display_name, c.links,
               lag(c.links, 1, '[]') over (order by c.official_link_change_id)
        from official_link_change c left join app_user u using (user_id)
        where c.station_id = %s order by c.official_link_change_id desc limit %s
        """,
        (station_id, most),
    ).fetchall()
    return tuple(LinksChange(at, by, _links(before), _links(after)) for at, by, after, before in rows)


def _links(stored: Sequence[dict[str, str]]) -> tuple[OfficialLink, ...]:
    return tuple(OfficialLink(LinkKind(e["kind"]), e["url"], e["title"], e["title_en"]) for e in stored)


def links_of_town(conn: Connection, municipality_id: int) -> tuple[Linked, ...]:
    """Of all stations that have any, in the order of the register."""
    found: dict[int, Linked] = {}
    for station_id, code, name, name_en, kind, url, title, title_en in conn.execute(
        """
        select station_id, s.code, s.name, s.name_en, l.kind, l.url, l.title, l.title_en
        from official_link l join station s using (station_id)
        where l.municipality_id = %s order by station_id, l.position
        """,
        (municipality_id,),
    ):
        link = OfficialLink(LinkKind(kind), url, title, title_en)
        before = found[station_id].links if station_id in found else ()
        found[station_id] = Linked(code, name, name_en, (*before, link))
    return tuple(found.values())
