"""A real server of the whole application, a real database, a real Chromium; skipped, saying so, where there is none.

Observations come in the way ingest writes them (`store.writer.write_batch`), and the alert rules judge them in a real
consumer beside the server: what a test sees on the page has taken the whole path from the store onwards.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, Worker, expect, sync_playwright

import alerts
from alerts.shards import NAME as ALERTS
from api.accounts import DEMO_ACCOUNTS, create_user
from api.auth import COOKIE
from api.roles import Role
from devices.clock import ClockSetting
from devices.model import Quality, Reason
from store import connect
from store.counts import Tallies, slot
from store.town_clock import write_clock
from store.writer import ObservationRow, write_batch
from tests.api.serving import TownHall, serving
from tests.chaos.proxy import Proxy
from tests.conftest import Registered, accepted
from tests.connections import kept

FLAGS = [
    "--no-sandbox",
    # WebGL without a graphics card: the map is drawn by the processor
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # ... and nothing else by way of WebGL: pages are painted in half the time so (Debian's own flags say otherwise)
    "--disable-gpu-rasterization",
    "--disable-gpu-compositing",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Half of a window's cost were two pages of Chromium's own, kept ready behind its address bar. Of two such lists the
    # last one counts: so what Playwright turns off, and matters here, stands in it too.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,"
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome")
PROJECT = Path(__file__).resolve().parents[2]

# 2026-06-01 09:32 in the town: a Monday morning, half past the hour
TOWN_NOW = datetime(2026, 6, 1, 0, 32, tzinfo=UTC)
GAUGE = "river-mimamoribashi/water_level"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


# Milliseconds until what is waited for counts as not to come: a page is slow where four tests share two processors.
_PATIENCE = 20_000


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as running:
        yield running


def system_chromium() -> str | None:
    """The Chromium on PATH, if there is one."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own; a browser that does not start is a skip that says why."""
    found = system_chromium()
    if found is None and not Path(playwright.chromium.executable_path).exists():
        pytest.skip(f"no Chromium here: none of {', '.join(_NAMES)} is on PATH and Playwright has none of its own")
    browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
    yield browser
    browser.close()


@dataclass(frozen=True)
class Town:
    """The demo town with its server running. Times are given as minutes before (negative) or after TOWN_NOW."""

    hall: TownHall

    @property
    def url(self) -> str:
        return self.hall.url

    def observe(
        self,
        datastream: str,
        *values: tuple[float, float | None],
        quality: Quality = Quality.GOOD,
        reason: Reason | None = None,
    ) -> None:
        """Stores (minutes, value) pairs as ingest does; value None: the device could not measure."""
        station, observed_property = datastream.split("/")
        directory = self.hall.database.directory
        datastream_id = self.hall.database.datastream(station, observed_property)
        device = next(d for d in directory.devices.values() if any(a.station_code == station for a in d.attachments))
        rows = tuple(
            ObservationRow(
                datastream_id,
                TOWN_NOW + timedelta(minutes=minutes),
                value,
                Quality.MISSING if value is None else quality,
                Reason.SENSOR if value is None else reason,
            )
            for minutes, value in values
        )
        uplink = accepted(device, TOWN_NOW, rows)
        delivered = Tallies()
        delivered.deliver([slot(uplink.device_id, uplink.received_time)])
        with kept(self.hall.database.worker) as conn:
            write_batch(conn, self.hall.database.municipality_id, [uplink], delivered=delivered)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """One statement as the database's owner."""
        with kept(self.hall.database.owner) as conn:
            cursor = conn.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class FarTown(Town):
    """A town whose browsers reach it by one wire.

    Offline as Playwright has it is not enough where something waits to be sent: that ends for a moment whenever a page
    is left, and what waited goes out then.
    """

    wire: Proxy

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.wire.port}"

    def cut_off(self, context: BrowserContext) -> None:
        """No network any more, and the browser knows it."""
        self.wire.cut()
        context.set_offline(True)

    def reconnect(self, context: BrowserContext) -> None:
        self.wire.resume()
        context.set_offline(False)


