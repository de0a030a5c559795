"""`mimamori bench town`: a small town for a few seconds. How good its figures are, the command says, and no test."""

from __future__ import annotations

import json

import pytest

from tests.mimamori.test_cli import command

pytestmark = pytest.mark.demo


def test_it_measures_a_whole_town_and_prints_one_object() -> None:
    words = ("bench", "town", "--devices", "14", "--for", "8", "--history", "1", "--speed", "240", "--settle", "8")
    done = command(*words, "--json", within=300)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "nothing else on stdout"
    found = json.loads(done.stdout)
    parts = {"postgres", "broker", "ingest", "analytics", "alerts", "api"}
    assert found["devices"] == 14
    # 14 devices, the slowest of which reports twice an hour
    assert 28 <= found["uplinks_an_hour"] <= 14 * 12
    assert found["history_messages"] == pytest.approx(24 * found["uplinks_an_hour"], abs=12)
    assert found["seconds"] >= 8
    assert set(found["rss_mb"]) == parts == set(found["cpu_share_of_2_cores"])
    assert all(megabytes > 1 for megabytes in found["rss_mb"].values())
    assert max(found["rss_mb"].values()) < found["rss_mb_total"] <= sum(found["rss_mb"].values()) + 1
    assert found["cpu_share_total"] == pytest.approx(sum(found["cpu_share_of_2_cores"].values()), abs=1e-3)
    assert 0 < found["cpu_share_total"] < 1
    # 8 s at this speed are 32 minutes: everybody has reported, with and without a page
    for seen in (found, found["with_page"]):
        assert seen["uplinks"] >= 14 and seen["stored"] >= seen["uplinks"] / 2
        keeping = seen["keeping_up"]
        assert keeping["messages_a_second"] > 0
        assert 0 <= keeping["queue_at_end"] <= keeping["queue"] and keeping["behind_s"] >= 0
        if keeping["kept_up"]:
            assert keeping["behind_s"] <= 10 and keeping["share_of_expected"] >= 0.95
        else:
            assert keeping["behind_s"] >= 10 or keeping["share_of_expected"] <= 0.95
    assert found["with_page"]["events"] > 0 and found["with_page"]["refreshes"] > 0
    limits = found["rss_mb_total"] <= found["rss_limit_mb"], found["cpu_share_total"] <= found["cpu_limit"]
    assert (found["rss_limit_mb"], found["cpu_limit"]) == (1500, 0.10)
    assert found["within_limits"] is all(limits)


@pytest.mark.parametrize("words", [["--devices", "0"], ["--for", "0"], ["--speed", "0"], ["--history", "-1"]])
def test_bad_usage_ends_with_2(words: list[str]) -> None:
    assert command("bench", "town", *words).returncode == 2


def test_it_refuses_to_run_where_its_town_could_write_to_real_people() -> None:
    done = command("bench", "town", MAIL_HOST="mail.example.jp", MAIL_FROM="town@example.jp")
    assert done.returncode == 1 and "MIMAMORI_MAIL_HOST" in done.stderr and done.stdout == ""
