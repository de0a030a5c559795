"""What those who were told in a trial are told when it is over, always marked 【試験】; and what those are told who are
on duty for a real alert, when its station is put in trial: that is real, and has no such mark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from alerts.public_words import PUBLIC_RULES, opening
from alerts.wording import Notice, marks, short_time, subject


@dataclass(frozen=True, slots=True)
class Over:
    """`counts`: whether what was measured in it counts from now on."""

    municipality: str
    station: str
    station_en: str
    counts: bool
    simulated: bool = False


def note(said: Over) -> str:
    """For the history of its alerts."""
    return f"試験は終わりました。{_counts(said)}"


def texts(said: Over) -> tuple[str, str, str, str]:
    """Subject, body, what could be public, and that for ears.

    >>> texts(Over("美守町", "美守橋水位観測所", "Mimamori Bridge", False))[0]
    '【試験】美守橋水位観測所の試験は終わりました。'
    """
    mark = marks("test", said.simulated)
    subject = f"{mark}{said.station}の試験は終わりました。"
    english = (
        "What was measured in it counts from now on." if said.counts else "What was measured in it does not count."
    )
    body = (
        f"{subject}\n\n{_counts(said)}これからの値は、実際のお知らせになります。\n"
        f"The trial of {said.station_en or said.station} is over. {english} From now on alerts are real.\n"
    )
    brief = f"{mark}【{said.municipality}・見守り】観測所の試験は終わりました。"
    spoken = (
        f"これは試験です。こちらは、{said.municipality}です。\n観測所の試験は終わりました。\n"
        f"以上、{said.municipality}からのお知らせでした。\n"
    )
    return subject, body, brief, spoken


@dataclass(frozen=True, slots=True)
class Begun:
    """A trial that has begun over a real alert, `about`: why, who decided it, and until when; None: until its end."""

    about: Notice
    why: str
    by: str
    until: datetime | None


HEARS_AGAIN = "試験は終わりました。これからの値は、この件の実際の値です。"


def begun_note(said: Begun) -> str:
    """For the history of the alert."""
    return f"観測所が試験になりました（{_until(said)}、{said.by}：{said.why}）。試験中の値では、この件は変わりません。"


def begun_texts(said: Begun) -> tuple[str, str, str, str]:
    """Subject, body, what could be public, and that for ears."""
    about = said.about
    mark, mark_en = marks(about.mode, about.simulated), marks(about.mode, about.simulated, "en")
    plain = subject(replace(about, mode="actual", simulated=False))
    what = "発生中のアラートの観測所が、試験になりました"
    lines = [
        f"{mark}{what}：{plain}",
        "",
        "この観測所が測る値は、試験が終わるまで実際の値に数えません。アラートは続き、試験中の値では上がりも下がりも終わりもしません。",
        "近くの観測所か現地で、いまの状況を確かめてください。値が届かないことは、安全だという意味ではありません。",
        f"試験：{_until(said)}　決めた人：{said.by}　理由：{said.why}",
        "",
        f"{mark_en}{about.station_en or about.station} was put in trial while this alert is open. What it measures "
        "until the trial is over does not count: the alert stays as it is. Look at gauges nearby, or send somebody.",
    ]
    place = f"{about.station}は設置・修理中です。" if about.rule in PUBLIC_RULES else ""
    brief = f"{mark}【{about.municipality}・見守り】{place}庁内の画面で確かめてください。"
    spoken = f"{opening(about)}{what}。{place}\n以上、{about.municipality}からのお知らせでした。\n"
    return lines[0], "\n".join(lines) + "\n", brief, spoken


def _until(said: Begun) -> str:
    return "終わらせるまで" if said.until is None else f"{short_time(said.until, said.about.timezone)} まで"


def _counts(said: Over) -> str:
    return "試験中の値は、実際の値として数えます。" if said.counts else "試験中の値は、実際の値には数えません。"
