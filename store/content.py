"""What a database holds, in numbers that can be compared: rows and a hash of each table, month by month of long ones.

The hash of a table is the sum, modulo 2**64, of a 64-bit hash of each row written as text. A sum does not know an
order, so the same rows give the same number however they lie on the disk: hypertable or partitions, before and after
a restore, on another version of PostgreSQL. The server computes it in one parallel pass over the table; nothing but
one line a month travels. It finds damage and loss; against somebody who forges rows the file's SHA-256 stands.

What says how a value is written (time zone, digits, ...) is set here, and columns go in the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from psycopg import sql

from store.connection import Connection

# Never part of a backup: a sign-in does not outlive a restore, and a restored town has not made a backup.
TRANSIENT = ("user_session", "backup_run")
# The long tables, and the column whose UTC month they are counted by.
MONTHLY: Mapping[str, str] = {
    "observation": "phenomenon_time",
    "observation_revision": "revised_at",
    "uplink": "received_time",
    "rollup_hour": "hour",
    "counter_reading": "slot",
}
_MODULUS = 1 << 64
_TEXT_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows, and their hash as 16 hex digits."""

    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class TableContent:
    """The sum of a table over the columns named, and of each UTC month ('2026-06') of a long one."""

    columns: tuple[str, ...]
    rows: int
    hash: str
    months: Mapping[str, Sum] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        months = {month: {"rows": part.rows, "hash": part.hash} for month, part in self.months.items()}
        whole: dict[str, Any] = {"columns": list(self.columns), "rows": self.rows, "hash": self.hash}
        return whole | ({"months": months} if months else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """KeyError, TypeError, ValueError or AttributeError where `value` is no such thing."""
        months = {str(m): Sum(int(s["rows"]), str(s["hash"])) for m, s in value.get("months", {}).items()}
        return cls(tuple(map(str, value["columns"])), int(value["rows"]), str(value["hash"]), months)


def content(conn: Connection, *, begin: Callable[[str], None] = lambda table: None) -> dict[str, TableContent]:
    """The sums of every table that a backup holds, as the transaction of `conn` sees them. `begin` hears each name."""
    for name, value in _TEXT_SETTINGS.items():
        conn.execute("select set_config(%s, %s, true)", (name, value))
    found = {}
    for table in tables(conn):
        if table not in TRANSIENT:
            begin(table)
            found[table] = _sum(conn, table)
    return found


def tables(conn: Connection) -> list[str]:
    """The tables of the schema public that the migrations made, without partitions and the migrations' own ledger."""
    rows = conn.execute(
        r"""
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname !~ '^_?yoyo'
          and not exists (select from pg_inherits i where i.inhrelid = c.oid)
          and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
        order by 1
        """
    )
    return [row[0] for row in rows]


def differences(expected: Mapping[str, TableContent], found: Mapping[str, TableContent]) -> list[str]:
    """What is not the same, a sentence each; empty where everything is."""
    return [line for table in sorted({*expected, *found}) for line in _compare(table, expected, found)]


def _compare(table: str, expected: Mapping[str, TableContent], found: Mapping[str, TableContent]) -> Iterable[str]:
    if table not in expected or table not in found:
        yield f"{table}: is in the {'restored database' if table in found else 'backup'} only"
        return
    old, new = expected[table], found[table]
    if old.columns != new.columns:
        yield f"{table}: its columns are {', '.join(new.columns)}, in the backup {', '.join(old.columns)}"
        return
    wrong = False
    for month in sorted({*old.months, *new.months}):
        nothing = Sum(0, "0" * 16)
        before, after = old.months.get(month, nothing), new.months.get(month, nothing)
        if before != after:
            wrong = True
            yield f"{table} {month}: {_sentence(before, after)}"
    if not wrong and (old.rows, old.hash) != (new.rows, new.hash):
        yield f"{table}: {_sentence(Sum(old.rows, old.hash), Sum(new.rows, new.hash))}"


def _sentence(before: Sum, after: Sum) -> str:
    if before.rows != after.rows:
        return f"{after.rows} rows, in the backup {before.rows}"
    return f"{after.rows} rows as in the backup, but not the same contents"


def _sum(conn: Connection, table: str) -> TableContent:
    columns = [
        row[0]
        for row in conn.execute(
            """
            select attname from pg_attribute
            where attrelid = to_regclass(quote_ident(%s)) and attnum > 0 and not attisdropped order by attname
            """,
            (table,),
        )
    ]
    by = MONTHLY.get(table)
    month = sql.SQL("to_char({} at time zone 'UTC', 'YYYY-MM')").format(sql.Identifier(by)) if by else sql.SQL("''")
    rows = conn.execute(
        sql.SQL(
            'select {}, count(*), sum(hashtextextended(row({})::text collate "C", 0)) from {} group by 1 order by 1'
        ).format(month, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table))
    ).fetchall()
    return _table(columns, rows, monthly=by is not None)


def _table(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], *, monthly: bool) -> TableContent:
    return TableContent(
        columns=tuple(columns),
        rows=sum(n for _, n, _ in rows),
        hash=_hex(sum(int(total) for _, _, total in rows)),
        months={month: Sum(n, _hex(int(total))) for month, n, total in rows} if monthly else {},
    )


def _hex(total: int) -> str:
    return f"{total % _MODULUS:016x}"
