"""`mimamori bench import`: how long a prefecture's year of gauges takes to come in, and the same file once more.

A ZIP of a CSV a month (`ingest.formats.kagoshima`) of so many made-up gauges every ten minutes, into a town of an empty
database of its own: embedded PostgreSQL, in a temporary folder. The JSON object:

    gauges, days, values        what is in the file
    reading_s                   going through the file alone, nothing judged, nothing stored
    first_s                     into the empty series
    again_s                     the same file: all of it is there already
    grown_s                     the file with one more day, `grown` new values in it
    a_second                    values a second of `first_s`
    limit_s, kept               once more is no slower than the first time
    processor                   of each of the three the processor time of this process alone, seconds
"""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from devices.clock import ClockSetting
from devices.model import ObservedProperty
from devices.town import load_town
from ingest import formats
from ingest.history import ImportReport, import_history
from ingest.history_map import FormatMap, SeriesRule
from mimamori.bench.many import many_gauges
from simulators.towns import path as town_path
from store import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

_UNTIL = datetime(2026, 6, 20, 9, 0, tzinfo=UTC)
_JAPAN = timezone(timedelta(hours=9))
_STEP = timedelta(minutes=10)
_MISSING = 0.002  # of all values, as `***`

Progress = Callable[[int, int], None]


def measure(gauges: int, days: int, progress: Progress) -> dict[str, Any]:
    """`progress` hears of the bytes read, of how many, over all three imports."""
    layout = FormatMap(
        "kagoshima",
        {
            f"水位/{n}": SeriesRule(f"gauge-{n}", ObservedProperty.WATER_LEVEL, None, 0.0, None)
            for n in range(1, gauges + 1)
        },
    )
    with tempfile.TemporaryDirectory(prefix="mimamori-import-") as folder, EmbeddedServer(Path(folder)) as server:
        file, grown = Path(folder) / "2025.zip", Path(folder) / "2025-later.zip"
        values = _write(file, gauges, days)
        more = _write(grown, gauges, days + 1)
        code = _town(server, gauges)
        reading = _timed(lambda: _read(file, layout))[0]
        size = file.stat().st_size
        took: dict[str, tuple[float, float]] = {}
        for n, (name, each) in enumerate((("first", file), ("again", file), ("grown", grown))):
            heard = partial(_heard, progress, n * size, 3 * size)
            work = partial(import_history, server.dsn("worker"), code, each, layout, progress=heard)
            seconds, processor, report = _timed(work)
            took[name] = (seconds, processor)
            _expect(report, {"first": (values, 0), "again": (0, values), "grown": (more - values, values)}[name])
    first, again = took["first"][0], took["again"][0]
    return {
        "gauges": gauges,
        "days": days,
        "values": values,
        "reading_s": round(reading, 3),
        **{f"{name}_s": round(seconds, 3) for name, (seconds, _) in took.items()},
        "grown": more - values,
        "a_second": round(values / first),
        "limit_s": round(first, 3),
        "kept": again <= first,
        "processor": {name: round(processor, 3) for name, (_, processor) in took.items()},
    }


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people."""
    yield ("reading alone", f"{figures['reading_s']:g} s", "")
    yield (f"into empty series, {figures['a_second']:,} values a second", f"{figures['first_s']:g} s", "")
    yield ("the same file once more", f"{figures['again_s']:g} s", f"{figures['limit_s']:g} s")
    yield (f"with a day more, {figures['grown']:,} values", f"{figures['grown_s']:g} s", "")


def _write(file: Path, gauges: int, days: int) -> int:
    """The file as the prefecture would write it; how many values it has. A longer one begins as a shorter one does."""
    per_day = timedelta(days=1) // _STEP
    values = 0
    head = [
        "水位," + "," * gauges,
        "," + ",".join(map(str, range(1, gauges + 1))),
        "観測時刻," + ",".join(f"水位計{n}" for n in range(1, gauges + 1)),
    ]
    first = (_UNTIL - timedelta(days=400)).astimezone(_JAPAN).replace(hour=0, minute=0)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for day in range(0, days, 30):
            n = min(30, days - day) * per_day
            lines = list(head)
            tables = [_levels(at, gauges, per_day) for at in range(day, day + n // per_day)]
            for at, row in enumerate(np.concatenate(tables).tolist()):
                time_ = first + timedelta(days=day) + (at + 1) * _STEP
                cells = ["***" if each < -900 else str(each) for each in row]
                stamp = f"{time_.year}/{time_.month}/{time_.day} {time_.hour}:{time_:%M}"
                lines.append(",".join([stamp, *cells]))
            packed.writestr(f"{day:03}.csv", "\r\n".join(lines).encode("cp932"))
            values += n * gauges
    return values


def _levels(day: int, gauges: int, per_day: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Centimetres of a day, -999 where nothing was measured: low water with a small flood every tenth day."""
    draw = np.random.default_rng(day)
    hours = np.arange(1, per_day + 1)[:, None] * 24 / per_day
    flood = 60 * np.exp(-(((hours - 12) / 3) ** 2)) if day % 10 == 3 else 0.0
    level = 40 + np.arange(gauges) % 30 + flood + draw.normal(0, 1.2, (per_day, gauges)).round()
    found: np.ndarray[tuple[int, int], np.dtype[np.int64]] = level.round().astype(np.int64)
    found[draw.random(found.shape) < _MISSING] = -999
    return found


def _town(server: EmbeddedServer, gauges: int) -> str:
    migrate(server.dsn("owner"))
    town = load_town(town_path())
    with connect(server.dsn("owner"), name="bench") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=_UNTIL, town_start=_UNTIL, speed=1.0))
        many_gauges(conn, sync_town(conn, replace(town, stations=(), shapes=())), gauges, _UNTIL)
    return town.municipality.code


def _read(file: Path, layout: FormatMap) -> int:
    wanted = {f"gauge-{n}": n for n in range(1, len(layout.series) + 1)}
    reading = formats.read(str(file), lambda: file.open("rb"), layout, lambda station, _: wanted[station], _UNTIL)
    return sum(len(line.observations) for line in reading.lines())


def _heard(progress: Progress, before: int, of: int, read: int, _: ImportReport) -> None:
    progress(before + read, of)


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    began, used = time.perf_counter(), time.process_time()
    done = work()
    return time.perf_counter() - began, time.process_time() - used, done


def _expect(report: ImportReport, wanted: tuple[int, int]) -> None:
    assert (report.stored, report.unchanged, report.rejected) == (*wanted, 0), report
