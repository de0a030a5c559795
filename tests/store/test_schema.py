"""The schema on both engines, and who may do what in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store import connect, feed
from store.migrate import migrate
from tests.conftest import START, Database, Registered

# Everything else carries municipality_id (municipality itself is the tenant).
WITHOUT_TENANT = {
    "observation": "belongs to its datastream; wide tables stay narrow",
    "observation_default": "partition of observation",
    "town_clock": "one a database",
    "feed_cursor": "one a consumer, over all tenants",
    "backup_run": "a backup is of the whole database",
    "delivery_channel": "the ways out of the whole installation",
}


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert migrate(database.owner) == 0


def test_observations_are_a_hypertable_or_have_a_default_partition(database: Database) -> None:
    with connect(database.owner, name="test") as conn:
        if database.engine == "timescaledb":
            found = conn.execute("select hypertable_name from timescaledb_information.hypertables").fetchall()
            assert found == [("observation",)]
        else:
            found = conn.execute("select inhrelid::regclass::text from pg_inherits").fetchall()
            assert ("observation_default",) in found


def test_every_table_names_its_tenant(database: Database) -> None:
    with connect(database.owner, name="test") as conn:
        tables = {
            row[0]
            for row in conn.execute(
                "select tablename from pg_tables where schemaname = 'public' and tablename !~ '^_?yoyo'"
            )
        }
        tenanted = {
            row[0]
            for row in conn.execute(
                "select table_name from information_schema.columns where column_name = 'municipality_id' "
                "and table_schema = 'public'"
            )
        }
    assert tables - tenanted == {t for t in WITHOUT_TENANT if t in tables}


def test_the_api_owns_nothing_and_sees_one_municipality(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        other = conn.execute(
            "insert into municipality (code, name, name_en, timezone, bounds) "
            "values ('999998', '隣町', 'Next Town', 'Asia/Tokyo', '{0,0,1,1}') returning municipality_id"
        ).fetchone()
        assert other is not None
        conn.execute(
            "insert into station (municipality_id, code, kind, name, name_en, latitude, longitude) "
            "values (%s, 'X', 'river_gauge', 'x', 'x', 0, 0)",
            other,
        )
        owned = conn.execute("select count(*) from pg_class where relowner = 'mimamori_api'::regrole").fetchone()
        assert owned == (0,)
    with connect(registered.api, name="test") as conn:
        assert conn.execute("select count(*) from station").fetchone() == (0,), "no tenant set, nothing seen"
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(registered.municipality_id),))
        codes = {row[0] for row in conn.execute("select code from station")}
        assert codes and "X" not in codes


@pytest.mark.parametrize(
    "statement",
    [
        "select * from observation",
        "insert into observation values (1, now(), 1, 'good', null, null)",
        "update app_user set password_hash = ''",
        "insert into app_user (login, role) values ('x', 'digital')",
        "delete from alert",
        "update alert set level = 1",
        "update alert_history set note = ''",
        "create table mine (x integer)",
    ],
)
def test_the_api_is_refused(registered: Registered, statement: str) -> None:
    with connect(registered.api, name="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


def test_the_api_announces_only_for_its_own_municipality(registered: Registered) -> None:
    with connect(registered.api, name="test") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(registered.municipality_id),))
        assert feed.append_alerts(conn, registered.municipality_id, [1]) > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            feed.append_alerts(conn, registered.municipality_id + 1, [1])


@pytest.mark.parametrize("table", ["observation_revision", "alert_history"])
def test_history_is_append_only_for_the_workers(registered: Registered, table: str) -> None:
    with connect(registered.worker, name="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(f"delete from {table}".encode())


def test_a_new_partition_takes_over_what_the_default_one_held(database: Database) -> None:
    at = datetime(2026, 3, 31, 23, 50, tzinfo=UTC)
    times = [at + timedelta(minutes=10 * i) for i in range(3)]
    with connect(database.worker, name="test") as conn:
        for time in times:
            conn.execute("insert into observation values (1, %s, 1.0, 'good', null, null)", (time,))
        for _ in range(2):  # the second time there is nothing left to do
            conn.execute("select observation_partition(%s)", (at,))
        kept = conn.execute("select phenomenon_time from observation order by 1").fetchall()
        assert [row[0] for row in kept] == times
        if database.engine == "postgresql":
            conn.commit()
    if database.engine == "postgresql":
        with connect(database.owner, name="test") as conn:
            assert conn.execute("select count(*) from observation_202603").fetchone() == (1,)
            assert conn.execute("select count(*) from observation_default").fetchone() == (2,)


def test_a_value_is_null_exactly_when_it_is_missing(database: Database) -> None:
    with connect(database.worker, name="test") as conn:
        for value, quality in ((None, "good"), (0.0, "missing")):
            with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
                conn.execute("insert into observation values (1, %s, %s, %s, null, null)", (START, value, quality))


def test_two_open_alerts_of_one_cause_are_impossible(registered: Registered) -> None:
    info = next(iter(registered.directory.datastreams.values()))
    insert = (
        "insert into alert (municipality_id, station_id, rule, datastream_id, raised_at, phenomenon_time) "
        "values (%s, %s, 'silence', %s, %s, %s)"
    )
    values = (registered.municipality_id, info.station_id, info.datastream_id, START, START)
    with connect(registered.worker, name="test") as conn:
        conn.execute(insert, values)
        with pytest.raises(psycopg.errors.UniqueViolation), conn.transaction():
            conn.execute(insert, values)
        conn.execute("update alert set cleared_at = %s", (START,))
        conn.execute(insert, values)
