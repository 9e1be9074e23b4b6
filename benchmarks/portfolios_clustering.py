"""Synthetic portfolios: the time to draw them, and clusterings of 100,000 of them.

    python -m benchmarks.portfolios_clustering             some minutes
    python -m benchmarks.portfolios_clustering --quick     small sizes

Drawing is compared with a loop of NumPy's Generator.choice. Clusterings are compared by time, SSD and the
silhouette of a sample. One function computes the SSD of every partition. Further figures are the share of
groups of copycats that stay in one cluster, and the agreement with the home sectors of the traders. MinHash
has no number of clusters. It joins traders whose sets of tickers collide, which finds copycats and does not
partition the market.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans, SpectralCoclustering
from sklearn.metrics import adjusted_mutual_info_score

from benchmarks._arena import in_turns, timed
from benchmarks._frame import Benchmark, Results, environment_text
from benchmarks._report import Block, Columns, Table, check, figure, megabytes, percent, seconds, with_error
from shapecluster.datasets import Copycats, make_portfolios
from shapecluster.metrics import sampled_silhouette
from shapecluster.remote import Rehearsal
from shapecluster.sagemaker import SageMakerKMeans

K = 11  # as many as there are sectors
REPEATS = 3
BANDS, HASHES_OF_A_BAND = 8, 8  # two traders of Jaccard 0.8 collide in one of the bands with chance 0.77


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Draw many portfolios, and cluster some."""
    n_large, n_traders = (50_000, 5_000) if options.quick else (1_000_000, 100_000)
    results["generation"] = generation(n_large)
    taken = {entry["name"]: entry["seconds"] for entry in results["generation"]}
    results["clusterings"] = {
        "no home sectors": clusterings(n_traders, None),
        "home sectors, whose tickers are 20 times likelier": clusterings(n_traders, 20.0),
    }
    results["checks"] = [
        check(f"Seconds for {n_large:,} traders x 500 tickers, {name}", taken[name], "<=", 5.0)
        for name in ("uniform", "zipf")
    ]
    found = parts(results)
    yield [*found["portfolios_drawn"], *found["portfolios_clustered"], results["checks"]]


# ------------------------------------------------------------------------------------------- generation


