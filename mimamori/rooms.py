"""The composition root: from settings to each room's config, one function a process.

Rooms read neither settings nor environment, so this file is where a setting gets its meaning. Imports of rooms
stand inside the functions: a process loads what it runs, and no more memory than that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mimamori.errors import InputError, SettingError, StartError
from mimamori.heap import settle
from mimamori.settings import Settings, variable
from store import connect
from store.town_clock import load_clock

if TYPE_CHECKING:
    from alerts.config import MailConfig
    from ingest.broker import Broker
    from ingest.config import IngestConfig
    from ingest.drain import Drained
    from ingest.intake import IntakeConfig
    from store.retention import Retention

# Messages of the last days are counted again and again, to see that none is missing.
_SHORTEST_DAYS, _LONGEST_DAYS = 7, 36_500
_MOST_EVALUATORS = 16


def run_ingest(settings: Settings, stop: threading.Event) -> None:
    """Broker to database: one worker."""
    from ingest import run
    from ingest.errors import IngestError

    settle()
    with _in_a_sentence(IngestError):
        run(_ingest_config(settings, settings.worker_id), stop)


def drain_ingest(settings: Settings, worker_id: str, stop: threading.Event) -> Drained:
    """Empties the sessions of a worker that has gone."""
    from ingest.drain import drain
    from ingest.errors import IngestError

    with _in_a_sentence(IngestError):
        found = drain(_ingest_config(settings, worker_id), stop)
    if found is None:
        raise StartError(f"stopped before the session of worker {worker_id} was empty: call it again, nothing is lost")
    return found


def broker_of(settings: Settings) -> Broker:
    """The broker that is set. SettingError where its kind is none we know."""
    from ingest.broker import ABILITIES, Broker

    if settings.broker_kind not in ABILITIES:
        raise SettingError(f"MIMAMORI_BROKER_KIND must be {', '.join(ABILITIES)}, not {settings.broker_kind!r}")
    return Broker(
        host=settings.broker_host,
        port=settings.broker_port,
        username=settings.broker_user,
        password=settings.broker_password,
        max_unacked=settings.broker_max_unacked,
        **ABILITIES[settings.broker_kind],
    )


def _ingest_config(settings: Settings, worker_id: str) -> IngestConfig:
    from ingest.config import IngestConfig

    dsn = settings.need("worker_dsn")
    return IngestConfig(
        worker_id,
        dsn,
        municipality_of(settings, dsn),
        broker_of(settings),
        oldest=timedelta(days=settings.oldest_days),
        shared=settings.ingest_shared,
    )


def run_folders(settings: Settings, stop: threading.Event) -> None:
    """Files dropped in the watched folders to the database."""
    from ingest import folders
    from ingest.errors import IngestError

    dsn = settings.need("worker_dsn")
    with _in_a_sentence(IngestError):
        config = folders.FoldersConfig(
            dsn, municipality_of(settings, dsn), Path(settings.need("folders")), max_bytes=settings.folder_max_bytes
        )
        folders.run(config, stop)


def run_cameras(settings: Settings, stop: threading.Event) -> None:
    """Stills of the town's cameras to the database."""
    from ingest import cameras
    from ingest.errors import IngestError

    dsn = settings.need("worker_dsn")
    with _in_a_sentence(IngestError):
        config = cameras.CamerasConfig(
            dsn,
            municipality_of(settings, dsn),
            None if settings.cameras is None else Path(settings.cameras),
            None if settings.camera_secrets is None else Path(settings.camera_secrets),
        )
        cameras.run(config, stop)


def run_jma(settings: Settings, stop: threading.Event) -> None:
    """The weather agency's telegrams to the database."""
    from ingest import jma
    from ingest.errors import IngestError

    dsn = settings.need("worker_dsn")
    with _in_a_sentence(IngestError):
        config = jma.JmaConfig(
            dsn,
            municipality_of(settings, dsn),
            feed=settings.jma_feed,
            folder=None if settings.jma_folder is None else Path(settings.jma_folder),
            areas=tuple(filter(None, (each.strip() for each in (settings.jma_areas or "").split(",")))),
        )
        jma.run(config, stop)


def run_analytics(settings: Settings, stop: threading.Event) -> None:
    """Observations to hours, days and nights."""
    from analytics import run
    from analytics.config import AnalyticsConfig

    settle()
    run(AnalyticsConfig(settings.need("worker_dsn"), _retention(settings), _kept_years(settings)), stop)


def catch_up_analytics(settings: Settings) -> None:
    """The same for what is stored so far."""
    import analytics
    from analytics.config import AnalyticsConfig

    analytics.catch_up(AnalyticsConfig(settings.need("worker_dsn")))


