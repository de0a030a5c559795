"""The words of a standing approval (事前承認): written beforehand, with places for the time and the value.

    draft(facts), draft_end(facts)          what the wording module would say, with places
    filled(texts, zone, time, value)        what is told
    problems(texts, ...)                    what is wrong with what staff wrote, all of it

The places are ［時刻］ and ［値］ in both Japanese variants, [time] and [value] in English. A body has both: a notice
says what was observed, and when. What is told to the desk when the system has told the public is here too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alerts.public import words
from alerts.public.forbidden import check
from alerts.public.making import Step
from alerts.public.notices import Notice
from alerts.public.words import MAX_BODY, MAX_HEADLINE, VARIANTS, Facts, Text, Texts, Variant, said_time
from alerts.wording import marks

TIME: dict[Variant, str] = {"ja": "［時刻］", "plain": "［時刻］", "en": "[time]"}
VALUE: dict[Variant, str] = {"ja": "［値］", "plain": "［値］", "en": "[value]"}
_PLACE = re.compile(r"［[^］]*］|\[[^\]]*\]")
# No reading has this time and this value: what says them is a place.
_SOME_TIME, _SOME_VALUE = datetime(2001, 2, 3, 4, 5, tzinfo=UTC), 98765.43


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of the form, and what to do, in both languages."""

    field: str
    ja: str
    en: str


def draft(facts: Facts) -> Texts:
    """The words of reaching a level, with places where those of `facts` stand."""
    return _with_places(words.draft(replace(facts, time=_SOME_TIME, value=_SOME_VALUE, latest=None)), facts.zone)


def draft_end(facts: Facts) -> Texts:
    """The words that take it back when the water has fallen, with places."""
    return _with_places(words.cancelled(replace(facts, latest=(_SOME_TIME, _SOME_VALUE)), "below"), facts.zone)


def filled(texts: Texts, zone: ZoneInfo, time: datetime, value: float) -> Texts:
    """The words with a reading in their places."""

    def fill(text: str, variant: Variant) -> str:
        return text.replace(TIME[variant], said_time(time, zone, variant)).replace(VALUE[variant], f"{value:.2f}")

    return {v: Text(fill(texts[v].headline, v), fill(texts[v].body, v)) for v in VARIANTS}


def clean(texts: Texts, zone: ZoneInfo, *, equivalent: bool, level: int) -> bool:
    """Whether the public may read these words, with any reading in them."""
    said = filled(texts, zone, _SOME_TIME, 1.0)
    return not any(
        check(part, equivalent=equivalent, highest=level)
        for variant in VARIANTS
        for part in (said[variant].headline, said[variant].body)
    )


def problems(texts: Texts, zone: ZoneInfo, *, equivalent: bool, level: int, prefix: str = "") -> list[Problem]:
    """What has to be mended before the words can be kept; `prefix` of the names of their fields."""
    found: list[Problem] = []
    said = filled(texts, zone, _SOME_TIME, 1.0)
    for variant in VARIANTS:
        for part, most in (("headline", MAX_HEADLINE), ("body", MAX_BODY)):
            field, text = f"{prefix}{variant}_{part}", getattr(texts[variant], part)
            if not 0 < len(text) <= most:
                found.append(Problem(field, f"1 字以上、{most} 字以内で書いてください。", f"From 1 to {most} letters."))
                continue
            places = [TIME[variant], VALUE[variant]]
            for place in _PLACE.findall(text):
                if place not in places:
                    found.append(
                        Problem(
                            field,
                            f"{place} は入れられません。入れられるのは {' と '.join(places)} です。",
                            f"{place} cannot be filled in. The places are {' and '.join(places)}.",
                        )
                    )
            if part == "body":
                found += [
                    Problem(
                        field,
                        f"{place} がありません。観測した値と時刻を必ず書きます。",
                        f"{place} is missing: a notice says what was observed, and when.",
                    )
                    for place in places
                    if place not in text
                ]
            found += [
                Problem(field, f"「{each.word}」は使えません。{each.ja}", f"'{each.word}': {each.en}")
                for each in check(getattr(said[variant], part), equivalent=equivalent, highest=level)
            ]
    return found


def to_desk(
    found: Notice, municipality: str, *, simulated: bool, url: str | None, step: Step
) -> tuple[str, str, str, str]:
    """What the desk is told when the system has told the public: subject, body, what could be public, and for ears."""
    standing = found.standing
    assert standing is not None, "it was told in the name of an approval"
    mark, mark_en = marks(found.mode, simulated), marks(found.mode, simulated, "en")
    what, what_en = _DONE[step]
    link = f"{url}/disaster/notices/{found.notice_id}" if url else ""
    where = link or "「住民へのお知らせ」の画面"
    subject = f"{mark}【事前承認により公開】{found.name}の住民へのお知らせを{what}"
    text = found.texts["ja"]
    lines = [
        f"{mark}事前承認により、システムが住民へのお知らせを{what}。",
        "",
        text.headline,
        text.body,
        "",
        f"決定：{standing.post} {standing.authority}（{standing.document}）",
        f"入力：{standing.entered_by}　署名：{standing.signed_by}",
        f"取り消すとき：{where}",
        "観測値が誤りなら、アラートを「誤報として訂正する」と、お知らせも同時に取り消されます。",
        "",
        f"{mark_en}As was approved beforehand, the public {what_en}: "
        f"{found.texts['en'].headline}. To withdraw it: {link or 'the page Notices to residents'}.",
    ]
    brief = f"{mark}{found.name}の水位のお知らせを{what}（事前承認）。取り消すとき：{where}"
    opening = "これは模擬です。" if simulated else ""
    spoken = f"{opening}{found.name}の水位のお知らせを、住民に{what}。画面で確かめてください。"
    return subject, "\n".join(lines), brief, spoken


_DONE: dict[Step, tuple[str, str]] = {
    "reached": ("公開しました", "was told"),
    "renewed": ("期限の前に、最新の値で公開し直しました", "was told anew, with the newest reading"),
    "ended": ("取消を公開しました", "reads a withdrawal"),
}


def _with_places(texts: Texts, zone: ZoneInfo) -> Texts:
    def open_(text: str, variant: Variant) -> str:
        said = said_time(_SOME_TIME, zone, variant)
        return text.replace(said, TIME[variant]).replace(f"{_SOME_VALUE:.2f}", VALUE[variant])

    return {v: Text(open_(texts[v].headline, v), open_(texts[v].body, v)) for v in VARIANTS}
