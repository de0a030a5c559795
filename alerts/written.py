"""The rules that staff write, judged: feed rows in, transitions out. A part of the evaluator's transaction.

Every rule that looks at something that was touched is judged again over its window, [t - lookback, newest]: t is the
oldest observation that came, but no older than a week before the newest one. Nothing is remembered between two turns,
so late observations, revisions, restarts and other evaluators lead to the same state. What is told of it: `telling`.

What was so only at moments that newer observations had overtaken when they became known, and was never an alert, is
listed (`late_excursion`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts import rule_words, still_false, wording
from alerts.beside import beside
from alerts.causes import WrittenCause
from alerts.late import Late, list_late
from alerts.observed import Place, mode_of
from alerts.recording import Recorder, notice_of
from alerts.rule_book import Rule, Version, rules_touching
from alerts.rule_series import Key, Site, Stream, read, sites, streams, where_of
from alerts.rules.columns import FOREVER, SECOND, Columns, micros, moment
from alerts.rules.condition import LONGEST, Compare, Series, sight
from alerts.rules.engine import Asked, Excursion, Judged, Standing, excursions, figures, first_over, judge, standings
from alerts.rules.telling import Told, written_steps
from alerts.rules.transition import Transition
from alerts.rules.withholding import Withheld
from alerts.rules.withholding import judged as still_waits
from alerts.shards import Shard
from alerts.withheld import Waiting, keep
from store import Connection
from store.arrays import array
from store.feed import Touched

KEEP = timedelta(days=7)
_KEEP = int(KEEP / timedelta(microseconds=1))
_MEMORY = int(timedelta(hours=6) / timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Target:
    """A rule at a station, in a mode: what can have one open alert. `main`: the series that its alert points to."""

    rule: Rule
    site: Site
    mode: str
    main: Stream
    asked: tuple[
        tuple[Version, dict[Series | int | str, Stream | tuple[int, int | str]], int, int], ...
    ]  # with valid from and to
    touched: int  # µs of the oldest of its observations that came
    behind: bool  # whether there are newer ones
    names: rule_words.Names  # of the other stations that it names

    @property
    def key(self) -> tuple[int, int, str]:
        return self.rule.rule_id, self.site.place.station_id, self.mode


class _Window(NamedTuple):
    """A version of a target's rule, valid in [`start`, `until`), as it is judged from `since` on; µs."""

    target: int  # which of them
    version: Version
    where: dict[Series | int | str, Stream | tuple[int, int | str]]
    since: int
    start: int
    until: int


@dataclass(frozen=True, slots=True)
class _Alert:
    """An open one; `time` of the observation that moved it last, `told` whether anybody was told, else why not yet."""

    alert_id: int
    time: datetime
    told: bool
    withheld: str | None = None
    withheld_at: datetime | None = None


def judge_written(recorder: Recorder, touched: Iterable[Touched], shard: Shard, *, simulated: bool) -> None:
    """Judges the rules that look at what was touched, at the stations of a shard."""
    conn = recorder.conn
    targets = _targets(conn, list(touched), shard)
    if not targets:
        return
    alerts, before = _alerts(conn, targets), _before(conn, targets)
    targets = [
        replace(each, behind=True) if each.key in before and micros(before[each.key][0]) >= each.touched else each
        for each in targets
    ]
    windows = _windows(targets)
    columns, places = _read(conn, windows)
    asked, owner = _asked(targets, windows, places), [each.version for each in windows]
    judged = judge(columns, asked)
    quiet = {key: cleared for key, (_, cleared) in before.items() if cleared is not None}
    not_before = {n: micros(quiet[target.key]) for n, target in enumerate(targets) if target.key in quiet}
    not_before |= _still_false(recorder, targets, alerts, judged)
    found = excursions(judged, not_before=not_before)
    for n, standing in sorted(standings(judged, not_before=not_before).items()):
        alert = alerts.get(targets[n].key)
        ended = None
        if alert is not None:
            ended = next((each.end for each in found.get(n, ()) if each.end and each.end >= alert.time), None)
        _step(recorder, targets[n], standing, ended, asked, owner, columns, alert, simulated)
    _list_late(recorder, targets, found, asked, columns)


