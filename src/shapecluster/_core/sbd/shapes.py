"""Unit rows and their spectra: kept where memory allows, made again block by block where it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._core.sbd.normalize import unit_rows
from shapecluster._typing import BoolArray, ComplexArray, DType, Float64Array, FloatArray, IntArray

SPARE_BYTES = 1 << 26
"""What work on series may take beyond the size of the series themselves."""

_SINGLE_FREQUENCIES = 16
_BAND_GROWTH = 1.25
_LEAST_SAMPLE = 4
_NARROW = 2.0  # windows of up to so many times log2(length) shifts are screened by a matrix product


@dataclass(frozen=True)
class Shapes:
    """Series that are ready to be correlated.

    Attributes
    ----------
    series : ndarray of shape (n_series, n_channels, n_timepoints)
        Unit rows: zero mean per channel, joint norm one. When `raw`, the series as they came.
    flat : ndarray of bool, shape (n_series,)
        Series without a shape.
    window : int
        Largest shift considered, at most n_timepoints - 1.
    dtype : dtype
        Of the unit rows.
    raw : bool
        Whether the unit rows are made again whenever they are needed.
    spectra : complex64 ndarray of shape (n_series, n_channels, n_frequencies) or None
        Real FFT of the zero-padded unit rows; None where it is made when needed.
    profiles : ndarray of shape (n_series, n_bands), float32, or None
        How their energy is spread over frequencies; None where that is made when needed.
    """

    series: FloatArray
    flat: BoolArray
    window: int
    dtype: DType
    raw: bool = False
    spectra: ComplexArray | None = None
    profiles: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.series)

    @property
    def unit(self) -> FloatArray:
        """Unit rows of all series; of a block of them, when memory is tight."""
        return unit_rows(self.series, self.dtype).values if self.raw else self.series

    @property
    def kept_bytes(self) -> int:
        """Memory that is kept beside the series as they came."""
        kept = (None if self.raw else self.series, self.spectra, self.profiles)
        return sum(array.nbytes for array in kept if array is not None)

    @property
    def spectrum(self) -> ComplexArray:
        """The spectra, which must be there: those of a block that was taken always are."""
        if self.spectra is None:
            raise ValueError("These series have no spectra: take a block of them first.")
        return self.spectra

    @property
    def n_channels(self) -> int:
        n_channels: int = self.series.shape[1]
        return n_channels

    @property
    def n_timepoints(self) -> int:
        n_timepoints: int = self.series.shape[2]
        return n_timepoints

    @property
    def all_shifts(self) -> bool:
        """Whether the window excludes no shift at all."""
        return self.window == self.n_timepoints - 1

    @cached_property
    def length(self) -> int:
        """Length of the transforms: nothing wraps around within the window."""
        return _transform_length(self.n_timepoints + self.window)

    @cached_property
    def narrow(self) -> bool:
        """Whether one matrix product per shift costs less than a transform."""
        return bool(2 * self.window + 1 <= _NARROW * np.log2(max(2, self.length)))

    @cached_property
    def shifted_copies(self) -> Float64Array:
        """Every row at every shift: copies[i, :, window - s, t] = unit[i, :, t - s]; for a few rows only."""
        padded = np.zeros((len(self), self.n_channels, self.n_timepoints + 2 * self.window))
        padded[..., self.window : self.window + self.n_timepoints] = self.unit
        return sliding_window_view(padded, self.n_timepoints, axis=-1)

    @cached_property
    def shifts(self) -> IntArray:
        """The shift that each position of a correlation curve stands for."""
        if self.narrow:
            return np.arange(-self.window, self.window + 1)
        position = np.arange(self.length)
        return np.where(position <= self.window, position, position - self.length)

    @cached_property
    def pair_bytes(self) -> int:
        """Memory for the correlation curve of one pair, and for what it is made of."""
        return 4 * len(self.shifts) * (1 if self.narrow else 2 * self.n_channels + 1)

    @cached_property
    def row_bytes(self) -> int:
        """Memory for one series with its spectrum, float64 copies included."""
        return 8 * self.n_channels * (self.length + 2 * self.n_timepoints)

    @cached_property
    def tie_band(self) -> float:
        """Correlations that differ by less are equal: 16 eps log2(length)."""
        return 16 * float(np.finfo(self.dtype).eps) * float(np.log2(max(2, self.length)))

    @cached_property
    def screen_error(self) -> float:
        """What a correlation that was screened in float32 can be off by."""
        eps = float(np.finfo(np.float32).eps)
        if self.narrow:  # a sum of so many products, each off by a rounding
            return eps * max(16.0, (self.n_timepoints * self.n_channels + 4) / 2)
        return eps * (16 * float(np.log2(max(2, self.length))) + self.n_channels)  # which are added up

    @property
    def ncc_range(self) -> tuple[float, float]:
        """Range of the best correlation: over all shifts the correlations of zero-mean rows sum to 0."""
        return (0.0, 1.0) if self.all_shifts else (-1.0, 1.0)


def shapes_of(
    values: FloatArray,
    max_shift: int | None,
    dtype: DType | None = None,
    *,
    spare: int | None = None,
    n_threads: int = 1,
) -> Shapes:
    """Normalize series and transform them, once for all their comparisons.

    Parameters
    ----------
    values : ndarray of shape (n_series, n_channels, n_timepoints)
        float32 or float64; NaN where missing.
    max_shift : int or None
        Largest shift in timepoints; None for all.
    dtype : dtype, default=None
        What to compute in; None for that of `values`. Series that are compared must have the same.
    spare : int, default=None
        Bytes that may be kept. Unit rows come first, then spectra; what does not fit is made again by
        block, with the same bits. None keeps everything.
    n_threads : int, default=1
        Threads for the transforms.
    """
    window = values.shape[-1] - 1 if max_shift is None else min(max_shift, values.shape[-1] - 1)
    dtype = np.dtype(values.dtype if dtype is None else dtype)
    bare = Shapes(values, np.zeros(len(values), dtype=np.bool_), window, dtype, raw=True)
    for_rows = values.size * dtype.itemsize
    for_spectra = 0 if bare.narrow else 8 * len(values) * bare.n_channels * (bare.length // 2 + 1)
    if spare is not None and spare < for_rows:
        blocks = row_blocks(len(values), bare.row_bytes)
        flat = np.concatenate([unit_rows(values[rows], dtype).flat for rows in blocks])
        return replace(bare, flat=flat)
    rows = unit_rows(values, dtype)
    shapes = replace(bare, series=rows.values, flat=rows.flat, raw=False)
    if spare is not None and spare < for_rows + for_spectra:
        return shapes
    return with_profiles(with_spectra(shapes, n_threads=n_threads))


def with_spectra(shapes: Shapes, *, n_threads: int = 1) -> Shapes:
    """The same series with their spectra computed, unless a narrow window needs none."""
    if shapes.spectra is not None or shapes.narrow:
        return shapes
    n_frequencies = shapes.length // 2 + 1
    spectra = np.empty((*shapes.series.shape[:2], n_frequencies), dtype=np.complex64)

    def transform(rows: slice) -> None:
        single = shapes.series[rows].astype(np.float32, copy=False)
        spectra[rows] = fft.rfft(single, n=shapes.length, axis=-1)

    map_blocks(transform, row_blocks(len(shapes), shapes.row_bytes), n_threads)
    return replace(shapes, spectra=spectra)


def with_profiles(shapes: Shapes) -> Shapes:
    """The same series with their profiles computed, where they have spectra."""
    if shapes.spectra is None or shapes.profiles is not None:
        return shapes
    blocks = row_blocks(len(shapes), shapes.row_bytes)
    return replace(shapes, profiles=np.concatenate([profile_of(subset(shapes, rows)) for rows in blocks]))


def subset(shapes: Shapes, rows: IntArray | BoolArray | slice) -> Shapes:
    """Some of the series, as they are kept."""
    return replace(
        shapes,
        series=shapes.series[rows],
        flat=shapes.flat[rows],
        spectra=None if shapes.spectra is None else shapes.spectra[rows],
        profiles=None if shapes.profiles is None else shapes.profiles[rows],
    )


def materialize(shapes: Shapes, rows: IntArray | BoolArray | slice) -> Shapes:
    """Some of the series, with unit rows and spectra: those that are kept, or made now."""
    part = subset(shapes, rows)
    if part.raw:
        part = replace(part, series=part.unit, raw=False)
    return with_spectra(part)


def profile_of(x: Shapes) -> FloatArray:
    """How the energy of unit rows is spread over bands of frequencies: the root of each band's share.

    Returns
    -------
    ndarray of shape (n_series, n_bands), float32
        Squares add up to one (to zero for flat rows). The first bands are single frequencies, from 1 on;
        frequency 0 is empty, because rows have zero mean.
    """
    if x.profiles is not None:
        return x.profiles
    length = x.length
    power = np.square(x.spectrum.real)
    power += np.square(x.spectrum.imag)
    summed = power.sum(axis=1)
    if length % 2 == 0:
        summed[:, -1] /= 2  # all others stand for their conjugates too
    bands = np.add.reduceat(summed[:, 1:], band_starts(length)[:-1] - 1, axis=-1)
    bands *= 2.0 / length
    profile: FloatArray = np.sqrt(bands, out=bands)
    return profile


def band_starts(length: int) -> IntArray:
    """First frequency of each band, and one past the last frequency."""
    end = length // 2 + 1
    starts = [1]
    while starts[-1] < end:
        wide = starts[-1] * _BAND_GROWTH if starts[-1] > _SINGLE_FREQUENCIES else starts[-1] + 1
        starts.append(min(int(wide), end))
    return np.array(starts, dtype=np.intp)


def sample_of(shapes: Shapes, size: int) -> Shapes:
    """So many of the series, spread evenly over all of them; fewer, if they are very long."""
    size = min(size, max(_LEAST_SAMPLE, BLOCK_BYTES // shapes.row_bytes))
    return materialize(shapes, np.unique(np.linspace(0, len(shapes) - 1, size).astype(np.intp)))


def unit_rows_of(shapes: Shapes, rows: IntArray | BoolArray | slice) -> FloatArray:
    """Unit rows of some of the series."""
    part = shapes.series[rows]
    return unit_rows(part, shapes.dtype).values if shapes.raw else part


def _transform_length(at_least: int) -> int:
    """Least 2^a, 3 * 2^a, 5 * 2^a or 9 * 2^a that is large enough: such transforms are quick."""
    powers = [1 << max(0, int(np.ceil(np.log2(at_least / odd)))) for odd in (1, 3, 5, 9)]
    return min(odd * power for odd, power in zip((1, 3, 5, 9), powers, strict=True))
