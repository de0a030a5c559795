"""相関: two recordings of the noise of a leak, and where between the two recorders it comes from.

Computed while one waits, and not kept: neither the recordings nor the answer. Of the waterworks and the digital
section, as the pipes themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.sound.correlator import ASYNCHRONY, LONGEST_WAY, Found, correlate
from analytics.leaks.sound.delay import Delay
from analytics.leaks.sound.recordings import RecordingError, read_pair
from analytics.leaks.sound.speed import MATERIALS, measured, speed
from analytics.leaks.sound.way import Stretch
from api.access import Router, SignedIn, Visit, access
from api.pages.alert_list import open_alerts
from api.pages.pipes import KEEPERS
from api.pages.site import moment, page
from api.pages.words import Words

router = Router()

CORRELATE = "/water/correlate"
MOST_BYTES = 32_000_000  # of both files
ROWS = 4
WIDTH, HEIGHT = 400, 150  # units; narrow, so that its letters can be read on a phone
_EDGE = 16
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
@access(KEEPERS, page=True)
def correlate_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit)


@router.post(CORRELATE)
@access(KEEPERS)
async def compare(request: Request, visit: SignedIn) -> Response:
    """Says where the noise comes from, or on the same page why that cannot be said."""
    form = await request.form()
    files = []
    for name in ("file_a", "file_b"):
        each = form.get(name)
        if isinstance(each, UploadFile) and each.filename:
            files.append((each.filename, await each.read()))
    typed = {name: value.strip() for name, value in form.multi_items() if isinstance(value, str)}
    await form.close()
    return await run_in_threadpool(_compare, request, visit, files, typed)


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
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "water_correlate",
        alerts,
        status=status,
        typed={"asynchrony": f"{ASYNCHRONY * 1000:g}"} if typed is None else typed,
        answer=answer,
        problem=problem,
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
