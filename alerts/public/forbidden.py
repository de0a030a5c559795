"""Which words a notice to the public may not have, and why: every text that staff write is held against these.

The law keeps some words for the meteorological agency (気象業務法 第17条・第23条), evacuation is the mayor's to order
and has a line of its own below every notice, and a gauge knows neither the future nor whether a place is safe. What
is looked for is found also in half width, with spaces between the letters, and with the reading in brackets behind.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from alerts.wording import Language


@dataclass(frozen=True, slots=True)
class Found:
    """A word that must not stand there, and why: one sentence in both languages that says what to do."""

    word: str
    ja: str
    en: str

    def why(self, language: Language) -> str:
        return self.ja if language == "ja" else self.en


_AGENCY = (
    "気象庁だけが使える言葉です（気象業務法 第23条）。「お知らせ」と書いてください。",
    "Only the meteorological agency may use it (Meteorological Service Act, Art. 23). Write 'notice'.",
)
_FUTURE = (
    "これから川がどうなるかは書けません（気象業務法 第17条）。観測した値と時刻だけを書いてください。",
    "What the river will do may not be told (Meteorological Service Act, Art. 17). Tell what was observed, and when.",
)
_EVACUATION = (
    "避難の情報は町長などが別に発令します。末尾の一行に任せて、ここには書かないでください。",
    "Evacuation is ordered separately. The last line of the notice tells it: leave it out here.",
)
_SAFE = (
    "センサー1か所の値からは、安全とも心配ないとも言えません。観測した値だけを書いてください。",
    "One sensor cannot tell that anything is safe. Tell what was observed.",
)
_OLD = (
    "2026年5月29日からの新しい体系で使われなくなった名前です。",
    "This name was given up with the scheme in force since 2026-05-29.",
)
_LEVEL = (
    "「警戒レベル○相当」と書いてください。「相当」のない段階は、避難の情報だけのものです。",
    "Write 'corresponds to Alert Level n': the level itself belongs to evacuation information.",
)
_NOT_ADOPTED = (
    "この観測所の基準は、河川管理者のものとも、文書で採用したものとも登録されていません。町の言葉（町基準１など）で"
    "書いてください。",
    "The reference levels of this station are neither the river administrator's nor adopted by a document. Use the "
    "municipality's own words (such as 'criterion 1').",
)
_NOT_REACHED = (
    "この観測所の水位は、その段階に達していません。",
    "The level of this station has not reached that stage.",
)
_OTHERS = (
    "センサーから分かることではありません。",
    "No sensor can know this.",
)

# Looked for in the text without spaces and readings, in full width made narrow, in small letters.
_JAPANESE = (
    (r"氾濫(?:注意|警戒|危険|発生)情報|避難勧告", _OLD),
    (r"(?:特別|危険)?警報|注意報|予報|けいほう|ちゅういほう|よほう", _AGENCY),
    (r"予測|予想|見込|見通し|でしょう|おそれ|恐れ|かもしれ|あと\d+(?:分|時間)|\d+(?:分|時間)後", _FUTURE),
    (r"避難指示|高齢者等避難|緊急安全確保|避難準備|避難して|避難せよ|逃げ[てろな]|にげ[てろな]", _EVACUATION),
    (r"安全です|安全が|安心|心配あり|心配はあり|大丈夫|だいじょうぶ", _SAFE),
    (r"実人数|実人員|漏水確定", _OTHERS),
)
_ENGLISH = (
    (r"\bwarnings?\b|\badvisor(?:y|ies)\b", _AGENCY),
    (
        r"\bforecast\w*|\bpredict\w*|\bexpect\w*|\bwill (?:soon )?(?:rise|reach|overflow|flood|exceed|continue|fall)\b"
        r"|\b(?:in|within) \d+ (?:min|hour)\w*",
        _FUTURE,
    ),
    (r"\bevacuat(?!ion judge?ment level)\w*", _EVACUATION),  # 避難判断水位 is the name of a level
    (r"\bsafe\b|\bno danger\b|\bdo not worry\b", _SAFE),
)
_ADMINISTRATORS_NAMES = r"水防団待機水位|(?:氾濫|はん濫)(?:注意|危険|発生|開始)水位|避難判断水位|特別警戒水位"
_LEVEL_JA = re.compile(r"(?:警戒)?レベル([1-5一二三四五])(相当)?")
_LEVEL_EN = re.compile(r"((?:corresponds?|equivalent|corresponding) to )?\balert level ([1-5])")
_KANJI = str.maketrans("一二三四五", "12345")


def check(text: str, *, equivalent: bool, highest: int) -> list[Found]:
    """What may not be said of a station, in the order of the rules. `equivalent`: its levels may be told as
    警戒レベル○相当; `highest`: the highest level that its alert has reached.

    >>> [found.word for found in check("洪水警　報です。あと３０分で あふれます", equivalent=True, highest=4)]
    ['警報', 'あと30分']
    >>> check("町基準２に達しました", equivalent=False, highest=2)
    []
    """
    plain = unicodedata.normalize("NFKC", text).lower()
    dense = re.sub(r"\s", "", plain)
    read = re.sub(r"\([ぁ-ゖー]+\)", "", dense)
    found = [Found(match[0], *why) for form in _JAPANESE for match, why in _matches(read, form)]
    if not found:  # a reading that is no reading: 川(けいほう)
        found = [Found(match[0], *why) for form in _JAPANESE for match, why in _matches(dense, form)]
    english = re.sub(r"\s+", " ", plain)
    found += [Found(match[0], *why) for form in _ENGLISH for match, why in _matches(english, form)]
    if not equivalent:
        names = rf"警戒レベル\d?|レベル[1-5一二三四五]|{_ADMINISTRATORS_NAMES}"
        found += [Found(match[0], *_NOT_ADOPTED) for match in re.finditer(names, read)]
        found += [Found(match[0], *_NOT_ADOPTED) for match in re.finditer(r"\balert level(?: \d)?", english)]
    else:
        for match in _LEVEL_JA.finditer(read):
            found += _of_level(match[0], int(match[1].translate(_KANJI)), match[2] is not None, highest)
        for match in _LEVEL_EN.finditer(english):
            found += _of_level(match[0], int(match[2]), match[1] is not None, highest)
    return list(dict.fromkeys(found))


def _matches(text: str, form: tuple[str, tuple[str, str]]) -> list[tuple[re.Match[str], tuple[str, str]]]:
    pattern, why = form
    return [(match, why) for match in re.finditer(pattern, text)]


def _of_level(word: str, level: int, equivalent: bool, highest: int) -> list[Found]:
    if not equivalent:
        return [Found(word, *_LEVEL)]
    return [Found(word, *_NOT_REACHED)] if level > highest else []
