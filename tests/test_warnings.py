"""Warnings name their owner and point at the line of the user's code, whatever stands between."""

from __future__ import annotations

import asyncio
import contextvars
import cProfile
import functools
import multiprocessing
import os
import re
import runpy
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from shapecluster import (
    ClusterIndex,
    HistoricalAnalogues,
    KSweep,
    LocalKShape,
    MiniBatchLocalKShape,
    PortfolioMatcher,
    ShapeNeighbors,
)
from shapecluster._warnings import warn_user, with_user_line
from shapecluster.exceptions import ArtifactWarning, FlatSeriesWarning, MissingPricesWarning, SweepWarning
from shapecluster.metrics import sbd_distances
from shapecluster.portfolios import Portfolios
from shapecluster.prices import fetch_prices
from shapecluster.prices._yahoo import DownloadFailure, FetchError
from shapecluster.sagemaker._sweep import fit_in_parallel

TICKERS = [f"T{i}" for i in range(24)]
WALKS = pd.DataFrame(np.random.default_rng(0).normal(size=(24, 20)).cumsum(axis=1), index=TICKERS)
FLAT = WALKS.copy()
FLAT.iloc[3] = 1.0
TWINS = WALKS.iloc[np.arange(24) % 2].set_axis(TICKERS)  # two shapes, for three clusters

SHAPES = LocalKShape(3, random_state=0)
PIPELINE = make_pipeline("passthrough", SHAPES)
GRID = {"n_clusters": [2, 3]}
ELBOW = {"k": [2, 3, 4], "criterion": "elbow"}


def record(call, mode="always"):
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(mode)
        call()
    return caught


def points_at(warning, call):
    """Whether a warning points at the line of a lambda."""
    return (warning.filename, warning.lineno) == (__file__, call.__code__.co_firstlineno)


FLAT_CALLS = {
    "fit": lambda: SHAPES.fit(FLAT),
    "fit_predict": lambda: SHAPES.fit_predict(FLAT),
    "fit_transform": lambda: SHAPES.fit_transform(FLAT),
    "predict": lambda: SHAPES.fit(WALKS).predict(FLAT),
    "transform": lambda: SHAPES.fit(WALKS).transform(FLAT),
    "score": lambda: SHAPES.fit(WALKS).score(FLAT),
    "mini-batches": lambda: MiniBatchLocalKShape(3, random_state=0).fit(FLAT),
    "pipeline, fit": lambda: PIPELINE.fit(FLAT),
    "pipeline, fit_predict": lambda: PIPELINE.fit_predict(FLAT),
    "pipeline, fit_transform": lambda: PIPELINE.fit_transform(FLAT),
    "search": lambda: GridSearchCV(SHAPES, GRID, cv=2).fit(FLAT),
    "cross-validation": lambda: cross_val_score(SHAPES, FLAT, cv=2),
    "sequential joblib": lambda: Parallel(1)([delayed(SHAPES.fit)(FLAT)]),
    "partial": lambda: functools.partial(SHAPES.fit, FLAT)(),
    "pandas": lambda: FLAT.pipe(SHAPES.fit),
    "sweep": lambda: KSweep(SHAPES, **ELBOW).fit(FLAT),
    "sweep in threads": lambda: KSweep(SHAPES, n_jobs=2, **ELBOW).fit(FLAT),
    "sweep of a pipeline": lambda: KSweep(PIPELINE, n_jobs=2, **ELBOW).fit(FLAT),
    "sweep of mini-batches": lambda: KSweep(MiniBatchLocalKShape(random_state=0), n_jobs=2, **ELBOW).fit(
        FLAT
    ),
    "neighbors": lambda: ShapeNeighbors(2).fit(FLAT),
    "portfolio": lambda: ShapeNeighbors(2).fit(WALKS).kneighbors(FLAT),
    "distances": lambda: sbd_distances(FLAT),
}
OWNERS = {
    "mini-batches": "Mini",
    "sweep of mini-batches": "Mini",
    "neighbors": "Sh",
    "portfolio": "Sh",
    "distances": "sbd",
}


