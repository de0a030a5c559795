"""What people read: marked where it is not real, and never a word that is not ours to say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

import alerts
from alerts import errors, wording
from alerts.explaining import explain
from alerts.finding_words import FINDING_RULES, FindingRule
from alerts.rules.operation import Kind
from alerts.rules.transition import Event
from alerts.wording import CORRECTION, Correction, Language, Notice
from devices.model import ThresholdLevel

FORBIDDEN = ("警報", "注意報", "予報", "予測", "実人数", "漏水確定", "避難勧告")
FORBIDDEN += ("氾濫注意情報", "氾濫警戒情報", "氾濫危険情報", "氾濫発生情報")
FORBIDDEN_ENGLISH = ("warning", "advisory", "forecast", "predict")

DANGER = ThresholdLevel(4, "氾濫危険水位", "Danger level", 2.30)
OVERFLOW = ThresholdLevel(5, "氾濫開始水位", "Overflow level", 2.80)
LEVEL = Notice(
    rule="level",
    event=Event.ESCALATED,
    municipality="美守町",
    station="美守橋",
    station_en="Mimori Bridge",
    timezone="Asia/Tokyo",
    time=datetime(2026, 5, 31, 18, 10, tzinfo=UTC),
    value=2.31,
    level=DANGER,
    next_level=OVERFLOW,
)
SILENCE = replace(
    LEVEL, rule="silence", event=Event.RAISED, value=None, level=None, next_level=None, silence_after=timedelta(hours=1)
)


FALSE = Correction("Driftwood at the sensor (流木)", "Yamada", datetime(2026, 5, 31, 18, 40, tzinfo=UTC))


def found(rule: FindingRule) -> Notice:
    unit = "m3/h" if rule in ("night_flow", "burst") else "{passage}"
    return replace(LEVEL, rule=rule, event=Event.RAISED, level=None, next_level=None, value=9.0, usual=6.5, unit=unit)


def notices() -> Iterator[Notice]:
    for event, mode, simulated in product(
        (Event.RAISED, Event.ESCALATED, Event.LOWERED, Event.CLEARED, Event.RETRACTED),
        ("actual", "exercise", "test"),
        (False, True),
    ):
        why = FALSE if event is Event.RETRACTED else None
        level = replace(LEVEL, event=event, mode=mode, simulated=simulated, correction=why)
        if event is Event.CLEARED:
            level = replace(level, level=None, next_level=None, clearing_level=2.2)
        yield level
        newest = (LEVEL.time + timedelta(minutes=5), 3.1)
        yield replace(level, unconfirmed=True, newest=newest, newest_unconfirmed=True)
        yield replace(level, unconfirmed=event is Event.RAISED, at_work=True)
        yield replace(level, revised=True)
        if event in (Event.RAISED, Event.CLEARED, Event.RETRACTED):
            yield replace(SILENCE, event=event, mode=mode, simulated=simulated, correction=why)
            for kind in get_args(Kind):
                about = replace(SILENCE, rule="operation", cause=f"{kind}:0", event=event)
                yield replace(about, mode=mode, simulated=simulated, correction=why)
            for rule in FINDING_RULES:
                for value in (None, 3.0, 90.0):
                    yield replace(found(rule), event=event, value=value, mode=mode, simulated=simulated, correction=why)


def refusals() -> list[errors.ActionError]:
    at = LEVEL.time
    return [
        errors.AlertNotFound(7),
        errors.AlreadyAcknowledged(7, "Yamada", at),
        errors.AlreadyCleared(7, None, at),
        errors.AlreadyCleared(7, "Yamada", at),
        errors.AlreadyRetracted(7, "Yamada", at),
        errors.NotRetracted(7),
        errors.NoSuchPerson(7, 3),
        errors.NoteRequired(7),
        errors.NoteRequired(7, overlong=True),
        errors.NothingUnconfirmed(7),
        errors.StillAbove(7, 2.31, at, 2.2),
        errors.StillSilent(7, "a84041ffff310001", None),
        errors.StillSilent(7, "a84041ffff310001", at),
        *(errors.StillWrong(7, f"{kind}:0") for kind in get_args(Kind)),
    ]


def texts(language: Language) -> Iterator[str]:
    for notice in notices():
        yield wording.subject(notice, language)
        yield wording.body(notice, language)
        yield wording.headline(notice, language)
    for refusal in refusals():
        yield explain(refusal, language)
    for labels in wording.EVENT_LABELS.values():
        yield labels[language]


def test_the_subject_says_place_stage_value_and_time() -> None:
    assert (
        wording.subject(replace(LEVEL, simulated=True))
        == "【模擬】美守橋 水位のお知らせ：氾濫危険水位（警戒レベル４相当・町独自基準）に達しました 2.31 m（6/1 03:10）"
    )
    assert (
        wording.subject(SILENCE) == "美守橋 データ受信のお知らせ：60 分を超えてデータが届いていません（6/1 03:10 から）"
    )


def test_a_finding_says_what_is_unusual_and_never_more_than_it_knows() -> None:
    assert wording.subject(found("night_flow")) == (
        "美守橋 夜間最小流量のお知らせ："
        "漏水調査候補：夜間の流入量がふだんより多い状態が続いています 9.0 m3/h（6/1 03:10 から）"
    )
    assert "（ふだん 6.5 m3/h）" in wording.body(found("burst"))
    assert "1か月に約 1,800 m3" in wording.body(found("night_flow"))
    assert "流入量がふだんより多く" in wording.headline(found("burst"))
    assert wording.headline(replace(found("visits"), value=90.0)) == "ふだんより多い通過数（延べ）です"
    assert wording.headline(replace(found("visits"), value=2.0)) == "ふだんより少ない通過数（延べ）です"
    assert "ありえない値" in wording.headline(found("counter"))
    assert (
        wording.headline(replace(found("counter"), value=0.0))
        == "カウンターが塞がれている・止まっている可能性があります"
    )
    assert "0人という意味ではありません" in wording.body(replace(found("counter"), value=None))


def test_the_body_says_how_far_the_next_stage_is() -> None:
    assert "次の段階：氾濫開始水位（警戒レベル５相当・町独自基準） 2.80 m まで 0.49 m" in wording.body(LEVEL)


def test_a_correction_says_what_was_false_why_and_that_it_proves_nothing_good() -> None:
    false = replace(LEVEL, event=Event.RETRACTED, mode="exercise", correction=FALSE)
    assert wording.subject(false) == (
        "【訂正】【訓練】誤りでした：美守橋 水位のお知らせ：氾濫危険水位（警戒レベル４相当・町独自基準）に達しました "
        "2.31 m（6/1 03:10）"
    )
    assert "流木" in wording.body(false) and "安全だという意味ではありません" in wording.body(false)
    assert "訂正した人：Yamada（6/1 03:40）" in wording.body(false)


def test_nothing_unreal_goes_unmarked() -> None:
    for notice, language in product(notices(), ("ja", "en")):
        mark = wording.marks(notice.mode, notice.simulated, language)
        mark = (CORRECTION[language] if notice.correction else "") + mark
        assert wording.subject(notice, language).startswith(mark)
        assert wording.body(notice, language).startswith(mark)
        assert bool(mark) == (notice.simulated or notice.mode != "actual" or notice.correction is not None)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_text_uses_a_word_that_is_not_ours(language: Language) -> None:
    found = list(texts(language))
    assert len(found) > 50
    for text in found:
        assert not [word for word in FORBIDDEN if word in text], text
        assert not [word for word in FORBIDDEN_ENGLISH if word in text.lower()], text
        if language == "en":
            assert text.replace("(流木)", "").isascii(), text


def test_no_string_of_the_room_holds_a_forbidden_word() -> None:
    """Also texts that the other tests do not produce. The list that staff's own words are held against has them all."""
    listed = Path(alerts.__file__).parent / "public" / "forbidden.py"
    for path in set(Path(alerts.__file__).parent.rglob("*.py")) - {listed}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not [word for word in FORBIDDEN if word in node.value], f"{path.name}:{node.lineno}"


def test_every_refusal_has_words_of_its_own() -> None:
    for language in ("ja", "en"):
        said = [explain(each, language) for each in refusals()]
        assert len(set(said)) == len(said)
    assert {type(each) for each in refusals()} == set(_leaves(errors.ActionError))


def _leaves(base: type[errors.ActionError]) -> Iterator[type[errors.ActionError]]:
    below = base.__subclasses__()
    if not below:
        yield base
    for each in below:
        yield from _leaves(each)


def test_whose_a_level_is_follows_the_source_of_its_set() -> None:
    said = wording.subject(replace(LEVEL, whose="administrator"))
    assert "（警戒レベル４相当・河川管理者の基準）" in said and "独自" not in said
    assert "警戒レベル５相当・河川管理者の基準" in wording.body(replace(LEVEL, whose="administrator"))
    assert "町が採用した基準" in wording.body(replace(LEVEL, whose="adopted"))
