"""Models and what they said, as they are stored (the class internal_forecast; migration 0049). SQL and nothing else.

For the worker, which alone writes them. Of the API's role the database shows them only to a transaction that has come
through `api.internal_forecast`. What is of no flood goes after KEPT; what was said round a flood stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from analytics.rivers.forecast.fan import QUANTILES
from analytics.rivers.scores import Score
from store import Connection
from store.arrays import array, transposed
from store.columns import Floats

KEPT = timedelta(days=60)
PRUNED = 5000  # rows in one step
LEARNED = "learned"  # of `Forecaster.method`
_BEFORE, _AFTER = timedelta(days=1), timedelta(hours=12)  # of a flood


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a gauge. `neighbours` and `rain` are the datastreams of its record's columns. `scores` of its
    back-test, None while that is still to come.
    """

    model_id: int
    municipality_id: int
    datastream_id: int
    version: int
    why: str
    method: str
    step: timedelta
    neighbours: tuple[int, ...]
    rain: tuple[int, ...]
    trained_at: datetime
    trained_from: datetime | None
    trained_to: datetime | None
    n: int
    scores: tuple[Score, ...] | None
    used: bool

    @property
    def inputs(self) -> tuple[int, ...]:
        return (*self.neighbours, *self.rain)


@dataclass(frozen=True, slots=True)
class Said:
    """What was expected from the observation at `time` on, metres. `quantiles` (leads, QUANTILES), nan where nothing
    could be said. `missing`, `doubtful`, `left_out`: datastreams that it had to do without (migration 0049).
    """

    datastream_id: int
    time: datetime
    model_id: int
    rehearsed: bool
    issued_at: datetime
    level: float
    leads: tuple[float, ...]
    quantiles: Floats
    missing: tuple[int, ...] = ()
    doubtful: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    method: str = ""

    @property
    def sure(self) -> bool:
        """Whether its intervals are learned: those of the simple rule come from quiet days and know no flood."""
        return self.method == LEARNED


def towns(conn: Connection) -> list[int]:
    """The municipalities that have switched internal_forecast on."""
    rows = conn.execute(
        "select municipality_id from municipality where internal_forecast_on(municipality_id) order by 1"
    )
    return [row[0] for row in rows]


_OF_MODEL = tuple(each.name for each in fields(Model))
_OF_SAID = tuple(each.name for each in fields(Said))
_MODELS = """
select forecast_model_id, municipality_id, datastream_id, version, why, method, step, neighbours, rain, trained_at,
       trained_from, trained_to, n, scores, used
from (
    select *, row_number() over (partition by datastream_id order by version desc) as place from forecast_model
    where datastream_id = any(%s::integer[]) and (used or not %s)
) m
where place <= %s order by datastream_id, version desc
"""
_UNSCORED = """
select forecast_model_id, municipality_id, datastream_id, version, why, method, step, neighbours, rain, trained_at,
       trained_from, trained_to, n, scores, used
from forecast_model where municipality_id = %s and scores is null order by forecast_model_id desc limit 1
"""


def models(conn: Connection, datastream_id: int, most: int = 50) -> list[Model]:
    """The versions of a gauge, the newest first."""
    return [_model(row) for row in conn.execute(_MODELS, (array([datastream_id]), False, most))]


def newest(conn: Connection, datastream_ids: Sequence[int], *, used: bool) -> dict[int, Model]:
    """The newest version of each gauge, or the newest that is used, by datastream."""
    rows = conn.execute(_MODELS, (array(datastream_ids), used, 1))
    return {model.datastream_id: model for model in map(_model, rows)}


def without_scores(conn: Connection, municipality_id: int) -> Model | None:
    """The newest version whose back-test was not reached, because the job was stopped before it."""
    row = conn.execute(_UNSCORED, (municipality_id,)).fetchone()
    return None if row is None else _model(row)


