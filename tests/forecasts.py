"""What may come, planted where a test looks for it: a figure that nothing else in the town has."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from analytics.rivers import forecast_store as stored
from analytics.rivers.forecast.forecaster import LEADS
from analytics.rivers.forecast_store import Said
from analytics.rivers.scores import Score
from store import Connection
from store.columns import Floats
from store.forecast_switch import Asked, switch_on

# Metres: as pages, tables and files write it.
UNMISTAKABLE = 7731.31
FIGURE = re.compile(r"7,?731\.31")
WORDS = re.compile("この先の水位|levels ahead", re.I)


def switched_on(conn: Connection, town: int, now: datetime) -> None:
    asked = Asked("美守地方気象台", "気象 花子", date(2026, 5, 1), "庁内の参考なら支障ありません。")
    switch_on(conn, town, asked, on_wall=False, now=now, today=now.date(), user_id=None)


def planted(conn: Connection, town: int, datastream: int, at: datetime, *, neighbours: tuple[int, ...] = ()) -> None:
    """A model, and what it said from the observation of a time on: the median is `UNMISTAKABLE` at every lead."""
    said = Said(
        datastream, at, _model(conn, town, datastream, at, neighbours), False, at, 1.0, LEADS, _fan(UNMISTAKABLE)
    )
    stored.put(conn, town, [replace(said, left_out=neighbours)])


def flood_planted(conn: Connection, town: int, datastream: int, at: datetime) -> None:
    """What was said each hour of the last twelve of a river that rises, the earlier half worked out afterwards."""
    model = _model(conn, town, datastream, at, ())
    stored.put(
        conn,
        town,
        [
            Said(datastream, at - timedelta(hours=n), model, n > 6, at, 2.0 - n / 8, LEADS, _fan(2.3 - n / 8))
            for n in range(12)
        ],
    )


def _fan(median: float) -> Floats:
    return median + np.outer(LEADS, np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]) / 10)


def _model(conn: Connection, town: int, datastream: int, at: datetime, neighbours: tuple[int, ...]) -> int:
    model = stored.put_model(
        conn,
        town,
        datastream,
        why="first",
        method="learned",
        step=timedelta(minutes=10),
        neighbours=neighbours,
        rain=(),
        now=at,
        trained=(at - timedelta(days=90), at),
        n=12_345,
        used=True,
        dump=b"",
    )
    stored.score(conn, model, [Score(lead, 100, 0.1, 0.2, 0.75, 0.9) for lead in LEADS])
    return model
