"""What a backup counts and hashes: every row of every table, wherever it lies."""

from __future__ import annotations

import psycopg
import pytest

from store import connect
from store.content import MONTHLY, TRANSIENT, content, differences, tables
from tests.conftest import Registered
from tests.store.backups import sums


def test_what_is_counted_by_month_has_the_column(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        assert set(MONTHLY) | set(TRANSIENT) <= set(tables(conn))
        for table, column in MONTHLY.items():
            conn.execute(f"select {column} from {table} limit 0")


@pytest.mark.parametrize(
    "change",
    [
        "update observation set value = value + 0.001 where (datastream_id, phenomenon_time) = "
        "(select datastream_id, phenomenon_time from observation where value > 1 limit 1)",
        "update uplink set raw = raw || '\\x00' where uplink_id = 7",
        "delete from alert_history",
        "update station set name = name || '。' where code = 'river-okusawa'",
    ],
)
def test_the_hash_hears_the_smallest_change_and_names_it(town_of_months: Registered, change: str) -> None:
    before = sums(town_of_months.owner)
    with connect(town_of_months.owner, name="test") as conn:
        conn.execute(change)
    found = differences(before, sums(town_of_months.owner))
    assert len(found) == 1
    assert found[0].split()[0].rstrip(":") in change


def test_the_hash_does_not_know_where_the_rows_lie(town_of_months: Registered) -> None:
    before = sums(town_of_months.owner)
    with connect(town_of_months.owner, name="test") as conn:
        conn.execute("create temporary table aside as select * from observation order by value desc")
        conn.execute("delete from observation")
        conn.execute("insert into observation select * from aside")
    assert sums(town_of_months.owner) == before


def test_a_session_in_another_zone_counts_the_same(town_of_months: Registered) -> None:
    with psycopg.connect(town_of_months.owner, options="-c timezone=Asia/Tokyo -c extra_float_digits=-3") as conn:
        assert content(conn) == sums(town_of_months.owner)
