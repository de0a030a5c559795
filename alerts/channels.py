"""Channels: how one notification reaches one recipient. `send` returns when it is handed over, or raises.

A channel tells failures apart::

  Undeliverable   this recipient will never get it: do not try again
    Gone          nor anything else: this way to them is over, and is said so wherever it stands
  Unsure          the line broke after it was handed over: it may have arrived
  Busy            not now; `pause` where the other side said for how long
  anything else   it did not arrive: try again later
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formatdate
from typing import Protocol

import structlog

from alerts.config import Encryption, MailConfig

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file; `media_type` such as text/csv."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notification:
    """One row of the outbox. `outbox_id` and `key` (a UUID that no other message ever has, also not after a restore)
    identify it wherever it is repeated; `repeated`: it may have arrived before, and must say so. `brief`: the text that
    could be public, for channels that are somebody else's; `spoken`: the same for ears. `answer_url`: where the
    recipient says that they have seen it. `event`, `level` and `mode` of the step it tells of, for lamps and relays:
    raised, escalated, lowered, told, called, cleared, or test and letter, which are no steps; 1 to 5 where it has a
    level; actual, exercise or test. `urgent`: of the two highest levels, or of a rule that says to act at once.
    `target`: what stands behind the recipient where that is only a name for people (`alerts.channels_push`).
    `attachment`: a file that goes with it, by mail only.
    """

    outbox_id: int
    recipient: str
    subject: str
    body: str
    repeated: bool = False
    brief: str = ""
    spoken: str = ""
    key: str = ""
    answer_url: str | None = None
    event: str = ""
    level: int | None = None
    mode: str = "actual"
    urgent: bool = False
    target: str = field(default="", repr=False)
    attachment: Attachment | None = None


class Undeliverable(Exception):
    """The recipient will never get it: the address is refused for good."""


class Gone(Undeliverable):
    """There is no such recipient any more, for no message."""


class Unsure(Exception):
    """It was handed over and nobody answered: it may have arrived."""


class Busy(Exception):
    """The other side wants to be left alone for a while (`pause` None: it did not say for how long)."""

    def __init__(self, text: str, pause: timedelta | None = None) -> None:
        super().__init__(text)
        self.pause = pause


class Channel(Protocol):
    """A way to a person. `name` is what contacts and the outbox call it, `kind` says what an address looks like (`log`
    has none). `knows_repetitions`: the other side drops what it was given before, by its key.
    """

    name: str
    kind: str
    knows_repetitions: bool

    def send(self, notification: Notification) -> None: ...


# What a message that may have arrived before says of itself.
REPEATED = "（再送：先に同じ内容が届いている場合があります。Sent again: you may have received this before.）"


class LogChannel:
    """Writes one structured log line: all that a simulated town may do, and the proof that a real one tried."""

    name = kind = "log"
    knows_repetitions = True

    def send(self, notification: Notification) -> None:
        log.info(
            "notification",
            outbox_id=notification.outbox_id,
            recipient=notification.recipient,
            subject=notification.subject,
        )


class MailChannel:
    """Plain-text mail by the town's own server, one message a recipient, with its file where it has one.

    A repeated delivery carries the same Message-ID, by which most mail programs show it once, and says so itself.
    """

    name = kind = "mail"
    knows_repetitions = False

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    def send(self, notification: Notification) -> None:
        config = self._config
        message = EmailMessage()
        message["From"] = config.sender
        message["To"] = notification.recipient
        message["Subject"] = f"【再送】{notification.subject}" if notification.repeated else notification.subject
        message["Date"] = formatdate()
        # The row's own UUID: the same for every try of a message, and of no other one. The number of a row is not that:
        # after a restore it counts from an earlier one again, and mail programs would hide the new message as known.
        message["Message-ID"] = f"<{notification.key}@{config.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
        again = f"{REPEATED}\n\n" if notification.repeated else ""
        message.set_content(f"{again}{notification.body}{_answering(notification.answer_url)}")
        if (file := notification.attachment) is not None:
            maintype, _, subtype = file.media_type.partition("/")
            message.add_attachment(file.content, maintype=maintype, subtype=subtype, filename=file.name)
        try:
            with self._connected() as server:
                _hand_over(server, message)
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


def _answering(url: str | None) -> str:
    if url is None:
        return ""
    return f"\n確認（サインイン不要・12時間有効）／ To acknowledge (no sign-in, 12 hours):\n{url}\n"


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
    """Raises `Unsure` where the line broke after the server had the recipient: it may have taken the message."""
    try:
        server.send_message(message)
    except (smtplib.SMTPServerDisconnected, TimeoutError, ConnectionError) as error:
        raise Unsure(f"{type(error).__name__}: {error}") from error
