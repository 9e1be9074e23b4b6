"""A server that stands in for Yahoo, and fetch_prices set up to ask it."""

from __future__ import annotations

import pytest

from shapecluster.prices import fetch_prices

WEEK = ("2020-02-03", "2020-02-07")


@pytest.fixture
def yahoo(tmp_path):
    """Six tickers on the server of this machine, which yfinance asks instead of Yahoo."""
    from tests.prices.yahoo import connect_yfinance, running_server

    with running_server() as server:
        for position, ticker in enumerate(["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]):
            server.add(ticker, "2020-01-27", [position + day / 10 for day in range(20, 40)])
        connect_yfinance(server.server_address[1], str(tmp_path / "yfinance"))
        yield server


@pytest.fixture
def fetch(tmp_path):
    """fetch_prices with a cache of the test's own and hardly any waiting."""

    def fetch(tickers, start=WEEK[0], end=WEEK[1], **options):
        options = {
            "cache_dir": tmp_path / "cache",
            "deadline": 20.0,
            "timeout": 5.0,
            "backoff": 0.01,
        } | options
        return fetch_prices(tickers, start, end, **options)

    return fetch
