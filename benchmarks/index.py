"""Recall and speed of ClusterIndex compared with exact search and other indexes, on shapes and vectors.

    python -m benchmarks.index [--parts levels returns peer vectors] [--quick]

levels    Price levels: every window of 126 days of 441 stocks of panel A (500,094 windows). Queries are
          windows of 29 other stocks, so no window is its own neighbor. k-Shape on a sample makes the cells.
returns   Log returns: 50,000 such windows. Hardly any window has a near neighbor.
peer      10,000 windows of price levels, compared with pynndescent and SBD as its metric.
vectors   1,000,000 vectors of 64 dimensions, compared with faiss IVFFlat on the same cells and scikit-learn.

All parts but vectors need the real data (SHAPECLUSTER_TEST_DATA). pynndescent, numba and faiss-cpu are
compared if they are installed. Times are processor times of one thread: medians over rounds in which every
contestant runs once, so that other work on the machine has little effect.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks._common import (
    check_text,
    data_folder,
    environment,
    in_one_thread,
    load,
    parse,
    parser_of,
    save,
)
from benchmarks.index_picture import draw
from benchmarks.index_report import PARTS, checks_of, sections
from shapecluster import ClusterIndex, LocalKShape, ShapeNeighbors

WINDOW, TRAINING_STOCKS, N_NEIGHBORS, ROUNDS = 126, 441, 10, 3

Answer = tuple[np.ndarray, np.ndarray]


def main() -> int:
    """Measure the given parts, and add them to the results of earlier runs."""
    parser = parser_of("index", __doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parse(parser)
    in_one_thread("benchmarks.index")
    results = load("index", options.out) or {}
    for part in options.parts:
        print(f"\n{part}", flush=True)
        work = {"levels": shapes, "returns": shapes, "peer": peer, "vectors": vectors}[part]
        results[part] = work(part, options.quick)
        results["environment"] = environment()
        results["checks"] = checks_of(results)
        save("index", results, sections(results), options.out)
    curves = {name: results[name] for name in ("levels", "vectors") if name in results}
    if curves:
        draw(curves, options.out / "index")
    for found in results["checks"]:
        print(check_text(found))
    return int(any(found["must"] and not found["met"] for found in results["checks"]))


# -------------------------------------------------------------------------------------------------- data


def windows(kind: str, n_rows: int, n_queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of some stocks of panel A, and windows of other stocks as queries; float32."""
    from shapecluster.prices import load_prices

    prices = load_prices(data_folder() / "market" / "panel_a_sp500_close_2013_2018.parquet")
    values = prices.dropna().to_numpy(np.float32)
    if kind == "returns":
        values = np.diff(np.log(values), axis=1)
    rolling = sliding_window_view(values, WINDOW, axis=1)
    rng = np.random.default_rng(0)
    X = rolling[:TRAINING_STOCKS].reshape(-1, WINDOW)
    if n_rows < len(X):
        X = X[np.sort(rng.permutation(len(X))[:n_rows])]
    others = rolling[TRAINING_STOCKS:].reshape(-1, WINDOW)
    return X, np.ascontiguousarray(others[rng.permutation(len(others))[:n_queries]])


def clustered_vectors(n_rows: int, n_queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around 5,000 points, and queries of the same distribution; float32, 64 dimensions."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5000, 64)).astype(np.float32)

    def drawn(n: int) -> np.ndarray:
        noise = 0.7 * rng.standard_normal((n, 64), dtype=np.float32)
        return points[rng.integers(len(points), size=n)] + noise

    return drawn(n_rows), drawn(n_queries)


# ----------------------------------------------------------------------------------------------- measure


def seconds_of(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """Return the processor time of a call in seconds, and its result."""
    began = time.process_time()
    answer = work()
    return time.process_time() - began, answer


def race(contestants: dict[str, Callable[[], Answer]], n_queries: int) -> dict[str, dict[str, Any]]:
    """Median milliseconds per query, and the answers; each contestant runs once per round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    answers = {}
    # In turns, so that a change of the machine's speed affects all contestants.
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            taken, answers[name] = seconds_of(work)
            times[name].append(1000 * taken / n_queries)
    found = {name: {"ms": float(np.median(times[name])), "answer": answers[name]} for name in contestants}
    for name, entry in found.items():
        print(f"  {name:32s}{entry['ms']:10.3f} ms a query", flush=True)
    return found


def recall_of(ids: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Mean share of the true neighbors found, and its standard error."""
    shares = np.array([len(set(a) & set(b)) / len(b) for a, b in zip(ids, true, strict=True)])
    return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))


