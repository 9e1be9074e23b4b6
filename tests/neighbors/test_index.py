from __future__ import annotations

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shapecluster import ClusterIndex, KSweep, LocalKShape, MiniBatchLocalKShape, ShapeNeighbors
from shapecluster.exceptions import FlatSeriesWarning
from shapecluster.neighbors import Recall
from shapecluster.preprocessing import LogReturns, ZScore
from tests.reference import search
from tests.reference.sbd import sbd


def walks(rng, n=150, m=40):
    return rng.normal(size=(n, m)).cumsum(axis=1)


def sets(rng, n=200, width=20):
    return sparse.csr_matrix((rng.random((n, width)) < 0.25).astype(float))


def k_means(k=8):
    return KMeans(k, n_init=1, max_iter=5, random_state=0)


def k_shape(k=8, **options):
    return LocalKShape(k, max_iter=2, random_state=0, **options)


class TestShapes:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("max_shift", [None, 2, 15])
    def test_all_cells_give_the_bits_of_the_exact_search(self, rng, max_shift, dtype):
        X, Q = walks(rng).astype(dtype), walks(rng, 20).astype(dtype)
        index = ClusterIndex(k_shape(max_shift=max_shift)).fit(X)
        assert index.metric_ == "sbd"
        expected = ShapeNeighbors(6, max_shift=max_shift).fit(X).kneighbors(Q, return_shift=True)
        found = [index.kneighbors(Q, 6, n_probe=8, return_shift=True)]
        if max_shift is None:
            found.append(index.kneighbors(Q, 6, n_probe=1, exact=True, return_shift=True))
        for answer in found:
            for a, b in zip(answer, expected, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)

    def test_distances_are_those_of_the_slow_loop(self, rng):
        X, Q = walks(rng, 40, 20), walks(rng, 3, 20)
        distances, ids = ClusterIndex(k_shape(4)).fit(X).kneighbors(Q, 5, exact=True)
        slow, positions = search.brute(Q, X, sbd, 5)
        np.testing.assert_allclose(distances, slow, atol=1e-12)
        np.testing.assert_array_equal(ids, positions)

    def test_channels_and_gaps_follow_the_clusterer(self, rng):
        X = rng.normal(size=(80, 30, 2)).cumsum(axis=1)
        X[rng.random(X.shape) < 0.1] = np.nan
        index = ClusterIndex(k_shape(5, missing="mask")).fit(X)
        expected = ShapeNeighbors(4, missing="mask").fit(X).kneighbors(X[:9])
        for a, b in zip(index.kneighbors(X[:9], 4, exact=True), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        with pytest.raises(ValueError, match="NaN"):
            ClusterIndex(k_shape(5)).fit(X)

    def test_flat_rows_are_at_distance_one(self, rng):
        X = walks(rng, 30)
        X[[4, 9]] = 3.0
        with pytest.warns(FlatSeriesWarning, match="at distance 1 from all others"):
            index = ClusterIndex(k_shape(3).fit(np.delete(X, [4, 9], 0))).fit(X)
        distances, ids = index.kneighbors(X[:1], 30, exact=True)
        assert distances[0][np.isin(ids[0], [4, 9])].tolist() == [1.0, 1.0]
        with pytest.warns(FlatSeriesWarning):
            distances, ids = index.kneighbors(X[4:5], 4, exact=True)
        assert distances.tolist() == [[1.0] * 4]
        assert ids.tolist() == [[0, 1, 2, 3]]

    def test_exact_is_refused_for_a_window_with_the_reason(self, rng):
        index = ClusterIndex(k_shape(max_shift=3)).fit(walks(rng))
        with pytest.raises(ValueError, match=r"max_shift=None: within a shift window SBD has no triangle"):
            index.kneighbors(walks(rng, 2), exact=True)
        with pytest.raises(ValueError, match=r"Got max_shift=3 instead; n_probe=8 scans every cell"):
            index.radius_neighbors(walks(rng, 2), 0.1, exact=True)

    def test_mini_batches_give_cells_too(self, rng):
        X = walks(rng)
        index = ClusterIndex(MiniBatchLocalKShape(5, random_state=0, max_shift=2)).fit(X)
        assert index.kneighbors(X[:3], 1)[1].tolist() == [[0], [1], [2]]


class TestVectors:
    @pytest.mark.filterwarnings("ignore:.*number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
    @given(st.integers(0, 2**32 - 1), st.booleans())
    @settings(max_examples=25)
    def test_exact_is_brute_force_with_ties_to_the_lower_id(self, seed, single):
        rng = np.random.default_rng(seed)
        X = rng.integers(3, size=(60, 3)).astype(np.float32 if single else np.float64)
        Q = rng.integers(3, size=(5, 3)).astype(X.dtype)
        index = ClusterIndex(KMeans(4, init=rng.normal(size=(4, 3)), n_init=1, max_iter=1)).fit(X)
        slow, positions = search.brute(Q, X, search.euclidean, 7)
        for options in ({"exact": True, "n_probe": 1}, {"n_probe": 4}):
            distances, ids = index.kneighbors(Q, 7, **options)
            np.testing.assert_allclose(distances, slow, rtol=1e-15)
            np.testing.assert_array_equal(ids, positions)

    def test_radius_search_is_brute_force(self, rng):
        X, Q = rng.normal(size=(200, 4)), rng.normal(size=(6, 4))
        index = ClusterIndex(k_means()).fit(X)
        distances, ids = index.radius_neighbors(Q, 1.0, exact=True)
        slow, positions = search.brute(Q, X, search.euclidean, 200)
        for i in range(6):
            n = int((slow[i] <= 1.0).sum())
            np.testing.assert_array_equal(ids[i], positions[i, :n])
            np.testing.assert_allclose(distances[i], slow[i, :n])
        some = index.radius_neighbors(Q, 1.0, n_probe=1, return_distance=False)
        assert all(set(a) <= set(b) for a, b in zip(some, ids, strict=True))

    def test_float32_storage_takes_half_and_decides_in_float64(self, rng):
        X = rng.normal(size=(300, 5))
        index = ClusterIndex(k_means(), dtype="float32").fit(X)
        assert index._space.rows.dtype == np.float32
        distances, _ = index.kneighbors(X[:20], 3, exact=True)
        single = X.astype(np.float32)  # queries are rounded as the rows are
        slow, _ = search.brute(single[:20], single, search.euclidean, 3)
        assert distances.dtype == np.float64
        np.testing.assert_allclose(distances, slow, rtol=1e-15)

    def test_sparse_rows_are_refused_with_the_way_out(self, rng):
        with pytest.raises(TypeError, match=r"takes dense rows. .* metric='jaccard'"):
            ClusterIndex(k_means()).fit(sets(rng))


class TestSets:
    @pytest.mark.filterwarnings("ignore:.*number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=25)
    def test_exact_is_brute_force(self, seed):
        rng = np.random.default_rng(seed)
        X, Q = sets(rng, 60, 12), sets(rng, 5, 12)
        index = ClusterIndex(k_means(4), metric="jaccard").fit(X)
        slow, positions = search.brute(Q.toarray(), X.toarray(), search.jaccard, 9)
        for options in ({"exact": True, "n_probe": 1}, {"n_probe": 4}):
            distances, ids = index.kneighbors(Q, 9, **options)
            np.testing.assert_array_equal(distances, slow)
            np.testing.assert_array_equal(ids, positions)
        distances, ids = index.radius_neighbors(Q, 0.6, exact=True, n_probe=1)
        slow, positions = search.brute(Q.toarray(), X.toarray(), search.jaccard, 60)
        for i in range(5):
            np.testing.assert_array_equal(ids[i], positions[i, slow[i] <= 0.6])

    def test_dense_rows_are_taken_and_quantities_are_not(self, rng):
        X = sets(rng)
        one, two = (ClusterIndex(k_means(), metric="jaccard").fit(rows) for rows in (X, X.toarray()))
        for a, b in zip(one.kneighbors(X[:9]), two.kneighbors(X[:9].toarray()), strict=True):
            np.testing.assert_array_equal(a, b)
        with pytest.raises(ValueError, match=r"zeros and ones.* Got 2 instead: pass X > 0"):
            one.kneighbors(2 * X[:3])

    def test_return_shift_is_for_shapes(self, rng):
        with pytest.raises(ValueError, match="return_shift needs metric 'sbd'"):
            ClusterIndex(k_means()).fit(rng.normal(size=(50, 3))).kneighbors(
                rng.normal(size=(1, 3)), return_shift=True
            )


class TestClusterer:
    def test_a_fitted_one_is_used_as_it_stands(self, rng):
        X = rng.normal(size=(100, 4))
        model = k_means().fit(X[:50])
        index = ClusterIndex(model).fit(X)
        assert index.clusterer_ is model
        np.testing.assert_array_equal(index.cluster_centers_, model.cluster_centers_)

    def test_an_unfitted_one_is_cloned_and_fitted(self, rng):
        X = rng.normal(size=(100, 4))
        model = k_means()
        index = ClusterIndex(model).fit(X)
        assert not hasattr(model, "cluster_centers_")
        np.testing.assert_array_equal(index.cluster_centers_, clone(model).fit(X).cluster_centers_)

    @pytest.mark.parametrize("size", [30, 0.3])
    def test_it_may_be_fitted_on_a_sample(self, rng, size):
        X = pd.DataFrame(rng.normal(size=(100, 4)))
        index = ClusterIndex(k_means(), train_size=size, random_state=3).fit(X)
        assert len(index.clusterer_.labels_) == 30
        assert index.n_samples_fit_ == 100
        same = ClusterIndex(k_means(), train_size=30, random_state=3).fit(X)
        np.testing.assert_array_equal(same.cluster_centers_, index.cluster_centers_)

    def test_rows_are_assigned_as_the_clusterer_does(self, rng):
        X = walks(rng)
        for model, rows in (
            (k_shape(), X),
            (k_means(), X),
            (MiniBatchKMeans(5, random_state=0, n_init=1), X),
        ):
            index = ClusterIndex(model).fit(rows)
            labels = np.empty(len(X), dtype=int)
            labels[index._cells.ids] = index._cells.labels
            np.testing.assert_array_equal(labels, index.clusterer_.predict(rows))

    def test_what_has_no_centers_is_refused(self, rng):
        with pytest.raises(TypeError, match=r"must have cluster_centers_.* Got DBSCAN"):
            ClusterIndex(DBSCAN()).fit(rng.normal(size=(9, 2)))
        with pytest.raises(TypeError, match=r"clusterer must be an estimator. Got 3"):
            ClusterIndex(3).fit(rng.normal(size=(9, 2)))

    def test_rows_unlike_the_centers_are_refused(self, rng):
        model = k_means().fit(rng.normal(size=(50, 4)))
        with pytest.raises(ValueError, match=r"X must have 4 features, as the centers of the index. Got 3"):
            ClusterIndex(model).fit(rng.normal(size=(50, 3)))
        with pytest.raises(ValueError, match=r"rows of shape \(40,\)"):
            ClusterIndex(k_shape().fit(walks(rng))).fit(walks(rng, m=30))


class TestPipelines:
    """A Pipeline that ends in a clusterer: rows and queries pass through its other steps first."""

    def prices(self, rng, n=60):
        values = 50 * np.exp(0.02 * rng.normal(size=(n, 33)).cumsum(axis=1))
        days = pd.date_range("2022-01-03", periods=33, freq="B")
        return pd.DataFrame(values, index=[f"T{i:02d}" for i in range(n)], columns=days)

    @pytest.mark.parametrize("is_fitted", [True, False])
    def test_answers_are_those_of_transformed_rows(self, rng, is_fitted):
        X = self.prices(rng)
        pipe = make_pipeline(LogReturns(), k_shape(5, max_shift=3))
        index = ClusterIndex(pipe.fit(X) if is_fitted else pipe, random_state=0).fit(X.iloc[:50])
        index.add(X.iloc[50:])
        index.remove([7])
        assert index.metric_ == "sbd"
        rows = LogReturns().fit_transform(X)
        bare = ClusterIndex(index.clusterer_[-1], random_state=0).fit(rows.iloc[:50])
        bare.add(rows.iloc[50:])
        bare.remove([7])
        for a, b in zip(
            index.kneighbors(X, 4, return_shift=True),
            bare.kneighbors(rows, 4, return_shift=True),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(index.kneighbors()[1], bare.kneighbors()[1])
        for a, b in zip(index.radius_neighbors(X, 0.5)[1], bare.radius_neighbors(rows, 0.5)[1], strict=True):
            np.testing.assert_array_equal(a, b)
        assert index.recall(X, 3, n_probe=1) == bare.recall(rows, 3, n_probe=1)
        assert index.tune(0.9, X, 3).n_probe_ == bare.tune(0.9, rows, 3).n_probe_
        if not is_fitted:
            assert not hasattr(pipe[-1], "cluster_centers_")

    def test_names_survive_transformers_that_drop_them(self, rng):
        X = pd.DataFrame(
            rng.normal(size=(50, 4)), index=[f"T{i:02d}" for i in range(50)], columns=list("abcd")
        )
        index = ClusterIndex(make_pipeline(StandardScaler(), PCA(2), k_means(4))).fit(X)
        assert index.metric_ == "euclidean"
        assert index.n_features_in_ == 4
        assert index.cluster_centers_.shape == (4, 2)
        ids = index.kneighbors(X, 1)[1]
        assert index.names_of(ids).ravel().tolist() == X.index.tolist()
        Z = index.clusterer_[:-1].transform(X)
        slow, positions = search.brute(Z[:5], Z, search.euclidean, 6)
        distances, ids = index.kneighbors(X.iloc[:5], 6, exact=True)
        np.testing.assert_array_equal(ids, positions)
        np.testing.assert_allclose(distances, slow, rtol=1e-14)
        with pytest.raises(ValueError, match="names already: T05"):
            index.add(X.iloc[[5]])

    def test_other_numbers_of_features_are_refused_in_the_users_numbers(self, rng):
        X = self.prices(rng)
        index = ClusterIndex(make_pipeline(LogReturns(), k_shape(3))).fit(X)
        assert index.n_features_in_ == 33
        with pytest.raises(ValueError, match="X has 32 features, but ClusterIndex is expecting 33 features"):
            index.kneighbors(X.iloc[:, 1:])
        with pytest.raises(ValueError, match="X has 32 features, but ClusterIndex is expecting 33 features"):
            index.kneighbors(LogReturns().fit_transform(X))
        with pytest.raises(ValueError, match="X has 30 features, but LogReturns is expecting 33 features"):
            ClusterIndex(index.clusterer_).fit(X.iloc[:, :30])
        with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
            index.kneighbors(X.to_numpy()[0])

    def test_a_sample_and_nested_pipelines_and_searches(self, rng):
        X = self.prices(rng)
        inner = make_pipeline(ZScore(), k_shape(4))
        index = ClusterIndex(make_pipeline(LogReturns(), inner), train_size=40, random_state=1).fit(X)
        assert len(index.clusterer_[-1][-1].labels_) == 40
        rows = LogReturns().fit_transform(X)
        np.testing.assert_array_equal(
            index.kneighbors(X, 3, exact=True)[1], ShapeNeighbors(3).fit(rows).kneighbors(rows)[1]
        )
        sweep = KSweep(make_pipeline(LogReturns(), k_shape(max_shift=2)), k=[2, 3], criterion="silhouette")
        found = ClusterIndex(sweep).fit(X)
        assert found.metric_ == "sbd"
        assert found._metric.settings["max_shift"] == 2
        np.testing.assert_array_equal(
            found.kneighbors(X, 3, n_probe=3)[1], ShapeNeighbors(3, max_shift=2).fit(rows).kneighbors(rows)[1]
        )

    def test_a_pipeline_of_one_step_is_its_clusterer(self, rng):
        X = walks(rng)
        one, other = ClusterIndex(make_pipeline(k_shape())).fit(X), ClusterIndex(k_shape()).fit(X)
        for a, b in zip(one.kneighbors(X[:9]), other.kneighbors(X[:9]), strict=True):
            np.testing.assert_array_equal(a, b)
        assert one.n_features_in_ == 40

    def test_saving_says_what_to_do_and_pickle_works(self, rng, tmp_path):
        X = self.prices(rng)
        index = ClusterIndex(make_pipeline(LogReturns(), k_shape(3))).fit(X)
        with pytest.raises(ValueError, match=r"keeps no transformers.*fit\(pipe\[:-1\].transform\(X\)\)"):
            index.save(tmp_path / "index")
        assert not list(tmp_path.iterdir())
        pipe = index.clusterer_
        ClusterIndex(pipe[-1]).fit(pipe[:-1].transform(X)).save(tmp_path / "index")
        loaded = ClusterIndex.load(tmp_path / "index")
        copied = pickle.loads(pickle.dumps(index))
        for a, b, c in zip(
            index.kneighbors(X[:5]),
            loaded.kneighbors(pipe[:-1].transform(X[:5])),
            copied.kneighbors(X[:5]),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)

    def test_a_later_fit_without_a_pipeline_forgets_it(self, rng):
        X = pd.DataFrame(rng.normal(size=(50, 4)), columns=list("abcd"))
        index = ClusterIndex(k_means(4)).fit(X)
        assert index.feature_names_in_.tolist() == list("abcd")
        index.set_params(clusterer=make_pipeline(PCA(2), k_means(4))).fit(X)
        assert not hasattr(index, "feature_names_in_")
        index.set_params(clusterer=k_means(4)).fit(X)
        distances, _ = index.kneighbors(X[:3], 2, exact=True)
        slow, _ = search.brute(X.to_numpy()[:3], X.to_numpy(), search.euclidean, 2)
        np.testing.assert_allclose(distances, slow, rtol=1e-14)

    def test_a_pipeline_without_centers_is_refused(self, rng):
        with pytest.raises(TypeError, match=r"must have cluster_centers_.* Got DBSCAN"):
            ClusterIndex(make_pipeline(StandardScaler(), DBSCAN())).fit(rng.normal(size=(9, 2)))


class TestOwnRows:
    """X=None: every row of the index is a query, and never its own neighbor."""

    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    def test_answers_are_brute_force_in_the_order_of_the_ids(self, rng, metric):
        X = sets(rng, 60, 12) if metric == "jaccard" else walks(rng, 60, 20)
        distance = {"sbd": sbd, "euclidean": search.euclidean, "jaccard": search.jaccard}[metric]
        index = ClusterIndex((k_shape if metric == "sbd" else k_means)(5), metric=metric).fit(X[:50])
        index.add(X[50:])
        index.remove([0, 13, 55])
        stays = np.setdiff1d(np.arange(60), [0, 13, 55])
        rows = X.toarray()[stays] if metric == "jaccard" else X[stays]
        full = np.array([[distance(a, b) for b in rows] for a in rows])
        np.fill_diagonal(full, np.inf)
        # Distances of the slow loop differ in their last bits, so rows that tie there are compared as sets.
        for options in ({"exact": True, "n_probe": 1}, {"n_probe": 5}):
            distances, ids = index.kneighbors(n_neighbors=6, **options)
            assert ids.shape == (57, 6)
            np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :6], atol=1e-12)
            place = np.searchsorted(stays, ids)
            np.testing.assert_allclose(np.take_along_axis(full, place, axis=1), distances, atol=1e-12)
            assert (ids != stays[:, None]).all()
            assert all(len(set(row)) == 6 for row in ids.tolist())
        radius = float(np.quantile(full, 0.2)) + 1e-9
        distances, ids = index.radius_neighbors(radius=radius, exact=True, n_probe=1)
        for i in range(57):
            assert set(ids[i].tolist()) == set(stays[full[i] <= radius].tolist())
            np.testing.assert_allclose(distances[i], np.sort(full[i][full[i] <= radius]), atol=1e-12)

    @pytest.mark.filterwarnings("ignore:Number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
    def test_twins_tie_to_the_lower_id_and_are_not_taken_for_the_row_itself(self, rng):
        X = rng.integers(2, size=(80, 3)).astype(float)  # at most eight distinct rows
        index = ClusterIndex(KMeans(4, init=rng.normal(size=(4, 3)), n_init=1, max_iter=1)).fit(X)
        full = np.sqrt(np.square(X[:, None] - X).sum(axis=2))
        np.fill_diagonal(full, np.inf)
        expected = np.argsort(full, axis=1, kind="stable")[:, :9]
        for options in ({"exact": True, "n_probe": 1}, {"n_probe": 4}):
            np.testing.assert_array_equal(index.kneighbors(n_neighbors=9, **options)[1], expected)

    @pytest.mark.parametrize("max_shift", [None, 2])
    def test_answers_are_the_bits_of_shape_neighbors(self, rng, max_shift):
        X = walks(rng)
        index = ClusterIndex(k_shape(max_shift=max_shift), n_jobs=2).fit(X)
        model = ShapeNeighbors(6, max_shift=max_shift).fit(X)
        for a, b in zip(
            index.kneighbors(None, 6, n_probe=8, return_shift=True),
            model.kneighbors(return_shift=True),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
        for one, two in zip(
            index.radius_neighbors(None, 0.2, n_probe=8), model.radius_neighbors(None, 0.2), strict=True
        ):
            for a, b in zip(one, two, strict=True):
                np.testing.assert_array_equal(a, b)

    def test_few_cells_still_give_as_many_neighbors_as_asked(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape(), n_probe=1).fit(X)
        assert index.kneighbors(n_neighbors=149)[1].shape == (150, 149)
        with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= 149"):
            index.kneighbors(n_neighbors=150)
        loaded_ids = index.kneighbors(return_distance=False)
        assert loaded_ids.shape == (150, 5)


@pytest.mark.parametrize("name", ["kneighbors", "radius_neighbors"])
def test_arguments_come_in_the_order_of_scikit_learn(name):
    ours, theirs = (
        [
            p.name
            for p in inspect.signature(getattr(owner, name)).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        for owner in (ClusterIndex, NearestNeighbors)
    )
    assert ours == theirs


def test_a_truth_value_is_never_taken_for_a_number(rng):
    X = walks(rng)
    index = ClusterIndex(k_shape(), n_probe=4).fit(X)
    expected = index.kneighbors(X[:9], 3)
    for a, b in zip(index.kneighbors(X[:9], 3, True), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(index.kneighbors(X[:9], 3, False), expected[1])
    with pytest.raises(TypeError, match="positional arguments"):
        index.kneighbors(X[:9], 3, True, 2)
    with pytest.raises(TypeError, match=r"n_neighbors must be an integer. Got True"):
        index.kneighbors(X[:9], True)
    with pytest.raises(TypeError, match=r"n_probe must be an integer. Got True"):
        index.kneighbors(X[:9], 3, n_probe=True)
    with pytest.raises(ValueError, match="radius must be"):
        index.radius_neighbors(X[:9], True)
    with pytest.raises(ValueError, match=r"radius must be.* Got None"):
        index.radius_neighbors(X[:9])
    for method in (index.recall, index.tune):
        with pytest.raises(TypeError, match="positional argument"):
            method(0.5, X, 3, True)


class TestQueries:
    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    def test_answers_do_not_depend_on_company_or_threads(self, rng, metric):
        X = sets(rng, 300) if metric == "jaccard" else walks(rng, 300, 64)
        model = k_shape(12) if metric == "sbd" else k_means(12)
        index = ClusterIndex(model, metric=metric, n_probe=3).fit(X)
        Q = X[rng.permutation(300)[:40]]
        together = index.kneighbors(Q, 7)
        alone = [index.kneighbors(Q[i : i + 1], 7) for i in range(40)]
        on_threads = index.set_params(n_jobs=2).kneighbors(Q, 7)
        for column in range(2):
            np.testing.assert_array_equal(together[column], np.concatenate([a[column] for a in alone]))
            np.testing.assert_array_equal(together[column], on_threads[column])

    def test_forms_of_answer(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape(), n_neighbors=3).fit(X)
        assert index.kneighbors(X[:4], return_distance=False).shape == (4, 3)
        assert len(index.kneighbors(X[:4], 2, return_shift=True)) == 3
        assert index.kneighbors(X[:4], 20, n_probe=1)[1].shape == (4, 20)  # looks further for them
        ids = index.radius_neighbors(X[:4], 0.1, return_distance=False)
        assert [i[0] for i in ids] == [0, 1, 2, 3]
        by_id = index.radius_neighbors(X[:4], 0.1, False, False)
        for a, b in zip(ids, by_id, strict=True):
            np.testing.assert_array_equal(np.sort(a), b)

    def test_bad_questions(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape())
        with pytest.raises(NotFittedError):
            index.kneighbors(X)
        index.fit(X)
        with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= 150"):
            index.kneighbors(X, 151)
        with pytest.raises(TypeError, match="n_probe must be an integer"):
            index.kneighbors(X, 1, n_probe=2.0)
        with pytest.raises(ValueError, match=r"Expected 1 <= n_probe. Got 0"):
            index.kneighbors(X, 1, n_probe=0)
        with pytest.raises(ValueError, match="39 features, but ClusterIndex is expecting 40"):
            index.kneighbors(X[:, :39])
        for radius in (-1, np.nan, "1"):
            with pytest.raises(ValueError, match="radius must be"):
                index.radius_neighbors(X, radius)

    def test_a_refused_fit_changes_nothing(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape()).fit(X)
        before = index.kneighbors(X[:3])
        with pytest.raises(ValueError, match="NaN"):
            index.fit(np.full((9, 5), np.nan))
        for a, b in zip(before, index.kneighbors(X[:3]), strict=True):
            np.testing.assert_array_equal(a, b)


class TestRecall:
    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    @pytest.mark.parametrize("own", [True, False])
    def test_it_is_the_share_of_true_neighbors_found(self, rng, metric, own):
        X = sets(rng) if metric == "jaccard" else walks(rng, 200)
        Q = X[:60] if own else (sets(rng, 60) if metric == "jaccard" else walks(rng, 60))
        model = k_shape(10) if metric == "sbd" else k_means(10)
        index = ClusterIndex(model, metric=metric, random_state=0).fit(X)
        measured = index.recall(Q, 5, n_probe=2, n_samples=None)
        found, true = (index.kneighbors(Q, 5, n_probe=n)[1] for n in (2, 10))
        shares = np.array([len(set(a) & set(b)) / 5 for a, b in zip(found, true, strict=True)])
        assert measured.recall == pytest.approx(shares.mean())
        assert measured.error == pytest.approx(shares.std(ddof=1) / np.sqrt(60))
        assert measured.n_queries == 60
        assert index.recall(Q, 5, n_probe=10, n_samples=None).recall == 1.0

    def test_own_rows_are_not_their_own_neighbors(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape(), random_state=0).fit(X)
        assert index.recall(n_neighbors=149, n_probe=8, n_samples=9) == Recall(1.0, 0.0, 9)
        with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= 149"):
            index.recall(n_neighbors=150)

    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    def test_tune_finds_the_least_number_of_cells(self, rng, metric):
        X = sets(rng, 300) if metric == "jaccard" else walks(rng, 300)
        model = k_shape(15) if metric == "sbd" else k_means(15)
        index = ClusterIndex(model, metric=metric, random_state=0).fit(X)
        for target in (0.5, 0.8, 1.0):
            chosen = index.tune(target, n_neighbors=5, n_samples=50).n_probe_
            assert index.recall(n_neighbors=5, n_samples=50).recall >= target
            if chosen > 1:
                assert index.recall(n_neighbors=5, n_samples=50, n_probe=chosen - 1).recall < target
        assert clone(index).n_probe == 8  # the parameter stays

    def test_tune_works_for_a_window(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape(max_shift=2), random_state=0).fit(X).tune(0.9, n_neighbors=3)
        assert index.recall(n_neighbors=3).recall >= 0.9

    def test_bad_targets(self, rng):
        index = ClusterIndex(k_shape()).fit(walks(rng))
        for target in (0, 1.1, "high"):
            with pytest.raises(ValueError, match=r"recall must be in \(0, 1\]"):
                index.tune(target)
        with pytest.raises(ValueError, match="Expected 1 <= n_samples"):
            index.recall(n_samples=0)


class TestAddAndRemove:
    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    def test_added_in_parts_is_fitted_at_once(self, rng, metric):
        X = sets(rng) if metric == "jaccard" else walks(rng, 200)
        model = (k_shape() if metric == "sbd" else k_means()).fit(X[:100])
        whole = ClusterIndex(model, metric=metric, n_probe=2).fit(X)
        parts = ClusterIndex(model, metric=metric, n_probe=2).fit(X[:50])
        assert parts.add(X[50:120]).tolist() == list(range(50, 120))
        parts.add(X[120:])
        for a, b in zip(whole.kneighbors(X[:30], 9), parts.kneighbors(X[:30], 9), strict=True):
            np.testing.assert_array_equal(a, b)
        assert parts.n_samples_fit_ == 200

    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    def test_removed_rows_are_as_if_they_had_never_been(self, rng, metric):
        X = sets(rng) if metric == "jaccard" else walks(rng, 200)
        model = (k_shape() if metric == "sbd" else k_means()).fit(X)
        gone = rng.permutation(200)[:70]
        stays = np.setdiff1d(np.arange(200), gone)
        index = ClusterIndex(model, metric=metric).fit(X).remove(gone)
        fresh = ClusterIndex(model, metric=metric).fit(X[stays])
        distances, ids = index.kneighbors(X[:30], 9)
        expected, positions = fresh.kneighbors(X[:30], 9)
        np.testing.assert_array_equal(distances, expected)
        np.testing.assert_array_equal(ids, stays[positions])
        np.testing.assert_array_equal(index.ids_, stays)
        assert index.add(X[:2]).tolist() == [200, 201]  # ids are never given again

    def test_names_go_with_their_rows(self, rng):
        X = pd.DataFrame(walks(rng, 30), index=[f"T{i:02d}" for i in range(30)])
        index = ClusterIndex(k_shape(4)).fit(X.iloc[:20])
        index.add(X.iloc[20:])
        index.remove([0, 25])
        assert "T00" not in index.series_names_in_
        ids = index.kneighbors(X.iloc[[3, 27]], 2, exact=True)[1]
        assert index.names_of(ids)[:, 0].tolist() == ["T03", "T27"]
        with pytest.raises(ValueError, match="does not have 0, 25"):
            index.names_of([0, 25, 1])
        with pytest.raises(ValueError, match="names already: T05"):
            index.add(X.iloc[[5]])
        with pytest.raises(ValueError, match="must be a DataFrame as well"):
            index.add(X.to_numpy())
        index.fit(X.to_numpy())
        assert not hasattr(index, "series_names_in_")
        assert index.names_of([3]).tolist() == [3]
        with pytest.raises(ValueError, match="must have no names"):
            index.add(X)

    def test_what_cannot_be_removed(self, rng):
        index = ClusterIndex(k_shape()).fit(walks(rng))
        with pytest.raises(ValueError, match="does not have 150, 151"):
            index.remove([3, 150, 151])
        with pytest.raises(ValueError, match="must leave at least one row"):
            index.remove(np.arange(150))
        with pytest.raises(ValueError, match=r"must be integers. Got float64"):
            index.remove([1.0])
        assert index.n_samples_fit_ == 150
