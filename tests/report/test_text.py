"""The sentences and numbers that the terminal and the page share."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from shapecluster.report._findings import Cluster, KChoice, StocksSettings
from shapecluster.report._text import (
    describe_cleaning,
    describe_comparison,
    describe_pairs,
    describe_single_stock_clusters,
    format_date,
    format_lag,
    format_number,
    format_share,
    printable,
)


@pytest.mark.parametrize(
    ("lag", "text"),
    [(0, "same day"), (1, "trails by 1 day"), (12, "trails by 12 days"), (-2, "leads by 2 days")],
)
def test_lags_say_who_moves_first(lag, text):
    assert format_lag(lag) == text


def test_control_characters_do_not_reach_the_terminal():
    assert printable("A\x1b[31mB\r\nC\u202eD") == "A\ufffd[31mB\ufffd\ufffdC\ufffdD"
    assert printable("BRK.B Société 株") == "BRK.B Société 株"


def test_numbers_that_are_missing_are_dashes():
    dashes = {format_number(None), format_number(float("nan")), format_share(None), format_date(pd.NaT)}
    assert dashes == {"\N{EN DASH}"}
    assert format_number(1234.5, 1) == "1,234.5"
    assert format_share(0.256) == "26%"
    assert format_date(pd.Timestamp("2020-02-03")) == "2020-02-03"


def test_the_comparison_names_series_and_lags(analysis):
    found = analysis.findings
    assert describe_comparison(found).endswith(
        "by the shape of their daily log returns, lags up to 3 days. "
        "1 stock has missing days, which are masked."
    )
    levels = replace(found, settings=StocksSettings(on="levels"), n_incomplete=0)
    assert describe_comparison(levels).endswith("by the shape of their price levels, all lags.")
    assert "no lag" in describe_comparison(replace(found, settings=StocksSettings(max_shift=0)))


def test_pairs_state_the_threshold(analysis):
    found = replace(analysis.findings, n_identical=30, n_incomplete=0)
    assert describe_pairs(found, shown=12) == (
        "30 pairs are near-identical (SBD at most 0.05). The nearest 12 are shown; pairs.csv has all."
    )
    assert describe_pairs(replace(found, n_identical=0), shown=10).startswith("No two stocks are")
    incomplete = describe_pairs(replace(found, n_identical=1, n_incomplete=3), shown=1)
    assert "or with missing days a correlation of at least 0.95" in incomplete


def test_cleaning_counts_every_kind(analysis):
    kinds = ["late listing", "late listing", "jump", "flat stretch", "flat stretch", "no prices", "no prices"]
    actions = ["kept", "kept", "flagged", "flagged", "flagged", "stock dropped", "stock dropped"]
    events = pd.DataFrame({"ticker": list("ABCDDEF"), "kind": kinds, "action": actions})
    found = replace(analysis.findings, cleaning=events)
    assert describe_cleaning(found) == (
        "Cleaning: 2 late listings (kept), 1 jump (flagged), 2 flat stretches (flagged), 2 no prices "
        "(stock dropped). Flagged prices are used unchanged."
    )
    assert found.event_counts["stocks"].tolist() == [2, 1, 1, 2]
    nothing = replace(found, cleaning=events.head(0))
    assert describe_cleaning(nothing) == "Cleaning found nothing to drop, fill or flag."


def test_single_stocks_are_no_groups(analysis):
    clusters = (Cluster(0, ("A", "B"), 0.1, {}), Cluster(1, ("C",), 0.0, {}))
    assert describe_single_stock_clusters(replace(analysis.findings, clusters=clusters[:1])) is None
    text = describe_single_stock_clusters(replace(analysis.findings, clusters=clusters))
    assert text.startswith("1 cluster holds a single stock (C)")


def test_a_criterion_that_chooses_no_k_is_named():
    choice = KChoice(5, "elbow", {"ssd": 5, "elbow": None, "silhouette": 2}, {"silhouette": [3]}, (2, 3, 5))
    sentences = choice.sentences()
    assert sentences[0] == (
        "The criterion elbow chose no k out of 2, 3, 5. Clusters are shown for the minimum SSD, k = 5."
    )
    assert sentences[-1] == (
        "For comparison: the minimum SSD chooses k = 5; the silhouette chooses k = 2 (nearly as good: 3)."
    )
