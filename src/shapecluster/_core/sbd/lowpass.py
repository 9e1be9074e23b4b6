"""Bounds of correlations by matrix products of low frequencies, for many rows at once.

This is `bounds.LowPass` as one product of the features of a row with a matrix made from the query. Split the
spectrum at a cutoff. The part above it adds at most H(x) H(q), the roots of both energies there (by the
Cauchy-Schwarz inequality). The part below is a trigonometric polynomial. Between two points of a grid of n
points around the circle it exceeds them by at most D(x) D(q), with

    D(x)^2 = (2 / L) sum_f (2 pi f / n)^2 / 8 |X_f|^2

(by its second derivative as in `LowPass`, and Cauchy-Schwarz again). H and D are two more features. The
circle contains all shifts of any window. A coarse level is tried on all rows, and a fine one on the rows that
it leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._core.sbd.shapes import Shapes, materialize, sample_of
from shapecluster._typing import ComplexArray, Float64Array, FloatArray

_SAMPLE_SIZE = 256
_COARSE_ENERGY, _FINE_ENERGY, _MAX_ENERGY = 0.1, 0.05, 0.2  # shares above a cutoff: aimed at, and accepted
_MIN_CUTOFF = 6
_MIN_GAIN = 8  # a cutoff is at most the length of the transforms divided by this
_COARSE_POINTS, _FINE_POINTS = 3, 4  # of the grid, per frequency
_CONSTANTS = 2  # features other than frequencies at each level: H and D
_QUERIES_PER_PRODUCT, _PRODUCT_BYTES = 8, 1 << 20  # so that a product stays in the cache for its maximum


@dataclass(frozen=True)
class Level:
    """Frequencies below `cutoff`, on a grid of `n_points`."""

    cutoff: int
    n_points: int

    def curvature(self) -> Float64Array:
        """Weights of the frequencies in D^2."""
        frequency = np.arange(1, self.cutoff)
        return np.square(2 * np.pi * frequency / self.n_points) / 8

    @cached_property
    def waves(self) -> ComplexArray:
        """Every frequency at every point, shape (cutoff - 1, n_points)."""
        turns = np.outer(np.arange(1, self.cutoff), np.arange(self.n_points)) / self.n_points
        waves: ComplexArray = np.exp(2j * np.pi * turns).astype(np.complex64)
        return waves


@dataclass(frozen=True)
class LowPassScreen:
    """Two levels of bounds; features are H, D of the coarse level, frequencies, then H, D of the fine one."""

    coarse: Level
    fine: Level

    def features(self, x: Shapes, *, n_threads: int = 1) -> FloatArray:
        """Features of every row: shape (n_series, n_features), float32."""
        width = 2 * _CONSTANTS + 2 * x.n_channels * (self.fine.cutoff - 1)
        out = np.empty((len(x), width), dtype=np.float32)

        def fill(rows: slice) -> None:
            block = materialize(x, rows)
            spectrum = block.spectrum[:, :, 1:].swapaxes(1, 2) * np.float32(np.sqrt(2 / x.length))
            power = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=2, dtype=np.float64)
            if x.length % 2 == 0:
                power[:, -1] /= 2  # all others stand for their conjugates too
            low = spectrum[:, : self.fine.cutoff - 1].reshape(len(block), -1)
            out[rows, _CONSTANTS:-_CONSTANTS] = low.view(np.float32)
            for columns, level in (((0, 1), self.coarse), ((width - 2, width - 1), self.fine)):
                above, below = power[:, level.cutoff - 1 :], power[:, : level.cutoff - 1]
                out[rows, columns[0]] = np.sqrt(above.sum(axis=1))
                out[rows, columns[1]] = np.sqrt((below * level.curvature()).sum(axis=1))

        map_blocks(fill, row_blocks(len(x), x.row_bytes), n_threads)
        return out

    def coarse_columns(self, n_channels: int) -> slice:
        """Features of the coarse level."""
        return slice(0, _CONSTANTS + 2 * n_channels * (self.coarse.cutoff - 1))

    def fine_columns(self) -> slice:
        """Features of the fine level."""
        return slice(_CONSTANTS, None)

    def coarse_matrices(self, features: FloatArray, n_channels: int) -> FloatArray:
        """Matrices of queries for products with features: shape (n_queries, n_points, n_features)."""
        own = features[:, self.coarse_columns(n_channels)]
        low = _rotated(own[:, _CONSTANTS:], self.coarse, n_channels)
        constants = np.broadcast_to(own[:, :_CONSTANTS, None], (*own[:, :2].shape, low.shape[2]))
        return np.ascontiguousarray(np.concatenate([constants, low], axis=1).swapaxes(1, 2))

    def fine_matrix(self, features: FloatArray, n_channels: int) -> FloatArray:
        """As `coarse_matrices` for the fine level and one query: shape (1, n_points, n_features)."""
        own = features[None, self.fine_columns()]
        low = _rotated(own[:, :-_CONSTANTS], self.fine, n_channels)
        constants = np.broadcast_to(own[:, -_CONSTANTS:, None], (1, _CONSTANTS, low.shape[2]))
        return np.ascontiguousarray(np.concatenate([low, constants], axis=1).swapaxes(1, 2))


def _rotated(low: FloatArray, level: Level, n_channels: int) -> FloatArray:
    """Low frequencies of queries, rotated to every point: shape (n_queries, n_features, n_points).

    The product with (re, im, re, im, ...) of a row is the sum of Re(X conj(Q) e^(2 pi i f j / n)).
    """
    spectrum = np.ascontiguousarray(low).view(np.complex64).reshape(len(low), -1, n_channels)
    rotated = spectrum.conj()[:, :, :, None] * level.waves[:, None, :]
    rotated = rotated.reshape(len(low), -1, level.n_points)
    out = np.empty((len(low), 2 * rotated.shape[1], level.n_points), dtype=np.float32)
    out[:, 0::2] = rotated.real
    out[:, 1::2] = -rotated.imag
    return out


def highest(features: FloatArray, matrices: FloatArray) -> FloatArray:
    """Largest product of the points of each query with each row: shape (n_queries, n_rows).

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    matrices : ndarray of shape (n_queries, n_points, n_features)
    """
    n_queries, n_points, n_features = matrices.shape
    out = np.empty((n_queries, len(features)), dtype=np.float32)
    for queries in row_blocks(n_queries, 1, _QUERIES_PER_PRODUCT):
        flat = matrices[queries].reshape(-1, n_features)
        for rows in row_blocks(len(features), 4 * len(flat), _PRODUCT_BYTES):
            # Points come before rows, so that the maximum runs over many rows at once.
            product = flat @ features[rows].T
            product.reshape(-1, n_points, product.shape[1]).max(axis=1, out=out[queries, rows])
    return out


def low_pass_screen_for(x: Shapes) -> LowPassScreen | None:
    """Choose levels by a sample of the series; None if low frequencies hold too little of their energy."""
    spectrum = sample_of(x, _SAMPLE_SIZE).spectrum[:, :, 1:]
    energy = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=1).mean(axis=0, dtype=np.float64)
    total = energy.sum()
    highest_cutoff = x.length // _MIN_GAIN
    if highest_cutoff < _MIN_CUTOFF or not total > 0:
        return None
    above = 1.0 - np.cumsum(energy) / total  # at index f - 1: the share above frequency f
    if above[highest_cutoff - 2] > _MAX_ENERGY:
        return None

    def cutoff(share: float) -> int:
        enough = np.flatnonzero(above <= share)
        first = int(enough[0]) + 2 if len(enough) else highest_cutoff
        return int(np.clip(first, _MIN_CUTOFF, highest_cutoff))

    coarse, fine = cutoff(_COARSE_ENERGY), cutoff(_FINE_ENERGY)
    return LowPassScreen(Level(coarse, _COARSE_POINTS * coarse), Level(fine, _FINE_POINTS * fine))
