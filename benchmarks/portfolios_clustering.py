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

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans, SpectralCoclustering
from sklearn.metrics import adjusted_mutual_info_score

from benchmarks._common import (
    Check,
    PeakMemory,
    check,
    check_text,
    environment,
    figure,
    in_one_thread,
    markdown_table,
    parse,
    parser_of,
    save,
    seconds,
)
from shapecluster.datasets import Copycats, make_portfolios
from shapecluster.metrics import sampled_silhouette
from shapecluster.remote import Rehearsal
from shapecluster.sagemaker import SageMakerKMeans

K = 11  # as many as there are sectors
REPEATS = 3
BANDS, HASHES_OF_A_BAND = 8, 8  # two traders of Jaccard 0.8 collide in one of the bands with chance 0.77
GENERATION_HEADER = ("portfolios", "time", "a trader", "peak memory")
CLUSTERING_HEADER = (
    *("", "time", "SSD", "silhouette", "exact copies whole", "near copies whole", "sectors (AMI)"),
    *("clusters", "largest"),
)


def main() -> int:
    """Measure, print and save."""
    options = parse(parser_of("portfolios_clustering", __doc__))
    in_one_thread("benchmarks.portfolios_clustering")
    n_large, n_traders = (50_000, 5_000) if options.quick else (1_000_000, 100_000)
    results: dict[str, Any] = {"quick": options.quick, "environment": environment()}
    results["generation"] = generation(n_large)
    results["clusterings"] = {
        "no home sectors": clusterings(n_traders, None),
        "home sectors, whose tickers are 20 times likelier": clusterings(n_traders, 20.0),
    }
    results["checks"] = checks_of(results, n_large)
    text = markdown_of(results)
    print(text)
    save("portfolios_clustering", results, text, options.out)
    return 0


# ------------------------------------------------------------------------------------------- generation


def generation(n_traders: int) -> list[dict[str, Any]]:
    """Time and memory of drawing many portfolios of 500 tickers, and of a loop over some of them."""
    tickers = [f"T{i:03d}" for i in range(500)]
    sectors = [f"sector {i % 11}" for i in range(500)]
    asked: dict[str, dict[str, Any]] = {
        "uniform": {},
        "zipf": {"popularity": "zipf"},
        "zipf, home sectors, a tenth copycats": {
            "popularity": "zipf",
            "sectors": sectors,
            "copycats": Copycats(n_traders // 50, 5, 0.8),
        },
        "uniform, 3 to 50 holdings": {"max_holdings": 50},
    }
    found = []
    for name, arguments in asked.items():
        times = []
        for _ in range(REPEATS):
            with PeakMemory() as peak:
                began = time.perf_counter()
                made = make_portfolios(n_traders, tickers, random_state=0, **arguments)
                times.append(time.perf_counter() - began)
            del made  # or the next peak would start from it
        entry = {"name": name, "n": n_traders, "seconds": min(times), "times": times, "peak": peak.bytes}
        print(f"{name}: {min(times):.2f} s", flush=True)
        found.append(entry)
    n_few = n_traders // 100  # a loop over all traders would take minutes
    for name, weights in (("uniform", np.ones(500)), ("zipf", 1.0 / np.arange(1, 501))):
        rng, shares = np.random.default_rng(0), weights / weights.sum()
        began = time.perf_counter()
        for count in rng.integers(3, 11, n_few):
            rng.choice(500, size=count, replace=False, p=shares)
        took = time.perf_counter() - began
        found.append({"name": f"{name}, a loop of Generator.choice", "n": n_few, "seconds": took})
    return found


def generation_lines(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row per way of drawing."""
    return [
        (
            f"{entry['n']:,} x 500, {entry['name']}",
            seconds(entry["seconds"]),
            f"{1e6 * entry['seconds'] / entry['n']:.2f} us",
            f"{entry['peak'] / 1e6:.0f} MB" if "peak" in entry else "",
        )
        for entry in results["generation"]
    ]


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
    found = []
    for name, label in algorithms().items():
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            labels = label(X)
            times.append(time.perf_counter() - began)
        found.append(
            {"name": name, "seconds": min(times), "times": times, **quality_of(X, labels, groups, truth)}
        )
        print(f"{name}: {min(times):.2f} s", flush=True)
        if name == "K-Means":
            # Clusters of the same sizes without any structure, for comparison.
            shuffled = np.random.default_rng(0).permutation(labels)
            chance = {"name": "chance: its clusters, shuffled", "seconds": None}
            found.append(chance | quality_of(X, shuffled, groups, truth))
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


def algorithms() -> dict[str, Callable[[Any], np.ndarray]]:
    """The algorithms by name, as functions from rows to labels."""
    return {
        "K-Means": lambda X: KMeans(K, n_init=1, random_state=0).fit(X).labels_,
        "K-Means, best of 10": lambda X: KMeans(K, n_init=10, random_state=0).fit(X).labels_,
        "mini-batch K-Means": lambda X: MiniBatchKMeans(K, n_init=1, random_state=0).fit(X).labels_,
        "bisecting K-Means": lambda X: BisectingKMeans(K, random_state=0).fit(X).labels_,
        "SageMakerKMeans, rehearsed": _rehearsed,
        "spectral co-clustering": lambda X: SpectralCoclustering(K, random_state=0).fit(X).row_labels_,
        "MinHash collisions": min_hash,
    }


def _rehearsed(X: Any) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        return SageMakerKMeans(K, session=Rehearsal(folder, in_process=True)).fit(X).labels_


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
    ends = tuple(
        np.concatenate(side).astype(np.int32) for side in (traders, others)
    )  # int32, because older SciPy accepts no other
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
    rows = []
    for traders in truth[truth["group"] >= 0].groupby("group").indices.values():
        mine = np.flatnonzero(truth["group"] >= 0)[traders]
        dense = X[mine].toarray()
        rows.append({"traders": mine, "exact": bool((dense == dense[0]).all())})
    return pd.DataFrame(rows)


def whole(labels: np.ndarray, groups: pd.DataFrame) -> float:
    """Share of the groups whose traders are all in one cluster."""
    return float(np.mean([len(set(labels[traders].tolist())) == 1 for traders in groups["traders"]]))


def clustering_lines(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """One row per algorithm."""
    lines = []
    for entry in found:
        silhouette = entry.get("silhouette")
        lines.append(
            (
                entry["name"],
                seconds(entry["seconds"]),
                figure(entry["ssd"]),
                f"{silhouette['mean']:.4f} ± {silhouette['error']:.4f}" if silhouette else "",
                f"{entry['exact']:.1%}",
                f"{entry['near']:.1%}",
                f"{entry['ami']:.3f}" if "ami" in entry else "",
                f"{entry['n_clusters']:,}",
                f"{entry['largest']:.0%}",
            )
        )
    return lines


# ----------------------------------------------------------------------------------------------- results


def checks_of(results: dict[str, Any], n_large: int) -> list[Check]:
    """The targets."""
    by_name = {entry["name"]: entry["seconds"] for entry in results["generation"]}
    return [
        check(f"Seconds for {n_large:,} traders x 500 tickers, {name}", by_name[name], "<=", 5.0)
        for name in ("uniform", "zipf")
    ]


def markdown_of(results: dict[str, Any]) -> str:
    """The complete result page."""
    parts = [markdown_table(GENERATION_HEADER, generation_lines(results))]
    for title, found in results["clusterings"].items():
        parts += [f"With {title}:", markdown_table(CLUSTERING_HEADER, clustering_lines(found))]
    parts.append("\n".join(f"- {check_text(each)}" for each in results["checks"]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
