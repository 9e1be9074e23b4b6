"""clean_prices: what each policy does, and what the report says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shapecluster.prices import clean_prices, load_prices
from tests.prices.panels import NAN, frame, market, noted

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
    assert noted(report, "ticker", "kind", "action", "detail") == [
        ("C", "late listing", "kept with NaN", "the first price is of 2020-02-04"),
        ("", "incomplete day", "day dropped", "1 stocks have no price"),
    ]


def test_intersection_drops_the_days_of_long_gaps_that_are_kept_and_says_so():
    prices = frame({"A": [1, NAN, NAN, NAN, 5, 6], "B": [1, 2, 3, 4, 5, 6], "C": [1, 2, 3, 4, 5, 6]})
    clean, report = clean_prices(prices, calendar="intersection", long_gaps="keep", max_gap=2)
    pd.testing.assert_frame_equal(clean, prices.iloc[:, [0, 4, 5]])
    assert noted(report, "ticker", "kind", "action") == [
        ("A", "long gap", "its days dropped"),
        *[("", "incomplete day", "day dropped")] * 3,
    ]


def test_intersection_drops_short_gaps_at_both_edges():
    prices = frame({"A": [NAN, 2, 3, 4, 5], "B": [1, 2, 3, 4, NAN], "C": [1, 2, 3, 4, 5]})
    clean, report = clean_prices(prices, calendar="intersection", max_gap=1)
    pd.testing.assert_frame_equal(clean, prices.iloc[:, 1:4])
    assert noted(report, "kind") == [("incomplete day",), ("incomplete day",)]


# The first and the last days


@pytest.mark.parametrize("days", [[0], [0, 1], [-2, -1], [-1]])
@pytest.mark.parametrize("policy", ["drop", "keep"])
def test_days_at_the_edge_that_few_stocks_have_cost_no_stock(rng, days, policy):
    prices = market(rng)
    edge = prices.columns[days]
    prices.loc[prices.index[3:], edge] = NAN
    clean, report = clean_prices(prices, late_listings=policy, max_gap=2)
    pd.testing.assert_frame_equal(clean, prices.drop(columns=edge))
    assert noted(report, "kind", "action", "start", "detail") == [
        ("thin day", "day dropped", day, "3 of 30 listed stocks have a price") for day in edge
    ]


def test_a_coin_that_trades_on_holidays_and_weekends_costs_no_stock(rng):
    stocks = market(rng).set_axis(pd.bdate_range("2020-01-02", periods=300), axis=1)
    every_day = pd.date_range("2020-01-01", stocks.columns[-1] + pd.Timedelta(days=2), name="date")
    prices = stocks.reindex(columns=every_day)
    prices.loc["BTC-USD"] = 7000 * np.exp(0.03 * rng.standard_normal(len(every_day)).cumsum())
    clean, report = clean_prices(prices)
    assert clean.index.tolist() == prices.index.tolist()
    assert clean.columns.equals(pd.DatetimeIndex(stocks.columns, name="date"))
    assert {event[0] for event in noted(report, "kind")} == {"thin day"}


def test_many_listings_at_once_make_the_days_before_them_no_thin_days(rng):
    prices = market(rng)
    prices.iloc[3:, :100] = NAN
    clean, _ = clean_prices(prices, late_listings="keep")
    assert clean.shape == (30, 300)


@pytest.mark.parametrize("policy", ["drop", "keep"])
def test_a_short_gap_at_the_end_is_filled_like_any_other_and_a_longer_one_is_an_early_end(policy):
    prices = frame({"A": [1, 2, 3, NAN, NAN], "B": [1, 2, 3, 4, 5], "C": [1, 2, 3, 4, 5]})
    clean, report = clean_prices(prices, max_gap=2, late_listings=policy)
    assert clean.loc["A"].tolist() == [1, 2, 3, 3, 3]
    assert noted(report, "ticker", "kind", "action", "n_days") == [("A", "short gap", "filled forward", 2)]
    _, report = clean_prices(prices, max_gap=1, late_listings=policy)
    assert noted(report, "ticker", "kind", "n_days") == [("A", "early end", 2)]


def test_a_short_gap_at_the_start_costs_its_days_and_a_longer_one_the_stock():
    prices = frame({"A": [NAN, NAN, 3, 4, 5], "B": [1, 2, 3, 4, 5], "C": [1, 2, 3, 4, 5]})
    clean, report = clean_prices(prices, max_gap=2)
    pd.testing.assert_frame_equal(clean, prices.iloc[:, 2:])
    assert (
        noted(report, "ticker", "kind", "action", "detail")
        == [("", "incomplete day", "day dropped", "1 stocks have no price")] * 2
    )
    clean, report = clean_prices(prices, max_gap=1)
    pd.testing.assert_frame_equal(clean, prices.iloc[1:])
    assert noted(report, "ticker", "kind", "action") == [("A", "late listing", "stock dropped")]


@pytest.mark.parametrize(("max_gap", "detail"), [(2, "1 of 3 listed stocks have a price"), (1, None)])
def test_a_stock_with_a_short_gap_at_the_start_counts_as_listed_there(max_gap, detail):
    prices = frame({"A": [NAN, NAN, 3, 4, 5], "B": [NAN, NAN, 3, 4, 5], "C": [1, 2, 3, 4, 5]})
    _, report = clean_prices(prices, max_gap=max_gap)
    thin = [found for kind, found in noted(report, "kind", "detail") if kind == "thin day"]
    assert thin == ([detail] * 2 if detail else [])


def test_a_short_gap_at_the_start_is_kept_on_request_and_reported():
    prices = frame({"A": [NAN, 2, 3, 4], "B": [1, 2, 3, 4], "C": [1, 2, 3, 4]})
    clean, report = clean_prices(prices, late_listings="keep")
    pd.testing.assert_frame_equal(clean, prices)
    assert noted(report, "ticker", "kind", "action") == [("A", "late listing", "kept with NaN")]


# Listings


@pytest.mark.parametrize("policy", ["drop", "keep"])
def test_late_listings_and_early_ends_follow_the_policy(policy):
    prices = frame({
        "LATE": [NAN, NAN, 3, 4], "GONE": [1, 2, 3, NAN], "BRIEF": [NAN, 2, 3, NAN],
        "NONE": [NAN] * 4, "A": [1, 2, 3, 4], "B": [1, 2, 3, 4],
    })  # fmt: skip
    clean, report = clean_prices(prices, late_listings=policy, max_gap=0)
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
        clean_prices(frame({"A": [NAN, 2, 3, 4], "B": [1, 2, 3, NAN]}), max_gap=0)
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


@pytest.mark.parametrize(("n_stocks", "n_days"), [(9, 300), (10, 299)])
def test_fewer_than_ten_stocks_may_all_repeat_their_prices(rng, n_stocks, n_days):
    prices = market(rng, n_stocks)
    prices.iloc[:, 100] = prices.iloc[:, 99]
    assert clean_prices(prices).prices.shape == (n_stocks, n_days)


def test_stocks_that_are_not_listed_yet_do_not_make_a_day_thin():
    prices = frame({"A": [1, 2, 3, 4], **{f"L{row}": [NAN, NAN, 3, 4] for row in range(9)}})
    clean, _ = clean_prices(prices, late_listings="keep", max_gap=1)
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
        ("non-positive price", "set to missing", 2, "the lowest is -2"),
        ("short gap", "filled forward", 2, "with 1"),
    ]


# The report


def test_the_summary_names_stocks_and_days():
    prices = frame({"A": [1, NAN, 3, 4], "B": [1, 2, 3, 4], "NEW": [NAN, NAN, 3, 4]})
    _, report = clean_prices(prices, max_gap=1)
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
        (pd.DataFrame([[1.0, 2.0]]), r"columns of prices must be dates.*Got RangeIndex.*pd\.to_datetime"),
        (
            pd.DataFrame([[1.0, 2.0]], columns=pd.period_range("2020-02-03", periods=2, freq="D")),
            r"columns of prices must be dates.*Got PeriodIndex.*prices\.columns\.to_timestamp\(\)",
        ),
        (frame({"A": [1, 2, 3]}).iloc[:, ::-1], "dates .* must increase"),
        (frame({"A": [1, 2, 3]}).iloc[[0, 0]], "rows of X repeat: A"),
        (frame({"A": [1, 2, 3]}).iloc[:0], r"at least one stock and two days. Got shape \(0, 3\)"),
        (frame({"A": [1, 2, 3]}).iloc[:, :1], r"at least one stock and two days. Got shape \(1, 1\)"),
        (frame({"A": [1, np.inf, 3]}), "infinite prices for A"),
        (
            frame({"A": [1, 2, 3]}).map(lambda price: "x" if price == 2 else price),
            "prices must hold numbers. Got 'x' for 'A'",
        ),
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
        ({"calendar": "both"}, r"a str among \{'(union|intersection)', .*Got 'both' instead"),
        ({"calendar": ["union"]}, r"a str among"),
        ({"long_gaps": "fill"}, "a str among"),
        ({"late_listings": True}, "a str among.*Got True"),
        ({"bad_prints": "drop"}, "a str among"),
        ({"min_traded": 1.5}, r"a float in the range \[0.0, 1.0\]. Got 1.5"),
        ({"min_traded": "x"}, "a float in the range.*Got 'x'"),
        ({"max_gap": -1}, r"an int in the range \[0, inf\). Got -1"),
        ({"max_gap": 2.5}, "an int in the range.*Got 2.5"),
        ({"max_gap": None}, "an int in the range.*Got None"),
        ({"flat_days": 0}, r"an int in the range \[1, inf\)"),
        ({"min_print": 0.0}, r"a float in the range \(0.0, inf\]. Got 0.0"),
        ({"min_print": "8"}, "a float in the range.*Got '8'"),
        ({"min_jump": NAN}, "a float in the range.*Got nan"),
    ],
)
def test_bad_options_get_one_clear_message(option, message):
    with pytest.raises(
        ValueError, match=f"^The '{next(iter(option))}' parameter of clean_prices must be {message}"
    ):
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
