"""Telegrams of the weather agency: read safely, for the town alone, once, and honest when the feed says nothing."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from devices.clock import FixedClock
from ingest.errors import ConfigError
from ingest.jma import JmaConfig, run
from ingest.jma.telegram import Area, RefusedTelegram, of_town, read
from ingest.jma.worker import Worker
from mimamori.administration import end_jma
from mimamori.demo_agency import Agency
from mimamori.errors import InputError
from mimamori.settings import Settings
from simulators.telegrams import Said, river, weather
from store import connect, jma, jma_feed, latest
from store.jma import Current, Telegram
from store.jma_feed import Feed
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.connections import kept

MINUTE = timedelta(minutes=1)
CITY, OTHER = "9999900", "9999800"
OWN = Area("999999", frozenset({"美守川"}))
REAL: dict[str, Any] = {"status": "通常", "mark": "", "office": "美守地方気象台"}


class RealClock(FixedClock):
    """Moved by hand, and yet the clock of a real town."""

    simulated = False


def told(text: str, area: Area = OWN) -> Telegram | None:
    return of_town(read(text.encode(), "x.xml"), area)


def rain(level: int | None, minutes: int = 0, city: str = CITY, **more: Any) -> str:
    said = {OTHER: [Said("隣町", 5)], city: [Said("美守町", level, "発表")]}
    return weather("rain", said, START + minutes * MINUTE, headline="大雨に警戒。", **{**REAL, **more})


# --- one telegram ---------------------------------------------------------------------------------------------


def test_a_telegram_says_of_the_town_what_it_says_and_of_no_other() -> None:
    found = told(rain(3))
    assert found is not None
    assert (found.kind, found.status, found.office) == ("rain", "通常", "美守地方気象台")
    assert found.headline == "大雨に警戒。" and found.report_at == START
    (item,) = found.items
    assert (item.area, item.name, item.level, item.change, item.in_force) == (
        "美守町",
        "レベル３大雨警報",
        3,
        "発表",
        True,
    )
    assert told(rain(3), Area("464911")) is None
    (calm,) = told(rain(None)).items  # type: ignore[union-attr]
    assert (calm.name, calm.change, calm.in_force) == ("", "発表警報・注意報はなし", False)
    over = weather("rain", {CITY: [Said("美守町", 2, "解除")]}, START, **REAL)
    assert [(each.name, each.in_force) for each in told(over).items] == [("レベル２大雨注意報", False)]  # type: ignore[union-attr]


def test_several_kinds_and_parts_of_a_town_are_all_there_and_wind_has_no_level() -> None:
    said = {"9999901": [Said("美守町北部", 3)], "9999902": [Said("美守町南部", 2), Said("美守町南部", 4)]}
    found = told(weather("wind", said, START, **REAL))
    assert found is not None
    assert [(each.area, each.name, each.level) for each in found.items] == [
        ("美守町北部", "暴風警報", None), ("美守町南部", "強風注意報", None), ("美守町南部", "暴風警報", None),
    ]  # fmt: skip


@pytest.mark.parametrize("title", ["指定河川洪水予報", "水位周知河川に関する情報"])
def test_a_river_is_the_towns_by_its_cities_its_code_or_its_name(title: Any) -> None:
    text = river("美守川", "9999990001", 4, START, title=title, cities={CITY: "美守町"}, main="主文です。", **REAL)
    for area in (Area("999999"), Area("464911", frozenset({"9999990001"})), Area("464911", frozenset({"美守川"}))):
        found = told(text, area)
        assert found is not None and found.event_id == "9999990001" and found.body == "主文です。"
        assert [(each.area, each.name, each.level, each.in_force) for each in found.items] == [
            ("美守川", "レベル４氾濫危険警報", 4, True)
        ]
    assert told(text, Area("464911")) is None
    over = told(river("美守川", "9999990001", None, START, title=title, cities={CITY: "美守町"}, **REAL))
    assert over is not None and [each.in_force for each in over.items] == [False]


def test_a_kind_that_nobody_here_reads_is_kept_and_one_in_the_old_names_is_not() -> None:
    unknown = told(rain(3).replace("気象警報・注意報（Ｒ０６）（大雨）", "気象防災速報"))
    assert unknown is not None and unknown.kind == "unknown" and unknown.headline == "大雨に警戒。"
    of_region = rain(3, city="990010").replace("気象警報・注意報（Ｒ０６）（大雨）", "気象防災速報")
    assert told(of_region) is not None and told(of_region, Area("464911")) is None
    for title in ("気象警報・注意報（Ｈ２７）", "府県天気予報（Ｒ１）"):
        assert told(rain(3).replace("気象警報・注意報（Ｒ０６）（大雨）", title)) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text[:200], "xml"),
        (lambda text: text.replace("<Report", '<!DOCTYPE Report [<!ENTITY a "b">]><Report'), "doctype"),
        (lambda text: text.replace("<Report", '<!DOCTYPE Report SYSTEM "file:///etc/passwd"><Report'), "doctype"),
        (lambda text: "<a>" * 100 + "</a>" * 100, "xml"),
        (lambda text: "<feed/>", "kind"),
        (lambda text: text.replace("通常", "本番"), "status"),
        (lambda text: text.replace("2026-06-01T09:00:00+09:00", "2026-06-01T09:00:00"), "time"),
        (lambda text: text + " " * 4_000_001, "large"),
    ],
)
def test_what_is_no_telegram_is_refused_with_a_reason(change: Any, code: str) -> None:
    with pytest.raises(RefusedTelegram) as refused:
        told(change(rain(3)))
    assert refused.value.code == code


# --- the folder --------------------------------------------------------------------------------------------------


class Reader:
    """The process, a look at a time."""

    def __init__(self, town: Registered, clock: FixedClock, **config: Any) -> None:
        self.town, self.clock = town, clock
        self.config = JmaConfig(town.worker, "999999", settle_seconds=0.0, timeout_seconds=5.0, **config)
        self.conn = connect(town.worker, name="test")
        self.worker = Worker(self.config, self.conn, threading.Event(), clock)
        self.worker.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.conn.close()

    def api(self, do: Any) -> Any:
        with connect(self.town.api, name="test") as conn:
            conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(self.town.municipality_id),))
            return do(conn, self.town.municipality_id)

    def current(self, status: str = "通常") -> Current:
        return self.api(lambda conn, town: jma.current(conn, town, self.clock.now(), status=status))  # type: ignore[no-any-return]

    def feed(self) -> Feed:
        return self.api(jma_feed.feed)  # type: ignore[no-any-return]

    def stale(self) -> bool:
        return self.feed().stale(self.clock.now())

    def refused(self) -> list[str]:
        return [each.code for each in self.api(jma_feed.refused)]

    def standing(self, status: str = "通常") -> list[str]:
        return [each.name for each in self.current(status).standing]


@pytest.fixture
def folder(registered: Registered, tmp_path: Path) -> Iterator[Reader]:
    (tmp_path / "jma").mkdir()
    with Reader(registered, RealClock(START), folder=tmp_path / "jma") as reader:
        yield reader


def drop(reader: Reader, text: str | bytes, name: str = "a.xml") -> int:
    """A file comes, and is looked at until it is taken."""
    assert reader.config.folder is not None
    (reader.config.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return sum(reader.worker.look_into_folder() for _ in range(3))


def test_a_telegram_in_the_folder_is_read_once_and_put_away(folder: Reader) -> None:
    assert drop(folder, rain(3)) == 1 and folder.standing() == ["レベル３大雨警報"]
    assert drop(folder, rain(3).replace("><", ">\n <"), "again.xml") == 0, "the same in other bytes"
    assert drop(folder, b"<broken", "c.xml") == 0 and folder.refused() == ["xml"]
    assert drop(folder, rain(3, city="4649100"), "elsewhere.xml") == 0
    assert folder.config.folder is not None
    places = sorted(str(each.relative_to(folder.config.folder)) for each in folder.config.folder.rglob("*.xml"))
    assert places == ["done/a.xml", "done/again.xml", "done/elsewhere.xml", "failed/c.xml"]
    (kept,) = folder.api(lambda conn, town: jma.telegrams(conn, town, START, START + MINUTE, status=("通常",)))
    assert folder.api(lambda conn, town: jma.telegram(conn, town, kept.telegram_id)).raw == rain(3)


def test_the_gravest_comes_first_also_where_no_level_stands_in_the_name(folder: Reader) -> None:
    drop(folder, rain(2))
    drop(folder, weather("wind", {CITY: [Said("美守町", 3)]}, START, **REAL), "b.xml")
    drop(folder, weather("surge", {CITY: [Said("美守町", 4)]}, START, **REAL), "c.xml")
    found = folder.current()
    assert [(each.name, each.level) for each in found.standing] == [
        ("レベル４高潮危険警報", 4), ("暴風警報", None), ("レベル２大雨注意報", 2),
    ]  # fmt: skip


def test_a_folder_that_nobody_writes_into_proves_nothing(folder: Reader) -> None:
    assert folder.config.folder is not None
    alive = folder.config.folder / "alive"
    assert folder.stale(), "an empty folder is not silence of the agency"
    alive.write_text("1")
    folder.worker.look_into_folder()
    assert not folder.stale() and folder.current().never == jma.WEATHER
    drop(folder, rain(None))
    assert not folder.stale() and [each.kind for each in folder.current().calm] == ["rain"]
    folder.clock.advance(10 * MINUTE)
    assert not folder.stale()
    folder.clock.advance(MINUTE)
    folder.worker.look_into_folder()
    assert folder.stale()
    (state,) = folder.current().calm
    alive.write_text("22")
    folder.worker.look_into_folder()
    assert not folder.stale() and folder.feed().unsure(state.report_at), "what was issued meanwhile nobody knows"
    drop(folder, rain(2, minutes=12), "b.xml")
    (state,) = folder.current().standing
    assert not folder.feed().unsure(state.report_at)


def test_drills_and_tests_never_meet_what_is_real(folder: Reader) -> None:
    drop(folder, rain(2))
    drop(folder, rain(5, minutes=1, status="訓練"), "b.xml")
    drop(folder, rain(4, minutes=2, status="試験"), "c.xml")
    drop(folder, rain(None, minutes=3, info_type="取消", status="訓練"), "d.xml")
    assert folder.standing() == ["レベル２大雨注意報"]
    assert folder.standing("訓練") == [] and folder.standing("試験") == ["レベル４大雨危険警報"]
    assert drop(folder, weather("rain", {CITY: [Said("美守町", 5)]}, START), "e.xml") == 0
    assert folder.refused() == ["simulated"], "nothing that does not exist comes into a real town"


def test_a_simulated_town_takes_no_real_telegram_and_asks_no_feed(registered: Registered, tmp_path: Path) -> None:
    with Reader(registered, FixedClock(START), folder=tmp_path) as reader:
        assert drop(reader, rain(5)) == 0 and reader.refused() == ["real"]
        _observe(registered, 2.6)
        with connect(registered.worker, name="test") as conn:
            Agency(registered.worker, tmp_path).look(conn, START + MINUTE)
        for _ in range(3):
            reader.worker.look_into_folder()
        found = reader.current("訓練")
        assert found.standing and all(
            "【模擬】" in each.name and "【模擬】" in each.headline for each in found.standing
        )
        assert all("実在しません" in each.office for each in found.standing) and not reader.stale()
    config = JmaConfig(registered.worker, "999999", feed="https://www.data.jma.go.jp/developer/xml/feed/")
    with connect(registered.worker, name="test") as conn, pytest.raises(ConfigError, match="simulated clock"):
        Worker(config, conn, threading.Event(), FixedClock(START))


def _observe(town: Registered, value: float) -> None:
    with connect(town.owner, name="test") as conn:
        conn.execute(
            "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, %s, %s, 'good')",
            (town.datastream("river-mimamoribashi", "water_level"), START, value),
        )
        latest.recompute(conn)


# --- the feed ------------------------------------------------------------------------------------------------------


class Agencys(ThreadingHTTPServer):
    """A server as the agency's: files by path, conditional and packed."""

    daemon_threads = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status: dict[str, int] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/feed/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append((request.path, request.headers.get("If-None-Match")))
        body = self.files.get(request.path)
        status = self.status.get(request.path, 404 if body is None else 200)
        tag = f'"{hash(body)}"'
        if status == 200 and request.headers.get("If-None-Match") == tag:
            status, body = 304, b""
        packed = gzip.compress(body or b"")
        request.send_response(status)
        request.send_header("ETag", tag)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(0 if status == 304 else len(packed)))
        request.end_headers()
        if status != 304:
            request.wfile.write(packed)

    def issue(self, now: datetime, telegrams: dict[str, tuple[str, datetime]], *, long: bool = True) -> None:
        """The feed names these, by name of file; `long`: both feeds do."""
        entries = ""
        for name, (text, at) in telegrams.items():
            self.files[f"/data/{name}"] = text.encode()
            entries += f'<entry><updated>{at.isoformat()}</updated><link href="/data/{name}"/></entry>'
        atom = f'<feed xmlns="http://www.w3.org/2005/Atom"><updated>{now.isoformat()}</updated>{entries}</feed>'
        self.files["/feed/extra.xml"] = atom.encode()
        if long:
            self.files["/feed/extra_l.xml"] = atom.encode()

    def taken(self) -> list[str]:
        return [path.removeprefix("/data/") for path, _ in self.asked if path.startswith("/data/")]


