"""Fixtures of the tests of sweeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sklearn.cluster  # noqa: F401  (loads OpenMP, which can be limited only once it is there)
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def _one_openmp_thread() -> Iterator[None]:
    """Keep K-Means to one thread: on a busy machine its threads spin while they wait for each other."""
    with threadpool_limits(1, user_api="openmp"):
        yield