def _still_false(
    recorder: Recorder, targets: Sequence[Target], alerts: Mapping[tuple[int, int, str], _Alert], judged: Judged
) -> dict[int, int]:
    """Until when nothing counts of the targets whose alert was false: until it was over, else for ever."""
    rows = still_false.standing(recorder.conn, "written")
    known = {(each.rule_id, each.station_id, each.mode): each for each in rows}
    retracted = {
        n: known[target.key]
        for n, target in enumerate(targets)
        if target.key not in alerts
        and target.key in known
        and known[target.key].datastream_id == target.main.datastream_id
    }
    over = first_over(judged, {n: micros(each.at) for n, each in retracted.items()})
    for n, time in over.items():
        still_false.count_again(recorder, retracted[n], moment(time))
    return {n: over.get(n, FOREVER) for n in retracted}


def over(recorder: Recorder, held: Iterable[Waiting]) -> list[Touched]:
    """The series of those alerts of the staff's rules that need not wait any more, or wait for something else now: to
    be judged again.
    """
    found = []
    for each in held:
        time, since = each.alert.phenomenon_time, each.alert.withheld_at
        if _waits(recorder, each.place, each.mode, each.datastream_id, time, since)[0] != each.alert.withheld:
            found.append(Touched(each.datastream_id, time, recorder.now))
    return found


def _waits(
    recorder: Recorder, place: Place, mode: str, datastream_id: int, time: datetime, since: datetime | None
) -> tuple[Withheld | None, datetime | None]:
    """Why people are not told yet of what is so at the observation of `time`, and the end of the work it is from."""
    around = beside(recorder, place, mode, datastream_id, None, time)
    return still_waits(None, None, since or recorder.now, recorder.now, around)[0], around.worked_until


def _step(
    recorder: Recorder,
    target: Target,
    standing: Standing,
    ended: datetime | None,
    asked: Sequence[Asked],
    owner: Sequence[Version],
    columns: Columns,
    alert: _Alert | None,
    simulated: bool,
) -> None:
    version, place = owner[standing.asked], target.site.place
    reason = worked_until = None
    if standing.so_now and (alert is None or not alert.told):
        since = None if alert is None else alert.withheld_at
        series = target.main.datastream_id
        reason, worked_until = _waits(recorder, place, target.mode, series, standing.time, since)
    steps = written_steps(
        standing,
        None if alert is None else Told(None, 0 if alert.told else None),
        recorder.now,
        target.site.tell_within,
        f"alert_rule_version:{version.version_id}",
        ended,
        reason,
        worked_until,
    )
    if not steps:
        if alert is not None:
            keep(recorder, place.municipality_id, alert.alert_id, alert.withheld, reason, anew=False)
        return
    measured = figures(columns, asked[standing.asked], steps[0][0].time)[0]
    value = measured[0][1] if measured else None
    cause = WrittenCause(
        target.site.place,
        "written",
        target.mode,
        target.main.datastream_id,
        rule_id=target.rule.rule_id,
        severity=version.severity,
    )
    alert_id = recorder.record(
        cause,
        None if alert is None else alert.alert_id,
        [
            (
                replace(step, value=value),
                _notice(recorder, cause, step, version, measured, target.names, simulated) if tell else None,
            )
            for step, tell in steps
        ],
    )
    if alert_id is not None:
        keep(recorder, place.municipality_id, alert_id, None if alert is None else alert.withheld, reason, anew=False)


def _notice(
    recorder: Recorder,
    cause: WrittenCause,
    step: Transition,
    version: Version,
    measured: Sequence[tuple[Compare, float | None, float | None]],
    names: rule_words.Names,
    simulated: bool,
) -> wording.Notice:
    return replace(
        notice_of(cause, step, simulated=simulated),
        age=recorder.now - step.time,
        written=rule_words.Said(
            version.name,
            version.severity,
            (rule_words.condition(version.body, "ja", names), rule_words.condition(version.body, "en", names)),
            tuple(
                (rule_words.figure(compare, left, "ja", names), rule_words.figure(compare, left, "en", names))
                for compare, left, _ in measured
            ),
        ),
    )


