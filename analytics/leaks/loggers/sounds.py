"""A town's sound loggers: their nights in `night_sound`, what came to stay, and on which pipes to look for it.

    recompute(conn, touched)                        keeps `night_sound` equal to the observations
    last_over(timezone, now) -> day                 the newest night that is over
    ears(conn, town, day) -> [Ear, ...]             every sound logger after its nights up to a day
    state(conn, town, day)                          changes when something does that `judge` would see
    judge(conn, town, timezone, now) -> Changes     findings `leak_sound`, opened, moved on or ended

Loud loggers that hear the same noise, as far as a noise reaches along the pipes, are one finding; it stands at the one
that is the most above its usual night, and stays there while that one is loud. Its pipes are those from which the noise
can come (`analytics.leaks.sound.spans`), together with an open suspect by pressures that names some of the same pipes
(`analytics.leaks.location.evidence`). A logger that nobody has placed is told of all the same, without pipes.

What was repaired or ended without a leak is learned anew from the day after, so the noise of a new pump is usual then.
A logger that is silent is no quiet one: it proves nothing, ends nothing, and the page says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.findings import Changes, Finding, Kind, end, open_or_update
from analytics.leaks.cases import stored as cases
from analytics.leaks.location.evidence import Area as Found
from analytics.leaks.location.evidence import Evidence, combined
from analytics.leaks.loggers import places, stored
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Floats, Ints, Network
from analytics.leaks.night_alarm import Night
from analytics.leaks.night_flow import night_of
from analytics.leaks.nights import nights_touched, usable
from analytics.leaks.sound.nights import RULE_VERSION, Heard, heard, night_level
from analytics.leaks.sound.spans import AUDIBLE, TOGETHER, reaches, spans
from store import Connection
from store.feed import Touched
from store.observations import series

KIND: Kind = "leak_sound"
SILENT_DAYS = 3  # without a valid night: where it stands, nobody listens
_MEMORY = timedelta(days=400)
_SAME_PLACE = 0.25  # of a suspect's chances that is on pipes from which the noise can come


@dataclass(frozen=True, slots=True)
class Ear:
    """A sound logger. `element` where somebody put it on the pipes, '' nowhere; `told`: it has an open finding."""

    station_id: int
    datastream_id: int
    name: str
    name_en: str
    element: str
    heard: Heard
    told: bool
    day: date

    @property
    def loud(self) -> bool:
        return self.heard.since is not None

    @property
    def silent(self) -> bool:
        """No valid night lately, or never."""
        return self.heard.newest is None or (self.day - self.heard.newest).days >= SILENT_DAYS

    @property
    def state(self) -> str:
        """never, silent, loud, learning, usual: what the page says of it."""
        if self.heard.newest is None:
            return "never"
        if self.silent:
            return "silent"
        return "loud" if self.loud else "learning" if self.heard.usual is None else "usual"


# --- nights


def recompute(conn: Connection, touched: Iterable[Touched]) -> None:
    """Computes anew every night that a touched range reaches into; of a logger with one figure a day, every day."""
    ranges = list(touched)
    known = {
        row[0]: row[1:]
        for row in conn.execute(
            """
            select d.datastream_id, d.municipality_id, d.step, m.timezone
            from datastream d join municipality m using (municipality_id)
            where d.datastream_id = any(%s) and d.observed_property = 'leak_sound' and d.drill_run is null
            """,
            (sorted({each.datastream_id for each in ranges}),),
        )
    }
    nights = {
        (each.datastream_id, day)
        for each in ranges
        if each.datastream_id in known
        for day in _days(each, *known[each.datastream_id][1:])
    }
    for datastream_id, day in sorted(nights):
        town, step, timezone = known[datastream_id]
        _recompute(conn, town, datastream_id, day, step, timezone)


def _whole(step: timedelta, timezone: str) -> bool:
    """Whether a logger of this step sends one figure for a night."""
    start, end = night_of(date(2000, 1, 1), timezone)
    return step > end - start


def _days(touched: Touched, step: timedelta, timezone: str) -> list[date]:
    if not _whole(step, timezone):
        return list(nights_touched(touched, timezone))
    zone = ZoneInfo(timezone)
    first, last = (each.astimezone(zone).date() for each in (touched.start, touched.end))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _recompute(
    conn: Connection, municipality_id: int, datastream_id: int, day: date, step: timedelta, timezone: str
) -> None:
    start, over = night_of(day, timezone)
    length = over - start
    if _whole(step, timezone):  # sent in the morning, or when the collector drove by
        zone = ZoneInfo(timezone)
        start, over = (
            datetime(each.year, each.month, each.day, tzinfo=zone) for each in (day, day + timedelta(days=1))
        )
    found = series(conn, [datastream_id], start, over - timedelta(microseconds=1))[datastream_id]
    if not found.times:
        conn.execute("delete from night_sound where datastream_id = %s and day = %s", (datastream_id, day))
        return
    level, completeness = night_level(usable(found), step, length)
    conn.execute(
        """
        insert into night_sound as r (municipality_id, datastream_id, day, level, completeness)
        values (%s, %s, %s, %s, %s)
        on conflict (datastream_id, day) do update set (level, completeness) = (excluded.level, excluded.completeness)
            where (r.level, r.completeness) is distinct from (excluded.level, excluded.completeness)
        """,
        (municipality_id, datastream_id, day, level, completeness),
    )


def last_over(timezone: str, now: datetime) -> date:
    """The local day whose night is over at `now`.

    >>> last_over("Asia/Tokyo", datetime.fromisoformat("2026-06-02T04:30:00+09:00")).isoformat()
    '2026-06-01'
    """
    today = now.astimezone(ZoneInfo(timezone)).date()
    return today if night_of(today, timezone)[1] <= now else today - timedelta(days=1)


def towns(conn: Connection) -> list[tuple[int, str]]:
    """Those with a sound logger, and their timezones."""
    return conn.execute(
        """
        select municipality_id, timezone from municipality m where exists (
            select from datastream d where d.municipality_id = m.municipality_id
               and d.observed_property = 'leak_sound' and d.drill_run is null)
        order by municipality_id
        """
    ).fetchall()


def state(conn: Connection, municipality_id: int, day: date) -> object:
    """Equal to that of before where `judge` would say the same: nights, places, network, suspects, cases."""
    return conn.execute(
        """
        select %(day)s::date,
               (select (count(*), count(level), sum(level))::text from night_sound
                where municipality_id = %(town)s and day <= %(day)s),
               (select (count(*), max(said_at))::text from logger_place where municipality_id = %(town)s),
               (select max(taken_at)::text from pipe_network where municipality_id = %(town)s),
               (select (max(finding_id), count(*) filter (where ended_at is null))::text from finding
                where municipality_id = %(town)s and kind in ('leak_suspect', 'leak_sound')),
               (select count(*) from leak_case_step where municipality_id = %(town)s)
        """,
        {"town": municipality_id, "day": day},
    ).fetchone()


def ears(conn: Connection, municipality_id: int, day: date) -> list[Ear]:
    """By name; one of each station."""
    settled = _settled(conn, municipality_id)
    found = []
    for station, number, name, name_en, element, told, days, levels in conn.execute(
        """
        select distinct on (s.name, s.station_id)
               s.station_id, d.datastream_id, s.name, s.name_en, coalesce(p.element, ''),
               exists (select from finding f where f.station_id = s.station_id and f.kind = 'leak_sound'
                       and f.ended_at is null),
               coalesce(n.days, '{}'), coalesce(n.levels, '{}')
        from datastream d join station s using (station_id)
        left join logger_place p using (station_id)
        left join lateral (
            select array_agg(day order by day) as days, array_agg(level order by day) as levels from night_sound
            where datastream_id = d.datastream_id and day between %(first)s and %(day)s
        ) n on true
        where s.municipality_id = %(town)s and d.observed_property = 'leak_sound' and d.drill_run is null
        order by s.name, s.station_id, d.datastream_id
        """,
        {"town": municipality_id, "day": day, "first": day - _MEMORY},
    ):
        nights = [Night(each, level) for each, level in zip(days, levels, strict=True)]
        found.append(Ear(station, number, name, name_en, element, heard(nights, settled.get(station)), told, day))
    return found


def _settled(conn: Connection, municipality_id: int) -> dict[int, date]:
    """By station, all that heard it, the day on which the last noise was repaired or said to be none."""
    stations = {
        row[0]: (row[1]["stations"], ZoneInfo(row[2]))
        for row in conn.execute(
            """
            select f.finding_id, f.detail, m.timezone from finding f join municipality m using (municipality_id)
            where f.municipality_id = %s and f.kind = %s
            """,
            (municipality_id, KIND),
        )
    }
    found: dict[int, date] = {}
    for case in cases.cases(conn, municipality_id) if stations else ():
        last = case.settled
        if last is not None and case.finding_id in stations:
            several, zone = stations[case.finding_id]
            for station in several:
                found[station] = max(found.get(station, date.min), last.at.astimezone(zone).date())
    return found


# --- findings


@dataclass(frozen=True, slots=True)
class _Noise:
    """The loggers that hear one noise, the finding's first. `area`: None where it cannot be said; `used`: loggers that
    it was judged by, `silent`: others near it that nobody hears of; `pressures`: a suspect of theirs speaks for it."""

    members: tuple[Ear, ...]
    network_id: int | None = None
    area: Found | None = None
    domain: Ints | None = None
    used: int = 1
    silent: int = 0
    pressures: bool = False


def judge(conn: Connection, municipality_id: int, timezone: str, now: datetime) -> Changes:
    """What changed, which is still to be announced."""
    known = ears(conn, municipality_id, last_over(timezone, now))
    loud = sorted(
        (each for each in known if each.loud), key=lambda each: (not each.told, -_excess(each), each.station_id)
    )
    if not loud and not any(each.told for each in known):
        return []
    noises = _noises(conn, municipality_id, known, loud)
    changes: Changes = []
    first = {each.members[0].station_id for each in noises}
    for each in known:
        if each.told and each.station_id not in first:
            ended = each.heard.ended
            changes += end(conn, each.station_id, KIND, now if ended is None else night_of(ended, timezone)[1])
    for noise in noises:
        new = open_or_update(conn, _finding(municipality_id, noise, timezone))
        changes += new
        if noise.area is not None and noise.domain is not None and noise.network_id is not None:
            for _, finding_id in new:
                pipes = noise.domain[noise.area.pipes]
                stored.put_area(
                    conn, municipality_id, finding_id, noise.network_id, noise.members[0].day, int(pipes[0]), pipes,
                    noise.area.probability[noise.area.pipes],
                )  # fmt: skip
    return changes


def _excess(each: Ear) -> float:
    assert each.heard.level is not None and each.heard.usual is not None, "what is loud has both"
    return each.heard.level - each.heard.usual.median


def _noises(conn: Connection, municipality_id: int, known: Sequence[Ear], loud: Sequence[Ear]) -> list[_Noise]:
    network_id = networks.present(conn, municipality_id) if loud else None
    if network_id is None:
        return [_Noise((each,)) for each in loud]
    network = networks.network_of(conn, municipality_id, network_id)
    where = places.located(network, places.stations(conn, municipality_id)).node
    placed = [each for each in known if each.station_id in where]
    at = {each.station_id: n for n, each in enumerate(placed)}
    nodes = np.array([where[each.station_id] for each in placed], dtype=np.int64)
    reach = reaches(network, nodes) if len(nodes) else np.zeros((0, len(network.nodes)))
    suspected = _suspected(conn, municipality_id, network_id, len(network.pipes))
    noises: list[_Noise] = []
    left = list(loud)
    while left:
        lead = left.pop(0)
        row = at.get(lead.station_id)
        if row is None:
            noises.append(_Noise((lead,)))
            continue
        near = {each.station_id for each in placed if reach[row, nodes[at[each.station_id]]] <= TOGETHER}
        members = (lead, *(each for each in left if each.station_id in near))
        left = [each for each in left if each.station_id not in near]
        beside = [each for each in placed if each.station_id in near]
        noises.append(_located(network, network_id, members, beside, reach, at, suspected))
    return noises


def _located(
    network: Network,
    network_id: int,
    members: tuple[Ear, ...],
    beside: Sequence[Ear],
    reach: Floats,
    at: Mapping[int, int],
    suspected: Sequence[Floats],
) -> _Noise:
    """`beside`: the placed loggers that may hear what the first of the members hears, itself with them."""
    used = [each for each in beside if each.heard.level is not None and each.heard.usual is not None]
    used = [each for each in used if each.loud or not each.silent]
    own, from_lead = network.pipes, reach[at[members[0].station_id]]
    domain = np.flatnonzero(np.minimum(from_lead[own.start], from_lead[own.end]) <= AUDIBLE)
    if not len(domain):  # it was placed where no pipe is
        return _Noise(members)
    rows = [at[each.station_id] for each in used]
    levels = np.array([each.heard.level for each in used], dtype=np.float64)
    usual = np.array([each.heard.usual.median for each in used if each.heard.usual is not None])
    sound = np.zeros(len(own))
    sound[domain] = spans(network, reach[rows], levels, usual, domain)
    beside_it = [(float(each[domain].sum()), n) for n, each in enumerate(suspected)]
    share, best = max(beside_it, default=(0.0, 0))
    together = [sound]
    if share >= _SAME_PLACE:
        together.append(suspected[best])
        domain = np.flatnonzero((sound > 0) | (suspected[best] > 0))
    area = combined(own.length[domain], [Evidence(each[domain]) for each in together])
    silent = sum(each.silent and not each.loud for each in beside)
    return _Noise(members, network_id, area, domain, len(used), silent, len(together) > 1)


def _suspected(conn: Connection, municipality_id: int, network_id: int, count: int) -> list[Floats]:
    """(`count`,) chances of the pipes, of each open suspect by pressures on this version; summing to 1."""
    open_ = {
        row[0]
        for row in conn.execute(
            "select finding_id from finding where municipality_id = %s and kind = %s and ended_at is null",
            (municipality_id, stored.KIND),
        )
    }
    found = []
    for finding_id, area in stored.suspects(conn, municipality_id).items():
        if finding_id in open_ and area.network_id == network_id:
            chances = np.zeros(count)
            chances[list(area.pipes)] = area.chances
            found.append(chances / chances.sum())
    return found


def _finding(municipality_id: int, noise: _Noise, timezone: str) -> Finding:
    lead = noise.members[0]
    usual, level, since = lead.heard.usual, lead.heard.level, lead.heard.since
    assert usual is not None and level is not None and since is not None and lead.heard.newest is not None
    return Finding(
        municipality_id,
        lead.station_id,
        lead.datastream_id,
        KIND,
        night_of(since, timezone)[0],
        round(level, 1),
        round(usual.median, 1),
        round((level - usual.median) / (usual.limit - usual.median), 2),
        RULE_VERSION,
        {
            "limit": round(usual.limit, 1),
            "usual_nights": usual.nights,
            "nights": lead.heard.nights,
            "newest": lead.heard.newest.isoformat(),
            "stations": sorted(each.station_id for each in noise.members),
            "used": noise.used,
            "silent": noise.silent,
            "pressures": noise.pressures,
            "km": None if noise.area is None else round(noise.area.km, 2),
            "holds": None if noise.area is None else round(noise.area.holds, 2),
        },
    )
