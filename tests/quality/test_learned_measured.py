"""The comparison with scikit-learn, on tiny made series: nothing is chosen on what it is judged on, or sees ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamori import anomaly_files
from quality.detector import Detector
from tests.quality import learned, learned_measured
from tests.quality.learned import Excess, Rows
from tests.quality.learned_measured import Split, chosen_of, figures, in_benchmark, splits, taught

DAYS, STEP = 14, 1800.0
SPIKES = (220, 400, 560)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recorded series and four of a benchmark, each with three spikes that are labelled."""
    at = tmp_path_factory.mktemp("anomaly")
    for number, (group, name) in enumerate((group, name) for group in ("river", "nab_made") for name in "abcd"):
        rng = np.random.default_rng(number)
        times = np.arange(DAYS * 48) * STEP
        values = np.round(5 + np.sin(times / 86400 * 2 * np.pi) + 0.05 * rng.standard_normal(len(times)), 3)
        values[list(SPIKES)] += 9.0
        truth = np.isin(np.arange(len(times)), SPIKES)
        stamps = tuple(str(np.datetime64(int(time), "s"))[:16] for time in times)
        series = anomaly_files.Series(f"{group}/{name}", stamps, times, values, truth)
        file = anomaly_files.write(at, series, values, truth)
        file.write_text(file.read_text("utf-8").replace("time,value,score,label", "time,value,other,label"), "utf-8")
    return at


@pytest.fixture(scope="module")
def rows(folder: Path) -> Rows:
    return learned.read(folder)


class Highest:
    """Learns how high the newest excess of a spike is in what is wrong."""

    def fit(self, shown: Any, truth: Any, sample_weight: Any) -> None:
        assert len(shown) == len(truth) == len(sample_weight) and sample_weight[truth].sum() > 0
        self.limit = shown[truth, 0].min()

    def predict_proba(self, shown: Any) -> Any:
        likely = np.where(shown[:, 0] >= self.limit, 0.999, 0.001)
        return np.stack([1 - likely, likely], axis=1)


def test_the_checks_say_what_the_product_says(rows: Rows) -> None:
    expected = Detector().judge(rows.times, rows.values).verdict
    found, stricter = learned.told(rows, learned.checks(rows), [1.0, 1e9])
    assert expected.any() and (found == expected).all() and not stricter.any()


def test_what_is_judged_is_never_what_was_chosen_on_and_all_is_judged_once(rows: Rows) -> None:
    whole = {(n, row) for n, series in enumerate(rows.series) for row in range(len(series.times))}
    for ways in splits(rows):
        parts = [
            [{(n, row) for n, start, stop in part for row in range(start, stop)} for part in (way.chosen, way.judged)]
            for way in ways
        ]
        for chosen, judged in parts:
            assert not chosen & judged and chosen | judged == whole
        assert parts[0][1] | parts[1][1] == whole and not parts[0][1] & parts[1][1]
    by_series, by_time, by_set = splits(rows)
    assert {in_benchmark(rows.series[n]) for n, _, _ in by_series[0].judged} == {True, False}
    assert by_time[0].chosen[0][2] == by_time[0].judged[0][1]
    assert {in_benchmark(rows.series[n]) for n, _, _ in by_set[0].judged} == {True}


def test_the_choice_follows_the_labels_of_its_own_part_alone(rows: Rows) -> None:
    truth = np.stack([series.truth for series in rows.series], axis=1)
    never, right = np.zeros_like(truth), truth
    ways = next(splits(rows))
    halves = right.copy()
    for n, _, _ in ways[0].judged:
        halves[:, n] = False  # right on what is chosen on, blind on what is judged
    judge = chosen_of(rows, [never, halves])
    assert (judge(ways[0]) == halves).all()
    assert (judge(Split("", ways[0].judged, ways[0].chosen)) == never).all(), "nothing is gained there: the first stays"
    assert figures(rows, [(ways[0].chosen, halves)]).f1 == 1.0
    assert figures(rows, [(ways[0].judged, halves)]).f1 == 0.0


def test_a_classifier_learns_on_one_part_and_is_right_on_the_other(rows: Rows) -> None:
    judge = taught(rows, Highest)  # type: ignore[arg-type]
    for ways in list(splits(rows))[::2]:
        for split in ways:
            found = figures(rows, [(split.judged, judge(split))])
            assert (found.f1 is None or found.f1 > 0.9) and (found.score is None or found.score > 80)


def test_unusual_scores_are_told_by_what_came_before(rows: Rows) -> None:
    scores = np.abs(np.random.default_rng(1).standard_normal(rows.values.shape))
    scores[400] = 50.0
    whole = learned.unusual(rows, scores, [8.0])[0].moving
    assert (whole[400] >= 1).all() and (whole[200:400] >= 1).mean() < 0.01
    later = scores.copy()
    later[401:] = 99.0
    assert (learned.unusual(rows, later, [8.0])[0].moving[:401] == whole[:401]).all()
    beside = Excess(whole, np.zeros_like(whole)).beside(learned.checks(rows))
    assert (beside.moving >= whole).all()


def test_the_command_tells_the_figures_of_every_method(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in ("SIZE", "ROUNDS"):
        monkeypatch.setattr(learned, size, 3)  # what they are worth is not asked here
    learned_measured.measure(folder)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 8 * 3 and "the checks as they are, by series: recorded F1 1.00 (1.00, 1.00)" in told[0]
    assert any("isolation forest, by time" in line for line in told)
    assert any("boosted trees on the checks, by set" in line for line in told)


def test_the_learned_see_nothing_of_what_comes_later(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "SIZE", 3)
    part = Rows(
        rows.series[:1],
        *(each[:, :1] for each in (rows.times, rows.values)),
        rows.excess[:, :, :1],
        *(each[:, :1] for each in (rows.off, rows.short, rows.long)),
    )
    values = part.values.copy()
    values[600:] = 0.0
    for method in (learned.forest, learned.forecast):
        before = method(part)
        after = method(Rows(part.series, part.times, values, part.excess, part.off, part.short, part.long))
        assert np.isfinite(before[200:600]).all() and (before[:600] == after[:600])[np.isfinite(before[:600])].all()
