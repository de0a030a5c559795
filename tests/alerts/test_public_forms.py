"""The forms a notice goes out in: CAP as the specification says, and a sheet to copy from."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

from alerts.public import cap, words
from alerts.public.cap import NAMESPACE, Publisher, message
from alerts.public.evacuation import NOT_ENTERED
from alerts.public.notices import Notice
from alerts.public.sheet import sheet
from alerts.public.words import Basis, Facts, Stage
from tests.alerts.cap12 import faults

TOKYO = ZoneInfo("Asia/Tokyo")
AT = datetime(2026, 5, 31, 18, 10, tzinfo=UTC)
TOWN = Publisher("999999", "美守町", "Mimamori Town", TOKYO)
FACTS = Facts(
    "美守町",
    "美守橋水位観測所",
    "Mimamori Bridge gauge",
    TOKYO,
    AT,
    2.31,
    Stage(4, 4, "氾濫危険水位", "Danger level", 2.3),
    Basis("administrator", authority="美守県"),
)
NOTICE = Notice(
    notice_id=7,
    alert_id=3,
    station="river-mimamoribashi",
    name="美守橋水位観測所",
    name_en="Mimamori Bridge gauge",
    latitude=32.445,
    longitude=135.066,
    river="美守川",
    mode="actual",
    kind="alert",
    supersedes=None,
    equivalent=True,
    level=4,
    highest=4,
    threshold=2.3,
    time=AT,
    value=2.31,
    alert_cleared_at=None,
    made_at=AT,
    made_by="山田",
    text_id=1,
    texts=words.draft(FACTS),
    edited_at=None,
    edited_by=None,
    event="approved",
    decided_at=AT + timedelta(minutes=12, microseconds=345),
    decided_by="山田",
    valid_until=AT + timedelta(hours=3),
    closing={v: words.closing("美守町", NOT_ENTERED, v) for v in words.VARIANTS},
    ended_by=None,
    ended_kind=None,
    ended_at=None,
)
UPDATE = replace(NOTICE, notice_id=8, kind="update", supersedes=7, decided_at=AT + timedelta(hours=1))
CANCEL = replace(
    NOTICE,
    notice_id=9,
    kind="cancel",
    supersedes=8,
    texts=words.cancelled(FACTS, "mistake"),
    decided_at=AT + timedelta(hours=2),
)


def said(document: bytes, path: str) -> list[str]:
    steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    return [each.text or "" for each in ET.fromstring(document).findall(steps)]


def test_every_message_is_as_the_protocol_says() -> None:
    for found, mode, simulated, zone in product(
        ((NOTICE, ()), (UPDATE, (NOTICE,)), (CANCEL, (NOTICE, UPDATE))),
        ("actual", "exercise", "test"),
        (False, True),
        (TOKYO, ZoneInfo("UTC")),
    ):
        notice, before = found
        for equivalent, threshold in ((True, 2.3), (False, None)):
            odd = replace(notice, mode=mode, equivalent=equivalent, threshold=threshold, name="<&>", river=None)
            for each in (odd, replace(notice, mode=mode)):
                document = message(replace(TOWN, simulated=simulated, zone=zone), each, before)
                assert faults(document) == [], document.decode()


def test_an_update_and_a_cancellation_refer_to_all_before_them() -> None:
    document = message(TOWN, CANCEL, (NOTICE, UPDATE))
    assert said(document, "msgType") == ["Cancel"]
    assert said(document, "references") == [
        "mimamori-999999,999999-7,2026-06-01T03:22:00+09:00 mimamori-999999,999999-8,2026-06-01T04:10:00+09:00"
    ]
    assert said(message(TOWN, NOTICE), "references") == []
    assert said(message(TOWN, UPDATE, (NOTICE,)), "identifier") == ["999999-8"]


@pytest.mark.parametrize(
    ("mode", "simulated", "status"),
    [("actual", False, "Actual"), ("exercise", False, "Exercise"), ("test", False, "Test"), ("actual", True, "Test")],
)
def test_only_what_is_real_is_actual(mode: str, simulated: bool, status: str) -> None:
    document = message(replace(TOWN, simulated=simulated), replace(NOTICE, mode=mode))  # type: ignore[arg-type]
    assert said(document, "status") == [status]
    marked = [text.startswith(("【", "[")) for text in said(document, "info/headline")]
    assert marked == [status != "Actual"] * 2 and bool(said(document, "note")) is (status != "Actual")


def test_a_message_says_that_it_is_an_observation_and_ends_with_the_line_about_evacuation() -> None:
    document = message(TOWN, NOTICE)
    assert said(document, "info/language") == ["ja-JP", "en-US"]
    assert said(document, "info/event")[0] == "水位のお知らせ（町設置センサー・観測値・参考）"
    assert said(document, "info/certainty") == ["Observed"] * 2 and said(document, "info/urgency") == ["Unknown"] * 2
    ja, en = said(document, "info/description")
    assert ja.endswith("避難の情報は町が別に発令します。現在：発令の有無は町の発表を確認してください。")
    assert en.splitlines()[0].startswith("River level notice (municipal sensor") and "Evacuation" in en.splitlines()[-1]
    assert said(document, "info/area/circle") == ["32.445,135.066 0"] * 2
    assert said(document, "info/area/areaDesc") == ["美守橋水位観測所（美守川）", "Mimamori Bridge gauge"]
    assert said(document, "info/severity") == ["Severe"] * 2
    assert said(message(TOWN, replace(NOTICE, equivalent=False)), "info/severity") == ["Unknown"] * 2


def test_what_nobody_approved_has_no_form() -> None:
    for event in (None, "discarded"):
        draft = replace(NOTICE, event=event, decided_at=None, decided_by=None)  # type: ignore[arg-type]
        for form in (cap.message, sheet):
            with pytest.raises(ValueError, match="approved by nobody"):
                form(TOWN, draft)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<status>Actual", "<status>Real"),
        ("<msgType>Update", "<msgType>Change"),
        ("+09:00</sent>", "Z</sent>"),
        ("2026-06-01T04:10:00+09:00</sent>", "2026-06-01 04:10:00+09:00</sent>"),
        ("<identifier>999999-8", "<identifier>999999 8"),
        ("<scope>Public</scope>", ""),
        ("<scope>Public</scope>", "<scope>Public</scope><scope>Public</scope>"),
        ("<scope>Public", "<scope>Restricted"),
        ("<references>mimamori-999999,999999-7,", "<references>999999-7,"),
        ("<category>Met</category>", ""),
        ("<certainty>Observed", "<certainty>Sure"),
        ("<severity>Severe</severity>", ""),
        ("<event>", "<headline>x</headline><event>"),
        ("<circle>32.445,135.066 0", "<circle>32.445 135.066"),
        ("<valueName>observedWaterLevel</valueName>", ""),
        ("<areaDesc>", "<colour>red</colour><areaDesc>"),
        ("cap:1.2", "cap:1.1"),
    ],
)
def test_a_broken_message_is_found(before: str, after: str) -> None:
    """The measure itself is measured: one fault each."""
    document = message(TOWN, UPDATE, (NOTICE,)).decode()
    assert before in document
    assert faults(document.replace(before, after, 1).encode()) != []


def test_the_sheet_has_every_field_that_a_person_copies() -> None:
    told = sheet(TOWN, UPDATE)
    for line in (
        "種別：更新",
        "先の番号：999999-7",
        "発信日時：2026-06-01 04:10",
        "有効期限：2026-06-01 06:10",
        "承認：山田",
        "観測所：美守橋水位観測所（美守川）",
        "観測日時：2026-06-01 03:10",
        "観測値：2.31 m",
    ):
        assert f"{line}\n" in told
    assert re.search(r"件名：水位のお知らせ（町設置センサー・観測値・参考） 美守橋", told)
    assert told.endswith("避難の情報は町が別に発令します。現在：発令の有無は町の発表を確認してください。\n")
    drill = sheet(TOWN, replace(NOTICE, mode="exercise"))
    assert drill.startswith("【訓練】") and "件名：【訓練】" in drill and "実際の状況ではありません" in drill
