"""For how long each station lets people wait (`alerts.rules.withholding`, `alerts.rules.telling`).

    patience(conn, municipality_id)             of every station that has reference levels
    set_patience(conn, municipality_id, code)   changes what is given, and keeps who said so, when and why
    changes(conn, station_id)                   what was said, newest first

For the owner, and for the API's role within its municipality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.rules.withholding import waiting
from devices.model import StationKind
from store import Connection
from store.errors import RegistrationError

MOST_REASON = 500
LONGEST_CONFIRM = timedelta(days=1)
SHORTEST_TELL, LONGEST_TELL = timedelta(minutes=6), timedelta(days=365)
LEAST_RAIN, MOST_RAIN = 0.1, 1000.0  # mm in an hour


@dataclass(frozen=True, slots=True)
class Waits:
    """`confirm_within`: people wait so long for a second reading; `confirming_rain`, mm in an hour: then for none.
    `tell_within`: of what is older when it becomes known nobody is told.
    """

    confirm_within: timedelta
    confirming_rain: float
    tell_within: timedelta


@dataclass(frozen=True, slots=True)
class Patience:
    """What a station allows. `step`: how often its level is observed as the register has it, None where it has no
    level; `on_river`: whether the register names its river, without which no rain speaks for a reading.
    """

    station_id: int
    station: str
    name: str
    name_en: str
    kind: StationKind
    waits: Waits
    step: timedelta | None
    on_river: bool

    @property
    def waited(self) -> timedelta:
        """How long a doubtful reading waits at most before it is told as unconfirmed."""
        return waiting(self.step or self.waits.confirm_within, self.waits.confirm_within)

    @property
    def comes_first(self) -> bool:
        """Whether the next reading is due before that time is over."""
        return self.step is not None and self.step <= self.waits.confirm_within


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody said of a station's waits. `by` None: by the command line."""

    waits: Waits
    reason: str
    made_at: datetime
    by: str | None


def patience(conn: Connection, municipality_id: int, station: str | None = None) -> list[Patience]:
    """Of every station that has reference levels, or of this one; by code."""
    return [
        Patience(row[0], row[1], row[2], row[3], StationKind(row[4]), Waits(*row[5:8]), row[8], row[9])
        for row in conn.execute(
            """
            select s.station_id, s.code, s.name, s.name_en, s.kind, s.confirm_within, s.confirming_rain, s.tell_within,
                   (select min(d.step) from datastream d where d.station_id = s.station_id
                    and d.observed_property = 'water_level' and d.drill_run is null),
                   exists (select from station_river r where r.station_id = s.station_id)
            from station s
            where s.municipality_id = %s and (s.code = %s or %s::text is null
                and exists (select from threshold_set t where t.station_id = s.station_id))
            order by s.code
            """,
            (municipality_id, station, station),
        )
    ]


def set_patience(
    conn: Connection,
    municipality_id: int,
    station: str,
    *,
    reason: str,
    now: datetime,
    user_id: int | None,
    confirm_within: timedelta | None = None,
    confirming_rain: float | None = None,
    tell_within: timedelta | None = None,
) -> bool:
    """Changes what is not None at town time `now`; False: there is no such station. The caller commits.

    RegistrationError names the field that makes no sense, or `waits` where nothing would be different.
    """
    conn.execute("select from station where municipality_id = %s and code = %s for update", (municipality_id, station))
    found = patience(conn, municipality_id, station)
    if not found:
        return False
    before = found[0].waits
    given = {"confirm_within": confirm_within, "confirming_rain": confirming_rain, "tell_within": tell_within}
    wanted = replace(before, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    _check(wanted, reason)
    if wanted == before:
        raise RegistrationError("waits", f"station {station}: nothing of it would be different")
    said = {
        "town": municipality_id,
        "station": found[0].station_id,
        "tell": wanted.tell_within,
        "confirm": wanted.confirm_within,
        "rain": wanted.confirming_rain,
        "reason": reason.strip(),
        "now": now,
        "user": user_id,
    }
    conn.execute(
        "update station set tell_within = %(tell)s, confirm_within = %(confirm)s, confirming_rain = %(rain)s "
        "where station_id = %(station)s",
        said,
    )
    conn.execute(
        """
        insert into station_wait (municipality_id, station_id, tell_within, confirm_within, confirming_rain, reason,
                                  made_at, user_id)
        values (%(town)s, %(station)s, %(tell)s, %(confirm)s, %(rain)s, %(reason)s, %(now)s, %(user)s)
        """,
        said,
    )
    return True


def changes(conn: Connection, station_id: int | None = None) -> dict[int, list[Change]]:
    """station_id -> what was said, newest first, of all stations or of one."""
    found: dict[int, list[Change]] = {}
    for station, confirm, rain, tell, *rest in conn.execute(
        """
        select w.station_id, w.confirm_within, w.confirming_rain, w.tell_within, w.reason, w.made_at, u.display_name
        from station_wait w left join app_user u using (user_id)
        where %s::integer is null or w.station_id = %s
        order by w.station_id, w.station_wait_id desc
        """,
        (station_id, station_id),
    ):
        found.setdefault(station, []).append(Change(Waits(confirm, rain, tell), *rest))
    return found


def _check(wanted: Waits, reason: str) -> None:
    if not timedelta(0) <= wanted.confirm_within <= LONGEST_CONFIRM:
        raise RegistrationError("confirm_within", "a second reading is waited for 0 to 1440 minutes")
    if not SHORTEST_TELL <= wanted.tell_within <= LONGEST_TELL:
        raise RegistrationError("tell_within", "people are told of what is up to 0.1 to 8760 hours old")
    if not LEAST_RAIN <= wanted.confirming_rain <= MOST_RAIN:
        raise RegistrationError("confirming_rain", "rain that speaks for a reading is 0.1 to 1000 mm in an hour")
    if wanted.tell_within <= waiting(wanted.confirm_within, wanted.confirm_within):
        raise RegistrationError(
            "tell_within", "it is over before a doubtful reading has waited for the next one: nobody would be told"
        )
    if not reason.strip() or len(reason) > MOST_REASON:
        raise RegistrationError("reason", f"say why in 1 to {MOST_REASON} characters, for whoever asks later")
