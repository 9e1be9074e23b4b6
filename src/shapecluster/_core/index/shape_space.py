"""Series and centers under the shape-based distance, as an inverted file asks for them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from shapecluster._core.sbd.blocks import BLOCK_BYTES, row_blocks
from shapecluster._core.sbd.bounds import ANGLE_ROUNDING
from shapecluster._core.sbd.correlation import evaluate_pairs, screen, screening_row_bytes
from shapecluster._core.sbd.lowpass import LowPassScreen, highest, low_pass_screen_for
from shapecluster._core.sbd.nearest import nearest_rows
from shapecluster._core.sbd.shapes import Shapes, materialize, subset, with_profiles, with_spectra
from shapecluster._typing import Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class ShapeQueries:
    """A block of queries: with spectra, and what the rows are multiplied with to screen them."""

    shapes: Shapes
    features: FloatArray | None
    matrices: FloatArray | None

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True)
class ShapeSpace:
    """Series by cell, their centers, and how they are screened.

    Angles are what the triangle inequality holds for (see `bounds.center_separation_bounds`): the reach
    is the angle to the center. Three screens: low frequencies by matrix products, where these tell
    enough; for narrow windows products with shifted copies of the queries; else full transforms.

    Attributes
    ----------
    rows : Shapes
        Unit rows, without spectra.
    centers : Shapes
        With spectra and profiles.
    low_pass : LowPassScreen or None
    features : ndarray of shape (n_rows, n_features), float32, or None
        What the screen keeps of every row.
    """

    rows: Shapes
    centers: Shapes
    low_pass: LowPassScreen | None
    features: FloatArray | None

    @classmethod
    def of(cls, rows: Shapes, centers: Shapes, *, n_threads: int = 1) -> ShapeSpace:
        """Choose the screen, and compute what it keeps."""
        centers = with_profiles(with_spectra(centers))
        low_pass = None if rows.narrow else low_pass_screen_for(rows)
        space = cls(rows, centers, low_pass, None)
        return replace(space, features=space._features(rows, n_threads))

    def _features(self, x: Shapes, n_threads: int = 1) -> FloatArray | None:
        if self.low_pass is not None:
            return self.low_pass.features(x, n_threads=n_threads)
        if x.narrow:
            return x.unit.astype(np.float32, copy=False).reshape(len(x), -1)
        return None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def exact(self) -> bool:
        """Angles obey the triangle inequality when every shift is allowed, and not otherwise."""
        return self.rows.all_shifts

    def prepare(self, x: Shapes) -> ShapeQueries:
        """A block of queries."""
        x = with_profiles(materialize(x, slice(None)))
        if x.narrow:
            shifted = x.shifted_copies.swapaxes(1, 2).astype(np.float32)
            shifted = shifted.reshape(len(x), len(x.shifts), -1)
            return ShapeQueries(x, None, shifted)
        if self.low_pass is None:
            return ShapeQueries(x, None, None)
        features = self.low_pass.features(x)
        return ShapeQueries(x, features, self.low_pass.coarse_matrices(features, x.n_channels))

    def nearest_cells(self, queries: ShapeQueries, n_cells: int) -> tuple[IntArray, Float64Array]:
        """The nearest centers of each query and the angles to them."""
        found = nearest_rows(queries.shapes, self.centers, n_cells)
        return found.rows, angle_of(found.ncc)

    def reaches(self, queries: ShapeQueries) -> Float64Array:
        """Screened angles to all centers."""
        x = queries.shapes
        out = np.empty((len(x), len(self.centers)))
        for rows in row_blocks(len(x), screening_row_bytes(x, self.centers), BLOCK_BYTES):
            peak = screen(materialize(x, rows), self.centers).peak.astype(np.float64)
            out[rows] = angle_of(np.where(x.flat[rows, None], 0.0, peak))
        return out

    def reach_error(self, queries: ShapeQueries) -> float:
        """An angle near 0 is off by the root of twice what its cosine is off by."""
        exact, screened = 2 * self.rows.tie_band, self.rows.screen_error + 2 * self.rows.tie_band
        return float(2 * np.arccos(1 - exact) + np.arccos(1 - screened)) + ANGLE_ROUNDING

    def radius(self, queries: ShapeQueries, hurdle: Float64Array) -> Float64Array:
        """The angle that belongs to a distance."""
        return angle_of(1.0 - np.minimum(hurdle, 2.0))

    def limit(self, hurdle: Float64Array) -> FloatArray:
        """Hurdles rounded up to float32."""
        return np.nextafter(hurdle.astype(np.float32), np.float32(np.inf))

    def sift(self, queries: ShapeQueries, query: int, rows: IntArray, hurdle: float) -> IntArray:
        """All of the rows: nothing is cheaper than their floors."""
        return rows

    def floors(self, queries: ShapeQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Lower bounds of the distances of all pairs."""
        slack = np.float32(1.0 + 2 * self.rows.screen_error)
        if queries.matrices is None or self.features is None:
            peak = self._screened(queries, which, rows)
        else:
            columns = slice(None)
            if self.low_pass is not None:
                columns = self.low_pass.coarse_columns(self.rows.n_channels)
            peak = highest(self.features[rows, columns], queries.matrices[which])
        floor: FloatArray = np.subtract(np.float32(2.0) - slack, peak, out=peak)
        return floor

    def _screened(self, queries: ShapeQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """By full transforms of all pairs."""
        some = subset(queries.shapes, which)
        at = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        peak = np.empty((len(which), len(at)), dtype=np.float32)
        for part in row_blocks(len(at), self.rows.row_bytes, BLOCK_BYTES):
            peak[:, part] = screen(some, materialize(self.rows, at[part])).peak
        return peak

    def tighten(
        self, queries: ShapeQueries, which: IntArray, rows: IntArray, floor: FloatArray
    ) -> FloatArray:
        """Better bounds by the fine level."""
        if self.low_pass is None or self.features is None or queries.features is None:
            return floor
        slack = np.float32(1.0 - 2 * self.rows.screen_error)
        columns = self.low_pass.fine_columns()
        out = floor.copy()
        starts = np.flatnonzero(np.diff(which, prepend=-1))
        for start, stop in itertools.pairwise([*starts, len(which)]):
            own = self.low_pass.fine_matrix(queries.features[which[start]], self.rows.n_channels)
            peak = highest(self.features[rows[start:stop]][:, columns], own)[0]
            np.maximum(out[start:stop], slack - peak, out=out[start:stop])
        return out

    def values(
        self, queries: ShapeQueries, which: IntArray, rows: IntArray, hurdle: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Exact distances, and the shifts by which queries trail the rows."""
        values, shifts = np.ones(len(which)), np.zeros(len(which), dtype=np.intp)
        moving = np.flatnonzero(~(queries.shapes.flat[which] | self.rows.flat[rows]))
        moving = moving[np.argsort(rows[moving], kind="stable")]
        x = queries.shapes
        for part in row_blocks(len(moving), x.row_bytes, BLOCK_BYTES):
            mine = moving[part]
            used, second = np.unique(rows[mine], return_inverse=True)
            others = materialize(self.rows, used)
            found = evaluate_pairs(x, others, which[mine], second.ravel(), 1.0 - hurdle[mine])
            values[mine], shifts[mine] = 1.0 - found.ncc, found.shifts
        return values, shifts


def angle_of(ncc: Float64Array) -> Float64Array:
    """The angle between two unit rows at their best shift."""
    angle: Float64Array = np.arccos(np.clip(ncc, -1.0, 1.0))
    return angle
