"""What a threshold set changes: against the one before it, at the river as it is now, in rules and standing approvals.

changes_of(before, after)     level by level, from what to what
effect_of(conn, ...)          what follows from a set that is not saved yet
log_of(sets)                  the change log of a station: who wrote which set when, and what it changed
log_file(log, zone)           the same for a spreadsheet
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.public.basis import SetInForce, sets_in_force
from alerts.public.standing import StandingApproval, approvals
from alerts.rule_book import rules_of
from alerts.rules.condition import sight
from devices.levels import LevelKind
from devices.model import ThresholdLevel
from store.connection import Connection
from store.levels import DatedSet, Level, in_force, replaced_by

_COLUMNS = (
    "station", "made_at", "by", "valid_from", "corrects", "reason", "level", "name", "name_en", "kind",
    "before_m", "after_m", "before_tp_m", "after_tp_m",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One level that is another than before, or gone, or new; None where it was not, or is no longer."""

    before: Level | None
    after: Level | None

    @property
    def level(self) -> Level:
        found = self.after or self.before
        assert found is not None, "a change has a side"
        return found


@dataclass(frozen=True, slots=True)
class Figures:
    """What of a set is no level: (before, after) of gauge zero in m above T.P., the margin (m) and the hold (min)."""

    zero: tuple[float | None, float | None]
    margin: tuple[float, float]
    hold: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Written:
    """A line of the change log. `before`: the set that stood at its beginning."""

    set: DatedSet
    before: DatedSet | None
    changes: tuple[Change, ...]
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class UsedBy:
    """A rule that names levels of the station; `lost`: those, by number or name, that the new set has not."""

    rule_id: int
    name: str
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What follows from a set. `stands`: whether it is the one in force from now on; `coming`: later. `old_level` and
    `new_level`: what the present level reaches of them, None where that is not known. `approvals` tell nothing any more
    once it is in force. `basis`: whose levels the set before holds. `above_overflow`: levels 1 to 4 above overflow.
    """

    new: DatedSet
    before: DatedSet | None
    changes: tuple[Change, ...]
    figures: Figures | None
    stands: bool
    coming: bool
    value: float | None
    old_level: int | None
    new_level: int | None
    rules: tuple[UsedBy, ...]
    approvals: tuple[StandingApproval, ...]
    basis: SetInForce | None
    above_overflow: tuple[ThresholdLevel, ...]

    @property
    def nothing(self) -> bool:
        """Whether it says just what stood before."""
        return not self.changes and self.figures is None and self.before is not None


def changes_of(before: DatedSet | None, after: DatedSet) -> tuple[Change, ...]:
    """Level by level, the highest first. A level is the same one where its number, or without one its name, is."""
    old = {_key(each): each for each in (() if before is None else before.every)}
    new = {_key(each): each for each in after.every}
    changed = [Change(old.get(key), each) for key, each in new.items() if old.get(key) != each]
    gone = [Change(each, None) for key, each in old.items() if key not in new]
    return tuple(sorted([*changed, *gone], key=lambda each: -each.level.value))


def figures_of(before: DatedSet | None, after: DatedSet) -> Figures | None:
    """None where nothing of it is different."""
    if before is None:
        return None
    found = Figures(
        (before.gauge_zero_tp, after.gauge_zero_tp),
        (before.clear_margin, after.clear_margin),
        (before.hold.total_seconds() / 60, after.hold.total_seconds() / 60),
    )
    different = any(old != new for old, new in (found.zero, found.margin, found.hold))
    return found if different else None


def effect_of(
    conn: Connection,
    municipality_id: int,
    *,
    station_id: int,
    kind: str,
    sets: Sequence[DatedSet],
    new: DatedSet,
    value: float | None,
    now: datetime,
    zone: ZoneInfo,
) -> Effect:
    """What follows from a set that is not saved yet. `value`: the present level, None where there is none."""
    before = replaced_by(sets, new)
    # As the sets would stand with it: of one date it is the newest.
    after = sorted([new, *sets], key=lambda each: (each.valid_from, each.set_id), reverse=True)
    stands = in_force(after, now) is new
    coming = new.valid_from > now
    stopping = approvals(conn, now, station_id=station_id) if stands or coming else []
    present = in_force(sets, now)
    overflow = new.overflow
    return Effect(
        new,
        before,
        changes_of(before, new),
        figures_of(before, new),
        stands,
        coming,
        value,
        None if value is None or present is None else reached(present, value),
        None if value is None else reached(new, value),
        tuple(_rules(conn, municipality_id, station_id, kind, new, now)),
        tuple(each for each in stopping if each.state(now, zone) in ("holds", "unsigned")),
        None if before is None else next(iter(_basis(conn, before, station_id)), None),
        tuple(
            each
            for each in new.levels
            if overflow is not None and each.level < 5 and each.value >= overflow.value and each is not overflow
        ),
    )


def reached(levels: DatedSet, value: float) -> int:
    """The highest number that a level reaches; 0 below all."""
    return max((each.level for each in levels.levels if value >= each.value), default=0)


def log_of(sets: Sequence[DatedSet]) -> list[Written]:
    """What was written last first. Each set is compared with what stood at its beginning when it was written."""
    written = sorted(sets, key=lambda each: each.set_id)
    found = []
    for n, each in enumerate(written):
        known = sorted(written[:n], key=lambda other: (other.valid_from, other.set_id), reverse=True)
        before = replaced_by(known, each)
        found.append(Written(each, before, changes_of(before, each), figures_of(before, each)))
    return found[::-1]


def log_file(station: str, log: Sequence[Written], zone: ZoneInfo) -> bytes:
    """Every change of every level, oldest first, UTF-8 with a BOM; heights in m above gauge zero and above T.P."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for line in reversed(log):
        new, old = line.set, line.before
        said = (
            station,
            "" if new.made_at is None else new.made_at.astimezone(zone).isoformat(timespec="minutes"),
            _cell(new.by or ""),
            new.valid_from.astimezone(zone).isoformat(timespec="minutes"),
            "" if new.corrects is None or old is None else _stamp(old, zone),
            _cell(new.reason),
        )
        if line.figures is not None and line.figures.zero[0] != line.figures.zero[1]:
            heights = ["" if each is None else f"{each:.2f}" for each in line.figures.zero]
            writer.writerow((*said, "", "零点高", "Gauge zero", "zero", "", "", *heights))
        for change in line.changes:
            level = change.level
            zeros = (None if old is None else old.gauge_zero_tp, new.gauge_zero_tp)
            sides = (change.before, change.after)
            writer.writerow(
                (
                    *said,
                    level.level if isinstance(level, ThresholdLevel) else "",
                    _cell(level.name),
                    _cell(level.name_en),
                    level.kind.value,
                    *("" if side is None else f"{side.value:.2f}" for side in sides),
                    *(
                        "" if side is None or zero is None else f"{zero + side.value:.2f}"
                        for side, zero in zip(sides, zeros, strict=True)
                    ),
                )
            )
    return text.getvalue().encode()


