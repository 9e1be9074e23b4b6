from __future__ import annotations

import pickle
import warnings
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

from shapecluster import LocalKShape
from shapecluster.exceptions import FlatSeriesWarning
from tests.reference.kshape import kshape


def walks(rng, n=60, timepoints=50, channels=None):
    shape = (n, timepoints) if channels is None else (n, timepoints, channels)
    return 100 + rng.normal(size=shape).cumsum(axis=1)


def frame(X, freq="B"):
    dates = pd.date_range("2020-01-01", periods=X.shape[1], freq=freq)
    return pd.DataFrame(X, index=[f"T{i:03d}" for i in range(len(X))], columns=dates)


VARIANTS = [
    pytest.param({}, None, id="plain"),
    pytest.param({"max_shift": 0}, None, id="no shift"),
    pytest.param({"max_shift": 4}, None, id="window"),
    pytest.param({"missing": "mask"}, None, id="mask"),
    pytest.param({"missing": "mask", "max_shift": 3}, None, id="mask and window"),
    pytest.param({}, 3, id="three channels"),
    pytest.param({"missing": "mask", "max_shift": 6}, 3, id="three channels, mask and window"),
    pytest.param({"init": "random", "n_init": 3}, None, id="random"),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("params", "channels"), VARIANTS)
