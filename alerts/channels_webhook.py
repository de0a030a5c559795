"""A signed webhook: the notification as JSON to another system of the town.

    X-Mimamori-Signature: t=1780275000,v1=HEX      HMAC-SHA256 of "t." and the body, with the shared secret
    Idempotency-Key: UUID                          the same for every repetition of a message

The receiver checks the signature over the bytes it got, refuses a time too far from its own, and drops a key that it
has had. What an answer means: `alerts.channels_http`.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from alerts.channels import Notification
from alerts.channels_http import Request, ask, judge
from alerts.config import WebhookConfig
from devices.clock import real_now


class WebhookChannel:
    """Posts to the one address of its configuration; the contact's address says whom the receiver should tell."""

    kind = "webhook"
    knows_repetitions = True

    def __init__(self, name: str, config: WebhookConfig) -> None:
        self.name = name
        self._config = config

    def send(self, notification: Notification) -> None:
        body = json.dumps(
            {
                "key": notification.key,
                "recipient": notification.recipient,
                "subject": notification.subject,
                "body": notification.body,
                "brief": notification.brief,
                "spoken": notification.spoken,
                "answer_url": notification.answer_url,
            },
            ensure_ascii=False,
        ).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": notification.key,
            "X-Mimamori-Signature": signature(self._config.secret, int(real_now().timestamp()), body),
        }
        judge(ask(Request("POST", self._config.url, headers, body), self._config.timeout_seconds), self.name)


def signature(secret: str, seconds: int, body: bytes) -> str:
    """The header of a body sent at `seconds` since 1970.

    >>> signature("s3cret", 1780275000, b"{}")[:29]
    't=1780275000,v1=11a17e116458c'
    """
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
