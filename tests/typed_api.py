"""The public API as a typed program: mypy and pyright check it in `make lint`, and a test runs it.

`assert_type` fails where a type is another one than promised, or Any. Functions whose names begin with
`remote_` are checked and not run: they need a network or start jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias, assert_type

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline

import shapecluster
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
from shapecluster.analogues import Analogues
from shapecluster.datasets import Copycats, Market, make_market, make_portfolios
from shapecluster.metrics import SampledSilhouette, sampled_silhouette, sbd_distances
from shapecluster.model_selection import SweepProgress
from shapecluster.neighbors import Recall
from shapecluster.plotting import AnaloguesDisplay, ClusterDisplay, ClusterGridDisplay, SSDCurveDisplay
from shapecluster.portfolios import Portfolios
from shapecluster.preprocessing import LogReturns, MinMax, ZScore
from shapecluster.prices import clean_prices, fetch_prices, load_prices, load_sectors
from shapecluster.remote import (
    Endpoint,
    Job,
    JobProgress,
    Leftover,
    Rehearsal,
    clean_up,
    list_leftovers,
)

Floats: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]
Ids: TypeAlias = NDArray[np.int64]
Objects: TypeAlias = NDArray[np.object_]


def prices_from_files(folder: Path, prices: pd.DataFrame) -> pd.DataFrame:
    path = folder / "prices.csv"
    prices.T.to_csv(path)
    loaded = load_prices(path, ticker=None, date="date", sep=",", decimal=".", sort_dates=True)
    assert_type(loaded, pd.DataFrame)
    sectors = folder / "sectors.csv"
    sectors.write_text("ticker,sector\nA,Energy\nB,Financials\n", "utf-8")
    assert_type(load_sectors(sectors), "pd.Series[Any]")
    cleaned = clean_prices(
        loaded, calendar="union", long_gaps="drop", late_listings="keep", bad_prints="repair"
    )
    assert_type(cleaned.prices, pd.DataFrame)
    assert_type(cleaned.report.events, pd.DataFrame)
    assert_type(cleaned.report.summary(), str)
    frame, report = cleaned
    assert_type(report.shape_out, tuple[int, int])
    return frame


def remote_prices(show: Callable[[int, int, str], None]) -> None:
    prices = fetch_prices(
        ["AAPL", "MSFT"],
        "2020-02-03",
        cache_dir=None,
        deadline=None,
        n_jobs=2,
        on_missing="warn",
        progress=show,
    )
    assert_type(prices, pd.DataFrame)


def transformers(prices: pd.DataFrame) -> pd.DataFrame:
    returns = LogReturns(nonpositive="nan", missing="mask").fit(prices)
    assert_type(returns, LogReturns)
    assert_type(returns.nonpositive, Literal["error", "nan"])
    assert_type(returns.transform(prices), pd.DataFrame)
    assert_type(returns.fit_transform(prices), pd.DataFrame)
    assert_type(returns.inverse_transform(returns.transform(prices)), pd.DataFrame)
    assert_type(returns.get_feature_names_out(), Objects)
    assert_type(LogReturns().fit_transform(prices.to_numpy()), Floats | pd.DataFrame)
    assert_type(ZScore(missing="error").fit_transform(prices), pd.DataFrame)
    assert_type(ZScore().fit(prices).transform(prices.to_numpy()), Floats | pd.DataFrame)
    assert_type(MinMax((0, 1), missing="error").fit_transform(prices), pd.DataFrame)
    assert_type(MinMax().set_output(transform="pandas"), MinMax)
    return returns.transform(prices)


def clusterers(X: pd.DataFrame) -> LocalKShape:
    model = LocalKShape(3, init="k-shape++", n_init="auto", missing="mask", max_shift=5, random_state=0)
    assert_type(model.fit(X), LocalKShape)
    assert_type(model.fit_predict(X), Integers)
    assert_type(model.fit_predict(X, sample_weight=np.ones(len(X))), Integers)
    assert_type(model.fit_transform(X), Floats | pd.DataFrame)
    assert_type(model.predict(X), Integers)
    assert_type(model.transform(X), Floats | pd.DataFrame)
    assert_type(model.score(X), float)
    assert_type(model.labels_, Integers)
    assert_type(model.shifts_, Integers)
    assert_type(model.cluster_centers_, Floats)
    assert_type(model.inertia_, float)
    assert_type(model.n_iter_, int)
    assert_type(model.n_features_in_, int)
    assert_type(model.labels_frame(), pd.DataFrame)
    assert_type(model.members(), dict[int, list[Any]])
    assert_type(model.centers_in_units(X), Doubles)
    assert_type(model.get_feature_names_out(), Objects)
    assert_type(model.get_params(), dict[str, Any])
    assert_type(model.set_params(n_clusters=3), LocalKShape)
    assert_type(model.set_output(transform="default"), LocalKShape)
    batches = MiniBatchLocalKShape(3, init="random", missing="error", random_state=0)
    assert_type(batches.partial_fit(X), MiniBatchLocalKShape)
    assert_type(batches.fit(X), MiniBatchLocalKShape)
    assert_type(batches.fit_predict(X), Integers)
    assert_type(batches.predict(X), Integers)
    given = LocalKShape(init=model.cluster_centers_, n_clusters=3)
    assert_type(given.fit(X).labels_, Integers)
    LocalKShape(2, init=[[0.0, 1.0], [1.0, 0.0]])
    LocalKShape(init=pd.DataFrame(model.cluster_centers_))
    missing: Literal["error", "mask"] = model.missing
    assert missing == "mask"
    return model


def sweeps(X: pd.DataFrame, show: Callable[[SweepProgress], None]) -> KSweep:
    sweep = KSweep(LocalKShape(random_state=0), k=[2, 3, 4], criterion="silhouette", n_jobs=2, progress=show)
    assert_type(sweep.fit(X), KSweep)
    assert_type(sweep.fit_predict(X), Integers)
    assert_type(sweep.predict(X), Integers)
    assert_type(sweep.transform(X), Floats | pd.DataFrame)
    assert_type(sweep.fit_transform(X), Floats | pd.DataFrame)
    assert_type(sweep.score(X), float)
    assert_type(sweep.best_k_, int)
    assert_type(sweep.ssd_k_, int)
    assert_type(sweep.elbow_k_, int | None)
    assert_type(sweep.criterion, Literal["ssd", "elbow", "silhouette"])
    assert_type(sweep.silhouette_k_, int | None)
    assert_type(sweep.results_, pd.DataFrame)
    assert_type(sweep.labels_, Integers)
    assert_type(sweep.inertia_, float)
    assert_type(sweep.labels_frame(), pd.DataFrame)
    assert_type(sweep.members(), dict[int, list[Any]])
    assert_type(sweep.centers_in_units(X), Doubles)
    assert_type(sweep.get_feature_names_out(), Objects)
    return sweep


def measures(X: pd.DataFrame, labels: Integers) -> None:
    assert_type(sbd_distances(X), Doubles)
    assert_type(sbd_distances(X, X, max_shift=2, missing="mask"), Doubles)
    assert_type(sbd_distances(X, return_shift=True), tuple[Doubles, Integers])
    silhouette = sampled_silhouette(X, labels, n_samples=20, random_state=0)
    assert_type(silhouette, SampledSilhouette)
    assert_type(silhouette.mean, float)
    assert_type(silhouette.n_samples, int)


def neighbors(X: pd.DataFrame) -> None:
    model = ShapeNeighbors(3, max_shift=5, missing="mask")
    assert_type(model.fit(X), ShapeNeighbors)
    assert_type(model.kneighbors(), tuple[Floats, Integers])
    assert_type(model.kneighbors(X, 2), tuple[Floats, Integers])
    assert_type(model.kneighbors(X, return_distance=False), Integers)
    assert_type(model.kneighbors(X, 2, False), Integers)
    assert_type(model.kneighbors(X, return_shift=True), tuple[Floats, Integers, Integers])
    assert_type(model.kneighbors(X, return_distance=False, return_shift=True), tuple[Integers, Integers])
    assert_type(model.kneighbors_graph(mode="distance"), sparse.csr_matrix)
    assert_type(model.transform(X), sparse.csr_matrix)
    assert_type(model.radius_neighbors(radius=0.5), tuple[Objects, Objects])
    assert_type(model.radius_neighbors(radius=0.5, return_distance=False), Objects)
    assert_type(model.radius_neighbors(X, 0.5, False), Objects)
    first, second = X.index[:2]
    assert_type(model.similar(first, n_neighbors=2), pd.DataFrame)
    assert_type(model.similar([first, second], n_neighbors=2, basket=True), pd.DataFrame)
    assert_type(model.similar({first: 0.7, second: 0.3}), pd.DataFrame)


def index(folder: Path, X: pd.DataFrame) -> None:
    model = LocalKShape(3, random_state=0)  # exact searches need all shifts
    built = ClusterIndex(model, n_neighbors=3, n_probe=2, metric="sbd", dtype="float32", backend="numpy")
    assert_type(built.fit(X), ClusterIndex)
    assert_type(built.kneighbors(X), tuple[Floats, Ids])
    assert_type(built.kneighbors(X, 2, return_distance=False), Ids)
    assert_type(built.kneighbors(X, 2, False, exact=True), Ids)
    assert_type(built.kneighbors(X, return_distance=False, return_shift=True), tuple[Ids, Integers])
    assert_type(built.kneighbors(X, n_probe=3, return_shift=True), tuple[Floats, Ids, Integers])
    assert_type(built.kneighbors(X, exact=True), tuple[Floats, Ids])
    assert_type(built.radius_neighbors(X, 0.5), tuple[Objects, Objects])
    assert_type(built.radius_neighbors(X, 0.5, return_distance=False, n_probe=3), Objects)
    assert_type(built.radius_neighbors(X, 0.5, False, n_probe=3), Objects)
    assert_type(built.recall(X, n_samples=5), Recall)
    assert_type(built.tune(0.9, X, n_samples=5), ClusterIndex)
    assert_type(built.names_of([0, 1]), Objects)
    added = built.add(X.set_axis([f"{name}, again" for name in X.index]))
    assert_type(added, Ids)
    assert_type(built.remove(added), ClusterIndex)
    built.save(folder / "stocks.index")
    assert_type(ClusterIndex.load(folder / "stocks.index"), ClusterIndex)


def analogues(prices: pd.DataFrame) -> Analogues:
    past = HistoricalAnalogues(
        40, horizon=10, exclusion="half", before="start", values="returns", random_state=0
    )
    assert_type(past.fit(prices), HistoricalAnalogues)
    assert_type(past.values, Literal["levels", "returns"])
    answer = past.analogues(prices.index[0], n_neighbors=3)
    assert_type(answer, Analogues)
    assert_type(answer.table, pd.DataFrame)
    assert_type(answer.summary, pd.DataFrame)
    assert_type(past.recall(3, n_samples=5), Recall)
    assert_type(past.n_windows_, int)
    assert_type(past.left_out_, pd.DataFrame)
    later = prices.iloc[:, -2:].set_axis(pd.bdate_range(str(prices.columns[-1]), periods=3)[1:], axis=1)
    assert_type(past.update(later), HistoricalAnalogues)
    return answer


def traders(folder: Path) -> None:
    held = make_portfolios(200, [f"T{i}" for i in range(40)], popularity="uniform", random_state=0)
    assert_type(held, Portfolios)
    table, truth = make_portfolios(200, copycats=Copycats(2, size=3), return_truth=True, random_state=0)
    assert_type(table, Portfolios)
    assert_type(truth, pd.DataFrame)
    assert_type(held.tickers, Objects)
    assert_type(held.n_holdings, Integers)
    assert_type(held.take([0, 1]), Portfolios)
    assert_type(held.position(1), int)
    assert_type(held.to_frame("long"), pd.DataFrame)
    held.to_csv(folder / "held.csv", layout="auto")
    assert_type(Portfolios.from_csv(folder / "held.csv"), Portfolios)
    assert_type(Portfolios.from_frame(held.to_frame()), Portfolios)
    matcher = PortfolioMatcher(Fraction(9, 10), metric="jaccard", quantities=False)
    assert_type(matcher.fit(held), PortfolioMatcher)
    assert_type(matcher.metric, Literal["jaccard", "containment", "overlap", "cosine"])
    assert_type(matcher.partial_fit(Portfolios([[1, 1]], ["T0", "T1"], [1000])), PortfolioMatcher)
    assert_type(matcher.matches(["T0", "T1"]), pd.DataFrame)
    assert_type(matcher.match_pairs(max_pairs=1000), pd.DataFrame)


def pictures(X: pd.DataFrame, model: LocalKShape, sweep: KSweep, answer: Analogues) -> None:
    assert_type(ClusterDisplay.from_estimator(model, X, cluster=0), ClusterDisplay)
    assert_type(ClusterDisplay.from_estimator(Pipeline([("shapes", model)]), X), ClusterDisplay)
    assert_type(ClusterGridDisplay.from_estimator(model, X, n_columns=2), ClusterGridDisplay)
    assert_type(SSDCurveDisplay.from_sweep(sweep), SSDCurveDisplay)
    assert_type(AnaloguesDisplay.from_answer(answer), AnaloguesDisplay)


def remote_jobs(X: pd.DataFrame, show: Callable[[JobProgress], None]) -> None:
    session = Rehearsal("rehearsal", in_process=True)
    job = Job(bucket="research", spot=True, tags={"team": "research"}, on_interrupt="stop", checkpoint=True)
    shapes = SageMakerKShape(3, session=session, job=job, progress=show, missing="error", random_state=0)
    assert_type(shapes.fit(X), SageMakerKShape)
    assert_type(shapes.fit_predict(X), Integers)
    assert_type(shapes.fit_transform(X), Floats | pd.DataFrame)
    assert_type(shapes.predict(X), Integers)
    assert_type(shapes.to_local(), LocalKShape)
    assert_type(shapes.result(timeout=10.0), SageMakerKShape)
    assert_type(shapes.estimated_cost(0.23), float | None)
    assert_type(SageMakerKShape.attach("job", session), SageMakerKShape)
    with shapes.deploy(instance_count=1) as endpoint:
        assert_type(endpoint, Endpoint)
        assert_type(endpoint.status, str)
        assert_type(shapes.predict_at(endpoint, X), Integers)
    assert_type(shapes.batch_predict(X), Integers)
    means = SageMakerKMeans(3, session=session, init_method="kmeans++", progress=show)
    assert_type(means.fit(X), SageMakerKMeans)
    assert_type(means.init_method, Literal["random", "kmeans++"])
    assert_type(means.fit_predict(X), Integers)
    assert_type(means.predict(X), Integers)
    assert_type(means.score(X), float)
    left = list_leftovers(session, min_age=0)
    assert_type(left, list[Leftover])
    assert_type(clean_up(left, session), list[Leftover])


def scikit_learn(X: pd.DataFrame, model: LocalKShape, sweep: KSweep) -> None:
    """Everything is an estimator of scikit-learn, also to a type checker."""
    estimators: list[BaseEstimator] = [
        model,
        sweep,
        MiniBatchLocalKShape(),
        SageMakerKMeans(),
        SageMakerKShape(),
        ShapeNeighbors(),
        ClusterIndex(model),
        HistoricalAnalogues(),
        PortfolioMatcher(),
        LogReturns(),
        MinMax(),
        ZScore(),
    ]
    clusterers: list[ClusterMixin] = [
        model,
        sweep,
        MiniBatchLocalKShape(),
        SageMakerKMeans(),
        SageMakerKShape(),
    ]
    transformers: list[TransformerMixin] = [model, LogReturns(), MinMax(), ZScore()]
    assert len(estimators) == 12
    assert len(clusterers) + len(transformers) == 9
    pipeline: Any = Pipeline([("returns", LogReturns()), ("shapes", model)])  # scikit-learn has no types
    pipeline.fit(X.abs() + 1)
    assert_type(KSweep(KMeans(random_state=0), k=[2, 3], criterion="silhouette").fit(X).predict(X), Integers)


def main() -> None:
    """Run what needs no network and starts no job."""
    mpl.use("Agg")
    assert_type(shapecluster.__version__, str)
    market = make_market(n_stocks=20, n_sectors=4, n_days=120, halt_kind="mixed", random_state=0)
    assert_type(market, Market)
    assert_type(market.prices, pd.DataFrame)
    seen: list[SweepProgress] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        prices = prices_from_files(folder, market.prices)
        returns = transformers(prices)
        model = clusterers(returns)
        sweep = sweeps(returns, seen.append)
        measures(returns, model.labels_)
        neighbors(returns)
        index(folder, returns)
        answer = analogues(prices)
        traders(folder)
        pictures(returns, model, sweep, answer)
        scikit_learn(returns, model, sweep)
    assert seen


if __name__ == "__main__":
    main()
