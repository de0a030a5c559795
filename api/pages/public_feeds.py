"""The notices as Atom (RFC 4287): to read, and as messages of the Common Alerting Protocol.

An entry is a notice as it was approved, with the line about evacuation information of that moment; what happened to it
later is an entry of its own. Names are UUIDs made from town and number, so that they stay the same wherever the server
stands; addresses are relative to the feed's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5
from xml.etree import ElementTree as ET

from alerts.public import words
from alerts.public.cap import MEDIA_TYPE, Publisher
from alerts.public.notices import Notice
from alerts.public.words import Variant
from alerts.wording import marks
from api.pages.public_text import language_of_variant

_ATOM = "{http://www.w3.org/2005/Atom}"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_OURS = UUID("5d0b3f0e-7d0c-5d0b-9a51-2f5c1d0f6c33")


def feed(publisher: Publisher, notices: Sequence[Notice], variant: Variant, now: datetime) -> bytes:
    """The notices, newest first, in one variant."""
    query = "" if variant == "ja" else f"?lang={variant}"
    root = _feed(publisher, variant, f"notices.atom{query}", now, notices)
    for each in notices:
        entry = _entry(root, publisher, each, variant)
        text = each.texts[variant]
        last = (each.closing or {}).get(variant, "")
        content = ET.SubElement(entry, f"{_ATOM}content", {"type": "text"})
        content.text = f"{words.title(publisher.name, variant)}\n{text.body}\n{last}"
        ET.SubElement(entry, f"{_ATOM}link", {"rel": "alternate", "type": "text/html", "href": f"notices{query}"})
        _message_link(entry, each, "related")
    return _written(root)


def cap_feed(publisher: Publisher, messages: Sequence[tuple[Notice, bytes]], now: datetime) -> bytes:
    """The same with the whole CAP message in each entry."""
    root = _feed(publisher, "ja", "cap.atom", now, [each for each, _ in messages])
    for each, document in messages:
        entry = _entry(root, publisher, each, "ja")
        content = ET.SubElement(entry, f"{_ATOM}content", {"type": MEDIA_TYPE})
        content.append(ET.fromstring(document))
        _message_link(entry, each, "alternate")
    return _written(root)


def _feed(publisher: Publisher, variant: Variant, own: str, now: datetime, notices: Sequence[Notice]) -> ET.Element:
    language = language_of_variant(variant)
    root = ET.Element(f"{_ATOM}feed", {_XML_LANG: language})
    mark = marks("actual", publisher.simulated, language)
    name = publisher.name if language == "ja" else publisher.name_en or publisher.name
    _add(root, "id", name_of(publisher, own))
    _add(root, "title", f"{mark}{name} {words.title(publisher.name, variant)}")
    # Of an empty feed there is no newest entry: it is as new as its reader's question.
    _add(root, "updated", _time(max((each.decided_at for each in notices if each.decided_at), default=now)))
    author = ET.SubElement(root, f"{_ATOM}author")
    _add(author, "name", name)
    ET.SubElement(root, f"{_ATOM}link", {"rel": "self", "type": "application/atom+xml", "href": own})
    return root


def _entry(root: ET.Element, publisher: Publisher, each: Notice, variant: Variant) -> ET.Element:
    assert each.decided_at is not None, "what is published was approved at a time"
    language = language_of_variant(variant)
    entry = ET.SubElement(root, f"{_ATOM}entry")
    _add(entry, "id", name_of(publisher, str(each.notice_id)))
    _add(entry, "title", f"{marks(each.mode, publisher.simulated, language)}{each.texts[variant].headline}")
    _add(entry, "published", _time(each.decided_at))
    _add(entry, "updated", _time(each.decided_at))
    return entry


def _message_link(entry: ET.Element, each: Notice, relation: str) -> None:
    attributes = {"rel": relation, "type": MEDIA_TYPE, "href": f"cap/{each.notice_id}.xml"}
    ET.SubElement(entry, f"{_ATOM}link", attributes)


def name_of(publisher: Publisher, of: str) -> str:
    """A name that stays the same wherever the server stands."""
    return f"urn:uuid:{uuid5(_OURS, f'{publisher.code}/{of}')}"


def _time(time: datetime) -> str:
    return time.replace(microsecond=0).isoformat()


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{_ATOM}{name}").text = text


def _written(root: ET.Element) -> bytes:
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"
