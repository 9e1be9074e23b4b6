"""Search of inverted lists: scan the cells near a query, or all cells that bounds leave open.

    probe             the cells nearest to each query, by the exact distances to their centers
    lower_bounds      of the distances to all rows of these cells: one matrix product per cell
    tighten_bounds    better bounds, for the pairs that are left
    distances         exact distances, for the few pairs that are left then

Bounds discard only rows that cannot count, so an answer is exact among the cells that were scanned. The
choice of these cells is the only approximation. An exact search also scans the annuli of all other cells
that the triangle inequality leaves open.

`distances` computes each distance from its pair alone, and nothing else decides. Answers therefore do not
depend on the number of threads, on which queries are searched together, or on how matrix products round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from shapecluster._arrays import joined, positions_in, rank_in_group, runs, take
from shapecluster._core.index.collect import Hits, RadiusCollector
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

# Queries of one block: a cell is read once for all of them that probe it.
QUERY_BLOCK = 1024
# Bounds in memory at once: 16 MB in float32.
_MAX_BOUNDS = 1 << 22
# Pairs that wait for evaluation: more would hold memory, fewer would lower thresholds too late.
_MAX_PENDING = 1 << 19
# Each stage probes up to so many times the cells probed before it.
_PROBE_GROWTH = 4
# From so many queries on, whose annuli together are at most so many times larger, cells are scanned jointly.
_MIN_JOINT_QUERIES, _MAX_JOINT_GROWTH = 16, 2
# Multiples of the wanted number of rows that are evaluated before all that are left.
_TRIAL_FACTORS = (1, 3)

RowFilter = Callable[[IntArray, IntArray], BoolArray]
"""Takes queries and ids that broadcast against each other; returns which pairs may count."""


@dataclass(frozen=True)
class Space(ABC):
    """Rows and centers under one metric. `queries` is what `prepare` returned.

    Distances to centers are in a geometry that obeys the triangle inequality, if `exact` is true. It may
    differ from the metric: angles for SBD, Euclidean distances for Jaccard.

    Attributes
    ----------
    rows : object
        Rows, sorted by cell.
    """

    rows: Any

    @property
    def exact(self) -> bool:
        """Whether the triangle inequality holds."""
        return True

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.rows.shape[0])

    @abstractmethod
    def prepare(self, x: Any) -> Any:
        """Prepare a block of queries, given as rows are stored."""

    @abstractmethod
    def nearest_cells(self, queries: Any, n_cells: int) -> tuple[IntArray, Float64Array]:
        """Return the nearest centers and the distances to them: shape (n_queries, n_cells), nearest first."""

    @abstractmethod
    def center_distances(self, queries: Any) -> Float64Array:
        """Return distances to all centers, up to `center_distance_error`: shape (n_queries, n_cells)."""

    @abstractmethod
    def center_distance_error(self, queries: Any) -> float:
        """Return the largest rounding error of a difference of two distances to a center."""

    @abstractmethod
    def triangle_radius(self, queries: Any, threshold: Float64Array) -> Float64Array:
        """Convert thresholds to the geometry of the centers: shape (n_queries,)."""

    def prefilter(self, queries: Any, query: int, rows: IntArray, threshold: float) -> IntArray:
        """Discard rows that cannot be within the threshold of a query, at nearly no cost."""
        return rows

    @abstractmethod
    def lower_bounds(self, queries: Any, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Bound all pairs from below: shape (n_which, n_rows), comparable with `bound_threshold`."""

    def bound_threshold(self, threshold: Float64Array) -> FloatArray:
        """Return the largest lower bound of a row that may count."""
        return threshold

    def tighten_bounds(self, queries: Any, which: IntArray, rows: IntArray, bounds: FloatArray) -> FloatArray:
        """Return better bounds of listed pairs, which are sorted by query, if there are any."""
        return bounds

    @abstractmethod
    def distances(
        self, queries: Any, which: IntArray, rows: IntArray, threshold: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Return distances and shifts of listed pairs; infinity where above the threshold."""


class Pairs(NamedTuple):
    """Queries, positions of rows that may count, and lower bounds of their distances."""

    which: IntArray
    rows: IntArray
    bounds: FloatArray


class IndexSearch:
    """Search for one block of queries."""

    def __init__(
        self,
        space: Space,
        cells: InvertedLists,
        queries: Any,
        collector: RadiusCollector,
        row_filter: RowFilter | None = None,
    ) -> None:
        self.space, self.cells, self.queries = space, cells, queries
        self.collector, self.row_filter = collector, row_filter
        self.n_queries = len(queries)
        self._probed = np.empty((self.n_queries, 0), dtype=np.intp)
        self._pending: list[Pairs] = []
        self._n_pending = 0

    def probe(self, n_probe: int) -> None:
        """Scan the nearest cells."""
        near, distance = self.space.nearest_cells(self.queries, n_probe)
        self._probed = near
        everyone, start = np.arange(self.n_queries), 0
        if self.collector.wanted is not None:
            self._scan_lowest_first(near[:, 0])
            start = 1
        while start < n_probe:  # few cells first: their rows lower the thresholds for the others
            stop = min(_PROBE_GROWTH * max(start, 1), n_probe)
            self._scan_cells(everyone, near[:, start:stop], distance[:, start:stop])
            start = stop

    def probe_more(self) -> None:
        """Scan more cells for the queries that have found fewer rows than wanted."""
        skip = self._probed.shape[1]
        while skip < len(self.cells) and (self.collector.threshold == np.inf).any():
            n_probe = min(2 * skip, len(self.cells))
            near, distance = self.space.nearest_cells(self.queries, n_probe)
            short = np.flatnonzero(self.collector.threshold == np.inf)
            self._scan_cells(short, near[short, skip:], distance[short, skip:])
            skip = n_probe

    def scan_open_annuli(self) -> None:
        """Scan the annuli of the other cells that may hold a row that counts."""
        distance = self.space.center_distances(self.queries)
        radius = self._triangle_radius()
        low, high = distance - radius[:, None], distance + radius[:, None]
        np.put_along_axis(low, self._probed, np.inf, axis=1)  # an empty annulus: scanned already
        first, stop = self.cells.annuli(low, high)
        if self._annuli_coincide(first, stop):
            self._scan_annuli_by_cell(first, stop)
        else:
            self._scan_annuli_by_query(first, stop)
        self._resolve_pending()

    def scan_all_rows(self) -> None:
        """Scan the rows of an index that has only one cell."""
        if self.collector.wanted is None:
            self._scan(np.arange(self.n_queries), slice(0, len(self.space)))
            self._resolve_pending()
        else:
            self._scan_lowest_first(np.zeros(self.n_queries, dtype=np.intp))

    def _scan_cells(self, which: IntArray, near: IntArray, distance: Float64Array) -> None:
        """Scan cells: `near` and `distance` have one row for each query in `which`."""
        queries = np.repeat(which, near.shape[1])
        # Without the triangle inequality no distance to a center rules out a row.
        radius = self._triangle_radius()[queries] if self.space.exact else np.inf
        low, high = distance.ravel() - radius, distance.ravel() + radius
        for cell, at in _groups(near.ravel()):
            span = self.cells.span(cell)
            members = self.cells.center_distance[span]
            first = np.searchsorted(members, low[at].min(), side="left")
            stop = np.searchsorted(members, high[at].max(), side="right")
            self._scan(queries[at], slice(span.start + int(first), span.start + int(stop)))
        self._resolve_pending()

    def _annuli_coincide(self, first: IntArray, stop: IntArray) -> bool:
        """Whether joint annuli of all queries are hardly larger than those of each query."""
        is_open = stop > first
        n_rows = int((stop - first)[is_open].sum())
        begin = np.where(is_open, first, len(self.cells.ids)).min(axis=0)
        end = np.where(is_open, stop, 0).max(axis=0)
        n_joint = int((np.maximum(end - begin, 0) * is_open.sum(axis=0)).sum())
        return self.n_queries >= _MIN_JOINT_QUERIES and n_joint <= _MAX_JOINT_GROWTH * n_rows

    def _scan_annuli_by_cell(self, first: IntArray, stop: IntArray) -> None:
        for cell in range(len(self.cells)):
            which = np.flatnonzero(stop[:, cell] > first[:, cell])
            if len(which):
                begin, end = first[which, cell].min(), stop[which, cell].max()
                self._scan(which, slice(int(begin), int(end)))

    def _scan_annuli_by_query(self, first: IntArray, stop: IntArray) -> None:
        for query in range(self.n_queries):
            rows = positions_in(first[query], stop[query])
            rows = self.space.prefilter(self.queries, query, rows, float(self.collector.threshold[query]))
            for part in row_blocks(len(rows), 1, _MAX_BOUNDS):
                self._scan(np.array([query]), rows[part])

    def _triangle_radius(self) -> Float64Array:
        radius = self.space.triangle_radius(self.queries, self.collector.threshold)
        return radius + self.space.center_distance_error(self.queries)

    def _scan_lowest_first(self, nearest: IntArray) -> None:
        """Scan one cell for each query, the lowest bounds first: this makes thresholds finite."""
        held: list[tuple[IntArray, slice, FloatArray]] = []
        n_held = 0
        for cell, which in _groups(nearest):
            span = self.cells.span(cell)
            size = span.stop - span.start
            for part in row_blocks(len(which), size, _MAX_BOUNDS):
                bounds = self._lower_bounds(which[part], span)
                held.append((which[part], span, bounds))
                n_held += bounds.size
                if n_held >= _MAX_BOUNDS:
                    self._evaluate_lowest(held)
                    held, n_held = [], 0
        self._evaluate_lowest(held)
        self._resolve_pending()

    def _evaluate_lowest(self, held: list[tuple[IntArray, slice, FloatArray]]) -> None:
        """Evaluate the lowest bounds of each query, and queue what may still count after that."""
        wanted = self.collector.wanted or 0
        picked = []
        for which, span, bounds in held:
            if wanted < bounds.shape[1]:
                top = np.argpartition(bounds, wanted - 1, axis=1)[:, :wanted]
            else:
                top = np.broadcast_to(np.arange(bounds.shape[1]), bounds.shape)
            first = np.broadcast_to(which[:, None], top.shape)
            lowest = np.take_along_axis(bounds, top, axis=1)
            picked.append(Pairs(first.ravel(), span.start + top.ravel(), lowest.ravel()))
            np.put_along_axis(bounds, top, np.inf, axis=1)  # each pair may be evaluated only once
        if picked:
            pairs = joined(picked)
            self._evaluate(take(pairs, pairs.bounds < np.inf))
        for which, span, bounds in held:
            self._queue(which, span, bounds)

    def _scan(self, which: IntArray, rows: slice | IntArray) -> None:
        """Bound all pairs of some queries and rows, and queue those that may count."""
        size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        if size <= 0:
            return
        for part in row_blocks(len(which), size, _MAX_BOUNDS):
            self._queue(which[part], rows, self._lower_bounds(which[part], rows))

    def _lower_bounds(self, which: IntArray, rows: slice | IntArray) -> FloatArray:
        bounds = self.space.lower_bounds(self.queries, which, rows)
        if self.row_filter is not None:
            bounds[~self.row_filter(which[:, None], self.cells.ids[rows][None, :])] = np.inf
        return bounds

    def _queue(self, which: IntArray, rows: slice | IntArray, bounds: FloatArray) -> None:
        """Queue the pairs that may count."""
        threshold = self.space.bound_threshold(self.collector.threshold[which])
        near = np.flatnonzero((bounds <= threshold[:, None]) & (bounds < np.inf))
        if not len(near):
            return
        query, row = np.divmod(near, bounds.shape[1])
        row_positions = rows.start + row if isinstance(rows, slice) else rows[row]
        self._pending.append(Pairs(which[query], row_positions, bounds.ravel()[near]))
        self._n_pending += len(near)
        if self._n_pending >= _MAX_PENDING:
            self._resolve_pending()

    def _resolve_pending(self) -> None:
        """Evaluate the queued pairs, those with the lowest bounds first."""
        if not self._pending:
            return
        pairs = joined(self._pending)
        self._pending, self._n_pending = [], 0
        pairs = self._still_open(pairs)
        pairs = self._evaluate_trial(pairs, 1)
        pairs = take(pairs, np.argsort(pairs.which, kind="stable"))  # as `tighten_bounds` takes them
        bounds = self.space.tighten_bounds(self.queries, pairs.which, pairs.rows, pairs.bounds)
        pairs = self._still_open(Pairs(pairs.which, pairs.rows, bounds))
        for factor in _TRIAL_FACTORS:
            pairs = self._evaluate_trial(pairs, factor)
        self._evaluate(pairs)

    def _evaluate_trial(self, pairs: Pairs, factor: int) -> Pairs:
        """Evaluate the lowest bounds of each query, and return the other pairs that may still count."""
        if self.collector.wanted is None or not len(pairs.which):
            return pairs
        pairs = take(pairs, np.argsort(self._sort_key(pairs)))
        first = rank_in_group(pairs.which) < factor * self.collector.wanted
        self._evaluate(take(pairs, first))
        return self._still_open(take(pairs, ~first))

    def _sort_key(self, pairs: Pairs) -> Float64Array:
        """One number for each pair that sorts them by query, then by bound."""
        # Sorting one float key is several times faster than a lexsort of two.
        threshold = self.space.bound_threshold(self.collector.threshold)[pairs.which].astype(np.float64)
        with np.errstate(over="ignore"):  # thresholds may be barely above 0
            share = np.divide(pairs.bounds, threshold, out=np.zeros(len(threshold)), where=threshold > 0)
        return pairs.which + np.clip(share, 0.0, 1.0) / 2

    def _still_open(self, pairs: Pairs) -> Pairs:
        threshold = self.space.bound_threshold(self.collector.threshold)
        return take(pairs, pairs.bounds <= threshold[pairs.which])

    def _evaluate(self, pairs: Pairs) -> None:
        if not len(pairs.which):
            return
        threshold = self.collector.threshold[pairs.which]
        distances, shifts = self.space.distances(self.queries, pairs.which, pairs.rows, threshold)
        self.collector.add(pairs.which, distances, self.cells.ids[pairs.rows], shifts)


def _groups(labels: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each label with its positions."""
    order = np.argsort(labels, kind="stable")
    for run in runs(labels[order]):
        yield int(labels[order[run.start]]), order[run]


def search_block(
    space: Space,
    cells: InvertedLists,
    queries: Any,
    collector: RadiusCollector,
    *,
    n_probe: int,
    exact: bool = False,
    row_filter: RowFilter | None = None,
) -> None:
    """Search for a block of queries that `space` has prepared, and fill the collector.

    More than `n_probe` cells are scanned if these hold fewer rows than wanted.
    """
    search = IndexSearch(space, cells, queries, collector, row_filter)
    search.probe(n_probe)
    if exact:
        search.scan_open_annuli()
    elif collector.wanted is not None:
        search.probe_more()


def search_in_blocks(search: Callable[[slice], Hits], n_queries: int, n_threads: int) -> Hits:
    """Search for blocks of queries on threads, and concatenate the hits.

    Parameters
    ----------
    search : callable
        Takes a range of queries. Returns their hits, with queries counted from its start.
    n_queries, n_threads : int
        Number of queries, and of threads.
    """
    # Each thread gets at least one block.
    size = min(QUERY_BLOCK, -(-n_queries // n_threads)) if n_threads > 1 else QUERY_BLOCK
    blocks = list(row_blocks(n_queries, 1, size))
    found = map_blocks(search, blocks, n_threads)
    return joined(
        [hits._replace(queries=hits.queries + block.start) for hits, block in zip(found, blocks, strict=True)]
    )
