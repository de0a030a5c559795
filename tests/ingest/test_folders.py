"""Watched folders: files as offices drop them become observations; nothing lost, nothing twice, nothing deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alerts.evaluator import Evaluator
from devices.clock import FixedClock
from ingest.folders import FoldersConfig
from store import connect, folders
from store.feed import Consumer
from tests.conftest import START
from tests.ingest.formats import elsewhere
from tests.ingest.office import HEAD, RIVER, ROWS, WIDE, Office, query_owner, workbook
from tests.ingest.town import query


def test_half_written_files_are_awaited_and_what_is_no_file_is_left_alone(office: Office, tmp_path: Path) -> None:
    office.map()
    outside = tmp_path / "outside.csv"
    outside.write_text(HEAD + ROWS[0], "utf-8")
    (office.folder / "link.csv").symlink_to(outside)
    os.mkfifo(office.folder / "pipe.csv")
    (office.folder / "sub").mkdir()
    (office.folder / "sub" / "a.csv").write_text(HEAD + ROWS[0], "utf-8")
    office.root.joinpath("linked").symlink_to(tmp_path)
    for name in ("a.csv.part", "b.csv.filepart", "~$c.xlsx", ".d.csv", "Thumbs.db"):
        office.drop(name, HEAD + ROWS[0])
    office.drop("empty.csv", b"")
    office.drop("large.csv", b"x" * 200_001)
    growing = office.drop("growing.csv", HEAD)
    before = office.there()
    for row in ROWS[:3]:
        with growing.open("a") as file:
            file.write(row)
        office.look(1)
        assert office.files() == {}
    told = office.waiting()
    assert told == {
        "a.csv.part": "transfer", "b.csv.filepart": "transfer", "empty.csv": "empty", "large.csv": "too_large",
        "growing.csv": "growing", "link.csv": "link", "pipe.csv": "link",
    }  # fmt: skip
    assert office.there() == before
    office.look()
    assert list(office.files()) == ["done/growing.csv"]
    assert len(office.levels()) == 3
    assert [row[0] for row in query(office.registered.owner, "select name from folder")] == ["kawa"]
    # renamed in when it is whole, as careful programs do
    (office.folder / "a.csv.part").rename(office.folder / "a.csv")
    office.look()
    assert ("done/a.csv" in office.files()) and outside.exists()


def test_a_file_settles_for_as_long_as_the_setting_says(office: Office) -> None:
    office.map()
    office.config = FoldersConfig(office.registered.worker, "999999", office.root, settle_seconds=3600)
    office.drop("a.csv", HEAD + ROWS[0])
    office.look(5)
    assert office.files() == {} and office.waiting() == {"a.csv": "growing"}


def test_a_workbook_that_somebody_has_open_waits_for_them(office: Office) -> None:
    office.map()
    workbook(office.folder / "水位.xlsx", lambda sheet: sheet.append(["日時", "奥沢", "流量"]))
    lock = office.drop("~$水位.xlsx", b"somebody")
    office.look(4)
    assert office.waiting() == {"水位.xlsx": "open"} and office.files() == {}
    lock.unlink()
    office.look()
    assert list(office.files()) == ["done/水位.xlsx"]


def test_without_a_map_files_wait_and_the_newest_is_a_sample(office: Office) -> None:
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    assert office.waiting() == {"a.csv": "no_map"} and office.there() == {"a.csv"}
    ((name, sheets),) = query(office.registered.owner, "select name, sheets from folder_sample")
    assert name == "a.csv" and sheets[0]["rows"][0] == ["日時", "奥沢", "流量"]
    office.map()
    office.look()
    assert office.files() == {"done/a.csv": ("read", 2, 0, 0, 0)} and office.waiting() == {}


def test_the_same_content_again_is_harmless_whatever_it_is_called(office: Office) -> None:
    office.map()
    text = HEAD + "".join(ROWS)
    office.drop("a.csv", text)
    office.look()
    messages = query(office.registered.owner, "select count(*) from uplink")
    feeds = query(office.registered.owner, "select count(*) from feed")
    for name in ("a.csv", "b.csv"):
        office.drop(name, text)
        office.look()
    assert office.there() == {"done/a.csv", "done/a (2).csv", "done/b.csv"}
    assert len(office.files()) == 1
    assert query(office.registered.owner, "select repeats, stored, unchanged from folder_file") == [(2, 12, 0)]
    assert query(office.registered.owner, "select count(*) from uplink") == messages
    assert query(office.registered.owner, "select count(*) from feed") == feeds
    office.closed()


def test_a_daily_file_that_grows_brings_only_what_is_new_and_what_changed_is_a_revision(office: Office) -> None:
    office.map()
    figures = []
    for n in range(1, 5):
        office.drop("daily.csv", HEAD + "".join(ROWS[:n]))
        office.look()
    corrected = [ROWS[0].replace(",50,", ",49,"), *ROWS[1:4]]
    office.drop("daily.csv", HEAD + "".join(corrected))
    office.look()
    for row in query(office.registered.owner, "select stored, unchanged, revised from folder_file order by arrived_at"):
        figures.append(row)
    assert figures == [(2, 0, 0), (2, 2, 0), (2, 4, 0), (2, 6, 0), (0, 7, 1)]
    assert office.levels()[0] == ("06-01 08:00", 0.49, "good", None)
    assert query(office.registered.owner, "select value from observation_revision") == [(0.5,)]
    # the older content once more, put back by somebody: it stands below what came after it
    office.drop("again.csv", HEAD + ROWS[0])
    office.look()
    assert office.levels()[0][1] == 0.49
    office.closed()


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_year_of_months_goes_on_behind_what_is_committed_in_whichever_month_it_was_cut(
    office: Office, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    months = {
        f"{n}.csv": elsewhere.kagoshima([f"2026/{n}/1 0:10,{n},", f"2026/{n}/1 0:20,x,", f"2026/{n}/1 0:30,{n + 50},"])
        for n in (1, 2, 3)
    }
    office.map("format: kagoshima\nseries: {水位/12: {station: river-okusawa, property: water_level}}")
    office.drop("2026.zip", elsewhere.zipped(months))
    monkeypatch.setattr("ingest.folders.reading.PART", 1)
    advance, calls = folders.advance, iter(range(1, 100))

    def broken(*given: Any) -> None:
        advance(*given)
        if next(calls) == cut:
            raise psycopg.OperationalError("cut")

    monkeypatch.setattr("ingest.folders.reading.folders.advance", broken)
    with pytest.raises(psycopg.OperationalError):
        office.look()
    office.restart()
    office.look()
    assert office.files() == {"done/2026.zip": ("read", 6, 0, 0, 3)}
    assert [row[1] for row in office.levels()] == [0.01, 0.51, 0.02, 0.52, 0.03, 0.53]
    assert sorted(en[:5] for _, en, _ in office.problems()) == ["1.csv", "2.csv", "3.csv"]
    assert query(office.registered.owner, "select lines from folder_file") == [(9,)]
    office.closed()


def test_a_share_that_may_only_be_read_is_remembered(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.map()
    # root may write wherever the mode says nobody may: the shelf's name is taken by a file instead
    (office.folder / "done").write_text("no folder")
    (office.folder / "done").rename(office.folder / ".x")
    monkeypatch.setattr(Path, "mkdir", _refused)
    office.drop("a.csv", HEAD + ROWS[0])
    office.look(5)
    assert office.files() == {"a.csv": ("read", 2, 0, 0, 0)} and "a.csv" in office.there()
    assert office.folders() == [("kawa", None, True)]
    office.restart()
    office.look(4)
    assert query(office.registered.owner, "select repeats, stored from folder_file") == [(0, 2)]
    office.drop("a.csv", HEAD + "".join(ROWS[:2]))
    office.look()
    assert [row[1] for row in office.levels()] == [0.5, 0.6]


def _refused(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_files_may_stay_where_they_are_and_are_read_again_only_when_they_change(office: Office) -> None:
    office.map(stays=True)
    office.drop("a.csv", HEAD + ROWS[0])
    office.look(4)
    assert office.there() == {"a.csv"} and office.files() == {"a.csv": ("read", 2, 0, 0, 0)}
    with (office.folder / "a.csv").open("a", encoding="utf-8") as file:
        file.write(ROWS[1])
    office.look(4)
    assert [row[1] for row in office.levels()] == [0.5, 0.6]
    assert query(office.registered.owner, "select stored, unchanged, repeats from folder_file order by arrived_at") == [
        (2, 0, 0), (2, 2, 0),
    ]  # fmt: skip


def test_what_could_not_be_read_is_read_when_the_map_is_put_right(office: Office) -> None:
    office.map(WIDE.replace("奥沢:", "水位:"))
    office.drop("a.csv", HEAD + ROWS[0] + "2026/6/1 8:10,休止,2\n")
    office.look()
    assert office.there() == {"failed/a.csv", "failed/a.csv.txt"}
    office.map()
    office.look(1)
    assert office.files() == {"done/a.csv": ("read", 3, 0, 0, 1)}
    assert office.there() == {"done/a.csv", "done/a.csv.txt"}
    office.map(WIDE.replace('"***": failure', '"休止": out_of_service'))
    office.look(2)
    assert office.files() == {"done/a.csv": ("read", 1, 3, 0, 0)}
    assert "すべて読めました" in (office.folder / "done" / "a.csv.txt").read_text("utf-8-sig")
    assert office.levels()[1] == ("06-01 08:10", None, "missing", "out_of_service")
    office.closed()


def test_a_map_that_was_wrong_is_corrected_by_reading_again_and_the_later_map_stands(office: Office) -> None:
    office.map(WIDE.replace("scale: 0.01", "scale: 0.1"))
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    assert office.levels()[0][1] == 5.0
    for scale in ("0.02", "0.001", "0.01"):
        office.map(WIDE.replace("scale: 0.01", f"scale: {scale}"))
        query_owner(office, "update folder_file set wanted = true")
        office.look(1)
        assert office.levels()[0][1] == pytest.approx(50 * float(scale))
    query_owner(office, "update folder_file set wanted = true")
    office.look(1)
    assert office.files() == {"done/a.csv": ("read", 0, 2, 0, 0)}
    office.closed()


def test_a_file_that_is_gone_or_another_by_now_is_not_asked_for_for_ever(office: Office) -> None:
    office.map(WIDE.replace("奥沢:", "水位:"))
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    (office.folder / "failed" / "a.csv").unlink()
    office.map()
    office.look(3)
    assert office.files() == {"failed/a.csv": ("failed", 0, 0, 0, 0)}
    assert "no longer at failed/a.csv" in office.reason()[0]
    # nothing in the ledger leads out of the folder
    outside = office.root.parent / "outside.csv"
    outside.write_text(HEAD + ROWS[0], "utf-8")
    query_owner(office, "update folder_file set wanted = true, place = '../../outside.csv'")
    office.look(2)
    assert office.levels() == []


def test_a_folder_that_is_away_is_said_and_nothing_is_forgotten(office: Office) -> None:
    office.map()
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    office.folder.rename(office.root / ".away")
    office.look(1)
    assert office.folders() == [("kawa", "gone", False)]
    # nobody waits for it any more, until it is there again
    query_owner(office, "update folder set ended_at = looked_at, obstacle = null, obstacle_since = null")
    office.look(1)
    assert query(office.registered.owner, "select obstacle, ended_at is null from folder") == [(None, False)]
    (office.root / ".away").rename(office.folder)
    office.look(1)
    assert query(office.registered.owner, "select obstacle, ended_at is null from folder") == [(None, True)]
    assert len(office.files()) == 1


# --- of what stands ----------------------------------------------------------------------------------------------


def test_a_fresh_level_raises_an_alert_and_a_year_of_history_none(office: Office, town: Any) -> None:
    station = next(s for s in town.stations if s.code == RIVER)
    highest = max(level.value for s in (station,) for t in s.thresholds for level in t.levels) + 0.2
    office.map(WIDE.replace("scale: 0.01", "scale: 1"))
    old = "".join(f"2025/9/{day} 12:00,{highest},\n" for day in range(1, 20))
    office.drop("old.csv", HEAD + old + "2026/6/1 7:00,0.2,\n2026/6/1 8:00,0.3,\n")
    office.look()
    assert judged(office) == []
    office.drop("new.csv", HEAD + f"2026/6/1 8:40,{highest},\n2026/6/1 8:50,{highest},\n")
    office.look()
    assert judged(office) == ["level"]


def judged(office: Office) -> list[str]:
    with connect(office.registered.worker, name="test") as conn:
        Consumer(office.registered.worker, "alerts").drain(conn, Evaluator(FixedClock(START)).handle)
    return [row[0] for row in query(office.registered.owner, "select rule from alert where rule = 'level'")]


@pytest.mark.parametrize(("quality", "level"), [("manual", 0.5), ("good", 0.8)])
def test_what_a_person_wrote_stands_above_a_file_of_a_device(office: Office, quality: str, level: float) -> None:
    office.map(f"quality: {quality}\n{WIDE}")
    office.drop("a.csv", HEAD + "2026/6/1 8:00,50,\n")
    office.look()
    office.map()
    office.drop("b.csv", HEAD + "2026/6/1 8:00,80,\n")
    office.look()
    assert office.levels()[0][1] == level