def run_alerts(settings: Settings, stop: threading.Event) -> None:
    """Observations to alerts and notifications."""
    from alerts import run
    from alerts.channels_config import read_channels
    from alerts.config import AlertsConfig
    from alerts.errors import AlertsError

    settle()
    with _in_a_sentence(AlertsError):
        config = AlertsConfig(
            settings.need("worker_dsn"),
            mail=_mail(settings),
            channels={} if settings.channels is None else read_channels(Path(settings.channels)),
            public_url=_public_url(settings),
            data_folder=None if settings.data_folder is None else Path(settings.data_folder),
            evaluators=_evaluators(settings),
        )
        run(config, stop)


def _evaluators(settings: Settings) -> int:
    if not 1 <= settings.evaluators <= _MOST_EVALUATORS:
        name = variable("evaluators")
        raise SettingError(f"{name} must be 1 to {_MOST_EVALUATORS}, not {settings.evaluators}: each is a connection")
    return settings.evaluators


def run_api(settings: Settings, stop: threading.Event) -> None:
    """Pages, JSON API and live stream."""
    from api.config import ApiConfig
    from api.server import run

    with _in_a_sentence(ValueError):
        config = ApiConfig(
            dsn=settings.need("api_dsn"),
            demo=settings.demo,
            session_hours=settings.session_hours,
            secure_cookies=settings.secure_cookies,
            metrics_token=settings.metrics_token,
            meter_key=settings.meter_key,
            trusted_proxies=settings.trusted_proxies,
            data_folder=None if settings.data_folder is None else Path(settings.data_folder),
            tiles=None if settings.tiles is None else Path(settings.tiles),
            tiles_credit=None if settings.tiles is None else settings.need("tiles_credit"),
            intake=_intake(settings),
        )
    run(config, settings.http_host, settings.http_port, stop, ready=lambda _port: settle())


RUN: Mapping[str, Callable[[Settings, threading.Event], None]] = MappingProxyType(
    {
        "ingest": run_ingest,
        "folders": run_folders,
        "cameras": run_cameras,
        "jma": run_jma,
        "analytics": run_analytics,
        "alerts": run_alerts,
        "api": run_api,
    }
)


def run_simulator(
    settings: Settings,
    stop: threading.Event,
    *,
    scenario: str,
    origin: datetime | None,
    since: datetime | None,
    ledger: Path | None,
    truth: Path | None = None,
    devices: int | None = None,
    mixed: bool = False,
    faults: float = 0.0,
    sigfox: str | None = None,
    sigfox_secret: Path | None = None,
    seed: int = 1,
) -> None:
    """The devices of the demo's town, or of a larger one with so many (`simulators.crowd`); docs/simulators.md.

    `mixed`: the further ones speak over four networks; `faults`: so many times as often as usual; `sigfox`: the address
    of the source that Sigfox posts to. StartError on a real clock: invented water must not meet real people.
    """
    import simulators
    from devices.town import load_town
    from mimamori.pressed import Pressed
    from simulators.config import Post, Scenario, SimulatorConfig
    from simulators.errors import SimulatorError
    from simulators.faults import USUAL
    from simulators.frames import CHIRPSTACK_V4
    from simulators.towns import path
    from simulators.towns.larger import MIXED

    with connect(settings.need("worker_dsn"), name="simulate") as conn:
        clock = load_clock(conn)
    if not clock.simulated:
        raise StartError("this town runs on the real clock: simulated devices would mix invented readings into it")
    town = load_town(path())
    with _in_a_sentence(SimulatorError), Pressed(settings.need("worker_dsn"), town.municipality.code) as pressed:
        config = SimulatorConfig(
            host=settings.broker_host,
            port=settings.broker_port,
            username=settings.broker_user,
            password=settings.broker_password,
            scenario=Scenario(scenario),
            origin=origin,
            since=since,
            ledger=ledger,
            truth=truth,
            devices=devices,
            networks=MIXED if mixed else (CHIRPSTACK_V4,),
            faults=USUAL.times(faults),
            sigfox=None if sigfox is None else Post(sigfox, _secret(sigfox_secret)),
            seed=seed,
        )
        _draw_camera(settings, stop)
        _issue_telegrams(settings, stop)
        simulators.run(config, town, clock, stop, pressed.interventions)


def _draw_camera(settings: Settings, stop: threading.Event) -> None:
    """Where the town has a folder for cameras, the one that is drawn writes into it, beside the devices."""
    if settings.cameras is not None:
        from mimamori.demo_town import Drawing

        drawing = Drawing(settings.need("worker_dsn"), Path(settings.cameras))
        threading.Thread(target=drawing.run, args=(stop,), name="camera", daemon=True).start()


