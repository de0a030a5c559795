"""Web push, against a real push service of this machine over TLS, read with the browser's own keys."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from alerts import push_message
from alerts.channels import Busy, Gone, Notification, Undeliverable, Unsure
from alerts.channels_config import channel_of, read_channels
from alerts.channels_http import NotTaken
from alerts.channels_push import PushChannel, message
from alerts.config import PushConfig
from alerts.errors import ChannelFileError
from devices.clock import real_now
from mimamori.push_key import make
from tests.alerts.push_service import CURVE, Device, PushService, claims, push_service, read, written

KEY = push_message.new_key()
NOTE = Notification(
    7, "Android Chrome #1", "件名", "庁内だけの本文",
    brief="【美守町】美守橋 2.31m\n美守町設置センサーの観測値（参考・速報値）",
    key=str(uuid4()), answer_url="https://town.example.jp/answer/x", event="raised", level=3,
)  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with push_service(tmp_path) as running:
        yield running


@pytest.fixture
def channel(service: PushService) -> PushChannel:
    config = PushConfig(KEY, "mailto:bousai@example.jp", frozenset({"127.0.0.1"}), service.ca_file, 5)
    return PushChannel("push", config)


def to(device: Device, channel: PushChannel, note: Notification = NOTE) -> Notification:
    return replace(note, target=json.dumps({**device.fields(channel.public_key), "contact_id": 1}))


def test_the_example_of_the_standard_comes_out_byte_by_byte() -> None:
    """RFC 8291, section 5 and appendix A."""
    number = int.from_bytes(read("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
    made = push_message._sealed(
        b"When I grow up, I want to be a watermelon",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
        read("DGv6ra1nlYgDCS1FRnbzlw"),
        ec.derive_private_key(number, CURVE),
    )
    assert written(made) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_browser_reads_what_could_be_public_and_nobody_else_reads_anything(
    service: PushService, channel: PushChannel
) -> None:
    device = service.device()
    channel.send(to(device, channel))
    (request,) = service.requests
    assert device.opened(request.body) == {
        "key": NOTE.key,
        "title": "【美守町】美守橋 2.31m",
        "body": "美守町設置センサーの観測値（参考・速報値）",
        "url": "https://town.example.jp/answer/x",
    }
    assert "庁内".encode() not in request.body and "美守".encode() not in request.body
    with pytest.raises(InvalidTag):
        service.device("another").opened(request.body)
    said, key = claims(request)
    assert key == channel.public_key and said["aud"] == service.url and said["sub"] == "mailto:bousai@example.jp"
    assert 0 < said["exp"] - real_now().timestamp() <= 86_400
    assert request.headers["TTL"] == str(12 * 3600) and request.headers["Urgency"] == "normal"
    # its own repetition alone: never another message, least of all a correction
    assert request.headers["Topic"] == NOTE.key.replace("-", "") and len(request.headers["Topic"]) <= 32


def test_what_ends_or_takes_back_something_is_kept_for_weeks_and_what_is_urgent_says_so(
    service: PushService, channel: PushChannel
) -> None:
    for event in ("lowered", "cleared", "retracted"):
        channel.send(to(service.device(), channel, replace(NOTE, event=event, key=str(uuid4()))))
        assert service.requests[-1].headers["TTL"] == str(28 * 86_400)
    channel.send(to(service.device(), channel, replace(NOTE, urgent=True)))
    assert service.requests[-1].headers["Urgency"] == "high"
    assert len({each.headers["Topic"] for each in service.requests}) == 4


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, Gone),
        (410, Gone),
        (413, Undeliverable),
        (400, NotTaken),
        (403, NotTaken),
        (429, Busy),
        (503, Busy),
        (502, Unsure),
        (None, Unsure),
        (302, NotTaken),
    ],
)
def test_what_a_push_service_answers_is_told_apart(
    service: PushService, channel: PushChannel, status: int | None, error: type[Exception]
) -> None:
    service.failures = [status]
    with pytest.raises(error, match="RemoteDisconnected" if status is None else str(status)) as raised:
        channel.send(to(service.device(), channel))
    assert type(raised.value) is error
    if isinstance(raised.value, Busy):
        assert raised.value.pause == timedelta(seconds=90)
    assert "/push/one" not in str(raised.value), "an endpoint is a capability: it stands in no log"


def test_a_service_that_takes_it_and_never_answers_leaves_a_doubt(service: PushService) -> None:
    release = threading.Event()

    def never(_: object) -> None:
        release.wait(30)

    service.rule = never
    config = PushConfig(KEY, "mailto:b@example.jp", frozenset({"127.0.0.1"}), service.ca_file, 0.3)
    channel = PushChannel("push", config)
    try:
        with pytest.raises(Unsure, match=r"timed out|Timeout"):
            channel.send(to(service.device(), channel))
    finally:
        release.set()


def test_a_browser_that_was_allowed_for_another_key_is_told_apart_before_anything_is_sent(
    service: PushService, channel: PushChannel
) -> None:
    other = push_message.Sender(push_message.new_key(), "mailto:b@example.jp")
    with pytest.raises(Gone, match="another key"):
        channel.send(replace(NOTE, target=json.dumps(service.device().fields(other.public_key))))
    with pytest.raises(Gone, match="no browser"):
        channel.send(NOTE)
    assert service.requests == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.org/1",
        "https://127.0.0.1/1",
        "https://[::1]/1",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/1",
        "https://database:5432/1",
        "https://push.example.org:8443/1",
        "https://user@push.example.org/1",
        "https://push.example.org/ 1",
        "https://push.example.org/\r\nX: 1",
        "https://push.example.org/" + "x" * 1000,
        "file:///etc/passwd",
        "https://[::1/1",
        "",
    ],
)
def test_an_address_that_is_no_push_service_of_the_internet_is_not_called(endpoint: str) -> None:
    channel = PushChannel("push", PushConfig(KEY, "mailto:b@example.jp"))
    with pytest.raises(Undeliverable):
        channel.send(to(Device(endpoint), channel))


def test_a_name_that_leads_into_the_private_network_is_not_called_either(
    service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server is somebody else's: here it says what a malicious one would."""
    port = int(service.url.rpartition(":")[2])
    for address in ("127.0.0.1", "10.0.0.5", "192.168.1.9", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.5"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        answer = [(family, socket.SOCK_STREAM, 6, "", (address, port))]
        monkeypatch.setattr("alerts.channels_push.socket.getaddrinfo", lambda *_, answer=answer, **__: answer)
        channel = PushChannel("push", PushConfig(KEY, "mailto:b@example.jp", ca_file=service.ca_file))
        with pytest.raises(Undeliverable, match="private network"):
            channel.send(to(Device("https://push.example.org/1"), channel))
    assert service.requests == []


def test_a_certificate_of_nobody_we_know_is_refused_before_anything_is_sent(service: PushService) -> None:
    channel = PushChannel("push", PushConfig(KEY, "mailto:b@example.jp", frozenset({"127.0.0.1"}), None, 5))
    with pytest.raises(OSError, match=r"(?i)certificate"):
        channel.send(to(service.device(), channel))
    assert service.requests == []


def test_a_long_text_is_cut_and_fits(service: PushService, channel: PushChannel) -> None:
    device = service.device()
    for brief in ("題\n" + "長" * 5000, "長" * 5000, "題\n" + '"\\\n' * 3000):
        channel.send(to(device, channel, replace(NOTE, brief=brief)))
        found = device.opened(service.requests[-1].body)
        assert found["body"].endswith("…") and len(found["body"]) > 300 and found["url"] == NOTE.answer_url
    assert len(message(NOTE).encode()) < 600


def test_the_key_is_made_once_and_the_file_of_channels_names_it(tmp_path: Path) -> None:
    key = tmp_path / "webpush_key"
    assert "made" in make(key) and key.stat().st_mode & 0o077 == 0
    before = key.read_text("utf-8")
    assert "nothing changed" in make(key) and key.read_text("utf-8") == before
    path = tmp_path / "channels.yaml"
    line = f"push: {{kind: webpush, key_file: {key}, contact: 'mailto:b@example.jp', allowed_hosts: [push.lan]}}\n"
    path.write_text(line, "utf-8")
    (config,) = read_channels(path).values()
    assert isinstance(config, PushConfig) and config.allowed_hosts == {"push.lan"}
    assert before.strip() not in repr(config)
    found = channel_of("push", config)
    assert found.kind == "webpush" and isinstance(found, PushChannel) and len(read(found.public_key)) == 65
    (tmp_path / "wrong").write_text("AAAA", "utf-8")
    for text, said in (
        (line.replace(str(key), str(tmp_path / "wrong")), "no private key"),
        (line.replace("mailto:b@example.jp", "b@example.jp"), "contact must be"),
        (line.replace("[push.lan]", "push.lan"), "allowed_hosts must be"),
        (line + line.replace("push:", "other:"), "one channel of the kind webpush"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(ChannelFileError, match=said):
            read_channels(path)
