"""What a rule would have done: its times in the stored observations, before anybody saves it.

    rehearse(conn, municipality_id, body, station_id=..., kind=..., start=..., end=..., tenant=True)

Judged as the evaluator judges, by the same engine, as if everything had come in time and nobody had cleared anything.
Cost: about what it takes to read the observations; a year of one station at ten minutes takes a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import rule_words
from alerts.rule_series import Site, Stream, read, sites, streams, where_of
from alerts.rules.columns import SECOND, micros
from alerts.rules.condition import Body, lookback, series_of
from alerts.rules.engine import Asked, Excursion, excursions, figures, judge
from devices.model import StationKind
from store import Connection

YEAR = timedelta(days=365)
MOST_STATIONS = 30
MOST_SHOWN = 100  # times of one station that are told with their figures


@dataclass(frozen=True, slots=True)
class Fired:
    """One time: from the first moment at which it was so to the one that ended it (None: it lasts). `figures`: what
    was compared when it began, in Japanese and English.
    """

    start: datetime
    last: datetime
    end: datetime | None
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Played:
    """What the rule would have done at one station. `n` times, of which `fired` are the newest. `judged` moments at
    which something was observed, from `first` on (None: nothing was); `missing`: the series and named levels that the
    station lacks.
    """

    site: Site
    n: int
    fired: tuple[Fired, ...]
    judged: int
    first: datetime | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`left_out`: stations of the kind beyond the most that are rehearsed at once."""

    start: datetime
    end: datetime
    stations: tuple[Played, ...]
    left_out: int

    @property
    def n(self) -> int:
        return sum(each.n for each in self.stations)


def rehearse(
    conn: Connection,
    municipality_id: int,
    body: Body,
    *,
    station_id: int | None = None,
    kind: StationKind | None = None,
    start: datetime,
    end: datetime,
    tenant: bool = False,
) -> Rehearsal:
    """Plays a rule of one station, or of all of a kind, over the observations from `start` to `end`."""
    known = sites(conn, [municipality_id])
    here = [each for key, each in known.items() if key == station_id or (kind is not None and each.place.kind == kind)]
    left_out, here = max(0, len(here) - MOST_STATIONS), here[:MOST_STATIONS]
    codes = {site.code: key for key, site in known.items()}
    names = {site.code: (site.place.name, site.place.name_en) for site in known.values()}
    named = {codes[s.station] for s in series_of(body) if s.station in codes}
    series = streams(conn, {each.place.station_id for each in here} | named)
    since = micros(start)
    back = since - lookback(body) * SECOND
    wanted: dict[int, tuple[Stream, int]] = {}
    levels: set[tuple[int, int | str]] = set()
    wheres = []
    for site in here:
        where = where_of(body, site.place.station_id, None, series, codes)
        wheres.append(where)
        for found in where.values():
            if isinstance(found, tuple):
                levels.add(found)
            else:
                wanted[found.datastream_id] = (found, back - 3 * found.step)
    columns, places = read(conn, wanted, levels, tenant=tenant, until=micros(end))
    asked = [
        Asked(
            n,
            body,
            {
                key: places.get(each if isinstance(each, tuple) else each.datastream_id, -1)
                for key, each in where.items()
            },
            since,
            zone=site.place.timezone,
        )
        for n, (site, where) in enumerate(zip(here, wheres, strict=True))
    ]
    judged = judge(columns, asked)
    found_at = excursions(judged)
    played = []
    for n, (site, where) in enumerate(zip(here, wheres, strict=True)):
        times = judged.time[judged.cause == n]
        missing = tuple(
            f"{s.station or site.code}/{s.observed_property}" for s in dict.fromkeys(series_of(body)) if s not in where
        ) + tuple(
            f"{site.code}: {key}"
            for key, found in where.items()
            if isinstance(key, str) and isinstance(found, tuple) and not columns.ever_known(places[found])
        )
        all_ = found_at.get(n, [])
        newest = all_[-MOST_SHOWN:]
        measured = figures(columns, asked[n], [each.start for each in newest]) if newest else []
        played.append(
            Played(
                site,
                len(all_),
                tuple(_fired(each, said, names) for each, said in zip(newest, measured, strict=True))[::-1],
                times.size,
                start + timedelta(microseconds=int(times[0]) - since) if times.size else None,
                missing,
            )
        )
    return Rehearsal(start, end, tuple(played), left_out)


def _fired(excursion: Excursion, measured: list, names: rule_words.Names) -> Fired:  # type: ignore[type-arg]
    said = tuple(
        (rule_words.figure(compare, left, "ja", names), rule_words.figure(compare, left, "en", names))
        for compare, left, _ in measured
    )
    return Fired(excursion.start, excursion.last, excursion.end, said)
