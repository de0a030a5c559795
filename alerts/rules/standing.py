"""May an approval given beforehand tell the public of this alert now? A pure function; anything unclear is a no.

    refused(approval, situation) -> why not, None: it may
    choose(approvals, situation) -> (the one in whose name it is told, why none is)
    renewed(approval, situation) -> why what it told is not told anew before its time is over, None: it is
    ended(approval, situation)   -> why what it told may not be taken back by itself, None: it may

What a person would look at before telling everybody is asked here one by one: that the approval is signed by two and
holds; that its words were written for the levels of today; that the alert is real, open, and stands on what is
confirmed; that the newest reading is good (not doubtful, not even for its clock), fresh, itself at that level, and
measured by a device at which nobody works; that the public was not told of as much already; and that no person has
taken the notice of this alert back. A level that was reached before the signature is not told either: there the person
who signed is at the desk.

When it works badly: a gauge that says something false and plausible, twice. Nothing here can know that; who signs an
approval for a gauge without neighbours accepts it, and `alerts.retraction` takes the notice back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from devices.model import Quality, Reason

FRESH = timedelta(minutes=30)  # an older reading is told by a person


class Why(StrEnum):
    """Why nothing is told in the name of an approval, in the order in which it is asked."""

    NOT_SIGNED = "not_signed"
    REVOKED = "revoked"
    OVER = "over"
    LEVELS = "levels"  # the reference levels, or whose they are, are others since
    WORDS = "words"  # its words may not be said (any more)
    DRILL = "drill"
    RETRACTED = "retracted"
    CLEARED = "cleared"
    BELOW = "below"  # the alert has not reached its level
    UNCONFIRMED = "unconfirmed"
    BEFORE = "before"  # it was reached before the signature
    WITHDRAWN = "withdrawn"  # a person took the notice of this alert back
    TOLD = "told"  # the public knows of as much already
    WORK = "work"
    NO_READING = "no_reading"
    DOUBTFUL = "doubtful"
    PASSED = "passed"  # the newest reading is below the level
    OLD = "old"
    STILL_UP = "still_up"  # of an end: the newest reading is not below all levels
    BY_HAND = "by_hand"  # of an end and of what is told anew: a person cleared the alert, or tells the public already
    NO_WORDS = "no_words"  # of an end: none were approved
    NO_RENEWAL = "no_renewal"  # of what is told anew: that was not approved


@dataclass(frozen=True, slots=True)
class Approval:
    """What was approved: `threshold` of its `level`, in m above gauge zero; None where the set in force lacks it.
    `same_levels`: set and statement are those for which the words were written. `clean`: its words may be said.
    """

    approval_id: int
    level: int
    threshold: float | None
    signed_at: datetime | None
    revoked: bool
    holds_until: datetime
    same_levels: bool = True
    clean: bool = True
    tells_end: bool = False
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest usable observation; `at_work`: measured while somebody worked at the device."""

    time: datetime
    value: float
    quality: Quality = Quality.GOOD
    reason: str | None = None
    at_work: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """An alert of the level rule at `now`. `level` and `confirmed` as in `Stand`; `reached` when each level was first
    reached, by level; `told` the level that stands before the public, None: nothing does. `withdrawn`: a person took
    a notice of this alert back. `working`: somebody works at the device now. `cleared_by_hand`, `told_by_hand`: a
    person cleared it, a person's notice is the newest. `lowest`: the lowest level's clearing value, m.
    """

    now: datetime
    mode: str
    level: int
    confirmed: int | None
    newest: Seen | None
    reached: Mapping[int, datetime]
    told: int | None = None
    cleared: bool = False
    retracted: bool = False
    withdrawn: bool = False
    working: bool = False
    cleared_by_hand: bool = False
    told_by_hand: bool = False
    lowest: float | None = None


