"""What can be registered and what is: the checks behind `store.registration`.

RegistrationError names the field, what is wrong and what to do.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

from devices.model import Datastream
from store.connection import Connection
from store.errors import RegistrationError
from store.mappings import defaults_of

LONGEST_TEXT = 200
NO_TEXT = re.compile("[\0\ud800-\udfff]")
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EUI = re.compile(r"[0-9a-f]{16}")


def check_code(code: str) -> None:
    """Whether it can be the code of a station."""
    if not _CODE.fullmatch(code):
        raise RegistrationError(
            "code", f"{code[:40]!r} is no code of a station: up to 40 letters a-z, digits and hyphens, as in river-2"
        )


def device_key(text: str) -> str:
    """The key of a device as it is registered, of one as it stands on a label: a DevEUI in capitals, or with colons or
    hyphens between its bytes, is the same DevEUI.
    """
    key = text.strip()
    plain = re.sub(r"[:\- ]", "", key).lower()
    if _EUI.fullmatch(plain):
        return plain
    if not _KEY.fullmatch(key):
        raise RegistrationError(
            "key",
            f"{text[:40]!r} is no key of a device: a DevEUI has 16 digits and letters a-f; any other key has up to 64 "
            "characters out of a-z 0-9 . _ - and begins with a letter or digit",
        )
    return key


def station_id_of(conn: Connection, municipality_id: int, code: str) -> int | None:
    """The id of a station by its code, None where there is none."""
    row = conn.execute(
        "select station_id from station where municipality_id = %s and code = %s", (municipality_id, code)
    ).fetchone()
    return None if row is None else int(row[0])


def known_station(conn: Connection, municipality_id: int, code: str, field: str = "station") -> int:
    """The same; RegistrationError for `field` where there is none."""
    found = station_id_of(conn, municipality_id, code)
    if found is None:
        raise no_station(code, field)
    return found


def no_station(code: str, field: str = "station") -> RegistrationError:
    return RegistrationError(field, f"there is no station {code[:40]!r}: register it first, or choose another")


def device_of(conn: Connection, municipality_id: int, key: str) -> tuple[int, str] | None:
    """(id, model) of a device by its key, None where there is none."""
    return conn.execute(
        "select device_id, model from device where municipality_id = %s and key = %s", (municipality_id, key)
    ).fetchone()


def known_device(conn: Connection, municipality_id: int, key: str) -> tuple[int, str]:
    """The same; RegistrationError where there is none."""
    found = device_of(conn, municipality_id, key)
    if found is None:
        raise RegistrationError("key", f"there is no device {key[:64]!r}: register it first")
    return found


def check_model(conn: Connection, municipality_id: int, key: str, model: str) -> None:
    """Whether a device here can have this model."""
    if defaults_of(conn, municipality_id, model) is None:
        raise RegistrationError(
            "model",
            f"device {key}: there is no device model {model[:100]!r}: upload its codec first, or choose another",
        )


def check_silence(key: str, silence_after: timedelta) -> None:
    """Whether a device may be silent for so long."""
    if silence_after <= timedelta(0):
        raise RegistrationError("silence_after", f"device {key}: it must be allowed to be silent for some time")


def check_place(code: str, name: str, name_en: str, latitude: float, longitude: float) -> None:
    """Names, and where it is."""
    for field, text in (("name", name), ("name_en", name_en)):
        if not text.strip() or len(text) > LONGEST_TEXT or NO_TEXT.search(text):
            raise RegistrationError(
                field, f"station {code}: {field} is empty or no text of up to {LONGEST_TEXT} characters: put it right"
            )
    for field, degrees, most in (("latitude", latitude, 90.0), ("longitude", longitude, 180.0)):
        if not (math.isfinite(degrees) and -most <= degrees <= most):
            raise RegistrationError(
                field, f"station {code}: {field} {degrees} is none: degrees from -{most:g} to {most:g}"
            )


def check_datastream(code: str, datastream: Datastream) -> None:
    """Interval and checks."""
    name = f"station {code}: {datastream.observed_property}"
    if datastream.interval <= timedelta(0):
        raise RegistrationError("interval", f"{name}: the interval must be longer than 0")
    low, high = datastream.valid_range
    ends = [end for end in (low, high) if end is not None]
    if not all(map(math.isfinite, ends)) or (low is not None and high is not None and low >= high):
        raise RegistrationError("valid_range", f"{name}: the lowest value must be below the highest")
    if datastream.max_rate is not None and not (math.isfinite(datastream.max_rate) and datastream.max_rate > 0):
        raise RegistrationError("max_rate", f"{name}: the fastest change must be above 0")
    if datastream.stuck_after is not None and datastream.stuck_after <= datastream.interval:
        raise RegistrationError(
            "stuck_after", f"{name}: stuck_after must be longer than the interval, or every value counts as stuck"
        )
