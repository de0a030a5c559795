"""The week in one letter: what happened with the devices, for who looks after them.

    facts = week_facts(conn, municipality_id, week, now)   of the week that begins on this (local) Monday
    Weekly(clock).look(conn)                               writes last week's letter where it is due

A letter is written once, on Monday morning (town time), with the facts as they were; the unique key of `weekly_digest`
holds that, whoever looks and however often. It goes out through the outbox to the digital section. The page
/digital/weekly shows the same facts in the same words (`alerts.digest_words`), and those of the running week as they
are now.

Facts are plain JSON: times in ISO 8601, names in Japanese and English.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerts import digest_words
from alerts.device_health import Health, device_health
from alerts.looking import look_again
from alerts.recording import addresses_of
from devices.clock import Clock, real_now
from quality.device_health import Sending
from store import Connection
from store.trials import open_trials

WRITTEN_AT = timedelta(hours=7)  # o'clock on Monday: before the section comes in
EMPTY_WITHIN = 90.0  # days: a battery is ordered, and somebody has to drive there
ENDS_WITHIN = timedelta(days=183)
LOST_SHARE, FEWEST_LOST = 0.05, 10
MOST_LINES = 50  # of each kind are kept
_WEEK = timedelta(days=7)
_LOOK_SECONDS = 60.0

Facts = Mapping[str, Any]


def monday_of(day: date) -> date:
    """The Monday of the week that a day lies in.

    >>> monday_of(date(2026, 6, 7)), monday_of(date(2026, 6, 8))
    (datetime.date(2026, 6, 1), datetime.date(2026, 6, 8))
    """
    return day - timedelta(days=day.weekday())


def week_facts(conn: Connection, municipality_id: int, week: date, now: datetime) -> dict[str, Any]:
    """What happened in the week from this Monday on, until its end or `now`. For the worker, and for the API's role
    within the municipality.
    """
    zone = _zone(conn, municipality_id)
    start, end = _midnight(week, zone), _midnight(week + _WEEK, zone)
    until = min(end, now)
    values = {"town": municipality_id, "start": start, "until": until, "now": now}
    places: dict[int, dict[str, Any]] = {
        device_id: {"device": key, "ja": name or key, "en": name_en or key}
        for device_id, key, name, name_en in conn.execute(_PLACES, values)
    }
    health = device_health(conn, until, municipality_id=municipality_id)
    facts: dict[str, Any] = {
        "week": week.isoformat(),
        "until": until.isoformat(),
        "devices": len(places),
        "outages": [
            {"cause": cause, "since": _iso(since), "until": _iso(over), "stations": stations}
            for cause, since, over, stations in conn.execute(_OUTAGES, values)
        ],
        "silences": [
            {"ja": name, "en": name_en, "since": _iso(since), "until": _iso(over)}
            for name, name_en, since, over in conn.execute(_SILENCES, values)
        ],
        "ends": [
            {**places[device_id], "on": day.isoformat()}
            for device_id, day in conn.execute(
                "select device_id, service_ends from device_record where municipality_id = %s and service_ends <= %s "
                "order by service_ends, device_id",
                (municipality_id, (until + ENDS_WITHIN).astimezone(zone).date()),
            )
            if device_id in places
        ],
        "works": [
            {**places[device_id], "starts": _iso(starts), "ends": _iso(ends), "work": work}
            for device_id, starts, ends, work in conn.execute(_WORKS, {**values, "next": end + _WEEK})
            if device_id in places
        ],
    }
    facts["trials"] = [
        {
            "ja": each.name,
            "en": each.name_en or each.name,
            "since": _iso(each.starts_at),
            "days": (until - each.starts_at).days,
            "long": each.long_open(until),
            "why": each.why,
        }
        for each in open_trials(conn, municipality_id, until)
    ]
    facts |= _of_devices(health, places)
    return {kind: found[:MOST_LINES] if isinstance(found, list) else found for kind, found in facts.items()}


def _of_devices(health: Mapping[int, Health], places: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What the daily figures say of each device that is mounted, the most pressing first."""
    mounted = [(health[each], place) for each, place in places.items() if each in health]
    batteries = []
    for each, place in mounted:
        battery = each.battery
        left = None if battery is None else battery.outlook.days_left
        if battery is not None and (battery.low or (left is not None and left <= EMPTY_WITHIN)):
            row = {"low": battery.low, "days": None if left is None else round(left)}
            batteries.append({**place, **row, "value": round(battery.value, 2), "unit": battery.unit})
    batteries.sort(key=lambda row: (not row["low"], row["days"] is None, row["days"] or 0))
    gaps = [
        {**place, "lost": each.gaps, "of": each.gaps + each.messages}
        for each, place in mounted
        if each.gaps >= FEWEST_LOST and each.gaps >= LOST_SHARE * (each.gaps + each.messages)
    ]
    gaps.sort(key=lambda row: -row["lost"] / row["of"])
    return {
        "batteries": batteries,
        "gaps": gaps,
        "sending": [
            {**place, "how": each.sending.value} for each, place in mounted if each.sending is not Sending.WELL
        ],
        "clocks": [
            {**place, "offset": round(each.clock.offset), "per_day": each.clock.per_day}
            for each, place in mounted
            if each.clock is not None and each.clock.wrong
        ],
        "radio": [
            {**place, "margin": round(each.radio.outlook.margin, 1), "change": round(each.radio.outlook.change, 1)}
            for each, place in mounted
            if each.radio is not None
            and each.radio.outlook is not None
            and each.radio.outlook.worse
            and each.radio.outlook.change is not None
        ],
    }


