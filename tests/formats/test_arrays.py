from __future__ import annotations

import json
import os

import numpy as np
import pytest

from shapecluster.exceptions import ArtifactError
from shapecluster.formats import arrays as module
from shapecluster.formats import read_arrays, write_arrays
from tests.formats.damage import MB, at_most, damaged_versions, read_damaged, rejected_when_truncated


@pytest.fixture
def content(rng):
    return {
        "rows": rng.normal(size=(7, 3)),
        "single": rng.normal(size=4).astype(np.float32),
        "ids": np.arange(5),
        "flags": np.array([True, False]),
        "text": np.frombuffer(b"abc", dtype=np.uint8),
        "none": np.empty((0, 3)),
    }


def reader(tmp_path, kind="test"):
    path = tmp_path / "damaged"

    def read(data):
        path.write_bytes(data)
        return read_arrays(path, kind)

    return read


def test_arrays_are_read_back(tmp_path, content):
    write_arrays(tmp_path / "file", "test", {"a": [1, None, "x"]}, content)
    file = read_arrays(tmp_path / "file", "test")
    settings, arrays = file.settings, file.arrays
    assert settings == {"a": [1, None, "x"]}
    assert list(arrays) == list(content)
    for name, array in content.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].flags.writeable


def test_the_same_content_gives_the_same_bytes_in_any_layout(tmp_path, content):
    write_arrays(tmp_path / "one", "test", {}, content)
    other = content | {"rows": np.asfortranarray(content["rows"]).astype(">f8")}
    write_arrays(tmp_path / "two", "test", {}, other)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_every_changed_byte_is_rejected(tmp_path, content, rng):
    write_arrays(tmp_path / "file", "test", {"a": 1}, content)
    data = (tmp_path / "file").read_bytes()
    read = reader(tmp_path)
    n_same = sum(version == data for version in damaged_versions(data, np.random.default_rng(1), 700))
    sound, refused = read_damaged(read, data, np.random.default_rng(1), n=700)
    assert sound == n_same
    assert refused > 500


def test_every_truncation_is_rejected(tmp_path, content):
    write_arrays(tmp_path / "file", "test", {"a": 1}, {"ids": content["ids"]})
    rejected_when_truncated(reader(tmp_path), (tmp_path / "file").read_bytes())


def with_header(data, header):
    """The file with another header, and a checksum that fits."""
    text = json.dumps(header).encode()
    length = int.from_bytes(data[12:16], "little")
    body = data[:12] + len(text).to_bytes(4, "little") + text + data[16 + length : -32]
    return body + module.hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([{"name": "a", "dtype": "<f8", "shape": [1 << 40]}], "must take"),
        ([{"name": "a", "dtype": "<f8", "shape": [1 << 47, 1 << 47]}], "must take"),
        ([{"name": "a", "dtype": "|O8", "shape": [5]}], "no valid list of arrays"),
        ([{"name": "a", "dtype": "<f8", "shape": [-5]}], "no valid list of arrays"),
        ([{"name": "a", "dtype": "<f8", "shape": [5.0]}], "no valid list of arrays"),
        ([{"name": "a", "dtype": "<f8", "shape": 5}], "no valid list of arrays"),
        ([{"name": "a", "dtype": ["<f8"], "shape": [5]}], "no valid list of arrays"),
        ([{"dtype": "<f8", "shape": [5]}], "no valid list of arrays"),
        ("nothing", "no valid list of arrays"),
        (None, "no valid list of arrays"),
    ],
)
def test_false_headers_are_rejected_before_memory_is_allocated(tmp_path, arrays, message):
    write_arrays(tmp_path / "file", "test", {}, {"a": np.arange(5.0)})
    data = with_header((tmp_path / "file").read_bytes(), {"kind": "test", "settings": {}, "arrays": arrays})
    with at_most(MB), pytest.raises(ArtifactError, match=message):
        reader(tmp_path)(data)


def test_another_kind_version_or_file_is_named(tmp_path):
    write_arrays(tmp_path / "file", "test", {}, {"a": np.arange(5.0)})
    with pytest.raises(ArtifactError, match=r"must hold 'other'. Got 'test' instead"):
        read_arrays(tmp_path / "file", "other")
    data = bytearray((tmp_path / "file").read_bytes())
    data[8] = 2
    with pytest.raises(ArtifactError, match=r"version 1. Got version 2 instead. Update shapecluster"):
        reader(tmp_path)(bytes(data))
    with pytest.raises(ArtifactError, match="not a file of 'test'"):
        reader(tmp_path)(b"PK\x03\x04 and so on, for a while")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "absent", "test")


def test_reading_needs_the_memory_of_the_content(tmp_path):
    write_arrays(tmp_path / "file", "test", {}, {"a": np.zeros(MB)})
    with at_most(8 * MB + 3 * MB):
        read_arrays(tmp_path / "file", "test")


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_arrays(path, "test", {}, {"a": np.arange(3)})
    before = path.read_bytes()

    def full(number):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_arrays(path, "test", {}, {"a": np.arange(4)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


def test_arrays_and_settings_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(TypeError, match="array 'a' must be of one of the types"):
        write_arrays(tmp_path / "file", "test", {}, {"a": np.array(["x"], dtype=object)})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_arrays(tmp_path / "file", "test", {"a": object()}, {})
    assert not os.listdir(tmp_path)
