"""fetch_prices through the real yfinance, against a server on this machine that goes wrong on request."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yfinance as yf

from shapecluster.exceptions import MissingPricesError, MissingPricesWarning
from shapecluster.prices import _download
from shapecluster.prices._yahoo import THREAD_NAME
from tests.prices import conftest
from tests.prices.conftest import WEEK
from tests.prices.yahoo import Fault, connect_yfinance


def missing_from(error: pytest.ExceptionInfo[MissingPricesError]) -> dict[str, str]:
    return error.value.missing


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """What other threads do takes a moment."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.01)


# What arrives


def test_rows_are_tickers_in_the_requested_order_and_both_ends_are_included(yahoo, fetch):
    prices = fetch(["CCC", "AAA"])
    assert prices.index.tolist() == ["CCC", "AAA"]
    assert prices.index.name == "ticker"
    assert prices.columns.equals(pd.DatetimeIndex(pd.date_range(*WEEK, freq="D"), name="date"))
    assert prices.columns.tz is None
    np.testing.assert_allclose(prices.loc["AAA"], np.array([2.5, 2.6, 2.7, 2.8, 2.9]) / 2)


def test_days_outside_the_range_are_cut_off(yahoo, fetch):
    prices = fetch(["AAA"], "2020-02-04", "2020-02-06")  # the answer holds Monday and Friday too
    assert [str(day.date()) for day in prices.columns] == ["2020-02-04", "2020-02-05", "2020-02-06"]


def test_prices_are_adjusted_by_default(yahoo, fetch):
    np.testing.assert_allclose(fetch(["AAA"], auto_adjust=False).loc["AAA"], [2.5, 2.6, 2.7, 2.8, 2.9])
    np.testing.assert_allclose(fetch(["AAA"]).loc["AAA"], np.array([2.5, 2.6, 2.7, 2.8, 2.9]) / 2)


def test_days_are_the_exchanges_own_wherever_it_is(yahoo, fetch):
    for ticker, zone in [("SYD", "Australia/Sydney"), ("TYO", "Asia/Tokyo"), ("HNL", "Pacific/Honolulu")]:
        yahoo.add(ticker, "2020-01-30", [float(day) for day in range(1, 11)], zone)
    prices = fetch(["SYD", "TYO", "HNL", "AAA"])
    assert prices.columns.equals(pd.DatetimeIndex(pd.date_range(*WEEK, freq="D"), name="date"))
    for ticker in ("SYD", "TYO", "HNL"):
        np.testing.assert_array_equal(prices.loc[ticker], np.array([3.0, 4, 5, 6, 7]) / 2)


def test_a_ticker_written_in_lower_case_keeps_its_name(yahoo, fetch):
    assert fetch(["aaa"]).index.tolist() == ["aaa"]
    assert fetch(["AAA"]).index.tolist() == ["AAA"]  # from the cache


def test_days_without_a_price_are_nan(yahoo, fetch):
    yahoo.add("GAP", "2020-02-03", [1.0, None, 3.0, 4.0, 5.0])
    prices = fetch(["GAP", "AAA"])
    assert prices.loc["GAP"].isna().tolist() == [False, True, False, False, False]


def test_one_request_per_ticker_is_enough(yahoo, fetch):
    fetch(["AAA", "BBB"])
    assert yahoo.charts == {"AAA": 1, "BBB": 1}


# What goes wrong


def test_a_rate_limit_that_passes_is_waited_out(yahoo, fetch):
    yahoo.faults["*"] = Fault("429", times=2)
    assert fetch(["AAA", "BBB", "CCC"]).index.tolist() == ["AAA", "BBB", "CCC"]


def test_a_lasting_rate_limit_is_reported_after_few_requests(yahoo, fetch):
    yahoo.faults["*"] = Fault("429")
    with pytest.raises(MissingPricesError) as error:
        fetch(["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"], retries=1, n_jobs=2)
    assert set(missing_from(error)) == {"AAA", "BBB", "CCC", "DDD", "EEE", "FFF"}
    assert all("limits the rate" in reason for reason in missing_from(error).values())
    # Each attempt of yfinance asks twice; a round stops with the first refusals instead of going on.
    assert sum(yahoo.charts.values()) <= 2 * 2 * 2 * 2


