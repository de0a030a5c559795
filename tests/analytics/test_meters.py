"""Customers' meters: a leak is what never stops, nothing missing is zero, and of a file no more is read than asked."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.leaks.meters import sums
from analytics.leaks.meters.reading import Found, MeterFileError, read_meters
from analytics.leaks.meters.signs import DAY, SHORTEST_RUN, SHORTEST_STILL, Floats, flows, judge
from analytics.leaks.meters.stored import Series
from analytics.leaks.meters.town import LEAST, look
from store import connect
from tests.conftest import Registered

TOKYO = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def household(days: int, seed: int = 1) -> Floats:
    """Litres by hour: nothing from 0 to 5 o'clock, something or nothing at other times."""
    draw = np.random.default_rng(seed)
    hours = np.round(draw.gamma(0.5, 40, days * DAY)) * (draw.random(days * DAY) < 0.6)
    hours[np.arange(hours.size) % DAY < 5] = 0
    hours[DAY - 1 :: DAY] = 40  # used every evening
    return hours


@settings(max_examples=60, deadline=None)
@given(
    leak=st.integers(1, 80),
    runs=st.integers(SHORTEST_RUN - 30, 400),
    missing=st.floats(0, 0.08),
    seed=st.integers(0, 999),
)
def test_a_leak_is_found_when_nothing_has_stopped_for_three_days(
    leak: int, runs: int, missing: float, seed: int
) -> None:
    hours = household(40, seed)
    hours[-runs:] += leak
    gone = np.random.default_rng(seed).random(hours.size) < missing
    gone[-1] = False
    hours[gone] = np.nan
    stops = np.flatnonzero(hours == 0)
    judged, found = judge(hours), judge(hours).continuous
    if hours.size - 1 - int(stops[-1]) < SHORTEST_RUN:
        assert found is None and judged.state == "judged", "it stopped within three days"
    elif found is None:
        assert judged.state == "short", "too much is missing to say"
        assert np.isfinite(hours[stops[-1] + 1 :]).mean() < 0.9
    else:
        assert found.since == stops[-1] + 1 and found.litres is not None
        assert found.litres == np.nanmin(hours[-SHORTEST_RUN:])
        assert runs < SHORTEST_RUN or found.litres >= leak


def test_a_household_has_no_sign_and_the_same_by_dial_and_by_flow() -> None:
    hours = household(60)
    assert judge(hours).signs == () and judge(hours).state == "judged"
    hours[-100:] += 12
    by_dial = flows(1e6 + np.concatenate([[0.0], np.cumsum(hours)]), "index")[:-1]
    assert judge(by_dial) == judge(hours) and judge(hours).continuous is not None


def test_a_coarse_dial_sees_a_flow_over_several_hours_or_says_that_it_cannot() -> None:
    flow = np.where(np.arange(20 * DAY) % DAY < 5, 30.0, 130.0)  # L/h all night
    dial = np.concatenate([[0.0], np.cumsum(flow)])
    found = judge(flows(np.floor(dial / 100) * 100, "index")[:-1])
    assert (found.state, found.step) == ("judged", 100) and found.continuous is not None
    assert 20 <= (found.continuous.litres or 0) <= 30.1
    whole = judge(flows(np.floor(dial / 1000) * 1000, "index")[:-1])
    assert (whole.state, whole.signs) == ("coarse", ())


@pytest.mark.parametrize("still", [SHORTEST_STILL - 1, SHORTEST_STILL])
def test_a_meter_stands_still_after_two_weeks_and_only_where_values_came(still: int) -> None:
    hours = household(60)
    hours[-still - 1], hours[-still:] = 5, 0
    kinds = [each.kind for each in judge(hours).signs]
    assert kinds == (["stopped"] if still == SHORTEST_STILL else [])
    hours[-still:] = np.nan
    assert (judge(hours).state, judge(hours).signs) == ("silent", ()), "nothing came: that is not zero"
    assert judge(np.zeros(60 * DAY)).signs == (), "never used: nobody knows that it ever moved"


def test_water_that_runs_back_is_told_and_a_trembling_or_a_new_dial_is_not() -> None:
    hours = household(60)
    dial = np.concatenate([[0.0], np.cumsum(hours)]) + 500_000
    trembling = dial.copy()
    trembling[-30] = trembling[-31] - 1
    assert judge(flows(trembling, "index")[:-1]).signs == ()
    changed = dial.copy()
    changed[-200:] -= dial[-200]
    assert judge(flows(changed, "index")[:-1]).signs == (), "the dial of a new meter begins at 0"
    back = hours.copy()
    back[-40:-37] = -7
    (sign,) = judge(back).signs
    assert (sign.kind, sign.since, sign.litres, sign.hours) == ("reverse", hours.size - 40, 21, 3)


