"""Blocks out of Excel: whatever the spelling of the dates and the shape of the table, the numbers are the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from analytics.visitors.pasting.block import Block, By, cells_of, read_block
from analytics.visitors.pasting.periods import Part, read_title

TODAY = date(2026, 6, 9)
SPOTS = {
    "taki": ("鈴鳴りの滝", "Suzunari Falls"),
    "museum": ("美守郷土資料館", "Museum"),
    "station": ("道の駅 美守", "Roadside station"),
}
WEEKDAYS = "月火水木金土日"
DAY_SPELLINGS: list[Callable[[date], str]] = [
    lambda d: d.isoformat(),
    lambda d: f"{d.year}/{d.month}/{d.day}",
    lambda d: f"{d.year}年{d.month}月{d.day}日（{WEEKDAYS[d.weekday()]}）",
    lambda d: f"令和{d.year - 2018}年{d.month}月{d.day}日",
    lambda d: f"R{d.year - 2018}.{d.month:02}.{d.day:02}",
    lambda d: f"{d.month}/{d.day}",
    lambda d: f"{d.month}月{d.day}日({WEEKDAYS[d.weekday()]}・祝)",
    lambda d: f"{d.year}-{d.month:02}-{d.day:02} 0:00",
    lambda d: f"{d:%Y%m%d}",
    lambda d: str((d - date(1899, 12, 30)).days),
]
MONTH_SPELLINGS: list[Callable[[date], str]] = [
    lambda m: f"{m.year}年{m.month}月",
    lambda m: f"{m:%Y-%m}",
    lambda m: f"令和{m.year - 2018}年{m.month}月",
    lambda m: f"R{m.year - 2018}.{m.month}",
    lambda m: m.isoformat().replace("-01", "", 1) if m.month != 1 else f"{m.year}/1",
]
NUMBER_SPELLINGS: list[Callable[[int], str]] = [
    str,
    lambda n: f"{n:,}",
    lambda n: f"{n:,}人",
    lambda n: f"{n:,}".translate(str.maketrans("0123456789,", "０１２３４５６７８９，")),
    lambda n: f" {n} ",
]
WIDE = str.maketrans("0123456789/().", "０１２３４５６７８９／（）．")


def numbers_of(block: Block) -> dict[tuple[str | None, date | None], int | None]:
    assert [line for line in block.lines if line.problem] == [] and block.ignored == ()
    return {(line.spot, line.period): line.total for line in block.lines}


def called(chance: random.Random, code: str) -> str:
    return chance.choice([code, *SPOTS[code]])


@pytest.mark.parametrize("seed", range(40))
def test_the_same_numbers_come_out_of_every_spelling_and_shape(seed: int) -> None:
    chance = random.Random(seed)
    by = chance.choice(list(By))
    if by is By.DAY:
        first = TODAY - timedelta(days=chance.randint(40, 300))
        periods = [first + timedelta(days=n) for n in range(chance.randint(2, 40))]
        spell = chance.choice(DAY_SPELLINGS)
    else:
        periods = [date(2023 + (n + 3) // 12, (n + 3) % 12 + 1, 1) for n in range(chance.randint(2, 24))]
        spell = chance.choice(MONTH_SPELLINGS)
    if chance.random() < 0.3 and "-" not in spell(periods[0]):
        plain = spell
        spell = lambda period: plain(period).translate(WIDE)  # noqa: E731
    wanted = {(code, period): chance.randint(0, 20_000) for code in SPOTS for period in periods}
    names = {code: called(chance, code) for code in SPOTS}

    def write(code: str, period: date) -> str:
        return chance.choice(NUMBER_SPELLINGS)(wanted[code, period])

    shape = chance.choice(["spots across", "spots down", "long"])
    if shape == "spots across":
        rows = [["日付", "天気", *names.values(), "合計"]]
        rows += [[spell(p), "晴", *(write(code, p) for code in SPOTS), "99,999"] for p in periods]
        rows.append(["合計", "", *("1" for _ in SPOTS), ""])
    elif shape == "spots down":
        rows = [["地点", *(spell(p) for p in periods)]]
        rows += [[names[code], *(write(code, p) for p in periods)] for code in SPOTS]
    else:
        rows = [["日付", "地点", "人数", "備考"]]
        rows += [[spell(p), names[code], write(code, p), "雨のち晴"] for p in periods for code in SPOTS]
    title = [["観光入込客数"], [""]] if chance.random() < 0.5 else []
    text = "\r\n".join("\t".join(row) for row in [*title, *rows])
    found = read_block(cells_of(text), SPOTS, by=by, today=TODAY)
    assert numbers_of(found) == wanted


def test_a_page_of_a_year_book_is_read_with_its_title_and_its_years_down() -> None:
    text = "道の駅 美守　月別入込客数\n年度\t4月\t5月\t3月\t計\n令和4年度\t1,200\t900\t-\t2,100\nH31年度\t1\t2\t3\t6"
    found = read_block(cells_of(text), SPOTS, by=By.MONTH, today=TODAY)
    totals = {str(line.period): line.total for line in found.lines if line.problem is None}
    assert totals == {"2022-04-01": 1200, "2022-05-01": 900, "2019-04-01": 1, "2019-05-01": 2, "2020-03-01": 3}
    assert [(line.where, line.spot, line.problem) for line in found.lines if line.problem] == [
        ("D3", "station", "left")
    ]


def test_what_the_table_does_not_say_is_taken_from_the_page() -> None:
    text = "1日\t12\n2\t13人\n"
    found = read_block(cells_of(text), SPOTS, by=By.DAY, today=TODAY, chosen="taki", said=read_title("令和8年5月"))
    assert numbers_of(found) == {("taki", date(2026, 5, 1)): 12, ("taki", date(2026, 5, 2)): 13}
    months = read_block(
        cells_of("\t4月\t3月\n鈴鳴りの滝\t5\t6"), SPOTS, by=By.MONTH, today=TODAY, said=Part(fiscal=2024)
    )
    assert numbers_of(months) == {("taki", date(2024, 4, 1)): 5, ("taki", date(2025, 3, 1)): 6}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("日付\t鈴鳴りの滝\n6/1\t十二", "number"),
        ("日付\t鈴鳴りの滝\n6/1\t-5", "number"),
        ("日付\t鈴鳴りの滝\n6/1\t12,34", "number"),
        ("日付\t鈴鳴りの滝\n6/1\t12.5", "number"),
        ("日付\t鈴鳴りの滝\n6/1\t休館", "left"),
        ("日付\t鈴鳴りの滝\n6/31\t5", "none"),
        ("日付\t鈴鳴りの滝\n26/6/1\t5", "period"),
        ("日付\t鈴鳴りの滝\n2026/6/1(火)\t5", "weekday"),
        ("日付\t曜日\t鈴鳴りの滝\n2026/6/1\t火\t5", "weekday"),
        ("日付\t地点\t人数\n6/1\t謎の滝\t5", "spot"),
        ("日付\t人数\n6/1\t5", "spot"),
        ("日付\t6/1\t6/2\n鈴鳴りの滝\t5\t\n6/3\t\t7", "against"),
    ],
)
def test_what_cannot_be_taken_is_named_and_never_guessed(text: str, problem: str) -> None:
    found = read_block(cells_of(text), SPOTS, by=By.DAY, today=TODAY)
    assert problem in [line.problem for line in found.lines]
    assert all(line.problem for line in found.lines if line.total is None)


def test_two_numbers_for_one_day_are_both_refused_and_the_same_one_twice_is_one() -> None:
    text = "日付\t鈴鳴りの滝\n6/1\t5\n6/1\t6\n6/2\t7\n6/2\t7\n"
    found = read_block(cells_of(text), SPOTS, by=By.DAY, today=TODAY)
    assert [(line.where, line.problem) for line in found.lines] == [("B2", "twice"), ("B3", "twice"), ("B4", None)]


def test_a_column_or_line_under_an_unknown_name_is_told_with_the_spot_that_may_be_meant() -> None:
    across = read_block(cells_of("日付\t美守資料館\t鈴鳴りの滝\n6/1\t5\t6"), SPOTS, by=By.DAY, today=TODAY)
    assert [(each.where, each.heading, each.n, each.like) for each in across.ignored] == [
        ("B", "美守資料館", 1, "museum")
    ]
    down = read_block(cells_of("地点\t6/1\t6/2\n鈴鳴の滝\t5\t6\n計\t5\t6"), SPOTS, by=By.DAY, today=TODAY)
    assert [(each.where, each.n, each.like) for each in down.ignored] == [("A2", 2, "taki")]


@pytest.mark.parametrize("text", ["", "こんにちは", "\t\t\n", "12", "観光入込客数\n令和8年"])
def test_what_is_no_table_gives_nothing(text: str) -> None:
    assert read_block(cells_of(text), SPOTS, by=By.DAY, today=TODAY) == Block((), ())
