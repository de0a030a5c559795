"""Files in known forms: what is stored of which series, what is told of the rest, and that nothing is stored twice."""

from __future__ import annotations

import csv
import io
import math
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devices.model import TownFileError
from ingest import formats
from ingest.errors import HistoryError
from ingest.folders.tables import sample_of
from ingest.formats.archive import Part
from ingest.history import ImportReport, import_history, layout_of
from ingest.history_file import Line, finder
from ingest.history_map import FormatMap, read_map
from store import connect
from tests.conftest import START, Registered
from tests.ingest.formats import elsewhere

RIVER = "{station: river-okusawa, property: water_level}"
FLOW = "{station: block-hamamachi, property: flow}"
MONTH = elsewhere.kagoshima(
    [
        "2024/1/1 0:10,52,-3",
        "2024/1/1 0:20,***,---",
        "2024/1/1 0:30,,",
        "2024/1/31 24:00,55,9",
        "2024/2/1 0:00,56,9",
    ]
)


def maps(form: str, **series: str) -> str:
    """A map of a known form; of a key `a__b` the name is a/b."""
    return f"format: {form}\nseries:\n" + "".join(f"  '{key.replace('__', '/')}': {to}\n" for key, to in series.items())


@pytest.fixture
def load(registered: Registered, tmp_path: Path) -> Any:
    """A function that imports a content under a map's text."""

    def load(content: bytes | str, layout: str, name: str = "file", *, check: bool = False) -> ImportReport:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return import_history(registered.worker, "999999", file, read_map(layout), check=check)

    return load


def stored(registered: Registered, station: str = "river-okusawa", observed: str = "water_level") -> list[Any]:
    """(time in UTC, value, quality, reason) of a series."""
    with connect(registered.owner, name="test") as conn:
        return conn.execute(
            "select to_char(phenomenon_time at time zone 'UTC', 'MM-DD HH24:MI'), round(value::numeric, 4)::float8, "
            "quality::text, reason from observation where datastream_id = %s order by phenomenon_time",
            (registered.datastream(station, observed),),
        ).fetchall()


def figures(report: ImportReport) -> tuple[int, int, int, int]:
    return (report.stored, report.unchanged, report.revised + report.outranked, report.rejected)


# --- Kagoshima ----------------------------------------------------------------------------------------------------


def test_a_prefectures_month_is_stored_in_metres_with_its_marks_and_the_end_of_its_days(
    registered: Registered, load: Any
) -> None:
    layout = maps("kagoshima", 水位__12="{station: river-okusawa, property: water_level, name: 屋仁橋}")
    checked = load(MONTH, layout, "suii.csv", check=True)
    assert stored(registered) == [] and checked.check
    report = load(MONTH, layout, "suii.csv")
    # 24:00 of January is 0:00 of February: the later line of the file is what the file says
    assert figures(report) == figures(checked) == (3, 0, 1, 0)
    assert stored(registered) == [
        ("12-31 15:10", 0.52, "good", None),
        ("12-31 15:20", None, "missing", "failure"),
        ("01-31 15:00", 0.56, "good", None),
    ]
    (other,) = report.unlisted
    assert (other.series, other.name, other.unit, report.absent) == ("水位/139", "古仁屋橋", "cm", [])


def test_a_year_is_a_zip_in_which_a_number_means_a_series_of_its_kind_only(registered: Registered, load: Any) -> None:
    crisis = elsewhere.kagoshima(["2024/1/1 6:00,-15", "2024/1/1 6:10,高い"], numbers="12", names="秋名橋")
    year = elsewhere.zipped(
        {"水位_202401.csv": MONTH, "危機管理型水位_202401.csv": crisis, "読んでください.pdf": b"%PDF"}
    )
    layout = maps("kagoshima", **{"水位（危機管理型）__12": RIVER, "水位__77": FLOW})
    report = load(year, layout, "suii2024.zip")
    assert figures(report) == (1, 0, 0, 1) and stored(registered) == [("12-31 21:00", -0.15, "good", None)]
    assert {each.series for each in report.unlisted} == {"水位/12", "水位/139"} and report.absent == ["水位/77"]
    (error,) = report.errors
    assert error.line == 5 and error.reason.startswith("危機管理型水位_202401.csv: 秋名橋: '高い' is no number")
    assert figures(load(year, layout, "again.zip")) == (0, 1, 0, 1)


