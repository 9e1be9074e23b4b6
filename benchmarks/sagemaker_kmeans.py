"""SSD of SageMakerKMeans in a rehearsal, compared with the best of five runs of scikit-learn.

    python -m benchmarks.sagemaker_kmeans [--rows 100000] [--columns 500] [--clusters 20]

The data are portfolios with planted archetypes. The figure is (SSD_1 - SSD_ours) / (SSD_1 - SSD_best), with
SSD_1 that of one cluster. 1 is as good as scikit-learn. The command ends with exit code 1 below 0.95.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator

import numpy as np
from sklearn.cluster import KMeans

from benchmarks._arena import timed
from benchmarks._frame import Benchmark, Results
from benchmarks._report import Block, check
from shapecluster import SageMakerKMeans
from shapecluster.remote import Rehearsal

RUNS = 5
N_HELD = 25  # securities of an archetype


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--clusters", type=int, default=20)


def portfolios(n_rows: int, n_columns: int, archetypes: int, seed: int = 0) -> np.ndarray:
    """Weights that sum to one: securities of an archetype in varying shares, and a few others."""
    rng = np.random.default_rng(seed)
    centers = np.zeros((archetypes, n_columns))
    for row in centers:
        row[rng.choice(n_columns, N_HELD, replace=False)] = rng.dirichlet(np.ones(N_HELD))
    X = centers[rng.integers(archetypes, size=n_rows)]
    X *= rng.uniform(0.6, 1.4, size=X.shape)
    X += rng.gamma(1.0, 0.004, size=X.shape) * (rng.random(X.shape) < 0.1)
    X /= X.sum(axis=1, keepdims=True)
    return X.astype(np.float32)


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Fit both, and compare the SSD that they explain."""
    X = portfolios(options.rows // (20 if options.quick else 1), options.columns, options.clusters)
    mean = X.mean(axis=0, dtype=np.float64)
    # By blocks, because a float64 copy of all rows would be twice as large as the data.
    one = float(sum(((block - mean) ** 2).sum() for block in np.array_split(X, 100)))

    def rehearsed() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return SageMakerKMeans(options.clusters, session=Rehearsal(folder)).fit(X).inertia_

    def best_of_scikit_learn() -> float:
        fits = [KMeans(options.clusters, n_init=1, random_state=seed).fit(X) for seed in range(1, 1 + RUNS)]
        return min(fit.inertia_ for fit in fits)

    for name, fit in (("ours", rehearsed), ("scikit-learn", best_of_scikit_learn)):
        turn = timed(fit)
        results[name] = {"ssd": turn.outcome, "seconds": turn.seconds}
    explained = (one - results["ours"]["ssd"]) / (one - results["scikit-learn"]["ssd"])
    what = "SSD explained, of what scikit-learn explains"
    results |= {"one_cluster": one, "checks": [check(what, explained, ">=", 0.95, must=True)]}
    yield [*parts(results)["sagemaker_kmeans"], results["checks"]]


def parts(results: Results) -> dict[str, list[Block]]:
    """The SSD of both, and of one cluster."""
    ours, theirs = results["ours"], results["scikit-learn"]
    return {
        "sagemaker_kmeans": [
            [
                f"SageMakerKMeans by rehearsal: SSD {ours['ssd']:.6g} in {ours['seconds']:.1f} s",
                f"scikit-learn, {RUNS} runs: SSD {theirs['ssd']:.6g} in {theirs['seconds']:.1f} s",
                f"one cluster: SSD {results['one_cluster']:.6g}",
            ]
        ]
    }


BENCHMARK = Benchmark("sagemaker_kmeans", __doc__, measure, parts, add_options)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
