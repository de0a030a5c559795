"""Hub'Eau, the hydrometry of France (Licence Ouverte 2.0), as its service gives it: pages of JSON, and CSV with `;`.

  observations_tr   code_station, grandeur_hydro (H in mm, Q in l/s), date_obs (UTC), resultat_obs, code_statut, ...
  obs_elab          grandeur_hydro_elab (QmnJ, QmM, HIXnJ, ...), date_obs_elab (a day), resultat_obs_elab, code_statut

The key of a series is STATION/QUANTITY (K447001001/H), or SITE/QUANTITY where a record names no station.

Status: 16 (validée) is stored as confirmed (確定値), 4 (brute), 8 (corrigée) and 12 (pré-validée) as any value.
Qualification: 12 (douteuse) as doubtful. Method: 4 (reconstituée) and 12 (estimée) as estimated. No result: missing.

Elaborated values stand for a day (of UTC) or a month, and are stored at its end; they are none of what a gauge says at
a time, so give them a series of their own.

Codes: https://www.sandre.eaufrance.fr (nomenclatures 510, 511, 512 and 515)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.model import Quality, Reason
from ingest.errors import Wrong
from ingest.formats.archive import Part
from ingest.formats.known import Ask, Found, missing, not_later, observed, with_offset
from ingest.formats.records import Record, as_json, first_of_each, is_json, parsed, records, table_head, text_of
from ingest.history_file import Line
from store.batch import ObservationRow

_VALIDATED, _DOUBTFUL, _ESTIMATED = "16", frozenset({"12"}), frozenset({"4", "12"})
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_HEAD_LINES, _HEAD_VALUES = 300, 3
_MONTHLY = ("QmM", "HIXM", "HINM", "QIXM", "QINM", "QixM", "QinM", "HixM", "HinM")


class _HubEau:
    def recognises(self, part: Part, beginning: bytes) -> bool:
        return b"resultat_obs" in beginning and (b"grandeur_hydro" in beginning)

    def lines(self, part: Part, ask: Ask, now: datetime) -> Iterator[Line]:
        for number, record, end in records(part, ";", "data"):
            if isinstance(record, Wrong):
                yield Line(number, (), (record,), end)
                continue
            try:
                row = _read(part, number, record, ask, now)
            except Wrong as error:
                yield Line(number, (), (error,), end)
                continue
            if row is not None:
                yield Line(number, (row,), (), end)

    def head(self, part: Part) -> bytes:
        with part.open() as file:
            beginning = file.read(200)
        if not is_json(beginning):
            return table_head(part, _HEAD_LINES)
        whole = parsed(part)
        listed = whole.get("data") if isinstance(whole, dict) else whole
        rows = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        return as_json({"data": first_of_each(rows, lambda each: (_station(each), _quantity(each)), _HEAD_VALUES)})


def _station(record: Mapping[str, Any]) -> str:
    return str(record.get("code_station") or record.get("code_site") or "")


def _quantity(record: Mapping[str, Any]) -> str:
    return str(record.get("grandeur_hydro") or record.get("grandeur_hydro_elab") or "")


def _read(part: Part, number: int, record: Record, ask: Ask, now: datetime) -> ObservationRow | None:
    station, quantity = _station(record), _quantity(record)
    if not station or not quantity:
        raise Wrong(
            "has no code_station and grandeur_hydro: it is in another form",
            "code_station と grandeur_hydro がありません。形式が違います",
        )
    unit = {"H": "mm", "Q": "L/s"}.get(quantity[0].upper())
    found = Found(f"{station}/{quantity}", str(record.get("libelle_station") or ""), unit, f"{part.name}:{number}")
    wanted = ask(found)
    if wanted is None:
        return None
    if isinstance(wanted, Wrong):
        raise wanted
    elaborated = record.get("grandeur_hydro") is None
    time = _end(text_of(record, "date_obs_elab"), quantity) if elaborated else _moment(text_of(record, "date_obs"))
    not_later(time, now)
    result = record.get("resultat_obs_elab" if elaborated else "resultat_obs")
    if result is None:
        return missing(wanted, time, Reason.NO_RECORD)
    quality = Quality.GOOD
    if _says(record, "methode", _ESTIMATED, ("reconstit", "estim")):
        quality = Quality.ESTIMATED
    if _says(record, "qualification", _DOUBTFUL, ("douteu", "incertain")):
        quality = Quality.DOUBTFUL
    confirmed = Reason.CONFIRMED if _code(record, "code_statut", "statut_serie") == _VALIDATED else None
    return observed(wanted, time, str(result), quality, confirmed)


def _says(record: Record, what: str, codes: frozenset[str], words: tuple[str, ...]) -> bool:
    """Whether a record's code, or the words beside it, say so; the fields of the two services end differently."""
    told = str(record.get(f"libelle_{what}_obs") or record.get(f"libelle_{what}") or "").lower()
    return _code(record, f"code_{what}_obs", f"code_{what}") in codes or any(word in told for word in words)


def _code(record: Record, *keys: str) -> str:
    return next((str(record[key]).split(".")[0] for key in keys if record.get(key) is not None), "")


def _moment(text: str) -> datetime:
    return with_offset(text.replace("Z", "+00:00") if text.endswith("Z") else text)


def _end(text: str, quantity: str) -> datetime:
    """The end of the day, or of the month, that a value stands for."""
    match = _DAY.match(text)
    try:
        if match is None:
            raise ValueError(text)
        day = datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC)
    except ValueError:
        raise Wrong(
            f"{text[:40]!r} is not a day such as 2026-06-01", f"「{text[:40]}」は日付として読めません（例 2026-06-01）"
        ) from None
    if quantity in _MONTHLY:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=1)


HUBEAU = _HubEau()
