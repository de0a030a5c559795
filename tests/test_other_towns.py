"""Every route of the application, as people of another town: they find nothing of this one."""

from __future__ import annotations

from api.access import Role
from tests.api.serving import TownHall
from tests.authorising.asking import Answer, broken, let_in
from tests.authorising.routes import CALLS, STATION, Call
from tests.authorising.town import town_hall

__all__ = ["town_hall"]


def test_another_towns_people_find_nothing_of_this_one(town_hall: TownHall) -> None:
    routes = [route for route in CALLS if route.rule.roles is not None]
    town_hall.raise_alert(f"{STATION}/water_level")

    def holds(route: Call, answer: Answer) -> bool:
        if route.of_a_thing:
            return (answer.status, answer.code) == (404, "not_found")
        # Their forms name a gauge or a spot, which this town has not.
        if str(route) in ("POST /disaster/drills", "POST /digital/trials", "POST /tourism/links"):
            why = "必要な欄が空です" if "drills" in route.path else "選んだものが見つかりません"
            return answer.status == 400 and why in answer.text and "美守町" not in answer.text
        if str(route) == "POST /digital/cameras":  # this one's too
            return answer.status == 422 and "観測所を選んでください" in answer.text and STATION not in answer.text
        if str(route) == "POST /disaster/catchments/links":  # and this one's
            return answer.status == 422 and "別の水位観測所を選んで" in answer.text and STATION not in answer.text
        if str(route) == "POST /water/blocks":  # its table names a block, which this town has not
            return answer.status == 400 and "配水ブロックはありません" in answer.text and "美守町" not in answer.text
        if str(route) in ("GET /tourism/calendar.csv", "GET /tourism/compare.csv"):  # of spots, which this town has not
            return answer.status in (400, 404) and "spot-taki" not in answer.text
        return let_in(route, answer) and STATION not in answer.text and "美守町" not in answer.text

    for_water = [route for route in routes if route.rule.roles == frozenset({Role.WATER})]
    for_disaster = [route for route in routes if Role.DISASTER in (route.rule.roles or ())]
    for_digital = [route for route in routes if route not in for_disaster and route not in for_water]
    assert broken(town_hall, for_disaster, Role.DISASTER, holds, town="other") == []
    assert broken(town_hall, for_digital, Role.DIGITAL, holds, town="other") == []
    assert broken(town_hall, for_water, Role.WATER, holds, town="other") == []