def generation(n_traders: int) -> list[dict[str, Any]]:
    """Time and memory of drawing many portfolios of 500 tickers, and of a loop over some of them."""
    asked: dict[str, dict[str, Any]] = {
        "uniform": {},
        "zipf": {"popularity": "zipf"},
        "zipf, home sectors, a tenth copycats": {
            "popularity": "zipf",
            "sectors": [f"sector {i % 11}" for i in range(500)],
            "copycats": Copycats(n_traders // 50, 5, 0.8),
        },
        "uniform, 3 to 50 holdings": {"max_holdings": 50},
    }
    entries = in_turns(
        {name: partial(draw, n_traders, **how) for name, how in asked.items()}, repeats=REPEATS
    )
    found = [
        {"name": name, "n": n_traders, "seconds": min(entry.times), "times": entry.times, "peak": entry.peak}
        for name, entry in entries.items()
    ]
    n_few = n_traders // 100  # a loop over all traders would take minutes
    for name, weights in (("uniform", np.ones(500)), ("zipf", 1.0 / np.arange(1, 501))):
        took = timed(partial(draw_in_a_loop, n_few, weights / weights.sum())).seconds
        found.append({"name": f"{name}, a loop of Generator.choice", "n": n_few, "seconds": took})
    return found


def draw(n_traders: int, **how: Any) -> None:
    """Draw portfolios. They are not returned, or they would be in memory when the next are drawn."""
    make_portfolios(n_traders, [f"T{i:03d}" for i in range(500)], random_state=0, **how)


def draw_in_a_loop(n_traders: int, shares: np.ndarray) -> None:
    """Draw the tickers of one trader after another."""
    rng = np.random.default_rng(0)
    for count in rng.integers(3, 11, n_traders):
        rng.choice(500, size=count, replace=False, p=shares)


# ------------------------------------------------------------------------------------------ clusterings


def clusterings(n_traders: int, tilt: float | None) -> list[dict[str, Any]]:
    """Cluster the same traders with every algorithm."""
    held, truth = make_portfolios(
        n_traders,
        sectors=None if tilt is None else "lab",
        sector_tilt=tilt or 1.0,
        copycats=Copycats(n_traders // 50, (2, 6), 0.8),
        return_truth=True,
        random_state=0,
    )
    X = held.matrix
    groups = groups_of(X, truth)
    entries = in_turns({name: partial(label, X) for name, label in ALGORITHMS.items()}, repeats=REPEATS)
    found = [
        {"name": name, "seconds": min(entry.times), "times": entry.times}
        | quality_of(X, entry.outcome, groups, truth)
        for name, entry in entries.items()
    ]
    # After K-Means, clusters of the same sizes without any structure, for comparison.
    shuffled = np.random.default_rng(0).permutation(entries["K-Means"].outcome)
    chance = {"name": "chance: its clusters, shuffled", "seconds": None}
    found.insert(1, chance | quality_of(X, shuffled, groups, truth))
    return found


def quality_of(X: Any, labels: np.ndarray, groups: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """Measures of a partition's quality."""
    sizes = np.bincount(labels)
    entry = {
        "ssd": ssd_of(X, labels),
        "n_clusters": len(sizes),
        "largest": sizes.max() / len(labels),
        "exact": whole(labels, groups[groups["exact"]]),
        "near": whole(labels, groups[~groups["exact"]]),
    }
    if truth["home"].notna().all():
        entry["ami"] = adjusted_mutual_info_score(truth["home"], labels)
    if len(sizes) <= 100:  # the collisions of MinHash make thousands of clusters
        entry["silhouette"] = sampled_silhouette(X, labels, random_state=0)._asdict()
    return entry


def min_hash(X: Any) -> np.ndarray:
    """Join traders who collide in a band of MinHash signatures, directly or by way of others."""
    rng, n = np.random.default_rng(0), X.shape[0]
    traders, others = [np.arange(n)], [np.arange(n)]
    for _ in range(BANDS):
        key = np.zeros(n, dtype=np.int64)
        for _ in range(HASHES_OF_A_BAND):
            ranks = rng.permutation(X.shape[1]).astype(np.int64)
            key = key * X.shape[1] + np.minimum.reduceat(ranks[X.indices], X.indptr[:-1])
        _, first, bucket = np.unique(key, return_index=True, return_inverse=True)
        traders.append(np.arange(n))
        others.append(first[bucket])
    # int32, because older SciPy accepts no other
    ends = tuple(np.concatenate(side).astype(np.int32) for side in (traders, others))
    graph = sparse.coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def ssd_of(X: Any, labels: np.ndarray) -> float:
    """Sum over traders of the squared distance to the mean of their cluster."""
    n = X.shape[0]
    member = sparse.csr_array((np.ones(n), (labels, np.arange(n))), shape=(labels.max() + 1, n))
    sums = member @ sparse.csr_array(X)
    lengths = sums.multiply(sums).sum(axis=1)
    return float((X.data**2).sum() - (lengths / np.bincount(labels)).sum())


def groups_of(X: Any, truth: pd.DataFrame) -> pd.DataFrame:
    """One row per group of copycats: its traders, and whether all portfolios are identical."""
    groups = truth.groupby("group").indices
    groups.pop(-1, None)  # those who are in none
    exact = [not np.ptp(X[traders].toarray(), axis=0).any() for traders in groups.values()]
    return pd.DataFrame({"traders": list(groups.values()), "exact": exact})


def whole(labels: np.ndarray, groups: pd.DataFrame) -> float:
    """Share of the groups whose traders are all in one cluster."""
    return float(np.mean([len(set(labels[traders].tolist())) == 1 for traders in groups["traders"]]))


def _rehearsed(X: Any) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        return SageMakerKMeans(K, session=Rehearsal(folder, in_process=True)).fit(X).labels_


ALGORITHMS: dict[str, Callable[[Any], np.ndarray]] = {
    "K-Means": KMeans(K, n_init=1, random_state=0).fit_predict,
    "K-Means, best of 10": KMeans(K, n_init=10, random_state=0).fit_predict,
    "mini-batch K-Means": MiniBatchKMeans(K, n_init=1, random_state=0).fit_predict,
    "bisecting K-Means": BisectingKMeans(K, random_state=0).fit_predict,
    "SageMakerKMeans, rehearsed": _rehearsed,
    "spectral co-clustering": lambda X: SpectralCoclustering(K, random_state=0).fit(X).row_labels_,
    "MinHash collisions": min_hash,
}


# ------------------------------------------------------------------------------------------------ report

DRAWN: Columns = {
    "portfolios": lambda row: f"{row['n']:,} x 500, {row['name']}",
    "time": lambda row: seconds(row["seconds"]),
    "a trader": lambda row: f"{1e6 * row['seconds'] / row['n']:.2f} us",
    "peak memory": lambda row: megabytes(row.get("peak")),
}
CLUSTERED: Columns = {
    "": lambda row: row["name"],
    "time": lambda row: seconds(row["seconds"]),
    "SSD": lambda row: figure(row["ssd"]),
    "silhouette": lambda row: with_error(row.get("silhouette"), "mean", 4),
    "exact copies whole": lambda row: percent(row["exact"]),
    "near copies whole": lambda row: percent(row["near"]),
    "sectors (AMI)": lambda row: f"{row['ami']:.3f}" if "ami" in row else "",
    "clusters": lambda row: f"{row['n_clusters']:,}",
    "largest": lambda row: f"{row['largest']:.0%}",
}


def parts(results: Results) -> dict[str, list[Block]]:
    """Time and memory of drawing portfolios, and one table of clusterings per kind of traders."""
    return {
        "portfolios_environment": [environment_text(results)],
        "portfolios_drawn": [Table("Drawing portfolios, one thread", DRAWN, results["generation"])],
        "portfolios_clustered": [
            Table(f"With {title}", CLUSTERED, found) for title, found in results["clusterings"].items()
        ],
    }


BENCHMARK = Benchmark("portfolios_clustering", __doc__, measure, parts)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
