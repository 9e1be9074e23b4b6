"""Search of an inverted file: only the cells near a query, or all but what bounds rule out.

    probe      the cells nearest to each query, by the exact distances to their centers
    floors     lower bounds of the distances to all rows of these cells: one matrix product per cell
    tighten    better bounds, for the pairs that are left
    values     exact distances, for the few pairs that are left then

Bounds leave out only what cannot count, so an answer is exact among the cells that were looked at; which
cells these are is the only approximation. An exact search goes on through the rings of all other cells
that the triangle inequality leaves open.

Distances are decided by `values`, each from its pair alone. So neither the number of threads, nor which
queries are asked together, nor how matrix products round changes an answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from shapecluster._core.index.collect import Collector
from shapecluster._core.index.inverted_lists import InvertedLists, positions
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

QUERIES = 1024  # searched together, so that a cell is read once for all that probe it
_HELD = 1 << 22  # floors held at once
_PENDING = 1 << 19  # pairs held at once
_STAGE = 4  # times the cells seen so far are looked at next
_COMPANY, _IN_COMMON = 16, 2  # so many queries with about the same rings go through cells together
_ROUNDS = (1, 3)  # times the number of neighbors wanted: pairs tried before all that are left

RowFilter = Callable[[IntArray, IntArray], BoolArray]
"""Takes queries and ids that broadcast against each other; says which pairs count at all."""


class Space(Protocol):
    """Rows and centers under one metric. `queries` is what the metric made of them."""

    @property
    def rows(self) -> Any:
        """In the order of the cells."""

    @property
    def exact(self) -> bool:
        """Whether the triangle inequality holds."""

    def __len__(self) -> int:
        """Number of rows."""

    def prepare(self, x: Any) -> Any:
        """A block of queries, from rows as they are stored."""

    def nearest_cells(self, queries: Any, n_cells: int) -> tuple[IntArray, Float64Array]:
        """The nearest centers, and their reach: shape (n_queries, n_cells), best first."""

    def reaches(self, queries: Any) -> Float64Array:
        """Reach of all centers, to within `reach_error`: shape (n_queries, n_cells)."""

    def reach_error(self, queries: Any) -> float:
        """What a difference of two reaches may be off by."""

    def radius(self, queries: Any, hurdle: Float64Array) -> Float64Array:
        """Reach that no row within the hurdle exceeds: shape (n_queries,)."""

    def sift(self, queries: Any, query: int, rows: IntArray, hurdle: float) -> IntArray:
        """Those of the rows that can be within the hurdle of a query, by whatever costs next to nothing."""

    def floors(self, queries: Any, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Lower bounds for all pairs, comparable with `limit`: shape (n_which, n_rows)."""

    def limit(self, hurdle: Float64Array) -> FloatArray:
        """Floors above it cannot count."""

    def tighten(self, queries: Any, which: IntArray, rows: IntArray, floor: FloatArray) -> FloatArray:
        """Better floors of listed pairs, which are sorted by query."""

    def values(
        self, queries: Any, which: IntArray, rows: IntArray, hurdle: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Distances and shifts of listed pairs; infinite where beyond the hurdle."""


class Pairs(NamedTuple):
    """Queries and positions that may count, and their floors."""

    which: IntArray
    rows: IntArray
    floor: FloatArray

    def at(self, some: IntArray | BoolArray) -> Pairs:
        """Some of them."""
        return Pairs(self.which[some], self.rows[some], self.floor[some])


class IndexSearch:
    """One block of queries."""

    def __init__(
        self,
        space: Space,
        cells: InvertedLists,
        queries: Any,
        n_queries: int,
        found: Collector,
        keep: RowFilter | None = None,
    ) -> None:
        self.space, self.cells, self.queries, self.found, self.keep = space, cells, queries, found, keep
        self.n_queries = n_queries
        self._probed = np.empty((n_queries, 0), dtype=np.intp)
        self._pending: list[Pairs] = []
        self._n_pending = 0

    def probe(self, n_probe: int) -> None:
        """Look at the nearest cells."""
        near, reach = self.space.nearest_cells(self.queries, n_probe)
        self._probed = near
        everyone, start = np.arange(self.n_queries), 0
        if self.found.wanted is not None:
            self._begin(near[:, 0])
            start = 1
        while start < n_probe:  # few cells first: what they hold lowers the hurdle for the others
            stop = min(_STAGE * max(start, 1), n_probe)
            self._look_at_cells(everyone, near[:, start:stop], reach[:, start:stop])
            start = stop

    def probe_on(self) -> None:
        """Look at more cells for the queries that have not found as many rows as they want."""
        skip = self._probed.shape[1]
        while skip < len(self.cells) and (self.found.hurdle == np.inf).any():
            n_probe = min(2 * skip, len(self.cells))
            near, reach = self.space.nearest_cells(self.queries, n_probe)
            short = np.flatnonzero(self.found.hurdle == np.inf)
            self._look_at_cells(short, near[short, skip:], reach[short, skip:])
            skip = n_probe

    def _look_at_cells(self, which: IntArray, near: IntArray, reach: Float64Array) -> None:
        everyone = np.repeat(which, near.shape[1])
        low, high = self._between(everyone, reach.ravel())
        for cell, mine in _groups(near.ravel()):
            span = self.cells.span(cell)
            members = self.cells.reach[span]
            first = np.searchsorted(members, low[mine].min(), side="left")
            stop = np.searchsorted(members, high[mine].max(), side="right")
            self._look(everyone[mine], slice(span.start + int(first), span.start + int(stop)))
        self._settle()

    def sweep(self) -> None:
        """Look at every ring of the cells not probed yet that may hold a row that counts."""
        reach = self.space.reaches(self.queries)
        radius = self.space.radius(self.queries, self.found.hurdle) + self.space.reach_error(self.queries)
        low, high = reach - radius[:, None], reach + radius[:, None]
        np.put_along_axis(low, self._probed, np.inf, axis=1)
        first, stop = self.cells.rings(low, high)
        if self._much_in_common(first, stop):
            self._sweep_cells(first, stop)
        else:
            self._sweep_queries(first, stop)
        self._settle()

    def _much_in_common(self, first: IntArray, stop: IntArray) -> bool:
        """Whether the rings of all queries together are hardly more than those of each."""
        open_rings = stop > first
        n_rows = int((stop - first)[open_rings].sum())
        begin = np.where(open_rings, first, len(self.cells.ids)).min(axis=0)
        end = np.where(open_rings, stop, 0).max(axis=0)
        n_together = int((np.maximum(end - begin, 0) * open_rings.sum(axis=0)).sum())
        return self.n_queries >= _COMPANY and n_together <= _IN_COMMON * n_rows

    def _sweep_cells(self, first: IntArray, stop: IntArray) -> None:
        for cell in range(len(self.cells)):
            which = np.flatnonzero(stop[:, cell] > first[:, cell])
            if len(which):
                begin, end = first[which, cell].min(), stop[which, cell].max()
                self._look(which, slice(int(begin), int(end)))

    def _sweep_queries(self, first: IntArray, stop: IntArray) -> None:
        for query in range(self.n_queries):
            rows = positions(first[query], stop[query])
            rows = self.space.sift(self.queries, query, rows, float(self.found.hurdle[query]))
            for start in range(0, len(rows), _HELD):
                self._look(np.array([query]), rows[start : start + _HELD])

    def _between(self, which: IntArray, reach: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The ring of each query and cell that may hold a row that counts."""
        if not self.space.exact:
            return np.full(len(which), -np.inf), np.full(len(which), np.inf)
        radius = self.space.radius(self.queries, self.found.hurdle) + self.space.reach_error(self.queries)
        radius = radius[which]
        return reach - radius, reach + radius

    def _begin(self, nearest: IntArray) -> None:
        """Evaluate the most promising rows of the nearest cell, which sets the hurdle for all others."""
        held: list[tuple[IntArray, slice, FloatArray]] = []
        n_held = 0
        for cell, mine in _groups(nearest):
            span = self.cells.span(cell)
            size = span.stop - span.start
            for which in _chunks(mine, max(1, _HELD // max(1, size))):
                floor = self._floors(which, span)
                held.append((which, span, floor))
                n_held += floor.size
                if n_held >= _HELD:
                    self._evaluate_best(held)
                    held, n_held = [], 0
        self._evaluate_best(held)
        self._settle()

    def _evaluate_best(self, held: list[tuple[IntArray, slice, FloatArray]]) -> None:
        """Evaluate the lowest floors of each query, and leave pending what may still count after that."""
        wanted = self.found.wanted or 0
        picked = []
        for which, span, floor in held:
            if wanted < floor.shape[1]:
                top = np.argpartition(floor, wanted - 1, axis=1)[:, :wanted]
            else:
                top = np.broadcast_to(np.arange(floor.shape[1]), floor.shape)
            first = np.broadcast_to(which[:, None], top.shape)
            values = np.take_along_axis(floor, top, axis=1)
            picked.append(Pairs(first.ravel(), span.start + top.ravel(), values.ravel()))
            np.put_along_axis(floor, top, np.inf, axis=1)
        if picked:
            pairs = _joined(picked)
            self._evaluate(pairs.at(pairs.floor < np.inf))
        for which, span, floor in held:
            self._add(which, span, floor)

    def _look(self, which: IntArray, rows: slice | IntArray) -> None:
        size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        if size <= 0:
            return
        for part in _chunks(which, max(1, _HELD // size)):
            self._add(part, rows, self._floors(part, rows))

    def _floors(self, which: IntArray, rows: slice | IntArray) -> FloatArray:
        floor = self.space.floors(self.queries, which, rows)
        if self.keep is not None:
            floor[~self.keep(which[:, None], self.cells.ids[rows][None, :])] = np.inf
        return floor

    def _add(self, which: IntArray, rows: slice | IntArray, floor: FloatArray) -> None:
        """Leave pending the pairs that may count."""
        limit = self.space.limit(self.found.hurdle[which])
        near = np.flatnonzero((floor <= limit[:, None]) & (floor < np.inf))
        if not len(near):
            return
        query, row = np.divmod(near, floor.shape[1])
        rows = rows.start + row if isinstance(rows, slice) else rows[row]
        self._pending.append(Pairs(which[query], rows, floor.ravel()[near]))
        self._n_pending += len(near)
        if self._n_pending >= _PENDING:
            self._settle()

    def _settle(self) -> None:
        """Decide what is pending."""
        if not self._pending:
            return
        pairs = _joined(self._pending)
        self._pending, self._n_pending = [], 0
        pairs = self._alive(pairs)
        pairs = self._try_best(pairs, 1)
        pairs = pairs.at(np.argsort(pairs.which, kind="stable"))
        floor = self.space.tighten(self.queries, pairs.which, pairs.rows, pairs.floor)
        pairs = self._alive(Pairs(pairs.which, pairs.rows, floor))
        for times in _ROUNDS:
            pairs = self._try_best(pairs, times)
        self._evaluate(pairs)

    def _try_best(self, pairs: Pairs, times: int) -> Pairs:
        """Evaluate the lowest floors of each query; the others that may still count are left."""
        if self.found.wanted is None or not len(pairs.which):
            return pairs
        pairs = pairs.at(np.argsort(self._promise(pairs)))
        rank = np.arange(len(pairs.which)) - np.searchsorted(pairs.which, pairs.which)
        first = rank < times * self.found.wanted
        self._evaluate(pairs.at(first))
        return self._alive(pairs.at(~first))

    def _promise(self, pairs: Pairs) -> Float64Array:
        """One number for each pair that sorts them by query, then by floor: several times quicker."""
        limit = self.space.limit(self.found.hurdle)[pairs.which].astype(np.float64)
        with np.errstate(over="ignore"):  # of limits that are barely above 0
            share = np.divide(pairs.floor, limit, out=np.zeros(len(limit)), where=limit > 0)
        return pairs.which + np.clip(share, 0.0, 1.0) / 2

    def _alive(self, pairs: Pairs) -> Pairs:
        limit = self.space.limit(self.found.hurdle)
        return pairs.at(pairs.floor <= limit[pairs.which])

    def _evaluate(self, pairs: Pairs) -> None:
        if not len(pairs.which):
            return
        hurdle = self.found.hurdle[pairs.which]
        values, shifts = self.space.values(self.queries, pairs.which, pairs.rows, hurdle)
        self.found.offer(pairs.which, values, self.cells.ids[pairs.rows], shifts)


def _groups(labels: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Each label with where it stands."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    for start, stop in itertools.pairwise([*starts, len(order)]):
        yield int(ordered[start]), order[start:stop]


def _chunks(items: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def search_block(
    space: Space,
    cells: InvertedLists,
    queries: Any,
    found: Collector,
    *,
    n_probe: int,
    exact: bool = False,
    keep: RowFilter | None = None,
) -> None:
    """Search for a block of queries, which `space` has prepared; `found` holds the answer afterward.

    Where so few cells hold fewer rows than are wanted, more of them are looked at.
    """
    search = IndexSearch(space, cells, queries, len(queries), found, keep)
    search.probe(n_probe)
    if exact:
        search.sweep()
    elif found.wanted is not None:
        search.probe_on()
