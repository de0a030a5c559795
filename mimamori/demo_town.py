"""What the demo's town has beside its devices: its shelters, as a town uploads them, a camera that is drawn, and a
meteorological office that has been asked.

furnish(conn, code, now)          what is not there yet: the list of shelters with what was said of each (closed, as on
                                  a quiet day), the camera, and internal_forecast switched on, for it is no real river
pipes(conn, code, now)            the pipe network of the town's map, as its waterworks' GIS would have it, taken over
calendar(conn, code, now, festival)  the town's local events; with the day of a festival that begins at `festival`
Drawing(dsn, root).run(stop)      writes the camera's picture of the newest level, like a recorder
"""

from __future__ import annotations

import json
import threading
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import structlog

from analytics.leaks.network import stored
from analytics.leaks.network.files import read_network
from api.pages.shelter_file import read_shelters
from devices.clock import Clock
from simulators.camera import draw
from simulators.towns import SHELTERS
from simulators.visits import FESTIVAL_LASTS
from store import Connection, cameras, connect, event_days, events, forecast_switch, shelters
from store.event_days import Plan
from store.events import Entry, EventKind
from store.field_reports import Author
from store.town_clock import load_clock

STATION, FOLDER = "river-mimamoribashi", "mimamoribashi"
GATE = "spot-michinoeki"
_EVERY = timedelta(minutes=2)  # of town time
_LEAST_SECONDS = 2.0  # of real time, however fast the clock is
_PIPES = "【模擬】浜町管路.geojson"
_LAID = {"VP": 1971, "DIP": 1984, "HPPE": 2008}  # the first year of each material
# Between the streets that run north, so that the block can be shut section by section.
_VALVES = frozenset(f"p{n:02}" for n in (7, 9, 11, 12, 26, 28, 30, 32, 33, 35, 37, 39, 41, 44, 46))
_CLOSED = "平常時（閉鎖中）"
_REPLY = "【模擬】この町も川も架空のもので、実在する気象台の回答ではありません。"

log = structlog.get_logger(__name__)


def furnish(conn: Connection, code: str, now: datetime) -> None:
    """Adds what is not there yet, in the name of the demo's disaster desk."""
    row = conn.execute(
        "select municipality_id, user_id from app_user join municipality using (municipality_id) "
        "where code = %s and role = 'disaster' order by user_id limit 1",
        (code,),
    ).fetchone()
    assert row is not None, "the demo's accounts are there"
    municipality_id, user_id = row
    there = conn.execute("select from shelter where municipality_id = %s limit 1", (municipality_id,)).fetchone()
    for _, entry, _ in () if there is not None else read_shelters(SHELTERS.read_bytes()):
        shelter_id = shelters.put(conn, municipality_id, entry, now=now, user_id=user_id)
        word = shelters.Word("closed", None, None, _CLOSED, now)
        shelters.say(conn, municipality_id, shelter_id, Author(user_id=user_id), word, drill=False, now=now)
    if not cameras.cameras(conn, municipality_id, station=STATION):
        entry_ = cameras.Entry(STATION, "【模擬】美守橋カメラ", folder=FOLDER)
        cameras.add_camera(conn, municipality_id, entry_, now=now, user_id=user_id)
    if forecast_switch.switch_now(conn, municipality_id) is None:
        asked = forecast_switch.Asked("架空地方気象台", "【模擬】担当者", now.date(), _REPLY)
        forecast_switch.switch_on(
            conn, municipality_id, asked, on_wall=False, now=now, today=now.date(), user_id=user_id
        )


