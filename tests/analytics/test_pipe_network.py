"""A town's pipes: read from what its GIS writes, checked, and written again."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from dataclasses import fields
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.leaks.network import inp, inp_text
from analytics.leaks.network.coordinates import CoordinatesError
from analytics.leaks.network.files import as_geojson, as_shapefile, read_network
from analytics.leaks.network.layers import LayerError
from analytics.leaks.network.pipes import Network, middle_distances
from tests.analytics.pipe_networks import PIPES, PLANE, POINTS, geojson, shapefile_zip, there

WHOLE = {"本管1#1": 100, "本管1#2": 200, "本管2": 200, "枝1": 400, "枝2": 120}


def facts(network: Network) -> dict[str, tuple[Any, ...]]:
    """What is known of each pipe, whatever its order."""
    pipes = network.pipes
    rows = zip(pipes.diameter, pipes.material, pipes.year, pipes.block, pipes.closed, strict=True)
    return {name: (*row, round(m, 1)) for name, row, m in zip(pipes.names, rows, pipes.length, strict=True)}


def test_a_town_s_geojson_is_understood() -> None:
    found = read_network({"town.geojson": geojson()})
    assert {name: row[-1] for name, row in facts(found.network).items()} == WHOLE
    assert facts(found.network)["本管1#1"] == (150, "DIP", 1987, "中央", False, 100)
    assert facts(found.network)["本管2"] == (100, "DIP", 1991, "中央", False, 200)
    assert [(each.code, each.feature) for each in found.problems] == [("split", "本管1")], "a tee divides the main"
    assert found.network.epsg == PLANE
    assert dict(zip(found.network.fixtures.names, found.network.fixtures.kind, strict=True)) == {
        "栓1": "hydrant", "弁1": "valve", "高台": "tank"
    }  # fmt: skip
    on = [found.network.pipes.names[each] if each >= 0 else None for each in found.network.fixtures.pipe]
    assert on == ["本管1#2", "本管2", None]
    way = middle_distances(found.network)
    names = found.network.pipes.names
    assert way[names.index("枝2"), names.index("本管1#1")] == pytest.approx(60 + 400 + 50, abs=0.1)


@pytest.mark.parametrize(
    ("encoding", "cpg"), [("cp932", None), ("cp932", b"932"), ("cp932", b"SJIS"), ("utf-8", b"UTF-8"), ("utf-8", None)]
)
def test_a_shapefile_is_the_same_network(encoding: str, cpg: bytes | None) -> None:
    found = read_network({"管路.zip": shapefile_zip(encoding, cpg)})
    assert facts(found.network) == facts(read_network({"town.geojson": geojson()}).network)


@pytest.mark.parametrize(("ending", "cut"), [("shp", 40), ("dbf", 40), ("shx", 8)])
def test_a_shapefile_that_was_cut_off_is_refused(ending: str, cut: int) -> None:
    """A pipe must not be missing without anybody being told."""
    with zipfile.ZipFile(io.BytesIO(shapefile_zip("cp932", None))) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    files[f"管路.{ending}"] = files[f"管路.{ending}"][:-cut]
    with pytest.raises(LayerError, match=r"cut off|3 shapes in \.shx, 4 records"):
        read_network(files)


def test_what_is_written_is_read_again() -> None:
    areas = {"中央": [(-50, -50), (-50, 250), (350, 250), (350, -50), (-50, -50)]}
    before = read_network({"town.geojson": geojson(areas=areas)}).network
    for file, data in {"again.geojson": as_geojson(before), "again.zip": as_shapefile(before)}.items():
        after = read_network({file: data})
        assert facts(after.network) == facts(before)
        assert not after.problems, file
        assert after.network.fixtures.kind == before.fixtures.kind and after.network.blocks.names == before.blocks.names
        assert np.allclose(after.network.blocks.rings[0], before.blocks.rings[0], atol=0.02)
    model = read_network({"again.inp": inp_text.write(before).encode()}, system=PLANE)
    assert facts(model.network) == facts(before) and model.network.epsg == PLANE


def test_every_mistake_is_told_with_its_feature() -> None:
    """One of each; the rest of the file is taken all the same."""
    pipes = {
        **PIPES,
        "離れ": (((500, 500), (600, 500)), {"口径": 75, "ブロック": "東"}),
        "近い": (((200, 0.3), (200, -100)), {"口径": 75, "ブロック": "東"}),
        "重複": (((300, 0), (300, 200)), {"口径": 75, "ブロック": "東"}),
        "零": (((420, 200), (420, 200)), {"口径": 75, "ブロック": "東"}),
        "不明": (((420, 200), (460, 200)), {"口径": 0, "ブロック": "東"}),
        "太い": (((420, 200), (420, 260)), {"口径": 15000, "ブロック": "東", "布設年度": "1687"}),
        "長い": (((420, 260), (420, 300)), {"口径": 75, "ブロック": "東", "延長": 140}),
        "文字": (((420, 300), (420, 340)), {"口径": "不詳", "布設年度": "大昔"}),
        "よそ": (((420, 340), (90_000, 340)), {"口径": 75, "ブロック": "東"}),
    }
    points = {**POINTS, "宙": ((150.0, 30.0), "消火栓"), "柱": ((150.0, 0.0), "電柱")}
    areas = {"空": [(900, 900), (900, 990), (990, 990), (900, 900)]}
    found = read_network(
        {"town.geojson": geojson(pipes, points, areas)}, bounds=(*there([(-500, -500)])[0], *there([(900, 900)])[0])
    )
    assert {(each.code, each.feature) for each in found.problems if not each.hint} == {
        ("near_end", "近い"), ("duplicate", "重複"), ("zero_length", "零"), ("apart", "離れ"), ("apart", "近い"),
        ("odd_diameter", "太い"), ("odd_year", "太い"), ("length_differs", "長い"), ("number", "文字"),
        ("outside", "よそ"), ("off_pipe", "宙"), ("kind", "柱"), ("empty_block", "空"),
    }  # fmt: skip
    assert next(each.values for each in found.problems if each.code == "near_end") == {"m": 0.3, "pipe": "本管1#2"}
    assert {each.code: dict(each.values) for each in found.problems if each.hint and each.code != "split"} == {
        "no_diameter": {"n": 2, "of": 14}, "no_block": {"n": 1, "km": 0.04},
    }  # fmt: skip
    assert len(found.network.pipes) == 14


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.dwg": b"x"}, "kind"),
        ({"a.geojson": b"{"}, "json"),
        ({"a.geojson": b"[]"}, "json"),
        ({"a.geojson": geojson({}, POINTS)}, "empty"),
        (
            {
                "a.geojson": b'{"crs": {"properties": 7}, "features": [{"geometry": {"type": "LineString", '
                b'"coordinates": [{}, 1]}}, {"geometry": {"type": "Circle"}}, 7, null]}'
            },
            "empty",
        ),
        ({"a.shp": b"x"}, "parts"),
        ({"a.shp": b"x" * 200, "a.shx": b"x" * 200, "a.dbf": b"x" * 200}, "shape"),
        ({"a.zip": b"PK"}, "zip"),
        ({"a.inp": b"", "b.geojson": geojson()}, "alone"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_name(files: dict[str, bytes], code: str) -> None:
    with pytest.raises(LayerError) as error:
        read_network(files)
    assert error.value.code == code and error.value.file in {*files, "a.shp"}


@settings(max_examples=120)
@given(
    st.sampled_from(["a.geojson", "a.zip", "a.inp", "a.shp", "a.dbf", "a.shx"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=3),
    st.floats(0.2, 1),
)
def test_a_damaged_file_is_read_or_refused(name: str, wounds: list[tuple[float, bytes]], kept: float) -> None:
    """Bytes written over and the end cut off: what comes of it is a network or a sentence, never anything else."""
    whole = {"a.geojson": geojson(), "a.inp": MODEL.encode(), "a.zip": shapefile_zip("cp932", None)}
    with zipfile.ZipFile(io.BytesIO(whole["a.zip"])) as archive:
        files = {each.replace("管路", "a"): archive.read(each) for each in archive.namelist()}
    files = {name: whole[name]} if name in whole else files
    data = bytearray(files[name])
    for share, bytes_ in wounds:
        at = int(share * len(data))
        data[at : at + len(bytes_)] = bytes_
    files[name] = bytes(data[: int(kept * len(data))])
    with suppress(LayerError, inp.InpError, CoordinatesError):
        read_network(files)


def test_coordinates_nobody_knows_are_refused() -> None:
    with pytest.raises(CoordinatesError):
        as_geojson(read_network({"a.inp": b"[JUNCTIONS]\nA 1\nB 1\n[PIPES]\nP A B 10 100 130"}).network)
    with pytest.raises(CoordinatesError):
        read_network({"a.geojson": geojson()[:-1] + b', "crs": {"properties": {"name": "moon"}}}'})


MODEL = """[TITLE]
町
[JUNCTIONS]
A 12 0.5
B 10
C 9
D 8
[RESERVOIRS]
R 60
[TANKS]
T 40 2 0.5 4 8 0
[PIPES]
P1 A B 100 75 130 ; material=DIP; year=1987; block=中央
P2 B C 50 75 130 2.5 CV
P3 R A 10 150 130 0 Closed
[PUMPS]
U C T HEAD 1
[VALVES]
V B D 75 PRV 30 0
[DEMANDS]
B 1 use
B 2
[PATTERNS]
use 1 0.5
[CURVES]
1 10 40
[CONTROLS]
LINK U CLOSED IF NODE T ABOVE 3.5
[OPTIONS]
Units LPS
[COORDINATES]
A 0 0
B 100 0
[VERTICES]
P1 50 10
"""


def test_an_epanet_file_is_written_as_it_was_read() -> None:
    before = inp.parse(MODEL, "town.inp")
    assert before.hydraulics is not None
    assert before.hydraulics.demand.tolist() == pytest.approx([1.8, 3.6, 7.2]), "m3/h, of A as its junction says"
    assert before.pipes.closed.tolist() == [False, False, True] and before.pipes.block[0] == "中央"
    after = inp.parse(inp_text.write(before), "again.inp")
    for part in fields(before):
        one, other = getattr(before, part.name), getattr(after, part.name)
        for column in fields(one) if part.name != "epsg" else ():
            a, b = getattr(one, column.name), getattr(other, column.name)
            if column.name == "lines":
                assert all(np.allclose(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))
            elif isinstance(a, np.ndarray):
                np.testing.assert_allclose(a, b, err_msg=f"{part.name}.{column.name}")
            else:
                assert a == b, (part.name, column.name)


@pytest.mark.parametrize(
    ("was", "now", "line", "code"),
    [
        ("P2 B C", "P2 B X", 14, "node"),
        ("P2 B C 50", "P2 B C lang", 14, "number"),
        ("P2 B C 50 75 130 2.5 CV", "P2 B C", 14, "missing"),
        ("P2 B", "P1 B", 14, "twice"),
        ("Units LPS", "Units BAR", 30, "units"),
    ],
)
def test_a_broken_line_is_named(was: str, now: str, line: int, code: str) -> None:
    with pytest.raises(inp.InpError) as error:
        inp.parse(MODEL.replace(was, now), "town.inp")
    assert (error.value.code, error.value.line) == (code, line)
    assert "town.inp" in str(error.value)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 99)), min_size=1, max_size=14))
def test_ways_along_pipes_are_the_shortest(pipes: list[tuple[int, int, int]]) -> None:
    """Against a graph with a node in the middle of every pipe: loops, two side by side and pipes onto themselves."""
    text = "[OPTIONS]\nUnits LPS\n[JUNCTIONS]\n" + "".join(f"n{n} 0\n" for n in range(7)) + "[PIPES]\n"
    network = inp.parse(text + "".join(f"p{n} n{a} n{b} {m} 75 130\n" for n, (a, b, m) in enumerate(pipes)), "g.inp")
    graph = networkx.MultiGraph()
    for n, (a, b, metres) in enumerate(pipes):
        for end in (a, b):
            graph.add_edge(("n", end), ("p", n), weight=metres / 2)
    found = middle_distances(network)
    for n in range(len(pipes)):
        ways = networkx.single_source_dijkstra_path_length(graph, ("p", n))
        assert found[n].tolist() == pytest.approx([ways.get(("p", m), float("inf")) for m in range(len(pipes))])
    assert (middle_distances(network, [len(pipes) - 1]) == found[-1:]).all()
