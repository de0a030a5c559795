"""Channels: how one notification reaches one recipient. `send` returns when it is handed over, or raises.

A channel tells apart two kinds of failure: `Undeliverable` (this recipient will never get it: do not try again) and
anything else it raises (try again later).
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Protocol

import structlog

from alerts.config import Encryption, MailConfig

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Notification:
    """One row of the outbox. `outbox_id` identifies it wherever it is repeated."""

    outbox_id: int
    recipient: str
    subject: str
    body: str


class Undeliverable(Exception):
    """The recipient will never get it: the address is refused for good."""


class Channel(Protocol):
    """A way to a person."""

    name: str

    def send(self, notification: Notification) -> None: ...


class LogChannel:
    """Writes one structured log line: all that a simulated town may do, and the proof that a real one tried."""

    name = "log"

    def send(self, notification: Notification) -> None:
        log.info(
            "notification",
            outbox_id=notification.outbox_id,
            recipient=notification.recipient,
            subject=notification.subject,
        )


class MailChannel:
    """Plain-text mail by the town's own server, one message a recipient.

    A repeated delivery carries the same Message-ID, by which most mail programs show it once.
    """

    name = "mail"

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    def send(self, notification: Notification) -> None:
        config = self._config
        message = EmailMessage()
        message["From"] = config.sender
        message["To"] = notification.recipient
        message["Subject"] = notification.subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<outbox-{notification.outbox_id}@{config.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
        message.set_content(notification.body)
        try:
            with self._connected() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            if 500 <= code < 600:
                raise Undeliverable(f"{code} {reply.decode(errors='replace')}") from error
            raise

    def _connected(self) -> smtplib.SMTP:
        config = self._config
        server: smtplib.SMTP
        if config.encryption is Encryption.TLS:
            server = smtplib.SMTP_SSL(
                config.host, config.port, timeout=config.timeout_seconds, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(config.host, config.port, timeout=config.timeout_seconds)
        try:
            if config.encryption is Encryption.STARTTLS:
                server.starttls(context=ssl.create_default_context())
            if config.username is not None:
                server.login(config.username, config.password or "")
        except BaseException:
            server.close()
            raise
        return server
