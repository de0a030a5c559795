"""管路: the town's pipe network. Read from a file of the town's GIS or a hydraulic model, looked at with everything
that is wrong in it, and then taken over; earlier versions stay. Of the waterworks and, to keep it, of the digital
section alone: where a town's water can be cut off is nobody else's to know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.network import inp_text, stored
from analytics.leaks.network.coordinates import CoordinatesError, zones
from analytics.leaks.network.files import as_geojson, as_shapefile, read_network
from analytics.leaks.network.inp import InpError
from analytics.leaks.network.layers import LayerError
from analytics.leaks.network.pipes import Network
from analytics.leaks.network.problems import Problem
from analytics.leaks.network.stored import Length, Version
from api.access import Router, SignedIn, Visit, access
from api.errors import Conflict, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.headquarters import csv_file
from api.pages.pipe_drawing import draw
from api.pages.site import moment, page
from api.pages.typed import Form
from api.pages.words import Words
from api.roles import PIPE_KEEPERS

router = Router()

PIPES = "/water/pipes"
MOST_BYTES = 32_000_000  # of all files together
_SHOWN = 30  # problems of one kind on the page; the file has all
_MARKED = 60  # problems with a number in the picture
_DONE = frozenset({"taken", "left"})
_KINDS = {"geojson": "application/geo+json", "zip": "application/zip", "inp": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Told:
    """The problems of one kind: `n` of them, and the first with their numbers in the whole list."""

    code: str
    hint: bool
    n: int
    first: tuple[tuple[int, Problem], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """km by block (None: in none) and by what the columns are (None: not known), with the sums of both."""

    columns: tuple[str | int | None, ...]
    rows: tuple[tuple[str | None, tuple[float, ...], float], ...]
    sums: tuple[float, ...]
    total: float


@router.get(PIPES)
@access(PIPE_KEEPERS, page=True)
def pipes_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(PIPES)
@access(PIPE_KEEPERS)
async def read_files(request: Request, visit: SignedIn) -> Response:
    """Reads a network and keeps it as a draft, or says on the page why it cannot be read."""
    form = await request.form()
    files = {
        each.filename: await each.read()
        for each in form.getlist("file")
        if isinstance(each, UploadFile) and each.filename
    }
    system = form.get("system")
    await form.close()
    return await run_in_threadpool(_read, request, visit, files, system if isinstance(system, str) else "")


@router.get(PIPES + "/{network_id}")
@access(PIPE_KEEPERS, page=True)
def version_page(request: Request, visit: SignedIn, network_id: int) -> Response:
    """One version, or a draft with what is wrong in it."""
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        version = _version(stored.versions(conn, town, network_id), network_id)
        network = stored.network_of(conn, town, network_id)
        problems = stored.problems_of(conn, town, network_id)
        found = stored.lengths(conn, town, network_id)
        alerts = open_alerts(conn, visit.user.role)
    told = _told(problems)
    marked = [each for kind in told if not kind.hint for each in kind.first][:_MARKED]
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "water_pipes_version",
        alerts,
        version=version,
        told=told,
        drawing=draw(network, marked),
        materials=_table(found, [each.material for each in found]),
        decades=_table(found, [each.decade for each in found]),
        fixtures=_fixtures(network),
        in_words=partial(in_words, at.words),
        zone=None if network.epsg is None else zones().index(network.epsg) + 1,
        done=done if done in _DONE else None,
    )


@router.post(PIPES + "/{network_id}")
@access(PIPE_KEEPERS)
def decide(request: Request, visit: SignedIn, network_id: int, typed: Form) -> Response:
    """Takes a draft over (`do=take`) or leaves it out (`do=leave`)."""
    now, town, wanted = visit.clock.now(), visit.tenant.municipality_id, typed.get("do")
    with visit.transaction() as conn:
        version = _version(stored.versions(conn, town, network_id), network_id)
        if wanted == "take":  # pressed twice it is taken over once
            stored.take_over(conn, town, network_id, now=now, user_id=visit.user.user_id)
            return RedirectResponse(f"{PIPES}/{network_id}?done=taken", 303)
        if wanted == "leave" and version.draft and stored.leave_out(conn, town, network_id, now=now):
            return RedirectResponse(f"{PIPES}?done=left", 303)
    raise Conflict(
        Text(
            "この版はもう使われているため、取り消せません。", "This version is in use already and cannot be left out."
        ),
        Text("別の版を取り込むと入れ替わります。", "Take another version over to replace it."),
    )


@router.get(PIPES + "/{network_id}/problems.csv")
@access(PIPE_KEEPERS, page=True)
def problems_file(request: Request, visit: SignedIn, network_id: int) -> Response:
    """All that was found in the file, a line each, in words."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        _version(stored.versions(conn, visit.tenant.municipality_id, network_id), network_id)
        problems = stored.problems_of(conn, visit.tenant.municipality_id, network_id)
    head = [at.words(f"pipes.file.{each}") for each in ("number", "kind", "file", "feature", "said", "x", "y")]
    rows = [
        (
            number,
            at.words(f"pipes.kind.{each.code}"),
            each.file,
            each.feature,
            in_words(at.words, each),
            *(("", "") if each.xy is None else (f"{each.xy[0]:.2f}", f"{each.xy[1]:.2f}")),
        )
        for number, each in enumerate(problems, start=1)
    ]
    return csv_file(f"pipes_{visit.tenant.code}_{network_id}_problems", [head, *rows], at.words.code)


