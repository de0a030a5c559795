"""A drill in a town of real processes, `kill -9` of ingest in the middle of it: it goes on where it was, and ends.

Afterwards `kill -9` of the supervisor: nobody is left running, and the database has kept what it said.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import httpx

from api.accounts import DEMO_PASSWORD
from store import connect
from store.embedded import EmbeddedServer
from tests.demo.town_process import gone, town

# Whose death signal ends what a supervisor leaves behind; elsewhere Ctrl-C ends it.
KILLABLE = sys.platform.startswith("linux")

PLAN = {
    "name": "図上訓練",
    "kind": "made",
    "start": "1.0",
    "peak": "3.7",
    "hours": "0.5",
    "speed": "1",
    "stop_level": "2",
    "station-river-mimamoribashi": "1",
}


def test_a_drill_survives_the_death_of_who_feeds_it_and_ends_by_itself(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    # An hour of the town in eighteen seconds; no gauge comes near its second level by itself. It needs no past.
    with town(data, "--scenario", "normal", "--speed", "200", "--history-days", "0") as demo:
        with httpx.Client(base_url=demo.url(), timeout=20, trust_env=False) as client:
            signed = client.post("/api/v1/session", json={"login": "disaster", "password": DEMO_PASSWORD})
            assert signed.status_code == 201, signed.text
            client.headers["X-CSRF-Token"] = signed.json()["csrf_token"]
            address = client.post("/disaster/drills", data=PLAN).headers["location"].partition("?")[0]
            assert client.post(address, data={"do": "start"}).status_code == 303

            def said(words: str) -> bool:
                try:
                    return words in client.get(address, headers={"Accept": "text/html"}).text
                except httpx.TransportError:
                    return False

            demo.wait(lambda: said("訓練の水位") and not said("まだ値がありません"), within=60)
            demo.kill("ingest")
            demo.wait(lambda: said("最後まで実施"), within=240)
            demo.wait(lambda: not said("継続中"), within=60)
        everybody = demo.children()
        assert len(everybody) > 6
        if KILLABLE:
            demo.process.kill()
            demo.process.wait()
        else:
            demo.end(signal.SIGINT, within=30)
    assert gone(everybody, within=15) == []
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
        fed = conn.execute(
            "select count(*), max(o.value) from observation o join drill_station x using (datastream_id)"
        ).fetchone()
        planned = conn.execute("select count(*), max(value) from drill_reading").fetchone()
        assert fed == planned and fed is not None and fed[1] == 3.7
        alerts = conn.execute("select peak_level, cleared_at is not null from alert where mode = 'exercise'")
        assert alerts.fetchall() == [(4, True)]
        assert conn.execute("select count(*) from drill where closed_at is not null").fetchone() == (1,)
        told = conn.execute(
            "select distinct channel, left(subject, 8) from outbox join alert_history "
            "using (alert_history_id) join alert using (alert_id) where mode = 'exercise'"
        )
        assert told.fetchall() == [("log", "【模擬】【訓練】")]
