"""The monthly report by a real SMTP server: to each named person once, with its Excel file."""

from __future__ import annotations

import io
from datetime import datetime
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from alerts.channels import MailChannel
from alerts.outbox import Dispatcher
from alerts.report_letters import Reports
from analytics.visitors.reports.monthly import Letters
from devices.clock import FixedClock
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.test_outbox import Mailbox, mailbox  # noqa: F401 - a fixture

AT = datetime(2026, 6, 5, 9, tzinfo=ZoneInfo("Asia/Tokyo"))


@pytest.fixture
def named(gauge: Gauge) -> Gauge:
    """Two people of the tourism office, one of whom has no address, somebody who was not named, and three addresses."""
    for name in ("a@example.jp", "b@example.jp", ""):
        gauge.user("tourism", name)
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute(
            """
            insert into report_mail
                (municipality_id, name, kind, version, compared, day, hour, user_ids, address_ids, made_at, user_id)
            select %(town)s, '月報', 'monthly', 'all', true, 5, 9,
                   array_agg(user_id) filter (where email <> 'b@example.jp'), '{1,2,3}', %(since)s, min(user_id)
            from app_user where role = 'tourism'
            """,
            {"town": gauge.town.municipality_id, "since": datetime(2026, 5, 20, tzinfo=ZoneInfo("Asia/Tokyo"))},
        )
        conn.execute(
            """
            insert into report_address (municipality_id, name, email, made_at, made_by, ended_at, ended_by)
            select m.municipality_id, '商工会', email, now(), user_id, case when email like 'gone%%' then now() end,
                   case when email like 'gone%%' then user_id end
            from municipality m, (select min(user_id) as user_id from app_user) u,
                 unnest(array['c@chamber.example.jp', 'gone@chamber.example.jp', 'A@example.jp']) as email
            where m.municipality_id = %s
            """,
            (gauge.town.municipality_id,),
        )
    return gauge


def test_a_month_is_mailed_once_to_who_was_named(named: Gauge, mailbox: Mailbox) -> None:  # noqa: F811
    clock = FixedClock(AT)
    for _ in range(3):
        with connect(named.town.worker, name="test") as conn:
            Letters(clock).look(conn)
            Reports(clock, mail=True).look(conn)
            conn.commit()
            while Dispatcher([MailChannel(mailbox.config)]).send_next(conn):
                pass
    # an account and an address of the office's list; who is both gets one, an address that has ended none
    assert sorted(address.lower() for address, _ in mailbox.messages) == ["a@example.jp", "c@chamber.example.jp"]
    message = mailbox.messages[0][1]
    assert "2026年5月" in message["Subject"] and "月報" in message["Subject"]
    body = message.get_body()
    assert isinstance(body, EmailMessage) and "延べ" in body.get_content() and "見守" in body.get_content()
    (file,) = message.iter_attachments()
    assert file.get_filename() == "visits_monthly_202605.xlsx"
    assert "spreadsheetml" in file.get_content_type()
    book = openpyxl.load_workbook(io.BytesIO(file.get_content()))
    assert book.worksheets[0]["A1"].value == "【模擬】月別 観光地点の延べ人数"


def test_without_mail_the_log_says_it_and_the_letter_stays(named: Gauge) -> None:
    clock = FixedClock(AT)
    with connect(named.town.worker, name="test") as conn:
        assert (Letters(clock).look(conn), Reports(clock).look(conn), Reports(clock).look(conn)) == (1, 1, 0)
    assert named.rows("select channel, recipient from outbox where report_letter_id is not null") == [
        ("log", "tourism")
    ]
