"""Series prepared for correlation: unit rows and their spectra, kept or computed again by block."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._core.sbd.normalize import unit_rows
from shapecluster._typing import BoolArray, ComplexArray, DType, Float64Array, FloatArray, IntArray

SPARE_BYTES = 1 << 26
"""Extra memory that work on series may use beyond their own size."""

_SINGLE_FREQUENCIES = 16  # bands of one frequency: price levels have most of their energy there
_BAND_GROWTH = 1.25  # each further band starts so much higher than the one before
_MIN_SAMPLE = 4
_NARROW = 2.0  # windows of up to so many times log2(length) shifts are screened by a matrix product


@dataclass(frozen=True)
class Shapes:
    """Series that are prepared for correlation.

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
        Whether unit rows are computed again each time they are needed.
    spectra : complex64 ndarray of shape (n_series, n_channels, n_frequencies) or None
        Real FFT of the zero-padded unit rows; None if it is computed when needed.
    profiles : ndarray of shape (n_series, n_bands), float32, or None
        Their energy by bands of frequencies; None if that is computed when needed.
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

    def __getitem__(self, rows: IntArray | BoolArray | slice) -> Shapes:
        """Some of the series, with the arrays that are kept."""
        return replace(
            self,
            series=self.series[rows],
            flat=self.flat[rows],
            spectra=None if self.spectra is None else self.spectra[rows],
            profiles=None if self.profiles is None else self.profiles[rows],
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `series`."""
        return self.series.shape

    @property
    def unit(self) -> FloatArray:
        """Unit rows of all series. If `raw`, they are computed here, so ask for a block at a time."""
        return unit_rows(self.series, self.dtype).values if self.raw else self.series

    @property
    def kept_bytes(self) -> int:
        """Bytes that are kept in addition to the input."""
        kept = (None if self.raw else self.series, self.spectra, self.profiles)
        return sum(array.nbytes for array in kept if array is not None)

    @property
    def spectrum(self) -> ComplexArray:
        """The spectra of a block that `materialize` returned."""
        if self.spectra is None:
            raise ValueError("These series have no spectra: call `materialize` for a block of them first.")
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
        return 2 * self.window + 1 <= _NARROW * math.log2(max(2, self.length))

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
        """Bytes for the correlation curve of one pair and its product of spectra."""
        return 4 * len(self.shifts) * (1 if self.narrow else 2 * self.n_channels + 1)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes for one series with its spectrum, float64 copies included."""
        return 8 * self.n_channels * (self.length + 2 * self.n_timepoints)

    @cached_property
    def tie_band(self) -> float:
        """Correlations that differ by less are equal: 16 eps log2(length)."""
        return 16 * float(np.finfo(self.dtype).eps) * float(np.log2(max(2, self.length)))

    @cached_property
    def screen_error(self) -> float:
        """Largest error of a correlation that was screened in float32."""
        eps = float(np.finfo(np.float32).eps)
        if self.narrow:  # a sum of n_timepoints * n_channels products, each with its rounding
            return eps * max(16.0, (self.n_timepoints * self.n_channels + 4) / 2)
        return eps * (16 * float(np.log2(max(2, self.length))) + self.n_channels)  # channels are added up

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
    """Normalize and transform series, once for all comparisons.

    Parameters
    ----------
    values : ndarray of shape (n_series, n_channels, n_timepoints)
        float32 or float64; NaN where missing.
    max_shift : int or None
        Largest shift in timepoints; None for all.
    dtype : dtype, default=None
        Precision of the unit rows; None for that of `values`. Series that are compared need the same one.
    spare : int, default=None
        Bytes that may be kept: first for unit rows, then for spectra. Arrays that do not fit are computed
        again by block, with the same bits. None keeps everything.
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
    shapes = with_spectra(shapes, n_threads=n_threads)
    if shapes.spectra is None:
        return shapes
    blocks = row_blocks(len(shapes), shapes.row_bytes)
    return replace(shapes, profiles=np.concatenate([profile_of(shapes[rows]) for rows in blocks]))


def with_spectra(shapes: Shapes, *, n_threads: int = 1) -> Shapes:
    """The same series with spectra, unless a narrow window needs none."""
    if shapes.spectra is not None or shapes.narrow:
        return shapes
    n_frequencies = shapes.length // 2 + 1
    spectra = np.empty((*shapes.series.shape[:2], n_frequencies), dtype=np.complex64)

    def transform(rows: slice) -> None:
        single = shapes.series[rows].astype(np.float32, copy=False)
        spectra[rows] = fft.rfft(single, n=shapes.length, axis=-1)

    map_blocks(transform, row_blocks(len(shapes), shapes.row_bytes), n_threads)
    return replace(shapes, spectra=spectra)


def materialize(shapes: Shapes, rows: IntArray | BoolArray | slice) -> Shapes:
    """Some of the series with unit rows and spectra, computed now if they are not kept."""
    part = shapes[rows]
    if part.raw:
        part = replace(part, series=part.unit, raw=False)
    return with_spectra(part)


def profile_of(x: Shapes) -> FloatArray:
    """Energy of unit rows by bands of frequencies: the root of each band's share.

    Returns
    -------
    ndarray of shape (n_series, n_bands), float32
        Squares add up to one (to zero for flat rows). The first bands are single frequencies, starting
        with 1. Frequency 0 is left out, because rows have zero mean.
    """
    if x.profiles is not None:
        return x.profiles
    length = x.length
    power = np.square(x.spectrum.real)
    power += np.square(x.spectrum.imag)
    summed = power.sum(axis=1)
    if length % 2 == 0:
        summed[:, -1] /= 2  # every other frequency also counts for its conjugate
    bands = np.add.reduceat(summed[:, 1:], band_starts(length)[:-1] - 1, axis=-1)
    bands *= 2.0 / length
    return np.sqrt(bands, out=bands)


def band_starts(length: int) -> IntArray:
    """First frequency of each band, and one past the last frequency."""
    end = length // 2 + 1
    starts = [1]
    while starts[-1] < end:
        wide = starts[-1] * _BAND_GROWTH if starts[-1] > _SINGLE_FREQUENCIES else starts[-1] + 1
        starts.append(min(int(wide), end))
    return np.array(starts, dtype=np.intp)


def sample_of(shapes: Shapes, size: int) -> Shapes:
    """A sample of the series, spread evenly over all of them; fewer than `size` if they are very long."""
    size = min(size, max(_MIN_SAMPLE, BLOCK_BYTES // shapes.row_bytes))
    return materialize(shapes, np.unique(np.linspace(0, len(shapes) - 1, size).astype(np.intp)))


def unit_rows_of(shapes: Shapes, rows: IntArray | BoolArray | slice) -> FloatArray:
    """Unit rows of some of the series."""
    part = shapes.series[rows]
    return unit_rows(part, shapes.dtype).values if shapes.raw else part


@cache  # each block of series asks
def _transform_length(at_least: int) -> int:
    """Smallest 2^a, 3 * 2^a, 5 * 2^a or 9 * 2^a that is large enough: such transforms are fast."""
    powers = [1 << max(0, int(np.ceil(np.log2(at_least / odd)))) for odd in (1, 3, 5, 9)]
    return min(odd * power for odd, power in zip((1, 3, 5, 9), powers, strict=True))
