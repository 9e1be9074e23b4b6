from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans

from shapecluster import ClusterIndex, LocalKShape
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import read_arrays, write_arrays
from shapecluster.neighbors._index_file import KIND
from tests.formats.damage import read_damaged


def fitted(rng, metric, dtype=np.float64, max_shift=None):
    """An index and queries for it."""
    if metric == "sbd":
        X = rng.normal(size=(60, 24)).cumsum(axis=1).astype(dtype)
        model = LocalKShape(5, max_iter=2, random_state=0, max_shift=max_shift)
    else:
        X = rng.normal(size=(60, 6)).astype(dtype)
        X = sparse.csr_matrix((X > 0.5).astype(dtype)) if metric == "jaccard" else X
        model = KMeans(5, n_init=1, random_state=0)
    return ClusterIndex(model, metric=metric, n_probe=2, n_neighbors=3).fit(X), X[:7]


@pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loaded_index_answers_with_the_same_bits(rng, tmp_path, metric, dtype):
    index, Q = fitted(rng, metric, dtype)
    index.remove([3]).tune(0.9, n_neighbors=3, n_samples=None)
    index.save(tmp_path / "index")
    loaded = ClusterIndex.load(tmp_path / "index")
    for exact in (True, False):
        for a, b in zip(index.kneighbors(Q, exact=exact), loaded.kneighbors(Q, exact=exact), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert loaded.n_probe_ == index.n_probe_
    assert (loaded.metric_, loaded.n_features_in_, loaded.n_samples_fit_) == (metric, Q.shape[1], 59)
    np.testing.assert_array_equal(loaded.add(Q), index.add(Q))
    for a, b in zip(index.kneighbors(Q, 9), loaded.kneighbors(Q, 9), strict=True):
        np.testing.assert_array_equal(a, b)
    loaded.save(tmp_path / "again")
    index.save(tmp_path / "index")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "index").read_bytes()


def test_a_window_and_channels_are_kept(rng, tmp_path):
    X = rng.normal(size=(50, 20, 2)).cumsum(axis=1)
    X[rng.random(X.shape) < 0.05] = np.nan
    index = ClusterIndex(LocalKShape(4, max_iter=2, random_state=0, max_shift=3, missing="mask")).fit(X)
    index.save(tmp_path / "index")
    loaded = ClusterIndex.load(tmp_path / "index")
    for a, b in zip(index.kneighbors(X[:5], 4), loaded.kneighbors(X[:5], 4), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="Got max_shift=3"):
        loaded.kneighbors(X[:5], 4, exact=True)


@pytest.mark.parametrize("names", [["BRK-B", "Ähre", ""], [7, -1, 3]])
def test_names_are_kept(rng, tmp_path, names):
    X = pd.DataFrame(rng.normal(size=(3, 4)), index=names)
    ClusterIndex(KMeans(2, n_init=1)).fit(X).save(tmp_path / "index")
    assert ClusterIndex.load(tmp_path / "index").names_of([0, 1, 2]).tolist() == names


def test_names_that_no_file_can_hold_are_said_before_anything_is_written(rng, tmp_path):
    X = pd.DataFrame(rng.normal(size=(3, 4)), index=[("A", 1), "B", "C"])
    with pytest.raises(TypeError, match=r"strings or integers to be saved. Got \('A', 1\)"):
        ClusterIndex(KMeans(2, n_init=1)).fit(X).save(tmp_path / "index")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metric", ["sbd", "euclidean", "jaccard"])
def test_damaged_files_are_refused_and_change_nothing(rng, tmp_path, metric):
    index, Q = fitted(rng, metric)
    index.save(tmp_path / "index")
    data = (tmp_path / "index").read_bytes()

    def read(version):
        (tmp_path / "damaged").write_bytes(version)
        return ClusterIndex.load(tmp_path / "damaged")

    expected = index.kneighbors(Q)[1]
    _, refused = read_damaged(
        read,
        data,
        np.random.default_rng(2),
        n=100,
        check=lambda loaded: np.testing.assert_array_equal(loaded.kneighbors(Q)[1], expected),
    )
    assert refused > 80
    for size in (0, 5, 16, 100, len(data) - 1):
        with pytest.raises(ArtifactError):
            read(data[:size])
    assert (tmp_path / "index").read_bytes() == data
    np.testing.assert_array_equal(index.kneighbors(Q)[1], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": np.array([0, 60])}, "do not add up"),
        ({"starts": np.array([0, 30, 20, 40, 50, 60])}, "do not add up"),
        ({"ids": np.zeros(60, dtype=np.int64)}, "one id for each row"),
        ({"reach": np.zeros(59)}, "one id for each row"),
        ({"rows": np.zeros((60, 5))}, "as the centers"),
        ({"rows": np.zeros((60, 6, 1))}, "as the centers"),
    ],
)
def test_whole_files_that_hold_no_sound_index_are_refused(rng, tmp_path, change, message):
    index, _ = fitted(rng, "euclidean")
    index.save(tmp_path / "index")
    file = read_arrays(tmp_path / "index", KIND)
    settings, arrays = file.settings, file.arrays
    write_arrays(tmp_path / "index", KIND, settings, arrays | change)
    with pytest.raises(ArtifactError, match=message):
        ClusterIndex.load(tmp_path / "index")


@pytest.mark.parametrize("missing", ["metric", "n_probe", "next_id"])
def test_settings_that_are_absent_are_named(rng, tmp_path, missing):
    index, _ = fitted(rng, "jaccard")
    index.save(tmp_path / "index")
    file = read_arrays(tmp_path / "index", KIND)
    settings, arrays = file.settings, file.arrays
    del settings[missing]
    write_arrays(tmp_path / "index", KIND, settings, arrays)
    with pytest.raises(ArtifactError, match=f"holds no index.*{missing}"):
        ClusterIndex.load(tmp_path / "index")


def test_a_loaded_index_has_no_clusterer_to_fit(rng, tmp_path):
    index, Q = fitted(rng, "euclidean")
    index.save(tmp_path / "index")
    loaded = ClusterIndex.load(tmp_path / "index")
    with pytest.raises(TypeError, match="A loaded index keeps no clusterer"):
        loaded.fit(Q)
    assert loaded.kneighbors(Q)[1].shape == (7, 3)
    assert clone(loaded).clusterer is None
    with pytest.raises(ValueError, match="features"):
        loaded.kneighbors(Q[:, :4])
