"""The command: what it prints and writes, and one line with the right exit code for bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shapecluster import __version__
from shapecluster.cli import build_app, main
from shapecluster.datasets import make_market
from tests.prices.yahoo import connect_yfinance, running_server

SECONDS = 60


@pytest.fixture(scope="module")
def market():
    return make_market(
        24, 3, 90, n_pairs=1, n_late=1, n_bad_prints=1, bad_print_size=(0.4, 0.5), random_state=2
    )


@pytest.fixture(scope="module")
def files(market, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("input")
    market.prices.T.to_csv(folder / "prices.csv")
    market.prices.T.iloc[:, :2].to_csv(folder / "two.csv")
    market.sectors.rename_axis("ticker").to_csv(folder / "sectors.csv")
    (folder / "empty.csv").write_text("")
    (folder / "latin.csv").write_bytes("date,SOCIÉTÉ\n2020-01-01,1\n".encode("latin-1"))
    (folder / "words.csv").write_text("date,A\n2020-01-01,one\n")
    (folder / "nosector.csv").write_text("ticker,industry\nA,B\n")
    return {path.stem: str(path) for path in folder.iterdir()}


@pytest.fixture
def run(tmp_path, capsys):
    """The exit code, the standard output and the standard error of the command, in this process."""

    def run(*arguments: str, out: str | None = None) -> tuple[int, str, str]:
        given = list(arguments)
        if given[0] == "stocks":
            given[1:1] = ["--out", out or str(tmp_path / "out")]
        code = main(given)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


# What it does


@pytest.fixture(scope="module")
def finished(files, market, tmp_path_factory) -> tuple[str, Path]:
    """One run through typer's own runner, with everything asked for: its output and its folder."""
    out = tmp_path_factory.mktemp("run") / "report"
    stock = market.pairs.loc[0, "stock"]
    other = next(t for t in market.prices.dropna().index if t not in market.pairs.iloc[0].tolist())
    arguments = ["stocks", "--prices", files["prices"], "--sectors", files["sectors"], "--k", "2-5"]
    arguments += ["--portfolio", f"{stock},{other}", "--max-shift", "3", "--out", str(out), "--jobs", "2"]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 0, done.output
    return done.stdout, out


def test_prints_the_findings_that_a_person_wants(finished, market):
    text, out = finished
    found = json.loads((out / "findings.json").read_text("utf-8"))
    assert "24 stocks over 90 days" in text
    best = [line.split() for line in text.splitlines() if line.strip().startswith(">")]
    assert [line[1] for line in best] == [str(found["choice"]["k"])]
    assert "The minimum SSD is at the largest k tried" in text
    assert "1 pair is near-identical" in text
    assert "Look-alikes of the portfolio" in text
    assert "Portfolio as a whole" in text
    assert "1 late listing (kept with NaN)" in text
    assert str(out / "index.html") in text.replace("\n", "")


def test_writes_everything_it_promises(finished):
    _, out = finished
    assert names(out) >= {"findings.json", "index.html", "ssd_by_k.png", "clusters.png", "cluster_00.png"}
    assert names(out) >= {"clusters.csv", "ssd_by_k.csv", "lookalikes.csv", "pairs.csv", "cleaning.csv"}


def test_the_twin_of_a_holding_is_its_first_look_alike(finished, market):
    _, out = finished
    found = json.loads((out / "findings.json").read_text("utf-8"))
    assert found["look_alikes"][0]["look_alike"] == market.pairs.loc[0, "twin"]
    assert found["settings"]["max_shift"] == 3
    assert found["data"]["n_incomplete"] >= 1


def test_the_same_seed_writes_the_same_files(run, files, tmp_path):
    contents = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        options = ("--prices", files["prices"], "--k", "2,4", "--seed", "3", "--jobs", jobs)
        assert run("stocks", *options, out=str(out))[0] == 0
        contents.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert contents[0] == contents[1]


def test_levels_are_compared_with_a_warning(run, files, tmp_path):
    code, text, _ = run("stocks", "--prices", files["prices"], "--k", "3", "--on", "levels")
    assert code == 0
    assert "two trending prices look alike whatever the companies do" in " ".join(text.split())
    found = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    assert found["settings"] | {"on": "levels", "max_shift": None} == found["settings"]
    assert found["look_alikes"] is None
    assert "lookalikes.csv" not in names(tmp_path / "out")


def test_without_prices_it_runs_on_a_simulated_market_and_says_so(run, tmp_path):
    code, text, _ = run("stocks", "--k", "3", "--seed", "1")
    flat = " ".join(text.split())
    assert code == 0
    assert "A simulated market (seed 1)" in flat
    assert "these are simulated: no such stocks exist" in flat
    assert "this one is an example" in flat
    found = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    assert len(found["settings"]["portfolio"]) == 5
    planted = next(note for note in [flat] if "Planted as near-identical" in note)
    for pair in found["near_identical_pairs"]:
        assert pair["first"] in planted
        assert pair["second"] in planted
    assert found["n_near_identical"] == 3


