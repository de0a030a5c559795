"""監視フォルダ: what was dropped where and what became of it, and the page on which a folder's map is made.

For the digital section: a sample has what stands in the town's files. Nothing is read or moved here: a person says what
the columns mean, how often something is to come and which files are to be read again, and the process that reads the
folders (`ingest.folders`) does it. A half-made map is kept as it was typed (`folder_draft`), so that every look at it
is a page like any other, and its preview is worked out by the code that will read the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form
from psycopg.types.json import Jsonb
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Role, Router, SignedIn, Visit, access
from api.errors import NotFound, Text
from api.pages.alert_list import open_alerts
from api.pages.folder_editor import editor_of
from api.pages.folder_form import MOST_FIELDS, MOST_LETTERS, yaml_of
from api.pages.folders_now import (
    FileNow,
    FolderNow,
    FolderState,
    files_now,
    folder_now,
    folders_now,
    known_series,
    sample_now,
)
from api.pages.site import Moment, moment, page
from devices.model import ObservedProperty, TownFileError
from ingest.errors import HistoryError
from ingest.folders.tables import sample_of
from ingest.history_map import read_map
from store.connection import Connection
from store.folders import keep_sample
from store.registry import load_directory

router = Router()

WATCHERS = frozenset({Role.DIGITAL})
ADDRESS = "/digital/folders"
MOST_MAP = 100_000
_EVERY = re.compile(r"\d{1,4}")
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_MOST_EVERY = timedelta(days=400)


@router.get(ADDRESS)
@access(WATCHERS, page=True)
def folders_page(request: Request, visit: SignedIn) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = folders_now(conn, at.clock, at.now)
        alerts = open_alerts(conn, visit.user.role)
    return page(request, visit, at, "digital_folders", alerts, folders=found)


@router.get(ADDRESS + "/{folder}")
@access(WATCHERS, page=True)
def folder_page(request: Request, visit: SignedIn, folder: int) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        found = _folder(conn, at, folder)
        sample = sample_now(conn, folder)
        known = known_series(conn)
        directory = load_directory(conn, visit.tenant.municipality_id)
        draft = _draft(conn, visit, folder)
        files: Sequence[FileNow] = files_now(conn, folder)
        alerts = open_alerts(conn, visit.user.role)
    editor = editor_of(at.now, visit.tenant.timezone, found, sample, known, directory, draft)
    done = request.query_params.get("done")
    return page(
        request,
        visit,
        at,
        "digital_folder",
        alerts,
        folder=found,
        sample=sample,
        known=known,
        properties=tuple(ObservedProperty),
        editor=editor,
        files=files,
        refused=request.query_params.get("refused"),
        done=done if f"folders.done.{done}" in at.words.texts else None,
    )


@router.post(ADDRESS + "/{folder}")
@access(WATCHERS)
async def keep_map(request: Request, visit: SignedIn, folder: int) -> Response:
    """Keeps the form as a draft and shows what it would do; with `action` save makes a map of it, with discard none."""
    form = await request.form()
    fields = {
        key: value[:MOST_LETTERS].strip()
        for key, value in islice(form.multi_items(), MOST_FIELDS)
        if isinstance(value, str) and key not in ("csrf_token", "action")
    }
    return await run_in_threadpool(_keep, request, visit, folder, fields, str(form.get("action", "")))


def _keep(request: Request, visit: Visit, folder: int, fields: Mapping[str, str], action: str) -> Response:
    at = moment(request, visit)
    with visit.transaction() as conn:
        _folder(conn, at, folder)
        if action == "discard":
            conn.execute("delete from folder_draft where folder_id = %s and user_id = %s", (folder, visit.user.user_id))
            return _back(folder, "map", done="discarded")
        text, problems = yaml_of(fields)
        if action == "save" and not problems and _readable(text):
            _save(conn, visit, folder, text, at.now)
            return _back(folder, "state", done="saved")
        conn.execute(
            """
            insert into folder_draft (folder_id, user_id, municipality_id, fields) values (%s, %s, %s, %s)
            on conflict (folder_id, user_id) do update set fields = excluded.fields
            """,
            (folder, visit.user.user_id, visit.tenant.municipality_id, Jsonb(dict(fields))),
        )
    return _back(folder, "preview", **({"done": "not_saved"} if action == "save" else {}))


@router.post(ADDRESS + "/{folder}/map")
@access(WATCHERS)
def keep_written_map(
    request: Request, visit: SignedIn, folder: int, text: Annotated[str, Form(max_length=MOST_MAP)] = ""
) -> Response:
    """A map as somebody has written it, for `import-csv` or here."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        _folder(conn, at, folder)
        try:
            read_map(text)
        except TownFileError as error:
            return _back(folder, "written", refused=str(error)[:1000])
        _save(conn, visit, folder, text, at.now)
    return _back(folder, "state", done="saved")


@router.post(ADDRESS + "/{folder}/sample")
@access(WATCHERS)
async def upload_sample(request: Request, visit: SignedIn, folder: int) -> Response:
    """A file to make the map with; it is not stored as observations."""
    form = await request.form()
    file = form.get("file")
    try:
        if not isinstance(file, UploadFile) or not file.filename:
            return _back(folder, "map", done="no_file")
        return await run_in_threadpool(_sample, request, visit, folder, file.filename, await file.read())
    finally:
        await form.close()


