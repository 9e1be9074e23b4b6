from __future__ import annotations

import numpy as np
import pytest

from shapecluster._core.kshape import extraction
from shapecluster._core.kshape.extraction import leading_right_vector
from shapecluster._core.sbd.alignment import align_members
from shapecluster._core.sbd.normalize import unit_rows, znormalize
from tests.reference.kshape import extract


def extract_shape(*args, **options):
    """The center as it is used: z-normalized."""
    shape = extraction.extract_shape(*args, **options)
    return None if shape is None else znormalize(shape[None])[0]


@pytest.mark.parametrize(("n_members", "channels"), [(1, 1), (4, 1), (60, 1), (4, 3), (80, 2)])
def test_center_agrees_with_the_dense_oracle(rng, n_members, channels):
    base = rng.normal(size=(channels, 24)).cumsum(axis=-1)
    members = unit_rows(base + 0.3 * rng.normal(size=(n_members, channels, 24))).values
    shifts = rng.integers(-3, 4, n_members)
    weights = rng.uniform(0.5, 2.0, n_members)
    center = extract_shape(members.__getitem__, shifts, weights, base)
    np.testing.assert_allclose(center, extract(list(members), list(shifts), list(weights)), atol=1e-9)
    assert center.dtype == np.float64


def test_alignment_takes_the_shift_back():
    member = np.arange(1.0, 6.0).reshape(1, 1, 5)
    assert align_members(member, np.array([2]))[0, 0].tolist() == [3, 4, 5, 0, 0]
    assert align_members(member, np.array([-2]))[0, 0].tolist() == [0, 0, 1, 2, 3]
    assert align_members(member, np.array([0]))[0, 0].tolist() == [1, 2, 3, 4, 5]


def test_sign_agrees_with_the_members_over_all_channels_together(rng):
    up = np.linspace(-1, 1, 30)
    members = unit_rows(np.stack([np.stack([up, -up])] * 5) + 0.01 * rng.normal(size=(5, 2, 30))).values
    center = extract_shape(members.__getitem__, np.zeros(5, dtype=int), np.ones(5), members[0])
    assert center[0, -1] > 0
    assert center[1, -1] < 0


def test_weight_two_is_the_same_as_twice(rng):
    members = unit_rows(rng.normal(size=(6, 1, 20)).cumsum(axis=-1)).values
    shifts = np.array([0, 1, -1, 0, 2, 0])
    doubled = extract_shape(
        np.concatenate([members, members[:2]]).__getitem__,
        np.concatenate([shifts, shifts[:2]]),
        np.ones(8),
        members[0],
    )
    weighted = extract_shape(members.__getitem__, shifts, np.array([2.0, 2, 1, 1, 1, 1]), members[0])
    np.testing.assert_allclose(weighted, doubled, atol=1e-10)


def test_float32_members_give_a_float32_center(rng):
    members = unit_rows(rng.normal(size=(6, 1, 20)).astype(np.float32)).values
    assert (
        extract_shape(members.__getitem__, np.zeros(6, dtype=int), np.ones(6), members[0]).dtype == np.float32
    )


def test_nothing_left_after_alignment_is_no_center():
    spike = np.zeros((1, 1, 9))
    spike[0, 0, 0] = 1.0
    assert extract_shape(spike.__getitem__, np.array([4]), np.ones(1), spike[0]) is None


@pytest.mark.parametrize("shape", [(1, 9), (2, 30), (7, 40), (40, 7), (200, 64), (64, 200), (300, 300)])
@pytest.mark.parametrize("kind", ["white", "common", "duplicates"])
def test_leading_vector_is_as_near_to_the_exact_one_as_the_gap_allows(rng, shape, kind):
    rows = rng.normal(size=shape)
    if kind == "common":
        rows += 2 * rng.normal(size=shape[1])
    elif kind == "duplicates":
        rows[:] = rows[0]
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    gap = values[0] - (values[1] if len(values) > 1 else 0.0)
    for start in (rng.normal(size=shape[1]), right[-1], np.zeros(shape[1]), right[0]):
        found = leading_right_vector([rows], start)
        sine = np.sqrt(max(0.0, ((found - right[0] * (found @ right[0])) ** 2).sum()))
        assert sine <= 1e-12 * values[0] / gap
        assert found @ found == pytest.approx(1, abs=1e-14)