@pytest.mark.parametrize("kind", ["500", "500-json", "garbage", "strange", "cut"])
def test_broken_answers_are_asked_for_again_and_only_they(yahoo, fetch, kind):
    # yfinance asks twice by itself after a status of 400 and above, and remembers bad answers.
    yahoo.faults["BBB"] = Fault(kind, times=2)
    prices = fetch(["AAA", "BBB", "CCC"])
    assert prices.index.tolist() == ["AAA", "BBB", "CCC"]
    assert not prices.isna().to_numpy().any()
    assert yahoo.charts["AAA"] == yahoo.charts["CCC"] == 1
    assert yahoo.charts["BBB"] == 3


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("500", "answer was unusable: it is not JSON"),
        ("500-json", "answer was unusable: Something broke"),
        ("garbage", "answer was unusable: it is not JSON"),
        ("strange", "answer was unusable: KeyError"),
        ("cut", "answer was unusable: IncompleteRead"),
    ],
)
def test_answers_that_stay_broken_lose_their_ticker_only(yahoo, fetch, kind, reason):
    yahoo.faults["BBB"] = Fault(kind)
    with pytest.raises(MissingPricesError, match=r"for 1 of 3 tickers: BBB \(Yahoo's ") as error:
        fetch(["AAA", "BBB", "CCC"], retries=1)
    assert reason in missing_from(error)["BBB"]
    assert error.value.prices.index.tolist() == ["AAA", "CCC"]


def test_an_unknown_ticker_is_reported_and_not_requested_again(yahoo, fetch):
    with pytest.raises(MissingPricesError, match=r"What arrived \(1 tickers\) is in this error") as error:
        fetch(["AAA", "BRK.B"])
    assert "does not know the ticker: No data found, symbol may be delisted" in missing_from(error)["BRK.B"]
    assert "with a dash: BRK-B" in missing_from(error)["BRK.B"]
    assert yahoo.charts["BRK.B"] == 2  # one attempt; yfinance asks twice after a 404


def test_a_range_without_prices_differs_from_an_unknown_ticker(yahoo, fetch):
    yahoo.add("NEW", "2021-02-01", [1.0])
    with pytest.raises(MissingPricesError) as error:
        fetch(["NEW"])
    assert missing_from(error) == {"NEW": "Yahoo has no prices in this range"}
    assert yahoo.charts["NEW"] == 1


def test_every_missing_ticker_is_listed_once_with_its_reason(yahoo, fetch):
    yahoo.faults |= {"AAA": Fault("500"), "BBB": Fault("429")}
    with pytest.raises(MissingPricesError) as error:
        fetch(["AAA", "CCC", "BBB", "NONE"], retries=1, n_jobs=1)
    assert list(missing_from(error)) == ["AAA", "BBB", "NONE"]
    for ticker in missing_from(error):
        assert str(error.value).count(ticker) == 1
    assert "not JSON" in missing_from(error)["AAA"]
    assert "limits the rate" in missing_from(error)["BBB"]
    assert "limits the rate" in missing_from(error)["NONE"]  # whose turn never came


def test_on_request_missing_tickers_are_a_warning(yahoo, fetch):
    with pytest.warns(
        MissingPricesWarning, match=r"for 1 of 2 tickers: NONE \(Yahoo does not know"
    ) as caught:
        prices = fetch(["NONE", "AAA"], on_missing="warn")
    assert prices.index.tolist() == ["AAA"]
    (warning,) = (one for one in caught if one.category is MissingPricesWarning)
    assert warning.filename == conftest.__file__  # where the fixture calls


def test_offline_is_reported_at_once(yahoo, fetch, tmp_path):
    with socket.socket() as closed:  # a port on which nobody listens
        closed.bind(("127.0.0.1", 0))
        connect_yfinance(closed.getsockname()[1], str(tmp_path / "yfinance"))
        began = time.monotonic()
        with pytest.raises(MissingPricesError) as error:
            fetch([f"T{number}" for number in range(100)], retries=5, backoff=60.0, deadline=300.0)
    assert time.monotonic() - began < 10
    assert len(missing_from(error)) == 100
    assert all("cannot be reached (offline?)" in reason for reason in missing_from(error).values())


