from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from shapecluster import HistoricalAnalogues, LocalKShape
from shapecluster.preprocessing import MinMax
from shapecluster.prices import load_prices
from tests.reference import analogues as reference

DAYS = pd.date_range("2019-01-01", periods=140, freq="B", name="date")


def walks(rng, n_tickers=6, n_days=140):
    """Random walks, with a gap, a late listing and a halt."""
    prices = 50 * np.exp(0.02 * rng.normal(size=(n_tickers, n_days)).cumsum(axis=1))
    prices[1, :30] = np.nan
    prices[2, 70] = np.nan
    prices[3, 40:90] = prices[3, 40]
    names = pd.Index([f"T{i}" for i in range(n_tickers)], name="ticker")
    return pd.DataFrame(prices, index=names, columns=DAYS[:n_days])


def fitted(prices, **parameters):
    given = {"window": 24, "horizon": 5, "random_state": 0} | parameters
    return HistoricalAnalogues(**given).fit(prices)


@pytest.fixture
def prices(rng):
    return walks(rng)


def expected(model, prices, query, n, *, own, end, known):
    """The answer of the reference as a table."""
    half = model.window // 2
    found = reference.analogues(
        prices.to_numpy(),
        query,
        n,
        own=own,
        end=end,
        known=known,
        step=model.step,
        horizon=model.horizon,
        exclusion=half if model.exclusion == "half" else model.exclusion,
        before=model.before,
        values=model.values,
        max_shift=model.max_shift if model.clusterer is None else model.clusterer.max_shift,
    )
    return pd.DataFrame(found)


def assert_same(table, reference_table, prices):
    assert table["ticker"].tolist() == prices.index[reference_table["row"]].tolist()
    assert table["end"].tolist() == prices.columns[reference_table["end"]].tolist()
    assert table["shift"].tolist() == reference_table["shift"].tolist()
    np.testing.assert_allclose(table["sbd"], reference_table["sbd"], atol=3e-6)
    np.testing.assert_allclose(table["followed"], reference_table["followed"], rtol=1e-9)


class TestAgainstTheReference:
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"values": "returns"},
            {"before": "start", "exclusion": 3},
            {"step": 4, "exclusion": 0},
            {"max_shift": None},
            {"clusterer": LocalKShape(4, max_shift=2, random_state=0)},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("as_of", [None, 100])
    def test_a_ticker(self, prices, parameters, as_of):
        model = fitted(prices, **parameters)
        end = prices.shape[1] - 1 if as_of is None else as_of
        date = None if as_of is None else prices.columns[as_of]
        answer = model.analogues("T0", 8, as_of=date, exact=True)
        query = prices.to_numpy()[0, end - 23 : end + 1]
        assert_same(answer.table, expected(model, prices, query, 8, own=0, end=end, known=end), prices)

    def test_prices_from_elsewhere_find_every_window(self, prices, rng):
        model = fitted(prices, before="start")
        query = 10 + rng.normal(size=24).cumsum() / 10
        answer = model.analogues(query, 8, exact=True)
        assert_same(answer.table, expected(model, prices, query, 8, own=None, end=500, known=139), prices)

    def test_prices_from_elsewhere_with_a_date(self, prices, rng):
        model = fitted(prices)
        query = 10 + rng.normal(size=24).cumsum() / 10
        answer = model.analogues(pd.Series(query, name="mine"), 8, as_of=prices.columns[90], exact=True)
        assert_same(answer.table, expected(model, prices, query, 8, own=None, end=90, known=90), prices)
        assert answer.query.name == "mine"
        assert answer.query.index.equals(prices.columns[67:91])


