"""Bounds on correlations, which say of most pairs that no transform is needed.

Let x and c be unit vectors and S_s the shift by s, which fills with zeros and so never lengthens a
vector. theta(x, c) = arccos max_s <x, S_s c> is the angle at the best shift within the window. A lower bound
of such an angle is a *floor*: no correlation can exceed its cosine. Rounding goes to the safe side: `slack`
exceeds what screened correlations, spectra and unit norms are off by, and `ANGLE_ROUNDING` what floors lose.
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
_SAMPLE = 64
_LITTLE, _TOO_MUCH = 0.05, 0.15  # shares of the energy that a cutoff leaves above it
_LEAST_CUTOFF = 8
_HARDLY_A_BOUND, _MOST = 0.9, 0.75
_POINTS_PER_FREQUENCY = 3
_LEAST_GAIN = 4
_SHORT = 64  # transforms of so many points are quicker than bounds
_SMALL = 2_000_000  # points: so many are transformed in the time that Python takes to prepare a search


def bounds_may_pay(x: Shapes, n_pairs: int) -> bool:
    """Whether the transforms of so many pairs cost more than to look which of them can be spared."""
    return x.length >= _SHORT and n_pairs * x.length >= _SMALL


def angle_lower_bound(ncc: FloatArray, slack: float) -> FloatArray:
    """Floor of the angle whose cosine was computed to within `slack`."""
    floor: FloatArray = np.arccos(np.minimum(ncc + ncc.dtype.type(slack), 1.0))
    return floor


def angle_upper_bound(ncc: FloatArray, slack: float) -> FloatArray:
    """Upper bound of the angle whose cosine was computed to within `slack`."""
    ceiling: FloatArray = np.arccos(np.clip(ncc - ncc.dtype.type(slack), -1.0, 1.0))
    return ceiling


def center_drift(old: Shapes, new: Shapes) -> FloatArray:
    """Angle by which each center has moved, rounded up to float32; 0 for those that did not.

    A floor less this angle is a floor of the angle to the moved center. Proof: at each shift s the angles
    between S_-s x (whose norm is at most one), c and c' obey the triangle inequality, so
    angle_s(x, c') >= angle_s(x, c) - angle(c, c'); the least over the shifts of any window, or of any part
    of it, obeys it too. For |S_-s x| < 1 put the missing length into a coordinate of its own, orthogonal
    to c and c'. Channels are one long vector, and masked values are zeros of it.
    """
    cosine = (old.unit.astype(np.float64) * new.unit).reshape(len(new), -1).sum(axis=-1)
    same = (old.unit == new.unit).all(axis=(1, 2))
    steps = angle_upper_bound(cosine, new.tie_band) + ANGLE_ROUNDING
    return np.where(same, 0.0, steps).astype(np.float32)


def center_separation_bounds(centers: Shapes) -> FloatArray | None:
    """Floors of the angles between centers, zero on the diagonal; None where they would prove nothing.

    theta(x, c) >= theta(c_own, c) - theta(x, c_own) for every series x and any center c_own. Proof: with all
    shifts allowed, S_s is an isometry of zero-padded sequences, so theta is the distance of two orbits of
    a group of isometries of the sphere, and obeys the triangle inequality. With a narrower window it
    does not.
    """
    if not centers.all_shifts:
        return None
    apart = angle_lower_bound(peaks_between(centers), centers.screen_error)
    np.fill_diagonal(apart, 0.0)
    return apart


def magnitude_bound(x: FloatArray, y: FloatArray) -> FloatArray:
    """Bound of all correlations of series with some others, from their profiles alone.

    Proof: a correlation is (1/L) sum_f w_f X_f conj(C_f) e^(2 pi i f s / L), with w_f = 1 at both ends of the
    spectrum and 2 inside, so at most (1/L) sum_f w_f |X_f||C_f|, and within each band (over the channels
    too) at most the product of the roots of both energies, by Cauchy and Schwarz.

    Parameters
    ----------
    x, y : ndarray of shape (n_x, n_bands), (n_y, n_bands)

    Returns
    -------
    ndarray of shape (n_x, n_y)
    """
    bound: FloatArray = x @ y.T
    return bound


@dataclass(frozen=True)
class LowPass:
    """Bound of a correlation from a short transform of its low frequencies.

    Split the spectrum at `cutoff`: NCC(s) = low(s) + high(s). `high` is at most what `magnitude_bound` gives
    for its bands. `low` is a trigonometric polynomial, computed on a grid of `n_grid` points around the
    whole circle; between neighbors, h = L / n_grid apart, it exceeds their linear interpolation by at most
    (h^2 / 8) max |low''|, and |low''| <= (1/L) sum_f w_f (2 pi f / L)^2 |X_f||C_f|, in each band at most the
    square of its highest frequency times both roots of energies. So the bound is the largest value on
    the grid plus a sum over bands of `weights` times both profiles. The circle holds all shifts of any
    window, and more.

    Attributes
    ----------
    cutoff : int
        First frequency of the high part, the start of a band.
    n_grid : int
        Points of the grid.
    weights : ndarray of shape (n_bands,)
        What each band adds.
    """

    cutoff: int
    n_grid: int
    weights: FloatArray

    def pair_bytes(self, x: Shapes) -> int:
        """Memory for one pair."""
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
    """The low-pass bound that suits series of the given profiles; None where it would tell too little.

    The cutoff is the first that leaves little energy above it, as far as the short transforms stay much
    shorter than the full ones.
    """
    starts = band_starts(length)
    energy = np.square(profile.astype(np.float64)).mean(axis=0)
    above = energy.sum() - np.cumsum(energy)  # energy from the start of the next band on
    affordable = starts[1:] * _POINTS_PER_FREQUENCY * _LEAST_GAIN <= length
    enough = above <= _LITTLE * energy.sum()
    band = int(np.argmax(enough)) if (enough & affordable).any() else int(affordable.sum()) - 1
    if band < 0 or above[band] > _TOO_MUCH * energy.sum():
        return None
    cutoff = max(int(starts[band + 1]), _LEAST_CUTOFF)
    band = int(np.searchsorted(starts, cutoff))
    n_grid = int(fft.next_fast_len(_POINTS_PER_FREQUENCY * cutoff, real=True))
    weights = np.ones(len(starts) - 1)
    weights[:band] = np.square(2 * np.pi * (starts[1 : band + 1] - 1) / n_grid) / 8
    return LowPass(cutoff, n_grid, weights.astype(np.float32))


@dataclass(frozen=True)
class SpectralBounds:
    """Bounds for comparisons with some series or centers, from their spectra alone.

    Attributes
    ----------
    y : Shapes
        The series or centers.
    profile : ndarray of shape (len(y), n_bands)
        How their energy is spread.
    low_pass : LowPass or None
        The short transforms that suit the series to come; None where none do.
    """

    y: Shapes
    profile: FloatArray
    low_pass: LowPass | None

    def may_separate(self, x: Shapes) -> bool:
        """Whether they may tell a sample of given series from `y`: near 1, a bound says nothing."""
        if self.low_pass is not None:
            return True
        bound = magnitude_bound(profile_of(sample_of(x, _SAMPLE)), self.profile)
        return bool(np.mean(bound > _HARDLY_A_BOUND) <= _MOST)

    def by_magnitude(self, profile: FloatArray) -> FloatArray:
        """Floors of the angles between all series of a block, given their profile, and all of `y`."""
        return angle_lower_bound(magnitude_bound(profile, self.profile), self.y.screen_error)

    def listed_pairs(
        self, x: Shapes, profile: FloatArray, first: IntArray, second: IntArray, block_bytes: int
    ) -> FloatArray:
        """Floors of the angles of listed pairs, by short transforms."""
        floor = np.full(len(first), -np.inf, dtype=np.float32)
        if self.low_pass is None:
            return floor
        ours, theirs = self.low_pass.part_of(x), self.low_pass.part_of(self.y).conj()
        weighted = profile * self.low_pass.weights
        for part in row_blocks(len(first), self.low_pass.pair_bytes(x), block_bytes):
            product = ours[first[part]]
            product *= theirs[second[part]]
            bound = self.low_pass.highest(product, x.length)
            bound += np.einsum("pb,pb->p", weighted[first[part]], self.profile[second[part]])
            floor[part] = angle_lower_bound(bound, x.screen_error)
        return floor

    def all_pairs(self, x: Shapes, profile: FloatArray, block_bytes: int) -> FloatArray:
        """Floors of the angles of all pairs of a block and `y`, by magnitudes and short transforms."""
        floor = self.by_magnitude(profile)
        if self.low_pass is None:
            return floor
        ours, theirs = self.low_pass.part_of(x), self.low_pass.part_of(self.y).conj()
        weighted, pair_bytes = profile * self.low_pass.weights, self.low_pass.pair_bytes(x)
        for columns in row_blocks(len(theirs), 16 * pair_bytes, block_bytes):
            for rows in row_blocks(len(ours), pair_bytes * (columns.stop - columns.start), block_bytes):
                bound = self.low_pass.highest(ours[rows, None] * theirs[columns], x.length)
                bound += weighted[rows] @ self.profile[columns].T
                tile = floor[rows, columns]
                np.maximum(tile, angle_lower_bound(bound, x.screen_error), out=tile)
        return floor


def choose_low_pass(x: Shapes) -> LowPass | None:
    """The short transforms that suit given series, judged by a sample of them."""
    return low_pass_for(profile_of(sample_of(x, _SAMPLE)), x.length)


def triangle_lower_bound(own: Float64Array, labels: IntArray, apart: FloatArray, slack: float) -> FloatArray:
    """Floors by way of any center of each series (near ones help most): see `center_separation_bounds`.

    Parameters
    ----------
    own : ndarray of shape (n_series,)
        Correlation with the center that `labels` names.
    labels : ndarray of shape (n_series,)
    apart : ndarray of shape (n_centers, n_centers)
        Floors of the angles between centers.
    slack : float
        What `own` may be off by.
    """
    reach = (angle_upper_bound(own, slack) + ANGLE_ROUNDING).astype(np.float32)
    floor: FloatArray = apart[labels] - reach[:, None]
    return floor
