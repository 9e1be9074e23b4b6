from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shapecluster._core.kshape import extraction
from shapecluster._core.kshape import run as kshape
from shapecluster._core.kshape.seeding import Start
from shapecluster._core.kshape.sketch import (
    advance_batch,
    decayed,
    empty_sketch,
    initial_state,
    sketched_shape,
    update_sketch,
)
from shapecluster._core.sbd.alignment import align_members
from shapecluster._core.sbd.normalize import unit_rows, znormalize
from shapecluster._core.sbd.shapes import materialize, shapes_of


def extract_shape(*args, **options):
    """The center as it is used: z-normalized."""
    shape = extraction.extract_shape(*args, **options)
    return None if shape is None else znormalize(shape[None])[0]


def members_of(rng, n, channels=1, timepoints=24, noise=0.3):
    base = rng.normal(size=(channels, timepoints)).cumsum(axis=-1)
    return unit_rows(base + noise * rng.normal(size=(n, channels, timepoints))).values


def prepared(members, shifts, weights):
    """The rows A that a sketch stands for, by the definition."""
    aligned = align_members(members, shifts)
    aligned = aligned - aligned.mean(axis=-1, keepdims=True)
    return aligned.reshape(len(aligned), -1) * np.sqrt(weights)[:, None]


def square(sketch):
    """B.T B, in the units of the weights."""
    return np.ldexp(sketch.rows.T @ sketch.rows, sketch.exponent)


def absorb_in(batches, sketch, members, shifts, weights):
    for part in np.array_split(np.arange(len(members)), batches):
        if len(part):
            sketch = update_sketch(sketch, members[part], shifts[part], weights[part])
    return sketch


class TestCenter:
    @pytest.mark.parametrize("batches", [1, 7])
    @pytest.mark.parametrize(("n", "channels"), [(1, 1), (4, 1), (60, 1), (4, 3), (80, 2)])
    def test_a_sketch_that_holds_all_members_gives_the_center_of_extract_shape(
        self, rng, n, channels, batches
    ):
        members = members_of(rng, n, channels)
        shifts = rng.integers(-3, 4, n)
        weights = rng.uniform(0.5, 2.0, n)
        sketch = absorb_in(batches, empty_sketch(channels * 24, n), members, shifts, weights)
        expected = extract_shape(members.__getitem__, shifts, weights, members[0])
        center = sketched_shape(sketch, channels, members.dtype)
        np.testing.assert_allclose(center, expected, rtol=0, atol=1e-10)
        assert sketch.error <= 1e-12 * n

    def test_a_small_sketch_comes_near_it(self, rng):
        members = members_of(rng, 400, timepoints=100, noise=1.0)
        shifts, weights = rng.integers(-2, 3, 400), np.ones(400)
        sketch = absorb_in(20, empty_sketch(100, 8), members, shifts, weights)
        assert len(sketch.rows) == 8
        center = sketched_shape(sketch, 1, members.dtype)
        expected = extract_shape(members.__getitem__, shifts, weights, members[0])
        assert (center * expected).mean() > 0.999  # cosine: both have standard deviation one

    def test_the_sign_agrees_with_the_members_over_all_channels_together(self, rng):
        up = np.linspace(-1, 1, 30)
        members = unit_rows(np.stack([np.stack([up, -up])] * 50) + 0.01 * rng.normal(size=(50, 2, 30))).values
        for sign in (1, -1):
            sketch = update_sketch(empty_sketch(60), sign * members, np.zeros(50, dtype=int), np.ones(50))
            center = sketched_shape(sketch, 2, members.dtype)
            assert sign * center[0, -1] > 0
            assert sign * center[1, -1] < 0

    def test_float32_stays(self, rng):
        sketch = update_sketch(empty_sketch(24), members_of(rng, 5), np.zeros(5, dtype=int), np.ones(5))
        assert sketched_shape(sketch, 1, np.dtype(np.float32)).dtype == np.float32

    def test_there_is_none_where_nothing_is_left_or_was_ever_seen(self):
        spike = np.zeros((1, 1, 9))
        spike[0, 0, 0] = 1.0
        assert sketched_shape(empty_sketch(9), 1, spike.dtype) is None
        gone = update_sketch(empty_sketch(9), spike, np.array([4]), np.ones(1))
        assert sketched_shape(gone, 1, spike.dtype) is None

    @pytest.mark.parametrize("weight", [5e-324, 1e-300, 1e-155, 1e-20, 1e155, 1e300])
    def test_the_scale_of_the_weights_does_not_matter(self, rng, weight):
        members, shifts = members_of(rng, 90), np.zeros(90, dtype=int)
        expected = absorb_in(3, empty_sketch(24), members, shifts, np.ones(90))
        found = absorb_in(3, empty_sketch(24), members, shifts, np.full(90, weight))
        for sketch in (expected, found):
            assert np.isfinite(sketch.rows).all()
        np.testing.assert_allclose(
            sketched_shape(found, 1, members.dtype), sketched_shape(expected, 1, members.dtype), atol=1e-10
        )

    def test_a_batch_that_weighs_far_more_decides_whenever_it_comes(self, rng):
        heavy, light = members_of(rng, 20), members_of(rng, 20)
        shifts = np.zeros(20, dtype=int)
        expected = extract_shape(heavy.__getitem__, shifts, np.ones(20), heavy[0])
        for order in ([(heavy, 1e250), (light, 1e-250)], [(light, 1e-250), (heavy, 1e250)]):
            sketch = empty_sketch(24, 20)
            for members, weight in order:
                sketch = update_sketch(sketch, members, shifts, np.full(20, weight))
            np.testing.assert_allclose(sketched_shape(sketch, 1, heavy.dtype), expected, atol=1e-10)