def test_a_start_orthogonal_to_the_leading_vector_still_finds_it(rng):
    rows = np.diag([3.0, 2.0, 1.0, 0.5])
    assert np.abs(leading_right_vector([rows], np.array([0.0, 1.0, 0.0, 0.0]))) == pytest.approx([1, 0, 0, 0])


def test_a_round_that_is_too_short_is_followed_by_others_and_by_the_dense_path(rng, monkeypatch):
    rows = rng.normal(size=(60, 80))
    exact = np.linalg.norm(rows, 2)
    monkeypatch.setattr(extraction, "_LANCZOS_STEPS", 5)
    monkeypatch.setattr(extraction, "_LANCZOS_ROUNDS", 40)
    monkeypatch.setattr(extraction, "_DENSE_SIZE", 0)
    assert np.linalg.norm(rows @ leading_right_vector([rows], rows[0])) == pytest.approx(exact, rel=1e-9)
    monkeypatch.setattr(extraction, "_LANCZOS_ROUNDS", 1)
    assert np.linalg.norm(rows @ leading_right_vector([rows], rows[0])) < exact * (1 - 1e-6)
    monkeypatch.setattr(extraction, "_DENSE_SIZE", 100)
    for matrix in (rows, rows.T):
        found = leading_right_vector([matrix], matrix[0])
        assert np.linalg.norm(matrix @ found) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_leading_values_that_are_nearly_equal_are_told_apart(rng, gap):
    left, right = (np.linalg.qr(rng.normal(size=(120, 120)))[0] for _ in range(2))
    rows = left @ np.diag([1.0, 1.0 - gap, *np.linspace(0.9, 0.1, 118)]) @ right
    found = leading_right_vector([rows], right[1] + 0.1 * right[0])
    sine = np.linalg.norm(found - right[0] * (found @ right[0]))
    assert sine <= 1e-12 / gap


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_members_that_are_not_held_give_the_same_bits(rng, dtype):
    members = unit_rows(rng.normal(size=(2500, 1, 24)).cumsum(axis=-1).astype(dtype)).values
    shifts, weights = rng.integers(-4, 5, 2500), rng.uniform(0.5, 2.0, 2500)
    held, made_again = (
        extract_shape(members.__getitem__, shifts, weights, members[0], held_bytes=b) for b in (1 << 30, 0)
    )
    np.testing.assert_array_equal(held, made_again)


def test_float32_members_come_near_the_answer_of_float64(rng):
    base = rng.normal(size=(1, 60)).cumsum(axis=-1)
    for n in (5, 50, 3000):
        members = unit_rows(base + rng.normal(size=(n, 1, 60)).cumsum(axis=-1)).values
        shifts, weights = rng.integers(-2, 3, n), np.ones(n)
        double = extract_shape(members.__getitem__, shifts, weights, base)
        single = members.astype(np.float32)
        near = extract_shape(single.__getitem__, shifts, weights, base.astype(np.float32))
        np.testing.assert_allclose(near, double, atol=2e-4)


def test_equal_leading_values_give_one_of_their_vectors(rng):
    basis = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    rows = np.diag([2.0, 2.0, 2.0, *np.linspace(1.9, 0, 27)]) @ basis
    found = leading_right_vector([rows], rng.normal(size=30))
    assert np.linalg.norm(rows @ found) == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("weight", [1e-300, 1e-155, 1e-20, 1e155, 1e300])
def test_the_scale_of_the_weights_does_not_matter(rng, weight):
    members = unit_rows(rng.normal(size=(9, 1, 20)).cumsum(axis=-1)).values
    shifts, equal = np.zeros(9, dtype=int), np.ones(9)
    expected = extract_shape(members.__getitem__, shifts, equal, members[0])
    np.testing.assert_allclose(
        extract_shape(members.__getitem__, shifts, weight * equal, members[0]), expected, atol=1e-12
    )


def test_the_same_bits_whatever_blas_does(rng):
    from threadpoolctl import threadpool_limits

    rows, start = rng.normal(size=(400, 500)), rng.normal(size=500)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            found.append(leading_right_vector([rows], start))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_second_vector_is_a_bad_start_but_no_answer(rng, dtype):
    """However many rows there are, and whatever the signs of the leading vector's entries among them."""
    n, size = 20_000, 40
    left = np.linalg.qr(rng.normal(size=(n, 3)))[0]
    right = np.linalg.qr(rng.normal(size=(size, 3)))[0].T
    rows = ((left * [1.0, 0.86, 0.3]) @ right).astype(dtype)
    found = leading_right_vector([rows], right[1])
    assert abs(found @ right[0]) > 1 - 1e-4
