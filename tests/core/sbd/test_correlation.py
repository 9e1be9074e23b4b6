from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shapecluster._core.sbd.correlation import align_all, align_pairwise
from shapecluster._core.sbd.shapes import materialize, shapes_of
from tests.reference.nearest import align_nearest, blocks_of
from tests.reference.sbd import best, unit


def walks(rng, n=12, channels=1, timepoints=31):
    return rng.normal(size=(n, channels, timepoints)).cumsum(axis=-1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("max_shift", [None, 0, 1, 4, 30, 1000])
def test_alignment_agrees_with_the_oracle(rng, channels, max_shift):
    X, Y = walks(rng, channels=channels), walks(rng, 5, channels)
    aligned = align_all(shapes_of(X, max_shift), shapes_of(Y, max_shift))
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            value, shift = best(unit(x), unit(y), max_shift)
            assert aligned.shifts[i, j] == shift
            assert aligned.ncc[i, j] == pytest.approx(value, abs=1e-13)


@pytest.mark.parametrize("max_shift", [3, 40])  # a matrix product, and a transform
@pytest.mark.parametrize("sign", [1, -1])
def test_a_shift_at_the_edge_of_the_window_is_found(rng, max_shift, sign):
    late = np.roll(rng.normal(size=(1, 1, 128)), max_shift, axis=-1)
    early = np.roll(late, -max_shift, axis=-1)
    x, y = (late, early) if sign > 0 else (early, late)
    assert align_all(shapes_of(x, max_shift), shapes_of(y, max_shift)).shifts.item() == sign * max_shift


@pytest.mark.parametrize("max_shift", [None, 0, 3])
def test_missing_values_agree_with_the_oracle(rng, max_shift):
    X = walks(rng)
    X[2, 0, :11] = np.nan
    X[5, 0, 20:] = np.nan
    shapes = shapes_of(X, max_shift)
    aligned = align_all(shapes, shapes)
    for i in range(len(X)):
        for j in range(len(X)):
            value, shift = best(unit(X[i]), unit(X[j]), max_shift)
            assert aligned.shifts[i, j] == shift
            assert aligned.ncc[i, j] == pytest.approx(value, abs=1e-13)


def test_float32_is_screened_in_float32_and_decided_in_float64(rng):
    X = walks(rng, 40, timepoints=200).astype(np.float32)
    single, double = shapes_of(X, None), shapes_of(X.astype(np.float64), None)
    assert single.unit.dtype == np.float32
    assert single.spectra.dtype == np.complex64
    a, b = align_all(single, single), align_all(double, double)
    assert a.ncc.dtype == np.float64
    np.testing.assert_allclose(a.ncc, b.ncc, atol=3e-5)  # the tie band of float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_shift", [None, 5])
def test_same_bits_for_every_block_size_and_number_of_threads(rng, dtype, max_shift):
    X = walks(rng, 67, 2, 90).astype(dtype)
    X[11] = X[3]  # ties between rows
    X[20, :, :] = np.tile([1.0, -1.0], 45)  # ties between shifts
    X[30] = 4.0  # flat
    x = shapes_of(X, max_shift)
    y = materialize(x, slice(0, 13))
    expected = align_all(x, y)
    nearest = align_nearest(x, y)
    for n_threads in (1, 2, 3):
        for n_bytes in (1, 5_000, 100_000, 1 << 30):
            with blocks_of(n_bytes):
                again = align_all(x, y, n_threads=n_threads)
                nearest_again = align_nearest(x, y, n_threads)
            np.testing.assert_array_equal(again.ncc, expected.ncc)
            np.testing.assert_array_equal(again.shifts, expected.shifts)
            for a, b in zip(nearest_again, nearest, strict=True):
                np.testing.assert_array_equal(a, b)


def test_nearest_is_the_best_of_all_with_the_lowest_index_on_ties(rng):
    X = walks(rng, 50)
    x = shapes_of(X, None)
    centers = shapes_of(np.concatenate([X[:4], X[:4] * 7 - 2]), None)  # the second four are the first again
    everything = align_all(x, centers)
    nearest = align_nearest(x, centers)
    np.testing.assert_array_equal(nearest.labels, everything.ncc[:, :4].argmax(axis=1))
    assert nearest.labels.max() < 4
    rows = np.arange(50)
    np.testing.assert_array_equal(nearest.ncc, everything.ncc[rows, nearest.labels])
    np.testing.assert_array_equal(nearest.shifts, everything.shifts[rows, nearest.labels])


def test_among_equal_shifts_the_smallest_wins_then_the_positive_one():
    t = np.arange(48)
    period_8 = np.cos(2 * np.pi * t / 8)
    spike = np.where(t == 24, 1.0, 0.0)
    two = np.where((t == 20) | (t == 28), 1.0, 0.0)  # spikes 4 before and 4 after
    x = shapes_of(np.stack([spike, two, period_8])[:, None], None)
    aligned = align_all(x, x)
    assert aligned.shifts[1, 0] == 4  # 4 and -4 tie
    assert aligned.shifts[0, 1] == 4
    assert aligned.shifts.diagonal().tolist() == [0, 0, 0]


def test_shifts_that_differ_by_rounding_are_settled_by_direct_values(rng):
    """Without a margin the transforms alone would decide, whose rounding depends on the batch."""
    t = np.arange(64)
    tones = np.sin(2 * np.pi * t * np.array([[1], [2], [4], [8]]) / 64 + rng.uniform(0, 6, (40, 4, 1)))
    X = tones.sum(axis=1, keepdims=True)
    X = np.concatenate([X, X[..., ::-1], -X])
    x = shapes_of(X, None)
    with blocks_of(1):
        aligned = align_all(x, x)
    for i in range(0, 120, 7):
        for j in range(0, 120, 11):
            assert (aligned.shifts[i, j], aligned.ncc[i, j]) == (
                best(unit(X[i]), unit(X[j]))[1],
                pytest.approx(best(unit(X[i]), unit(X[j]))[0], abs=1e-13),
            )


def test_the_range_of_the_best_correlation_follows_the_window():
    up, down = np.linspace(-1, 1, 30), np.linspace(1, -1, 30)
    rows = np.stack([up, down])[:, None]
    assert align_all(shapes_of(rows, 0), shapes_of(rows, 0)).ncc[0, 1] == pytest.approx(-1)
    assert shapes_of(rows, None).ncc_range == (0.0, 1.0)
    assert shapes_of(rows, 29).ncc_range == (0.0, 1.0)
    assert shapes_of(rows, 28).ncc_range == (-1.0, 1.0)


def test_a_trailing_series_has_a_positive_shift():
    pulse = np.zeros((1, 1, 40))
    pulse[0, 0, 10:14] = [1, 3, 2, 1]
    late = np.roll(pulse, 5, axis=-1)
    assert align_all(shapes_of(late, None), shapes_of(pulse, None)).shifts[0, 0] == 5
    assert align_all(shapes_of(late, 2), shapes_of(pulse, 2)).shifts[0, 0] == 2


def test_flat_series_have_correlation_zero_with_everything(rng):
    X = walks(rng, 6)
    X[2] = 1.5
    x = shapes_of(X, 3)
    aligned = align_all(x, x)
    assert not aligned.ncc[2].any()
    assert not aligned.ncc[:, 2].any()
    assert not aligned.shifts[2].any()
    nearest = align_nearest(x, materialize(x, np.array([2, 0])))
    assert nearest.labels[2] == 0
    assert nearest.labels[0] == 1  # never the flat center


def test_pairwise_is_symmetric_with_ones_on_the_diagonal(rng):
    X = walks(rng, 35)
    X[4] = 0.0
    x = shapes_of(X, None)
    ncc, shifts = align_pairwise(x, n_threads=2)
    np.testing.assert_array_equal(ncc, ncc.T)
    np.testing.assert_array_equal(shifts, -shifts.T)
    np.testing.assert_array_equal(ncc.diagonal(), 1.0)
    np.testing.assert_allclose(ncc + (x.flat * np.eye(35) * -1), align_all(x, x).ncc, atol=1e-14)


series = arrays(np.float64, (2, 1, 16), elements=st.floats(-100, 100))


@settings(max_examples=60)
@given(series, st.one_of(st.none(), st.integers(0, 20)))
def test_properties_of_the_distance(pair, max_shift):
    x = shapes_of(pair, max_shift)
    ncc, shifts = align_all(x, x)
    low, high = x.ncc_range
    assert (ncc >= low).all()
    assert (ncc <= high).all()
    assert (np.abs(shifts) <= x.window).all()
    np.testing.assert_allclose(ncc, ncc.T, atol=1e-12)
    np.testing.assert_allclose(ncc.diagonal(), np.where(x.flat, 0, 1), atol=1e-12)


@settings(max_examples=40)
@given(series, st.floats(0.01, 1e6), st.floats(-1e3, 1e3))
def test_level_and_scale_do_not_matter(pair, scale, offset):
    moved = pair * scale + offset
    spread = np.ptp(pair, axis=-1)
    if (spread * scale < 1e-6 * np.maximum(1.0, np.abs(moved).max())).any():
        return  # the sum would round the shape away
    a, b = shapes_of(pair, None), shapes_of(moved, None)
    np.testing.assert_allclose(align_all(a, a).ncc, align_all(b, b).ncc, atol=1e-7)