@contextmanager
def town_running(registered: Registered, *, rules: bool = True) -> Iterator[Town]:
    """The server, and where a test wants them the alert rules, over a town whose clock starts at TOWN_NOW."""
    settle(registered)
    with ExitStack() as stack:
        if rules:
            stack.enter_context(judging(registered))
        yield Town(stack.enter_context(serving(registered, demo=True)))


def settle(registered: Registered) -> None:
    """The town's clock, and the demo's accounts."""
    with kept(registered.owner) as conn:
        write_clock(conn, ClockSetting(True, datetime.now(UTC), TOWN_NOW, 1.0))
        code = conn.execute("select code from municipality").fetchone()
        assert code is not None
        first = DEMO_ACCOUNTS[0]
        create_user(
            conn,
            municipality_code=code[0],
            login=first.login,
            display_name=first.display_name,
            role=first.role,
            password=first.password,
        )
        for account in DEMO_ACCOUNTS[1:]:
            # the accounts share a password: one argon2 hash is enough for all
            conn.execute(
                """
                insert into app_user (municipality_id, login, display_name, role, password_hash)
                select municipality_id, %s, %s, %s, password_hash from app_user where login = %s
                """,
                (account.login, account.display_name, account.role, first.login),
            )


def _wait_until_it_judges(registered: Registered, thread: threading.Thread) -> None:
    """It says its ways out when it starts, in place of those of before: a test that has others says them after it."""
    with connect(registered.owner, name="test", autocommit=True) as conn:
        while not conn.execute("select 1 from feed_cursor where consumer = %s", (ALERTS,)).fetchone():
            assert thread.is_alive(), "the alert rules have ended"
            time.sleep(0.01)


@contextmanager
def judging(registered: Registered) -> Iterator[None]:
    """The alert rules as their process runs them."""
    stop = threading.Event()
    config = alerts.AlertsConfig(dsn=registered.worker)
    thread = threading.Thread(target=alerts.run, args=(config, stop), name="alerts under test")
    thread.start()
    try:
        _wait_until_it_judges(registered, thread)
        yield
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def town_page(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        yield running


@pytest.fixture
def far_town(town_page: Town) -> Iterator[FarTown]:
    port = urlsplit(town_page.url).port
    assert port is not None
    with Proxy(port) as wire:
        yield FarTown(town_page.hall, wire)


class Visitor:
    """A signed-in person's browser. Collects what the console says: an error there is a failed test."""

    def __init__(self, town: Town, context: BrowserContext) -> None:
        self.town = town
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.complaints.append(message.text) if message.type == "error" else None,
        )

    def open(self, path: str) -> Page:
        self.page.goto(self.town.url + path)
        return self.page


@contextmanager
def visiting(chromium: Browser, town: Town, role: Role, *, width: int = 1280, **options: Any) -> Iterator[Visitor]:
    """A browser context with a session of that role; `options` are Playwright's (java_script_enabled, ...)."""
    token, _ = town.hall.session(role.value)
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, locale="ja-JP", timezone_id="Europe/London", **options
    )
    context.set_default_timeout(_PATIENCE)
    context.add_cookies([{"name": COOKIE, "value": token, "url": town.url}])
    try:
        yield Visitor(town, context)
    finally:
        context.close()


def wait_until(place: Page | Worker, condition: str) -> None:
    """Until an expression is true in a page, or in its worker. Playwright's own waiting needs eval, which the pages'
    policy refuses. Where it cannot be asked, as between two pages, which is a moment without a document, it is not
    true yet.
    """
    problem = ""
    for _ in range(600):
        try:
            if place.evaluate(condition):
                return
            problem = ""
        except Error as error:
            problem = f" ({error.message})"
        time.sleep(0.05)
    raise AssertionError(f"it never came true: {condition}{problem}")


def screenshot(page: Page, name: str) -> None:
    """Keeps a picture for a person to look at in the folder MIMAMORI_TEST_SCREENSHOTS; without one, none is taken."""
    if "MIMAMORI_TEST_SCREENSHOTS" not in os.environ:
        return
    folder = Path(os.environ["MIMAMORI_TEST_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name.replace('/', '-')}.png", full_page=True)
