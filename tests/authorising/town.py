"""A town in which every route finds what it names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from alerts.public import standing
from alerts.public.words import VARIANTS, Text
from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from analytics.leaks.blocks import stored as blocks
from analytics.leaks.cases import correlations, step_tests
from analytics.leaks.cases import stored as leak_cases
from analytics.leaks.cases.photos import put_photos
from analytics.leaks.meters import stored as meters
from analytics.leaks.meters.keyed import fingerprint
from analytics.leaks.meters.keyed import keyed as meter_keyed
from analytics.leaks.meters.reading import read_meters
from analytics.leaks.network import stored
from analytics.leaks.network.files import read_network
from devices.clock import FixedClock
from devices.model import StationKind
from devices.photos import Photo, reduced
from ingest.intake import IntakeConfig
from ingest.jma.telegram import Area, of_town, read
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
from tests.api.serving import TownHall, populate, serving
from tests.authorising.routes import CODEC, METER_KEY, METERS, PARAMETERS, PIPES, STATION
from tests.conftest import START, Registered
from tests.forecasts import planted, switched_on
from tests.photos import picture
from tests.pmtiles import write as write_tiles

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
        (case,) = leak_cases.cases(conn, town, leak_case)
        said = leak_cases.NewStep("note", START, "音聴した")
        step = leak_cases.take(conn, town, case, said, now=START, user_id=user[0])
        put_photos(conn, town, leak_case, step, [reduced(picture())], now=START)
        heard = correlations.NewCorrelation(
            "A", "B", ((100.0, "DIP", None),), 100, 30, 28, 31, None, 20, 3, 60, START.date(), network
        )
        kept = correlations.keep(conn, town, case, heard, now=START, user_id=user[0])
        assert kept == int(PARAMETERS["correlation_id"])
        inlet = registered.directory.datastreams[registered.datastream("block-hamamachi", "flow")].station_id
        assert blocks.choose_pipes(conn, town, inlet, "中央", at=START, user_id=user[0])
        closed = (step_tests.Closed("V", "", 1.0),)
        night = step_tests.NewStepTest(network, inlet, "中央", "A", (), 4.0, closed, None, START.date())
        kept = step_tests.keep(conn, town, case, night, now=START, user_id=user[0])
        assert kept == int(PARAMETERS["step_test_id"])
        read_at = {"zone": ZoneInfo("Asia/Tokyo"), "oldest": START - timedelta(days=9), "newest": START}
        hashed = partial(meter_keyed, METER_KEY, "999999")
        assert meters.known_key(conn, town, fingerprint(METER_KEY, "999999"), now=START)
        meters.keep(conn, town, read_meters(METERS, **read_at), hashed, "m.csv", now=START, user_id=user[0])  # type: ignore[arg-type]
    tiles = tmp_path / "town.pmtiles"
    write_tiles(tiles, {}, (135.0, 32.4, 135.1, 32.5), 10)
    intake = IntakeConfig(registered.worker)
    with serving(registered, demo=True, intake=intake, tiles=tiles, tiles_credit="c", meter_key=METER_KEY) as running:
        yield running
