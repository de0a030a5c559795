"""The evaluator: feed rows and the passing of time in, transitions out.

    observations committed -> feed -> `handle` -> level rule  -> alert, history, outbox, judged_to, feed, cursor
                                                  rules of the staff (`alerts.written`) -> the same without judged_to
    findings committed     -> feed -> `handle` -> finding rule -> alert, history, outbox, feed, cursor
    town clock             -> `listen`         -> outage and silence rules -> alert, history, outbox, feed
                           -> `release`        -> what waits, drills that are over -> the same
                                                  what waits -> the same

Each is one transaction. The evaluator remembers nothing: what was judged stands in `alert_judged`, what is open in
`alert`, the rest in the observations. So a restart, a second evaluator or a replay of the feed gives the same
history. Stations are dealt out to several evaluators (`alerts.shards`); two of one shard take turns on its cursor
(`handle`, `release`), all on an advisory lock (`listen`).

Late is what is older than the newest observation already judged of its datastream: it is shown and listed, not judged,
but it counts as evidence where the hold looks back. Of the observations of a batch, however many they are, people are
told once, of what stands at the newest (`alerts.rules.telling`). What one doubtful reading alone says, and what is said
while somebody works at a device, waits before it is told (`alerts.rules.withholding`); the clock lets it go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime

import structlog

from alerts import finding_words, observed, still_false, wording
from alerts.apart import close_ended, live
from alerts.beside import beside
from alerts.calm import pass_calm
from alerts.causes import Cause
from alerts.into_trial import tell_begun
from alerts.late import Late, list_late
from alerts.level_words import whose_of
from alerts.recording import Recorder, mark_judged, notice_of
from alerts.rules.finding import judge_finding
from alerts.rules.level import (
    REVISED,
    LevelRule,
    Newest,
    Observed,
    Stand,
    after,
    judge_level,
    judged_again,
    newest_of,
    reached,
    rule_at,
)
from alerts.rules.telling import Told, level_steps
from alerts.rules.transition import Event, Transition
from alerts.rules.withholding import Release
from alerts.shards import Shard
from alerts.silences import judge_silences
from alerts.withheld import DISMISSED, RELEASED, go_down, keep, release_silences, waiting
from alerts.written import judge_written, over
from devices.clock import Clock
from store import Connection
from store.feed import FeedRow, Touched, append_alerts

log = structlog.get_logger(__name__)

# Observations of each datastream judged at a time: years of history at once need not fit into memory.
_CHUNK = 2_000


class Evaluator:
    """All rules over the database. `mail` says whether notifications also go out by mail. `shard`: whose stations it
    judges; silence and outages are judged of all, by whoever looks.
    """

    def __init__(self, clock: Clock, *, mail: bool = False, shard: Shard | None = None) -> None:
        self._clock = clock
        self._mail = mail
        self._shard = shard or Shard()

    def handle(self, conn: Connection, rows: Sequence[FeedRow]) -> None:
        """Judges what the rows touched; the body of a feed consumer's transaction."""
        recorder = Recorder(conn, self._clock.now(), self._mail)
        touched = live(conn, [each for row in rows for each in row.touched], recorder.now)
        self._judge_levels(recorder, self._shard.own(conn, touched))
        # A person may have said what is true.
        self._release_levels(recorder, sorted({each for row in rows for each in row.alert_ids}))
        self._judge_written(recorder, touched)
        self._judge_findings(recorder, sorted({each for row in rows for each in row.finding_ids}))
        _announce(recorder)

    def _judge_levels(self, recorder: Recorder, touched: Sequence[Touched]) -> None:
        conn = recorder.conn
        if not touched:
            return
        late, revised = observed.judged_already(conn, touched), observed.revised(conn, touched)
        ids = {each.datastream_id for each in touched}
        ids = ids - pass_calm(conn, ids) | late.keys() | revised
        streams = observed.level_streams(conn, sorted(ids)) if ids else []
        if not streams:
            return
        rules = observed.level_rules(conn, {stream.place.station_id for stream in streams})
        list_late(conn, self._overtaken(streams, rules, late), recorder.now)
        self._judge_again(recorder, streams, rules, revised)
        while streams:
            # One more than is judged says whether there are more.
            new = observed.unjudged(conn, [stream.datastream_id for stream in streams], _CHUNK + 1)
            streams = [stream for stream in streams if stream.datastream_id in new]
            more = {datastream_id for datastream_id, found in new.items() if len(found) > _CHUNK}
            self._judge(recorder, streams, rules, {each: found[:_CHUNK] for each, found in new.items()}, more)
            streams = [stream for stream in streams if stream.datastream_id in more]

    def _judge_written(self, recorder: Recorder, touched: Sequence[Touched]) -> None:
        """A rule that cannot be judged, whatever the reason, must not keep the reference levels from being judged: what
        the rules of the staff have written is taken back then, and they are judged anew with the next observation.
        """
        before = {town: list(alert_ids) for town, alert_ids in recorder.touched.items()}
        try:
            with recorder.conn.transaction():
                judge_written(recorder, touched, self._shard, simulated=self._clock.simulated)
        except (ArithmeticError, LookupError, TypeError, ValueError, AssertionError):
            log.exception("the rules of the staff could not be judged")
            recorder.touched = before

    def _judge_findings(self, recorder: Recorder, finding_ids: Sequence[int]) -> None:
        for each in observed.findings(recorder.conn, finding_ids) if finding_ids else ():
            if not self._shard.mine(each.place.station_id):
                continue
            found = each.found
            alert = observed.open_alert(recorder.conn, each.place, found.kind, "actual")
            transitions = judge_finding(found, None if alert is None else alert.finding_id, self._clock.now())
            cause = Cause(each.place, found.kind, "actual", each.datastream_id, found.finding_id, each.group_id)
            recorder.record(
                cause, _id(alert), [(step, self._finding_notice(cause, each, step)) for step in transitions]
            )

    def tick(self, conn: Connection) -> None:
        """What the passing of time alone decides, at the town's present time; the body of a transaction."""
        recorder = Recorder(conn, self._clock.now(), self._mail)
        self._listen(recorder)
        self._release(recorder)
        _announce(recorder)

    def listen(self, conn: Connection) -> None:
        """Of `tick` outages and silence. With thousands of devices that takes long: no turn with `handle`."""
        recorder = Recorder(conn, self._clock.now(), self._mail)
        self._listen(recorder)
        _announce(recorder)

    def release(self, conn: Connection) -> None:
        """Of `tick` the rest: tells of what has waited long enough, and ends the alerts of drills and trials that are
        over.
        """
        recorder = Recorder(conn, self._clock.now(), self._mail)
        self._release(recorder)
        _announce(recorder)

    def _listen(self, recorder: Recorder) -> None:
        judge_silences(recorder, self._clock)
        release_silences(recorder, simulated=self._clock.simulated)

    def _release(self, recorder: Recorder) -> None:
        # In turn with `handle` of every process: both move the alerts of the same series.
        first = self._shard.number == 0  # ends drills, whose alerts are of all stations
        recorder.conn.execute(
            "select from feed_cursor where consumer = any(%s) order by consumer for update",
            (self._shard.names if first else [self._shard.name],),
        )
        if first:
            tell_begun(recorder, simulated=self._clock.simulated)
            close_ended(recorder, simulated=self._clock.simulated)
        self._release_levels(recorder, None)
        held = [each for each in waiting(recorder.conn, ["written"]) if self._shard.mine(each.place.station_id)]
        self._judge_written(recorder, over(recorder, held))

    def _judge(
        self,
        recorder: Recorder,
        streams: Sequence[observed.LevelStream],
        rules: dict[int, tuple[LevelRule, ...]],
        new: dict[int, list[Observed]],
        more: set[int],
    ) -> None:
        """Judges what is `new`; of a series of which there is `more` nobody is told before that is judged too."""
        if not streams:
            return
        ids = [stream.datastream_id for stream in streams]
        holds = [max(rule.hold for rule in rules[stream.place.station_id]) for stream in streams]
        before = observed.window_before(recorder.conn, ids, [new[each][0].time for each in ids], holds)
        alerts = observed.open_levels(recorder.conn, [stream.place.station_id for stream in streams])
        retracted = {(each.station_id, each.mode): each for each in still_false.standing(recorder.conn, "level")}
        judged: set[tuple[int, str]] = set()
        for stream in streams:
            place, datastream_id = stream.place, stream.datastream_id
            station_rules = rules[place.station_id]
            key = (place.station_id, stream.mode)
            # Two drills at one station have one cause: the second sees what the first has made of it.
            again = key in judged
            judged.add(key)
            alert = observed.open_alert(recorder.conn, place, "level", stream.mode) if again else alerts.get(key)
            still = retracted.get(key) if alert is None else None
            if still is not None and still.datastream_id != datastream_id:
                still = None
            transitions = judge_level(
                station_rules,
                new[datastream_id],
                before.get(datastream_id, ()),
                _stand(alert, still),
            )
            if still is not None:
                transitions, over_at = still_false.after_level(transitions, still)
                if over_at is not None:
                    still_false.count_again(recorder, retracted.pop(key), over_at)
            newest = None
            if datastream_id not in more:
                newest = newest_of(station_rules, [*before.get(datastream_id, ())[-1:], *new[datastream_id]])
            self._take(recorder, stream, station_rules, alert, transitions, newest)
        mark_judged(
            recorder.conn,
            [(each.datastream_id, each.place.municipality_id, new[each.datastream_id][-1].time) for each in streams],
        )

    def _take(
        self,
        recorder: Recorder,
        stream: observed.LevelStream,
        rules: Sequence[LevelRule],
        alert: observed.OpenAlert | None,
        transitions: Sequence[Transition],
        newest: Newest | None,
    ) -> None:
        """Takes an alert through its transitions, and tells whom there is to tell."""
        now, place, series = recorder.now, stream.place, stream.datastream_id
        stand = None if alert is None else alert.stand
        if transitions:
            stand = after(transitions[-1])
        steps, reason = level_steps(
            transitions,
            None
            if alert is None
            else Told(alert.stand, alert.told_level, alert.withheld_at, alert.withheld == RELEASED),
            newest,
            now,
            stream.tell_within,
            lambda: beside(recorder, place, stream.mode, series, stand, now if newest is None else newest.time),
        )
        cause = Cause(place, "level", stream.mode, series)
        alert_id = recorder.record(
            cause,
            _id(alert),
            [(each, self._level_notice(cause, rules, each, newest, now) if tell else None) for each, tell in steps],
        )
        if alert_id is not None and newest is not None and stand is not None:
            new = alert is None or alert_id != alert.alert_id
            was = None if alert is None or new else alert.withheld
            keep(recorder, place.municipality_id, alert_id, was, reason, anew=bool(transitions))

    def _judge_again(
        self,
        recorder: Recorder,
        streams: Sequence[observed.LevelStream],
        rules: dict[int, tuple[LevelRule, ...]],
        revised: Set[int],
    ) -> None:
        """Open alerts of which a reading was revised, as what is stored now would have left them: what stood only on
        what is false goes down at once, what is true is confirmed. A revision alone raises nothing.
        """
        conn = recorder.conn
        for stream in streams if revised else ():
            alert = observed.open_alert(conn, stream.place, "level", stream.mode)
            if stream.datastream_id not in revised or alert is None:
                continue
            station_rules = rules[stream.place.station_id]
            seen = observed.since_raised(conn, alert.alert_id, stream.datastream_id)
            start = seen[0].time if seen else alert.phenomenon_time
            hold = max(rule.hold for rule in station_rules)
            before = observed.window_before(conn, [stream.datastream_id], [start], [hold]).get(stream.datastream_id, [])
            step = judged_again(station_rules, seen, before, alert.stand, alert.phenomenon_time)
            last = [*before, *seen][-2:]
            if step is not None:
                newest = newest_of(station_rules, last) if last else None
                self._take(recorder, stream, station_rules, alert, (step,), newest)

    def _release_levels(self, recorder: Recorder, alert_ids: Sequence[int] | None) -> None:
        """Tells of what has waited long enough, of all alerts or of these."""
        if alert_ids is not None and not alert_ids:
            return
        held = []
        for each in waiting(recorder.conn, ["level"], alert_ids):
            if not self._shard.mine(each.place.station_id):
                continue
            if each.alert.withheld == DISMISSED:
                go_down(recorder, each)
            else:
                held.append(each)
        if not held:
            return
        ids = [each.datastream_id for each in held]
        streams = {each.datastream_id: each for each in observed.level_streams(recorder.conn, ids)}
        rules = observed.level_rules(recorder.conn, {each.place.station_id for each in held})
        newest = observed.newest_judged(recorder.conn, ids)
        for each in held:
            station_rules = rules.get(each.place.station_id, ())
            seen, stream = newest.get(each.datastream_id), streams.get(each.datastream_id)
            last = newest_of(station_rules, seen) if seen else None
            if stream is not None and last is not None:
                self._take(recorder, stream, station_rules, each.alert, (), last)

    def _overtaken(
        self,
        streams: Sequence[observed.LevelStream],
        rules: dict[int, tuple[LevelRule, ...]],
        already: Mapping[int, Sequence[Observed]],
    ) -> list[Late]:
        """Where what came late, behind what was judged, stands on a level."""
        late = []
        by_id = {stream.datastream_id: stream for stream in streams}
        for datastream_id in sorted(already.keys() & by_id.keys()):
            readings, stream = already[datastream_id], by_id[datastream_id]
            place = stream.place
            for start, last, value, level in reached(rules[place.station_id], readings):
                cause = place.municipality_id, place.station_id, datastream_id, None, stream.mode
                late.append(Late(*cause, start, last, value, level))
        return late

    def _level_notice(
        self,
        cause: Cause,
        rules: Sequence[LevelRule],
        transition: Transition,
        newest: Newest | None,
        now: datetime,
    ) -> wording.Notice:
        rule = rule_at(rules, transition.time)
        assert rule is not None, "a transition has a rule"
        notice = replace(
            self._notice(cause, transition),
            age=now - transition.time,
            newest=None if newest is None else (newest.time, newest.value),
            newest_unconfirmed=newest is not None and newest.claims != newest.stands,
            unconfirmed=transition.unconfirmed,
            at_work=transition.reason == Release.HIGHEST_AT_WORK,
            revised=transition.reason == REVISED,
        )
        if transition.level is None:
            lowest = min(rule.levels, key=lambda each: each.value, default=None)
            return replace(notice, clearing_level=None if lowest is None else rule.clearing(lowest))
        above = [each for each in rule.levels if each.level > transition.level]
        return replace(
            notice,
            level=rule.named(transition.level),
            whose=whose_of(rule.source),
            next_level=min(above, key=lambda each: each.level, default=None),
        )

    def _finding_notice(self, cause: Cause, each: observed.PlacedFinding, transition: Transition) -> wording.Notice:
        details = () if each.event is None else ((f"行事：{each.event}", f"Event: {each.event}"),)
        if transition.event is Event.RAISED:
            details = (*details, *finding_words.details(each.found.kind, each.detail))
        notice = self._notice(cause, transition)
        return replace(notice, unit=each.unit, usual=each.found.usual, details=details)

    def _notice(self, cause: Cause, transition: Transition) -> wording.Notice:
        return notice_of(cause, transition, simulated=self._clock.simulated)


def _stand(alert: observed.OpenAlert | None, still: still_false.StillFalse | None) -> Stand | None:
    """Where the rule goes on: what was retracted and still stands there counts as open at its highest level."""
    if alert is not None:
        return alert.stand
    return None if still is None or still.level is None else Stand(still.level, still.level)


def _id(alert: observed.OpenAlert | None) -> int | None:
    return None if alert is None else alert.alert_id


def _announce(recorder: Recorder) -> None:
    """The feed rows, last in the transaction."""
    for municipality_id, alert_ids in sorted(recorder.touched.items()):
        append_alerts(recorder.conn, municipality_id, alert_ids)
