"""Data is uploaded once, whole, and to a place that nothing else shares."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from shapecluster.exceptions import AccessError, ConnectionLostError
from shapecluster.remote._errors import from_code
from shapecluster.remote._names import join_uri, relative_uri, split_uri
from shapecluster.remote._staging import Dataset, fingerprint, stage
from tests.remote.fakes import FakePlatform

BASE = "s3://bucket/prefix"


def dataset(values=None, **changes):
    values = np.arange(24.0).reshape(8, 3) if values is None else values

    def write(file, rows):
        file.write(values[rows].tobytes())

    return replace(
        Dataset(fingerprint(values, "raw"), len(values), write, "application/x-raw", ".raw"), **changes
    )


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


def test_data_and_manifest_lie_apart(platform):
    values = np.arange(24.0).reshape(8, 3)
    staged = stage(platform, dataset(values, manifest={"names": ["A"] * 8}), BASE)
    (data,) = platform.list(staged.data_uri)
    assert data.endswith("/data/part-00000-of-00001.raw")
    assert platform.files[data] == values.tobytes()
    manifest = json.loads(platform.files[staged.manifest_uri])
    assert manifest["data"] == {"names": ["A"] * 8}
    assert (manifest["n_rows"], manifest["n_bytes"], manifest["n_shards"]) == (8, 192, 1)
    assert not staged.manifest_uri.startswith(staged.data_uri)
    assert staged.folder.startswith(BASE + "/")


def test_the_same_data_is_uploaded_once(platform):
    first = stage(platform, dataset(), BASE)
    n_uploads = len(platform.uploads)
    second = stage(platform, dataset(), BASE)
    assert len(platform.uploads) == n_uploads
    assert second == first


def test_what_broke_off_is_uploaded_again(platform):
    lost = from_code("ServiceUnavailable", "", "s3.put_object")
    platform.script("upload", None, lost)  # the data arrives, the marker does not
    with pytest.raises(ConnectionLostError):
        stage(platform, dataset(), BASE)
    platform.scripts.clear()
    platform.uploads.clear()
    staged = stage(platform, dataset(), BASE)
    assert len(platform.uploads) == 2
    assert platform.exists(staged.manifest_uri)


def test_the_marker_is_written_last(platform):
    staged = stage(platform, dataset(n_shards=4), BASE)
    assert platform.uploads[-1] == staged.manifest_uri
    assert len(platform.uploads) == 5


def test_shards_share_the_rows_evenly_and_in_order(platform):
    values = np.arange(30.0).reshape(10, 3)
    staged = stage(platform, dataset(values, n_shards=4), BASE)
    parts = [platform.files[uri] for uri in platform.list(staged.data_uri)]
    assert [len(p) // 24 for p in parts] == [2, 3, 2, 3]
    assert b"".join(parts) == values.tobytes()


def test_there_are_never_more_shards_than_rows(platform):
    assert stage(platform, dataset(n_shards=100), BASE).n_shards == 8


def test_other_bytes_types_names_formats_shards_and_keys_are_other_places(platform):
    values = np.arange(24.0).reshape(8, 3)
    places = {
        stage(platform, replace(data, n_shards=shards), BASE, kms_key=key).folder
        for data, shards, key in [
            (dataset(), 1, None),
            (dataset(), 2, None),
            (dataset(), 1, "key"),
            (dataset(values + 1), 1, None),
            (dataset(content_type="text/csv"), 1, None),
            (dataset(suffix=".x"), 1, None),
            (dataset(fingerprint=fingerprint(values, "raw", ["a"])), 1, None),
        ]
    }
    assert len(places) == 7


def test_everything_is_encrypted_with_the_key(platform):
    stage(platform, dataset(), BASE, kms_key="key")
    assert set(platform.keys.values()) == {"key"}


def test_a_fingerprint_tells_everything_apart():
    values = np.arange(6.0)
    marks = [
        fingerprint(values.reshape(2, 3)),
        fingerprint(values.reshape(3, 2)),
        fingerprint(values.astype(np.float32).reshape(2, 3)),
        fingerprint(-values.reshape(2, 3)),
        fingerprint(values.reshape(2, 3), None),
        fingerprint(values.reshape(2, 3), ""),
        fingerprint(values.reshape(2, 3), ["a", "b"]),
        fingerprint(values.reshape(2, 3), ["ab"]),
        fingerprint(values.reshape(2, 3), ["a"], ["b"]),
        fingerprint(values.reshape(2, 3), "a", "b"),
        fingerprint(values[:0].reshape(0, 3)),
    ]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize("order", ["F", "strided", "reversed"])
def test_a_fingerprint_is_of_the_numbers_and_not_of_their_layout(order):
    values = np.random.default_rng(0).normal(size=(50, 7))
    other = {
        "F": np.asfortranarray(values),
        "strided": np.repeat(values, 2, axis=1)[:, ::2],
        "reversed": values[::-1].copy()[::-1],
    }[order]
    assert not other.flags.c_contiguous
    assert fingerprint(other) == fingerprint(values)


def test_many_threads_upload_once(platform):
    start, inside, together = threading.Barrier(6), [], []

    def write(file, rows):
        inside.append(1)
        together.append(len(inside))
        file.write(b"data")
        inside.pop()

    data = dataset(write=write)
    results = []

    def run():
        start.wait(timeout=10)
        results.append(stage(platform, data, BASE))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(results) == 6
    assert len(platform.uploads) == 2
    assert together == [1]


def test_a_place_that_may_not_be_written_is_told(platform):
    platform.script("exists", from_code("403", "Forbidden", "s3.head_object"))
    with pytest.raises(AccessError, match="s3:GetObject"):
        stage(platform, dataset(), BASE)


@pytest.mark.parametrize(
    "uri", ["bucket/key", "s3://", "s3://B/key", "s3://bucket/../x", "s3://bucket/a/./b", "http://bucket/key"]
)
def test_what_is_no_place_in_s3_is_refused(uri):
    with pytest.raises(ValueError, match="place in S3"):
        split_uri(uri)


def test_places_are_joined_and_taken_apart():
    assert split_uri("s3://bucket") == ("bucket", "")
    assert split_uri("s3://bucket/a/b/") == ("bucket", "a/b/")
    assert join_uri("s3://bucket/", "/a", "b/") == "s3://bucket/a/b/"
    assert relative_uri("s3://bucket/a", "s3://bucket/a/b/c") == "b/c"
    with pytest.raises(ValueError, match="does not lie in"):
        relative_uri("s3://bucket/a", "s3://bucket/ab")
