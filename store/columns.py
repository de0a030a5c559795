"""The rows of a query as numpy columns, without an object for each: the server puts each column together as one value.

A row costs about as long as the server needs to find it: psycopg takes rows of a COPY out one by one, which for the
year of a gauge takes three times as long as all the rest. Every column is a double precision that is never null: a
query says ``coalesce(value, 'NaN')::float8``, and times as ``date_part('epoch', ...)``, seconds since 1970. The order
is that of the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import sql

from store.connection import Connection

Floats = npt.NDArray[np.float64]


def columns(
    conn: Connection, query: sql.Composed, names: Sequence[str], asked: Mapping[str, Any] | None = None
) -> tuple[Floats, ...]:
    """The columns of these names, in the order of the query's; all of one length. `asked`: the query's parameters.

    Raises ValueError where a value is null.
    """
    heads = [sql.Identifier(name) for name in names]
    sent = sql.SQL(", ").join(sql.SQL("string_agg(float8send({}), '')").format(each) for each in heads)
    whole = sql.SQL("select count(*), {} from ({}) as asked ({})").format(sent, query, sql.SQL(", ").join(heads))
    row = conn.cursor(binary=True).execute(whole, asked).fetchone()
    assert row is not None, "a count is a row"
    found = tuple(np.frombuffer(each or b"", ">f8").astype(np.float64) for each in row[1:])
    if any(each.size != row[0] for each in found):
        raise ValueError(f"one of the columns {', '.join(names)} has a null")
    return found
