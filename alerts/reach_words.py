"""What would reach nobody, in words: a line a gap, in Japanese and English."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.rule_words import SEVERITIES
from alerts.rules.reach import SPAN, Gap

DESKS = {
    "all": ("すべての担当", "All desks"),
    "disaster": ("防災", "Disaster desk"),
    "water": ("水道", "Waterworks"),
    "tourism": ("観光", "Tourism office"),
    "digital": ("デジタル", "Digital section"),
}
_WHAT = {
    "level": ("水位の段階", "water levels"),
    "written": ("町の条件", "rules of the town"),
    "finding": ("ふだんとの比較（漏水調査候補・通過数など）", "findings by comparison with the usual"),
    "silence": ("データ途絶", "silence"),
    "operation": ("システムの異常とまとまった途絶", "the operation of the system, and outages"),
}
_SHOWN = 3  # names; of the others their number


def gap_line(gap: Gap, zone: ZoneInfo, language: str) -> str:
    """Whose, what, from when to when.

    >>> from datetime import UTC, timedelta
    >>> start = datetime(2026, 6, 1, 8, 15, tzinfo=UTC)
    >>> gap = Gap("level", "disaster", (("橋", "Bridge"),), start, start + timedelta(hours=15), (3, 4))
    >>> gap_line(gap, ZoneInfo("Asia/Tokyo"), "ja")
    '防災：水位の段階（レベル3・4相当、橋）は、6/1 17:15 から 6/2 08:15 まで、知らせる相手がいません'
    >>> gap_line(gap, ZoneInfo("Asia/Tokyo"), "en")
    'Disaster desk: of water levels (level 3, 4; Bridge) nobody is told from 6/1 17:15 to 6/2 08:15'
    """
    ja = language == "ja"
    column = 0 if ja else 1
    start, end = _local(gap.start, zone), _local(gap.end, zone)
    names = [name[column] for name in gap.names[:_SHOWN]]
    more = len(gap.names) - len(names)
    about = [] if gap.what == "operation" else ["、".join(names) if ja else ", ".join(names)]
    if more and about:
        about[0] += f" ほか{more}件" if ja else f" and {more} more"
    if gap.levels:
        levels = ("・" if ja else ", ").join(map(str, gap.levels))
        about.insert(0, f"レベル{levels}相当" if ja else f"level {levels}")
    if gap.severities:
        about.insert(0, ("・" if ja else ", ").join(SEVERITIES[each][column] for each in gap.severities))
    inside = ("、" if ja else "; ").join(about)
    desk, what = DESKS[gap.desk][column], _WHAT[gap.what][column]
    if ja:
        what += f"（{inside}）" if inside else ""
        when = "これから24時間" if gap.end - gap.start >= SPAN else f"{start} から {end} まで"
        return f"{desk}：{what}は、{when}、知らせる相手がいません"
    what += f" ({inside})" if inside else ""
    when = "in the coming 24 hours" if gap.end - gap.start >= SPAN else f"from {start} to {end}"
    return f"{desk}: of {what} nobody is told {when}"


def _local(time: datetime, zone: ZoneInfo) -> str:
    local = time.astimezone(zone)
    return f"{local.month}/{local.day} {local:%H:%M}"
