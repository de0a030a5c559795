"""apprise against a real local server: what goes out, and what a yes or no of it means."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from alerts.channels import Busy, Undeliverable, Unsure
from alerts.channels_apprise import AppriseChannel
from alerts.channels_config import channel_of, read_channels
from alerts.channels_http import NotTaken
from alerts.config import AppriseConfig
from alerts.errors import ChannelFileError
from tests.alerts.line_server import Server, running
from tests.alerts.test_channels import NOTE

# apprise's own, on Python 3.11 and 3.12
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
installed = pytest.mark.skipif(find_spec("apprise") is None, reason="apprise, an extra, is not installed here")


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    with running(found):
        yield found


def channel(server: Server, path: str = "/hook/${address}?token=s3cret") -> AppriseChannel:
    return AppriseChannel("chat", AppriseConfig(server.url.replace("http://", "json://") + path))


@installed
def test_what_could_be_public_goes_out_with_the_link_and_nothing_else(server: Server) -> None:
    note = replace(NOTE, recipient="防災/当番", answer_url="https://town.example.jp/answer/x")
    channel(server).send(note)
    (request,) = server.requests
    assert request.json["message"] == "公開できる文\n確認：https://town.example.jp/answer/x"
    assert "庁内だけの本文" not in request.body.decode() and "件名" not in request.body.decode()
    channel(server).send(replace(note, repeated=True))
    assert "再送" in server.requests[-1].json["message"]


@installed
@pytest.mark.parametrize(
    ("status", "error"), [(404, Undeliverable), (429, Busy), (503, Busy), (500, Unsure), (403, NotTaken)]
)
def test_what_the_service_answers_is_taken_as_everywhere_else(
    server: Server, status: int, error: type[Exception]
) -> None:
    server.rule = lambda _: (status, {})
    with pytest.raises(error, match=f"chat answered {status}") as raised:
        channel(server).send(NOTE)
    assert "s3cret" not in str(raised.value)


@installed
def test_a_server_that_is_not_there_took_nothing_and_one_that_breaks_off_may_have(server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = AppriseChannel("chat", AppriseConfig(f"json://127.0.0.1:{closed.getsockname()[1]}/"))
        with pytest.raises(NotTaken):
            away.send(NOTE)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the request and never answers
        slow = AppriseChannel("chat", AppriseConfig(f"json://127.0.0.1:{mute.getsockname()[1]}/?rto=0.5"))
        with pytest.raises(Unsure):
            slow.send(NOTE)


@installed
def test_a_service_that_there_is_not_never_gets_it() -> None:
    with pytest.raises(Undeliverable, match="knows no such service"):
        AppriseChannel("chat", AppriseConfig("nosuch://x")).send(NOTE)


@installed
def test_its_secrets_stay_out_of_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        channel(server).send(NOTE)
    assert "s3cret" not in caplog.text


@installed
def test_the_operators_file_names_a_file_with_the_address(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("slack://a/b/c/#${address}\n", "utf-8")
    file = tmp_path / "channels.yaml"
    file.write_text(f"chat: {{kind: apprise, url_file: {tmp_path}/url}}", "utf-8")
    config = read_channels(file)["chat"]
    assert channel_of("chat", config).kind == "apprise" and "slack" not in repr(config)
    (tmp_path / "url").write_text("slack://a/b/c/#${body}\n", "utf-8")
    with pytest.raises(ChannelFileError, match=r"channel chat.*no other placeholder"):
        read_channels(file)


def test_without_the_extra_the_file_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("slack://a/b/c\n", "utf-8")
    (tmp_path / "channels.yaml").write_text(f"chat: {{kind: apprise, url_file: {tmp_path}/url}}", "utf-8")
    monkeypatch.setattr("alerts.channels_config.find_spec", lambda _: None)
    with pytest.raises(ChannelFileError, match=r"requirements-apprise\.lock"):
        read_channels(tmp_path / "channels.yaml")