def refused(approval: Approval, situation: Situation) -> Why | None:
    """Why the public is not told in the name of this approval now; None where it is.

    >>> from datetime import UTC
    >>> at = datetime(2026, 6, 1, tzinfo=UTC)
    >>> signed = Approval(1, 2, 2.6, at - timedelta(days=9), False, at + timedelta(days=99))
    >>> flood = Situation(at, "actual", 2, 2, Seen(at, 2.7), {2: at})
    >>> refused(signed, flood) is None
    True
    >>> refused(signed, Situation(at, "actual", 2, None, Seen(at, 2.7), {2: at})).value
    'unconfirmed'
    """
    why = _of_approval(approval, situation.now) or _of_alert(situation)
    if why is not None:
        return why
    reached = situation.reached.get(approval.level)
    if situation.level < approval.level:
        return Why.BELOW
    if situation.confirmed is None or situation.confirmed < approval.level:
        return Why.UNCONFIRMED
    if approval.signed_at is None or reached is None or reached <= approval.signed_at:
        return Why.BEFORE
    if situation.withdrawn:
        return Why.WITHDRAWN
    if situation.told is not None and situation.told >= approval.level:
        return Why.TOLD
    return _not_standing(approval, situation)


def choose(approvals: Iterable[Approval], situation: Situation) -> tuple[Approval | None, Why | None]:
    """The highest approval that may be told; else why not the highest of those whose level the alert has reached, or
    of all.
    """
    ordered = sorted(approvals, key=lambda each: -each.level)
    whys = [(each, refused(each, situation)) for each in ordered]
    for each, why in whys:
        if why is None:
            return each, None
    reasons = [why for _, why in whys if why is not None]
    return None, next((why for why in reasons if why is not Why.BELOW), reasons[0] if reasons else None)


def renewed(approval: Approval, situation: Situation) -> Why | None:
    """Why the public is not told of the same level anew in the name of this approval, before what it was told of it is
    over; None where it is: all is as it has to be for telling it at all, and the newest word is no person's.
    """
    if not approval.renews:
        return Why.NO_RENEWAL
    why = _of_approval(approval, situation.now) or _of_alert(situation)
    if why is not None:
        return why
    if situation.withdrawn or situation.told is None:
        return Why.WITHDRAWN
    if situation.told_by_hand:
        return Why.BY_HAND
    if situation.told != approval.level:
        return Why.TOLD
    if situation.level < approval.level:
        return Why.BELOW
    if situation.confirmed is None or situation.confirmed < approval.level:
        return Why.UNCONFIRMED
    return _not_standing(approval, situation)


def ended(approval: Approval, situation: Situation) -> Why | None:
    """Why what was told in the name of this approval is not taken back by itself when its alert is over. It may be over
    by then, but not revoked.
    """
    if not approval.tells_end:
        return Why.NO_WORDS
    if approval.revoked:
        return Why.REVOKED
    if not (approval.same_levels and approval.clean):
        return Why.LEVELS if not approval.same_levels else Why.WORDS
    if situation.mode != "actual":
        return Why.DRILL
    if situation.retracted:
        return Why.RETRACTED
    if situation.withdrawn or situation.told is None:
        return Why.WITHDRAWN
    if not situation.cleared:
        return Why.STILL_UP
    if situation.cleared_by_hand or situation.told_by_hand:
        return Why.BY_HAND
    seen = _of_reading(situation)
    if isinstance(seen, Why):
        return seen
    return None if situation.lowest is not None and seen.value < situation.lowest else Why.STILL_UP


def _of_approval(approval: Approval, now: datetime) -> Why | None:
    if approval.signed_at is None:
        return Why.NOT_SIGNED
    if approval.revoked:
        return Why.REVOKED
    if now >= approval.holds_until:
        return Why.OVER
    if not approval.same_levels:
        return Why.LEVELS
    return None if approval.clean else Why.WORDS


def _of_alert(situation: Situation) -> Why | None:
    if situation.mode != "actual":
        return Why.DRILL
    if situation.retracted:
        return Why.RETRACTED
    return Why.CLEARED if situation.cleared else None


def _not_standing(approval: Approval, situation: Situation) -> Why | None:
    """Why the newest reading does not bear out that the water stands at the level of the approval."""
    seen = _of_reading(situation)
    if isinstance(seen, Why):
        return seen
    if approval.threshold is None:
        return Why.LEVELS
    return None if seen.value >= approval.threshold else Why.PASSED


def _of_reading(situation: Situation) -> Seen | Why:
    seen = situation.newest
    if situation.working or (seen is not None and (seen.at_work or seen.reason == Reason.MAINTENANCE)):
        return Why.WORK
    if seen is None:
        return Why.NO_READING
    if seen.quality not in (Quality.GOOD, Quality.MANUAL):
        return Why.DOUBTFUL
    return seen if situation.now - seen.time <= FRESH else Why.OLD
