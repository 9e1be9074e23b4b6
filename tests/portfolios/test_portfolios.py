"""The table of holdings: input checks, lookups, and round trips through frames and files."""

from __future__ import annotations

import gzip
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans, SpectralCoclustering

from shapecluster.datasets import make_portfolios
from shapecluster.exceptions import PortfolioFileError
from shapecluster.portfolios import Portfolios

SMALL = Portfolios([[1, 1, 0], [0, 0, 0], [0, 1, 1]], ["AAPL", "KO", "XOM"], ["ann", "bob", "cy"])
QUANTITIES = Portfolios([[2, 1.5, 0], [0, 0, 0], [0, 1, 1]], ["AAPL", "KO", "XOM"], [10, 20, 30])


def assert_same(one: Portfolios, other: Portfolios) -> None:
    assert one.matrix.shape == other.matrix.shape
    assert (one.matrix != other.matrix).nnz == 0
    assert one.tickers.tolist() == other.tickers.tolist()
    assert one.trader_ids.tolist() == other.trader_ids.tolist()
    assert one.trader_ids.dtype == other.trader_ids.dtype


@st.composite
def tables(draw: st.DrawFn) -> Portfolios:
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 5)))
    amounts = st.sampled_from([0.0, 0.0, 1.0, 1.0, 2.5])
    matrix = draw(hnp.arrays(np.float64, shape, elements=amounts))
    matrix[0] = np.maximum(matrix[0], 1)  # tickers without a holder are not written
    tickers = sorted(draw(st.lists(st.text("ABC.-NUL", min_size=1), min_size=5, max_size=5, unique=True)))
    names = st.text("ab ,\"'é\n\u2028", min_size=1).map(lambda text: f"t{text}".strip())
    ids = draw(
        st.one_of(
            st.lists(st.integers(-(10**6), 10**6), min_size=6, max_size=6, unique=True),
            st.lists(names, min_size=6, max_size=6, unique=True),
        )
    )
    return Portfolios(matrix, tickers[: shape[1]], ids[: shape[0]])


def test_the_matrix_is_canonical_and_a_copy():
    given_ = sparse.coo_array(
        (np.array([1, 1, 0, 2]), (np.array([0, 0, 0, 1]), np.array([2, 2, 1, 0]))), shape=(2, 3)
    )
    held = Portfolios(given_).matrix
    assert isinstance(held, sparse.csr_matrix)
    assert held.dtype == np.float64
    assert held.toarray().tolist() == [[0, 0, 2], [2, 0, 0]]
    assert held.nnz == 2
    dense = np.ones((2, 2), dtype=np.float32)
    held = Portfolios(dense)
    dense[:] = 5
    assert held.matrix.dtype == np.float32
    assert held.matrix.sum() == 4


