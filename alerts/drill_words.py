"""What those who were told in a drill are told when it is over. Always marked 【訓練】, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.wording import marks


@dataclass(frozen=True, slots=True)
class Ended:
    """`ending` as in `store.drills`: done, stopped or alert."""

    municipality: str
    name: str
    ending: str
    simulated: bool = False


_WHY = {
    "done": ("訓練は終わりました。", "The drill is over."),
    "stopped": ("訓練は担当者が止めました。", "The drill was stopped."),
    "alert": (
        "訓練を中止しました。実際のお知らせが出ています。庁内の画面で確かめてください。",
        "The drill was broken off: there is an actual alert. Look at the town hall's pages.",
    ),
}


def note(said: Ended) -> str:
    """For the history of its alerts."""
    return f"訓練「{said.name}」：{_WHY[said.ending][0]}"


def texts(said: Ended) -> tuple[str, str, str, str]:
    """Subject, body, what could be public, and that for ears.

    >>> texts(Ended("美守町", "秋の訓練", "done"))[0]
    '【訓練】訓練は終わりました。（秋の訓練）'
    """
    mark = marks("exercise", said.simulated)
    why, why_en = _WHY[said.ending]
    subject = f"{mark}{why}（{said.name}）"
    body = f"{subject}\n\nこれより前に届いた【訓練】のお知らせは、すべて訓練でした。\n{why_en} {said.name}\n"
    brief = f"{mark}【{said.municipality}・見守り】{why}"
    spoken = (
        f"これは訓練です。こちらは、{said.municipality}です。\n{why}\n以上、{said.municipality}からのお知らせでした。\n"
    )
    return subject, body, brief, spoken
