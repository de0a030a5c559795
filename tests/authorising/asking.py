"""Calls a route as somebody, and says which answers are not as they should be.

What the rivers may do (internal_forecast) is planted in the town with a figure that nothing else has: whichever answer
has it, to anybody but the disaster desk on the pages of `AHEAD`, is broken like one that lets the wrong person in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from api.access import Role
from api.tiles import TileFile
from tests.api.serving import TownHall
from tests.authorising.routes import BODIES, PARAMETERS, SAFE, STATION, Call
from tests.forecasts import FIGURE, WORDS

# Where the disaster desk is shown what may come; a look back may have nothing to show.
AHEAD = {
    f"{place}{page}"
    for place, pages in (
        ("/disaster/stations/{code}", ("", "/outlook", "/outlook.csv", "/record.csv", "/hindcast", "/hindcast.csv")),
        ("/disaster", ("", "/outlook")),
    )
    for page in pages
}
# These are of a notice that somebody has approved; the others of one's draft.
OF_APPROVED = ("/cap.xml", "/sheet.txt", "/renew", "/withdraw")


@dataclass(frozen=True)
class Answer:
    status: int
    code: str | None
    location: str
    text: str

    @property
    def to_sign_in(self) -> bool:
        return self.status == 303 and self.location.startswith("/sign-in?next=")


def call(client: httpx.Client, town_hall: TownHall, route: Call) -> Answer:
    """Calls a route with everything it asks for, against an alert of its own."""
    # a reading can be confirmed or dismissed while nothing bears it out
    asked = route.path.endswith(("/confirm", "/dismiss"))
    named = "{alert_id}" in route.path
    alert_id = town_hall.raise_alert(f"{STATION}/water_level", unconfirmed=asked) if named else 0
    series = town_hall.database.datastream(STATION, "water_level")
    known = {**PARAMETERS, "alert_id": str(alert_id), "datastream_id": str(series)}
    if "{notice_id}" in route.path:
        # of another gauge: while this one is high its alert cannot be cleared
        approved = route.path.endswith(OF_APPROVED)
        notice_id, text_id = town_hall.draft_notice("river-mimamoribashi/water_level", approved=approved)
        known |= {"notice_id": str(notice_id), "text_id": str(text_id)}
    if "/map/tiles/" in route.path:
        tiles = TileFile(town_hall.config.tiles, town_hall.config.tiles_credit).now()
        assert tiles is not None
        known["release"] = tiles.release

    def value(match: re.Match[str]) -> str:
        assert match[1] in known, f"{route}: say in PARAMETERS what {match[1]} is"
        return known[match[1]]

    path = re.sub(r"{([^}]+)}", value, route.path)
    assert route.method in SAFE or str(route) in BODIES, f"{route}: say in BODIES how to call it"
    options = BODIES.get(str(route), {})
    if "data" in options:
        options = {**options, "data": {name: re.sub(r"{(\w+)}", value, text) for name, text in options["data"].items()}}
    with client.stream(route.method, path, **options) as response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            text = next(response.iter_text())
        else:
            text = response.read().decode(errors="replace")
        problem = response.headers.get("content-type") == "application/problem+json"
        return Answer(
            response.status_code,
            response.json()["code"] if problem else None,
            response.headers.get("location", ""),
            text,
        )


def broken(
    town_hall: TownHall, routes: list[Call], role: Role | None, holds: Callable[[Call, Answer], bool], **visitor: Any
) -> list[str]:
    """The routes whose answer to that person is not as it should be. Each call has a session of its own."""
    found = []
    for route in routes:
        with town_hall.visitor(role, **visitor) as client:
            answer = call(client, town_hall, route)
        desk = role is Role.DISASTER and route.path in AHEAD
        told = FIGURE.search(answer.text) and not (desk and visitor.get("town", "own") == "own")
        if not holds(route, answer) or told or (WORDS.search(answer.text) and not desk):
            found.append(f"{route} -> {answer.status} {answer.code} {answer.location} {answer.text[:200]}")
    return found


def let_in(route: Call, answer: Answer) -> bool:
    return answer.status < 400 and not answer.to_sign_in
