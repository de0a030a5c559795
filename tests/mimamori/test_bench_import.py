"""`mimamori bench import`: a file of recorded levels comes in, and the same file once more."""

from __future__ import annotations

import json

from tests.mimamori.test_cli import command


def test_what_is_there_already_is_passed_over_and_the_figures_say_how_long_that_takes() -> None:
    done = command("bench", "import", "--gauges", "4", "--days", "2", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    figures = json.loads(done.stdout)
    assert (figures["values"], figures["grown"]) == (4 * 288, 4 * 144), "the bench itself refuses other counts"
    assert all(figures[f"{name}_s"] > 0 for name in ("reading", "first", "again", "grown"))
    assert figures["kept"] == (figures["again_s"] <= figures["limit_s"])
