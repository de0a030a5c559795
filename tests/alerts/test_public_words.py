"""What the public reads: an observation for reference, in three variants, and never a word that is not the town's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from alerts.public import words
from alerts.public.evacuation import NOT_ENTERED, Order, in_force
from alerts.public.forbidden import check
from alerts.public.words import VARIANTS, Basis, Facts, Stage, Text, Variant
from devices.model import Town

TOKYO = ZoneInfo("Asia/Tokyo")
AT = datetime(2026, 5, 31, 18, 10, tzinfo=UTC)
DANGER = Stage(4, 4, "氾濫危険水位", "Danger level", 2.30)
OWN = Basis()
ADMINISTRATOR = Basis("administrator", authority="美守県")
ADOPTED = Basis("adopted", document="危第12号", dated="2026年4月1日")
NAMED = Basis(words=("見回り水位", "注目水位", "土のう水位", "高い水位"), words_en=("patrol", "watch", "bags", "high"))
BASES = (OWN, ADMINISTRATOR, ADOPTED, NAMED)
FACTS = Facts("美守町", "美守橋水位観測所", "Mimamori Bridge gauge", TOKYO, AT, 2.31, DANGER, ADMINISTRATOR)


def facts() -> Iterator[Facts]:
    for basis, municipality, before, value, latest in product(
        BASES, ("美守町", "美守市", "美守村"), (None, 2, 4, 5), (2.31, 2.25), (None, (AT + timedelta(minutes=10), 2.42))
    ):
        yield replace(FACTS, basis=basis, municipality=municipality, before=before, value=value, latest=latest)


def texts() -> Iterator[tuple[Facts, Variant, Text]]:
    for each in facts():
        made = [words.draft(each), words.draft(replace(each, stage=None))]
        made += [words.cancelled(each, why) for why in ("below", "mistake")]
        for found in made:
            assert set(found) == set(VARIANTS)
            for variant, text in found.items():
                yield each, variant, text


def test_no_variant_of_any_notice_says_what_it_may_not() -> None:
    seen = set()
    for each, _, text in texts():
        for part in (text.headline, text.body):
            assert check(part, equivalent=each.basis.equivalent, highest=4) == [], part
            seen.add(part)
    assert len(seen) > 150
    for municipality, variant in product(("美守町", "美守市"), VARIANTS):
        assert check(words.title(municipality, variant), equivalent=False, highest=5) == []


def test_the_names_of_the_levels_themselves_may_be_said(town: Town) -> None:
    """As the demo's town file has them: one of them is called after the evacuation that it is a guide for."""
    levels = {level for station in town.stations for held in station.thresholds for level in held.levels}
    assert len(levels) > 5
    for level in levels:
        stage = Stage(level.level, level.level, level.name, level.name_en, level.value)
        for text in words.draft(replace(FACTS, stage=stage, value=level.value)).values():
            for part in (text.headline, text.body):
                assert check(part, equivalent=True, highest=level.level) == [], part


def test_the_title_says_that_it_is_an_observation_for_reference() -> None:
    assert words.title("美守町", "ja") == "水位のお知らせ（町設置センサー・観測値・参考）"
    assert words.title("美守市", "ja") == "水位のお知らせ（市設置センサー・観測値・参考）"
    assert "参考" in words.title("美守町", "plain") and "for reference" in words.title("美守町", "en")


def test_only_the_administrators_and_adopted_levels_correspond_to_alert_levels() -> None:
    for basis in BASES:
        made = words.draft(replace(FACTS, basis=basis))
        for variant in VARIANTS:
            text = f"{made[variant].headline}\n{made[variant].body}"
            said = "alert level" in text.lower() if variant == "en" else "警戒レベル" in text
            assert said is basis.equivalent, text
            assert ("氾濫危険水位" in text) is (basis.equivalent and variant == "ja")


def test_a_draft_says_place_stage_value_and_time_in_each_variant() -> None:
    made = words.draft(replace(FACTS, latest=(AT + timedelta(minutes=10), 2.42)))
    assert made["ja"].headline == "美守橋水位観測所の水位が、氾濫危険水位（警戒レベル４相当）に達しました"
    assert "6月1日 3時10分の観測値は 2.31 m です（氾濫危険水位（警戒レベル４相当）は 2.30 m）。" in made["ja"].body
    assert "最新の観測値は 6月1日 3時20分の 2.42 m です。" in made["ja"].body
    assert "河川管理者（美守県）が定めたもの" in made["ja"].body
    assert made["en"].headline == (
        "Mimamori Bridge gauge: the river has reached Danger level (corresponds to Alert Level 4)"
    )
    assert "Observed 2.31 m at 03:10 on 1 June" in made["en"].body and made["en"].body.isascii()
    assert "「警戒レベル４相当」の 高（たか）さは 2.30 m です。" in made["plain"].body
    adopted = words.draft(replace(FACTS, basis=ADOPTED))["ja"].body
    assert "町が文書で採用したものです（危第12号、2026年4月1日）" in adopted