def meters(n: int, block: str | None, hours: Floats, begin: int = 1) -> list[Series]:
    return [Series(begin + i, block, "usage", hours) for i in range(n)]


def test_a_block_of_few_meters_is_in_no_list_and_no_sum() -> None:
    hours = household(60)
    leaking = hours + 10
    series = [
        *meters(LEAST, "大浜", hours),
        *meters(LEAST - 1, "山手", leaking, 100),
        *meters(3, None, leaking, 200),
        *meters(1, "大浜", leaking, 300),
    ]
    town = look(series, NOW.date() - timedelta(days=60), now=NOW, zone=TOKYO)
    assert [each.name for each in town.blocks] == ["大浜"] and set(town.small) == {"山手", None}
    assert [each.meter.meter_id for each in town.shown] == [300] and town.shown[0].sign.before
    (block,) = town.blocks
    assert (block.meters, block.signs["continuous"], block.day) == (11, 1, date(2026, 5, 31))
    # the local day of 31 May: from 15:00 UTC of the day before
    day = hours[-33:-9]
    assert block.day_m3 == pytest.approx((11 * day.sum() + 240) / 1000)
    assert block.night_m3h == pytest.approx((11 * day[1:5].sum() + 40) / 4000)


def read(text: str | bytes, **changes: datetime) -> Found:
    data = text if isinstance(text, bytes) else text.encode()
    return read_meters(data, zone=TOKYO, **{"oldest": NOW - timedelta(days=30), "newest": NOW, **changes})


def test_a_file_gives_numbers_hours_and_blocks_and_names_are_left_alone() -> None:
    found = read(
        "お客様氏名,メーター番号,日時,指針（㎥）,ブロック\n"
        "山田,00-123,2026/5/31 9:00,12.345,大浜\n"
        "山田,123,2026-05-31T01:00Z,12.350,大浜\n"
        "山田,１２３,2026年5月31日 24時,12.4,\n"
        "山田,123,2026-05-31 11:00,,大浜\n"
        "山田,,2026-05-31 11:00,1,大浜\n"
        "山田,123,昨日,1,大浜\n"
        "山田,123,2026-05-31 11:20,1,大浜\n"
        "山田,123,2026-05-31 12:00,-1,大浜\n"
        "山田,123,2020-05-31 12:00,1,大浜\n"
        "山田,123,2026-07-31 12:00,1,大浜\n"
    )
    assert (found.counts, found.hours, found.ignored, list(found.meters)) == ("index", 3, ("お客様氏名",), ["123"])
    (meter,) = found.meters.values()
    assert meter.block == "大浜" and set(meter.days) == {date(2026, 5, 31)}
    known = {
        int(at): meter.days[date(2026, 5, 31)][at] for at in np.flatnonzero(np.isfinite(meter.days[date(2026, 5, 31)]))
    }
    assert known == {0: 12345, 1: 12350, 15: 12400}
    codes = ["number", "time", "hour", "value", "old", "future"]
    assert [(line, code) for line, code, _ in found.problems] == list(zip(range(6, 12), codes, strict=True))
    assert found.refused == 6 and "山田" not in repr(found) and "昨日" not in repr(found)


