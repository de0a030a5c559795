"""Outage: many stations fall silent at about the same time because of one thing that they have in common.

    judge_outages(senders, listening, gateways, open_outages) -> what is raised, grows, returns and is over

A gateway without power, a network that is down, a line into the town hall: each silences many devices that have nothing
wrong with them. Whoever must act is told once, with the cause and the stations, instead of once a station. A cause is a
kind and, after a colon, which one:

    gateway:<id>    all that only this gateway hears
    network:<name>  all of a network that is heard by several gateways, or that does not say by which
    all             all networks at once
    part:<name>     many devices of one network, while others of it are heard: what they have in common is not known

A group (the first three) is dark when

- at least `FEWEST` of its devices are late, that is have missed `LATE` of their present intervals, and fell silent no
  earlier than the last word that came from the group: whoever was quiet while others were still heard is a case of
  its own;
- had it been well, `EVIDENCE` messages or more should have come since that last word: where each comes by itself, that
  none of six does is one time in four hundred;
- one of them is silent by its own patience. Before that nobody is told of a single device either.

A part has no last word, for others are heard. There is one when a single moment can explain at least `FEWEST_OF_PART`
late devices: each was heard before it, and would have been noticed as late by `LATE` intervals after. Devices in
standby hardly ever speak, and are no evidence there.

Of the groups that are dark the one that says most is named: not the gateways one by one when the network is, and the
gateway, not its network, where the network has no other. While an outage is open it explains the silence of all that it
covers, also of those whose next word is due only tomorrow; the rule of silence leaves them alone. It is over with the
first word from the group (of a part: when half of it is back). From then on each device has its own patience again, so
that one that does not come back is told of by itself.

A pure function of what was heard and the open outages, like every rule here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerts.rules.silence import Listened, Listening, quiet_since
from devices.duty import STANDBY

RULE_VERSION = "outage:1"

FEWEST = 3
FEWEST_OF_PART, SILENT_OF_PART = 5, 3
LATE = 2.5
EVIDENCE = 6.0


@dataclass(frozen=True, slots=True)
class Sender:
    """A device as it is heard: `interval` is how often it speaks in the mode that it is in, `network` the one of its
    newest message, `gateway` the only one that hears it (None: several do, or nobody says).
    """

    device_id: int
    heard: Listened
    interval: timedelta
    network: str | None
    gateway: str | None


@dataclass(frozen=True, slots=True)
class OpenOutage:
    """`since`: the last word before it; `devices`: all that it covers, with the last word of each before it did;
    `returned`: those heard again meanwhile.
    """

    alert_id: int
    cause: str
    since: datetime
    devices: Mapping[int, datetime]
    returned: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Outage:
    """A new one: since the last word, and the devices whose silence it explains."""

    cause: str
    since: datetime
    devices: frozenset[int]


@dataclass(frozen=True, slots=True)
class Judged:
    """What to do: raise; note who else an open one covers, and who was heard again and when; clear, as of when."""

    raised: tuple[Outage, ...] = ()
    joined: Mapping[int, frozenset[int]] = field(default_factory=dict)
    returned: Mapping[int, Mapping[int, datetime]] = field(default_factory=dict)
    cleared: Mapping[int, datetime] = field(default_factory=dict)


def kind_of(cause: str) -> str:
    """The kind of a cause.

    >>> kind_of("gateway:a1:b2"), concerned("gateway:a1:b2"), concerned("all")
    ('gateway', 'a1:b2', '')
    """
    return cause.partition(":")[0]


def concerned(cause: str) -> str:
    """Which gateway or network; empty where there is no such thing."""
    return cause.partition(":")[2]


def judge_outages(
    senders: Sequence[Sender],
    listening: Listening | None,
    gateways: Mapping[str, datetime],
    open_outages: Sequence[OpenOutage],
) -> Judged:
    """What the outages of one municipality do.

    `senders`: the devices that are attached and were ever heard, without those that somebody works on. `listening`:
    when somebody has listened, None where nobody does: then nothing is known. `gateways`: when each was last heard.
    """
    if listening is None:
        return Judged()
    known = {each.device_id: each for each in senders}
    returned = {each.alert_id: _returned(each, known) for each in open_outages}
    cleared = {}
    for each in open_outages:
        over = _over(each, known, gateways, returned[each.alert_id], listening.until)
        if over is not None:
            cleared[each.alert_id] = over
    lasting = [each for each in open_outages if each.alert_id not in cleared]
    explained = {
        device for each in lasting for device in each.devices.keys() - each.returned - returned[each.alert_id].keys()
    }
    quiet = {
        each.device_id: _Quiet(each, quiet_since(each.heard, listening.since), listening.until)
        for each in senders
        if each.heard.last_heard is not None
    }
    # Who has been silenced by what has just ended is given its own patience before anything else is made of it.
    waiting = explained | {device for each in open_outages if each.alert_id in cleared for device in each.devices}
    raised = _dark(quiet, waiting, {each.cause for each in lasting})
    taken = waiting | {device for each in raised for device in each.devices}
    joined: dict[int, frozenset[int]] = {}
    parts = [each for each in lasting if kind_of(each.cause) == "part"]
    for each in parts:
        more = frozenset(
            device
            for device, state in quiet.items()
            if device not in taken and state.may_be_part_of(concerned(each.cause)) and state.follows(each.since)
        )
        if more:
            joined[each.alert_id] = more
            taken |= more
    raised += _parts(quiet, taken, {each.cause for each in lasting})
    return Judged(
        tuple(raised), joined, {alert_id: found for alert_id, found in returned.items() if found}, dict(cleared)
    )


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A sender at `now`, and since when a word of it would have been heard and none was."""

    sender: Sender
    since: datetime
    now: datetime

    @property
    def noticed(self) -> datetime:
        """When it is late, having said nothing since."""
        return self.since + LATE * self.sender.interval

    @property
    def late(self) -> bool:
        return self.noticed < self.now

    @property
    def silent(self) -> bool:
        return self.since + self.sender.heard.silence_after < self.now

    @property
    def last(self) -> datetime:
        assert self.sender.heard.last_heard is not None
        return self.sender.heard.last_heard

    def spans(self, moment: datetime) -> bool:
        """Whether something that happened at this moment can be why it is quiet."""
        return self.since <= moment <= self.noticed

    def follows(self, beginning: datetime) -> bool:
        """Whether it fell silent with those that had by then, or a little later: it may still have been heard then."""
        return self.noticed >= beginning and self.since <= beginning + LATE * self.sender.interval

    def may_be_part_of(self, network: str) -> bool:
        # What an earlier outage has left behind has that in common, and nothing that is news.
        left_behind = self.sender.heard.listening_from is not None and self.last < self.sender.heard.listening_from
        return self.late and self.sender.network == network and self.sender.interval < STANDBY and not left_behind


