"""The passing of time judged: outages first, then the silence of each station that no outage explains.

One open outage explains the silence of all that it covers. A station whose own alert was open already when the outage
was seen keeps it, folded under the outage (`alert.part_of`): it is told with that one, and cleared with it without
another message to anybody. Who does not come back with the others is told of anew, after its own patience.

What has a price is asked only when somebody is silent: how often each device usually speaks, and through which gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from alerts import still_false, wording
from alerts.causes import Cause, OutageCause
from alerts.heard import (
    Explained,
    ListenedStation,
    explained,
    gateways_heard,
    listened_stations,
    listeners,
    open_silences,
    senders,
)
from alerts.observed import Place
from alerts.recording import Recorder
from alerts.rules.outage import RULE_VERSION, Judged, judge_outages
from alerts.rules.silence import Hearing, Listened, Listening, hearing, judge_silence, listening_of
from alerts.rules.transition import Event, Transition
from alerts.withheld import at_work, keep, silence_notice
from devices.clock import Clock
from store.arrays import transposed

# A heartbeat older than this, in real seconds, is a dead ingest worker.
_HEARTBEAT_SECONDS = 30.0


def judge_silences(recorder: Recorder, clock: Clock) -> None:
    """Judges at the recorder's time, for every municipality; within a transaction of the worker."""
    conn, now = recorder.conn, recorder.now
    conn.execute("select pg_advisory_xact_lock(hashtext('alerts silence'))")
    fresh_for = timedelta(seconds=_HEARTBEAT_SECONDS * clock.speed)
    listening = {town: listening_of(workers, now, fresh_for) for town, workers in listeners(conn).items()}
    stations = listened_stations(conn, now)
    outages = _Outages(recorder, listening, clock.simulated).judge(stations)
    alerts = open_silences(conn)
    retracted = {each.station_id: each for each in still_false.standing(conn, "silence")}
    for station in stations:
        alert = alerts.get(station.place.station_id)
        heard = listening.get(station.place.municipality_id)
        devices = [outages.of(each) for each in station.attached]
        transitions = judge_silence(
            devices,
            None if heard is None else heard.since,
            now if heard is None else heard.until,
            None if alert is None else alert.phenomenon_time,
        )
        still = retracted.get(station.place.station_id) if alert is None else None
        if still is not None:
            transitions = _unless_false(recorder, devices, still, heard, transitions)
        if transitions:
            cause = Cause(station.place, "silence", "actual", station.datastream_id)
            raised = any(each.event is Event.RAISED for each in transitions)
            reason = at_work(recorder, station.place) if raised else None
            untold = {Event.RAISED: reason is not None, Event.CLEARED: alert is not None and alert.withheld is not None}
            alert_id = recorder.record(
                cause,
                None if alert is None else alert.alert_id,
                [
                    (each, None if untold[each.event] else silence_notice(cause, each, simulated=clock.simulated))
                    for each in transitions
                ],
            )
            if raised and alert_id is not None:
                keep(recorder, station.place.municipality_id, alert_id, None, reason, anew=False)


def _unless_false(
    recorder: Recorder,
    devices: Sequence[Listened],
    still: still_false.StillFalse,
    listening: Listening | None,
    transitions: list[Transition],
) -> list[Transition]:
    """The steps without that of a silence which a person has retracted: the same one as long as those who are silent
    have said nothing since.
    """
    heard = [each for each in devices if each.last_heard is not None and each.last_heard > still.time]
    new = listening is not None and any(
        hearing(each, listening.since, listening.until) is Hearing.SILENT for each in heard
    )
    if new or len(heard) == len(devices):
        last = max((each.last_heard for each in heard if each.last_heard is not None), default=still.time)
        still_false.count_again(recorder, still, last)
        return transitions
    return []