def _targets(conn: Connection, touched: Sequence[Touched], shard: Shard) -> list[Target]:
    times: dict[int, Touched] = {}
    for each in touched:
        known = times.get(each.datastream_id, each)
        times[each.datastream_id] = Touched(each.datastream_id, min(known.start, each.start), max(known.end, each.end))
    if not times:
        return []
    stations = [
        row[0]
        for row in conn.execute(
            "select distinct station_id from datastream where datastream_id = any(%s::integer[])", (array(times),)
        )
    ]
    rules = rules_touching(conn, stations)
    if not rules:
        return []
    known_sites = sites(conn, {rule.municipality_id for rule in rules})
    by_code: dict[int, dict[str, int]] = {}
    names: dict[int, dict[str, tuple[str, str]]] = {}
    for station_id, site in known_sites.items():
        by_code.setdefault(site.place.municipality_id, {})[site.code] = station_id
        names.setdefault(site.place.municipality_id, {})[site.code] = (site.place.name, site.place.name_en)
    at: list[tuple[Rule, list[int]]] = [
        (rule, [each for each in _stations(rule, known_sites) if shard.mine(each)]) for rule in rules
    ]
    needed = {each for _, here in at for each in here}
    for rule in rules:
        named = {s.station for v in rule.versions for s in sight(v.body).series if s.station is not None}
        codes = by_code[rule.municipality_id]
        needed |= {codes[code] for code in named if code in codes}
    series = streams(conn, needed)
    touched_runs = {each.run for here in series.values() for each in here if each.datastream_id in times}
    # Two drills at one station have one cause: the later one is judged.
    runs = sorted(touched_runs, key=lambda name: name or "")
    targets: dict[tuple[int, int, str], Target] = {}
    for rule, here in at:
        codes, said = by_code[rule.municipality_id], names[rule.municipality_id]
        for station_id in here:
            for run in runs:
                target = _target(rule, known_sites[station_id], run, series, codes, times, said)
                if target is not None:
                    targets[target.key] = target
    return list(targets.values())


def _stations(rule: Rule, known: Mapping[int, Site]) -> list[int]:
    if rule.station_id is not None:
        return [rule.station_id]
    return [
        station_id
        for station_id, site in known.items()
        if site.place.municipality_id == rule.municipality_id and site.place.kind == rule.kind
    ]


def _target(
    rule: Rule,
    site: Site,
    run: str | None,
    known: Mapping[int, Sequence[Stream]],
    by_code: Mapping[str, int],
    touched: Mapping[int, Touched],
    names: rule_words.Names,
) -> Target | None:
    """None where nothing of it was touched, nothing of it exists there, or what came is older than a week."""
    # Asked of every rule of a town in every turn: plain loops, and nothing that a rule without a drill does not need.
    versions = []
    mine: dict[int, Stream] = {}
    main = None
    begins = [micros(each.valid_from) for each in rule.versions]
    begins.append(FOREVER)
    for n, version in enumerate(rule.versions):
        where = where_of(version.body, site.place.station_id, run, known, by_code)
        heard = False
        for found in where.values():
            if isinstance(found, Stream):
                mine[found.datastream_id] = found
                heard = True
        if heard:
            main = next((where[s] for s in sight(version.body).series if s in where), main)
        versions.append((version, where, begins[n], begins[n + 1]))
    came = [touched[each] for each in mine if each in touched]
    if not came or not isinstance(main, Stream):
        return None
    if run is not None:
        own_run = [each for each in mine.values() if each.run == run]
        if not any(each.datastream_id in touched for each in own_run):
            return None
        # A trial is of one station: what others say of it is nobody's to test.
        if mode_of(run) == "test" and not any(each.station_id == site.place.station_id for each in own_run):
            return None
    newest = max([each.newest for each in mine.values() if each.newest is not None], default=None)
    if newest is None or micros(max([each.end for each in came])) < newest - _KEEP:
        return None
    since = max(micros(min([each.start for each in came])), newest - _KEEP)
    return Target(rule, site, mode_of(run), main, tuple(versions), since, since < newest, names)


