"""No exact angle is ever below its floor, on data made to break bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapecluster._core.sbd.bounds import (
    LowPass,
    SpectralBounds,
    angle_lower_bound,
    angle_upper_bound,
    band_starts,
    center_drift,
    center_separation_bounds,
    low_pass_for,
    magnitude_bound,
    profile_of,
    triangle_lower_bound,
)
from shapecluster._core.sbd.correlation import align_all, direct_ncc, peaks_between
from shapecluster._core.sbd.shapes import Shapes, shapes_of
from tests.reference.nearest import align_nearest, blocks_of

KINDS = ["walk", "white", "tone", "spike", "near-duplicate", "masked", "channels", "tiny", "huge"]


def rows(kind: str, n: int, seed: int, m: int = 24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1, m))
    if kind == "walk":
        X = X.cumsum(axis=-1)
    elif kind == "tone":
        X = np.sin(np.arange(m) * rng.uniform(0.1, 3.1, (n, 1, 1)))
    elif kind == "spike":
        X = np.zeros((n, 1, m))
        X[np.arange(n), 0, rng.integers(0, m, n)] = 1.0
    elif kind == "near-duplicate":
        X = X[:1] + 1e-8 * X
    elif kind == "masked":
        X[:, :, : m // 2] = np.nan
    elif kind == "channels":
        X[:, :, ::3] *= 40.0
    elif kind == "tiny":
        X *= 1e-300
    elif kind == "huge":
        X *= 1e300
    return X


def angles(x: Shapes, y: Shapes) -> np.ndarray:
    return np.arccos(align_all(x, y).ncc)


def pair(kind, center_kind, seed, max_shift, dtype, m=24):
    """Series and centers of the given kinds; float32 cannot hold the tiny and the huge."""
    kinds = [k if dtype == np.float64 or k not in {"tiny", "huge"} else "walk" for k in (kind, center_kind)]
    X, C = rows(kinds[0], 8, seed, m), np.nan_to_num(rows(kinds[1], 4, seed + 1, m))
    return shapes_of(X.astype(dtype), max_shift), C.astype(dtype)


case = given(
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.integers(0, 10_000),
    st.sampled_from([None, 5, 12]),
    st.sampled_from([np.float32, np.float64]),
)


@settings(max_examples=150)
@case
def test_a_step_never_leaves_a_floor_above_the_angle(kind, center_kind, seed, max_shift, dtype):
    x, old = pair(kind, "walk" if center_kind in {"tiny", "huge"} else center_kind, seed, max_shift, dtype)
    rng = np.random.default_rng(seed + 2)
    moved = old + rng.choice([0.0, 1e-6, 0.1, 3.0], (4, 1, 1)) * rng.normal(size=old.shape)
    before, after = shapes_of(old, max_shift), shapes_of(moved.astype(dtype), max_shift)
    floor = angle_lower_bound(align_all(x, before).ncc.astype(np.float32), x.screen_error)
    steps = center_drift(before, after)
    assert steps.dtype == floor.dtype == np.float32
    assert (floor - steps <= angles(x, after)).all()
    still = (before.unit == after.unit).all(axis=(1, 2))
    assert not steps[still].any()
    assert (steps[~still] > 0).all()


@settings(max_examples=100)
@case
def test_a_step_bounds_every_single_shift(kind, center_kind, seed, max_shift, dtype):
    """What `elsewhere` relies on: the floor of the angles at any set of shifts may be lowered by the step."""
    x, old = pair(kind, "walk" if center_kind in {"tiny", "huge"} else center_kind, seed, max_shift, dtype)
    moved = old + 0.2 * np.random.default_rng(seed).normal(size=old.shape)
    before, after = shapes_of(old, max_shift), shapes_of(moved.astype(dtype), max_shift)
    steps = center_drift(before, after)
    first, second = (part.ravel() for part in np.indices((8, 4)))
    for shift in (0, 1, -4):
        shifts = np.full(32, shift)
        was, now = (np.arccos(direct_ncc(x, c, first, second, shifts)) for c in (before, after))
        clipped = direct_ncc(x, after, first, second, shifts) <= x.ncc_range[0]  # below 0 counts as 0
        assert (clipped | (was - steps[second] <= now + 1e-7)).all()


@settings(max_examples=150)
@case
def test_the_way_round_by_the_own_center_is_never_shorter(kind, center_kind, seed, max_shift, dtype):
    x, C = pair(kind, center_kind, seed, max_shift, dtype)
    centers = shapes_of(C, max_shift)
    apart = center_separation_bounds(centers)
    assert (apart is None) == (max_shift is not None)
    if apart is None:
        return
    nearest = align_nearest(x, centers)
    floor = triangle_lower_bound(nearest.ncc, nearest.labels, apart, 2 * x.tie_band)
    exact = angles(x, centers)
    exact[x.flat] = np.pi  # flat rows are at no angle to anything, and never asked about
    assert (floor <= exact).all()


def test_a_narrow_window_would_break_the_way_round():
    """Why `center_separation_bounds` gives nothing with a window: the triangle inequality fails there."""
    spike = np.zeros((3, 1, 30))
    spike[0, 0, 10] = spike[1, 0, 13] = spike[2, 0, 16] = 1.0
    x = shapes_of(spike, 3)
    a = angles(x, x)
    assert a[0, 2] > a[0, 1] + a[1, 2] + 1.0
    assert center_separation_bounds(x) is None


@settings(max_examples=200)
@case
def test_no_correlation_exceeds_its_magnitudes(kind, center_kind, seed, max_shift, dtype):
    x, C = pair(kind, center_kind, seed, max_shift, dtype)
    centers = shapes_of(C, max_shift)
    if x.narrow:
        return
    profiles = [profile_of(s) for s in (x, centers)]
    for profile, s in zip(profiles, (x, centers), strict=True):
        np.testing.assert_allclose((profile**2).sum(axis=1), ~s.flat, atol=1e-4)
    bound = magnitude_bound(*profiles)
    assert (bound + x.screen_error >= align_all(x, centers).ncc).all()


@settings(max_examples=200)
@case
def test_no_correlation_exceeds_what_low_frequencies_leave(kind, center_kind, seed, max_shift, dtype):
    x, C = pair(kind, center_kind, seed, max_shift, dtype, m=150)
    centers = shapes_of(C, max_shift)
    if x.narrow:
        return
    profile = profile_of(centers)
    first, second = (part.ravel() for part in np.indices((8, 4)))
    exact = align_all(x, centers).ncc.ravel()
    starts = band_starts(x.length)
    for cutoff in (2, 5, 16, int(starts[20])):
        for n_grid in (2 * cutoff, 3 * cutoff, 7 * cutoff):
            bounds = SpectralBounds(centers, profile, LowPass.at(cutoff, n_grid, x.length))
            with blocks_of(1000):
                floor = bounds.listed_pairs(x, first, second)
            assert (floor <= np.arccos(exact)).all()
            with blocks_of(5000):
                everything = bounds.all_pairs(x)
            assert (everything.ravel() <= np.arccos(exact)).all()
            assert (np.cos(everything.ravel()) <= np.cos(np.maximum(floor, 0.0)) + 1e-5).all()


def test_the_low_pass_is_for_smooth_series_only(rng):
    walk, white = rng.normal(size=(20, 1, 600)).cumsum(axis=-1), rng.normal(size=(20, 1, 600))
    profiles = [profile_of(s) for s in (shapes_of(walk, None), shapes_of(white, None))]
    low_pass = low_pass_for(profiles[0], 1280)
    assert low_pass is not None
    assert low_pass.n_grid * 3.9 <= 1280
    assert low_pass.cutoff in band_starts(1280)
    assert low_pass_for(profiles[1], 1280) is None


def test_bands_cover_all_frequencies_once():
    for length in (3, 4, 5, 16, 33, 512, 2560):
        starts = band_starts(length)
        assert starts[0] == 1
        assert starts[-1] == length // 2 + 1
        assert (np.diff(starts) > 0).all()


def test_screened_peaks_between_series_are_within_their_error(rng):
    x = shapes_of(rng.normal(size=(30, 1, 90)).cumsum(axis=-1), None)
    np.testing.assert_allclose(peaks_between(x), align_all(x, x).ncc, atol=x.screen_error)


@pytest.mark.parametrize("ncc", [-1.0, 0.0, 0.5, 1 - 1e-16, 1.0])
def test_slack_lowers_floors_and_raises_ceilings(ncc):
    assert angle_lower_bound(np.array([ncc]), 1e-6) < angle_lower_bound(np.array([ncc]), 0.0) or ncc == 1.0
    assert angle_upper_bound(np.array([ncc]), 1e-6) > angle_upper_bound(np.array([ncc]), 0.0) or ncc == -1.0


@pytest.mark.parametrize("ncc", [-1.0, 0.0, 0.5, 1 - 1e-16, 1.0])
def test_floor_and_ceiling_enclose_the_angle(ncc):
    for slack in (0.0, 1e-15, 1e-6):
        assert (
            angle_lower_bound(np.array([ncc]), slack)
            <= np.arccos(ncc)
            <= angle_upper_bound(np.array([ncc]), slack)
        )
