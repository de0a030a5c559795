"""A notice as a message of the Common Alerting Protocol 1.2 (OASIS, 2010-07-01).

One message a notice: Alert, Update or Cancel, with references to those before it. A drill is `Exercise`, a test and
everything under a simulated clock `Test`: whoever acts upon messages acts upon `Actual` alone. What is told is an
observation, so certainty is Observed; urgency is Unknown, as nothing is said of what the river will do; severity is
told only of levels that may be told as 警戒レベル○相当. The area is the place of the gauge (a circle without a radius),
never a guess at what could be flooded. No colours and no names of the agency's scheme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from alerts.public import words
from alerts.public.notices import Notice
from alerts.wording import marks

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE = "application/cap+xml"

_TYPES = {"alert": "Alert", "update": "Update", "cancel": "Cancel"}
_STATUS = {"actual": "Actual", "exercise": "Exercise", "test": "Test"}
_SEVERITY = {5: "Extreme", 4: "Severe", 3: "Moderate", 2: "Minor", 1: "Minor"}


@dataclass(frozen=True, slots=True)
class Publisher:
    """The municipality that tells. `simulated`: its clock is, and nothing of this is real."""

    code: str
    name: str
    name_en: str
    zone: ZoneInfo
    simulated: bool = False


def identifier(publisher: Publisher, notice_id: int) -> str:
    """The message's own name; with the sender it is one of its kind in the world."""
    return f"{publisher.code}-{notice_id}"


def message(publisher: Publisher, found: Notice, before: Sequence[Notice] = ()) -> bytes:
    """An approved notice; `before`: the notices whose place it took, the oldest first. UTF-8."""
    if found.event != "approved":
        raise ValueError(f"notice {found.notice_id} was approved by nobody")
    root = ET.Element(_tag("alert"))
    _add(root, "identifier", identifier(publisher, found.notice_id))
    _add(root, "sender", _sender(publisher))
    _add(root, "sent", _time(found.decided_at, publisher.zone))
    _add(root, "status", "Test" if publisher.simulated else _STATUS[found.mode])
    _add(root, "msgType", _TYPES[found.kind])
    _add(root, "scope", "Public")
    mark = marks(found.mode, publisher.simulated)
    if mark:
        _add(root, "note", f"{mark}{marks(found.mode, publisher.simulated, 'en').strip()}")
    if before:
        _add(root, "references", " ".join(_reference(publisher, each) for each in before))
    _info(root, publisher, found, "ja", "ja-JP")
    _info(root, publisher, found, "en", "en-US")
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True, default_namespace=NAMESPACE)
    return document + b"\n"


def _info(root: ET.Element, publisher: Publisher, found: Notice, language: Literal["ja", "en"], code: str) -> None:
    info = ET.SubElement(root, _tag("info"))
    text, mark = found.texts[language], marks(found.mode, publisher.simulated, language)
    closing = (found.closing or {}).get(language, "")
    title = words.title(publisher.name, language)
    _add(info, "language", code)
    _add(info, "category", "Met")
    _add(info, "event", title)
    _add(info, "urgency", "Past" if found.kind == "cancel" else "Unknown")
    _add(info, "severity", _SEVERITY[found.level] if found.equivalent and found.kind != "cancel" else "Unknown")
    _add(info, "certainty", "Observed")
    _add(info, "effective", _time(found.decided_at, publisher.zone))
    _add(info, "onset", _time(found.time, publisher.zone))
    _add(info, "expires", _time(found.valid_until, publisher.zone))
    _add(info, "senderName", publisher.name if language == "ja" else publisher.name_en or publisher.name)
    _add(info, "headline", f"{mark}{text.headline}")
    _add(info, "description", f"{title}\n{text.body}\n{closing}")
    _pair(info, "parameter", "observedWaterLevel", f"{found.value:.2f} m")
    if found.threshold is not None:
        _pair(info, "parameter", "referenceLevel", f"{found.threshold:.2f} m")
    area = ET.SubElement(info, _tag("area"))
    river = f"（{found.river}）" if found.river and language == "ja" else ""
    _add(area, "areaDesc", f"{found.name}{river}" if language == "ja" else found.name_en or found.name)
    _add(area, "circle", f"{found.latitude},{found.longitude} 0")
    _pair(area, "geocode", "全国地方公共団体コード", publisher.code)


def _sender(publisher: Publisher) -> str:
    return f"mimamori-{publisher.code}"


def _reference(publisher: Publisher, earlier: Notice) -> str:
    sent = _time(earlier.decided_at, publisher.zone)
    return f"{_sender(publisher)},{identifier(publisher, earlier.notice_id)},{sent}"


def _time(time: datetime | None, zone: ZoneInfo) -> str:
    """Local, to the second. The protocol writes UTC as -00:00."""
    assert time is not None, "what is approved has its times"
    return time.astimezone(zone).replace(microsecond=0).isoformat().replace("+00:00", "-00:00")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, _tag(name)).text = text


def _pair(parent: ET.Element, name: str, value_name: str, value: str) -> None:
    pair = ET.SubElement(parent, _tag(name))
    _add(pair, "valueName", value_name)
    _add(pair, "value", value)
