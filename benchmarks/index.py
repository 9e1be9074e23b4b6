"""Recall and speed of ClusterIndex compared with exact search and other indexes, on shapes and vectors.

    python -m benchmarks.index [--parts levels returns peer vectors] [--quick]

levels    Price levels: every window of 126 days of 441 stocks of panel A (500,094 windows). Queries are
          windows of 29 other stocks, so no window is its own neighbor. k-Shape on a sample makes the cells.
returns   Log returns: 50,000 such windows. Hardly any window has a near neighbor.
peer      10,000 windows of price levels, compared with pynndescent and SBD as its metric.
vectors   1,000,000 vectors of 64 dimensions, compared with faiss IVFFlat on the same cells and scikit-learn.

pynndescent, numba and faiss-cpu are compared if they are installed. Times are processor times of one thread:
medians over rounds in which every contestant runs once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks._arena import Entry, Turn, in_turns, processor_time
from benchmarks._data import panel
from benchmarks._frame import Benchmark, Results
from benchmarks._pictures import draw_index
from benchmarks._report import Block, Check, Columns, Table, check, figure, with_error
from shapecluster import ClusterIndex, LocalKShape, ShapeNeighbors

WINDOW, TRAINING_STOCKS, N_NEIGHBORS, ROUNDS = 126, 441, 10, 3
HEADINGS = {
    "levels": "Price levels",
    "returns": "Log returns",
    "peer": "A small set of price levels",
    "vectors": "Vectors",
}

Answer = tuple[np.ndarray, np.ndarray]
Search = Callable[[], Answer]
Found = dict[str, Any]
OPTIONS = {"--parts": {"nargs": "+", "choices": list(HEADINGS), "default": list(HEADINGS)}}


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Measure the given parts, and add them to the results of earlier runs."""
    for part in options.parts:
        print(f"\n{part}", flush=True)
        results[part] = vectors(options.quick) if part == "vectors" else shapes(part, options.quick)
        results["checks"] = checks_of(results)
        yield blocks_of(part, results[part])
    yield [results["checks"]]


# -------------------------------------------------------------------------------------------------- data


def windows(kind: str, n_rows: int, n_queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of some stocks of panel A, and windows of other stocks as queries; float32."""
    values = panel().dropna().to_numpy(np.float32)
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


def race(searches: dict[str, Search], n_queries: int) -> dict[str, Entry]:
    """Let all searches take turns; times are milliseconds per query."""

    def per_query(search: Search) -> Turn:
        turn = processor_time(search)
        return turn._replace(seconds=1000 * turn.seconds / n_queries)

    entries = in_turns(searches, repeats=ROUNDS, take_turn=per_query)
    for name, entry in entries.items():
        print(f"  {name:32s}{entry.seconds:10.3f} ms a query", flush=True)
    return entries


def probing(who: str, index: ClusterIndex, Q: np.ndarray, probes: Sequence[int]) -> dict[str, Search]:
    """Searches of an index at each number of cells."""
    return {f"{who} {n_probe}": partial(index.kneighbors, Q, n_probe=n_probe) for n_probe in probes}


def recall_of(ids: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Mean share of the true neighbors found, and its standard error."""
    shares = np.array([len(set(a) & set(b)) / len(b) for a, b in zip(ids, true, strict=True)])
    return {"recall": float(shares.mean()), "error": float(shares.std(ddof=1) / np.sqrt(len(shares)))}


def curve_of(entries: dict[str, Entry], true: Answer, brute_ms: float, kind: str) -> list[Found]:
    """Recall and speed-up at each number of probed cells."""
    points = []
    for name, entry in entries.items():
        who, _, n_probe = name.rpartition(" ")
        if who == kind:
            speed = {"n_probe": int(n_probe), "ms": entry.seconds, "times": brute_ms / entry.seconds}
            points.append(speed | recall_of(entry.outcome[1], true[1]))
    return points


# ------------------------------------------------------------------------------------------------- parts


SHAPES: dict[str, dict[str, Any]] = {
    "levels": {"n_rows": 500_094, "n_cells": 1000, "n_train": 12_000, "n_queries": 100},
    "returns": {"n_rows": 50_000, "n_cells": 200, "n_train": 4_000, "n_queries": 40},
    "peer": {"n_rows": 10_000, "n_cells": 100, "n_train": 10_000, "n_queries": 200},
}
QUICK_SHAPES = {"n_rows": 2_000, "n_cells": 50, "n_train": 1_000, "n_queries": 20}


def shapes(kind: str, quick: bool) -> Found:
    """ClusterIndex and ShapeNeighbors on windows of prices; on a small set of them, also pynndescent.

    The metric of pynndescent is SBD by direct sums, compiled by numba.
    """
    n_rows, n_cells, n_train, n_queries = (QUICK_SHAPES if quick else SHAPES[kind]).values()
    probes = (2, 4, 8, 16, 32) if kind == "peer" else (1, 2, 4, 8, 16, 24, 32, 48, 64, 128)
    X, Q = windows(kind, n_rows, n_queries)
    sample = X[np.sort(np.random.default_rng(1).permutation(len(X))[:n_train])]
    training = processor_time(lambda: LocalKShape(n_cells, max_iter=5, random_state=0).fit(sample))
    storing = processor_time(lambda: ClusterIndex(training.outcome, n_neighbors=N_NEIGHBORS).fit(X))
    print(f"  training {training.seconds:.0f} s, storing {storing.seconds:.0f} s", flush=True)
    brute, index = ShapeNeighbors(N_NEIGHBORS).fit(X), storing.outcome
    searches = {
        "exact search": partial(brute.kneighbors, Q),
        "exact mode": partial(index.kneighbors, Q, exact=True),
        **probing("cells", index, Q, [n for n in probes if n <= n_cells]),
    }
    more: Found = {}
    if kind == "peer" and installed("pynndescent"):
        graph_s, graph_searches = pynndescent(X, Q)
        searches |= graph_searches
        more["fit_s"] = {"cells": training.seconds + storing.seconds, "pynndescent": graph_s}
    entries = race(searches, n_queries)
    search, mode = entries["exact search"], entries["exact mode"]
    if "fit_s" in more:
        more["pynndescent"] = curve_of(entries, search.outcome, search.seconds, "pynndescent")
    return {
        "n_rows": len(X),
        "n_cells": n_cells,
        "n_queries": n_queries,
        "training_s": training.seconds,
        "storing_s": storing.seconds,
        "exact_search_ms": search.seconds,
        "exact_mode_ms": mode.seconds,
        "exact_mode_same": all(map(np.array_equal, mode.outcome, search.outcome)),
        "tenth_sbd": np.quantile(search.outcome[0][:, -1], [0.1, 0.5, 0.9]).astype(float).tolist(),
        "curve": curve_of(entries, search.outcome, search.seconds, "cells"),
        **more,
    }


def installed(library: str) -> bool:
    """Whether a peer takes part; its absence is told."""
    found = find_spec(library) is not None
    if not found:
        print(f"  {library} is not installed", flush=True)
    return found


def pynndescent(X: np.ndarray, Q: np.ndarray) -> tuple[float, dict[str, Search]]:
    """Build a graph of pynndescent: the time for that, and searches at several values of its epsilon."""
    from numba import njit
    from pynndescent import NNDescent

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

    def unit(rows: np.ndarray) -> np.ndarray:
        z = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64)
        return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)

    def ask(epsilon: float) -> Answer:
        ids, distances = graph.query(unit(Q), k=N_NEIGHBORS, epsilon=epsilon)
        return distances, ids

    sbd(*unit(X[:2]))  # compiles it, so that no time includes that
    build = partial(NNDescent, unit(X), metric=sbd, n_neighbors=30, random_state=0, n_jobs=1)
    taken, _, graph = processor_time(build)
    graph.prepare()
    graph.query(unit(Q[:2]), k=N_NEIGHBORS)
    return taken, {f"pynndescent {percent}": partial(ask, percent / 100) for percent in (0, 10, 30)}