@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_pipeline_gives_cells_too(prices, is_fitted):
    """Scaling changes no shape, so answers are those without it."""
    clusterer = LocalKShape(4, max_shift=2, random_state=0)
    pipe = make_pipeline(MinMax(), clusterer)
    if is_fitted:
        windows = prices.to_numpy()[[0, 4, 5], :72].reshape(-1, 24)
        pipe.fit(windows)
    scaled = fitted(prices, clusterer=pipe).update(later(prices))
    assert scaled.index_.clusterer_.steps[0][0] == "minmax"
    plain = fitted(prices, clusterer=clusterer).update(later(prices))
    one, other = (model.analogues("T0", 8, exact=True).table for model in (scaled, plain))
    assert one[["ticker", "end", "shift"]].equals(other[["ticker", "end", "shift"]])
    np.testing.assert_allclose(one["sbd"], other["sbd"], atol=3e-6)


def later(prices):
    """Prices of ten days more."""
    days = pd.date_range(prices.columns[-1], periods=11, freq="B", name="date")[1:]
    drift = np.random.default_rng(3).normal(size=(len(prices), 10)).cumsum(axis=1)
    last = prices.iloc[:, [-1]].to_numpy()
    return pd.DataFrame(last * np.exp(0.02 * drift), index=prices.index, columns=days)


def test_a_planted_analogue_comes_first_whatever_its_level_and_scale(rng):
    prices = walks(rng)
    past, noise = prices.iloc[4, 50:74].to_numpy(), rng.normal(size=24)
    prices.iloc[0, -24:] = 400 + 7 * past + 0.05 * past.std() * noise
    answer = fitted(prices).analogues("T0", 3)
    assert answer.table.loc[0, ["ticker", "start", "end", "shift"]].tolist() == ["T4", DAYS[50], DAYS[73], 0]
    assert answer.table.loc[0, "sbd"] < 0.01 < answer.table.loc[1, "sbd"]
    future = prices.iloc[4, 74:79].to_numpy() / prices.iloc[4, 73] - 1
    np.testing.assert_allclose(answer.paths.loc[0], future)
    np.testing.assert_allclose(answer.table.loc[0, "followed"], future[-1])
    np.testing.assert_array_equal(answer.windows.loc[0], past)
    np.testing.assert_array_equal(answer.query, prices.iloc[0, -24:])


def test_one_hit_a_ticker_and_episode_and_none_of_the_query(prices):
    model = fitted(prices)
    table = model.analogues("T0", 50, exact=True).table
    ends = prices.columns.get_indexer(table["end"])
    for ticker in prices.index:
        mine = np.sort(ends[table["ticker"] == ticker])
        assert (np.diff(mine) > 12).all()
    assert (139 - ends[table["ticker"] == "T0"] > 12).all()
    assert (ends < 139).all()
    assert table["sbd"].is_monotonic_increasing
    assert len(table) < 50  # every episode there is


def test_the_stricter_rule_leaves_no_contemporary(prices):
    table = fitted(prices, before="start").analogues("T0", 20, exact=True).table
    assert (table["end"] < prices.columns[-24]).all()
    assert len(table) == 20


