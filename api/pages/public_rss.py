"""The notices as RSS 2.0, for readers that know no Atom: the same items as `public_feeds.feed`, in one variant.

RSS wants whole addresses: they are those of the server that was asked, which a cache keeps by them.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

from alerts.public import words
from alerts.public.cap import Publisher
from alerts.public.notices import Notice
from alerts.public.words import Variant
from alerts.wording import marks
from api.access import PUBLIC, Router, access
from api.pages.device_list import base_of
from api.pages.public import OPEN, told_of, variant_of
from api.pages.public_feeds import name_of
from api.pages.public_text import language_of_variant

router = Router()

MEDIA_TYPE = "application/rss+xml; charset=utf-8"
_ATOM = "{http://www.w3.org/2005/Atom}"
# For the whole process and from its start on: an Atom feed is written with it as well, and must not change its bytes.
ET.register_namespace("atom", _ATOM[1:-1])


@router.get("/public/{municipality}/notices.rss")
@access(PUBLIC)
def notices_rss(request: Request, municipality: str) -> Response:
    """The notices of the last week, newest first."""
    told = told_of(request, municipality)
    base = f"{base_of(request)}/public/{told.publisher.code}"
    return Response(
        rss(told.publisher, list(told.notices), variant_of(request), told.now, base),
        media_type=MEDIA_TYPE,
        headers={**OPEN, "Vary": "Host"},
    )


def rss(publisher: Publisher, notices: list[Notice], variant: Variant, now: datetime, base: str) -> bytes:
    """The feed; `base` is the address below which the public pages of the municipality stand."""
    language = language_of_variant(variant)
    query = "" if variant == "ja" else f"?lang={variant}"
    root = ET.Element("rss", {"version": "2.0"})
    channel = ET.SubElement(root, "channel")
    name = publisher.name if language == "ja" else publisher.name_en or publisher.name
    title = words.title(publisher.name, variant)
    _add(channel, "title", f"{marks('actual', publisher.simulated, language)}{name} {title}")
    _add(channel, "link", f"{base}/notices{query}")
    _add(channel, "description", title)
    _add(channel, "language", language)
    # Of an empty feed there is no newest item: it is as new as its reader's question.
    newest = max((each.decided_at for each in notices if each.decided_at), default=now)
    _add(channel, "lastBuildDate", format_datetime(newest))
    own = {"rel": "self", "type": "application/rss+xml", "href": f"{base}/notices.rss{query}"}
    ET.SubElement(channel, f"{_ATOM}link", own)
    for each in notices:
        assert each.decided_at is not None, "what is published was approved at a time"
        item = ET.SubElement(channel, "item")
        text = each.texts[variant]
        _add(item, "title", f"{marks(each.mode, publisher.simulated, language)}{text.headline}")
        _add(item, "link", f"{base}/notices{query}#notice-{each.notice_id}")
        _add(item, "description", "\n".join((title, text.body, (each.closing or {}).get(variant, ""))))
        guid = ET.SubElement(item, "guid", {"isPermaLink": "false"})
        guid.text = name_of(publisher, str(each.notice_id))
        _add(item, "pubDate", format_datetime(each.decided_at))
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text
