"""タイムライン: the town's own list for each level, ticked during an event; and the page on which it is written.

A level's list is two fields of text, one item a line: what is to be done, and who is to be called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.headquarters import EDITORS, wants_drill
from api.pages.site import moment, page
from api.pages.typed import Form
from store.checklists import (
    MOST_ITEMS,
    MOST_TEXT,
    Item,
    ItemKind,
    Tick,
    done_now,
    event_since,
    items,
    put_list,
    tick,
    worst_open,
)
from store.errors import RecordError
from store.feed import append_headquarters

router = Router()

LEVELS = (1, 2, 3, 4, 5)
_DONE = frozenset({"ticked", "unticked", "saved"})


@dataclass(frozen=True, slots=True)
class Level:
    """A level's list; `due`: an open alert has reached it. `open` counts what is not ticked."""

    level: int
    due: bool
    tasks: tuple[tuple[Item, Tick | None], ...]
    calls: tuple[tuple[Item, Tick | None], ...]

    @property
    def open(self) -> int:
        return sum(done is None for _, done in (*self.tasks, *self.calls))

    @property
    def total(self) -> int:
        return len(self.tasks) + len(self.calls)


@router.get("/disaster/checklist")
@access(READERS, page=True)
def checklist_page(request: Request, visit: SignedIn) -> Response:
    return _page(request, visit, drill=wants_drill(request))


@router.post("/disaster/checklist/items/{item_id}")
@access(EDITORS)
def tick_item(request: Request, visit: SignedIn, item_id: int, typed: Form) -> Response:
    """Ticks an item, or takes the tick back (`done` empty)."""
    at = moment(request, visit)
    drill, done = typed.get("drill") == "1", typed.get("done") == "1"
    try:
        with visit.transaction() as conn:
            tick(
                conn,
                visit.tenant.municipality_id,
                item_id,
                done=done,
                drill=drill,
                now=at.now,
                user_id=visit.user.user_id,
            )
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        if error.code == "unknown":
            raise NotFound(Text("その項目はありません。", "There is no such item.")) from error
        return _page(request, visit, drill=drill, problem=error, status=409)
    word = "ticked" if done else "unticked"
    return RedirectResponse(f"/disaster/checklist?{'drill=1&' if drill else ''}done={word}", 303)


def _page(
    request: Request, visit: Visit, *, drill: bool, problem: RecordError | None = None, status: int = 200
) -> Response:
    at = moment(request, visit)
    town = visit.tenant.municipality_id
    with visit.transaction() as conn:
        listed = items(conn, town)
        since = event_since(conn, town, at.now, drill=drill)
        ticked = done_now(conn, town, at.now, drill=drill)
        worst = worst_open(conn, town, drill=drill)
        alerts = open_alerts(conn, visit.user.role)
    levels = tuple(level for n in LEVELS if (level := level_of(n, listed, ticked, worst)).total)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "disaster_checklist",
        alerts,
        status=status,
        drill=drill,
        levels=levels,
        since=since,
        worst=worst,
        problem=problem,
        may_write=visit.user.role in EDITORS,
        done=done if done in _DONE else None,
    )


def level_of(level: int, listed: list[Item], ticked: Mapping[int, Tick], worst: int | None) -> Level:
    def of(kind: ItemKind) -> tuple[tuple[Item, Tick | None], ...]:
        return tuple((i, ticked.get(i.item_id)) for i in listed if i.level == level and i.kind is kind)

    return Level(level, worst is not None and level <= worst, of(ItemKind.TASK), of(ItemKind.CALL))


# --- writing the lists ------------------------------------------------------------------------------------


@router.get("/disaster/checklist/edit")
@access(EDITORS, page=True)
def edit_page(request: Request, visit: SignedIn) -> Response:
    with visit.transaction() as conn:
        listed = items(conn, visit.tenant.municipality_id)
    return _edit(request, visit, {name: "\n".join(texts) for name, texts in _by_field(listed).items()})


@router.post("/disaster/checklist/edit")
@access(EDITORS)
def save(request: Request, visit: SignedIn, typed: Form) -> Response:
    """Makes the lists what the fields say; a level whose field is not among them stays as it is."""
    at = moment(request, visit)
    field = ""
    try:
        with visit.transaction() as conn:
            for level in LEVELS:
                for kind in ItemKind:
                    field = f"{kind.value}-{level}"
                    if field in typed:
                        put_list(
                            conn,
                            visit.tenant.municipality_id,
                            level,
                            kind,
                            typed[field].splitlines(),
                            now=at.now,
                            user_id=visit.user.user_id,
                        )
            append_headquarters(conn, visit.tenant.municipality_id)
    except RecordError as error:
        fields = {name: typed.get(name, "") for name in _by_field([])}
        return _edit(request, visit, fields, problem=RecordError(field, error.code), status=400)
    return RedirectResponse("/disaster/checklist?done=saved", 303)


def _by_field(listed: list[Item]) -> dict[str, list[str]]:
    return {
        f"{kind.value}-{level}": [i.text for i in listed if i.level == level and i.kind is kind]
        for level in LEVELS
        for kind in ItemKind
    }


def _edit(
    request: Request, visit: Visit, fields: Mapping[str, str], *, problem: RecordError | None = None, status: int = 200
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "disaster_checklist_edit",
        alerts,
        status=status,
        fields=fields,
        levels=LEVELS,
        problem=problem,
        most_text=MOST_TEXT,
        most_items=MOST_ITEMS,
    )
