from __future__ import annotations

import inspect
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer, NearestNeighbors
from sklearn.pipeline import make_pipeline

from shapecluster import ShapeNeighbors
from shapecluster.exceptions import FlatSeriesWarning
from shapecluster.metrics import sbd_distances
from shapecluster.preprocessing import LogReturns
from tests.reference import search
from tests.reference.sbd import sbd as slow_sbd


def returns(rng, n=30, days=120):
    dates = pd.date_range("2021-01-04", periods=days, freq="B")
    return pd.DataFrame(rng.normal(size=(n, days)), index=[f"T{i:02d}" for i in range(n)], columns=dates)


class TestKNeighbors:
    @pytest.mark.parametrize("max_shift", [None, 3])
    def test_answers_are_those_of_a_full_sort(self, rng, max_shift):
        universe, queries = rng.normal(size=(40, 30)).cumsum(1), rng.normal(size=(7, 30)).cumsum(1)
        model = ShapeNeighbors(4, max_shift=max_shift).fit(universe)
        sbd, indices, shifts = model.kneighbors(queries, return_shift=True)
        full, full_shifts = sbd_distances(queries, universe, max_shift=max_shift, return_shift=True)
        np.testing.assert_array_equal(indices, np.argsort(full, axis=1, kind="stable")[:, :4])
        np.testing.assert_array_equal(sbd, np.take_along_axis(full, indices, 1))
        np.testing.assert_array_equal(shifts, np.take_along_axis(full_shifts, indices, 1))

    def test_without_queries_no_series_is_its_own_neighbor(self, rng):
        universe = rng.normal(size=(12, 30))
        universe[7] = universe[2] * 3 + 1  # a twin
        sbd, indices = ShapeNeighbors(11).fit(universe).kneighbors()
        assert all(i not in row for i, row in enumerate(indices))
        assert (indices[7, 0], indices[2, 0]) == (2, 7)
        assert sbd[7, 0] < 1e-12

    def test_forms_of_answer(self, rng):
        model = ShapeNeighbors(3).fit(rng.normal(size=(10, 20)))
        assert model.kneighbors(return_distance=False).shape == (10, 3)
        assert len(model.kneighbors(n_neighbors=2)) == 2
        assert len(model.kneighbors(return_shift=True)) == 3
        assert len(model.kneighbors(return_distance=False, return_shift=True)) == 2

    def test_float32_answers_in_float32(self, rng):
        sbd, _ = ShapeNeighbors(3).fit(rng.normal(size=(10, 20)).astype(np.float32)).kneighbors()
        assert sbd.dtype == np.float32

    def test_graph(self, rng):
        model = ShapeNeighbors(3).fit(rng.normal(size=(10, 20)))
        sbd, indices = model.kneighbors()
        graph = model.kneighbors_graph(mode="distance")
        assert graph.shape == (10, 10)
        np.testing.assert_array_equal(graph[0].toarray()[0, indices[0]], sbd[0])
        assert model.kneighbors_graph().sum() == 30
        with pytest.raises(ValueError, match="mode must be"):
            model.kneighbors_graph(mode="weights")

    def test_a_number_of_neighbors_is_an_integer(self, rng):
        with pytest.raises(TypeError, match=r"n_neighbors must be an integer. Got 2\.0"):
            ShapeNeighbors().fit(rng.normal(size=(10, 20))).kneighbors(n_neighbors=2.0)

    @pytest.mark.parametrize("k", [0, 10])
    def test_too_many_or_too_few_neighbors(self, rng, k):
        model = ShapeNeighbors().fit(rng.normal(size=(10, 20)))
        with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= 9"):
            model.kneighbors(n_neighbors=k)

    def test_the_same_bits_on_two_threads(self, rng):
        universe = rng.normal(size=(80, 64)).cumsum(1)
        one, two = (ShapeNeighbors(5, n_jobs=j).fit(universe).kneighbors(return_shift=True) for j in (1, 2))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_pickle_and_unfitted(self, rng):
        model = ShapeNeighbors(3)
        with pytest.raises(NotFittedError):
            model.kneighbors()
        model.fit(rng.normal(size=(10, 20)))
        np.testing.assert_array_equal(
            pickle.loads(pickle.dumps(model)).kneighbors()[1], model.kneighbors()[1]
        )
        universe = rng.normal(size=(100, 400))
        assert len(pickle.dumps(ShapeNeighbors().fit(universe))) < 1.3 * universe.nbytes  # no spectra

    def test_a_window_set_after_fit_waits_for_the_next_fit(self, rng):
        X = rng.normal(size=(10, 20))
        model = ShapeNeighbors(3).fit(X)
        before = model.kneighbors(X)[0]
        np.testing.assert_array_equal(model.set_params(max_shift=1).kneighbors(X)[0], before)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_queries_are_computed_in_the_precision_of_the_universe(self, rng, dtype):
        universe = rng.normal(size=(30, 64)).cumsum(axis=1).astype(dtype)
        model = ShapeNeighbors(5).fit(universe)
        other = universe.astype(np.float32 if dtype == np.float64 else np.float64)
        sbd, indices = model.kneighbors(other)
        assert sbd.dtype == dtype
        np.testing.assert_array_equal(indices[:, 0], np.arange(30))

    def test_a_universe_that_never_moves_is_refused(self):
        with pytest.warns(FlatSeriesWarning), pytest.raises(ValueError, match="no series of X ever moves"):
            ShapeNeighbors(1).fit(np.ones((4, 9)))


