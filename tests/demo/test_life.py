"""The demo's life: one address, a clean end, nothing left behind, and a memory."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.demo.conftest import Ended, private, started
from tests.demo.town_process import gone, town

pytestmark = pytest.mark.demo


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return private(tmp_path)


def test_ctrl_c_ends_all_within_ten_seconds(ended: Ended) -> None:
    assert "見守り" in ended.page
    assert len(ended.stdout) == 1, "one address, and nothing else on stdout"
    assert ended.absent == []
    assert not ended.database_by_root, "PostgreSQL must not be root"
    assert ended.seconds < 10
    assert ended.code == 0
    assert ended.left == []


def test_it_has_a_past_that_woke_nobody(ended: Ended) -> None:
    assert ended.imported > 50_000 and ended.nights >= 7
    assert ended.overlapping == 0, "the devices go on where the files end"
    assert ended.old_alerts == 0, "history wakes nobody"


def test_a_second_demo_in_the_same_folder_is_refused(ended: Ended) -> None:
    assert ended.second.returncode == 1
    assert "another town runs in" in ended.second.stderr and "Traceback" not in ended.second.stderr


def test_an_end_while_the_town_is_still_being_built_leaves_no_process(home: Path) -> None:
    data = home / "data"
    with town(data) as demo:
        demo.wait(lambda: (data / "logs" / "postgres.log").exists(), within=60)
        children = demo.children()
        assert demo.end(signal.SIGTERM, within=30) < 10
        assert gone(children, within=0) == []


def test_a_town_whose_floods_are_not_real_refuses_a_mail_server(home: Path) -> None:
    done = started("--data", str(home / "data"), environment={"MIMAMORI_MAIL_HOST": "mail.example.jp"})
    assert done.returncode == 1
    assert "MIMAMORI_MAIL_HOST" in done.stderr and "Traceback" not in done.stderr
    assert not (home / "data").exists()


def test_a_broker_that_is_not_here_is_said_in_a_sentence(home: Path) -> None:
    words = ("--port", "0", "--broker", "mosquitto", "--data", str(home / "data"))
    done = started(*words, environment={"PATH": str(home)})
    assert done.returncode == 1
    assert "install mosquitto" in done.stderr and "Traceback" not in done.stderr