@pytest.fixture
def agency(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agencys]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Agencys() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def fed(registered: Registered, agency: Agencys) -> Iterator[Reader]:
    with Reader(registered, RealClock(START), feed=agency.url, feed_seconds=0.0) as reader:
        yield reader


NAME = "20260601000000_0_{}_{}.xml".format


def test_the_feed_is_asked_sparingly_and_only_what_may_concern_the_town_is_fetched(
    fed: Reader, agency: Agencys
) -> None:
    issued = {
        NAME("VPWW55", "990000"): (rain(3), START),
        NAME("VPWW55", "180000"): (rain(5, city="1820100"), START),
        NAME("VPWW54", "990000"): (rain(5), START),
        NAME("VXSU50", "180000"): (river("隣川", "1", 3, START, cities={"1820100": "隣町"}, **REAL), START),
    }
    agency.issue(START, issued)
    assert fed.worker.ask_feed() == 1 and fed.standing() == ["レベル３大雨警報"] and not fed.stale()
    assert sorted(agency.taken()) == [NAME("VPWW55", "990000"), NAME("VXSU50", "180000")]
    fed.clock.advance(MINUTE)
    assert fed.worker.ask_feed() == 0
    assert len(agency.taken()) == 2 and agency.asked[-1][1] is not None, "conditional, and nothing is fetched twice"
    assert [path for path, _ in agency.asked].count("/feed/extra_l.xml") == 1
    with connect(fed.town.owner, name="test") as conn:
        (size,) = conn.execute("select bytes from jma_feed").fetchone() or (0,)
    assert 0 < size < sum(map(len, agency.files.values())), "packed, and counted"


