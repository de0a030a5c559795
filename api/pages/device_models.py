"""機種とコーデック: the device models of a municipality, and the manufacturers' codecs by which they read.

A codec is brought as its maker gives it out, tried with its examples at once, and kept under its SHA-256. Bringing one
changes nothing that is in use: a model reads by another codec only when somebody says so on the codec's page, which
shows what becomes of the fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import File, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.codec_comparison import compare
from api.pages.codec_files import Brought, Refusal, bring, model_name
from api.pages.site import moment, page
from api.pages.typed import Form
from devices.codecs import MODELS
from store import models
from store.connection import Connection
from store.errors import RegistrationError
from store.models import Codec, CodecUpload, ModelEntry

router = Router()

KEEPERS = frozenset({Role.DIGITAL})
_MODELS = "/digital/models"
_CODECS = "/digital/codecs"
_MAKE = ("maker", "model", "title", "title_en", "for")
_DONE = frozenset({"removed", "same"})


@router.get(_MODELS)
@access(KEEPERS, page=True)
def models_page(request: Request, visit: SignedIn) -> Response:
    return _models_response(request, visit)


@router.post(_MODELS)
@access(KEEPERS)
def upload_codec(
    request: Request,
    visit: SignedIn,
    form: Form,
    file: Annotated[UploadFile | None, File()] = None,
    examples_file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Keeps a codec and, where its examples come out as they should, makes the model that reads by it."""
    said = {name: form.get(name, "").strip()[:200] for name in (*_MAKE, "licence")}
    examples = form.get("examples", "")
    try:
        if examples_file is not None and examples_file.filename:
            examples = _text_of(examples_file)
        name = (file.filename if file is not None else None) or "codec.js"
        brought = bring(visit.state.sandbox, name[-200:], b"" if file is None else file.file.read(), examples)
        said["model"] = said["model"] or _stem(name)
        wanted = model_name(said["maker"], said["model"])
        if wanted is None:
            raise Refusal(_NO_NAME)
        at = moment(request, visit)
        with visit.transaction() as conn:
            codec = _keep(conn, visit, brought, name[-200:], said["licence"], at.now)
            known = {each.entry.name: each for each in models.models(conn, visit.tenant.municipality_id)}.get(wanted)
            if known is not None and known.sha256 == codec.sha256:
                return RedirectResponse(f"{model_address(wanted)}?done=same", 303)
            if known is None and not brought.result.failed:
                _make(conn, visit, codec.codec_id, wanted, said, at.now)
                return RedirectResponse(_after(wanted, said["for"]), 303)
    except Refusal as refusal:
        return _models_response(request, visit, refused=refusal.said, said=said | {"examples": examples[:100_000]})
    except RegistrationError as error:
        return _models_response(request, visit, refused=Text(str(error), str(error)), said=said)
    # Either a model of that name reads by another codec, or some examples came out otherwise: a person decides.
    query = {"with": wanted} if known is not None else {each: said[each] for each in _MAKE if said[each]}
    return RedirectResponse(f"{_CODECS}/{codec.sha256}?{urlencode(query)}", 303)


@router.get(_CODECS + "/{sha256}")
@access(KEEPERS, page=True)
def codec_page(request: Request, visit: SignedIn, sha256: str) -> Response:
    """A codec: its examples, who reads by it; `with` a model: what would change if that one read by it."""
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        codec = _codec(conn, visit, sha256)
        stored = models.models(conn, visit.tenant.municipality_id)
        model = next((each for each in stored if each.entry.name == query.get("with")), None)
        comparison = None if model is None else compare(conn, visit, model, codec)
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "digital_codec",
        alerts,
        codec=codec,
        stored=stored,
        model=model,
        comparison=comparison,
        said={name: query.get(name, "")[:200] for name in _MAKE},
        kept="kept" in query,
        address=model_address,
    )


@router.post(_CODECS + "/{sha256}")
@access(KEEPERS)
def make_model(request: Request, visit: SignedIn, sha256: str, form: Form) -> Response:
    """Makes a new model that reads by this codec."""
    at = moment(request, visit)
    said = {name: form.get(name, "").strip()[:200] for name in _MAKE}
    try:
        with visit.transaction() as conn:
            codec = _codec(conn, visit, sha256)
            said["model"] = said["model"] or _stem(codec.file_name)
            wanted = model_name(said["maker"], said["model"])
            if wanted is None:
                raise Refusal(_NO_NAME)
            _make(conn, visit, codec.codec_id, wanted, said, at.now)
    except Refusal as refusal:
        return _models_response(request, visit, refused=refusal.said, said=said)
    except RegistrationError as error:
        return _models_response(request, visit, refused=Text(str(error), str(error)), said=said)
    return RedirectResponse(_after(wanted, said["for"]), 303)