def test_one_lost_connection_among_answers_is_no_reason_to_give_up(yahoo, fetch):
    yahoo.faults["BBB"] = Fault("reset", times=1)
    assert len(fetch(["AAA", "BBB", "CCC"], n_jobs=1)) == 3


def test_a_connection_that_stays_lost_among_answers_costs_its_ticker_only(yahoo, fetch):
    yahoo.faults |= {"BBB": Fault("reset"), "CCC": Fault("garbage", times=1)}
    with pytest.raises(MissingPricesError) as error:  # in the second round BBB comes first
        fetch(["AAA", "BBB", "CCC"], n_jobs=1, retries=1)
    assert list(missing_from(error)) == ["BBB"]
    with pytest.raises(MissingPricesError) as error:
        fetch(["DDD", "BBB", "EEE"], n_jobs=1, retries=0)
    assert list(missing_from(error)) == ["BBB"]


def test_the_deadline_bounds_the_call_and_keeps_what_arrived(yahoo, fetch):
    yahoo.faults["BBB"] = Fault("hang")
    began = time.monotonic()
    with pytest.raises(MissingPricesError) as error:
        fetch(["AAA", "BBB", "CCC"], deadline=1.0, timeout=30.0)
    assert time.monotonic() - began < 5
    assert missing_from(error) == {"BBB": "not fetched before the deadline"}
    assert error.value.prices.index.tolist() == ["AAA", "CCC"]


def test_a_request_that_hangs_is_given_up_and_tried_again(yahoo, fetch):
    yahoo.faults["BBB"] = Fault("hang", times=1)
    assert len(fetch(["AAA", "BBB"], timeout=0.4)) == 2
    yahoo.faults["CCC"] = Fault("hang")
    with pytest.raises(MissingPricesError, match=r"CCC \(Yahoo did not answer in time\)"):
        fetch(["CCC"], timeout=0.3, retries=1)


# How it waits, reports and cleans up


@pytest.fixture
def waits(monkeypatch):
    """The waits between rounds, which take no time here."""
    waits: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=waits.append)
    monkeypatch.setattr(_download, "time", clock)
    return waits


def test_waits_double_and_only_failures_are_asked_again(yahoo, fetch, waits):
    yahoo.faults["BBB"] = Fault("garbage")
    with pytest.raises(MissingPricesError) as error:
        fetch(["AAA", "BBB"], deadline=60.0, retries=3, backoff=2.0)
    assert waits == [2.0, 4.0, 8.0]
    assert yahoo.charts == {"AAA": 1, "BBB": 4}
    assert list(missing_from(error)) == ["BBB"]


def test_a_wait_beyond_the_deadline_is_not_begun(yahoo, fetch, waits):
    yahoo.faults["AAA"] = Fault("garbage")
    with pytest.raises(MissingPricesError, match="it is not JSON"):
        fetch(["AAA"], deadline=10.0, retries=3, backoff=30.0)
    assert waits == []


def test_progress_is_called_once_per_ticker_in_the_calling_thread(yahoo, fetch):
    yahoo.faults["BBB"] = Fault("garbage", times=1)
    calls, threads = [], set()

    def progress(done, total, ticker):
        calls.append((done, total, ticker))
        threads.add(threading.current_thread())

    with pytest.raises(MissingPricesError):
        fetch(["AAA", "BBB", "NONE"], progress=progress)
    assert [call[:2] for call in calls] == [(1, 3), (2, 3), (3, 3)]
    assert {call[2] for call in calls} == {"AAA", "BBB", "NONE"}
    assert calls[-1][2] == "BBB"  # which needed a second round
    assert threads == {threading.current_thread()}


def test_settings_of_the_process_are_left_as_they_were(yahoo, fetch):
    filters = list(warnings.filters)
    for hidden in (True, False):
        yf.config.debug.hide_exceptions = hidden
        try:
            fetch(["AAA"], cache_dir=None)
            with pytest.raises(MissingPricesError):
                fetch(["NONE"], cache_dir=None)
            assert yf.config.debug.hide_exceptions is hidden
        finally:
            yf.config.debug.hide_exceptions = True
    assert warnings.filters == filters


