"""What a notice to the public says: in Japanese, in English and in plain Japanese (やさしい日本語).

A notice is a title that never changes, a headline and a body that staff may edit, and a closing line about evacuation
information. The title says what this is: an observation of the municipality's own sensor, for reference. A level is
called 警戒レベル○相当 only where the threshold set is the river administrator's or was adopted by a document; any other
set speaks in the municipality's own words (町基準１, ...). Nothing says what the river will do.

Plain Japanese follows the habit of the municipalities: short sentences, a space between phrases, the reading in
brackets behind the letters, which a page may set above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from alerts.public.evacuation import Evacuation
from alerts.wording import marks

Variant = Literal["ja", "en", "plain"]
VARIANTS: tuple[Variant, ...] = ("ja", "plain", "en")
Kind = Literal["alert", "update", "cancel"]
Mode = Literal["actual", "exercise", "test"]
Why = Literal["below", "mistake"]

MAX_HEADLINE = 200  # characters
MAX_BODY = 1000

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
# Not strftime's, which speaks the language of the process.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_READINGS = {"市": "し", "町": "まち", "村": "むら", "区": "く"}


@dataclass(frozen=True, slots=True)
class Basis:
    """Whose reference levels a set holds. `authority` of the river administrator's; `document` of `dated` (as printed)
    by which the town adopted them; `words` and `words_en` what the public reads of the town's own, lowest first.
    """

    source: Literal["administrator", "adopted", "own"] = "own"
    authority: str = ""
    document: str = ""
    dated: str = ""
    words: tuple[str, ...] = ()
    words_en: tuple[str, ...] = ()

    @property
    def equivalent(self) -> bool:
        """Whether its levels may be told as 警戒レベル○相当."""
        return self.source != "own"


@dataclass(frozen=True, slots=True)
class Stage:
    """A reference level as the public reads of it: `level` 1 to 5, `value` in m, `rank` its place in the set from
    below, from 1.
    """

    level: int
    rank: int
    name: str
    name_en: str
    value: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What a draft is made from. `stage`: the reference level that the alert has (None: below all of them); `before`:
    the level that the notice told which this one takes the place of. `latest`: the newest reading where it is newer.
    """

    municipality: str
    station: str
    station_en: str
    zone: ZoneInfo
    time: datetime
    value: float
    stage: Stage | None
    basis: Basis
    before: int | None = None
    latest: tuple[datetime, float] | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The part of a notice that staff may edit, in one variant."""

    headline: str
    body: str


Texts = dict[Variant, Text]


def title(municipality: str, variant: Variant) -> str:
    """What this is, above every notice.

    >>> title("美守町", "ja")
    '水位のお知らせ（町設置センサー・観測値・参考）'
    """
    owner = owner_of(municipality)
    if variant == "en":
        return "River level notice (municipal sensor, observation, for reference)"
    if variant == "plain":
        reading = f"{owner}（{_READINGS.get(owner, 'まち')}）"
        return (
            "川（かわ）の 水（みず）の 高（たか）さの お知（し）らせ"
            f"［{reading}の センサーで 測（はか）った 数字（すうじ）・参考（さんこう）］"
        )
    return f"水位のお知らせ（{owner}設置センサー・観測値・参考）"


def closing(municipality: str, evacuation: Evacuation, variant: Variant) -> str:
    """The last line of every notice."""
    owner = owner_of(municipality)
    if variant == "en":
        return f"Evacuation information is issued separately by the municipality. At present: {evacuation.en}."
    if variant == "plain":
        return (
            f"逃（に）げる ための お知（し）らせは {owner}（{_READINGS.get(owner, 'まち')}）が "
            f"別（べつ）に 出（だ）します。今（いま）：{evacuation.plain}。"
        )
    return f"避難の情報は{owner}が別に発令します。現在：{evacuation.ja}。"


def whole(municipality: str, text: Text, last: str, variant: Variant, *, mode: str, simulated: bool) -> str:
    """A notice as it is read: mark, title, headline, body, closing line."""
    mark = marks(mode, simulated, "en" if variant == "en" else "ja")
    return "\n".join([f"{mark}{title(municipality, variant)}", "", text.headline, text.body, "", last]) + "\n"


def stage_name(stage: Stage, basis: Basis, municipality: str, variant: Variant) -> str:
    """A reference level as the public reads it.

    >>> stage = Stage(4, 2, "氾濫危険水位", "Danger level", 2.3)
    >>> stage_name(stage, Basis("administrator", "美守県"), "美守町", "ja")
    '氾濫危険水位（警戒レベル４相当）'
    >>> stage_name(stage, Basis(), "美守町", "ja"), stage_name(stage, Basis(), "美守町", "en")
    ('町基準２', 'municipal criterion 2')
    """
    if basis.equivalent:
        if variant == "en":
            return f"{stage.name_en} (corresponds to Alert Level {stage.level})"
        number = str(stage.level).translate(_FULL_WIDTH)
        return f"警戒レベル{number}相当" if variant == "plain" else f"{stage.name}（警戒レベル{number}相当）"
    words = basis.words_en if variant == "en" else basis.words
    if stage.rank <= len(words):
        return words[stage.rank - 1]
    if variant == "en":
        return f"municipal criterion {stage.rank}"
    return f"{owner_of(municipality)}基準{str(stage.rank).translate(_FULL_WIDTH)}"


def draft(facts: Facts) -> Texts:
    """The words of an alert or an update, from what was observed."""
    return {
        "ja": Text(_headline_ja(facts), "\n".join(_body_ja(facts))),
        "plain": Text(_headline_plain(facts), "\n".join(_body_plain(facts))),
        "en": Text(_headline_en(facts), "\n".join(_body_en(facts))),
    }


def cancelled(facts: Facts, why: Why) -> Texts:
    """The words that take a notice back: the water is below again, or the notice was wrong."""
    when, value = _when(facts, "ja", facts.latest), _value(facts)
    when_en = _when(facts, "en", facts.latest)
    if why == "mistake":
        ja = "先に出したお知らせは、観測値に誤りがあったため取り消します。ご迷惑をおかけしました。"
        plain = "前（まえ）の お知（し）らせは 数字（すうじ）が まちがって いました。取（と）り消（け）します。"
        en = "The earlier notice is withdrawn: the reading behind it was wrong. We apologise."
    else:
        ja = f"{when}の観測値は {value} m で、お知らせの基準を下回りました。"
        plain = f"{when}に 測（はか）りました。水（みず）の 高（たか）さは {value} m です。低（ひく）く なりました。"
        en = f"The reading of {when_en} is {value} m, below the criterion of the notice."
    return {
        "ja": Text(f"{facts.station}の水位のお知らせを取り消します", f"{ja}\n{_STAY['ja']}"),
        "plain": Text(f"{facts.station}の お知（し）らせは 終（お）わりです", f"{plain}\n{_STAY['plain']}"),
        "en": Text(f"{facts.station_en}: the river level notice is withdrawn", f"{en}\n{_STAY['en']}"),
    }


_STAY = {
    "ja": "水位が下がった後も、川や用水路には近づかないでください。",
    "plain": "まだ 川（かわ）に 近（ちか）づかないで ください。",
    "en": "Please keep away from rivers and channels even after the water has fallen.",
}


def tidy(text: str, between: str) -> str:
    """Lines without what cannot be printed, and without empty ones at the ends."""
    lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
    return between.join(lines).strip()


def owner_of(municipality: str) -> str:
    """市, 町, 村 or 区."""
    return municipality[-1] if municipality[-1:] in _READINGS else "町"


def said_time(time: datetime, zone: ZoneInfo, variant: Variant) -> str:
    """A local time as a notice says it.

    >>> from datetime import UTC
    >>> at = datetime(2026, 5, 31, 18, 5, tzinfo=UTC)
    >>> said_time(at, ZoneInfo("Asia/Tokyo"), "ja"), said_time(at, ZoneInfo("Asia/Tokyo"), "en")
    ('6月1日 3時05分', '03:05 on 1 June')
    """
    local = time.astimezone(zone)
    if variant == "en":
        return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]}"
    return f"{local.month}月{local.day}日 {local.hour}時{local.minute:02}分"


def _when(facts: Facts, variant: Variant, reading: tuple[datetime, float] | None = None) -> str:
    return said_time(reading[0] if reading else facts.time, facts.zone, variant)


def _value(facts: Facts) -> str:
    return f"{(facts.latest[1] if facts.latest else facts.value):.2f}"


def _moved(facts: Facts) -> Literal["reached", "stays", "down"]:
    if facts.stage is not None and facts.value < facts.stage.value:
        return "down"  # between a level and where it clears
    if facts.before is None or facts.stage is None or facts.stage.level > facts.before:
        return "reached"
    return "stays" if facts.stage.level == facts.before else "down"


def _name(facts: Facts, variant: Variant) -> str:
    if facts.stage is not None:
        return stage_name(facts.stage, facts.basis, facts.municipality, variant)
    return {"ja": "基準", "plain": "目安（めやす）", "en": "the criterion"}[variant]


def _headline_ja(facts: Facts) -> str:
    name = _name(facts, "ja")
    said = {
        "reached": f"水位が、{name}に達しました",
        "stays": f"水位は、{name}の段階が続いています",
        "down": f"水位が下がり、{name}の段階になりました",
    }
    return f"{facts.station}の{said[_moved(facts)]}"


def _headline_en(facts: Facts) -> str:
    name = _name(facts, "en")
    said = {"reached": f"the river has reached {name}", "stays": f"the river stays at the stage of {name}"}
    return f"{facts.station_en}: {said.get(_moved(facts), f'the river has fallen to the stage of {name}')}"


def _headline_plain(facts: Facts) -> str:
    said = {
        "reached": "川（かわ）の 水（みず）が 高（たか）く なりました",
        "stays": "川（かわ）の 水（みず）は まだ 高（たか）いです",
        "down": "川（かわ）の 水（みず）が 少（すこ）し 低（ひく）く なりました。まだ 高（たか）いです",
    }
    return f"{facts.station}で {said[_moved(facts)]}"


def _body_ja(facts: Facts) -> Sequence[str]:
    owner, stage = owner_of(facts.municipality), facts.stage
    line = f"{_when(facts, 'ja')}の観測値は {facts.value:.2f} m です"
    if stage is not None:
        line += f"（{_name(facts, 'ja')}は {stage.value:.2f} m）"
    lines = [f"{line}。"]
    if facts.latest is not None:
        lines.append(f"最新の観測値は {_when(facts, 'ja', facts.latest)}の {facts.latest[1]:.2f} m です。")
    lines.append(
        {
            "administrator": f"基準は、河川管理者（{facts.basis.authority}）が定めたものです。",
            "adopted": f"基準は、{owner}が文書で採用したものです（{facts.basis.document}、{facts.basis.dated}）。",
            "own": f"基準は、この観測所について{owner}が独自に決めた目安の水位です。",
        }[facts.basis.source]
    )
    lines.append("川や用水路に近づかないでください。")
    lines.append(f"{owner}が設置したセンサーの速報値です。後で訂正することがあります。")
    return lines


def _body_en(facts: Facts) -> Sequence[str]:
    stage = facts.stage
    line = f"Observed {facts.value:.2f} m at {_when(facts, 'en')}"
    if stage is not None:
        line += f" ({_name(facts, 'en')}: {stage.value:.2f} m)"
    lines = [f"{line}."]
    if facts.latest is not None:
        lines.append(f"The latest reading is {facts.latest[1]:.2f} m at {_when(facts, 'en', facts.latest)}.")
    lines.append(
        {
            "administrator": "The reference levels are those of the river administrator.",
            "adopted": "The reference levels were adopted by the municipality.",
            "own": "The criterion is one that the municipality itself has set for this gauge.",
        }[facts.basis.source]
    )
    lines.append("Please keep away from rivers and channels.")
    lines.append("A provisional reading of a municipal sensor: it may be corrected later.")
    return lines


def _body_plain(facts: Facts) -> Sequence[str]:
    owner, stage = owner_of(facts.municipality), facts.stage
    reading = f"{owner}（{_READINGS.get(owner, 'まち')}）"
    lines = [f"{_when(facts, 'plain')}に 測（はか）りました。水（みず）の 高（たか）さは {facts.value:.2f} m です。"]
    if facts.latest is not None:
        lines.append(
            f"{_when(facts, 'plain', facts.latest)}の 水（みず）の 高（たか）さは {facts.latest[1]:.2f} m です。"
        )
    if stage is not None:
        name = _name(facts, "plain")
        if facts.basis.equivalent:
            lines.append(f"「{name}」の 高（たか）さは {stage.value:.2f} m です。")
        else:
            lines.append(f"{reading}が 決（き）めた 目安（めやす）「{name}」は {stage.value:.2f} m です。")
    lines.append("川（かわ）に 近（ちか）づかないで ください。")
    lines.append("この 数字（すうじ）は 後（あと）で 直（なお）す ことが あります。")
    return lines
