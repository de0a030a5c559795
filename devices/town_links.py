"""What a town file says of official pages about its rivers: the key `links` of a station."""

from __future__ import annotations

import yaml

from devices.official_links import MOST_LINKS, LinkError, LinkKind, OfficialLink, official_link
from devices.yaml_reader import Mapping, YamlReader


def read_links(reader: YamlReader, station: Mapping) -> tuple[OfficialLink, ...] | None:
    """The key `links` of a station in a town file; None where it is not there, and nothing is said of them."""
    node = station.get("links")
    entry = None if node is None else reader.mapping(node, f"{station.name}: links")
    if entry is None:
        return None
    entry.only(tuple(LinkKind))
    found = []
    for kind in LinkKind:
        value = entry.get(kind.value)
        if value is None:
            continue
        if kind is LinkKind.OTHER:
            for item in reader.items(value, f"{entry.name}: other"):
                each = reader.mapping(item, f"{entry.name}: other")
                if each is not None:
                    each.only(("title", "title_en", "url"))
                    found.append(
                        _noted(reader, item, kind, *(each.text(k) or "" for k in ("url", "title", "title_en")))
                    )
        else:
            found.append(_noted(reader, value, kind, reader.text(value, f"{entry.name}: {kind}") or ""))
    if len(found) > MOST_LINKS:
        reader.problem(
            station.keys["links"], f"{entry.name}: {len(found)} links, and nobody reads more than {MOST_LINKS}"
        )
    return tuple(link for link in found if link is not None)


def _noted(
    reader: YamlReader, node: yaml.Node, kind: LinkKind, url: str, title: str = "", title_en: str = ""
) -> OfficialLink | None:
    try:
        return official_link(kind, url, title, title_en)
    except LinkError as error:
        reader.problem(node, f"links: {kind}: {error}")
        return None