def assert_equal_answers(one, other):
    for name in ("table", "summary", "windows", "paths", "same_dates"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    pd.testing.assert_series_equal(one.query, other.query)
    assert one.as_of == other.as_of


@pytest.mark.parametrize("query", ["T0", "elsewhere"])
@pytest.mark.parametrize("is_exact", [True, False])
def test_prices_after_the_day_change_nothing(prices, rng, query, is_exact):
    as_of = 95
    changed = prices.copy()
    changed.iloc[:, as_of + 1 :] = 5 * np.exp(0.1 * rng.normal(size=(6, 140 - as_of - 1)).cumsum(axis=1))
    clusterer = None
    if not is_exact:  # the cells must not come from later windows either
        windows = prices.to_numpy()[[0, 4, 5], :72].reshape(-1, 24)
        clusterer = LocalKShape(3, random_state=0).fit(windows)
    query = prices.iloc[0, 10:34].to_numpy()[::-1] if query == "elsewhere" else query
    answers = [
        fitted(panel, clusterer=clusterer, n_probe=1).analogues(
            query, 6, as_of=prices.columns[as_of], exact=is_exact
        )
        for panel in (prices, changed, prices.iloc[:, : as_of + 1])
    ]
    assert_equal_answers(answers[0], answers[1])
    assert_equal_answers(answers[0], answers[2])
    assert answers[0].summary.loc["analogues", "n"] > 0


def test_what_is_not_known_yet_is_counted_and_not_made_up(prices):
    answer = fitted(prices, horizon=40).analogues("T0", 12, exact=True)
    days_after = 139 - prices.columns.get_indexer(answer.table["end"])
    assert 0 < (days_after < 40).sum() < 12
    assert answer.table["followed"][days_after < 40].isna().all()
    others = (days_after >= 40) & (answer.table["ticker"] != "T2").to_numpy()  # which has a gap of a day
    assert answer.table["followed"][others].notna().all()
    np.testing.assert_array_equal(answer.paths.notna().sum(axis=1), answer.table["n_followed"])
    row = answer.summary.loc["analogues"]
    assert (row["n"], row["n"] + row["n_unknown"]) == (answer.table["followed"].notna().sum(), 12)


class TestSummary:
    def test_quartiles_and_share_of_the_analogues(self, prices):
        answer = fitted(prices).analogues("T0", 10)
        outcomes = answer.table["followed"].dropna()
        row = answer.summary.loc["analogues"]
        np.testing.assert_allclose(
            row[["q25", "median", "q75"]].astype(float), outcomes.quantile([0.25, 0.5, 0.75])
        )
        assert row["share_up"] == (outcomes > 0).mean()

    def test_all_stocks_on_the_same_dates(self, prices):
        answer = fitted(prices).analogues("T0", 10)
        ahead = prices.shift(-5, axis=1) / prices - 1
        beside = pd.concat([ahead[end] for end in answer.table["end"]])
        row = answer.summary.loc["same dates"]
        assert row["n"] == beside.notna().sum()
        assert row["median"] == pytest.approx(beside.median())
        assert answer.same_dates.loc["median", 5] == pytest.approx(beside.median())
        assert answer.same_dates.columns.tolist() == [1, 2, 3, 4, 5]

    def test_all_windows_that_were_eligible(self, prices):
        model = fitted(prices)
        answer = model.analogues("T0", 10, as_of=prices.columns[100])
        past = prices.iloc[:, :101]
        ahead = past.shift(-5, axis=1) / past - 1
        complete = past.T.rolling(24).count().T == 24
        moves = past.T.rolling(24).std().T > 1e-9
        ahead = ahead[complete & moves]
        ahead.iloc[0, 100 - 12 :] = np.nan
        row = answer.summary.loc["all windows"]
        assert row["n"] == ahead.notna().sum().sum()
        assert row["median"] == pytest.approx(np.nanmedian(ahead))

    def test_outcomes_that_share_a_day_are_told_apart_from_those_that_do_not(self, prices):
        summary = fitted(prices).analogues("T0", 10, as_of=prices.columns[100]).summary
        assert (summary["n_apart"] <= summary["n"]).all()
        assert summary.loc["all windows", "n_apart"] == len(range(23, 101 - 5, 5))


class TestWhichWindows:
    def test_gaps_and_halts_are_left_out_and_counted(self, prices):
        model = fitted(prices)
        every = 140 - 24 + 1
        assert model.left_out_.loc[:, "missing"].tolist() == [0, 30, 24, 0, 0, 0]
        assert model.left_out_.loc[:, "flat"].tolist() == [0, 0, 0, 50 - 24 + 1, 0, 0]
        assert model.n_windows_ == 6 * every - 30 - 24 - 27 == model.index_.n_samples_fit_

    def test_a_step_thins_them(self, prices):
        model = fitted(prices, step=7)
        assert model.n_windows_ == sum(
            prices.iloc[row, end - 23 : end + 1].nunique(dropna=False) > 1
            and prices.iloc[row, end - 23 : end + 1].notna().all()
            for row in range(6)
            for end in range(23, 140, 7)
        )

    def test_the_last_complete_window_of_a_delisted_stock(self, prices):
        prices.iloc[0, 120:] = np.nan
        answer = fitted(prices).analogues("T0", 3)
        assert answer.as_of == prices.columns[119]
        assert (answer.table["end"] < answer.as_of).all()

    def test_arrays_have_numbers_for_names(self, prices):
        named, bare = fitted(prices), fitted(prices.to_numpy())
        one, other = named.analogues("T4", 5, as_of=prices.columns[110]), bare.analogues(4, 5, as_of=110)
        assert prices.index[other.table["ticker"]].tolist() == one.table["ticker"].tolist()
        assert prices.columns[other.table["end"]].tolist() == one.table["end"].tolist()

    def test_a_day_without_trade_stands_for_the_one_before(self, prices):
        saturday = pd.Timestamp("2019-05-11")
        assert fitted(prices).analogues("T0", 3, as_of="2019-05-11").as_of == saturday - pd.Timedelta(days=1)


class TestUpdate:
    def test_is_the_same_as_a_fit_on_all_days(self, prices):
        for step in (1, 5):
            shuffled = prices.iloc[::-1, 120:]
            updated = fitted(prices.iloc[:, :110], step=step).update(prices.iloc[:, 110:120]).update(shuffled)
            anew = fitted(prices, step=step)
            pd.testing.assert_frame_equal(updated.prices_, anew.prices_)
            pd.testing.assert_frame_equal(updated.left_out_, anew.left_out_)
            assert updated.n_windows_ == anew.n_windows_
            one, other = (model.analogues("T0", 12, exact=True) for model in (updated, anew))
            assert_equal_answers(one, other)

    def test_what_followed_becomes_known(self, prices):
        model = fitted(prices.iloc[:, :130])
        query = prices.iloc[4, 105:129].to_numpy()
        before = model.analogues(query, 1, exact=True).table.loc[0]
        after = model.update(prices.iloc[:, 130:]).analogues(query, 1, exact=True).table.loc[0]
        assert (before["ticker"], before["end"], before["n_followed"]) == ("T4", prices.columns[128], 1)
        assert np.isnan(before["followed"])
        assert (after["ticker"], after["end"], after["n_followed"]) == ("T4", prices.columns[128], 5)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda p: p.iloc[:, 100:], "must be of days after 2019-06-03"),
            (lambda p: p.iloc[1:, 110:], "Got T0 on one side only"),
            (lambda p: p.iloc[:, 110:].rename({"T0": "X"}), "Got T0, X on one side only"),
            (lambda p: -p.iloc[:, 110:], "must be positive"),
        ],
    )
    def test_refuses_other_days_and_tickers_and_stays_as_it_was(self, prices, wrong, message):
        model = fitted(prices.iloc[:, :110])
        before = model.analogues("T0", 5)
        with pytest.raises(ValueError, match=message):
            model.update(wrong(prices))
        assert_equal_answers(model.analogues("T0", 5), before)

    def test_takes_frames_only(self, prices):
        with pytest.raises(TypeError, match="must be a DataFrame"):
            fitted(prices).update(prices.to_numpy())


