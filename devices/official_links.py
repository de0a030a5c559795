"""Links of a station to official pages about its river: 川の防災情報, 川の水位情報, キキクル, and others by a title.

    official_link(LinkKind.KIKIKURU, "https://www.jma.go.jp/bosai/risk/") -> OfficialLink

They are for people to follow. Nothing of what stands there is ever fetched: the sites ask not to be collected, and
whoever needs their numbers uses a licensed feed. A link that has an official name must lead to that office's site, so
that nobody at night takes another page for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

LONGEST_URL, LONGEST_TITLE, MOST_LINKS = 1000, 80, 10


class LinkKind(StrEnum):
    """What a link leads to; of `OTHER` its title says so."""

    KAWA_BOUSAI = "kawa_bousai"  # 川の防災情報 of the Ministry of Land, Infrastructure, Transport and Tourism
    KAWA_SUII = "kawa_suii"  # 川の水位情報: gauges of 危機管理型 and cameras
    KIKIKURU = "kikikuru"  # キキクル（危険度分布）of the Japan Meteorological Agency
    OTHER = "other"


# The sites that may have these names; a name covers what stands below it.
_SITES: Mapping[LinkKind, str] = {
    LinkKind.KAWA_BOUSAI: "river.go.jp",
    LinkKind.KAWA_SUII: "k.river.go.jp",
    LinkKind.KIKIKURU: "jma.go.jp",
}


@dataclass(frozen=True, slots=True)
class OfficialLink:
    """A link that makes sense. `title` and `title_en` are empty where the kind is its name."""

    kind: LinkKind
    url: str
    title: str = ""
    title_en: str = ""


class LinkError(ValueError):
    """A link cannot be meant; `what` is the part that is wrong: url, site, title or title_en."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


def official_link(kind: LinkKind, url: str, title: str = "", title_en: str = "") -> OfficialLink:
    """The link. LinkError where somebody would be led astray."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        whole = parts.scheme == "https" and "." in host and parts.username is None and parts.port in (None, 443)
    except ValueError:
        host, whole = "", False
    if not whole or len(url) > LONGEST_URL or not url.isprintable() or any(c in url for c in " \"'<>\\`"):
        raise LinkError("url", f"{url[:100]!r} is no address of a page: it must begin with https:// and have no blanks")
    site = _SITES.get(kind)
    if site is not None and host != site and not host.endswith(f".{site}"):
        raise LinkError("site", f"{url[:100]!r} is not at {site}: give it a title of its own under 'other'")
    if kind is LinkKind.OTHER:
        for what, text in (("title", title), ("title_en", title_en)):
            if not text.strip() or len(text) > LONGEST_TITLE or not text.isprintable():
                raise LinkError(what, f"{what} must say in 1 to {LONGEST_TITLE} characters what is at {url[:100]}")
        return OfficialLink(kind, url, title.strip(), title_en.strip())
    return OfficialLink(kind, url)
