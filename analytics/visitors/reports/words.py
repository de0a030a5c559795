"""What stands in a report, on the page and in its files, in Japanese and English: text(key, language, **values)."""

from __future__ import annotations

from types import MappingProxyType

WEEKDAYS = MappingProxyType({"ja": "月火水木金土日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")})

_WORDS: dict[str, tuple[str, str]] = {
    "title.daily": ("日別 観光地点の延べ人数", "Visits by day"),
    "title.monthly": ("月別 観光地点の延べ人数", "Visits by month"),
    "title.yearly": ("年別 観光地点の延べ人数", "Visits by year"),
    "title.prefecture": ("観光動向調査 延べ人数", "Visits for the prefecture's survey"),
    "title.change": ("前年との比較", "Beside the year before"),
    "title.data": ("データ", "Data"),
    "title.notes": ("注記", "Notes"),
    "title.chart": ("延べ人数", "Visits"),
    "title.numbers": ("グラフの数", "Numbers of the chart"),
    "year.fiscal": ("{year}年度（{year}年4月〜{next}年3月）", "fiscal {year} (April {year} to March {next})"),
    "year.calendar": ("{year}年（1月〜12月の暦年）", "calendar year {year} (January to December)"),
    "year.fiscal.short": ("{year}年度", "fiscal {year}"),
    "year.calendar.short": ("{year}年", "{year}"),
    "month": ("{year}年{month}月", "{year}-{month:02}"),
    "month.short": ("{month}月", "{year}-{month:02}"),
    "until": ("{day} まで", "up to {day}"),
    "total.month": ("月計", "Month"),
    "total.year": ("年計", "Year"),
    "column.day": ("日付", "Day"),
    "column.weekday": ("曜日", "Weekday"),
    "column.kind": ("日の種類", "Kind of day"),
    "column.month": ("月", "Month"),
    "column.year": ("年", "Year"),
    "column.period": ("期間", "Period"),
    "column.spot": ("地点", "Spot"),
    "column.code": ("地点コード", "Spot code"),
    "column.now": ("この期間", "This period"),
    "column.visitors": ("延べ人数", "Visits"),
    "column.state": ("状態", "State"),
    "column.counted": ("数えた分の合計", "Sum of what was counted"),
    "column.days": ("経過日数", "Days passed"),
    "column.missing": ("欠測日数", "Days missing"),
    "column.partial": ("一部欠測の日数", "Days counted in part"),
    "column.estimated": ("推計の日数", "Days estimated"),
    "column.provisional": ("未確定の日数（速報）", "Days not confirmed (provisional)"),
    "column.unconfirmed": ("未確定で除いた日数", "Days left out as not confirmed"),
    "column.method": ("計測方法", "Method"),
    "column.small": ("小さい数で伏せた日数（合計に入れない）", "Days withheld as small (not in the sum)"),
    "column.version": ("確定の状態", "Version"),
    "column.changed": ("計測方法の変更", "Change of method"),
    "column.marks": ("印", "Marks"),
    "change.date.before": ("前年の同じ日付", "Same dates, year before"),
    "change.date.ratio": ("同日付 前年比", "Same dates, ratio"),
    "change.weekday.before": ("364日前（同じ曜日）", "364 days before (same weekdays)"),
    "change.weekday.ratio": ("曜日そろえ 前年比", "Weekday-aligned ratio"),
    "change.holiday.before": ("前年の同じ種類の日", "Same kind of day, year before"),
    "change.holiday.ratio": ("休日そろえ 前年比", "Holiday-aligned ratio"),
    "change.way.date": ("同じ日付", "same dates"),
    "change.way.weekday": ("曜日そろえ", "weekday-aligned"),
    "change.way.holiday": ("休日そろえ", "holiday-aligned"),
    "change.note": ("{now} ÷ {before}・{compared}", "{now} / {before}, {compared}"),
    "change.pairs": ("{n}/{of}日", "{n} of {of} days"),
    "change.months": ("月計どうし", "monthly totals"),
    "change.why.gaps": ("比較なし（欠測が多い）", "no comparison (too many gaps)"),
    "change.why.nothing": ("前年の数なし", "no counts a year before"),
    "change.why.zero": ("前年が0", "0 a year before"),
    "why.future": ("これから", "to come"),
    "why.nothing": ("数なし", "no counts"),
    "why.unconfirmed": ("未確定 {n}日", "{n} days not confirmed"),
    "why.gaps": ("欠測など{n}日", "{n} days missing or in part"),
    "why.small": ("小さい数のため非公表 {n}日", "{n} days withheld: small numbers"),
    "why.not_public": ("公開していない地点", "spot not public"),
    "below": ("{n}未満", "below {n}"),
    "counted": ("数えた分 {n}", "counted {n}"),
    "day.missing": ("欠測", "missing"),
    "day.not_entered": ("未入力", "not entered"),
    "day.absent": ("計測なし", "not counted"),
    "day.unconfirmed": ("未確定", "not confirmed"),
    "day.withheld": ("非公表", "withheld"),
    "day.not_public": ("公開していない地点", "spot not public"),
    "day.future": ("これから", "to come"),
    "state.whole": ("全日", "whole"),
    "state.partial": ("一部欠測", "in part"),
    "state.estimated": ("推計", "estimated"),
    "state.running": ("集計中", "running"),
    "version.provisional": ("速報", "provisional"),
    "version.confirmed": ("確定", "confirmed"),
    "yes": ("あり", "yes"),
    "mark.p": ("p 速報（確定していない日を含む）", "p provisional (with days that are not confirmed)"),
    "mark.e": ("e 推計の日を含む", "e with estimated days"),
    "mark.*": (
        "* 欠測・一部欠測の日がある（数えた分だけの合計）",
        "* some days missing or in part (only what was counted)",
    ),
    "mark.#": (
        "# 計測方法が変わっている（前後は同じものさしではない）",
        "# the method of counting changed (not the same yardstick)",
    ),
    "mark.r": ("r 集計中（月や年の途中）", "r running (the month or year is not over)"),
    "mark.s": (
        "s 小さい数の日を除いた合計",
        "s without the days of small numbers",
    ),
    "method.form": ("手入力", "by hand"),
    "method.counter": ("カウンター", "counter"),
    "method.monthly_history": ("過去の月計", "past monthly totals"),
    "method.mixed": ("複数の方法", "several methods"),
    "field.number": ("地点番号", "Point number"),
    "field.code": ("地点コード", "Spot code"),
    "field.name": ("地点名", "Name of the spot"),
    "field.category": ("区分", "Category"),
    "field.town": ("市町村名", "Municipality"),
    "field.month": ("年月", "Month"),
    "field.visitors": ("当月の延べ人数", "Visits of the month"),
    "field.before": ("前年同月の延べ人数", "Visits of the month a year before"),
    "field.difference": ("前年同月との差", "Difference to a year before"),
    "field.change": ("前年同月比（%）", "Ratio to a year before (%)"),
    "field.year_to_date": ("年の初めからの累計", "Sum since the year began"),
    "field.day_trip": ("日帰り（調査の割合による）", "Day trips (by the survey's share)"),
    "field.overnight": ("宿泊（調査の割合による）", "Overnight (by the survey's share)"),
    "field.in_prefecture": ("県内（調査の割合による）", "From the prefecture (by the survey's share)"),
    "field.other_prefectures": ("県外（調査の割合による）", "From other prefectures (by the survey's share)"),
    "field.abroad": ("訪日（調査の割合による）", "From abroad (by the survey's share)"),
    "field.method": ("計測方法", "Method"),
    "field.missing": ("欠測日数", "Days missing"),
    "field.remarks": ("備考（自動）", "Remarks (automatic)"),
    "field.blank": ("空欄（あとで書く）", "Blank (to be filled in)"),
    "unit.1": ("人", "visits"),
    "unit.100": ("百人", "hundreds"),
    "unit.1000": ("千人", "thousands"),
    "no_survey": ("調査なし", "no survey"),
    "remark.missing": ("欠測{n}日", "{n} days missing"),
    "remark.partial": ("一部欠測{n}日", "{n} days in part"),
    "remark.estimated": ("推計{n}日", "{n} days estimated"),
    "remark.unconfirmed": ("未確定{n}日", "{n} days not confirmed"),
    "remark.small": ("小さい数の{n}日を除く", "without {n} days of small numbers"),
    "remark.provisional": ("速報", "provisional"),
    "remark.running": ("{n}日分まで", "{n} days so far"),
    "remark.changed": ("計測方法の変更あり", "method changed"),
    "remark.before_changed": ("前年と計測方法が異なる", "another method than a year before"),
    "remark.counted": ("数えた分 {n}人", "counted {n}"),
    "remark.survey": ("割合は{first}〜{last}の調査による", "shares from the survey of {first} to {last}"),
    "mark.simulated": ("【模擬】", "[SIMULATED] "),
    "note.simulated": ("模擬", "Simulated"),
    "note.simulated.text": (
        "模擬の町の数です。実際の町の数ではありません。",
        "Of a simulated town; these are no real counts.",
    ),
    "note.what": ("何の数か", "What is counted"),
    "note.what.text": (
        "数字はすべて延べ（通過数・入場数などを地点ごとの式で換算した回数）です。同じ人が何度来ても、そのつど数えます。"
        "共通基準の観光入込客数（県の調査で推計する人数）ではありません。",
        "All numbers are visits (passages or admissions, by each spot's formula): who comes twice is counted twice. "
        "They are not the number of different people that the prefecture estimates by its survey.",
    ),
    "note.year": ("年の区切り", "Year"),
    "note.year.fiscal": (
        "年度（4月〜翌年3月）で集計しています。暦年ではありません。",
        "Fiscal years, April to March; not calendar years.",
    ),
    "note.year.calendar": (
        "暦年（1月〜12月）で集計しています。年度ではありません。",
        "Calendar years, January to December; not fiscal years.",
    ),
    "note.version": ("データの版", "Version of the data"),
    "note.version.confirmed": (
        "確定した日だけで作りました。未確定の日がある月には合計がありません。"
        "小さい数も出しているので、公表には「公表用」を使ってください。{at} 現在。",
        "Made of confirmed days only; a month with others has no total. Small numbers are in it: to publish take the "
        "version for that. As of {at}.",
    ),
    "note.version.all": (
        "未確定の日を含む速報です（印 p）。あとで変わることがあります。{at} 現在。",
        "Provisional: with days that are not confirmed (mark p), which may change. As of {at}.",
    ),
    "note.version.published": (
        "公表用です。公開している地点の、確定した日だけで作りました。"
        "未確定の日がある月には合計がありません。{at} 現在。",
        "To publish: of public spots and confirmed days only; a month with others has no total. As of {at}.",
    ),
    "note.small": ("小さい数", "Small numbers"),
    "note.small.text": (
        "人が特定されないよう、地点ごとに決めた数（ふつう5）より小さい日の数は出さず、合計にも入れていません（印 s）。"
        "合わせた地点では、もとの地点のどれかが小さい日も伏せています。",
        "So that nobody can be made out, a day below the spot's limit (usually 5) is not given and is in no sum "
        "(mark s). Of a sum of spots a day is withheld as well when one of its parts is that small.",
    ),
    "note.gaps": ("欠測の扱い", "Missing days"),
    "note.gaps.text": (
        "欠測は0人ではありません。欠測と一部欠測の日が1か月に{n}日を超えると、その月の合計を出しません（数えた分は「データ」の表にあります）。",
        "Missing is not 0. A month with more than {n} days missing or counted in part has no total (what was counted "
        "stands in the table of data).",
    ),
    "note.marks": ("印", "Marks"),
    "note.compare": ("前年との比較", "Comparison"),
    "note.compare.text": (
        "「同じ日付」は前年の同じ月日、「曜日そろえ」は364日前、「休日そろえ」は同じ種類の日（祝日は同じ名の祝日、GW・お盆・年末年始は同じ日付、"
        "ほかは364日前に近い同じ種類の日）と比べます。両方に数がある日だけを足しています。",
        "“Same dates”: the same day and month a year before. “Weekday-aligned”: 364 days before. "
        "“Holiday-aligned”: the same kind of day (a public holiday with the one of its name; GW, Bon and New Year by "
        "date; other days with the nearest of their kind around 364 days before). Only days with a number on both "
        "sides are added up.",
    ),
    "note.methods": ("計測方法", "Methods"),
    "note.layout": ("表の様式", "Layout"),
    "note.layout.text": ("{month} から使う様式です。", "The layout in use since {month}."),
    "note.layout.default": (
        "最初からある様式です（「県に出す表の様式」で変えられます）。",
        "The built-in layout (it can be changed on its page).",
    ),
    "note.shares": ("調査の割合", "Shares of the survey"),
    "mail.subject": ("{town} 観光地点の延べ人数 {month}（{name}）", "{town}: visits of {month} ({name})"),
    "mail.body": (
        "{month}の観光地点の延べ人数です。表はこのメールに付けたExcelファイルにあります。",
        "The visits of {month}. The tables are in the Excel file of this mail.",
    ),
    "mail.provisional": ("未確定の日を含む速報です。", "Provisional: it has days that are not confirmed."),
    "mail.trial": ("【試し】{subject}", "[TRIAL] {subject}"),
    "mail.published": (
        "公表用です（公開する地点の確定した日だけ・小さい数は伏せています）。",
        "To publish: confirmed days of public spots, small numbers withheld.",
    ),
    "mail.confirmed": ("確定した日だけで作りました。", "Made of confirmed days only."),
    "mail.end": (
        "このメールは、見守りの「報告書」→「毎月のメール」の設定により自動で送られました。",
        "Sent by Mimamori, as set under “Reports” → “Monthly mail”.",
    ),
}


def text(key: str, language: str, /, **values: object) -> str:
    """A word or sentence in Japanese (any language but en) or English. KeyError where there is none."""
    words = _WORDS[key][language == "en"]
    return words.format(**values) if values else words


def method(name: str, language: str) -> str:
    """How a day was counted; a method that has no word here is called as it is."""
    return text(f"method.{name}", language) if f"method.{name}" in _WORDS else name
