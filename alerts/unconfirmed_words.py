"""What is said of a reading that nothing bears out yet, and of one from a device that somebody works at."""

from __future__ import annotations

from typing import Literal

from alerts.rules.transition import Event

Language = Literal["ja", "en"]
_DOWN = (Event.CLEARED, Event.LOWERED)


def first(unconfirmed: bool, at_work: bool, event: Event, language: Language) -> str:
    """The first words of such a message; empty for any other.

    >>> first(True, False, Event.TOLD, "ja"), first(True, False, Event.CLEARED, "en")
    ('未確認の値 ', '')
    """
    ja, said = language == "ja", ""
    if at_work:
        said += "作業中の機器の値 " if ja else "Work in progress at the device: "
    if unconfirmed and event not in _DOWN:
        said += "未確認の値 " if ja else "Unconfirmed reading: "
    return said


def headline(event: Event, name: str, language: Language) -> str:
    """What an unconfirmed reading says of the reference level `name`, or what has become of it; "" is below all."""
    ja = language == "ja"
    if event is Event.CLEARED or not name:
        return (
            "先の「未確認の値」は次の観測値で否定され、水位は基準を下回っています"
            if ja
            else "the next reading does not bear out the unconfirmed one; the level is below the reference levels"
        )
    if event is Event.LOWERED:
        return (
            f"先の「未確認の値」は次の観測値で否定され、{name}の段階です"
            if ja
            else f"the next reading does not bear out the unconfirmed one; the stage is {name}"
        )
    return f"{name}以上の値が１回観測されました" if ja else f"one reading at or above {name}"


def caution(at_work: bool, language: Language) -> str:
    """What to do about it."""
    ja = language == "ja"
    if at_work:
        return (
            "この機器では作業が予定されています。作業の影響か実際の水位かを、作業者または現地で確かめてください。"
            if ja
            else "Work is planned at this device: ask whoever works there, or look on site, whether this is the river."
        )
    return (
        "この値は、次の観測値や近くの観測所ではまだ確かめられていません。誤りのこともあります。画面または現地で確かめてください。"
        if ja
        else "No other reading bears this one out yet, and it may be wrong. Please check on the page or on site."
    )


def revised(name: str, language: Language) -> str:
    """What is so after a reading was found false on which an alert stood; "" is below all levels."""
    if language == "ja":
        return f"先の観測値が訂正され、{f'{name}の段階です' if name else '水位は基準を下回っています'}"
    stage = f"the stage is {name}" if name else "the level is below the reference levels"
    return f"an earlier reading was found false; {stage}"