def pipes(conn: Connection, code: str, now: datetime) -> None:
    """Takes over, once, the pipes that the town's map shows, with invented years, hydrants and valves."""
    row = conn.execute(
        "select municipality_id, user_id from app_user join municipality using (municipality_id) "
        "where code = %s and role = 'water' order by user_id limit 1",
        (code,),
    ).fetchone()
    assert row is not None, "the demo's accounts are there"
    town, user_id = row
    if stored.versions(conn, town):
        return
    shapes = conn.execute(
        "select kind, name, lines, properties from map_shape where municipality_id = %s and kind in ('pipe', 'block')",
        (town,),
    ).fetchall()
    blocks = {said["station"]: name for kind, name, _, said in shapes if kind == "block" and "station" in said}
    features = []
    lines = sorted((said.get("code", ""), lines[0], said) for kind, _, lines, said in shapes if kind == "pipe")
    for number, (name, line, said) in enumerate(lines):
        features.append(
            _feature(
                "LineString",
                line,
                管路番号=name,
                管種=said.get("material"),
                口径=said.get("diameter_mm"),
                布設年度=_LAID.get(str(said.get("material")), 1990) + number * 7 % 12,
                延長=said.get("length_m"),
                ブロック=blocks.get(said.get("block")),
            )
        )
        kind = "仕切弁" if name in _VALVES else "消火栓"
        if name in _VALVES or number % 3 == 1:
            (x1, y1), (x2, y2) = line[0], line[-1]
            middle = [(x1 + x2) / 2, (y1 + y2) / 2] if len(line) == 2 else line[len(line) // 2]
            features.append(_feature("Point", middle, 番号=f"{kind[-1]}{number:02}", 種別=kind))
    collection = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    found = read_network({_PIPES: collection})
    number = stored.keep_draft(conn, town, found, [_PIPES], now=now, user_id=user_id)
    stored.take_over(conn, town, number, now=now, user_id=user_id)


def _feature(form: str, places: object, **said: object) -> dict[str, object]:
    return {"type": "Feature", "geometry": {"type": form, "coordinates": places}, "properties": said}


def calendar(conn: Connection, code: str, now: datetime, festival: datetime | None) -> None:
    """Writes, once, the calendar of the demo's tourism desk: the festival of May that the town's past has, a road that
    will be closed; and where the scenario has a festival, that one, with its gate and steps of capacity.
    """
    row = conn.execute(
        "select municipality_id, user_id, timezone from app_user join municipality using (municipality_id) "
        "where code = %s and role = 'tourism' order by user_id limit 1",
        (code,),
    ).fetchone()
    assert row is not None, "the demo's accounts are there"
    town, user_id, zone = row[0], row[1], ZoneInfo(row[2])
    today = now.astimezone(zone).date()
    if events.events(conn, town, date.min, date.max):
        return
    third = date(today.year, 5, 1)
    third += timedelta(days=(6 - third.weekday()) % 7 + 14)
    closed, opened = today + timedelta(days=9), today + timedelta(days=13)
    entries = [
        Entry(EventKind.EVENT, "【模擬】新緑まつり", third, third),
        Entry(EventKind.CLOSURE, "【模擬】滝への町道 通行止め", closed, opened, ("spot-taki",), ("spot-todai",)),
        Entry(EventKind.SCHOOL_HOLIDAY, "夏休み", date(today.year, 7, 18), date(today.year, 8, 31)),
    ]  # fmt: skip
    for entry in entries:
        events.put(conn, town, entry, now=now, user_id=user_id)
    if festival is None:
        return
    day = festival.astimezone(zone).date()
    entry = Entry(
        EventKind.EVENT, "【模擬】道の駅 夏まつり", day, day, (GATE,), ("spot-todai", "spot-onsen"), "ステージと夜店"
    )
    event_id = events.put(conn, town, entry, now=now, user_id=user_id)
    gate = conn.execute(
        "select station_id from station where municipality_id = %s and code = %s", (town, GATE)
    ).fetchone()
    assert gate is not None, "the town's roadside station is there"
    plan = Plan(festival, festival + FESTIVAL_LASTS, (gate[0],), levels=(100, 150, 200))
    event_days.put_plan(conn, town, event_id, plan, now=now, user_id=user_id)


class Drawing:
    """The camera at STATION: a file every two minutes of the town's time, in `root`/FOLDER."""

    def __init__(self, dsn: str, root: Path) -> None:
        self._dsn = dsn
        self._folder = root / FOLDER

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Nothing is drawn where nothing was observed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        while not stop.is_set():
            try:
                with connect(self._dsn, name="camera") as conn:
                    clock = load_clock(conn)
                    while not stop.is_set():
                        self.shoot(conn, clock)
                        conn.commit()
                        stop.wait(max(_LEAST_SECONDS, _EVERY.total_seconds() / clock.speed))
            except psycopg.OperationalError as error:
                log.warning("database_lost", camera=FOLDER, error=str(error).strip())
                stop.wait(_LEAST_SECONDS)

    def shoot(self, conn: Connection, clock: Clock) -> None:
        """One picture, there whole or not at all."""
        row = conn.execute(_NOW, {"station": STATION, "now": clock.now()}).fetchone()
        if row is None:
            return
        value, timezone, levels = row
        at = clock.now().astimezone(ZoneInfo(timezone))
        picture = draw(value, levels or [], at, "Mimamori Bridge")
        part = self._folder / "picture.part"
        part.write_bytes(picture)
        part.replace(self._folder / f"{at:%Y%m%d_%H%M%S}.jpg")


_NOW = """
select l.value, m.timezone,
       (select array_agg(v.value order by v.value) from threshold_level v where v.threshold_set_id = (
            select t.threshold_set_id from threshold_set t
            where t.station_id = s.station_id and t.valid_from <= %(now)s
            order by t.valid_from desc, t.threshold_set_id desc limit 1))
from station s
join municipality m using (municipality_id)
join datastream d on d.station_id = s.station_id and d.observed_property = 'water_level' and d.drill_run is null
join datastream_latest l using (datastream_id)
where s.code = %(station)s and l.value is not null
"""
