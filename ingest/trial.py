"""What a station in trial (`store.trials`) measured is stored apart, and what counts after all as what is real.

    apart(conn, directory, rows) -> (directory, rows)     those that lie in a trial: to its series, by their time
    counted(conn, town, now, judge) -> bool               one turn of storing trials that count; whether there is more

`apart` is the first step of the gate (`ingest.gate.judged`), which every value takes, whoever brings it and whenever:
messages, posted ones, files, what was quarantined. So a value of a trial is judged among its own, and stored nowhere
else. Cost: one statement a batch where no trial has touched it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from msgspec import structs

from devices.model import Quality, Reason
from store.connection import Connection
from store.registry import Directory, load_directory
from store.trials import shadows_of, standing
from store.writer import ObservationRow, write_unsent

MOST_ROWS = 2_000  # in one transaction

Judge = Callable[[Connection, Directory, Sequence[ObservationRow]], Sequence[ObservationRow]]


def apart(
    conn: Connection, directory: Directory, rows: Sequence[ObservationRow]
) -> tuple[Directory, Sequence[ObservationRow]]:
    """The same values in their order, those that lie in a trial of the trial's series; before them the directory with
    these.
    """
    trials = standing(conn, directory.municipality_id) if rows else []
    if not trials:
        return directory, rows
    stations = {each.station_id for each in trials}
    at: dict[int, int] = {}  # position in rows -> trial
    for n, row in enumerate(rows):
        info = directory.datastreams[row.datastream_id]
        if info.station_id in stations:
            lies = next((each for each in trials if each.covers(info, row.phenomenon_time)), None)
            if lies is not None:
                at[n] = lies.trial_id
    if not at:
        return directory, rows
    shadows = shadows_of(conn, {(trial, rows[n].datastream_id) for n, trial in at.items()})
    moved = [
        structs.replace(row, datastream_id=shadows[at[n], row.datastream_id].datastream_id) if n in at else row
        for n, row in enumerate(rows)
    ]
    known = {**directory.datastreams, **{info.datastream_id: info for info in shadows.values()}}
    return replace(directory, datastreams=known), moved


def counted(conn: Connection, municipality_id: int, now: datetime, judge: Judge) -> bool:
    """Stores some of what was measured in a trial that counts (`store.trials.count`) as measured; the caller commits.
    Whether there is more of it. Killed anywhere and begun again it goes on: what is stored already is left out.
    """
    row = conn.execute(
        """
        select trial_id from station_trial
        where municipality_id = %s and counts_at is not null and counted_at is null order by trial_id limit 1 for update
        """,
        (municipality_id,),
    ).fetchone()
    if row is None:
        return False
    rows = [
        ObservationRow(real, time, value, Quality(quality), None if reason is None else Reason(reason))
        for real, time, value, quality, reason in conn.execute(_NOT_STORED, {"trial": row[0], "most": MOST_ROWS})
    ]
    if rows:
        directory = load_directory(conn, municipality_id)
        write_unsent(conn, municipality_id, rows, stated=now, judge=lambda new: judge(conn, directory, new))
    if len(rows) < MOST_ROWS:
        conn.execute("update station_trial set counted_at = %s where trial_id = %s", (now, row[0]))
        return False
    return True


# What a person has said of a value in the trial holds outside as well.
_NOT_STORED = """
select mine.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason
from datastream d
join datastream mine on mine.station_id = d.station_id and mine.observed_property = d.observed_property
     and mine.drill_run is null
join observation o on o.datastream_id = d.datastream_id
where d.drill_run = 'trial:' || %(trial)s::text
  and not exists (select from observation there where there.datastream_id = mine.datastream_id
                  and there.phenomenon_time = o.phenomenon_time)
order by o.phenomenon_time, mine.datastream_id limit %(most)s
"""