def test_a_workbook_is_read_with_its_own_times() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    midnight = datetime(2026, 5, 31)  # noqa: DTZ001 as a workbook keeps it
    for row in (["meter", "time", "usage (L)"], [17, midnight, 4], [17, midnight + timedelta(hours=1), 0.0]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    (meter,) = read(out.getvalue()).meters.values()
    assert meter.days[date(2026, 5, 30)][15:17].tolist() == [4, 0], "midnight is the day alone"


@pytest.mark.parametrize(("what", "first"), [("指針(m3)", 0), ("指針(m3)", 1), ("使用量(L)", 0), ("使用量(L)", 1)])
def test_a_line_for_a_day_says_what_its_lines_for_hours_say(what: str, first: int) -> None:
    values = [str(20 + n) for n in range(24)]
    ends = what.startswith("使用量") and first
    times = [datetime(2026, 5, 31, tzinfo=TOKYO) + timedelta(hours=first + n - bool(ends)) for n in range(24)]
    by_hour = f"メーター番号,日時,{what}\n" + "".join(
        f"7,{at:%Y-%m-%d %H:%M},{value}\n" for at, value in zip(times, values, strict=True)
    )
    heads = ",".join(f"{what}{first + n}時" for n in range(24))
    found, one = read(f"メーター番号,日付,{heads},\n7,2026/5/31,{','.join(values)}\n"), read(by_hour)
    assert found.counts == one.counts and found.hours == one.hours == 24 and not found.refused
    for day, hours in one.meters["7"].days.items():
        np.testing.assert_array_equal(found.meters["7"].days[day], hours)


def test_of_a_line_for_a_day_a_wrong_value_goes_alone_and_a_wrong_day_with_all() -> None:
    found = read(
        "メーター番号,日付,指針 0:00,指針 1:00,指針 2:00\n7,2026-05-31,1,x,3\n7,昨日,1,2,3\n7,2026-05-30 5:00,1,2,3\n"
    )
    assert found.hours == 2 and found.refused == 3
    assert found.problems == [(2, "value", "指針 1:00"), (3, "time", "日付"), (4, "day", "日付")]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("番号,日時,指針", "number"),
        ("メーター番号,時,指針", "time"),
        ("メーター番号,日時,値", "value"),
        ("メーター番号,日時,使用量", "unit"),
        ("メーター番号,日時,指針(ft3)", "unit"),
        ("メーター番号,日時,指針,使用量(L)", "both"),
        ("メーター番号,計器番号,日時,指針", "twice"),
        ("メーター番号,日付,0時,1時", "hours"),
        ("メーター番号,日付,使用量(L)0時,使用量(L)24時", "hours"),
        ("メーター番号,日付,使用量(L)0時,使用量(L)25時", "hours"),
        ("メーター番号,日付,使用量(L)0時,使用量(m3)1時", "unit"),
        ("メーター番号,日付,使用量0時,使用量1時", "unit"),
        ("メーター番号,日付,使用量(L)0時,指針1時", "both"),
        ("メーター番号,日付,使用量(L)0時,使用量(L)00:00", "twice"),
        ("メーター番号,日付,使用量(L)0時,使用量(L)", "twice"),
    ],
)
def test_a_header_that_will_not_do_is_refused_with_what_is_missing(head: str, code: str) -> None:
    with pytest.raises(MeterFileError) as refused:
        read(f"{head}\n")
    assert refused.value.code == code


def test_a_meter_that_is_new_is_judged_by_what_came_and_not_by_the_days_before() -> None:
    hours = np.full(60 * DAY, np.nan)
    hours[-SHORTEST_RUN + 1 :] = 8
    assert (judge(hours).state, judge(hours).signs) == ("short", ())
    hours[-SHORTEST_RUN] = 8
    (sign,) = judge(hours).signs
    assert (sign.since, sign.litres, sign.before) == (hours.size - SHORTEST_RUN, 8, True)


def test_what_was_taken_in_before_there_were_sums_has_the_same_sums_as_if_it_came_now(registered: Registered) -> None:
    """Two blocks of dials and of litres, with days and hours missing, one dial that is another one from some hour on,
    and meters that are in no block; of the days on which ten are known, and on which nine are."""
    draw, days = np.random.default_rng(3), [date(2026, 5, n) for n in range(1, 9)]
    dials = np.cumsum(np.round(draw.gamma(0.5, 40, (40, len(days) * DAY))), axis=1) + 1e5
    dials[3, 70:] -= 9e4
    dials[5, 100:] += 3e5
    gone = draw.random(dials.shape) < 0.03
    gone[11:15, 120:] = True
    town = registered.municipality_id
    with connect(registered.owner, name="test") as conn:
        for n, (values, lost) in enumerate(zip(dials, gone, strict=True)):
            counts = "index" if n < 14 else "usage"
            block = "東" if n < 14 else "西" if n < 28 else None
            (meter,) = conn.execute(
                "insert into smart_meter (municipality_id, keyed, block, counts) values (%s, %s, %s, %s) "
                "returning meter_id",
                (town, bytes([n]) * 32, block, counts),
            ).fetchone()
            hours = values if counts == "index" else np.diff(values, prepend=values[0])
            for at, day in enumerate(days):
                if (n + at) % 11 == 0:
                    continue
                own = [None if lost[hour] else float(hours[hour]) for hour in range(at * DAY, (at + 1) * DAY)]
                conn.execute("insert into smart_meter_day values (%s, %s, %s, %s)", (meter, town, day, own))
        sums.add_up(conn, town, {"東", "西"}, days)
        kept = "select block, day, litres, meters from smart_block_day order by 1, 2"
        expected = conn.execute(kept).fetchall()
        some = [None in litres for _, _, litres, _ in expected]
        assert {block for block, *_ in expected} == {"東", "西"} and any(some) and not all(some)
        conn.execute("delete from smart_block_day where (block, day) <> ('西', '2026-05-03')")
        conn.execute((files("store") / "migrations" / "0078.together.sql").read_bytes())
        assert conn.execute(kept).fetchall() == expected
