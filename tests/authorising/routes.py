"""The routes of the application, as it says them itself, and how each is called.

A route that nobody thought of here still appears; where it takes a parameter or changes something, the tests fail until
it is said here how to call it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from api.access import Access, declared
from api.app import create_app
from api.config import ApiConfig
from ingest.intake import IntakeConfig
from tests.analytics.sounding import heard, wav
from tests.api.serving import PASSWORD

STATION = "river-okusawa"
CODEC = b"function decodeUplink(input) { return {data: {level: input.bytes[0]}}; }"
READ = "ブロック,前回検針日,今回検針日,有収水量\nblock-hamamachi,2026-02-10,2026-04-10,9000\n"
SOUND = wav(heard(0.001, seconds=3))
PIPES = (
    "[RESERVOIRS]\nA 50\n[JUNCTIONS]\nB 1\nC 1\nD 1\n[VALVES]\nV B C 100 TCV 0\n"
    "[PIPES]\nP A B 10 100 130 ;block=中央\nQ C D 10 100 130 ;block=中央"
).encode()
METERS = ("メーター番号,日時,使用量(L)\n" + "".join(f"{n},2026-05-31 10:00,5\n" for n in range(1, 11))).encode()
METER_KEY = "k" * 32
SAFE = {"GET", "HEAD"}


@dataclass(frozen=True)
class Call:
    """One route and method, and what it declared."""

    method: str
    path: str
    rule: Access

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def of_a_thing(self) -> bool:
        """Whether the path names something that belongs to one town."""
        return bool(
            re.search(
                r"{(code|station|spot|place|alert_id|model|sha256|device_id|folder|group|rule_id|source_id|datastream_id|notice_id"
                r"|entry_id|order_id|stage_id|item_id|report_id|photo_id|shelter_id|drill_id|approval_id|camera_id|trial_id"
                r"|letter_id|event_id|network_id|case_id|meter_id|correlation_id|step_test_id"
                r"|telegram_id|rain_gauge|block)",
                self.path,
            )
        )


def calls(app: FastAPI) -> list[Call]:
    found = []
    for context in iter_route_contexts(app.routes):
        assert isinstance(context.original_route, APIRoute), f"{context.path} is not called by this test"
        rule = declared(context.endpoint)
        assert rule is not None
        found += [Call(method, context.path or "", rule) for method in sorted(context.methods or ())]
    return found


_ALL = calls(create_app(ApiConfig(dsn="postgresql://nowhere", demo=True, intake=IntakeConfig("postgresql://nowhere"))))
# What people may use, and what only a source of messages may, by its own secret.
CALLS = [call for call in _ALL if not call.rule.source]
OF_SOURCES = [call for call in _ALL if call.rule.source]
# How to call a route: path parameters by name, bodies by method and path.
PARAMETERS = {
    "code": STATION,
    "block": "block-hamamachi",
    "station": STATION,
    "rain_gauge": "rain-okusawa",
    "spot": "spot-shiryokan",
    "place": "spot-taki",
    "counter": "spot-taki",
    "observed_property": "water_level",
    "release": "none",
    "name:path": "none.js",
    "event": "rain",
    "source": "a-source",
    "device_id": "1",
    "kind": "csv",
    "reason": "codec",
    "source_id": "mqtt-1",
    "model:path": "maker/gauge",
    "sha256": hashlib.sha256(CODEC).hexdigest(),
    "folder": "1",
    "municipality": "999999",
    "rule_id": "1",
    "entry_id": "1",
    "order_id": "1",
    "stage_id": "1",
    "item_id": "1",
    "drill_id": "1",
    "letter_id": "1",
    "trial_id": "1",
    "group": "1",
    "token": "nobody",
    "report_id": "1",
    "photo_id": "1",
    "shelter_id": "1",
    "approval_id": "1",
    "camera_id": "1",
    "telegram_id": "1",
    "event_id": "1",
    "network_id": "1",
    "case_id": "1",
    "meter_id": "1",
    "correlation_id": "1",
    "step_test_id": "1",
    "form": "inp",
}
RULE = {"place": "kind:river_gauge", "property-1": "water_level", "measure-1": "reading", "value-1": "1.5"}
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/session": {"json": {"login": "own-disaster", "password": PASSWORD}},
    "DELETE /api/v1/session": {},
    "POST /api/v1/alerts/{alert_id}/acknowledge": {"json": {"note": "確認"}},
    "POST /api/v1/alerts/{alert_id}/comment": {"json": {"note": "現地へ向かう"}},
    "POST /api/v1/alerts/{alert_id}/clear": {"json": {"note": "現地で確認"}},
    "POST /api/v1/alerts/{alert_id}/assign": {"json": {"person_id": None, "note": "戻った"}},
    "POST /api/v1/alerts/{alert_id}/retract": {"json": {"note": "流木が当たっていた"}},
    "POST /alerts/{alert_id}/assign": {"data": {"note": "戻った"}},
    "POST /alerts/{alert_id}/retract": {"data": {"note": "流木が当たっていた"}},
    "POST /alerts/{alert_id}/count-again": {},
    "POST /api/v1/alerts/{alert_id}/confirm": {"json": {"note": "現地で確認"}},
    "POST /api/v1/alerts/{alert_id}/dismiss": {"json": {"note": "現地で確認"}},
    "POST /alerts/{alert_id}/confirm": {"data": {"note": "現地で確認"}},
    "POST /alerts/{alert_id}/dismiss": {"data": {"note": "現地で確認"}},
    "POST /alerts/{alert_id}/acknowledge": {"data": {"note": "確認"}},
    "POST /alerts/{alert_id}/comment": {"data": {"note": "現地へ向かう"}},
    "POST /alerts/{alert_id}/clear": {"data": {"note": "現地で確認"}},
    "POST /alerts/{alert_id}/notice": {},
    "POST /disaster/stations/{code}/links": {"data": {"url.kikikuru": "https://www.jma.go.jp/bosai/risk/"}},
    "POST /disaster/gauges/{code}/basis": {"data": {"source": "administrator", "authority": "美守県"}},
    "POST /disaster/notices/{notice_id}": {
        "data": {
            "text": "{text_id}",
            **{f"{variant}_{part}": "川" for variant in ("ja", "en", "plain") for part in ("headline", "body")},
        }
    },
    "POST /disaster/notices/{notice_id}/approve": {"data": {"text": "{text_id}", "hours": "3"}},
    "POST /disaster/notices/{notice_id}/discard": {},
    "POST /disaster/notices/{notice_id}/renew": {"data": {"hours": "3"}},
    "POST /disaster/notices/{notice_id}/withdraw": {"data": {"why": "mistake"}},
    "POST /disaster/standing": {
        "data": {
            "of": f"{STATION}:3",
            "hours": "12",
            "holds_to": "2026-10-31",
            **dict.fromkeys(("authority", "post", "document"), "町長"),
            "dated": "2026-04-01",
            **{f"{variant}_headline": "水位" for variant in ("ja", "plain", "en")},
            **{f"{variant}_body": "［時刻］に ［値］ m" for variant in ("ja", "plain")},
            "en_body": "[value] m at [time]",
        }
    },
    "POST /disaster/standing/{approval_id}/sign": {},
    "POST /disaster/standing/{approval_id}/revoke": {},
    "POST /alerts/rules/new": {"data": {"do": "rehearse", **RULE}},
    "POST /alerts/rules/{rule_id}": {"data": {"do": "rehearse", **RULE}},
    "POST /alerts/waits/{code}": {
        "data": {"confirm_within": "10", "confirming_rain": "10", "tell_within": "6", "reason": "試しに"}
    },
    "POST /sign-in": {"data": {"login": "own-disaster", "password": PASSWORD}},
    "POST /sign-out": {},
    "POST /answer/{token}": {},
    "POST /tourism/events": {"data": {"kind": "event", "name": "港まつり", "first_day": "2026-06-07"}},
    "POST /tourism/events/file": {"files": {"file": ("events.csv", "名称,開始日\n港まつり,2026-06-07\n".encode())}},
    "POST /tourism/events/{event_id}": {"data": {"do": "back"}},
    "POST /tourism/events/{event_id}/day": {"data": {"do": "state", "people": "900", "said_by": "実行委員会"}},
    "POST /tourism/entry/{spot}": {"data": {"day": "2026-05-31", "value": "12"}},
    "POST /tourism/entry/{spot}/withdraw": {"data": {"day": "2026-05-31"}},
    "POST /tourism/reports/layout": {"data": {"do": "settings", "year_kind": "fiscal", "most_missing": "3"}},
    "POST /tourism/reports/standard/{spot}": {"data": {"non_daily": "yes", "source": "県の一覧"}},
    "POST /tourism/reports/mail": {
        "data": {
            "name": "月報",
            "kind": "monthly",
            "version": "all",
            "day": "5",
            "hour": "9",
            **{f"to-{n}": "1" for n in range(1, 100)},
        }
    },
    "POST /tourism/hours/{spot}": {"data": {"day": "2026-05-31", "h9": "12"}},
    "POST /tourism/gatherings/{spot}": {
        "data": {"name": "滝まつり", "from": "2026-05-31T10:00", "to": "2026-05-31T12:00", "value": "12"}
    },
    "POST /tourism/paste": {"data": {"text": "日付\t地点\t人数\n5/31\t美守郷土資料館\t12"}},
    "POST /tourism/months/{spot}": {"data": {"month": "2026-04", "value": "12"}},
    "POST /tourism/checks": {"data": {"do": "ordinary", "month": "2026-05"}},
    "POST /tourism/checks/{spot}": {"data": {"do": "choice", "outages": "missing", "public": "no", "smallest": "5"}},
    "POST /tourism/spots": {"data": {"code": "gates", "name": "公園", "name_en": "Park", "reason": "入口が2つ"}},
    "POST /tourism/spots/{place}": {
        "data": {"do": "change", "name": "滝", "name_en": "Falls", "reason": "地元の呼び名"}
    },
    "POST /tourism/spots/{place}/counters/{counter}": {
        "data": {
            "do": "session",
            "day": "2026-05-31",
            "from": "10:00",
            "to": "11:00",
            "in": "120",
            "by": "観光係",
            "weather": "sunny",
        }
    },
    "POST /digital/quarantine": {"data": {"reason": "codec"}},
    "POST /digital/register": {"data": {"key": "beef", "do": "register"}},
    "POST /digital/models": {"data": {"maker": "Maker", "model": "One"}, "files": {"file": ("one.js", CODEC + b"//")}},
    "POST /digital/models/{model:path}": {"data": {"do": "save"}},
    "POST /digital/codecs/{sha256}": {"data": {"maker": "Maker", "model": "Two"}},
    "POST /digital/codecs/{sha256}/pin": {"data": {"model": "maker/gauge"}},
    "POST /digital/codecs/{sha256}/remove": {},
    "POST /digital/devices/bulk": {"data": {"do": "check"}},
    "POST /digital/devices/{device_id}": {
        "data": {"do": "maintenance", "done_at": "2026-05-31T09:00", "done_by": "保守係", "work": "点検"}
    },
    "POST /digital/devices/{device_id}/photo": {"data": {"do": "photo_removed"}},
    "POST /digital/folders/{folder}": {"data": {"action": "preview"}},
    "POST /digital/folders/{folder}/map": {"data": {"text": "time: {}"}},
    "POST /digital/folders/{folder}/sample": {"files": {"file": ("one.csv", b"a,b")}},
    "POST /digital/folders/{folder}/newest": {},
    "POST /digital/folders/{folder}/contract": {"data": {"every": "1"}},
    "POST /digital/folders/{folder}/again": {},
    "POST /digital/folders/{folder}/end": {},
    "POST /notifications": {"data": {"do": "test", "contact": "1"}},
    "POST /digital/people": {"data": {"do": "add_group", "name": "当番"}},
    "POST /digital/groups/{group}": {"data": {"do": "members"}},
    "POST /digital/groups/{group}/test": {"data": {"do": "keep", "hour": "10"}},
    "POST /alerts/duty": {"data": {"group": "1"}},
    "POST /digital/sources": {"data": {"way": "mqtt", "name": "more", "topic_filter": "more/#", "kind": "mapped"}},
    "POST /digital/sources/{source_id}": {"data": {"do": "try", "example": "{}", "device": "$.id"}},
    "POST /digital/sources/{source_id}/end": {},
    "POST /digital/cameras": {
        "data": {
            "station": STATION,
            "rain_gauge": "rain-okusawa",
            "name": "もう1台",
            "way": "url",
            "url": "http://192.0.2.1/snapshot.jpg",
            "every": "10",
            "every_alert": "2",
        }
    },
    "POST /digital/cameras/{camera_id}/end": {},
    "POST /disaster/cameras/{camera_id}": {"data": {"do": "release", "photo": "2", "caption": "橋"}},
    "POST /digital/quality/series/{datastream_id}": {
        "data": {"verdict": "true", "start": "2026-05-31T09:00", "end": "2026-05-31T10:00", "note": "現地で確認"}
    },
    "POST /digital/quality/stations/{code}": {"data": {"month": "2026-05", "do": "confirm"}},
    "POST /disaster/log": {"data": {"text": "避難所を開けた", "source": "field"}},
    "POST /disaster/log/{entry_id}": {"data": {"text": "避難所を開けた", "source": "field", "time": "0830"}},
    "POST /disaster/evacuation": {"data": {"do": "declare", "stage": "第2配備", "decided_by": "総務課長"}},
    "POST /disaster/evacuation/orders/{order_id}": {
        "data": {"kind": "order", "districts": "浜町", "decided_by": "町長", "seen": "1"}
    },
    "POST /disaster/evacuation/stages/{stage_id}": {
        "data": {"stage": "第1配備", "decided_by": "総務課長", "seen": "1"}
    },
    "POST /disaster/checklist/items/{item_id}": {"data": {"done": "1"}},
    "POST /disaster/checklist/edit": {"data": {"task-3": "避難所の鍵を開ける"}},
    "POST /disaster/drills": {
        "data": {
            "name": "図上訓練",
            "kind": "scenario",
            "scenario": "typhoon",
            "level": "4",
            "speed": "1",
            "stop_level": "2",
            f"station-{STATION}": "1",
        }
    },
    "POST /disaster/drills/{drill_id}": {"data": {"do": "stop"}},
    # of a gauge of which no alert is open: else they would have to say that they know
    "POST /digital/trials": {"data": {"station": "river-takehara", "starts_at": "2026-07-01T09:00", "why": "交換"}},
    "POST /digital/trials/{trial_id}": {"data": {"do": "end"}},
    "POST /disaster/catchments/links": {
        "data": {"upper": STATION, "lower": "river-takehara", "do": "set", "travel": "40", "reason": "県の調査"}
    },
    "POST /disaster/review": {
        "data": {"do": "miss", "station": STATION, "rule": "level", "missed_at": "0830", "note": "越水"}
    },
    "POST /disaster/field": {"data": {"text": "橋の下まで水が来ている"}},
    "POST /disaster/field/shelters": {"data": {"shelter": "1", "state": "open"}},
    "POST /tourism/links": {"data": {"spot": "spot-shiryokan", "name": "資料館 受付", "days": "30"}},
    "POST /count/{token}": {"data": {"day": "2026-05-31", "value": "12"}},
    "POST /field/{token}": {"data": {"text": "橋の下まで水が来ている"}},
    "POST /field/{token}/shelters": {"data": {"shelter": "1", "state": "open"}},
    "POST /disaster/reports/{report_id}": {"data": {"do": "seen"}},
    "POST /disaster/links": {"data": {"name": "浜町 防災リーダー", "days": "30"}},
    "POST /disaster/shelters": {"data": {"name": "別の避難所"}},
    "POST /disaster/shelters/file": {"files": {"file": ("list.csv", "名称\n山の上集会所\n".encode())}},
    "POST /disaster/stations/{code}/levels": {
        "data": {
            "do": "preview",
            "reason": "見直し",
            "kind-1": "local",
            "name-1": "橋げた下端",
            "basis-1": "zero",
            "value-1": "2.9",
        }
    },
    "POST /disaster/stations/{code}/sections": {
        "data": {"surveyed_on": "2026-02-18", "section_reason": "定期横断測量", "datum": "zero"},
        "files": {"file": ("section.csv", "距離,標高\n0,3\n5,0\n10,3\n".encode())},
    },
    "POST /disaster/shelters/{shelter_id}": {"data": {"name": "浜町公民館", "do": "keep"}},
    "POST /disaster/outlook": {
        "data": {"office": "気象台", "person": "気象", "asked_on": "2026-05-01", "reply": "支障なし", "read": "1"}
    },
    "POST /water/pipes": {"files": {"file": ("pipes.inp", PIPES)}},
    "POST /water/pipes/{network_id}": {"data": {"do": "take"}},
    "POST /water/blocks": {"files": {"file": ("read.csv", READ.encode())}},
    "POST /water/blocks/{block}": {"data": {"connections": "1200"}},
    "POST /water/blocks/{block}/pipes": {"data": {"pipes": "中央"}},
    "POST /water/leaks": {"data": {"name": "浜町"}},
    "POST /water/leaks/{case_id}": {"data": {"do": "note", "text": "音聴した", "seen": "1"}},
    "POST /water/leaks/{case_id}/photos/{photo_id}": {"data": {}},
    "POST /water/leaks/{case_id}/correlations/{correlation_id}": {"data": {"text": "別の場所だった"}},
    "POST /water/leaks/{case_id}/step-test": {
        "data": {"day": "2026-05-31", "before": "4", "after_valve_1": "V", "after_1": "1"}
    },
    "POST /water/leaks/{case_id}/step-tests/{step_test_id}": {"data": {"text": "別の夜だった"}},
    "POST /water/leaks/results": {"data": {"yen": "180"}},
    "POST /water/loggers": {"data": {}},
    "POST /water/correlate": {"data": {"length_1": "10", "material_1": "DIP"}, "files": {"file_a": ("ab.wav", SOUND)}},
    "POST /water/meters": {"files": {"file": ("meters.csv", METERS)}},
    "POST /intake/{source}": {"json": {}},
    "POST /demo/{event}": {"data": {"page": "start"}},
}
