"""Stills of cameras: fetched at their pace, kept once, and in words what went wrong; a real server, real files."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from analytics.maintenance import let_go
from devices.clock import FixedClock
from ingest.cameras import CamerasConfig
from ingest.cameras.fetch import CameraFault, from_address
from ingest.cameras.worker import look
from mimamori.demo_town import Drawing
from store import Connection, cameras, connect, field_photos, latest
from store.cameras import Camera, Entry
from store.errors import RecordError
from store.field_photos import KEPT
from store.retention import Retention
from tests.conftest import START, Registered
from tests.photos import SECRET, bomb, opened, picture

STATION = "river-mimamoribashi"
MINUTE = timedelta(minutes=1)
LOGIN = b64encode(b"viewer:himitsu").decode()


class Device(ThreadingHTTPServer):
    """A camera in the town's network: `answer` decides, by the request."""

    daemon_threads = True
    answer: Callable[[BaseHTTPRequestHandler], None]

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.asked = 0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/snapshot.jpg"


def says(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.fixture
def device() -> Iterator[Device]:
    with Device() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


class Watch:
    """The process at work, a look at a time."""

    def __init__(self, town: Registered, clock: FixedClock, folder: Path) -> None:
        (folder / "root" / "bridge").mkdir(parents=True)
        (folder / "secrets").mkdir()
        (folder / "secrets" / "bridge").write_text("viewer:himitsu\n")
        self.folder, self.clock, self.town = folder / "root" / "bridge", clock, town
        self.config = CamerasConfig(town.worker, "999999", folder / "root", folder / "secrets", timeout_seconds=5.0)

    def add(self, **changes: Any) -> int:
        entry = replace(Entry(STATION, "美守橋カメラ"), **changes)
        return self.as_api(lambda conn, town: cameras.add_camera(conn, town, entry, now=self.clock.now(), user_id=None))

    def as_api(self, do: Callable[[Connection, int], Any]) -> Any:
        with connect(self.town.api, name="test") as conn:
            town = self.town.municipality_id
            conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(town),))
            return do(conn, town)

    def look(self) -> int:
        with connect(self.town.worker, name="test") as conn, ThreadPoolExecutor(2) as pool:
            return look(self.config, conn, pool, self.town.municipality_id, self.clock)

    def camera(self) -> Camera:
        (found,) = self.as_api(lambda conn, town: cameras.cameras(conn, town, station=STATION))
        return found  # type: ignore[no-any-return]


@pytest.fixture
def watch(registered: Registered, clock: FixedClock, tmp_path: Path) -> Watch:
    return Watch(registered, clock, tmp_path)


def test_a_still_is_fetched_at_its_pace_and_more_often_during_an_alert(watch: Watch, device: Device) -> None:
    device.answer = lambda request: says(200, picture(640 + device.asked, 480))(request)
    camera_id = watch.add(url=device.url)
    assert watch.look() == 1
    for minutes, new in ((9, 0), (1, 1), (2, 0)):
        watch.clock.advance(minutes * MINUTE)
        assert watch.look() == new
    with connect(watch.town.owner, name="test") as conn:
        conn.execute(
            "insert into alert (municipality_id, station_id, datastream_id, rule, level, peak_level, raised_at, "
            "phenomenon_time) select municipality_id, station_id, datastream_id, 'level', 3, 3, %s, %s "
            "from datastream where datastream_id = %s",
            (START, START, watch.town.datastream(STATION, "water_level")),
        )
    assert watch.look() == 1
    found = watch.camera()
    assert (found.camera_id, found.fault, found.taken_at) == (camera_id, None, watch.clock.now())
    kept = watch.as_api(lambda conn, town: field_photos.picture(conn, town, found.photo_id))
    assert SECRET not in kept and opened(kept).size == (found.width, found.height)
    assert watch.as_api(lambda conn, town: field_photos.picture(conn, town, found.photo_id, public=True)) is None


