"""The ways out besides mail, against real local servers: what is taken, what is tried again, what never arrives."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from alerts.channels import Busy, Notification, Undeliverable, Unsure
from alerts.channels_config import channel_of, read_channels
from alerts.channels_file import FileChannel
from alerts.channels_http import NotTaken, TemplateChannel
from alerts.channels_line import LineChannel
from alerts.channels_webhook import WebhookChannel
from alerts.config import FileConfig, LineConfig, TemplateConfig, WebhookConfig
from alerts.errors import ChannelFileError
from tests.alerts.line_server import TOKEN, Line, Server, running

TANAKA = "U" + "0" * 32
NOTE = Notification(
    7, TANAKA, "件名", "庁内だけの本文", brief="公開できる文", spoken="読み上げ文", key=str(uuid4()), answer_url=None
)


@pytest.fixture
def line() -> Iterator[Line]:
    server = Line()
    with running(server):
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    with running(found):
        yield found


def line_channel(line: Line, token: str = TOKEN) -> LineChannel:
    return LineChannel("line", LineConfig(token, line.url, 5))


def test_a_line_message_holds_what_could_be_public_and_the_link_and_nothing_else(line: Line) -> None:
    line_channel(line).send(replace(NOTE, answer_url="https://town.example.jp/answer/x"))
    (request,) = line.requests
    assert request.path == "/v2/bot/message/push" and request.headers["X-Line-Retry-Key"] == NOTE.key
    assert request.json == {
        "to": TANAKA,
        "messages": [{"type": "text", "text": "公開できる文\n確認：https://town.example.jp/answer/x"}],
    }


def test_line_takes_a_message_once_and_its_409_is_success(line: Line) -> None:
    line_channel(line).send(NOTE)
    line_channel(line).send(NOTE)
    assert len(line.requests) == 2 and line.taken == {NOTE.key: TANAKA}


def test_an_answer_of_line_that_is_lost_is_asked_for_again_and_the_message_is_there_once(line: Line) -> None:
    line.lost_answers = 1
    with pytest.raises(Unsure):
        line_channel(line).send(NOTE)
    line_channel(line).send(NOTE)
    assert line.taken == {NOTE.key: TANAKA}


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (429, Busy, "429"),
        (500, Unsure, "500"),
        (503, Busy, "503"),
        (None, Unsure, "RemoteDisconnected"),
        (403, NotTaken, "403"),
    ],
)
def test_what_line_does_not_take_now_is_tried_again(
    line: Line, status: int | None, error: type[Exception], text: str
) -> None:
    line.failures = [status]
    with pytest.raises(error, match=text) as raised:
        line_channel(line).send(NOTE)
    assert not isinstance(raised.value, Undeliverable)
    if isinstance(raised.value, Busy) and status == 429:
        assert raised.value.pause == timedelta(seconds=7)
    line_channel(line).send(NOTE)
    assert line.taken == {NOTE.key: TANAKA}


def test_a_user_that_line_does_not_know_never_gets_it(line: Line) -> None:
    with pytest.raises(Undeliverable, match="LINE answered 400"):
        line_channel(line).send(replace(NOTE, recipient="nobody"))


def test_a_wrong_token_is_our_fault_and_no_recipients(line: Line) -> None:
    with pytest.raises(NotTaken, match="401") as raised:
        line_channel(line, "wrong").send(NOTE)
    assert "wrong" not in str(raised.value)


def test_a_server_that_is_not_there_is_no_doubt_about_arrival() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        channel = LineChannel("line", LineConfig(TOKEN, f"http://127.0.0.1:{closed.getsockname()[1]}", 5))
        with pytest.raises(ConnectionRefusedError):
            channel.send(NOTE)


def test_a_webhook_is_signed_over_the_bytes_that_arrive(server: Server) -> None:
    WebhookChannel("partner", WebhookConfig(f"{server.url}/hook?a=1", "s3cret", 5)).send(NOTE)
    (request,) = server.requests
    assert request.path == "/hook?a=1" and request.headers["Idempotency-Key"] == NOTE.key
    fields = dict(each.split("=") for each in request.headers["X-Mimamori-Signature"].split(","))
    signed = hmac.new(b"s3cret", fields["t"].encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert fields["v1"] == signed
    assert request.json["body"] == "庁内だけの本文" and request.json["recipient"] == TANAKA


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.rule = lambda _: (302, {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(NotTaken, match="302"):
        WebhookChannel("partner", WebhookConfig(server.url, "s", 5)).send(NOTE)
    assert len(server.requests) == 1


def template(server: Server, **fields: object) -> TemplateChannel:
    config = TemplateConfig(f"{server.url}/send?to=${{address}}", secret="token", timeout_seconds=5)
    return TemplateChannel("sms", replace(config, **fields))  # type: ignore[arg-type]


def test_a_template_quotes_what_it_fills_in_for_where_it_stands(server: Server) -> None:
    nasty = replace(NOTE, recipient='0&x="1"\\', brief='改行\n"引用"')
    headers = {"Content-Type": "application/json", "Authorization": "Bearer ${secret}"}
    template(server, headers=headers, body='{"to": "${address}", "text": "${brief}"}').send(nasty)
    request = server.requests[-1]
    assert request.path == "/send?to=0%26x%3D%221%22%5C" and request.headers["Authorization"] == "Bearer token"
    assert request.json == {"to": nasty.recipient, "text": nasty.brief}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    template(server, headers=form, body="to=${address}").send(nasty)
    assert server.requests[-1].body == b"to=0%26x%3D%221%22%5C"


def test_a_header_cannot_be_made_of_two(server: Server) -> None:
    with pytest.raises(Undeliverable, match="more than one line"):
        template(server, headers={"X-To": "${address}"}).send(replace(NOTE, recipient="1\r\nX-Other: 2"))
    assert server.requests == []


def test_what_may_have_arrived_says_so_unless_the_service_knows(server: Server) -> None:
    again = replace(NOTE, repeated=True)
    template(server, body="${brief}").send(again)
    assert "再送" in server.requests[-1].body.decode()
    template(server, body="${key} ${spoken}").send(NOTE)
    assert server.requests[-1].body.decode() == f"{NOTE.key} 読み上げ文"


def test_a_lamp_needs_no_body(server: Server) -> None:
    template(server, url=f"{server.url}/api/control?alert=100000", method="GET").send(NOTE)
    assert (server.requests[-1].method, server.requests[-1].path) == ("GET", "/api/control?alert=100000")


def test_a_text_to_be_read_out_appears_whole_and_once(tmp_path: Path) -> None:
    channel = FileChannel("radio", FileConfig(tmp_path, "cp932"))
    channel.send(NOTE)
    channel.send(NOTE)
    (file,) = tmp_path.iterdir()
    assert file.name.endswith(f"_{NOTE.key}.txt") and file.read_bytes().decode("cp932") == "読み上げ文"


def test_a_folder_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileChannel("radio", FileConfig(tmp_path / "gone")).send(NOTE)


def test_the_operators_file_is_read_with_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n", "utf-8")
    (tmp_path / "channels.yaml").write_text(
        f"""
