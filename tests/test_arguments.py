"""Arguments of the wrong kind raise: a miscounted argument must not change an answer in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shapecluster import (
    ClusterIndex,
    HistoricalAnalogues,
    KSweep,
    LocalKShape,
    MiniBatchLocalKShape,
    PortfolioMatcher,
    SageMakerKMeans,
    SageMakerKShape,
    ShapeNeighbors,
)
from shapecluster._sklearn_compat import Interval
from shapecluster.datasets import make_market, make_portfolios
from shapecluster.metrics import sampled_silhouette, sbd_distances
from shapecluster.plotting import ClusterDisplay, ClusterGridDisplay
from shapecluster.prices import clean_prices
from shapecluster.remote import Rehearsal

PRICES = make_market(n_stocks=20, n_sectors=2, n_days=60, random_state=0).prices
FIRST = PRICES.index[0]
ESTIMATORS = [
    LocalKShape(),
    MiniBatchLocalKShape(),
    ShapeNeighbors(),
    KSweep(LocalKShape()),
    ClusterIndex(LocalKShape()),
    HistoricalAnalogues(),
    PortfolioMatcher(),
    SageMakerKMeans(),
    SageMakerKShape(),
]


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    return {
        "neighbors": ShapeNeighbors(3).fit(PRICES),
        "index": ClusterIndex(LocalKShape(2, random_state=0), n_neighbors=3).fit(PRICES),
        "past": HistoricalAnalogues(10, horizon=5, random_state=0).fit(PRICES),
        "matcher": PortfolioMatcher().fit(make_portfolios(50, random_state=0)),
    }


def _numbers() -> list[Any]:
    return [
        pytest.param(estimator, name, id=f"{type(estimator).__name__}-{name}")
        for estimator in ESTIMATORS
        for name, constraints in estimator._parameter_constraints.items()
        if any(isinstance(one, Interval) for one in constraints)
    ]


@pytest.mark.parametrize(("estimator", "name"), _numbers())
def test_no_estimator_takes_true_for_one(estimator: Any, name: str) -> None:
    changed = type(estimator)(**{**estimator.get_params(deep=False), name: True})
    with pytest.raises(ValueError, match=f"'{name}' parameter of {type(estimator).__name__} .*Got True"):
        changed._validate_params()


@pytest.mark.parametrize(
    "call",
    [
        lambda: make_market(n_stocks=20, n_halts=True),
        lambda: make_portfolios(50, min_holdings=True),
        lambda: clean_prices(PRICES, max_gap=True),
        lambda: sampled_silhouette(PRICES, [0] * 20, n_samples=True),
        lambda: sbd_distances(PRICES, max_shift=True),
        lambda: sbd_distances(PRICES, n_jobs=True),
        lambda: LocalKShape(2, n_jobs=True).fit(PRICES),
        lambda: KSweep(LocalKShape(), k=[2], n_jobs=True).fit(PRICES),
    ],
)
def test_no_function_takes_true_for_one(call: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Got True instead"):
        call()


NUMBERS = [
    ("neighbors", lambda one: one.similar(FIRST, True)),  # meant for basket
    ("neighbors", lambda one: one.kneighbors(PRICES, True)),
    ("neighbors", lambda one: one.kneighbors_graph(PRICES, True)),
    ("neighbors", lambda one: one.radius_neighbors(PRICES, True)),
    ("index", lambda one: one.kneighbors(PRICES, True)),
    ("index", lambda one: one.kneighbors(PRICES, 2, n_probe=True)),
    ("index", lambda one: one.radius_neighbors(PRICES, True)),
    ("index", lambda one: one.recall(PRICES, True)),
    ("index", lambda one: one.recall(PRICES, n_samples=True)),
    ("index", lambda one: one.tune(True)),
    ("past", lambda one: one.analogues(FIRST, True)),
    ("past", lambda one: one.recall(True)),
    ("matcher", lambda one: one.match_pairs(max_pairs=True)),
]


@pytest.mark.parametrize(("name", "call"), NUMBERS)
def test_no_method_takes_true_for_one(fitted: dict[str, Any], name: str, call: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Got True instead"):
        call(fitted[name])


FLAGS = [
    ("neighbors", "return_distance", lambda one, flag: one.kneighbors(PRICES, 2, flag)),
    ("neighbors", "return_shift", lambda one, flag: one.kneighbors(PRICES, 2, return_shift=flag)),
    ("neighbors", "return_distance", lambda one, flag: one.radius_neighbors(PRICES, 0.5, flag)),
    ("neighbors", "sort_results", lambda one, flag: one.radius_neighbors(PRICES, 0.5, True, flag)),
    ("neighbors", "basket", lambda one, flag: one.similar(FIRST, 2, basket=flag)),
    ("index", "return_distance", lambda one, flag: one.kneighbors(PRICES, 2, flag)),
    ("index", "exact", lambda one, flag: one.kneighbors(PRICES, 2, exact=flag)),
    ("index", "return_shift", lambda one, flag: one.kneighbors(PRICES, 2, return_shift=flag)),
    ("index", "return_distance", lambda one, flag: one.radius_neighbors(PRICES, 0.5, flag)),
    ("index", "sort_results", lambda one, flag: one.radius_neighbors(PRICES, 0.5, True, flag)),
    ("index", "exact", lambda one, flag: one.radius_neighbors(PRICES, 0.5, exact=flag)),
    ("past", "exact", lambda one, flag: one.analogues(FIRST, exact=flag)),
]


@pytest.mark.parametrize(("name", "flag", "call"), FLAGS)
def test_no_method_takes_a_number_for_a_flag(fitted: dict[str, Any], name: str, flag: str, call: Any) -> None:
    for wrong in (8, 0.5, "no", None):
        with pytest.raises(TypeError, match=rf"^{flag} must be True or False\. Got {wrong!r} instead\.$"):
            call(fitted[name], wrong)
    call(fitted[name], np.True_)


@pytest.mark.parametrize("ids", [[True], True, [2.0], 2.5, ["2"]])
def test_names_are_those_of_integer_ids_only(fitted: dict[str, Any], ids: Any) -> None:
    with pytest.raises(ValueError, match="ids must be integers"):
        fitted["index"].names_of(ids)
    assert fitted["index"].names_of([]).shape == (0,)
    assert fitted["index"].names_of(np.array([[0, 1]])).tolist() == [list(PRICES.index[:2])]


@pytest.mark.parametrize("cluster", [True, 1.0, "1"])
def test_displays_take_labels_of_clusters_only(cluster: Any) -> None:
    model = LocalKShape(2, random_state=0).fit(PRICES)
    with pytest.raises(ValueError, match=rf"cluster must be from 0 to 1\. Got {cluster!r} instead"):
        ClusterDisplay.from_estimator(model, PRICES, cluster=cluster)


@pytest.mark.parametrize("n_columns", [True, 2.0, 0, "2"])
def test_a_grid_takes_a_positive_number_of_columns_only(n_columns: Any) -> None:
    with pytest.raises(ValueError, match=rf"n_columns must be .* Got {n_columns!r} instead"):
        ClusterGridDisplay([ClusterDisplay([[1.0, 2.0]], [-1.0, 1.0])], n_columns=n_columns)


@pytest.mark.parametrize("wrong", [1, "no", None])
def test_nothing_but_true_keeps_an_endpoint_that_is_billed(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match="keep must be True or False"):
        SageMakerKShape(session=Rehearsal(tmp_path)).deploy(keep=wrong)
    with pytest.raises(ValueError, match="in_process of Rehearsal must be True or False"):
        Rehearsal(tmp_path, in_process=wrong)


@pytest.mark.parametrize("wrong", [True, 0, 1.5, "2"])
def test_an_endpoint_takes_a_positive_number_of_machines_only(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match="instance_count must be an int of at least 1"):
        SageMakerKShape(session=Rehearsal(tmp_path)).deploy(instance_count=wrong)
