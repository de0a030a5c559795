"""One area from several evidences: what is drawn is found as often as it is said."""

from __future__ import annotations

import numpy as np

from analytics.leaks.location.evidence import RIGHT, Evidence, combined

PIPES = 60


def test_an_area_holds_the_leak_as_often_as_it_says_even_where_evidence_is_wrong() -> None:
    """Leaks anywhere by the metre; each evidence is a bump about the leak, or about anything with 1 - RIGHT."""
    dice = np.random.default_rng(3)
    lengths = dice.uniform(20, 300, PIPES)
    start, at = lengths / lengths.sum(), np.arange(PIPES)

    def evidence(leak: int, width: float) -> Evidence:
        about = leak if dice.random() < RIGHT else int(dice.choice(PIPES, p=start))
        # What is seen scatters about the pipe; the probability is that of each pipe for what was seen.
        kernel = np.exp(-0.5 * ((at[:, None] - at) / width) ** 2)
        kernel /= kernel.sum(axis=1, keepdims=True)
        seen = int(dice.choice(PIPES, p=kernel[about]))
        probability = start * kernel[:, seen]
        return Evidence(probability / probability.sum())

    areas: list[list[tuple[float, bool, float]]] = [[], [], []]
    for _ in range(300):
        leak = int(dice.choice(PIPES, p=start))
        evidences = [evidence(leak, width) for width in (2.0, 5.0, 1.0)]
        for count in range(3):
            area = combined(lengths, evidences[: count + 1])
            areas[count].append((area.holds, leak in area.pipes, area.probability[leak]))
    holds, held, likely = np.mean(areas, axis=1).T
    assert np.abs(holds - held).max() < 0.06
    assert likely[0] < likely[1] < likely[2], "each makes the right pipe likelier"


def test_nothing_known_is_every_metre_alike() -> None:
    lengths = np.array([100.0, 300.0, 0.0, 600.0])
    area = combined(lengths, [])
    assert np.allclose(area.probability, lengths / 1000, atol=1e-3) and area.holds >= 0.8
    sure = combined(lengths, [Evidence(np.array([1.0, 0, 0, 0]), right=1.0)])
    assert sure.pipes.tolist() == [0] and sure.km == 0.1 and sure.holds > 0.999
