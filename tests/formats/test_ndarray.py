"""NDArray lists: MXNet's layouts byte by byte, and errors for everything else."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_ndarrays, encode_ndarrays
from tests.formats.damage import MB, at_most, read_damaged, rejected_when_truncated

DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64"]
M = np.arange(12, dtype=np.float32).reshape(3, 4)


def listed(*arrays: bytes, names: bytes = struct.pack("<Q", 0)) -> bytes:
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + names


def array(version: int, shape=(3, 4), code: int = 0, data: bytes | None = None) -> bytes:
    """One array in one of the four layouts, written from the reference. V1 and V2 are read."""
    data = M.tobytes() if data is None else data
    if version == 0:
        head = struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    elif version == 1:
        head = struct.pack(f"<II{len(shape)}q", 0xF993FAC8, len(shape), *shape)
    else:
        head = struct.pack(f"<Iii{len(shape)}q", 0xF993FAC7 + version, 0, len(shape), *shape)
    return head + struct.pack("<iii", 1, 0, code) + data


def test_layout_v2_is_written_as_in_the_reference():
    data = encode_ndarrays([M])
    assert len(data) == 120
    assert data == listed(array(2))


@pytest.mark.parametrize("version", [1, 2])
def test_the_layouts_of_the_built_in_algorithm_are_read(version):
    found = decode_ndarrays(listed(array(version), array(version, (12,))))
    assert [a.shape for a in found.arrays] == [(3, 4), (12,)]
    assert np.array_equal(found.arrays[0], M)
    assert found.arrays[0].flags.writeable
    found.arrays[0][:] = 0.0
    assert np.array_equal(found.arrays[1], M.ravel())
    assert found.names == []


def test_layouts_may_mix_and_names_are_read():
    names = struct.pack("<QQ3sQ2s", 2, 3, b"one", 2, "ß".encode())
    found = decode_ndarrays(listed(array(1), array(2), names=names))
    assert found.names == ["one", "ß"]
    assert encode_ndarrays([M, M], ["one", "ß"]) == listed(array(2), array(2), names=names)


@pytest.mark.parametrize(("code", "dtype"), list(enumerate(DTYPES)))
def test_all_types_are_written_and_read(code, dtype):
    values = np.arange(6).astype(dtype).reshape(2, 3)
    data = encode_ndarrays([values])
    assert data == listed(array(2, (2, 3), code, values.tobytes()))
    found = decode_ndarrays(data).arrays[0]
    assert found.dtype == dtype
    assert np.array_equal(found, values)


@pytest.mark.parametrize(
    "nothing", [struct.pack("<II", 0xF993FAC8, 0), struct.pack("<Iii", 0xF993FAC9, 0, 0)]
)
def test_no_dimensions_are_an_empty_array(nothing):
    found = decode_ndarrays(listed(nothing, array(2))).arrays
    assert [a.shape for a in found] == [(0,), (3, 4)]


def test_empty_dimensions_are_read():
    assert decode_ndarrays(listed(array(2, (0, 7), data=b""))).arrays[0].shape == (0, 7)


def test_the_device_of_the_writer_does_not_matter():
    data = bytearray(encode_ndarrays([M]))
    data[52:60] = struct.pack("<ii", 2, 7)
    assert np.array_equal(decode_ndarrays(bytes(data)).arrays[0], M)


@given(
    st.lists(
        st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(max_dims=4, max_side=5))),
        max_size=4,
    ),
    st.booleans(),
)
def test_written_data_are_read_back(arrays, named):
    names = [f"a{number}" for number in range(len(arrays))] if named else []
    found = decode_ndarrays(encode_ndarrays(arrays, names))
    assert found.names == names
    for ours, theirs in zip(arrays, found.arrays, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()


def test_order_in_memory_and_of_bytes_does_not_matter():
    assert (
        encode_ndarrays([np.asfortranarray(M)]) == encode_ndarrays([M]) == encode_ndarrays([M.astype(">f4")])
    )


def test_invalid_input_of_the_writer_is_rejected():
    for values in (np.float32(1), np.empty((0, 3)), np.ones(2, dtype=bool), np.ones(2, dtype=complex)):
        with pytest.raises(ValueError, match="array 1 must hold at least one number"):
            encode_ndarrays([M, values])
    with pytest.raises(ValueError, match="one for each of 1 arrays"):
        encode_ndarrays([M], ["a", "b"])


def zipped(name_to_data, **options) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, data in name_to_data.items():
            # Without a date: the bytes are the same in every run, also as the name of a test.
            archive.writestr(zipfile.ZipInfo(name), data, archive.compression)
    return file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_list_inside_a_zip_archive_is_found(method):
    data = zipped({"symbol.json": "{}", "folder/": "", "params": encode_ndarrays([M])}, compression=method)
    assert np.array_equal(decode_ndarrays(data).arrays[0], M)


def huge(shape, version=2) -> bytes:
    return listed(array(version, shape, data=b""))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "ends within the 24 bytes that were expected at 0"),
        (b"hello, world, hello, world", "where 0x112, 0x0 was expected"),
        (struct.pack("<QQQQ", 0x112, 1, 0, 0), "0x112, 0x1 where"),
        (struct.pack("<QQQ", 0x112, 0, 2**63), "above the limit of 10,000"),
        (listed(struct.pack("<Iii", 0xF993FAC9, 1, 2)), r"storage type 1: only dense"),
        (listed(struct.pack("<Iii", 0xF993FAC9, 0, -1)), "has -1 dimensions"),
        (listed(struct.pack("<Iii", 0xF993FAC9, 0, 33)), "has 33 dimensions"),
        (listed(struct.pack("<I", 0xF993FACB)), "an unknown layout .0xf993facb."),
        (huge((-1, 4)), r"impossible shape \[-1, 4\]"),
        (huge((2**62, 2**62)), "impossible shape"),
        (huge((0, 2**62)), "impossible shape"),
        (huge((2**40,)), "ends within the .* bytes"),
        (huge((2**31, 2**20)), "ends within the .* bytes"),
        (listed(array(0)), "array 0 has an unknown layout .0x2.: V1 and V2 of MXNet"),
        (listed(array(2), array(3)), "array 1 has an unknown layout .0xf993faca.: V1 and V2 of MXNet"),
        (listed(array(2, code=7)), "unknown type 7"),
        (listed(array(2, code=-1)), "unknown type -1"),
        (listed(array(2), names=struct.pack("<Q", 2)), "2 names for 1 arrays"),
        (listed(array(2), names=struct.pack("<QQ", 1, 2**63)), "ends within the .* bytes"),
        (listed(array(2), names=struct.pack("<QQ", 1, 1) + b"\xff"), "not UTF-8"),
        (listed(array(2)) + b"\0", "1 bytes follow its end"),
        (zipped({"a": b"nothing"}), "no member of its zip archive"),
        (b"PK\x03\x04" + bytes(50), "zip archive is damaged"),
    ],
)
def test_damage_is_rejected_with_its_place(data, problem):
    with at_most(MB), pytest.raises(ArtifactError, match=problem) as caught:
        decode_ndarrays(data)
    assert "download it again" in str(caught.value)


def test_the_caller_sets_the_limits():
    data = encode_ndarrays([M, M])
    with pytest.raises(ArtifactError, match="`max_bytes`"):
        decode_ndarrays(data, max_bytes=len(data) - 1)
    with pytest.raises(ArtifactError, match="`max_arrays`"):
        decode_ndarrays(data, max_arrays=1)
    bomb = zipped({"model": struct.pack("<Q", 0x112) + bytes(20 * MB)}, compression=zipfile.ZIP_DEFLATED)
    with (
        at_most(3 * MB),
        pytest.raises(
            ArtifactError, match=r"claims 20,971,528 bytes, above the limit of 1,000,000 .`max_bytes`"
        ),
    ):
        decode_ndarrays(bomb, max_bytes=1_000_000)


def zeros_in_a_zip(n_bytes: int) -> bytes:
    """A sound list of one array of zeros, which deflate shrinks a thousand times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model", "w") as member:
        member.write(struct.pack("<QQQ", 0x112, 0, 1) + array(2, (n_bytes // 4,), data=b""))
        for _ in range(n_bytes // MB):
            member.write(bytes(MB))
        member.write(struct.pack("<Q", 0))
    return file.getvalue()


def test_a_small_zip_archive_cannot_take_much_memory():
    """Within `max_bytes`, but no model of floats compresses like this."""
    bomb = zeros_in_a_zip(192 * MB)
    assert len(bomb) < MB
    with at_most(2 * MB), pytest.raises(ArtifactError, match=r"claims 201,\d+,\d+ bytes, above the limit"):
        decode_ndarrays(bomb)


def test_an_array_in_a_zip_archive_is_unpacked_into_its_own_memory_only():
    data = zeros_in_a_zip(48 * MB)
    with at_most(60 * MB):
        assert decode_ndarrays(data).arrays[0].nbytes == 48 * MB


def test_a_zip_archive_that_claims_another_size_is_rejected():
    data = zipped({"model": encode_ndarrays([M])})
    for claimed in (119, 121, 1 << 20):
        size, other = struct.pack("<I", 120), struct.pack("<I", claimed)
        with at_most(4 * MB), pytest.raises(ArtifactError):
            decode_ndarrays(data.replace(size, other))


@pytest.mark.parametrize("version", [1, 2])
def test_every_truncation_is_rejected(version):
    names = struct.pack("<QQ3s", 1, 3, b"one")
    rejected_when_truncated(decode_ndarrays, listed(array(version), names=names))


def test_every_truncation_of_a_zip_archive_is_rejected():
    rejected_when_truncated(
        decode_ndarrays, zipped({"model": encode_ndarrays([M])}, compression=zipfile.ZIP_DEFLATED)
    )


@pytest.mark.parametrize("version", [1, 2])
def test_changed_bytes_give_arrays_or_an_error(version, rng):
    data = listed(
        array(version), array(version, (2,), 1, bytes(16)), names=struct.pack("<QQ1sQ1s", 2, 1, b"a", 1, b"b")
    )
    with at_most(4 * MB):
        sound, refused = read_damaged(decode_ndarrays, data, rng, n=3000)
    assert sound > 50
    assert refused > 50


def test_changed_bytes_of_a_zip_archive_give_arrays_or_an_error(rng):
    data = zipped({"x": "{}", "model": encode_ndarrays([M])}, compression=zipfile.ZIP_DEFLATED)
    with at_most(8 * MB):
        _, refused = read_damaged(decode_ndarrays, data, rng, n=2000)
    assert refused > 50


@given(st.binary(max_size=100))
def test_anything_gives_arrays_or_an_error(tail):
    for start in (b"", struct.pack("<QQ", 0x112, 0)):
        try:
            decode_ndarrays(start + tail)
        except ArtifactError:
            continue
