"""A town's random history of months, a backup of it, and what a database holds."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from api.accounts import create_user
from devices.mapping import MappingEntry
from devices.model import ObservedProperty, Outcome, Quality
from store import connect
from store.backup import make_backup
from store.batch import ObservationRow, UplinkRow
from store.content import content
from store.manifest import DUMP, Backup
from store.models import CodecUpload, ModelEntry, add_model, upload
from store.restore import address_of
from store.writer import write_batch
from tests.conftest import START, Database, Registered, accepted

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SEED = 20260601


def live(town: Registered, *, seed: int = SEED, batches: int = 12) -> None:
    """A random history over three months: late, doubled and corrected values, quarantine, alerts, mails, accounts."""
    chance = random.Random(seed)
    streams = sorted(town.directory.datastreams)
    device = town.directory.device("24e124fffef00101") or next(iter(town.directory.devices.values()))
    with connect(town.worker, name="test") as conn:
        sent: list[UplinkRow] = []
        for batch in range(batches):
            rows = []
            for _ in range(20):
                at = START + timedelta(minutes=10 * chance.randrange(13_000))
                value = chance.choice([None, 0.0, -0.0, chance.uniform(-5, 900), 1e-300])
                quality = Quality.MISSING if value is None else chance.choice([Quality.GOOD, Quality.DOUBTFUL])
                observation = ObservationRow(chance.choice(streams), at, value, quality, None)
                rows.append(accepted(device, START + batch * MINUTE, (observation,), sent=at))
            rows.append(
                replace(
                    rows[0],
                    payload_hash=chance.randbytes(32),
                    outcome=Outcome.QUARANTINED,
                    reason="envelope",
                    detail="切れた JSON\n\\N\t'\"",
                    raw=bytes(range(256)),
                    observations=(),
                    device_id=None,
                    device_key=None,
                )
            )
            write_batch(conn, town.municipality_id, rows + chance.sample(sent, min(len(sent), 5)))
            sent += rows
            conn.commit()
        alert = conn.execute(
            """
            insert into alert (municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time)
            select municipality_id, station_id, 'level', datastream_id, 3, %s, %s from datastream limit 1
            returning alert_id
            """,
            (START, START),
        ).fetchone()
        assert alert is not None
        conn.execute(
            "insert into alert_history (municipality_id, alert_id, at, event, note) values (%s, %s, %s, 'raised', %s)",
            (town.municipality_id, alert[0], START, "水位\\. \\N"),
        )
        conn.execute("insert into feed_cursor values ('alerts', 3), ('analytics', 4) on conflict do nothing")
    with connect(town.owner, name="test") as conn:
        create_user(
            conn,
            municipality_code="999999",
            login="yamada",
            display_name="山田",
            role="disaster",
            password="correct horse battery",
            email="yamada@example.jp",
        )
        source = "function decodeUplink(input) { return {data: {'水位': input.bytes[0]}}; }\r\n".encode()
        codec_id = upload(conn, town.municipality_id, CodecUpload("a.js", source, "a test"), at=START, user_id=None)
        fields = (MappingEntry("水位", ObservedProperty.WATER_LEVEL, "cm"),)
        entry = ModelEntry("example/level", "水位計", "Level", codec_id=codec_id, fields=fields)
        add_model(conn, town.municipality_id, entry, at=START, user_id=None)
        conn.execute(
            "insert into user_session select '\\x01', municipality_id, user_id, 'csrf', now() from app_user limit 1"
        )


def sums(dsn: str) -> Any:
    with connect(dsn, name="test") as conn:
        found = content(conn)
        conn.rollback()
    return found


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with connect(dsn, name="test") as conn:
        return conn.execute(query).fetchall()


def backed_up(town: Database, folder: Path, **more: Any) -> Backup:
    return make_backup(town.owner, folder, product="1.2.3", **more)


def databases(dsn: str) -> set[str]:
    return {row[0] for row in rows(address_of(dsn, "postgres"), "select datname from pg_database")}


RIGHTS = """
    select 'grant ' || c.relname || coalesce('.' || a.attname, '') || ' ' || x.grantee::regrole || x.privilege_type
    from pg_class c left join lateral (
        select null::name as attname, c.relacl as acl union all
        select attname, attacl from pg_attribute where attrelid = c.oid and attacl is not null) a on true,
        aclexplode(a.acl) x
    where c.relnamespace = 'public'::regnamespace and x.grantee <> c.relowner and c.relkind in ('r', 'p', 'v', 'S')
    union all
    select 'policy ' || polrelid::regclass || ' ' || polname || ' ' || coalesce(pg_get_expr(polqual, polrelid), '')
    from pg_policy
    union all
    select 'guarded ' || relname from pg_class where relrowsecurity
    union all
    select 'function ' || p.oid::regprocedure || ' ' || p.prosecdef || ' ' || x.grantee || x.privilege_type
    from pg_proc p, aclexplode(p.proacl) x
    where p.pronamespace = 'public'::regnamespace and x.grantee <> p.proowner
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    order by 1
"""


def cut(folder: Path) -> None:
    with (folder / DUMP).open("r+b") as file:
        file.truncate((folder / DUMP).stat().st_size // 2)
