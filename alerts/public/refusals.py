"""Why something could not be done to a notice; each says it in both languages, with what to do.

NoticeRefused
  NoSuchNotice     there is none of that number, or no such alert
  NothingToTell    the alert has no reference level, is over, or there is no notice to withdraw
  DraftThere       somebody has drafted one already: which
  AlreadyDecided   it was approved or discarded: by whom, when
  TextChanged      the words are others than those that were looked at
  ReadingChanged   the observation that it tells was corrected since
  WrongTime        the time until which it is to hold
  WrongWords       words that may not stand there, or too many of them: which, where, why
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alerts.errors import AlertsError
from alerts.public.forbidden import Found
from alerts.public.words import Variant
from alerts.wording import Language


class NoticeRefused(AlertsError):
    """Base of these: what is wrong and what to do."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja, self.en = ja, en

    def said(self, language: Language) -> str:
        return self.ja if language == "ja" else self.en


class NoSuchNotice(NoticeRefused):
    """There is none of that number in this municipality."""

    def __init__(self, number: int) -> None:
        super().__init__(f"お知らせまたはアラート {number} はありません。", f"There is no notice or alert {number}.")


class NothingToTell(NoticeRefused):
    """The alert does not call for a notice (any more)."""


class DraftThere(NoticeRefused):
    """Somebody has drafted one of this alert already."""

    def __init__(self, notice_id: int) -> None:
        super().__init__(
            f"このアラートの下書き（{notice_id}）がもうあります。それを承認するか、破棄してください。",
            f"There is a draft of this alert already ({notice_id}). Approve it, or discard it.",
        )
        self.notice_id = notice_id


class AlreadyDecided(NoticeRefused):
    """A person approved or discarded it."""

    def __init__(self, by: str, when: str, event: str) -> None:
        done, done_en = ("承認", "approved") if event == "approved" else ("破棄", "discarded")
        super().__init__(f"{by}が {when} に{done}しました。", f"{by} {done_en} it at {when}.")


class TextChanged(NoticeRefused):
    """What would be approved is not what was looked at."""

    def __init__(self) -> None:
        super().__init__(
            "開いている間に文面が変わりました。今の文面を読んでから承認してください。",
            "The words were changed meanwhile. Read them as they are now, and then approve.",
        )


class ReadingChanged(NoticeRefused):
    """The observation is not what it was."""

    def __init__(self) -> None:
        super().__init__(
            "この観測値は、下書きの後で訂正されたか、疑わしいと判定されました。下書きを破棄し、観測値を確かめてください。",
            "This reading was corrected, or called doubtful, since. Discard the draft and look at the readings.",
        )


class WrongTime(NoticeRefused):
    """Until when it is to hold."""

    def __init__(self) -> None:
        super().__init__(
            "有効期限は、今から 24 時間以内で選んでください。", "Choose a time of validity within the next 24 hours."
        )


@dataclass(frozen=True, slots=True)
class Wrong:
    """A word in a part of a notice; `found` None where the part is empty or too long."""

    variant: Variant
    part: Literal["headline", "body"]
    found: Found | None


class WrongWords(NoticeRefused):
    """Words that may not stand there, all of them."""

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        places = {"ja": "日本語", "plain": "やさしい日本語", "en": "英語"}
        parts = {"headline": "見出し", "body": "本文"}
        super().__init__(
            "".join(
                f"{places[w.variant]}の{parts[w.part]}："
                + (
                    "空にはできず、長すぎてもいけません。"
                    if w.found is None
                    else f"「{w.found.word}」は使えません。{w.found.ja}"
                )
                for w in wrong
            ),
            " ".join(
                f"{w.variant}, {w.part}: "
                + ("neither empty nor longer than it may be." if w.found is None else f"'{w.found.word}'. {w.found.en}")
                for w in wrong
            ),
        )
        self.wrong = tuple(wrong)
