"""One device model: by what it reads, and what its fields mean, tried on the last messages before it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Router, SignedIn, Visit, access
from api.errors import BadRequest, NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.device_models import KEEPERS, model_address
from api.pages.field_rows import Row, address_of, checked, entry_of, proposed_rows, typed_fields, typed_rows
from api.pages.site import moment, page
from api.pages.trial import Bench, Sent, Tried, bench, imagined, last_messages
from api.pages.typed import Form
from devices.codecs import MODELS
from devices.codecs.javascript import Vector
from devices.codecs.models import DeviceModel
from devices.mapping import MappingEntry, MappingError
from devices.model import CodecError, Datastream, ObservedProperty
from devices.proposals import propose, units_of
from devices.templates import TEMPLATES
from store import models
from store.connection import Connection
from store.errors import RegistrationError
from store.models import Codec, StoredModel
from store.quarantine import Held

router = Router()

MESSAGES_TRIED = 5
_EXAMPLES = 5
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_ADDRESS = 6000
_DONE = frozenset({"made", "saved", "pinned", "same"})
# What a device can bring: not what people enter by hand.
_BROUGHT = tuple(each for each in ObservedProperty if each is not ObservedProperty.PASSAGES_DAY)


@router.get("/digital/models/{model:path}")
@access(KEEPERS, page=True)
def model_page(request: Request, visit: SignedIn, model: str) -> Response:
    """The model with its fields. What was typed stands in the address until it is saved."""
    at = moment(request, visit)
    query = request.query_params
    builtin = MODELS.get(model)
    with visit.transaction() as conn:
        devices = conn.execute("select count(*) from device where model = %s", (model,)).fetchone()
        alerts = open_alerts(conn, visit.user.role)
        if builtin is None:
            stored = _stored(conn, visit, model)
            codec = _codec_of(conn, visit, stored)
            rows, tried, wrong = _rows(conn, visit, stored, codec, query if "mapped" in query else None)
            history = models.history(conn, visit.tenant.municipality_id, model)
    done = query.get("done")
    shown: dict[str, Any] = {
        "model_name": model,
        "devices": 0 if devices is None else int(devices[0]),
        "address": model_address,
        "done": done if done in _DONE else None,
    }
    if builtin is not None:
        return page(request, visit, at, "digital_model", alerts, builtin=builtin, stored=None, **shown)
    units = list(dict.fromkeys(unit for each in _BROUGHT for unit in units_of(each)))
    return page(
        request,
        visit,
        at,
        "digital_model",
        alerts,
        builtin=None,
        stored=stored,
        codec=codec,
        rows=rows,
        tried=tried,
        wrong=wrong,
        history=history,
        properties=_BROUGHT,
        units=units,
        typed="mapped" in query,
        **shown,
    )


@router.post("/digital/models/{model:path}")
@access(KEEPERS)
def save_fields(request: Request, visit: SignedIn, model: str, form: Form) -> Response:
    """Saves what the fields mean (`do=save`), or leads back to the page, which shows what would come of it."""
    with visit.transaction() as conn:
        stored = _stored(conn, visit, model)
        rows, _, _ = _rows(conn, visit, stored, _codec_of(conn, visit, stored), form)
        sound = not any(row.problem for row in rows)
        if form.get("do") == "save" and sound:
            known = {each.field: each for each in stored.entry.fields}
            modulus = {field: entry.modulus for field, entry in known.items()}
            entries = [entry_of(row, modulus=modulus.get(row.field)) for row in rows if _worth(row, known)]
            try:
                with conn.transaction():
                    models.change_model(
                        conn, visit.tenant.municipality_id, replace(stored.entry, fields=tuple(entries))
                    )
            except RegistrationError as error:
                raise BadRequest(Text(str(error), str(error))) from error
            return RedirectResponse(f"{model_address(model)}?done=saved", 303)
    query = urlencode({"mapped": "1"} | address_of(rows))
    if len(query) > _LONGEST_ADDRESS:
        raise BadRequest(
            Text("一度に割り当てる項目が多すぎます。", "Too many fields are mapped at once."),
            Text("いくつかずつ保存してください。", "Save some of them at a time."),
        )
    return RedirectResponse(f"{model_address(model)}?{query}#tried", 303)


def _worth(row: Row, known: Mapping[str, MappingEntry]) -> bool:
    """Whether there is anything to keep of a field: what it is, or its unit."""
    return row.observed is not None or bool(row.unit) or row.field in known


def _stored(conn: Connection, visit: Visit, name: str) -> StoredModel:
    try:
        return models.model(conn, visit.tenant.municipality_id, name)
    except RegistrationError:
        raise NotFound(Text("そのような機種はありません。", "There is no such device model.")) from None


def _codec_of(conn: Connection, visit: Visit, stored: StoredModel) -> Codec | None:
    if stored.entry.codec_id is None:
        return None
    return models.codec(conn, visit.tenant.municipality_id, stored.entry.codec_id)


def _rows(
    conn: Connection, visit: Visit, stored: StoredModel, codec: Codec | None, typed: Mapping[str, str] | None
) -> tuple[list[Row], list[Tried], str | None]:
    """The fields with what they mean, what the last messages then say, and why nothing can be tried."""
    name = stored.entry.name
    tools = bench(visit, conn)
    model = tools.model(name)
    assert model is not None, "a stored model is known"
    messages = last_messages(conn, name, MESSAGES_TRIED)
    sent = [tools.read(message, name) for message in messages] + _examples(visit, model, codec)
    samples = {field: value for said in reversed(sent) for field, value in said.fields if value is not None}
    units = dict(model.fields)
    seen = [field for said in sent for field, _ in said.fields]
    of_form = typed_fields(typed) if typed is not None else []
    known = [entry.field for entry in stored.entry.fields]
    fields = {field: units.get(field) for field in [*seen, *units, *known, *of_form]}
    mapped = any(entry.observed_property for entry in stored.entry.fields)
    # Who has said what the fields are needs no proposals beside it.
    proposals = {} if mapped else propose(fields, TEMPLATES.values(), samples)
    entries = stored.entry.fields if mapped else ()
    rows = proposed_rows(fields, proposals, entries, samples)
    rows = checked(rows) if typed is None else typed_rows(rows, typed, _BROUGHT)
    if typed is None:
        rows = [replace(row, problem=None) for row in rows]
    return rows, _tried(tools, model, messages, rows), next((said.wrong for said in sent if said.wrong), None)


def _tried(tools: Bench, model: DeviceModel, messages: Sequence[Held], rows: Sequence[Row]) -> list[Tried]:
    usable = [row for row in checked(rows) if row.observed is not None and row.problem is None]
    streams = {(row.channel, row.observed): None for row in usable}
    wanted = [(channel, Datastream(observed, timedelta(minutes=10))) for channel, observed in streams if observed]
    tried: list[Tried] = []
    for message in messages:
        try:
            device, infos = imagined(
                message.device_key or "",
                model.name,
                timedelta(hours=1),
                _EVER,
                wanted,
                [],
                [entry_of(r) for r in usable],
            )
        except MappingError:
            return []
        tried += tools.store([message], device, infos)
    return tried


def _examples(visit: Visit, model: DeviceModel, codec: Codec | None) -> list[Sent]:
    """What the codec's own examples say, so that its fields are known before a device has spoken."""
    if codec is None or model.codec is None:
        return []
    found = []
    for written in codec.vectors[:_EXAMPLES]:
        try:
            vector = Vector.from_json(written)
            readings = visit.state.sandbox.decode(model.codec, vector.payload, vector.port, vector.time)
        except (ValueError, CodecError):
            continue
        found.append(Sent(vector.payload.hex(" "), readings))
    return found
