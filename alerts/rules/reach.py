"""Nobody to tell: which of the rules that are switched on would reach no person within the coming day. No I/O.

    unreached(roster, rules, sections, channels, now) -> gaps, each with from when to when
    causes(rules, gaps)                               -> what the rule `operation` raises, by desk

Asked is the very function that decides who is told (`alerts.calling.ladder`), once for each shift that begins within
the day: so substitutes, contacts of channels that are not there, and the levels from which a group is told count as
they will count then. A section whose addresses get mail is somebody who is told; a lamp is not.

Ten thousand rules are few cases: rules that the same groups are told of are judged once. Reference levels are judged
from level 3 on, or the highest alone where that is lower: whom a town tells of levels 1 and 2 is its own choice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from alerts.calling import About, Group, Roster, ladder, watching

What = Literal["level", "written", "finding", "silence", "operation"]

SPAN = timedelta(hours=24)
DECISIVE_LEVEL = 3
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ruled:
    """Something that may have to be told; `name` of its station or, of a written rule, its own: Japanese, English."""

    what: What
    about: About
    name: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Gap:
    """From `start` to `end` nobody would be told of `names`, which are of one desk and of one sort, at these `levels`
    or of these `severities` (ascending).
    """

    what: What
    desk: str
    names: tuple[tuple[str, str], ...]
    start: datetime
    end: datetime
    levels: tuple[int, ...] = ()
    severities: tuple[int, ...] = ()


def unreached(
    roster: Roster,
    rules: Iterable[Ruled],
    sections: Collection[str],
    channels: Collection[str],
    now: datetime,
    span: timedelta = SPAN,
) -> tuple[Gap, ...]:
    """`sections`: the desks whose addresses get mail where no group can be told."""
    named = {watch.station_id for group in roster.groups for watch in group.watches}
    cases: dict[tuple[What, About], dict[tuple[str, str], None]] = {}
    for rule in rules:
        about = rule.about
        station = about.station_id if about.station_id in named else None
        cases.setdefault((rule.what, About(about.desk, station, about.level, about.severity)), {})[rule.name] = None
    found: dict[tuple[int, ...], tuple[tuple[datetime, datetime], ...]] = {}
    gaps: dict[tuple[What, str, datetime, datetime], dict[tuple[str, str], list[About]]] = {}
    for (what, about), names in cases.items():
        if about.desk in sections:
            continue
        groups = watching(roster, about)
        key = tuple(group.group_id for group in groups)
        if key not in found:
            found[key] = tuple(_spans(roster, groups, about, channels, now, now + span))
        for start, end in found[key]:
            here = gaps.setdefault((what, about.desk, start, end), {})
            for name in names:
                here.setdefault(name, []).append(about)
    return tuple(_gaps(gaps))


def causes(rules: Iterable[Ruled], gaps: Iterable[Gap]) -> tuple[str, ...]:
    """`nobody_told:all` where nobody is told of anything, `nobody_told:DESK` where nobody is of anything of a desk's,
    `rules_untold:DESK` where that is so of some of it only.

    >>> rules = [Ruled("silence", About("digital"), ("橋", "Bridge")), Ruled("operation", About("digital"), ("", ""))]
    >>> now = datetime(2026, 6, 1)
    >>> causes(rules, [Gap("silence", "digital", (("橋", "Bridge"),), now, now)])
    ('rules_untold:digital',)
    >>> causes(rules[:1], [Gap("silence", "digital", (("橋", "Bridge"),), now, now)])
    ('nobody_told:all',)
    """
    wanted: dict[str, set[tuple[What, tuple[str, str], int | None]]] = {}
    for rule in rules:
        wanted.setdefault(rule.about.desk, set()).add((rule.what, rule.name, rule.about.level))
    without: dict[str, set[tuple[What, tuple[str, str], int | None]]] = {}
    for gap in gaps:
        levels = gap.levels or (None,)
        without.setdefault(gap.desk, set()).update((gap.what, name, level) for name in gap.names for level in levels)
    whole = {desk for desk, those in wanted.items() if those <= without.get(desk, set())}
    if whole and whole == wanted.keys():
        return ("nobody_told:all",)
    return tuple(f"{'nobody_told' if desk in whole else 'rules_untold'}:{desk}" for desk in sorted(without))


def shift_changes(groups: Iterable[Group], roster: Roster, start: datetime, end: datetime) -> Iterator[datetime]:
    """The moments after `start` and before `end` at which a shift of one of the groups begins, in order."""
    first = start.astimezone(roster.zone).date() - _DAY
    days = (end - start) // _DAY + 3
    found = {
        datetime.combine(first + n * _DAY, at, roster.zone).astimezone(start.tzinfo)
        for at in {each for group in groups for each in (group.day_starts, group.day_ends)}
        for n in range(days)
    }
    yield from sorted(each for each in found if start < each < end)


def _gaps(
    found: Mapping[tuple[What, str, datetime, datetime], Mapping[tuple[str, str], Sequence[About]]],
) -> Iterator[Gap]:
    """Names of which the same levels are told to nobody stand together."""
    for (what, desk, start, end), names in found.items():
        alike: dict[tuple[int, ...], list[tuple[str, str]]] = {}
        for name, those in names.items():
            alike.setdefault(tuple(sorted({each.level for each in those if each.level is not None})), []).append(name)
        for levels, said in alike.items():
            severities = {each.severity for name in said for each in names[name] if each.severity is not None}
            yield Gap(what, desk, tuple(said), start, end, levels, tuple(sorted(severities)))


def _spans(
    roster: Roster,
    groups: tuple[Group, ...],
    about: About,
    channels: Collection[str],
    start: datetime,
    end: datetime,
) -> Iterator[tuple[datetime, datetime]]:
    """When nobody is told at once, neighbouring shifts taken together."""
    begins = [start, *shift_changes(groups, roster, start, end)]
    since: datetime | None = None
    for at in begins:
        steps = ladder(roster, about, at, channels)
        reached = bool(steps) and any(not call.person.equipment for call in steps[0])
        if reached and since is not None:
            yield since, at
            since = None
        elif not reached and since is None:
            since = at
    if since is not None:
        yield since, end
