"""LINE Messaging API: one push message to one person, by the user id that the town's official account knows.

Every request carries the row's own X-Line-Retry-Key. LINE takes a key once in 24 hours and answers 409 to its
repetition: then the message is there, so 409 is success. Timeouts and 5xx are repeated with the same key; 4xx are not,
but for 429 (too many) and 401/403 (our token), which are nobody's fault who should be told. A message goes to one
person each, not by multicast: each has a link of its own.

Only what could be public goes out here (`alerts.public_words`): LINE is somebody else's machine.
"""

from __future__ import annotations

import json

from alerts.channels import Notification
from alerts.channels_http import Request, ask, judge
from alerts.config import LineConfig
from alerts.public_words import with_link

_TEXT = 5000  # letters of a text message


class LineChannel:
    """Push messages. `address`: "U" and 32 hexadecimal digits."""

    kind = "line"
    knows_repetitions = True

    def __init__(self, name: str, config: LineConfig) -> None:
        self.name = name
        self._config = config

    def send(self, notification: Notification) -> None:
        text = with_link(notification.brief, notification.answer_url)[:_TEXT]
        body = {"to": notification.recipient, "messages": [{"type": "text", "text": text}]}
        headers = {
            "Authorization": f"Bearer {self._config.token}",
            "Content-Type": "application/json",
            "X-Line-Retry-Key": notification.key,
        }
        url = f"{self._config.base_url}/v2/bot/message/push"
        answer = ask(
            Request("POST", url, headers, json.dumps(body, ensure_ascii=False).encode()), self._config.timeout_seconds
        )
        if answer.status != 409:
            judge(answer, "LINE")
