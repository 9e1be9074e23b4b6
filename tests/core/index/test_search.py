from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from shapecluster._arrays import positions_in
from shapecluster._core.index.collect import RadiusCollector, TopK
from shapecluster._core.index.inverted_lists import InvertedLists, build_lists
from shapecluster._core.index.search import IndexSearch, search_block
from shapecluster._core.index.set_space import SetSpace, as_sets, nearest_centers_of_sets
from shapecluster._core.index.shape_space import ShapeSpace, angle_of
from shapecluster._core.index.vector_space import VectorSpace, direct_distances, nearest_centers
from shapecluster._core.sbd.correlation import align_all
from shapecluster._core.sbd.lowpass import Level, LowPassScreen, highest, low_pass_screen_for
from shapecluster._core.sbd.shapes import shapes_of
from tests.core.sbd.test_bounds import KINDS
from tests.core.sbd.test_bounds import rows as rows_of_kind


def walks(rng, n, m=64, channels=1):
    return rng.normal(size=(n, channels, m)).cumsum(axis=-1)


def shape_index(rng, n=120, k=6, m=64, max_shift=None, channels=1, dtype=np.float64, flat=()):
    """Walks in cells around some of them, and the same in the order of their ids."""
    values = walks(rng, n, m, channels).astype(dtype)
    values[list(flat)] = 1.0
    x = shapes_of(values, max_shift)
    moving = np.flatnonzero(~x.flat)[:k]
    centers = shapes_of(values[moving], max_shift)
    ncc = align_all(x, centers).ncc
    labels = ncc.argmax(axis=1)
    distance = angle_of(ncc[np.arange(n), labels])
    cells, order = build_lists(labels, distance, np.arange(n), k)
    return x, cells, ShapeSpace.of(x[order], centers)


class TestCells:
    def test_rows_stand_by_cell_then_reach_then_id(self):
        cells, order = build_lists(
            np.array([1, 0, 1, 1, 0]), np.array([3.0, 1.0, 2.0, 2.0, 0.5]), np.array([10, 11, 13, 12, 14]), 3
        )
        assert cells.ids.tolist() == [14, 11, 12, 13, 10]
        assert order.tolist() == [4, 1, 3, 2, 0]
        assert cells.starts.tolist() == [0, 2, 5, 5]
        assert cells.labels.tolist() == [0, 0, 1, 1, 1]

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=30)
    def test_annuli_hold_what_lies_between(self, seed):
        rng = np.random.default_rng(seed)
        n, k = int(rng.integers(1, 30)), int(rng.integers(1, 6))
        labels, distance = rng.integers(k, size=n), rng.integers(5, size=n).astype(float)
        cells, _ = build_lists(labels, distance, np.arange(n), k)
        low, high = rng.integers(5, size=(3, k)).astype(float), rng.integers(5, size=(3, k)).astype(float)
        first, stop = cells.annuli(low, high)
        for query in range(3):
            inside = (distance >= low[query, labels]) & (distance <= high[query, labels])
            found = cells.ids[positions_in(first[query], stop[query])]
            assert sorted(found.tolist()) == np.flatnonzero(inside).tolist()


class TestCollectors:
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=50)
    def test_nearest_in_any_portions_is_a_full_sort(self, seed):
        rng = np.random.default_rng(seed)
        n_queries, n_rows, k = 3, int(rng.integers(1, 20)), int(rng.integers(1, 6))
        values = rng.integers(4, size=(n_queries, n_rows)) / 4  # many ties
        found = TopK(n_queries, k)
        pairs = rng.permutation(n_queries * n_rows)
        for part in np.array_split(pairs, 4):
            queries, ids = np.divmod(part, n_rows)
            found.add(queries, values[queries, ids], ids, ids)
        hits = found.hits()
        for query in range(n_queries):
            expected = np.lexsort((np.arange(n_rows), values[query]))[:k]
            np.testing.assert_array_equal(hits.ids[hits.queries == query], expected)
            assert found.threshold[query] == (values[query, expected[-1]] if n_rows >= k else np.inf)

    def test_within_keeps_the_edge(self):
        found = RadiusCollector(1, 0.5)
        found.add(np.zeros(3, int), np.array([0.5, 0.6, 0.1]), np.arange(3), np.zeros(3, int))
        assert found.hits().ids.tolist() == [2, 0]


