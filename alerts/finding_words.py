"""What the rules that are kinds of findings say, in Japanese and English; `alerts.wording` puts it into messages.

A finding compares a measurement with what is usual at the place. It never says why: a leak is a 調査候補 until someone
has dug, a count is 延べ, a counter *may* be blocked, how many are at an event is an estimate (滞在推定).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

FindingRule = Literal[
    "night_flow",
    "burst",
    "inflow_rise",
    "leak_suspect",
    "leak_sound",
    "visits",
    "counter",
    "crowd_1",
    "crowd_2",
    "crowd_3",
]

FINDING_RULES: tuple[FindingRule, ...] = (
    "night_flow", "burst", "inflow_rise", "leak_suspect", "leak_sound", "visits", "counter", "crowd_1", "crowd_2",
    "crowd_3",
)  # fmt: skip

_HOURS_A_MONTH = 24 * 30

# (ja, en) each
_ABOUT = {
    "night_flow": ("夜間最小流量のお知らせ", "minimum night flow"),
    "burst": ("流入量のお知らせ", "inflow"),
    "inflow_rise": ("流入量のお知らせ", "inflow"),
    "leak_suspect": ("圧力と流量のお知らせ", "pressures and flows"),
    "leak_sound": ("漏水音のお知らせ", "leak noise"),
    "visits": ("通過数のお知らせ", "passages"),
    "counter": ("カウンターのお知らせ", "counter"),
    **{f"crowd_{n}": ("会場の混雑のお知らせ", "people in the area") for n in (1, 2, 3)},
}
_RAISED = {
    "night_flow": (
        "漏水調査候補：夜間の流入量がふだんより多い状態が続いています",
        "leak suspect: the inflow at night stays above usual",
    ),
    "burst": (
        "漏水調査候補：流入量がふだんより多く、圧力または配水池の水位が下がっています",
        "leak suspect: the inflow is above usual while the pressure or the tank level has fallen",
    ),
    "inflow_rise": (
        "漏水調査候補：ブロックの1日の流入量が増えたままです",
        "leak suspect: what flows into the block in a day has risen and stays up",
    ),
    "leak_suspect": (
        "漏水調査候補：圧力と流量の変わり方から、調査する範囲の候補が見つかりました",
        "leak suspect: how pressures and flows changed points to an area to be searched",
    ),
    "leak_sound": (
        "漏水調査候補：夜の漏水音ロガーの音が、ふだんより大きい状態が続いています",
        "leak suspect: at night a leak noise logger keeps hearing more than usual",
    ),
    "counter": (
        "カウンターが塞がれている・止まっている可能性があります",
        "the counter may be blocked or may have stopped",
    ),
    **{
        f"crowd_{n}": (
            f"会場の滞在推定が、主催者の定めた{n}段目の人数に達しました",
            f"the estimate of people in the area has reached step {n} of its capacity",
        )
        for n in (1, 2, 3)
    },
}
_JAMMED = (
    "カウンターの数がありえない値です（故障の可能性があります）",
    "the counter gives numbers that cannot be true; it may be out of order",
)
_VISITS = {
    "more": ("ふだんより多い通過数（延べ）です", "more passages than usual"),
    "fewer": ("ふだんより少ない通過数（延べ）です", "fewer passages than usual"),
}
_CLEARED = {
    "night_flow": ("夜間の流入量がふだんの範囲に戻りました", "the inflow at night is back to usual"),
    "burst": ("流入量がふだんの範囲に戻りました", "the inflow is back to usual"),
    "inflow_rise": (
        "流入量の増加がなくなったか、調査が終わったか、新しい調査候補に引き継がれました",
        "the rise of the inflow is gone, or settled, or a new suspect has taken its place",
    ),
    "leak_suspect": (
        "この調査候補は終わりました（調査が終わったか、圧力が元に戻りました）",
        "this leak suspect is over (the search is settled, or the pressures are back)",
    ),
    "leak_sound": (
        "音がふだんの大きさに戻ったか、調査が終わりました",
        "the noise is back to usual, or the suspect is settled",
    ),
    "visits": ("通過数（延べ）がふだんの範囲に戻りました", "the passages are back to usual"),
    "counter": ("カウンターがふたたび数えています", "the counter is counting again"),
    **{
        f"crowd_{n}": (
            f"会場の滞在推定が{n}段目の人数を下回ったか、行事が終わりました",
            f"the estimate of people in the area is below step {n} again, or the event is over",
        )
        for n in (1, 2, 3)
    },
}
_MEASURED = {
    "night_flow": ("夜間最小流量", "Minimum night flow"),
    "burst": ("流入量", "Inflow"),
    "inflow_rise": ("増えた量（推定）", "Rise (estimated)"),
    "leak_suspect": ("推定量", "Estimated size"),
    "leak_sound": ("夜に続く音の大きさ", "Level that lasts at night"),
    "visits": ("通過数（延べ）", "Passages"),
    "counter": ("通過数（延べ）", "Passages"),
    **{f"crowd_{n}": ("滞在推定", "Estimate of people in the area") for n in (1, 2, 3)},
}
_TO_DO = {
    "night_flow": (
        "原因は現地で確かめてください（夜間の使用、配水池への補給などのこともあります）。",
        "Please find out the cause on site (it may also be use at night or the filling of a tank).",
    ),
    "burst": (
        "原因は現地で確かめてください（消火、洗管、大口の使用などのこともあります）。",
        "Please find out the cause on site (it may also be fire fighting, flushing or a large user).",
    ),
    "inflow_rise": (
        "原因は現地で確かめてください（大口の使用、季節の営業、配水の切り替えなどのこともあります）。",
        "Please find out the cause on site (it may also be a large or seasonal user, or water fed another way).",
    ),
    "leak_suspect": (
        "管路と回る順番は「漏水調査」のページにあります。漏水かどうかは現地で確かめてください。",
        "The pipes and the way to walk are on the page of leak cases. Whether it is a leak is found out on site.",
    ),
    "leak_sound": (
        "原因は現地で確かめてください（ポンプ、減圧弁、夜間の使用の音のこともあります）。管路は「漏水調査」のページにあります。",
        "Please find out the cause on site (it may also be a pump, a reducing valve or use at night). The pipes are on "
        "the page of leak cases.",
    ),
    "visits": (
        "比べる相手は、同じ種類の日の同じ時刻までの通過数です。",
        "Compared with the passages up to the same time of day on days of the same kind.",
    ),
    "counter": (
        "この間の通過数は分かりません（0人という意味ではありません）。機器の前に物がないか確かめてください。",
        "What passed meanwhile is unknown; it does not mean nobody. Please look whether something stands before it.",
    ),
    **{
        f"crowd_{n}": (
            "滞在推定は、入口のカウンターの入りと出の差です。実際の人数とは違います。会場の様子を見て判断してください。",
            "It is what the counters counted in less what they counted out, not a count of people. Please look at the "
            "area and decide.",
        )
        for n in (1, 2, 3)
    },
}


def about(rule: FindingRule, language: str) -> str:
    """What the message is about."""
    return _ABOUT[rule][_column(language)]


def headline(rule: FindingRule, cleared: bool, value: float | None, usual: float | None, language: str) -> str:
    """What was found, or that it is over, in one sentence.

    >>> headline("visits", False, 40.0, 120.0, "ja")
    'ふだんより少ない通過数（延べ）です'
    >>> headline("counter", False, 7.0, None, "en")
    'the counter gives numbers that cannot be true; it may be out of order'
    """
    if cleared:
        return _CLEARED[rule][_column(language)]
    if rule == "visits":
        fewer = value is not None and usual is not None and value < usual
        return _VISITS["fewer" if fewer else "more"][_column(language)]
    if rule == "counter" and value:
        return _JAMMED[_column(language)]
    return _RAISED[rule][_column(language)]


def facts(
    rule: FindingRule, cleared: bool, value: float | None, usual: float | None, unit: str, language: str
) -> list[str]:
    """The measurement against what is usual, and what to do; one fact a line."""
    column = _column(language)
    ja = column == 0
    lines = []
    if value is not None and not cleared:
        line = f"{_MEASURED[rule][column]}{'：' if ja else ': '}{quantity(value, unit)}"
        if usual is not None:
            beside = ("段の人数", "the step") if rule.startswith("crowd") else ("ふだん", "usually")
            line += f"（{beside[0]} {quantity(usual, unit)}）" if ja else f" ({beside[1]} {quantity(usual, unit)})"
        lines.append(line)
        if rule in ("night_flow", "burst") and usual is not None:
            more = value - usual
            month = f"{round(more * _HOURS_A_MONTH, -2):,.0f} m3"
            lines.append(
                f"ふだんとの差：{quantity(more, unit)}（このまま続くと1か月に約 {month}）"
                if ja
                else f"More than usual: {quantity(more, unit)} (about {month} in a month if it lasts)"
            )
    if not cleared:
        lines.append(_TO_DO[rule][column])
    return lines


def details(rule: FindingRule, said: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a finding says beside its value, from its `detail`: how long its tank lasts, of a rise when it began and how
    large it may be, of a suspect of the loggers how much there is to search, where that is known. A line each, in
    Japanese and English.

    >>> details("burst", {"tank_hours": 3.5, "tank": "高台配水池", "tank_en": "Takadai Tank"})[0][0]
    '高台配水池：このままで空（下限水位）になるまで 約3.5時間'
    >>> details("burst", {"tank_hours": None, "tank": "高台配水池", "tank_en": "Takadai Tank"})
    ()
    """
    lines: list[tuple[str, str]] = []
    if rule == "burst" and said.get("filled"):
        lines.append(
            (
                "流入量は、配水池に入った分を引いた30分間の平均です。",
                "The inflow is the mean of half an hour, less what went into the tank.",
            )
        )
    if said.get("tank_hours") is not None:
        hours, name, name_en = said["tank_hours"], said["tank"], said["tank_en"]
        ja, en = (f"約{hours:g}時間", f"about {hours:g} h") if hours >= 1 else ("1時間未満", "less than an hour")
        lines.append(
            (f"{name}：このままで空（下限水位）になるまで {ja}", f"{name_en} at this rate empty (low level) in {en}")
        )
    if rule == "inflow_rise":
        return _of_a_rise(said)
    if rule == "leak_suspect" or (rule == "leak_sound" and said["km"] is not None):
        km, holds = said["km"], round(said["holds"] * 100)
        lines.append(
            (
                f"調査範囲：管路 {km:.1f} km（この方法の見立てで {holds} % がこの中）",
                f"To search: {km:.1f} km of pipes (holding it with {holds} %, as the method sees it)",
            )
        )
        if said.get("sudden"):
            lines.append(
                (
                    "20分ほどの急な変化です。消火、洗管、大口の使用でも同じように見えます。",
                    "It came within about 20 minutes. Fire fighting, flushing or a large user look the same.",
                )
            )
    return tuple(lines)


