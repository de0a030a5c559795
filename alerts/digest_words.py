"""What the weekly letter says, in Japanese and English; the page says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerts import outage_words

KINDS = ("outages", "silences", "batteries", "gaps", "sending", "clocks", "radio", "ends", "works", "trials")

_TITLES: Mapping[str, tuple[str, str]] = {
    "outages": ("まとめて届かなかったこと", "Many stations silent at once"),
    "silences": ("届かなかった観測所", "Stations that were silent"),
    "batteries": ("電池の交換が近い機器", "Batteries to be exchanged soon"),
    "gaps": ("電文の抜けが多い機器", "Devices that lose many messages"),
    "sending": ("送り方がおかしい機器", "Devices that send strangely"),
    "clocks": ("時計がずれている機器", "Clocks that are off"),
    "radio": ("電波が届きにくくなった機器", "Devices that are heard less well"),
    "ends": ("通信サービスの終了が6か月以内の機器", "Communications service ends within 6 months"),
    "works": ("作業予定（来週まで）", "Planned work (until next week)"),
    "trials": ("試験中の観測所", "Stations in trial"),
}
_SENDING = {
    "too_often": ("間隔よりはるかに多く送っています（送信しっぱなし）", "sends far more often than its interval says"),
    "the_same": ("3日以上、同じ内容だけを送っています", "has sent the same content only for three days and more"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines; `kind` as in the facts."""

    kind: str
    title: str
    lines: tuple[str, ...]


def subject(facts: Mapping[str, Any], municipality: str, *, simulated: bool, language: str = "ja") -> str:
    """One line: mark, town, week, and how much of each kind that somebody must do something about.

    >>> facts = {"week": "2026-06-01", "silences": [1, 2], "batteries": [1]}
    >>> subject(facts, "美守町", simulated=True)
    '【模擬】美守町 機器の週報 6/1〜6/7：通信断 2・電池 1'
    """
    first = date.fromisoformat(facts["week"])
    last = first + timedelta(days=6)
    counts = {kind: len(facts.get(kind, ())) for kind in KINDS}
    silent = counts["outages"] + counts["silences"]
    others = sum(counts[kind] for kind in ("gaps", "sending", "clocks", "radio", "ends"))
    if language == "en":
        mark = "[SIMULATED] " if simulated else ""
        parts = [
            f"{n} {what}" for n, what in ((silent, "silent"), (counts["batteries"], "batteries"), (others, "other"))
        ]
        said = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing to do"
        return f"{mark}{municipality}, devices {first.month}/{first.day} to {last.month}/{last.day}: {said}"
    mark = "【模擬】" if simulated else ""
    named = ((silent, "通信断"), (counts["batteries"], "電池"), (others, "その他"))
    said = "・".join(f"{what} {n}" for n, what in named if n) or "対応することはありません"
    return f"{mark}{municipality} 機器の週報 {first.month}/{first.day}〜{last.month}/{last.day}：{said}"


def body(facts: Mapping[str, Any], municipality: str, zone: ZoneInfo, *, simulated: bool, language: str = "ja") -> str:
    """The whole letter, plain text."""
    lines = [subject(facts, municipality, simulated=simulated, language=language), "", summary(facts, language), ""]
    for section in sections(facts, zone, language):
        lines += [f"■ {section.title}", *(f"・{line}" for line in section.lines), ""]
    return "\n".join(lines)


def summary(facts: Mapping[str, Any], language: str) -> str:
    """How many devices there are, and what there is to say if nothing happened."""
    quiet = not any(facts.get(kind) for kind in KINDS)
    if language == "en":
        said = f"{facts.get('devices', 0)} devices are mounted."
        return said + (" Nothing happened that anybody must look after." if quiet else "")
    said = f"設置中の機器は {facts.get('devices', 0)} 台です。"
    return said + ("この週、対応の要ることはありませんでした。" if quiet else "")


