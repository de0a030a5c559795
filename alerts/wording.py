"""What people read: notifications, history lines and refusals, in Japanese and English.

Only a meteorological agency may issue the words that announce a danger officially (気象業務法 第17条・第23条). What a
town's own gauge says is an お知らせ of an observed value against the town's own reference levels; the level number is
always 相当. Nothing here says what the river will do.

Every text starts with 【模擬】 where the town's clock is simulated, 【訓練】 in a drill, 【試験】 in a test; both where
both are; a correction with 【訂正】 before these. Times are local and are those of the observation. A test holds every
text against the forbidden words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from alerts import finding_words, operation_words, outage_words, rule_words, unconfirmed_words
from alerts.finding_words import FindingRule
from alerts.level_words import Whose, level_name
from alerts.rules.telling import OLD
from alerts.rules.transition import Event
from devices.model import ThresholdLevel

Language = Literal["ja", "en"]
Mode = Literal["actual", "exercise", "test"]
Rule = Literal["level", "silence", "outage", "operation", "written"] | FindingRule

EVENT_LABELS: dict[Event, dict[Language, str]] = {
    Event.RAISED: {"ja": "発生", "en": "Raised"},
    Event.ESCALATED: {"ja": "段階上昇", "en": "Escalated"},
    Event.LOWERED: {"ja": "段階低下", "en": "Lowered"},
    Event.CONFIRMED: {"ja": "値を確認", "en": "Reading confirmed"},
    Event.WITHHELD: {"ja": "通知を保留", "en": "Not told yet"},
    Event.TOLD: {"ja": "通知", "en": "Told"},
    Event.CLEARED: {"ja": "解除", "en": "Cleared"},
    Event.CALLED: {"ja": "呼び出し", "en": "Others called"},
    Event.ACKNOWLEDGED: {"ja": "確認", "en": "Acknowledged"},
    Event.COMMENTED: {"ja": "メモ", "en": "Comment"},
    Event.ASSIGNED: {"ja": "対応者", "en": "Assigned"},
    Event.RETRACTED: {"ja": "訂正・取消", "en": "Retracted"},
}

NOT_LOW: dict[Language, str] = {
    "ja": "いまの状況が安全だという意味ではありません。",
    "en": "It does not mean that all is well there now.",
}
# The first words of a correction, whatever else marks it.
CORRECTION: dict[Language, str] = {"ja": "【訂正】", "en": "[CORRECTION] "}


@dataclass(frozen=True, slots=True)
class Correction:
    """Who took an alert back, when, and why in their words."""

    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """One step of an alert, with all that its texts say.

    `level` is the reference level the alert has after the step, None where it has none; `whose` its set is; and
    `next_level` the one above it; `clearing_level` (m) what the water fell below when it cleared; `silence_after` the
    device's patience; `usual` what a finding's `value` is compared with, both in `unit`; `cause` what is wrong with the
    operation, or what an outage's `stations` (names in Japanese and English) have in common; `details` of a cause in
    the two languages; `age` of the observation when it was judged, and the `newest` one known then, where that is
    another;
    `written` what a rule of the staff says; `correction` why it was false, where that is what is told.
    `unconfirmed`: one doubtful reading alone says it (of what is over or lower: said it), `newest_unconfirmed`: so does
    the newest; `at_work`: somebody works at the device; `revised`: what was said of an old reading decided.
    """

    rule: Rule
    event: Event
    municipality: str
    station: str
    station_en: str
    timezone: str
    time: datetime
    value: float | None = None
    level: ThresholdLevel | None = None
    whose: Whose = "own"
    next_level: ThresholdLevel | None = None
    clearing_level: float | None = None
    silence_after: timedelta | None = None
    usual: float | None = None
    unit: str = "m"
    mode: Mode = "actual"
    simulated: bool = False
    cause: str = ""
    details: tuple[tuple[str, str], ...] = ()
    stations: tuple[tuple[str, str], ...] = ()
    age: timedelta = timedelta(0)
    newest: tuple[datetime, float] | None = None
    written: rule_words.Said | None = None
    correction: Correction | None = None
    newest_unconfirmed: bool = False
    unconfirmed: bool = False
    at_work: bool = False
    revised: bool = False


def marks(mode: str, simulated: bool, language: Language = "ja") -> str:
    """What a text must begin with so that nobody takes it for real; empty for what is real.

    >>> marks("exercise", True), marks("actual", False), marks("test", False, "en")
    ('【模擬】【訓練】', '', '[TEST] ')
    """
    words = {
        "simulated": ("【模擬】", "[SIMULATED] "),
        "exercise": ("【訓練】", "[EXERCISE] "),
        "test": ("【試験】", "[TEST] "),
    }
    column = 0 if language == "ja" else 1
    found = [words["simulated"][column]] if simulated else []
    if mode != "actual":
        found.append(words[mode][column])
    return "".join(found)


def headline(notice: Notice, language: Language = "ja") -> str:
    """What happened, in one sentence without place, value and time: for a list that has columns for those."""
    if notice.event is Event.RETRACTED:
        what = headline(replace(notice, event=Event.RAISED), language)
        return f"誤りでした：{what}" if language == "ja" else f"this was false: {what}"
    if notice.rule == "silence":
        return _silence_headline(notice, language)
    if notice.rule == "operation":
        return operation_words.headline(notice.cause, notice.event is Event.CLEARED, language)
    if notice.rule == "outage":
        return outage_words.headline(notice.cause, notice.event is Event.CLEARED, language)
    if notice.rule == "written":
        return _written_headline(notice, language)
    if notice.rule != "level":
        cleared = notice.event is Event.CLEARED
        return finding_words.headline(notice.rule, cleared, notice.value, notice.usual, language)
    name = "" if notice.level is None else level_name(notice.level, notice.municipality, language, notice.whose)
    if notice.revised:
        return unconfirmed_words.revised(name, language)
    if notice.unconfirmed:
        return unconfirmed_words.headline(notice.event, name, language)
    if language == "en":
        if notice.event is Event.CLEARED or not name:
            return "the level is below the reference levels again"
        return f"down to {name}" if notice.event is Event.LOWERED else f"reached {name}"
    if notice.event is Event.CLEARED or not name:
        return "水位が基準を下回りました"
    return f"水位が下がり、{name}の段階になりました" if notice.event is Event.LOWERED else f"{name}に達しました"


def subject(notice: Notice, language: Language = "ja") -> str:
    """One line: mark, how old where it is old, place, what happened, value, time of the observation."""
    if notice.event is Event.RETRACTED:
        real = replace(notice, event=Event.RAISED, mode="actual", simulated=False, age=timedelta(0))
        mark = CORRECTION[language] + marks(notice.mode, notice.simulated, language)
        return f"{mark}{'誤りでした：' if language == 'ja' else 'This was false: '}{subject(real, language)}"
    value = (
        ""
        if notice.value is None or notice.rule == "written"
        else f" {finding_words.quantity(notice.value, notice.unit)}"
    )
    mark, what = marks(notice.mode, notice.simulated, language), headline(notice, language)
    when = short_time(notice.time, notice.timezone)
    lasting = notice.rule not in ("level", "written") and notice.event is Event.RAISED
    mark += first_words(notice, language) + _old(notice, language)
    about = _about(notice.rule, language)
    if language == "en":
        return f"{mark}{notice.station_en}, {about}: {what}{value} ({'since ' if lasting else ''}{when})"
    return f"{mark}{notice.station} {about}：{what}{value}（{when}{' から' if lasting else ''}）"


def body(notice: Notice, language: Language = "ja") -> str:
    """The whole message, plain text, one fact a line."""
    lines = [subject(notice, language), "", *_facts(notice, language), "", *_footer(notice, language)]
    return "\n".join(lines) + "\n"


def short_time(time: datetime, timezone: str) -> str:
    """A local time as a person says it, "6/1 03:10"."""
    local = time.astimezone(ZoneInfo(timezone))
    return f"{local.month}/{local.day} {local:%H:%M}"


def first_words(notice: Notice, language: Language) -> str:
    """What stands before everything else where nothing bears a reading out, or somebody works at the device."""
    return unconfirmed_words.first(notice.unconfirmed, notice.at_work, notice.event, language)


def _old(notice: Notice, language: Language) -> str:
    """The first words about an observation that was judged long after it was made."""
    if notice.age < OLD or notice.rule not in ("level", "written"):
        return ""
    minutes = int(notice.age.total_seconds() // 60)
    hours = minutes // 60
    if language == "en":
        return f"Observed {f'{minutes} min' if minutes < 120 else f'{hours} h'} ago: "
    return f"{f'{minutes}分' if minutes < 120 else f'{hours}時間'}前の観測 "


def _about(rule: Rule, language: Language) -> str:
    if rule == "level":
        return "水位のお知らせ" if language == "ja" else "water level"
    if rule == "written":
        return "町の条件のお知らせ" if language == "ja" else "a condition of the town"
    if rule == "silence" or rule == "outage":
        return "データ受信のお知らせ" if language == "ja" else "data"
    if rule == "operation":
        return operation_words.about(language)
    return finding_words.about(rule, language)


def _facts(notice: Notice, language: Language) -> list[str]:
    if notice.correction is not None:
        return _correction_facts(notice, notice.correction, language)
    if notice.rule == "level":
        return _level_facts(notice, language)
    if notice.rule == "written":
        return _written_facts(notice, language)
    if notice.rule == "silence":
        return _silence_facts(notice, language)
    if notice.rule == "outage":
        return outage_words.facts(notice.cause, notice.event is Event.CLEARED, notice.stations, language)
    if notice.rule == "operation":
        if notice.event is Event.CLEARED:
            return []
        return [*(each[language == "en"] for each in notice.details), operation_words.to_do(notice.cause, language)]
    cleared = notice.event is Event.CLEARED
    about = [each[language == "en"] for each in notice.details]
    return about + finding_words.facts(notice.rule, cleared, notice.value, notice.usual, notice.unit, language)


def _correction_facts(notice: Notice, correction: Correction, language: Language) -> list[str]:
    ja, when = language == "ja", short_time(correction.at, notice.timezone)
    lines = ["この件で先にお送りしたお知らせは誤りでした。" if ja else "What you were sent about this was false."]
    if notice.rule in ("level", "written"):
        # What is known to be false says nothing of what is true.
        lines.append(NOT_LOW[language])
    lines.append(f"理由：{correction.reason}" if ja else f"Why: {correction.reason}")
    return [*lines, f"訂正した人：{correction.by}（{when}）" if ja else f"Corrected by {correction.by} at {when}"]


def _silence_headline(notice: Notice, language: Language) -> str:
    if notice.event is Event.CLEARED:
        return "受信が再開しました" if language == "ja" else "data are coming in again"
    if notice.silence_after is None:
        return "データが届いていません" if language == "ja" else "no data are coming in"
    minutes = round(notice.silence_after.total_seconds() / 60)
    if language == "en":
        return f"nothing received for more than {minutes} min"
    return f"{minutes} 分を超えてデータが届いていません"


def _written_headline(notice: Notice, language: Language) -> str:
    said = notice.written
    assert said is not None, "a rule of the staff says what it is about"
    severity = rule_words.SEVERITIES[said.severity][language == "en"]
    if notice.event is Event.CLEARED:
        return f"「{said.name}」の条件を外れました" if language == "ja" else f'"{said.name}" is no longer so'
    if language == "ja":
        return f"「{said.name}」の条件にあてはまりました（{severity}）"
    return f'"{said.name}" is so ({severity})'


def _written_facts(notice: Notice, language: Language) -> list[str]:
    said, ja = notice.written, language == "ja"
    assert said is not None, "a rule of the staff says what it is about"
    when = short_time(notice.time, notice.timezone)
    return [
        f"観測時刻：{when}" if ja else f"Observed at {when}",
        *(each[not ja] for each in said.figures),
        f"条件：{said.when[0]}" if ja else f"Condition: {said.when[1]}",
    ]


def _level_facts(notice: Notice, language: Language) -> list[str]:
    ja = language == "ja"
    value = "" if notice.value is None else f"{notice.value:.2f} m"
    when = short_time(notice.time, notice.timezone)
    facts = [f"観測値：{value}（観測時刻 {when}）" if ja else f"Observed: {value} at {when}"]
    if first_words(notice, language):
        facts.append(unconfirmed_words.caution(notice.at_work, language))
    if notice.newest is not None and notice.newest[0] != notice.time:
        newest, latest = short_time(notice.newest[0], notice.timezone), f"{notice.newest[1]:.2f} m"
        sure = "" if not notice.newest_unconfirmed else "・未確認" if ja else ", unconfirmed"
        facts.append(
            f"最新の観測値：{latest}（観測時刻 {newest}{sure}）" if ja else f"Newest: {latest} at {newest}{sure}"
        )
    if notice.level is not None:
        name = level_name(notice.level, notice.municipality, language, notice.whose)
        facts.append(f"段階：{name} {notice.level.value:.2f} m" if ja else f"Stage: {name}, {notice.level.value:.2f} m")
    elif notice.clearing_level is not None and not (notice.unconfirmed or notice.revised):
        below = f"{notice.clearing_level:.2f} m"
        facts.append(f"解除の目安 {below} を下回りました" if ja else f"Below the clearing level of {below}")
    if notice.next_level is not None and notice.value is not None and notice.value < notice.next_level.value:
        name = level_name(notice.next_level, notice.municipality, language, notice.whose)
        above, left = notice.next_level.value, notice.next_level.value - notice.value
        facts.append(
            f"次の段階：{name} {above:.2f} m まで {left:.2f} m"
            if ja
            else f"Next stage: {name}, {above:.2f} m, {left:.2f} m above this reading"
        )
    return facts


def _silence_facts(notice: Notice, language: Language) -> list[str]:
    when = short_time(notice.time, notice.timezone)
    if notice.event is Event.CLEARED:
        return [f"受信：{when}" if language == "ja" else f"Received: {when}"]
    if language == "ja":
        return [
            f"途絶の始まり：{when}",
            "この間の状況は分かりません（異常なしという意味ではありません）。機器・電源・通信を確認してください。",
        ]
    return [
        f"Silent since: {when}",
        "What happens there meanwhile is unknown; it does not mean that all is well. "
        "Please check device, power and network.",
    ]


def _footer(notice: Notice, language: Language) -> list[str]:
    ja = language == "ja"
    lines = []
    if notice.simulated:
        lines.append(
            "【模擬】模擬データです。実際の状況ではありません。" if ja else "SIMULATED data: nothing of this is real."
        )
    if notice.mode == "exercise":
        lines.append("【訓練】訓練です。実際の状況ではありません。" if ja else "EXERCISE: this is not happening.")
    if notice.mode == "test":
        lines.append("【試験】設置・修理中の観測所の試験です。" if ja else "TEST of a station that is being put up.")
    if notice.rule not in ("silence", "operation"):
        lines.append(
            f"{notice.municipality}が設置したセンサーの観測値による参考情報です。速報値のため、後で訂正することがあります。"
            if ja
            else "From a sensor of the municipality, for reference. Provisional: it may be corrected later."
        )
    return lines
