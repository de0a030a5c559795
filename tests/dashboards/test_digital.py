"""デジタル and the start page: which state a device is in, what a role may read, and what the disk holds."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import httpx
import pytest

import devices.envelopes
from api.access import Role
from api.database import enter_municipality
from api.pages.digital import DeviceNow, DeviceState, devices_now, preview
from api.pages.formats import duration, size
from api.pages.machine_room import GROUPS, LEDGERS, disk, machine_room
from api.pages.words import load_words
from api.workers import WorkerState
from devices.clock import FixedClock, real_now
from devices.model import ObservedProperty, StationKind
from store import connect
from store.backup_runs import record
from store.town_clock import load_clock
from store.writer import BatteryRow, write_batch
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered, accepted

MINUTE = timedelta(minutes=1)
PROJECT = Path(__file__).resolve().parents[2]
GAUGE = "river-okusawa"  # silent after 40 minutes


def key_at(registered: Registered, station: str) -> str:
    return next(
        device.key
        for device in registered.directory.devices.values()
        if any(attachment.station_code == station for attachment in device.attachments)
    )


def hear(registered: Registered, *times: datetime, battery: BatteryRow | None = None) -> None:
    """Accepted messages of the gauge, received and sent at these times."""
    device = registered.directory.device(key_at(registered, GAUGE))
    assert device is not None
    rows = [accepted(device, time, sent=time, battery=battery) for time in times]
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, rows)


def refuse(registered: Registered, raw: bytes, reason: str, detail: str = "why") -> None:
    """A message in quarantine."""
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into uplink (municipality_id, payload_hash, topic, raw, received_time, outcome, reason, detail)
            values (%s, %s, 'application/x/device/beef/event/up', %s, %s, 'quarantined', %s, %s)
            """,
            (registered.municipality_id, secrets.token_bytes(32), raw, START, reason, detail),
        )


def gauge_at(registered: Registered, now: datetime) -> DeviceNow:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        return next(device for device in devices_now(conn, now) if device.station == GAUGE)


@pytest.mark.parametrize(
    ("silence", "heard", "low", "state"),
    [
        ("40 min", [25, 15, 5], False, DeviceState.NORMAL),
        ("40 min", [44, 34, 24, 14, 4], False, DeviceState.NORMAL),
        ("40 min", [60, 50, 40, 30], False, DeviceState.NORMAL),
        ("40 min", [61, 51, 41, 31], False, DeviceState.STANDBY),
        ("40 min", [71, 61, 51, 41], False, DeviceState.LOST),
        ("40 min", [71, 61, 51, 41], True, DeviceState.LOST),
        ("40 min", [25, 15, 5], True, DeviceState.LOW_BATTERY),
        ("25 hours", [3 * 1440 + 60, 2 * 1440 + 60, 1440 + 60, 60], False, DeviceState.NORMAL),
        ("25 hours", [330, 320, 310, 300], False, DeviceState.STANDBY),
        ("40 min", [35], False, DeviceState.NORMAL),
        ("40 min", [], False, DeviceState.NEVER),
    ],
)
def test_a_device_is_in_one_of_five_states(
    registered: Registered, silence: str, heard: list[int], low: bool, state: DeviceState
) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute("update device set silence_after = %s::interval", (silence,))
    battery = BatteryRow(3.1 if low else 3.6, low, START)
    hear(registered, *(START - ago * MINUTE for ago in heard), battery=battery)
    device = gauge_at(registered, START)
    assert device.state is state
    assert device.heard == (START - min(heard) * MINUTE if heard else None)
    assert (device.silent_at is None) == (state in (DeviceState.LOST, DeviceState.NEVER))