def dump_of(conn: Connection, model_id: int) -> bytes:
    """What `Forecaster.load` takes."""
    row = conn.execute("select model from forecast_model where forecast_model_id = %s", (model_id,)).fetchone()
    assert row is not None, "models are never deleted"
    return bytes(row[0])


def versions_alone(conn: Connection, datastream_id: int) -> None:
    """Until the end of the transaction nobody else adds a version of this gauge."""
    conn.execute("select pg_advisory_xact_lock(hashtext('forecast_model'), %s)", (datastream_id,))


def put_model(
    conn: Connection,
    municipality_id: int,
    datastream_id: int,
    *,
    why: str,
    method: str,
    step: timedelta,
    neighbours: Sequence[int],
    rain: Sequence[int],
    now: datetime,
    trained: tuple[datetime, datetime] | None,
    n: int,
    used: bool,
    dump: bytes,
) -> int:
    """The next version of a gauge; its id. After `versions_alone`. Its scores are to come (`score`)."""
    first, last = trained or (None, None)
    row = conn.execute(
        """
        insert into forecast_model (municipality_id, datastream_id, version, why, method, step, neighbours, rain,
                                    trained_at, trained_from, trained_to, n, used, model)
        select %s, %s, coalesce(max(version), 0) + 1, %s, %s, %s, %s::integer[], %s::integer[],
               %s, %s, %s, %s, %s, %s
        from forecast_model where datastream_id = %s
        returning forecast_model_id
        """,
        (
            *(municipality_id, datastream_id, why, method, step, array(neighbours), array(rain)),
            *(now, first, last, n, used, dump, datastream_id),
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def score(conn: Connection, model_id: int, scores: Iterable[Score]) -> None:
    """Keeps what the back-test of a version has come to."""
    told = Jsonb([asdict(each) for each in scores])
    conn.execute("update forecast_model set scores = %s where forecast_model_id = %s", (told, model_id))


def put(conn: Connection, municipality_id: int, said: Iterable[Said]) -> int:
    """Stores what was said; how many were new. What was said at a time is never said again."""
    rows = list(said)
    for each in rows:
        assert each.quantiles.shape == (len(each.leads), len(QUANTILES))
    columns = transposed(
        [
            (
                *(each.datastream_id, each.time, each.model_id, each.rehearsed, each.issued_at, each.level),
                *map(_text, (each.leads, each.quantiles.ravel().tolist())),
                *map(array, (each.missing, each.doubtful, each.left_out)),
            )
            for each in rows
        ],
        11,
    )
    return conn.execute(
        """
        insert into forecast (municipality_id, datastream_id, phenomenon_time, forecast_model_id, rehearsed, issued_at,
                              level, leads, quantiles, missing, doubtful, left_out)
        select %s, d, t, m, r, i, l, h::real[], q::real[], mi::integer[], do_::integer[], lo::integer[]
        from unnest(%s::integer[], %s::timestamptz[], %s::integer[], %s::boolean[], %s::timestamptz[], %s::float8[],
                    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
             as said (d, t, m, r, i, l, h, q, mi, do_, lo)
        on conflict do nothing
        """,
        (municipality_id, *columns),
    ).rowcount


def _text(numbers: Iterable[float]) -> str:
    return array([None if np.isnan(each) else round(float(each), 4) for each in numbers])


_SAID = """
select f.datastream_id, f.phenomenon_time, f.forecast_model_id, f.rehearsed, f.issued_at, f.level, f.leads,
       f.quantiles, f.missing, f.doubtful, f.left_out, m.method
from unnest(%s::integer[]) as asked (datastream_id)
cross join lateral (
    select * from forecast where forecast.datastream_id = asked.datastream_id
    and phenomenon_time >= coalesce(%s::timestamptz, '-infinity') and phenomenon_time <= %s
    order by phenomenon_time desc limit %s
) f
join forecast_model m using (forecast_model_id)
order by f.datastream_id, f.phenomenon_time desc
"""


def said(conn: Connection, datastream_id: int, start: datetime, end: datetime) -> list[Said]:
    """What was said from observations of start <= time <= end, oldest first."""
    return [_said(row) for row in conn.execute(_SAID, (array([datastream_id]), start, end, None))][::-1]


def said_last(conn: Connection, datastream_ids: Sequence[int], until: datetime) -> dict[int, Said]:
    """The newest of each gauge that was said from an observation no later than this."""
    rows = conn.execute(_SAID, (array(datastream_ids), None, until, 1))
    return {said.datastream_id: said for said in map(_said, rows)}


def last_times(conn: Connection, datastream_ids: Sequence[int]) -> dict[int, datetime]:
    """From which observation each gauge was last looked ahead."""
    rows = conn.execute(
        """
        select datastream_id, max(phenomenon_time) from forecast
        where datastream_id = any(%s::integer[]) and not rehearsed group by 1
        """,
        (array(datastream_ids),),
    )
    return dict(rows.fetchall())


def measured_to(conn: Connection, datastream_ids: Sequence[int]) -> dict[int, datetime]:
    """When each gauge was last measured."""
    rows = conn.execute(
        """
        select datastream_id, measured_time from datastream_latest join datastream using (datastream_id)
        where datastream_id = any(%s::integer[]) and measured_time is not null and drill_run is null
        """,
        (array(datastream_ids),),
    )
    return dict(rows.fetchall())


def span(conn: Connection, datastream_id: int) -> tuple[datetime, datetime] | None:
    """The first and the newest time at which a gauge was measured; None where it never was."""
    row = conn.execute(
        """
        select first_time, measured_time from datastream_latest join datastream using (datastream_id)
        where datastream_id = %s and measured_time is not null and drill_run is null
        """,
        (datastream_id,),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def floods(conn: Connection, municipality_id: int) -> tuple[dict[int, datetime], dict[int, int]]:
    """When the last flood of each gauge was over: an alert of a reference level that was cleared; and the level of each
    that is open.
    """
    rows = conn.execute(
        """
        select datastream_id, max(cleared_at), max(level) filter (where cleared_at is null) from alert
        where municipality_id = %s and rule = 'level' and mode = 'actual' group by 1
        """,
        (municipality_id,),
    ).fetchall()
    over = {gauge: at for gauge, at, _ in rows if at is not None}
    return over, {gauge: level for gauge, _, level in rows if level is not None}


def prune(conn: Connection, now: datetime) -> bool:
    """One step; whether there may be more to let go."""
    gone = conn.execute(
        """
        delete from forecast where (datastream_id, phenomenon_time) in (
            select f.datastream_id, f.phenomenon_time from forecast f
            where f.phenomenon_time < %(before)s and not exists (
                select from alert a
                where a.datastream_id = f.datastream_id and a.rule = 'level' and a.mode = 'actual'
                  and f.phenomenon_time between a.raised_at - %(ahead)s and coalesce(a.cleared_at, %(now)s) + %(after)s)
            limit %(most)s)
        """,
        {"before": now - KEPT, "now": now, "ahead": _BEFORE, "after": _AFTER, "most": PRUNED},
    ).rowcount
    return gone == PRUNED


def _model(row: Sequence[Any]) -> Model:
    told: dict[str, Any] = dict(zip(_OF_MODEL, row, strict=True))
    for name in ("neighbours", "rain"):
        told[name] = tuple(told[name])
    scores = told["scores"]
    return Model(**told | {"scores": None if scores is None else tuple(Score(**each) for each in scores)})


def _said(row: Sequence[Any]) -> Said:
    told: dict[str, Any] = dict(zip(_OF_SAID, row, strict=True))
    for name in ("leads", "missing", "doubtful", "left_out"):
        told[name] = tuple(told[name])
    flat = np.array([np.nan if each is None else each for each in told["quantiles"]], np.float64)
    return Said(**told | {"quantiles": flat.reshape(len(told["leads"]), -1)})
