"""The map of a real town as PMTiles: by Range, for the signed-in, as long as it is this very file; soft failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.config import ApiConfig
from api.roles import Role
from api.tiles import TileFile, TileState
from tests.api.serving import TownHall, assert_problem, populate, serving
from tests.conftest import Registered
from tests.pmtiles import Feature, write

BOUNDS = (135.0, 32.4, 135.1, 32.5)
LAYERS = {"water": [Feature("Polygon", [(135.0, 32.5), (135.1, 32.5), (135.1, 32.4), (135.0, 32.4)], {"name": "池"})]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "town.pmtiles"
    write(path, LAYERS, BOUNDS, 12)
    return path


@pytest.fixture
def hall(registered: Registered, file: Path) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered, tiles=file, tiles_credit="○○町") as running:
        yield running


def address(file: Path) -> str:
    tiles = TileFile(file, "○○町").now()
    assert tiles is not None
    return tiles.address


def test_a_part_is_given_by_range_uncompressed_and_may_be_kept(hall: TownHall, file: Path) -> None:
    body = file.read_bytes()
    with hall.visitor(Role.VIEWER) as visitor:
        part = visitor.get(address(file), headers={"Range": "bytes=0-126", "Accept-Encoding": "gzip"})
        assert part.status_code == 206 and part.content == body[:127]
        assert part.headers["content-range"] == f"bytes 0-126/{len(body)}"
        assert "content-encoding" not in part.headers
        assert part.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert part.headers["etag"] == f'"{Path(address(file)).stem}"'
        last = visitor.get(address(file), headers={"Range": "bytes=-10", "If-Range": part.headers["etag"]})
        assert last.status_code == 206 and last.content == body[-10:]
        other = visitor.get(address(file), headers={"Range": "bytes=0-9", "If-Range": '"another"'})
        assert other.status_code == 200 and other.content == body
        whole = visitor.get(address(file), headers={"Accept-Encoding": "gzip"})
        assert whole.status_code == 200 and whole.content == body and "content-encoding" not in whole.headers
        assert visitor.get(address(file), headers={"Range": f"bytes={len(body)}-"}).status_code == 416


def test_without_a_session_there_is_no_map(hall: TownHall, file: Path) -> None:
    with hall.visitor(None) as stranger:
        assert_problem(stranger.get(address(file), headers={"Range": "bytes=0-126"}), 401, "not_signed_in")


def test_an_exchanged_file_has_another_address_and_the_old_one_ends(hall: TownHall, file: Path, tmp_path: Path) -> None:
    before = address(file)
    write(tmp_path / "new", {**LAYERS, "roads": []}, BOUNDS, 12)
    (tmp_path / "new").replace(file)
    assert address(file) != before
    with hall.visitor(Role.WATER) as visitor:
        assert visitor.get(address(file), headers={"Range": "bytes=0-9"}).status_code == 206
        assert_problem(visitor.get(before, headers={"Range": "bytes=0-9"}), 404, "not_found")


def damaged(file: Path, state: TileState) -> None:
    body = bytearray(file.read_bytes())
    if state is TileState.MISSING:
        file.unlink()
        return
    if state is TileState.FOREIGN:
        body[99] = 2  # tiles that are pictures
    elif state is TileState.DAMAGED:
        body[130:140] = bytes(10)
    elif state is TileState.UNREADABLE:
        file.unlink()
        file.mkdir()
        return
    file.write_bytes(body)


@pytest.mark.parametrize("state", [state for state in TileState if state is not TileState.READY])
def test_what_cannot_be_shown_is_said_in_the_machine_room_and_the_pages_go_on(
    hall: TownHall, file: Path, state: TileState
) -> None:
    words = {
        TileState.MISSING: "設定のファイルがありません",
        TileState.UNREADABLE: "ファイルを読めません",
        TileState.FOREIGN: "ベクトルタイルの PMTiles（版3）ではありません",
        TileState.DAMAGED: "壊れているか、途中で切れています",
    }
    with hall.visitor(Role.DIGITAL) as visitor:
        assert page(visitor, "/digital").count("表示中") == 1
        assert '"tiles": {' in page(visitor, "/disaster")
        old = address(file)
        damaged(file, state)
        assert words[state] in page(visitor, "/digital")
        assert '"tiles": null' in page(visitor, "/disaster")
        assert_problem(visitor.get(old, headers={"Range": "bytes=0-9"}), 404, "not_found")


def page(visitor: httpx.Client, path: str) -> str:
    answer = visitor.get(path, headers={"Accept": "text/html", "Accept-Language": "ja"})
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("cut", [0, 60, 200, -1])
def test_a_copy_that_broke_off_is_noticed_wherever_it_did(file: Path, cut: int) -> None:
    file.write_bytes(file.read_bytes()[:cut])
    assert TileFile(file, "c").state() is (TileState.FOREIGN if 0 <= cut < 127 else TileState.DAMAGED)


def test_without_a_setting_nothing_is_said_of_a_basemap(registered: Registered) -> None:
    populate(registered)
    with serving(registered) as hall, hall.visitor(Role.DIGITAL) as visitor:
        assert "背景地図" not in page(visitor, "/digital")
        assert '"tiles": null' in page(visitor, "/disaster")


def test_a_map_without_its_credit_is_refused_at_the_start(file: Path) -> None:
    with pytest.raises(ValueError, match="tiles_credit is missing: whose data the map is must be written"):
        ApiConfig(dsn="", tiles=file, tiles_credit="  ")


def test_a_credit_may_end_with_where_it_leads() -> None:
    from api.tiles import _linked

    assert _linked("国土地理院 https://example.jp/a") == ("国土地理院", "https://example.jp/a")
    assert _linked("国土地理院 2026") == ("国土地理院 2026", None)
    assert _linked("https://example.jp") == ("https://example.jp", None)
    assert _linked("x javascript:alert(1)") == ("x javascript:alert(1)", None)
