"""Who may use what: every route of the application, as each kind of person, against what the route declared."""

from __future__ import annotations

import httpx
import pytest

from api.access import Role
from api.roles import desks_of
from devices.model import StationKind
from ingest.sources import add_source
from store import connect
from tests.api.serving import TownHall
from tests.authorising.asking import Answer, broken, call, let_in
from tests.authorising.routes import CALLS, OF_SOURCES, SAFE, Call
from tests.authorising.town import town_hall
from tests.brokers.running import wait_for

__all__ = ["town_hall"]


def test_without_a_session_only_what_is_declared_public_answers(town_hall: TownHall) -> None:
    def holds(route: Call, answer: Answer) -> bool:
        if route.rule.roles is None:
            return answer.status not in (401, 403) and not answer.to_sign_in
        if route.rule.page:
            return answer.to_sign_in
        return (answer.status, answer.code) == (401, "not_signed_in")

    assert broken(town_hall, CALLS, None, holds) == []


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_is_declared_and_nothing_else(town_hall: TownHall, role: Role) -> None:
    # What a value is worth is said by those who are asked when it does not come.
    in_charge = {
        "the alert's desk": desks_of("level", StationKind.RIVER_GAUGE),
        "the station's desk": desks_of("level", StationKind.RIVER_GAUGE),
        "the station's desk, or the digital section": desks_of("silence", StationKind.RIVER_GAUGE),
    }

    def holds(route: Call, answer: Answer) -> bool:
        if route.rule.roles is None:
            return answer.status not in (401, 403)
        if role not in route.rule.roles:
            return (answer.status, answer.code) == (403, "refused")
        if route.rule.narrowed and role not in in_charge[route.rule.narrowed]:
            return (answer.status, answer.code) == (403, "refused")
        return let_in(route, answer)

    assert broken(town_hall, CALLS, role, holds) == []


def test_what_changes_something_needs_the_csrf_token(town_hall: TownHall) -> None:
    routes = [route for route in CALLS if route.method not in SAFE and route.rule.roles is not None]

    def holds(route: Call, answer: Answer) -> bool:
        return (answer.status, answer.code) == (403, "cross_site")

    assert len(routes) >= 8
    assert broken(town_hall, routes, Role.DISASTER, holds, csrf=False) == []


def test_no_session_opens_what_wants_the_secret_of_a_source(town_hall: TownHall) -> None:
    def holds(route: Call, answer: Answer) -> bool:
        return (answer.status, answer.code) == (401, "source_refused")

    assert {str(route) for route in OF_SOURCES} == {"POST /intake/{source}"}
    wait_for(lambda: broken(town_hall, OF_SOURCES, None, holds) == [], "the intake to be open, and closed")
    for role in Role:
        assert broken(town_hall, OF_SOURCES, role, holds) == [], role


def test_the_secret_of_a_source_opens_nothing_else(town_hall: TownHall) -> None:
    with connect(town_hall.database.owner, name="test") as conn:
        secret = add_source(conn, name="a-source", kind="mimamori_v1", municipality="999999")
    headers = {"Authorization": f"Bearer {secret}", "X-Mimamori-Secret": secret}
    with httpx.Client(base_url=town_hall.url, headers=headers, timeout=20, trust_env=False) as client:
        (post,) = OF_SOURCES
        wait_for(lambda: call(client, town_hall, post).status == 202, "the source to be let in")
        for route in CALLS:
            if route.rule.roles is not None:
                answer = call(client, town_hall, route)
                assert answer.to_sign_in or answer.status in (401, 403), (route, answer)