def stored(conn: Connection, municipality_id: int, week: date) -> dict[str, Any] | None:
    """The facts of a week as they were told; None where no letter was written."""
    row = conn.execute(
        "select facts from weekly_digest where municipality_id = %s and week = %s", (municipality_id, week)
    ).fetchone()
    return None if row is None else dict(row[0])


class Weekly:
    """Writes the letters. `mail` says whether mail is a channel of this town."""

    def __init__(self, clock: Clock, *, mail: bool = False) -> None:
        self._clock = clock
        self._mail = mail

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Looks until `stop` is set."""
        pause = min(_LOOK_SECONDS, max(1.0, 3600.0 / self._clock.speed))
        look_again(dsn, stop, name="weekly", look=self.look, seconds=pause)

    def look(self, conn: Connection) -> int:
        """Writes the letter of last week for every municipality where it is due and was not written; how many. The
        caller commits.
        """
        conn.execute("select pg_advisory_xact_lock(hashtext('alerts weekly'))")
        now = self._clock.now()
        written = 0
        for municipality_id, name, timezone in conn.execute(
            "select municipality_id, name, timezone from municipality order by municipality_id"
        ).fetchall():
            zone = ZoneInfo(timezone)
            monday = monday_of(now.astimezone(zone).date())
            if now < _midnight(monday, zone) + WRITTEN_AT:
                continue
            written += self._write(conn, municipality_id, name, monday - _WEEK, now)
        return written

    def _write(self, conn: Connection, municipality_id: int, name: str, week: date, now: datetime) -> bool:
        zone = _zone(conn, municipality_id)
        end = _midnight(week + _WEEK, zone)
        # A town that was not there in that week has nothing to tell of it.
        due = conn.execute(
            """
            select not exists (select from weekly_digest where municipality_id = %(town)s and week = %(week)s)
                   and exists (select from uplink where municipality_id = %(town)s and received_time < %(end)s)
            """,
            {"town": municipality_id, "week": week, "end": end},
        ).fetchone()
        if due is None or not due[0]:
            return False
        facts = week_facts(conn, municipality_id, week, end)
        row = conn.execute(
            "insert into weekly_digest (municipality_id, week, written_at, facts) values (%s, %s, %s, %s) "
            "returning weekly_digest_id",
            (municipality_id, week, now, json.dumps(facts, ensure_ascii=False)),
        ).fetchone()
        assert row is not None
        recipients = [("log", "digital")]
        if self._mail:
            recipients += [("mail", address) for address in addresses_of(conn, municipality_id, "digital")]
        subject = digest_words.subject(facts, name, simulated=self._clock.simulated)
        body = digest_words.body(facts, name, zone, simulated=self._clock.simulated)
        for channel, recipient in recipients:
            conn.execute(
                """
                insert into outbox
                    (municipality_id, weekly_digest_id, channel, recipient, subject, body, next_attempt_at)
                values (%s, %s, %s, %s, %s, %s, %s)
                """,
                (municipality_id, row[0], channel, recipient, subject, body, real_now()),
            )
        return True


def _zone(conn: Connection, municipality_id: int) -> ZoneInfo:
    row = conn.execute("select timezone from municipality where municipality_id = %s", (municipality_id,)).fetchone()
    assert row is not None, f"municipality {municipality_id} is not registered"
    return ZoneInfo(row[0])


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


_PLACES = """
select d.device_id, d.key, s.name, s.name_en
from device d join attachment a using (device_id) join station s using (station_id)
where d.municipality_id = %(town)s and a.attached_from <= %(until)s
  and (a.attached_to is null or a.attached_to > %(until)s)
order by s.station_id, d.device_id
"""
_OUTAGES = """
select a.cause,
       (select h.phenomenon_time from alert_history h where h.alert_id = a.alert_id and h.event = 'raised' limit 1),
       case when a.cleared_at < %(until)s then a.phenomenon_time end,
       (select count(distinct o.station_id) from outage_device o where o.alert_id = a.alert_id)
from alert a
where a.municipality_id = %(town)s and a.rule = 'outage' and a.raised_at < %(until)s
  and (a.cleared_at is null or a.cleared_at >= %(start)s)
  and not exists (select from alert_retraction r where r.alert_id = a.alert_id)
order by a.alert_id
"""
_SILENCES = """
select s.name, s.name_en,
       (select h.phenomenon_time from alert_history h where h.alert_id = a.alert_id and h.event = 'raised' limit 1),
       case when a.cleared_at < %(until)s then a.phenomenon_time end
from alert a join station s using (station_id)
where a.municipality_id = %(town)s and a.rule = 'silence' and a.mode = 'actual' and a.part_of is null
  and a.raised_at < %(until)s and (a.cleared_at is null or a.cleared_at >= %(start)s)
  and not exists (select from alert_retraction r where r.alert_id = a.alert_id)
order by a.alert_id
"""
_WORKS = """
select device_id, starts_at, ends_at, work from planned_work
where municipality_id = %(town)s and cancelled_at is null and ends_at > %(start)s and starts_at < %(next)s
order by starts_at, device_id
"""
