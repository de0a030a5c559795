"""まとめて貼り付け: a block of cells out of Excel, or a file of it, as numbers of days or of past months.

First what it would do, number by number, with reasons where one cannot be taken; then one press stores what can. The
press carries the text again and the digest of what was shown: where that has changed meanwhile, it is shown anew.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from analytics.visitors.pasting.block import By, cells_of, read_block
from analytics.visitors.pasting.periods import Part, read_title
from api.access import Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.count_copies import MAX_NOTE
from api.pages.daily_entry import COUNTING
from api.pages.paste_plan import Fate, Item, Plan, Stored, plan_days, plan_months, store_days, store_months
from api.pages.readings import StationNow, stations_now
from api.pages.site import Moment, moment, page
from devices.model import StationKind
from devices.sheets import SheetError, read_cells

router = Router()

ADDRESS = "/tourism/paste"
MOST_TEXT = 150_000  # characters: in a form each may take nine bytes, and a request takes a million
MOST_BYTES = 600_000  # of a file
_MOST_NUMBERS = 4_000
_MOST_SHOWN = 200  # of one fate
_LISTED = (Fate.REFUSED, Fate.ASK, Fate.CHANGE, Fate.NEW, Fate.LEFT)


@dataclass(frozen=True, slots=True)
class Asked:
    """The form as it came. `said` is the year or month that the block does not name, `note` what is kept beside each
    number: a remark, or how the months were counted; `unread` says in a key of the catalogue why the file is no table.
    """

    text: str = ""
    by: By = By.DAY
    spot: str = ""
    said: str = ""
    note: str = ""
    store: bool = False
    digest: str = ""
    sure: frozenset[str] = frozenset()
    unread: tuple[str, Mapping[str, str | int]] | None = None

    @property
    def title(self) -> Part:
        return read_title(self.said)


async def _asked(request: Request) -> Asked:
    form = await request.form()
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    text = texts.get("text", "").replace("\r\n", "\n")
    unread: tuple[str, Mapping[str, str | int]] | None = None
    file = form.get("file")
    if file is not None and not isinstance(file, str) and file.filename:
        try:
            data = await file.read(MOST_BYTES + 1)
            text = _of_file(data) if len(data) <= MOST_BYTES else ""
            unread = None if text else ("bulk.too_large", {"most": MOST_BYTES // 1000})
        except SheetError as error:
            text, unread = "", (f"sheet.{error.code}", error.values)
        await form.close()
    return Asked(
        text,
        By.MONTH if texts.get("by") == By.MONTH else By.DAY,
        texts.get("spot", "")[:100],
        texts.get("said", "")[:40],
        texts.get("note", "").strip()[:MAX_NOTE],
        texts.get("do") == "store",
        texts.get("digest", "")[:40],
        frozenset(value for name, value in form.multi_items() if name == "sure" and isinstance(value, str)),
        unread,
    )


def _of_file(data: bytes) -> str:
    """The cells of a file as they would have been pasted."""
    out = io.StringIO()
    csv.writer(out, delimiter="\t", lineterminator="\n").writerows(read_cells(data))
    return out.getvalue()


Form = Annotated[Asked, Depends(_asked)]


@router.get(ADDRESS)
@access(COUNTING, page=True)
def paste_page(request: Request, visit: SignedIn) -> Response:
    query = request.query_params
    by = By.MONTH if query.get("by") == By.MONTH else By.DAY
    return _page(request, visit, moment(request, visit), Asked(by=by, spot=query.get("spot", "")[:100]))


@router.post(ADDRESS)
@access(COUNTING)
def paste(request: Request, visit: SignedIn, asked: Form) -> Response:
    """What the block would do; where it is to be stored and would still do what was shown, it is."""
    at = moment(request, visit)
    if asked.unread is not None:
        wrong = at.words(asked.unread[0], **asked.unread[1])
        return _page(request, visit, at, asked, wrong=wrong, status=400)
    if len(asked.text) > MOST_TEXT:
        wrong = at.words("paste.long", most=f"{MOST_TEXT:,}")
        return _page(request, visit, at, asked, wrong=wrong, status=400)
    with visit.transaction() as conn:
        spots = stations_now(conn, StationKind.VISITOR_SPOT, at.now)
        names = {spot.code: (spot.name, spot.name_en) for spot in spots}
        block = read_block(
            cells_of(asked.text),
            names,
            by=asked.by,
            today=at.now.astimezone(at.zone).date(),
            chosen=asked.spot if asked.spot in names else None,
            said=asked.title,
        )
        plan = (plan_days if asked.by is By.DAY else plan_months)(conn, at, spots, block)
    if not plan.items and not plan.ignored:
        return _page(request, visit, at, asked, wrong=at.words("paste.nothing"), status=400)
    if len(plan.items) > _MOST_NUMBERS:
        return _page(request, visit, at, asked, wrong=at.words("paste.many", most=f"{_MOST_NUMBERS:,}"), status=400)
    if asked.store and asked.digest == plan.digest:
        wanted = plan.wanted(asked.sure)
        if asked.by is By.DAY:
            stored = store_days(visit, at, spots, wanted, asked.note or None)
        else:
            stored = store_months(visit, at, spots, wanted, asked.note)
        left = tuple(item for item in plan.of(Fate.ASK) if item.sign not in asked.sure)
        return _page(request, visit, at, asked, plan=plan, stored=stored, left=left + stored.late)
    return _page(request, visit, at, asked, plan=plan, changed=asked.store)


def _page(
    request: Request,
    visit: SignedIn,
    at: Moment,
    asked: Asked,
    *,
    plan: Plan | None = None,
    stored: Stored | None = None,
    left: tuple[Item, ...] = (),
    changed: bool = False,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    with visit.transaction() as conn:
        spots = stations_now(conn, StationKind.VISITOR_SPOT, at.now)
        alerts = open_alerts(conn, visit.user.role)
    known = {spot.code: spot for spot in spots}
    shown = (
        []
        if plan is None
        else [(fate, found[:_MOST_SHOWN], len(found)) for fate in _LISTED if (found := plan.of(fate))]
    )
    return page(
        request,
        visit,
        at,
        "tourism_paste",
        alerts,
        status=status,
        asked=asked,
        spots=spots,
        plan=plan,
        shown=shown,
        counted={} if plan is None else {fate.value: n for fate, n in plan.counted().items()},
        stored=stored,
        left=left,
        changed=changed,
        wrong=wrong,
        why=_reasons(at, known),
        called=lambda code: at.words.name(known[code].name, known[code].name_en) if code in known else "–",
        most_note=MAX_NOTE,
        most=MOST_BYTES // 1000,
    )


def _reasons(at: Moment, spots: dict[str, StationNow]) -> Callable[[Item], str]:
    def why(item: Item) -> str:
        if item.reason is None:
            return ""
        return at.words(
            f"paste.why.{item.reason}",
            typed=item.line.typed,
            detail=item.line.detail,
            usual="" if item.usual is None else f"{item.usual:,.0f}",
            before="" if item.before is None else f"{item.before:,.0f}",
        )

    return why
