"""The report of a month as a letter: on the day and hour that the office has set, of the month before, with its file.

    Letters(clock).look(conn)   writes what is due; the alerts process mails it (`alerts.report_letters`)
    due(day, hour, zone, now)   the month (its first day) whose report is due now: pure

A month is written once, whoever looks and however often (the unique key of `report_letter`). Where nobody looked at the
hour, because the machine was off, it is written as soon as somebody does, until the month is over: late, not lost.
A letter that was set up, or put on again, after this month's hour begins with the next month; one that rests is not
written. A trial is written at once, of the month before, and says in its subject that it is one.
"""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import structlog

from analytics.visitors.reports import kept, words
from analytics.visitors.reports.building import report
from analytics.visitors.reports.cells import Asked, Place, Report, month_name
from analytics.visitors.reports.compare import Way
from analytics.visitors.reports.counting import Version
from analytics.visitors.reports.mails import Mail, mails
from analytics.visitors.reports.periods import days_of, year_of
from analytics.visitors.reports.tables import month_cells
from analytics.visitors.reports.workbook import workbook
from devices.clock import Clock
from store import Connection, connect

NAME = "reports"
_LOOK_SECONDS = 30.0
_RECONNECT_SECONDS = 2.0

log = structlog.get_logger(__name__)


def due(day: int, hour: int, zone: ZoneInfo, now: datetime, since: datetime) -> date | None:
    """The month whose report is due: the one before, from this hour on; None where it is not, or where the letter was
    set up (`since`) after it.

    >>> from datetime import UTC
    >>> tokyo, since = ZoneInfo("Asia/Tokyo"), datetime(2026, 5, 20, tzinfo=UTC)
    >>> due(5, 9, tokyo, datetime(2026, 6, 5, 0, 0, tzinfo=UTC), since)
    datetime.date(2026, 5, 1)
    >>> due(5, 9, tokyo, datetime(2026, 6, 4, 23, 59, tzinfo=UTC), since)
    >>> due(5, 9, tokyo, datetime(2026, 6, 20, tzinfo=UTC), datetime(2026, 6, 19, tzinfo=UTC))
    """
    local = now.astimezone(zone)
    at = datetime(local.year, local.month, day, hour, tzinfo=zone)
    if now < at or since > at:
        return None
    return _month_before(local)


def _month_before(local: datetime) -> date:
    return (local.date().replace(day=1) - timedelta(days=1)).replace(day=1)


def asked_of(
    mail: Mail, places: list[Place], settings: kept.Settings, month: date, at: datetime, *, simulated: bool
) -> Asked:
    """What a letter's report lists. `at` is local."""
    chosen = [each for each in places if mail.spot_ids is None or each.spot_id in mail.spot_ids]
    return Asked(
        mail.kind,
        tuple(chosen),
        month,
        year_of(month, settings.year_kind),
        1,
        tuple(Way) if mail.compared else (),
        mail.version,
        settings.year_kind,
        settings.most_missing,
        # what is over: of the running year no more than the month that is reported
        min(days_of(month)[-1], at.date() - timedelta(days=1)),
        at,
        simulated=simulated,
    )


class Letters:
    """Writes the letters."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def look(self, conn: Connection) -> int:
        """Writes every letter that is due and was not written; how many. The caller commits."""
        conn.execute("select pg_advisory_xact_lock(hashtext('analytics report letters'))")
        now = self._clock.now()
        written = 0
        for municipality_id, town, timezone in conn.execute(
            "select municipality_id, name, timezone from municipality order by municipality_id"
        ).fetchall():
            zone = ZoneInfo(timezone)
            for mail in mails(conn, municipality_id):
                local = now.astimezone(zone)
                if mail.trial is not None:
                    self._write(conn, municipality_id, town, mail, _month_before(local), local, trial=mail.trial)
                    written += 1
                month = None if mail.off_at is not None else due(mail.day, mail.hour, zone, now, mail.since)
                if month is None or _written(conn, mail, month):
                    continue
                self._write(conn, municipality_id, town, mail, month, local)
                written += 1
        return written

    def _write(
        self,
        conn: Connection,
        municipality_id: int,
        town: str,
        mail: Mail,
        month: date,
        at: datetime,
        *,
        trial: int | None = None,
    ) -> None:
        places = kept.places(conn, municipality_id, month)
        asked = asked_of(mail, places, kept.settings(conn, municipality_id), month, at, simulated=self._clock.simulated)
        made = report(conn, municipality_id, town, asked)
        subject = words.text("mail.subject", "ja", town=town, month=month_name(asked, month), name=mail.name)
        if trial is not None:
            subject = words.text("mail.trial", "ja", subject=subject)
        if self._clock.simulated:
            subject = f"【模擬】{subject}"
        conn.execute(
            """
            insert into report_letter
                (municipality_id, report_mail_id, month, written_at, subject, body, file_name, file,
                 report_mail_test_id)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                municipality_id,
                mail.mail_id,
                month,
                at,
                subject,
                body(made, subject),
                f"visits_{mail.kind.value}_{month:%Y%m}.xlsx",
                workbook(made),
                trial,
            ),
        )

    def run(self, dsn: str, clock: Clock, stop: threading.Event) -> None:
        """Looks until `stop` is set; reconnects for as long as that takes."""
        while not stop.is_set():
            try:
                with connect(dsn, name=NAME) as conn:
                    while not stop.is_set():
                        self.look(conn)
                        conn.commit()
                        stop.wait(min(_LOOK_SECONDS, max(1.0, 3600.0 / clock.speed)))
            except psycopg.OperationalError as error:
                log.warning("database_lost", consumer=NAME, error=str(error).strip())
                stop.wait(_RECONNECT_SECONDS)


def body(made: Report, subject: str) -> str:
    """The letter: what it is, the month's sums in words, and that the file has the rest."""
    asked = made.asked
    say = asked.say
    version = "mail.published" if asked.version is Version.PUBLISHED else "mail.confirmed"
    version = "mail.provisional" if made.provisional else version
    lines = [subject, "", say("mail.body", month=month_name(asked, asked.month)), say(version), ""]
    for name, cell in month_cells(made):
        more = [part for part in (cell.marks, cell.note) if part]
        lines.append(f"・{name}：{cell.text}" + (f"（{' '.join(more)}）" if more else ""))
    lines += [""] if lines[-1] else []
    lines += [f"{head}：{said}" for head, said in made.notes[:4]]
    return "\n".join([*lines, "", say("mail.end"), ""])


def _written(conn: Connection, mail: Mail, month: date) -> bool:
    row = conn.execute(
        "select from report_letter where report_mail_id = %s and month = %s and report_mail_test_id is null",
        (mail.mail_id, month),
    ).fetchone()
    return row is not None


def follow(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """The thread of the analytics process."""
    Letters(clock).run(dsn, clock, stop)