class TestRecall:
    def test_is_one_when_every_cell_is_looked_at(self, prices):
        model = fitted(prices)
        for as_of in (None, prices.columns[-1]):
            found = model.recall(5, as_of=as_of, n_probe=1000, n_samples=30)
            assert (found.recall, found.error) == (1.0, 0.0)
        assert found.n_queries == 6

    def test_is_the_share_of_the_reference_that_is_found(self, prices):
        prices = prices.iloc[:, 50:]
        model = fitted(prices, n_probe=1)
        measured = model.recall(4, as_of=prices.columns[-1])
        shares = []
        for row, ticker in enumerate(prices.index):
            query = prices.to_numpy()[row, -24:]
            true = expected(model, prices, query, 4, own=row, end=89, known=89)
            true = set(zip(prices.index[true["row"]], prices.columns[true["end"]], strict=True))
            table = model.analogues(ticker, 4).table
            shares.append(len(true & set(zip(table["ticker"], table["end"], strict=True))) / 4)
        assert measured.recall == pytest.approx(np.mean(shares))
        assert measured.error == pytest.approx(np.std(shares, ddof=1) / np.sqrt(6))
        assert measured.recall < 1

    def test_needs_queries_with_a_past(self, prices):
        with pytest.raises(ValueError, match="Ask for a later as_of"):
            fitted(prices).recall(4, as_of=prices.columns[23])

    def test_repeats_with_a_seed(self, prices):
        model = fitted(prices, n_probe=1)
        assert model.recall(3, n_samples=20) == model.recall(3, n_samples=20)

    def test_within_a_shift_window_every_cell_is_the_truth(self, prices):
        model = fitted(prices, max_shift=2, n_probe=1000)
        assert model.recall(3, n_samples=10).recall == 1.0
        assert fitted(prices, max_shift=2, n_probe=1).recall(8, n_samples=10).recall < 1.0


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("NOPE", {}, "must be a ticker of `fit`, or 24 prices. Got 'NOPE'"),
        (np.arange(1.0, 9.0), {}, r"24 prices. Got shape \(8,\)"),
        (np.ones((2, 24)), {}, r"24 prices. Got shape \(2, 24\)"),
        (np.full(24, np.nan), {}, "Got 24 missing ones of the query"),
        (np.full(24, 3.0), {}, "must be prices that move"),
        (np.linspace(-1, 1, 24), {}, "must be positive prices. Got -1 "),
        ("T1", {"as_of": "2019-02-20"}, "Got 17 missing ones of 'T1' up to 2019-02-20"),
        ("T3", {"as_of": "2019-04-10"}, "'T3' up to 2019-04-10 00:00:00 do not"),
        ("T0", {"as_of": "2018-12-31"}, "as_of must leave 24 days up to it"),
        ("T0", {"n_neighbors": 0}, "Expected 1 <= n_neighbors. Got 0"),
    ],
)
def test_questions_that_cannot_be_answered(prices, query, options, message):
    with pytest.raises(ValueError, match=message):
        fitted(prices).analogues(query, **options)


