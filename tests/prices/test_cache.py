"""Fetched prices on disk: what is asked for again, and what crashes and damage leave behind."""

from __future__ import annotations

import logging
import os
import stat
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from shapecluster._files import new_name
from shapecluster.prices import _cache
from shapecluster.prices._cache import PriceCache


def test_a_range_that_is_over_is_asked_for_once(yahoo, fetch):
    first = fetch(["AAA", "BBB"])
    calls: list[tuple[int, int, str]] = []
    second = fetch(["BBB", "AAA"], progress=lambda *call: calls.append(call))
    pd.testing.assert_frame_equal(second, first.loc[["BBB", "AAA"]])
    assert yahoo.charts == {"AAA": 1, "BBB": 1}
    assert calls == [(1, 2, "BBB"), (2, 2, "AAA")]


def test_other_ranges_and_kinds_are_other_files(yahoo, fetch):
    fetch(["AAA"])
    fetch(["AAA"], auto_adjust=False)
    fetch(["AAA"], end="2020-02-06")
    assert yahoo.charts["AAA"] == 3


def test_without_a_folder_nothing_is_kept(yahoo, fetch, tmp_path):
    fetch(["AAA"], cache_dir=None)
    fetch(["AAA"], cache_dir=None)
    assert yahoo.charts["AAA"] == 2
    assert not (tmp_path / "cache").exists()


def test_auto_is_the_users_cache_folder(yahoo, fetch, tmp_path, monkeypatch):
    for variable in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "user"))
    fetch(["AAA"], cache_dir="auto")
    assert [path.name for path in (tmp_path / "user").rglob("*.parquet")] == [
        "prices-AAA-2020-02-03-2020-02-07-adjusted.parquet"
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b"AAA", b"BBB"),
        lambda raw: b"",
        lambda raw: b"{}\n",
        lambda raw: b"\xff\xfe\n\x00",
        lambda raw: b"[1]\n2020-02-03,1\n",
    ],
)
def test_a_damaged_file_is_named_and_fetched_again(yahoo, fetch, tmp_path, caplog, damage):
    first = fetch(["AAA"])
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with caplog.at_level(logging.WARNING, logger="shapecluster"):
        pd.testing.assert_frame_equal(fetch(["AAA"]), first)
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    fetch(["AAA"])  # whole again
    assert caplog.records == []
    assert yahoo.charts["AAA"] == 2


def test_no_changed_bit_of_the_prices_passes_for_a_price(tmp_path, rng):
    days = pd.DatetimeIndex(pd.bdate_range("2020-01-01", periods=50).to_numpy(), name="date")
    prices = pd.Series(rng.random(50), index=days)
    cache = PriceCache(tmp_path, days[0].date(), days[-1].date(), True)
    cache.store("AAA", prices)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    n_found = 0
    for place in range(4, 900, 5):  # the pages with the prices come first
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        loaded = cache.load("AAA")
        n_found += loaded is None
        assert loaded is None or loaded.tolist() == prices.tolist()
    assert n_found > 100


def test_what_was_fetched_before_a_crash_stays(yahoo, fetch, tmp_path):
    def crash(done, total, ticker):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(["AAA", "BBB", "CCC"], n_jobs=1, progress=crash)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    fetch(["AAA", "BBB", "CCC"])
    assert yahoo.charts["AAA"] == yahoo.charts["BBB"] == 1


def test_a_write_that_fails_half_way_leaves_nothing_behind(yahoo, fetch, tmp_path, monkeypatch, caplog):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    assert len(fetch(["AAA", "BBB"])) == 2
    assert list((tmp_path / "cache").iterdir()) == []
    assert sum("Prices are not cached" in record.getMessage() for record in caplog.records) == 1


def test_a_folder_that_cannot_be_made_is_named_and_does_no_harm(yahoo, fetch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert len(fetch(["AAA", "BBB"], cache_dir=tmp_path / "file" / "below")) == 2
    assert any(str(tmp_path / "file") in record.getMessage() for record in caplog.records)


@pytest.fixture
def set_clock(monkeypatch):
    def set_clock(now: datetime) -> None:
        monkeypatch.setattr(_cache, "datetime", SimpleNamespace(now=lambda zone: now))

    return set_clock


def test_a_range_that_is_not_over_is_kept_for_minutes_only(yahoo, fetch, set_clock):
    today = datetime.now(UTC)
    start = (today - timedelta(days=9)).date()
    yahoo.add("NOW", str(start), [1.0, 2.0, 3.0])
    requested = {}
    for end in (0, 1, 2):  # today, yesterday, and a day that is over everywhere
        for later in (timedelta(0), timedelta(minutes=10), timedelta(minutes=20), timedelta(days=400)):
            set_clock(today + later)
            fetch(["NOW"], start, today - timedelta(days=end))
        requested[end] = yahoo.charts.pop("NOW")
    assert requested == {0: 3, 1: 3, 2: 1}


def test_tickers_with_odd_characters_have_files_of_their_own(yahoo, fetch, tmp_path):
    odd = ["^GSPC", "EURUSD=X", "M&M.NS", "BRK-B", "CON"]
    for ticker in odd:
        yahoo.add(ticker, "2020-02-03", [1.0, 2.0])
    assert fetch(odd).index.tolist() == odd
    assert len(list((tmp_path / "cache").iterdir())) == 5
    fetch(odd)
    assert set(yahoo.charts.values()) == {1}


def test_prices_from_the_future_are_not_trusted(tmp_path, set_clock):
    """As when a clock was wrong and has been put right."""
    now = datetime(2020, 2, 7, 12, tzinfo=UTC)
    prices = pd.Series([1.0], index=pd.DatetimeIndex(["2020-02-07"], name="date"))
    cache = PriceCache(tmp_path, now.date(), now.date(), True)
    set_clock(now + timedelta(hours=1))
    cache.store("AAA", prices)
    pd.testing.assert_series_equal(cache.load("AAA"), prices, check_index_type=False, check_names=False)
    set_clock(now)
    assert cache.load("AAA") is None


def test_a_cache_of_another_format_is_ignored(yahoo, fetch, tmp_path, caplog):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "prices-AAA-2020-02-03-2020-02-07-adjusted.csv").write_text("2020-02-03,1\n")
    assert len(fetch(["AAA"])) == 1
    assert yahoo.charts["AAA"] == 1
    assert caplog.records == []


def test_what_crashes_left_behind_is_removed(yahoo, fetch, tmp_path):
    (tmp_path / "cache").mkdir()
    for name in (new_name(".parquet"), "other"):
        (tmp_path / "cache" / name).write_text("half")
    fetch(["AAA", "BBB"])
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert len(left) == 3
    assert "other" in left


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_files_have_the_rights_that_the_user_chose(yahoo, fetch, tmp_path):
    before = os.umask(0o027)
    try:
        fetch(["AAA"])
    finally:
        os.umask(before)
    (path,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_tilde_is_the_home_folder(yahoo, fetch, tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    fetch(["AAA"], cache_dir="~/kept")
    assert len(list((tmp_path / "home" / "kept").iterdir())) == 1