def test_a_feed_that_does_not_answer_is_no_silence_and_a_gap_is_closed_by_the_long_feed(
    fed: Reader, agency: Agencys
) -> None:
    agency.issue(START, {NAME("VPWW55", "990000"): (rain(None), START)})
    fed.worker.ask_feed()
    agency.status["/feed/extra.xml"] = 503
    fed.clock.advance(11 * MINUTE)
    fed.worker.ask_feed()
    assert fed.stale() and (fed.feed().fault, fed.feed().fault_said) == ("status", "HTTP 503")
    del agency.status["/feed/extra.xml"]
    at = START + 5 * MINUTE
    earlier = {NAME("VPWW55", "990000"): (rain(None), START), NAME("VPWW55", "990001"): (rain(4, minutes=5), at)}
    agency.issue(fed.clock.now(), earlier)
    agency.issue(fed.clock.now(), {}, long=False)
    assert fed.worker.ask_feed() == 1 and fed.standing() == ["レベル４大雨危険警報"] and not fed.stale()
    assert not fed.feed().unsure(START), "the long feed reaches back to before the gap"
    fed.clock.advance(timedelta(days=9))
    now = fed.clock.now()
    agency.issue(now, {NAME("VPWW56", "990002"): (weather("landslide", {CITY: [Said("美守町", 2)]}, now, **REAL), now)})
    fed.worker.ask_feed()
    assert [fed.feed().unsure(each.report_at) for each in fed.current().standing] == [True, True]
    fed.clock.advance(timedelta(hours=7))
    fed.worker.ask_feed()
    assert fed.feed().fault == "frozen", "a server that answers with an old feed says nothing"


