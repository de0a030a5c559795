"""History from CSV files: what is stored of which line, and that an old flood wakes nobody."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from alerts.evaluator import Evaluator
from devices.clock import FixedClock
from devices.model import Quality, Reason, TownFileError
from ingest.errors import ConfigError, HistoryError
from ingest.history import ImportReport, import_history
from ingest.history_map import MISSING_REASONS, FormatMap, HistoryMap, load_map
from store import connect, feed, latest
from tests.conftest import START, Registered
from tests.ingest.town import level

RIVER = "river-okusawa"
WIDE = """
time: {column: 日時, zone: Asia/Tokyo}
missing: {"***": failure, "---": out_of_service}
columns:
  奥沢: {station: river-okusawa, property: water_level, scale: 0.01}
  流量: {station: block-hamamachi, property: flow}
"""
LONG = """
time: {column: [日付, 時刻], format: "%Y/%m/%d %H:%M", zone: "+09:00"}
quality: manual
long: {station: 観測所, property: 項目, value: 値}
stations: {奥沢: river-okusawa}
properties: {水位: {property: water_level, scale: 0.01, offset: 1}}
"""

Stored = list[tuple[str, float | None, str, str | None]]


@pytest.fixture
def load(registered: Registered, tmp_path: Path) -> Any:
    """A function that imports a file's text under a map's text, in an encoding."""

    def load(text: str, layout: str = WIDE, encoding: str = "utf-8", code: str = "999999") -> ImportReport:
        file, map_file = tmp_path / "history.csv", tmp_path / "map.yaml"
        file.write_bytes(text.encode(encoding))
        map_file.write_text(layout, "utf-8")
        return import_history(registered.worker, code, file, load_map(map_file))

    return load


def stored(registered: Registered, station: str = RIVER, observed_property: str = "water_level") -> Stored:
    """(local time, value, quality, reason) of a series."""
    with connect(registered.owner, name="test") as conn:
        return conn.execute(
            "select to_char(phenomenon_time at time zone 'Asia/Tokyo', 'MM-DD HH24:MI'), value, quality::text, reason "
            "from observation where datastream_id = %s order by phenomenon_time",
            (registered.datastream(station, observed_property),),
        ).fetchall()


def figures(report: ImportReport) -> tuple[int, int, int, int, int]:
    return (report.stored, report.unchanged, report.revised, report.outranked, report.rejected)


def errors(report: ImportReport) -> dict[int, str]:
    return {error.line: error.reason for error in report.errors}


def test_a_wide_file_is_stored_column_by_column(registered: Registered, load: Any) -> None:
    report = load("日時,備考,奥沢,流量\n2026/5/1 9:00,晴,52,11.5\n2026/5/1 9:10,,53,\n")
    assert figures(report) == (3, 0, 0, 0, 0)
    assert stored(registered) == [("05-01 09:00", 0.52, "good", None), ("05-01 09:10", 0.53, "good", None)]
    assert stored(registered, "block-hamamachi", "flow") == [("05-01 09:00", 11.5, "good", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_the_encoding_is_found_out(registered: Registered, load: Any, encoding: str) -> None:
    report = load("日時,奥沢,流量\r\n2026年5月1日 9時00分,５２,1\r\n", encoding=encoding)
    assert figures(report) == (2, 0, 0, 0, 0)
    assert stored(registered) == [("05-01 09:00", 0.52, "good", None)]


def test_a_long_file_is_stored_line_by_line(registered: Registered, load: Any) -> None:
    report = load(
        "観測所,日付,時刻,項目,値\n奥沢,2026/05/01,09:00,水位,52\nriver-okusawa,2026/05/01,09:10,water_level,1.53\n",
        LONG,
    )
    assert figures(report) == (2, 0, 0, 0, 0)
    assert stored(registered) == [("05-01 09:00", 1.52, "manual", None), ("05-01 09:10", 1.53, "manual", None)]


@pytest.mark.parametrize("layout", [WIDE, WIDE.replace("zone:", 'format: "%Y/%m/%d %H:%M", zone:')])
def test_24_00_ends_the_day_of_its_line(registered: Registered, load: Any, layout: str) -> None:
    report = load("日時,奥沢,流量\n2024/02/24 24:00,50,\n2024/02/29 24:00,51,\n2024/12/31 24:00,52,\n", layout)
    assert figures(report) == (3, 0, 0, 0, 0)
    assert [row[0] for row in stored(registered)] == ["02-25 00:00", "03-01 00:00", "01-01 00:00"]


def test_missing_markers_are_stored_with_their_reason_and_blanks_only_where_the_map_says_so(
    registered: Registered, load: Any
) -> None:
    text = "日時,奥沢,流量\n2026/5/1 0:00,***,\n2026/5/1 0:10,---,\n2026/5/1 0:20,,\n2026/5/1 0:30,0,\n"
    assert load(text).stored == 3
    listed = load(text, WIDE.replace("{", '{"": no_record, ', 2).replace('{"": no_record, column', "{column"))
    assert listed.stored == 5  # the blanks: one of the river, four of the flow
    assert stored(registered) == [
        ("05-01 00:00", None, "missing", "failure"),
        ("05-01 00:10", None, "missing", "out_of_service"),
        ("05-01 00:20", None, "missing", "no_record"),
        ("05-01 00:30", 0.0, "good", None),
    ]


def test_a_file_that_has_grown_comes_to_the_same_as_if_it_had_come_whole(registered: Registered, load: Any) -> None:
    """What stands there already is passed over; what comes between is judged beside it, and two of one time are said
    in their order, again and again.
    """
    begin = datetime(2026, 5, 1, 9, 0)  # noqa: DTZ001 - the file's own
    levels = [50 + n % 3 for n in range(60)] + [51] * 150 + [52, 400, 53, 52, "***", 54, 900, 55]
    lines = [f"{begin + n * timedelta(minutes=10):%Y/%m/%d %H:%M},{each}," for n, each in enumerate(levels)]
    lines.insert(31, lines[30].replace(",50,", ",49,"))
    head = "日時,奥沢,流量"
    whole = "\n".join([head, *lines])
    assert load(whole).stored == len(levels)
    at_once = stored(registered)
    assert {"rate", None} < {reason for *_, reason in at_once} and at_once[30][1] == 0.49
    with connect(registered.owner, name="test") as conn:
        conn.execute("delete from observation")
        latest.recompute(conn)
    assert load("\n".join([head, *lines[::2]])).stored == 110
    grown, again = load(whole), load(whole)
    assert stored(registered) == at_once
    assert (grown.stored, grown.stored + grown.unchanged) == (len(levels) - 110, len(levels) - grown.revised)
    assert (again.stored, again.unchanged, again.revised) == (0, len(levels), 0)


def test_an_excel_file_is_read_by_the_same_map(registered: Registered, load: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["日時", "奥沢", "流量"])
    book.active.append(["2026/5/1 9:00", 52, "***"])
    book.save(tmp_path / "history.xlsx")
    (tmp_path / "map.yaml").write_text(WIDE, "utf-8")
    report = import_history(registered.worker, "999999", tmp_path / "history.xlsx", load_map(tmp_path / "map.yaml"))
    assert figures(report) == (2, 0, 0, 0, 0)
    assert stored(registered) == [("05-01 09:00", 0.52, "good", None)]


def test_one_bad_line_stops_nothing_and_is_named(registered: Registered, load: Any) -> None:
    report = load(
        "日時,奥沢,流量\n"
        "2026/5/1 0:00,50,1\n"
        "昨日,51,1\n"
        "2026/2/30 0:00,51,1\n"
        '2026/5/1 0:10,"51,1\n'
        "2026/5/1 0:20,高い,1\n"
        "2026/5/1 0:30,nan,1e999\n"
        "2026/5/1 0:40,51,1,9\n"
        "\n"
        "2062/5/1 0:50,51,1\n"
        "0026/5/1 0:50,51,1\n"
        "2026/5/1 1:00,55\n"
    )
    assert [row[1] for row in stored(registered)] == [0.50, 0.55]
    said = errors(report)
    assert list(said) == [3, 4, 5, 6, 7, 8, 10, 11]
    assert "is not a time" in said[3] and "calendar" in said[4] and "cannot be read" in said[5]
    assert "奥沢: '高い' is no number" in said[6] and "missing" in said[6]
    assert "has 4 fields, the header has 3" in said[8] and "later than the town's present" in said[10]
    assert (report.stored, report.rejected, report.lines) == (4, 9, 10)


def test_a_line_in_another_encoding_is_named(registered: Registered, load: Any, tmp_path: Path) -> None:
    lines = ["日時,奥沢,流量,備考".encode(), b"2026/5/1 0:00,50,1,\x93\xfa", "2026/5/1 0:10,51,1,晴".encode()]
    (tmp_path / "mixed.csv").write_bytes(b"\n".join(lines))
    (tmp_path / "map.yaml").write_text(WIDE, "utf-8")
    report = import_history(registered.worker, "999999", tmp_path / "mixed.csv", load_map(tmp_path / "map.yaml"))
    assert (report.stored, list(errors(report))) == (2, [2])
    assert "UTF-8" in errors(report)[2]


def test_a_second_import_changes_nothing_and_a_corrected_file_keeps_what_it_replaces(
    registered: Registered, load: Any
) -> None:
    text = "日時,奥沢,流量\n2026/5/1 0:00,50,1\n2026/5/1 0:10,51,***\n"
    assert figures(load(text)) == (4, 0, 0, 0, 0)
    before = feed_ids(registered)
    assert figures(load(text)) == (0, 4, 0, 0, 0)
    assert feed_ids(registered) == before
    assert figures(load(text.replace("51", "52"))) == (0, 3, 1, 0, 0)
    assert [row[1] for row in stored(registered)] == [0.50, 0.52]
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("select value from observation_revision").fetchall() == [(0.51,)]


def feed_ids(registered: Registered) -> list[int]:
    with connect(registered.worker, name="test") as conn:
        return [row.feed_id for row in feed.read_after(conn, 0)]


@pytest.mark.parametrize(
    ("quality", "stands", "figure"),
    [("good", 1.0, "outranked"), ("manual", 0.5, "revised"), ("confirmed", 0.5, "revised")],
)
def test_a_devices_value_stands_above_a_file_but_not_above_a_persons(
    registered: Registered, load: Any, quality: str, stands: float, figure: str
) -> None:
    observe(registered, START - timedelta(hours=1), 1.0)
    report = load("日時,奥沢,流量\n2026/6/1 8:00,50,\n", f"quality: {quality}\n{WIDE}")
    assert getattr(report, figure) == 1 and report.stored == 0
    assert [row[1] for row in stored(registered)] == [stands]


def test_a_confirmed_file_stands_above_all_and_is_not_judged(registered: Registered, load: Any) -> None:
    text = "日時,奥沢,流量\n2026/5/1 9:00,50,\n2026/5/1 9:10,480,\n2026/5/1 9:20,900,\n"
    load(text, f"quality: manual\n{WIDE}")
    # A person's value is not doubted for how it moves; 9 m cannot be at this gauge.
    assert stored(registered) == [
        ("05-01 09:00", 0.5, "manual", None),
        ("05-01 09:10", 4.8, "manual", None),
        ("05-01 09:20", 9.0, "bad", "range"),
    ]
    load(text, f"quality: confirmed\n{WIDE}")
    confirmed = [("05-01 09:00", 0.5), ("05-01 09:10", 4.8), ("05-01 09:20", 9.0)]
    assert stored(registered) == [(*row, "good", "confirmed") for row in confirmed]
    assert figures(load(text.replace("480", "470"), f"quality: manual\n{WIDE}"))[3] == 1
    assert stored(registered) == [(*row, "good", "confirmed") for row in confirmed]


def observe(registered: Registered, at: datetime, metres: float) -> None:
    """A level of the gauge at RIVER, as a device sends it."""
    from ingest.decode import decode
    from ingest.subscriber import Delivery
    from store.writer import write_batch

    topic, raw = level(metres, counter=int(at.timestamp()) % 65536, time=at)
    row = decode(Delivery(topic, raw, at, 0, 0), registered.directory)
    with connect(registered.worker, name="test") as conn:
        assert write_batch(conn, registered.municipality_id, [row]).stored == 1


def test_the_gate_judges_history_but_not_its_age(registered: Registered, load: Any) -> None:
    load("日時,奥沢,流量\n1999/5/1 0:00,50,\n1999/5/1 0:10,99999,\n")
    assert [row[1:] for row in stored(registered)] == [(0.5, "good", None), (999.99, "bad", "range")]


def test_an_old_flood_raises_no_alert_and_the_next_one_does(registered: Registered, load: Any) -> None:
    assert load("日時,奥沢,流量\n2026/5/1 0:00,50,\n2026/5/1 0:10,590,\n2026/5/1 0:20,590,\n").stored == 3
    clock = FixedClock(START)
    consumer = feed.Consumer(registered.worker, "alerts")

    def alerts() -> list[tuple[str]]:
        with connect(registered.worker, name="test") as conn:
            consumer.drain(conn, Evaluator(clock).handle)
            conn.commit()
            return conn.execute("select rule from alert").fetchall()

    assert alerts() == []
    observe(registered, START - timedelta(minutes=5), 5.9)
    assert alerts() == [("level",)]
    load("日時,奥沢,流量\n2026/5/2 0:00,590,\n")
    assert alerts() == [("level",)]


def test_parts_that_are_committed_are_bounded(
    registered: Registered, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.history.BATCH", 10)
    begin = datetime(2026, 5, 1, tzinfo=UTC)
    rows = [f"{begin + timedelta(minutes=10 * i):%Y/%m/%d %H:%M},{50 + i % 7},1" for i in range(50)]
    assert load("\n".join(["日時,奥沢,流量", *rows])).stored == 100
    assert len(feed_ids(registered)) == 10
    assert len(stored(registered)) == 50


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line 1"),
        ("日時,奥沢\n", "line 1|column '流量' is not there|csv:1: column '流量' is not there"),
        ("日時,奥沢,奥沢,流量\n", "several times"),
        ('"日時,奥沢,流量\n', "the header cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_its_map_is_refused(load: Any, text: str, words: str) -> None:
    with pytest.raises(HistoryError, match=words):
        load(text)


def test_what_the_town_does_not_have_is_named(load: Any) -> None:
    with pytest.raises(HistoryError, match="'奥沢': there is no station 'nowhere'; there are block-"):
        load("日時,奥沢,流量\n", WIDE.replace(RIVER, "nowhere"))
    with pytest.raises(HistoryError, match="station river-okusawa has no 'pressure'; it has water_level"):
        load("日時,奥沢,流量\n", WIDE.replace("water_level", "pressure"))
    with pytest.raises(ConfigError, match="000000"):
        load("日時,奥沢,流量\n", code="000000")
    report = load("観測所,日付,時刻,項目,値\n上流,2026/05/01,09:00,水位,52\n奥沢,2026/05/01,09:00,雨,5\n", LONG)
    assert "no station '上流'" in errors(report)[2] and "has no '雨'" in errors(report)[3]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("columns: {}", "'time' is missing"),
        ("time: {column: t, zone: Mars/Dome}\ncolumns: {a: {station: s, property: flow}}", "zone 'Mars/Dome'"),
        ("time: {column: t}\ncolumns: {a: {station: s, property: flow}}", "'zone' is missing"),
        ("time: {column: t, zone: +09:00}\ncolumns: {a: {station: s, property: fow}}", "'fow' is none of water_level"),
        ("time: {column: t, zone: +09:00}", "either 'columns'"),
        ("time: {column: t, zone: +09:00}\ncolumns: {a: {station: s}}", "columns: a: 'property' is missing"),
        ("time: {column: t, zone: +09:00}\nquality: best\ncolumns: {a: {station: s, property: flow}}", "good, manual"),
        ("time: {column: t, zone: +09:00}\nmissing: {x: rain}\ncolumns: {a: {station: s, property: flow}}", "failure"),
        ("time: {column: t, zone: +09:00}\nheader: 3\nfirst_line: 2\ncolumns: {}", "after the header's line 3"),
    ],
)
def test_mistakes_in_a_map_are_named_with_their_line(tmp_path: Path, layout: str, words: str) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(layout, "utf-8")
    with pytest.raises(TownFileError, match=words) as caught:
        load_map(file)
    assert str(caught.value).startswith(f"{file}:")


def test_header_and_values_may_begin_anywhere_and_times_may_be_shifted(registered: Registered, load: Any) -> None:
    layout = "header: 2\nfirst_line: 4\n" + WIDE.replace("zone:", "shift: 1h, zone:")
    assert load("水位月表\n日時,奥沢,流量\n単位,cm,m3/h\n2026-05-01T00:00:00Z,50,\n", layout).stored == 1
    assert stored(registered) == [("05-01 10:00", 0.5, "good", None)]


def test_the_maps_of_the_documentation_are_maps(tmp_path: Path) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "import.md").read_text("utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    maps = []
    for example in examples:
        (tmp_path / "map.yaml").write_text(example, "utf-8")
        maps.append(load_map(tmp_path / "map.yaml"))
    wide, long, known = maps
    assert isinstance(wide, HistoryMap) and isinstance(long, HistoryMap) and isinstance(known, FormatMap)
    assert known.format == "kagoshima" and known.series["水位/12"].name == "新橋"
    assert set(wide.columns) == {"新橋水位(cm)", "浜町流量"} and wide.missing["---"] is Reason.OUT_OF_SERVICE
    assert long.long is not None and (long.header, long.first_line, long.quality) == ((3,), 5, Quality.MANUAL)
    assert all(f"`{reason.value}`" in document for reason in MISSING_REASONS)
