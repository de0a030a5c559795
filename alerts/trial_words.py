"""What those who were told in a trial are told when it is over. Always marked 【試験】, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.wording import marks


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


def _counts(said: Over) -> str:
    return "試験中の値は、実際の値として数えます。" if said.counts else "試験中の値は、実際の値には数えません。"