def test_one_telegram_that_does_not_come_holds_up_no_other_and_is_not_forgotten(fed: Reader, agency: Agencys) -> None:
    issued = {NAME("VPWW55", "990000"): (rain(3), START), NAME("VPWW56", "990000"): (rain(2), START - MINUTE)}
    agency.issue(START, issued)
    agency.status[f"/data/{NAME('VPWW55', '990000')}"] = 500
    fed.worker.ask_feed()
    assert fed.standing() == ["レベル２大雨注意報"] and fed.stale(), "until all is there nobody says what holds"
    del agency.status[f"/data/{NAME('VPWW55', '990000')}"]
    assert fed.worker.ask_feed() == 1 and not fed.stale()


def test_only_the_operators_host_and_the_agencys_are_ever_asked(fed: Reader, agency: Agencys) -> None:
    agency.issue(START, {})
    atom = agency.files["/feed/extra.xml"].replace(
        b"</feed>",
        b"<entry><updated>2026-06-01T00:00:00Z</updated>"
        b'<link href="http://192.0.2.1/20260601000000_0_VXKO50_990000.xml"/></entry></feed>',
    )
    agency.files["/feed/extra.xml"] = agency.files["/feed/extra_l.xml"] = atom
    assert fed.worker.ask_feed() == 0 and fed.refused() == ["host"] and not fed.stale()


