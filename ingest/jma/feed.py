"""The PULL feed of the weather agency (Atom over HTTPS): asked sparingly, and never followed elsewhere.

    ask(url, seconds, etag, modified) -> Answer     FeedFault: why there is none
    entries(data) -> (Entry...), updated            what the feed names
    wanted(entry, prefecture) -> bool               by its name alone: YYYYMMDDhhmmss_n_KIND_OFFICE.xml

FeedFault's codes, for pages and the watch (jma.fault.* of the catalogues): connect, timeout, status, redirect, large,
kind, limit, gone, frozen; of a folder silent and gone. A redirect is not followed, for what the operator has entered is
fetched and nothing else; of what the feed names, only what lies on its own host or the agency's. The proxy is that of
the process's environment.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from ingest.errors import IngestError
from ingest.jma.config import JMA_HOST
from ingest.jma.telegram import RefusedTelegram, parse

MOST_BYTES = 30_000_000  # extra_l.xml of a week of typhoons has some millions
NEWEST, LONG = "extra.xml", "extra_l.xml"
_CHUNK = 1 << 16
_NAME = re.compile(r"(\d{14})_[^_]*_([A-Z]{4}\d{2})_(\d{6})\.xml$")
_NATIONAL = "010000"
_RIVERS = re.compile(r"VX(KO|SU)\d\d")
# Not fetched: what the new scheme says anew (sent beside it in the old names), series and probabilities, and texts
# about the weather of days. What is none of these and comes from the town's own office is fetched and listed.
_LEFT_OUT = re.compile(r"VPWW5[0-4]|VXWW|VPNO|VPOA|VPWP|VPWS|VPFD|VPFW|VPTA|VPTI|VPTW|VPAW|VP[ZCF]J50|VPCW|VPCT|VPZW")


class FeedFault(IngestError):
    """Why the feed says nothing: `code` as above, and what was said."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.code, self.said = code, said.replace("\x00", "")[:200]


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` None: nothing has changed since the last time. `size`: bytes that came over the line."""

    data: bytes | None
    etag: str | None
    modified: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One telegram that the feed names."""

    url: str
    updated: datetime


def ask(url: str, seconds: float, etag: str | None = None, modified: str | None = None) -> Answer:
    """One request, conditional where the last answer allows it. Raises FeedFault."""
    until = time.monotonic() + seconds
    request = urllib.request.Request(url, headers={"User-Agent": "mimamori", "Accept-Encoding": "gzip"})
    if etag:
        request.add_header("If-None-Match", etag)
    if modified:
        request.add_header("If-Modified-Since", modified)
    try:
        with urllib.request.build_opener(_NoRedirect()).open(request, timeout=seconds) as response:
            data, size = _read(response, until)
            return Answer(data, response.headers.get("ETag"), response.headers.get("Last-Modified"), size)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 304:
            return Answer(None, etag, modified, 0)
        if error.code in (404, 410):
            raise FeedFault("gone", f"HTTP {error.code}") from None
        raise FeedFault("redirect" if 300 <= error.code < 400 else "status", f"HTTP {error.code}") from None
    except TimeoutError:
        raise FeedFault("timeout") from None
    except urllib.error.URLError as error:
        raise FeedFault("timeout" if isinstance(error.reason, TimeoutError) else "connect", str(error.reason)) from None
    except (OSError, HTTPException, ValueError, zlib.error) as error:
        raise FeedFault("connect", f"{type(error).__name__}: {error}") from None


def entries(data: bytes, base: str) -> tuple[list[Entry], datetime | None]:
    """What a feed names, oldest first, and when it was made. Raises FeedFault where it is no feed."""
    try:
        root = parse(data)
    except RefusedTelegram as error:
        raise FeedFault("kind", error.said) from None
    if root.tag != "feed":
        raise FeedFault("kind", f"<{root.tag}>")
    found = []
    for each in root.iterfind("entry"):
        link = each.find("link")
        url = (link.get("href") if link is not None else None) or (each.findtext("id") or "").strip()
        updated = _time(each.findtext("updated"))
        if url and updated is not None:
            found.append(Entry(urljoin(base, url), updated))
    return sorted(found, key=lambda each: (each.updated, each.url)), _time(root.findtext("updated"))


def allowed(url: str, base: str) -> bool:
    """Whether it lies on the feed's own host, or the agency's.

    >>> allowed("https://www.data.jma.go.jp/x.xml", "http://relay:80/"), allowed("http://relay:81/x", "http://relay:80/")
    (True, False)
    """
    parts, own = urlsplit(url), urlsplit(base)
    if parts.scheme == "https" and parts.netloc == JMA_HOST:
        return True
    return (parts.scheme, parts.netloc) == (own.scheme, own.netloc)


def wanted(entry: Entry, prefecture: str) -> bool:
    """Whether it may concern a town of this prefecture (2 digits of its code).

    Rivers cross borders, and their telegrams are few: all of them. Of the rest those of the prefecture's offices and
    of the whole country; what has another name than usual is fetched too.

    >>> at = datetime(2026, 8, 30, tzinfo=UTC)
    >>> [wanted(Entry(f"https://h/20260830024006_0_{name}.xml", at), "46") for name in (
    ...     "VPWW55_460100", "VPWW55_180000", "VXKO53_440000", "VPWW54_460100", "VPBS50_010000")]
    [True, False, True, False, True]
    """
    found = _NAME.search(entry.url)
    if found is None:
        return True
    _, kind, office = found.groups()
    if _LEFT_OUT.match(kind):
        return False
    if _RIVERS.fullmatch(kind):
        return True
    return office[:2] == prefecture or office == _NATIONAL or not "01" <= office[:2] <= "47"


def own_office(entry: Entry, prefecture: str) -> bool:
    """Whether it is of the prefecture's own office: to be fetched first."""
    found = _NAME.search(entry.url)
    return found is not None and found[3][:2] == prefecture


def _read(response: HTTPResponse, until: float) -> tuple[bytes, int]:
    packed = response.headers.get("Content-Encoding", "").lower() == "gzip"
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if packed else None
    data, size = bytearray(), 0
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        data += chunk if unpack is None else unpack.decompress(chunk, MOST_BYTES + 1 - len(data))
        if len(data) > MOST_BYTES or (unpack is not None and unpack.unconsumed_tail):
            raise FeedFault("large")
        if time.monotonic() > until:
            raise FeedFault("timeout")
    if unpack is not None and not unpack.eof:
        raise FeedFault("connect", "the answer ends in the middle")
    return bytes(data), size


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Any:
        return None
