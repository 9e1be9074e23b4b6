"""The words that the terminal and the page share."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from shapecluster.report import _words as words
from shapecluster.report._findings import Choice, Cluster, StocksSettings


@pytest.mark.parametrize(
    ("lag", "said"),
    [(0, "same day"), (1, "trails by 1 day"), (12, "trails by 12 days"), (-2, "leads by 2 days")],
)
def test_lags_say_who_moves_first(lag, said):
    assert words.lag_in_words(lag) == said


def test_control_characters_do_not_reach_the_terminal():
    assert words.printable("A\x1b[31mB\r\nC\u202eD") == "A\ufffd[31mB\ufffd\ufffdC\ufffdD"
    assert words.printable("BRK.B Société 株") == "BRK.B Société 株"


def test_numbers_that_are_missing_are_dashes():
    dashes = {words.number(None), words.number(float("nan")), words.share(None), words.day(pd.NaT)}
    assert dashes == {"\N{EN DASH}"}
    assert words.number(1234.5, 1) == "1,234.5"
    assert words.share(0.256) == "26%"
    assert words.day(pd.Timestamp("2020-02-03")) == "2020-02-03"


def test_compared_says_what_and_over_which_lags(analysis):
    found = analysis.findings
    assert "by the shape of their daily log returns, lags up to 3 days; 1 of them over" in words.compared(
        found
    )
    levels = replace(found, settings=StocksSettings(on="levels"), n_incomplete=0)
    assert words.compared(levels).endswith("by the shape of their price levels, all lags.")
    assert "no lag" in words.compared(replace(found, settings=StocksSettings(max_shift=0)))


def test_pairs_state_the_threshold(analysis):
    found = replace(analysis.findings, n_identical=30, n_incomplete=0)
    said = words.pairs_in_words(found, shown=12)
    assert (
        said
        == "30 pairs are near-identical (SBD at most 0.05); the nearest 12 are shown, all are in pairs.csv."
    )
    assert words.pairs_in_words(replace(found, n_identical=0), shown=10).startswith("No two stocks are")
    partly = words.pairs_in_words(replace(found, n_identical=1, n_incomplete=3), shown=1)
    assert "where days are missing a correlation of at least 0.95" in partly


def test_cleaning_counts_every_kind(analysis):
    counts = pd.DataFrame(
        {"kind": ["late listing", "jump"], "action": ["kept", "flagged"], "events": [2, 1], "stocks": [2, 1]}
    )
    found = replace(analysis.findings, cleaning=replace(analysis.findings.cleaning, counts=counts))
    assert words.cleaning_in_words(found).startswith(
        "Cleaning: 2 late listings (kept), 1 jump (flagged). What is"
    )
    nothing = replace(found, cleaning=replace(found.cleaning, counts=counts.head(0)))
    assert words.cleaning_in_words(nothing) == "Cleaning found nothing to drop, fill or flag."


def test_single_stocks_are_no_groups(analysis):
    clusters = (Cluster(0, ("A", "B"), 0.1, {}), Cluster(1, ("C",), 0.0, {}))
    assert words.singles_in_words(replace(analysis.findings, clusters=clusters[:1])) is None
    said = words.singles_in_words(replace(analysis.findings, clusters=clusters))
    assert said.startswith("1 cluster holds a single stock (C)")


def test_a_criterion_that_finds_nothing_is_said():
    choice = Choice(5, "elbow", {"ssd": 5, "elbow": None, "silhouette": 2}, {"silhouette": [3]}, (2, 3, 5))
    said = choice.sentences()
    assert (
        said[0]
        == "The criterion elbow found no k out of 2, 3, 5, so clusters are shown for the least SSD, k = 5."
    )
    assert said[-1].startswith(
        "For comparison: the least SSD speaks for k = 5; the silhouette speaks for k = 2 "
    )
    assert said[-1].endswith("(nearly as good: 3).")