def _issue_telegrams(settings: Settings, stop: threading.Event) -> None:
    """The same for the weather agency that does not exist."""
    if settings.jma_folder is not None:
        from mimamori.demo_agency import Agency

        agency = Agency(settings.need("worker_dsn"), Path(settings.jma_folder))
        threading.Thread(target=agency.run, args=(stop,), name="agency", daemon=True).start()


def _secret(file: Path | None) -> str:
    """The secret of a source, from its file."""
    if file is None:
        raise InputError("--sigfox needs --sigfox-secret FILE: the secret that `mimamori intake add` has printed")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the secret of the source cannot be read from {file}: {error}") from error


def write_history(
    folder: Path,
    *,
    scenario: str,
    origin: datetime | None,
    until: datetime,
    days: int,
    visit_days: int,
    part: tuple[int, int],
    seed: int = 1,
) -> list[Path]:
    """Writes the past of the demo's town (`simulators.history`) and returns the CSV files."""
    from devices.town import load_town
    from simulators.config import Scenario, SimulatorConfig
    from simulators.history import write_files
    from simulators.towns import path

    try:
        config = SimulatorConfig("", 0, scenario=Scenario(scenario), origin=origin, seed=seed)
        written = write_files(folder, config, load_town(path()), until, days=days, visit_days=visit_days, part=part)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
    return [each.file for each in written]


@contextmanager
def _in_a_sentence(*expected: type[Exception]) -> Iterator[None]:
    """A room's own errors are written for people; the command line prints only ours."""
    try:
        yield
    except expected as error:
        raise StartError(str(error)) from error


def municipality_of(settings: Settings, dsn: str) -> str:
    """The code of the municipality that is meant: the one that is set, else the only one there is."""
    if settings.municipality is not None:
        return settings.municipality
    with connect(dsn, name="ingest") as conn:
        codes = [str(code) for (code,) in conn.execute("select code from municipality order by code")]
    if not codes:
        raise StartError("no municipality is registered yet: run `mimamori town apply` with the town's file")
    if len(codes) > 1:
        raise SettingError(f"MIMAMORI_MUNICIPALITY is needed: {', '.join(codes)} are registered")
    return codes[0]


def _kept_years(settings: Settings) -> dict[str, int]:
    """`passages_in=5,pressure=3` as years by observed property. SettingError where it is not that."""
    from devices.model import ObservedProperty

    known = [each.value for each in ObservedProperty]
    years = {}
    for part in filter(None, (settings.keep_years or "").replace(" ", "").split(",")):
        name, _, number = part.partition("=")
        if name not in known or not number.isdecimal() or not 1 <= int(number) <= 1000:
            raise SettingError(
                f"MIMAMORI_KEEP_YEARS must be like passages_in=5,pressure=3, and {part!r} is not: whole years "
                f"from 1 on, of {', '.join(known)}"
            )
        years[name] = int(number)
    return years


def _retention(settings: Settings) -> Retention:
    from store.retention import Retention

    def days(name: str) -> timedelta | None:
        """None: for ever."""
        n = getattr(settings, name)
        if n is None:
            return None
        if not _SHORTEST_DAYS <= n <= _LONGEST_DAYS:
            raise SettingError(f"{variable(name)} is {n}: it must be {_SHORTEST_DAYS} to {_LONGEST_DAYS} days")
        return timedelta(days=n)

    return Retention(days("quarantine_days"), days("raw_days"), days("raw_event_days"))


def _intake(settings: Settings) -> IntakeConfig | None:
    """The HTTP intake of the API: only where it has been given the rights to store what comes."""
    if settings.worker_dsn is None:
        return None
    from ingest.errors import IngestError
    from ingest.intake import IntakeConfig

    with _in_a_sentence(IngestError):
        return IntakeConfig(
            settings.worker_dsn, max_bytes=settings.intake_max_bytes, oldest=timedelta(days=settings.oldest_days)
        )


def _public_url(settings: Settings) -> str | None:
    url = settings.public_url
    if url is not None and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise SettingError(f"MIMAMORI_PUBLIC_URL must be an address such as https://mimamori.example.jp, not {url!r}")
    return None if url is None else url.rstrip("/")


def _mail(settings: Settings) -> MailConfig | None:
    from alerts.config import Encryption, MailConfig

    if settings.mail_host is None:
        return None
    try:
        encryption = Encryption(settings.mail_security)
    except ValueError as error:
        raise SettingError(
            f"MIMAMORI_MAIL_SECURITY must be {', '.join(Encryption)}, not {settings.mail_security!r}"
        ) from error
    return MailConfig(
        host=settings.mail_host,
        port=settings.mail_port,
        sender=settings.need("mail_from"),
        encryption=encryption,
        username=settings.mail_user,
        password=settings.mail_password,
    )