def test_a_message_that_was_refused_or_an_event_is_no_sign_of_life(registered: Registered) -> None:
    hear(registered, START - 50 * MINUTE)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into uplink (municipality_id, device_id, payload_hash, topic, raw, received_time, outcome, reason)
            select municipality_id, device_id, '\\x01', 't', '', %s, outcome, reason
            from device, (values ('quarantined', 'codec'), ('event', null)) as o (outcome, reason)
            where key = %s on conflict do nothing
            """,
            (START, key_at(registered, GAUGE)),
        )
    assert gauge_at(registered, START).state is DeviceState.LOST


def test_who_asks_for_somebody_stands_first(registered: Registered) -> None:
    hear(registered, *(START - ago * MINUTE for ago in (45, 55, 65, 75)))
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        devices = devices_now(conn, START)
    assert len(devices) == len(registered.directory.devices)
    assert (devices[0].station, devices[0].interval) == (GAUGE, 10 * MINUTE)
    assert {device.state for device in devices[1:]} == {DeviceState.NEVER}


@pytest.fixture
def hall(registered: Registered, tmp_path: Path) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered, data_folder=tmp_path) as running:
        yield running


def test_only_the_digital_section_sees_what_could_not_be_read_and_everyone_how_much(hall: TownHall) -> None:
    refuse(hall.database, b'{"secret": "<b>kotoba</b>"}', "envelope", "not JSON of ChirpStack")
    refuse(hall.database, b"\x01\xfe\xff", "codec")
    for role in Role:
        with hall.visitor(role) as client:
            text = client.get("/digital").text
        assert "通信網の形式が読めない" in text and "機種の形式と違う" in text
        reads = role is Role.DIGITAL
        assert ("&lt;b&gt;kotoba" in text) == reads and ("01 fe ff" in text) == reads
        assert ("application/x/device/beef" in text) == reads and ("not JSON of ChirpStack" in text) == reads
        assert "<b>kotoba" not in text
    with hall.visitor(Role.DIGITAL, town="other") as client:
        assert "kotoba" not in client.get("/digital").text


def test_every_reason_of_quarantine_has_words() -> None:
    text = (PROJECT / "docs" / "ingest.md").read_text("utf-8")
    section = text[text.index("## What becomes of a message") :].split("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)` \| .* \| .* \|$", section, re.M))
    assert "unknown_device" in documented
    for words in load_words(PROJECT / "dashboards" / "locales").values():
        assert {key.removeprefix("quarantine.") for key in words.texts if key.startswith("quarantine.")} == documented


def test_every_network_has_a_name_for_people() -> None:
    modules = [import_module(f"devices.envelopes.{each.name}") for each in iter_modules(devices.envelopes.__path__)]
    networks = {f"network.{module.NETWORK}" for module in modules if hasattr(module, "NETWORK")}
    assert len(networks) >= 3
    for words in load_words(PROJECT / "dashboards" / "locales").values():
        assert networks <= words.texts.keys()


def test_every_kind_of_station_and_everything_observed_has_words() -> None:
    for words in load_words(PROJECT / "dashboards" / "locales").values():
        assert {f"kind.{kind}" for kind in StationKind} <= words.texts.keys()
        assert {f"property.{each}" for each in ObservedProperty} <= words.texts.keys()


@pytest.mark.parametrize(
    ("raw", "whole", "shown"),
    [
        (b'{"a": 1}', None, '{"a": 1}'),
        ("水位".encode(), None, "水位"),
        (b"\x00\x01", None, "00 01"),
        (b"\xff" * 80, None, "ff " * 63 + "ff …"),
        (b"", None, ""),
        (b"a" * 500, None, "a" * 400 + "…"),
        ("水位".encode()[:-1], 600, "水…"),
        (b"\xe6\xb0" + b"a" * 20, 600, "e6 b0" + " 61" * 20 + " …"),
    ],
)
def test_a_message_is_shown_as_text_where_it_is_one_and_as_hex_elsewhere(
    raw: bytes, whole: int | None, shown: str
) -> None:
    assert preview(raw, len(raw) if whole is None else whole) == shown


def test_the_machine_room_says_who_works_who_lags_and_what_waits(registered: Registered, tmp_path: Path) -> None:
    hear(registered, START)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into ingest_worker values ('a', %(m)s, %(now)s, %(now)s), ('b', %(m)s, %(now)s, null),
                                             ('c', %(m)s, %(old)s, %(old)s)
            """,
            {"m": registered.municipality_id, "now": START, "old": START - 3 * MINUTE},
        )
        conn.execute("insert into feed (municipality_id, kind) values (%s, 'alerts')", (registered.municipality_id,))
        conn.execute("insert into feed_cursor values ('alerts', 0), ('analytics', (select max(feed_id) from feed))")
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        room = machine_room(conn, FixedClock(START), timedelta(seconds=90), tmp_path)
        tables = {row[0] for row in conn.execute("select relname from pg_class where relkind in ('r', 'p')")}
    assert [worker.state for worker in room.workers] == [WorkerState.LISTENING, WorkerState.NO_BROKER, WorkerState.LOST]
    assert room.lags == {"alerts": 1, "analytics": 0} and room.waiting == 0
    assert list(room.groups) == [*GROUPS, LEDGERS]
    assert all(size > 0 for size in room.groups.values()) and sum(room.groups.values()) < room.database
    assert room.disk is not None and 0 < room.disk.free <= room.disk.total
    assert not set().union(*GROUPS.values()) - tables, "a group names a table that does not exist"


