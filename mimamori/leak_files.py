"""A recorded year of a pipe network, as `mimamori evaluate leaks` reads it, and reports as it writes them.

    read(folder) -> LeakSet             dataset.json, the network it names, pressures, flows, levels, meters_hourly
    read_truth(folder, network) -> Leaks            leaks.csv and leak_flows.csv of a folder `truth`
    write(file, reports, network, start)            time,pipe,search_km,size_m3h,evidence

`dataset.json` names the `network` (an EPANET file, from the folder on), the `step` (such as "5min") and, where other
than usual, `water_value_eur_m3`, `crew_cost_eur` and `hit_distance_m`. The series are CSV or CSV.gz with a column
`time` (the dataset's own zone, ascending) and one for each node (pressures in m, levels in m, meters in L/h) or link
(flows in m3/h); empty means missing, and so is a line that is left out. Levels and meters may be missing altogether.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from analytics.leaks.detection.record import Record
from analytics.leaks.detection.report import Report
from analytics.leaks.judged import Floats, Leaks, Rule
from analytics.leaks.network.inp import InpError
from analytics.leaks.network.inp import read as read_network
from analytics.leaks.network.pipes import Network
from analytics.rivers.forecast.record import on_grid
from mimamori import recorded
from mimamori.errors import InputError
from mimamori.recorded import described, lines_of, step_of, table, time_of

HEADER = ("time", "pipe", "search_km", "size_m3h", "evidence")
_MOST_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class LeakSet:
    """`start` in seconds of the set's own zone."""

    name: str
    network: Network
    start: float
    record: Record
    rule: Rule


def read(folder: Path) -> LeakSet:
    """InputError names the file, and the key or line that is wrong."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    file = folder / "dataset.json"
    said = described(file)
    if not isinstance(said.get("network"), str):
        raise InputError(f"{file}: 'network' must name the EPANET file of the network")
    step = step_of(file, said.get("step"))
    network = _network(folder / said["network"])
    flows = _table(folder, "flows")
    if flows is None:
        raise InputError(f"{folder}: has no flows.csv or flows.csv.gz")
    times = flows[0]
    links = (*network.pipes.names, *network.valves.names, *network.pumps.names)
    start, n = float(times[0]), round((times[-1] - times[0]) / step) + 1
    if n > _MOST_ROWS:
        raise InputError(f"{folder}: {n} steps from the first to the last time of flows; is 'step' right?")
    hours = int(np.ceil(n * step / 3600))
    sensors, pressures = _series(folder, "pressures", network.nodes.names, start, step, n)
    meters, flow = _series(folder, "flows", links, start, step, n)
    tanks, levels = _series(folder, "levels", [network.nodes.names[at] for at in network.tanks.node], start, step, n)
    customers, used = _series(folder, "meters_hourly", network.nodes.names, start, 3600.0, hours)
    weekday = datetime.fromtimestamp(start, UTC).weekday()
    return LeakSet(
        str(said.get("name", folder.name)),
        network,
        start,
        Record(step, sensors, pressures, meters, flow, tanks, levels, customers, used, weekday),
        Rule(*(_number(file, said, key, usual) for key, usual in _RULE)),
    )


_RULE = (("water_value_eur_m3", 0.8), ("crew_cost_eur", 500.0), ("hit_distance_m", 300.0))


def read_truth(folder: Path, network: Network) -> Leaks:
    """The leaks of a year; `folder` holds leaks.csv (pipe,start,end) and leak_flows.csv (a column for each leak)."""
    file = folder / "leaks.csv"
    rows: list[tuple[str, float, float]] = []
    with lines_of(file) as text:
        for line, row in enumerate(csv.DictReader(text), start=2):
            if not {"pipe", "start", "end"} <= row.keys():
                raise InputError(f"{file}, line 1: must have the columns pipe, start and end")
            where = f"{file}, line {line}"
            begins, ends = (
                time_of(where, row[key] or "")[0].replace(tzinfo=UTC).timestamp() for key in ("start", "end")
            )
            rows.append((row["pipe"], begins, ends))
    known = {name: at for at, name in enumerate(network.pipes.names)}
    for line, (pipe, _, _) in enumerate(rows, start=2):
        if pipe not in known:
            raise InputError(f"{file}, line {line}: the network has no pipe {pipe}")
    flows = _table(folder, "leak_flows", [pipe for pipe, _, _ in rows])
    if flows is None:
        raise InputError(f"{folder}: has no leak_flows.csv or leak_flows.csv.gz")
    times, columns = flows
    return Leaks(
        np.array([known[pipe] for pipe, _, _ in rows], dtype=np.int64),
        np.array([begins for _, begins, _ in rows]),
        np.array([ends for _, _, ends in rows]),
        times,
        np.column_stack([columns[pipe] for pipe, _, _ in rows]) if rows else np.empty((len(times), 0)),
    )


def write(file: Path, reports: Iterable[Report], network: Network, start: float) -> None:
    """InputError: it cannot be written. Report times are seconds from `start`."""

    def stamp(at: float) -> str:
        return datetime.fromtimestamp(start + at, UTC).strftime("%Y-%m-%dT%H:%M")

    recorded.write(
        file,
        HEADER,
        (
            (
                stamp(each.at),
                network.pipes.names[each.pipe],
                f"{each.search_km:.2f}",
                f"{each.size:.1f}",
                f"{each.evidence}; began {stamp(each.began[0])} to {stamp(each.began[1])}",
            )
            for each in reports
        ),
    )


def _network(file: Path) -> Network:
    try:
        return read_network(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except InpError as error:
        raise InputError(str(error)) from error


def _table(folder: Path, name: str, columns: Sequence[str] | None = None) -> tuple[Floats, dict[str, Floats]] | None:
    """The named columns, or all, of NAME.csv or NAME.csv.gz; None where there is neither."""
    for file in (folder / f"{name}.csv", folder / f"{name}.csv.gz"):
        if file.exists():
            with lines_of(file) as text:
                header = [each.strip() for each in next(csv.reader(text), [])]
            return table(file, columns if columns is not None else [each for each in header if each != "time"])
    return None


def _series(
    folder: Path, name: str, known: Sequence[str], start: float, step: float, n: int
) -> tuple[tuple[str, ...], Floats]:
    """The columns of a file on the even steps of the set (n, k), nan where nothing was measured."""
    times, columns = _table(folder, name) or (np.empty(0), {})
    for each in columns:
        if each not in known:
            raise InputError(f"{folder / name}.csv, line 1: the network has no {_OF[name]} {each}")
    values = [on_grid(times, column, start, step, n) for column in columns.values()]
    return tuple(columns), np.column_stack(values) if values else np.empty((n, 0))


_OF = {"pressures": "node", "flows": "link", "levels": "tank", "meters_hourly": "node"}


def _number(file: Path, said: dict[str, object], key: str, usual: float) -> float:
    value = said.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InputError(f"{file}: {key!r} must be a number above 0, not {value!r}")
    return float(value)