class TestEveryVariant:
    def data(self, rng, params, channels, dtype):
        X = walks(rng, channels=channels).astype(dtype)
        if params.get("missing") == "mask":
            X[::7, :20] = np.nan
            X[3, 11] = np.nan
        return X

    def test_labels_are_what_predict_says_of_the_same_raw_prices(self, rng, params, channels, dtype):
        X = self.data(rng, params, channels, dtype)
        model = LocalKShape(5, random_state=0, **params).fit(X)
        np.testing.assert_array_equal(model.labels_, model.predict(X))
        np.testing.assert_array_equal(model.labels_, model.predict(X * dtype(4)))
        assert model.score(X) == -model.inertia_

    def test_distances_to_the_own_center_are_those_of_transform(self, rng, params, channels, dtype):
        X = self.data(rng, params, channels, dtype)
        model = LocalKShape(5, random_state=0, **params).fit(X)
        distances = model.transform(X)
        assert distances.dtype == dtype
        assert distances.shape == (60, 5)
        np.testing.assert_array_equal(distances[np.arange(60), model.labels_], model.sbd_.astype(dtype))
        assert model.inertia_ == (model.sbd_**2).sum()

    def test_the_same_bits_on_any_number_of_threads(self, rng, params, channels, dtype):
        X = self.data(rng, params, channels, dtype)
        one, two, many = (
            LocalKShape(5, random_state=0, n_jobs=n_jobs, **params).fit(X) for n_jobs in (None, 2, -1)
        )
        for other in (two, many):
            assert one.inertia_ == other.inertia_
            for attribute in ("labels_", "shifts_", "sbd_", "cluster_centers_"):
                np.testing.assert_array_equal(getattr(one, attribute), getattr(other, attribute))

    def test_centers_are_normalized_finite_and_keep_the_dtype(self, rng, params, channels, dtype):
        X = self.data(rng, params, channels, dtype)
        centers = LocalKShape(5, random_state=0, **params).fit(X).cluster_centers_
        assert centers.dtype == dtype
        assert centers.shape == (5, *X.shape[1:])
        np.testing.assert_allclose(centers.mean(axis=1), 0, atol=1e-6)
        np.testing.assert_allclose(centers.std(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("channels", [None, 2])
def test_a_fit_agrees_with_the_slow_oracle(rng, channels):
    X = walks(rng, 30, 24, channels)
    model = LocalKShape(3, init=X[:3], tol=0.0).fit(X)
    core = X[:, None] if channels is None else X.transpose(0, 2, 1)
    expected = kshape(core, core[:3])
    assert model.inertia_ == pytest.approx(expected[0], rel=1e-10)
    np.testing.assert_array_equal(model.labels_, expected[1])
    np.testing.assert_array_equal(model.shifts_, expected[2])


def test_the_same_seed_gives_the_same_clusters_and_another_seed_may_not(rng):
    X = walks(rng)
    a, b = (LocalKShape(8, random_state=3).fit(X) for _ in range(2))
    np.testing.assert_array_equal(a.labels_, b.labels_)
    assert a.inertia_ == b.inertia_
    assert len({LocalKShape(8, random_state=s, max_iter=2).fit(X).inertia_ for s in range(5)}) > 1


def test_more_runs_never_end_higher(rng):
    X = walks(rng)
    few = LocalKShape(8, init="random", n_init=2, random_state=0).fit(X)
    many = LocalKShape(8, init="random", n_init=12, random_state=0).fit(X)
    assert many.inertia_ <= few.inertia_
    auto = LocalKShape(8, init="random", random_state=0).fit(X)
    ten = LocalKShape(8, init="random", n_init=10, random_state=0).fit(X)
    assert auto.inertia_ == ten.inertia_


@pytest.mark.parametrize("init", ["k-shape++", "random"])
def test_planted_shapes_are_found(rng, init):
    t = np.linspace(0, 1, 80)
    shapes = [np.sin(6 * np.pi * t), np.where(t > 0.5, 1.0, 0.0), t**3, np.exp(-((t - 0.4) ** 2) / 0.005)]
    truth = np.repeat(np.arange(4), 25)
    X = np.stack([np.roll(shapes[j], rng.integers(-3, 4)) * rng.uniform(1, 50) for j in truth])
    X += rng.uniform(10, 1000, (100, 1)) + 0.05 * X.std(axis=1, keepdims=True) * rng.normal(size=X.shape)
    labels = LocalKShape(4, init=init, n_init=5, random_state=0).fit_predict(X)
    assert adjusted_rand_score(truth, labels) > 0.9


def test_normalizing_before_changes_nothing(rng):
    from shapecluster.preprocessing import MinMax, ZScore

    X = walks(rng)
    plain = LocalKShape(5, random_state=0).fit(X)
    for transformer in (ZScore(), MinMax()):
        scaled = LocalKShape(5, random_state=0).fit(transformer.fit_transform(X))
        np.testing.assert_array_equal(plain.labels_, scaled.labels_)
        assert scaled.inertia_ == pytest.approx(plain.inertia_, rel=1e-10)


class TestNames:
    def test_a_frame_keeps_its_tickers(self, rng):
        X = frame(walks(rng))
        model = LocalKShape(4, random_state=0).fit(X)
        assert isinstance(model.labels_, np.ndarray)
        assert model.series_names_in_.tolist() == list(X.index)
        assert not hasattr(model, "feature_names_in_")
        table = model.labels_frame()
        assert table.index.tolist() == list(X.index)
        assert table.columns.tolist() == ["cluster", "shift", "sbd"]
        assert table.index.name == "series"
        assert LocalKShape(2).fit(X.rename_axis("ticker")).labels_frame().index.name == "ticker"
        members = model.members()
        assert sorted(chain.from_iterable(members.values())) == sorted(X.index)
        for cluster, names in members.items():
            assert (table.loc[names, "cluster"] == cluster).all()
            assert table.loc[names, "sbd"].is_monotonic_increasing

    def test_an_array_is_named_by_row_numbers_and_forgets_older_names(self, rng):
        X = walks(rng)
        model = LocalKShape(4, random_state=0).fit(frame(X)).fit(X)
        assert not hasattr(model, "series_names_in_")
        assert sorted(chain.from_iterable(model.members().values())) == list(range(60))

    def test_another_window_of_dates_may_be_predicted(self, rng):
        X = frame(walks(rng))
        later = X.copy()
        later.columns = pd.date_range("2024-01-01", periods=50)
        model = LocalKShape(4, random_state=0).fit(X)
        np.testing.assert_array_equal(model.predict(later), model.labels_)
        text = X.copy()
        text.columns = [f"day {i}" for i in range(50)]
        np.testing.assert_array_equal(LocalKShape(4, random_state=0).fit(text).predict(X), model.labels_)

    def test_transform_answers_a_frame_with_a_frame(self, rng):
        X = frame(walks(rng))
        model = LocalKShape(3, random_state=0).fit(X)
        out = model.transform(X)
        assert out.index.equals(X.index)
        assert list(out.columns) == ["localkshape0", "localkshape1", "localkshape2"]
        assert list(model.get_feature_names_out()) == list(out.columns)
        assert isinstance(model.transform(X.to_numpy()), np.ndarray)
        pandas_out = model.set_output(transform="pandas").transform(X.to_numpy())
        assert isinstance(pandas_out, pd.DataFrame)

    def test_float32_frames_stay_float32(self, rng):
        X = frame(walks(rng).astype(np.float32))
        model = LocalKShape(3, random_state=0).fit(X)
        assert model.cluster_centers_.dtype == np.float32
        assert (model.transform(X).dtypes == np.float32).all()


class TestFlatAndFew:
    def test_flat_rows_are_named_labeled_zero_and_at_distance_one(self, rng):
        X = frame(walks(rng))
        X.iloc[[4, 9]] = 12.5
        with pytest.warns(FlatSeriesWarning, match="2 of 60 series never move.*'T004', 'T009'"):
            model = LocalKShape(4, random_state=0).fit(X)
        assert model.labels_[[4, 9]].tolist() == [0, 0]
        assert model.sbd_[[4, 9]].tolist() == [1.0, 1.0]
        assert model.shifts_[[4, 9]].tolist() == [0, 0]
        assert model.inertia_ == (model.sbd_**2).sum()
        with pytest.warns(FlatSeriesWarning):
            np.testing.assert_array_equal(model.predict(X), model.labels_)
        with pytest.warns(FlatSeriesWarning):
            assert (model.transform(X).iloc[[4, 9]] == 1).all(axis=None)

    @pytest.mark.parametrize("init", ["k-shape++", "random"])
    def test_thirty_percent_flat_rows_give_no_zero_center(self, rng, init):
        X = walks(rng, 100)
        X[rng.permutation(100)[:30]] = 7.0
        for seed in range(5):
            with pytest.warns(FlatSeriesWarning, match="30 of 100"):
                model = LocalKShape(8, init=init, random_state=seed).fit(X)
            np.testing.assert_allclose(model.cluster_centers_.std(axis=1), 1, rtol=1e-9)
            assert np.isfinite(model.inertia_)

    def test_no_row_that_moves_is_an_error(self):
        with (
            pytest.warns(FlatSeriesWarning),
            pytest.raises(ValueError, match=r"no series of X .* ever moves"),
        ):
            LocalKShape(2).fit(np.ones((5, 10)))

    def test_duplicates_and_fewer_distinct_rows_than_clusters(self, rng):
        X = np.repeat(walks(rng, 3), 10, axis=0)
        with pytest.warns(
            ConvergenceWarning, match=r"distinct clusters \(3\) found smaller than n_clusters \(6\)"
        ):
            model = LocalKShape(6, random_state=0).fit(X)
        assert model.inertia_ < 1e-20
        assert np.isfinite(model.cluster_centers_).all()
        assert adjusted_rand_score(np.repeat([0, 1, 2], 10), model.labels_) == 1.0
        np.testing.assert_array_equal(model.labels_, model.predict(X))

    def test_as_many_clusters_as_series(self, rng):
        model = LocalKShape(12, random_state=0).fit(walks(rng, 12))
        assert sorted(model.labels_) == list(range(12))
        assert model.inertia_ < 1e-20

    def test_rounding_about_a_level_is_no_movement(self, rng):
        X = walks(rng)
        X[3] = 100.0 + rng.choice([-1, 0, 1], 50) * np.spacing(100.0)
        with pytest.warns(FlatSeriesWarning, match="1 of 60.*row 3"):
            LocalKShape(3, random_state=0).fit(X)

    def test_one_series_and_one_cluster(self, rng):
        assert LocalKShape(1).fit(walks(rng, 1)).labels_.tolist() == [0]


class TestMissing:
    def test_the_documented_distance_of_a_late_listed_twin(self):
        """A twin listed for half the window has SBD 0.32, for the last quarter 0.53."""
        from shapecluster.metrics import sbd_distances

        rng = np.random.default_rng(0)
        half, quarter = [], []
        for _ in range(200):
            x = rng.normal(size=252)
            late = np.stack([x, x, x])
            late[1, :126] = np.nan
            late[2, : 3 * 63] = np.nan
            d = sbd_distances(late, missing="mask", max_shift=5)
            half.append(d[0, 1])
            quarter.append(d[0, 2])
        assert np.mean(half) == pytest.approx(1 - np.sqrt(0.5), abs=0.03)
        assert np.mean(quarter) == pytest.approx(0.5, abs=0.04)

    def test_nan_is_refused_by_name_unless_masked(self, rng):
        X = frame(walks(rng))
        X.iloc[7, 3] = np.nan
        with pytest.raises(ValueError, match=r"contains NaN.*'T007' \(1 of 50\).*missing='mask'"):
            LocalKShape(3).fit(X)
        assert LocalKShape(3, missing="mask", random_state=0).fit(X).labels_.shape == (60,)

    def test_a_row_without_any_value_is_flat(self, rng):
        X = walks(rng)
        X[5] = np.nan
        with pytest.warns(FlatSeriesWarning, match="row 5"):
            model = LocalKShape(3, missing="mask", random_state=0).fit(X)
        assert model.labels_[5] == 0


class TestWeights:
    def test_inertia_and_score_are_weighted(self, rng):
        X, w = walks(rng), rng.uniform(0, 3, 60)
        model = LocalKShape(4, random_state=0).fit(X, sample_weight=w)
        assert model.inertia_ == pytest.approx((w * model.sbd_**2).sum(), rel=1e-14)
        assert model.score(X, sample_weight=w) == -model.inertia_

    def test_weight_two_is_the_same_as_twice_from_given_centers(self, rng):
        X = walks(rng)
        w = rng.integers(1, 4, 60)
        weighted = LocalKShape(4, init=X[:4]).fit(X, sample_weight=w)
        repeated = LocalKShape(4, init=X[:4]).fit(np.repeat(X, w, axis=0))
        np.testing.assert_array_equal(np.repeat(weighted.labels_, w), repeated.labels_)
        assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-10)

    def test_weight_zero_is_the_same_as_absent_from_given_centers(self, rng):
        X = walks(rng)
        w = np.where(np.arange(60) < 40, 1.0, 0.0)
        weighted = LocalKShape(4, init=X[:4]).fit(X, sample_weight=w)
        absent = LocalKShape(4, init=X[:4]).fit(X[:40])
        np.testing.assert_array_equal(weighted.labels_[:40], absent.labels_)
        np.testing.assert_array_equal(weighted.cluster_centers_, absent.cluster_centers_)

    @pytest.mark.parametrize("init", ["k-shape++", "random"])
    @pytest.mark.parametrize("scale", [1e-300, 1e300])
    def test_the_scale_of_the_weights_changes_nothing_but_the_inertia(self, rng, scale, init):
        X = walks(rng)
        one = LocalKShape(4, init=init, random_state=0).fit(X)
        scaled = LocalKShape(4, init=init, random_state=0).fit(X, sample_weight=np.full(60, scale))
        np.testing.assert_array_equal(one.labels_, scaled.labels_)
        assert scaled.inertia_ == pytest.approx(one.inertia_ * scale, rel=1e-9)

    def test_weights_of_very_different_size(self, rng):
        weights = np.full(60, 1e-300)
        weights[:2] = 1e300
        for init in ("k-shape++", "random"):
            assert np.isfinite(
                LocalKShape(4, init=init, random_state=0).fit(walks(rng), sample_weight=weights).inertia_
            )

    def test_clusters_of_rows_that_do_not_count_are_told_as_missing(self, rng):
        X = np.repeat(walks(rng, 2), 3, axis=0)
        X = np.vstack([X, walks(rng, 1)])
        with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\)"):
            LocalKShape(3, init=X[[6, 0, 3]]).fit(X, sample_weight=[1, 1, 1, 1, 1, 1, 0])

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([-1.0] + [1.0] * 59, "must not be negative. Got -1.0 for row 0"),
            ([0.0] * 60, "at least one non-zero|Got only zeros"),
            ([1e308] * 60, "finite sum"),
        ],
    )
    def test_bad_weights_are_refused(self, rng, weights, message):
        with pytest.raises(ValueError, match=message):
            LocalKShape(4).fit(walks(rng), sample_weight=weights)


