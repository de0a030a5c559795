"""通信網と送信元: which network speaks on which topic or posts to which address; and the map of one that nobody knows.

For the digital section. The secret of a new HTTP source is on the page that answers its making, and nowhere else. A map
is tried on a message without storing anything; saving it reads again what waits of its source, by the same wish as the
page of what could not be read (`store.quarantine`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.pages.source_form import (
    SPARE_FIELDS,
    Example,
    Tried,
    beginning,
    example_topic,
    newest_waiting,
    pasted,
    read_form,
    try_on,
    waiting,
)
from api.pages.typed import Form
from devices.envelopes import MQTT_KINDS, POSTED_KINDS, mapped, posted_said
from devices.envelopes.message_map import PLACES, BytesForm, MapError, MessageMap, TimeForm
from devices.envelopes.message_map import Form as BodyForm
from ingest.errors import SourceError
from ingest.sources import add_source, revoke_source
from store.connection import Connection
from store.errors import RegistrationError
from store.quarantine import Selection, ask
from store.sources import (
    SourceEntry,
    Way,
    add_mqtt_source,
    end_mqtt_source,
    find_source,
    list_sources,
    newest_map,
    save_map,
)

router = Router()

KEEPERS = frozenset({Role.DIGITAL})
_ADDRESS = "/digital/sources"


@router.get(_ADDRESS)
@access(KEEPERS, page=True)
def sources_page(request: Request, visit: SignedIn) -> Response:
    return _list_page(request, visit)


@router.post(_ADDRESS)
@access(KEEPERS)
def make_source(request: Request, visit: SignedIn, form: Form) -> Response:
    """Makes a source; of one over HTTP the answer has the secret, this once."""
    at = moment(request, visit)
    name, kind = form.get("name", "").strip(), form.get("kind", "")
    over_http = form.get("way") == Way.HTTP
    secret = None
    try:
        with visit.transaction() as conn:
            if over_http:
                secret = add_source(conn, name=name, kind=kind, municipality=visit.tenant.code)
            else:
                add_mqtt_source(
                    conn,
                    visit.tenant.municipality_id,
                    name=name,
                    topic_filter=form.get("topic_filter", "").strip(),
                    kind=kind,
                    now=at.now,
                    user_id=visit.user.user_id,
                )
    except (SourceError, RegistrationError) as error:
        return _list_page(request, visit, status=422, typed=form, refused=str(error))
    if secret is None:
        return RedirectResponse(f"{_ADDRESS}?done=made#sources", 303)
    return _list_page(request, visit, made=name, secret=secret)


@router.post(_ADDRESS + "/{source_id}/end")
@access(KEEPERS)
def end_source(visit: SignedIn, source_id: str) -> Response:
    """Ends a source for ever. Once more does no harm."""
    at = visit.clock.now()
    with visit.transaction() as conn:
        source = _source(conn, visit, source_id)
        if source.ended is None and source.way is Way.HTTP:
            revoke_source(conn, source.name)
        elif source.ended is None:
            end_mqtt_source(conn, visit.tenant.municipality_id, source.name, now=at)
    return RedirectResponse(f"{_ADDRESS}?done=ended#sources", 303)


@router.get(_ADDRESS + "/{source_id}")
@access(KEEPERS, page=True)
def source_page(request: Request, visit: SignedIn, source_id: str) -> Response:
    """One source, with its map and the last message that could not be read."""
    with visit.transaction() as conn:
        source = _source(conn, visit, source_id)
        drawn = newest_map(conn, source) or beginning(source)
        example = newest_waiting(conn, source)
    tried = None if example is None or drawn == MessageMap() else try_on(drawn, source, example)
    return _source_page(request, visit, source, drawn, example, tried)


@router.post(_ADDRESS + "/{source_id}")
@access(KEEPERS)
def draw_map(request: Request, visit: SignedIn, source_id: str, form: Form) -> Response:
    """Tries the map that was typed on the example, or saves it (`do=save`) and has what waits read again."""
    drawn = read_form(form)
    with visit.transaction() as conn:
        source = _source(conn, visit, source_id)
        example = pasted(form, source) or newest_waiting(conn, source)
        if form.get("do") == "save":
            problems: Mapping[str, str] = {}
            try:
                _save(conn, visit, source, drawn, changed=form.get("reach") == "changed")
            except MapError as error:
                problems = error.problems
            except RegistrationError as error:
                problems = {"": str(error)}
            if problems:
                return _source_page(request, visit, source, drawn, example, None, form, problems=problems, status=422)
            asked = _read_again(conn, visit, source)
            done = "saved_again" if asked else "saved"
            return RedirectResponse(f"{_ADDRESS}/{source.key}?done={done}", 303)
    if example is None:
        return _source_page(request, visit, source, drawn, None, None, form, problems={"example": ""}, status=422)
    return _source_page(request, visit, source, drawn, example, try_on(drawn, source, example), form)


def _save(conn: Connection, visit: Visit, source: SourceEntry, drawn: MessageMap, *, changed: bool) -> None:
    save_map(
        conn,
        visit.tenant.municipality_id,
        source,
        drawn,
        changed=changed,
        now=visit.clock.now(),
        user_id=visit.user.user_id,
    )


def _read_again(conn: Connection, visit: Visit, source: SourceEntry) -> bool:
    """Leaves the wish to read again what waits since the oldest message of this source; whether there is any."""
    _, since = waiting(conn, source)
    if since is None:
        return False
    wish = ask(
        conn,
        visit.tenant.municipality_id,
        Selection(since=since),
        now=visit.clock.now(),
        user_id=visit.user.user_id,
    )
    return wish is not None


def _source(conn: Connection, visit: Visit, source_id: str) -> SourceEntry:
    source = find_source(conn, visit.tenant.municipality_id, source_id)
    if source is None:
        raise NotFound(Text("そのような送信元はありません。", "There is no such source."))
    return source


def _list_page(
    request: Request,
    visit: Visit,
    *,
    status: int = 200,
    typed: Mapping[str, str] | None = None,
    refused: str | None = None,
    made: str | None = None,
    secret: str | None = None,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        sources = list_sources(conn, visit.tenant.municipality_id)
        alerts = open_alerts(conn, visit.user.role)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "digital_sources",
        alerts,
        status=status,
        sources=sources,
        kinds={"mqtt": MQTT_KINDS, "http": POSTED_KINDS},
        typed=typed or {},
        refused=refused,
        made=made,
        secret=secret,
        done=done if done in ("made", "ended") else None,
        intake=visit.config.intake is not None,
    )


def _source_page(
    request: Request,
    visit: Visit,
    source: SourceEntry,
    drawn: MessageMap,
    example: Example | None,
    tried: Tried | None,
    form: Mapping[str, str] | None = None,
    *,
    problems: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        held, since = waiting(conn, source)
        alerts = open_alerts(conn, visit.user.role)
    address = f"{_ADDRESS}/{source.key}"

    def here(**changes: str) -> str:
        # Also where it answers a form: that stands at the same address.
        return f"{address}?{urlencode(changes)}" if changes else address

    done = request.query_params.get("done")
    leaves = []
    if example is not None and source.mappable:
        leaves = mapped.leaves(drawn.form, example.topic, posted_said(example.topic), example.raw)
    return page(
        request,
        visit,
        at,
        "digital_source",
        alerts,
        status=status,
        here=here,
        address=address,
        source=source,
        drawn=drawn,
        places=PLACES,
        forms={
            "form": tuple(BodyForm),
            "network_time_form": tuple(TimeForm),
            "measured_time_form": tuple(TimeForm),
            "payload_form": tuple(BytesForm),
        },
        rows=[*drawn.fields, *[("", "")] * SPARE_FIELDS],
        example=example,
        example_topic=example_topic(source),
        leaves=leaves,
        tried=tried,
        problems=problems if problems is not None else {} if tried is None else tried.problems,
        reach=(form or {}).get("reach", "mended"),
        held=held,
        since=since,
        done=done if done in ("saved", "saved_again") else None,
    )
