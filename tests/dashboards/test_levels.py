"""The levels of a gauge on their page: typed in three ways, previewed, saved beside what stood, logged, corrected."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Minus, Named, Number, Reading, Series
from api.access import Role
from api.pages.levels_form import BASES, fields_of, read_form
from devices.levels import NUMBERED, LevelKind, ThresholdMark
from devices.model import StationKind, ThresholdLevel
from store import connect
from store.levels import DatedSet
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.test_quarantine import text_of

CODE = "river-mimamoribashi"
PAGE = f"/disaster/stations/{CODE}"
ADDRESS = f"{PAGE}/levels"
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
TOKYO = ZoneInfo("Asia/Tokyo")


def saved(client: httpx.Client, form: dict[str, str]) -> httpx.Response:
    """Previews a set as a person does, and saves what was shown."""
    shown = client.post(ADDRESS, data={**form, "do": "preview"})
    assert shown.status_code == 200, text_of(shown.text)
    (seen,) = re.findall(r'name="seen" value="(\w+)"', shown.text)
    return client.post(ADDRESS, data={**form, "do": "save", "seen": seen})


def filled(client: httpx.Client, query: str = "") -> dict[str, str]:
    """The form as the page has it filled in."""
    text = client.get(ADDRESS + query).text
    text = text[text.index('<form method="post" action="/disaster/stations') :]
    text = text[: text.index("</form>")]
    fields = dict(re.findall(r'<input id="([\w-]+)" name="\w[\w-]*"[^>]* value="([^"]*)"', text))
    for name, options in re.findall(r'<select id="([\w-]+)"[^>]*>(.*?)</select>', text, re.S):
        chosen = re.findall(r'<option value="([^"]*)" selected', options)
        fields[name] = (chosen or re.findall(r'<option value="([^"]*)"', options))[0]
    return fields


def test_a_set_is_previewed_saved_logged_and_corrected(hall: TownHall) -> None:
    hall.observe(f"{CODE}/water_level", (START, 3.70))
    with hall.visitor(Role.DISASTER) as client:
        form = filled(client) | {"reason": "河床の測量（令和8年6月）"}
        assert form["value-4"] == "3.60" and form["zero_tp"] == "2.10"
        nothing = client.post(ADDRESS, data={**form, "do": "save"})
        assert nothing.status_code == 422 and "前の組とどこも違いません" in text_of(nothing.text)

        # 4: 380 cm; and where the water reaches the shed, given as an elevation, and as much below the overflow level.
        form |= {"value-4": "380cm", "kind-8": "local", "name-8": "消防倉庫の床", "value-8": "5.95", "basis-8": "tp"}
        form |= {"kind-9": "observation_start", "number-9": "", "name-9": "", "value-9": "3.2", "basis-9": "below"}
        shown = text_of(client.post(ADDRESS, data={**form, "do": "preview"}).text)
        assert "今の水位 3.70 m は、新しい組では「レベル3相当」です。 今の組では「レベル4相当」です。" in shown
        assert "氾濫危険水位：3.60 m → 3.80 m" in shown and "消防倉庫の床：新しく 3.85 m" in shown
        assert "観測開始水位：新しく 1.20 m" in shown
        unseen = client.post(ADDRESS, data={**form, "do": "save", "seen": "of another"})
        assert unseen.status_code == 422 and "もう一度保存してください" in text_of(unseen.text)
        assert saved(client, form).headers["location"] == f"{ADDRESS}?done=saved"

        station = text_of(client.get(PAGE).text)
        assert "氾濫発生水位まであと 0.70 m" in station and "T.P. 5.80 m" in station
        assert "消防倉庫の床 3.85 m 5.95 m 0.55 m 下" in station
        assert "氾濫発生水位まであと 0.70 m" in text_of(client.get("/disaster").text)
        out = client.get(f"/api/v1/stations/{CODE}").json()["thresholds"]
        assert [each["value"] for each in out["levels"]] == [2.0, 2.6, 3.2, 3.8, 4.4]
        assert {each["name"]: (each["kind"], each["value"]) for each in out["marks"]} == {
            "観測開始水位": ("observation_start", 1.2),
            "消防倉庫の床": ("local", 3.85),
            "橋げた下端": ("local", 4.15),
            "計画高水位（H.W.L.）": ("design", 3.95),
        }

        newest = re.findall(r"\?correct=(\d+)", client.get(ADDRESS).text)[0]
        wrong = filled(client, f"?correct={newest}")
        assert wrong["corrects"] == newest
        wrong |= {"reason": "写し間違い", "value-4": "3.75"}
        (row,) = [n for n in range(1, 13) if wrong.get(f"name-{n}") == "氾濫危険水位"]
        wrong |= {f"value-{row}": "3.78"} | ({"value-4": "3.20"} if row != 4 else {})
        assert saved(client, wrong).status_code == 303
        again = client.post(ADDRESS, data={**wrong, "do": "preview"})
        assert again.status_code == 422 and "もう訂正されています" in text_of(again.text)

        page = text_of(client.get(ADDRESS).text)
        assert "からの組の訂正" in page and "訂正済み" in page and "変更の記録（5）" in page
        assert "氾濫危険水位：3.80 m → 3.78 m" in page
        lines = client.get(f"{ADDRESS}.csv").content.decode("utf-8-sig").splitlines()
        assert any("氾濫危険水位,Flood danger level,reference,3.80,3.78,5.90,5.88" in line for line in lines)
    with connect(hall.database.owner, name="test") as conn:
        kept = conn.execute(
            "select count(*), count(user_id), count(corrects) from threshold_set join station using"
            " (station_id) where code = %s",
            (CODE,),
        ).fetchone()
    assert kept == (5, 2, 1), "nothing that was written is gone"


REFUSED: list[tuple[dict[str, str], str]] = [
    ({"value-4": "378"}, "cmなら「378cm」と書いてください"),
    ({"value-4": "3.1"}, "番号4（3.10 m）は番号3（3.20 m）より高くしてください"),
    ({"value-4": "7.5"}, "この観測所の水位の範囲（-0.5～7 m）の外です"),
    ({"number-4": "3"}, "番号3は上の行にもあります"),
    ({"kind-4": "design"}, "この種類の水位は判定しません"),
    ({"kind-8": "local", "name-8": "避難指示の水位", "value-8": "3.7"}, "公式な発表のもの"),
    ({"kind-8": "local", "name-8": "橋脚"}, "高さが空です"),
    ({"kind-8": "local", "name-8": "橋脚", "value-8": "高い"}, "高さをmで入れてください"),
    ({"kind-8": "overflow", "value-8": "1", "basis-8": "below"}, "氾濫開始水位そのものを"),
    ({"value-4": "-0.62", "basis-4": "below"}, "「−1.24」なら 1.24"),
    ({"value-4": "5.88", "basis-4": "tp", "zero_tp": ""}, "零点高の標高を入れてください"),
    ({"valid_from": "2026-05-20T00:00"}, "この日時に始まる組がもうあります"),
    ({"value-4": "3.7", "reason": " "}, "変える理由を500字以内で"),
]


def test_what_cannot_be_meant_is_said_where_it_stands_and_nothing_is_stored(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        form = filled(client) | {"reason": "見直し", "do": "save"}
        for typed, says in REFUSED:
            refused = client.post(ADDRESS, data={**form, **typed})
            assert refused.status_code == 422 and says in text_of(refused.text), typed
    with connect(hall.database.owner, name="test") as conn:
        assert conn.execute("select from threshold_set where made_at is not null").fetchall() == []


def test_what_a_set_would_take_away_is_shown_before_it_is_saved(hall: TownHall) -> None:
    with connect(hall.database.owner, name="test") as conn:
        town = hall.database.municipality_id
        rule = add_rule(conn, town, station_id=None, kind=StationKind.RIVER_GAUGE, now=START)
        level = Reading(Series("water_level"))
        body = Body(Compare(Minus(Named("橋げた下端"), level), "below", Number(0.5)))
        add_version(
            conn, town, rule, valid_from=START, name="橋げたに近い", severity=2, active=True, body=body,
            reason="試しに", now=START, user_id=None,
        )  # fmt: skip
        conn.execute(
            """
            with entered as (
            insert into standing_approval (municipality_id, station_id, level, threshold_set_id, hours, holds_until,
                                           authority, post, document, dated, entered_at, entered_by)
            select t.municipality_id, station_id, 4, threshold_set_id, 12, %s, '美守 太郎', '町長', '危第9号', %s, %s,
                   (select user_id from app_user where login = 'own-disaster')
            from threshold_set t join station using (station_id)
            where code = %s order by valid_from desc limit 1 returning standing_approval_id, municipality_id)
            insert into standing_approval_text
            select standing_approval_id, municipality_id, 'reached', '水位', '高い', 'Level', 'High', 'みず', 'たかい'
            from entered
            """,
            (START + timedelta(days=60), START.date(), START, CODE),
        )
        conn.commit()
    with hall.visitor(Role.DISASTER) as client:
        form = filled(client) | {"do": "preview", "value-4": "3.70"}
        kept = text_of(client.post(ADDRESS, data=form).text)
        assert "橋げたに近い" in kept and "この条件は働かなくなります" not in kept
        assert "次の事前承認は使われません" in kept and "美守 太郎 危第9号" in kept
        (row,) = [n for n in range(1, 13) if form.get(f"name-{n}") == "橋げた下端"]
        lost = text_of(client.post(ADDRESS, data=form | {f"value-{row}": ""}).text)
        assert "橋げた下端： なくなる（4.15 m だった）" in lost
        assert "新しい組にない水位を使っています：橋げた下端。この条件は働かなくなります。" in lost
        # From before the set in force: nothing of what holds now is touched.
        early = text_of(client.post(ADDRESS, data=form | {"valid_from": "2026-05-01T00:00"}).text)
        assert "今の判定は変わりません" in early and "次の事前承認は使われません" not in early


def test_everybody_reads_it_and_no_other_desk_changes_it(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        assert "橋げた下端" in text_of(client.get(ADDRESS).text)
        assert "防災担当とデジタル担当が変えられます" in text_of(client.get(ADDRESS).text)
        assert client.post(ADDRESS, data={"do": "save"}).status_code == 403
        assert client.get("/disaster/stations/nowhere/levels").status_code == 404


def test_a_survey_is_taken_whole_or_refused_line_by_line(hall: TownHall) -> None:
    hall.observe(f"{CODE}/water_level", (START, 1.0))
    data = {"surveyed_on": "2026-05-30", "section_reason": "出水後の測量", "datum": "zero"}
    with hall.visitor(Role.DISASTER) as client:

        def post(table: str, **more: str) -> httpx.Response:
            files = {"file": ("section.csv", table.encode("cp932"))}
            return client.post(f"{PAGE}/sections", data={**data, **more}, files=files)

        refused = post("距離,標高,摘要\n0,3,左岸\n5,ゼロ,\n4,-1,\n10,315000,右岸\n")
        said = text_of(refused.text)
        assert refused.status_code == 422 and "表に" in said
        assert "3行目: 標高「ゼロ」は数ではありません" in said and "5行目: 高さ 315000 m は大きすぎます" in said
        assert "これからの日" in text_of(post("距離,標高\n0,3\n5,0\n9,3\n", surveyed_on="2027-01-01").text)
        assert post("距離,標高,摘要\n0,3,左岸\n4,0,\n6,0,\n10,2.5,右岸\n").status_code == 303
        station = text_of(client.get(PAGE).text)
        # 1 m of water in a bed 2 m wide whose banks rise 3 m over 4 m, and 2.5 m over 4 m
        assert "2026-05-30 の測量（出水後の測量）" in station and "水面の幅 4.93 m" in station
        assert "左岸の余裕 あと 2.00 m" in station and "右岸の余裕 あと 1.50 m" in station
        table = client.get(f"{PAGE}/section.csv").content.decode("utf-8-sig").splitlines()
        assert table[2] == f"{CODE},2026-05-30,tp,4,2.100,,1.00"


METRES = st.integers(-300, 3000).map(lambda cm: cm / 100)


@st.composite
def sets(draw: Any) -> DatedSet:
    """What a desk could have: numbers rising, names of their own, a zero or none."""
    numbers = sorted(draw(st.sets(st.integers(1, 5))))
    heights = sorted(draw(st.sets(METRES, min_size=len(numbers), max_size=len(numbers))))
    levels = tuple(
        ThresholdLevel(
            n, f"基準{n}", f"level {n}", value, draw(st.sampled_from([LevelKind.REFERENCE, LevelKind.LOCAL]))
        )
        for n, value in zip(numbers, heights, strict=True)
    )
    kinds = draw(st.lists(st.sampled_from([k for k in LevelKind if k is not LevelKind.REFERENCE]), max_size=5))
    kinds = [k for n, k in enumerate(kinds) if k is LevelKind.LOCAL or k not in kinds[:n]]
    marks = tuple(ThresholdMark(kind, f"目安{n}", f"mark {n}", draw(METRES)) for n, kind in enumerate(kinds))
    zero = draw(st.none() | METRES)
    return DatedSet(
        1, START, "設置", 0.1, timedelta(minutes=30), zero, levels, tuple(sorted(marks, key=lambda m: m.value))
    )


@given(sets(), st.sampled_from(BASES))
@settings(max_examples=150, deadline=None)
def test_a_set_comes_back_from_its_form_however_its_heights_are_typed(known: DatedSet, basis: str) -> None:
    form = fields_of(known)
    over = known.overflow
    for n, each in enumerate(reversed(known.every), start=1):
        if basis == "tp" and known.gauge_zero_tp is not None:
            form |= {f"basis-{n}": "tp", f"value-{n}": f"{each.value + known.gauge_zero_tp:.2f}"}
        elif basis == "below" and over is not None and each is not over and each.value <= over.value:
            form |= {f"basis-{n}": "below", f"value-{n}": f"{(over.value - each.value) * 100:.0f}cm"}
    typed, problems = read_form(form, [], now=NOW, zone=TOKYO, valid_range=(None, None), saving=False)
    assert problems == {} and typed is not None
    wanted = typed.wanted
    assert [(x.level, x.name, x.kind, round(x.value, 2)) for x in wanted.levels] == [
        (x.level, x.name, x.kind, x.value) for x in known.levels
    ]
    assert sorted((x.name, x.kind, round(x.value, 2)) for x in wanted.marks) == sorted(
        (x.name, x.kind, x.value) for x in known.marks
    )
    assert (wanted.gauge_zero_tp, wanted.clear_margin, wanted.hold) == (known.gauge_zero_tp, 0.1, known.hold)
    assert all(x.kind in NUMBERED for x in wanted.levels)
