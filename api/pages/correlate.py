"""相関: two recordings of the noise of a leak, and where between the two recorders it comes from.

Computed while one waits. The recordings are not kept; an answer is, where somebody says with which leak case and
between which two places of the network it was (`analytics.leaks.cases.correlations`). Of the waterworks and the digital
section, as the pipes themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.leaks.cases import correlations as kept
from analytics.leaks.cases import stored as cases
from analytics.leaks.cases.case import ENDED, REPAIRED
from analytics.leaks.cases.kept import MOST_TEXT
from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.network import stored as networks
from analytics.leaks.sound.correlator import ASYNCHRONY, LONGEST_WAY, Found, correlate
from analytics.leaks.sound.delay import Delay
from analytics.leaks.sound.recordings import RecordingError, read_pair
from analytics.leaks.sound.speed import MATERIALS, measured, speed
from analytics.leaks.sound.way import Stretch
from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.leak_cases import LEAKS, one
from api.pages.site import moment, page
from api.pages.words import Words
from api.roles import PIPE_KEEPERS
from store.connection import Connection
from store.errors import RecordError

router = Router()

CORRELATE = "/water/correlate"
MOST_BYTES = 32_000_000  # of both files
ROWS = 4
WIDTH, HEIGHT = 400, 150  # units; narrow, so that its letters can be read on a phone
_EDGE = 16
# What is said of an answer when it is kept, beside its figures.
_KEPT = ("case", "a", "b", "day", "text")
_FIGURES = ("length", "metres", "low", "high", "strength", "delay_ms", "seconds")
_CARRIED = (*_FIGURES, "beyond", "stretches")
_DIAMETERS, _SPEEDS, _ASYNCHRONIES = (10.0, 3000.0), (100.0, 1600.0), (0.0, 100.0)  # mm, m/s, ms


class _Refused(Exception):
    """What was typed cannot be used; the message is for the page."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch from `begin` to `end` m from A, its speed and how probably the noise is there, 0..1."""

    begin: float
    end: float
    slowest: float
    fastest: float
    share: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page shows. `parts` is empty and the distances mean nothing where nothing `clear` was heard. `x` units
    of the picture by metres are `left` + metres * `unit`; `curve` is the path of the correlation, `zero` its lag of 0.
    """

    found: Found
    delay: tuple[float, float]
    parts: tuple[Part, ...]
    seconds: float
    curve: str
    zero: float
    reach: float
    left: int
    unit: float


@router.get(CORRELATE)
@access(PIPE_KEEPERS, page=True)
def correlate_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(CORRELATE)
@access(PIPE_KEEPERS)
async def compare(request: Request, visit: SignedIn) -> Response:
    """Says where the noise comes from, or on the same page why that cannot be said; with `do` = keep it keeps an answer
    with a leak case.
    """
    form = await request.form()
    files = []
    for name in ("file_a", "file_b"):
        each = form.get(name)
        if isinstance(each, UploadFile) and each.filename:
            files.append((each.filename, await each.read()))
    typed = {name: value.strip() for name, value in form.multi_items() if isinstance(value, str)}
    await form.close()
    if typed.get("do") == "keep":
        return await run_in_threadpool(_keep, request, visit, typed)
    return await run_in_threadpool(_compare, request, visit, files, typed)


def _keep(request: Request, visit: Visit, typed: Mapping[str, str]) -> Response:
    """Keeps an answer with a leak case, or says on the page why it cannot be kept."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    try:
        number = typed.get("case", "")
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            raise RecordError("case", "empty")
        with visit.transaction() as conn:
            case = one(conn, town, int(number))
            new = _new(conn, town, case.network_id, typed)
            if new.day > at.now.astimezone(at.zone).date():
                raise RecordError("day", "future")
            kept.keep(conn, town, case, new, now=at.now, user_id=visit.user.user_id)
    except RecordError as error:
        why = at.words("leaks.refused", why=at.words(f"leaks.problem.{error.code}"))
        return _page(request, visit, problem=why, keeping=typed, unkept=error, status=400)
    return RedirectResponse(f"{LEAKS}/{number}?done=correlated#evidence", 303)


def _new(conn: Connection, town: int, version: int | None, typed: Mapping[str, str]) -> kept.NewCorrelation:
    """What the form of an answer says. Raises `RecordError`."""
    a, b = (kept.place_of(which, typed.get(which, "")) for which in ("a", "b"))
    number = networks.present(conn, town) if version is None else version
    if number is not None:
        kept.spots_of(networks.network_of(conn, town, number), a, b)
    try:
        day = date.fromisoformat(typed.get("day", ""))
    except ValueError:
        raise RecordError("day", "unreadable") from None
    try:
        figures = {name: float(typed.get(name, "")) for name in _FIGURES}
        stretches = tuple(
            (float(length), None if not material else str(material)[:20], None if mm is None else float(mm))
            for length, material, mm in json.loads(typed.get("stretches", ""))
        )
    except (TypeError, ValueError):
        raise RecordError("metres", "number") from None
    return kept.NewCorrelation(
        a, b, stretches, beyond=typed.get("beyond") or None, day=day, network_id=number, text=typed.get("text", ""),
        **figures,
    )  # fmt: skip


