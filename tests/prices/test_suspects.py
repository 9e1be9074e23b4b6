"""Prices that look wrong: what clean_prices flags, what it repairs, and how well on real prices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shapecluster.prices import clean_prices, load_prices
from tests.prices.panels import NAN, frame, market, noted
from tests.prices.suspects import measure, read_truth


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_stocks", [30, 3])  # with and without a market to remove
def test_planted_misprints_jumps_and_flat_stretches_are_flagged_and_not_altered(rng, dtype, n_stocks):
    prices = market(rng, n_stocks).astype(dtype)
    prices.iloc[0, 50] *= dtype(1.4)
    prices.iloc[1, 120:] *= dtype(0.5)
    prices.iloc[2, 200:208] = prices.iloc[2, 199]
    clean, report = clean_prices(prices)
    pd.testing.assert_frame_equal(clean, prices)
    days = prices.columns
    assert noted(report, "ticker", "kind", "action", "start", "end") == [
        ("S0", "bad print", "flagged", days[50], days[50]),
        ("S1", "jump", "flagged", days[120], days[120]),
        ("S2", "flat stretch", "flagged", days[200], days[207]),
    ]
    events = report.events
    rise, halving = (float(text.split("%")[0]) for text in events["detail"][:2])
    assert 35 < rise < 45  # percent of the price, though sizes are log-returns
    assert -55 < halving < -45
    assert events["size"][0] == pytest.approx(np.log(1.4), abs=0.1)
    assert events["size"][1] == pytest.approx(np.log(0.5), abs=0.1)
    assert events["score"][0] >= 8
    assert events["score"][1] >= 16


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_misprints_are_repaired_on_request_and_nothing_else(rng, dtype):
    prices = market(rng).astype(dtype)
    broken = prices.copy()
    broken.iloc[0, 50] *= dtype(1.4)
    broken.iloc[1, 120:] *= dtype(0.5)
    clean, report = clean_prices(broken, bad_prints="repair")
    assert clean.iloc[0, 50] == pytest.approx(np.sqrt(prices.iloc[0, 49] * prices.iloc[0, 51]), rel=1e-6)
    assert set(clean.dtypes) == {np.dtype(dtype)}
    untouched = clean.copy()
    untouched.iloc[0, 50] = broken.iloc[0, 50]
    pd.testing.assert_frame_equal(untouched, broken)
    assert noted(report, "kind", "action") == [("bad print", "repaired"), ("jump", "flagged")]
    assert "became" in report.events["detail"][0]


def test_a_misprint_before_a_gap_is_repaired_together_with_what_was_filled_from_it(rng):
    prices = market(rng)
    broken = prices.copy()
    broken.iloc[0, 50] *= 1.4
    broken.iloc[0, 51:53] = NAN
    clean, _ = clean_prices(broken, bad_prints="repair")
    expected = np.sqrt(prices.iloc[0, 49] * prices.iloc[0, 53])
    np.testing.assert_allclose(clean.iloc[0, 50:53], expected)


@pytest.mark.parametrize(
    "levels",
    [[0.4, -0.2, 0.0], [0.4, 0.0, 0.4]],  # two misprints; and a misprint before or after a jump
)
def test_a_misprint_beside_another_suspect_is_not_repaired(rng, levels):
    broken = market(rng, own=0.005)
    broken.iloc[0, 50:52] *= np.exp(levels[:2])
    broken.iloc[0, 52:] *= np.exp(levels[2])
    clean, report = clean_prices(broken, bad_prints="repair")
    pd.testing.assert_frame_equal(clean, broken)
    assert noted(report, "kind", "action") == [  # two neighbors never are two misprints: one tells it all
        ("bad print", "not repaired: neighbor suspect"),
        ("jump", "flagged"),
    ]


def test_two_misprints_with_a_good_price_between_them_are_both_repaired(rng):
    prices = market(rng, own=0.005)
    broken = prices.copy()
    broken.iloc[0, [50, 52]] *= [1.5, 1.3]
    clean, _ = clean_prices(broken, bad_prints="repair")
    np.testing.assert_allclose(clean, prices, rtol=0.1)


@pytest.mark.parametrize(
    ("back", "kinds"), [(0.25, ["bad print"]), (0.15, ["jump", "jump"])]
)  # of a jump of 0.4
def test_a_print_has_reverted_when_at_most_half_of_its_larger_move_is_left(rng, back, kinds):
    prices = market(rng, own=0.005)
    prices.iloc[0, 50] *= np.exp(0.4)
    prices.iloc[0, 51:] *= np.exp(0.4 - back)
    _, report = clean_prices(prices)
    assert [kind for (kind,) in noted(report, "kind")] == kinds


@pytest.mark.parametrize(("size", "count"), [(0.02, 0), (0.04, 1)])
def test_small_prints_are_not_worth_a_flag_however_unusual(rng, size, count):
    prices = market(rng, own=0.001)
    prices.iloc[0, 50] *= np.exp(size)
    assert len(clean_prices(prices).report.events) == count


def test_a_return_over_several_days_may_be_larger(rng):
    prices = market(rng)
    prices.iloc[0, 106:] *= np.exp(0.4)
    _, report = clean_prices(prices)
    assert noted(report, "kind") == [("jump",)]
    prices.iloc[0, 101:106] = NAN  # the same move in six days instead of one
    _, report = clean_prices(prices)
    assert noted(report, "kind") == [("short gap",)]


@pytest.mark.parametrize(("length", "count"), [(4, 0), (5, 1)])
def test_flat_stretches_are_reported_from_the_given_length_on(rng, length, count):
    prices = market(rng)
    prices.iloc[0, 100 : 100 + length] = prices.iloc[0, 99]
    assert len(clean_prices(prices, flat_days=5).report.events) == count


def test_a_crash_of_the_whole_market_is_no_suspect(rng):
    prices = market(rng)
    prices.iloc[:, 150:] *= 0.7
    prices.iloc[:, 200] *= 1.3
    assert len(clean_prices(prices).report.events) == 0


def test_filled_days_are_no_flat_stretch_and_the_return_after_a_gap_may_be_larger(rng):
    prices = market(rng)
    prices.iloc[0, 100:106] = NAN
    _, report = clean_prices(prices, max_gap=6)
    assert noted(report, "kind") == [("short gap",)]


def test_stocks_too_short_to_judge_are_named():
    _, report = clean_prices(frame({"A": [1, 2, 3, 4.0], "B": [1, 2, 3, 5.0]}))
    assert list(report.events["kind"]) == ["not screened", "not screened"]
    assert "2 x not screened, kept: A, B." in report.summary()


def test_suspects_of_the_real_panel_are_found(shared_data):
    """Floors a little below what benchmarks/clean_prices.py measures: 10/10, 18/27, 21 of 37, 18 of 149."""
    panel = load_prices(shared_data / "market" / "panel_a_sp500_close_2013_2018.parquet")
    _, report = clean_prices(panel, late_listings="keep", long_gaps="keep")
    found = measure(
        report.events, read_truth(shared_data / "market" / "panel_a_suspect_returns.csv", panel.columns)
    )
    assert (found.misprints, found.lasting, found.moved, found.reference) == (10, 27, 7, 1)
    assert found.misprints_found >= 9
    assert found.lasting_found >= 17
    assert found.prints_on_known_days / found.prints_flagged >= 0.5
    assert found.lasting_found / found.jumps_flagged >= 0.11
    assert found.moved_flagged <= 1
