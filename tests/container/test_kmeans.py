"""Training K-Means in a container: the built-in algorithm's hyperparameters, artifact and metrics."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from sklearn.cluster import KMeans

from shapecluster.container import _kmeans
from shapecluster.container._kmeans import HYPERPARAMETERS
from shapecluster.formats import decode_ndarrays
from tests.container.conftest import RECORDIO


@pytest.fixture
def points(rng: np.random.Generator) -> np.ndarray:
    centers = rng.normal(0, 10, (4, 6))
    return (centers[np.arange(80) % 4] + rng.normal(size=(80, 6))).astype(np.float32)


def centers_of(job) -> np.ndarray:
    (matrix,) = decode_ndarrays((job.model / "model_algo-1").read_bytes()).arrays
    return matrix


@pytest.mark.parametrize("content_type", [RECORDIO, "text/csv", "text/csv;label_size=0"])
def test_the_artifact_holds_the_centers_that_scikit_learn_finds(job, points, content_type):
    assert job.channel("train", points, content_type).train("k-means", k=4, feature_dim=6) == 0
    matrix = centers_of(job)
    expected = KMeans(4, n_init=5, random_state=0).fit(points)
    assert (matrix.dtype, matrix.shape) == (np.float32, (4, 6))
    np.testing.assert_allclose(matrix, expected.cluster_centers_, rtol=1e-5, atol=1e-5)
    assert job.description["inertia"] == pytest.approx(expected.inertia_, rel=1e-5)
    assert job.description["library"]


@pytest.mark.parametrize(("given", "n_init", "other"), [({}, 5, 1), ({"local_lloyd_num_trials": 1}, 1, 5)])
def test_the_best_of_as_many_trials_as_asked_for_is_kept(job, given, n_init, other):
    """On data without clusters, five trials find a lower inertia than one."""
    rows = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    assert job.channel("train", rows, RECORDIO).train("k-means", k=12, feature_dim=6, **given) == 0
    inertia = {n: KMeans(12, n_init=n, random_state=0).fit(rows).inertia_ for n in (n_init, other)}
    assert job.description["inertia"] == pytest.approx(inertia[n_init], rel=1e-5)
    assert inertia[n_init] != pytest.approx(inertia[other], rel=1e-3)


def test_the_files_are_those_of_the_built_in_and_our_description(job, points):
    assert job.channel("train", points, RECORDIO).train("k-means", k=2, feature_dim=6) == 0
    state, *others = sorted(path.name for path in job.model.iterdir())[::-1]
    assert others == ["shapecluster.json", "model_algo-1"]
    assert state.startswith("state_")
    assert json.loads((job.model / state).read_text()) == {"n_iter": job.description["n_iter"]}


def test_the_same_data_give_the_same_model(job, points, tmp_path):
    job.channel("train", points, RECORDIO)
    assert job.train("k-means", k=3, feature_dim=6) == 0
    first = centers_of(job)
    assert job.train("k-means", k=3, feature_dim=6) == 0
    np.testing.assert_array_equal(centers_of(job), first)


@pytest.mark.parametrize(
    ("hyperparameters", "expected"),
    [({}, {"msd"}), ({"eval_metrics": ["ssd"]}, {"ssd"}), ({"eval_metrics": ["msd", "ssd"]}, {"msd", "ssd"})],
)
def test_metrics_of_the_test_channel(job, points, hyperparameters, expected, caplog):
    job.channel("train", points[:60], RECORDIO).channel("test", points[60:])
    with caplog.at_level(logging.INFO, logger="shapecluster"):
        assert job.train("k-means", k=4, feature_dim=6, **hyperparameters) == 0
    matrix = centers_of(job).astype(np.float64)
    ssd = ((points[60:, None].astype(np.float64) - matrix) ** 2).sum(axis=2).min(axis=1).sum()
    values = {"msd": ssd / 20, "ssd": ssd}
    found = {name: value for name, value in job.metrics.items() if name.startswith("test:")}
    assert found == pytest.approx({f"test:{name}": values[name] for name in expected})
    for name in expected:
        assert f"#quality_metric: host=algo-1, test {name} <loss>=" in caplog.text


def test_there_are_no_test_metrics_without_a_test_channel(job, points):
    assert job.channel("train", points, RECORDIO).train("k-means", k=2, feature_dim=6) == 0
    assert list(job.metrics) == ["train:ssd"]


def test_validated_only_hyperparameters_change_nothing(job, points):
    job.channel("train", points, RECORDIO)
    assert job.train("k-means", k=3, feature_dim=6) == 0
    first = centers_of(job)
    others = {
        "mini_batch_size": 17,
        "epochs": 4,
        "init_method": "kmeans++",
        "extra_center_factor": 3,
        "half_life_time_size": 100,
        "force_dense": True,
    }
    used = {"k", "feature_dim", "eval_metrics", *(name for name in HYPERPARAMETERS if "lloyd" in name)}
    assert set(others) == set(HYPERPARAMETERS) - used
    assert job.train("k-means", k=3, feature_dim=6, **others) == 0
    np.testing.assert_array_equal(centers_of(job), first)


def test_all_other_hyperparameters_reach_scikit_learn(job, points, monkeypatch):
    given = {}

    class Recorder(KMeans):
        def __init__(self, n_clusters=8, **parameters):
            given.update(parameters, n_clusters=n_clusters)
            super().__init__(n_clusters, **parameters)

    monkeypatch.setattr(_kmeans, "KMeans", Recorder)
    lloyd = {
        "local_lloyd_max_iter": 7,
        "local_lloyd_tol": 0.5,
        "local_lloyd_num_trials": 2,
        "local_lloyd_init_method": "random",
    }
    assert job.channel("train", points, RECORDIO).train("k-means", k=3, feature_dim=6, **lloyd) == 0
    expected = {"n_clusters": 3, "max_iter": 7, "tol": 0.5, "n_init": 2, "init": "random"}
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", 0),
        ("feature_dim", 0),
        ("mini_batch_size", 0),
        ("epochs", 0),
        ("init_method", "pca"),
        ("extra_center_factor", 0),
        ("half_life_time_size", -1),
        ("local_lloyd_max_iter", 0),
        ("local_lloyd_tol", 1.5),
        ("local_lloyd_num_trials", "many"),
        ("local_lloyd_init_method", "pca"),
        ("eval_metrics", ["mse"]),
        ("eval_metrics", "msd"),
        ("force_dense", "maybe"),
        ("n_clusters", 3),
    ],
)
def test_hyperparameters_out_of_their_ranges_are_named(job, points, name, value):
    job.channel("train", points, RECORDIO)
    assert job.train("k-means", **({"k": 3, "feature_dim": 6} | {name: value})) == 1
    assert name in job.failure
    assert not job.model.exists()


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"feature_dim": 6}, "Got no k"),
        ({"k": 3}, "Got no feature_dim"),
        ({"k": 3, "feature_dim": 7}, "must have feature_dim=7 values per row. Got 6"),
        ({"k": 81, "feature_dim": 6}, "There are 80 rows in channel 'train', fewer than k=81"),
    ],
)
def test_hyperparameters_that_do_not_fit_the_data(job, points, hyperparameters, message):
    assert job.channel("train", points, RECORDIO).train("k-means", **hyperparameters) == 1
    assert message in job.failure


def test_numbers_beyond_float32_are_rejected_with_their_row(job, points):
    X = points.astype(np.float64)
    X[7, 2] = 1e300
    assert job.channel("train", X).train("k-means", k=2, feature_dim=6) == 1
    assert "beyond float32 in row 8 of part-0000" in job.failure


def test_other_channels_are_rejected(job, points):
    job.channel("train", points, RECORDIO).channel("weights", np.ones((80, 1)))
    assert job.train("k-means", k=2, feature_dim=6) == 1
    assert "may have test. Got 'train', 'weights' instead" in job.failure
