"""One morning in the demo town, with everything on it that a page must be able to say: a river that rises, one that
sends nothing, a counter that counted nobody, one that could not measure, one that was never heard.
"""

from __future__ import annotations

import math
import struct
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from analytics.findings import Finding, announce, open_or_update
from devices.codecs.javascript import Sandbox, codec_of, run_vectors
from devices.mapping import MappingEntry
from devices.model import ObservedProperty, Quality, Reason, Station, StationKind
from devices.templates import TEMPLATES
from ingest.message import Message
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from store import connect, models, registration
from store.writer import ObservationRow, write_batch
from tests.browser.conftest import TOWN_NOW, Town
from tests.conftest import accepted

_MIDNIGHT = -(9 * 60 + 32)  # minutes from TOWN_NOW back to 0:00 in the town
_LAST_WEEK = -8 * 24 * 60  # everything has been there for longer than the pages look back


ULTRASONIC = "24e124713b000001"
MODEL = "milesight/em500-udl"

# A codec as a maker writes it, for a device that says its distance in millimetres and its battery in percent.
CODEC = """\
function decodeUplink(input) {
  var decoded = {};
  for (var i = 0; i < input.bytes.length; ) {
    var channel = input.bytes[i++], type = input.bytes[i++];
    if (channel === 0x01 && type === 0x75) {
      decoded.battery = input.bytes[i];
      i += 1;
    } else if (channel === 0x03 && type === 0x82) {
      decoded.distance = (input.bytes[i + 1] << 8) | input.bytes[i];
      i += 2;
    } else {
      return { errors: ["unknown channel " + channel] };
    }
  }
  return { data: decoded };
}
"""
EXAMPLES = [{"input": {"bytes": "01755c0382e803", "fPort": 85}, "output": {"data": {"battery": 92, "distance": 1000}}}]


def ultrasonic(distance: int) -> bytes:
    return b"\x01\x75\x5c\x03\x82" + struct.pack("<H", distance)


def tell(town: Town) -> None:
    """Stores the whole morning. Slow things (rollups, nights) are put in as analytics would have left them."""
    _rain(town)
    _rivers(town)
    _water(town)
    _visitors(town)


def _rain(town: Town) -> None:
    """A morning's rain in the hills, an hour of it told only afterwards by the counter; the town's gauge lost some."""
    slots = range(-30 * 60 - 2, 0, 10)
    amounts = {m: 0.5 * round(8 * math.exp(-(((m + 230) / 90) ** 2))) for m in slots}
    untold = range(-300, -240)
    town.observe("rain-okusawa/precipitation", *((m, v) for m, v in amounts.items() if m not in untold))
    guessed = [(m, v) for m, v in amounts.items() if m in untold]
    town.observe("rain-okusawa/precipitation", *guessed, quality=Quality.ESTIMATED, reason=Reason.GAP)
    town.observe("rain-yakuba/precipitation", *((m, v / 2) for m, v in amounts.items() if m not in range(-50, -20)))


def _rivers(town: Town) -> None:
    ten = range(-12 * 60 - 2, 0, 10)
    town.observe(
        "river-mimamoribashi/water_level",
        *((m, 0.85 + 2.62 / (1 + math.exp(-(m + 170) / 55))) for m in ten if not -400 < m < -340),
    )
    town.observe("river-takehara/water_level", *((m, 0.62 + 0.02 * math.sin(m / 40)) for m in ten if m < -2))
    town.observe("river-takehara/water_level", (-2, 0.66), quality=Quality.DOUBTFUL, reason=Reason.CLOCK)
    town.observe("river-okusawa/water_level", *((m, 0.48 + 0.0006 * (m + 720)) for m in ten if m < -95))


