"""What is not real now, as the other pages show it: the drill that runs and the stations in trial, beside what is real,
marked, and never in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.pages.disaster import Threshold, thresholds_at
from api.pages.readings import contact_word
from devices.model import ObservedProperty, Quality, StationKind
from store.connection import Connection
from store.drills import running
from store.trials import Trial, open_trials


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a station says in a drill (`mode` exercise) or in a trial (test); `value` and `time` None before its first
    reading. `badge` as a gauge's, of water levels only.
    """

    mode: str
    datastream_id: int
    station_id: int
    code: str
    kind: StationKind
    name: str
    name_en: str
    observed_property: str
    unit: str
    value: float | None
    time: datetime | None
    quality: Quality | None
    thresholds: tuple[Threshold, ...]

    @property
    def contact(self) -> str | None:
        """Which word a contact reads as; None of what is read as a number."""
        return contact_word(self.observed_property, self.value)

    @property
    def badge(self) -> str:
        if self.value is None:
            return "unknown"
        if not self.thresholds:
            return "none"
        return str(max((each.level for each in self.thresholds if each.value <= self.value), default=0))


@dataclass(frozen=True, slots=True)
class TrialNow:
    """A trial that lasts, and what came in it so far."""

    trial: Trial
    shadows: Sequence[Shadow]
    long_open: bool


@dataclass(frozen=True, slots=True)
class Apart:
    """What runs beside the real: of the drill its series, and the trials."""

    drill: Sequence[Shadow] = ()
    trials: Sequence[TrialNow] = ()

    def levels(self) -> dict[str, Shadow]:
        """The drill's water levels by station code."""
        return {each.code: each for each in self.drill if each.observed_property == ObservedProperty.WATER_LEVEL}

    def others(self, kinds: Collection[StationKind]) -> list[Shadow]:
        """The drill's other series of stations of these kinds."""
        return [
            each for each in self.drill if each.kind in kinds and each.observed_property != ObservedProperty.WATER_LEVEL
        ]

    def trials_of(self, kinds: Collection[StationKind]) -> list[TrialNow]:
        """The trials of stations of these kinds."""
        return [each for each in self.trials if StationKind(each.trial.kind) in kinds]

    def at(self, code: str) -> Apart:
        """The same of one station."""
        return Apart(
            [each for each in self.drill if each.code == code],
            [each for each in self.trials if each.trial.code == code],
        )


def kinds_of(desk: str) -> frozenset[StationKind]:
    """What a desk watches."""
    return frozenset(kind for kind in StationKind if kind.desk == desk)


def apart_now(conn: Connection, municipality_id: int, now: datetime) -> Apart:
    """What is not real at this moment."""
    drill, trials = running(conn, municipality_id), open_trials(conn, municipality_id, now)
    if drill is None and not trials:
        return Apart()
    levels = thresholds_at(conn, now)
    runs = {f"trial:{each.trial_id}": each for each in trials}
    by_run: dict[str, list[Shadow]] = {}
    drill_run = None if drill is None else f"drill:{drill.drill_id}"
    for run, series, station, code, kind, *names, observed, unit, value, time, quality in conn.execute(
        _SHADOWS, ([*runs, drill_run],)
    ):
        by_run.setdefault(run, []).append(
            Shadow(
                "test" if run in runs else "exercise",
                series,
                station,
                code,
                StationKind(kind),
                names[0],
                names[1],
                observed,
                unit,
                value,
                time,
                None if quality is None else Quality(quality),
                levels.get(station, ()) if observed == ObservedProperty.WATER_LEVEL else (),
            )
        )
    return Apart(
        by_run.get(drill_run or "", ()),
        [TrialNow(each, by_run.get(run, ()), each.long_open(now)) for run, each in runs.items()],
    )


_SHADOWS = """
select d.drill_run, d.datastream_id, d.station_id, s.code, s.kind, s.name, s.name_en,
       d.observed_property, d.unit, l.value, l.phenomenon_time, l.quality::text
from datastream d join station s using (station_id) left join datastream_latest l using (datastream_id)
where d.drill_run = any(%s::text[]) order by d.station_id, d.datastream_id
"""