def test_bad_prints_are_flagged_or_on_request_repaired(run, files, market, tmp_path):
    ticker = market.bad_prints.loc[0, "ticker"]
    actions = []
    for option in ([], ["--repair-prints"]):
        assert run("stocks", "--prices", files["prices"], "--k", "1", *option)[0] == 0
        found = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
        events = found["cleaning"]["details"]
        actions.append([event["action"] for event in events if event["ticker"] == ticker])
    assert actions == [["flagged"], ["repaired"]]


def test_a_shorter_report_replaces_a_longer_one(run, files, tmp_path):
    options = ("stocks", "--prices", files["prices"])
    run(*options, "--k", "5")
    assert "cluster_04.png" in names(tmp_path / "out")
    run(*options, "--k", "2")
    assert "cluster_02.png" not in names(tmp_path / "out")
    assert "cluster_01.png" in names(tmp_path / "out")


def test_terminal_codes_and_markup_in_tickers_are_shown_and_not_obeyed(run, market, tmp_path):
    prices = market.prices.rename(index={market.prices.index[0]: "\x1b[2J[red]X[/red]"})
    path = tmp_path / "hostile.csv"
    prices.T.to_csv(path)
    code, text, _ = run("stocks", "--prices", str(path), "--k", "1,2,3", "--portfolio", prices.index[0])
    assert code == 0
    assert "\x1b" not in text
    assert "\ufffd[2J[red]X[/red]" in text


# What it refuses: one line on the standard error, exit code 2, nothing written

