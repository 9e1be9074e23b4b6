"""RecordIO-protobuf: the same bytes as Google's writer, and errors for every damaged file."""

from __future__ import annotations

import io
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shapecluster.exceptions import ArtifactError
from shapecluster.formats import read_recordio, write_recordio
from tests.formats.damage import MB, at_most, read_damaged, rejected_when_truncated
from tests.reference.recordio import Record, frame, tensor_of, write_rows

FLOATS = {np.float32: 4, np.float64: 8}


def written(X, labels=None, **options) -> bytes:
    file = io.BytesIO()
    n_bytes = write_recordio(file, X, labels, **options)
    assert n_bytes == len(file.getvalue())
    return file.getvalue()


def oracle(X, labels=None) -> bytes:
    file = io.BytesIO()
    write_rows(file, X, labels)
    return file.getvalue()


def read(data: bytes, **options):
    return read_recordio(io.BytesIO(data), **options)


def message(values=(), dtype=np.float32, keys=(), shape=(), labels=()):
    """One record with a tensor of the given fields."""
    record = Record()
    tensor = tensor_of(record.features["values"], np.dtype(dtype))
    tensor.SetInParent()
    tensor.values.extend(values)
    tensor.keys.extend(keys)
    tensor.shape.extend(shape)
    for label in labels:
        tensor_of(record.label["values"], np.dtype(np.float32)).values.append(label)
    return record


def framed(*records) -> bytes:
    return b"".join(frame(r if isinstance(r, bytes) else r.SerializeToString()) for r in records)


def field(number: int, wire: int, payload: bytes) -> bytes:
    """Encode a field of less than 128 bytes."""
    return bytes([number << 3 | wire]) + (bytes([len(payload)]) if wire == 2 else b"") + payload


def dense(tensor_number: int, tensor: bytes) -> bytes:
    """A record whose tensor "values" has the given bytes."""
    return field(1, 2, field(1, 2, b"values") + field(2, 2, field(tensor_number, 2, tensor)))


# ------------------------------------------------------------------------------------------- writing


def test_bytes_of_a_row_are_those_of_the_reference():
    # LD(1, LD(1, "values") + LD(2, LD(2, LD(1, 8 bytes)))), framed and padded
    payload = b"\x0a\x16" + b"\x0a\x06values" + b"\x12\x0c\x12\x0a\x0a\x08" + struct.pack("<ff", 1.0, -2.5)
    expected = struct.pack("<II", 0xCED7230A, 24) + payload
    assert written(np.array([[1.0, -2.5]])) == expected
    # with a label: LD(2, LD(1, "values") + LD(2, LD(2, LD(1, 4 bytes))))
    label = b"\x12\x12" + b"\x0a\x06values" + b"\x12\x08\x12\x06\x0a\x04" + struct.pack("<f", 7.0)
    expected = struct.pack("<II", 0xCED7230A, 44) + payload + label
    assert written(np.array([[1.0, -2.5]]), np.array([7.0])) == expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 13, 26, 27, 30, 31, 32, 33, 251, 4090, 4096, 5000])
def test_bytes_are_those_of_a_protobuf_message_for_every_row(rng, dtype, labeled, width):
    X = rng.normal(size=(7, width)).astype(dtype)
    labels = rng.normal(size=7).astype(dtype) if labeled else None
    assert written(X, labels, dtype=np.dtype(dtype).name) == oracle(X, labels)


def test_many_blocks_form_one_file(rng):
    X = rng.normal(size=(5000, 251)).astype(np.float32)
    assert written(X) == oracle(X)


def test_a_row_wider_than_a_block_is_written_in_pieces(rng):
    X = rng.normal(size=(2, 300_001)).astype(np.float32)
    labels = np.array([1.0, 2.0], dtype=np.float32)
    assert written(X, labels) == oracle(X, labels)
    assert np.array_equal(read(written(X)).values, X)


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda X: X.astype(">f8"),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1][::-1],
        lambda X: np.broadcast_to(X[:1], X.shape),
    ],
)
def test_layout_in_memory_does_not_matter(rng, view):
    X = view(rng.normal(size=(300, 20)))
    assert written(X) == oracle(np.ascontiguousarray(X, dtype=np.float32))
    assert written(X, dtype="float64") == oracle(np.ascontiguousarray(X, dtype=np.float64))