def curve_of(
    found: dict[str, dict[str, Any]], true: Answer, reference: float, kind: str
) -> list[dict[str, Any]]:
    """Recall and speed-up at each number of probed cells."""
    points = []
    for name, entry in found.items():
        who, _, n_probe = name.rpartition(" ")
        if who == kind:
            recall, error = recall_of(entry["answer"][1], true[1])
            points.append(
                {
                    "n_probe": int(n_probe),
                    "ms": entry["ms"],
                    "times": reference / entry["ms"],
                    "recall": recall,
                    "error": error,
                }
            )
    return points


# ------------------------------------------------------------------------------------------------- parts


def shapes(kind: str, quick: bool) -> dict[str, Any]:
    """ClusterIndex and ShapeNeighbors on windows of prices."""
    n_rows, n_cells, n_train = (500_094, 1000, 12_000) if kind == "levels" else (50_000, 200, 4_000)
    n_queries, probes = 100 if kind == "levels" else 40, [1, 2, 4, 8, 16, 24, 32, 48, 64, 128]
    if quick:
        n_rows, n_cells, n_train, n_queries, probes = 5_000, 50, 1_000, 20, [1, 4, 16]
    X, Q = windows(kind, n_rows, n_queries)
    rng = np.random.default_rng(1)
    sample = X[np.sort(rng.permutation(len(X))[:n_train])]
    training, model = seconds_of(lambda: LocalKShape(n_cells, max_iter=5, random_state=0).fit(sample))
    fitting, index = seconds_of(lambda: ClusterIndex(model, n_neighbors=N_NEIGHBORS).fit(X))
    print(f"  training {training:.0f} s, storing {fitting:.0f} s", flush=True)
    brute = ShapeNeighbors(N_NEIGHBORS).fit(X)
    contestants: dict[str, Callable[[], Answer]] = {"exact search": lambda: brute.kneighbors(Q)}
    contestants["exact mode"] = lambda: index.kneighbors(Q, exact=True)
    for n_probe in probes:
        contestants[f"cells {n_probe}"] = lambda n_probe=n_probe: index.kneighbors(Q, n_probe=n_probe)
    found = race(contestants, n_queries)
    true, reference = found["exact search"]["answer"], found["exact search"]["ms"]
    same = all(np.array_equal(a, b) for a, b in zip(found["exact mode"]["answer"], true, strict=True))
    return {
        "n_rows": len(X),
        "n_cells": n_cells,
        "n_queries": n_queries,
        "training_s": training,
        "storing_s": fitting,
        "exact_search_ms": reference,
        "exact_mode_ms": found["exact mode"]["ms"],
        "exact_mode_same": same,
        "tenth_sbd": [float(q) for q in np.quantile(true[0][:, -1], [0.1, 0.5, 0.9])],
        "curve": curve_of(found, true, reference, "cells"),
    }


def peer(kind: str, quick: bool) -> dict[str, Any]:
    """ClusterIndex and pynndescent on a small set; its metric is SBD by direct sums, compiled by numba."""
    n_rows, n_queries = (1_000, 20) if quick else (10_000, 200)
    X, Q = windows("levels", n_rows, n_queries)
    brute = ShapeNeighbors(N_NEIGHBORS).fit(X)
    fitting, index = seconds_of(
        lambda: ClusterIndex(LocalKShape(100, max_iter=5, random_state=0), n_neighbors=N_NEIGHBORS).fit(X)
    )
    contestants: dict[str, Callable[[], Answer]] = {"exact search": lambda: brute.kneighbors(Q)}
    for n_probe in (2, 4, 8, 16, 32):
        contestants[f"cells {n_probe}"] = lambda n_probe=n_probe: index.kneighbors(Q, n_probe=n_probe)
    result: dict[str, Any] = {"n_rows": n_rows, "n_queries": n_queries, "fit_s": {"cells": fitting}}
    if find_spec("pynndescent") is not None:
        from pynndescent import NNDescent

        metric = compiled_sbd()
        metric(unit(X[:1])[0], unit(X[1:2])[0])  # compiles it, so that no time includes that
        graph_s, graph = seconds_of(
            lambda: NNDescent(unit(X), metric=metric, n_neighbors=30, random_state=0, n_jobs=1)
        )
        seconds_of(lambda: (graph.prepare(), graph.query(unit(Q[:2]), k=N_NEIGHBORS)))
        result["fit_s"]["pynndescent"] = graph_s
        for hundredths in (0, 10, 30):

            def ask(epsilon: float = hundredths / 100) -> Answer:
                ids, distances = graph.query(unit(Q), k=N_NEIGHBORS, epsilon=epsilon)
                return distances, ids

            contestants[f"pynndescent {hundredths}"] = ask
    found = race(contestants, n_queries)
    true, reference = found["exact search"]["answer"], found["exact search"]["ms"]
    result["exact_search_ms"] = reference
    result["curve"] = curve_of(found, true, reference, "cells")
    if "pynndescent" in result["fit_s"]:
        result["pynndescent"] = curve_of(found, true, reference, "pynndescent")
    return result


