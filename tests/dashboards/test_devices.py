"""機器台帳: the list, a device's page with its forms, the list out of Excel, the labels, and kinds of places."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

import httpx
import openpyxl
import pytest

from api.access import Role
from api.pages.device_acts import ACTS
from api.pages.words import load_words
from devices.device_list import _SENTENCES, COLUMNS
from devices.duty import crisis_gauge
from devices.model import CONTACTS, ObservedProperty, StationKind
from devices.sheets import _SENTENCES as SHEET_SENTENCES
from devices.templates import TEMPLATES
from store import connect
from store.duty import duties
from tests.api.serving import TownHall
from tests.conftest import START
from tests.devices.test_pictures import GPS, exif, jpeg
from tests.devices.test_sheets import workbook
from tests.ingest.town import GAUGE

PROJECT = Path(__file__).resolve().parents[2]
PLACE = "新川橋"


def device(hall: TownHall, key: str = GAUGE) -> str:
    return f"/digital/devices/{hall.database.directory.devices[key].device_id}"


def act(client: httpx.Client, address: str, do: str, **typed: str) -> httpx.Response:
    """What a press of the form's button leads to."""
    answer = client.post(address, data={"do": do, **typed})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"])


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text


# --- the list ---------------------------------------------------------------------------------------------


def test_the_list_has_every_device_and_is_narrowed_by_words_and_state(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        whole = text(client.get("/digital/devices"))
        assert whole.count('<tr role="row" id="device-') == len(hall.database.directory.devices)
        one = text(client.get("/digital/devices", params={"q": f"奥沢 {GAUGE[-4:]} radar"}))
        assert one.count('<tr role="row" id="device-') == 1 and GAUGE in one
        assert text(client.get("/digital/devices", params={"state": "lost"})).count('id="device-') == 0
        assert text(client.get("/digital/devices", params={"q": "<script>"})).count("<script>") == 0


# --- one device -------------------------------------------------------------------------------------------


def test_papers_are_kept_shown_and_printed_on_the_label(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        address = device(hall)
        papers = {"serial_number": "SN-0042", "owner": "美守計装", "phone": "0994-12-3456", "solar": "yes"}
        page = text(act(client, address, "record", service_ends="2026-08-31", jc_star="2", **papers))
        for shown in ("SN-0042", "美守計装", "0994-12-3456", "2026-08-31", "★2", "通信終了が近い"):
            assert shown in page
        assert "SN-0042" in text(client.get("/digital/devices", params={"state": "ends_soon"}))
        label = text(client.get("/digital/labels", params={"device": address.rpartition("/")[2]}))
        assert label.count('class="sticker"') == 1 and "0994-12-3456" in label and GAUGE[-6:].upper() in label
        assert f'href="{hall.url}{address}"' in label and "<svg" in label


def test_what_was_typed_stays_beside_what_is_wrong_with_it(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        page = text(act(client, device(hall), "record", serial_number="SN-0042", phone="電話して"))
        assert "電話先は 0994-12-3456 のように" in page and 'value="SN-0042"' in page and 'value="電話して"' in page
        assert 'aria-invalid="true"' in page
        assert "SN-0042" not in text(client.get(device(hall))), "nothing was written, not even by looking again"


@pytest.mark.parametrize("name", sorted(ACTS))
def test_an_empty_form_is_answered_in_words(hall: TownHall, name: str) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        page = text(act(client, device(hall), name))
        if name == "record":  # papers may be empty
            assert "台帳を書き直しました" in page
        else:
            assert f'id="problem-{name}"' in page


def test_maintenance_and_planned_work_are_kept_with_who_and_when(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        address = device(hall)
        page = text(
            act(client, address, "maintenance", done_at="2026-06-01T08:30", done_by="保守 太郎", work="清掃<b>済")
        )
        assert "保守 太郎" in page and "清掃&lt;b&gt;済" in page and "奥沢" in page
        page = text(
            act(client, address, "work", starts_at="2026-06-01T08:00", ends_at="2026-06-01T17:00", work="電池交換")
        )
        assert "電池交換" in page and "作業中です（17:00まで）" in page
        assert "電池交換" not in text(client.get("/digital/devices")), "the list says that, not what"
        assert "作業中です" in text(client.get("/digital/devices", params={"state": "work"}))
        number = re.search(r'name="planned_work" value="(\d+)"', page)
        assert number is not None
        page = text(act(client, address, "cancel_work", planned_work=number[1]))
        assert "取りやめました" in page and "作業中です" not in page


def test_a_calibration_is_entered_and_taken_back(hall: TownHall) -> None:
    series = str(hall.database.datastream("river-okusawa", "water_level"))
    with hall.visitor(Role.DIGITAL) as client:
        address = device(hall)
        page = text(
            act(
                client, address, "calibration", datastream=series, start="2026-05-01T00:00", gain="1", offset="-0.05",
                reason="水位標と比べて",
            )
        )  # fmt: skip
        assert "− 0.05 m" in page and "反映待ち" in page
        number = re.search(r'name="calibration" value="(\d+)"', page)
        assert number is not None
        page = text(act(client, address, "withdraw", calibration=number[1], reason="読み違い"))
        assert "取り消し済み" in page and "+ 0.05 m" in page


def test_a_device_is_swapped_moved_and_taken_down(hall: TownHall) -> None:
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "insert into device (municipality_id, key, model, silence_after) values (%s, 'spare-1', 'radar_level', "
            "'40 min'), (%s, 'spare-2', 'values', '40 min')",
            (hall.database.municipality_id,) * 2,
        )
    with hall.visitor(Role.DIGITAL) as client:
        assert "spare-1" in text(client.get(device(hall)))
        page = text(act(client, device(hall), "swap", new="spare-2", at="2026-06-01T09:00"))
        assert 'id="problem-swap"' in page, "a device of which nothing would be stored is no help"
        page = text(act(client, device(hall), "swap", new="spare-1", at="2026-06-01T09:00"))
        assert "機器を交換しました" in page and "2026-06-01 09:00" in page
        with connect(hall.database.owner, name="test") as conn:
            fed = conn.execute(
                """
                select d.key, s.code, f.datastream_id from attachment a join device d using (device_id)
                join station s using (station_id) join field_mapping f using (attachment_id)
                where a.attached_to is null and s.code = 'river-okusawa'
                """
            ).fetchall()
        assert fed == [("spare-1", "river-okusawa", hall.database.datastream("river-okusawa", "water_level"))]


def test_a_gauge_is_told_how_often_it_speaks_and_says_it_back(hall: TownHall) -> None:
    number = hall.database.directory.devices[GAUGE].device_id
    first = {"start": "１．２", "stop": "1.0", "interval": "10", "calm": "1440"}
    with hall.visitor(Role.DIGITAL) as client:
        page = text(client.get(device(hall)))
        assert "いつも同じ間隔" in page and 'id="duty-start" name="start" value="1.20"' in page, (
            "the lowest level there"
        )
        page = text(act(client, device(hall), "duty", **first))
        assert (
            "水位 1.20 m 未満では待機（1日ごと）" in page
            and "水位 1.20 m 以上で10分ごと（1.00 m を下回るまで）" in page
        )
        further = {"start2": "2.0", "stop2": "1.8", "interval2": "5", "start3": "3", "stop3": "2.8", "interval3": "2"}
        page = text(act(client, device(hall), "duty", **first, **further))
        assert "水位 3.00 m 以上で2分ごと" in page and 'name="start4"' in page
        with connect(hall.database.owner, name="test") as conn:
            cycle = duties(conn)[number]
            managed = conn.execute(
                "select managed_by, silence_after from device where device_id = %s", (number,)
            ).fetchone()
        assert cycle.calm == crisis_gauge(1.2, 1.0).calm and cycle.above[0] == crisis_gauge(1.2, 1.0).above[0]
        assert [mode.start for mode in cycle.above] == [1.2, 2.0, 3.0]
        assert managed == ("people", timedelta(hours=26))
        page = text(act(client, device(hall), "duty_ended"))
        assert "いつも同じ間隔" in page and "水位で間隔を変えない機器にしました" in page


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"start": ""}, "観測を始める水位は"),
        ({"start": "120", "stop": "100"}, "観測を始める水位は"),
        ({"start": "nan"}, "観測を始める水位は"),
        ({"stop": "1.3"}, "観測をやめる水位は"),
        ({"interval": "1440", "calm": "60"}, "待機中より長くできません"),
        ({"interval": "1e400"}, "送信間隔を選んでください"),
        ({"calm": "-5"}, "待機中）の送信間隔を選んで"),
        ({"start2": "1.2", "stop2": "1.0", "interval2": "5"}, "同じ水位の行は2つ作れません"),
        ({"start2": "2.0", "stop2": "", "interval2": "5"}, "観測をやめる水位は"),
    ],
)
def test_paces_that_cannot_be_are_refused_beside_what_was_typed(
    hall: TownHall, typed: dict[str, str], wrong: str
) -> None:
    good = {"start": "1.2", "stop": "1.0", "interval": "10", "calm": "1440"}
    with hall.visitor(Role.DIGITAL) as client:
        page = text(act(client, device(hall), "duty", **(good | typed)))
        problem = page[page.index('id="problem-duty"') :]
        assert wrong in problem[: problem.index("</p>")] and 'aria-invalid="true"' in page
        if typed.get("start"):
            assert f'name="start" value="{typed["start"]}"' in page
    with connect(hall.database.owner, name="test") as conn:
        assert duties(conn) == {}


