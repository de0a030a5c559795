"""The outbox: everything decided goes out, once, in the end; by a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from structlog.testing import capture_logs

from alerts.channels import LogChannel, MailChannel, Notification
from alerts.config import Encryption, MailConfig
from alerts.outbox import MAX_ATTEMPTS, Dispatcher
from devices.clock import real_now
from store import connect
from store.feed import notified
from tests.alerts.gauge import START, STEP, Gauge


@dataclass
class Mailbox:
    """What a mail server got; refuses the recipients in `refused` with their code."""

    port: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    messages: list[tuple[str, EmailMessage]] = field(default_factory=list)
    taken: Callable[[], None] = field(default=lambda: None)  # with each message, before its sender hears of it

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: object) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages += [(address, message) for address in envelope.rcpt_tos]
        self.taken()
        return "250 OK"

    @property
    def config(self) -> MailConfig:
        return MailConfig("127.0.0.1", self.port, "mimamori@example.jp", Encryption.NONE)


class AnyPort(Controller):
    """A controller that takes the port it is given."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A real mail server in this process."""
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


@pytest.fixture
def waiting(gauge: Gauge) -> Gauge:
    """A raised alert of which two persons of the disaster desk are to be told."""
    gauge.user("disaster", "a@example.jp")
    gauge.user("disaster", "b@example.jp")
    gauge.send_series(2.1)
    gauge.evaluate(mail=True)
    return gauge


def send_all(gauge: Gauge, *channels: LogChannel | MailChannel) -> int:
    sent = 0
    with connect(gauge.town.worker, name="test") as conn:
        while Dispatcher(channels).send_next(conn):
            sent += 1
    return sent


def test_each_person_gets_one_mail_that_says_it_all(waiting: Gauge, mailbox: Mailbox) -> None:
    assert send_all(waiting, MailChannel(mailbox.config)) == 2
    assert send_all(waiting, MailChannel(mailbox.config)) == 0
    assert [address for address, _ in mailbox.messages] == ["a@example.jp", "b@example.jp"]
    message = mailbox.messages[0][1]
    subject, body = waiting.rows("select subject, body from outbox where recipient = 'a@example.jp'")[0]
    assert message["Subject"] == subject
    assert message["To"] == "a@example.jp"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().replace("\r\n", "\n") == body
    states = waiting.rows("select channel, sent_at is not null, attempts from outbox order by outbox_id")
    assert states == [("log", False, 0), ("mail", True, 1), ("mail", True, 1)]


def test_what_is_written_wakes_the_dispatcher_and_its_own_looking_does_not(waiting: Gauge) -> None:
    with connect(waiting.town.worker, name="test") as conn, connect(waiting.town.worker, name="test") as listener:
        listener.execute("listen outbox")
        listener.commit()
        dispatcher = Dispatcher([LogChannel()])
        while dispatcher.send_next(conn):
            pass
        assert dispatcher.fall_back(conn) == 0
        assert not notified(listener, threading.Event(), until=time.monotonic() + 0.2)
        waiting.send_series(2.6, start=START + STEP)
        waiting.evaluate(mail=True)
        assert notified(listener, threading.Event(), until=time.monotonic() + 20)


def test_a_message_id_is_the_rows_own_key_and_not_its_number(mailbox: Mailbox) -> None:
    """A restored database counts rows from an earlier number again: the new message must not pass for the old one."""
    channel = MailChannel(mailbox.config)
    for key in ("0b7c", "0b7c", "9a1e"):
        channel.send(Notification(7, "a@example.jp", "件名", "本文\n", key=key))
    assert [message["Message-ID"] for _, message in mailbox.messages] == [
        "<0b7c@example.jp>",
        "<0b7c@example.jp>",
        "<9a1e@example.jp>",
    ]


def test_a_server_that_is_down_delays_and_loses_nothing(waiting: Gauge, mailbox: Mailbox) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        down = MailConfig("127.0.0.1", closed.getsockname()[1], "mimamori@example.jp", Encryption.NONE)
        before = real_now()
        assert send_all(waiting, MailChannel(down)) == 2
    rows = waiting.rows("select attempts, sent_at, last_error, next_attempt_at from outbox where channel = 'mail'")
    for attempts, sent_at, error, next_attempt_at in rows:
        assert (attempts, sent_at) == (1, None)
        assert "ConnectionRefusedError" in error
        assert next_attempt_at >= before + timedelta(seconds=5)
    assert send_all(waiting, MailChannel(mailbox.config)) == 0, "not before its time"
    with connect(waiting.town.owner, name="test") as conn:
        conn.execute("update outbox set next_attempt_at = %s", (before,))
    assert send_all(waiting, MailChannel(mailbox.config)) == 2
    assert waiting.rows("select attempts, last_error from outbox where channel = 'mail'") == [(2, None)] * 2


def test_a_refused_address_is_given_up_and_does_not_hold_the_others(waiting: Gauge, mailbox: Mailbox) -> None:
    mailbox.refused["a@example.jp"] = "550 no such user"
    send_all(waiting, MailChannel(mailbox.config))
    assert [address for address, _ in mailbox.messages] == ["b@example.jp"]
    attempts, error, sent_at = waiting.rows(
        "select attempts, last_error, sent_at from outbox where recipient = 'a@example.jp'"
    )[0]
    assert (attempts, sent_at) == (MAX_ATTEMPTS, None)
    assert "550 no such user" in error


def test_a_mailbox_that_is_full_today_is_tried_again(waiting: Gauge, mailbox: Mailbox) -> None:
    mailbox.refused["a@example.jp"] = "452 mailbox full"
    send_all(waiting, MailChannel(mailbox.config))
    assert waiting.rows("select attempts from outbox where recipient = 'a@example.jp'") == [(1,)]