def test_an_own_set_speaks_in_the_towns_own_words() -> None:
    second = replace(DANGER, rank=2)
    made = words.draft(replace(FACTS, basis=OWN, stage=second))
    assert made["ja"].headline == "美守橋水位観測所の水位が、町基準２に達しました"
    assert "町が 決" not in made["plain"].body and "目安（めやす）「町基準２」は 2.30 m です。" in made["plain"].body
    assert "municipal criterion 2" in made["en"].headline
    named = words.draft(replace(FACTS, basis=NAMED, stage=second))
    assert "注目水位に達しました" in named["ja"].headline and "watch" in named["en"].headline


@pytest.mark.parametrize(
    ("before", "value", "said"),
    [
        (None, 2.31, "に達しました"),
        (3, 2.31, "に達しました"),
        (4, 2.31, "の段階が続いています"),
        (5, 2.31, "水位が下がり、"),
        (4, 2.25, "水位が下がり、"),
    ],
)
def test_an_update_says_which_way_it_went(before: int | None, value: float, said: str) -> None:
    made = words.draft(replace(FACTS, before=before, value=value))
    assert said in made["ja"].headline


def test_every_notice_ends_with_the_line_about_evacuation_information() -> None:
    ordered = in_force([Order(AT, "高齢者等避難（上町）", "elderly (Kamimachi)", "…")], TOKYO)
    for variant in VARIANTS:
        for state in (NOT_ENTERED, in_force([], TOKYO), ordered):
            last = words.closing("美守町", state, variant)
            told = words.whole("美守町", Text("見出し", "本文"), last, variant, mode="actual", simulated=False)
            assert told.endswith(f"{last}\n")
    closing = words.closing("美守町", in_force([], TOKYO), "ja")
    assert closing == "避難の情報は町が別に発令します。現在：発令なし。"
    assert words.closing("美守町", ordered, "ja").endswith("現在：3時10分 高齢者等避難（上町）。")
    assert words.closing("美守市", NOT_ENTERED, "ja") == (
        "避難の情報は市が別に発令します。現在：発令の有無は町の発表を確認してください。"
    )


def test_what_is_not_real_is_marked_in_the_first_line() -> None:
    for mode, simulated, mark, mark_en in (
        ("exercise", False, "【訓練】", "[EXERCISE] "),
        ("actual", True, "【模擬】", "[SIMULATED] "),
        ("test", True, "【模擬】【試験】", "[SIMULATED] [TEST] "),
        ("actual", False, "水位", "River"),
    ):
        for variant in VARIANTS:
            told = words.whole("美守町", Text("h", "b"), "c", variant, mode=mode, simulated=simulated)
            expected = mark_en if variant == "en" else mark
            assert told.startswith(expected if mark != "水位" or variant != "plain" else "川（かわ）")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("洪水警報が出ています", "警報"),
        ("氾濫危険警報", "危険警報"),
        ("警 報です", "警報"),
        ("警（けい）報（ほう）です", "警報"),
        ("けいほうです", "けいほう"),
        ("川（けいほう）です", "けいほう"),
        ("大雨注意報", "注意報"),
        ("あと３０分で達します", "あと30分"),
        ("1時間後にあふれます", "1時間後"),
        ("氾濫のおそれがあります", "おそれ"),
        ("水位は上がる見込みです", "見込"),
        ("避難指示が出ました", "避難指示"),
        ("すぐに避難してください", "避難して"),
        ("にげてください", "にげて"),
        ("もう安全です", "安全です"),
        ("氾濫危険情報", "氾濫危険情報"),
        ("警戒レベル４です", "警戒レベル4"),
        ("レベル四です", "レベル四"),
        ("警戒レベル５相当です", "警戒レベル5相当"),
        ("Flood warning", "warning"),
        ("The river will reach the top", "will reach"),
        ("overflow in 30 minutes", "in 30 minutes"),
        ("Evacuate now", "evacuate"),
        ("It is safe", "safe"),
        ("Alert Level 4", "alert level 4"),
        ("corresponds to Alert Level 5", "corresponds to alert level 5"),
    ],
)
def test_a_word_that_is_not_ours_is_found_with_the_reason(text: str, word: str) -> None:
    found = check(text, equivalent=True, highest=4)
    assert [each.word for each in found] == [word]
    assert found[0].why("ja") != found[0].why("en") and found[0].why("en").isascii()


@pytest.mark.parametrize(
    "text", ["警戒レベル３相当", "レベル3", "氾濫危険水位に達しました", "corresponds to Alert Level 3", "特別警戒水位"]
)
def test_without_adoption_no_level_and_no_name_of_the_administrators_may_be_told(text: str) -> None:
    (found,) = check(text, equivalent=False, highest=5)
    assert "町基準" in found.ja and "criterion" in found.en


def test_what_corresponds_and_was_reached_may_be_said() -> None:
    for text in ("警戒レベル４相当", "警戒レベル３相当に下がりました", "It corresponds to Alert Level 4."):
        assert check(text, equivalent=True, highest=4) == []