NO_FETCH = "says which days to fetch, so it needs --tickers"
BAD = {
    "no such file": ("--prices nowhere.csv", "nowhere.csv: there is no such file"),
    "a directory": ("--prices .", "is a directory"),
    "an empty file": ("--prices {empty}", "the file is empty"),
    "not UTF-8": ("--prices {latin}", "line 1 is not UTF-8"),
    "words for prices": ("--prices {words}", "line 2"),
    "no sector column": ("--prices {prices} --sectors {nosector}", "there is no column 'sector'"),
    "two stocks": ("--prices {two}", "at least 3 stocks"),
    "unknown holdings": ("--prices {prices} --portfolio NO1,NO2,NO3", "'NO1', 'NO2', 'NO3'"),
    "a holding twice": ("--prices {prices} --portfolio A,B,A", "--portfolio names these tickers more"),
    "an empty portfolio": ("--prices {prices} --portfolio ,,", "--portfolio must name at least one"),
    "k above n": ("--prices {prices} --k 2-25", "k must be at most the number of stocks, 24. Got 25"),
    "k of words": ("--k some", "--k must be like 2-20, or 2,5,8, or 11. Got 'some'"),
    "k of zero": ("--k 0-3", "--k must be at least 1. Got '0-3'"),
    "k backwards": ("--k 9-3", "--k must run from the smaller to the larger number. Got '9-3'"),
    "half a range": ("--k 2-", "--k must be like 2-20"),
    "a negative k": ("--k -3", "--k must be like 2-20"),
    "a fraction of k": ("--k 2.5", "--k must be like 2-20"),
    "too many ks": ("--k 1-100000", "--k tries at most 1000"),
    "elbow of two": ("--k 2,3 --criterion elbow", "--criterion elbow needs at least three values of k"),
    "silhouette of one": ("--k 1 --criterion silhouette", "silhouette needs a k of 2 or more"),
    "a bad criterion": ("--criterion best", "must be one of ssd, elbow, silhouette. Got 'best'"),
    "a bad kind": ("--on prices", "--on must be log-returns or levels. Got 'prices'"),
    "a negative lag": ("--max-shift -1", "--max-shift must be a number of trading days, 0 or more, or"),
    "a lag of words": ("--max-shift none", "--max-shift must be a number of trading days"),
    "no threads": ("--jobs 0", "--jobs must be a number of threads, or -1 for all cores. Got 0"),
    "a negative seed": ("--seed -1", "--seed"),
    "a seed of words": ("--seed x", "--seed"),
    "two sources": ("--prices {prices} --tickers A", "--prices and --tickers exclude each other"),
    "a start without tickers": ("--start 2020-01-01", f"--start {NO_FETCH}"),
    "an end without tickers": ("--prices {prices} --end 2020-01-01", f"--end {NO_FETCH}"),
    "tickers without a start": ("--tickers A,B,C", "--tickers needs --start"),
    "a bad start": ("--tickers A --start 2020-13-01", "--start must be a date like 2020-02-03"),
    "a bad end": ("--tickers A --start 2020-01-01 --end soon", "--end must be a date like"),
    "an end too early": ("--tickers A --start 2020-02-01 --end 2020-01-01", "must not be after --end"),
    "a start to come": ("--tickers A --start 2999-01-01", "--start must not be after today"),
    "a ticker that is none": ("--tickers A/B --start 2020-01-01", "A/B"),
    "sectors of nothing": ("--sectors {sectors}", "--sectors needs --prices or --tickers"),
    "an unknown option": ("--color red", "--color"),
    "a missing value": ("--prices {prices} --k", "--k"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(run, files, tmp_path, case):
    line, expected = BAD[case]
    out = tmp_path / "new" / "out"
    code, text, error = run("stocks", *line.format(**files).split(), out=str(out))
    assert code == 2
    assert text == ""
    assert error.startswith("shapecluster: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    assert expected in error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_an_output_directory_that_cannot_be_is_refused_before_the_prices_are_read(run, tmp_path, where):
    (tmp_path / "file").write_text("mine")
    code, _, error = run("stocks", "--prices", "nowhere.csv", out=str(tmp_path / where))
    assert code == 2
    assert error.startswith("shapecluster: --out: cannot write to the output directory")
    assert error.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unknown_command_is_refused(run):
    code, _, error = run("bonds")
    assert code == 2
    assert error.startswith("shapecluster: No such command 'bonds'")


# Prices from Yahoo


@pytest.fixture
def yahoo(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    market = make_market(6, 2, 60, random_state=0)
    with running_server() as server:
        for ticker, prices in zip("ABCDEF", market.prices.to_numpy(), strict=True):
            server.add(ticker * 3, "2020-01-01", prices.tolist())
        connect_yfinance(server.server_address[1], str(tmp_path / "yfinance"))
        yield server


FETCH = ("--start", "2020-01-01", "--end", "2020-03-20")


def test_fetches_and_analyzes(run, yahoo, tmp_path):
    code, text, error = run("stocks", "--tickers", "AAA,BBB,CCC,DDD", *FETCH, "--k", "2")
    assert (code, error) == (0, "")
    assert "Prices from Yahoo, 2020-01-01 to 2020-03-20" in text
    found = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    assert found["data"]["n_stocks"] == 4


def test_what_arrived_is_kept_when_a_ticker_is_unknown_and_can_be_used(run, yahoo, tmp_path):
    out = tmp_path / "out"
    code, text, error = run("stocks", "--tickers", "AAA,BBB,NOPE,CCC", *FETCH, "--k", "2", out=str(out))
    kept = out / "prices_arrived.csv"
    assert (code, text) == (1, "")
    assert error.count("\n") == 1
    assert "NOPE (Yahoo does not know the ticker" in error
    assert f"continue with --prices {kept}" in error
    assert names(out) == {kept.name}
    assert run("stocks", "--prices", str(kept), "--k", "2", out=str(out))[0] == 0


def test_nothing_is_written_when_nothing_arrives(run, yahoo, tmp_path):
    code, _, error = run("stocks", "--tickers", "NO1,NO2,NO3", *FETCH, out=str(tmp_path / "new"))
    assert code == 1
    assert error.startswith("shapecluster: no prices for 3 tickers: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


# As a process


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_program_ends_with_the_code_and_without_a_traceback(files, tmp_path):
    done = python(
        "-m", "shapecluster.cli", "stocks", "--prices", files["latin"], "--out", str(tmp_path / "out")
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_version_and_help_end_well():
    assert main(["--version"]) == 0
    done = CliRunner().invoke(build_app(), ["--version"])
    assert done.stdout == f"shapecluster {__version__}\n"
    helped = CliRunner().invoke(build_app(), ["stocks", "--help"], env={"COLUMNS": "200"})
    for option in ("--prices", "--tickers", "--portfolio", "--k", "--max-shift", "--criterion", "--jobs"):
        assert option in helped.stdout


def test_no_arguments_show_the_help(capsys):
    assert main([]) == 0
    assert "stocks" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["typer", "jinja2"])
def test_a_missing_package_is_said_in_one_line(package):
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from shapecluster.cli import main
sys.exit(main(["stocks"]))
"""
    done = python("-c", code)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"shapecluster: The command shapecluster needs {package}, which is not installed: "
        'pip install "shapecluster[cli,plot,report]"\n'
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to another process")
def test_an_interrupt_ends_with_130_and_leaves_nothing_behind(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "shapecluster.cli", "stocks", "--out", str(out), "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + SECONDS
        while not out.exists() and time.monotonic() < deadline:  # claimed: the work has begun
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        text, error = process.communicate(timeout=SECONDS)
    # CPython may repeat the signal to itself at exit, where it hit inside `exec` of a string; a shell shows
    # either as 130.
    assert process.returncode in (130, -signal.SIGINT)
    assert text == ""
    assert error.strip() == "shapecluster: interrupted."
    assert not out.exists()
