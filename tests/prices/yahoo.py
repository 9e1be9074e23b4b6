"""A server on this machine that speaks Yahoo's chart format, and goes wrong on request.

The real yfinance talks to it through its real HTTP client: a session that sends whatever yfinance asks
of any host of Yahoo to 127.0.0.1 instead. Nothing of shapecluster or of yfinance is replaced.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from curl_cffi import requests as curl

NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}


class Fault:
    """What goes wrong for a ticker: the first `times` chart requests, or all of them."""

    def __init__(self, kind: str, times: int | None = None) -> None:
        self.kind = kind
        self.times = times


class YahooServer(ThreadingHTTPServer):
    """Charts for the known tickers; `charts` counts the chart requests of each."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prices: dict[str, dict[date, float]] = {}
        self.exchange: dict[str, str] = {}
        self.faults: dict[str, Fault] = {}
        self.charts: Counter[str] = Counter()
        self.release = threading.Event()  # lets hanging requests go
        self.lock = threading.Lock()

    def add(self, ticker: str, start: str, prices: list[float], exchange: str = "America/New_York") -> None:
        """Give a ticker one price per weekday from `start` on."""
        day, series = date.fromisoformat(start), {}
        for price in prices:
            while day.weekday() >= 5:
                day += timedelta(days=1)
            series[day] = price
            day += timedelta(days=1)
        self.prices[ticker] = series
        self.exchange[ticker] = exchange

    def fault_for(self, ticker: str) -> str | None:
        """The fault that this request meets, counting it."""
        with self.lock:
            self.charts[ticker] += 1
            fault = self.faults.get(ticker) or self.faults.get("*")
            if fault is None or (fault.times is not None and fault.times <= 0):
                return None
            if fault.times is not None:
                fault.times -= 1
            return fault.kind

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: YahooServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/v8/finance/chart/"):
            self._chart(unquote(parts.path.rsplit("/", 1)[1]), parse_qs(parts.query))
        elif parts.path.endswith("/getcrumb"):
            self._send(200, "a-crumb", "text/plain")
        elif parts.path in ("/", "/consent"):
            self._send(200, "<html></html>", "text/html")
        else:
            self._send(404, json.dumps({"finance": {"result": None, "error": NOT_FOUND}}))

    do_POST = do_GET

    def _chart(self, ticker: str, query: dict[str, list[str]]) -> None:
        kind = self.server.fault_for(ticker)
        if kind == "429":
            self._send(429, "Too Many Requests", "text/plain")
        elif kind == "500":
            self._send(500, "<html><body>Internal Server Error</body></html>", "text/html")
        elif kind == "500-json":
            error = {"code": "Internal Server Error", "description": "Something broke"}
            self._send(500, json.dumps({"chart": {"result": None, "error": error}}))
        elif kind == "garbage":
            self._send(200, '{"chart": {"result": [{"meta"')
        elif kind == "strange":
            self._send(200, json.dumps({"chart": {"result": [{"surprise": 1}], "error": None}}))
        elif kind == "cut":
            self._send(200, self._body(ticker, query), cut=True)
        elif kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif kind == "hang":
            self.server.release.wait(30)
            self.close_connection = True
        elif kind == "late":
            self.server.release.wait(30)
            self._send(200, self._body(ticker, query))
        elif ticker not in self.server.prices:
            self._send(404, json.dumps({"chart": {"result": None, "error": NOT_FOUND}}))
        else:
            self._send(200, self._body(ticker, query))

    def _body(self, ticker: str, query: dict[str, list[str]]) -> str:
        zone = ZoneInfo(self.server.exchange[ticker])
        opening = {
            d: datetime(d.year, d.month, d.day, 9, 30, tzinfo=zone) for d in self.server.prices[ticker]
        }
        first, last = (int(query[name][0]) for name in ("period1", "period2"))
        kept = [d for d, moment in opening.items() if first <= moment.timestamp() < last]
        close = [self.server.prices[ticker][d] for d in kept]
        result: dict[str, Any] = {
            "meta": {
                "currency": "USD",
                "symbol": ticker,
                "exchangeTimezoneName": str(zone),
                "instrumentType": "EQUITY",
                "firstTradeDate": 0,
                "regularMarketTime": int(datetime.now(UTC).timestamp()),
                "gmtoffset": -18000,
                "timezone": "EST",
                "priceHint": 2,
                "dataGranularity": "1d",
                "validRanges": ["1d", "max"],
            },
            "indicators": {"quote": [{}], "adjclose": [{}]},
        }
        if kept:
            result["timestamp"] = [int(opening[d].timestamp()) for d in kept]
            quote = dict.fromkeys(("open", "high", "low", "close"), close)
            result["indicators"] = {
                "quote": [quote | {"volume": [1000] * len(kept)}],
                "adjclose": [{"adjclose": [None if c is None else c / 2 for c in close]}],
            }
        return json.dumps({"chart": {"result": [result], "error": None}})

    def _send(self, status: int, body: str, kind: str = "application/json", cut: bool = False) -> None:
        raw = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if cut else raw)
        if cut:
            self.close_connection = True


class LocalSession(curl.Session):
    """yfinance's HTTP client, except that every host is the server on this machine."""

    def __init__(self, port: int) -> None:
        super().__init__(impersonate="chrome")
        self._port = port

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)
        local = parts._replace(scheme="http", netloc=f"127.0.0.1:{self._port}").geturl()
        return super().request(method, local, *args, **kwargs)


def connect_yfinance(port: int, cache_dir: str) -> None:
    """Let yfinance, as if freshly imported, ask the server on this machine only."""
    import yfinance as yf
    from yfinance import cache, data

    yf.set_tz_cache_location(cache_dir)
    cache._CookieCacheManager._Cookie_cache = None
    cache._TzCacheManager._tz_cache = None
    data.YfData.cache_get.cache_clear()
    data.SingletonMeta._instances.clear()
    data.YfData(session=LocalSession(port))


@contextmanager
def running_server() -> Iterator[YahooServer]:
    """Serve until the block ends."""
    with YahooServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()