def test_an_address_that_cannot_even_be_written_holds_nobody_up(waiting: Gauge, mailbox: Mailbox) -> None:
    with connect(waiting.town.owner, name="test") as conn:
        conn.execute("update outbox set recipient = %s where recipient = 'a@example.jp'", ("a\nb@example.jp",))
    send_all(waiting, MailChannel(mailbox.config))
    assert [address for address, _ in mailbox.messages] == ["b@example.jp"]
    assert waiting.rows("select last_error is not null from outbox where channel = 'mail' order by outbox_id") == [
        (True,),
        (False,),
    ]


def test_two_dispatchers_send_each_row_once(waiting: Gauge, mailbox: Mailbox) -> None:
    waiting.send_series(*[2.1 + n / 4 for n in range(10)])
    waiting.evaluate(mail=True)
    (rows,) = waiting.rows("select count(*) from outbox where channel = 'mail'")[0]
    threads = [threading.Thread(target=send_all, args=(waiting, MailChannel(mailbox.config))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    identities = [message["Message-ID"] for _, message in mailbox.messages]
    assert len(identities) == len(set(identities)) == rows


def test_a_row_that_another_dispatcher_holds_is_left_to_it(waiting: Gauge, mailbox: Mailbox) -> None:
    with connect(waiting.town.worker, name="other") as other:
        other.execute("select from outbox where recipient = 'a@example.jp' for update")
        assert send_all(waiting, MailChannel(mailbox.config)) == 1
    assert [address for address, _ in mailbox.messages] == ["b@example.jp"]


def test_a_wrong_password_is_an_error_to_be_tried_again(waiting: Gauge, mailbox: Mailbox) -> None:
    """The server offers no authentication at all; the row says so."""
    locked = MailConfig("127.0.0.1", mailbox.port, "mimamori@example.jp", Encryption.NONE, "user", "secret")
    send_all(waiting, MailChannel(locked))
    rows = waiting.rows("select attempts, last_error from outbox where channel = 'mail'")
    assert [row[0] for row in rows] == [1, 1]
    assert all("SMTPNotSupportedError" in row[1] and "secret" not in row[1] for row in rows)


def test_a_server_without_tls_gets_no_mail_when_tls_is_asked_for(mailbox: Mailbox) -> None:
    config = MailConfig("127.0.0.1", mailbox.port, "mimamori@example.jp", Encryption.STARTTLS)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        MailChannel(config).send(Notification(1, "a@example.jp", "件名", "本文", key="0b7c"))
    assert mailbox.messages == []


def test_the_log_is_a_channel(waiting: Gauge) -> None:
    with capture_logs() as lines:
        assert send_all(waiting, LogChannel()) == 1
    assert waiting.rows("select sent_at is not null from outbox where channel = 'log'") == [(True,)]
    (line,) = lines
    assert (line["event"], line["recipient"]) == ("notification", "disaster")
    assert "美守橋水位観測所" in line["subject"]


SENDER = """
import sys
from alerts.channels import MailChannel
from alerts.config import Encryption, MailConfig
from alerts.outbox import Dispatcher
from store import connect
from store.feed import notified

print("up", flush=True)
sys.stdin.readline()
with connect(sys.argv[1], name="outbox") as conn:
    channel = MailChannel(MailConfig("127.0.0.1", int(sys.argv[2]), "mimamori@example.jp", Encryption.NONE))
    while Dispatcher([channel]).send_next(conn):
        pass
"""


def killed_while_sending(gauge: Gauge, mailbox: Mailbox) -> None:
    """A dispatcher of its own process, which dies when the mail server has its first message and has not said so."""
    command = [sys.executable, "-c", SENDER, gauge.town.worker, str(mailbox.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None and sender.stdin is not None
        assert sender.stdout.readline() == "up\n"
        mailbox.taken = sender.kill
        sender.stdin.write("\n")
        sender.stdin.flush()
        assert sender.wait(60) == -signal.SIGKILL
    mailbox.taken = lambda: None
    with connect(gauge.town.owner, name="test") as conn:  # the server has noticed that the session is gone
        while conn.execute("select from pg_locks where locktype = 'advisory'").fetchone():
            pass


def test_a_sender_that_is_killed_between_sending_and_noting_it_leads_to_one_repetition_that_says_so(
    waiting: Gauge, mailbox: Mailbox
) -> None:
    killed_while_sending(waiting, mailbox)
    assert waiting.rows("select begun_at is not null, sent_at from outbox where recipient = 'a@example.jp'") == [
        (True, None)
    ]
    assert send_all(waiting, MailChannel(mailbox.config)) == 2
    first, again, other = (message for _, message in mailbox.messages)
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert "再送" not in first["Subject"] and "再送" not in other["Subject"]
    assert again["Subject"] == f"【再送】{first['Subject']}" and "Sent again" in again.get_content()
    assert send_all(waiting, MailChannel(mailbox.config)) == 0


def test_after_a_second_death_in_the_same_moment_nothing_is_sent_a_third_time(waiting: Gauge, mailbox: Mailbox) -> None:
    for _ in range(2):
        killed_while_sending(waiting, mailbox)
    send_all(waiting, MailChannel(mailbox.config))
    assert [address for address, _ in mailbox.messages] == ["a@example.jp", "a@example.jp", "b@example.jp"]
    attempts, error = waiting.rows("select attempts, last_error from outbox where recipient = 'a@example.jp'")[0]
    assert attempts == MAX_ATTEMPTS and "not sent a third time" in error


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(MailConfig("h", 25, "a@b", username="u", password="secret"))
