"""What may leave the town hall by other people's machines: LINE, SMS, a voice service, a loudspeaker.

Japan's guideline for government use of messaging services lets nothing through that could not be public. A river's
level is shown to everybody, so it is told in full. A pipe, a device, the operation of this system and what was found in
the waterworks are not: then the text says only that there is something to look at; the rest stands behind the link.

`spoken` is for ears: no brackets, no abbreviations, said twice, as a radio announcement is.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from alerts.rules.transition import Event
from alerts.wording import CORRECTION, NOT_LOW, Notice, first_words, marks, subject

# What everybody may see on the town's own pages.
PUBLIC_RULES = frozenset({"level"})


def brief(notice: Notice) -> str:
    """One or two sentences that could be public."""
    false = notice.event is Event.RETRACTED
    if notice.rule in PUBLIC_RULES:
        if false:  # without the reason, which is in somebody's own words
            return f"{subject(notice)}\n{NOT_LOW['ja']}"
        return f"{subject(notice)}\n{notice.municipality}設置センサーの観測値（参考・速報値）"
    over = notice.event is Event.CLEARED
    what = "先のお知らせは解除されました" if over else "担当の方へのお知らせがあります"
    what = "先のお知らせは誤りでした" if false else what
    mark = (CORRECTION["ja"] if false else "") + marks(notice.mode, notice.simulated)
    return f"{mark}【{notice.municipality}・見守り】{what}。庁内の画面で確かめてください。"


def with_link(text: str, url: str | None) -> str:
    """The text, and under it where to answer."""
    return text if url is None else f"{text}\n確認：{url}"


def spoken(notice: Notice) -> str:
    """A text to be read out."""
    said = _said(notice)
    end = f"以上、{notice.municipality}からのお知らせでした。"
    return "\n".join([opening(notice), said, "繰り返します。", said, end, ""])


def opening(notice: Notice) -> str:
    """What a text for ears begins with."""
    words = {"exercise": "これは訓練です。", "test": "これは試験です。", "actual": ""}
    simulated = "これは模擬です。実際の状況ではありません。" if notice.simulated else ""
    return f"{simulated}{words[notice.mode]}こちらは、{notice.municipality}です。"


def _said(notice: Notice) -> str:
    false = notice.event is Event.RETRACTED
    if notice.rule not in PUBLIC_RULES:
        if false:
            return "訂正のお知らせです。先の、担当の方へのお知らせは、誤りでした。庁内の画面で確かめてください。"
        return "担当の方へのお知らせがあります。庁内の画面で確かめてください。"
    local = notice.time.astimezone(ZoneInfo(notice.timezone))
    hour = f"午前{local.hour}時" if local.hour < 12 else f"午後{local.hour - 12}時"
    when = f"{local.month}月{local.day}日、{hour}{local.minute}分の観測"
    if false:
        what = f"{notice.station}の水位について、{when}としてお知らせしたことは、誤りでした。"
        return f"訂正のお知らせです。{what}{NOT_LOW['ja']}"
    value = "" if notice.value is None else f"水位は、{_metres(notice.value)}でした。"
    opening = first_words(notice, "ja").strip()
    caution = f"{opening}です。" if opening else ""
    return f"{caution}{notice.station}の水位のお知らせです。{when}です。{value}{_stage(notice)}"


def _stage(notice: Notice) -> str:
    if notice.revised:
        return f"先の観測値が訂正されました。{_now(notice)}"
    taken_back = notice.unconfirmed and notice.event in (Event.CLEARED, Event.LOWERED)
    return f"先の未確認の値は、次の観測値で否定されました。{_now(notice)}" if taken_back else _now(notice)


def _now(notice: Notice) -> str:
    if notice.event is Event.CLEARED or notice.level is None:
        return f"水位は、基準を下回{'っています' if notice.unconfirmed or notice.revised else 'りました'}。"
    name, level = notice.level.name, notice.level.level
    if notice.unconfirmed or notice.revised:
        step = f"{name}の段階です。" if notice.event is Event.LOWERED else f"{name}以上の値が、一回観測されました。"
    else:
        step = f"水位が下がり、{name}の段階になりました。" if notice.event is Event.LOWERED else f"{name}に達しました。"
    return f"{step}警戒レベル{level}に相当する、町独自の基準です。"


def _metres(value: float) -> str:
    """Metres and centimetres, as a person says them.

    >>> _metres(2.31), _metres(3.0), _metres(-0.4)
    ('2メートル31センチ', '3メートル', 'マイナス40センチ')
    """
    centimetres = round(abs(value) * 100)
    metres, rest = divmod(centimetres, 100)
    said = (f"{metres}メートル" if metres else "") + (f"{rest}センチ" if rest or not metres else "")
    return f"マイナス{said}" if value < 0 and centimetres else said
