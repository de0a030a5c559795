"""`mimamori import-meters`: files of customers' meters taken in, of any size; the page takes 20 MB.

files   [{"file", "meters", "hours", "refused", "problems": [what, as the page says it]}], as far as they were taken in
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics.leaks.meters.intake import take_in, understood
from analytics.leaks.meters.keyed import SHORTEST
from api.pages.assets import ROOM
from api.pages.meters import REFUSALS, line_in_words, refused
from api.pages.words import load_words
from mimamori.bench.report import give
from mimamori.errors import InputError
from mimamori.settings import Settings
from store import connect
from store.registry import municipality_id_of
from store.town_clock import load_clock

MOST_LINES = 5_000_000  # a month of 7,000 meters by the hour


def import_files(settings: Settings, files: Sequence[Path], municipality: str, *, as_json: bool) -> None:
    """Takes in one after the other and prints what became of them. InputError at the first that cannot be taken in:
    nothing of that one is stored, and it says which ones before it were.
    """
    key = settings.need("meter_key")
    if len(key) < SHORTEST:
        raise InputError(
            f"MIMAMORI_METER_KEY must have at least {SHORTEST} characters: `mimamori meter-key FILE` makes one"
        )
    words = load_words(ROOM / "locales")["en"]
    done: list[dict[str, object]] = []
    with connect(settings.need("owner_dsn"), name="import-meters") as conn:
        town = municipality_id_of(conn, municipality)
        if town is None:
            raise InputError(f"municipality {municipality} is not in the database: load its town file first")
        row = conn.execute("select timezone from municipality where municipality_id = %s", (town,)).fetchone()
        assert row is not None
        now = load_clock(conn).now()
        for file in files:
            try:
                found = understood(file.read_bytes(), zone=ZoneInfo(row[0]), now=now, most=MOST_LINES)
                take_in(conn, (town, municipality), key, found, file.name, now=now, user_id=None)
            except OSError as error:
                raise InputError(f"{file}: cannot be read: {error.strerror}{_before(done)}") from error
            except REFUSALS as error:
                conn.rollback()
                raise InputError(f"{file}: {refused(words, error)}{_before(done)}") from None
            conn.commit()
            problems = [line_in_words(words, each) for each in found.problems]
            done.append(
                {
                    "file": file.name,
                    "meters": len(found.meters),
                    "hours": found.hours,
                    "refused": found.refused,
                    "problems": problems,
                }
            )
    rows = [tuple(str(each[name]) for name in ("file", "meters", "hours", "refused")) for each in done]
    give({"files": done}, "taken in", ("file", "meters", "hours", "refused"), rows, as_json=as_json)


def _before(done: Sequence[dict[str, object]]) -> str:
    return f" Taken in before it: {', '.join(str(each['file']) for each in done)}." if done else ""