line: {{kind: line, token_file: {tmp_path}/token}}
partner: {{kind: webhook, url: "https://partner.example.jp/hook", secret_file: {tmp_path}/token}}
radio: {{kind: file, folder: {tmp_path}, encoding: cp932}}
sms:
  kind: http
  url: https://sms.example.jp/v1
  headers: {{Authorization: "Bearer ${{secret}}", Content-Type: application/json}}
  body: '{{"to": "${{address}}", "text": "${{brief}}"}}'
  secret_file: {tmp_path}/token
  knows_repetitions: true
""",
        "utf-8",
    )
    found = read_channels(tmp_path / "channels.yaml")
    assert found["line"] == LineConfig("t0ken") and "t0ken" not in repr(found)
    made = [channel_of(name, config) for name, config in found.items()]
    assert [(each.name, each.kind, each.knows_repetitions) for each in made] == [
        ("line", "line", True),
        ("partner", "webhook", True),
        ("radio", "file", True),
        ("sms", "http", True),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "must be names"),
        ("a: [", "while parsing"),
        ("Mail: {kind: line}", "a name is"),
        ("mail: {kind: line}", "a name is"),
        ("a: {kind: pigeon}", "kind must be one of line, webhook, http, file"),
        ("a: {kind: line}", "token_file is missing"),
        ("a: {kind: line, token_file: /nowhere/token}", "cannot be read"),
        ("a: {kind: http, url: 'ftp://x'}", "url must be an address"),
        ("a: {kind: http, url: 'http://${address}/'}", "url must be an address"),
        ("a: {kind: http, url: 'http://x/', methd: GET}", "unknown: methd"),
        ("a: {kind: http, url: 'http://x/', method: BREW}", "method must be one of"),
        ("a: {kind: http, url: 'http://x/', body: '${adress}'}", "no placeholder adress"),
        ("a: {kind: http, url: 'http://x/', body: '5 $ each'}", "is written"),
        ("a: {kind: http, url: 'http://x/', headers: [1]}", "headers must be"),
        ("a: {kind: http, url: 'http://x/', timeout_seconds: 600}", "timeout_seconds"),
        ("a: {kind: file, folder: /nowhere}", "is not there"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "channels.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ChannelFileError, match=said) as raised:
        read_channels(path)
    assert str(path) in str(raised.value)


def test_no_secret_is_shown() -> None:
    assert "s3cret" not in json.dumps([repr(WebhookConfig("u", "s3cret")), repr(TemplateConfig("u", secret="s3cret"))])
