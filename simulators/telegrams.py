"""Telegrams of a weather agency that does not exist, in the form of 気象庁防災情報XML.

    weather(kind, {code: [Said]}, ...) -> str     気象警報・注意報（Ｒ０６） of one phenomenon
    river(...) -> str                             指定河川洪水予報 or 水位周知河川に関する情報 of one river
    level_name(kind, level)                       レベル３大雨警報

Written after the agency's own description of the form; no telegram of the agency is copied. By itself everything here
is 訓練 and says 【模擬】 in its title, its headline and every name, and its office does not exist: none of it can be
taken for the real thing. Tests that need what a real town gets ask for `status` and `mark=""`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal
from xml.sax.saxutils import escape

JST = timezone(timedelta(hours=9))
MARK = "【模擬】"
OFFICE = "模擬気象台（実在しません）"
Weather = Literal["rain", "landslide", "surge", "wind"]

# (in the title of the telegram, in the names of its levels 2 to 5, their codes)
_WEATHER: Mapping[Weather, tuple[str, tuple[str, str, str, str], tuple[str, str, str, str]]] = {
    "rain": ("大雨", ("大雨注意報", "大雨警報", "大雨危険警報", "大雨特別警報"), ("10", "03", "43", "33")),
    "landslide": (
        "土砂",
        ("土砂災害注意報", "土砂災害警報", "土砂災害危険警報", "土砂災害特別警報"),
        ("29", "09", "49", "39"),
    ),
    "surge": ("高潮", ("高潮注意報", "高潮警報", "高潮危険警報", "高潮特別警報"), ("19", "08", "48", "38")),
    "wind": ("暴風", ("強風注意報", "暴風警報", "暴風警報", "暴風特別警報"), ("15", "05", "05", "35")),
}
_RIVER = {2: ("氾濫注意報", "20"), 3: ("氾濫警報", "30"), 4: ("氾濫危険警報", "40"), 5: ("氾濫特別警報", "51")}
_DIGITS = "０１２３４５"


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one city: its name, the level (None: nothing is issued), and what has changed."""

    city: str
    level: int | None
    change: str = "発表"


def level_name(kind: Weather, level: int) -> tuple[str, str]:
    """A name and its code. Of wind no level stands in it.

    >>> level_name("rain", 3), level_name("wind", 3)
    (('レベル３大雨警報', '03'), ('暴風警報', '05'))
    """
    _, names, codes = _WEATHER[kind]
    name = names[level - 2]
    return (name if kind == "wind" else f"レベル{_DIGITS[level]}{name}"), codes[level - 2]


def weather(
    kind: Weather,
    said: Mapping[str, Sequence[Said]],
    report_at: datetime,
    *,
    sent_at: datetime | None = None,
    status: str = "訓練",
    info_type: str = "発表",
    headline: str = "",
    office: str = OFFICE,
    prefecture: str = "模擬県",
    mark: str = MARK,
) -> str:
    """`said`: by the code of a city (7 digits); of one city several. A 取消 has no body."""
    word, *_ = _WEATHER[kind]
    items = "".join(_city(kind, code, each, mark) for code, several in said.items() for each in several)
    body = "" if info_type == "取消" else f'<Warning type="気象警報・注意報（市町村等）">{items}</Warning>'
    return _report(
        f"気象警報・注意報（Ｒ０６）（{word}）",
        f"{mark}{prefecture}{word}警報・注意報",
        "気象警報・注意報",
        report_at,
        sent_at,
        status,
        info_type,
        office,
        "",
        "",
        f"<Text>{escape(mark + headline)}</Text>",
        body,
    )


