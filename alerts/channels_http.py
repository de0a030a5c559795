"""HTTP requests of channels, and a channel that is a template: SMS and voice services, lamps and relays, chat systems.

    answer = ask(Request("POST", url, headers, body), timeout_seconds)
    judge(answer, where)          returns where the other side took it, raises as `alerts.channels` says where not

No redirect is followed and no proxy asked: a request goes where the operator's file says, or nowhere. An address in it
is quoted for where it stands (URL, JSON, form), so that a telephone number can be no more than that.

What an answer means: 2xx taken; 429 and 503 not now (Retry-After is kept); 400, 404, 410, 413, 422 this recipient
never; other 4xx (a wrong token, say) and 3xx not taken, try later; other 5xx, or no answer after the request was
written, nobody knows.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from string import Template
from urllib.parse import quote, quote_plus, urlsplit

from alerts.channels import REPEATED, Busy, Notification, Undeliverable, Unsure
from alerts.config import TemplateConfig

_NEVER = frozenset({400, 404, 410, 413, 422})
_LONGEST_PAUSE = timedelta(hours=1)
_SHOWN = 300  # letters of an answer that go into the row of the outbox


class NotTaken(Exception):
    """The other side refused it for a reason that is not the recipient: try again later."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be written."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    retry_after: str | None
    text: str


def ask(request: Request, timeout_seconds: float, connection: http.client.HTTPConnection | None = None) -> Answer:
    """Sends it, by a connection of the caller's own where there is one. Raises OSError while nothing was sent yet,
    `Unsure` after that.
    """
    parts = urlsplit(request.url)
    connection = connection or _connection(parts.scheme, parts.hostname or "", parts.port, timeout_seconds)
    try:
        connection.connect()
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(request.method, path, request.body, dict(request.headers))
            response = connection.getresponse()
            text = response.read(_SHOWN * 4).decode("utf-8", errors="replace")[:_SHOWN]
        except (OSError, http.client.HTTPException) as error:
            raise Unsure(f"{type(error).__name__}: {error}") from error
        return Answer(response.status, response.headers.get("Retry-After"), text)
    finally:
        connection.close()


def judge(answer: Answer, where: str) -> None:
    """Raises as `alerts.channels` says, with the status and the beginning of the answer; `where` names the channel."""
    said = f"{where} answered {answer.status} {answer.text}".strip()
    if 200 <= answer.status < 300:
        return
    if answer.status in (429, 503):
        raise Busy(said, _pause(answer.retry_after))
    if answer.status in _NEVER:
        raise Undeliverable(said)
    if answer.status >= 500:
        raise Unsure(said)
    raise NotTaken(said)


class TemplateChannel:
    """Fills a request that the operator has written down. Placeholders: ${address} ${subject} ${body} ${brief}
    ${spoken} ${answer_url} ${key} ${secret} ${event} ${level} ${mode}.

    Where the service knows a repetition by ${key}, the file says so; else what may have arrived says that it is
    sent again.
    """

    kind = "http"

    def __init__(self, name: str, config: TemplateConfig) -> None:
        self.name = name
        self.knows_repetitions = config.knows_repetitions
        self._config = config

    def send(self, notification: Notification) -> None:
        judge(ask(self.request(notification), self._config.timeout_seconds), self.name)

    def request(self, notification: Notification) -> Request:
        """The request for one notification."""
        config = self._config
        values = filled(notification, config.secret)
        headers = {name: Template(text).substitute(values) for name, text in config.headers.items()}
        if any("\n" in text or "\r" in text for text in headers.values()):
            raise Undeliverable(f"{self.name}: a header of the request would have more than one line")
        in_url = {name: quote(text, safe="") for name, text in values.items()}
        content = next((text for name, text in config.headers.items() if name.lower() == "content-type"), "")
        in_body = {name: _quoted(text, content) for name, text in values.items()}
        url, body = Template(config.url).substitute(in_url), Template(config.body).substitute(in_body)
        return Request(config.method, url, headers, body.encode())


def filled(notification: Notification, secret: str | None) -> dict[str, str]:
    """The texts that placeholders stand for, by their names."""
    again = f"{REPEATED}\n" if notification.repeated else ""
    return {
        "address": notification.recipient,
        "subject": again + notification.subject,
        "body": again + notification.body,
        "brief": again + notification.brief,
        "spoken": again + (notification.spoken or notification.brief),
        "answer_url": notification.answer_url or "",
        "key": notification.key,
        "secret": secret or "",
        "event": notification.event,
        "level": "" if notification.level is None else str(notification.level),
        "mode": notification.mode,
    }


def _quoted(text: str, content_type: str) -> str:
    if "json" in content_type:
        return json.dumps(text, ensure_ascii=False)[1:-1]
    return quote_plus(text) if "urlencoded" in content_type else text


def _connection(scheme: str, host: str, port: int | None, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _pause(retry_after: str | None) -> timedelta | None:
    """Seconds only: a date would need the other side's clock."""
    if retry_after is None or not retry_after.strip().isdigit():
        return None
    return min(timedelta(seconds=min(int(retry_after), 10**6)), _LONGEST_PAUSE)