class TestLowPass:
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("m", [33, 64, 126])
    def test_no_correlation_exceeds_the_bounds(self, rng, m, channels):
        values = np.concatenate([walks(rng, 30, m, channels), rng.normal(size=(10, channels, m))])
        x = shapes_of(values, None)
        ncc = align_all(x, x).ncc
        for coarse, fine in ((2, 5), (6, 12)):
            screen = LowPassScreen(Level(coarse, 3 * coarse), Level(fine, 4 * fine))
            features = screen.features(x)
            bound = highest(
                features[:, screen.coarse_columns(channels)], screen.coarse_matrices(features, channels)
            )
            assert (bound >= ncc.T - 1e-5).all()
            tight = np.concatenate(
                [
                    highest(features[:, screen.fine_columns()], screen.fine_matrix(own, channels))
                    for own in features
                ]
            )
            assert (tight >= ncc.T - 1e-5).all()
            assert tight.mean() < bound.mean()

    @pytest.mark.parametrize("m", [24, 33, 126])
    @pytest.mark.parametrize("kind", [*KINDS])
    def test_no_correlation_exceeds_the_bounds_on_data_made_to_break_them(self, kind, m):
        """Pure tones between two points of the grid need all of the curvature term."""
        for seed in range(20):
            x = shapes_of(rows_of_kind(kind, 12, seed, m), None)
            ncc = align_all(x, x).ncc
            for cutoff in (2, 5, min(12, x.length // 2)):
                screen = LowPassScreen(Level(cutoff, 3 * cutoff), Level(cutoff, 4 * cutoff))
                features = screen.features(x)
                coarse = highest(features[:, screen.coarse_columns(1)], screen.coarse_matrices(features, 1))
                fine = [
                    highest(features[:, screen.fine_columns()], screen.fine_matrix(own, 1))
                    for own in features
                ]
                for bound in (coarse, np.concatenate(fine)):
                    assert (bound >= ncc.T - 1e-5)[~x.flat].all()

    def test_smooth_series_have_a_screen_and_noise_has_none(self, rng):
        screen = low_pass_screen_for(shapes_of(walks(rng, 50, 126), None))
        assert screen is not None
        assert screen.coarse.cutoff < screen.fine.cutoff <= 32
        assert low_pass_screen_for(shapes_of(rng.normal(size=(50, 1, 126)), None)) is None
        assert low_pass_screen_for(shapes_of(walks(rng, 5, 8), None)) is None  # too short


class TestShapeSpace:
    @pytest.mark.parametrize("max_shift", [None, 2, 20])
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("kind", ["walks", "noise"])
    def test_lower_bounds_are_below_the_distances_and_radii_above_the_reach(
        self, rng, max_shift, channels, kind
    ):
        x, cells, space = shape_index(rng, max_shift=max_shift, channels=channels)
        values = walks(rng, 9, 64, channels) if kind == "walks" else rng.normal(size=(9, channels, 64))
        queries = space.prepare(shapes_of(values, max_shift))
        which, rows = (grid.ravel() for grid in np.mgrid[:9, : len(space)])
        exact, shifts = space.distances(queries, which, rows, np.full(len(which), np.inf))
        aligned = align_all(shapes_of(values, max_shift), x)
        np.testing.assert_array_equal(exact.reshape(9, -1), 1 - aligned.ncc[:, cells.ids])
        np.testing.assert_array_equal(shifts.reshape(9, -1), aligned.shifts[:, cells.ids])
        bounds = space.lower_bounds(queries, np.arange(9), slice(0, len(space)))
        limit = np.array([space.bound_threshold(row) for row in exact.reshape(9, -1)])
        assert (bounds <= limit).all()
        np.testing.assert_allclose(
            bounds, space.lower_bounds(queries, np.arange(9), np.arange(len(space))), atol=2e-6
        )
        tight = space.tighten_bounds(queries, which, rows, bounds.ravel())
        assert (tight <= limit.ravel()).all()
        assert (tight >= bounds.ravel()).all()
        if space.exact:
            distance = space.center_distances(queries)[:, cells.labels]
            error = space.center_distance_error(queries)
            radius = angle_of(1 - exact.reshape(9, -1))
            assert (np.abs(distance - cells.center_distance) <= radius + error).all()


class TestVectorSpace:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("offset", [0.0, 1e3])
    def test_lower_bounds_are_below_the_distances(self, rng, dtype, offset):
        rows = (rng.normal(size=(50, 7)) + offset).astype(dtype)
        queries = rng.normal(size=(5, 7)) + offset
        space = VectorSpace.of(rows, rows[:4].astype(float))
        prepared = space.prepare(queries)
        rounded = queries.astype(dtype).astype(float)  # as the rows are
        exact = np.linalg.norm(rounded[:, None] - rows.astype(float), axis=2)
        which, at = (grid.ravel() for grid in np.mgrid[:5, :50])
        values, _ = space.distances(prepared, which, at, np.full(250, np.inf))
        np.testing.assert_allclose(values.reshape(5, 50), exact, rtol=1e-14)
        bounds = space.lower_bounds(prepared, np.arange(5), slice(0, 50))
        assert (bounds <= space.bound_threshold(values.reshape(5, 50).ravel()).reshape(5, 50)).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_nearest_centers_are_those_of_direct_distances(self, rng, dtype):
        x = rng.integers(3, size=(200, 4)).astype(dtype)  # many ties
        centers = rng.integers(3, size=(30, 4)).astype(float)
        cells, distances = nearest_centers(x, centers, 5)
        first, second = (grid.ravel() for grid in np.mgrid[:200, :30])
        exact = direct_distances(x, centers, first, second).reshape(200, 30)
        expected = np.argsort(exact, axis=1, kind="stable")[:, :5]
        np.testing.assert_array_equal(cells, expected)
        np.testing.assert_array_equal(distances, np.take_along_axis(exact, expected, 1))


class TestSetSpace:
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=40)
    def test_radius_holds_every_set_that_is_similar_enough(self, seed):
        rng = np.random.default_rng(seed)
        rows = as_sets(sparse.csr_matrix(rng.random((30, 12)) < 0.3))
        space = SetSpace.of(rows, rng.random((4, 12)))
        queries = space.prepare(rows[:9])
        exact = space.lower_bounds(queries, np.arange(9), slice(0, 30))
        dense = rows.toarray().astype(float)
        apart = np.linalg.norm(dense[:9, None] - dense, axis=2)
        for threshold in (0.0, 0.3, 0.75, 0.999, 1.0):
            radius = space.triangle_radius(queries, np.full(9, threshold))
            assert (apart <= np.where(exact <= threshold, radius[:, None] + 1e-9, np.inf)).all()

    def test_nearest_centers(self, rng):
        dense = (rng.random((40, 9)) < 0.4).astype(float)
        centers = rng.random((6, 9))
        cells, distances = nearest_centers_of_sets(as_sets(dense), centers, 6)
        expected = np.linalg.norm(dense[:, None] - centers, axis=2)
        np.testing.assert_array_equal(cells, np.argsort(expected, axis=1))
        np.testing.assert_allclose(distances, np.sort(expected, axis=1))


class TestSearch:
    @pytest.mark.parametrize("flat", [(), (0, 5, 77)])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_all_cells_and_an_exact_search_are_brute_force(self, rng, dtype, flat):
        x, cells, space = shape_index(rng, dtype=dtype, flat=flat)
        values = walks(rng, 8).astype(dtype)
        values[3] = 2.0  # flat
        q = shapes_of(values, None)
        sbd = 1 - align_all(q, x).ncc
        expected = np.argsort(sbd, axis=1, kind="stable")[:, :7]
        for options in (
            {"n_probe": len(cells)},
            {"n_probe": 1, "exact": True},
            {"n_probe": 3, "exact": True},
        ):
            found = TopK(8, 7)
            search_block(space, cells, space.prepare(q), found, **options)
            np.testing.assert_array_equal(found.hits().ids.reshape(8, 7), expected)
            np.testing.assert_array_equal(
                found.hits().distances.reshape(8, 7), np.take_along_axis(sbd, expected, 1)
            )

    def test_an_answer_is_exact_among_the_cells_looked_at(self, rng):
        x, cells, space = shape_index(rng)
        q = shapes_of(walks(rng, 8), None)
        sbd = 1 - align_all(q, x).ncc
        labels = np.empty(len(x), dtype=int)
        labels[cells.ids] = cells.labels
        near, _ = space.nearest_cells(space.prepare(q), 2)
        found = TopK(8, 4)
        search_block(space, cells, space.prepare(q), found, n_probe=2)
        for query in range(8):
            mine = np.flatnonzero(np.isin(labels, near[query]))
            expected = mine[np.argsort(sbd[query, mine], kind="stable")][:4]
            got = found.hits().ids[found.hits().queries == query]
            np.testing.assert_array_equal(got[: len(expected)], expected)

    def test_what_is_not_to_be_kept_is_as_if_it_were_absent(self, rng):
        x, cells, space = shape_index(rng)
        q = shapes_of(walks(rng, 6), None)
        sbd = 1 - align_all(q, x).ncc
        forbidden = rng.random(sbd.shape) < 0.5
        expected = np.argsort(np.where(forbidden, np.inf, sbd), axis=1, kind="stable")[:, :5]
        for options in ({"n_probe": len(cells)}, {"n_probe": 2, "exact": True}):
            found = TopK(6, 5)
            row_filter = lambda which, ids: ~forbidden[which, ids]  # noqa: E731
            search_block(space, cells, space.prepare(q), found, row_filter=row_filter, **options)
            np.testing.assert_array_equal(found.hits().ids.reshape(6, 5), expected)

    def test_an_exact_search_leaves_most_cells_alone(self, rng):
        """Groups far from each other: rows of other groups are never screened."""
        centers = 100.0 * np.eye(20)
        rows = np.repeat(centers, 50, axis=0) + rng.normal(size=(1000, 20))
        labels, distance = nearest_centers(rows, centers)
        cells, order = build_lists(labels[:, 0], distance[:, 0], np.arange(1000), 20)
        space = Counting(VectorSpace.of(rows[order], centers))
        found = TopK(10, 3)
        search_block(space, cells, space.prepare(rows[:10]), found, n_probe=1, exact=True)
        assert space.n_screened == 10 * 50
        assert len(found.hits().ids) == 30

    def test_few_rows_in_a_cell_lead_on_to_more_cells(self, rng):
        _, cells, space = shape_index(rng, n=40, k=10)
        q = shapes_of(walks(rng, 5), None)
        found = TopK(5, 35)
        search_block(space, cells, space.prepare(q), found, n_probe=1)
        assert len(found.hits().ids) == 5 * 35
        found = TopK(5, 100)
        search_block(space, cells, space.prepare(q), found, n_probe=1)
        assert len(found.hits().ids) == 5 * 40

    @pytest.mark.parametrize("together", [True, False])
    def test_memory_bounds_and_company_do_not_change_an_answer(self, rng, monkeypatch, together):
        from shapecluster._core.index import search as inverted
        from shapecluster._core.sbd import lowpass

        _, cells, space = shape_index(rng, n=300)
        q = shapes_of(walks(rng, 20), None)

        def answer():
            found = TopK(20, 5)
            search_block(space, cells, space.prepare(q), found, n_probe=2, exact=True)
            return found.hits()

        before = answer()
        monkeypatch.setattr(inverted, "_MAX_BOUNDS", 64)
        monkeypatch.setattr(inverted, "_MAX_JOINT_GROWTH", 1e9 if together else 0)
        monkeypatch.setattr(inverted, "_MAX_PENDING", 16)
        monkeypatch.setattr(lowpass, "_PRODUCT_BYTES", 4096)
        for a, b in zip(before, answer(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_empty_cells_hold_nothing(self, rng):
        rows = rng.normal(size=(30, 3))
        centers = np.concatenate([rows[:4], np.full((2, 3), 50.0)])
        labels, distance = nearest_centers(rows, centers)
        cells, order = build_lists(labels[:, 0], distance[:, 0], np.arange(30), 6)
        assert isinstance(cells, InvertedLists)
        space = VectorSpace.of(rows[order], centers)
        queries = np.array([[50.0, 50.0, 50.0], [0.0, 0.0, 0.0]])
        found = TopK(2, 4)
        search_block(space, cells, space.prepare(queries), found, n_probe=1)
        assert np.bincount(found.hits().queries).tolist() == [4, 4]
        found = TopK(2, 4)
        search_block(space, cells, space.prepare(queries), found, n_probe=1, exact=True)
        exact = np.linalg.norm(queries[:, None] - rows, axis=2)
        expected = np.argsort(exact, axis=1, kind="stable")[:, :4]
        np.testing.assert_array_equal(found.hits().ids.reshape(2, 4), expected)


class Counting:
    """Counts the pairs that a space is asked for bounds of."""

    def __init__(self, space):
        self._space = space
        self.n_screened = 0

    def __getattr__(self, name):
        return getattr(self._space, name)

    def lower_bounds(self, queries, which, rows):
        bounds = self._space.lower_bounds(queries, which, rows)
        self.n_screened += bounds.size
        return bounds


def test_a_search_can_be_asked_in_steps(rng):
    x, cells, space = shape_index(rng)
    q = shapes_of(walks(rng, 4), None)
    found = TopK(4, 3)
    search = IndexSearch(space, cells, space.prepare(q), found)
    search.probe(1)
    first = found.hits().distances
    search.scan_open_annuli()
    assert (found.hits().distances <= first).all()
    np.testing.assert_array_equal(
        found.hits().distances, np.sort(1 - align_all(q, x).ncc, axis=1)[:, :3].ravel()
    )