def test_a_day_has_its_limit(registered: Registered, agency: Agencys) -> None:
    agency.issue(START, {NAME("VPWW55", "990000"): (rain(3), START)})
    with Reader(registered, RealClock(START), feed=agency.url, feed_seconds=0.0, most_bytes=1) as reader:
        reader.worker.ask_feed()
        assert reader.feed().fault == "limit" and reader.stale() and agency.taken() == []


def test_the_agencys_feed_is_not_asked_more_often_than_it_changes(registered: Registered) -> None:
    address = "https://www.data.jma.go.jp/developer/xml/feed/"
    assert JmaConfig("dsn", "999999", feed=address).feed_seconds == 60
    for wrong in ({"feed": address, "feed_seconds": 10.0}, {"feed": "ftp://x/"}, {}, {"feed": "https://a:b@c/"}):
        with pytest.raises(ConfigError):
            JmaConfig("dsn", "999999", **wrong)  # type: ignore[arg-type]


# --- the process ---------------------------------------------------------------------------------------------------


def test_the_process_reads_until_it_is_stopped_and_the_town_can_do_without_again(
    registered: Registered, tmp_path: Path
) -> None:
    config = JmaConfig(registered.worker, "999999", folder=tmp_path, poll_seconds=0.02, settle_seconds=0.0)
    (tmp_path / "a.xml").write_text(weather("rain", {CITY: [Said("美守町", 3)]}, START), "utf-8")

    def stands() -> bool:
        with kept(registered.worker) as conn:
            return bool(jma.current(conn, registered.municipality_id, START, status="訓練").standing)

    stop = threading.Event()
    process = threading.Thread(target=run, args=(config, stop))
    process.start()
    try:
        wait_for(stands, "the telegram stands")
    finally:
        stop.set()
        process.join()
    settings = Settings(worker_dsn=registered.worker)
    assert "what came stays" in end_jma(settings) and stands()
    with kept(registered.worker) as conn:
        assert jma_feed.feed(conn, registered.municipality_id) is None
    with pytest.raises(InputError, match="no feed"):
        end_jma(settings)
