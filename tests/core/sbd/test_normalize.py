from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shapecluster._core.sbd.normalize import standardize, unit_rows, znormalize
from tests.reference.sbd import unit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_get_mean_zero_and_standard_deviation_one(rng, dtype):
    values = (rng.normal(size=(7, 2, 50)) * 30 + 100).astype(dtype)
    z = znormalize(values)
    assert z.dtype == dtype
    np.testing.assert_allclose(z.mean(axis=-1), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=-1), 1, rtol=1e-6)


def test_statistics_are_those_of_numpy_and_undo_the_normalization(rng):
    values = rng.normal(size=(5, 40)) * 3 + 7
    z, mean, std, flat = standardize(values)
    np.testing.assert_allclose(mean, values.mean(axis=-1))
    np.testing.assert_allclose(std, values.std(axis=-1))
    np.testing.assert_allclose(z * std[:, None] + mean[:, None], values)
    assert not flat.any()


def test_missing_values_are_zero_and_do_not_count(rng):
    values = rng.normal(size=(3, 1, 30))
    values[0, 0, :10] = np.nan
    values[2, 0, :] = np.nan
    z, mean, std, flat = standardize(values)
    np.testing.assert_array_equal(z[0, 0, :10], 0)
    np.testing.assert_allclose(mean[0, 0], np.nanmean(values[0, 0]))
    np.testing.assert_allclose(std[0, 0], np.nanstd(values[0, 0]))
    assert flat.tolist() == [[False], [False], [True]]
    assert np.isnan(mean[2, 0])


@pytest.mark.parametrize("scale", [5e-324, 1e-308, 1e-300, 1e-30, 1.0, 1e30, 1e300, 1.7e308])
def test_any_scale_keeps_its_shape(scale):
    steps = np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    expected = unit_rows(steps.reshape(1, 1, -1)).values
    np.testing.assert_allclose(unit_rows((steps * scale).reshape(1, 1, -1)).values, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [0.0, 0.1, -17.3, 123456.789, 1e-20])
def test_constant_rows_are_flat_whatever_their_level(dtype, level):
    rows = unit_rows(np.full((2, 1, 997), level, dtype=dtype))
    assert rows.flat.all()
    assert not rows.values.any()


def test_a_small_movement_on_a_high_level_is_a_shape():
    t = np.arange(200.0)
    moving = 1e6 + 1e-6 * np.sin(t / 9)
    assert not unit_rows(moving.reshape(1, 1, -1)).flat.any()


@given(arrays(np.int64, (3, 2, 12), elements=st.integers(-1000, 1000)))
def test_unit_rows_agree_with_the_oracle(values):
    rows = unit_rows(values.astype(np.float64))
    for x, got, flat in zip(values, rows.values, rows.flat, strict=True):
        expected = unit(x)
        np.testing.assert_allclose(got, expected, atol=1e-12)
        assert flat == (not expected.any())


def test_a_row_has_the_same_bits_wherever_it_stands(rng):
    values = rng.normal(size=(400, 1, 333)).cumsum(axis=-1)
    together = unit_rows(values).values
    for row in (0, 7, 399):
        np.testing.assert_array_equal(unit_rows(values[row : row + 1]).values[0], together[row])
