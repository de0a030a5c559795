"""`mimamori import-network`: what it takes over, and what it says of files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from analytics.leaks.blocks.stored import blocks
from analytics.leaks.cases.stored import cases
from analytics.leaks.meters import stored as meters
from analytics.leaks.meters.town import first_day, look
from analytics.leaks.network import stored
from api.accounts import create_demo_users
from mimamori.cli import app
from mimamori.demo_town import pipes
from mimamori.demo_water import smart_meters, works
from mimamori.errors import InputError
from store import connect
from tests.analytics.pipe_networks import PIPES, geojson, shapefile_zip
from tests.conftest import START, Registered


def run(town: Registered, *arguments: str | Path) -> Result:
    given = ["import-network", *map(str, arguments), "--municipality", "999999"]
    return CliRunner().invoke(app, given, env={"MIMAMORI_OWNER_DSN": town.owner})


def test_a_network_is_checked_and_then_taken_over(registered: Registered, tmp_path: Path) -> None:
    file = tmp_path / "pipes.geojson"
    file.write_bytes(geojson({**PIPES, "loose": (((200, 0.3), (200, -100)), {"口径": 75})}))
    checked = run(registered, file, "--check", "--json")
    assert checked.exit_code == 0, checked.output
    said = json.loads(checked.stdout)
    assert (said["pipes"], said["km"], said["fixtures"], said["version"]) == (6, 1.12, 3, None)
    assert {(each["kind"], each["feature"]) for each in said["problems"]} >= {("near_end", "loose"), ("apart", "loose")}
    assert "0.3 m from 本管1#2" in next(each["what"] for each in said["problems"] if each["kind"] == "near_end")
    assert json.loads(run(registered, file, "--json").stdout)["version"] == 1
    packed = tmp_path / "pipes.zip"
    packed.write_bytes(shapefile_zip("cp932", b"932"))
    assert "taken over as No. 2" in run(registered, packed).stdout
    with connect(registered.owner, name="test") as conn:
        rows = conn.execute("select pipe_network_id, taken_at is null, read_by from pipe_network order by 1").fetchall()
        assert rows == [(1, False, None), (2, False, None)], "the earlier version stays"
        assert conn.execute("select count(*) from network_pipe where pipe_network_id = 1").fetchone() == (6,)

    file.write_bytes(b"{")
    with pytest.raises(InputError, match=r"pipes\.geojson is no GeoJSON \(line 1.*Nothing was stored"):
        raise run(registered, file).exception or AssertionError("it was read")


def test_the_demos_town_has_its_pipes_once_and_nothing_is_wrong_with_them(
    registered: Registered, tmp_path: Path
) -> None:
    with connect(registered.owner, name="test") as conn:
        create_demo_users(conn, "999999")
        pipes(conn, "999999", START)
        pipes(conn, "999999", START)
        for _ in range(2):
            works(conn, "999999", START)
            smart_meters(conn, "999999", tmp_path / "meter_key", START)
        first = first_day(START)
        read = meters.series(conn, registered.municipality_id, first, START.date())
        street = look(read, first, now=START, zone=ZoneInfo("Asia/Tokyo"))
        states = [case.state for case in cases(conn, registered.municipality_id)]
        (block,) = blocks(conn)
        (version,) = stored.versions(conn, registered.municipality_id)
    assert version.present and version.problems == 0 and version.read_by == "水道担当（デモ）"
    assert states == ["candidate", "planned", "found", "ended", "repaired"], "once, in every column of the board"
    assert [each.sign.kind for each in street.shown] == ["continuous", "stopped"]
    assert [each.name for each in street.blocks] == [block.pipes], "enough of them to be shown"
    assert block.pipes is not None and block.network_km == pytest.approx(12.4, abs=0.1) and block.use.connections
    assert version.pipes == 49 and version.km == pytest.approx(13.9, abs=0.1)
