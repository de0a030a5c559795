"""From the counter to the public page: nothing leaves that is not confirmed, and nothing small."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import openpyxl
import pytest

from api.roles import Role
from store import connect
from tests.analytics.series import Analyst
from tests.analytics.test_checks import whole_days
from tests.analytics.test_usual import MONDAY, TEN, midnight
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered
from tests.dashboards.test_quarantine import text_of

# the town's clock stands at START: 1 June, 9 o'clock in the morning
CHECKS = "/tourism/checks"
SPOT = f"{CHECKS}/spot-taki"
PUBLIC = "/public/999999/visitors"
MAY = {"month": "2026-05"}
GAP = date(2026, 5, 20)


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """Seven weeks of a counter, one of whose afternoons never came."""
    populate(registered)
    analyst = Analyst(registered)
    whole_days(analyst, "spot-taki", MONDAY, n=50, but=GAP)
    analyst.work()
    with serving(registered) as running:
        yield running


def seen(text: str, do: str) -> dict[str, str]:
    """The form of a button as the page has it."""
    found = re.search(rf'name="do" value="{do}".*?name="seen" value="(\w+)"', text, re.S)
    assert found, do
    return {"do": do, "seen": found[1]} | MAY


def public_days(hall: TownHall) -> dict[tuple[str, str], dict[str, Any]]:
    with hall.visitor(None) as client:
        body = client.get(f"{PUBLIC}.json").json()
        page = client.get(PUBLIC)
        lines = list(csv.DictReader(io.StringIO(client.get(f"{PUBLIC}.csv").content.decode("utf-8-sig"))))
    found = {(spot["code"], day["day"]): day for spot in body["spots"] for day in spot["days"]}
    assert page.status_code == 200 and len(lines) == len(found), "three views of the same"
    assert {(line["地点コード"], line["日付"]): line["延べ通過数"] for line in lines} == {
        key: "" if day["visitors"] is None else str(day["visitors"]) for key, day in found.items()
    }
    return found


def test_nothing_leaves_before_it_is_confirmed_and_what_changes_afterwards_is_taken_back(hall: TownHall) -> None:
    with hall.visitor(Role.TOURISM) as client:
        text = client.get(CHECKS, params=MAY).text
        assert "届いた計数は 75 % です" in text_of(text) and "ふつうの日" in text
        ordinary = seen(text, "ordinary")
        public = {"do": "choice", "outages": "missing", "public": "yes", "smallest": "5"}
        assert client.post(SPOT, data=public).status_code == 303
        assert public_days(hall) == {}
        assert "done=checked" in client.post(CHECKS, data=ordinary).headers["location"]
        assert public_days(hall) == {}, "checked is not confirmed"
        assert "done=changed" in client.post(CHECKS, data=ordinary).headers["location"], "that page was another one"
        text = client.get(CHECKS, params=MAY).text
        assert "done=confirmed" in client.post(CHECKS, data=seen(text, "confirm")).headers["location"]
        days = public_days(hall)
        assert days["spot-taki", "2026-05-19"]["visitors"] == 600
        assert ("spot-taki", GAP.isoformat()) not in days, "nobody has pressed for that one"
        name = re.search(rf'name="(day\.\d+\.{GAP})" value="([^"]+)"', text)
        assert name is not None
        chosen = {"do": "chosen", name[1]: "599 ok"} | MAY
        assert "done=changed" in client.post(CHECKS, data=chosen).headers["location"], "not what they have seen"
        assert "done=checked&n=1" in client.post(CHECKS, data=chosen | {name[1]: name[2]}).headers["location"]
        text = client.get(CHECKS, params=MAY).text
        client.post(CHECKS, data=seen(text, "confirm"))
        assert public_days(hall)["spot-taki", GAP.isoformat()]["visitors"] == 240
        late = [(midnight(GAP) + slot * TEN, 9.0) for slot in range(61, 97)]
        hall.observe("spot-taki/passages_in", *late)
        Analyst(hall.database).work()
        assert ("spot-taki", GAP.isoformat()) not in public_days(hall)
        back = text_of(client.get(CHECKS, params=MAY).text)
        assert "一度確認した数が変わりました（240 → 564）" in back and "遅れてデータが届いた" in back
        spot = re.search(r'<option value="(\d+)">[^<]*滝', text)
        assert spot is not None
        doubt = {"do": "back", "of": spot[1], "day": "2026-05-19"} | MAY
        assert "done=note" in client.post(CHECKS, data=doubt).headers["location"]
        assert "done=back" in client.post(CHECKS, data=doubt | {"note": "団体を二重に数えた"}).headers["location"]
        assert ("spot-taki", "2026-05-19") not in public_days(hall)
        assert "団体を二重に数えた" in client.get(CHECKS, params=MAY).text
    with hall.visitor(Role.WATER) as client:
        assert client.get(CHECKS).status_code == 200 and client.post(CHECKS, data=ordinary).status_code == 403


def test_small_numbers_are_withheld_and_a_spot_is_public_only_when_the_office_says_so(hall: TownHall) -> None:
    with hall.visitor(Role.TOURISM) as client:
        for do in ("ordinary", "confirm"):
            client.post(CHECKS, data=seen(client.get(CHECKS, params=MAY).text, do))
        assert public_days(hall) == {}, "off until somebody says so"
        choice = {"do": "choice", "outages": "missing", "public": "yes", "smallest": "100"}
        assert client.post(SPOT, data=choice | {"smallest": "0"}).status_code == 422
        client.post(SPOT, data=choice)
        with connect(hall.database.owner, name="test") as conn:
            conn.execute("update day_check set visitors = 600")
            conn.execute("update rollup_day set total = 99 where day = '2026-05-18'")
            conn.execute("update day_check set visitors = 99, raw = 99 where day = '2026-05-18'")
        days = public_days(hall)
        small = days["spot-taki", "2026-05-18"]
        assert (small["state"], small["visitors"], small["below"], small["low"]) == ("small", None, 100, None)
        assert days["spot-taki", "2026-05-19"]["visitors"] == 600
        with hall.visitor(None) as anybody:
            page = text_of(anybody.get(f"{PUBLIC}?month=2026-05").text)
        assert "100未満" in page and "99" not in page.replace("999", "")
        client.post(SPOT, data=choice | {"public": "no"})
        assert public_days(hall) == {}


SMALL, KEPT = {"2026-05-12": 83, "2026-05-13": 97}, 600


def numbers(text: str) -> set[int]:
    """Those of a file; of what people read without the commas within a number."""
    return {int(found) for found in re.findall(r"\d+", text)}


def read_numbers(text: str) -> set[int]:
    return numbers(re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text))


def exits(anybody: httpx.Client, clerk: httpx.Client) -> Iterator[tuple[str, set[int]]]:
    """Everything that is meant for publication, and the numbers in it."""
    for path in ("", "?month=2026-05", ".csv", ".csv?by=month&from=2026-04-01&to=2026-06-01", ".json"):
        text = anybody.get(f"{PUBLIC}{path}").content.decode("utf-8-sig")
        yield f"{PUBLIC}{path}", read_numbers(text_of(text)) if "<html" in text else numbers(text)
    for kind in ("daily", "monthly", "yearly", "prefecture"):
        query = f"kind={kind}&month=2026-05&year=2026&years=2&compare=all&version=published"
        yield kind, read_numbers(text_of(clerk.get(f"/tourism/reports?{query}").text))
        for encoding in ("utf-8-sig", "cp932"):
            answer = clerk.get(f"/tourism/reports/file.csv?{query}&encoding={encoding}")
            assert "_public.csv" in answer.headers["content-disposition"]
            yield f"{kind} {encoding}", numbers(answer.content.decode(encoding))
        book = openpyxl.load_workbook(io.BytesIO(clerk.get(f"/tourism/reports/file.xlsx?{query}").content))
        cells = [cell.value for sheet in book for row in sheet for cell in row]
        yield (
            f"{kind} xlsx",
            {int(each) for each in cells if isinstance(each, int | float)}
            | numbers(" ".join(each for each in cells if isinstance(each, str))),
        )


def test_no_small_number_leaves_by_any_way_nor_a_sum_that_tells_it(hall: TownHall) -> None:
    with hall.visitor(Role.TOURISM) as clerk, hall.visitor(None) as anybody:
        for do in ("ordinary", "confirm"):
            clerk.post(CHECKS, data=seen(clerk.get(CHECKS, params=MAY).text, do))
        choice = {"do": "choice", "outages": "missing", "public": "yes", "smallest": "100"}
        assert clerk.post(SPOT, data=choice).status_code == 303
        with connect(hall.database.owner, name="test") as conn:
            for day, small in SMALL.items():
                conn.execute("update rollup_day set total = %s where day = %s", (small, day))
                conn.execute("update day_check set visitors = %s, raw = %s where day = %s", (small, small, day))
            days = conn.execute(
                "select count(*), sum(visitors)::int, array_agg(day::text) from day_check "
                "where confirmed_at is not null and day >= '2026-05-01'"
            ).fetchone()
        assert days is not None
        confirmed, total, which = days
        told = sum(SMALL.values())
        assert set(SMALL) <= set(which) and confirmed > 20
        secret = {*SMALL.values(), told, total, *(total - each for each in SMALL.values())}
        found = dict(exits(anybody, clerk))
        for name, there in found.items():
            assert not there & secret, f"{name}: {sorted(there & secret)}"
        for name in (
            f"{PUBLIC}?month=2026-05",
            f"{PUBLIC}.csv?by=month&from=2026-04-01&to=2026-06-01",
            f"{PUBLIC}.json",
        ):
            assert total - told in found[name], f"{name}: the sum of what is published"
        # what is for the office alone still has it: the walk would see it
        office = clerk.get("/tourism/reports/file.csv?kind=daily&month=2026-05&version=confirmed").text
        assert set(SMALL.values()) <= numbers(office)
        clerk.post(SPOT, data=choice | {"public": "no"})
        hidden = clerk.get("/tourism/reports/file.csv?kind=daily&month=2026-05&version=published")
        assert "公開していない地点" in hidden.content.decode("utf-8-sig") and KEPT not in numbers(hidden.text)


def test_a_period_is_added_and_judged_with_a_reason_and_the_counters_are_told_apart_in_words(hall: TownHall) -> None:
    with hall.visitor(Role.TOURISM) as client:
        with connect(hall.database.owner, name="test") as conn:
            row = conn.execute("select station_id from station where code = 'spot-taki'").fetchone()
        assert row is not None
        works = {
            "do": "add",
            "counter": str(row[0]),
            "kind": "works",
            "start": "2026-05-03T00:00",
            "end": "2026-05-08T00:00",
        }
        assert client.post(SPOT, data=works).status_code == 422, "no reason"
        assert client.post(SPOT, data=works | {"reason": "柵の工事"}).status_code == 303
        again = client.post(SPOT, data=works | {"reason": "二度目"})
        assert again.status_code == 422 and "すでに人が記録した期間" in text_of(again.text)
        page = text_of(client.get(SPOT).text)
        assert "柵の工事" in page and "2026-05-20 10:00〜16:00" in page, "and what never came stands below"
        assert "工事・行事など" in text_of(client.get(CHECKS, params=MAY).text)
        number = re.search(r'name="period" value="(\d+)"', client.get(SPOT).text)
        assert number is not None
        no = {"do": "overrule", "period": number[1], "reason": "日付を間違えた"}
        assert client.post(SPOT, data=no).status_code == 303
        assert client.post(SPOT, data=no | {"period": "999999"}).status_code == 422
        assert "故障ではない" in text_of(client.get(SPOT).text)
        health = text_of(client.get("/tourism/counters").text)
        assert "まだ一度も届いていません" in health and "人が数えて比べたことがありません" in health
    with hall.visitor(Role.TOURISM, town="other") as client:
        assert client.get(SPOT).status_code == 404
