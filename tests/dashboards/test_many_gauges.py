"""More gauges and alerts than one page shows: what matters most is on the first one, and every one is on some page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from api.access import Role
from api.pages import desks
from api.pages import disaster as disaster_module
from store import connect
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered
from tests.dashboards.test_quarantine import text_of

LEVELS = {"river-okusawa": 0.4, "river-mimamoribashi": 3.3}


@pytest.fixture
def hall(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> Iterator[TownHall]:
    populate(registered)
    monkeypatch.setattr(disaster_module, "MOST_SHOWN", 1)
    monkeypatch.setattr(disaster_module, "_MOST_UNJUDGED", 1)
    monkeypatch.setattr(desks, "PER_PAGE", 1)
    with serving(registered) as running:
        yield running


def shown(page: httpx.Response) -> list[str]:
    """The codes of the gauges in the table, and of those with a curve: the same."""
    table = page.text[page.text.index('id="gauges"') : page.text.index('id="rain"')]
    rows = re.findall(r'id="station-([^"]+)"', table)
    curves = re.findall(r'id="curve-([^"]+)"', page.text)
    assert set(curves) <= set(rows)
    return rows


def test_the_gauge_nearest_to_harm_comes_first_and_every_gauge_has_its_page(hall: TownHall) -> None:
    for station, level in LEVELS.items():
        hall.observe(f"{station}/water_level", (START - timedelta(minutes=5), level))
    with hall.visitor(Role.DISASTER) as client:
        pages = [shown(client.get(f"/disaster?page={n}")) for n in range(1, 5)]
        first, last = client.get("/disaster"), client.get("/disaster?page=99")
    assert pages[:2] == [["river-mimamoribashi"], ["river-okusawa"]], "what says nothing comes last"
    assert shown(first) == pages[0] and 'href="/disaster?page=3#gauges"' in first.text
    assert len({code for (code,) in pages}) == 4
    assert shown(last) == pages[-1]
    said = text_of(first.text)
    assert (
        "全4観測所を、危険に近い順に並べています。いまの値がない観測所は最後です（1／4ページ）" in said
        and "次の観測所" in said
    )
    assert "危険に近い観測所" not in said and "次の観測所" not in text_of(last.text)
    assert re.search(r"ほか \d+件", said), "only the first of those without a present value are named"


def test_the_highest_alert_that_nobody_has_acknowledged_comes_first(hall: TownHall) -> None:
    alerts = [hall.raise_alert(f"{station}/water_level") for station in LEVELS]
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "update alert set cleared_at = null, acknowledged_at = case when alert_id = %s then %s end",
            (alerts[1], START),
        )
    with hall.visitor(Role.DISASTER) as client:
        pages = [client.get(f"/alerts?page={n}").text for n in (1, 2)]
    found = [re.findall(r'<article[^>]* id="alert-(\d+)"', each) for each in pages]
    assert found == [[str(each)] for each in alerts], "the acknowledged one comes behind"
    assert "（1／2ページ）" in pages[0] and "次のページ" in pages[0] and "前のページ" in pages[1]