def test_a_filter_that_other_code_resets_is_set_again_for_the_next_request(yahoo, fetch, monkeypatch):
    yahoo.faults["AAA"] = Fault("garbage", times=1)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: warnings.resetwarnings())
    monkeypatch.setattr(_download, "time", clock)
    ignored: list[str] = []
    with warnings.catch_warnings():
        fetch(["AAA"], progress=lambda *_: ignored.extend(one[3].pattern for one in warnings.filters))
        assert ignored == ["yfinance"]
        assert warnings.filters == []


def test_a_request_that_was_left_behind_says_nothing_when_it_ends(yahoo, fetch):
    yahoo.faults["BBB"] = Fault("late")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters, others = list(warnings.filters), set(threading.enumerate())
        with pytest.raises(MissingPricesError):
            fetch(["BBB"], deadline=0.5, timeout=30.0)
        left_behind = [one for one in set(threading.enumerate()) - others if one.name.startswith(THREAD_NAME)]
        assert len(left_behind) == 1
        assert yahoo.charts["BBB"] == 1
        warnings.simplefilter("ignore", UnicodeWarning)  # which must outlast the request
        yahoo.release.set()
        left_behind[0].join(20)
        wait_for(lambda: warnings.filters == [("ignore", None, UnicodeWarning, None, 0), *filters])
    assert [str(one.message) for one in caught] == []


def test_two_calls_at_a_time_do_not_disturb_each_other(yahoo, fetch):
    from concurrent.futures import ThreadPoolExecutor

    filters = list(warnings.filters)
    yahoo.faults["*"] = Fault("garbage", times=3)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda tickers: fetch(tickers), [["AAA", "BBB"], ["CCC", "DDD"]])
    assert (first.index.tolist(), second.index.tolist()) == (["AAA", "BBB"], ["CCC", "DDD"])
    assert yf.config.debug.hide_exceptions is True
    assert warnings.filters == filters


