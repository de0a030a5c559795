"""Device models out of a folder of manufacturers' codecs that an operator has (`mimamori devices import`).

All or nothing: the folder is read and every codec run first, and what is to be kept is written in one transaction. A
model whose codec cannot be loaded is refused; one whose examples fail is kept, and its failures are told, for it is a
person's to judge who is wrong. A model that is there already with another codec stays as it is unless it is said that
it is to be replaced: manufacturers rename fields from one release to the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from devices.codecs.folders import Contents, FolderCodec, FolderModel
from devices.codecs.javascript import Sandbox, UnloadableCodec, VectorsResult, check_loads, run_vectors
from mimamori.errors import InputError
from store.connection import Connection
from store.errors import RegistrationError
from store.models import CodecUpload, ModelEntry, add_model, models, pin, upload
from store.registry import municipality_id_of
from store.town_clock import load_clock

Progress = Callable[[int, int], None]


class Became(StrEnum):
    """What became of a model of the folder."""

    ADDED = "added"
    REPLACED = "replaced"  # it was there, and reads by the folder's codec from now on
    UNCHANGED = "unchanged"  # it was there with this very codec
    DIFFERS = "differs"  # it was there with another one, which stays
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One model: what came of its codec's examples, and what became of it. `reason`: why it was refused, or from what
    it differs.
    """

    name: str
    title: str
    script: str
    sha256: str
    result: VectorsResult | None
    became: Became
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        passed, failed = (0, 0) if self.result is None else (self.result.passed, self.result.failed)
        return {
            "model": self.name,
            "title": self.title,
            "codec": self.script,
            "sha256": self.sha256,
            "passed": passed,
            "failed": failed,
            "failures": [] if self.result is None else self.result.to_json()["failures"],
            "became": self.became.value,
            "reason": self.reason,
        }


def chosen(contents: Contents, wanted: Sequence[str]) -> list[FolderModel]:
    """The models that are wanted, by name or by a pattern as VENDOR/*; all where nothing is said. InputError names one
    that is not there.
    """
    if not wanted:
        return list(contents.models)
    for pattern in wanted:
        if not any(fnmatchcase(model_name(model.name), pattern.lower()) for model in contents.models):
            some = ", ".join(sorted(model_name(model.name) for model in contents.models)[:5])
            raise InputError(f"--model {pattern}: the folder has no such model; it has {some or 'none'}, …")
    return [m for m in contents.models if any(fnmatchcase(model_name(m.name), each.lower()) for each in wanted)]


def import_models(
    conn: Connection,
    municipality: str,
    contents: Contents,
    wanted: Sequence[FolderModel],
    sandbox: Sandbox,
    *,
    origin: str,
    replace: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[ImportedModel]:
    """Runs the examples of these models' codecs and keeps the models, in the caller's transaction; the caller commits.

    `origin`: where they come from, in words. InputError where nobody has registered the municipality.
    """
    municipality_id = municipality_id_of(conn, municipality)
    if municipality_id is None:
        raise InputError(f"municipality {municipality} is not in the database: register its town file first")
    at = load_clock(conn).now()
    conn.commit()  # running the examples can take minutes
    tried: dict[str, VectorsResult | UnloadableCodec] = {}
    for done, each in enumerate(wanted):
        progress(done, len(wanted))
        sha256 = each.codec.codec.sha256
        if sha256 not in tried:
            tried[sha256] = _tried(sandbox, each.codec)
    progress(len(wanted), len(wanted))
    there = {stored.entry.name: stored.sha256 for stored in models(conn, municipality_id)}
    names = Counter(model_name(each.name) for each in wanted)
    found = []
    for each in wanted:
        result = tried[each.codec.codec.sha256]
        name = model_name(each.name)
        became, reason = _judged(each, result, names[name], there, replace)
        if became in (Became.ADDED, Became.REPLACED) and isinstance(result, VectorsResult):
            try:
                with conn.transaction():
                    codec_id = _keep(conn, municipality_id, each, contents, result, origin, at)
                    if became is Became.REPLACED:
                        pin(conn, municipality_id, name, codec_id=codec_id, at=at, user_id=None)
                    else:
                        entry = ModelEntry(name, each.title, each.title, each.manufacturer, codec_id=codec_id)
                        add_model(conn, municipality_id, entry, at=at, user_id=None)
            except RegistrationError as error:
                became, reason = Became.REFUSED, str(error)
        found.append(
            ImportedModel(
                name,
                each.title,
                each.codec.script,
                each.codec.codec.sha256,
                None if isinstance(result, UnloadableCodec) else result,
                became,
                reason,
            )
        )
    return found


def _judged(
    each: FolderModel,
    result: VectorsResult | UnloadableCodec,
    called_so: int,
    there: Mapping[str, str | None],
    replace: bool,
) -> tuple[Became, str | None]:
    """What is to become of a model, and why where that is not plain. `there`: the models that are known already, with
    the codec that each reads by.
    """
    name, sha256 = model_name(each.name), each.codec.codec.sha256
    if isinstance(result, UnloadableCodec):
        return Became.REFUSED, f"its codec cannot be used: {result}"
    if called_so > 1:
        return Became.REFUSED, f"the folder has {called_so} models called {name}"
    if name not in there:
        return Became.ADDED, None
    if there[name] == sha256:
        return Became.UNCHANGED, None
    if replace:
        return Became.REPLACED, None
    known = "no codec of its own" if there[name] is None else f"the codec {str(there[name])[:12]}"
    return Became.DIFFERS, f"here it has {known}, in the folder {sha256[:12]}; --replace takes the folder's"


def model_name(name: str) -> str:
    """VENDOR/MODEL as device models are called here.

    >>> model_name("Example Maker/Level_2 (EU)")
    'example-maker/level_2-eu'
    """
    parts = [re.sub(r"[^a-z0-9._-]+", "-", part.lower()).strip("-._") for part in name.split("/", 1)]
    return "/".join(part or "model" for part in parts)


def _tried(sandbox: Sandbox, each: FolderCodec) -> VectorsResult | UnloadableCodec:
    try:
        check_loads(sandbox, each.codec)
    except UnloadableCodec as error:
        return error
    return run_vectors(sandbox, each.codec, each.vectors)


def _keep(
    conn: Connection,
    municipality_id: int,
    each: FolderModel,
    contents: Contents,
    result: VectorsResult,
    origin: str,
    at: datetime,
) -> int:
    return upload(
        conn,
        municipality_id,
        CodecUpload(
            file_name=each.codec.script.rpartition("/")[2],
            source=each.codec.codec.source.encode(),
            origin=f"{origin}: {each.codec.script}",
            licence=contents.licence,
            vectors=[vector.to_json() for vector in each.codec.vectors],
            result=result.to_json(),
            stateless=result.stateless,
        ),
        at=at,
        user_id=None,
    )
