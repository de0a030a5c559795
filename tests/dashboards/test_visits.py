"""A spot's year as a calendar, and spots side by side: each day with its state, and only like compared with like."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx

from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import SpotDay, SpotHour
from api.pages.heat import heat
from api.pages.side_by_side import BYS, OfSpot, compare
from api.roles import Role
from tests.analytics.series import Analyst
from tests.api.serving import TownHall
from tests.dashboards.reading import main

TOKYO = ZoneInfo("Asia/Tokyo")
TEN, DAY = timedelta(minutes=10), timedelta(days=1)
TODAY = date(2026, 6, 1)  # START there
LABELS = {by: [str(n) for n in range(24)] for by in BYS}


def said(day: date, visitors: int | None, state: str = "ok", completeness: float = 1.0) -> SpotDay:
    return SpotDay(day, visitors, visitors, None, None, completeness, state, Method.COUNTER)  # type: ignore[arg-type]


def test_colours_are_fifths_of_the_days_that_are_over_and_whole() -> None:
    first = date(2026, 4, 1)
    told = [said(first + n * DAY, 10 * (n + 1)) for n in range(50)]
    odd = [
        said(date(2026, 5, 21), 0),
        said(date(2026, 5, 22), None, "outage"),
        said(date(2026, 5, 23), 9000, "ok", 0.5),
    ]
    model = heat(2026, [*told, *odd, said(TODAY, 7)], TODAY)
    cells = {each.day: each for m in model.months for week in m.weeks for each in week if each is not None}
    assert [m.first.month for m in model.months] == [4, 5, 6] and len(cells) == 30 + 31 + 30
    steps = [cells[each.day].step for each in told]
    assert [steps.count(n) for n in range(1, 6)] == [10] * 5 and steps == sorted(steps)
    assert [cells[each.day].step for each in odd] == [0, None, None] and cells[date(2026, 5, 23)].partial
    assert cells[TODAY].running and cells[TODAY].step is None and cells[TODAY + DAY].said is None
    assert model.bounds == tuple((n + 1, 100 * n + 10, 100 * n + 100) for n in range(5))
    may = model.months[1]
    assert (may.visitors, may.n, may.days) == (sum(10 * n for n in range(31, 51)) + 9000, 22, 23)
    assert all(len(week) == 7 for week in may.weeks) and may.weeks[0][4] is cells[date(2026, 5, 1)], "a Friday"


def test_only_days_of_which_every_spot_has_a_whole_number_are_compared() -> None:
    """Three weeks; one spot is in outage on the best day, the other's counter stops at noon on another."""
    days = [date(2026, 5, 4) + n * DAY for n in range(21)]
    busy = [said(day, 100 * (day.weekday() + 1)) for day in days]
    busy[6] = said(days[6], None, "outage")
    quiet = [said(day, 2 * (day.weekday() + 1), completeness=0.4 if n == 9 else 1.0) for n, day in enumerate(days)]
    hourly = [
        SpotHour(datetime(d.day.year, d.day.month, d.day.day, hour, tzinfo=TOKYO), 4.0, 4, None, None, "ok", d.method)
        for d in busy
        for hour in (10, 11)
    ]
    a, b = OfSpot("a", "甲", "A", busy, hourly), OfSpot("b", "乙", "B", quiet, ())
    weekday = compare([a, b], "weekday", as_index=False, labels=LABELS)
    assert len(weekday.days) == 19 and [(each.day, each.letters) for each in weekday.out] == [
        (days[6], "A"),
        (days[9], "B"),
    ]
    # 4 to 6 May are holidays, which stand apart
    assert [line.n[0] for line in weekday.lines] == [line.n[1] for line in weekday.lines] == [2, 2, 1, 3, 3, 3, 2, 3]
    assert weekday.lines[4].values == (500.0, 10.0) and weekday.lines[7].values == (200.0, 4.0)
    assert weekday.sums == (sum(each.visitors or 0 for each in busy) - 300, weekday.sums[0] // 50)
    same = compare([a, b], "weekday", as_index=True, labels=LABELS)
    assert [round(one or 0, 6) for one, _ in (line.values for line in same.lines)] == [
        round(other or 0, 6) for _, other in (line.values for line in same.lines)
    ], "a spot of a fiftieth has the same shape"
    hour = compare([a, b], "hour", as_index=False, labels=LABELS)
    assert hour.without == ("B",) and hour.lines[10].values == (4.0, None) and hour.lines[10].n == (19, 0)
    by_day = compare([a, b], "day", as_index=False, labels=LABELS)
    assert by_day.lines[6].states == ("outage", "ok") and by_day.lines[9].states == ("ok", "partial")
    assert len(by_day.picture.sides[0].paths) == 2, "an outage is a gap of the line, and no zero"


def count(analyst: Analyst, spot: str, day: date, each: float | None) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=TOKYO)
    series = analyst.town.datastream(spot, "passages_in")
    analyst.send(series, [(midnight + n * TEN, each) for n in range(1, 145)])