def test_yfinance_says_nothing_about_requests_that_we_report(yahoo, fetch, caplog, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        connect_yfinance(closed.getsockname()[1], str(tmp_path / "yfinance"))
        with pytest.raises(MissingPricesError):
            fetch(["AAA"])
    assert [record for record in caplog.records if record.name == "yfinance"] == []


def test_an_unwritable_place_for_yfinances_own_files_does_no_harm(yahoo, fetch, tmp_path):
    (tmp_path / "file").write_text("")
    connect_yfinance(yahoo.server_address[1], str(tmp_path / "file" / "below"))
    assert len(fetch(["AAA", "BBB"])) == 2


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tickers": "AAPL"}, r"tickers must be a list of str\. Got the str 'AAPL' instead: pass \['AAPL'\]"),
        ({"tickers": 3}, "tickers must be a list of str. Got 3 instead"),
        ({"tickers": []}, "at least one ticker"),
        ({"tickers": ["A", "a"]}, "tickers must differ.*Got 'a' twice"),
        ({"tickers": ["A/../B"]}, "Yahoo's symbols.*Got 'A/../B'"),
        ({"tickers": ["A B"]}, "Yahoo's symbols.*Got 'A B'"),
        ({"tickers": [None]}, "Yahoo's symbols.*Got None"),
        ({"start": "yesterday"}, "start must be a date such as '2020-02-03'. Got 'yesterday'"),
        ({"end": 20200203.5}, "end must be a date"),
        ({"start": "2020-02-08"}, "start must not lie after end. Got start=2020-02-08 and end=2020-02-07"),
        ({"start": pd.NaT}, "start must be a date such as '2020-02-03'. Got NaT"),
        ({"tickers": ["US0378331005"]}, "Got the ISIN 'US0378331005' instead: look up its symbol"),
        ({"deadline": 0}, r"'deadline' parameter of fetch_prices .* \(0.0, inf\] or None. Got 0"),
        ({"deadline": "5"}, "'deadline' parameter.*Got '5'"),
        ({"timeout": -1.0}, r"'timeout' parameter .* \(0.0, inf\). Got -1.0"),
        ({"timeout": None}, "'timeout' parameter.*Got None"),
        ({"timeout": float("inf")}, "'timeout' parameter.*Got inf"),
        ({"retries": -1}, r"'retries' parameter .* an int in the range \[0, inf\). Got -1"),
        ({"retries": 1.5}, "'retries' parameter.*Got 1.5"),
        ({"retries": "3"}, "'retries' parameter.*Got '3'"),
        ({"backoff": float("nan")}, "'backoff' parameter.*Got nan"),
        ({"n_jobs": 0}, r"'n_jobs' parameter .* an int in the range \[1, inf\).*Got 0"),
        ({"n_jobs": 2.5}, "'n_jobs' parameter.*Got 2.5"),
        ({"on_missing": "ignore"}, "'on_missing' parameter .* a str among .*Got 'ignore'"),
        ({"cache_dir": ""}, "cache_dir of fetch_prices must be a folder, 'auto' or None. Got ''"),
        ({"cache_dir": 3}, "'cache_dir' parameter.*Got 3"),
        ({"progress": 3}, "'progress' parameter.*Got 3"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_asked(yahoo, fetch, change, message):
    with pytest.raises(ValueError, match=message):
        fetch(**({"tickers": ["AAA"]} | change))
    assert not yahoo.charts


def test_dates_may_be_dates_timestamps_or_text(yahoo, fetch):
    expected = fetch(["AAA"])
    for start, end in [
        (date(2020, 2, 3), datetime(2020, 2, 7, 15, tzinfo=UTC)),
        (pd.Timestamp("2020-02-03"), pd.Timestamp("2020-02-07")),
    ]:
        pd.testing.assert_frame_equal(fetch(["AAA"], start, end), expected)


# A process of its own

_FETCH_AND_EXIT = """
import sys, time
from tests.prices.yahoo import connect_yfinance
from shapecluster.prices import fetch_prices
from shapecluster.exceptions import MissingPricesError

connect_yfinance(int(sys.argv[1]), sys.argv[2])
try:
    fetch_prices(["BBB"], "2020-02-03", "2020-02-07", cache_dir=None, deadline=1.0, timeout=600.0)
except MissingPricesError as error:
    print(*error.missing, time.time())
sys.exit(7)
"""


def test_a_request_that_hangs_does_not_keep_the_interpreter_from_exiting(yahoo, tmp_path):
    yahoo.faults["BBB"] = Fault("hang")  # for 30 seconds
    done = subprocess.run(
        [sys.executable, "-c", _FETCH_AND_EXIT, str(yahoo.server_address[1]), str(tmp_path / "child")],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ended = time.time()
    missing, call_ended = done.stdout.split()
    assert missing == "BBB", done.stderr
    assert ended - float(call_ended) < 10
    assert done.returncode == 7
    assert yahoo.charts["BBB"] == 1
    assert done.stderr == ""


_INTERRUPTED = """
import sys, time
from tests.prices.yahoo import connect_yfinance
from shapecluster.prices import fetch_prices

connect_yfinance(int(sys.argv[1]), sys.argv[2])
try:
    fetch_prices(["AAA", "BBB", "CCC"], "2020-02-03", "2020-02-07", cache_dir=sys.argv[3], timeout=25.0)
except KeyboardInterrupt:
    print(time.time(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_an_interrupt_ends_the_call_at_once_and_what_arrived_stays_in_the_cache(yahoo, tmp_path):
    yahoo.faults["BBB"] = Fault("hang")
    arguments = [str(yahoo.server_address[1]), str(tmp_path / "child"), str(tmp_path / "cache")]
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, *arguments],
        cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        wait_for(lambda: len(list((tmp_path / "cache").glob("prices-*"))) == 2, seconds=60.0)
        interrupted = time.time()
        child.send_signal(signal.SIGINT)
        seconds = float(child.stdout.readline()) - interrupted
        yahoo.release.set()  # the process waits for its last request, at most until that times out
        child.wait(60)
    assert seconds < 5
    assert child.returncode == 0
    assert {path.name[:10] for path in (tmp_path / "cache").iterdir()} == {"prices-AAA", "prices-CCC"}


def test_an_error_of_the_users_own_callback_is_not_taken_for_the_deadline(yahoo, fetch):
    def progress(done, total, ticker):
        raise TimeoutError("of the user")

    with pytest.raises(TimeoutError, match="of the user"):
        fetch(["AAA"], progress=progress)
