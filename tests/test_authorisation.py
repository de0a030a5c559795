"""Who may use what: every route of the application, as each kind of person, against what the route declared.

The list of routes is the application's own; a route that nobody thought of here still appears, and one that takes
a parameter or changes something fails until it is said how to call it.

What the rivers may do (internal_forecast) is planted in the town with a figure that nothing else has: whichever answer
has it, to anybody but the disaster desk on the pages of `AHEAD`, is broken like one that lets the wrong person in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

import api.app
from alerts.public import standing
from alerts.public.words import VARIANTS, Text
from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from analytics.leaks.cases import stored as leak_cases
from analytics.leaks.meters import stored as meters
from analytics.leaks.meters.keyed import fingerprint
from analytics.leaks.meters.keyed import keyed as meter_keyed
from analytics.leaks.meters.reading import read_meters
from analytics.leaks.network import stored
from analytics.leaks.network.files import read_network
from api.access import READERS, Access, Role, Router, UndeclaredRoute, access, declared, undeclared
from api.app import create_app
from api.config import ApiConfig
from api.roles import desks_of
from api.tiles import TileFile
from devices.clock import FixedClock
from devices.model import StationKind
from devices.photos import Photo
from ingest.intake import IntakeConfig
from ingest.jma.telegram import Area, of_town, read
from ingest.sources import add_source
from simulators.telegrams import Said, weather
from store import (
    cameras,
    checklists,
    connect,
    drills,
    evacuation,
    event_days,
    events,
    field_photos,
    field_reports,
    folders,
    headquarters,
    jma,
    models,
    shelters,
    trials,
)  # fmt: skip
from store.sources import add_mqtt_source
from tests.analytics.sounding import heard, wav
from tests.api.serving import PASSWORD, TownHall, populate, serving
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.forecasts import FIGURE, WORDS, planted, switched_on
from tests.pmtiles import write as write_tiles

STATION = "river-okusawa"
CODEC = b"function decodeUplink(input) { return {data: {level: input.bytes[0]}}; }"
READ = "ブロック,前回検針日,今回検針日,有収水量\nblock-hamamachi,2026-02-10,2026-04-10,9000\n"
SOUND = wav(heard(0.001, seconds=3))
PIPES = b"[JUNCTIONS]\nA 1\nB 1\n[PIPES]\nP A B 10 100 130"
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
                r"|letter_id|event_id|network_id|case_id|meter_id"
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
    "form": "inp",
}
# Where the disaster desk is shown what may come; a look back may have nothing to show.
AHEAD = {
    f"{place}{page}"
    for place, pages in (
        ("/disaster/stations/{code}", ("", "/outlook", "/outlook.csv", "/record.csv", "/hindcast", "/hindcast.csv")),
        ("/disaster", ("", "/outlook")),
    )
    for page in pages
}
# These are of a notice that somebody has approved; the others of one's draft.
OF_APPROVED = ("/cap.xml", "/sheet.txt", "/renew", "/withdraw")
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
    "POST /water/loggers": {"data": {}},
    "POST /water/leaks": {"data": {"name": "浜町"}},
    "POST /water/leaks/{case_id}": {"data": {"do": "note", "text": "音聴した", "seen": "0"}},
    "POST /water/leaks/results": {"data": {"yen": "180"}},
    "POST /water/correlate": {"data": {"length_1": "10", "material_1": "DIP"}, "files": {"file_a": ("ab.wav", SOUND)}},
    "POST /water/meters": {"files": {"file": ("meters.csv", METERS)}},
    "POST /water/meters/numbers": {"data": {"numbers": "0001"}},
    "POST /intake/{source}": {"json": {}},
    "POST /demo/{event}": {"data": {"page": "start"}},
}


@dataclass(frozen=True)
class Answer:
    status: int
    code: str | None
    location: str
    text: str

    @property
    def to_sign_in(self) -> bool:
        return self.status == 303 and self.location.startswith("/sign-in?next=")


def call(client: httpx.Client, town_hall: TownHall, route: Call) -> Answer:
    """Calls a route with everything it asks for, against an alert of its own."""
    # a reading can be confirmed or dismissed while nothing bears it out
    asked = route.path.endswith(("/confirm", "/dismiss"))
    named = "{alert_id}" in route.path
    alert_id = town_hall.raise_alert(f"{STATION}/water_level", unconfirmed=asked) if named else 0
    series = town_hall.database.datastream(STATION, "water_level")
    known = {**PARAMETERS, "alert_id": str(alert_id), "datastream_id": str(series)}
    if "{notice_id}" in route.path:
        # of another gauge: while this one is high its alert cannot be cleared
        approved = route.path.endswith(OF_APPROVED)
        notice_id, text_id = town_hall.draft_notice("river-mimamoribashi/water_level", approved=approved)
        known |= {"notice_id": str(notice_id), "text_id": str(text_id)}
    if "/map/tiles/" in route.path:
        tiles = TileFile(town_hall.config.tiles, town_hall.config.tiles_credit).now()
        assert tiles is not None
        known["release"] = tiles.release

    def value(match: re.Match[str]) -> str:
        assert match[1] in known, f"{route}: say in PARAMETERS what {match[1]} is"
        return known[match[1]]

    path = re.sub(r"{([^}]+)}", value, route.path)
    assert route.method in SAFE or str(route) in BODIES, f"{route}: say in BODIES how to call it"
    options = BODIES.get(str(route), {})
    if "data" in options:
        options = {**options, "data": {name: re.sub(r"{(\w+)}", value, text) for name, text in options["data"].items()}}
    with client.stream(route.method, path, **options) as response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            text = next(response.iter_text())
        else:
            text = response.read().decode(errors="replace")
        problem = response.headers.get("content-type") == "application/problem+json"
        return Answer(
            response.status_code,
            response.json()["code"] if problem else None,
            response.headers.get("location", ""),
            text,
        )


_LETTER = """
with mail as (
    insert into report_mail (municipality_id, name, kind, version, compared, day, hour, user_ids, made_at, user_id)
    values (%(town)s, '月報', 'monthly', 'all', false, 5, 9, array[%(user)s::integer], %(at)s, %(user)s)
    returning report_mail_id)