@pytest.mark.parametrize("way", FLAT_CALLS)
def test_flat_series(way):
    call = FLAT_CALLS[way]
    caught = [w for w in record(call) if w.category is FlatSeriesWarning]
    assert caught
    for warning in caught:
        assert points_at(warning, call)
        assert re.match(
            rf"{OWNERS.get(way, 'LocalKShape')}\w*: 1 of \d+ series never move.*T3", str(warning.message)
        )


CONVERGENCE_CALLS = {
    "fit": lambda: SHAPES.fit(TWINS),
    "pipeline": lambda: PIPELINE.fit_predict(TWINS),
    "search": lambda: GridSearchCV(SHAPES, GRID, cv=2).fit(TWINS),
    "sweep": lambda: KSweep(SHAPES, **ELBOW).fit(TWINS),
    "sweep in threads": lambda: KSweep(SHAPES, n_jobs=2, **ELBOW).fit(TWINS),
    "sweep of mini-batches": lambda: KSweep(MiniBatchLocalKShape(random_state=0), n_jobs=2, **ELBOW).fit(
        TWINS
    ),
}


@pytest.mark.parametrize("way", CONVERGENCE_CALLS)
def test_fewer_clusters_than_asked_for(way):
    call = CONVERGENCE_CALLS[way]
    caught = [w for w in record(call) if w.category is ConvergenceWarning]
    assert caught
    assert all(points_at(w, call) for w in caught)
    assert re.match(r"(MiniBatch)?LocalKShape: number of distinct clusters", str(caught[0].message))


SWEEP_CALLS = {
    "fit": lambda: KSweep(SHAPES, k=[2, 3]).fit(WALKS),
    "threads": lambda: KSweep(SHAPES, k=[2, 3], n_jobs=2).fit(WALKS),
    "pipeline": lambda: make_pipeline("passthrough", KSweep(SHAPES, k=[2, 3])).fit(WALKS),
    "fit_predict": lambda: KSweep(SHAPES, k=[2, 3]).fit_predict(WALKS),
}


@pytest.mark.parametrize("way", SWEEP_CALLS)
def test_a_sweep_that_decides_nothing(way):
    call = SWEEP_CALLS[way]
    (warning,) = record(call)
    assert warning.category is SweepWarning
    assert points_at(warning, call)
    assert str(warning.message).startswith("KSweep: ")


def test_analogues():
    days = pd.bdate_range("2020-01-01", periods=60)
    swings = pd.DataFrame([[100.0, 110.0] * 30, [50.0, 40.0] * 30], index=["A", "B"], columns=days)
    model = HistoricalAnalogues(
        window=10, horizon=5, clusterer=LocalKShape(3, random_state=0), random_state=0
    )
    call = lambda: model.fit(swings)  # noqa: E731
    (warning,) = record(call)
    assert warning.category is ConvergenceWarning
    assert points_at(warning, call)


def test_index():
    call = lambda: ClusterIndex(SHAPES.fit(WALKS), n_neighbors=2).fit(FLAT)  # noqa: E731
    (warning,) = record(call)
    assert points_at(warning, call)
    assert str(warning.message).startswith("ClusterIndex: 1 of 24 series never move")


def test_unknown_tickers_of_a_portfolio():
    matcher = PortfolioMatcher(0.5).fit(Portfolios(np.array([[1, 1], [1, 0]]), ["A", "B"], [1, 2]))
    call = lambda: matcher.matches(["A", "NOPE"])  # noqa: E731
    (warning,) = record(call)
    assert points_at(warning, call)
    assert str(warning.message).startswith("PortfolioMatcher: ")


def test_small_samples_of_mini_batches():
    call = lambda: MiniBatchLocalKShape(3, init_size=2, random_state=0).fit(WALKS)  # noqa: E731
    (warning,) = record(call)
    assert warning.category is RuntimeWarning
    assert points_at(warning, call)


def test_missing_prices(monkeypatch):
    missing = {"A": FetchError(DownloadFailure.EMPTY)}
    monkeypatch.setattr("shapecluster.prices._fetch.download", lambda *args, **kwargs: missing)
    call = lambda: fetch_prices(["A"], "2020-02-03", "2020-02-04", cache_dir=None, on_missing="warn")  # noqa: E731
    (warning,) = record(call)
    assert warning.category is MissingPricesWarning
    assert points_at(warning, call)
    assert str(warning.message).startswith("fetch_prices: no prices")