@pytest.mark.parametrize(("fitted", "asked"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_the_model_says_in_which_precision_is_computed(rng, fitted, asked):
    X = walks(rng).astype(np.float32)
    model = LocalKShape(5, random_state=0).fit(X.astype(fitted))
    distances = model.transform(X.astype(asked))
    assert distances.dtype == asked
    np.testing.assert_allclose(distances, model.transform(X.astype(fitted)), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X.astype(asked)), model.labels_)


class TestCentersInUnits:
    def test_centers_take_the_level_and_scale_of_their_members(self, rng):
        t = np.linspace(0, 6, 60)
        X = np.stack([np.sin(t) * s + level for s, level in [(1, 10), (2, 20), (3, 30)]])
        model = LocalKShape(1).fit(X)
        np.testing.assert_allclose(model.centers_in_units(X), X[1:2], atol=1e-8)

    def test_channels_and_clusters_without_members(self, rng):
        X = walks(rng, channels=2)
        model = LocalKShape(4, random_state=0).fit(X)
        assert model.centers_in_units(X).shape == (4, 50, 2)
        lone = model.centers_in_units(X[:1])
        assert np.isnan(lone).all(axis=(1, 2)).sum() == 3


class TestContract:
    def test_clone_pickle_and_parameters(self, rng):
        X = walks(rng)
        model = LocalKShape(4, max_shift=3, random_state=0)
        assert clone(model).get_params() == model.get_params()
        model.fit(X)
        restored = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(restored.predict(X), model.labels_)

    def test_a_pickle_does_not_hold_the_data(self, rng):
        small = LocalKShape(2, random_state=0).fit(walks(rng, 300, 200))
        assert len(pickle.dumps(small)) < 300 * 200 * 8 / 10

    def test_fit_leaves_the_input_alone(self, rng):
        X = walks(rng)
        X.setflags(write=False)
        LocalKShape(3, random_state=0).fit(X).transform(X)

    @pytest.mark.parametrize("method", ["predict", "transform", "score", "centers_in_units"])
    def test_unfitted_is_said(self, rng, method):
        with pytest.raises(NotFittedError):
            getattr(LocalKShape(), method)(walks(rng))

    @pytest.mark.parametrize("method", ["labels_frame", "members"])
    def test_unfitted_is_said_without_input(self, method):
        with pytest.raises(NotFittedError):
            getattr(LocalKShape(), method)()

    def test_verbose_logs_each_iteration(self, rng, caplog):
        with caplog.at_level("INFO", logger="shapecluster"):
            model = LocalKShape(3, random_state=0, verbose=1).fit(walks(rng))
        assert len(caplog.records) == model.n_iter_
        assert "inertia" in caplog.text

    def test_metric_hook_measures_blocks_and_leaves_no_trace(self, rng):
        from shapecluster.metrics import sbd_distances

        X = walks(rng)
        model = LocalKShape(3, max_shift=2)
        first, second = np.array([4, 0, 7]), np.array([1, 9])
        distances = model._distances_between(X)(first, second)
        np.testing.assert_array_equal(distances, sbd_distances(X[first], X[second], max_shift=2))
        assert not hasattr(model, "n_features_in_")

    def test_a_full_fit_warns_of_nothing(self, rng):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            LocalKShape(3, random_state=0).fit(walks(rng))


class TestPath:
    """`_fit_path` shares spectra and seeds between numbers of clusters; nothing else may differ."""

    @pytest.mark.parametrize("n_jobs", [None, 2])
    @pytest.mark.parametrize("params", [{}, {"n_init": 3}, {"init": "random", "n_init": 2}, {"max_shift": 2}])
    def test_every_fit_equals_a_separate_one(self, rng, params, n_jobs):
        X, weights = frame(walks(rng)), rng.uniform(0.5, 2, 60)
        model = LocalKShape(random_state=5, **params)
        path = list(model._fit_path(X, [2, 3, 7, 12], sample_weight=weights, n_jobs=n_jobs))
        assert [fitted.n_clusters for fitted in path] == [2, 3, 7, 12]
        for fitted in path:
            single = clone(model).set_params(n_clusters=fitted.n_clusters).fit(X, sample_weight=weights)
            assert vars(fitted).keys() == vars(single).keys()
            assert (fitted.inertia_, fitted.n_iter_) == (single.inertia_, single.n_iter_)
            for name in ("labels_", "shifts_", "sbd_", "cluster_centers_", "series_names_in_"):
                np.testing.assert_array_equal(getattr(fitted, name), getattr(single, name))

    def test_a_state_of_randomness_is_not_used_up(self, rng):
        X = walks(rng)
        model = LocalKShape(random_state=np.random.RandomState(3))
        path = list(model._fit_path(X, [4, 6]))
        for fitted in path:
            single = LocalKShape(fitted.n_clusters, random_state=np.random.RandomState(3)).fit(X)
            assert fitted.inertia_ == single.inertia_

    def test_more_clusters_than_series_is_an_error_at_that_k(self, rng):
        path = LocalKShape(random_state=0)._fit_path(walks(rng, 5), [3, 6])
        assert next(path).n_clusters == 3
        with pytest.raises(ValueError, match="n_samples=5 should be >= n_clusters=6"):
            next(path)


class TestBadInput:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"n_clusters": 0}, "'n_clusters' parameter"),
            ({"n_clusters": 2.5}, "'n_clusters' parameter"),
            ({"init": "k-means++"}, "'init' parameter"),
            ({"n_init": 0}, "'n_init' parameter"),
            ({"max_iter": 0}, "'max_iter' parameter"),
            ({"tol": -1.0}, "'tol' parameter"),
            ({"max_shift": -1}, "'max_shift' parameter"),
            ({"missing": "drop"}, "'missing' parameter"),
            (
                {"init": np.zeros((3, 50))},
                r"init must have one center per cluster.*\(8, 50\).*Got shape \(3, 50\)",
            ),
            ({"init": np.full((8, 50), np.nan)}, "init must be finite"),
            ({"init": [["a", "b"]]}, "could not convert string to float"),
            ({"init": np.ones((8, 50)) + 1j}, "Complex data not supported"),
            (
                {"init": np.eye(8, 50) * np.arange(8)[:, None]},
                "init must hold centers that move. Got a flat center 0",
            ),
        ],
    )
    def test_bad_parameters(self, rng, params, message):
        with pytest.raises(ValueError, match=message):
            LocalKShape(**params).fit(walks(rng))

    def test_more_clusters_than_series(self, rng):
        with pytest.raises(ValueError, match="n_samples=3 should be >= n_clusters=8"):
            LocalKShape().fit(walks(rng, 3))

    def test_other_channels_than_fitted(self, rng):
        model = LocalKShape(2, random_state=0).fit(walks(rng, channels=2))
        with pytest.raises(ValueError, match="X has 3 channels, but LocalKShape was fitted with 2 channels"):
            model.predict(walks(rng, channels=3))
        with pytest.raises(ValueError, match="X has no channel axis"):
            model.predict(walks(rng))

    def test_other_timepoints_than_fitted(self, rng):
        model = LocalKShape(2, random_state=0).fit(walks(rng))
        with pytest.raises(ValueError, match="X has 40 features, but LocalKShape is expecting 50"):
            model.predict(walks(rng, timepoints=40))


