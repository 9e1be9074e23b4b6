"""Small data for tests would not be worth a look: here bounds are tried on it all the same."""

from __future__ import annotations

import pytest

from shapecluster._core.sbd import bounds


@pytest.fixture(autouse=True)
def _bounds_on_small_data(monkeypatch):
    monkeypatch.setattr(bounds, "_MIN_LENGTH", 0)
    monkeypatch.setattr(bounds, "_MIN_POINTS", 0)