def test_threads_of_a_sweep_of_jobs():
    fit = functools.partial(warn_user, text="some centroids are missing", category=ArtifactWarning)
    call = lambda: list(fit_in_parallel(["first", "second", "third"], fit, 2))  # noqa: E731
    caught = record(call)
    assert sorted(str(w.message).partition(":")[0] for w in caught) == ["first", "second", "third"]
    assert all(points_at(w, call) and w.category is ArtifactWarning for w in caught)


# --------------------------------------------------------------------------------- what counts as the user's


@pytest.mark.parametrize(
    "path", ["shapecluster-study/sklearn.py", "sklearn/joblib.py", "shapecluster/threading.py"]
)
def test_a_file_that_is_called_like_one_of_ours_is_the_users(tmp_path, path):
    file = tmp_path / path
    file.parent.mkdir()
    file.write_text("def fit(model, X):\n    return model.fit(X)\n")
    fit = runpy.run_path(str(file))["fit"]
    (warning,) = record(lambda: fit(SHAPES, FLAT))
    assert (warning.filename, warning.lineno) == (str(file), 2)


def test_a_package_that_the_user_has_installed_is_the_users(tmp_path, monkeypatch):
    """Without a virtual environment, site-packages is a folder of the standard library."""
    monkeypatch.setattr("shapecluster._warnings._STANDARD_LIBRARY", os.path.join(tmp_path, ""))
    monkeypatch.setattr("shapecluster._warnings._INSTALLED", (os.path.join(tmp_path, "site-packages", ""),))
    for path, expected in [("site-packages/study.py", True), ("study.py", False)]:
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text("def fit(model, X):\n    return model.fit(X)\n")
        fit = runpy.run_path(str(file))["fit"]
        call = functools.partial(fit, SHAPES, FLAT)
        (warning,) = record(call)
        assert (warning.filename == str(file)) is expected


async def fit_soon():
    asyncio.get_running_loop().call_soon(SHAPES.fit, FLAT)
    await asyncio.sleep(0)


STANDARD_LIBRARY_CALLS = {
    "asyncio": lambda: asyncio.run(fit_soon()),
    "mock": lambda: Mock(side_effect=SHAPES.fit)(FLAT),
    "profiler": lambda: cProfile.Profile().runcall(SHAPES.fit, FLAT),
    "context": lambda: contextvars.copy_context().run(SHAPES.fit, FLAT),
}


@pytest.mark.parametrize("way", STANDARD_LIBRARY_CALLS)
def test_the_standard_library_is_never_the_users(way):
    call = STANDARD_LIBRARY_CALLS[way]
    (warning,) = record(call)
    assert points_at(warning, call)


class Own(ClusterMixin, BaseEstimator):
    """An estimator of the user, which fits one of ours."""

    def __init__(self, n_clusters=2):
        self.n_clusters = n_clusters

    def fit(self, X, y=None):
        model = LocalKShape(self.n_clusters, random_state=0).fit(X)
        self.labels_, self.inertia_ = model.labels_, model.inertia_
        return self


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_estimator_of_the_users_own_is_the_users_line(n_jobs):
    caught = record(lambda: KSweep(Own(), n_jobs=n_jobs, n_samples=0, **ELBOW).fit(FLAT))
    assert {w.lineno for w in caught} == {Own.fit.__code__.co_firstlineno + 1}


def test_threads_inherit_the_line_through_threads():
    def outer():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(with_user_line(functools.partial(warn_user, "inner", "two threads away"))).result()

    call = lambda: outer()  # noqa: E731
    (warning,) = record(call)
    assert warning.filename == __file__


def test_a_thread_of_the_user_has_no_line_and_the_message_says_whose_it_is():
    thread = threading.Thread(target=SHAPES.fit, args=(FLAT,))

    def run():
        thread.start()
        thread.join()

    (warning,) = record(run)
    assert str(warning.message).startswith("LocalKShape: 1 of 24 series never move")
    assert "'T3'" in str(warning.message)


def test_a_thread_is_left_as_it_was():
    with ThreadPoolExecutor(1) as pool:
        record(lambda: pool.submit(with_user_line(functools.partial(warn_user, "first", "known"))).result())
        (warning,) = record(lambda: pool.submit(functools.partial(warn_user, "second", "unknown")).result())
    assert warning.filename != __file__


