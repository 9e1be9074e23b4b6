"""clean_prices: what each policy does, what the report says, and how well suspects are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shapecluster.datasets import clean_prices, load_prices
from tests.datasets.suspects import measure, read_truth

NAN = np.nan


def frame(rows: dict[str, list[float]], start: str = "2020-02-03", dtype: type = np.float64) -> pd.DataFrame:
    length = len(next(iter(rows.values())))
    columns = pd.DatetimeIndex(pd.bdate_range(start, periods=length).to_numpy(), name="date")
    index = pd.Index(list(rows), name="ticker")
    return pd.DataFrame(np.array(list(rows.values()), dtype=dtype), index=index, columns=columns)


def market(rng: np.random.Generator, n_stocks: int = 30, n_days: int = 300) -> pd.DataFrame:
    """Calm prices: nothing to flag."""
    returns = 0.01 * rng.standard_normal(n_days) + 0.015 * rng.standard_normal((n_stocks, n_days))
    names = [f"S{row}" for row in range(n_stocks)]
    return frame(dict(zip(names, 100 * np.exp(returns.cumsum(axis=1)), strict=True)))


def noted(report, *columns: str) -> list[tuple]:
    """What the report says, without the remark that a short series cannot be judged."""
    events = report.events[report.events["kind"] != "not screened"]
    return list(events[list(columns)].itertuples(index=False, name=None))


# Nothing to do


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clean_prices_are_left_alone(rng, dtype):
    prices = market(rng).astype(dtype)
    before = prices.copy()
    cleaned = clean_prices(prices)
    pd.testing.assert_frame_equal(cleaned.prices, before)
    pd.testing.assert_frame_equal(prices, before)
    assert len(cleaned.report.events) == 0
    assert cleaned.report.summary() == "30 stocks x 300 days in, 30 stocks x 300 days out."


def test_the_given_frame_is_never_written_to():
    prices = frame({"A": [1, NAN, 3, -4], "B": [1, 2, 3, 4], "C": [4, 3, 2, 1]})
    before = prices.copy()
    clean_prices(prices, late_listings="keep")
    pd.testing.assert_frame_equal(prices, before)


# Gaps


def test_short_gaps_are_filled_forward_and_reported():
    clean, report = clean_prices(frame({"A": [1, NAN, NAN, 4], "B": [1, 2, 3, 4], "C": [1, 2, 3, 4]}))
    assert clean.loc["A"].tolist() == [1, 1, 1, 4]
    day = pd.Timestamp
    assert noted(report, "ticker", "kind", "action", "start", "end", "n_days") == [
        ("A", "short gap", "filled forward", day("2020-02-04"), day("2020-02-05"), 2)
    ]


@pytest.mark.parametrize(("policy", "left"), [("drop", ["B", "C"]), ("keep", ["A", "B", "C"])])
def test_stocks_with_long_gaps_are_dropped_or_kept_with_nan(policy, left):
    prices = frame({"A": [1, NAN, NAN, 4, NAN, 6], "B": [1, 2, 3, 4, 5, 6], "C": [1, 2, 3, 4, 5, 6]})
    clean, report = clean_prices(prices, max_gap=1, long_gaps=policy)
    assert clean.index.tolist() == left
    if policy == "keep":
        np.testing.assert_array_equal(clean.loc["A"], [1, NAN, NAN, 4, 4, 6])  # the short one is filled
        assert noted(report, "kind", "action") == [
            ("long gap", "kept with NaN"),
            ("short gap", "filled forward"),
        ]
    else:
        assert noted(report, "ticker", "kind", "action", "n_days") == [("A", "long gap", "stock dropped", 2)]


def test_intersection_drops_days_instead_of_filling():
    prices = frame({"A": [1, NAN, 3, 4], "B": [1, 2, 3, 4], "C": [NAN, 2, 3, 4]})
    clean, report = clean_prices(prices, calendar="intersection", late_listings="keep")
    np.testing.assert_array_equal(clean.loc["A"], [1, 3, 4])
    np.testing.assert_array_equal(clean.loc["C"], [NAN, 3, 4])
    assert noted(report, "kind", "action", "detail")[-1] == (
        "incomplete day",
        "day dropped",
        "1 stocks have no price",
    )


# Listings


@pytest.mark.parametrize("policy", ["drop", "keep"])
def test_late_listings_and_early_ends_follow_the_policy(policy):
    prices = frame({
        "LATE": [NAN, NAN, 3, 4], "GONE": [1, 2, 3, NAN], "BRIEF": [NAN, 2, 3, NAN],
        "NONE": [NAN] * 4, "A": [1, 2, 3, 4], "B": [1, 2, 3, 4],
    })  # fmt: skip
    clean, report = clean_prices(prices, late_listings=policy)
    action = "kept with NaN" if policy == "keep" else "stock dropped"
    assert noted(report, "ticker", "kind", "action", "n_days") == [
        ("LATE", "late listing", action, 2),
        ("GONE", "early end", action, 1),
        ("BRIEF", "late listing", action, 1),
        ("BRIEF", "early end", action, 1),
        ("NONE", "no prices", "stock dropped", 4),
    ]
    kept = ["LATE", "GONE", "BRIEF", "A", "B"] if policy == "keep" else ["A", "B"]
    assert clean.index.tolist() == kept
    pd.testing.assert_frame_equal(clean, prices.loc[kept])


def test_nothing_left_is_an_error_that_says_why():
    message = r"leave 0 stocks and 4 days \(1 x late listing: stock dropped; 1 x early end: .*keep"
    with pytest.raises(ValueError, match=message):
        clean_prices(frame({"A": [NAN, 2, 3, 4], "B": [1, 2, 3, NAN]}))
    with pytest.raises(ValueError, match=r"leave 2 stocks and 0 days \(3 x thin day"):
        clean_prices(frame({"A": [NAN] * 3, "B": [NAN] * 3}))


# The calendar


def test_days_on_which_nearly_nobody_traded_are_dropped(rng):
    prices = market(rng)
    holiday = prices.columns[100]
    prices.loc[prices.index[1:], holiday] = NAN
    clean, report = clean_prices(prices)
    assert clean.shape == (30, 299)
    assert holiday not in clean.columns
    assert noted(report, "ticker", "kind", "action", "start", "detail") == [
        ("", "thin day", "day dropped", holiday, "1 of 30 listed stocks have a price")
    ]


def test_days_that_repeat_the_day_before_are_dropped(rng):
    prices = market(rng)
    holiday = prices.columns[100]
    prices.loc[prices.index[1:], holiday] = prices.loc[prices.index[1:], prices.columns[99]]
    clean, report = clean_prices(prices)
    assert holiday not in clean.columns
    assert noted(report, "kind", "start", "detail") == [
        ("frozen day", holiday, "29 of 30 prices are those of the day before")
    ]


def test_stocks_that_are_not_listed_yet_do_not_make_a_day_thin():
    prices = frame({"A": [1, 2, 3, 4], **{f"L{row}": [NAN, NAN, 3, 4] for row in range(9)}})
    clean, _ = clean_prices(prices, late_listings="keep")
    assert clean.shape == (10, 4)


def test_a_holiday_is_no_gap():
    prices = frame({name: [1, NAN, 3, 4] for name in "ABC"})
    clean, report = clean_prices(prices)
    assert clean.shape == (3, 3)
    assert noted(report, "kind") == [("thin day",)]


# Prices that cannot be


def test_zero_and_negative_prices_become_gaps():
    prices = frame({"A": [1, 0, -2, 4], "B": [1, 2, 3, 4], "C": [1, 2, 3, 4]})
    clean, report = clean_prices(prices)
    assert clean.loc["A"].tolist() == [1, 1, 1, 4]
    assert noted(report, "kind", "action", "n_days", "detail") == [
        ("non-positive price", "set to missing", 2, "the least is -2"),
        ("short gap", "filled forward", 2, "with 1"),
    ]


# Suspects


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


# The report


def test_the_summary_names_stocks_and_days():
    prices = frame({"A": [1, NAN, 3, 4], "B": [1, 2, 3, 4], "NEW": [NAN, NAN, 3, 4]})
    _, report = clean_prices(prices)
    assert str(report).splitlines()[:3] == [
        "3 stocks x 4 days in, 2 stocks x 4 days out.",
        "1 x late listing, stock dropped: NEW.",
        "1 x short gap, filled forward: A.",
    ]


# Bad input


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ([[1, 2]], "clean_prices takes a DataFrame.*Got list instead"),
        (frame({"A": [1, 2, 3]}).T, "rows of X are dates.*Pass X.T"),
        (pd.DataFrame([[1.0, 2.0]]), "columns of prices must be dates.*Got RangeIndex"),
        (frame({"A": [1, 2, 3]}).iloc[:, ::-1], "dates .* must increase"),
        (frame({"A": [1, 2, 3]}).iloc[[0, 0]], "rows of X repeat: A"),
        (frame({"A": [1, 2, 3]}).iloc[:0], r"at least one stock and two days. Got shape \(0, 3\)"),
        (frame({"A": [1, 2, 3]}).iloc[:, :1], r"at least one stock and two days. Got shape \(1, 1\)"),
        (frame({"A": [1, np.inf, 3]}), "infinite prices for A"),
        (frame({"A": [1, 2, 3]}).astype(object).replace(2.0, "x"), "prices must be numbers"),
        (
            pd.DataFrame([[1.0, 2]], columns=pd.DatetimeIndex(["2020-02-03 09:00", "2020-02-03 10:00"])),
            "these days repeat: 2020-02-03",
        ),
    ],
)
def test_bad_prices_get_one_clear_message(prices, message):
    with pytest.raises((TypeError, ValueError), match=message):
        clean_prices(prices)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"calendar": "both"},
            r"calendar of clean_prices must be one of \('union', 'intersection'\). Got 'both'",
        ),
        ({"long_gaps": "fill"}, "long_gaps of clean_prices must be one of"),
        ({"late_listings": True}, "late_listings of clean_prices must be one of.*Got True"),
        ({"bad_prints": "drop"}, "bad_prints of clean_prices must be one of"),
        ({"min_traded": 1.5}, "min_traded of clean_prices must be a share between 0 and 1. Got 1.5"),
        ({"max_gap": -1}, "max_gap of clean_prices must be an int of at least 0. Got -1"),
        ({"max_gap": 2.5}, "max_gap of clean_prices must be an int of at least 0. Got 2.5"),
        ({"flat_days": 0}, "flat_days of clean_prices must be an int of at least 1"),
        ({"min_print": 0.0}, "min_print of clean_prices must be positive. Got 0.0"),
        ({"min_jump": NAN}, "min_jump of clean_prices must be positive. Got nan"),
    ],
)
def test_bad_options_get_one_clear_message(option, message):
    with pytest.raises(ValueError, match=message):
        clean_prices(frame({"A": [1, 2, 3]}), **option)


# The real panel


@pytest.fixture(scope="module")
def panel(shared_data):
    return load_prices(shared_data / "market" / "panel_a_sp500_close_2013_2018.parquet")


def test_the_real_panel_comes_out_complete_with_the_defaults(panel):
    clean, report = clean_prices(panel)
    assert clean.shape == (473, 1259)
    assert set(clean.dtypes) == {np.dtype(np.float32)}
    assert not clean.isna().to_numpy().any()
    events = report.events
    counts = events.groupby("kind")["ticker"].nunique()
    assert counts["late listing"] == 29
    assert sorted(events.loc[events["kind"] == "long gap", "ticker"]) == ["DHR", "ES", "O"]
    assert sorted(set(events.loc[events["kind"] == "short gap", "ticker"])) == ["BMY", "ICE", "ORCL"]
    gone = set(panel.index) - set(clean.index)
    assert gone == set(events.loc[events["action"] == "stock dropped", "ticker"])
    changed = (clean != panel.loc[clean.index]).to_numpy()
    assert changed.sum() == events.loc[events["action"] == "filled forward", "n_days"].sum()


def test_late_listings_of_the_real_panel_can_be_kept(panel):
    clean, report = clean_prices(panel, late_listings="keep", long_gaps="keep")
    assert clean.shape == panel.shape
    late = report.events.query("kind in ['late listing', 'long gap']")
    assert int(clean.isna().to_numpy().sum()) == late["n_days"].sum()


def test_suspects_of_the_real_panel_are_found(panel, shared_data):
    """Floors a little below what benchmarks/clean_prices.py measures: 10/10, 18/27, 21 of 37, 18 of 149."""
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