def _sample(request: Request, visit: Visit, folder: int, name: str, content: bytes) -> Response:
    at = moment(request, visit)
    try:
        sheets = sample_of(name[-200:], content)
    except HistoryError as error:
        return _back(folder, "map", refused=error.ja if at.words.code == "ja" else str(error))
    with visit.transaction() as conn:
        _folder(conn, at, folder)
        keep_sample(conn, visit.tenant.municipality_id, folder, "upload", name[-200:], sheets, at.now)
    return _back(folder, "map", done="sampled")


@router.post(ADDRESS + "/{folder}/newest")
@access(WATCHERS)
def take_newest(request: Request, visit: SignedIn, folder: int) -> Response:
    """The newest file of the folder as the sample, in place of one that was uploaded."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        _folder(conn, at, folder)
        conn.execute("delete from folder_sample where folder_id = %s and source = 'upload'", (folder,))
    return _back(folder, "map", done="sampled")


@router.post(ADDRESS + "/{folder}/contract")
@access(WATCHERS)
def keep_contract(
    request: Request,
    visit: SignedIn,
    folder: int,
    every: Annotated[str, Form(max_length=20)] = "",
    unit: Annotated[str, Form(max_length=5)] = "h",
    stays: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """How often something new is to come, and where read files go. An empty number: no contract."""
    at = moment(request, visit)
    wanted: timedelta | None = None
    if every.strip():
        if not _EVERY.fullmatch(every.strip()) or unit not in _UNITS:
            return _back(folder, "contract", done="no_number")
        wanted = int(every) * _UNITS[unit]
        if not timedelta(0) < wanted <= _MOST_EVERY:
            return _back(folder, "contract", done="no_number")
    with visit.transaction() as conn:
        _folder(conn, at, folder)
        conn.execute(
            """
            update folder set stays = %(stays)s, every = %(every)s,
                   every_since = case when %(every)s::interval is null then null
                                      when every is not distinct from %(every)s then every_since else %(now)s end
            where folder_id = %(folder)s
            """,
            {"stays": stays == "yes", "every": wanted, "now": at.now, "folder": folder},
        )
    return _back(folder, "contract", done="contract")


@router.post(ADDRESS + "/{folder}/again")
@access(WATCHERS)
def read_again(
    request: Request, visit: SignedIn, folder: int, file: Annotated[int | None, Form(ge=0, lt=2**63)] = None
) -> Response:
    """Leaves the wish to read one file again, or all of which something could not be read."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        _folder(conn, at, folder)
        conn.execute(
            """
            update folder_file set wanted = true
            where folder_id = %(folder)s and case when %(file)s::bigint is null then state = 'failed' or rejected > 0
                                                  else folder_file_id = %(file)s end
            """,
            {"folder": folder, "file": file},
        )
    return _back(folder, "state", done="again")


@router.post(ADDRESS + "/{folder}/end")
@access(WATCHERS)
def end_watching(request: Request, visit: SignedIn, folder: int) -> Response:
    """Forgets a folder that is not there any more: no alert about it. What it has brought stays."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        if _folder(conn, at, folder).state is not FolderState.AWAY:
            return _back(folder, "state", done="still_there")
        conn.execute("update folder set ended_at = %s where folder_id = %s", (at.now, folder))
    return RedirectResponse(ADDRESS, 303)


def _folder(conn: Connection, at: Moment, folder: int) -> FolderNow:
    found = folder_now(conn, at.clock, at.now, folder)
    if found is None:
        raise NotFound(Text("そのようなフォルダはありません。", "There is no such folder."))
    return found


def _draft(conn: Connection, visit: Visit, folder: int) -> dict[str, str] | None:
    row = conn.execute(
        "select fields from folder_draft where folder_id = %s and user_id = %s", (folder, visit.user.user_id)
    ).fetchone()
    return None if row is None else {str(key): str(value) for key, value in row[0].items()}


def _save(conn: Connection, visit: Visit, folder: int, text: str, now: datetime) -> None:
    conn.execute("select from folder where folder_id = %s for update", (folder,))
    conn.execute(
        """
        with saved as (
            insert into folder_map (folder_id, version, municipality_id, map, saved_at, user_id)
            select folder_id, coalesce((select max(version) from folder_map m where m.folder_id = f.folder_id), 0) + 1,
                   municipality_id, %s, %s, %s
            from folder f where folder_id = %s
        )
        delete from folder_draft where folder_id = %s and user_id = %s
        """,
        (text, now, visit.user.user_id, folder, folder, visit.user.user_id),
    )
    conn.execute(
        "update folder f set map_version = (select max(version) from folder_map m where m.folder_id = f.folder_id) "
        "where folder_id = %s",
        (folder,),
    )


def _readable(text: str) -> bool:
    try:
        read_map(text)
    except TownFileError:
        return False
    return True


def _back(folder: int, place: str, **query: str) -> Response:
    said = f"?{urlencode(query)}" if query else ""
    return RedirectResponse(f"{ADDRESS}/{folder}{said}#{place}", 303)
