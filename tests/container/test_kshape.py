"""Training k-Shape in a container is `LocalKShape`, to the last bit."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from shapecluster import LocalKShape
from shapecluster.container import load_model, main
from shapecluster.container._kshape import HYPERPARAMETERS
from shapecluster.exceptions import FlatSeriesWarning
from tests.container.conftest import RECORDIO

PARAMETERS = {"n_clusters": 3, "random_state": 5}


def assert_same(job, local: LocalKShape) -> None:
    """The artifact holds the same centers as a local fit, bit for bit."""
    centers = local.cluster_centers_
    written = np.loadtxt(job.model / "centroids", delimiter=",", ndmin=2).reshape(centers.shape)
    np.testing.assert_array_equal(written.astype(centers.dtype), centers)
    served = load_model(job.model).predict(centers.reshape(len(centers), -1).astype(np.float64))
    expected = local._assigned(centers)
    np.testing.assert_array_equal(served.closest_cluster, expected.labels)
    np.testing.assert_array_equal(served.distance_to_cluster, expected.sbd)
    assert (job.description["inertia"], job.description["n_iter"]) == (local.inertia_, local.n_iter_)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_init": 3},
        {"init": "random", "n_init": 2},
        {"max_shift": 3},
        {"max_shift": 0, "tol": 0.0},
        {"max_iter": 1},
        {"n_jobs": 2},
        {"tol": 0.3, "max_iter": 50, "verbose": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equal_seeds_give_the_bits_of_a_local_fit(job, walks, parameters, dtype):
    X = walks.astype(dtype)
    assert job.channel("train", X, RECORDIO).train(**PARAMETERS, **parameters) == 0
    assert_same(job, LocalKShape(**(PARAMETERS | parameters)).fit(X))
    assert job.description["dtype"] == dtype


@pytest.mark.parametrize(
    "content_type",
    ["text/csv", "text/csv; label_size=0", "application/json", "application/jsonlines", RECORDIO],
)
@pytest.mark.parametrize("files", [1, 5])
def test_every_format_and_any_number_of_files_give_the_same(job, walks, content_type, files):
    assert job.channel("train", walks, content_type, files=files).train(**PARAMETERS) == 0
    assert_same(job, LocalKShape(**PARAMETERS).fit(walks))


@pytest.mark.parametrize("hyperparameter", [True, False])
def test_tickers_may_stand_in_the_first_column(job, walks, hyperparameter):
    names = [f"T,{row}" for row in range(len(walks))]
    content_type = "text/csv" if hyperparameter else "text/csv;label_size=1"
    extra = {"label_size": 1} if hyperparameter else {}
    assert job.channel("train", walks, content_type, names=names).train(**PARAMETERS, **extra) == 0
    assert_same(job, LocalKShape(**PARAMETERS).fit(walks))


@pytest.mark.parametrize("max_shift", [None, 2])
def test_channels_of_a_series_are_side_by_side(job, rng, max_shift):
    X = rng.normal(size=(30, 20, 3)).cumsum(axis=1)
    job.channel("train", X.reshape(30, -1))
    assert job.train(**PARAMETERS, n_channels=3, max_shift=max_shift) == 0
    assert_same(job, LocalKShape(**PARAMETERS, max_shift=max_shift).fit(X))
    assert (job.description["n_timepoints"], job.description["n_channels"]) == (20, 3)


def test_one_channel_differs_from_none(job, walks):
    assert job.channel("train", walks).train(**PARAMETERS, n_channels=1) == 0
    assert_same(job, LocalKShape(**PARAMETERS).fit(walks[:, :, None]))


def test_missing_values_are_masked_on_request(job, walks):
    walks[3, :9] = np.nan
    assert job.channel("train", walks).train(**PARAMETERS, missing="mask") == 0
    assert_same(job, LocalKShape(**PARAMETERS, missing="mask").fit(walks))


def test_weights_have_a_channel_of_their_own(job, walks, rng):
    weights = rng.uniform(0, 3, len(walks))
    job.channel("train", walks).channel("weights", weights[:, None], RECORDIO)
    assert job.train(**PARAMETERS) == 0
    assert_same(job, LocalKShape(**PARAMETERS).fit(walks, sample_weight=weights))


@pytest.mark.parametrize("named", [True, False])
def test_first_centers_have_a_channel_of_their_own(job, walks, named):
    job.channel("train", walks).channel("init", walks[:3])
    extra = {"init": "channel"} if named else {}
    assert job.train(n_clusters=3, **extra) == 0
    assert_same(job, LocalKShape(3, init=walks[:3]).fit(walks))
    assert job.description["parameters"]["init"] == "channel"


def test_the_only_channel_may_have_any_name(job, walks):
    assert job.channel("prices", walks).train(**PARAMETERS) == 0


def test_k_is_another_name_for_n_clusters(job, walks):
    assert job.channel("train", walks).train(k=3, random_state=5) == 0
    assert_same(job, LocalKShape(**PARAMETERS).fit(walks))


def test_without_a_seed_a_random_one_is_described(job, walks):
    assert job.channel("train", walks).train(k=3, init="random") == 0
    seed = job.description["parameters"]["random_state"]
    assert_same(job, LocalKShape(3, init="random", random_state=seed).fit(walks))


def test_the_description_of_a_model(job, walks):
    assert job.channel("train", walks).train(**PARAMETERS) == 0
    assert sorted(path.name for path in job.model.iterdir()) == ["centroids", "shapecluster.json"]
    local = LocalKShape(**PARAMETERS)
    expected = {name: getattr(local, name) for name in job.description["parameters"]}
    assert job.description["parameters"] == expected
    assert job.description["library"] == version("shapecluster")
    assert job.description["algorithm"] == "k-shape"
    assert job.metrics == {"train:ssd": job.description["inertia"], "train:n_iter": job.description["n_iter"]}


def test_flat_series_are_named_in_a_warning(job, walks):
    walks[1] = 4.0
    job.channel("train", walks, "text/csv;label_size=1", names=[f"T{i}" for i in range(len(walks))])
    with pytest.warns(FlatSeriesWarning, match="'T1'"):
        assert job.train(**PARAMETERS) == 0


def test_every_parameter_of_the_local_estimator_is_a_hyperparameter():
    assert set(LocalKShape().get_params()) <= set(HYPERPARAMETERS)


def test_without_configuration_every_folder_is_a_channel(job, walks):
    job.channel("train", walks)
    job.configure(**PARAMETERS)
    for name in ("inputdataconfig.json", "resourceconfig.json"):
        (job.root / "input" / "config" / name).unlink()
    job.channels = {}
    assert main(["train", "--root", str(job.root)]) == 0
    assert_same(job, LocalKShape(**PARAMETERS).fit(walks))


def test_the_root_and_the_algorithm_come_from_the_environment_too(job, walks, monkeypatch):
    job.channel("train", walks).configure(k=2, feature_dim=24)
    monkeypatch.setenv("SHAPECLUSTER_ROOT", str(job.root))
    monkeypatch.setenv("SHAPECLUSTER_ALGORITHM", "k-means")
    assert main(["train"]) == 0
    assert job.description["algorithm"] == "k-means"
    monkeypatch.setenv("SHAPECLUSTER_ALGORITHM", "dbscan")
    assert main(["train"]) == 1
    assert "Got 'dbscan' instead" in job.failure


def test_files_are_one_matrix_in_the_order_of_their_names_also_in_folders(job, walks):
    folder = job.root / "input" / "data" / "train"
    job.channel("train", walks[:12])
    (folder / "part-0000").rename(folder / "b.csv")
    for name, rows in {"a/x.csv": walks[12:24], "c.csv": walks[24:]}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        np.savetxt(folder / name, rows, delimiter=",", fmt="%.17g")
    (folder / "d.csv").touch()
    assert job.train(**PARAMETERS) == 0
    ordered = np.concatenate([walks[12:24], walks[:12], walks[24:]])
    assert_same(job, LocalKShape(**PARAMETERS).fit(ordered))


def test_an_earlier_reason_of_failure_is_removed(job, walks):
    job.channel("train", walks)
    assert job.train(k=0) == 1
    assert Path(job.root / "output" / "failure").exists()
    assert job.train(**PARAMETERS) == 0
    assert not Path(job.root / "output" / "failure").exists()
    assert json.loads((job.model / "shapecluster.json").read_text())