def river(
    name: str,
    code: str,
    level: int | None,
    report_at: datetime,
    *,
    title: Literal["指定河川洪水予報", "水位周知河川に関する情報"] = "水位周知河川に関する情報",
    cities: Mapping[str, str],
    serial: int = 1,
    sent_at: datetime | None = None,
    status: str = "訓練",
    info_type: str = "発表",
    headline: str = "",
    main: str = "",
    office: str = OFFICE,
    mark: str = MARK,
) -> str:
    """What is said of one river; `level` None: it is over. `cities` that may be flooded, by code; where there is none
    the body is left out, as it may be.
    """
    word, number = ("解除", "10") if level is None else (f"レベル{_DIGITS[level]}{_RIVER[level][0]}", _RIVER[level][1])
    said = escape(mark + word)
    kind = f"<Kind><Name>{said}</Name><Code>{number}</Code><Condition>{said}</Condition></Kind>"
    lists = "".join(
        f'<Information type="{title}（{what}）"><Item>{kind}<Areas codeType="{what}"><Area><Name>{escape(area)}</Name>'
        f"<Code>{number_}</Code></Area></Areas></Item></Information>"
        for what, area, number_ in (
            *((("予報区域", name, code),) if title == "指定河川洪水予報" else ()),
            ("河川", f"{name}本川" if title == "指定河川洪水予報" else name, code[:10]),
            ("府県予報区等", "模擬県", "990000"),
        )
    )
    flooded = "".join(
        f"<Area><Name>{escape(name)}</Name><Code>{code}</Code><City>{escape(city)}</City>"
        f"<CityCode>{number_}</CityCode></Area>"
        for number_, city in cities.items()
    )
    body = (
        f'<Warning type="{title}（河川）"><Item>'
        f"<Kind><Property><Type>主文</Type><Text>{escape(main)}</Text></Property></Kind>"
        f"<Areas><Area><Name>{escape(name)}</Name><Code>{code}</Code></Area></Areas></Item></Warning>"
        f'<Warning type="{title}（浸水想定地区）"><Item><Kind><Property><Type>浸水想定地区</Type></Property></Kind>'
        f"<Areas>{flooded}</Areas></Item></Warning>"
    )
    return _report(
        title,
        f"{mark}{name}{word}",
        title,
        report_at,
        sent_at,
        status,
        info_type,
        office,
        code,
        str(serial),
        f"<Text>{escape(mark + headline)}</Text>{'' if info_type == '取消' else lists}",
        body if cities and info_type != "取消" else "",
    )


def _city(kind: Weather, code: str, said: Said, mark: str) -> str:
    if said.level is None and said.change != "解除":
        kinds = "<Kind><Status>発表警報・注意報はなし</Status></Kind>"
    else:
        name, number = level_name(kind, said.level or 2)
        last, last_number = level_name(kind, 2)
        kinds = (
            f"<Kind><Name>{mark}{name}</Name><Code>{number}</Code><Status>{said.change}</Status>"
            f"<LastKind><Name>{mark}{last}</Name><Code>{last_number}</Code></LastKind></Kind>"
        )
    return f"<Item>{kinds}<Area><Name>{escape(said.city)}</Name><Code>{code}</Code></Area></Item>"


def _report(
    title: str,
    head_title: str,
    info_kind: str,
    report_at: datetime,
    sent_at: datetime | None,
    status: str,
    info_type: str,
    office: str,
    event_id: str,
    serial: str,
    headline: str,
    body: str,
) -> str:
    sent = (sent_at or report_at).astimezone(UTC)
    at = report_at.astimezone(JST).isoformat()
    base = "http://xml.kishou.go.jp/jmaxml1/"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Report xmlns="{base}">\n'
        f"<Control><Title>{title}</Title><DateTime>{sent:%Y-%m-%dT%H:%M:%SZ}</DateTime><Status>{status}</Status>"
        f"<EditorialOffice>{escape(office)}</EditorialOffice>"
        f"<PublishingOffice>{escape(office)}</PublishingOffice></Control>\n"
        f'<Head xmlns="{base}informationBasis1/"><Title>{escape(head_title)}</Title>'
        f"<ReportDateTime>{at}</ReportDateTime>"
        f"<TargetDateTime>{at}</TargetDateTime><EventID>{event_id}</EventID><InfoType>{info_type}</InfoType>"
        f"<Serial>{serial}</Serial><InfoKind>{info_kind}</InfoKind><InfoKindVersion>1.5_0</InfoKindVersion>"
        f"<Headline>{headline}</Headline></Head>\n"
        f'<Body xmlns="{base}body/meteorology1/">{body}</Body>\n</Report>\n'
    )