def rows(client: httpx.Client, path: str) -> list[list[str]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_pages_tell_missing_from_zero_and_their_files_say_the_same(hall: TownHall) -> None:
    analyst = Analyst(hall.database)
    for n, (taki, onsen) in enumerate(((2.0, 3.0), (0.0, 3.0), (None, 3.0), (1.0, 3.0)), 20):
        count(analyst, "spot-taki", date(2026, 5, n), taki)
        count(analyst, "spot-onsen", date(2026, 5, n), onsen)
    analyst.work()
    with hall.visitor(Role.TOURISM) as client:
        page = client.get("/tourism/calendar?spot=spot-taki").text
        cells = {
            int(found[1]): re.sub(r"<[^>]+>", " ", found[0]).split()
            for found in re.finditer(
                r'<td[^>]*>\s*<span class="heat-date">(\d+).*?</td>',
                page.split("month-2026-05")[3].split("</table>")[0],
                re.S,
            )
        }
        assert cells[20] == ["20", "288"] and cells[21] == ["21", "0"] and cells[22] == ["22", "欠測"]
        assert "欠測の日が" in page and "計 432（3／" in page
        file = {row[0]: row for row in rows(client, "/tourism/calendar.csv?spot=spot-taki")}
        assert [file[f"2026-05-{n}"][4] for n in (20, 21, 22)] == ["288", "0", ""]
        assert file["2026-05-22"][7] == "欠測" and file["2026-05-19"][7] == "なし"

        asked = "spot=spot-taki&spot=spot-onsen&from=2026-05-20&to=2026-05-23"
        answer = client.get(f"/tourism/compare?{asked}&by=day")
        told = main(answer)
        assert "3 日（4 日のうち）" in told and "計 432、1日平均 144" in told and "計 1,296、1日平均 432" in told
        assert f'href="/tourism/compare?{asked.replace("&", "&amp;")}&amp;by=day&amp;lang=en"' in answer.text
        lines = rows(client, f"/tourism/compare.csv?{asked}&by=day")
        assert ["2026-05-22", "spot-taki", file["2026-05-22"][1] and lines[1][2], "", "0", "欠測"] in lines
        hourly = rows(client, f"/tourism/compare.csv?{asked}&by=hour")
        assert [row[3] for row in hourly if row[1] == "spot-onsen"] == ["18"] * 24
        for wrong, says in (("spot=spot-taki", "2つから4つまで"), (f"{asked}&to=2026-05-01", "期間が逆")):
            refused = client.get(f"/tourism/compare?{wrong}")
            assert refused.status_code == 422 and says in main(refused)
        assert client.get("/tourism/calendar?spot=nowhere").status_code == 404
        assert client.get("/tourism/compare.csv?spot=spot-taki").status_code == 400