@router.get(PIPES + "/{network_id}/pipes.{form}")
@access(PIPE_KEEPERS, page=True)
def network_file(visit: SignedIn, network_id: int, form: str) -> Response:
    """The network as GeoJSON, as a Shapefile in a ZIP, or as an EPANET file."""
    if form not in _KINDS:
        raise _none(network_id)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        _version(stored.versions(conn, town, network_id), network_id)
        network = stored.network_of(conn, town, network_id)
    try:
        data = (
            inp_text.write(network, visit.tenant.name).encode()
            if form == "inp"
            else as_geojson(network)
            if form == "geojson"
            else as_shapefile(network)
        )
    except CoordinatesError:
        raise NotFound(
            Text(
                "この管路には座標系がないため、EPANET（.inp）でだけ書き出せます。",
                "This network has no coordinate system: it can be had as an EPANET file (.inp) only.",
            )
        ) from None
    name = f"pipes_{visit.tenant.code}_{network_id}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=_KINDS[form], headers=headers)


def in_words(words: Words, problem: Problem) -> str:
    """What is wrong, in a sentence."""
    values = dict(problem.values)
    for key in ("column", "kind"):
        known = f"pipes.{key}.{values.get(key)}"
        if known in words.texts:
            values[key] = words(known)
    return words(f"pipes.problem.{problem.code}", **values)


def refused(words: Words, error: LayerError | InpError | CoordinatesError, first: str) -> str:
    """Why files cannot be read, and what to do. `first` of them: where the error names none."""
    if isinstance(error, CoordinatesError):
        return words("pipes.refused.coordinates", about=error.said)
    if isinstance(error, InpError):
        line = "–" if error.line is None else error.line
        return words(f"pipes.refused.inp_{error.code}", file=error.file, line=line, about=error.about)
    return words(f"pipes.refused.{error.code}", file=error.file or first, about=error.about)


def _page(request: Request, visit: Visit, *, problem: str = "", system: str = "", status: int = 200) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = stored.versions(conn, visit.tenant.municipality_id)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "water_pipes",
        alerts,
        status=status,
        versions=found,
        zones=zones(),
        system=system,
        problem=problem,
        most=MOST_BYTES // 1_000_000,
        done=done if done in _DONE else None,
    )


def _read(request: Request, visit: Visit, files: dict[str, bytes], system: str) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    if not files:
        return _page(request, visit, problem=at.words("pipes.refused.none"), system=system, status=400)
    with visit.transaction() as conn:
        row = conn.execute("select bounds from municipality where municipality_id = %s", (town,)).fetchone()
    assert row is not None
    try:
        found = read_network(files, system=int(system) if system.isdecimal() else None, bounds=row[0])
    except (LayerError, InpError, CoordinatesError) as error:
        why = refused(at.words, error, next(iter(files)))
        return _page(request, visit, problem=why, system=system, status=400)
    with visit.transaction() as conn:
        number = stored.keep_draft(conn, town, found, sorted(files), now=at.now, user_id=visit.user.user_id)
    return RedirectResponse(f"{PIPES}/{number}", 303)


def _version(found: Sequence[Version], network_id: int) -> Version:
    if not found:
        raise _none(network_id)
    return found[0]


def _none(network_id: int) -> NotFound:
    return NotFound(
        Text(
            f"管路の版 {network_id} はありません。一覧から選び直してください。",
            f"There is no version {network_id} of the pipe network. Choose one from the list.",
        )
    )


def _fixtures(network: Network) -> list[tuple[str, int]]:
    """How many there are of each kind, whether on the pipes of a map or between the nodes of a model."""
    counts = Counter(network.fixtures.kind)
    counts["valve"] += len(network.valves)
    counts["pump"] += len(network.pumps)
    counts["tank"] += len(network.tanks) + len(network.reservoirs)
    return [(kind, counts[kind]) for kind in ("valve", "hydrant", "meter", "pump", "tank")]


def _told(problems: Sequence[Problem]) -> tuple[Told, ...]:
    numbered = enumerate(problems, start=1)
    kinds = []
    for code, group in groupby(numbered, key=lambda each: each[1].code):
        each = list(group)
        kinds.append(Told(code, each[0][1].hint, len(each), tuple(each[:_SHOWN])))
    return tuple(kinds)


def _table(found: Sequence[Length], columns: Sequence[str | int | None]) -> Table:
    known = sorted({each for each in columns if each is not None}, key=str)
    heads: list[str | int | None] = [*known, *([None] if None in columns else [])]
    blocks = list(dict.fromkeys(each.block for each in found))
    cells = dict.fromkeys(((block, head) for block in blocks for head in heads), 0.0)
    for each, head in zip(found, columns, strict=True):
        cells[each.block, head] += each.km
    rows = [(block, tuple(cells[block, head] for head in heads)) for block in blocks]
    sums = tuple(sum(cells[block, head] for block in blocks) for head in heads)
    return Table(tuple(heads), tuple((block, row, sum(row)) for block, row in rows), sums, sum(sums))