class _Outages:
    """One look at the outages of all municipalities."""

    def __init__(self, recorder: Recorder, listening: Mapping[int, Listening | None], simulated: bool) -> None:
        self._recorder = recorder
        self._conn = recorder.conn
        self._listening = listening
        self._simulated = simulated

    def judge(self, stations: Sequence[ListenedStation]) -> Explained:
        """Judges them, and returns what they then explain."""
        known = explained(self._conn, self._recorder.now)
        changed = False
        towns = sorted(stations, key=lambda each: each.place.municipality_id)
        for town, group in groupby(towns, key=lambda each: each.place.municipality_id):
            here, listening = list(group), self._listening.get(town)
            if listening is None or not (known.open_.get(town) or self._somebody_silent(here, known, listening)):
                continue
            open_ = known.open_.get(town, ())
            judged = judge_outages(
                senders(self._conn, here, known, self._recorder.now),
                listening,
                gateways_heard(self._conn, town, open_),
                open_,
            )
            causes = {each.alert_id: each.cause for each in open_}
            changed |= self._write(town, here, judged, causes, known, listening)
        return explained(self._conn, self._recorder.now) if changed else known

    @staticmethod
    def _somebody_silent(stations: Iterable[ListenedStation], known: Explained, listening: Listening) -> bool:
        return any(
            hearing(known.of(each), listening.since, listening.until) is Hearing.SILENT
            for station in stations
            for each in station.attached
        )

    def _write(
        self,
        town: int,
        stations: Sequence[ListenedStation],
        judged: Judged,
        causes: Mapping[int, str],
        known: Explained,
        listening: Listening,
    ) -> bool:
        for alert_id, back in judged.returned.items():
            self._conn.execute(
                """
                update outage_device o set returned_at = said.at
                from unnest(%s::integer[], %s::timestamptz[]) as said (device_id, at)
                where o.alert_id = %s and o.device_id = said.device_id
                """,
                (*transposed(sorted(back.items()), 2), alert_id),
            )
        for alert_id, over in judged.cleared.items():
            step = Transition(Event.CLEARED, None, over, None, RULE_VERSION)
            self._step(town, stations, causes[alert_id], alert_id, step)
            self._clear_folded(alert_id, over)
        for outage in judged.raised:
            step = Transition(Event.RAISED, None, outage.since, None, RULE_VERSION)
            alert_id = self._step(town, stations, outage.cause, None, step, outage.devices)
            self._cover(town, stations, alert_id, outage.devices, known, listening)
        for alert_id, devices in judged.joined.items():
            self._cover(town, stations, alert_id, devices, known, listening)
        return bool(judged.returned or judged.cleared or judged.raised or judged.joined)

    def _step(
        self,
        town: int,
        stations: Sequence[ListenedStation],
        cause: str,
        alert_id: int | None,
        step: Transition,
        devices: Iterable[int] | None = None,
    ) -> int:
        if devices is None:
            covered = self._conn.execute("select device_id from outage_device where alert_id = %s", (alert_id,))
            devices = {row[0] for row in covered}
        wanted = set(devices)
        about = [each.place for each in stations if any(device.device_id in wanted for device in each.attached)]
        place = stations[0].place
        notice = wording.Notice(
            rule="outage",
            event=step.event,
            municipality=place.municipality,
            station=place.municipality,
            station_en=place.municipality,
            timezone=place.timezone,
            time=step.time,
            simulated=self._simulated,
            cause=cause,
            stations=tuple((each.name, each.name_en) for each in about),
        )
        recorded = self._recorder.record(OutageCause(town, cause), alert_id, [(step, notice)])
        assert recorded is not None
        return recorded

    def _cover(
        self,
        town: int,
        stations: Sequence[ListenedStation],
        alert_id: int,
        devices: Iterable[int],
        known: Explained,
        listening: Listening,
    ) -> None:
        """Notes whom an outage silences, and folds the alerts that there are of them already."""
        wanted = set(devices)
        rows = [
            (each.device_id, station.place.station_id, each.heard.last_heard)
            for station in stations
            for each in station.attached
            if each.device_id in wanted
        ]
        self._conn.execute(
            """
            insert into outage_device (alert_id, municipality_id, device_id, station_id, last_heard)
            select %s, %s, device_id, station_id, last_heard
            from unnest(%s::integer[], %s::integer[], %s::timestamptz[]) as said (device_id, station_id, last_heard)
            on conflict (alert_id, device_id) do update set (last_heard, returned_at) = (excluded.last_heard, null)
            """,
            (alert_id, town, *transposed(rows, 3)),
        )
        folded = [
            station.place.station_id
            for station in stations
            if any(each.device_id in wanted for each in station.attached)
            and not any(
                each.device_id not in wanted
                and hearing(known.of(each), listening.since, listening.until) is Hearing.SILENT
                for each in station.attached
            )
        ]
        cursor = self._conn.execute(
            """
            update alert set part_of = %s
            where rule = 'silence' and mode = 'actual' and cleared_at is null and station_id = any(%s)
            returning alert_id
            """,
            (alert_id, folded),
        )
        self._recorder.touch(town, (row[0] for row in cursor))

    def _clear_folded(self, outage: int, over: datetime) -> None:
        folded = self._conn.execute(
            """
            select a.alert_id, a.datastream_id, m.municipality_id, m.name, m.timezone,
                   s.station_id, s.kind, s.name, s.name_en
            from alert a join station s using (station_id) join municipality m on m.municipality_id = a.municipality_id
            where a.part_of = %s and a.cleared_at is null order by a.alert_id for update of a
            """,
            (outage,),
        ).fetchall()
        step = Transition(Event.CLEARED, None, over, None, RULE_VERSION)
        for alert_id, datastream_id, *place in folded:
            cause = Cause(Place(*place), "silence", "actual", datastream_id)
            self._recorder.record(cause, alert_id, [(step, None)])
