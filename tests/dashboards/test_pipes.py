"""管路: nothing of a file counts before somebody takes it over, what is taken over stays, and nobody else sees it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import pytest

from analytics.leaks.network.files import read_network
from api.roles import Role
from tests.analytics.pipe_networks import PIPES as LINES
from tests.analytics.pipe_networks import POINTS, geojson, shapefile_zip
from tests.analytics.test_pipe_network import MODEL, facts
from tests.api.serving import TownHall
from tests.dashboards.reading import main

PIPES = "/water/pipes"
HTML = {"Accept": "text/html"}


@pytest.fixture
def water(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody of the waterworks."""
    with hall.visitor(Role.WATER) as client:
        client.headers.update(HTML)
        yield client


def send(client: httpx.Client, files: dict[str, bytes], **said: str) -> httpx.Response:
    return client.post(PIPES, data=said, files=[("file", each) for each in files.items()])


def read(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return main(page)


def test_a_network_is_read_looked_at_and_taken_over(water: httpx.Client) -> None:
    loose = {**LINES, "近い管": (((200, 0.3), (200, -100)), {"口径": 75})}
    answer = send(water, {"管路.geojson": geojson(loose, POINTS)})
    assert answer.headers["location"] == f"{PIPES}/1"
    page = read(water.get(f"{PIPES}/1"))
    assert "確認待ち" in page and "近い管" in page and "端が 本管1#2 から 0.3 m 離れていて" in page
    assert "ここから 1本（0.1 km）" in page and "町から離れた場所にあります" in page, (
        "it lies in zone 2, the town does not"
    )
    assert "1998" not in page and "1990年代" in page and "DIP" in page and "<svg" in water.get(f"{PIPES}/1").text
    assert "使用中" not in read(water.get(PIPES))
    table = list(csv.reader(io.StringIO(water.get(f"{PIPES}/1/problems.csv").text.removeprefix("\ufeff"))))
    assert {row[1] for row in table if row[3] == "近い管"} >= {"つながっていない端", "離れた管路", "町の外"}
    assert water.post(f"{PIPES}/1", data={"do": "take"}).headers["location"] == f"{PIPES}/1?done=taken"
    assert water.post(f"{PIPES}/1", data={"do": "leave"}).status_code == 409, "what is in use never goes"
    assert "使用中" in read(water.get(PIPES)) and "water of the own town" in read(water.get(PIPES))
    assert send(water, {"管路.zip": shapefile_zip("cp932", None)}).headers["location"] == f"{PIPES}/2"
    assert send(water, {"管路.zip": shapefile_zip("cp932", None)}).headers["location"] == f"{PIPES}/3"
    assert water.get(f"{PIPES}/2").status_code == 404, "the later draft is the only one"
    water.post(f"{PIPES}/3", data={"do": "take"})
    rows = read(water.get(PIPES))
    assert rows.index("第3版") < rows.index("使用中") < rows.index("第1版") < rows.index("以前の版")
    send(water, {"管路.geojson": geojson()})
    assert water.post(f"{PIPES}/4", data={"do": "leave"}).headers["location"] == f"{PIPES}?done=left"
    assert "第4版" not in read(water.get(PIPES)) and "使用中" in read(water.get(f"{PIPES}/3"))


def test_what_is_downloaded_is_the_network(water: httpx.Client) -> None:
    files = {"town.geojson": geojson(areas={"中央": [(-50, -50), (-50, 250), (350, 250), (350, -50), (-50, -50)]})}
    before = read_network(files).network
    send(water, files)
    for kind in ("geojson", "zip"):
        again = read_network({f"again.{kind}": water.get(f"{PIPES}/1/pipes.{kind}").content})
        assert facts(again.network) == facts(before) and again.network.fixtures.kind == before.fixtures.kind
    model = read_network({"again.inp": water.get(f"{PIPES}/1/pipes.inp").content}, system=before.epsg)
    assert facts(model.network) == facts(before)
    send(water, {"model.inp": MODEL.encode()})
    kept = read_network({"again.inp": water.get(f"{PIPES}/2/pipes.inp").content}).network
    assert facts(kept) == facts(read_network({"model.inp": MODEL.encode()}).network)
    assert kept.hydraulics is not None and kept.hydraulics.sections["CONTROLS"]
    assert water.get(f"{PIPES}/2/pipes.zip").status_code == 404, "no map knows where an EPANET file's places are"
    assert "ファイル独自の座標" in read(water.get(f"{PIPES}/2"))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "ファイルを選んでください"),
        ({"a.dwg": b"x"}, "a.dwg は読めない種類"),
        ({"a.inp": b"[JUNCTIONS]\nA 1\n[PIPES]\nP A B 10 100 130"}, "a.inp の4行目：節点「B」がありません"),
        ({"a.shp": b"x"}, "a.shp には .shx .dbf も必要"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(
    water: httpx.Client, files: dict[str, bytes], words: str
) -> None:
    answer = send(water, files) if files else water.post(PIPES, data={"system": "6670"})
    assert answer.status_code == 400 and words in main(answer)
    assert "管路データはまだありません" in read(water.get(PIPES))


def test_only_the_waterworks_and_the_digital_section_know_where_pipes_are(hall: TownHall, water: httpx.Client) -> None:
    send(water, {"管路.geojson": geojson()})
    for role in Role:
        with hall.visitor(role) as client:
            allowed = role in (Role.WATER, Role.DIGITAL)
            for path in (PIPES, f"{PIPES}/1", f"{PIPES}/1/pipes.geojson", f"{PIPES}/1/problems.csv"):
                assert client.get(path).status_code == (200 if allowed else 403), (role, path)
            assert (PIPES in client.get("/water", headers=HTML).text) is allowed
