"""The sampled silhouette: that of scikit-learn when all rows are taken, and an honest error when not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_samples, silhouette_score

from shapecluster.datasets import make_portfolios
from shapecluster.metrics import _euclidean, sampled_silhouette


@pytest.fixture
def held():
    return make_portfolios(1500, sectors="lab", sector_tilt=20.0, random_state=0).matrix


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.coo_array])
def test_all_rows_give_scikit_learns_silhouette(rng, make, monkeypatch):
    X = rng.random((120, 7)) * (rng.random((120, 7)) < 0.6)
    labels = rng.choice([3, 8, 11], 120)
    labels[0] = 5  # alone
    expected = silhouette_score(X, labels)
    for n_samples in (None, 120, 500):
        found = sampled_silhouette(make(X), labels, n_samples=n_samples)
        assert found == (pytest.approx(expected, abs=1e-12), 0.0, 120)
    monkeypatch.setattr(_euclidean, "_BLOCK_BYTES", 8 * 7 * 10)
    assert sampled_silhouette(make(X), labels, n_samples=None).mean == pytest.approx(expected, abs=1e-12)


def test_each_sampled_row_is_compared_with_all(held):
    labels = KMeans(5, n_init=1, random_state=0).fit_predict(held)
    found = sampled_silhouette(held, labels, n_samples=200, random_state=7)
    rows = np.sort(np.random.RandomState(7).choice(1500, 200, replace=False))
    values = silhouette_samples(held, labels)[rows]
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(200) * np.sqrt(1 - 200 / 1500))


def test_the_silhouette_of_all_lies_within_two_errors_as_often_as_it_should(held):
    labels = KMeans(8, n_init=1, random_state=0).fit_predict(held)
    truth = silhouette_score(held, labels)
    found = [sampled_silhouette(held, labels, n_samples=100, random_state=seed) for seed in range(200)]
    near = sum(abs(one.mean - truth) < 2 * one.error for one in found)
    assert 180 <= near <= 199
    means = [one.mean for one in found]
    assert abs(np.mean(means) - truth) < 4 * np.std(means) / np.sqrt(200)
    within = [silhouette_score(held, labels, sample_size=100, random_state=seed) for seed in range(30)]
    assert np.mean(within) < truth - 2 * np.std(means)  # what comparing within the sample would cost


def test_far_from_the_origin_it_is_the_same(rng):
    X, labels = make_blobs(200, centers=3, random_state=0)
    near, far = (sampled_silhouette(values, labels, n_samples=50, random_state=0) for values in (X, X + 1e6))
    assert near.mean == pytest.approx(far.mean, abs=1e-8)


def test_one_cluster_has_none_and_labels_must_fit(held):
    assert np.isnan(sampled_silhouette(held, np.zeros(1500)).mean)
    with pytest.raises(ValueError, match=r"label for each of the 1500 rows of X. Got shape \(3,\)"):
        sampled_silhouette(held, [0, 1, 2])
    with pytest.raises(ValueError, match="'n_samples' parameter"):
        sampled_silhouette(held, np.zeros(1500), n_samples=1)