def without(prices, ticker, value):
    prices = prices.copy()
    prices.loc[ticker] = value
    return prices


def test_data_that_cannot_be_indexed(prices):
    with pytest.raises(ValueError, match=r"must be positive\. Those of T4"):
        fitted(without(prices, "T4", 0.0))
    with pytest.raises(ValueError, match="must have 200 prices in a row"):
        fitted(prices, window=200)
    with pytest.raises(ValueError, match="rows of X are dates"):
        fitted(prices.T)
    with pytest.raises(ValueError, match="'T5' never has 24 prices"):
        fitted(without(prices, "T5", np.nan)).analogues("T5")
    with pytest.raises(NotFittedError):
        HistoricalAnalogues().analogues("T0")


def test_a_query_with_no_past_has_an_empty_answer(prices):
    answer = fitted(prices).analogues("T0", as_of=prices.columns[23])
    assert len(answer.table) == 0
    assert answer.summary["n"].tolist() == [0, 0, 0]
    assert answer.summary[["median", "share_up"]].isna().all(axis=None)


def test_copies_answer_the_same(prices):
    model = fitted(prices)
    assert_equal_answers(pickle.loads(pickle.dumps(model)).analogues("T0"), model.analogues("T0"))
    assert_equal_answers(clone(model).fit(prices).analogues("T0"), model.analogues("T0"))
    assert "T0" in repr(model.analogues("T0", 2))


def test_real_prices(shared_data):
    prices = load_prices(shared_data / "market" / "panel_a_sp500_close_2013_2018.parquet").iloc[:40, -400:]
    model = HistoricalAnalogues(step=2, random_state=0).fit(prices)
    assert model.n_windows_ + model.left_out_.to_numpy().sum() == 40 * 138
    measured = model.recall(10, as_of=prices.columns[-1], n_samples=20)
    assert measured.recall > 0.9
    answer = model.analogues(prices.index[0], as_of="2017-12-29", exact=True)
    assert len(answer.table) == 10
    ends = prices.columns.get_indexer(answer.table["end"])
    for ticker in answer.table["ticker"].unique():
        assert (np.diff(np.sort(ends[answer.table["ticker"] == ticker])) > 63).all()