def test_a_watched_fit_is_the_same_and_can_be_gone_on_with(rng):
    X = rng.normal(size=(30, 20)).cumsum(axis=1)
    whole = LocalKShape(3, random_state=0).fit(X)
    snapshots = []
    watched = LocalKShape(3, random_state=0)._fit_with_snapshots(X, None, lambda s: snapshots.append(dict(s)))
    resumed = LocalKShape(3, random_state=0)._fit_with_snapshots(X, None, lambda s: None, snapshots[0])
    for model in (watched, resumed):
        assert (model.inertia_, model.n_iter_) == (whole.inertia_, whole.n_iter_)
        np.testing.assert_array_equal(model.cluster_centers_, whole.cluster_centers_)
    assert len(snapshots) == whole.n_iter_


def test_a_snapshot_of_another_fit_leaves_the_estimator_as_it_was(rng):
    X = rng.normal(size=(30, 20)).cumsum(axis=1)
    snapshots = []
    model = LocalKShape(3, random_state=0)._fit_with_snapshots(X, None, lambda s: snapshots.append(s))
    before = model.inertia_
    with pytest.raises(ValueError, match="current"):
        model._fit_with_snapshots(X[:-1], None, lambda s: None, snapshots[-1])
    assert (model.inertia_, len(model.labels_)) == (before, 30)


@pytest.mark.parametrize("sweep", [False, True])
def test_n_correlations_counts_the_pairs_that_were_transformed(rng, sweep):
    """So little work is screened: every series that moves with every center, once before each step."""
    X = rng.normal(size=(50, 30))
    X[:4] = 2.0
    model = LocalKShape(3, init=X[10:13])
    with pytest.warns(FlatSeriesWarning):
        model = next(model._fit_path(X, [3])) if sweep else model.fit(X)
    assert model.n_correlations_ == 46 * 3 * (model.n_iter_ + 1)