def _windows(targets: Sequence[Target]) -> list[_Window]:
    """What is judged of each version: what it needs to last and to be over before the first observation that came.
    Where something came behind what was known, or may have changed what decided, also what decided before.
    """
    found = []
    for n, target in enumerate(targets):
        since = target.touched - (_MEMORY if target.behind else 0)
        for version, where, start, until in target.asked:
            body = version.body
            begin = since - (body.lasting + body.hold) * SECOND
            if until > begin:
                found.append(_Window(n, version, where, begin, start, until))
    return found


def _read(conn: Connection, windows: Iterable[_Window]) -> tuple[Columns, dict[Key, int]]:
    wanted: dict[int, tuple[Stream, int]] = {}
    levels: set[tuple[int, int | str]] = set()
    for each in windows:
        back = each.since - min(sight(each.version.body).lookback, 3 * LONGEST) * SECOND
        for found in each.where.values():
            if isinstance(found, tuple):
                levels.add(found)
                continue
            # Three steps more: the reading before the first one, with one that may be lost.
            start = back - 3 * found.step
            known = wanted.get(found.datastream_id)
            if known is None or start < known[1]:
                wanted[found.datastream_id] = found, start
    return read(conn, wanted, levels)


def _asked(targets: Sequence[Target], windows: Iterable[_Window], places: Mapping[Key, int]) -> list[Asked]:
    return [
        Asked(
            each.target,
            each.version.body,
            {
                name: places.get(found if isinstance(found, tuple) else found.datastream_id, -1)
                for name, found in each.where.items()
            },
            each.since,
            each.start,
            each.until,
            each.version.active,
            targets[each.target].site.place.timezone,
            sight(each.version.body).shape,
        )
        for each in windows
    ]


def _alerts(conn: Connection, targets: Sequence[Target]) -> dict[tuple[int, int, str], _Alert]:
    """(rule, station, mode) -> its open alert, all of them locked, and whether anybody was told."""
    rows = conn.execute(
        """
        select alert_rule_id, station_id, mode, alert_id, phenomenon_time, withheld, withheld_at from alert
        where alert_rule_id = any(%s::integer[]) and cleared_at is null order by alert_id for update
        """,
        (array(sorted({each.rule.rule_id for each in targets})),),
    ).fetchall()
    told = {
        row[0]
        for row in conn.execute(
            """
            select h.alert_id from alert_history h
            where h.alert_id = any(%s) and h.phenomenon_time is not null
              and exists (select from outbox o where o.alert_history_id = h.alert_history_id)
            """,
            ([row[3] for row in rows],),
        )
    }
    return {(row[0], row[1], row[2]): _Alert(row[3], row[4], row[3] in told, *row[5:]) for row in rows}


def _before(
    conn: Connection, targets: Sequence[Target]
) -> dict[tuple[int, int, str], tuple[datetime, datetime | None]]:
    """(rule, station, mode) -> the newest observation that moved an alert of it, and when a person cleared one last."""
    return {
        (row[0], row[1], row[2]): (row[3], row[4])
        for row in conn.execute(
            """
            select alert_rule_id, station_id, mode, max(phenomenon_time),
                   greatest(max(cleared_at) filter (where cleared_by is not null), max(r.counts_again_at))
            from alert left join alert_retraction r using (alert_id)
            where alert_rule_id = any(%s::integer[]) group by 1, 2, 3
            """,
            (array(sorted({each.rule.rule_id for each in targets})),),
        )
    }


def _list_late(
    recorder: Recorder,
    targets: Sequence[Target],
    excursions_: Mapping[int, Sequence[Excursion]],
    asked: Sequence[Asked],
    columns: Columns,
) -> None:
    for n, found in excursions_.items():
        target = targets[n]
        place = target.site.place
        late = []
        for each in found:
            if each.end is None or micros(each.last) < target.touched:
                continue
            measured = figures(columns, asked[each.asked], each.last)[0]
            value = measured[0][1] if measured else None
            cause = place.municipality_id, place.station_id, target.main.datastream_id, target.rule.rule_id, target.mode
            late.append(Late(*cause, each.start, each.last, value))
        list_late(recorder.conn, late, recorder.now)
