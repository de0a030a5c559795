"""The demo's weather agency, which does not exist: it issues telegrams for the town that does not exist either.

Agency(dsn, folder).run(stop)    writes them into the folder that `mimamori run jma` reads, and `alive` beside them

Every telegram is 訓練 and says 【模擬】 wherever it has words (`simulators.telegrams`). Its levels follow what the
town's gauges have reached, so that the page is as it would be in such a night.
"""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import psycopg
import structlog

from simulators.telegrams import Said, Weather, river, weather
from store import Connection, connect
from store.town_clock import load_clock

CITY, NAME = "9999900", "美守町"
RIVER, RIVER_CODE, STATION = "美守川", "9999990001", "river-mimamoribashi"
SECONDS = 2.0
_LOWEST = 2  # below it nothing is issued

log = structlog.get_logger(__name__)


class Agency:
    """Whoever starts it in one town starts it once."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._dsn, self._folder = dsn, folder
        self._said: dict[str, int | None] = {}
        self._serial = 0

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with connect(self._dsn, name="agency") as conn:
                    clock = load_clock(conn)
                    while not stop.is_set():
                        self.look(conn, clock.now())
                        conn.commit()
                        stop.wait(SECONDS)
            except (psycopg.OperationalError, OSError) as error:
                log.warning("cannot_issue", agency=str(self._folder), error=str(error).strip())
                stop.wait(SECONDS)

    def look(self, conn: Connection, now: datetime) -> None:
        """Issues what has changed, and says that the agency is there."""
        levels: dict[str, int] = dict(conn.execute(_LEVELS, {"now": now}).fetchall())
        highest = max(levels.values(), default=0)
        self._weather("rain", highest, now, "低い土地の浸水や河川の増水に警戒してください。")
        self._weather("landslide", highest - 1, now, "土砂災害に警戒してください。")
        self._weather("wind", 0, now, "")
        self._river(levels.get(STATION, 0), now)
        alive = self._folder / "alive.part"
        alive.write_text(now.isoformat(), "utf-8")
        alive.replace(self._folder / "alive")

    def _weather(self, kind: Weather, level: int, now: datetime, headline: str) -> None:
        reached, known = (level if level >= _LOWEST else None), kind in self._said
        before = self._said.get(kind)
        if known and reached == before:
            return
        self._said[kind] = reached
        if reached is None and before is not None:
            said, headline = Said(NAME, before, "解除"), "解除します。"
        else:
            said = Said(NAME, reached)
        headline = f"これは架空の町の電文です。{headline if reached or before else '発表しているものはありません。'}"
        self._write(kind, weather(kind, {CITY: [said]}, now, headline=headline), now)

    def _river(self, level: int, now: datetime) -> None:
        reached = level if level >= _LOWEST else None
        before = self._said.get("river")
        if reached == before:
            return
        self._said["river"] = reached
        self._serial += 1
        headline = f"これは架空の川の電文です。{RIVER}の水位の情報です。"
        main = f"架空の川です。{RIVER}では、観測した水位による段階が変わりました。"
        text = river(
            RIVER, RIVER_CODE, reached, now, cities={CITY: NAME}, serial=self._serial, headline=headline, main=main
        )
        self._write("river", text, now)

    def _write(self, name: str, text: str, now: datetime) -> None:
        """There whole or not at all."""
        part = self._folder / f"{name}.part"
        part.write_text(text, "utf-8")
        part.replace(self._folder / f"{now:%Y%m%d%H%M%S}_{name}.xml")


# What each gauge's newest value reaches of its own levels.
_LEVELS = """
select s.code, coalesce((
    select max(v.level) from threshold_level v where v.value <= l.value and v.threshold_set_id = (
        select t.threshold_set_id from threshold_set t
        where t.station_id = s.station_id and t.valid_from <= %(now)s order by t.valid_from desc limit 1)), 0)
from station s
join datastream d on d.station_id = s.station_id and d.observed_property = 'water_level' and d.drill_run is null
join datastream_latest l using (datastream_id)
where s.kind = 'river_gauge' and l.value is not null
"""
