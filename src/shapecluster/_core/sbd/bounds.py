"""Bounds on correlations, which rule out most pairs without a transform.

Let x and c be unit vectors. The shift by s, S_s, fills with zeros, so it never lengthens a vector.
theta(x, c) = arccos max_s <x, S_s c> is the angle at the best shift within the window. No correlation
exceeds the cosine of a lower bound of this angle. All rounding is to the safe side: `slack` exceeds the
errors of screened correlations, spectra and unit norms, and `ANGLE_ROUNDING` that of float32 angles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._core.sbd.correlation import peaks_between
from shapecluster._core.sbd.shapes import Shapes, band_starts, profile_of, sample_of
from shapecluster._typing import ComplexArray, Float64Array, FloatArray, IntArray

ANGLE_ROUNDING = 1e-6  # radians: more than a float32 angle can be off by after a subtraction
_SAMPLE_SIZE = 64
_TARGET_ENERGY, _MAX_ENERGY = 0.05, 0.15  # shares of the energy above the cutoff: aimed at, and accepted
_MIN_CUTOFF = 8
_LOOSE_BOUND, _MAX_LOOSE_SHARE = 0.9, 0.75  # with more bounds above 0.9 than this, few pairs are ruled out
_POINTS_PER_FREQUENCY = 3  # of the grid; fewer points make the curvature term too large
_MIN_GAIN = 4  # a short transform must be so many times shorter than the full one
_MIN_LENGTH = 64  # shorter transforms cost less than bounds
_MIN_POINTS = 2_000_000  # fewer points are transformed in the time that Python takes to prepare a search


def bounds_may_pay(x: Shapes, n_pairs: int) -> bool:
    """Whether the transforms of so many pairs cost more than computing bounds."""
    return x.length >= _MIN_LENGTH and n_pairs * x.length >= _MIN_POINTS


def angle_lower_bound(ncc: FloatArray, slack: float) -> FloatArray:
    """Lower bound of the angle whose cosine was computed to within `slack`."""
    return np.arccos(np.minimum(ncc + ncc.dtype.type(slack), 1.0))


def angle_upper_bound(ncc: FloatArray, slack: float) -> FloatArray:
    """Upper bound of the angle whose cosine was computed to within `slack`."""
    return np.arccos(np.clip(ncc - ncc.dtype.type(slack), -1.0, 1.0))


def center_drift(old: Shapes, new: Shapes) -> FloatArray:
    """Angle by which each center has moved, rounded up to float32; 0 for centers that did not move.

    A lower bound minus this angle is a lower bound of the angle to the moved center. Proof: at each shift s
    the angles between S_-s x (of norm at most one), c and c' obey the triangle inequality, so
    angle_s(x, c') >= angle_s(x, c) - angle(c, c'). The minimum over the shifts of any window, or of any part
    of it, obeys it too. If |S_-s x| < 1, put the missing length into a coordinate of its own, orthogonal
    to c and c'. Channels are one long vector, and masked values are zeros of it.
    """
    cosine = (old.unit.astype(np.float64) * new.unit).reshape(len(new), -1).sum(axis=-1)
    same = (old.unit == new.unit).all(axis=(1, 2))
    drift = angle_upper_bound(cosine, new.tie_band) + ANGLE_ROUNDING
    return np.where(same, 0.0, drift).astype(np.float32)


def center_separation_bounds(centers: Shapes) -> FloatArray | None:
    """Lower bounds of the angles between centers, zero on the diagonal; None if a window forbids shifts.

    theta(x, c) >= theta(c_own, c) - theta(x, c_own) for every series x and any center c_own. Proof: if all
    shifts are allowed, S_s is an isometry of zero-padded sequences. Then theta is the distance between two
    orbits of a group of isometries of the sphere, and obeys the triangle inequality. With a window it does
    not (it fails by up to 0.5).
    """
    if not centers.all_shifts:
        return None
    separation = angle_lower_bound(peaks_between(centers), centers.screen_error)
    np.fill_diagonal(separation, 0.0)
    return separation


def magnitude_bound(x: FloatArray, y: FloatArray) -> FloatArray:
    """Upper bound of all correlations of series with some others, from their profiles alone.

    Proof: a correlation is (1/L) sum_f w_f X_f conj(C_f) e^(2 pi i f s / L), with w_f = 1 at both ends of the
    spectrum and 2 inside. It is at most (1/L) sum_f w_f |X_f||C_f|. By the Cauchy-Schwarz inequality each
    band (over the channels too) adds at most the product of the roots of both energies.

    Parameters
    ----------
    x, y : ndarray of shape (n_x, n_bands), (n_y, n_bands)

    Returns
    -------
    ndarray of shape (n_x, n_y)
    """
    return x @ y.T


@dataclass(frozen=True)
class LowPass:
    """Upper bound of a correlation from a short transform of its low frequencies.

    Split the spectrum at `cutoff`: NCC(s) = low(s) + high(s). `high` is at most the `magnitude_bound` of its
    bands. `low` is a trigonometric polynomial, computed on a grid of `n_grid` points around the whole
    circle. Between neighboring points, h = L / n_grid apart, it exceeds their linear interpolation by at
    most (h^2 / 8) max |low''|. Here |low''| <= (1/L) sum_f w_f (2 pi f / L)^2 |X_f||C_f|, in each band at
    most the square of its highest frequency times both roots of energies. The bound is therefore the largest
    value on the grid plus a sum over bands of `weights` times both profiles. The circle contains all
    shifts of any window.

    Attributes
    ----------
    cutoff : int
        First frequency of the high part, the start of a band.
    n_grid : int
        Points of the grid.
    weights : ndarray of shape (n_bands,)
        Amount that each band adds.
    """

    cutoff: int
    n_grid: int
    weights: FloatArray

    @classmethod
    def at(cls, cutoff: int, n_grid: int, length: int) -> LowPass:
        """The bound for transforms of a given length; `cutoff` is the start of a band."""
        starts = band_starts(length)
        band = int(np.searchsorted(starts, cutoff))
        weights = np.ones(len(starts) - 1)
        # The highest frequency of each band bounds the curvature between two points of the grid.
        weights[:band] = np.square(2 * np.pi * (starts[1 : band + 1] - 1) / n_grid) / 8
        return cls(cutoff, n_grid, weights.astype(np.float32))

    def pair_bytes(self, x: Shapes) -> int:
        """Bytes of memory for one pair."""
        return 16 * self.cutoff * x.n_channels + 4 * self.n_grid

    def part_of(self, x: Shapes) -> ComplexArray:
        """The low frequencies of the spectra."""
        return np.ascontiguousarray(x.spectrum[..., : self.cutoff])

    def highest(self, product: ComplexArray, length: int) -> FloatArray:
        """Largest values on the grid, from products of low frequencies, shape (..., n_channels, cutoff)."""
        summed = product[..., 0, :] if product.shape[-2] == 1 else product.sum(axis=-2)
        grid = fft.irfft(summed, n=self.n_grid, axis=-1, overwrite_x=True)
        highest: FloatArray = grid.max(axis=-1)
        highest *= self.n_grid / length
        return highest


def low_pass_for(profile: FloatArray, length: int) -> LowPass | None:
    """Choose a low-pass bound for series of the given profiles; None if it would be too loose.

    The cutoff is the lowest one with little energy above it, among those whose short transforms are much
    shorter than the full ones.
    """
    starts = band_starts(length)
    energy = np.square(profile.astype(np.float64)).mean(axis=0)
    above = energy.sum() - np.cumsum(energy)  # energy from the start of the next band on
    affordable = starts[1:] * _POINTS_PER_FREQUENCY * _MIN_GAIN <= length
    enough = above <= _TARGET_ENERGY * energy.sum()
    # Without a cutoff that leaves little energy, take the highest one that is affordable.
    band = int(np.argmax(enough)) if (enough & affordable).any() else int(affordable.sum()) - 1
    if band < 0 or above[band] > _MAX_ENERGY * energy.sum():
        return None
    cutoff = max(int(starts[band + 1]), _MIN_CUTOFF)
    return LowPass.at(cutoff, int(fft.next_fast_len(_POINTS_PER_FREQUENCY * cutoff, real=True)), length)


@dataclass(frozen=True)
class SpectralBounds:
    """Bounds for comparisons with some series or centers, from their spectra alone.

    Attributes
    ----------
    y : Shapes
        The series or centers.
    profile : ndarray of shape (len(y), n_bands)
        Their energy by bands of frequencies.
    low_pass : LowPass or None
        Short transforms for the series that are compared with `y`; None if they would not help.
    """

    y: Shapes
    profile: FloatArray
    low_pass: LowPass | None

    def may_separate(self, x: Shapes) -> bool:
        """Whether these bounds may rule out pairs of `x`, judged by a sample; a bound near 1 does not."""
        if self.low_pass is not None:
            return True
        bound = magnitude_bound(profile_of(sample_of(x, _SAMPLE_SIZE)), self.profile)
        return bool(np.mean(bound > _LOOSE_BOUND) <= _MAX_LOOSE_SHARE)

    def listed_pairs(self, x: Shapes, first: IntArray, second: IntArray) -> FloatArray:
        """Lower bounds of the angles of listed pairs, by short transforms."""
        lower = np.full(len(first), -np.inf, dtype=np.float32)
        if self.low_pass is None:
            return lower
        low_x, low_y = self.low_pass.part_of(x), self.low_pass.part_of(self.y).conj()
        weighted = profile_of(x) * self.low_pass.weights
        for part in row_blocks(len(first), self.low_pass.pair_bytes(x)):
            product = low_x[first[part]]
            product *= low_y[second[part]]
            bound = self.low_pass.highest(product, x.length)
            bound += np.einsum("pb,pb->p", weighted[first[part]], self.profile[second[part]])
            lower[part] = angle_lower_bound(bound, x.screen_error)
        return lower

    def all_pairs(self, x: Shapes) -> FloatArray:
        """Lower bounds of the angles of all pairs of a block and `y`, by magnitudes and short transforms."""
        profile = profile_of(x)
        lower = angle_lower_bound(magnitude_bound(profile, self.profile), self.y.screen_error)
        if self.low_pass is None:
            return lower
        low_x, low_y = self.low_pass.part_of(x), self.low_pass.part_of(self.y).conj()
        weighted, pair_bytes = profile * self.low_pass.weights, self.low_pass.pair_bytes(x)
        for columns in row_blocks(len(low_y), 16 * pair_bytes):
            for rows in row_blocks(len(low_x), pair_bytes * (columns.stop - columns.start)):
                bound = self.low_pass.highest(low_x[rows, None] * low_y[columns], x.length)
                bound += weighted[rows] @ self.profile[columns].T
                tile = lower[rows, columns]
                np.maximum(tile, angle_lower_bound(bound, x.screen_error), out=tile)
        return lower


def choose_low_pass(x: Shapes) -> LowPass | None:
    """Choose short transforms for given series, by the profiles of a sample of them."""
    return low_pass_for(profile_of(sample_of(x, _SAMPLE_SIZE)), x.length)


def triangle_lower_bound(
    own: Float64Array, labels: IntArray, separation: FloatArray, slack: float
) -> FloatArray:
    """Lower bounds of angles by the triangle inequality with one center per series; a near one is best.

    The proof is in `center_separation_bounds`.

    Parameters
    ----------
    own : ndarray of shape (n_series,)
        Correlation with the center that `labels` names.
    labels : ndarray of shape (n_series,)
    separation : ndarray of shape (n_centers, n_centers)
        Lower bounds of the angles between centers.
    slack : float
        Largest error of `own`.
    """
    own_angle = (angle_upper_bound(own, slack) + ANGLE_ROUNDING).astype(np.float32)
    return separation[labels] - own_angle[:, None]
