"""load_prices and load_sectors: what they read, and the one clear message for everything they cannot."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapecluster.exceptions import PriceFileError
from shapecluster.prices import load_prices, load_sectors

WIDE = "date,AAA,BBB\n2020-02-03,1.5,10\n2020-02-04,1.25,\n2020-02-05,2,12\n"
LONG = "date,ticker,close\n2020-02-04,BBB,11\n2020-02-03,AAA,1.5\n2020-02-03,BBB,10\n"


@pytest.fixture
def save(tmp_path):
    def save(content: str | bytes, name: str = "prices.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return save


@pytest.fixture
def save_parquet(tmp_path):
    def save_parquet(frame: pd.DataFrame, name: str = "prices.parquet") -> Path:
        frame.to_parquet(tmp_path / name)
        return tmp_path / name

    return save_parquet


def expected() -> pd.DataFrame:
    dates = pd.DatetimeIndex(["2020-02-03", "2020-02-04", "2020-02-05"], dtype="datetime64[ns]", name="date")
    tickers = pd.Index(["AAA", "BBB"], name="ticker")
    return pd.DataFrame([[1.5, 1.25, 2.0], [10.0, np.nan, 12.0]], index=tickers, columns=dates)


def yahoo_frame(tickers: list[str]) -> pd.DataFrame:
    """What yfinance.download returns."""
    columns = pd.MultiIndex.from_product([["Close", "Volume"], tickers], names=["Price", "Ticker"])
    days = pd.DatetimeIndex(["2020-02-03", "2020-02-04"], name="Date")
    return pd.DataFrame(np.ones((2, len(columns))), index=days, columns=columns)


# What is read


@pytest.mark.parametrize(
    "text",
    [
        WIDE,
        "﻿" + WIDE,
        WIDE.replace("\n", "\r\n"),
        WIDE.replace(",\n", ",NA\n"),
        WIDE.replace(",\n", ", n/a \n") + "\n\n",
        WIDE.replace("date,", ","),
        WIDE.replace("-05", "-05 16:00:00-05:00"),
        WIDE.replace("2020-02-0", "2020020"),
        "AAA,Date,BBB\n1.5,2020-02-03,10\n1.25,2020-02-04,\n2,2020-02-05,12\n",
        '"date","AAA","BBB"\n"2020-02-03","1.5","10"\n2020-02-04,1.25,\n2020-02-05,2,12\n',
        ",date,AAA,BBB\n0,2020-02-03,1.5,10\n1,2020-02-04,1.25,\n2,2020-02-05,2,12\n",
        "Unnamed: 0,date,AAA,BBB\n7,2020-02-03,1.5,10\n3,2020-02-04,1.25,\n9,2020-02-05,2,12\n",
    ],
)
def test_wide_text_gives_tickers_as_rows(save, text):
    pd.testing.assert_frame_equal(load_prices(save(text)), expected())


def test_gzip_is_unpacked(save):
    pd.testing.assert_frame_equal(
        load_prices(save(gzip.compress(WIDE.encode(), mtime=0), "p.CSV.GZ")), expected()
    )


def test_other_separators_signs_and_dates_are_read_when_named(save):
    text = "date;AAA;BBB\n03.02.2020;1,5;10\n04.02.2020;1,25;-\n05.02.2020;2;+1,2e1\n"
    prices = load_prices(save(text), sep=";", decimal=",", date_format="%d.%m.%Y")
    pd.testing.assert_frame_equal(prices, expected())


def test_dates_are_sorted_only_when_asked(save):
    header, *lines = WIDE.splitlines()
    path = save("\n".join([header, *lines[::-1]]))
    pd.testing.assert_frame_equal(load_prices(path, sort_dates=True), expected())
    with pytest.raises(PriceFileError, match=r"line 3 has 2020-02-04 after 2020-02-05.*sort_dates=True"):
        load_prices(path)


def test_zero_and_negative_prices_are_left_to_others(save):
    prices = load_prices(save("date,A\n2020-02-03,0\n2020-02-04,-1\n"))
    assert prices.loc["A"].tolist() == [0.0, -1.0]


def test_tickers_that_look_like_missing_values_keep_their_names(save):
    assert load_prices(save("date,NA,TRUE,1\n2020-02-03,1,2,3\n")).index.tolist() == ["NA", "TRUE", "1"]
    long = load_prices(save("date,ticker,close\n2020-02-03,NaN,1\n2020-02-03,TRUE,2\n"))
    assert long.index.tolist() == ["NaN", "TRUE"]


@pytest.mark.parametrize("dates", ["", "Date", "2020"])
def test_tickers_that_look_like_columns_of_other_files_keep_their_names(save, dates):
    header = "Date" if dates == "Date" else ""
    day = "20200203" if dates == "2020" else "2020-02-03"
    prices = load_prices(save(f"{header},DAY,LOW,OPEN\n{day},1,2,3\n"))
    assert prices.index.tolist() == ["DAY", "LOW", "OPEN"]


def test_tickers_as_rows_need_dates_in_most_columns(save):
    header = "date,AAA,2020-02-03"  # a strange ticker, but not more than half of them
    assert load_prices(save(f"{header}\n2020-02-04,1,2\n")).index.tolist() == ["AAA", "2020-02-03"]
    with pytest.raises(PriceFileError, match="the columns are dates"):
        load_prices(save(f"{header},2020-02-04\n2020-02-04,1,2,3\n"))


def test_the_years_of_markets_are_read_to_the_first_and_last(save):
    prices = load_prices(save("date,A\n1800-01-01,1\n2200-12-31,2\n"))
    assert [day.year for day in prices.columns] == [1800, 2200]


def test_long_text_in_any_order_keeps_the_order_of_tickers(save):
    prices = load_prices(save(LONG))
    assert prices.index.tolist() == ["BBB", "AAA"]
    assert [str(day.date()) for day in prices.columns] == ["2020-02-03", "2020-02-04"]
    np.testing.assert_array_equal(prices, [[10.0, 11.0], [1.5, np.nan]])


def test_long_columns_can_be_named(save):
    text = "day,name,open,last\n2020-02-03,AAA,1,2\n2020-02-04,AAA,3,4\n"
    prices = load_prices(save(text), ticker="name", date="day", price="last")
    assert prices.loc["AAA"].tolist() == [2.0, 4.0]


def test_a_long_table_equals_the_wide_one(save):
    long = expected().rename_axis(columns="date").stack().rename("price").reset_index()
    pd.testing.assert_frame_equal(load_prices(save(long.to_csv(index=False))), expected())


@pytest.mark.parametrize("price", ["close", "last"])
@pytest.mark.parametrize("rows", ["all", "shuffled", "filtered"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_long_table_is_read_as_pandas_writes_it_row_numbers_and_all(tmp_path, price, rows, kind):
    long = expected().rename_axis(columns="date").stack().rename(price).reset_index()
    if rows == "shuffled":
        long = long.sort_values(price)
    elif rows == "filtered":
        long = long[long["date"] != pd.Timestamp("2020-02-04")]
    path = tmp_path / f"long.{kind}"
    long.to_csv(path) if kind == "csv" else long.to_parquet(path)
    days = [0, 2] if rows == "filtered" else [0, 1, 2]
    pd.testing.assert_frame_equal(load_prices(path).sort_index(), expected().iloc[:, days])


def test_dates_in_an_unnamed_index_of_a_long_table_are_found(save_parquet):
    frame = pd.DataFrame(
        {"ticker": ["A", "A"], "close": [1.0, 2.0]}, index=pd.DatetimeIndex(["2020-02-03", "2020-02-04"])
    )
    assert load_prices(save_parquet(frame)).loc["A"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dates", ["index", "column", "text"])
def test_parquet_keeps_its_dtype(save_parquet, dtype, dates):
    frame = expected().T.astype(dtype)
    frame.columns.name = None
    if dates != "index":
        frame = frame.reset_index()
    if dates == "text":
        frame["date"] = frame["date"].dt.strftime("%Y-%m-%d")
    pd.testing.assert_frame_equal(load_prices(save_parquet(frame)), expected().astype(dtype))


def test_parquet_with_mixed_dtypes_becomes_float64(save_parquet):
    frame = pd.DataFrame(
        {"A": np.float32([1, 2]), "B": [3, 4], "C": pd.array([5, None], dtype="Int64")},
        index=pd.DatetimeIndex(["2020-02-03", "2020-02-04"]),
    )
    prices = load_prices(save_parquet(frame))
    assert set(prices.dtypes) == {np.dtype(np.float64)}
    np.testing.assert_array_equal(prices, [[1, 2], [3, 4], [5, np.nan]])


def test_text_in_parquet_is_read_as_in_csv(save_parquet):
    frame = pd.DataFrame({"date": ["2020-02-03", "2020-02-04"], "A": [" 1.5", "NA"], "B": [None, "-"]})
    np.testing.assert_array_equal(load_prices(save_parquet(frame)), [[1.5, np.nan], [np.nan, np.nan]])


def test_parquet_long_and_with_a_time_zone(save_parquet):
    stamps = pd.DatetimeIndex(["2020-02-03 09:00", "2020-02-04 09:00"], tz="Australia/Sydney")
    frame = pd.DataFrame({"symbol": ["A", "A"], "date": stamps, "close": np.float32([1, 2])})
    prices = load_prices(save_parquet(frame))
    assert [str(day) for day in prices.columns] == ["2020-02-03 00:00:00", "2020-02-04 00:00:00"]
    assert prices.dtypes.iloc[0] == np.float32


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("date,A,B\n", r"header \(line 1\) and no prices"),
        ("date,A\n2020-02-03,1\n2020-02-04,abc\n", "line 3, column 'A': a finite number.*Got 'abc'"),
        ("date,A\n\n2020-02-03,1\n\n2020-02-04,x\n", "line 5, column 'A'"),
        ('date,A,"B\nC"\n2020-02-03,1,x\n', "line 3, column 'B\\\\nC'"),
        ("date,A\n2020-02-03,inf\n", "line 2, column 'A': a finite number.*Got 'inf'"),
        ('date,A\n2020-02-03,"1,5"\n', r"Got '1,5' instead\. If the comma .* decimal=',' and another sep"),
        ("date,A\n2020-02-03,1_5\n", "line 2, column 'A': a finite number.*Got '1_5'"),
        ("date,A\n2020-02-03,\u0661\u0662\n", "line 2, column 'A': a finite number.*Got '\u0661\u0662'"),
        ("date,A\n2020-02-03,1\n2020-02-30,2\n", "line 3, column 'date': a date such.*Got '2020-02-30'"),
        ("date,A\n03/02/2020,1\n", "line 2, column 'date'.*date_format="),
        ("date,A\n2020,1\n", "line 2, column 'date'.*Got '2020'"),
        ("date,A\n9999-01-01,1\n", "line 2, column 'date'.*Got '9999-01-01'"),
        ("date,A\n1799-12-31,1\n", "line 2, column 'date'.*Got '1799-12-31'"),
        ("date,A\n2201-01-01,1\n", "line 2, column 'date'.*Got '2201-01-01'"),
        (",A\n0,1\n1,2\n", "line 2, column 1: a date"),
        ("date,A,B,A\n2020-02-03,1,2,3\n", "the ticker 'A' occurs twice: in column 2 and in column 4"),
        ("date,A,\n2020-02-03,1,2\n", "column 3 has no ticker"),
        ("date,A\n2020-02-03,1\n2020-02-04,1\n2020-02-03,2\n", "-03 occurs twice: in line 2 and in line 4"),
        ("date,A\n2020-02-04,1\n2020-02-03,1\n", "not sorted: line 3 has 2020-02-03 after 2020-02-04"),
        ("date,A,B\n2020-02-03,1,2\n2020-02-04,1\n", "line 3 has 2 fields where the header has 3"),
        ("date,A,B\n2020-02-03,1,2,3\n", "line 2 has 4 fields where the header has 3"),
        ('date,A\n2020-02-03,"1\n', "line 2 is not readable as separated text"),
        ("date;A\n2020-02-03;1\n", "one column only.*pass sep=';'"),
        ("date\n2020-02-03\n", "no column of prices"),
        ("ticker,2020-02-03,2020-02-04\nA,1,2\n", r"the columns are dates.*prices\.T\.to_csv\("),
        ("ticker,02/03/2020,02/04/2020\nA,1,2\n", r"the columns are dates.*Transpose it"),
        (LONG + "2020-02-03,BBB,12\n", "line 5: 'BBB' has a second price for 2020-02-03.*line 4"),
        (LONG + "2020-02-05,,12\n", "line 5 has no ticker"),
        ("Date,Open,High,Low,Close,Volume\n2020-02-03,1,2,1,1,9\n", r"close, high, low.*to_csv\(path\)"),
        ("date,Close,Adj Close\n2020-02-03,1,2\n", r"holds adj close, close of a .*frame\[\['Close'\]\]"),
        ("Price,Close,Volume\nTicker,A,A\nDate,,\n2020-02-03,1,2\n", r"second line of names.*frame\['Clo"),
        ("Ticker,A,A\nPrice,Open,Close\nDate,,\n2020-02-03,1,2\n", r"second line of names.*frame\['Clo"),
        ("date,ticker,volume\n2020-02-03,A,1\n", "which column holds the prices.*'volume' could.*price='"),
        ("date,ticker,open\n2020-02-03,A,1\n", "which column holds the prices.*'open' could"),
        ("date,ticker,open,high\n2020-02-03,A,1,2\n", "which column holds the prices.*'open', 'high' could"),
        ("date,ticker,close,adj close\n2020-02-03,A,1,2\n", "which column holds the prices.*price='...'"),
        ("date,ticker,symbol,close\n2020-02-03,A,B,2\n", "column holds the tickers.*'ticker', 'symbol'"),
    ],
)  # fmt: skip
def test_bad_text_gets_one_clear_message(save, text, message):
    path = save(text)
    with pytest.raises(PriceFileError, match=f"(?s)^{path}: .*{message}"):
        load_prices(path)


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        ("date,Ä\n2020-02-03,1\n".encode("latin-1"), "p.csv", r"line 1 is not UTF-8 text \(byte 0xc4\)"),
        (b"date,A\n2020-02-03,1\n\xff", "p.csv", "line 3 is not UTF-8"),
        ("date,A".encode("utf-16"), "p.csv", "line 1 is not UTF-8.*UTF-16"),
        (gzip.compress(WIDE.encode() * 99, mtime=0)[:-20], "p.csv.gz", "damaged or no gzip file"),
        (WIDE.encode(), "p.csv.gz", "damaged or no gzip file"),
        (gzip.compress(WIDE.encode(), mtime=0), "p.csv", r"packed with gzip. Rename it to p\.csv\.gz"),
        (b"PAR1 nothing else PAR1", "p.parquet", "damaged or no parquet file"),
        (b"", "p.parquet", "damaged or no parquet file"),
        (b"", "p.xlsx", r"must end in one of \.csv, \.csv\.gz, \.parquet, \.pq\. Got '\.xlsx'"),
        (b"", "prices", "Got 'no suffix'"),
    ],
)
def test_bad_bytes_get_one_clear_message(save, raw, name, message):
    path = save(raw, name)
    with pytest.raises(PriceFileError, match=f"^{path}: .*{message}"):
        load_prices(path)


@pytest.mark.parametrize("name", ["none.csv", "none.csv.gz", "none.parquet"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(PriceFileError, match=f"{name}: there is no such file"):
        load_prices(tmp_path / name)


def test_a_directory_is_no_file(tmp_path):
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(PriceFileError, match="this is a directory"):
        load_prices(tmp_path / "p.csv")


def test_missing_columns_are_named(save):
    with pytest.raises(PriceFileError, match=r"no column 'last' \(price\); the columns are 'date', 'ticker'"):
        load_prices(save(LONG), price="last")
    with pytest.raises(PriceFileError, match=r"no column 'day' \(date\)"):
        load_prices(save(WIDE), date="day")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"date": ["2020-02-03"], "A": ["x"]}), "row 0, column 'A': a finite number.*Got 'x'"),
        (pd.DataFrame({"date": ["2020-02-03"], "A": [np.inf]}), "row 0, column 'A': a finite number"),
        (pd.DataFrame({"date": ["2020-02-03"], "A": [True]}), "row 0, column 'A'.*Got (np.)?True"),
        (pd.DataFrame({"date": ["2020-02-03", "x"], "A": [1.0, 2.0]}), "row 1, column 'date'.*Got 'x'"),
        (pd.DataFrame({"date": ["2020-02-03"]}).iloc[:0], "the table is empty"),
        (expected().rename(columns=str), r"the columns are dates.*Transpose it: prices\.T\.to_parquet\("),
        (yahoo_frame(["AAA", "BBB"]), r"columns have 2 levels.*frame\['Close'\]\.to_parquet\(path\)"),
        (yahoo_frame(["AAA"]).droplevel(1, axis=1), r"holds close, volume of a stock.*\.to_parquet\(path\)"),
    ],
)
def test_bad_parquet_gets_one_clear_message(save_parquet, frame, message):
    path = save_parquet(frame)
    with pytest.raises(PriceFileError, match=f"^{path}: .*{message}"):
        load_prices(path)


def test_what_yfinance_returns_is_refused_with_a_remedy_that_works(tmp_path):
    frame, path = yahoo_frame(["AAA", "BBB"]), tmp_path / "yahoo.csv"
    frame.to_csv(path)
    with pytest.raises(PriceFileError, match=r"frame\['Close'\]\.to_csv\(path\)"):
        load_prices(path)
    frame["Close"].to_csv(path)
    assert load_prices(path).index.tolist() == ["AAA", "BBB"]
    yahoo_frame(["AAA"]).to_csv(path)
    with pytest.raises(PriceFileError, match=r"second line of names"):
        load_prices(path)
    one = yahoo_frame(["AAA"]).droplevel(1, axis=1)
    one[["Close"]].rename(columns={"Close": "AAPL"}).to_csv(path)
    assert load_prices(path).index.tolist() == ["AAPL"]


@pytest.mark.parametrize("cell", ["1.000", "1.000,5", "1_5", "\u0661", "1,5,5", "inf"])
def test_with_another_decimal_sign_points_are_not_guessed_at(save, cell):
    with pytest.raises(PriceFileError, match=f"line 3, column 'A': a finite number.*Got '{cell}'"):
        load_prices(save(f"date;A\n2020-02-03;999,5\n2020-02-04;{cell}\n"), sep=";", decimal=",")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"sep": ";;"}, "sep of load_prices must be one character.*Got ';;'"),
        ({"sep": ""}, "sep of load_prices must be one character.*Got ''"),
        ({"sep": None}, "'sep' parameter of load_prices must be an instance of 'str'. Got None"),
        ({"decimal": ","}, r"sep of load_prices .* other than decimal \(','\)\. Got ','"),
        ({"decimal": ""}, "'decimal' parameter of load_prices must be a str among.*Got ''"),
        ({"date_format": 3}, "'date_format' parameter of load_prices must be .* Got 3"),
        ({"sort_dates": "yes"}, "'sort_dates' parameter of load_prices"),
        ({"price": 1}, "'price' parameter of load_prices"),
    ],
)
def test_bad_options_get_one_clear_message(save, option, message):
    with pytest.raises(ValueError, match=message):
        load_prices(save(WIDE), **option)


# Sectors


def test_sectors_are_indexed_by_ticker(save):
    sectors = load_sectors(save("Ticker,name,sector\nA,Agilent,Health Care\nNA,National,Financials\n"))
    assert sectors.to_dict() == {"A": "Health Care", "NA": "Financials"}
    assert (sectors.name, sectors.index.name) == ("sector", "ticker")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ticker,sector\nA,x\nA,y\n", "the ticker 'A' occurs twice: in line 2 and in line 3"),
        ("ticker,sector\nA,\n", "line 2: 'A' has no sector"),
        ("ticker,industry\nA,x\n", r"no column 'sector' \(sector\)"),
        ("", "the file is empty"),
    ],
)
def test_bad_sectors_get_one_clear_message(save, text, message):
    with pytest.raises(PriceFileError, match=message):
        load_sectors(save(text))


# Real files


def test_the_real_files_are_read_as_they_are(shared_data):
    panel = load_prices(shared_data / "market" / "panel_a_sp500_close_2013_2018.parquet")
    assert panel.shape == (505, 1259)
    assert set(panel.dtypes) == {np.dtype(np.float32)}
    assert int(panel.isna().to_numpy().sum()) == 16_755
    assert panel.index.name == "ticker"
    assert panel.columns.is_monotonic_increasing
    lab = load_prices(shared_data / "market" / "seed_lab_2020_adj_close.csv.gz")
    assert lab.shape == (99, 96)
    assert not lab.isna().to_numpy().any()
    assert lab.loc["AAPL", "2020-02-03"] == 76.3888
    sectors = load_sectors(shared_data / "market" / "panel_a_sectors.csv")
    assert set(panel.index) == set(sectors.index)