def test_an_empty_matrix_has_no_bytes():
    assert written(np.empty((0, 3))) == b""
    assert read(b"").values.shape == (0, 0)
    assert read(b"", n_features=3, n_rows=0).values.shape == (0, 3)


def test_nan_and_infinity_are_kept():
    X = np.array([[np.nan, np.inf, -np.inf, -0.0]])
    assert np.array_equal(read(written(X)).values, X.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("where", ["values", "labels"])
def test_an_overflow_of_float32_is_rejected_by_its_row(where):
    X, labels = np.ones((60_000, 8)), np.ones(60_000)
    (X[:, 3] if where == "values" else labels)[50_123] = -1e39
    with pytest.raises(ValueError, match=r"row 50123 .* float32: scale .* dtype=\"float64\""):
        write_recordio(io.BytesIO(), X, labels)
    assert read(written(X, labels, dtype="float64")).values.min() == X.min()


@pytest.mark.parametrize(
    ("X", "labels", "options", "problem"),
    [
        (np.ones(3), None, {}, r"matrix .* Got shape \(3,\)"),
        (np.ones((3, 0)), None, {}, "at least one column"),
        (np.ones((3, 2), dtype=int), None, {}, "of int64 instead"),
        (np.ones((3, 2)), np.ones(2), {}, "labels .* 3 floats"),
        (np.ones((3, 2)), np.ones(3, dtype=bool), {}, "labels .* of bool"),
        (np.ones((3, 2)), None, {"dtype": "int8"}, "Got 'int8' instead"),
    ],
)
def test_invalid_input_of_the_writer_is_rejected(X, labels, options, problem):
    with pytest.raises(ValueError, match=problem):
        write_recordio(io.BytesIO(), X, labels, **options)


def test_a_too_wide_row_is_rejected_before_anything_is_written():
    file = io.BytesIO()
    with pytest.raises(ValueError, match="at most 536,870,911 bytes"):
        write_recordio(file, np.broadcast_to(np.float32(0), (1, 1 << 27)))
    assert not file.getvalue()


class Sink:
    """Accept all bytes and drop them, or at most `most` at a time, as raw files do, and keep them."""

    def __init__(self, most: int | None = None) -> None:
        self.most, self.data = most, bytearray()

    def write(self, data: memoryview) -> int:
        taken = len(data) if self.most is None else min(self.most, len(data))
        if self.most is not None:
            self.data += data[:taken]
        return taken


def test_a_raw_file_that_accepts_some_bytes_at_a_time_gets_all(rng):
    X = rng.normal(size=(50, 7)).astype(np.float32)
    sink = Sink(most=13)
    write_recordio(sink, X)
    assert bytes(sink.data) == oracle(X)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("width", [500, 20_000_000])
def test_writing_needs_a_few_megabytes_of_extra_memory(dtype, width):
    X = np.zeros((40_000_000 // width, width), dtype=dtype)
    with at_most(16 * MB):
        write_recordio(Sink(), X)


def test_writing_is_much_faster_than_a_message_for_every_row(rng):
    X = rng.normal(size=(2000, 251)).astype(np.float32)

    def fastest(write):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            write(io.BytesIO(), X)
            times.append(time.perf_counter() - start)
        return min(times)

    assert fastest(write_rows) > 20 * fastest(write_recordio)


# ------------------------------------------------------------------------------------------- reading


@given(
    X=hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        elements=st.floats(width=32),
    ),
    labeled=st.booleans(),
)
def test_written_data_are_read_back(X, labeled):
    labels = np.arange(len(X), dtype=np.float64) / 4 if labeled else None
    block = read(written(X, labels, dtype=X.dtype.name), n_rows=len(X), n_features=X.shape[1])
    assert block.values.dtype == X.dtype
    assert block.values.tobytes() == X.tobytes()
    assert (block.labels is None) == (not labeled)
    assert labels is None or np.array_equal(block.labels, labels)


def test_many_blocks_are_read_in_the_order_of_the_file_and_in_bounded_memory(rng):
    X = rng.normal(size=(200_000, 100)).astype(np.float32)
    data = written(X)
    with at_most(2 * X.nbytes + 16 * MB):
        found = read(data).values
    assert np.array_equal(found, X)


def test_a_stream_that_gives_a_few_bytes_at_a_time_is_read(rng):
    X = rng.normal(size=(30, 5)).astype(np.float32)

    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 7))

    assert np.array_equal(read_recordio(Slow(written(X))).values, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_tensors_of_all_types_are_read(rng, dtype):
    X = (100 * rng.normal(size=(50, 6))).astype(dtype)
    if dtype == np.int32:
        X[0] = [0, -1, 2**31 - 1, -(2**31), 127, 128]
    block = read(oracle(X, X[:, 0].copy()))
    assert block.values.dtype == dtype
    assert np.array_equal(block.values, X)
    assert np.array_equal(block.labels, X[:, 0])


def test_long_packed_integers_are_read(rng):
    values = (rng.integers(-(2**31), 2**31, size=300_000) >> rng.integers(0, 31, size=300_000)).tolist()
    block = read(framed(message(values, np.int32)))
    assert block.values[0].tolist() == values


FOREIGN = {
    "unpacked float32": dense(2, b"".join(field(1, 5, struct.pack("<f", x)) for x in (1.0, 2.0))),
    "unpacked float64": dense(3, b"".join(field(1, 1, struct.pack("<d", x)) for x in (1.0, 2.0))),
    "unpacked int32": dense(7, field(1, 0, b"\x01") + field(1, 0, b"\x02")),
    "several pieces": dense(2, field(1, 2, struct.pack("<f", 1.0)) * 2),
    "sparse": message([1.0, 2.0], keys=[4, 0], shape=[5]).SerializeToString(),
    "an unknown number": message([1.0]).SerializeToString() + field(9, 0, b"\x05"),
}


@pytest.mark.parametrize("layout", FOREIGN)
def test_other_layouts_of_protobuf_are_rejected_as_such(layout):
    with pytest.raises(
        ArtifactError, match=r"write dense rows|dense rows with packed values|field twice"
    ) as e:
        read(framed(message([1.0]), FOREIGN[layout]))
    assert "record 1" in str(e.value)


def test_dense_rows_may_state_their_shape():
    rows = framed(message([1, 2, 3], shape=[3]), message([4, 5, 6], shape=[3]), message([7, 8, 9]))
    assert read(rows).values.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_texts_about_a_record_and_unknown_texts_are_ignored():
    records = []
    for number in range(20):
        record = message([float(number), 1.0])
        record.uid, record.metadata = f"row {number}", "{}"
        records.append(record.SerializeToString() + field(15, 2, b"new"))
    assert read(framed(*records)).values[:, 0].tolist() == list(range(20))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("label_dtype", [np.float32, np.float64, np.int32])
def test_labels_may_have_another_type_than_values(rng, dtype, label_dtype):
    """As the SDK writes them, which takes the type of each array."""
    X = (100 * rng.normal(size=(300, 3))).astype(dtype)
    labels = (1000 * rng.normal(size=300)).astype(label_dtype)
    block = read(oracle(X, labels), n_rows=300)
    assert np.array_equal(block.values, X)
    assert np.array_equal(block.labels, labels)


def test_runs_of_one_header_and_single_rows_mix(rng):
    """Rows read as a block and rows read alone alternate without a lost or repeated row."""
    rows, expected = [], []
    for number in range(400):
        values = [float(number), 2.0, 3.0]
        expected.append(values)
        kind = int(rng.integers(4)) if number % 50 > 25 else 0
        plain = message(values).SerializeToString()
        rows.append(
            [
                plain,
                plain + field(9, 2, bytes([number % 128])),
                message(values, shape=[3]).SerializeToString(),
                plain + field(3, 2, b"uid of any length"[: number % 16]),
            ][kind]
        )
    block = read(framed(*rows), n_rows=400)
    assert block.values.tolist() == expected


def test_labels_are_read_in_blocks_and_alone():
    rows = [message([1.0], labels=[float(number)]) for number in range(30)]
    assert read(framed(*rows)).labels.tolist() == list(range(30))


# ------------------------------------------------------------------------------------------- refusing


def wrong(mutate):
    record = message([1.0, 2.0])
    mutate(record)
    return framed(message([1.0, 2.0]), record)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"PK\x03\x04 and more", "record 0 starts with 0x04034b50"),
        (struct.pack("<II", 0xCED7230A, 1 << 31), "claims 2,147,483,648 bytes, above the limit"),
        (struct.pack("<II", 0xCED7230A, 5) + b"\x1a\x03abc" + b"\0\0\x01", "not followed by zeros"),
        (framed(b""), "must have one feature 'values', and optionally one label 'values'. Got nothing"),
        (framed(message([])), "has 0 bytes of float32 as its feature 'values'"),
        (framed(message([], shape=[5])), "has 0 bytes of float32"),
        (framed(message([1.0]), message([1.0, 2.0])), "record 1 must have 1 values .* Got 2 values"),
        (framed(message([1.0]), message([1.0], np.float64)), "record 1 .* of float32 .* Got .* of float64"),
        (framed(message([1.0]), message([1.0], labels=[1.0])), "1 .* no label .* Got .* and one label"),
        (framed(message([1.0], labels=[1.0]), message([1.0])), "1 .* one label .* Got .* and no label"),
        (framed(message([1.0], labels=[1.0, 2.0])), "one value as its label 'values'. Got 2"),
        (framed(message([1.0], keys=[0])), "record 0 has a sparse feature 'values'"),
        (framed(message([1.0], keys=[3], shape=[3])), "has a sparse feature"),
        (framed(message([1.0], keys=[1], shape=[2**60])), "has a sparse feature"),
        (framed(message([1.0], keys=[2**64 - 1], shape=[5])), "has a sparse feature"),
        (framed(message([1.0, 2.0], shape=[3])), r"has 2 values and the shape \[3\]"),
        (framed(message([1.0], shape=[1, 1])), r"has 1 values and the shape \[1, 1\]"),
        (framed(message([1.0], shape=[0])), r"has 1 values and the shape \[0\]"),
        (framed(message([1.0], shape=[2**63])), "more than 32 bits"),
        (wrong(lambda r: r.features["more"].float32_tensor.values.append(1)), "record 1 .*feature 'more'"),
        (wrong(lambda r: r.label["more"].float32_tensor.values.append(1)), "record 1 must .* label 'more'"),
        (wrong(lambda r: setattr(r.features["values"], "bytes", b"x")), r"one tensor .* fields \[9\]"),
        (wrong(lambda r: r.features["values"].Clear()), r"must have one tensor .* Got the fields \[\]"),
        (framed(dense(2, b"\x0a\x03abc")), "has 3 bytes of float32"),
        (framed(dense(2, b"\x0a\x05abcd")), "ends 1 bytes beyond its message"),
        (framed(dense(2, b"\x08\x05")), "bytes 08 05 where a field should start"),
        (framed(dense(7, b"\x0a\x01\x80")), "an integer that is truncated"),
        (framed(dense(7, b"\x0a\x02\x01\x80")), "an integer that is truncated"),
        (framed(dense(7, b"\x0a\x05\xff\xff\xff\xff\x7f")), "more than 32 bits"),
        (framed(dense(7, b"\x0a\x0a" + b"\xff" * 9 + b"\x02")), "more than 32 bits"),
        (framed(dense(7, b"\x0a\x0a" + b"\xff" * 9 + b"\x03")), "more than 32 bits"),
        (framed(dense(7, b"\x0a\x46" + b"\xff" * 70)), "more than 64 bits"),
        (framed(dense(7, b"\x0a\x46" + b"\1" * 60 + b"\xff" * 9 + b"\x02")), "more than 32 bits"),
        (framed(b"\x0b\x0c"), "bytes 0b 0c where a field should start"),
        (framed(b"\x00\x00"), "bytes 00 00 where a field should start"),
        (framed(b"\xff" * 11), "bytes ff ff ff ff ff ff where a field should start"),
        (framed(b"\x0a" + b"\xff" * 10 + b"\x01"), "bytes 0a ff ff ff ff ff where a field should start"),
        (framed(field(1, 2, field(1, 2, b"values"))), "lacks the name or the value of a feature"),
        (framed(dense(2, b"\x0a\x041234").replace(b"values", b"value\xff")), "Got feature 'value\ufffd'"),
        (framed(field(1, 2, field(1, 2, b"a") * 2)), "has a field twice"),
        (framed(dense(2, field(1, 2, b"1234")) * 2), "has its feature 'values' twice"),
        (framed(field(3, 2, b"") * 65), "a message of more than 64 fields"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",  # bytes vary by run
)  # fmt: skip
def test_damage_is_rejected_with_its_place(data, problem):
    with pytest.raises(ArtifactError, match=problem) as caught:
        read(data)
    assert "write or download it again" in str(caught.value)


