"""The rows of a query as numpy columns, without an object for each: one binary COPY.

A row costs about as long as the server needs to send it. Every column is a double precision that is never null: a query
says ``coalesce(value, 'NaN')::float8``, and times as ``date_part('epoch', ...)``, seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from psycopg import sql

from store.connection import Connection

Floats = npt.NDArray[np.float64]

_HEADER, _TRAILER = 19, 2  # bytes of the binary COPY format around the rows


def columns(conn: Connection, query: sql.Composed, names: Sequence[str]) -> tuple[Floats, ...]:
    """The columns of these names, in the order of the query's; all of one length.

    Raises ValueError where a row is not made of so many double precisions that are not null.
    """
    row = np.dtype([("fields", ">i2")] + [(f"{part}{name}", kind) for name in names for part, kind in _CELL])
    with conn.cursor() as cursor, cursor.copy(sql.SQL("copy ({}) to stdout (format binary)").format(query)) as copy:
        raw = b"".join(copy)
    if (len(raw) - _HEADER - _TRAILER) % row.itemsize:
        raise ValueError(f"the query does not give {len(names)} columns of double precision without nulls")
    rows = np.frombuffer(raw, row, offset=_HEADER, count=(len(raw) - _HEADER - _TRAILER) // row.itemsize)
    return tuple(rows[f"_{name}"].astype(np.float64) for name in names)


_CELL = (("length of ", ">i4"), ("_", ">f8"))
