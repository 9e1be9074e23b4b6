"""faiss proposes and never decides: the real one where it is installed, and one that makes mistakes."""

from __future__ import annotations

import pickle
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from sklearn.cluster import KMeans

from shapecluster import ClusterIndex
from shapecluster.neighbors import _faiss


class Lists:
    """Inverted lists of the stub."""

    def __init__(self):
        self.entries = {}

    def add_entries(self, cell, n_rows, ids, codes):
        self.entries[cell] = (ids.copy(), codes.view(np.float32).copy())


class Index:
    """As much of IndexIVFFlat as is used, in float32, with ties broken toward the higher position."""

    def __init__(self, quantizer, width, n_cells, metric):
        self.invlists, self.width = Lists(), width

    def search_preassigned(self, values, k, cells, distances):
        assert cells.shape == distances.shape == (len(values), self.nprobe)
        squares = np.full((len(values), k), np.float32(3.4e38))
        rows = np.full((len(values), k), -1)
        for i, value in enumerate(values):
            lists = [self.invlists.entries[c] for c in cells[i].tolist() if c in self.invlists.entries]
            ids = np.concatenate([ids for ids, _ in lists])
            found = np.concatenate([codes.reshape(-1, self.width) for _, codes in lists])
            near = np.square(found - value).sum(axis=1)
            order = np.lexsort((-ids, near))[:k]
            squares[i, : len(order)], rows[i, : len(order)] = near[order], ids[order]
        return squares, rows


class Quantizer:
    """As much of IndexFlatL2 as is used."""

    def __init__(self, width):
        self.width = width

    def add(self, rows):
        assert rows.shape[1] == self.width


@pytest.fixture(params=["stub", "faiss"])
def library(request, monkeypatch):
    """The real faiss, or one of a few lines."""
    if request.param == "faiss":
        return pytest.importorskip("faiss", reason="faiss-cpu is not installed: an extra of its own")
    stub = ModuleType("faiss")
    stub.__spec__ = ModuleSpec("faiss", None)
    stub.IndexFlatL2, stub.IndexIVFFlat, stub.METRIC_L2 = Quantizer, Index, 1
    stub.swig_ptr = lambda array: array
    stub.omp_get_max_threads, stub.omp_set_num_threads = lambda: 1, lambda n: None
    monkeypatch.setitem(sys.modules, "faiss", stub)
    return stub


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["spread", "ties", "far from 0"])
def test_answers_are_those_of_our_own_scan(rng, library, dtype, kind):
    X = rng.integers(3, size=(400, 3)) if kind == "ties" else rng.normal(size=(400, 3))
    X = (X + 1e4 * (kind == "far from 0")).astype(dtype)
    Q = X[rng.permutation(400)[:30]] + (0 if kind == "ties" else 0.01)
    model = KMeans(12, n_init=1, max_iter=3, random_state=0).fit(X)
    ours = ClusterIndex(model, backend="numpy").fit(X)
    theirs = ClusterIndex(model, backend="faiss").fit(X)
    for k, n_probe in ((1, 1), (7, 3), (60, 1), (5, 12)):
        for a, b in zip(
            ours.kneighbors(Q, k, n_probe=n_probe), theirs.kneighbors(Q, k, n_probe=n_probe), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_only_doubtful_queries_are_searched_twice(rng, library, monkeypatch):
    X = rng.normal(size=(300, 4)).astype(np.float32)
    X[:40] = X[0]  # so many twins that faiss may name any of them
    index = ClusterIndex(KMeans(6, n_init=1, random_state=0), backend="faiss").fit(X)
    again = []
    search_block = _faiss.search_block
    monkeypatch.setattr(
        _faiss,
        "search_block",
        lambda *args, **kwargs: (again.append(len(args[2])), search_block(*args, **kwargs)),
    )
    ids = index.kneighbors(np.concatenate([X[:1], X[100:150]]), 5, n_probe=3)[1]
    assert ids[0].tolist() == [0, 1, 2, 3, 4]
    assert len(again) == 1
    assert again[0] <= 10


def test_lists_follow_additions_removals_and_pickles(rng, library):
    X = rng.normal(size=(200, 4))
    model = KMeans(6, n_init=1, random_state=0).fit(X)
    index = ClusterIndex(model, backend="faiss").fit(X[:100])
    index.add(X[100:])
    index.remove(np.arange(0, 200, 3))
    expected = ClusterIndex(model, backend="numpy").fit(X).remove(np.arange(0, 200, 3)).kneighbors(X[:20], 4)
    for answer in (index.kneighbors(X[:20], 4), pickle.loads(pickle.dumps(index)).kneighbors(X[:20], 4)):
        for a, b in zip(answer, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_auto_takes_it_for_few_queries_only(rng, library):
    index = ClusterIndex(KMeans(6, n_init=1, random_state=0)).fit(rng.normal(size=(200, 4)))
    assert index._lists.is_preferred(1, 1)
    assert not index._lists.is_preferred(10**6, 6)


def test_it_is_for_the_euclidean_metric(rng):
    X = (rng.random((50, 5)) < 0.5).astype(float)
    with pytest.raises(ValueError, match="for the Euclidean metric only"):
        ClusterIndex(KMeans(3, n_init=1, random_state=0), metric="jaccard", backend="faiss").fit(X)


def test_its_absence_is_said_with_what_to_install(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    index = ClusterIndex(KMeans(3, n_init=1, random_state=0), backend="faiss")
    with pytest.raises(ImportError, match=r'pip install "shapecluster\[faiss\]"'):
        index.fit(rng.normal(size=(50, 5)))