def sections(facts: Mapping[str, Any], zone: ZoneInfo, language: str) -> list[Section]:
    """What there is to say, kind by kind; a kind without anything is left out."""
    column = 0 if language == "ja" else 1
    found = []
    for kind in KINDS:
        rows: Sequence[Mapping[str, Any]] = facts.get(kind, ())
        if rows:
            found.append(Section(kind, _TITLES[kind][column], tuple(_line(kind, row, zone, language) for row in rows)))
    return found


def _line(kind: str, row: Mapping[str, Any], zone: ZoneInfo, language: str) -> str:
    ja = language == "ja"
    name = row.get("ja" if ja else "en", "")
    device = (
        f"{name}（{row['device']}）"
        if ja and "device" in row
        else f"{name} ({row['device']})"
        if "device" in row
        else name
    )
    match kind:
        case "outages":
            said = outage_words.headline(row["cause"], False, language)
            when = _from_to(row, zone, ja)
            return f"{said}：{row['stations']} か所、{when}" if ja else f"{said}: {row['stations']} stations, {when}"
        case "silences":
            return f"{name}：{_from_to(row, zone, ja)}" if ja else f"{name}: {_from_to(row, zone, ja)}"
        case "batteries":
            value = f"{row['value']:g} {row['unit']}"
            if row["low"]:
                return f"{device}：{value}、交換の目安を下回っています" if ja else f"{device}: {value}, below its limit"
            left = row["days"]
            return f"{device}：{value}、あと約 {left} 日" if ja else f"{device}: {value}, about {left} days left"
        case "gaps":
            return (
                f"{device}：{row['of']} 通のうち {row['lost']} 通" if ja else f"{device}: {row['lost']} of {row['of']}"
            )
        case "sending":
            return f"{device}：{_SENDING[row['how']][0]}" if ja else f"{device} {_SENDING[row['how']][1]}"
        case "clocks":
            return f"{device}：{_clock(row, ja)}" if ja else f"{device}: {_clock(row, ja)}"
        case "radio":
            figures = f"{row['margin']:g} dB", f"{row['change']:+g} dB"
            if ja:
                return f"{device}：余裕 {figures[0]}（前の4週より {figures[1]}）"
            return f"{device}: {figures[0]} to spare ({figures[1]} against the 4 weeks before)"
        case "ends":
            day = date.fromisoformat(row["on"])
            return f"{device}：{day.year}年{day.month}月{day.day}日まで" if ja else f"{device}: until {day}"
        case "trials":
            since = _time(row["since"], zone)
            if ja:
                long = f"{row['days']}日続いています。" if row["long"] else ""
                return f"{name}：{since} から。{long}{row['why']}"
            long = f"{row['days']} days now. " if row["long"] else ""
            return f"{name}: since {since}. {long}{row['why']}"
        case _:
            when = f"{_time(row['starts'], zone)}–{_time(row['ends'], zone)}"
            return f"{device}：{when} {row['work']}" if ja else f"{device}: {when} {row['work']}"


def _from_to(row: Mapping[str, Any], zone: ZoneInfo, ja: bool) -> str:
    since, until = _time(row["since"], zone), row["until"]
    if until is None:
        return f"{since} から続いています" if ja else f"since {since}, and still"
    return f"{since} から {_time(until, zone)} まで" if ja else f"from {since} to {_time(until, zone)}"


def _clock(row: Mapping[str, Any], ja: bool) -> str:
    ahead = row["offset"] >= 0
    seconds = abs(row["offset"])
    said = (
        f"{seconds} 秒{'進んで' if ahead else '遅れて'}います"
        if ja
        else f"{seconds} s {'ahead' if ahead else 'behind'}"
    )
    if row["per_day"] is None:
        return said
    drift = f"{row['per_day']:+.1f}"
    return said + (f"（1日に {drift} 秒）" if ja else f" ({drift} s a day)")


def _time(text: str, zone: ZoneInfo) -> str:
    local = datetime.fromisoformat(text).astimezone(zone)
    return f"{local.month}/{local.day} {local:%H:%M}"
