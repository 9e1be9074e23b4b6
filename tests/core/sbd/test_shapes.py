"""What is kept of series, and how far screens may be off."""

from __future__ import annotations

import numpy as np
import pytest

from shapecluster._core.sbd.correlation import align_all, screen
from shapecluster._core.sbd.shapes import materialize, shapes_of, unit_rows_of


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_shift", [None, 1, 20])
def test_what_is_not_kept_is_made_again_with_the_same_bits(rng, dtype, max_shift):
    X = rng.normal(size=(50, 2, 40)).cumsum(axis=-1).astype(dtype)
    X[7, :, 5:9] = np.nan
    X[9] = 1.0
    kept = shapes_of(X, max_shift)
    for spare in (0, X.nbytes):
        made = shapes_of(X, max_shift, spare=spare, n_threads=2)
        assert made.raw == (spare == 0)
        assert made.spectra is None or made.narrow
        np.testing.assert_array_equal(made.flat, kept.flat)
        np.testing.assert_array_equal(made.unit, kept.unit)
        for rows in (slice(3, 30), np.array([9, 7, 7, 0])):
            a, b = materialize(made, rows), materialize(kept, rows)
            np.testing.assert_array_equal(a.unit, b.unit)
            np.testing.assert_array_equal(unit_rows_of(made, rows), unit_rows_of(kept, rows))
            if not kept.narrow:
                np.testing.assert_array_equal(a.spectrum, b.spectrum)


def test_nothing_but_the_input_is_held_without_spare_memory(rng):
    X = rng.normal(size=(50, 1, 40))
    assert shapes_of(X, None, spare=0).series is X
    assert shapes_of(X, None, spare=0)[5:9].raw


@pytest.mark.parametrize("n_channels", [1, 40, 3000])
@pytest.mark.parametrize("max_shift", [2, 11, None])
def test_screens_are_not_off_by_more_than_they_say(rng, n_channels, max_shift):
    base = np.cumsum(rng.normal(size=12))
    X = np.tile(base, (6, n_channels, 1)) + 1e-3 * rng.normal(size=(6, n_channels, 12))
    x = shapes_of(X, max_shift)
    error = np.abs(screen(x, x).peak - align_all(x, x).ncc).max()
    assert error <= x.screen_error


def test_series_that_were_not_taken_have_no_spectrum(rng):
    with pytest.raises(ValueError, match="call `materialize` for a block"):
        _ = shapes_of(rng.normal(size=(5, 1, 30)), None, spare=0).spectrum