# --- groups ----------------------------------------------------------------------------------------------------


def _dark(quiet: Mapping[int, _Quiet], explained: Collection[int], open_causes: Collection[str]) -> list[Outage]:
    """The groups that have gone dark, each device in one of them at most."""
    networks = _grouped(quiet.values(), lambda each: each.sender.network)
    gateways = _grouped(quiet.values(), lambda each: each.sender.gateway)
    found: list[Outage] = []
    whole = _group_dark("all", list(quiet.values()), explained) if len(networks) > 1 else None
    if whole is not None and all(_silent_group(members) for members in networks.values()):
        found.append(whole)
    else:
        named: set[int] = set()
        for network, members in networks.items():
            last = _last(members)
            alone = {each.sender.gateway for each in members if not _dead(each, last)}
            if len(alone) == 1 and None not in alone:
                continue  # its only gateway says it
            outage = _group_dark(f"network:{network}", members, explained)
            if outage is not None:
                found.append(outage)
                named |= outage.devices
        for gateway, members in gateways.items():
            outage = _group_dark(f"gateway:{gateway}", members, {*explained, *named})
            if outage is not None:
                found.append(outage)
    return [each for each in found if each.cause not in open_causes]


def _grouped(quiet: Iterable[_Quiet], key: Callable[[_Quiet], str | None]) -> dict[str, list[_Quiet]]:
    groups: dict[str, list[_Quiet]] = {}
    for each in quiet:
        name = key(each)
        if name is not None:
            groups.setdefault(name, []).append(each)
    return dict(sorted(groups.items()))


