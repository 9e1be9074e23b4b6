"""Small data for tests would not be worth a look: here bounds are tried on it all the same."""

from __future__ import annotations

import pytest

from shapecluster._core import assignment


@pytest.fixture(autouse=True)
def _bounds_on_small_data(monkeypatch):
    monkeypatch.setattr(assignment, "_SHORT", 0)
    monkeypatch.setattr(assignment, "_SMALL", 0)