def test_units_are_the_files_own_and_never_guessed(registered: Registered, load: Any) -> None:
    reservoir = elsewhere.kagoshima(
        ["2024/1/1 0:10,3712,250"], "大和ダム", "1,2", "貯水位,全流入量", "[EL.10^-2m],[10＾-3m3/s]"
    )
    layout = maps("kagoshima", 大和ダム__1=RIVER.replace("}", ", offset: -30}"), 大和ダム__2=FLOW)
    assert load(reservoir, layout).stored == 2
    assert stored(registered)[0][1] == 7.12 and stored(registered, "block-hamamachi", "flow")[0][1] == 900.0
    rain = elsewhere.kagoshima(["2024/1/1 0:10,3,4"], "雨量")
    with pytest.raises(HistoryError, match="does not say in which unit 雨量/12 is") as refused:
        load(rain, maps("kagoshima", 雨量__12=RIVER))
    assert "倍率 scale" in refused.value.ja


@pytest.mark.parametrize(
    ("content", "layout", "words"),
    [
        (MONTH, maps("kagoshima", 水位__13=RIVER), "has none of the map's series; it has 水位/12, 水位/139"),
        (MONTH, maps("kagoshima", 水位__12=RIVER.replace("}", ", name: 秋名橋}")), "is called '屋仁橋' here"),
        (elsewhere.kagoshima([], numbers="12,12"), maps("kagoshima", 水位__12=RIVER), "number 12 is there twice"),
        (b"time,value\r\n2024/1/1 0:10,1\r\n", maps("kagoshima", 水位__12=RIVER), "not in this form"),
        (MONTH, maps("kagoshima", 水位__12="{station: river-oku, property: water_level}"), "no station 'river-oku'"),
        (elsewhere.zipped({"a.pdf": b"%PDF"}), maps("kagoshima", 水位__12=RIVER), "no CSV, text or JSON file in it"),
        (elsewhere.zipped({"a.csv": MONTH})[:90], maps("kagoshima", 水位__12=RIVER), "is no whole ZIP"),
        (b'{"data": [', maps("hubeau", A__H=RIVER), "is no whole JSON file"),
        (b"x\ty\n", maps("usgs", A__00065=RIVER), "is no RDB file"),
        (b"agency_cd\tsite_no\tdatetime\t1_00065_00003\n", maps("usgs", A__00065=RIVER), "daily means are not taken"),
        (b"station,observed_property,start,end,minimum\n", "format: mimamori", "minimum and maximum of hours or days"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_a_sentence(
    load: Any, content: bytes, layout: str, words: str
) -> None:
    with pytest.raises(HistoryError) as refused:
        load(content, layout)
    assert words in str(refused.value) and refused.value.ja.endswith("。")


# --- USGS ---------------------------------------------------------------------------------------------------------


def test_feet_become_metres_and_the_hour_that_comes_twice_is_two_hours(registered: Registered, load: Any) -> None:
    text = elsewhere.rdb(
        "01037000",
        ["69928_00065", "69929_00060"],
        [
            "2014-11-02 01:30\tEDT\t10.00\tA\t100\tA:e",
            "2014-11-02 01:30\tEST\t11.00\tP:~\t\t",
            "2014-11-02 02:30\tEST\tIce\tP\tEqp\tP",
            "2014-11-02 02:45\tEST\t-999999\tP:Ssn\t\t",
            "2014-11-02 03:00\tXST\t12\tP\t1\tP",
            "2014-13-02 03:00\tEST\t12\tP\t\t",
            "2014-11-02 03:15\tEST\t1O\tP\t\t",
        ],
    ) + elsewhere.rdb("01037050", ["7_00065"], ["2014-11-02 01:30\tEST\t3.00\tP"])
    layout = maps("usgs", **{"01037000__00065": RIVER, "01037000__00060__69929": FLOW})
    report = load(text, layout)
    assert figures(report) == (6, 0, 0, 4) and [each.series for each in report.unlisted] == ["01037050/00065"]
    assert stored(registered) == [
        ("11-02 05:30", 3.048, "good", "confirmed"),
        ("11-02 06:30", 3.3528, "estimated", None),
        ("11-02 07:30", None, "missing", "failure"),
        ("11-02 07:45", None, "missing", "out_of_service"),
    ]
    assert stored(registered, "block-hamamachi", "flow") == [
        ("11-02 05:30", 10194.0648, "estimated", "confirmed"),
        ("11-02 07:30", None, "missing", "failure"),
    ]
    said = [error.reason for error in report.errors]
    assert "time zone 'XST' is not known" in said[0] and "is not a time" in said[2] and "'1O' is no number" in said[3]


def test_both_kinds_of_json_say_the_same(registered: Registered, load: Any) -> None:
    layout = maps("usgs", **{"01037000__00065": RIVER})
    old = elsewhere.water_services(
        [
            ("01037000", "00065", "ft", [
                ("2014-07-26T23:15:00.000-04:00", "10.00", ["A"]),
                ("2014-07-26T23:30:00.000-04:00", "-999999", ["P", "Eqp"]),
                ("2014-07-26T23:45:00.000-04:00", "x", ["P"]),
            ]),
            ("01037000", "00010", "deg C", [("2014-07-26T23:15:00.000-04:00", "20", ["P"])]),
        ]
    )  # fmt: skip
    report = load(old, layout)
    assert figures(report) == (2, 0, 0, 1) and report.errors[0].line == 3
    new = elsewhere.water_data(
        [
            {"time": "2014-07-27T03:15:00+00:00", "value": "10.00", "approval_status": "Approved"},
            {"time": "2014-07-27T03:30:00+00:00", "value": None, "qualifier": ["EQP"]},
            {"time": "2014-07-27T04:00:00+00:00", "value": "12.5"},
            {"time": "2014-07-27T04:00:00+00:00", "value": "12.5", "statistic_id": "00003"},
        ]
    )
    assert figures(load(new, layout)) == (1, 2, 0, 1)
    assert stored(registered) == [
        ("07-27 03:15", 3.048, "good", "confirmed"),
        ("07-27 03:30", None, "missing", "failure"),
        ("07-27 04:00", 3.81, "good", None),
    ]
    other = {"time": "2014-07-27T05:00:00+00:00", "value": "1", "time_series_id": "b2"}
    two = elsewhere.water_data([{"time": "2014-07-27T05:00:00+00:00", "value": "1"}, other])
    with pytest.raises(HistoryError, match="is two series"):
        load(two, layout)
    assert load(two, maps("usgs", **{"01037000__00065__b2": RIVER})).stored == 1


# --- Hub'Eau ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [False, True])
def test_french_gauges_come_in_metres_with_their_codes(registered: Registered, load: Any, table: bool) -> None:
    usual = {"code_site": "K4470010", "code_station": "K447001001", "grandeur_hydro": "H", "code_statut": 4,
             "code_qualification_obs": 16, "libelle_qualification_obs": None, "code_methode_obs": 0}  # fmt: skip
    records = [
        usual | {"date_obs": "2026-05-01T08:00:00Z", "resultat_obs": -20.0},
        usual | {"date_obs": "2026-05-01T08:05:00Z", "resultat_obs": None},
        usual | {"date_obs": "2026-05-01T08:10:00Z", "resultat_obs": -10.0, "libelle_qualification_obs": "Douteuse"},
        usual | {"date_obs": "2026-05-01T08:15:00Z", "resultat_obs": 991.0, "code_statut": 16, "code_methode_obs": 12},
        usual | {"date_obs": "2026-05-01T08:00:00Z", "resultat_obs": 10.0, "grandeur_hydro": "Q"},
        usual | {"date_obs": "yesterday", "resultat_obs": 1.0},
    ]
    content = elsewhere.hubeau(records)
    if table:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(records[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(records)
        content = out.getvalue().encode("utf-8-sig")
    report = load(content, maps("hubeau", K447001001__H=RIVER, K447001001__Q=FLOW))
    assert figures(report) == (5, 0, 0, 1) and report.errors[0].line == (7 if table else 6)
    assert stored(registered) == [
        ("05-01 08:00", -0.02, "good", None),
        ("05-01 08:05", None, "missing", "no_record"),
        ("05-01 08:10", -0.01, "doubtful", None),
        ("05-01 08:15", 0.991, "estimated", "confirmed"),
    ]
    assert stored(registered, "block-hamamachi", "flow") == [("05-01 08:00", 36.0, "good", None)]


def test_what_was_elaborated_stands_at_the_end_of_its_day_or_month(registered: Registered, load: Any) -> None:
    usual = {"code_site": "K4470010", "code_station": None, "resultat_obs_elab": 5020.0, "code_statut": 16}
    content = elsewhere.hubeau(
        [
            usual | {"grandeur_hydro_elab": "QmnJ", "date_obs_elab": "2024-02-28"},
            usual | {"grandeur_hydro_elab": "QmM", "date_obs_elab": "2024-12-01"},
        ]
    )
    assert load(content, maps("hubeau", K4470010__QmnJ=FLOW)).stored == 1
    assert load(content, maps("hubeau", K4470010__QmM=FLOW)).stored == 1
    assert stored(registered, "block-hamamachi", "flow") == [
        ("02-29 00:00", 18072.0, "good", "confirmed"),
        ("01-01 00:00", 18072.0, "good", "confirmed"),
    ]


# --- all of them --------------------------------------------------------------------------------------------------

EXAMPLES = {
    "kagoshima": [MONTH, elsewhere.zipped({"水位.csv": MONTH})],
    "usgs": [
        elsewhere.rdb("01037000", ["1_00065"], ["2014-11-02 01:30\tEST\t10.00\tA"]).encode(),
        elsewhere.water_services([("01037000", "00065", "ft", [("2014-07-26T23:15:00.000-04:00", "1", ["A"])])]),
        elsewhere.water_data([{"time": "2014-07-27T03:15:00+00:00", "value": "10.00"}]),
    ],
    "hubeau": [
        elsewhere.hubeau(
            [{"code_station": "A", "grandeur_hydro": "H", "date_obs": "2026-05-01T08:00:00Z", "resultat_obs": 1}]
        ),
        b"code_site;code_station;grandeur_hydro;date_obs;resultat_obs\nB;A;H;2026-05-01T08:00:00Z;5\n",
    ],
    "mimamori": [
        "\ufeffstation,observed_property,time,value,unit,quality,reason\r\n".encode()
        + b"river-okusawa,water_level,2026-05-01T09:00:00+09:00,0.52,m,good,\r\n",
        b'{"datastream":"river-okusawa/water_level","phenomenon_time":"2026-05-01T00:00:00Z","value":0.52,"unit":"m",'
        b'"quality":"good","reason":null}\n{"next":null}\n',
    ],
}


@pytest.mark.parametrize("form", formats.BY_NAME)
def test_a_form_knows_its_files_and_no_others_and_a_beginning_is_such_a_file(form: str, tmp_path: Path) -> None:
    for content in EXAMPLES[form]:
        assert formats.recognised("file", lambda c=content: io.BytesIO(c)) == form
        part = Part("file", "", lambda c=content: io.BytesIO(c), len(content))
        if not content.startswith(b"PK"):
            head = formats.BY_NAME[form].head(part)
            assert formats.recognised("head", lambda h=head: io.BytesIO(h)) == form
    for content in (b"time,value\n2026/5/1 9:00,5\n", b"[]", b"", b"\xff\xfe\0", b"PK\x03\x04"):
        assert formats.recognised("file", lambda c=content: io.BytesIO(c)) is None
    file = tmp_path / "file"
    file.write_bytes(EXAMPLES[form][0])
    assert layout_of(file, None, None, check=True).series == {}  # type: ignore[union-attr]


@pytest.mark.parametrize("form", formats.BY_NAME)
def test_whatever_is_broken_in_a_file_is_told_and_nothing_else_happens(form: str) -> None:
    rng = random.Random(form)
    ids = {("a", "water_level"): 1, ("river-okusawa", "water_level"): 2}
    names = {"kagoshima": "水位/12", "usgs": "01037000/00065", "hubeau": "A/H", "mimamori": "river-okusawa/water_level"}
    layout = read_map(maps(form, **{names[form]: "{station: a, property: water_level, scale: 1}"}))
    assert isinstance(layout, FormatMap)
    told = 0
    for _ in range(1000):
        content = bytearray(rng.choice(EXAMPLES[form]))
        for _ in range(rng.randint(1, 6)):
            at, kind = rng.randrange(len(content)), rng.randrange(4)
            if kind == 0:
                content[at] = rng.choice(b'"\x00\xff,\t;:{}[]-9\n\r')
            elif kind == 1:
                del content[at : at + rng.randint(1, 20)]
            elif kind == 2:
                content[at:at] = content[max(0, at - rng.randint(1, 60)) : at]
            else:
                content[at:at] = rng.choice((b"null", b"NaN", b"1e999", b"\xe3\x81", b"24:00", b"[]", b"{}", b'""'))
            content = content or bytearray(b"x")
        lines: list[Line] = []
        with suppress(HistoryError):
            told += 1
            lines += formats.read("file", lambda c=bytes(content): io.BytesIO(c), layout, finder(ids), START).lines()
            told -= 1
        told += any(line.problems for line in lines)
        with suppress(HistoryError):
            sample_of(rng.choice(("file.csv", "file.zip", "file.json")), bytes(content))
        rows = [row for line in lines for row in line.observations]
        assert all(math.isfinite(row.value or 0) and row.phenomenon_time <= START for row in rows)
        assert [line.position for line in lines] == sorted(line.position for line in lines)
    assert told > 100


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("format: kagosima\nseries: {a: " + RIVER + "}", "map:1: format: 'kagosima' is none of kagoshima, usgs"),
        ("format: usgs", "'series' must say of one series at least"),
        ("format: usgs\nseries: {a: {station: x, property: stage}}", "map:2: series: a: property: 'stage' is none of"),
        ("format: usgs\nseries: {a: {station: x, property: flow, scale: 0}}", "a scale of 0"),
        ("format: usgs\ntime: {column: x}\nseries: {a: " + RIVER + "}", "map:2: the file: unknown key 'time'"),
    ],
)
def test_mistakes_in_a_map_of_series_are_named(layout: str, words: str) -> None:
    with pytest.raises(TownFileError) as refused:
        read_map(layout)
    assert words in str(refused.value)