def _stamp(each: DatedSet, zone: ZoneInfo) -> str:
    return "町ファイル" if each.made_at is None else each.made_at.astimezone(zone).isoformat(timespec="minutes")


def _cell(text: str) -> str:
    """What people wrote, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _key(level: Level) -> tuple[int, str]:
    return (level.level, "") if isinstance(level, ThresholdLevel) else (0, level.name)


def _rules(
    conn: Connection, municipality_id: int, station_id: int, kind: str, new: DatedSet, now: datetime
) -> list[UsedBy]:
    known: set[int | str] = {each.level for each in new.levels}
    known |= {each.name for each in new.every if each.kind is not LevelKind.DESIGN}
    if new.overflow is not None:
        known.add(5)
    found = []
    for rule in rules_of(conn, municipality_id):
        version = rule.at(now) or rule.versions[-1]
        if rule.station_id not in (None, station_id) or (rule.station_id is None and rule.kind != kind):
            continue
        used = sight(version.body).references
        if version.active and used:
            found.append(UsedBy(rule.rule_id, version.name, tuple(str(each) for each in used if each not in known)))
    return found


def _basis(conn: Connection, before: DatedSet, station_id: int) -> list[SetInForce]:
    held = sets_in_force(conn, before.valid_from, station_id)
    return [each for each in held if each.threshold_set_id == before.set_id]
