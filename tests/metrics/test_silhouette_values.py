"""Silhouettes from blocks of distances, against scikit-learn's and against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances, silhouette_samples, silhouette_score

from shapecluster.metrics import _silhouette_values
from shapecluster.metrics._silhouette_values import draw_rows, silhouette_values
from tests.reference.silhouette import slow_silhouette


def silhouette(distances, labels, weights=None):
    """Mean over all rows, from a matrix of distances."""
    (values,) = silhouette_values(
        lambda first, second: distances[np.ix_(first, second)], [labels], np.arange(len(labels)), weights
    )
    return np.average(values, weights=weights)


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
    weights = rng.uniform(0.1, 3, size=60)
    expected = slow_silhouette(distances, labels, weights)
    assert silhouette(distances, labels, weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_same_in_blocks_of_any_shape(clustered, rng, monkeypatch, weighted):
    distances, labels = clustered
    weights = rng.uniform(0.1, 3, size=60) if weighted else None
    whole = silhouette(distances, labels, weights)
    for rows, columns in ((1, 1), (7, 3), (3, 7), (60, 25), (25, 60)):
        monkeypatch.setattr(_silhouette_values, "_BLOCK_ROWS", rows)
        monkeypatch.setattr(_silhouette_values, "_BLOCK_COLUMNS", columns)
        assert silhouette(distances, labels, weights) == pytest.approx(whole, rel=1e-13)


@pytest.mark.parametrize("n_sampled", [1, 2, 9, 59])
def test_sampled_rows_are_compared_with_all_and_each_pair_is_measured_once(
    clustered, rng, monkeypatch, n_sampled
):
    distances, labels = clustered
    monkeypatch.setattr(_silhouette_values, "_BLOCK_ROWS", 8)
    monkeypatch.setattr(_silhouette_values, "_BLOCK_COLUMNS", 4)
    sampled = rng.choice(60, n_sampled, replace=False)
    measured = np.zeros((60, 60), dtype=int)

    def measure(first, second):
        measured[np.ix_(first, second)] += 1
        return distances[np.ix_(first, second)]

    found = silhouette_values(measure, [labels, labels % 2, labels * 0], sampled)
    for values, of_all in zip(found, [labels, labels % 2], strict=False):
        expected = silhouette_samples(distances, of_all, metric="precomputed")[sampled]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14)
    assert np.isnan(found[2]).all()
    assert measured.max() == 1
    assert measured.sum() <= 60 * n_sampled - max(0, n_sampled * (n_sampled - 4) // 2)


def test_rows_are_drawn_without_replacement_from_the_candidates():
    candidates = np.arange(0, 90, 3)
    drawn = draw_rows(candidates, 20, 5)
    assert len(np.unique(drawn)) == 20
    assert np.isin(drawn, candidates).all()
    assert (np.diff(drawn) > 0).all()
    for n_samples in (None, 30, 31):
        assert draw_rows(candidates, n_samples, 5) is candidates


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


def test_distances_too_large_for_their_sum_are_an_error():
    distances = np.full((4, 4), 1.7e308)
    with pytest.raises(ValueError, match=r"sums distances in float64, .* Got larger sums instead"):
        silhouette(distances, np.array([0, 0, 1, 1]))


def test_a_diagonal_that_is_not_zero_is_left_out(clustered):
    distances, labels = clustered
    filled = distances + np.eye(60)  # flat series are at distance 1 from themselves, too
    assert silhouette(filled, labels) == pytest.approx(silhouette(distances, labels), rel=1e-12)
