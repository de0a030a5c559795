"""A message through apprise: Slack, Teams, Matrix and many other services, each by an address in apprise's own form.

An extra (`requirements-apprise.lock`), as it brings an HTTP library of its own: it follows redirects and the machine's
proxies, which the other channels do not. Nearly all that it reaches is somebody else's machine: only what could be
public goes out (`alerts.public_words`).

apprise answers yes or no. Whether a message may have arrived all the same is read from what it logs: a status of the
other side as `alerts.channels_http` takes it, a line that broke after the request as unsure, anything else as not
taken. What it logs may hold the address with its secrets, so only its warnings are passed on.
"""

from __future__ import annotations

import logging
import re
from string import Template
from urllib.parse import quote

from alerts.channels import REPEATED, Notification, Undeliverable, Unsure
from alerts.channels_http import Answer, NotTaken, judge
from alerts.config import AppriseConfig
from alerts.public_words import with_link

_STATUS = re.compile(r"error=(\d{3})\b")
_NOT_SENT = re.compile("refused|NewConnectionError|NameResolution|ConnectTimeout|SSLError|Errno -[235]")


class AppriseChannel:
    """Sends through apprise. `address`: what stands for ${address} in the address of the service, if anything does."""

    kind = "apprise"
    knows_repetitions = False

    def __init__(self, name: str, config: AppriseConfig) -> None:
        self.name = name
        self._config = config

    def send(self, notification: Notification) -> None:
        import apprise  # the extra; whoever names this kind without it is told so when the file is read

        service = apprise.Apprise()
        if not service.add(Template(self._config.url).substitute(address=quote(notification.recipient, safe=""))):
            raise Undeliverable(f"{self.name}: apprise knows no such service, or the address does not fit it")
        again = f"{REPEATED}\n" if notification.repeated else ""
        with _Heard() as heard:
            taken = service.notify(body=again + with_link(notification.brief, notification.answer_url))
        if not taken:
            heard.judge(self.name)


class _Heard(logging.Handler):
    """What apprise logs while it sends."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._texts: list[tuple[int, str]] = []
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append((record.levelno, record.getMessage()))

    def __enter__(self) -> _Heard:
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.DEBUG)
        self._logger.propagate = False  # its debug lines hold secrets
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before

    def judge(self, name: str) -> None:
        """Raises as `alerts.channels` says."""
        said = "; ".join(text for level, text in self._texts if level >= logging.WARNING)
        everything = "\n".join(text for _, text in self._texts)
        status = _STATUS.search(said)
        if status is not None:
            judge(Answer(int(status[1]), None, said), name)
        if "Connection error" in said and not _NOT_SENT.search(everything):
            raise Unsure(f"{name}: {said}")
        raise NotTaken(f"{name}: {said or 'apprise did not send it'}")
