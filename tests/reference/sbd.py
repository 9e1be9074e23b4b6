"""The shape-based distance, one dot product at a time."""

from __future__ import annotations

import math

import numpy as np


def unit(series: np.ndarray) -> np.ndarray:
    """z-normalize each channel over its observed values, with zeros elsewhere and a joint norm of 1."""
    rows = []
    for channel in np.atleast_2d(np.asarray(series, dtype=np.float64)):
        seen = [float(v) for v in channel if not math.isnan(v)]
        if not seen or max(seen) == min(seen):
            rows.append([0.0] * len(channel))
            continue
        mean = math.fsum(seen) / len(seen)
        std = math.sqrt(math.fsum((v - mean) ** 2 for v in seen) / len(seen))
        rows.append([0.0 if math.isnan(v) else (v - mean) / std for v in channel])
    out = np.array(rows)
    norm = math.sqrt(math.fsum(v * v for v in out.ravel()))
    return out / norm if norm else out


def ncc(x: np.ndarray, y: np.ndarray, shift: int) -> float:
    """Correlation of unit series at one shift: sum_t x[t + shift] y[t], zeros outside."""
    terms = []
    for channel_x, channel_y in zip(x, y, strict=True):
        n = len(channel_x)
        terms += [channel_x[t + shift] * channel_y[t] for t in range(n) if 0 <= t + shift < n]
    return math.fsum(terms)


def best(
    x: np.ndarray, y: np.ndarray, max_shift: int | None = None, eps: float = 2.0**-52
) -> tuple[float, int]:
    """Maximum correlation and its shift. Near-equal values tie: smallest |s| first, then positive s."""
    if not x.any() or not y.any():
        return 0.0, 0
    n = x.shape[1]
    window = n - 1 if max_shift is None else min(max_shift, n - 1)
    values = {s: ncc(x, y, s) for s in range(-window, window + 1)}
    band = 16 * eps * math.log2(n + window)
    top = max(values.values())
    shift = min((s for s, v in values.items() if v >= top - band), key=lambda s: (abs(s), s < 0))
    low = 0.0 if window == n - 1 else -1.0
    return min(max(values[shift], low), 1.0), shift


def sbd(x: np.ndarray, y: np.ndarray, max_shift: int | None = None) -> float:
    """Shape-based distance of two raw series."""
    return 1.0 - best(unit(x), unit(y), max_shift)[0]
