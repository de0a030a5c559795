"""What is known beside a reading: work at its device, gauges and rain nearby, silence. SQL for the worker.

    beside(recorder, place, mode, datastream_id, stand, time) -> what `alerts.rules.withholding` asks for

Neighbours are the gauges of the same river where the register has such, else those of the town, the nearest eight. One
rises that is by `RISE` above its lowest reading of the last hour. Rain is that of the gauges that the register has on
the same river: where it has none, no rain speaks for a reading. Doubtful values speak for nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.observed import Place
from alerts.recording import Recorder
from alerts.rules.level import Stand
from alerts.rules.withholding import Beside, Release, waiting
from devices.model import ObservedProperty, StationKind
from store import Connection

RISE = 0.20  # m
LATELY = timedelta(hours=1)
_LOOK_BACK = timedelta(days=60)


def beside(
    recorder: Recorder, place: Place, mode: str, datastream_id: int | None, stand: Stand | None, time: datetime
) -> Beside:
    """Beside the newest reading, of `time`, of a series; `datastream_id` None: a station that is silent, whatever its
    devices measure. A drill is nobody's work, and has no neighbours.
    """
    conn, now = recorder.conn, recorder.now
    going = []
    if mode == "actual" and recorder.worked_at(place.station_id, now - _LOOK_BACK):
        going = works(conn, place.station_id, datastream_id, now)
    at_work = any(end > now for _, end in going)
    over = [end for start, end in going if end <= now and start <= time < end]
    unsure = stand is not None and stand.level != stand.confirmed
    witness = None
    if mode == "actual" and stand is not None and (unsure or over or at_work):
        witness = _witness(conn, place, time, now)
    if datastream_id is None or not (unsure or over):
        return Beside(at_work=at_work, witness=witness)
    return Beside(_wait(recorder, datastream_id), at_work, max(over, default=None), witness)


def works(
    conn: Connection, station_id: int, datastream_id: int | None, now: datetime
) -> list[tuple[datetime, datetime]]:
    """From when until before when somebody works, or worked, at what feeds the series; where nothing is known to feed
    it, at any device of the station. For the API's role too.
    """
    return conn.execute(
        """
        select distinct w.starts_at, least(w.ends_at, w.cancelled_at)
        from attachment a
        join planned_work w on w.device_id = a.device_id
        left join lateral (
            select bool_or(f.attachment_id = a.attachment_id) as by_this from field_mapping f
            where f.datastream_id = %(series)s
        ) fed on true
        where a.station_id = %(station)s and a.attached_from <= %(now)s
          and (a.attached_to is null or a.attached_to > %(now)s)
          and coalesce(fed.by_this, true)
          and w.starts_at <= %(now)s and least(w.ends_at, w.cancelled_at) > greatest(w.starts_at, %(since)s)
        """,
        {"series": datastream_id, "station": station_id, "now": now, "since": now - _LOOK_BACK},
    ).fetchall()


def _wait(recorder: Recorder, datastream_id: int) -> timedelta:
    row = recorder.conn.execute(
        "select d.step, s.confirm_within from datastream d join station s using (station_id) "
        "where d.datastream_id = %s",
        (datastream_id,),
    ).fetchone()
    assert row is not None, f"datastream {datastream_id} exists"
    return waiting(recorder.paces().get(datastream_id) or row[0], row[1])


def _witness(conn: Connection, place: Place, time: datetime, now: datetime) -> Release | None:
    asked = {
        "station": place.station_id,
        "town": place.municipality_id,
        "since": time - LATELY,
        "now": now,
        "rise": RISE,
        "level": ObservedProperty.WATER_LEVEL.value,
        "rain": ObservedProperty.PRECIPITATION.value,
        "gauge": StationKind.RIVER_GAUGE.value,
        "rain_gauge": StationKind.RAIN_GAUGE.value,
    }
    for release, query in ((Release.NEIGHBOUR, _RISING), (Release.RAIN, _RAINING), (Release.SILENT, _SILENT)):
        if conn.execute(query, asked).fetchone() is not None:
            return release
    return None


_RISING = """
    with others as (
        select s.station_id, d.datastream_id, coalesce(theirs.river = mine.river, false) as same,
               (s.latitude - here.latitude) ^ 2
               + ((s.longitude - here.longitude) * cos(radians(here.latitude))) ^ 2 as far
        from station here
        left join station_river mine on mine.station_id = here.station_id
        join station s on s.municipality_id = here.municipality_id and s.station_id <> here.station_id
             and s.kind = %(gauge)s
        left join station_river theirs on theirs.station_id = s.station_id
        join datastream d on d.station_id = s.station_id and d.observed_property = %(level)s and d.drill_run is null
        where here.station_id = %(station)s
    ), near as (
        select * from others where same or not exists (select from others where same) order by far, station_id limit 8
    )
    select from near
    cross join lateral (
        select (array_agg(value order by phenomenon_time desc))[1] - min(value) as rise from observation o
        where o.datastream_id = near.datastream_id and o.phenomenon_time > %(since)s and o.phenomenon_time <= %(now)s
          and o.value is not null and (o.quality < 'doubtful' or o.quality = 'doubtful' and o.reason = 'clock')
    ) lately
    where lately.rise >= %(rise)s limit 1
"""
_RAINING = """
    select from station here
    join station_river mine on mine.station_id = here.station_id
    join station_river theirs on theirs.river = mine.river and theirs.municipality_id = mine.municipality_id
    join station s on s.station_id = theirs.station_id and s.kind = %(rain_gauge)s
    join datastream d on d.station_id = s.station_id and d.observed_property = %(rain)s and d.drill_run is null
    cross join lateral (
        select sum(value) as sum from observation o
        where o.datastream_id = d.datastream_id and o.phenomenon_time > %(since)s and o.phenomenon_time <= %(now)s
          and o.value is not null and o.quality < 'doubtful'
    ) lately
    where here.station_id = %(station)s and lately.sum >= here.confirming_rain limit 1
"""
_SILENT = """
    select from alert a
    where a.municipality_id = %(town)s and a.mode = 'actual' and a.cleared_at is null
      and (a.rule = 'silence' and a.station_id = %(station)s
           or a.rule = 'outage' and exists (
               select from outage_device o
               where o.alert_id = a.alert_id and o.station_id = %(station)s and o.returned_at is null))
    limit 1
"""