@st.composite
def streams(draw):
    """Members in batches: any numbers, so collinear, repeated and zero rows as well."""
    n, timepoints = draw(st.integers(1, 40)), draw(st.integers(2, 10))
    elements = st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1.0, -1.0, 1e-6])
    members = draw(arrays(np.float64, (n, 1, timepoints), elements=elements))
    if draw(st.booleans()):  # a spectrum that falls slowly, where much is lost
        members = np.random.default_rng(n).normal(size=members.shape)
    shifts = draw(arrays(np.intp, n, elements=st.integers(1 - timepoints, timepoints - 1)))
    weights = draw(arrays(np.float64, n, elements=st.floats(0.01, 100)))
    return members, shifts, weights, draw(st.integers(1, 8)), draw(st.integers(1, 6))


class TestBounds:
    @given(streams())
    def test_no_direction_lacks_more_than_the_error_and_none_has_too_much(self, stream):
        members, shifts, weights, size, batches = stream
        rows = prepared(members, shifts, weights)
        sketch = absorb_in(batches, empty_sketch(rows.shape[1], size), members, shifts, weights)
        exact = rows.T @ rows
        error = float(np.ldexp(sketch.error, sketch.exponent))
        slack = 1e-11 * max(np.trace(exact), 1e-300)
        lacking = np.linalg.eigvalsh(exact - square(sketch))
        assert lacking[0] >= -slack
        assert lacking[-1] <= error + slack

    @given(streams())
    def test_the_error_is_a_share_of_what_few_dimensions_leave_out(self, stream):
        members, shifts, weights, size, batches = stream
        rows = prepared(members, shifts, weights)
        sketch = absorb_in(batches, empty_sketch(rows.shape[1], size), members, shifts, weights)
        squares = np.linalg.svd(rows, compute_uv=False) ** 2
        error = float(np.ldexp(sketch.error, sketch.exponent))
        for k in range(size + 1):
            assert error <= squares[k:].sum() / (size + 1 - k) + 1e-11 * squares.sum()

    @given(streams())
    def test_the_angle_to_the_exact_center_is_within_its_bound(self, stream):
        members, shifts, weights, size, batches = stream
        rows = prepared(members, shifts, weights)
        sketch = absorb_in(batches, empty_sketch(rows.shape[1], size), members, shifts, weights)
        squares, right = np.linalg.eigh(rows.T @ rows)
        gap = squares[-1] - squares[-2]
        if gap <= 1e-6 * squares[-1] or not len(sketch.rows):
            return  # no direction is singled out
        found = sketch.rows[0] / np.linalg.norm(sketch.rows[0])
        sine = np.linalg.norm(found - right[:, -1] * (found @ right[:, -1]))
        assert sine <= np.ldexp(sketch.error, sketch.exponent) / gap + 1e-8

    @given(streams())
    def test_rows_are_few_orthogonal_and_the_longest_first(self, stream):
        members, shifts, weights, size, batches = stream
        sketch = absorb_in(batches, empty_sketch(members.shape[-1], size), members, shifts, weights)
        gram = sketch.rows @ sketch.rows.T
        lengths = np.diag(gram)
        assert len(sketch.rows) <= size
        assert (lengths > 0).all()
        assert (np.diff(lengths) <= 1e-11 * lengths.max(initial=0)).all()
        assert np.abs(gram - np.diag(lengths)).max(initial=0) <= 1e-11 * lengths.max(initial=0)

    def test_nothing_is_lost_of_members_of_few_dimensions_however_many_they_are(self, rng):
        members = (rng.normal(size=(500, 4)) @ rng.normal(size=(4, 30)))[:, None]
        shifts, weights = np.zeros(500, dtype=int), np.ones(500)
        sketch = absorb_in(25, empty_sketch(30, 5), members, shifts, weights)
        rows = prepared(members, shifts, weights)
        np.testing.assert_allclose(square(sketch), rows.T @ rows, atol=1e-9 * (rows**2).sum())

    def test_the_bound_is_no_empty_word(self, rng):
        """White noise in a small sketch does lose what the bound allows, up to a small factor."""
        members, shifts = rng.normal(size=(300, 1, 30)), np.zeros(300, dtype=int)
        sketch = absorb_in(30, empty_sketch(30, 6), members, shifts, np.ones(300))
        rows = prepared(members, shifts, np.ones(300))
        lacking = np.linalg.eigvalsh(rows.T @ rows - square(sketch))[-1]
        assert lacking > 0.5 * np.ldexp(sketch.error, sketch.exponent) > 0


