"""Criteria as pure functions: what they choose on curves where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapecluster.model_selection._criteria import (
    elbow,
    elbow_scores,
    maximum_score,
    minimum_ssd,
    near_ties,
)
from shapecluster.model_selection._findings import apply_criteria
from shapecluster.model_selection._fits import Fit


def _elbow(ks, ssd):
    ks, ssd = np.asarray(ks), np.asarray(ssd, dtype=float)
    return elbow(ks, elbow_scores(ks, ssd))


def _slow_elbow_scores(ks, ssd):
    """Vertical distance to the chord between the ends, each axis scaled by hand."""
    low, high = min(ssd), max(ssd)
    scores = []
    for k, value in zip(ks, ssd, strict=True):
        share = (k - ks[0]) / (ks[-1] - ks[0])
        height, start = (value - low) / (high - low), (ssd[0] - low) / (high - low)
        scores.append((start - height) - share)
    return scores


def test_minimum_ssd_takes_the_minimum_and_the_smallest_k_of_a_tie():
    assert minimum_ssd(np.array([2, 3, 4, 5]), np.array([9.0, 3.0, 3.0, 4.0])) == 3


@pytest.mark.parametrize("bend", range(3, 20))
def test_elbow_finds_the_bend_of_two_straight_lines(bend):
    ks = np.arange(2, 21)
    ssd = np.where(ks <= bend, 100.0 - 4.0 * (ks - 2), 100.0 - 4.0 * (bend - 2) - 0.1 * (ks - bend))
    assert _elbow(ks, ssd) == bend


def test_elbow_knows_uneven_steps_of_k():
    ks = np.array([2, 5, 6, 20, 50])
    ssd = np.interp(ks, [2, 6, 50], [100.0, 20.0, 10.0])
    assert _elbow(ks, ssd) == 6


def test_elbow_of_three_points_is_the_middle_one_when_it_bends():
    assert _elbow([2, 3, 4], [100.0, 10.0, 5.0]) == 3
    assert _elbow([2, 3, 4], [100.0, 50.0, 0.0]) is None


@pytest.mark.parametrize(
    "ssd",
    [
        [5.0],
        [5.0, 1.0],
        [5.0, 5.0, 5.0, 5.0],
        [0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0, 4.0],
        [4.0, 1.0, 2.0, 4.0],
        [8.0, 6.0, 4.0, 2.0, 0.0],
        [10.0, 9.9, 9.0, 7.0, 0.0],
    ],
    ids=["one", "two", "flat", "zero", "rising", "back-up", "straight", "concave"],
)
def test_elbow_is_none_where_the_curve_has_none(ssd):
    assert _elbow(np.arange(2, 2 + len(ssd)), ssd) is None


def test_a_curve_that_rises_first_is_measured_from_its_first_point():
    ks, ssd = np.array([2, 3, 4, 5]), np.array([6.0, 9.0, 3.0, 0.0])
    np.testing.assert_allclose(elbow_scores(ks, ssd), [0, -2 / 3, -1 / 3, -1 / 3], atol=1e-15)
    assert _elbow(ks, ssd) is None


def test_elbow_scores_are_undefined_where_nothing_falls():
    assert np.isnan(elbow_scores(np.array([2, 3]), np.array([2.0, 1.0]))).all()
    assert np.isnan(elbow_scores(np.array([2, 3, 4]), np.array([2.0, 1.0, 2.0]))).all()


@given(
    st.lists(st.integers(1, 60), min_size=3, max_size=20, unique=True),
    st.data(),
)
def test_elbow_scores_equal_the_distance_to_the_chord_and_ignore_scale(ks, data):
    ks = sorted(ks)
    ssd = data.draw(st.lists(st.floats(0.0, 1e6), min_size=len(ks), max_size=len(ks)))
    ssd = sorted(ssd, reverse=True)
    if ssd[0] - ssd[-1] < 1e-6:
        ssd[0] += 1.0
    scores = elbow_scores(np.array(ks), np.array(ssd))
    np.testing.assert_allclose(scores, _slow_elbow_scores(ks, ssd), atol=1e-12)
    np.testing.assert_allclose(elbow_scores(np.array(ks), np.array(ssd) * 8.0), scores, atol=1e-12)
    assert scores[0] == 0
    assert scores[-1] == pytest.approx(0, abs=1e-12)


def test_maximum_score_skips_undefined_and_takes_the_smallest_k_of_a_tie():
    ks = np.array([1, 2, 3, 4])
    assert maximum_score(ks, np.array([np.nan, 0.1, 0.4, 0.4])) == 3
    assert maximum_score(ks, np.array([np.nan, 0.1, 0.4, 0.4 + 1e-15])) == 3
    assert maximum_score(ks, np.full(4, np.nan)) is None


def test_near_ties_are_within_the_stated_distance_and_leave_out_the_choice():
    ks = np.array([2, 3, 4, 5])
    assert near_ties("ssd", ks, np.array([9.0, 1.02, 1.009, 1.0]), 5) == [4]
    assert near_ties("silhouette", ks, np.array([0.295, 0.3, 0.28, np.nan]), 3) == [2]
    assert near_ties("elbow", ks, np.array([0.0, 0.50, 0.48, 0.0]), 3) == [4]
    assert near_ties("elbow", ks, np.full(4, np.nan), None) == []


def test_every_criterion_gives_one_score_per_k():
    fits = [Fit(k, None, ssd, None, 0.0) for k, ssd in ((1, 3.0), (2, 1.0), (3, 0.5))]
    findings = apply_criteria(fits, np.array([np.nan, 0.5, 0.2]))
    assert set(findings.chosen) == {"ssd", "elbow", "silhouette"}
    for name, chosen in findings.chosen.items():
        assert findings.table[name].shape == (3,)
        assert chosen in {2, 3}