def unit(X: np.ndarray) -> np.ndarray:
    """z-normalized rows of norm one, float32."""
    z = X - X.mean(axis=1, keepdims=True, dtype=np.float64)
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def compiled_sbd() -> Any:
    """SBD of unit rows by direct sums, as a metric for pynndescent."""
    from numba import njit

    @njit(fastmath=True)
    def sbd(x: Any, y: Any) -> Any:
        n, best = x.shape[0], np.float32(-1.0)
        for shift in range(n):
            forward, backward = np.float32(0.0), np.float32(0.0)
            for t in range(n - shift):
                forward += x[t + shift] * y[t]
                backward += x[t] * y[t + shift]
            best = max(best, forward, backward)
        return np.float32(1.0) - best

    return sbd


def vectors(kind: str, quick: bool) -> dict[str, Any]:
    """ClusterIndex with and without faiss, faiss itself, and scikit-learn on vectors."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.neighbors import NearestNeighbors

    n_rows, n_cells, n_queries = (20_000, 100, 100) if quick else (1_000_000, 1000, 1000)
    X, Q = clustered_vectors(n_rows, n_queries)
    model = MiniBatchKMeans(n_cells, random_state=0, n_init=1, batch_size=4096, max_iter=10).fit(X[:100_000])
    indexes = {"ours without faiss": ClusterIndex(model, backend="numpy", n_neighbors=N_NEIGHBORS)}
    if find_spec("faiss") is not None:
        indexes["ours"] = ClusterIndex(model, n_neighbors=N_NEIGHBORS)
    storing = {name: seconds_of(lambda index=index: index.fit(X))[0] for name, index in indexes.items()}
    few = Q[: max(10, n_queries // 20)]  # brute force is slow, so it gets fewer queries
    neighbors = {
        a: NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm=a).fit(X) for a in ("brute", "kd_tree")
    }
    slow = {a: seconds_of(lambda m=m: m.kneighbors(few)) for a, m in neighbors.items()}
    result: dict[str, Any] = {
        "n_rows": n_rows,
        "n_cells": n_cells,
        "n_queries": n_queries,
        "storing_s": storing,
        "scikit_learn_ms": {a: 1000 * taken / len(few) for a, (taken, _) in slow.items()},
    }
    contestants: dict[str, Callable[[], Answer]] = {}
    faiss_ids = faiss_index(model.cluster_centers_, X) if "ours" in indexes else None
    if faiss_ids is not None:
        result["storing_s"]["faiss"] = faiss_ids[0]
    for n_probe in (1, 4, 8, 16, 32, 64):
        for name, index in indexes.items():
            contestants[f"{name} {n_probe}"] = lambda index=index, n_probe=n_probe: index.kneighbors(
                Q, n_probe=n_probe
            )
        if faiss_ids is not None:
            contestants[f"faiss {n_probe}"] = lambda n_probe=n_probe: ask_faiss(faiss_ids[1][0], Q, n_probe)
    found = race(contestants, n_queries)
    true = indexes["ours without faiss"].kneighbors(Q, n_probe=n_cells)
    agree = float(np.mean(slow["brute"][1][1] == true[1][: len(few)]))
    result["agrees_with_scikit_learn"] = agree
    reference = result["scikit_learn_ms"]["brute"]
    result["curves"] = {
        name: curve_of(found, true, reference, name) for name in ("ours", "ours without faiss", "faiss")
    }
    return result


def faiss_index(centers: np.ndarray, X: np.ndarray) -> tuple[float, Any]:
    """Build an inverted file of faiss with the given cells, and return it with the time to fill it."""
    import faiss

    faiss.omp_set_num_threads(1)
    quantizer = faiss.IndexFlatL2(X.shape[1])
    quantizer.add(centers.astype(np.float32))
    index = faiss.IndexIVFFlat(quantizer, X.shape[1], len(centers), faiss.METRIC_L2)
    # The quantizer holds its centers already, so the training only marks the index as trained.
    taken, _ = seconds_of(lambda: (index.train(X[:1]), index.add(X)))
    return taken, (index, quantizer)  # the index borrows the quantizer, so both must live


def ask_faiss(index: Any, Q: np.ndarray, n_probe: int) -> Answer:
    """Search `n_probe` cells with faiss."""
    index.nprobe = n_probe
    squares, ids = index.search(Q, N_NEIGHBORS)
    return np.sqrt(squares), ids


if __name__ == "__main__":
    sys.exit(main())
