"""No exact angle is ever below its floor, on data made to break bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapecluster._core.bounds import beyond_own_centre, ceiling_of, drifted, floor_of
from shapecluster._core.correlation import Shapes, align_all, align_nearest, shapes_of, take

KINDS = ["walk", "white", "tone", "spike", "near-duplicate", "masked", "tiny", "huge"]


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
    elif kind == "tiny":
        X *= 1e-300
    elif kind == "huge":
        X *= 1e300
    return X


def angles(x: Shapes, y: Shapes) -> np.ndarray:
    return np.arccos(align_all(x, y).ncc)


case = given(
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.integers(0, 10_000),
    st.sampled_from([None, 0, 1, 5]),
    st.sampled_from([np.float32, np.float64]),
)


@settings(max_examples=150)
@case
def test_drift_never_raises_a_floor_above_the_angle(kind, centre_kind, seed, max_shift, dtype):
    kind = kind if dtype == np.float64 or kind not in {"tiny", "huge"} else "walk"
    x = shapes_of(rows(kind, 8, seed).astype(dtype), max_shift)
    old = rows("walk" if centre_kind in {"tiny", "huge"} else centre_kind, 4, seed + 1)
    old = np.nan_to_num(old).astype(dtype)
    rng = np.random.default_rng(seed + 2)
    moved = old + rng.choice([0.0, 1e-6, 0.1, 3.0], (4, 1, 1)) * rng.normal(size=old.shape)
    before, after = shapes_of(old, max_shift), shapes_of(moved.astype(dtype), max_shift)
    floor = floor_of(align_all(x, before).ncc, x.tie_band)
    lowered = drifted(floor, before, after)
    assert (lowered <= angles(x, after) + 1e-12).all()
    still = (before.unit == after.unit).all(axis=(1, 2))
    np.testing.assert_array_equal(lowered[:, still], floor[:, still])


@settings(max_examples=150)
@case
def test_the_way_round_by_the_own_centre_is_never_shorter(kind, centre_kind, seed, max_shift, dtype):
    kinds = [k if dtype == np.float64 or k not in {"tiny", "huge"} else "walk" for k in (kind, centre_kind)]
    x = shapes_of(rows(kinds[0], 8, seed).astype(dtype), max_shift)
    centres = shapes_of(np.nan_to_num(rows(kinds[1], 4, seed + 1)).astype(dtype), max_shift)
    nearest = align_nearest(x, centres)
    floor = beyond_own_centre(np.zeros((8, 4)), nearest.ncc, nearest.labels, centres)
    exact = angles(x, centres)
    exact[x.flat] = np.pi  # flat rows are at no angle to anything, and never asked about
    assert (floor <= exact + 1e-12).all()


def test_a_narrow_window_would_break_the_way_round():
    """Why `beyond_own_centre` gives nothing with a window: the triangle inequality fails there."""
    spike = np.zeros((3, 1, 30))
    spike[0, 0, 10] = spike[1, 0, 13] = spike[2, 0, 16] = 1.0
    x = shapes_of(spike, 3)
    a = angles(x, x)
    assert a[0, 2] > a[0, 1] + a[1, 2] + 1.0
    one = np.array([1, 1, 1])
    floor = beyond_own_centre(np.zeros((3, 3)), align_all(x, take(x, one[:1])).ncc[:, 0], one, x)
    assert not floor.any()


@pytest.mark.parametrize("ncc", [-1.0, 0.0, 0.5, 1 - 1e-16, 1.0])
def test_slack_lowers_floors_and_raises_ceilings(ncc):
    assert floor_of(np.array([ncc]), 1e-6) < floor_of(np.array([ncc]), 0.0) or ncc == 1.0
    assert ceiling_of(np.array([ncc]), 1e-6) > ceiling_of(np.array([ncc]), 0.0) or ncc == -1.0


@pytest.mark.parametrize("ncc", [-1.0, 0.0, 0.5, 1 - 1e-16, 1.0])
def test_floor_and_ceiling_enclose_the_angle(ncc):
    for slack in (0.0, 1e-15, 1e-6):
        assert floor_of(np.array([ncc]), slack) <= np.arccos(ncc) <= ceiling_of(np.array([ncc]), slack)
