"""A flood in which a gateway fails, with every process real: one incident, one message, and the rivers go on.

The town hears nothing through its main gateway for hours while the rivers rise (`simulators.gateways`). Nothing here
waits for a time of the clock on the wall: only for what the town says of itself, with deadlines far behind it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from api.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from api.roles import Role
from mimamori.signed_in import SignedIn
from simulators.gateways import BROKEN_GATEWAY, gateways
from store import Connection, connect
from store.embedded import EmbeddedServer
from tests.demo.town_process import TownProcess, town

pytestmark = pytest.mark.demo

# Six hours of failure in a minute. At this speed a silence of 40 minutes takes 6 s of the machine: where it stands
# still for less, nobody is silent.
SPEED = 400
GATEWAY = f"gateway:{gateways()[BROKEN_GATEWAY].key}"

Alerts = list[dict[str, Any]]


@dataclass(frozen=True)
class Incident:
    """What the digital section saw while it lasted, and what the database says afterwards."""

    open_during: Alerts
    open_at_the_end: Alerts
    outages: list[
        tuple[str, datetime, datetime | None, datetime | None]
    ]  # cause, last word before, heard again, cleared
    behind: set[str]  # codes of the stations that it silenced
    returned: int
    told: list[tuple[str, str, str | None, datetime]]  # rule, event, station's code, raised: every message sent
    silences: list[tuple[str, datetime, int | None]]  # station's code, raised, part of
    levels: list[tuple[str, datetime]]  # station's code, time of the value: each change of an alert of the level


def open_alerts(session: SignedIn) -> Alerts:
    found: Alerts = session.call("GET", "/alerts?open=true")["alerts"]
    return found


def until(demo: TownProcess, session: SignedIn, true: Callable[[Alerts], bool], *, within: float) -> Alerts:
    """The open alerts, as soon as this is true of them."""
    seen: list[Alerts] = [[]]

    def look() -> bool:
        seen[0] = open_alerts(session)
        time.sleep(0.2)
        return true(seen[0])

    demo.wait(look, within=within)
    return seen[0]


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Incident]:
    data = tmp_path_factory.mktemp("gateway") / "data"
    login = next(account.login for account in DEMO_ACCOUNTS if account.role is Role.DIGITAL)
    with town(data, "--scenario", "gateway", "--speed", str(SPEED), "--history-days", "0") as demo:
        session = SignedIn(demo.url(), login, DEMO_PASSWORD)
        during = until(demo, session, lambda alerts: any(a["rule"] == "outage" for a in alerts), within=120)
        until(demo, session, lambda alerts: all(a["rule"] != "outage" for a in alerts), within=180)
        # Whoever was silenced is heard again, and the flood is over.
        end = until(
            demo, session, lambda alerts: all(a["rule"] not in ("outage", "silence", "level") for a in alerts),
            within=180,
        )  # fmt: skip
        demo.end(signal.SIGINT, within=60)
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
        yield Incident(during, end, *_told(conn))


def _told(conn: Connection) -> tuple[Any, ...]:
    outages = conn.execute(
        """
        select a.cause, (select max(last_heard) from outage_device o where o.alert_id = a.alert_id),
               (select max(returned_at) from outage_device o where o.alert_id = a.alert_id), a.cleared_at
        from alert a where a.rule = 'outage' order by alert_id
        """
    ).fetchall()
    behind = {row[0] for row in conn.execute("select s.code from outage_device join station s using (station_id)")}
    ((returned,),) = conn.execute("select count(*) from outage_device where returned_at is null").fetchall()
    told = conn.execute(
        """
        select a.rule, h.event, s.code, a.raised_at from outbox o join alert_history h using (alert_history_id)
        join alert a using (alert_id) left join station s using (station_id) order by o.outbox_id
        """
    ).fetchall()
    silences = conn.execute(
        "select s.code, a.raised_at, a.part_of from alert a join station s using (station_id) "
        "where a.rule = 'silence' order by alert_id"
    ).fetchall()
    levels = conn.execute(
        """
        select s.code, h.phenomenon_time from alert_history h join alert a using (alert_id)
        join station s using (station_id) where a.rule = 'level' and h.phenomenon_time is not null order by 2
        """
    ).fetchall()
    return outages, behind, returned, told, silences, levels


def test_it_is_one_incident_that_names_the_gateway(incident: Incident) -> None:
    assert [cause for cause, *_ in incident.outages] == [GATEWAY]
    (shown,) = [alert for alert in incident.open_during if alert["rule"] == "outage"]
    assert (shown["state"], shown["cause"]) == ("raised", GATEWAY)
    assert len(incident.behind) >= 5, "most of the town has no other gateway"


def test_for_all_stations_behind_it_there_is_one_message_and_one_when_it_is_over(incident: Incident) -> None:
    ((_, since, _, cleared),) = incident.outages
    assert cleared is not None
    assert [event for rule, event, *_ in incident.told if rule == "outage"] == ["raised", "cleared"]
    singly = [code for rule, _, code, raised in incident.told if rule == "silence" and since < raised < cleared]
    assert not incident.behind & set(singly), "nobody is told of them one by one"
    alone = [code for code, raised, part_of in incident.silences if part_of is None and since < raised < cleared]
    assert not incident.behind & set(alone), "their silences are part of it"


def test_the_rivers_behind_the_other_gateway_are_judged_meanwhile(incident: Incident) -> None:
    ((_, _, back, _),) = incident.outages
    raised = {a["station_name"] for a in incident.open_during if a["rule"] == "level" and a["state"] == "raised"}
    assert raised, "the flood is on"
    ((_, since, _, _),) = incident.outages
    assert back is not None
    elsewhere = {code for code, time in incident.levels if since < time < back} - incident.behind
    assert elsewhere, "values of other stations were judged while it lasted"


def test_all_of_it_is_over_when_the_gateway_is_back(incident: Incident) -> None:
    assert incident.returned == 0, "everybody was heard again"
    assert {a["rule"] for a in incident.open_at_the_end} <= {"counter", "visits", "burst", "night_flow"}