# --------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize("way", ["fit", "pipeline, fit_predict", "sweep in threads", "sweep of mini-batches"])
def test_an_error_comes_out_of_fit(way):
    with pytest.raises(FlatSeriesWarning, match="'T3'"):  # as pytest is set here
        FLAT_CALLS[way]()


def test_a_sweep_of_jobs_ends_at_an_error():
    fit = functools.partial(warn_user, text="some centroids are missing", category=ArtifactWarning)
    with pytest.raises(ArtifactWarning, match="first: some centroids"):
        list(fit_in_parallel(["first", "second"], fit, 1))


# ------------------------------------------------------------------------------------------- other processes

SCRIPT = """
import numpy as np, pandas as pd
from sklearn.model_selection import GridSearchCV
from shapecluster import LocalKShape
X = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 20)), index=list("ABCDEFGHIJKL"))
X.iloc[3] = 1.0
{call}
"""


def run_script(tmp_path: Path, call: str, *options: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "study.py"
    script.write_text(SCRIPT.format(call=call))
    environment = {**os.environ, "PYTHONWARNINGS": ""}
    return subprocess.run(
        [sys.executable, *options, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def test_a_script_sees_its_own_line(tmp_path):
    done = run_script(tmp_path, "LocalKShape(2, random_state=0).fit_predict(X)")
    assert done.returncode == 0
    assert re.search(r"study\.py:7: FlatSeriesWarning: LocalKShape: 1 of 12.*'D'", done.stderr)
    assert "LocalKShape(2, random_state=0).fit_predict(X)\n" in done.stderr


def test_a_script_under_w_error_ends_with_the_warning(tmp_path):
    done = run_script(tmp_path, "LocalKShape(2, random_state=0).fit(X)", "-W", "error")
    assert done.returncode == 1
    assert re.match(
        r"shapecluster\.exceptions\.FlatSeriesWarning: LocalKShape: 1 of 12", done.stderr.splitlines()[-1]
    )


def test_the_default_filter_shows_a_warning_once_for_each_line(tmp_path):
    # Not through an estimator: scikit-learn's own checks of X make Python forget what it has shown.
    call = """from functools import partial
from shapecluster._warnings import warn_user
from shapecluster.sagemaker._sweep import fit_in_parallel
fit = partial(warn_user, text="some centroids are missing")
for _ in range(3):
    list(fit_in_parallel(["job"], fit, 1))
    list(fit_in_parallel(["job"], fit, 1))
"""
    done = run_script(tmp_path, call)
    shown = re.findall(r"study\.py:(\d+): UserWarning: job: some centroids are missing", done.stderr)
    assert shown == ["12", "13"]


def test_a_worker_process_names_the_estimator_and_the_rows(tmp_path):
    call = "GridSearchCV(LocalKShape(random_state=0), {'n_clusters': [2, 3]}, cv=2, n_jobs=2).fit(X)"
    done = run_script(tmp_path, f"if __name__ == '__main__':\n    {call}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"FlatSeriesWarning: LocalKShape: 1 of 6 series never move.*'D'", done.stderr)


def test_a_function_of_the_user_in_a_worker_process_is_the_users_line():
    def run():
        return [w.lineno for w in record(lambda: SHAPES.fit(FLAT))]

    with parallel_config("loky", n_jobs=2):
        (found,) = Parallel()([delayed(run)()])
    assert found == [run.__code__.co_firstlineno + 1]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_command_that_starts_a_worker_process_is_not_the_users_line(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    call = f"""from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("{method}")) as pool:
        pool.submit(LocalKShape(2, random_state=0).fit, X).result()
"""
    done = run_script(tmp_path, call)
    assert done.returncode == 0, done.stderr
    assert re.search(r"_validation\.py:\d+: FlatSeriesWarning: LocalKShape: 1 of 12.*'D'", done.stderr)
    assert "<string>" not in done.stderr


def test_code_of_the_command_line_is_the_users_line():
    code = SCRIPT.format(call="LocalKShape(2, random_state=0).fit_predict(X)")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert "<string>:7: FlatSeriesWarning: LocalKShape" in done.stderr
