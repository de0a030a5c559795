"""Who was heard when, how, and who need not be: what the rules of silence and outage look at. SQL and nothing else.

Works for the worker; within one municipality for the API's role too, where a function takes `tenant`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from alerts.observed import OpenAlert, Place
from alerts.rules.outage import OpenOutage, Sender, concerned, kind_of
from alerts.rules.silence import Listened, Listener
from store import Connection
from store.duty import modes_now
from store.heard import LAST_HEARD, usual_gaps

# Nobody's patience is longer: what ended before it changes nothing any more.
_LOOK_BACK = timedelta(days=60)
# A device belongs to a gateway that was the best for so much of what it sent lately, and alone with the newest message.
_MAINLY = 0.8
_LATELY = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class HeardDevice:
    """A device as the rules of silence see it; `step` is how often it measures in the mode that it is in."""

    device_id: int
    heard: Listened
    network: str | None
    step: timedelta
    paced: bool  # by a duty cycle: its step is known, and need not be taken from what it sent


@dataclass(frozen=True, slots=True)
class ListenedStation:
    """A station with the devices attached to it now; `datastream_id` is its first series."""

    place: Place
    datastream_id: int
    attached: tuple[HeardDevice, ...]

    @property
    def devices(self) -> tuple[Listened, ...]:
        return tuple(each.heard for each in self.attached)


def listened_stations(
    conn: Connection, now: datetime, station_id: int | None = None, *, tenant: bool = False
) -> list[ListenedStation]:
    """The stations that have devices at `now`, and when each device was heard; one station if asked.

    What somebody works on as planned, or a station that is in trial with all its series, is excused, and listened to
    anew from the end of it.
    """
    modes = modes_now(conn, now, tenant=tenant)
    works, trials = _works(conn, now), _trials(conn, now)
    rows = conn.execute(_STATIONS + LAST_HEARD + _ATTACHED_NOW, {"now": now, "station_id": station_id}).fetchall()
    return [
        ListenedStation(
            Place(*head[:7]),
            head[7],
            tuple(
                HeardDevice(
                    device_id,
                    Listened(
                        key,
                        modes[device_id].mode.silence_after if device_id in modes else silence_after,
                        attached_from,
                        last_heard,
                        *_both(works.get(device_id), trials.get(head[3])),
                    ),
                    network,
                    modes[device_id].mode.interval if device_id in modes else step,
                    device_id in modes,
                )
                for device_id, key, silence_after, attached_from, last_heard, network, step in (
                    row[8:] for row in devices
                )
            ),
        )
        for head, devices in groupby(rows, key=lambda row: row[:8])
    ]


# Grouped, not one attachment after the other: of a register that was just loaded the planner knows nothing, and would
# look through all datastreams for each of them.
_STATIONS = """
select m.municipality_id, m.name, m.timezone, s.station_id, s.kind, s.name, s.name_en, first.datastream_id,
       d.device_id, d.key, d.silence_after, a.attached_from, heard.received_time, heard.network,
       coalesce(fed.step, first.step)
from attachment a
join device d using (device_id)
join station s on s.station_id = a.station_id
join municipality m on m.municipality_id = s.municipality_id
join lateral (
    select min(datastream_id) as datastream_id, min(step) as step from datastream
    where datastream.station_id = s.station_id and drill_run is null
) first on first.datastream_id is not null
left join (
    select f.attachment_id, min(e.step) as step from field_mapping f join datastream e using (datastream_id)
    group by f.attachment_id
) fed using (attachment_id)
"""
_ATTACHED_NOW = """
where a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
  and (%(station_id)s::integer is null or s.station_id = %(station_id)s)