def test_names_default_to_numbers():
    held = Portfolios(np.eye(3))
    assert held.tickers.tolist() == ["x0", "x1", "x2"]
    assert held.trader_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "estimator",
    [
        KMeans(3, n_init=1, random_state=0),
        KMeans(3, n_init=1, algorithm="elkan", random_state=0),
        MiniBatchKMeans(3, n_init=1, random_state=0),
        BisectingKMeans(3, random_state=0),
        SpectralCoclustering(3, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_estimators_of_scikit_learn_take_the_matrix(estimator):
    matrix = make_portfolios(200, random_state=0).matrix
    estimator.fit(matrix)
    if hasattr(estimator, "predict"):
        assert np.array_equal(estimator.predict(matrix), estimator.labels_)
        assert estimator.transform(matrix).shape == (200, 3)


def test_traders_are_found_by_name():
    assert len(SMALL) == 3
    assert SMALL["cy"].to_dict() == {"KO": 1.0, "XOM": 1.0}
    assert QUANTITIES[10].to_dict() == {"AAPL": 2.0, "KO": 1.5}
    assert QUANTITIES[np.int64(30)].name == 30
    assert SMALL["bob"].empty
    assert QUANTITIES.position(20) == 1
    assert "ann" in SMALL
    assert 20 in QUANTITIES
    assert SMALL.n_holdings.tolist() == [2, 0, 2]


@pytest.mark.parametrize("unknown", ["dan", 0, 10.0, True, None, "20", ["ann"]])
def test_an_unknown_id_raises(unknown):
    for held in (SMALL, QUANTITIES):
        assert unknown not in held
        with pytest.raises(KeyError, match=r"no trader .* among the 3 traders"):
            held[unknown]


def test_a_table_cannot_be_changed():
    for name in ("matrix", "tickers", "trader_ids"):
        with pytest.raises(AttributeError):
            setattr(SMALL, name, None)
    holdings = SMALL["ann"]
    holdings.iloc[0] = 9
    assert SMALL["ann"].tolist() == [1, 1]
    assert_same(pickle.loads(pickle.dumps(SMALL)), SMALL)


def test_take_selects_traders_by_position_or_mask():
    taken = QUANTITIES.take([2, 0])
    assert taken.trader_ids.tolist() == [30, 10]
    assert taken[10].equals(QUANTITIES[10])
    assert_same(QUANTITIES.take(np.array([True, False, True])), QUANTITIES.take([0, 2]))
    with pytest.raises(ValueError, match=r"trader_ids must differ .*: 10"):
        QUANTITIES.take([0, 0])


def test_the_default_layout_is_one_row_per_trader():
    frame = SMALL.to_frame()
    assert frame.columns.tolist() == ["TRADER_ID", "Ticker1", "Ticker2"]
    assert frame["Ticker1"].tolist()[::2] == ["AAPL", "KO"]
    assert frame.isna().sum().tolist() == [0, 1, 1]
    long = QUANTITIES.to_frame()
    assert long.columns.tolist() == ["TRADER_ID", "Ticker", "Quantity"]
    assert long["TRADER_ID"].tolist() == [10, 10, 20, 30, 30]
    assert long["Quantity"].tolist() == [2, 1.5, 0, 1, 1]
    assert QUANTITIES.to_frame("wide").columns.tolist() == frame.columns.tolist()


@settings(max_examples=50)
@given(tables())
def test_frames_round_trip(held):
    assert_same(Portfolios.from_frame(held.to_frame()), held)
    assert_same(Portfolios.from_frame(held.to_frame("long"), held.tickers), held)


@settings(max_examples=20)
@given(held=tables(), suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_files_round_trip(tmp_path_factory, held, suffix):
    folder = tmp_path_factory.mktemp("files")
    path = folder / f"held{suffix}"
    kind = suffix.split(".")[1]
    for layout in ("auto", "long"):
        getattr(held, f"to_{kind}")(path, layout)
        assert_same(getattr(Portfolios, f"from_{kind}")(path), held)
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_tickers_given_are_the_columns_in_their_order():
    frame = SMALL.to_frame()
    held = Portfolios.from_frame(frame, ["XOM", "NEW", "KO", "AAPL"])
    assert held.tickers.tolist() == ["XOM", "NEW", "KO", "AAPL"]
    assert held.matrix.toarray().tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]]
    with pytest.raises(ValueError, match="not among the tickers given: KO, XOM"):
        Portfolios.from_frame(frame, ["AAPL"])


def test_tables_are_read_for_any_missing_value_and_any_case_of_column_names():
    frame = pd.DataFrame(
        {
            "trader_id": ["a", "b"],
            "TICKER2": [None, " KO "],
            "ticker1": ["NA", ""],
            "ticker3": [np.nan, pd.NA],
        }
    )
    held = Portfolios.from_frame(frame)
    assert held["a"].index.tolist() == ["NA"]
    assert held["b"].index.tolist() == ["KO"]
    without = Portfolios.from_frame(pd.DataFrame({"TRADER_ID": [1, 1], "Ticker": ["A", "B"]}))
    assert without.matrix.toarray().tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"TRADER_ID": [1, 1], "Ticker1": ["A", "B"]}, "more than one row: 1"),
        ({"TRADER_ID": [1, 2], "Ticker1": ["A", "B"], "Ticker2": ["A", "C"]}, "trader 1 holds A more than"),
        ({"TRADER_ID": [1, 1], "Ticker": ["A", "A"]}, "trader 1 holds A more than once"),
        ({"TRADER_ID": [1, None], "Ticker1": ["A", "B"]}, "row 1 of the table has no TRADER_ID"),
        ({"TRADER_ID": [1.5, 2.0], "Ticker1": ["A", "B"]}, "whole numbers throughout.*Got 1.5"),
        ({"TRADER_ID": [1], "Ticker1": [7]}, "must be text. Got 7"),
        ({"TRADER_ID": [1], "Ticker1": [None]}, "no trader in the table holds anything"),
        ({"TRADER_ID": [], "Ticker1": []}, "has no rows"),
        ({"Ticker1": ["A"]}, "one column TRADER_ID"),
        ({"TRADER_ID": [1], "Stock": ["A"]}, "has the columns TRADER_ID, Ticker1"),
        ({"TRADER_ID": [1], "Ticker1": ["A"], "Ticker": ["B"]}, "has the columns TRADER_ID, Ticker1"),
        ({"TRADER_ID": [1], "Ticker": ["A"], "Quantity": [-1]}, "at least 0. Got .*-1"),
        ({"TRADER_ID": [1], "Ticker": ["A"], "Quantity": ["many"]}, "Got 'many'"),
        (
            {"TRADER_ID": [1, 1], "Ticker": ["A", None], "Quantity": [1, 2]},
            "row 1 .* a quantity, 2.0, but no",
        ),
    ],
)
def test_invalid_tables_raise(frame, message):
    with pytest.raises(ValueError, match=message):
        Portfolios.from_frame(pd.DataFrame(frame))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, -1]],), r"Got -1.0 in row 0, column 1"),
        (([[1, 1], [np.nan, 1]],), r"Got nan in row 1, column 0"),
        (([[1, 1], [1, np.inf]],), r"Got inf in row 1, column 1"),
        ((np.zeros((0, 3)),), r"Got shape \(0, 3\)"),
        (([1, 2],), r"Got shape \(2,\)"),
        (([["a"]],), "must hold numbers"),
        (([[1, 1]], ["A"]), "all 2 columns of matrix. Got 1 names"),
        (([[1, 1]], ["A", "A"]), "tickers must differ from each other, but these repeat: A"),
        (([[1, 1]], ["A", ""]), "Got '' at 1"),
        (([[1, 1]], ["A", 3]), "Got 3 at 1"),
        (([[1], [1]], ["A"], ["x"]), "all 2 rows of matrix. Got 1 names"),
        (([[1], [1]], ["A"], ["x", "x"]), "trader_ids must differ .*: x"),
        (([[1], [1]], ["A"], ["x", 1]), "Got 1 at 1"),
        (([[1], [1]], ["A"], [0.5, 1.0]), "Got 0.5 at 0"),
    ],
)
def test_invalid_matrices_and_names_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        Portfolios(*arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("TRADER_ID,Ticker1\n", "has no rows"),
        ("TRADER_ID,Ticker1,Ticker2\n1,A\n", "line 2 has 2 fields where the header has 3"),
        ('TRADER_ID,Ticker1\n1,"A\n', "not readable"),
        ("TRADER_ID,Ticker1\n1,A\n1,B\n", "more than one row: 1"),
        ("TRADER_ID,Ticker1\n1,A\n,B\n", "row 1 of the table has no TRADER_ID"),
        ("date,AAPL\n2020-01-01,3\n", "one column TRADER_ID"),
    ],
)
def test_invalid_files_raise_with_their_name(tmp_path, text, message):
    path = tmp_path / "held.csv"
    path.write_text(text)
    with pytest.raises(PortfolioFileError, match=message) as error:
        Portfolios.from_csv(path)
    assert str(error.value).startswith(f"{path}: ")


