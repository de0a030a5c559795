"""A telegram of 気象庁防災情報XML: read, and asked what it says of the town.

    read(data, place) -> Report               RefusedTelegram: it is none, or cannot be read
    of_town(report, area) -> Telegram | None  None: it does not concern the town

Source: 気象庁防災情報XMLフォーマット 解説資料 (気象警報・注意報（Ｒ０６）, 水位周知河川に関する情報,
指定河川洪水予報) as of 2026-05. A telegram has Control (情報名称, 発信時刻, 運用種別, 官署), Head (標題, 発表時刻,
情報形態, 識別情報, 見出し) and Body.

- 気象警報・注意報（Ｒ０６）: one telegram a phenomenon and prefecture. In Body/Warning[市町村等] an Item for every area
  with its Kinds: Name, Code and Status (発表, 継続, 解除, 警報から注意報, ...), or Status 発表警報・注意報はなし alone.
- the two of rivers: in Head/Headline an Information for rivers and areas with Kind and Areas; Code 10 ends it. The
  cities stand in Body (CityCode, or areas of 7 digits).

XML is parsed by expat with nothing but elements: a document type, and with it every entity, is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ingest.errors import IngestError
from store.jma import ACTUAL, DRILL, TEST, Item, Telegram

MOST_BYTES = 4_000_000  # the longest, with every city of Hokkaido, have a tenth of it
_DEEPEST = 40
_WEATHER = {
    "大雨": "rain",
    "土砂": "landslide",
    "高潮": "surge",
    "暴風": "wind",
    "波浪": "wave",
    "大雪": "snow",
}
# What the scheme of 2026 says anew, sent beside it for some years in the old names; and what is no state of an area.
LEFT_OUT = frozenset({
    "気象特別警報・警報・注意報", "気象警報・注意報", "気象警報・注意報（Ｈ２７）", "土砂災害警戒情報",
    "気象特別警報報知",
    "記録的短時間大雨情報",
})  # fmt: skip
_SERIES = re.compile("集約通報|時系列|早期注意情報|天気予報|天気概況|週間|季節|異常天候|海上|台風|紫外線")
_R06 = re.compile(r"^気象警報・注意報（Ｒ０６）（(.+)）$")
_RIVERS = {"指定河川洪水予報": "river", "水位周知河川に関する情報": "river_level"}
_CITIES = "気象警報・注意報（市町村等）"
_NOTHING = "発表警報・注意報はなし"
_OVER = "解除"
_ENDED = "10"  # of rivers
_LEVEL = re.compile(r"レベル([1-5１-５])")
_CITY = re.compile(r"\d{7}")
_STATUS = (ACTUAL, DRILL, TEST)


class RefusedTelegram(IngestError):
    """Not a telegram that can be read: `code` for pages (jma.refused.* of the catalogues), and what is wrong."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"{code}: {said}")
        self.code, self.said = code, said[:300].replace("\x00", "")


@dataclass(frozen=True, slots=True)
class Area:
    """What counts as the town's: its code (6 digits; areas of the agency begin with the first five), and what the
    operator has listed besides, codes or names of rivers and areas.
    """

    municipality: str
    listed: frozenset[str] = frozenset()

    def has(self, code: str, name: str) -> bool:
        """
        >>> Area("464911").has("4649100", "南大隅町"), Area("464911").has("4649200", "x")
        (True, False)
        """
        own = bool(_CITY.fullmatch(code)) and code[:5] == self.municipality[:5]
        return own or code in self.listed or name in self.listed


@dataclass(frozen=True, slots=True)
class Report:
    """A telegram's tree, without namespaces, and its XML."""

    root: Element
    raw: str
    place: str


def read(data: bytes, place: str) -> Report:
    """The tree of a telegram. Raises RefusedTelegram."""
    if len(data) > MOST_BYTES:
        raise RefusedTelegram("large", f"{len(data)} bytes")
    root = parse(data)
    if root.tag != "Report" or root.find("Control") is None or root.find("Head") is None:
        raise RefusedTelegram("kind", f"<{root.tag}>")
    try:
        raw = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedTelegram("xml", "not UTF-8") from None
    return Report(root, raw, place)


