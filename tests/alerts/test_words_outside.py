"""What leaves the town hall by other people's machines holds only what could be public."""

from __future__ import annotations

import re

import pytest

from alerts.public_words import PUBLIC_RULES, brief, spoken
from alerts.wording import Notice, body, subject
from tests.alerts.test_wording import FORBIDDEN, LEVEL, notices

ALL = [*notices()]


@pytest.mark.parametrize("text", [brief, spoken])
def test_nothing_of_pipes_devices_and_this_system_leaves(text: object) -> None:
    assert callable(text)
    inside = [notice for notice in ALL if notice.rule not in PUBLIC_RULES]
    assert {notice.rule for notice in inside} >= {"silence", "operation", "night_flow", "burst", "visits", "counter"}
    for notice in inside:
        said = text(notice)
        assert notice.station not in said and "漏水" not in said and not re.search(r"\d", said), said
        # and no line of what the town hall itself reads
        assert not any(line in said for line in body(notice).splitlines() if len(line) > 4 and "【" not in line)


def test_a_river_is_told_in_full() -> None:
    assert brief(LEVEL).startswith(subject(LEVEL))
    assert spoken(LEVEL) == (
        "こちらは、美守町です。\n"
        "美守橋の水位のお知らせです。6月1日、午前3時10分の観測です。水位は、2メートル31センチでした。"
        "氾濫危険水位に達しました。警戒レベル4に相当する、町独自の基準です。\n"
        "繰り返します。\n"
        "美守橋の水位のお知らせです。6月1日、午前3時10分の観測です。水位は、2メートル31センチでした。"
        "氾濫危険水位に達しました。警戒レベル4に相当する、町独自の基準です。\n"
        "以上、美守町からのお知らせでした。\n"
    )


@pytest.mark.parametrize("text", [brief, spoken])
def test_a_correction_says_so_first_and_never_in_somebodys_own_words(text: object) -> None:
    assert callable(text)
    for notice in ALL:
        if notice.correction is not None:
            said = text(notice)
            assert notice.correction.reason not in said and notice.correction.by not in said
            assert said.startswith("【訂正】") or "訂正のお知らせです。" in said.splitlines()[1]
            assert "誤りでした" in said


@pytest.mark.parametrize("notice", ALL, ids=lambda notice: f"{notice.rule}-{notice.event}-{notice.mode}")
def test_what_is_not_real_says_so_and_no_forbidden_word_is_used(notice: Notice) -> None:
    for said in (brief(notice), spoken(notice)):
        assert not [word for word in FORBIDDEN if word in said]
        if notice.mode != "actual":
            assert {"exercise": "訓練", "test": "試験"}[notice.mode] in said
        if notice.simulated:
            assert "模擬" in said
