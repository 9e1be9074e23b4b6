"""k-Shape by definition, with dense eigenvectors and without bounds."""

from __future__ import annotations

import numpy as np

from tests.reference.sbd import best, unit


def assign(rows: list[np.ndarray], centers: list[np.ndarray], max_shift: int | None):
    """Nearest center of every row: label, shift and SBD; flat rows get label 0, shift 0, SBD 1."""
    labels, shifts, distances = [], [], []
    for x in rows:
        found = [best(x, unit(c), max_shift) for c in centers]
        top = max(value for value, _ in found)
        n = x.shape[1]
        band = 16 * 2.0**-52 * np.log2(2 * n)
        label = next(j for j, (value, _) in enumerate(found) if value >= top - band)
        labels.append(label)
        shifts.append(found[label][1])
        distances.append(1.0 - found[label][0])
    return np.array(labels), np.array(shifts), np.array(distances)


def extract(members: list[np.ndarray], shifts: list[int], weights: list[float]) -> np.ndarray:
    """Leading eigenvector of the aligned, centered members' scatter matrix, z-normalized per channel."""
    aligned = []
    for x, s in zip(members, shifts, strict=True):
        a = np.zeros_like(x)
        n = x.shape[1]
        for t in range(n):
            if 0 <= t + s < n:
                a[:, t] = x[:, t + s]
        aligned.append(a - a.mean(axis=1, keepdims=True))
    scatter = sum(w * np.outer(a.ravel(), a.ravel()) for a, w in zip(aligned, weights, strict=True))
    vector = np.linalg.eigh(scatter)[1][:, -1]
    if sum(w * (a.ravel() @ vector) for a, w in zip(aligned, weights, strict=True)) < 0:
        vector = -vector
    shape = vector.reshape(members[0].shape)
    out = np.zeros_like(shape)
    for c, channel in enumerate(shape):
        if channel.std() > 1e-13:
            out[c] = (channel - channel.mean()) / channel.std()
    return out


def kshape(X: np.ndarray, centers: np.ndarray, *, weights=None, max_shift=None, max_iter=100):
    """Run until neither labels nor shifts change; return the best (inertia, labels, shifts, centers).

    X has shape (n, channels, time), centers (k, channels, time). Empty clusters are not handled.
    """
    rows = [unit(x) for x in X]
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    centers = list(centers)
    labels, shifts, distances = assign(rows, centers, max_shift)
    results = [(float(np.sum(weights * distances**2)), labels, shifts, centers)]
    for _ in range(max_iter):
        new = []
        for j, old in enumerate(centers):
            mine = [i for i in range(len(rows)) if labels[i] == j and rows[i].any() and weights[i] > 0]
            assert mine, "the oracle does not handle empty clusters"
            new.append(
                extract([rows[i] for i in mine], [shifts[i] for i in mine], [weights[i] for i in mine])
            )
            assert new[-1].shape == old.shape
        previous, centers = (labels, shifts), new
        labels, shifts, distances = assign(rows, centers, max_shift)
        results.append((float(np.sum(weights * distances**2)), labels, shifts, centers))
        if np.array_equal((labels, shifts), previous):
            break
    return min(results, key=lambda r: r[0])
