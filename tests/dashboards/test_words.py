"""The catalogues: complete, used, in no template by hand, and never a word that only an authority may say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alerts.level_words import Whose, level_said
from api.language import LANGUAGES
from api.pages.words import WordsError, load_words

PROJECT = Path(__file__).resolve().parents[2]
LOCALES = PROJECT / "dashboards" / "locales"
TEMPLATES = sorted((PROJECT / "dashboards" / "templates").rglob("*.html"))
CODE = sorted((PROJECT / "api" / "pages").glob("*.py"))
SCRIPTS = sorted((PROJECT / "dashboards" / "static").glob("*.js"))

# 気象業務法 第17条・第23条, and what a counter or a flow meter cannot know
FORBIDDEN = (
    "警報",
    "注意報",
    "予報",
    "予測",
    "避難勧告",
    "避難指示",
    "氾濫注意情報",
    "氾濫警戒情報",
    "氾濫危険情報",
    "氾濫発生情報",
    "実人数",
    "実人員",
    "漏水確定",
    "漏水です",
)
# The mayor's own word (災害対策基本法 第60条): where a person writes down what was ordered, and nowhere else.
ORDERED = {"ja.json": '"evacuation.kind.order": "警戒レベル４ 避難指示"'}
FORBIDDEN_EN = (r"\bwarnings?\b", r"\bforecasts?\b", r"\badvisor(y|ies)\b", r"unique visitors", r"confirmed leak")


def catalogue(language: str) -> dict[str, str]:
    loaded: dict[str, str] = json.loads((LOCALES / f"{language}.json").read_text("utf-8"))
    return loaded


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


def test_both_catalogues_have_the_same_keys_and_placeholders() -> None:
    ja, en = (catalogue(language) for language in LANGUAGES)
    assert ja.keys() == en.keys()
    for key in ja:
        assert placeholders(ja[key]) == placeholders(en[key]), key
        # a number without a unit has no word behind it, in no language
        assert bool(ja[key].strip()) is bool(en[key].strip()) is (key != "unit.1"), key


def test_a_catalogue_that_lacks_a_key_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "ja.json").write_text('{"a": "あ", "b": "い"}', "utf-8")
    (tmp_path / "en.json").write_text('{"a": "a"}', "utf-8")
    with pytest.raises(WordsError, match=r"en\.json lacks: b"):
        load_words(tmp_path)


def test_every_key_that_is_asked_for_exists_and_every_key_is_asked_for() -> None:
    known = set(catalogue("ja"))
    fixed: set[str] = set()
    prefixes: set[str] = set()
    for path in [*TEMPLATES, *CODE]:
        text = path.read_text("utf-8")
        for found in re.finditer(r"""(?:\bt|words)\(\s*f?["']([^"']+)["'](\s*~)?""", text):
            key, joined = found.group(1), found.group(2)
            if joined or "{" in key:
                prefixes.add(key.split("{")[0])
            else:
                fixed.add(key)
        # keys that are chosen first and looked up later
        fixed |= set(re.findall(r"""["']((?:age|trend|lamp|live|state)\.(?!js)\w+)["']""", text))
    assert fixed <= known, sorted(fixed - known)
    for prefix in prefixes:
        assert any(key.startswith(prefix) for key in known), prefix
    unused = {key for key in known - fixed if not key.startswith(tuple(prefixes))}
    assert not unused, sorted(unused)


@pytest.mark.parametrize("path", [*TEMPLATES, *SCRIPTS], ids=lambda path: path.name)
def test_templates_and_scripts_hold_no_japanese_of_their_own(path: Path) -> None:
    text = re.sub(r"{#.*?#}|^\s*//.*$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    # the languages' own names, punctuation between two values
    text = text.replace("日本語", "")
    assert not re.findall(r"[ぁ-んァ-ヶ一-龥]+", text)


def test_no_page_says_what_only_an_authority_may_say() -> None:
    texts = [(path.name, path.read_text("utf-8")) for path in [*TEMPLATES, *SCRIPTS, *CODE]]
    texts += [(f"{language}.json", json.dumps(catalogue(language), ensure_ascii=False)) for language in LANGUAGES]
    for name, text in texts:
        for word in FORBIDDEN:
            assert word not in text.replace(ORDERED.get(name, " "), ""), f"{name} says {word}"
        if name.endswith((".json", ".html")):
            for pattern in FORBIDDEN_EN:
                assert not re.search(pattern, text, re.IGNORECASE), f"{name} says {pattern}"


LEVELS: tuple[tuple[Whose | None, str, str], ...] = (
    ("own", "（町独自基準）", " (municipality's own criterion)"),
    ("administrator", "（河川管理者の基準）", " (river administrator's criterion)"),
    ("adopted", "（町が採用した基準）", " (criterion that the municipality has adopted)"),
    (None, "", ""),
)


def test_every_level_is_called_equivalent_and_says_whose_it_is() -> None:
    ja = catalogue("ja")
    for level, digit in enumerate("１２３４５", start=1):
        for whose, ja_said, en_said in LEVELS:
            assert level_said(level, whose) == f"警戒レベル{digit}相当{ja_said}"
            assert level_said(level, whose, "en") == f"Level {level} equivalent{en_said}"
    assert "延べ" in ja["unit.{passage}"]
