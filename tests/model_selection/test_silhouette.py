"""The silhouette against scikit-learn's and against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances, silhouette_score

from shapecluster.model_selection import _silhouette
from shapecluster.model_selection._silhouette import silhouette


def _slow_silhouette(distances, labels, weights):
    n = len(labels)
    total = 0.0
    for i in range(n):
        means = {}
        for label in set(labels):
            others = [j for j in range(n) if labels[j] == label and j != i and weights[j] > 0]
            if others:
                mass = sum(weights[j] for j in others)
                means[label] = sum(weights[j] * distances[i, j] for j in others) / mass
        if labels[i] in means:
            within = means.pop(labels[i])
            nearest = min(means.values())
            total += weights[i] * (nearest - within) / max(nearest, within)
    return total / sum(weights)


@pytest.fixture
def clustered(rng):
    X = rng.normal(size=(60, 3)) + np.repeat([[0.0], [2.0], [5.0]], 20, axis=0)
    return pairwise_distances(X), rng.integers(0, 5, size=60)


def test_equals_scikit_learn(clustered):
    distances, labels = clustered
    expected = silhouette_score(distances, labels, metric="precomputed")
    assert silhouette(distances, labels) == pytest.approx(expected, rel=1e-12)


def test_labels_need_not_be_consecutive(clustered):
    distances, labels = clustered
    assert silhouette(distances, labels * 7 + 3) == silhouette(distances, labels)


def test_equal_weights_change_nothing(clustered):
    distances, labels = clustered
    expected = silhouette(distances, labels)
    assert silhouette(distances, labels, np.full(60, 2.0)) == pytest.approx(expected, rel=1e-12)


def test_weights_as_a_slow_loop_has_them(clustered, rng):
    distances, labels = clustered
    weights = rng.uniform(0, 3, size=60) * (rng.uniform(size=60) > 0.2)
    expected = _slow_silhouette(distances, labels, weights)
    assert silhouette(distances, labels, weights) == pytest.approx(expected, rel=1e-12)


def test_rows_of_weight_zero_have_no_influence(clustered):
    distances, labels = clustered
    kept = np.arange(60) % 3 > 0
    alone = silhouette(distances[np.ix_(kept, kept)], labels[kept])
    assert silhouette(distances, labels, kept.astype(float)) == alone


def test_is_the_same_in_blocks_of_any_size(clustered, monkeypatch):
    distances, labels = clustered
    whole = silhouette(distances, labels)
    for entries in (1, 60, 700):
        monkeypatch.setattr(_silhouette, "_BLOCK", entries)
        assert silhouette(distances, labels) == whole


def test_one_cluster_has_no_silhouette():
    assert np.isnan(silhouette(np.ones((4, 4)), np.zeros(4, dtype=int)))


def test_rows_alone_count_zero_and_nothing_is_divided_by_zero():
    points = np.array([0.0, 0.0, 5.0])
    distances = abs(points[:, None] - points)
    assert silhouette(distances, np.array([0, 0, 1])) == pytest.approx(2 / 3)
    assert silhouette(distances, np.arange(3)) == 0
    assert silhouette(np.zeros((4, 4)), np.array([0, 0, 1, 1])) == 0
    weights = np.array([1e300, 1.0, 1.0])  # beside the first, the others are lost to rounding
    assert 0 <= silhouette(distances, np.array([0, 0, 1]), weights) <= 1


def test_a_diagonal_that_is_not_zero_is_left_out(clustered):
    distances, labels = clustered
    filled = distances + np.eye(60)  # flat series are at distance 1 from themselves, too
    assert silhouette(filled, labels) == pytest.approx(silhouette(distances, labels), rel=1e-12)
