"""Agreement with tslearn, on data without its known defects, from the same centers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from shapecluster import LocalKShape

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports warn of what it lacks
    clustering = pytest.importorskip("tslearn.clustering", reason="tslearn (extra `test`) is not installed")
    from tslearn.preprocessing import TimeSeriesScalerMeanVariance


def both(shared_data, name):
    with np.load(shared_data / "ucr" / f"{name}.npz") as archive:
        X = archive["X"][: archive["n_train"]].astype(np.float64)
        k = len(np.unique(archive["y"]))
    z = TimeSeriesScalerMeanVariance().fit_transform(X)  # it normalizes in predict only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = clustering.KShape(k, init=z[:k].copy(), tol=0.0, max_iter=100).fit(z)
    return LocalKShape(k, init=X[:k], tol=0.0).fit(X), theirs, theirs.inertia_ * len(X)  # theirs is a mean


@pytest.mark.parametrize(
    "name", ["Coffee", "Trace", "SyntheticControl", "ArrowHead", "FaceFour", "Chinatown"]
)
def test_same_labels_and_inertia_on_ucr_sets(shared_data, name):
    ours, theirs, their_inertia = both(shared_data, name)
    assert ours.inertia_ == pytest.approx(their_inertia, rel=1e-10)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)


@pytest.mark.parametrize("name", ["ECG200", "CBF"])
def test_lower_inertia_where_tslearn_ends_at_the_first_rise(shared_data, name):
    ours, theirs, their_inertia = both(shared_data, name)
    assert theirs.n_iter_ < ours.n_iter_
    assert ours.inertia_ < their_inertia
