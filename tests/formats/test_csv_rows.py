"""CSV without a header: exact numbers, any ticker, and lines that are named when they are wrong."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shapecluster.exceptions import ArtifactError
from shapecluster.formats import csv_rows, read_csv, write_csv
from tests.formats.damage import MB, at_most, read_damaged

TICKERS = st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable() and name == name.strip())


def written(X, names=None) -> bytes:
    file = io.BytesIO()
    n_bytes = write_csv(file, np.asarray(X), names)
    assert n_bytes == len(file.getvalue())
    return file.getvalue()


def read(data: bytes, **options):
    return read_csv(io.BytesIO(data), **options)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.floats(width=32),
    ),
    st.data(),
)
def test_written_data_are_read_back(X, data):
    names = data.draw(st.none() | st.lists(TICKERS, min_size=len(X), max_size=len(X)))
    found = read(
        written(X, names), label_size=0 if names is None else 1, n_rows=len(X), n_timepoints=X.shape[1]
    )
    assert np.array_equal(found.values, X.astype(np.float64), equal_nan=True)
    assert found.names == names


@given(st.floats(allow_nan=False))
def test_floats_are_read_back_exactly(value):
    assert read(written([[value]])).values.tobytes() == np.float64(value).tobytes()


@given(st.lists(TICKERS, min_size=1, max_size=5))
def test_names_are_read_by_other_programs_too(names):
    text = written(np.ones((len(names), 2)), names).decode()
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == [
        [name, "1.0", "1.0"] for name in names
    ]


def test_integers_are_written_as_such():
    assert written([[1, -2]]) == b"1,-2\n"


@pytest.mark.parametrize("name", ["", "A\nB", "A\rB", "A\tB", " A", "A ", "\x00", "\udc80", 5, None])
def test_names_that_would_break_a_line_are_rejected(name):
    with pytest.raises(ValueError, match="printable text on one line") as caught:
        write_csv(io.BytesIO(), np.ones((2, 2)), ["A", name])
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("X", "names", "problem"),
    [
        (np.ones(3), None, r"Got shape \(3,\)"),
        (np.ones((3, 0)), None, "at least one column"),
        (np.array([["a"]]), None, "of <U1 instead"),
        (np.ones((3, 2)), ["A"], "must be 3, one per row. Got 1"),
    ],
)
def test_invalid_input_of_the_writer_is_rejected(X, names, problem):
    with pytest.raises(ValueError, match=problem):
        write_csv(io.BytesIO(), X, names)


def test_files_of_other_programs_are_read():
    text = b'\xef\xbb\xbf"BRK,B", 1,2e0\r\nA""B,+3,-inf\r\n"",nan,NaN\r\n\r\n\r\n'
    found = read(text, label_size=1)
    assert found.names == ["BRK,B", 'A""B', ""]
    np.testing.assert_array_equal(found.values, [[1, 2], [3, -np.inf], [np.nan, np.nan]])
    assert read(b"005930,1\n", label_size=1).names == ["005930"]


def test_empty_files_have_no_rows():
    for text in (b"", b"\n\n", b"\r\n"):
        assert read(text, n_timepoints=3).values.shape == (0, 3)
        assert read(text, label_size=1).names == []
        assert read(text).values.shape == (0, 0)


@pytest.mark.parametrize(
    ("text", "label_size", "problem"),
    [
        (b"a,b\n1,2\n", 0, r"field 1 of line 1 must be a number. Got 'a' instead \(it must have no header\)"),
        (b"t,d1\nA,2\n", 1, r"field 2 of line 1 must be a number. Got 'd1'"),
        (b"1,2\n3,x\n", 0, "field 2 of line 2 must be a number. Got 'x' instead. It must"),
        (b"1,2\n3,\n", 0, "field 2 of line 2 must be a number. Got ''"),
        (b"1,2\n3,4_0\n", 0, "Got '4_0'"),
        (b"1,2\n3\n", 0, "line 2 must have 2 numbers. Got 1"),
        (b"1,2\n3,4,5\n", 0, "line 2 must have 2 numbers. Got 3"),
        (b"1,2\n\n3,4\n", 0, "line 2 is empty"),
        (b"1,\xff\n", 0, "field 2 of line 1"),
        (b"\xff,1\n", 1, "name in line 1 is not UTF-8"),
        (b"AAPL\n", 1, "line 1 must have a name and then numbers. Got 'AAP"),
        (b'"AAPL,1\n', 1, "quotes around the name in line 1 do not match"),
        (b'"AA"PL,1\n', 1, "quotes around the name in line 1 do not match"),
        (b'"AAPL"\n', 1, "must have a name and then numbers"),
        (b"1;2\n", 0, "Got '1;2'"),
    ],
)  # fmt: skip
def test_malformed_lines_are_named(text, label_size, problem):
    with pytest.raises(ArtifactError, match=problem) as caught:
        read(text, label_size=label_size)
    assert "write it again" in str(caught.value)


def test_expected_rows_and_columns_are_checked():
    with pytest.raises(ArtifactError, match=r"must have 3 rows\. Got 2"):
        read(b"1\n2\n", n_rows=3)
    with pytest.raises(ArtifactError, match=r"must have 1 rows\. Got more"):
        read(b"1\n2\n", n_rows=1)
    with pytest.raises(ArtifactError, match=r"line 1 must have 2 numbers\. Got 1"):
        read(b"1\n2\n", n_timepoints=2)
    with pytest.raises(ValueError, match=r"label_size must be 0 or 1\. Got 2"):
        read(b"1\n", label_size=2)


def test_sizes_are_bounded():
    with pytest.raises(ArtifactError, match="at most 10,000 bytes of numbers"):
        read(b"1,2\n" * 100_000, max_bytes=10_000)
    with pytest.raises(ArtifactError, match=r"line 2 has more than 100 bytes \(`max_line_bytes`\)"):
        read(b"1\n" + b"1" * 101, max_line_bytes=100)
    endless = io.BytesIO(b"1" * (20 * MB))
    with at_most(5 * MB), pytest.raises(ArtifactError, match="line 1 has more than"):
        read_csv(endless, max_line_bytes=MB)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_the_longest_line_may_have_any_end(end):
    line = b"\xef\xbb\xbf" + b"1" * 20 + end
    assert len(read(line, max_line_bytes=20).values) == 1
    for reader in (io.BytesIO(line), Slow(line)):
        with pytest.raises(ArtifactError, match="line 1 has more than 19 bytes"):
            read_csv(reader, max_line_bytes=19)


class Slow(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def read(self, size=-1, /):
        return super().read(min(size, 3))


def test_files_are_read_and_written_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(csv_rows, "CHUNK_BYTES", 1 << 16)
    X = np.broadcast_to(np.arange(50.0), (12_000, 50))
    file = io.BytesIO(bytes(4 * MB))
    with at_most(MB // 2):
        n_bytes = write_csv(file, X)
    file.truncate(n_bytes)
    file.seek(0)
    with at_most(2 * X.size * 8 + 4 * MB):
        assert np.array_equal(read_csv(file).values, X)


def test_short_rows_take_little_more_than_their_numbers():
    with at_most(8 * MB):
        assert read(b"1\n" * 100_000).values.shape == (100_000, 1)


def test_a_stream_that_gives_a_few_bytes_at_a_time_is_read():
    assert read_csv(Slow(b"AB,1.5\r\nC,2\r\n"), label_size=1).names == ["AB", "C"]


def test_changed_bytes_give_rows_or_an_error(rng):
    text = written(rng.normal(size=(5, 3)), ["A", "B,C", 'D"', "E", "F"])

    def check(found):
        assert len(found.names) == len(found.values)

    with at_most(10 * MB):
        sound, refused = read_damaged(lambda t: read(t, label_size=1), text, rng, n=1500, check=check)
    assert sound > 50
    assert refused > 50
