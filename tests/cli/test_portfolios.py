"""`shapecluster portfolios`: files, tables, answers, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import BisectingKMeans, KMeans

import shapecluster._optional
from shapecluster import PortfolioMatcher
from shapecluster.cli import main
from shapecluster.cli._portfolios import DrawOptions
from shapecluster.datasets import Copycats, make_portfolios
from shapecluster.metrics import sampled_silhouette
from shapecluster.portfolios import Portfolios

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch) -> Run:
    """The exit code, standard output and standard error of a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["portfolios", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("input") / "held.csv"
    held = make_portfolios(
        600, sectors="lab", sector_tilt=30.0, copycats=Copycats(30, 3, 0.8), random_state=1
    )
    held.to_csv(path)
    return str(path)


@pytest.fixture(scope="module")
def held(file) -> Portfolios:
    return Portfolios.from_csv(file)


def refused(error: str) -> str:
    *_, line = error.splitlines()
    assert line.startswith("shapecluster: ")
    return line


@pytest.mark.parametrize("name", ["held.csv", "held.csv.gz", "held.parquet"])
def test_generate_writes_what_make_portfolios_draws(run, name):
    code, text, error = run(
        *("generate", "--traders", "300", "--copycats", "20", "--group-size", "3", "--copy-match", "0.8"),
        *("--popularity", "zipf", "--sector-tilt", "3", "--seed", "7", "--out", name, "--truth", "truth.csv"),
    )
    assert (code, error) == (0, "")
    expected, truth = make_portfolios(
        300,
        popularity="zipf",
        sectors="lab",
        sector_tilt=3,
        copycats=Copycats(20, 3, 0.8),
        return_truth=True,
        random_state=7,
    )
    read = Portfolios.from_parquet if name.endswith("parquet") else Portfolios.from_csv
    assert (read(name, expected.tickers).matrix != expected.matrix).nnz == 0
    pd.testing.assert_frame_equal(pd.read_csv("truth.csv", index_col="TRADER_ID"), truth, check_dtype=False)
    assert "300 traders, 99 tickers, 3 to 10 holdings each." in text
    leader = re.search(r"60 traders in 20 groups of copycats \(trader (\d+) leads one\)", text)[1]
    assert truth.loc[int(leader), "leader"]
    assert f"Portfolios: {name}" in text


def test_generate_takes_tickers_and_needs_no_copycats(run):
    code, text, _ = run(
        *("generate", "--traders", "20", "--tickers", "A,B,C", "--max-holdings", "3", "--copycats", "0")
    )
    assert code == 0
    assert "copycats" not in text
    assert Portfolios.from_csv("portfolios.csv").tickers.tolist() == ["A", "B", "C"]


@pytest.mark.parametrize(("algorithm", "estimator"), [("k-means", KMeans), ("bisecting", BisectingKMeans)])
def test_cluster_writes_the_clusters_of_scikit_learn(run, file, held, algorithm, estimator):
    code, text, _ = run("cluster", "--portfolios", file, "-k", "5", "--algorithm", algorithm, "--seed", "3")
    assert code == 0
    model = estimator(5, n_init=1, random_state=3).fit(held.matrix)
    labels = pd.read_csv("clusters.csv", index_col="TRADER_ID")["cluster"]
    assert labels.index.tolist() == held.trader_ids.tolist()
    assert labels.tolist() == model.labels_.tolist()
    silhouette = sampled_silhouette(held.matrix, model.labels_).mean
    assert f"600 traders in 5 clusters, SSD {model.inertia_:,.1f}, silhouette {silhouette:.4f}." in text
    assert f"{np.bincount(model.labels_)[0]:,}" in text


def test_sweep_shows_every_k_and_draws_it(run, file, held):
    code, text, error = run(
        *("sweep", "--portfolios", file, "-k", "2-5", "--out", "sweep.csv", "--chart", "ssd.svg")
    )
    assert code == 0
    assert "Note" not in error
    table = pd.read_csv("sweep.csv", index_col="k")
    assert table.index.tolist() == [2, 3, 4, 5]
    for k in table.index:
        model = KMeans(k, n_init=1, random_state=0).fit(held.matrix)
        assert table.loc[k, "ssd"] == pytest.approx(model.inertia_)
        assert table.loc[k, "silhouette_error"] > 0
        assert f"{model.inertia_:,.1f}" in text
    assert "elbow" in text
    assert Path("ssd.svg").stat().st_size > 1000
    assert sorted(path.name for path in Path().iterdir()) == ["ssd.svg", "sweep.csv"]


def test_match_says_who_holds_the_same(run, file, held):
    matcher = PortfolioMatcher(0.6).fit(held)
    asker, expected = next(
        (trader, found)
        for trader in held.trader_ids.tolist()
        if len(found := matcher.matches(trader)) > 1 and found["extra"].map(len).any()
    )
    code, text, _ = run(
        "match", str(asker), "--portfolios", file, "--min-match", "0.6", "--out", "matches.csv"
    )
    assert code == 0
    assert f"Trader {asker} holds {held.n_holdings[asker]} tickers: {', '.join(held[asker].index)}." in text
    assert f"{len(expected)} of 600 traders match (jaccard at least 0.6)." in text
    table = pd.read_csv("matches.csv", keep_default_na=False)
    assert table["trader"].tolist() == expected["trader"].tolist()
    assert table["shared"].tolist() == expected["shared"].map(" ".join).tolist()
    assert " ".join(expected["extra"].iloc[-1]) in text


def test_match_takes_a_portfolio_from_outside(run, file, held):
    mine = [*held[3].index, "NEW"]
    expected = PortfolioMatcher(0.5, metric="overlap").fit(held)
    with pytest.warns(UserWarning, match="NEW"):
        expected = expected.matches(mine)
    code, text, error = run(
        *("match", "--holdings", ",".join(mine), "--portfolios", file),
        *("--min-match", "0.5", "--metric", "overlap"),
    )
    assert code == 0
    assert f"{len(expected)} of 600 traders match" in text
    assert "NEW" in error.replace("\n", " ")


def test_match_answers_in_one_command_on_the_embedded_default(run):
    leader = int(re.search(r"trader (\d+) leads", run("match", "0")[2])[1])
    code, text, error = run("match", str(leader))
    assert code == 0
    assert "Generated, seed 0: 100,000 traders, 99 tickers, 3 to 10 holdings each; " in error
    portfolios, truth = DrawOptions(seed=0).draw()
    copies = truth.index[(truth["group"] == truth.loc[leader, "group"]) & ~truth["leader"]]
    assert len(copies)
    for copy in copies:
        assert re.search(rf"^ *{copy} ", text, re.MULTILINE)
    assert len(portfolios) == 100_000


def test_the_output_says_what_90_percent_mean_for_a_small_portfolio(run, file, held):
    small = int(np.flatnonzero(held.n_holdings < 9)[0])
    large = int(np.flatnonzero(held.n_holdings >= 9)[0])
    sentence = "only an identical portfolio can reach this match"
    assert sentence in run("match", str(small), "--portfolios", file)[1]
    assert sentence not in run("match", str(large), "--portfolios", file)[1]


REFUSED = {
    "no trader": ("match 600", "no trader 600 among the 600 traders"),
    "no asker": ("match", "either a TRADER or --holdings"),
    "two askers": ("match 3 --holdings A", "either a TRADER or --holdings"),
    "metric": (
        "match 3 --metric dice",
        "--metric must be one of jaccard, containment, overlap, cosine. Got",
    ),
    "min match": ("match 3 --min-match 1.5", "--min-match must be a number, above 0, at most 1. Got '1.5'"),
    "algorithm": ("cluster --algorithm k-shape", "--algorithm must be one of k-means"),
    "many clusters": ("cluster -k 601", "--k must be at most the 600 traders. Got 601"),
    "many swept": ("sweep -k 2-601", "--k must be at most the 600 traders. Got 601"),
    "ks": ("sweep -k few", "--k must be like 2-20"),
    "chart": ("sweep --chart x.doc", "--chart must name a file ending in .png"),
    "out": ("cluster --out none/x.csv", "--out cannot be written to 'none/x.csv': there is no folder"),
}


@pytest.mark.parametrize(("line", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_ends_in_one_line(run, file, line, message):
    code, text, error = run(*line.split(), "--portfolios", file)
    assert (code, text) == (2, "")
    assert message in refused(error)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("generate --out x.txt", "--out must name a file ending in .csv or"),
        ("generate --truth x.parquet", "--truth must name a file ending in .csv"),
        ("generate --popularity often", "--popularity must be uniform or zipf. Got 'often'"),
        ("generate --group-size some", "--group-size must be like 5, or 2-6. Got 'some'"),
        ("generate --group-size 1", "--group-size must be"),
        ("generate --tickers A,B,C --sector-tilt 2", "leave --tickers out"),
        ("generate --max-holdings 2", "--max-holdings must be at least --min-holdings = 3. Got 2"),
        ("cluster --portfolios none.csv", "none.csv: there is no such file"),
        ("cluster --portfolios held.txt", "--portfolios must name a file ending in"),
    ],
)
def test_files_and_numbers_that_make_no_sense_end_in_one_line(run, line, message):
    code, text, error = run(*line.split())
    assert (code, text) == (2, "")
    assert message in refused(error)


def test_a_chart_without_matplotlib_fails_before_any_work(run, file, monkeypatch):
    def absent(module: str) -> None:
        raise ModuleNotFoundError(module, name=module)

    monkeypatch.setattr(shapecluster._optional, "import_module", absent)
    code, _, error = run("sweep", "--portfolios", file, "--chart", "x.png")
    assert code == 1
    assert "shapecluster[" in refused(error)


def test_without_a_command_the_help_is_shown(run):
    code, text, _ = run()
    assert code == 0
    assert all(name in text for name in ("generate", "cluster", "sweep", "match"))
