"""Web push (RFC 8030): to a browser that its owner has allowed, by the push service that the browser named.

The contact's address is a name of the device for people; what stands behind it comes with the message
(`Notification.target`): the endpoint, the browser's keys, and the public key of ours that it was allowed for. What is
sent is encrypted for that browser, but its screen shows it to whoever looks: only what could be public goes out
(`alerts.public_words`).

An endpoint is an address that a browser gave us and our server calls: https only, never within the town hall's own
network unless the operator's file names the host. The addresses that are looked at are those that are connected to.

The push service keeps a message while the browser is away: what asks for an answer as long as its link lasts, what ends
or takes back something for four weeks, since it must reach whoever was told before. `Topic` is the message's own key:
a repetition replaces itself in the queue and nothing else. One topic an alert would lose messages: a try that is
repeated late would replace the newer word, in the worst case a correction.

What an answer means: as `alerts.channels_http`, but 404 and 410 are the end of the subscription, and 400, 401 and 403
our key's fault, not the recipient's.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
from datetime import timedelta
from urllib.parse import SplitResult

from alerts.answers import LASTS
from alerts.browsers import KIND, Subscription, SubscriptionFault, endpoint_parts
from alerts.channels import Gone, Notification, Undeliverable
from alerts.channels_http import NotTaken, Request, ask, judge
from alerts.config import PushConfig
from alerts.push_message import MOST_BYTES, KeyFault, Sender, encrypted
from devices.clock import real_now

# RFC 8030 5.2. The largest that the push services take.
_KEPT = timedelta(days=28)
_ENDS = frozenset({"lowered", "cleared", "retracted"})
_MOST_TITLE = 120
_CUT = "…"


class PushChannel:
    """Sends to push services. `public_key`: with it the pages ask a browser for its owner's leave."""

    kind = KIND
    # The topic replaces a repetition in the queue, and the browser's worker knows the keys that it has shown.
    knows_repetitions = True

    def __init__(self, name: str, config: PushConfig) -> None:
        self.name = name
        self._config = config
        self._sender = Sender(config.private_key, config.contact)
        self.public_key = self._sender.public_key

    def send(self, notification: Notification) -> None:
        config, to = self._config, _subscription(notification)
        if to.public_key != self.public_key:
            raise Gone("this browser was allowed for another key of ours: it has to be allowed anew")
        try:
            parts = _on_the_internet(endpoint_parts(to.endpoint), config.allowed_hosts)
            body = encrypted(message(notification), to.p256dh, to.auth)
        except (SubscriptionFault, KeyFault) as error:
            raise Undeliverable(str(error)) from error
        headers = {
            "Authorization": self._sender.authorization(to.endpoint, real_now()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(int((_KEPT if notification.event in _ENDS else LASTS).total_seconds())),
            "Urgency": "high" if notification.urgent else "normal",
            "Topic": notification.key.replace("-", "")[:32],
        }
        connection = _Checked(parts, config)
        answer = ask(Request("POST", to.endpoint, headers, body), config.timeout_seconds, connection)
        where = f"the push service {parts.hostname}"
        if answer.status in (404, 410):
            raise Gone(f"{where} answered {answer.status}: this device takes no messages any more")
        if answer.status in (400, 401, 403):
            raise NotTaken(f"{where} answered {answer.status} {answer.text}")
        judge(answer, where)


def message(notification: Notification) -> str:
    """What the browser's worker gets: key, title, body and where a tap leads, short enough to be sent."""
    title, _, rest = notification.brief.partition("\n")
    if len(title) > _MOST_TITLE:
        title, rest = title[:_MOST_TITLE], title[_MOST_TITLE:] + (f"\n{rest}" if rest else "")
    fields = {"key": notification.key, "title": title, "body": rest, "url": notification.answer_url}
    text = json.dumps(fields, ensure_ascii=False)
    while len(text.encode()) > MOST_BYTES:
        rest = rest[: len(rest) * 7 // 8]
        text = json.dumps({**fields, "body": rest + _CUT}, ensure_ascii=False)
    return text


def _on_the_internet(parts: SplitResult, allowed_hosts: frozenset[str]) -> SplitResult:
    host = parts.hostname or ""
    if host not in allowed_hosts and (parts.port not in (None, 443) or "." not in host or _literal(host)):
        raise SubscriptionFault(f"the endpoint's host {host} is no push service on the internet")
    return parts


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Checked(http.client.HTTPSConnection):
    """Connects to an address that was looked at, so that a name cannot mean another one a moment later."""

    def __init__(self, parts: SplitResult, config: PushConfig) -> None:
        context = ssl.create_default_context(cafile=config.ca_file)
        super().__init__(parts.hostname or "", parts.port, timeout=config.timeout_seconds, context=context)
        self._tls = context
        self._within = parts.hostname in config.allowed_hosts

    def connect(self) -> None:
        last: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            if not self._within and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
                raise Undeliverable(f"{self.host} is a machine of a private network, and not named in allowed_hosts")
            line = socket.socket(family, kind, protocol)
            line.settimeout(self.timeout)
            try:
                line.connect(address)
                self.sock = self._tls.wrap_socket(line, server_hostname=self.host)
                return
            except OSError as error:
                line.close()
                last = error
        raise last or OSError(f"{self.host} has no address")


def _subscription(notification: Notification) -> Subscription:
    """What stands behind the contact."""
    if not notification.target:
        raise Gone("this contact has no browser behind it: it has to be allowed anew")
    found = json.loads(notification.target)
    return Subscription(**{name: found[name] for name in Subscription.__dataclass_fields__})
