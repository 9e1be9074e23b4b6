"""SBD space: series and the centers of their cells under the shape-based distance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from shapecluster._arrays import runs
from shapecluster._core.index.collect import TopK
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import IndexSearch, Space
from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._core.sbd.bounds import ANGLE_ROUNDING
from shapecluster._core.sbd.correlation import evaluate_pairs, screen, screening_row_bytes
from shapecluster._core.sbd.lowpass import LowPassScreen, highest, low_pass_screen_for
from shapecluster._core.sbd.shapes import Shapes, materialize, with_spectra
from shapecluster._typing import Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class ShapeQueries:
    """A block of queries: with spectra, and the matrices that screen rows by a product."""

    shapes: Shapes
    features: FloatArray | None
    matrices: FloatArray | None

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True)
class ShapeSpace(Space):
    """Series sorted by cell, their centers, and a screen.

    Distances to centers are angles, which obey the triangle inequality (see
    `bounds.center_separation_bounds`). There are three screens. Matrix products of low frequencies serve
    where these hold most of the energy. Narrow windows use products with shifted copies of the queries.
    Everything else uses full transforms.

    Attributes
    ----------
    rows : Shapes
        Unit rows, without spectra.
    low_pass : LowPassScreen or None
        The low frequencies, where they screen.
    features : ndarray of shape (n_rows, n_features), float32, or None
        Features of every row for the screen.
    centers : ShapeSpace or None
        The centers, with spectra, as a space of their own; None if there are no cells.
    """

    rows: Shapes
    low_pass: LowPassScreen | None
    features: FloatArray | None = None
    centers: ShapeSpace | None = None

    @classmethod
    def of(
        cls, rows: Shapes, centers: Shapes | None = None, *, low_pass: bool = True, n_threads: int = 1
    ) -> ShapeSpace:
        """Choose the screen, and compute its features of the rows; few queries need no low-pass screen."""
        space = cls(rows, low_pass_screen_for(rows) if low_pass and not rows.narrow else None)
        if centers is not None:
            centers = with_spectra(centers)
            # The screen of the rows, because the same queries are compared with both.
            of_centers = cls(centers, space.low_pass, space._features(centers))
            space = replace(space, centers=of_centers)
        return replace(space, features=space._features(rows, n_threads))

    def _features(self, x: Shapes, n_threads: int = 1) -> FloatArray | None:
        if self.low_pass is not None:
            return self.low_pass.features(x, n_threads=n_threads)
        if x.narrow:
            return x.unit.astype(np.float32, copy=False).reshape(len(x), -1)
        return None

    @property
    def exact(self) -> bool:
        """Whether every shift is allowed: only then do angles obey the triangle inequality."""
        return self.rows.all_shifts

    def prepare(self, x: Shapes) -> ShapeQueries:
        """Prepare a block of queries."""
        x = materialize(x, slice(None))
        if x.narrow:
            shifted = x.shifted_copies.swapaxes(1, 2).astype(np.float32)
            shifted = shifted.reshape(len(x), len(x.shifts), -1)
            return ShapeQueries(x, None, shifted)
        if self.low_pass is None:
            return ShapeQueries(x, None, None)
        features = self.low_pass.features(x)
        return ShapeQueries(x, features, self.low_pass.coarse_matrices(features, x.n_channels))

    def nearest_cells(self, queries: ShapeQueries, n_cells: int) -> tuple[IntArray, Float64Array]:
        """Return the nearest centers of each query, and the angles to them."""
        assert self.centers is not None  # a space without centers is in one cell
        found, cell = TopK(len(queries), n_cells), InvertedLists.one_cell(len(self.centers))
        IndexSearch(self.centers, cell, queries, found).scan_all_rows()
        hits = found.hits()
        shape = (len(queries), n_cells)
        return hits.ids.reshape(shape), angle_of(1.0 - hits.distances.reshape(shape))

    def center_distances(self, queries: ShapeQueries) -> Float64Array:
        """Return screened angles to all centers."""
        assert self.centers is not None
        peak = self.centers._screened(queries, np.arange(len(queries)), slice(0, len(self.centers)))
        # Transforms of flat rows are rounding errors only: their correlation is 0 by definition.
        return angle_of(np.where(queries.shapes.flat[:, None], 0.0, peak.astype(np.float64)))

    def center_distance_error(self, queries: ShapeQueries) -> float:
        """Return the largest rounding error of a difference of two angles to a center."""
        # An angle near 0 has the root of twice the error of its cosine.
        exact, screened = 2 * self.rows.tie_band, self.rows.screen_error + 2 * self.rows.tie_band
        return float(2 * np.arccos(1 - exact) + np.arccos(1 - screened)) + ANGLE_ROUNDING

    def triangle_radius(self, queries: ShapeQueries, threshold: Float64Array) -> Float64Array:
        """Return the angles of the thresholds."""
        return angle_of(1.0 - np.minimum(threshold, 2.0))

    def bound_threshold(self, threshold: Float64Array) -> FloatArray:
        """Return the thresholds, rounded up to float32."""
        return np.nextafter(threshold.astype(np.float32), np.float32(np.inf))

    def lower_bounds(self, queries: ShapeQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Bound the distances of all pairs from below."""
        # Screened correlations are in float32: the slack keeps bounds below the exact distances.
        slack = np.float32(1.0 + 2 * self.rows.screen_error)
        if queries.matrices is None or self.features is None:
            peak = self._screened(queries, which, rows)
        else:
            columns = slice(None)
            if self.low_pass is not None:
                columns = self.low_pass.coarse_columns(self.rows.n_channels)
            peak = highest(self.features[rows, columns], queries.matrices[which])
        return np.subtract(np.float32(2.0) - slack, peak, out=peak)

    def _screened(self, queries: ShapeQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Screen all pairs by full transforms."""
        stored = self.rows[rows]  # of a slice a view
        peak = np.empty((len(which), len(stored)), dtype=np.float32)
        for part in row_blocks(len(stored), stored.row_bytes):
            others = materialize(stored, part)
            for some in row_blocks(len(which), screening_row_bytes(self.rows, others)):
                peak[some, part] = screen(queries.shapes[which[some]], others).peak
        return peak

    def tighten_bounds(
        self, queries: ShapeQueries, which: IntArray, rows: IntArray, bounds: FloatArray
    ) -> FloatArray:
        """Tighten bounds by the fine level of the low-pass screen."""
        if self.low_pass is None or self.features is None or queries.features is None:
            return bounds
        slack = np.float32(1.0 - 2 * self.rows.screen_error)
        columns = self.low_pass.fine_columns()
        out = bounds.copy()
        for run in runs(which):
            own = self.low_pass.fine_matrix(queries.features[which[run.start]], self.rows.n_channels)
            peak = highest(self.features[rows[run]][:, columns], own)[0]
            np.maximum(out[run], slack - peak, out=out[run])
        return out

    def distances(
        self, queries: ShapeQueries, which: IntArray, rows: IntArray, threshold: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Return exact distances, and the shifts by which queries trail the rows."""
        values, shifts = np.ones(len(which)), np.zeros(len(which), dtype=np.intp)
        moving = np.flatnonzero(~(queries.shapes.flat[which] | self.rows.flat[rows]))
        # By row, so that a block makes the spectra of each of its rows only once.
        moving = moving[np.argsort(rows[moving], kind="stable")]
        x = queries.shapes
        for part in row_blocks(len(moving), x.row_bytes):
            chunk = moving[part]
            used, second = np.unique(rows[chunk], return_inverse=True)
            others = materialize(self.rows, used)
            found = evaluate_pairs(x, others, which[chunk], second.ravel(), 1.0 - threshold[chunk])
            values[chunk], shifts[chunk] = 1.0 - found.ncc, found.shifts
        return values, shifts


def angle_of(ncc: Float64Array) -> Float64Array:
    """Compute the angle between unit rows from their correlation."""
    return np.arccos(np.clip(ncc, -1.0, 1.0))
