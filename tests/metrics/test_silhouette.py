"""The sampled silhouette: that of scikit-learn when all rows are taken, and an honest error when not."""

from __future__ import annotations

import tracemalloc

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


def wide_ranging(rng, kind):
    """Rows of which some pairs are near and others far apart, and their clusters."""
    labels = rng.integers(0, 4, 90)
    X = rng.normal(size=(90, 6)) + labels[:, None]
    if kind == "one row at 1e12":
        X[3] = 1e12
    elif kind == "one row at 1e200":
        X[3] = 1e200
    elif kind == "one row at 1e305":
        X[3] = 1e305
    elif kind == "groups far apart":
        X[labels > 1] += 1e9
    elif kind == "tiny":
        X *= 1e-200
    elif kind == "identical rows":
        X = X[rng.integers(0, 5, 90)]
    return X, labels


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(
    "kind",
    [
        *("one row at 1e12", "one row at 1e200", "one row at 1e305"),
        *("groups far apart", "tiny", "identical rows"),
    ],
)
def test_values_of_any_magnitude_give_the_exact_silhouette(rng, make, kind):
    X, labels = wide_ranging(rng, kind)
    scale = np.abs(X[:, None] - X).max(axis=-1)
    scale[scale == 0] = 1.0
    distances = scale * np.sqrt(np.sum(((X[:, None] - X) / scale[..., None]) ** 2, axis=-1))
    expected = silhouette_samples(distances / distances.max(), labels, metric="precomputed")
    found = sampled_silhouette(make(X), labels, n_samples=None)
    assert found.mean == pytest.approx(expected.mean(), abs=1e-10)


def test_one_row_at_1e12_leaves_good_clusters_good():
    X, labels = make_blobs(300, centers=3, cluster_std=0.5, random_state=0)
    before = sampled_silhouette(X, labels, n_samples=None).mean
    X[0] = 1e12
    labels[0] = 3
    after = sampled_silhouette(X, labels, n_samples=None).mean
    assert after == pytest.approx(silhouette_score(X, labels), abs=1e-9)
    assert after == pytest.approx(before, abs=0.01)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_distances_that_overflow_are_an_error(rng, make):
    X = rng.normal(size=(20, 3))
    X[:2] = [[1.7e308] * 3, [-1.7e308] * 3]
    with pytest.raises(ValueError, match=r"holds up to about 1\.8e308. Got larger sums instead"):
        sampled_silhouette(make(X), np.arange(20) % 2, n_samples=None)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_extra_memory_does_not_grow_with_the_pairs(rng, make):
    X = make(rng.normal(size=(6000, 20)))
    labels = rng.integers(0, 10, 6000)
    tracemalloc.start()
    try:
        sampled_silhouette(X, labels, n_samples=None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16e6  # all pairs at once are 288 MB


def test_one_row_has_no_silhouette():
    found = sampled_silhouette([[1.0, 2.0]], [0])
    assert np.isnan(found.mean)
    assert np.isnan(found.error)


def test_one_cluster_has_none_and_labels_must_fit(held):
    assert np.isnan(sampled_silhouette(held, np.zeros(1500)).mean)
    with pytest.raises(ValueError, match=r"label for each of the 1500 rows of X. Got shape \(3,\)"):
        sampled_silhouette(held, [0, 1, 2])
    with pytest.raises(ValueError, match="'n_samples' parameter"):
        sampled_silhouette(held, np.zeros(1500), n_samples=1)