def test_missing_files_and_wrong_suffixes_raise(tmp_path):
    with pytest.raises(PortfolioFileError, match="no such file"):
        Portfolios.from_csv(tmp_path / "held.csv")
    with pytest.raises(PortfolioFileError, match=r"must end in .csv or .csv.gz"):
        Portfolios.from_csv(tmp_path / "held.txt")
    with pytest.raises(ValueError, match=r"must end in .parquet or .pq"):
        SMALL.to_parquet(tmp_path / "held.csv")
    (tmp_path / "held.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(PortfolioFileError, match="damaged"):
        Portfolios.from_parquet(tmp_path / "held.parquet")
    with pytest.raises(ValueError, match="layout must be"):
        SMALL.to_frame("square")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "held.csv"
    SMALL.to_csv(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        QUANTITIES.to_csv(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["held.csv"]


def test_compressed_files_are_equal_bytes_each_time(tmp_path):
    for name in ("one.csv.gz", "two.csv.gz"):
        SMALL.to_csv(tmp_path / name)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    text = gzip.decompress((tmp_path / "one.csv.gz").read_bytes()).decode()
    assert text == "TRADER_ID,Ticker1,Ticker2\nann,AAPL,KO\nbob,,\ncy,KO,XOM\n"


def test_numbers_with_leading_zeros_stay_text(tmp_path):
    path = tmp_path / "held.csv"
    path.write_text("TRADER_ID,Ticker1\n007,A\n8,B\n")
    assert Portfolios.from_csv(path).trader_ids.tolist() == ["007", "8"]
