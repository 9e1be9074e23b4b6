"""SSD of SageMakerKMeans in a rehearsal, compared with the best of five runs of scikit-learn.

    python benchmarks/sagemaker_kmeans.py [--rows 100000] [--columns 500] [--clusters 20]

The data are portfolios with planted archetypes. The figure is (SSD_1 - SSD_ours) / (SSD_1 - SSD_best), with
SSD_1 that of one cluster. 1 is as good as scikit-learn. The command ends with exit code 1 below 0.95.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

import numpy as np
from sklearn.cluster import KMeans

from shapecluster import SageMakerKMeans
from shapecluster.remote import Rehearsal

MIN_FIGURE = 0.95
RUNS = 5
N_HELD = 25  # securities of an archetype


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


def main() -> int:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--clusters", type=int, default=20)
    options = parser.parse_args()
    X = portfolios(options.rows, options.columns, options.clusters)
    mean = X.mean(axis=0, dtype=np.float64)
    # By blocks, because a float64 copy of all rows would be twice as large as the data.
    one = float(sum(((block - mean) ** 2).sum() for block in np.array_split(X, 100)))

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        ours = SageMakerKMeans(options.clusters, session=Rehearsal(folder)).fit(X).inertia_
    print(f"SageMakerKMeans by rehearsal: SSD {ours:.6g} in {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    found = [
        KMeans(options.clusters, n_init=1, random_state=seed).fit(X).inertia_ for seed in range(1, 1 + RUNS)
    ]
    print(f"scikit-learn, {RUNS} runs: SSD {min(found):.6g} in {time.perf_counter() - began:.1f} s")
    figure = (one - ours) / (one - min(found))
    print(f"one cluster: SSD {one:.6g}; explained, of what scikit-learn explains: {figure:.5f}")
    return 0 if figure >= MIN_FIGURE else 1


if __name__ == "__main__":
    sys.exit(main())
