"""From prices to findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shapecluster import LocalKShape, ShapeNeighbors
from shapecluster.datasets import make_market
from shapecluster.metrics import sbd_distances
from shapecluster.preprocessing import LogReturns
from shapecluster.prices import load_prices
from shapecluster.prices._load import load_sectors
from shapecluster.report._analysis import analyze, find_near_identical
from shapecluster.report._findings import PriceSource, StocksSettings
from shapecluster.report._inputs import clean

PLAIN = PriceSource("file", "Prices from a file")


def run(prices: pd.DataFrame, source: PriceSource = PLAIN, **settings):
    cleaned, report = clean(prices)
    asked = StocksSettings(**({"k": (2, 3), "max_shift": 3} | settings))
    return analyze(cleaned, asked, source, report.events)


@pytest.fixture(scope="module")
def complete():
    return make_market(15, 3, 80, n_pairs=1, random_state=0)


# Clusters


def test_clusters_are_those_of_the_estimator_on_log_returns(complete):
    found = run(complete.prices, k=(3,), seed=5).findings
    returns = LogReturns().fit_transform(complete.prices)
    labels = LocalKShape(3, max_shift=3, random_state=5).fit(returns).labels_
    assert found.members.set_index("ticker")["cluster"].loc[complete.prices.index].tolist() == labels.tolist()


def test_every_stock_is_in_one_cluster_and_the_nearest_to_its_center_comes_first(analysis):
    found = analysis.findings
    tickers = [ticker for cluster in found.clusters for ticker in cluster.tickers]
    assert sorted(tickers) == sorted(analysis.series.index)
    for _, rows in found.members.groupby("cluster"):
        assert rows["sbd"].is_monotonic_increasing


def test_clusters_come_by_size_with_their_sectors_by_frequency(analysis, sectors):
    clusters = analysis.findings.clusters
    sizes = [len(cluster.tickers) for cluster in clusters]
    assert sizes == sorted(sizes, reverse=True)
    for cluster in clusters:
        counts = pd.Series([sectors[ticker] for ticker in cluster.tickers]).value_counts()
        assert dict(cluster.sectors) == counts.to_dict()
        assert cluster.dominant_share == counts.max() / counts.sum()


def test_sector_agreement_is_high_where_sectors_move_together():
    market = make_market(30, 3, 250, sector_vol=0.03, random_state=0)
    source = replace(PLAIN, sectors=dict(market.sectors), sectors_from="the truth")
    assert run(market.prices, source, k=(3,)).findings.sector_agreement > 0.9


def test_without_sectors_nothing_is_said_of_them(complete):
    found = run(complete.prices).findings
    assert found.sector_agreement is None
    assert found.clusters[0].dominant_share is None
    assert found.clusters[0].title().endswith("stocks")


# The number of clusters


def test_choice_tells_what_every_criterion_says(complete):
    choice = run(complete.prices, k=(2, 3, 4, 5)).findings.choice
    assert choice.k == 5
    assert choice.least_ssd_is_largest_k
    said = " ".join(choice.sentences())
    assert "Clusters are shown for k = 5, chosen by the minimum SSD out of k = 2 to 5." in said
    assert "The minimum SSD is at the largest k tried, 5." in said
    assert "the silhouette chooses k = " in said


def test_another_criterion_decides_which_clusters_are_shown(complete):
    found = run(complete.prices, k=(2, 3, 4, 5), criterion="silhouette").findings
    assert found.choice.k == found.choice.by_criterion["silhouette"]
    assert len(found.clusters) == found.choice.k


def test_a_single_k_makes_no_claim(complete):
    found = run(complete.prices, k=(4,)).findings
    assert not found.choice.least_ssd_is_largest_k
    assert found.choice.sentences() == ["Clusters are shown for k = 4, the only k that was tried."]


def test_default_k_stops_below_the_number_of_stocks_and_says_so(complete):
    found = run(complete.prices, k=None).findings
    assert found.choice.tried == tuple(range(2, 15))
    assert any("Only 15 stocks, so k goes up to 14" in note for note in found.notes)


# Near-identical pairs


def test_the_planted_pair_is_the_only_near_identical_one(complete):
    found = run(complete.prices).findings
    assert found.n_identical == 1
    assert set(found.pairs.loc[0, ["first", "second"]]) == set(complete.pairs.iloc[0])
    assert found.pairs.loc[0, "correlation"] > 0.95


def test_pairs_agree_with_the_distances(complete):
    series = LogReturns().fit_transform(complete.prices)
    found, n = find_near_identical(series, StocksSettings(max_shift=3, near_identical=0.6), "error", {})
    sbd = sbd_distances(series, max_shift=3)
    assert n == (np.triu(sbd <= 0.6, k=1)).sum()
    at = {ticker: row for row, ticker in enumerate(series.index)}
    for pair in found.itertuples():
        assert pair.sbd == sbd[at[pair.first], at[pair.second]]


def test_lag_is_positive_where_the_second_trails_the_first():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=203)
    rows = [shared[3:], shared[1:-2], rng.normal(size=200), rng.normal(size=200)]
    series = pd.DataFrame(rows, index=list("ABCD"))
    found, n = find_near_identical(series, StocksSettings(max_shift=5), "error", {})
    assert n == 1
    assert found.loc[0, ["first", "second", "lag"]].tolist() == ["A", "B", 2]
    assert found.loc[0, "correlation"] == pytest.approx(1)
    assert found.loc[0, "coverage"] == pytest.approx(198 / 200)


def test_a_late_listed_twin_is_near_identical_though_its_sbd_is_large(complete):
    stock, twin = complete.pairs.iloc[0]
    prices = complete.prices.copy()
    prices.loc[twin, prices.columns[:40]] = np.nan
    found = run(prices).findings
    assert found.n_identical == 1
    assert set(found.pairs.loc[0, ["first", "second"]]) == {stock, twin}
    assert found.pairs.loc[0, "sbd"] > 0.15  # far above the limit of 0.05
    assert found.pairs.loc[0, "coverage"] == pytest.approx(39 / 79)


def test_the_nearest_pairs_are_shown_when_none_is_near_identical():
    found = run(make_market(12, 3, 80, random_state=0).prices).findings
    assert found.n_identical == 0
    assert len(found.pairs) == 10
    assert found.pairs["sbd"].is_monotonic_increasing


# Look-alikes


def test_look_alikes_are_those_of_shape_neighbors(complete):
    stock, twin = complete.pairs.iloc[0]
    other = next(ticker for ticker in complete.prices.index if ticker not in (stock, twin))
    found = run(complete.prices, portfolio=(stock, other), n_look_alikes=4).findings
    expected = ShapeNeighbors(max_shift=3).fit(LogReturns().fit_transform(complete.prices))
    table = expected.similar([stock, other], 4)
    assert found.look_alikes["look_alike"].tolist() == table["look_alike"].tolist()
    assert found.look_alikes["rank"].tolist() == [1, 2, 3, 4] * 2
    assert found.look_alikes.loc[0, "look_alike"] == twin
    assert (
        found.basket["look_alike"].tolist()
        == expected.similar([stock, other], 4, basket=True)["look_alike"].tolist()
    )


def test_without_a_portfolio_there_are_no_look_alikes(complete):
    found = run(complete.prices).findings
    assert found.look_alikes is None
    assert found.basket is None


# What is refused, and what is noted


def test_unknown_holdings_are_all_listed_with_what_may_be_meant(complete):
    known = complete.prices.index[0]
    with pytest.raises(ValueError, match=rf"'{known.lower()}' \(is '{known}' meant\?\), 'NOPE', 'NADA'"):
        run(complete.prices, portfolio=(known.lower(), "NOPE", "NADA"))


def test_a_holding_that_cleaning_dropped_is_explained(complete):
    prices = complete.prices.copy()
    prices.loc[prices.index[3]] = np.nan
    with pytest.raises(ValueError, match=rf"'{prices.index[3]}' \(dropped while cleaning: no prices\)"):
        run(prices, portfolio=(prices.index[3],))


def test_k_above_the_number_of_stocks_is_refused(complete):
    with pytest.raises(ValueError, match=r"k must be at most the number of stocks, 15\. Got 16 instead"):
        run(complete.prices, k=(2, 16))


def test_two_stocks_are_too_few(complete):
    with pytest.raises(ValueError, match=r"at least 3 stocks\. Got 2 instead"):
        run(complete.prices.iloc[:2])


def test_a_portfolio_of_everything_is_refused(complete):
    with pytest.raises(ValueError, match="leaves none to be a look-alike"):
        run(complete.prices, portfolio=tuple(complete.prices.index))


def test_levels_come_with_a_warning(complete):
    notes = run(complete.prices, on="levels", max_shift=None).findings.notes
    assert any("two trending prices look alike whatever the companies do" in note for note in notes)
    assert not any("two trending" in note for note in run(complete.prices).findings.notes)


def test_flat_stocks_and_missing_sectors_are_noted(complete):
    prices = complete.prices.copy()
    prices.loc[prices.index[4]] = 10.0
    source = replace(PLAIN, sectors={prices.index[0]: "A", prices.index[1]: "B"}, sectors_from="s.csv")
    notes = " ".join(run(prices, source).findings.notes)
    assert prices.index[4] in notes
    assert "13 stocks have no sector in s.csv" in notes


def test_rarely_seen_stocks_are_noted(complete):
    prices = complete.prices.copy()
    prices.loc[prices.index[2], prices.columns[:60]] = np.nan
    assert any(
        "1 stock has prices on less than half of the days" in note and prices.index[2] in note
        for note in run(prices).findings.notes
    )


def test_look_alikes_of_months_ago_are_noted_when_all_lags_are_allowed():
    rng = np.random.default_rng(3)
    walk = rng.normal(size=330).cumsum()
    rows = [
        np.exp(walk[:250] / 20),
        np.exp(walk[80:] / 20),
        *np.exp(rng.normal(size=(4, 250)).cumsum(1) / 50),
    ]
    days = pd.bdate_range("2020-01-01", periods=250, name="date")
    prices = pd.DataFrame(rows, index=pd.Index(list("ABCDEF"), name="ticker"), columns=days)
    found = run(prices, portfolio=("A",), max_shift=None, on="log-returns", n_look_alikes=1).findings
    assert abs(found.look_alikes.loc[0, "lag"]) == 80
    assert any("match at a lag of more than a month (up to 80 trading days)" in note for note in found.notes)


def test_progress_is_reported_from_start_to_end(complete):
    steps = []
    cleaned, report = clean(complete.prices)
    settings = StocksSettings(k=(2, 3), portfolio=(complete.prices.index[0],), max_shift=0)
    analyze(cleaned, settings, PLAIN, report.events, progress=lambda *step: steps.append(step))
    assert steps[:3] == [("Clustering", 0, 2), ("Clustering", 1, 2), ("Clustering", 2, 2)]
    assert steps[-1] == ("Finding look-alikes", 1, 1)


def test_the_same_input_gives_the_same_findings_for_any_number_of_threads(complete):
    one, two = (run(complete.prices, n_jobs=n).findings for n in (1, 2))
    pd.testing.assert_frame_equal(one.members, two.members)
    pd.testing.assert_frame_equal(one.sweep, two.sweep)


# Real prices


def test_two_listings_of_one_company_are_the_nearest_pair_of_the_lab(shared_data):
    market = shared_data / "market"
    sectors = load_sectors(market / "seed_lab_sectors_2020-05-29.csv")
    source = replace(PLAIN, sectors=dict(sectors), sectors_from="the list of 2020")
    prices = load_prices(market / "seed_lab_2020_adj_close.csv.gz")
    found = run(prices, source, k=(2, 6, 20), max_shift=5, portfolio=("JPM",)).findings
    assert set(found.pairs.loc[0, ["first", "second"]]) == {"GOOG", "GOOGL"}
    assert found.choice.least_ssd_is_largest_k
    assert set(found.look_alikes["sector"]) == {"Financials"}
    assert found.sector_agreement > 0.2