def vectors(quick: bool) -> Found:
    """ClusterIndex with and without faiss, faiss itself, and scikit-learn on vectors."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.neighbors import NearestNeighbors

    n_rows, n_cells, n_queries = (20_000, 100, 100) if quick else (1_000_000, 1000, 1000)
    X, Q = clustered_vectors(n_rows, n_queries)
    model = MiniBatchKMeans(n_cells, random_state=0, n_init=1, batch_size=4096, max_iter=10).fit(X[:100_000])
    few = Q[: max(10, n_queries // 20)]  # brute force is slow, so it gets fewer queries
    brute = {}
    for how in ("brute", "kd_tree"):
        neighbors = NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm=how).fit(X)
        brute[how] = processor_time(partial(neighbors.kneighbors, few))
    indexes = {"ours without faiss": ClusterIndex(model, backend="numpy", n_neighbors=N_NEIGHBORS)}
    if installed("faiss"):
        indexes["ours"] = ClusterIndex(model, n_neighbors=N_NEIGHBORS)
        indexes["faiss"] = FaissIndex(model.cluster_centers_)
    storing = {name: processor_time(partial(index.fit, X)).seconds for name, index in indexes.items()}
    searches: dict[str, Search] = {}
    for n_probe in (1, 4, 8, 16, 32, 64):
        for name, index in indexes.items():
            searches |= probing(name, index, Q, [n_probe])
    entries = race(searches, n_queries)
    true = indexes["ours without faiss"].kneighbors(Q, n_probe=n_cells)
    scikit_learn = {how: 1000 * turn.seconds / len(few) for how, turn in brute.items()}
    return {
        "n_rows": n_rows,
        "n_cells": n_cells,
        "n_queries": n_queries,
        "storing_s": storing,
        "scikit_learn_ms": scikit_learn,
        "agrees_with_scikit_learn": float(np.mean(brute["brute"].outcome[1] == true[1][: len(few)])),
        "curves": {
            who: curve_of(entries, true, scikit_learn["brute"], who)
            for who in ("ours", "ours without faiss", "faiss")
        },
    }


class FaissIndex:
    """An inverted file of faiss with given cells, used in the same way as ClusterIndex."""

    def __init__(self, centers: np.ndarray) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        n_cells, n_features = centers.shape
        self.quantizer = faiss.IndexFlatL2(n_features)  # the index borrows it, so both must live
        self.quantizer.add(centers.astype(np.float32))
        self.index = faiss.IndexIVFFlat(self.quantizer, n_features, n_cells, faiss.METRIC_L2)

    def fit(self, X: np.ndarray) -> None:
        """Store rows. The quantizer holds its centers, so the training only marks the index as trained."""
        self.index.train(X[:1])
        self.index.add(X)

    def kneighbors(self, Q: np.ndarray, n_probe: int) -> Answer:
        """Search `n_probe` cells."""
        self.index.nprobe = n_probe
        squares, ids = self.index.search(Q, N_NEIGHBORS)
        return np.sqrt(squares), ids


# ------------------------------------------------------------------------------------------------ report


def checks_of(results: Results) -> list[Check]:
    """The figures that have a target."""
    checks = []
    if "levels" in results:
        levels = results["levels"]
        good = max((p["times"] for p in levels["curve"] if p["recall"] >= 0.95), default=0.0)
        times = levels["exact_search_ms"] / levels["exact_mode_ms"]
        checks.append(check("price levels, times exact search at recall 0.95", good, ">=", 20))
        checks.append(check("price levels, exact mode, times exact search", times, ">=", 3))
    for name in ("levels", "returns", "peer"):
        if "exact_mode_same" in results.get(name, {}):
            same = float(results[name]["exact_mode_same"])
            what = f"{name}, exact mode gives the bits of exact search"
            checks.append(check(what, same, ">=", 1, must=True))
    if "vectors" in results and results["vectors"]["curves"]["faiss"]:
        curves = results["vectors"]["curves"]
        pairs = list(zip(curves["ours"], curves["faiss"], strict=True))
        slower = max(a["ms"] / b["ms"] for a, b in pairs)
        lost = max(b["recall"] - a["recall"] for a, b in pairs)
        checks.append(check("vectors, our time over that of faiss where it is largest", slower, "<=", 1.1))
        checks.append(check("vectors, recall that faiss has and ours has not", lost, "<=", 0.001))
    return checks


def columns_of(who: str) -> Columns:
    """Columns of a curve; its first one is the setting of the search."""
    return {
        "epsilon, hundredths" if who == "pynndescent" else "cells": lambda row: str(row["n_probe"]),
        "ms a query": lambda row: figure(row["ms"], 3),
        "times brute force": lambda row: figure(row["times"], 3),
        "recall at 10": lambda row: with_error(row, "recall"),
    }


def blocks_of(name: str, found: Found) -> list[Block]:
    """A table for each curve, and further figures in words."""
    curves = found.get("curves") or {"ClusterIndex": found["curve"]}
    if "pynndescent" in found:
        curves = curves | {"pynndescent": found["pynndescent"]}
    size = f"{found['n_rows']:,} rows, {found['n_queries']:,} queries"
    tables = [
        Table(f"{HEADINGS[name]}: {who}, {size}", columns_of(who), points)
        for who, points in curves.items()
        if points
    ]
    return [*tables, facts_of(found)]


def facts_of(found: Found) -> list[str]:
    """Further figures, in words."""
    facts = []
    if "exact_search_ms" in found:
        facts.append(f"exact search (ShapeNeighbors): {figure(found['exact_search_ms'], 3)} ms a query")
    if "exact_mode_ms" in found:
        times = found["exact_search_ms"] / found["exact_mode_ms"]
        same = "the same bits" if found["exact_mode_same"] else "OTHER ANSWERS"
        low, middle, high = (figure(value, 2) for value in found["tenth_sbd"])
        facts += [
            f"exact mode: {figure(found['exact_mode_ms'], 3)} ms, {figure(times, 3)} times, {same}",
            f"SBD of the tenth neighbor: {middle}; from {low} to {high} for the middle 80 % of queries",
            f"{found['n_cells']:,} cells: {found['training_s']:.0f} s to train, "
            f"{found['storing_s']:.0f} s to store",
        ]
    if "scikit_learn_ms" in found:
        slow = ", ".join(f"{how} {figure(ms, 3)} ms" for how, ms in found["scikit_learn_ms"].items())
        storing = ", ".join(f"{who} {taken:.1f} s" for who, taken in found["storing_s"].items())
        facts += [
            f"scikit-learn: {slow} a query; {found['agrees_with_scikit_learn']:.2%} of ids agree",
            f"storing: {storing}",
        ]
    if "fit_s" in found:
        building = ", ".join(f"{who} {taken:.0f} s" for who, taken in found["fit_s"].items())
        facts.append(f"to build: {building}")
    return facts


def parts(results: Results) -> dict[str, list[Block]]:
    """The tables of docs/guide/search.rst."""
    measured = [name for name in HEADINGS if name in results]
    blocks = [block for name in measured for block in blocks_of(name, results[name])]
    return {"index": [*blocks, results["checks"]]}


BENCHMARK = Benchmark("index", __doc__, measure, parts, OPTIONS, draw_index)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
