"""Portfolios in every clusterer of rows: sparse in, one definition of the SSD out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.metrics import silhouette_score

from benchmarks.portfolios_clustering import groups_of, min_hash, ssd_of, whole
from shapecluster import KSweep, SageMakerKMeans
from shapecluster.datasets import Copycats, make_portfolios
from shapecluster.remote import Rehearsal


@pytest.fixture(scope="module")
def traders():
    return make_portfolios(
        400,
        sectors="lab",
        sector_tilt=30.0,
        copycats=Copycats(40, (2, 4), 0.8),
        return_truth=True,
        random_state=0,
    )


def clusterers(tmp_path):
    return {
        "KMeans": KMeans(4, n_init=1, random_state=0),
        "MiniBatchKMeans": MiniBatchKMeans(4, n_init=1, random_state=0),
        "BisectingKMeans": BisectingKMeans(4, random_state=0),
        "SageMakerKMeans": SageMakerKMeans(4, session=Rehearsal(tmp_path, in_process=True)),
    }


@pytest.mark.parametrize("name", ["KMeans", "MiniBatchKMeans", "BisectingKMeans", "SageMakerKMeans"])
def test_inertia_is_the_ssd_and_sparse_rows_are_dense_ones(traders, tmp_path, name):
    X = traders[0].matrix
    model = clusterers(tmp_path)[name].fit(X)
    dense = X.toarray()
    squares = ((dense - model.cluster_centers_[model.labels_]) ** 2).sum()
    assert model.inertia_ == pytest.approx(squares, rel=1e-6)
    assert np.array_equal(model.predict(X), model.predict(dense))
    assert ssd_of(X, model.labels_) <= model.inertia_ * (1 + 1e-6)


@pytest.mark.parametrize("name", ["KMeans", "MiniBatchKMeans", "BisectingKMeans", "SageMakerKMeans"])
def test_sweeps_take_portfolios(traders, tmp_path, name):
    X = traders[0].matrix
    sweep = KSweep(clusterers(tmp_path)[name], k=[2, 4, 6], criterion="silhouette")
    results = sweep.fit(X).results_
    assert results.loc[6, "ssd"] < results.loc[2, "ssd"]
    assert results["silhouette"].notna().all()
    fitted = sweep.estimators_[4]
    assert results.loc[4, "ssd"] == fitted.inertia_
    assert results.loc[4, "silhouette"] == pytest.approx(silhouette_score(X, fitted.labels_))


def test_what_the_benchmark_counts(traders):
    held, truth = traders
    X = held.matrix
    labels = KMeans(5, n_init=1, random_state=0, tol=0, max_iter=1000).fit(X).labels_
    means = np.array([X[labels == cluster].toarray().mean(axis=0) for cluster in range(5)])
    assert ssd_of(X, labels) == pytest.approx(((X.toarray() - means[labels]) ** 2).sum())
    groups = groups_of(X, truth)
    assert len(groups) == 40
    for traders_of, exact in groups.itertuples(index=False):
        assert truth["group"].iloc[traders_of].nunique() == 1
        assert (len({tuple(held[int(trader)].index) for trader in traders_of}) == 1) is exact
    assert whole(truth["group"].to_numpy(), groups) == 1.0
    assert whole(np.arange(400), groups) == 0.0
    collided = min_hash(X)
    assert whole(collided, groups[groups["exact"]]) == 1.0  # identical sets have identical signatures
    assert len(set(collided)) > 100
