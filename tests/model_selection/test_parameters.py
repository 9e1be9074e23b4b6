"""Parameters and inputs that KSweep rejects before anything is fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN, KMeans, SpectralClustering
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from shapecluster.model_selection import KSweep


class MustNotBeFitted(KMeans):
    """Shows that a check came first."""

    def fit(self, X, y=None, sample_weight=None):
        raise AssertionError("fitted before the check")


@pytest.fixture
def X(rng):
    return rng.normal(size=(12, 3))


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        ([], ValueError, r"at least one number of clusters\. Got \[\] instead"),
        (range(5, 5), ValueError, "at least one number"),
        ([0, 2], ValueError, "1 or more. Got 0 instead"),
        ([-3, 2], ValueError, "1 or more. Got -3 instead"),
        ([2, 3, 3, 2], ValueError, r"each number once\. Got \[2, 3\] more than once"),
        ([2.0, 3.0], TypeError, "must hold integers. Got 2.0 instead"),
        ([2, "3"], TypeError, "must hold integers. Got '3' instead"),
        ([True, 2], TypeError, "must hold integers. Got True instead"),
        (5, TypeError, r"iterable of integers, such as range\(2, 21\)\. Got 5 instead"),
        ("23", TypeError, "iterable of integers"),
        (None, TypeError, "Got None instead"),
        (iter([2, 3]), TypeError, r"pass list\(k\)"),
        ([2, 13], ValueError, "above the number of rows of X. Got k=13 with n_samples=12"),
        (tuple(range(2, 21)), ValueError, "Got k=20 with n_samples=12"),
    ],
)
def test_bad_k_is_one_error_before_anything_is_fitted(X, k, error, message):
    with pytest.raises(error, match=message):
        KSweep(MustNotBeFitted(), k=k).fit(X)


@pytest.mark.parametrize(
    "k",
    [
        range(2, 5),
        [4, 2, 3],
        (3, 2, 4),
        {2, 3, 4},
        np.array([2, 3, 4]),
        pd.Index([2, 3, 4]),
        {2: 0, 3: 0, 4: 0},
    ],
    ids=lambda k: type(k).__name__,
)
def test_any_iterable_of_integers_is_tried_in_increasing_order(X, k):
    seen = []
    sweep = KSweep(
        KMeans(n_init=1, random_state=0), k, criterion="silhouette", progress=lambda p: seen.append(p.k)
    )
    sweep.fit(X)
    assert seen == [2, 3, 4]
    assert sweep.results_.index.tolist() == [2, 3, 4]
    assert all(type(k) is int for k in seen)


def test_k_equal_to_the_number_of_rows_is_allowed(X):
    sweep = KSweep(KMeans(n_init=1, random_state=0), [2, 12], criterion="silhouette").fit(X)
    assert sweep.results_.loc[12, "ssd"] == pytest.approx(0)
    assert sweep.results_.loc[12, "silhouette"] == 0


@pytest.mark.parametrize("criterion", ["gap", "stability", "SSD", None])
def test_unknown_criteria_raise_and_those_that_exist_are_listed(X, criterion):
    with pytest.raises(ValueError, match=r"'criterion' parameter of KSweep must be a str among") as caught:
        KSweep(MustNotBeFitted(), [2, 3], criterion=criterion).fit(X)
    assert all(repr(name) in str(caught.value) for name in ("ssd", "elbow", "silhouette"))
    assert f"Got {criterion!r} instead" in str(caught.value)


def test_a_criterion_that_cannot_choose_among_the_ks_raises(X):
    with pytest.raises(ValueError, match=r"criterion='silhouette', which is undefined .*Got \[1\]"):
        KSweep(MustNotBeFitted(), [1], criterion="silhouette").fit(X)
    with pytest.raises(ValueError, match=r"criterion='elbow', which needs at least three .* Got \[2, 3\]"):
        KSweep(MustNotBeFitted(), [3, 2], criterion="elbow").fit(X)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (KMeans, TypeError, r"must be an instance\. Got the class KMeans instead: pass KMeans\(\)"),
        ("kmeans", TypeError, "must be a clusterer .* Got 'kmeans' instead"),
        (None, TypeError, "must be a clusterer .* Got None instead"),
        (DBSCAN(), ValueError, "DBSCAN has no such parameter"),
        (GaussianMixture(), ValueError, "GaussianMixture has no such parameter"),
        (make_pipeline(StandardScaler(), DBSCAN()), ValueError, "DBSCAN has no such parameter"),
        (make_pipeline(StandardScaler(), "passthrough"), TypeError, "must be a clusterer"),
        (Pipeline([]), ValueError, r"has no such parameter\. Got Pipeline\(steps=\[\]\) instead"),
    ],
)
def test_estimators_without_n_clusters_raise(X, estimator, error, message):
    with pytest.raises(error, match=message):
        KSweep(estimator, [2, 3]).fit(X)


def test_estimators_without_inertia_are_named(X):
    with pytest.raises(TypeError, match=r"n_clusters=2 could .* SpectralClustering does not have"):
        KSweep(SpectralClustering(random_state=0), [2, 3]).fit(X)


def test_inertia_that_is_no_number_is_an_error_and_never_a_choice(X):
    class Broken(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            self.inertia_ = np.nan if self.n_clusters == 3 else 1.0
            return self

    with pytest.raises(ValueError, match=r"n_clusters=3 could .* inertia_ must be a finite number\. Got nan"):
        KSweep(Broken(), [2, 3, 4]).fit(X)


@pytest.mark.parametrize(
    "bad",
    [
        {"n_samples": 1},
        {"n_jobs": 1.5},
        {"progress": 3},
        {"keep_estimators": "no"},
        {"random_state": -1},
    ],
)
def test_other_parameters_are_checked(X, bad):
    with pytest.raises(ValueError, match=f"'{next(iter(bad))}' parameter of KSweep"):
        KSweep(MustNotBeFitted(), [2, 3], **bad).fit(X)


def test_input_without_rows_is_an_error():
    with pytest.raises(ValueError, match=r"X must have rows\. Got a single value instead: 3\.0"):
        KSweep(KMeans(), [2]).fit(3.0)


def test_sample_weight_for_an_estimator_without_it_is_an_error(X):
    class Weightless(KMeans):
        def fit(self, X, y=None):
            raise AssertionError("fitted before the check")

    with pytest.raises(ValueError, match=r"given sample_weight, but Weightless.fit does not take it"):
        KSweep(Weightless(), [2, 3]).fit(X, sample_weight=np.ones(12))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(12), r"KSweep: sample_weight must not be negative\. Got -1\.0 for row 0 instead"),
        (np.r_[np.ones(11), -0.5], r"must not be negative\. Got -0\.5 for row 11 instead"),
        # The second is a newer scikit-learn's.
        (
            np.zeros(12),
            "sample_weight must have a positive entry. Got only zeros|at least one non-zero number",
        ),
        (np.ones(11), r"sample_weight.shape == \(11,\), expected \(12,\)"),
        (np.full(12, np.nan), "sample_weight contains NaN"),
    ],
    ids=["negative", "one negative", "zero", "too few", "nan"],
)
def test_weights_that_mean_nothing_raise(X, weights, message):
    with pytest.raises(ValueError, match=message):
        KSweep(MustNotBeFitted(), [2, 3]).fit(X, sample_weight=weights)


def test_silhouette_that_is_left_out_cannot_choose(X):
    with pytest.raises(ValueError, match=r"which needs rows\. Got n_samples=0"):
        KSweep(MustNotBeFitted(), [2, 3], criterion="silhouette", n_samples=0).fit(X)


def test_set_output_rejects_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"KSweep\.set_output: transform must be .* Got 'nonsense' instead"):
        KSweep(KMeans()).set_output(transform="nonsense")