order by s.station_id, d.key
"""


def _works(conn: Connection, now: datetime) -> dict[int, tuple[datetime | None, bool]]:
    """device_id -> when the last planned work on it ended, and whether there is one now."""
    return {
        device_id: (ended, bool(lasting))
        for device_id, ended, lasting in conn.execute(
            """
            select device_id, max(ends_at) filter (where ends_at <= %(now)s), bool_or(ends_at > %(now)s)
            from planned_work
            where starts_at <= %(now)s and ends_at > %(from)s and cancelled_at is null group by device_id
            """,
            {"now": now, "from": now - _LOOK_BACK},
        )
    }


def _trials(conn: Connection, now: datetime) -> dict[int, tuple[datetime | None, bool]]:
    """station_id -> when its last trial of all its series ended, and whether it is in one now."""
    return {
        station_id: (ended, bool(lasting))
        for station_id, ended, lasting in conn.execute(
            """
            select station_id, max(least(ends_at, ended_at)) filter (where least(ends_at, ended_at) <= %(now)s),
                   bool_or(least(ends_at, ended_at) is null or least(ends_at, ended_at) > %(now)s)
            from station_trial
            where properties is null and starts_at <= %(now)s and (ended_at is null or ended_at > starts_at)
              and (least(ends_at, ended_at) is null or least(ends_at, ended_at) > %(from)s)
            group by station_id
            """,
            {"now": now, "from": now - _LOOK_BACK},
        )
    }


def _both(
    one: tuple[datetime | None, bool] | None, other: tuple[datetime | None, bool] | None
) -> tuple[datetime | None, bool]:
    found = [each for each in (one, other) if each is not None]
    ends = [ended for ended, _ in found if ended is not None]
    return max(ends, default=None), any(lasting for _, lasting in found)


def listeners(conn: Connection) -> dict[int, list[Listener]]:
    """municipality_id -> its ingest workers."""
    found: dict[int, list[Listener]] = {}
    for municipality_id, heartbeat_at, since in conn.execute(
        "select municipality_id, heartbeat_at, listening_since from ingest_worker"
    ):
        found.setdefault(municipality_id, []).append(Listener(heartbeat_at, since))
    return found


def open_silences(conn: Connection) -> dict[int, OpenAlert]:
    """station_id -> its open silence alert, all of them locked; for the worker."""
    return {
        row[0]: OpenAlert(*row[1:])
        for row in conn.execute(
            """
            select station_id, alert_id, level, phenomenon_time, acknowledged_at is not null, finding_id,
                   null, null, withheld, withheld_at
            from alert
            where rule = 'silence' and mode = 'actual' and cleared_at is null order by alert_id for update
            """
        )
    }


# --- outages ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Explained:
    """What outages say of devices. `open_` by municipality; `covered`: device -> the open outage that explains its
    silence; `ended`: device -> when the last outage that did was over.
    """

    open_: Mapping[int, tuple[OpenOutage, ...]]
    covered: Mapping[int, int]
    ended: Mapping[int, datetime]

    def of(self, device: HeardDevice) -> Listened:
        """The device as the rule of silence is to see it."""
        heard = device.heard
        ended = self.ended.get(device.device_id)
        known = [each for each in (heard.listening_from, ended) if each is not None]
        excused = heard.excused or device.device_id in self.covered
        return replace(heard, listening_from=max(known, default=None), excused=excused)


def explained(conn: Connection, now: datetime) -> Explained:
    """The outages as they stand, the open ones locked; for the worker."""
    heads: dict[int, tuple[int, str, datetime]] = {}
    for alert_id, municipality_id, cause in conn.execute(
        "select alert_id, municipality_id, cause from alert where rule = 'outage' and cleared_at is null "
        "order by alert_id for update"
    ):
        row = conn.execute(
            "select phenomenon_time from alert_history where alert_id = %s and event = 'raised'", (alert_id,)
        ).fetchone()
        assert row is not None, "an alert begins by being raised"
        heads[alert_id] = municipality_id, cause, row[0]
    devices: dict[int, dict[int, datetime]] = {alert_id: {} for alert_id in heads}
    returned: dict[int, set[int]] = {alert_id: set() for alert_id in heads}
    covered: dict[int, int] = {}
    for alert_id, device_id, last_heard, at in conn.execute(
        "select alert_id, device_id, last_heard, returned_at from outage_device where alert_id = any(%s)",
        (list(heads),),
    ):
        devices[alert_id][device_id] = last_heard
        if at is None:
            covered[device_id] = alert_id
        else:
            returned[alert_id].add(device_id)
    found: dict[int, list[OpenOutage]] = {}
    for alert_id, (municipality_id, cause, since) in heads.items():
        found.setdefault(municipality_id, []).append(
            OpenOutage(alert_id, cause, since, devices[alert_id], frozenset(returned[alert_id]))
        )
    ended: dict[int, datetime] = dict(
        conn.execute(
            """
            select o.device_id, max(a.phenomenon_time) from outage_device o join alert a using (alert_id)
            where a.rule = 'outage' and a.cleared_at > %s group by o.device_id
            """,
            (now - _LOOK_BACK,),
        ).fetchall()
    )
    return Explained({town: tuple(each) for town, each in found.items()}, covered, ended)


def senders(conn: Connection, stations: Iterable[ListenedStation], outages: Explained, now: datetime) -> list[Sender]:
    """The devices as the rule of outage is to see them: heard at least once, and nobody works on them."""
    gaps = usual_gaps(conn)
    gateways = _gateways(conn, now)
    found = []
    for station in stations:
        for each in station.attached:
            if each.heard.last_heard is None or each.heard.excused:
                continue
            interval = each.step if each.paced else max(each.step, gaps.get(each.device_id, each.step))
            heard = replace(outages.of(each), excused=False)
            found.append(Sender(each.device_id, heard, interval, each.network, gateways.get(each.device_id)))
    return found


def _gateways(conn: Connection, now: datetime) -> dict[int, str]:
    """device_id -> the gateway that alone hears it, for those that have one."""
    return dict(
        conn.execute(
            """
            select device_id, gateway from (
                select device_id, gateway, gateways,
                       sum(uplinks) over (partition by device_id, gateway) as by_this,
                       sum(uplinks) over (partition by device_id) as by_all,
                       row_number() over (partition by device_id order by heard_at desc) as place
                from radio_day where day >= %s
            ) r
            where place = 1 and gateways = 1 and gateway <> '' and by_this >= %s * by_all
            """,
            ((now - _LATELY).date(), _MAINLY),
        ).fetchall()
    )


def gateways_heard(conn: Connection, municipality_id: int, outages: Sequence[OpenOutage]) -> dict[str, datetime]:
    """When each gateway that an open outage is about last passed on a message that it heard best."""
    about = [concerned(each.cause) for each in outages if kind_of(each.cause) == "gateway"]
    if not about:
        return {}
    return dict(
        conn.execute(
            "select gateway, max(heard_at) from radio_day "
            "where municipality_id = %s and gateway = any(%s) and day >= %s group by gateway",
            (municipality_id, about, min(each.since for each in outages).astimezone(UTC).date()),
        ).fetchall()
    )
