"""`mimamori import-network`: a pipe network read, its problems told, and taken over.

pipes, km, fixtures, blocks   of what was read
version                       its number on the page 管路; null: it was only checked
problems                      [{"kind", "file", "feature", "what", "hint"}]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analytics.leaks.network import stored
from analytics.leaks.network.coordinates import CoordinatesError
from analytics.leaks.network.files import read_network
from analytics.leaks.network.inp import InpError
from analytics.leaks.network.layers import LayerError
from api.pages.assets import ROOM
from api.pages.pipes import in_words, refused
from api.pages.words import load_words
from mimamori.bench.report import give
from mimamori.errors import InputError
from mimamori.settings import Settings
from store import connect
from store.registry import municipality_id_of
from store.town_clock import load_clock


def import_files(
    settings: Settings, files: Sequence[Path], municipality: str, *, system: int | None, check: bool, as_json: bool
) -> None:
    """Does it and prints what became of it. InputError where a file cannot be read: nothing is stored then."""
    words = load_words(ROOM / "locales")["en"]
    try:
        data = {file.name: file.read_bytes() for file in files}
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    with connect(settings.need("owner_dsn"), name="import-network") as conn:
        town = municipality_id_of(conn, municipality)
        if town is None:
            raise InputError(f"municipality {municipality} is not in the database: load its town file first")
        row = conn.execute("select bounds from municipality where municipality_id = %s", (town,)).fetchone()
        assert row is not None
        try:
            found = read_network(data, system=system, bounds=row[0])
        except (LayerError, InpError, CoordinatesError) as error:
            raise InputError(f"{refused(words, error, next(iter(data), ''))} Nothing was stored.") from None
        number = None
        if not check:
            now = load_clock(conn).now()
            number = stored.keep_draft(conn, town, found, sorted(data), now=now, user_id=None)
            stored.take_over(conn, town, number, now=now, user_id=None)
            conn.commit()
    network = found.network
    problems = [
        {
            "kind": each.code,
            "file": each.file,
            "feature": each.feature,
            "what": in_words(words, each),
            "hint": each.hint,
        }
        for each in found.problems
    ]
    km = round(float(network.pipes.length.sum()) / 1000, 3)
    figures = {
        "pipes": len(network.pipes),
        "km": km,
        "fixtures": len(network.fixtures),
        "blocks": len(set(network.pipes.block) - {None}),
        "version": number,
        "problems": problems,
    }
    what = "checked, nothing stored" if number is None else f"taken over as No. {number}"
    rows = [(words(f"pipes.kind.{each.code}"), each.feature, in_words(words, each)) for each in found.problems]
    title = f"{len(network.pipes)} pipes, {km:g} km: {what}"
    give(figures, title, ("to check", "feature", "what"), rows, as_json=as_json)