@pytest.mark.parametrize(
    "data", [written(np.ones((3, 5)), np.arange(3.0)), oracle(np.ones((3, 5), dtype=np.int32))]
)
def test_every_truncation_is_rejected(data):
    rejected_when_truncated(lambda cut: read(cut, n_rows=3), data)
    for size in range(len(data)):
        if size % (len(data) // 3):  # between two rows, only their number tells
            with pytest.raises(ArtifactError, match="ends within"):
                read(data[:size])


def test_expected_rows_and_columns_are_checked(rng):
    data = written(rng.normal(size=(4, 3)))
    with pytest.raises(ArtifactError, match=r"must have 5 rows\. Got 4 instead"):
        read(data, n_rows=5)
    with pytest.raises(ArtifactError, match=r"must have 3 rows\. Got more instead"):
        read(data, n_rows=3)
    with pytest.raises(ArtifactError, match=r"record 0 must have 2 values .*\. Got 3 values"):
        read(data, n_features=2)


def test_the_caller_sets_the_limits(rng):
    data = written(np.ones((100_000, 20), dtype=np.float32))
    with pytest.raises(ArtifactError, match=r"at most 1,000 bytes of numbers.*`max_bytes`"):
        read(data, max_bytes=1000)
    with pytest.raises(ArtifactError, match=r"above the limit of 50 \(raise `max_record_bytes`"):
        read(data, max_record_bytes=50)


@pytest.mark.parametrize(
    "data",
    [
        written(np.ones((4, 6)), np.arange(4.0)),
        written(np.ones((4, 6)), dtype="float64"),
        oracle(np.arange(-12, 12, dtype=np.int32).reshape(4, 6), np.arange(4, dtype=np.int32)),
        framed(*(message([number, 2, 3], shape=[3]) for number in range(4))),
    ],
    ids=["float32", "float64", "int32", "with a shape"],
)
def test_changed_bytes_give_rows_or_an_error(data, rng):
    def check(block):
        assert block.values.ndim == 2
        assert block.labels is None or len(block.labels) == len(block.values)

    with at_most(24 * MB):
        sound, refused = read_damaged(read, data, rng, n=1000, check=check)
    assert sound > 50
    assert refused > 50


@given(st.binary(max_size=200))
def test_any_message_gives_rows_or_an_error(payload):
    with suppress(ArtifactError):
        read(frame(payload))


@pytest.mark.parametrize(
    "payload",
    [
        dense(2, b""),
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\xff\xff\xff\xff\x0f",
    ],
)
def test_claims_allocate_nothing(payload):
    with at_most(3 * MB), pytest.raises(ArtifactError):
        read(frame(payload))


def test_a_claimed_record_is_not_allocated_before_it_is_read():
    data = struct.pack("<II", 0xCED7230A, 1 << 30) + b"\x0a"
    with at_most(3 * MB), pytest.raises(ArtifactError, match="ends within record 0"):
        read(data, max_record_bytes=1 << 31)


@pytest.mark.parametrize(
    "unit",
    [b"\x08\x01", b"\x0a\x00", b"\x0a\x01\x01", b"\x10\x01"],
    ids=["numbers that stand alone", "empty packed ones", "packed ones by one", "keys"],
)
def test_a_record_of_tiny_fields_takes_no_more_than_its_size(unit):
    n_bytes = 600_000
    with at_most(3 * MB + n_bytes), pytest.raises(ArtifactError):
        read(frame(integers(unit * (n_bytes // len(unit)))))


def test_packed_integers_take_a_bounded_multiple_of_their_size():
    n_bytes = 4 * MB
    with at_most(3 * MB + 16 * n_bytes):
        assert read(frame(integers(b"\x0a" + _varint(n_bytes) + b"\x01" * n_bytes))).values.shape == (
            1,
            n_bytes,
        )


def integers(tensor: bytes) -> bytes:
    """A record whose tensor "values" of int32 has any number of bytes."""
    value = bytes([7 << 3 | 2]) + _varint(len(tensor)) + tensor
    entry = field(1, 2, b"values") + b"\x12" + _varint(len(value)) + value
    return b"\x0a" + _varint(len(entry)) + entry


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
