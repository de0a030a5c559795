"""本部記録: a line is written in one go, corrections are kept, drills are apart, the file has all in order of time."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from api.roles import Role
from store import connect
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.reading import main

# START is 2026-06-01 09:00 in the town.
LOG = "/disaster/log"


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        yield client


def write(client: httpx.Client, text: str, address: str = LOG, **more: str) -> httpx.Response:
    return client.post(address, data={"text": text, "source": "phone", **more})


def rows(client: httpx.Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"{LOG}.csv{query}")
    assert answer.content.startswith("\ufeff".encode())
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_a_line_is_written_with_the_towns_time_and_who_wrote_it(hall: TownHall, staff: httpx.Client) -> None:
    answer = write(staff, "橋の上まで水が来ている", who="田中 区長", place="見守橋", source="phone")
    assert answer.status_code == 303 and answer.headers["location"] == f"{LOG}?done=entered"
    text = main(staff.get(answer.headers["location"]))
    assert "記録しました" in text and "橋の上まで水が来ている" in text and "田中 区長" in text
    assert "disaster of the own town" in text
    with connect(hall.database.owner, name="test") as conn:
        found = conn.execute("select at = entered_at, revision, drill, source from headquarters_log").fetchall()
    assert found == [(True, 1, False, "phone")]


def test_the_newest_line_stands_first_on_the_page_and_last_on_paper_and_in_the_file(staff: httpx.Client) -> None:
    for time, text in (("0300", "夜中"), ("2350", "前夜"), ("0015", "零時過ぎ")):
        write(staff, text, time=time)
    page, paper = main(staff.get(LOG)), main(staff.get(f"{LOG}?order=time"))
    assert page.index("夜中") < page.index("零時過ぎ") < page.index("前夜")
    assert paper.index("前夜") < paper.index("零時過ぎ") < paper.index("夜中")
    assert "記録する" not in paper
    assert [row[5] for row in rows(staff)] == ["内容", "前夜", "零時過ぎ", "夜中"]


def test_a_correction_keeps_what_was_said_before_and_by_whom(staff: httpx.Client) -> None:
    write(staff, "床下浸水 3 戸", time="0815")
    address = f"{LOG}/1"
    assert "床下浸水 3 戸" in main(staff.get(address))
    answer = write(staff, "床下浸水 5 戸", address, seen="1", time="0810", source="field")
    assert answer.status_code == 303 and "done=corrected" in answer.headers["location"]
    page = main(staff.get(LOG))
    assert "床下浸水 5 戸" in page and "3 戸" not in page and "訂正 1回" in page
    history = main(staff.get(address))
    assert history.index("2版") < history.index("1版") and "3 戸" in history
    kept = rows(staff)[1:]
    assert [(row[1][11:16], row[5], row[6]) for row in kept] == [
        ("08:15", "床下浸水 3 戸", "訂正前"),
        ("08:10", "床下浸水 5 戸", "訂正後"),
    ]


def test_who_corrects_what_somebody_else_has_corrected_meanwhile_is_told(staff: httpx.Client) -> None:
    write(staff, "一")
    assert write(staff, "二", f"{LOG}/1", seen="1").headers["location"].startswith(f"{LOG}?")
    refused = write(staff, "三", f"{LOG}/1", seen="1").headers["location"]
    assert refused.startswith(f"{LOG}/1?") and "problem=changed" in refused
    text = staff.get(refused).text
    assert "ほかの人が先に訂正しました" in text and 'value="三"' in text
    assert [row[5] for row in rows(staff)[1:]] == ["一", "二"]


def test_two_who_correct_at_once_leave_one_revision_each_at_most(hall: TownHall, staff: httpx.Client) -> None:
    write(staff, "始め")
    answers: list[str] = []

    def correct(n: int) -> None:
        with hall.visitor(Role.DISASTER) as client:
            answers.append(write(client, f"訂正 {n}", f"{LOG}/1", seen="1").headers["location"])

    threads = [threading.Thread(target=correct, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("done=corrected" in answer for answer in answers) == 1
    assert sum("problem=changed" in answer for answer in answers) == 3
    assert len(rows(staff)) == 3


def test_a_line_taken_back_stays_to_be_read(staff: httpx.Client) -> None:
    write(staff, "別の町の話")
    write(staff, "別の町の話", f"{LOG}/1", seen="1", withdrawn="1")
    page = staff.get(LOG).text
    assert "<s>別の町の話</s>" in page and "取り消し" in page
    assert [row[6] for row in rows(staff)[1:]] == ["訂正前", "取り消し"]


def test_a_drill_is_a_record_of_its_own_and_says_so(staff: httpx.Client) -> None:
    write(staff, "本物の通報")
    answer = write(staff, "想定：堤防が切れた", drill="1")
    assert "drill=1" in answer.headers["location"]
    drill, actual = main(staff.get(f"{LOG}?drill=1")), main(staff.get(LOG))
    assert "想定" in drill and "【訓練】" in drill and "本物の通報" not in drill
    assert "想定" not in actual and "想定" not in main(staff.get("/disaster"))
    assert "本物の通報" in main(staff.get("/disaster"))
    assert [row[-1] for row in rows(staff, "?drill=1")] == ["訓練", "【訓練】"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"text": "  "}, "必要な欄が空です"),
        ({"time": "あとで"}, "時刻として読み取れません"),
        ({"time": "2999-01-01 03:00"}, "これからの時刻は記録できません"),
        ({"who": "あ" * 101}, "長すぎます"),
    ],
)
def test_what_cannot_be_written_stays_in_its_fields(staff: httpx.Client, more: dict[str, str], why: str) -> None:
    answer = staff.post(LOG, data={"text": "土砂が道をふさいだ", "source": "field", "place": "奥沢", **more})
    assert answer.status_code == 400 and why in main(answer)
    assert 'value="奥沢"' in answer.text and 'value="field" selected' in answer.text
    assert len(rows(staff)) == 1


def test_only_the_disaster_section_writes_and_everybody_reads(hall: TownHall, staff: httpx.Client) -> None:
    write(staff, "停電")
    with hall.visitor(Role.VIEWER) as reader:
        text = reader.get(LOG).text
        assert "停電" in text and 'name="text"' not in text
        assert 'name="text"' not in reader.get(f"{LOG}/1").text
        assert write(reader, "x").status_code == 403


def test_what_somebody_typed_is_no_formula_in_a_spreadsheet(staff: httpx.Client) -> None:
    write(staff, '=HYPERLINK("http://x")', who="@all")
    (row,) = rows(staff)[1:]
    assert row[5].startswith("'=") and row[3] == "'@all"


def test_the_days_can_be_chosen(staff: httpx.Client) -> None:
    long_ago = START - timedelta(days=30)
    write(staff, "先月", time=f"{long_ago:%Y-%m-%d} 10:00")
    assert "先月" not in main(staff.get(LOG))
    assert "先月" in main(staff.get(f"{LOG}?from={long_ago:%Y-%m-%d}"))
    assert staff.get(f"{LOG}?from=2026-06-02&to=2026-06-01").status_code == 400
    assert staff.get(f"{LOG}?from=x").status_code == 400


def test_an_open_page_is_told_of_it_and_of_nothing_in_it(hall: TownHall, staff: httpx.Client) -> None:
    with hall.visitor(Role.VIEWER) as reader, reader.stream("GET", "/api/v1/stream") as stream:
        told = stream.iter_lines()
        while not next(told).startswith("event: clock"):
            pass
        write(staff, "住民の名前を含む話")
        heard: list[str] = []
        for line in told:
            heard.append(line)
            if line.startswith("data:") and len(heard) > 3 and "event: headquarters" in heard:
                break
    assert heard[-2:] == ["event: headquarters", "data: {}"]
