"""The lines of a device list: what each says, and what is wrong with it, by line, cell and column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from devices.device_list import COLUMNS, DeviceList, Problem, read_list, written_mapping
from devices.mapping import MappingEntry
from devices.model import ObservedProperty
from devices.sheets import Cell, Row, Sheet, read_sheet

TOKYO = ZoneInfo("Asia/Tokyo")


def listed(text: str) -> DeviceList:
    return read_list(read_sheet(text.encode()), TOKYO)


def test_japanese_titles_and_names_mean_the_same() -> None:
    japanese = listed("機器ID,緯度,電池交換日,太陽電池,無通信の許容時間\nNEW-1,３２．４,2026年6月1日,あり,90分\n")
    english = listed("key,latitude,battery_exchanged,solar,silence_after\nnew-1,32.4,2026-06-01,yes,1.5h\n")
    assert japanese.entries[0].values == english.entries[0].values
    assert japanese.entries[0].values == {
        "key": "new-1",
        "latitude": 32.4,
        "battery_exchanged": date(2026, 6, 1),
        "solar": True,
        "silence_after": timedelta(minutes=90),
    }


def test_a_deveui_may_be_written_as_on_its_label() -> None:
    (entry,) = listed("key\n24-E1-24-71-36-B1-23-45\n").entries
    assert entry.values["key"] == "24e124713 6b12345".replace(" ", "")


def test_times_are_local_unless_they_say_otherwise() -> None:
    first, second, third = listed(
        "key,attached_from\na,2026-06-01 09:00\nb,2026/6/1\nc,2026-06-01T00:00+00:00\n"
    ).entries
    assert first.values["attached_from"] == datetime(2026, 6, 1, 0, 0, tzinfo=UTC)
    assert second.values["attached_from"] == datetime(2026, 5, 31, 15, 0, tzinfo=UTC)
    assert third.values["attached_from"] == datetime(2026, 6, 1, tzinfo=UTC)


def test_a_mapping_reads_as_it_is_written() -> None:
    (entry,) = listed("key,mapping\na,water_level=distance*-0.001+5.2; pressure=bar*100\n").entries
    assert entry.values["mapping"] == (
        MappingEntry("distance", ObservedProperty.WATER_LEVEL, scale=-0.001, offset=5.2),
        MappingEntry("bar", ObservedProperty.PRESSURE, scale=100.0),
    )
    assert written_mapping(entry.values["mapping"]) == "water_level=distance*-0.001+5.2; pressure=bar*100"


def test_an_empty_cell_says_nothing_and_a_hyphen_takes_out() -> None:
    (entry,) = listed("key,owner,phone\na,,-\n").entries
    assert entry.values == {"key": "a", "phone": None}


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("key", "two words", "key"),
        ("key", "", "empty_key"),
        ("station", "川の上", "station"),
        ("template", "rocket", "template"),
        ("latitude", "91", "latitude"),
        ("latitude", "北緯32", "latitude"),
        ("latitude", "nan", "latitude"),
        ("longitude", "1e9", "longitude"),
        ("attached_from", "yesterday", "time"),
        ("attached_from", "2026-02-30", "time"),
        ("attached_from", "2026-06-01 25:00", "time"),
        ("silence_after", "0min", "duration"),
        ("silence_after", "90", "duration"),
        ("silence_after", "9999d", "duration"),
        ("mapping", "distance", "mapping"),
        ("mapping", "height=distance", "property"),
        ("battery_exchanged", "June", "day"),
        ("solar", "maybe", "yes_no"),
        ("service_ends", "2026-13-01", "day"),
        ("jc_star", "5", "jc_star"),
        ("model", "-", "clear"),
    ],
)
def test_what_a_cell_cannot_say_is_told_with_its_place(column: str, text: str, code: str) -> None:
    columns = ["key", *(() if column == "key" else (column,))]
    cells = [text] if column == "key" else ["a-1", text]
    found = listed(f"note,{','.join(columns)}\nx,{','.join(cells)}\n")
    (problem,) = found.problems
    assert (problem.line, problem.column, problem.code) == (2, column, code)
    assert problem.cell == ("B2" if column == "key" else "C2")
    assert found.entries == () and str(problem)


def test_a_key_that_excel_made_a_number_is_refused_because_its_digits_are_lost() -> None:
    header = (Cell("key", "A1"),)
    sheet = Sheet(header, (Row(2, {"key": Cell("2.4e+15", "A2", number=True)}),))
    (problem,) = read_list(sheet, TOKYO).problems
    assert (problem.code, problem.cell) == ("lost_digits", "A2")


def test_a_device_is_there_once() -> None:
    (problem,) = listed("key\na\nb\nA\n").problems
    assert (problem.line, problem.code, problem.values) == (4, "twice", {"line": 2})


@pytest.mark.parametrize(
    ("text", "code"),
    [("name\nx\n", "no_key"), ("key\n", "no_lines"), ("key,wrong\nx,1\n", "unknown_column")],
)
def test_a_list_that_nobody_can_read_says_why_in_its_header(text: str, code: str) -> None:
    found = listed(text)
    assert code in [problem.code for problem in found.problems] and found.entries == ()


def test_every_problem_has_a_sentence_that_its_values_fill() -> None:
    from devices import device_list

    for code, sentence in device_list._SENTENCES.items():
        names = {part.split("}")[0] for part in sentence.split("{")[1:]}
        assert str(Problem(1, "A1", "key", code, dict.fromkeys(names, "x")))
    assert len(set(COLUMNS.values())) == len(COLUMNS)