insert into report_letter
    (municipality_id, report_mail_id, month, written_at, subject, body, file_name, file)
select %(town)s, report_mail_id, '2026-05-01', %(at)s, '月報', '月報', 'visits.xlsx', 'x' from mail
"""


@pytest.fixture
def town_hall(registered: Registered, tmp_path: Path) -> Iterator[TownHall]:
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        town = registered.municipality_id
        codec_id = models.upload(conn, town, models.CodecUpload("gauge.js", CODEC, "test"), at=START, user_id=None)
        gauge = models.ModelEntry("maker/gauge", "水位計", "Gauge", codec_id=codec_id)
        models.add_model(conn, town, gauge, at=START, user_id=None)
        add_mqtt_source(conn, town, name="eltres", topic_filter="eltres/#", kind="mapped", now=START, user_id=None)
        conn.execute(
            """
            insert into device_photo (device_id, municipality_id, media_type, image, digest, changed_at)
            select device_id, municipality_id, 'image/png', 'x', sha256('x'), %s from device
            """,
            (START,),
        )
        rule_id = add_rule(conn, town, station_id=None, kind=StationKind.RIVER_GAUGE, now=START)
        high = Body(Compare(Reading(Series("water_level")), "above", Number(1.5)))
        said = {"name": "高い水位", "severity": 2, "active": True, "body": high, "reason": "試験"}
        add_version(conn, town, rule_id, valid_from=START, now=START, user_id=None, **said)  # type: ignore[arg-type]
        assert rule_id == int(PARAMETERS["rule_id"])
        line = headquarters.Line(START, headquarters.Source.PHONE, "", "", "道路冠水の通報")
        user = conn.execute("select user_id from app_user where login = 'own-disaster'").fetchone()
        assert user is not None
        entry = headquarters.enter(conn, town, line, drill=False, now=START, user_id=user[0])
        assert entry == int(PARAMETERS["entry_id"])
        order = evacuation.Order(evacuation.EvacuationKind.ELDERLY, "浜町", START, None, "町長")
        assert evacuation.issue(conn, town, order, drill=False, now=START, user_id=user[0]) == 1
        conn.execute("update app_user set email = 'somebody@example.jp' where role = 'viewer'")
        conn.execute(_LETTER, {"town": town, "user": user[0], "at": START})
        stage = evacuation.Stage("第1配備", START, "総務課長")
        assert evacuation.declare(conn, town, stage, drill=False, now=START, user_id=user[0]) == 1
        checklists.put_list(conn, town, 3, checklists.ItemKind.TASK, ["避難所の鍵を開ける"], now=START, user_id=user[0])
        seen = field_reports.Seen(START, "橋の下まで水が来ている")
        author = field_reports.Author(user_id=user[0])
        photo = Photo(b"jpeg", b"jpeg", 1, 1)
        report = field_reports.enter(conn, town, author, seen, [photo], key=uuid4(), drill=False, now=START)
        assert report == (int(PARAMETERS["report_id"]), True)
        field_photos.release(conn, town, 1, caption="橋", now=START, user_id=user[0])
        hall = shelters.Entry("浜町公民館")
        assert shelters.put(conn, town, hall, now=START, user_id=user[0]) == int(PARAMETERS["shelter_id"])
        told = {
            variant: Text("水位", "［時刻］に ［値］ m" if variant != "en" else "[value] m at [time]")
            for variant in VARIANTS
        }
        approval = standing.Draft(
            "river-mimamoribashi", 4, told, None, 12, "2026-10-31", "美守", "町長", "1", "2026-04-01"
        )
        viewer = conn.execute("select user_id from app_user where login = 'own-viewer'").fetchone()
        assert viewer is not None
        entered = standing.enter(conn, town, approval, viewer[0], START, ZoneInfo("Asia/Tokyo"))
        assert entered == int(PARAMETERS["approval_id"])
        of_station = cameras.Entry(STATION, "橋のカメラ", folder="bridge")
        camera_id = cameras.add_camera(conn, town, of_station, now=START, user_id=None)
        assert camera_id == int(PARAMETERS["camera_id"])
        assert cameras.keep_still(conn, town, camera_id, b"jpeg", photo, START)
        found = of_town(
            read(weather("rain", {"9999900": [Said("美守町", 3)]}, START).encode(), "a.xml"), Area("999999")
        )
        assert found is not None and jma.keep(conn, town, found, START) == int(PARAMETERS["telegram_id"])
        conn.execute("insert into call_group (municipality_id, name) values (%s, '防災当番')", (town,))
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(town),))
        flood = [(timedelta(0), 1.0), (timedelta(hours=1), 2.0)]
        station_id = registered.directory.datastreams[registered.datastream(STATION, "water_level")].station_id
        drill = drills.NewDrill(
            "図上訓練", {"kind": "made", "peak": 2.0, "hours": 1.0}, 1.0, 2, {(station_id, "water_level"): flood}
        )
        assert drills.plan(conn, town, drill, now=START, user_id=user[0]) == int(PARAMETERS["drill_id"])
        drills.start(conn, town, 1, START, now=START, user_id=user[0])
        conn.execute("update drill set started_at = starts_at")
        trial = trials.NewTrial(station_id, ["precipitation"], None, START + timedelta(days=1), "交換")
        assert trials.begin(conn, town, trial, clock=FixedClock(START), user_id=user[0]) == int(PARAMETERS["trial_id"])
        switched_on(conn, town, START)
        planted(conn, town, registered.datastream(STATION, "water_level"), START)
        eve = START.date() - timedelta(days=1)
        fair = events.Entry(events.EventKind.EVENT, "港まつり", eve, START.date(), (), ("spot-taki",))
        assert events.put(conn, town, fair, now=START, user_id=user[0]) == int(PARAMETERS["event_id"])
        gate = registered.directory.datastreams[registered.datastream("spot-asaichi", "passages_in")].station_id
        open_ = event_days.Plan(START, START + timedelta(hours=8), (gate,))
        event_days.put_plan(conn, town, 1, open_, now=START, user_id=user[0])
        assert folders.add_folder(conn, town, "shared", START).folder_id == int(PARAMETERS["folder"])
        network = stored.keep_draft(conn, town, read_network({"a.inp": PIPES}), ["a.inp"], now=START, user_id=user[0])
        assert network == int(PARAMETERS["network_id"])
        stored.take_over(conn, town, network, now=START, user_id=user[0])
        suspect = leak_cases.NewCase("浜町", network_id=network, pipes=(0,))
        leak_case = leak_cases.open_case(conn, town, suspect, now=START, user_id=user[0])
        assert leak_case == int(PARAMETERS["case_id"])
        read_at = {"zone": ZoneInfo("Asia/Tokyo"), "oldest": START - timedelta(days=9), "newest": START}
        hashed = partial(meter_keyed, METER_KEY, "999999")
        assert meters.known_key(conn, town, fingerprint(METER_KEY, "999999"), now=START)
        meters.keep(conn, town, read_meters(METERS, **read_at), hashed, "m.csv", now=START, user_id=user[0])  # type: ignore[arg-type]
    tiles = tmp_path / "town.pmtiles"
    write_tiles(tiles, {}, (135.0, 32.4, 135.1, 32.5), 10)
    intake = IntakeConfig(registered.worker)
    with serving(registered, demo=True, intake=intake, tiles=tiles, tiles_credit="c", meter_key=METER_KEY) as running:
        yield running


def broken(
    town_hall: TownHall, routes: list[Call], role: Role | None, holds: Callable[[Call, Answer], bool], **visitor: Any
) -> list[str]:
    """The routes whose answer to that person is not as it should be. Each call has a session of its own."""
    found = []
    for route in routes:
        with town_hall.visitor(role, **visitor) as client:
            answer = call(client, town_hall, route)
        desk = role is Role.DISASTER and route.path in AHEAD
        told = FIGURE.search(answer.text) and not (desk and visitor.get("town", "own") == "own")
        if not holds(route, answer) or told or (WORDS.search(answer.text) and not desk):
            found.append(f"{route} -> {answer.status} {answer.code} {answer.location} {answer.text[:200]}")
    return found


def let_in(route: Call, answer: Answer) -> bool:
    return answer.status < 400 and not answer.to_sign_in


def test_there_are_routes_of_every_kind() -> None:
    assert {route.method for route in CALLS} >= {"GET", "POST", "DELETE"}
    assert any(route.rule.roles is None for route in CALLS) and any(route.rule.page for route in CALLS)
    assert any(route.rule.narrowed for route in CALLS) and any(route.of_a_thing for route in CALLS)


def test_without_a_session_only_what_is_declared_public_answers(town_hall: TownHall) -> None:
    def holds(route: Call, answer: Answer) -> bool:
        if route.rule.roles is None:
            return answer.status not in (401, 403) and not answer.to_sign_in
        if route.rule.page:
            return answer.to_sign_in
        return (answer.status, answer.code) == (401, "not_signed_in")

    assert broken(town_hall, CALLS, None, holds) == []


def test_public_is_health_signing_in_the_pages_files_and_what_was_published() -> None:
    assert {str(route) for route in CALLS if route.rule.roles is None} == {
        "GET /healthz",
        "POST /api/v1/session",
        "GET /sign-in",
        "POST /sign-in",
        "GET /static/{release}/{name:path}",
        "GET /worker.js",
        "GET /app.webmanifest",
        # what a person has published (tests/api/test_notices.py)
        "GET /public/{municipality}/notices",
        "GET /public/{municipality}/widget",
        "GET /public/{municipality}/notices.atom",
        "GET /public/{municipality}/notices.rss",
        "GET /public/{municipality}/cap.atom",
        "GET /public/{municipality}/cap/{notice_id}.xml",
        "GET /answer/{token}",
        "POST /answer/{token}",
        # whoever was given a link (tests/api/test_field.py)
        "GET /field/{token}",
        "POST /field/{token}",
        "GET /field/{token}/shelters",
        "POST /field/{token}/shelters",
        # whoever was given the link of a spot (tests/dashboards/test_count_links.py)
        "GET /count/{token}",
        "POST /count/{token}",
        # what is public of shelters, and the photos that a person released (tests/dashboards/test_shelters.py)
        "GET /public/{municipality}/shelters",
        "GET /public/{municipality}/shelters.json",
        "GET /public/{municipality}/photos",
        "GET /public/{municipality}/photos/{photo_id}.jpg",
        # the days of visitors that were confirmed (tests/dashboards/test_day_checks.py)
        "GET /public/{municipality}/visitors",
        "GET /public/{municipality}/visitors.csv",
        "GET /public/{municipality}/visitors.json",
    }


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_is_declared_and_nothing_else(town_hall: TownHall, role: Role) -> None:
    # What a value is worth is said by those who are asked when it does not come.
    in_charge = {
        "the alert's desk": desks_of("level", StationKind.RIVER_GAUGE),
        "the station's desk": desks_of("level", StationKind.RIVER_GAUGE),
        "the station's desk, or the digital section": desks_of("silence", StationKind.RIVER_GAUGE),
    }

    def holds(route: Call, answer: Answer) -> bool:
        if route.rule.roles is None:
            return answer.status not in (401, 403)
        if role not in route.rule.roles:
            return (answer.status, answer.code) == (403, "refused")
        if route.rule.narrowed and role not in in_charge[route.rule.narrowed]:
            return (answer.status, answer.code) == (403, "refused")
        return let_in(route, answer)

    assert broken(town_hall, CALLS, role, holds) == []


def test_what_changes_something_needs_the_csrf_token(town_hall: TownHall) -> None:
    routes = [route for route in CALLS if route.method not in SAFE and route.rule.roles is not None]

    def holds(route: Call, answer: Answer) -> bool:
        return (answer.status, answer.code) == (403, "cross_site")

    assert len(routes) >= 8
    assert broken(town_hall, routes, Role.DISASTER, holds, csrf=False) == []


def test_another_towns_people_find_nothing_of_this_one(town_hall: TownHall) -> None:
    routes = [route for route in CALLS if route.rule.roles is not None]
    town_hall.raise_alert(f"{STATION}/water_level")

    def holds(route: Call, answer: Answer) -> bool:
        if route.of_a_thing:
            return (answer.status, answer.code) == (404, "not_found")
        # Their forms name a gauge or a spot, which this town has not.
        if str(route) in ("POST /disaster/drills", "POST /digital/trials", "POST /tourism/links"):
            why = "必要な欄が空です" if "drills" in route.path else "選んだものが見つかりません"
            return answer.status == 400 and why in answer.text and "美守町" not in answer.text
        if str(route) == "POST /digital/cameras":  # this one's too
            return answer.status == 422 and "観測所を選んでください" in answer.text and STATION not in answer.text
        if str(route) == "POST /disaster/catchments/links":  # and this one's
            return answer.status == 422 and "別の水位観測所を選んで" in answer.text and STATION not in answer.text
        if str(route) == "POST /water/blocks":  # its table names a block, which this town has not
            return answer.status == 400 and "配水ブロックはありません" in answer.text and "美守町" not in answer.text
        if str(route) in ("GET /tourism/calendar.csv", "GET /tourism/compare.csv"):  # of spots, which this town has not
            return answer.status in (400, 404) and "spot-taki" not in answer.text
        return let_in(route, answer) and STATION not in answer.text and "美守町" not in answer.text

    for_water = [route for route in routes if route.rule.roles == frozenset({Role.WATER})]
    for_disaster = [route for route in routes if Role.DISASTER in (route.rule.roles or ())]
    for_digital = [route for route in routes if route not in for_disaster and route not in for_water]
    assert broken(town_hall, for_disaster, Role.DISASTER, holds, town="other") == []
    assert broken(town_hall, for_digital, Role.DIGITAL, holds, town="other") == []
    assert broken(town_hall, for_water, Role.WATER, holds, town="other") == []


@pytest.mark.parametrize("role", [None, *Role])
def test_a_session_opens_nothing_that_wants_the_secret_of_a_source(town_hall: TownHall, role: Role | None) -> None:
    def holds(route: Call, answer: Answer) -> bool:
        return (answer.status, answer.code) == (401, "source_refused")

    wait_for(
        lambda: broken(town_hall, OF_SOURCES, role, holds) == [], "the intake to be open, and closed to this person"
    )
    assert {str(route) for route in OF_SOURCES} == {"POST /intake/{source}"}


def test_the_secret_of_a_source_opens_nothing_else(town_hall: TownHall) -> None:
    with connect(town_hall.database.owner, name="test") as conn:
        secret = add_source(conn, name="a-source", kind="mimamori_v1", municipality="999999")
    headers = {"Authorization": f"Bearer {secret}", "X-Mimamori-Secret": secret}
    with httpx.Client(base_url=town_hall.url, headers=headers, timeout=20, trust_env=False) as client:
        (post,) = OF_SOURCES
        wait_for(lambda: call(client, town_hall, post).status == 202, "the source to be let in")
        for route in CALLS:
            if route.rule.roles is not None:
                answer = call(client, town_hall, route)
                assert answer.to_sign_in or answer.status in (401, 403), (route, answer)


def test_a_route_without_a_declaration_cannot_be_made() -> None:
    router = Router()
    with pytest.raises(UndeclaredRoute, match=r"GET.*/hole.*does not say who may use it"):

        @router.get("/hole")
        def hole() -> None: ...


def test_the_application_does_not_start_with_a_route_made_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = APIRouter()

    @plain.get("/hole")
    def hole() -> None: ...

    monkeypatch.setattr(api.app, "_ROUTERS", (*api.app._ROUTERS, plain))
    with pytest.raises(UndeclaredRoute, match="/hole"):
        create_app(ApiConfig(dsn="postgresql://nowhere"))


def test_undeclared_routes_and_mounts_are_found_wherever_they_hang() -> None:
    app = create_app(ApiConfig(dsn="postgresql://nowhere"))
    assert list(undeclared(app)) == []

    @access(READERS)
    def declared_but_not_guarded() -> None: ...

    app.get("/plain")(declared_but_not_guarded)
    app.mount("/mounted", FastAPI())
    outer, inner = APIRouter(), APIRouter()
    inner.get("/deep")(declared_but_not_guarded)
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer, prefix="/outer")
    found = " ".join(undeclared(app))
    assert "/plain" in found and "/mounted" in found and "/outer/inner/deep" in found
