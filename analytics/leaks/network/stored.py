"""The networks of a town in its database: drafts, the versions that were taken over, and what they hold.

    keep_draft(conn, town, found, files, now=, user_id=) -> id    what was read; an earlier draft goes
    take_over(conn, town, id, now=, user_id=) -> bool             it is the present one now; False: it is no draft
    leave_out(conn, town, id, now=) -> bool                       somebody decided against a draft
    versions(conn, town) -> [Version, ...]                        drafts first, then the newest
    network_of(conn, town, id) -> Network
    problems_of(conn, town, id) -> (Problem, ...)
    lengths(conn, town, id) -> [Length, ...]                      km by block, material and decade
    present(conn, town) -> id | None                              the version in use
    block_names(conn, town) -> [name, ...] | None                 of the version in use; None: there is none

A version that was taken over never changes and never goes: what leaks were looked for on is known afterwards. Of a
hydraulic model the whole file is kept beside its pipes. Times are town time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from psycopg.types.json import Jsonb

from analytics.leaks.network import inp, inp_text
from analytics.leaks.network.files import Found
from analytics.leaks.network.pipes import Blocks, Fixtures, Floats, Network, Nodes, Pipes
from analytics.leaks.network.problems import Problem
from store.connection import Connection


@dataclass(frozen=True, slots=True)
class Version:
    """A network of the town. `present`: the one in use; `draft`: nobody has taken it over yet. `problems` are those
    that are wrong, without hints.
    """

    pipe_network_id: int
    files: tuple[str, ...]
    form: str
    epsg: int | None
    read_at: datetime
    read_by: str
    taken_at: datetime | None
    taken_by: str
    present: bool
    pipes: int
    km: float
    problems: int

    @property
    def draft(self) -> bool:
        return self.taken_at is None


@dataclass(frozen=True, slots=True)
class Length:
    """`n` pipes of `km` in a block, of a material, laid in the ten years from `decade`; None: not known."""

    block: str | None
    material: str | None
    decade: int | None
    n: int
    km: float


def keep_draft(
    conn: Connection, municipality_id: int, found: Found, files: Sequence[str], *, now: datetime, user_id: int | None
) -> int:
    """The number of the draft. Drafts that were read before are left out: there is one at a time."""
    for (before,) in conn.execute(
        """
        select pipe_network_id from pipe_network
        where municipality_id = %s and taken_at is null and left_out_at is null for update
        """,
        (municipality_id,),
    ).fetchall():
        leave_out(conn, municipality_id, before, now=now)
    network = found.network
    row = conn.execute(
        """
        insert into pipe_network (municipality_id, files, form, epsg, hydraulics, problems, read_at, read_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s) returning pipe_network_id
        """,
        (
            municipality_id,
            list(files),
            found.form,
            network.epsg,
            inp_text.write(network) if found.form == "inp" else None,
            Jsonb([[each.code, each.file, each.feature, dict(each.values), each.xy] for each in found.problems]),
            now,
            user_id,
        ),
    ).fetchone()
    assert row is not None
    number = int(row[0])
    _insert(conn, municipality_id, number, network)
    return number


def take_over(conn: Connection, municipality_id: int, number: int, *, now: datetime, user_id: int | None) -> bool:
    """Whether it was a draft."""
    return bool(
        conn.execute(
            """
            update pipe_network set taken_at = greatest(%s, read_at), taken_by = %s
            where municipality_id = %s and pipe_network_id = %s and taken_at is null and left_out_at is null
            """,
            (now, user_id, municipality_id, number),
        ).rowcount
    )


def leave_out(conn: Connection, municipality_id: int, number: int, *, now: datetime) -> bool:
    """Whether it was a draft. That it was read stays; its pipes go."""
    left = conn.execute(
        """
        update pipe_network set left_out_at = %s, hydraulics = null
        where municipality_id = %s and pipe_network_id = %s and taken_at is null and left_out_at is null
        """,
        (now, municipality_id, number),
    ).rowcount
    if left:
        conn.execute("delete from network_fixture where pipe_network_id = %s", (number,))
        conn.execute("delete from network_block where pipe_network_id = %s", (number,))
        conn.execute("delete from network_pipe where pipe_network_id = %s", (number,))
        conn.execute("delete from network_node where pipe_network_id = %s", (number,))
    return bool(left)


def versions(conn: Connection, municipality_id: int, number: int | None = None) -> list[Version]:
    """Those that are there (`number`: of them this one), a draft first, then from the newest on."""
    rows = conn.execute(
        """
        select n.pipe_network_id, n.files, n.form, n.epsg, n.read_at, coalesce(r.display_name, ''), n.taken_at,
               coalesce(t.display_name, ''), n.problems, p.n, p.km,
               n.taken_at is not null and n.pipe_network_id = first_value(n.pipe_network_id)
                   over (order by n.taken_at desc nulls last, n.pipe_network_id desc)
        from pipe_network n
        left join app_user r on r.user_id = n.read_by
        left join app_user t on t.user_id = n.taken_by
        cross join lateral (
            select count(*) n, coalesce(sum(length_m), 0) / 1000 km from network_pipe p
            where p.pipe_network_id = n.pipe_network_id
        ) p
        where n.municipality_id = %s and n.left_out_at is null
        order by n.taken_at desc nulls first, n.pipe_network_id desc
        """,
        (municipality_id,),
    ).fetchall()
    found = [
        Version(
            row[0],
            tuple(row[1]),
            row[2],
            row[3],
            row[4],
            row[5],
            row[6],
            row[7],
            row[11],
            row[9],
            row[10],
            sum(not _problem(each).hint for each in row[8]),
        )
        for row in rows
    ]
    return [each for each in found if number in (None, each.pipe_network_id)]


def problems_of(conn: Connection, municipality_id: int, number: int) -> tuple[Problem, ...]:
    """What was found when it was read; LookupError where there is no such version."""
    row = conn.execute(
        "select problems from pipe_network where municipality_id = %s and pipe_network_id = %s",
        (municipality_id, number),
    ).fetchone()
    if row is None:
        raise LookupError(f"there is no network {number}")
    return tuple(_problem(each) for each in row[0])


def _problem(said: Sequence[object]) -> Problem:
    code, file, feature, values, xy = said
    place = (float(xy[0]), float(xy[1])) if isinstance(xy, list) else None
    return Problem(str(code), str(file), str(feature), values if isinstance(values, Mapping) else {}, place)


def lengths(conn: Connection, municipality_id: int, number: int) -> list[Length]:
    """Those in no block, of no known material or year last."""
    rows = conn.execute(
        """
        select block, material, year / 10 * 10, count(*), sum(length_m) / 1000 from network_pipe
        where municipality_id = %s and pipe_network_id = %s
        group by 1, 2, 3 order by 1 nulls last, 2 nulls last, 3 nulls last
        """,
        (municipality_id, number),
    )
    return [Length(*row) for row in rows]


def present(conn: Connection, municipality_id: int) -> int | None:
    """The version that was taken over last."""
    row = conn.execute(
        """
        select pipe_network_id from pipe_network where municipality_id = %s and taken_at is not null
        order by taken_at desc, pipe_network_id desc limit 1
        """,
        (municipality_id,),
    ).fetchone()
    return None if row is None else int(row[0])


def block_names(conn: Connection, municipality_id: int) -> list[str] | None:
    """The blocks that pipes are in; None where there is no network at all."""
    number = present(conn, municipality_id)
    if number is None:
        return None
    rows = conn.execute(
        "select distinct block from network_pipe where pipe_network_id = %s and block is not null order by 1", (number,)
    )
    return [row[0] for row in rows]


def network_of(conn: Connection, municipality_id: int, number: int) -> Network:
    """A version as it was read; LookupError where there is none, or its pipes are gone."""
    row = conn.execute(
        """
        select epsg, hydraulics from pipe_network
        where municipality_id = %s and pipe_network_id = %s and left_out_at is null
        """,
        (municipality_id, number),
    ).fetchone()
    if row is None:
        raise LookupError(f"there is no network {number}")
    epsg, hydraulics = row
    if hydraulics is not None:
        return replace(inp.parse(hydraulics, "network.inp"), epsg=epsg)
    which = (municipality_id, number)
    nodes = conn.execute(
        """
        select name, x, y, elevation from network_node
        where municipality_id = %s and pipe_network_id = %s order by node
        """,
        which,
    ).fetchall()
    pipes = conn.execute(
        """
        select name, start_node, end_node, length_m, diameter_mm, material, year, block, roughness, closed, line
        from network_pipe where municipality_id = %s and pipe_network_id = %s order by pipe
        """,
        which,
    ).fetchall()
    fixtures = conn.execute(
        """
        select name, kind, x, y, pipe, attributes from network_fixture
        where municipality_id = %s and pipe_network_id = %s order by fixture
        """,
        which,
    ).fetchall()
    blocks = conn.execute(
        "select name, ring from network_block where municipality_id = %s and pipe_network_id = %s order by block", which
    ).fetchall()
    return Network(
        nodes=Nodes(
            tuple(each[0] for each in nodes),
            _floats([each[1:3] for each in nodes]).reshape(-1, 2),
            _floats([each[3] for each in nodes]),
        ),
        pipes=Pipes(
            tuple(each[0] for each in pipes),
            np.array([each[1] for each in pipes], np.int64),
            np.array([each[2] for each in pipes], np.int64),
            _floats([each[3] for each in pipes]),
            _floats([each[4] for each in pipes]),
            tuple(each[5] for each in pipes),
            np.array([each[6] or 0 for each in pipes], np.int64),
            tuple(each[7] for each in pipes),
            _floats([each[8] for each in pipes]),
            np.array([each[9] for each in pipes], bool),
            tuple(_floats(each[10]).reshape(-1, 2) for each in pipes),
        ),
        fixtures=Fixtures(
            tuple(each[0] for each in fixtures),
            tuple(each[1] for each in fixtures),
            _floats([each[2:4] for each in fixtures]).reshape(-1, 2),
            np.array([-1 if each[4] is None else each[4] for each in fixtures], np.int64),
            tuple(each[5] for each in fixtures),
        ),
        blocks=Blocks(tuple(each[0] for each in blocks), tuple(_floats(each[1]).reshape(-1, 2) for each in blocks)),
        epsg=epsg,
    )


def _floats(values: Sequence[object]) -> Floats:
    """None is NaN, as a float always is where it is not known."""
    return np.array(values, dtype=np.float64)


def _insert(conn: Connection, municipality_id: int, number: int, network: Network) -> None:
    """Row by row in a pipeline: PostgreSQL takes no COPY into a table that shows each town its own rows."""
    pipes, fixtures = network.pipes, network.fixtures
    with conn.pipeline(), conn.cursor() as cursor:
        cursor.executemany(
            "insert into network_node values (%s, %s, %s, %s, %s, %s, %s)",
            [
                (number, municipality_id, at, name, *(_known(each) for each in (*xy, elevation)))
                for at, (name, xy, elevation) in enumerate(
                    zip(network.nodes.names, network.nodes.xy, network.nodes.elevation, strict=True)
                )
            ],
        )
        cursor.executemany(
            "insert into network_pipe values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    number,
                    municipality_id,
                    at,
                    name,
                    int(pipes.start[at]),
                    int(pipes.end[at]),
                    float(pipes.length[at]),
                    _known(pipes.diameter[at]),
                    pipes.material[at],
                    int(pipes.year[at]) or None,
                    pipes.block[at],
                    _known(pipes.roughness[at]),
                    bool(pipes.closed[at]),
                    pipes.lines[at].ravel().tolist(),
                )
                for at, name in enumerate(pipes.names)
            ],
        )
        cursor.executemany(
            "insert into network_fixture values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    number,
                    municipality_id,
                    at,
                    name,
                    fixtures.kind[at],
                    *fixtures.xy[at].tolist(),
                    int(fixtures.pipe[at]) if fixtures.pipe[at] >= 0 else None,
                    Jsonb(dict(fixtures.attributes[at])),
                )
                for at, name in enumerate(fixtures.names)
            ],
        )
        cursor.executemany(
            "insert into network_block values (%s, %s, %s, %s, %s)",
            [
                (number, municipality_id, at, name, ring.ravel().tolist())
                for at, (name, ring) in enumerate(zip(network.blocks.names, network.blocks.rings, strict=True))
            ],
        )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
