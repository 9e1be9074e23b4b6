from __future__ import annotations

import numpy as np
import pytest

from shapecluster._core.extraction import align_members, extract_shape
from shapecluster._core.normalise import unit_rows
from tests.reference.kshape import extract


@pytest.mark.parametrize(("n_members", "channels"), [(1, 1), (4, 1), (60, 1), (4, 3), (80, 2)])
def test_centre_agrees_with_the_dense_oracle(rng, n_members, channels):
    base = rng.normal(size=(channels, 24)).cumsum(axis=-1)
    members = unit_rows(base + 0.3 * rng.normal(size=(n_members, channels, 24))).values
    shifts = rng.integers(-3, 4, n_members)
    weights = rng.uniform(0.5, 2.0, n_members)
    centre = extract_shape(members, shifts, weights)
    np.testing.assert_allclose(centre, extract(list(members), list(shifts), list(weights)), atol=1e-9)
    assert centre.dtype == np.float64


def test_alignment_takes_the_shift_back():
    member = np.arange(1.0, 6.0).reshape(1, 1, 5)
    assert align_members(member, np.array([2]))[0, 0].tolist() == [3, 4, 5, 0, 0]
    assert align_members(member, np.array([-2]))[0, 0].tolist() == [0, 0, 1, 2, 3]
    assert align_members(member, np.array([0]))[0, 0].tolist() == [1, 2, 3, 4, 5]


def test_sign_agrees_with_the_members_over_all_channels_together(rng):
    up = np.linspace(-1, 1, 30)
    members = unit_rows(np.stack([np.stack([up, -up])] * 5) + 0.01 * rng.normal(size=(5, 2, 30))).values
    centre = extract_shape(members, np.zeros(5, dtype=int), np.ones(5))
    assert centre[0, -1] > 0
    assert centre[1, -1] < 0


def test_weight_two_is_the_same_as_twice(rng):
    members = unit_rows(rng.normal(size=(6, 1, 20)).cumsum(axis=-1)).values
    shifts = np.array([0, 1, -1, 0, 2, 0])
    doubled = extract_shape(
        np.concatenate([members, members[:2]]), np.concatenate([shifts, shifts[:2]]), np.ones(8)
    )
    weighted = extract_shape(members, shifts, np.array([2.0, 2, 1, 1, 1, 1]))
    np.testing.assert_allclose(weighted, doubled, atol=1e-10)


def test_float32_members_give_a_float32_centre(rng):
    members = unit_rows(rng.normal(size=(6, 1, 20)).astype(np.float32)).values
    assert extract_shape(members, np.zeros(6, dtype=int), np.ones(6)).dtype == np.float32


def test_nothing_left_after_alignment_is_no_centre():
    spike = np.zeros((1, 1, 9))
    spike[0, 0, 0] = 1.0
    assert extract_shape(spike, np.array([4]), np.ones(1)) is None