def test_a_frozen_camera_grows_stale_instead_of_looking_alive(watch: Watch, device: Device) -> None:
    device.answer = says(200, picture())
    watch.add(url=device.url)
    for _ in range(4):
        watch.look()
        watch.clock.advance(10 * MINUTE)
    found = watch.camera()
    assert found.taken_at == START and found.heard_at == START + 30 * MINUTE
    assert found.stale(watch.clock.now()) and not found.stale(START + 30 * MINUTE)
    assert found.unasked(START + 61 * MINUTE) and not found.unasked(START + 60 * MINUTE)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("auth", says(401, WWW_Authenticate='Basic realm="camera"')),
        ("status", says(500, b"secret words of the device")),
        ("redirect", says(302, Location="http://127.0.0.1:1/elsewhere")),
        ("kind", says(200, b"<html>sign in</html>")),
        ("broken", says(200, picture()[:900])),
        ("pixels", says(200, bomb(30_000, 30_000))),
        ("connect", lambda request: request.connection.close()),
    ],
)
def test_what_went_wrong_is_told_in_words_and_since_when(
    watch: Watch, device: Device, fault: str, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    device.answer = answer
    watch.add(url=device.url)
    for _ in range(2):
        assert watch.look() == 0
        watch.clock.advance(10 * MINUTE)
    found = watch.camera()
    assert (found.fault, found.fault_since, found.photo_id) == (fault, START, None)
    assert "secret words" not in (found.fault_said or "")
    device.answer = says(200, picture())
    assert watch.look() == 1 and watch.camera().fault is None


def test_a_password_is_given_only_when_asked_for_and_stands_nowhere(watch: Watch, device: Device) -> None:
    seen: list[str | None] = []

    def guarded(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers["Authorization"])
        allowed = seen[-1] == f"Basic {LOGIN}"
        (says(200, picture()) if allowed else says(401, WWW_Authenticate='Basic realm="camera"'))(request)

    device.answer = guarded
    watch.add(url=device.url, secret="bridge")
    assert watch.look() == 1 and seen == [None, f"Basic {LOGIN}"]
    with connect(watch.town.owner, name="test") as conn:
        rows = conn.execute(
            "select row_to_json(c)::text || row_to_json(s)::text from camera c, camera_state s"
        ).fetchall()
    assert "himitsu" not in str(rows)
    watch.add(name="別のカメラ", url=device.url, secret="nobody")
    watch.look()
    assert [each.fault for each in watch.as_api(cameras.cameras)] == [None, "secret"]


def test_a_camera_that_is_slow_or_endless_is_given_up(device: Device) -> None:
    hold = threading.Event()

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"\xff\xd8\xff")
        hold.wait(60)

    device.answer = endless
    with pytest.raises(CameraFault, match="timeout"):
        from_address(device.url, None, 0.2)
    hold.set()
    device.answer = says(200, b"\xff\xd8\xff" * 6_000_000)
    with pytest.raises(CameraFault, match="large"):
        from_address(device.url, None, 30)


def test_a_folder_is_a_letter_box(watch: Watch) -> None:
    watch.add(folder="bridge", pattern="cam_*.jpg")
    assert watch.look() == 0 and watch.camera().fault is None, "nothing there yet is no fault"
    for n in range(3):
        (watch.folder / f"cam_{n}.jpg").write_bytes(picture(600 + n, 400))
    (watch.folder / "cam_9.jpg").write_bytes(picture(700, 400)[:2000])  # still being written
    (watch.folder / "other.jpg").write_bytes(picture())
    watch.clock.advance(10 * MINUTE)
    assert watch.look() == 1 and watch.camera().width == 602
    assert sorted(path.name for path in watch.folder.iterdir()) == ["cam_9.jpg", "other.jpg"]
    watch.clock.advance(10 * MINUTE)
    assert watch.look() == 0 and (watch.camera().fault, watch.camera().fault_said) == ("broken", "cam_9.jpg")
    for path in watch.folder.iterdir():
        path.unlink()
    watch.folder.rmdir()
    watch.clock.advance(10 * MINUTE)
    assert watch.look() == 0 and watch.camera().fault == "gone"