@router.post(_CODECS + "/{sha256}/pin")
@access(KEEPERS)
def pin_codec(request: Request, visit: SignedIn, sha256: str, form: Form) -> Response:
    """From now on the model reads by this codec. What came before keeps the values that it has."""
    at = moment(request, visit)
    name = form.get("model", "")
    with visit.transaction() as conn:
        codec = _codec(conn, visit, sha256)
        if name not in {each.entry.name for each in models.models(conn, visit.tenant.municipality_id)}:
            raise NotFound(Text("そのような機種はありません。", "There is no such device model."))
        models.pin(
            conn,
            visit.tenant.municipality_id,
            name,
            codec_id=codec.codec_id,
            at=at.now,
            user_id=visit.user.user_id,
        )
    return RedirectResponse(f"{model_address(name)}?done=pinned", 303)


@router.post(_CODECS + "/{sha256}/remove")
@access(KEEPERS)
def remove_codec(visit: SignedIn, sha256: str) -> Response:
    """Takes a codec away that nothing ever read by."""
    try:
        with visit.transaction() as conn:
            models.remove_codec(conn, visit.tenant.municipality_id, _codec(conn, visit, sha256).codec_id)
    except RegistrationError:
        return RedirectResponse(f"{_CODECS}/{quote(sha256)}?kept=1", 303)
    return RedirectResponse(f"{_MODELS}?done=removed", 303)


def model_address(name: str) -> str:
    """The page of a device model."""
    return f"{_MODELS}/{quote(name)}"


_NO_NAME = Text(
    "メーカーと機種の名前を、英数字で入れてください（例：メーカー Milesight、機種 EM500-UDL）。",
    "Give maker and model in letters and digits (for example maker Milesight, model EM500-UDL).",
)


def _models_response(
    request: Request, visit: Visit, *, refused: Text | None = None, said: dict[str, str] | None = None
) -> Response:
    """The list with the form, also as the answer to an upload that was refused: then with what was typed."""
    at = moment(request, visit)
    query = request.query_params
    with visit.transaction() as conn:
        stored = models.models(conn, visit.tenant.municipality_id)
        codecs = models.codecs(conn, visit.tenant.municipality_id)
        counts = conn.execute("select model, count(*) from device group by model").fetchall()
        devices: dict[str, int] = {str(name): int(n) for name, n in counts}
        alerts = open_alerts(conn, visit.user.role)
    shown: dict[str, Any] = {name: query.get(name, "")[:200] for name in _MAKE} | {"licence": "", "examples": ""}
    done = query.get("done")
    return page(
        request,
        visit,
        at,
        "digital_models",
        alerts,
        status=200 if refused is None else 422,
        builtin=list(MODELS.values()),
        stored=stored,
        codecs=codecs,
        by_id={each.codec_id: each for each in codecs},
        devices=devices,
        refused=None if refused is None else refused.of("en" if at.words.code == "en" else "ja"),
        said=shown | (said or {}),
        done=done if done in _DONE else None,
        address=model_address,
    )


def _codec(conn: Connection, visit: Visit, sha256: str) -> Codec:
    found = next((e for e in models.codecs(conn, visit.tenant.municipality_id) if e.sha256 == sha256), None)
    if found is None:
        raise NotFound(Text("そのようなコーデックはありません。", "There is no such codec."))
    return found


def _keep(conn: Connection, visit: Visit, brought: Brought, name: str, licence: str, now: datetime) -> Codec:
    codec_id = models.upload(
        conn,
        visit.tenant.municipality_id,
        CodecUpload(
            name,
            brought.codec.source.encode("utf-8"),
            f"page: {visit.user.display_name}",
            licence or None,
            brought.vectors,
            brought.result.to_json(),
            brought.result.stateless,
        ),
        at=now,
        user_id=visit.user.user_id,
    )
    return models.codec(conn, visit.tenant.municipality_id, codec_id)


def _make(conn: Connection, visit: Visit, codec_id: int, name: str, said: dict[str, str], now: datetime) -> None:
    title = said["title"] or f"{said['maker']} {said['model']}"
    entry = ModelEntry(name, title, said["title_en"] or title, said["maker"], codec_id=codec_id)
    models.add_model(conn, visit.tenant.municipality_id, entry, at=now, user_id=visit.user.user_id)


def _after(name: str, key: str) -> str:
    """Back to the device that the codec was brought for, else to what its fields mean."""
    if key:
        return f"/digital/register?{urlencode({'key': key, 'model': name})}#which"
    return f"{model_address(name)}?done=made"


def _stem(file_name: str) -> str:
    """What a file is called, without its ending: mostly the model."""
    return file_name.rpartition("/")[2].partition(".")[0]


def _text_of(file: UploadFile) -> str:
    try:
        return file.file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(
            Text(
                f"例のファイル {file.filename} は UTF-8 ではありません。UTF-8 で保存し直してください。",
                f"The file of examples {file.filename} is not UTF-8: save it as UTF-8.",
            )
        ) from error