def test_fading_is_weighing_less(rng):
    members, shifts, weights = members_of(rng, 80), rng.integers(-2, 3, 80), rng.uniform(0.5, 2, 80)
    sketch = absorb_in(4, empty_sketch(24), members, shifts, weights)
    less = absorb_in(4, empty_sketch(24), members, shifts, 0.25 * weights)
    np.testing.assert_allclose(square(decayed(sketch, 0.25)), square(less), atol=1e-10)
    assert decayed(sketch, 1.0) is sketch
    assert len(decayed(sketch, 0.0).rows) == 0
    assert decayed(sketch, 0.0).size == sketch.size


def test_the_same_bits_whatever_blas_does(rng):
    from threadpoolctl import threadpool_limits

    members, shifts, weights = members_of(rng, 500, 2, 150), rng.integers(-9, 9, 500), rng.uniform(1, 2, 500)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            found.append(absorb_in(5, empty_sketch(300), members, shifts, weights))
    np.testing.assert_array_equal(found[0].rows, found[1].rows)
    assert found[0].error == found[1].error > 0


class TestStep:
    def stream_and_batch(self, rng, n=60, k=3, size=12, dtype=np.float64):
        x = shapes_of(rng.normal(size=(n, 1, 30)).cumsum(axis=-1).astype(dtype), None)
        return initial_state(znormalize(x.unit[:k]), size), x

    def test_everything_in_one_batch_is_one_iteration_of_k_shape(self, rng):
        state, x = self.stream_and_batch(rng, size=60)
        weights = rng.uniform(0.5, 2, 60)
        after, inertia, n_correlations = advance_batch(state, x, weights, np.random.RandomState(0))
        settings = kshape.FitSettings()
        start = kshape.start_run(x, Start(state.centers), weights, settings)
        assert inertia == pytest.approx(start.current.inertia, rel=1e-13)
        expected = kshape.advance(x, weights, settings, start).current.centers
        np.testing.assert_allclose(after.centers, expected, rtol=0, atol=1e-10)
        assert 60 <= n_correlations <= 2 * 60 * 3  # a trial search, and pairs of centers, are counted too
        np.testing.assert_allclose(
            after.counts, [weights[start.current.labels == j].sum() for j in range(3)], rtol=1e-14
        )

    def test_the_same_bits_on_any_number_of_threads(self, rng):
        state, x = self.stream_and_batch(rng, 200, 5)
        one, two = (
            advance_batch(state, x, np.ones(200), np.random.RandomState(0), n_threads=n)[0] for n in (1, 3)
        )
        np.testing.assert_array_equal(one.centers, two.centers)
        np.testing.assert_array_equal(one.counts, two.counts)

    def test_flat_series_and_those_without_weight_change_nothing(self, rng):
        state, x = self.stream_and_batch(rng)
        more = rng.normal(size=(70, 1, 30)).cumsum(axis=-1)
        more[:60] = x.unit
        more[65:] = 3.0
        weights = np.r_[np.ones(60), np.zeros(5), np.ones(5)]
        expected = advance_batch(state, x, np.ones(60), np.random.RandomState(0)).state
        found = advance_batch(state, shapes_of(more, None), weights, np.random.RandomState(0)).state
        np.testing.assert_allclose(found.centers, expected.centers, atol=1e-9)
        np.testing.assert_array_equal(found.counts, expected.counts)

    def test_an_empty_cluster_starts_anew_from_a_series_of_the_batch(self, rng):
        state, x = self.stream_and_batch(rng)
        twice = initial_state(state.centers[[0, 0, 1, 2]])  # ties go to the first: the second stays empty
        after = advance_batch(twice, x, np.ones(60), np.random.RandomState(0)).state
        again = advance_batch(twice, x, np.ones(60), np.random.RandomState(0)).state
        other = [advance_batch(twice, x, np.ones(60), np.random.RandomState(s))[0] for s in range(1, 5)]
        np.testing.assert_array_equal(after.centers, again.centers)
        assert any((o.centers[1] != after.centers[1]).any() for o in other)
        distance = np.abs(znormalize(x.unit)[:, 0] - after.centers[1, 0]).max(axis=1)
        assert distance.min() < 1e-12
        assert after.counts[1] == after.counts[[0, 2, 3]].min() > 0
        assert len(after.sketches[1].rows) == 0

    def test_a_cluster_of_little_weight_starts_anew_when_it_is_looked_at(self, rng):
        _, x = self.stream_and_batch(rng)
        far = initial_state(znormalize(np.concatenate([x.unit[:2], rng.normal(size=(1, 1, 30))])))
        batch = materialize(x, slice(0, 20))
        weights = np.ones(20)
        before = advance_batch(far, batch, weights, np.random.RandomState(0))[0]
        heavy = type(before)(before.centers, before.sketches, np.array([1e6, 1e6, 1.0]), 0)
        kept = advance_batch(heavy, batch, weights, np.random.RandomState(0)).state
        assert kept.counts[2] < 100  # 20 of 30 series have come: not yet
        assert kept.n_waiting == 20
        renewed = advance_batch(kept, batch, weights, np.random.RandomState(0)).state
        assert renewed.counts[2] >= 1e6
        assert renewed.n_waiting == 0

    def test_at_most_half_a_batch_becomes_new_centers(self, rng):
        state, x = self.stream_and_batch(rng)
        same = initial_state(np.repeat(state.centers[:1], 8, axis=0))
        after = advance_batch(same, materialize(x, slice(0, 6)), np.ones(6), np.random.RandomState(0)).state
        assert (after.counts == 0).sum() == 4

    def test_a_batch_without_a_shape_leaves_everything_as_it_was(self, rng):
        state, x = self.stream_and_batch(rng)
        before = advance_batch(state, x, np.ones(60), np.random.RandomState(0)).state
        flat = shapes_of(np.ones((5, 1, 30)), None)
        after, inertia, n_correlations = advance_batch(before, flat, np.ones(5), np.random.RandomState(0))
        np.testing.assert_array_equal(after.centers, before.centers)
        np.testing.assert_array_equal(after.counts, before.counts)
        assert inertia == 5.0
        assert n_correlations == 0