def test_a_still_is_released_like_a_photo_and_goes_after_its_days(watch: Watch, device: Device) -> None:
    device.answer = says(200, picture())
    watch.add(url=device.url)
    watch.look()
    photo_id = watch.camera().photo_id
    with connect(watch.town.owner, name="test") as conn:
        user = conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'a', '山田', 'disaster', '-') returning user_id",
            (watch.town.municipality_id,),
        ).fetchone()
    assert user is not None and photo_id is not None
    said = {"caption": "美守橋", "now": START, "user_id": user[0]}
    watch.as_api(lambda conn, town: field_photos.release(conn, town, photo_id, **said))
    (shown,) = watch.as_api(field_photos.released)
    assert (shown.photo_id, shown.seen_at) == (photo_id, START)
    with connect(watch.town.worker, name="test") as conn:
        let_go(conn, Retention(), START + KEPT)
        assert field_photos.picture(conn, watch.town.municipality_id, photo_id) is not None
        let_go(conn, Retention(), START + KEPT + MINUTE)
        assert field_photos.picture(conn, watch.town.municipality_id, photo_id) is None
    assert watch.as_api(field_photos.released) == [] and watch.camera().photo_id is None


@pytest.mark.parametrize(
    ("field", "code", "changes"),
    [
        ("name", "empty", {"name": " "}),
        ("name", "long", {"name": "橋" * 61}),
        ("url", "one_way", {}),
        ("url", "one_way", {"url": "http://192.168.1.20/", "folder": "bridge"}),
        ("url", "url", {"url": "ftp://192.168.1.20/"}),
        ("url", "url", {"url": "file:///etc/passwd"}),
        ("url", "url", {"url": "http:///picture"}),
        ("url", "url", {"url": "http://192.168.1.20:99999/"}),
        ("url", "url", {"url": "http://192.168.1.20/a\r\nHost: b"}),
        ("url", "password", {"url": "http://viewer:himitsu@192.168.1.20/"}),
        ("folder", "folder", {"folder": "../secrets"}),
        ("secret", "secret", {"folder": "bridge", "secret": "bridge"}),
        ("secret", "secret", {"url": "http://192.168.1.20/", "secret": "../../etc/passwd"}),
        ("pattern", "pattern", {"folder": "bridge", "pattern": "../*"}),
        ("every", "every", {"folder": "bridge", "every": 0}),
        ("every_alert", "every", {"folder": "bridge", "every_alert": 1441}),
        ("station", "station", {"folder": "bridge", "station": "nowhere"}),
    ],
)  # fmt: skip
def test_what_cannot_be_a_camera_is_refused_at_its_field(
    watch: Watch, field: str, code: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(RecordError) as refused:
        watch.add(**changes)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert watch.as_api(cameras.cameras) == []


def test_a_name_is_free_again_when_its_camera_has_ended(watch: Watch) -> None:
    first = watch.add(folder="bridge")
    with pytest.raises(RecordError, match="taken"):
        watch.add(folder="bridge")
    watch.as_api(lambda conn, town: cameras.end_camera(conn, town, first, now=START))
    assert watch.add(folder="bridge") != first and watch.look() == 0


def test_the_demos_camera_is_drawn_from_the_stored_level_and_taken_from_its_folder(watch: Watch) -> None:
    watch.add(folder="mimamoribashi")
    drawing = Drawing(watch.town.worker, watch.folder.parent)
    (watch.folder.parent / "mimamoribashi").mkdir()
    with connect(watch.town.worker, name="test") as conn:
        drawing.shoot(conn, watch.clock)
    assert watch.look() == 0, "nothing was observed"
    with connect(watch.town.owner, name="test") as conn:
        conn.execute(
            "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, %s, 2.3, 'good')",
            (watch.town.datastream(STATION, "water_level"), START),
        )
        latest.recompute(conn)
        conn.commit()
        drawing.shoot(conn, watch.clock)
    watch.clock.advance(10 * MINUTE)
    assert watch.look() == 1 and (watch.camera().width, watch.camera().height) == (800, 450)