def _of_a_rise(said: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    start, first, last, low, high = (said[name] for name in ("start", "first", "last", "low", "high"))
    several = first != last
    lines = [
        (
            f"始まり：{start} ごろ" + (f"（この方法の見立てで8割が {first}〜{last}）" if several else ""),
            f"Began about {start}" + (f" (with 80 % from {first} to {last}, as the method sees it)" if several else ""),
        ),
        (
            f"量の幅：{low:.1f}〜{high:.1f} m3/h（この方法の見立てで8割）",
            f"Between {low:.1f} and {high:.1f} m3/h (with 80 %, as the method sees it)",
        ),
    ]
    before, since = said["night_before"], said["night_since"]
    if before is not None and since is not None:
        lines.append(
            (
                f"夜間最小流量（中央値）：その前 {before:.1f} m3/h、その後 {since:.1f} m3/h",
                f"Minimum night flow (median): {before:.1f} m3/h before, {since:.1f} m3/h since",
            )
        )
    if said.get("meters"):
        lines.append(
            (
                f"{said['meters']}か所の流量計の合計（入る量−出る量）で調べた値です。",
                f"Counted from {said['meters']} meters together: what they let in less what they let out.",
            )
        )
    return tuple(lines)


def quantity(value: float, unit: str) -> str:
    """A value as it is read in its unit; passages are a bare number.

    >>> quantity(2.0, "m"), quantity(6.25, "m3/h"), quantity(1234.0, "{passage}")
    ('2.00 m', '6.2 m3/h', '1,234')
    """
    if unit == "{passage}":
        return f"{value:,.0f}"
    return f"{value:.2f} m" if unit == "m" else f"{value:,.1f} {unit}"


def _column(language: str) -> int:
    return 0 if language == "ja" else 1
