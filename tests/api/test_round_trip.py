"""What pages and API export goes back into a town as it was: nothing is new there, and elsewhere it is the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from api.access import Role
from ingest.history import import_history, layout_of
from store import connect, latest
from tests.api.serving import TownHall
from tests.conftest import START

LEVEL = "river-okusawa"
ROWS: list[tuple[float, float | None, str, str | None]] = [
    (0, 0.1 + 0.2, "good", None),
    (10, 1 / 3, "good", None),
    (10.000001, 0.3333, "good", "clock"),  # of a device without a clock: the moment at which it was heard
    (20, None, "missing", "sensor"),
    (30, 0.34, "manual", None),
    (40, 0.35, "doubtful", "spike"),
    (50, 0.36, "bad", "rejected"),
    (60, 0.37, "good", "corrected"),
    (70, None, "missing", "failure"),
    (80, 0.0, "estimated", "gap"),
    (90, -0.02, "good", "confirmed"),
]


def fill(town_hall: TownHall) -> None:
    with connect(town_hall.database.owner, name="test") as conn:
        level = town_hall.database.datastream(LEVEL, "water_level")
        conn.execute("delete from observation")
        conn.cursor().executemany(
            "insert into observation (datastream_id, phenomenon_time, value, quality, reason) "
            "values (%s, %s, %s, %s, %s)",
            [(level, START - timedelta(hours=3) + timedelta(minutes=m), *rest) for m, *rest in ROWS],
        )
        latest.recompute(conn)


def exported(client: Any) -> dict[str, str]:
    whole = "/api/v1/observations?from=2026-05-01T00:00:00Z&to=2026-06-01T00:00:00Z"
    return {
        "page.csv": client.get(f"/disaster/stations/{LEVEL}/observations.csv?range=24h").text,
        "api.csv": client.get(f"{whole}&format=csv").text,
        "api.ndjson": client.get(whole).text,
    }


def test_an_export_goes_back_as_it_was(town_hall: TownHall, tmp_path: Path) -> None:
    fill(town_hall)
    with town_hall.visitor(Role.DISASTER) as client:
        before = exported(client)
        for name, text in before.items():
            file = tmp_path / name
            file.write_text(text, "utf-8", newline="")

            def load(file: Path = file) -> Any:
                return import_history(town_hall.database.worker, "999999", file, layout_of(file, None, None))

            again = load()
            assert (again.stored, again.unchanged, again.revised, again.rejected) == (0, len(ROWS), 0, 0), name
            assert exported(client) == before, "nothing was touched"
            with connect(town_hall.database.owner, name="test") as conn:
                conn.execute("delete from observation")
                latest.recompute(conn)
            assert load().stored == len(ROWS) and exported(client) == before, name