def test_the_page_says_in_words_why_ingest_takes_no_messages(hall: TownHall) -> None:
    with connect(hall.database.owner, name="test") as conn:
        now = load_clock(conn).now()
    rows = [
        ("a", now, None, "database", now - 5 * MINUTE, 2000, None, None),
        ("b", now, None, "full", now - 5 * MINUTE, 4000, None, None),
        ("c", now, None, "broker", now - 5 * MINUTE, 0, None, None),
        ("d", now, None, None, None, 0, now, None),
        ("e", now - 3000 * MINUTE, None, None, None, 0, None, now),
        ("f", now, now, None, None, 7, None, None),
    ]
    with connect(hall.database.owner, name="test") as conn:
        for worker_id, beat, listening, obstacle, since, held, stopped, drained in rows:
            conn.execute(
                """
                insert into ingest_worker (worker_id, municipality_id, heartbeat_at, listening_since, obstacle,
                                           obstacle_since, held, stopped_at, drained_at, outage_from, outage_until)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                (
                    worker_id, hall.database.municipality_id, beat, listening, obstacle, since, held, stopped, drained,
                    *((now - 40 * MINUTE, now - 30 * MINUTE) if worker_id == "f" else (None, None)),
                ),
            )  # fmt: skip
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get("/digital").text
    said = dict(re.findall(r">受信処理 (\w)</th>\s*<td>(.*?)</td>", page))
    assert "データベースに保存できていません" in said["a"] and "手元に2000件" in said["a"].replace(",", "")
    assert "受信を休んでいます" in said["b"]
    assert "ブローカーに届きません" in said["c"] and "手元" not in said["c"]
    assert "止めてあります" in said["d"]
    assert "廃止済み" in said["e"], "a drained worker is not missed"
    assert "受信中" in said["f"] and "最後にデータベースに届かなかった時間" in said["f"]
    # The worst comes first, and says of how many.
    parts = httpx.get(f"{hall.url}/healthz", trust_env=False).json()["parts"]
    assert parts["ingest"] == {"state": "failing", "detail": "1 of 5 workers: stopped"}


def test_the_page_says_how_old_the_backups_are_in_real_time(hall: TownHall) -> None:
    def said(client: httpx.Client, kind: str) -> str:
        found = re.search(rf'id="last-{kind}".*?</tr>', client.get("/digital").text, re.S)
        assert found is not None
        return re.sub(r"<[^>]+>|\s+", " ", found[0])

    with hall.visitor(Role.DIGITAL) as client:
        assert "まだありません" in said(client, "backup") and "まだありません" in said(client, "drill")
        with connect(hall.database.owner, name="test") as conn:
            made = real_now() - timedelta(hours=5, minutes=1)
            record(conn, "backup", made, made, taken_at=made, size=12_345_678)
            tried = real_now() - timedelta(days=3, minutes=1)
            record(conn, "drill", tried, tried, taken_at=made)
        assert "5時間前" in said(client, "backup") and "12.3 MB" in said(client, "backup")
        assert "3日前" in said(client, "drill") and "失敗" not in said(client, "backup")
        with connect(hall.database.owner, name="test") as conn:
            record(conn, "backup", real_now(), real_now(), problem="/backups: the disk is full")
        text = said(client, "backup")
        assert "5時間前" in text and "失敗" in text and "/backups" not in text


def test_partitions_count_with_their_table(registered: Registered) -> None:
    def observations() -> int:
        with connect(registered.api, name="test") as conn:
            enter_municipality(conn, registered.municipality_id)
            return machine_room(conn, FixedClock(START), timedelta(seconds=90), None).groups["observations"]

    before = observations()
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select %s, %s + n * interval '1 minute', 1.0, 'good' from generate_series(1, 5000) n
            """,
            (registered.datastream(GAUGE, "water_level"), START),
        )
    assert observations() > before + 100_000


