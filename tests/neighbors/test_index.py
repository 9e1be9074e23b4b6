from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.exceptions import NotFittedError

from shapecluster import ClusterIndex, LocalKShape, MiniBatchLocalKShape, ShapeNeighbors
from shapecluster.exceptions import FlatSeriesWarning
from shapecluster.neighbors import Recall
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
        with pytest.raises(ValueError, match=r"Got max_shift=3 instead; n_probe=8 looks at every"):
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
        measured = index.recall(Q, 5, n_probe=2, sample=None)
        found, true = (index.kneighbors(Q, 5, n_probe=n)[1] for n in (2, 10))
        shares = np.array([len(set(a) & set(b)) / 5 for a, b in zip(found, true, strict=True)])
        assert measured.recall == pytest.approx(shares.mean())
        assert measured.error == pytest.approx(shares.std(ddof=1) / np.sqrt(60))
        assert measured.n_queries == 60
        assert index.recall(Q, 5, n_probe=10, sample=None).recall == 1.0

    def test_own_rows_are_not_their_own_neighbors(self, rng):
        X = walks(rng)
        index = ClusterIndex(k_shape(), random_state=0).fit(X)
        assert index.recall(n_neighbors=149, n_probe=8, sample=9) == Recall(1.0, 0.0, 9)
        with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= 149"):
            index.recall(n_neighbors=150)

    @pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
    def test_tune_finds_the_least_number_of_cells(self, rng, metric):
        X = sets(rng, 300) if metric == "jaccard" else walks(rng, 300)
        model = k_shape(15) if metric == "sbd" else k_means(15)
        index = ClusterIndex(model, metric=metric, random_state=0).fit(X)
        for target in (0.5, 0.8, 1.0):
            chosen = index.tune(target, n_neighbors=5, sample=50).n_probe_
            assert index.recall(n_neighbors=5, sample=50).recall >= target
            if chosen > 1:
                assert index.recall(n_neighbors=5, sample=50, n_probe=chosen - 1).recall < target
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
        with pytest.raises(ValueError, match="Expected 1 <= sample"):
            index.recall(sample=0)


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