class TestRadiusNeighbors:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("kind", ["walks", "noise"])
    @pytest.mark.parametrize("max_shift", [None, 0, 3, 15])
    def test_answers_are_those_of_the_full_matrix(self, rng, max_shift, kind, dtype):
        universe, queries = rng.normal(size=(60, 40)), rng.normal(size=(9, 40))
        if kind == "walks":
            universe, queries = universe.cumsum(1), queries.cumsum(1)
        universe, queries = universe.astype(dtype), queries.astype(dtype)
        model = ShapeNeighbors(max_shift=max_shift).fit(universe)
        full = sbd_distances(queries, universe, max_shift=max_shift)
        radius = float(np.sort(full.ravel())[full.size // 3])  # a distance of the matrix: the edge counts
        distances, indices = model.radius_neighbors(queries, radius)
        for row, found, near in zip(full, distances, indices, strict=True):
            expected = np.flatnonzero(row <= radius)
            expected = expected[np.argsort(row[expected], kind="stable")]
            np.testing.assert_array_equal(near, expected)
            np.testing.assert_array_equal(found, row[expected].astype(dtype))
            assert found.dtype == dtype

    def test_answers_are_those_of_the_slow_loop(self, rng):
        universe, queries = rng.normal(size=(30, 16)).cumsum(1), rng.normal(size=(4, 16)).cumsum(1)
        distances, indices = ShapeNeighbors(max_shift=4).fit(universe).radius_neighbors(queries, 0.4)
        slow = search.brute_within(queries, universe, partial(slow_sbd, max_shift=4), 0.4)
        for found, near, expected in zip(distances, indices, slow, strict=True):
            assert near.tolist() == [i for _, i in expected]
            np.testing.assert_allclose(found, [d for d, _ in expected], atol=1e-12)

    @pytest.mark.parametrize("missing", ["error", "mask"])
    def test_without_queries_no_series_is_its_own_neighbor(self, rng, missing):
        universe = rng.normal(size=(40, 30, 2)).cumsum(1)
        universe[7] = universe[2] * 3 + 1  # a twin
        if missing == "mask":
            universe[rng.random(universe.shape) < 0.1] = np.nan
        model = ShapeNeighbors(missing=missing).fit(universe)
        distances, indices = model.radius_neighbors(radius=0.3)
        others, of_others = model.radius_neighbors(universe, 0.3)
        for i in range(40):
            keep = of_others[i] != i
            np.testing.assert_array_equal(indices[i], of_others[i][keep])
            np.testing.assert_array_equal(distances[i], others[i][keep])

    def test_every_series_is_within_the_largest_distance_flat_ones_too(self, rng):
        universe = rng.normal(size=(12, 20))
        universe[[3, 8]] = 1.0
        with pytest.warns(FlatSeriesWarning):
            model = ShapeNeighbors().fit(universe)
        distances, indices = model.radius_neighbors(universe[:1], 1)
        assert sorted(indices[0]) == list(range(12))
        assert distances[0][np.isin(indices[0], [3, 8])].tolist() == [1.0, 1.0]
        assert [len(found) for found in model.radius_neighbors(radius=1.0)[1]] == [11] * 12

    def test_forms_of_answer(self, rng):
        universe = rng.normal(size=(20, 16)).cumsum(1)
        model = ShapeNeighbors().fit(universe)
        distances, indices = model.radius_neighbors(universe[:3], 0.3)
        assert distances.dtype == indices.dtype == object
        assert distances.shape == indices.shape == (3,)
        only = model.radius_neighbors(universe[:3], 0.3, False)
        unsorted, by_row = model.radius_neighbors(universe[:3], 0.3, True, False)
        for i in range(3):
            np.testing.assert_array_equal(only[i], indices[i])
            np.testing.assert_array_equal(by_row[i], np.sort(indices[i]))
            np.testing.assert_array_equal(unsorted[i], distances[i][np.argsort(indices[i])])
        none = model.radius_neighbors(rng.normal(size=(2, 16)), 0.0)[1]
        assert [len(found) for found in none] == [0, 0]

    def test_the_same_bits_on_two_threads_and_one_by_one(self, rng):
        universe = rng.normal(size=(80, 64)).cumsum(1)
        one, two = (ShapeNeighbors(n_jobs=j).fit(universe) for j in (1, 2))
        together = one.radius_neighbors(universe[:20], 0.2)
        alone = [one.radius_neighbors(universe[i : i + 1], 0.2) for i in range(20)]
        on_threads = two.radius_neighbors(universe[:20], 0.2)
        for column in range(2):
            for i in range(20):
                np.testing.assert_array_equal(together[column][i], alone[i][column][0])
                np.testing.assert_array_equal(together[column][i], on_threads[column][i])

    @pytest.mark.parametrize("radius", [None, -0.1, np.nan, "0.1", True])
    def test_a_radius_is_required(self, rng, radius):
        model = ShapeNeighbors().fit(rng.normal(size=(10, 20)))
        with pytest.raises(ValueError, match="radius must be a number that is not negative"):
            model.radius_neighbors(radius=radius)
        with pytest.raises(NotFittedError):
            ShapeNeighbors().radius_neighbors(radius=1.0)


class TestTransform:
    def test_the_graph_is_that_of_the_slow_loop_and_of_scikit_learn(self, rng):
        X, Q = rng.normal(size=(25, 16)).cumsum(1), rng.normal(size=(6, 16)).cumsum(1)
        model = ShapeNeighbors(3, max_shift=4)
        distance = partial(slow_sbd, max_shift=4)
        peer = KNeighborsTransformer(n_neighbors=3, metric=distance, algorithm="brute")
        for ours, theirs, queries in (
            (model.fit_transform(X), peer.fit_transform(X), X),
            (model.transform(Q), peer.transform(Q), Q),
        ):
            assert sparse.issparse(ours)
            assert ours.format == "csr"
            assert ours.shape == theirs.shape == (len(queries), 25)
            np.testing.assert_array_equal(np.diff(ours.indptr), 4)
            dense = np.full(ours.shape, np.inf)
            dense[np.repeat(np.arange(len(queries)), 4), ours.indices] = ours.data
            np.testing.assert_allclose(
                dense, search.neighbor_graph(queries, X, distance, 4), atol=1e-12, rtol=0
            )
            np.testing.assert_array_equal(ours.indptr, theirs.indptr)
            np.testing.assert_array_equal(ours.indices, theirs.indices)
            np.testing.assert_allclose(ours.data, theirs.data, atol=1e-12)
        fitted = model.fit_transform(X)
        assert (fitted.indices.reshape(25, 4) == np.arange(25)[:, None]).any(axis=1).all()

    def test_dbscan_takes_the_graph(self, rng):
        prices = 50 * np.exp(0.02 * np.repeat(rng.normal(size=(3, 60)), 8, axis=0).cumsum(1))
        prices *= np.exp(0.001 * rng.normal(size=prices.shape))
        clusterer = DBSCAN(eps=0.3, min_samples=4, metric="precomputed")
        pipe = make_pipeline(LogReturns(), ShapeNeighbors(23), clusterer)
        labels = pipe.fit_predict(prices)
        full = sbd_distances(LogReturns().fit_transform(prices))
        np.testing.assert_array_equal(labels, clusterer.fit_predict(full))
        assert len(np.unique(labels)) == 3
        few = make_pipeline(LogReturns(), ShapeNeighbors(7), clusterer).fit_predict(prices)
        np.testing.assert_array_equal(few, labels)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_classifier_of_neighbors_takes_the_graph(self, rng, dtype):
        X, Q = (rng.normal(size=(n, 30)).cumsum(1).astype(dtype) for n in (40, 9))
        y = rng.integers(3, size=40)
        pipe = make_pipeline(ShapeNeighbors(5), KNeighborsClassifier(5, metric="precomputed"))
        pipe.fit(X, y)
        full = KNeighborsClassifier(5, metric="precomputed").fit(sbd_distances(X), y)
        np.testing.assert_array_equal(pipe.predict(Q), full.predict(sbd_distances(Q, X)))
        np.testing.assert_array_equal(pipe.predict(X), full.predict(sbd_distances(X)))

    def test_the_graph_keeps_the_precision_of_the_universe(self, rng):
        X = rng.normal(size=(10, 20))
        assert ShapeNeighbors(3).fit_transform(X).dtype == np.float64
        assert ShapeNeighbors(3).fit_transform(X.astype(np.float32)).dtype == np.float32

    def test_columns_are_named_after_the_series(self, rng):
        X = returns(rng, 8)
        model = ShapeNeighbors(3).fit(X)
        assert model.get_feature_names_out().tolist() == X.index.tolist()
        assert model.get_feature_names_out().dtype == object
        model.fit(X.to_numpy())
        assert model.get_feature_names_out().tolist() == [f"shapeneighbors{i}" for i in range(8)]
        with pytest.raises(NotFittedError):
            ShapeNeighbors().get_feature_names_out()

    def test_a_frame_cannot_hold_the_graph(self, rng):
        model = ShapeNeighbors(3).set_output(transform="pandas")
        with pytest.raises(ValueError, match="sparse"):
            model.fit_transform(returns(rng, 8))

    def test_one_neighbor_more_than_there_are_series(self, rng):
        model = ShapeNeighbors(5).fit(rng.normal(size=(5, 20)))
        with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= 5"):
            model.transform(rng.normal(size=(2, 20)))


@pytest.mark.parametrize("name", ["kneighbors", "radius_neighbors", "kneighbors_graph"])
def test_arguments_come_in_the_order_of_scikit_learn(name):
    ours, theirs = (
        [
            p.name
            for p in inspect.signature(getattr(owner, name)).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        for owner in (ShapeNeighbors, NearestNeighbors)
    )
    assert ours == theirs


class TestSimilar:
    def test_planted_followers_are_found_with_their_lag_and_correlation(self, rng):
        X = returns(rng)
        X.iloc[5, 3:] = X.iloc[0, :-3].to_numpy()  # T05 trails T00 by three days
        X.iloc[6, :-2] = X.iloc[1, 2:].to_numpy()  # T06 leads T01 by two days
        answer = ShapeNeighbors(max_shift=5).fit(X).similar(["T00", "T01"], 2)
        assert answer.columns.tolist() == ["holding", "look_alike", "sbd", "lag", "correlation", "coverage"]
        assert answer["holding"].tolist() == ["T00", "T00", "T01", "T01"]
        first = answer.groupby("holding").first()
        assert first["look_alike"].tolist() == ["T05", "T06"]
        assert first["lag"].tolist() == [3, -2]
        assert (first["correlation"] > 0.999).all()
        assert first["coverage"].tolist() == [117 / 120, 118 / 120]
        assert not set(answer["look_alike"]) & {"T00", "T01"}

    def test_holdings_are_never_look_alikes_of_each_other(self, rng):
        X = returns(rng)
        X.iloc[1] = X.iloc[0] * 2
        answer = ShapeNeighbors(max_shift=2).fit(X).similar(["T00", "T01"], 28)
        assert set(answer["look_alike"]) == set(X.index[2:])
        assert answer.groupby("holding")["sbd"].apply(lambda s: s.is_monotonic_increasing).all()

    def test_a_late_listed_twin_ranks_first(self, rng):
        X = returns(rng)
        X.iloc[9] = X.iloc[0].to_numpy()
        X.iloc[9, :90] = np.nan  # the last quarter only
        X.iloc[4] = X.iloc[0].to_numpy() + 0.6 * rng.normal(size=120)  # similar, and listed all along
        model = ShapeNeighbors(max_shift=3, missing="mask").fit(X)
        answer = model.similar(["T00"], 2)
        assert answer["look_alike"].tolist() == ["T09", "T04"]
        assert answer["correlation"][0] == pytest.approx(1)
        assert answer["coverage"].tolist() == [0.25, 1.0]
        assert answer["sbd"][0] > answer["sbd"][1]  # which is why SBD does not rank here
        assert "T09" not in model.set_params(min_overlap=0.5).similar(["T00"], 5)["look_alike"].tolist()

    def test_under_a_mask_a_long_lag_still_counts_against_a_pair(self, rng):
        X = returns(rng)
        X.iloc[3, 80:] = X.iloc[0, :40].to_numpy()  # the same for a third of the days, 80 days later
        X.iloc[4] = X.iloc[0].to_numpy() + 0.9 * rng.normal(size=120)  # similar on all days
        X.iloc[9, :5] = np.nan
        answer = ShapeNeighbors(missing="mask").fit(X).similar(["T00"], 28)
        assert answer["look_alike"][0] == "T04"
        far = answer.set_index("look_alike").loc["T03"]
        assert far["lag"] == 80
        assert far["correlation"] > answer["correlation"][0]

    def test_basket_is_the_portfolio_as_a_whole(self, rng):
        X = returns(rng)
        X.iloc[7] = (X.iloc[0] / X.iloc[0].std() + X.iloc[1] / X.iloc[1].std()).to_numpy()
        model = ShapeNeighbors(max_shift=2).fit(X)
        answer = model.similar(["T00", "T01"], 3, basket=True)
        assert answer["holding"].tolist() == ["basket"] * 3
        assert answer["look_alike"][0] == "T07"
        assert answer["correlation"][0] > 0.99
        X.iloc[8] = (X.iloc[0] / X.iloc[0].std() - 3 * X.iloc[1] / X.iloc[1].std()).to_numpy()
        weighted = ShapeNeighbors(max_shift=2).fit(X).similar({"T00": 1, "T01": -3}, 1, basket=True)
        assert weighted["look_alike"].tolist() == ["T08"]

    def test_a_series_of_numbers_is_a_portfolio_with_weights(self, rng):
        X = returns(rng)
        model = ShapeNeighbors(max_shift=2).fit(X)
        expected = model.similar({"T03": 1.0, "T07": -2.0}, 3, basket=True)
        given = pd.Series({"T03": 1.0, "T07": -2.0})
        pd.testing.assert_frame_equal(model.similar(given, 3, basket=True), expected)
        assert model.similar(given, 1)["holding"].tolist() == ["T03", "T07"]
        assert model.similar(pd.Series(["T07", "T03"]), 1)["holding"].tolist() == ["T07", "T03"]
        assert model.similar({"T07", "T03"}, 1)["holding"].tolist() == ["T03", "T07"]

    @pytest.mark.parametrize("missing", ["error", "mask"])
    def test_basket_is_the_documented_mean_of_z_scores(self, rng, missing):
        X = returns(rng)
        if missing == "mask":
            X.iloc[1, :90] = np.nan  # late listed: its z-scores count as much as any other's
        weights = {"T00": 3.0, "T01": 1.0, "T02": -0.5}
        z = (
            X.loc[list(weights)]
            .sub(X.mean(axis=1), axis=0)
            .div(X.std(axis=1, ddof=0), axis=0)
            .loc[list(weights)]
        )
        w = np.array(list(weights.values()))[:, None]
        mean = np.nansum(z * w, axis=0) / (z.notna() * np.abs(w)).sum(axis=0)
        model = ShapeNeighbors(max_shift=2, missing=missing).fit(X)
        expected, indices, lags = model.kneighbors([mean], 30, return_shift=True)
        answer = model.similar(weights, 27, basket=True).sort_values("look_alike").reset_index()
        others = [(X.index[i], d, -lag) for i, d, lag in zip(indices[0], expected[0], lags[0], strict=True)]
        others = sorted(o for o in others if o[0] not in weights)
        np.testing.assert_allclose(answer["sbd"], [d for _, d, _ in others], atol=1e-12)
        assert answer["lag"].tolist() == [lag for _, _, lag in others]

    def test_a_basket_that_cancels_has_no_look_alikes(self, rng):
        X = returns(rng)
        X.iloc[1] = X.iloc[0] * 3 + 7
        with pytest.raises(ValueError, match="cancel each other"):
            ShapeNeighbors(max_shift=2).fit(X).similar({"T00": 1, "T01": -1}, 2, basket=True)

    def test_two_that_stand_still_while_both_are_observed_are_not_alike(self):
        rng = np.random.default_rng(1)
        for seed in range(20):
            X = returns(np.random.default_rng(seed), 8)
            X.iloc[0, 40:80] = rng.normal()  # halted, then delisted
            X.iloc[0, 80:] = np.nan
            X.iloc[1, :40] = np.nan  # listed late, suspended at first
            X.iloc[1, 40:80] = rng.normal()
            answer = ShapeNeighbors(max_shift=0, missing="mask").fit(X).similar(["T00"], 7)
            assert answer.set_index("look_alike")["correlation"]["T01"] == 0.0

    def test_basket_with_missing_values_uses_what_is_observed(self, rng):
        X = returns(rng)
        X.iloc[1, :60] = np.nan
        X.iloc[2] = X.iloc[0].to_numpy()
        answer = ShapeNeighbors(max_shift=0, missing="mask").fit(X).similar(["T00", "T01"], 1, basket=True)
        assert answer["look_alike"].tolist() == ["T02"]
        assert np.isfinite(answer[["sbd", "correlation"]]).all(axis=None)

    @pytest.mark.parametrize("basket", [True, False])
    def test_one_name_is_a_portfolio_of_one(self, rng, basket):
        X = returns(rng)
        model = ShapeNeighbors(max_shift=2).fit(X)
        expected = model.similar(["T07"], 3, basket=basket)
        pd.testing.assert_frame_equal(model.similar("T07", 3, basket=basket), expected)
        numbered = ShapeNeighbors(max_shift=2).fit(X.to_numpy())
        expected = numbered.similar([7], 3, basket=basket)
        for number in (7, np.int64(7)):
            pd.testing.assert_frame_equal(numbered.similar(number, 3, basket=basket), expected)

    def test_an_array_is_asked_by_row_number(self, rng):
        model = ShapeNeighbors(2).fit(returns(rng).to_numpy())
        assert model.similar([3, 4])["holding"].tolist() == [3, 3, 4, 4]

    def test_flat_series_are_nobodys_look_alike(self, rng):
        X = returns(rng, 6)
        X.iloc[5] = 0.0
        with pytest.warns(FlatSeriesWarning, match="'T05'"):
            model = ShapeNeighbors().fit(X)
        assert "T05" not in model.similar(["T00"], 4)["look_alike"].tolist()
        with pytest.warns(FlatSeriesWarning, match="are at distance 1 from all others: 'T05'"):
            flat = model.similar(["T05", "T01"], 2).head(2)
        assert flat["sbd"].tolist() == [1.0, 1.0]
        assert flat["correlation"].tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(
        ("portfolio", "n", "message"),
        [
            (["T00", "XX", "T01", "YY"], 2, "does not have: XX, YY"),
            (["T00", "T00"], 2, "more than once: T00"),
            ([], 2, "at least one series"),
            ("XX", 2, "does not have: XX"),
            (99, 2, "does not have: 99"),
            (True, 2, "must be names, or names with weights.* Got 'bool' instead"),
            (None, 2, "must be names.* Got 'NoneType' instead"),
            (3.0, 2, "must be names.* Got 'float' instead"),
            (pd.DataFrame({"T00": [1.0]}), 2, "must be names.* Got 'DataFrame' instead"),
            ({"T00": "much"}, 2, r"weights must be numbers. Got \['much'\]"),
            ([f"T{i:02d}" for i in range(30)], 2, "must leave series that move to choose from"),
            (["T00"], 30, "n_neighbors must be from 1 to 29"),
            (["T00"], 0, "n_neighbors must be from 1 to 29"),
        ],
    )
    def test_bad_questions(self, rng, portfolio, n, message):
        with pytest.raises(ValueError, match=message):
            ShapeNeighbors().fit(returns(rng)).similar(portfolio, n)

    @pytest.mark.parametrize("weights", [{"T00": 0.0}, {"T00": np.nan}])
    def test_bad_weights(self, rng, weights):
        with pytest.raises(ValueError, match="weights must be finite and not all 0"):
            ShapeNeighbors().fit(returns(rng)).similar(weights, 1, basket=True)


def test_channels_are_compared_together_and_must_match(rng):
    universe = rng.normal(size=(9, 30, 2))
    model = ShapeNeighbors(2).fit(universe)
    assert model.kneighbors(universe[:1])[1][0, 0] == 0
    assert model.similar([0], 1)["coverage"].between(0, 1).all()
    with pytest.raises(ValueError, match="X has 3 channels, but ShapeNeighbors was fitted with 2"):
        model.kneighbors(rng.normal(size=(1, 30, 3)))