def _last(members: Iterable[_Quiet]) -> datetime:
    """The last word that came from a group."""
    return max(each.last for each in members)


def _dead(each: _Quiet, last: datetime) -> bool:
    """Whether it was missed already while others of its group were still heard."""
    return each.noticed < last


def _silent_group(members: Sequence[_Quiet]) -> bool:
    """Whether nothing of what should have come from a group has come; a group that owes nothing yet is silent too."""
    last = _last(members)
    return all(each.late or each.sender.interval >= STANDBY or _dead(each, last) for each in members)


def _group_dark(cause: str, members: Sequence[_Quiet], explained: Collection[int]) -> Outage | None:
    last = _last(members)
    alive = [each for each in members if not _dead(each, last)]
    late = [each for each in alive if each.late and each.sender.device_id not in explained]
    if len(late) < FEWEST or not any(each.silent for each in late):
        return None
    now = late[0].now
    # Who listens only since later can have missed no more than since then.
    missed = sum((now - max(last, each.since)) / each.sender.interval for each in alive)
    if missed < EVIDENCE:
        return None
    devices = frozenset(each.sender.device_id for each in alive if each.sender.device_id not in explained)
    return Outage(cause, last, devices)


# --- parts -----------------------------------------------------------------------------------------------------


def _parts(quiet: Mapping[int, _Quiet], explained: Collection[int], open_causes: Collection[str]) -> list[Outage]:
    found = []
    for network, members in _grouped(quiet.values(), lambda each: each.sender.network).items():
        if f"part:{network}" in open_causes:
            continue
        late = [each for each in members if each.sender.device_id not in explained and each.may_be_part_of(network)]
        if len(late) < FEWEST_OF_PART:
            continue
        # The most spans meet where one of them begins.
        together = max(
            ([each for each in late if each.spans(moment.since)] for moment in late),
            key=lambda part: (len(part), max(each.since for each in part)),
        )
        if len(together) < FEWEST_OF_PART or sum(each.silent for each in together) < SILENT_OF_PART:
            continue
        since = max(each.since for each in together)
        found.append(Outage(f"part:{network}", since, frozenset(each.sender.device_id for each in together)))
    return found


# --- what is open ----------------------------------------------------------------------------------------------


def _returned(outage: OpenOutage, known: Mapping[int, Sender]) -> dict[int, datetime]:
    """Who has been heard again since it was last looked at, and when."""
    found = {}
    for device in outage.devices.keys() - outage.returned:
        heard = known[device].heard.last_heard if device in known else None
        if heard is not None and heard > outage.devices[device]:
            found[device] = heard
    return found


def _over(
    outage: OpenOutage,
    known: Mapping[int, Sender],
    gateways: Mapping[str, datetime],
    returned: Mapping[int, datetime],
    now: datetime,
) -> datetime | None:
    """Since when it is over; None: it is not."""
    here = outage.devices.keys() & known.keys()
    back = (outage.returned & here) | returned.keys()
    if not here:
        return now  # nothing that it silenced is mounted any more
    about = concerned(outage.cause)
    words: list[datetime] = []
    match kind_of(outage.cause):
        case "gateway":
            words = [time for gateway, time in gateways.items() if gateway == about]
        case "network":
            words = [time for each in known.values() if each.network == about and (time := each.heard.last_heard)]
        case "all":
            words = [time for each in known.values() if (time := each.heard.last_heard)]
    since = [time for time in words if time > outage.since]
    if since:
        return max(since)
    # Other gateways may have taken over what a dead one heard.
    fast = {device for device in here if known[device].interval < STANDBY} or here
    if 2 * len(back & fast) >= len(fast):
        return max(returned.values(), default=now)
    return None
