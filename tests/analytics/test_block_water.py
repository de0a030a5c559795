"""The water of a block: nothing is lost in spreading, nothing unknown is a number, a table is taken whole or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.leaks.blocks.balance import Metered, balance, months, whole_year
from analytics.leaks.blocks.change import Change, change
from analytics.leaks.blocks.hourly import Hourly, Read
from analytics.leaks.blocks.meter_file import FileProblems, Line, plan, read
from analytics.leaks.blocks.night_use import Use, excess
from analytics.leaks.blocks.recovery import Nights, Recovery, recovery
from analytics.leaks.meters.sums import Hours
from analytics.leaks.night_alarm import Night
from devices.sheets import read_sheet

APRIL = date(2026, 4, 1)
DAY = timedelta(days=1)
TODAY = date(2026, 10, 1)
BLOCKS = {"浜町": 1, "block-yama": 2}


def test_what_was_read_is_spread_without_loss_and_compared_with_the_same_days_only() -> None:
    dice = np.random.default_rng(1)
    for _ in range(50):
        ends = (
            APRIL + DAY * 3,
            *(APRIL + DAY * int(n) for n in sorted(dice.choice(np.arange(10, 170), 3, replace=False))),
        )
        readings = [
            Metered(first, last, float(dice.uniform(0, 9000)), float(dice.uniform(0, 90)))
            for first, last in pairwise(ends)
        ]
        known = {APRIL + DAY * int(n): float(dice.uniform(50, 150)) for n in dice.choice(183, 150, replace=False)}
        each, year = months(2026, TODAY, known, readings), whole_year(2026, TODAY, known, readings)
        assert sum(month.billed or 0 for month in each) == pytest.approx(sum(one.billed for one in readings))
        assert year.billed == pytest.approx(sum(one.billed for one in readings)) and year.days == 183
        assert sum(month.inflow or 0 for month in each) == pytest.approx(sum(known.values()))
        shared = [day for day in known if ends[0] <= day < ends[-1]]
        assert year.shared_days == sum(month.shared_days for month in each) == len(shared)
        if len(shared) >= 28:
            assert year.billed_share is not None and year.lost is not None and year.effective_share is not None
            flowed = sum(known[day] for day in shared)
            assert flowed * (1 - year.billed_share) == pytest.approx(year.lost)
            assert year.effective_share >= year.billed_share
        assert all(month.billed_share is None for month in each if month.shared_days < 0.85 * month.days)


def test_missing_is_no_zero_and_no_share() -> None:
    inflow = {APRIL + DAY * n: 100.0 for n in range(30)}
    april = APRIL, date(2026, 5, 1)
    none = balance(*april, inflow, [], fewest=25)
    assert (none.inflow, none.billed, none.billed_share, none.lost) == (3000.0, None, None, None)
    nobody = balance(*april, inflow, [Metered(*april, 0.0, None)], fewest=25)
    assert (nobody.billed, nobody.billed_share, nobody.effective_share, nobody.lost) == (0.0, 0.0, None, 3000.0)
    dry = balance(*april, dict.fromkeys(inflow, 0.0), [Metered(*april, 10.0, None)], fewest=25)
    assert (dry.inflow, dry.billed_share) == (0.0, None)


def test_hourly_meters_say_on_which_days_of_a_period_and_what_was_not_read_yet() -> None:
    dice = np.random.default_rng(4)
    used = {APRIL + DAY * n: Read(float(dice.uniform(50, 150)), 0.8) for n in range(-20, 90)}
    flowed = dict.fromkeys(used, 200.0)
    read = Metered(APRIL - DAY * 20, APRIL + DAY * 40, 4200.0, 60.0)
    each = months(2026, APRIL + DAY * 90, flowed, [read], used)
    whole = sum(one.m3 for day, one in used.items() if read.start <= day < read.end)
    inside = {day: one.m3 * 4200 / whole for day, one in used.items() if day < read.end}
    said = inside | {day: one.m3 for day, one in used.items() if day >= read.end}
    for month in each:
        days = [day for day in said if month.first <= day < month.end]
        assert month.billed == pytest.approx(sum(said[day] for day in days)) and month.billed_days == len(days)
        later = [day for day in days if day >= read.end]
        assert month.hourly_days == len(later) and month.hourly_read == (pytest.approx(0.8) if later else None)
        assert (month.effective_share is None) == bool(later), "what is effective and not billed no meter says"
    del used[APRIL]  # one day of the period is not known: nothing says how its water is shared out
    assert months(2026, APRIL + DAY * 90, flowed, [read], used)[0].billed == pytest.approx(30 * 70)


def test_an_hour_and_a_day_of_meters_are_scaled_to_all_and_too_few_say_nothing() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    litres, meters = np.arange(1.0, 97.0), np.repeat([50, 40, 100, 60], 24)
    found = Hourly.of(Hours(datetime(2026, 6, 1, tzinfo=UTC), litres, meters), 80)
    assert found.at(datetime(2026, 6, 1, 3, 15, tzinfo=UTC)) == (
        pytest.approx((0.75 * 4 + 0.25 * 5) / 0.625 / 1000),
        0.625,
    )
    assert found.at(datetime(2026, 5, 31, 23, tzinfo=UTC)) == found.at(datetime(2026, 6, 9, tzinfo=UTC)) == (None, None)
    # A day of the town begins at 15 o'clock of UTC; of all connections no more than all are read.
    days = found.days(tokyo)
    assert list(days) == [date(2026, 6, 2), date(2026, 6, 3), date(2026, 6, 4)]
    assert days[date(2026, 6, 4)].m3 == pytest.approx((litres[63:72].sum() + litres[72:87].sum() / 0.75) / 1000)
    assert days[date(2026, 6, 4)].read == pytest.approx((9 + 15 * 0.75) / 24)
    few = Hourly.of(Hours(found.start, litres, meters), 201)
    assert few.days(tokyo) == {} and few.at(found.start) == (None, pytest.approx(50 / 201))


def nights(values: np.ndarray, first: date = date(2026, 6, 1)) -> list[Night]:
    return [Night(first + DAY * n, None if np.isnan(value) else float(value)) for n, value in enumerate(values)]


def test_a_step_a_drift_and_nothing_are_told_apart() -> None:
    told: list[tuple[str, Change | None]] = []
    for seed in range(20):
        dice = np.random.default_rng(seed)
        quiet = 4 + dice.normal(0, 0.2, 60)
        quiet[dice.choice(60, 3, replace=False)] += 4.0  # a burst, a filling, a fire
        quiet[dice.choice(60, 4, replace=False)] = np.nan
        ramp = np.clip(np.arange(60) - 25, 0, None)
        told += [
            (kind, change(nights(values)))
            for kind, values in (
                ("none", quiet),
                ("step", quiet + 1.5 * (np.arange(60) >= 35)),
                ("drift", quiet + 0.08 * ramp),
            )
        ]
    found = {kind: [each for said, each in told if said == kind] for kind in ("none", "step", "drift")}
    assert found["none"].count(None) == 20
    steps = [each for each in found["step"] if each is not None and not each.growing]
    assert len(steps) >= 19 and all(abs((each.since - date(2026, 7, 6)).days) <= 3 for each in steps)
    assert np.median([each.size for each in steps]) == pytest.approx(1.5, abs=0.15)
    drifts = [each for each in found["drift"] if each is not None and each.growing]
    assert len(drifts) >= 16 and np.median([each.size for each in drifts]) == pytest.approx(0.08 * 34, abs=0.4)
    assert change(nights(np.linspace(4, 9, 13))) is None, "thirteen nights are too few"


def test_an_excess_needs_nights_and_the_use_and_leaves_the_new_year_out() -> None:
    around = nights(np.r_[np.full(8, 5.0), np.full(6, 9.0)], date(2025, 12, 21))  # to 3 January
    until = around[-1].day
    use = Use(1000, 2.0, 1.0)
    assert excess(around, use, 4.0, until=until) == excess(around[:8], use, 4.0, until=until)
    assert excess(around, use, None, until=until).per_km is None
    unknown = excess(around, Use(), 4.0, until=until)
    assert (unknown.night, unknown.legitimate, unknown.excess) == (5.0, None, None)
    assert excess(around[:3], use, 4.0, until=until).excess is None and excess([], use, 4.0, until=until).nights == 0
    assert excess(around, use, 4.0, until=until + 20 * DAY).night is None, "it has been silent since"


def test_nights_of_frost_are_no_usual_nights_where_the_air_is_measured() -> None:
    cold = {4, 5, 9}
    flow = [9.0 if n in cold else 5.0 for n in range(14)]
    measured = [Night(date(2026, 1, 10) + DAY * n, each, n in cold) for n, each in enumerate(flow)]
    until = measured[-1].day
    use = Use(1000, 2.0, 1.0)
    found = excess(measured, use, 4.0, until=until)
    assert (found.night, found.nights) == (5.0, 7) and found.frost == tuple(measured[n].day for n in sorted(cold))
    unknown = [replace(each, frost=None) for each in measured]
    assert excess(unknown, use, 4.0, until=until).frost is None
    mended = date(2026, 1, 17)
    told, guessed = (recovery(each, mended, use=Use(0, known=3.0), until=until) for each in (measured, unknown))
    assert (told.winter, told.frost, told.left_out, told.before.n) == (False, 3, 0, 5)
    assert (guessed.winter, guessed.frost, guessed.before.n) == (True, 0, 7)


def lines(text: str, encoding: str = "utf-8") -> list[Line]:
    return read(read_sheet(text.encode(encoding)), BLOCKS, TODAY)


def test_a_table_is_read_as_offices_write_it() -> None:
    table = (
        '配水ブロック,前回検針日,今回検針日,検針水量（ｍ３）,有効無収水量\n浜 町,R8.4.10,令和8年6月9日,"12,345.5",100\n'
    )
    table += "BLOCK-YAMA,2026/4/1,2026-06-01,０,\n"
    expected = [
        Line(1, (date(2026, 4, 10), date(2026, 6, 9)), (12345.5, 100.0), "A2"),
        Line(2, (APRIL, date(2026, 6, 1)), (0.0, None), "A3"),
    ]
    assert lines(table) == lines(table, "cp932") == expected


def test_all_that_is_wrong_is_told_with_its_cell_and_nothing_is_taken() -> None:
    head = "ブロック,前回検針日,今回検針日,有収水量\n"
    rows = [
        "山の手,2026-04-01,2026-06-01,1",
        "浜町,4/1,2026-06-01,1",
        "浜町,2026-06-01,2026-06-01,1",
        "浜町,2025-01-01,2026-06-01,1",
        "浜町,2026-08-01,2026-10-02,1",
        "浜町,2026-04-01,2026-06-01,約1",
        "浜町,2026-04-01,2026-06-01,-1",
    ]
    with pytest.raises(FileProblems) as told:
        lines(head + "\n".join(rows))
    assert [(each.code, each.cell) for each in told.value.problems] == [
        ("block", "A2"), ("date", "B3"), ("order", "C4"), ("long", "C5"), ("future", "C6"), ("number", "D7"),
        ("number", "D8"),
    ]  # fmt: skip
    with pytest.raises(FileProblems) as told:
        lines("ブロック,氏名,前回検針日,今回検針日\n浜町,山田,2026-04-01,2026-06-01\n")
    assert [(each.code, each.text) for each in told.value.problems] == [("column", "氏名"), ("need", "有収水量")]


def test_periods_are_put_right_and_taken_back_but_never_overlap() -> None:
    spring, summer = (APRIL, date(2026, 6, 1)), (date(2026, 6, 1), date(2026, 8, 1))
    current = {(1, spring): (100.0, None), (1, summer): (120.0, 5.0)}
    found = plan([Line(1, spring, (90.0, None), "A2"), Line(1, summer, (120.0, 5.0), "A3")], current)
    assert (found.put, found.corrected, found.unchanged) == ({(1, spring): (90.0, None)}, 1, 1)
    wider = (APRIL, date(2026, 6, 5))
    moved = plan(
        [Line(1, spring, None, "A2"), Line(1, summer, None, "A3"), Line(1, wider, (95.0, None), "A4")], current
    )
    assert moved.gone == [(1, spring), (1, summer)] and list(moved.put) == [(1, wider)]
    for wrong, code in (
        ([Line(1, wider, (1.0, None), "A2")], "overlap"),
        ([Line(2, spring, None, "A2")], "nothing"),
        ([Line(2, spring, (1.0, None), "A2"), Line(2, spring, (2.0, None), "A3")], "twice"),
    ):
        with pytest.raises(FileProblems) as told:
            plan(wrong, current)
        assert {each.code for each in told.value.problems} == {code}


def test_what_a_repair_brought_is_told_from_what_came_back_and_from_what_nobody_knows() -> None:
    """8 m3/h until the repair, 5 after it, 6 of late; 3 are used."""
    flow = np.concatenate([np.full(20, 8.0), [7.0], np.full(20, 5.0), np.full(20, 6.0)])
    flow[[3, 15, 22]] = 30.0  # a burst, a filling, a fire: medians
    mended = date(2026, 6, 21)

    def after(days: int, use: Use | None = None) -> Recovery:
        known = nights(flow[: 21 + days])
        return recovery(known, mended, use=use or Use(0, known=3.0), until=known[-1].day)

    found = after(40)
    assert (found.gone, found.share, found.returned, found.left_out, found.winter) == (3.0, 0.6, 1.0, 0, False)
    assert (after(40, Use()).gone, after(40, Use()).share, after(40, Use(0, known=9.0)).share) == (3.0, None, None)
    assert after(3).gone is None and after(3).after == Nights(None, 3), "too few nights are no figure"
    assert after(7).gone == 3.0 and after(7).returned is None, "the nights after the repair are not what came back"
    # The same about New Year: the nights of 29 December to 3 January count on neither side.
    winter = nights(flow, date(2026, 12, 8))
    odd = recovery(winter, date(2026, 12, 28), use=Use(0, known=3.0), until=winter[-1].day)
    assert (odd.gone, odd.left_out, odd.winter) == (3.0, 6, True)