def test_what_measures_no_level_cannot_change_its_pace_with_it(hall: TownHall) -> None:
    counter = next(
        key for key, each in hall.database.directory.devices.items() if each.attachments[0].station_code == "spot-todai"
    )
    typed = {"start": "1.2", "stop": "1.0", "interval": "10", "calm": "1440"}
    with hall.visitor(Role.DIGITAL) as client:
        page = text(act(client, device(hall, counter), "duty", **typed))
    assert "いま水位を測る機器として設置されていません" in page


def test_a_photo_is_cleaned_and_served_as_nothing_else(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        address = device(hall)
        photo = jpeg(exif(6)) + b"<script>alert(1)</script>"
        answer = client.post(f"{address}/photo", files={"photo": ("a.jpg", photo, "image/jpeg")})
        assert "写真を入れました" in text(client.get(answer.headers["location"]))
        served = client.get(f"{address}/photo")
        assert served.headers["content-type"] == "image/jpeg" and served.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in served.headers["content-security-policy"]
        assert GPS not in served.content and b"script" not in served.content
        for bad, word in ((b"<svg/>", "JPEG か PNG"), (photo[:60], "壊れているか"), (b"", "選んでください")):
            answer = client.post(f"{address}/photo", files={"photo": ("a.jpg", bad, "image/jpeg")})
            assert word in text(client.get(answer.headers["location"]))
        large = jpeg()[:-2] + bytes(950_000) + b"\xff\xd9"
        answer = client.post(f"{address}/photo", files={"photo": ("a.jpg", large, "image/jpeg")})
        assert "900 KB" in text(client.get(answer.headers["location"]))
        answer = client.post(f"{address}/photo", data={"do": "photo_removed"})
        assert "写真を外しました" in text(client.get(answer.headers["location"]))
        assert client.get(f"{address}/photo").status_code == 404


def test_who_only_looks_sees_no_form(hall: TownHall) -> None:
    with hall.visitor(Role.VIEWER) as client:
        page = text(client.get(device(hall)))
        assert page.count("<form") == 1, "signing out"
        assert client.post(device(hall), data={"do": "record"}).status_code == 403


# --- in bulk ----------------------------------------------------------------------------------------------


def new_line(key: str = "new-1", **said: str) -> dict[str, str]:
    return {
        "機器ID": key, "機種": "radar_level", "地点コード": "river-shinkawa", "ひな形": "危機管理型水位計",
        "地点名": PLACE, "緯度": "32.44", "経度": "135.04", "割付け": "water_level=distance*-0.001+5.2",
        "製造番号": "A-1", "観測開始水位": "1.2", "観測停止水位": "1.0", **said,
    }  # fmt: skip


def as_csv(*lines: dict[str, str]) -> bytes:
    header = list(lines[0])
    return "\n".join([",".join(header), *(",".join(line[name] for name in header) for line in lines)]).encode("cp932")


def upload(client: httpx.Client, data: bytes, do: str = "check", name: str = "list.csv") -> str:
    return text(client.post("/digital/devices/bulk", data={"do": do}, files={"file": (name, data, "text/csv")}))


def keys(hall: TownHall) -> set[str]:
    with connect(hall.database.owner, name="test") as conn:
        return {row[0] for row in conn.execute("select key from device")}


def test_a_list_is_checked_first_and_then_registered_as_it_was_checked(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        page = upload(client, as_csv(new_line()))
        assert "すべての行を登録できます" in page and "new-1" not in keys(hall)
        content = re.search(r'name="content" value="([^"]+)"', page)
        assert content is not None
        page = text(
            client.post("/digital/devices/bulk", data={"do": "register", "name": "list.csv", "content": content[1]})
        )
        assert "登録しました" in page and "new-1" in keys(hall)
        assert PLACE in text(client.get("/digital/devices")) and PLACE in text(client.get("/disaster"))


def test_one_wrong_line_and_nothing_is_registered(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        page = upload(client, as_csv(new_line(), new_line("new-2", 緯度="99")), "register")
        assert "何も登録していません" in page and "3行目" in page and "F3" in page and "99" in page
        assert not {"new-1", "new-2"} & keys(hall)


def test_a_file_that_cannot_be_read_says_where(hall: TownHall) -> None:
    book = workbook(["機器ID", "備考"], ["a", "x"], ["b", "y"], merge="B2:B3")
    with hall.visitor(Role.DIGITAL) as client:
        assert "セル B2:B3 が結合されています" in upload(client, book, name="list.xlsx")
        assert "UTF-8 でも Shift_JIS でもありません" in upload(client, b"key\n\x81\x20\n")
        assert "ファイルが選ばれていないか" in upload(client, b"")
        assert "600 KB まで" in upload(client, b"key\n" + b"x" * 600_001)


def test_the_form_with_all_devices_changes_nothing_and_one_changed_cell_one_device(hall: TownHall) -> None:
    devices = len(keys(hall))
    with hall.visitor(Role.DIGITAL) as client:
        form = client.get("/digital/devices/bulk/form.xlsx", params={"filled": "1"}).content
        page = upload(client, form, name="devices.xlsx")
        assert "すべての行を登録できます" in page
        counts = dict(re.findall(r"<dt>(\S+)</dt><dd><span class=\"number\">(\d+)", page))
        assert counts["そのままの機器"] == str(devices) and counts["変わる機器"] == "0"
        book = openpyxl.load_workbook(io.BytesIO(form))
        sheet = book.worksheets[0]
        column = list(COLUMNS).index("phone") + 1
        sheet.cell(2, column).value = "0994-99-9999"
        out = io.BytesIO()
        book.save(out)
        assert "登録しました" in upload(client, out.getvalue(), "register", "devices.xlsx")
        assert text(client.get("/digital/labels")).count("0994-99-9999") == 1
        empty = client.get("/digital/devices/bulk/form.csv").content
        assert empty.startswith(b"\xef\xbb\xbf") and empty.decode("utf-8-sig").strip() == ",".join(COLUMNS.values())


# --- kinds of places --------------------------------------------------------------------------------------


def test_contacts_read_as_words_and_every_kind_stands_on_its_desk_and_map(hall: TownHall) -> None:
    with connect(hall.database.owner, name="test") as conn:
        for n, template in enumerate(TEMPLATES.values()):
            conn.execute(
                """
                with s as (
                    insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
                    values (%(town)s, %(code)s, %(kind)s, %(name)s, %(name)s, 32.43, 135.05) returning station_id),
                d as (
                    insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)
                    select %(town)s, station_id, %(property)s, %(unit)s, %(statistic)s, '10 min' from s
                    returning datastream_id),
                o as (
                    insert into observation select datastream_id, %(at)s, 1, 'good', null, null from d
                    returning datastream_id)
                insert into datastream_latest (datastream_id, municipality_id, phenomenon_time, value, quality,
                                               measured_time, measured_value, measured_quality, first_time)
                select datastream_id, %(town)s, %(at)s, 1, 'good', %(at)s, 1, 'good', %(at)s from d
                """,
                {
                    "town": hall.database.municipality_id,
                    "code": f"place-{n}",
                    "kind": template.kind.value,
                    "name": f"地点その{n}",
                    "property": (observed := template.datastreams[0].observed_property).value,
                    "unit": observed.unit,
                    "statistic": observed.statistic.value,
                    "at": START - timedelta(minutes=1),
                },
            )
    with hall.visitor(Role.DISASTER) as client:
        pages = {desk: text(client.get(f"/{desk}")) for desk in ("disaster", "water", "tourism")}
        for n, template in enumerate(TEMPLATES.values()):
            page = pages[template.desk]
            assert f'id="station-place-{n}"' in page, template.name
            assert f'href="#station-place-{n}"' in page, f"{template.name} on the map"
        row = pages["disaster"].split('id="station-place-3"')[1].split("</tr>")[0]
        assert "浸水あり" in row and ">1<" not in row and "1.0" not in row
        assert ">運転<" in pages["water"] and "度" in pages["water"] and "台" in pages["tourism"]
        for address in ("/start", "/digital", "/alerts", "/api/v1/stations", "/api/v1/latest"):
            assert client.get(address).status_code == 200


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_kind_property_unit_and_problem_has_its_words(language: str) -> None:
    texts = load_words(PROJECT / "dashboards" / "locales")[language].texts
    wanted = {f"kind.{kind}" for kind in StationKind}
    wanted |= {f"property.{observed}" for observed in ObservedProperty}
    wanted |= {f"unit.{observed.unit}" for observed in ObservedProperty}
    wanted |= {f"contact.{observed}.{closed}" for observed in CONTACTS for closed in (0, 1)}
    wanted |= {f"bulk.problem.{code}" for code in _SENTENCES} | {f"sheet.{code}" for code in SHEET_SENTENCES}
    wanted |= {f"bulk.column.{name}" for name in COLUMNS} | {f"device.done.{name}" for name in ACTS}
    assert sorted(wanted - set(texts)) == []
    for code, sentence in _SENTENCES.items():
        names = set(re.findall(r"{(\w+)}", sentence))
        assert set(re.findall(r"{(\w+)}", texts[f"bulk.problem.{code}"])) <= names, code