def test_a_disk_that_is_elsewhere_is_not_made_up(tmp_path: Path) -> None:
    assert disk(None) is None and disk(tmp_path / "elsewhere") is None


def test_sizes_and_durations_are_short_and_in_one_unit() -> None:
    words = load_words(PROJECT / "dashboards" / "locales")["ja"]
    assert [size(n) for n in (0, 8192, 12_345_678, 1_500_000_000)] == ["0 KB", "8 KB", "12.3 MB", "1.5 GB"]
    assert [duration(timedelta(minutes=m), words) for m in (0.5, 40, 60, 90, 1440)] == [
        "0.5分",
        "40分",
        "1時間",
        "1.5時間",
        "1日",
    ]


def door(text: str, desk: str) -> str:
    found = re.search(rf'id="door-{desk}".*?</section>', text, re.S)
    assert found is not None, desk
    return re.sub(r"<[^>]+>|\s+", " ", found[0])


def test_the_start_page_has_four_doors_with_the_own_desk_first_and_the_present_on_each(hall: TownHall) -> None:
    hear(hall.database, *(START - ago * MINUTE for ago in (20, 10, 0)), battery=BatteryRow(3.1, True, START))
    hall.observe(f"{GAUGE}/water_level", (START, 2.1))
    hall.observe("spot-michinoeki/passages_in", (START - 10 * MINUTE, 12.0), (START, 0.0))
    hall.raise_alert(f"{GAUGE}/water_level", rule="silence")
    for role, first in {**{r: r.value for r in Role}, Role.VIEWER: "disaster"}.items():
        with hall.visitor(role) as client:
            assert client.get("/").headers["location"] == "/start"
            text = client.get("/start").text
        doors = re.findall(r'id="door-(\w+)"', text)
        assert sorted(doors) == ["digital", "disaster", "tourism", "water"] and doors[0] == first
        assert ("担当" in door(text, first)) == (role is not Role.VIEWER)
    assert "警戒レベル３相当" in door(text, "disaster") and "2.10" in door(text, "disaster")
    assert "発生中のアラート 1件" in door(text, "disaster") and "発生中のアラート 1件" in door(text, "digital")
    assert "発生中のアラートはありません" in door(text, "water")
    assert re.search(r"12\s+人（延べ）", door(text, "tourism"))
    n = len(hall.database.directory.devices)
    assert f"届いていない機器 {n - 1}台（全{n}台）" in door(text, "digital") and "低電池の機器 1台" in door(
        text, "digital"
    )
