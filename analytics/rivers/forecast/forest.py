"""A member of regression trees, learned by scikit-learn and kept as plain arrays: no pickle is ever read.

    Forest.fit(columns, changes, weights) -> Forest; .expect(columns) -> (m, L)

Extremely randomised trees (Geurts, Ernst & Wehenkel 2006), all leads at once. They find thresholds that products of
inputs cannot say, and never expect more than has been seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.record import Floats

TREES = 60
LEAF = 5  # hours
SHARE = 0.5  # of the columns looked at for each split


@dataclass(frozen=True, slots=True)
class Forest:
    """Nodes of all trees in one row of arrays: `feature` (-1 at a leaf), `threshold`, `left`, `right`, `value`
    (nodes, L), and where each tree begins.
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    roots: npt.NDArray[np.int32]

    @staticmethod
    def fit(columns: Floats, changes: Floats, weights: Floats, hour: int) -> Forest:
        """`columns` (m, p), `changes` (m, L), `weights` (m,): how many rows each stands for; `hour` rows make one hour."""
        from sklearn.ensemble import ExtraTreesRegressor  # it takes half a second to import, and only learning needs it

        scale = np.sqrt(np.average(changes**2, axis=0, weights=weights)) + 1e-12
        learned = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF * hour, max_features=SHARE, random_state=0)
        learned.fit(columns.astype(np.float32), changes / scale, sample_weight=weights)
        trees = [each.tree_ for each in learned.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])

        def moved(children: str) -> npt.NDArray[np.int32]:
            return np.concatenate([getattr(tree, children) + root for tree, root in zip(trees, roots, strict=True)])

        leaves = np.concatenate([tree.children_left for tree in trees]) < 0
        return Forest(
            np.where(leaves, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
            np.concatenate([tree.threshold for tree in trees]).astype(np.float32),
            moved("children_left").astype(np.int32),
            moved("children_right").astype(np.int32),
            (np.concatenate([tree.value[:, :, 0] for tree in trees]) * scale).astype(np.float32),
            roots.astype(np.int32),
        )

    def expect(self, columns: Floats) -> Floats:
        found = np.empty((len(columns), self.value.shape[1]))
        for first in range(0, len(columns), 2048):
            found[first : first + 2048] = self._expect(columns[first : first + 2048].astype(np.float32))
        return found

    def _expect(self, columns: npt.NDArray[np.float32]) -> Floats:
        rows = np.repeat(np.arange(len(columns)), len(self.roots))
        at = np.tile(self.roots, len(columns))
        going = np.flatnonzero(self.feature[at] >= 0)
        while len(going):
            here = at[going]
            down = columns[rows[going], self.feature[here]] <= self.threshold[here]
            at[going] = np.where(down, self.left[here], self.right[here])
            going = going[self.feature[at[going]] >= 0]
        values: Floats = self.value[at].reshape(len(columns), len(self.roots), -1).mean(axis=1, dtype=np.float64)
        return values
