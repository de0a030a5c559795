"""Cameras on their pages: registered by the digital section, seen by everybody, released one by one by the desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from api.roles import Role
from devices.photos import reduced
from store import cameras, connect
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered
from tests.photos import picture

HTML = {"Accept": "text/html"}
BRIDGE = "river-mimamoribashi"
TYPED = {"station": BRIDGE, "name": "美守橋カメラ", "way": "url", "url": "http://192.0.2.7/snapshot.jpg", "every": "10",
         "every_alert": "2"}  # fmt: skip


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered) as running:
        yield running


def main(page: httpx.Response) -> str:
    found = re.search(r"<main.*</main>", page.text, re.DOTALL)
    assert found is not None, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def comes(hall: TownHall, photo: bytes | None, *, minutes: int = 0, fault: str | None = None) -> None:
    """What the process has noted."""
    at, town = START + timedelta(minutes=minutes), hall.database.municipality_id
    with connect(hall.database.worker, name="test") as conn:
        if photo is not None:
            assert cameras.keep_still(conn, town, 1, photo, reduced(photo), at)
        cameras.note_try(conn, town, 1, at, heard=photo is not None, fault=fault)


def test_a_camera_is_registered_and_every_page_says_how_old_its_still_is(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as digital:
        refused = digital.post("/digital/cameras", data={**TYPED, "url": "http://a:b@192.0.2.7/"}, headers=HTML)
        assert refused.status_code == 422 and "アドレスにパスワードを書かないでください" in main(refused)
        assert digital.post("/digital/cameras", data=TYPED).headers["location"] == "/digital/cameras?done=made#cameras"
        assert "まだ一度も届いていません" in main(digital.get("/digital/cameras", headers=HTML))
        with hall.visitor(Role.VIEWER) as client:
            comes(hall, None, fault="timeout")
            assert "取得できません：時間内に応答がありません" in main(client.get("/disaster", headers=HTML))
            comes(hall, picture(), minutes=1)
            for address in ("/disaster", f"/disaster/stations/{BRIDGE}", "/disaster/cameras/1"):
                page = client.get(address, headers=HTML)
                assert "美守橋カメラ" in main(page) and 'src="/disaster/photos/1' in page.text
                assert 'alt="美守橋カメラの静止画' in page.text
            assert client.get("/disaster/photos/1").headers["content-type"] == "image/jpeg"
            assert client.post("/disaster/cameras/1", data={"do": "forget", "photo": "1"}).status_code == 403
        digital.post("/digital/cameras/1/end")
        assert "カメラはまだありません" in main(digital.get("/digital/cameras", headers=HTML))


def test_a_still_is_shown_to_everybody_only_when_the_desk_releases_it(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as digital:
        digital.post("/digital/cameras", data=TYPED)
    comes(hall, picture())
    public = "/public/999999/photos"
    with hall.visitor(Role.DISASTER) as desk, hall.visitor(None) as anybody:
        assert anybody.get(f"{public}/1.jpg").status_code == 404
        act = {"photo": "1", "caption": "美守橋、3時10分"}
        assert (
            "problem=empty"
            in desk.post("/disaster/cameras/1", data={"do": "release", "photo": "1"}).headers["location"]
        )
        desk.post("/disaster/cameras/1", data={"do": "release", **act})
        assert "美守橋、3時10分" in anybody.get(public).text and anybody.get(f"{public}/1.jpg").status_code == 200
        assert "disaster of the own town" in main(desk.get("/disaster/cameras/1", headers=HTML))
        desk.post("/disaster/cameras/1", data={"do": "take_back", "photo": "1"})
        assert anybody.get(f"{public}/1.jpg").status_code == 404
        desk.post("/disaster/cameras/1", data={"do": "forget", "photo": "1"})
        assert "静止画がありません" in main(desk.get("/disaster/cameras/1", headers=HTML))
        assert (
            "problem=unknown"
            in desk.post("/disaster/cameras/1", data={"do": "release", "photo": "9"}).headers["location"]
        )
