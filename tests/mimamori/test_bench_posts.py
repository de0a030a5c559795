"""`mimamori bench posts` posts to a real server, and what it counts is what was stored."""

from __future__ import annotations

from mimamori.bench.posts import PostsBench, measure, rows


def test_every_message_of_every_round_is_stored_once() -> None:
    figures = measure(PostsBench(messages=41, senders=4, rounds=2, quiet=True))
    # 11 by each sender, twice, and the one that showed that the intake is open
    assert figures["outcomes"] == {"accepted": 2 * 44 + 1}
    assert len(figures["stored_each"]) == len(figures["answered_each"]) == 2
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] and figures["processor_us"]["stored"] > 0
    assert figures["met"] == (figures["stored_per_second"] >= figures["target_per_second"])
    assert len({name for name, *_ in rows(figures)}) == len(rows(figures))