def parse(data: bytes) -> Element:
    """The tree of an XML document; names without their namespaces. Raises RefusedTelegram."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate(namespace_separator="}")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise RefusedTelegram("xml", "too deep")
        builder.start(name.rpartition("}")[2], {key.rpartition("}")[2]: value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition("}")[2])

    def refuse(*_: object) -> None:
        raise RefusedTelegram("doctype", "a document type or an entity")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise RefusedTelegram("xml", str(error)) from None
    return builder.close()


def of_town(report: Report, area: Area) -> Telegram | None:
    """What it says of the town. A 取消 names no place, and neither need the end of a flood: these are kept for whoever
    was named before. Raises RefusedTelegram where what every telegram has is missing.
    """
    root = report.root
    control, head = _part(root, "Control"), _part(root, "Head")
    title = _text(control, "Title")
    status = _text(control, "Status")
    if status not in _STATUS:
        raise RefusedTelegram("status", status)
    kind = kind_of(title)
    if title in LEFT_OUT or _SERIES.search(title):
        return None
    info_type = _text(head, "InfoType")
    river = kind in _RIVERS.values()
    named = _concerns(root, area) or (kind == "unknown" and _in_prefecture(root, area))
    if not named and (kind == "unknown" or (info_type != "取消" and not (river and _placeless(root)))):
        return None
    items: tuple[Item, ...] = ()
    if info_type != "取消" and kind != "unknown":
        items = tuple(_rivers(root) if river else _weather(root, area))
    headline = head.find("Headline")
    return Telegram(
        digest=_digest(root),
        kind=kind,
        title=title,
        head_title=_text(head, "Title"),
        status=status,
        info_type=info_type or "発表",
        office=_text(control, "PublishingOffice"),
        event_id=(_text(head, "EventID") or (items[0].area_code if items else "")) if river else "",
        serial=_text(head, "Serial"),
        report_at=_time(head, "ReportDateTime"),
        sent_at=_time(control, "DateTime"),
        valid_until=_time(head, "ValidDateTime") if _text(head, "ValidDateTime") else None,
        headline="" if headline is None else _text(headline, "Text"),
        body="\n\n".join(_words(root)),
        items=items,
        named=named,
        place=report.place,
        raw=report.raw.replace("\x00", ""),
    )


def kind_of(title: str) -> str:
    """Which of our kinds a title (情報名称) is.

    >>> kind_of("気象警報・注意報（Ｒ０６）（大雨）"), kind_of("指定河川洪水予報"), kind_of("府県天気予報")
    ('rain', 'river', 'unknown')
    """
    found = _R06.match(title)
    if found is not None:
        return "other_weather" if found[1].startswith("その他") else _WEATHER.get(found[1], "unknown")
    return _RIVERS.get(title, "unknown")


def level_of(name: str) -> int | None:
    """The 警戒レベル in a name.

    >>> level_of("レベル３大雨警報"), level_of("暴風警報")
    (3, None)
    """
    found = _LEVEL.search(name)
    return None if found is None else int(found[1])


def _concerns(root: Element, area: Area) -> bool:
    """Whether an area of the town stands anywhere in it."""
    if any(area.has(code, "") for code in _texts(root, "CityCode")):
        return True
    return any(area.has(_text(each, "Code"), _text(each, "Name")) for each in root.iter("Area"))


def _in_prefecture(root: Element, area: Area) -> bool:
    """Whether an area of the agency in the town's prefecture stands in it (府県予報区, 細分区域: 6 digits). What nobody
    here reads is not dropped because it names no municipality.
    """
    codes = (_text(each, "Code") for each in root.iter("Area"))
    return any(len(code) == 6 and code.isdigit() and code[:2] == area.municipality[:2] for code in codes)


def _placeless(root: Element) -> bool:
    """Whether no municipality stands in it."""
    codes = [*_texts(root, "CityCode"), *(_text(each, "Code") for each in root.iter("Area"))]
    return not any(_CITY.fullmatch(code) for code in codes)


def _weather(root: Element, area: Area) -> Iterator[Item]:
    """What is issued for each area of the town; of none of them it says so."""
    for warning in root.iter("Warning"):
        cities = warning.get("type", "") == _CITIES
        for item in warning.iterfind("Item"):
            for place in (*item.iterfind("Area"), *item.iterfind("Areas/Area")):
                code, name = _text(place, "Code"), _text(place, "Name")
                if not area.has(code, name) or not (cities or code in area.listed or name in area.listed):
                    continue
                for kind in item.iterfind("Kind"):
                    said, change = _text(kind, "Name"), _text(kind, "Status")
                    if not said and not change:
                        continue
                    over = said in ("", _OVER) or change in (_OVER, _NOTHING)
                    yield Item(code, name, said, _text(kind, "Code"), change, level_of(said), not over)


def _rivers(root: Element) -> Iterator[Item]:
    """What is issued for each stretch of river, from the narrowest of the lists in the headline."""
    lists = root.findall("Head/Headline/Information")
    chosen = next((each for each in lists if re.search("予報区域|発表区間", each.get("type", ""))), None)
    if chosen is None:
        chosen = next((each for each in lists if "河川" in each.get("type", "").partition("（")[2]), None)
    if chosen is None:
        chosen = next((each for each in lists if "府県" not in each.get("type", "")), None)
    for item in () if chosen is None else chosen.iterfind("Item"):
        for kind in item.iterfind("Kind"):
            name, code, condition = _text(kind, "Name"), _text(kind, "Code"), _text(kind, "Condition")
            over = code == _ENDED or name.endswith(_OVER) or condition.endswith(_OVER)
            for place in item.iterfind("Areas/Area"):
                level = None if over and name == _OVER else level_of(name)
                yield Item(_text(place, "Code"), _text(place, "Name"), name, code, condition, level, not over)


def _words(root: Element) -> Iterator[str]:
    """The sentences of the body: the text itself, of rivers 主文."""
    body = root.find("Body")
    if body is None:
        return
    said = set()
    for path in ("Comment/Text", "Warning/Item/Kind/Property", "Text"):
        for found in body.iterfind(path):
            if found.tag == "Property" and _text(found, "Type") != "主文":
                continue
            text = _text(found, "Text") if found.tag == "Property" else (found.text or "").strip()
            if text and text not in said:
                said.add(text)
                yield text


def _digest(root: Element) -> bytes:
    """The same for the same elements and texts, however they are spaced."""
    total = hashlib.sha256()

    def add(element: Element) -> None:
        total.update(f"<{element.tag}{sorted(element.attrib.items())}>{(element.text or '').strip()}".encode())
        for child in element:
            add(child)
            total.update((child.tail or "").strip().encode())
        total.update(b"</>")

    add(root)
    return total.digest()


def _part(root: Element, name: str) -> Element:
    found = root.find(name)
    assert found is not None, "read() has looked"
    return found


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip().replace("\x00", "")


def _texts(root: Element, tag: str) -> Iterator[str]:
    return ((each.text or "").strip() for each in root.iter(tag))


def _time(element: Element, path: str) -> datetime:
    """A time with its zone, in UTC."""
    text = _text(element, path)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise RefusedTelegram("time", f"{path}: {text}")
    return found.astimezone(UTC)