def _figures(answer: Answer, typed: Mapping[str, str]) -> dict[str, str]:
    """The figures of a clear answer as a form carries them."""
    at = answer.found.place
    assert at is not None
    rows = [row for row in range(1, ROWS + 1) if typed.get(f"length_{row}")]
    stretches = [
        [
            float(typed[f"length_{row}"]),
            None if typed.get("speed") else typed.get(f"material_{row}"),
            float(typed[f"diameter_{row}"]) if typed.get(f"diameter_{row}") else None,
        ]
        for row in rows
    ]
    low, high = max(0.0, min(at.low, at.metres)), min(at.length, max(at.high, at.metres))
    figures = {
        "length": at.length, "metres": min(max(at.metres, 0.0), at.length), "low": low, "high": high,
        "strength": answer.found.delay.strength, "delay_ms": answer.found.delay.seconds * 1000,
        "seconds": answer.seconds,
    }  # fmt: skip
    return {
        **{name: repr(round(value, 3)) for name, value in figures.items()},
        "beyond": at.beyond or "",
        "stretches": json.dumps(stretches),
    }


def refused(words: Words, error: RecordingError) -> str:
    """Why recordings cannot be compared, and what to do."""
    return words(f"correlate.refused.{error.code}", file=error.file, about=error.about, needed=error.needed)


def _compare(request: Request, visit: Visit, files: list[tuple[str, bytes]], typed: Mapping[str, str]) -> Response:
    words = moment(request, visit).words
    try:
        stretches = _stretches(words, typed)
        asynchrony = _number(words, "asynchrony", typed.get("asynchrony", ""), _ASYNCHRONIES)
        pair = read_pair(files)
        heard = ASYNCHRONY if asynchrony is None else asynchrony / 1000
        answer = _answer(correlate(pair, stretches, asynchrony=heard), stretches, pair.seconds)
    except _Refused as error:
        return _page(request, visit, typed, problem=str(error), status=400)
    except RecordingError as error:
        return _page(request, visit, typed, problem=refused(words, error), status=400)
    return _page(request, visit, typed, answer=answer)


def _page(
    request: Request,
    visit: Visit,
    typed: Mapping[str, str] | None = None,
    *,
    answer: Answer | None = None,
    problem: str = "",
    keeping: Mapping[str, str] | None = None,
    unkept: RecordError | None = None,
    status: int = 200,
) -> Response:
    """`keeping`: what was typed of an answer that could not be kept, `unkept` why."""
    at, town = moment(request, visit), visit.tenant.municipality_id
    said = typed or {}
    if keeping is None and answer is not None and answer.found.place is not None:
        today = at.now.astimezone(at.zone).date()
        keeping = {**_figures(answer, said), "case": said.get("case", ""), "day": today.isoformat()}
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
        found = cases.cases(conn, town) if keeping is not None else []
    return page(
        request,
        visit,
        at,
        "water_correlate",
        alerts,
        status=status,
        typed=typed or {"asynchrony": f"{ASYNCHRONY * 1000:g}"},
        answer=answer,
        problem=problem,
        keeping=None if keeping is None else {name: keeping.get(name, "") for name in (*_KEPT, *_CARRIED)},
        carried=_CARRIED,
        unkept=unkept,
        cases=[each for each in found if each.state not in (REPAIRED, ENDED)],
        case=said.get("case") or request.query_params.get("case", "")[:9],
        most_text=MOST_TEXT,
        materials=MATERIALS,
        rows=ROWS,
        most=MOST_BYTES // 1_000_000,
        picture=(WIDTH, HEIGHT),
    )


def _stretches(words: Words, typed: Mapping[str, str]) -> list[Stretch]:
    known = _number(words, "speed", typed.get("speed", ""), _SPEEDS)
    found = []
    for row in range(1, ROWS + 1):
        length = _number(words, "length", typed.get(f"length_{row}", ""), (1.0, LONGEST_WAY), row)
        if length is None:
            continue
        material = typed.get(f"material_{row}", "")
        diameter = _number(words, "diameter", typed.get(f"diameter_{row}", ""), _DIAMETERS, row)
        if known is None and material not in MATERIALS:
            raise _Refused(words("correlate.refused.material", row=row))
        found.append(Stretch(length, speed(material, diameter) if known is None else measured(known)))
    if not found:
        raise _Refused(words("correlate.refused.none"))
    if sum(each.length for each in found) > LONGEST_WAY:
        raise _Refused(words("correlate.refused.far", most=f"{LONGEST_WAY:g}"))
    return found


def _number(words: Words, what: str, text: str, among: tuple[float, float], row: int = 0) -> float | None:
    """None where nothing is typed."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    low, high = among
    if not low <= value <= high:
        raise _Refused(words(f"correlate.refused.{what}", row=row, text=text, low=f"{low:g}", high=f"{high:g}"))
    return value


def _answer(found: Found, stretches: Sequence[Stretch], seconds: float) -> Answer:
    heard, place = found.delay, found.place
    low, high = np.quantile(heard.draws, [(1 - HOLDS) / 2, (1 + HOLDS) / 2])
    ends = np.cumsum([0.0, *(each.length for each in stretches)])
    parts = (
        ()
        if place is None
        else tuple(
            Part(float(begin), float(end), each.speed.low, each.speed.high, share)
            for begin, end, each, share in zip(ends, ends[1:], stretches, place.shares, strict=False)
        )
    )
    curve, zero = _curve(heard)
    return Answer(
        found,
        (float(low), float(high)),
        parts,
        seconds,
        curve,
        zero,
        float(heard.lags[-1]),
        _EDGE,
        (WIDTH - 2 * _EDGE) / float(ends[-1]),
    )


def _curve(heard: Delay) -> tuple[str, float]:
    """The path of the correlation, and where on it the delay is 0."""
    x = np.linspace(_EDGE, WIDTH - _EDGE, len(heard.lags))
    y = HEIGHT - 34 - np.clip(heard.curve, -0.2, 1.0) * (HEIGHT - 50)
    path = "M" + "L".join(f"{one:.1f} {other:.1f}" for one, other in zip(x, y, strict=True))
    return path, float(np.interp(0.0, heard.lags, x))
