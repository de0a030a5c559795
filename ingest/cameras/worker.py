"""The process that asks the cameras.

Contract
- A camera is asked at its pace, more often while an alert of its station is open (`store.cameras.due`), however the
  process is restarted: when it was asked last stands in the database.
- Each picture and what came of the try are one transaction; the same picture is kept once. Only then is it removed from
  its folder: killed in between, it is taken again and known.
- One camera that does not answer holds up no other: WORKERS are asked at a time, each for no longer than the time-out.
  What went wrong is noted at the camera, in a word that its page knows.
- One process a municipality asks; others wait for its end (a lock that goes with its connection).
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import structlog

from devices.clock import Clock
from devices.photos import Photo
from ingest.cameras.config import CamerasConfig
from ingest.cameras.fetch import CameraFault, Taken, from_address, from_folder, login_of, still_of
from ingest.errors import ConfigError
from store import cameras
from store.cameras import Due
from store.connection import Connection, connect
from store.feed import append_headquarters
from store.registry import municipality_id_of
from store.town_clock import load_clock

WORKERS = 4
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: a picture (from a folder with its files), a fault, or neither: nothing new."""

    data: bytes | None = None
    photo: Photo | None = None
    taken: Taken | None = None
    fault: CameraFault | None = None


def run(config: CamerasConfig, stop: threading.Event) -> None:
    """Asks until `stop` is set.

    Raises ConfigError when the municipality is not in the database, store.errors.ClockNotSet when it has no town
    clock, and psycopg.Error for what reconnecting cannot cure.
    """
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            with connect(config.dsn, name="cameras") as conn, ThreadPoolExecutor(WORKERS) as pool:
                pause = FIRST_PAUSE_SECONDS
                _ask_until(stop, config, conn, pool)
        except psycopg.OperationalError as error:
            log.warning("database out of reach", error=str(error).strip(), again_in=pause)
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _ask_until(stop: threading.Event, config: CamerasConfig, conn: Connection, pool: ThreadPoolExecutor) -> None:
    town = municipality_id_of(conn, config.municipality)
    if town is None:
        raise ConfigError(f"municipality {config.municipality} is not in the database: load its town file first")
    clock = load_clock(conn)
    while not cameras.alone(conn, town):
        conn.commit()
        if stop.wait(config.poll_seconds):
            return
    conn.commit()
    log.info("asking the cameras", root=None if config.root is None else str(config.root))
    while not stop.is_set():
        look(config, conn, pool, town, clock)
        stop.wait(config.poll_seconds)


def look(config: CamerasConfig, conn: Connection, pool: ThreadPoolExecutor, town: int, clock: Clock) -> int:
    """Asks every camera that is due, once; how many new pictures were kept."""
    asked = cameras.due(conn, town, clock.now())
    conn.commit()
    new = 0
    for each, answer in zip(asked, pool.map(lambda one: ask(config, one), asked), strict=True):
        now, kept = clock.now(), False
        if answer.data is not None and answer.photo is not None:
            kept = cameras.keep_still(conn, town, each.camera_id, answer.data, answer.photo, now)
        fault = answer.fault
        cameras.note_try(
            conn,
            town,
            each.camera_id,
            now,
            heard=answer.data is not None,
            fault=None if fault is None else fault.code,
            said=None if fault is None else fault.said,
        )
        if kept:
            append_headquarters(conn, town)  # open pages show it
        conn.commit()
        if fault is not None:
            log.warning("no picture", camera=each.name, fault=fault.code, said=fault.said)
        if answer.taken is not None and not answer.taken.clear():
            log.warning("pictures cannot be removed from their folder", camera=each.name, folder=each.folder)
        new += kept
    return new


def ask(config: CamerasConfig, camera: Due) -> Answer:
    """One try; whatever goes wrong is in the answer."""
    try:
        if camera.url is not None:
            login = None if camera.secret is None else login_of(config.secrets, camera.secret)
            data = from_address(camera.url, login, config.timeout_seconds)
            return Answer(data, still_of(data))
        assert camera.folder is not None and camera.pattern is not None, "a camera has one of the two"
        if config.root is None:
            return Answer(fault=CameraFault("gone", "MIMAMORI_CAMERAS is not set"))
        taken = from_folder(config.root / camera.folder, camera.pattern)
        return Answer() if taken is None else Answer(taken.data, taken.photo, taken)
    except CameraFault as fault:
        return Answer(fault=fault)