def _water(town: Town) -> None:
    def flow(m: float) -> float:
        hour = ((m - _MIDNIGHT) / 60) % 24
        return 14 + 9 * math.exp(-(((hour - 7.5) / 1.6) ** 2)) + 7 * math.exp(-(((hour - 19) / 2) ** 2)) + 0.3 * (m % 3)

    five = [m for m in range(-12 * 60 + 3, 0, 5) if not -330 <= m < -262]
    town.observe("block-hamamachi/flow", (_LAST_WEEK, 14.0), *((m, flow(m)) for m in five))
    town.observe("block-hamamachi/pressure", *((m, 412 - 3.2 * (flow(m) - 14)) for m in five))
    # the tank has been falling at 0.12 m/h for two hours, after it was full
    town.observe("tank-takadai/tank_level", *((m, 3.94 - 0.002 * max(0, m + 120)) for m in range(-12 * 60, 0, 10)))
    flow_id = town.hall.database.datastream("block-hamamachi", "flow")
    _find(
        town,
        Finding(
            town.hall.database.municipality_id,
            town.hall.database.directory.datastreams[flow_id].station_id,
            flow_id,
            "night_flow",
            TOWN_NOW - timedelta(hours=32, minutes=32),
            9.8,
            7.2,
            2.6,
            "night_flow:1",
            {"limit": 8.2, "usual_nights": 14, "nights": 2, "month_m3": 1872},
        ),
    )
    nights = ((0, 9.8, 0.97), (1, 9.1, 1.0), (2, 9.2, 0.99), (4, 9.0, 1.0), (5, None, 0.41))
    for back, minimum, completeness in nights:
        day = (TOWN_NOW - timedelta(days=back)).date()
        since = datetime(day.year, day.month, day.day, 2, 40, tzinfo=UTC) - timedelta(hours=9)
        town.execute(
            """
            insert into night_flow (municipality_id, datastream_id, day, minimum, minimum_from, completeness)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (
                town.hall.database.municipality_id,
                town.hall.database.datastream("block-hamamachi", "flow"),
                day,
                minimum,
                None if minimum is None else since,
                completeness,
            ),
        )


def _find(town: Town, finding: Finding) -> None:
    with connect(town.hall.database.worker, name="test") as conn:
        announce(conn, open_or_update(conn, finding))


def _visitors(town: Town) -> None:
    slots = range(_MIDNIGHT + 10, 0, 10)

    def count(m: int, most: float) -> float:
        hour = (m - _MIDNIGHT) / 60
        return float(round(most * math.exp(-(((hour - 9.5) / 2.2) ** 2)))) if hour > 5 else 0.0

    for spot, most, until in (("michinoeki", 46, 0), ("todai", 0, 0), ("taki", 12, -118), ("onsen", 9, 0)):
        slots_of = [m for m in slots if m < until]
        measured = [(m, None if spot == "onsen" and m > -70 else count(m, most)) for m in slots_of]
        town.observe(f"spot-{spot}/passages_in", (_LAST_WEEK, 3.0), *measured)
        town.observe(f"spot-{spot}/passages_out", *((m, v if v is None else round(v * 0.8)) for m, v in measured))
        for back in range(1, 7):
            if spot == "taki" and back == 3:
                continue
            for direction, share in (("in", 1.0), ("out", 0.97)):
                town.execute(
                    """
                    insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, worst_quality)
                    values (%s, %s, %s, %s, 144, %s, 'good')
                    """,
                    (
                        town.hall.database.municipality_id,
                        town.hall.database.datastream(f"spot-{spot}", f"passages_{direction}"),
                        (TOWN_NOW - timedelta(days=back)).date(),
                        117 if spot == "onsen" and back == 2 else 144,
                        round(most * 26 * (1.6 if back in (1, 2) else 1.0) * share),
                    ),
                )


def deliver(town: Town, *messages: tuple[str, bytes]) -> None:
    """Messages with their topics, as ingest settles them."""
    registered = town.hall.database
    with (
        connect(registered.worker, name="test") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        devices.refresh(conn)
        settling = Settling(conn, devices, [Message(topic, raw, TOWN_NOW) for topic, raw in messages], CLOCK)
        while not settling.over:
            settling.step(conn)


def with_models(town: Town) -> tuple[str, str]:
    """A model of the ultrasonic gauge, and another version of its codec that renames a field: their SHA-256."""
    registered = town.hall.database
    renamed = CODEC.replace("decoded.distance", "decoded.water_distance")
    found: list[str] = []
    with connect(registered.owner, name="test") as conn:
        for name, source in (("em500-udl.js", CODEC), ("em500-udl-2.js", renamed)):
            codec = codec_of(source)
            with Sandbox() as sandbox:
                result = run_vectors(sandbox, codec, EXAMPLES)
            upload = models.CodecUpload(
                name, source.encode(), "test", "MIT", EXAMPLES, result.to_json(), result.stateless
            )
            codec_id = models.upload(conn, registered.municipality_id, upload, at=TOWN_NOW, user_id=None)
            if not found:
                entry = models.ModelEntry(
                    MODEL,
                    "超音波水位計",
                    "Ultrasonic level gauge",
                    "Milesight",
                    codec_id,
                    fields=(MappingEntry("distance", ObservedProperty.WATER_LEVEL, "mm", -0.001, 6.2),),
                )
                models.add_model(conn, registered.municipality_id, entry, at=TOWN_NOW, user_id=None)
            found.append(codec.sha256)
    return found[0], found[1]


# 観測所 of the kinds that no desk has a section of its own for, what they say; None: never heard.
OTHERS: tuple[tuple[str, str, str, float | None], ...] = (
    ("inundation_point", "本町アンダーパス", "Honmachi underpass", 1.0),
    ("shelter", "美守小学校体育館", "Mimamori school gymnasium", 42.0),
    ("pressure_point", "汐見末端圧力計", "Shiomi far end", 310.0),
    ("pump", "奥沢第二増圧ポンプ場送水ポンプ1号", "Okusawa booster station, pump 1", 0.0),
    ("water_quality", "浜町給水栓", "Hamamachi tap", 0.4),
    ("leak_logger", "浜町漏水音ロガー", "Hamamachi leak logger", None),
    ("visitor_area", "鈴鳴りの滝展望台", "Suzunari lookout", 12.0),
    ("parking", "道の駅第二駐車場", "Roadside station, car park 2", 88.0),
)


def others(town: Town) -> None:
    """Those stations as a person registers them from their templates, with what each says ten minutes ago."""
    registered = town.hall.database
    rows = []
    with connect(registered.owner, name="test") as conn:
        for n, (kind, name, name_en, value) in enumerate(OTHERS):
            template = next(each for each in TEMPLATES.values() if each.kind == StationKind(kind))
            streams = tuple(replace(each, interval=timedelta(minutes=10)) for each in template.datastreams)
            station = Station(f"other-{n}", template.kind, name, name_en, 32.45 + n / 500, 135.05, streams, ())
            registration.add_station(conn, registered.municipality_id, station)
            for datastream_id, _ in conn.execute(
                "select datastream_id, observed_property from datastream d join station s using (station_id) "
                "where s.code = %s",
                (station.code,),
            ).fetchall():
                if value is not None:
                    at = TOWN_NOW - timedelta(minutes=10)
                    rows.append(ObservationRow(datastream_id, at, value, Quality.GOOD, None))
        conn.commit()
    device = next(iter(registered.directory.devices.values()))
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, [accepted(device, TOWN_NOW, tuple(rows))])
