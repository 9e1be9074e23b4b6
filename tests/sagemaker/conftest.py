"""What the tests of estimators whose fit is a training job share."""

from __future__ import annotations

from pathlib import Path

import pytest

from shapecluster.remote import Rehearsal


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    """A cloud in a folder, whose jobs are over when the call that creates them returns."""
    return Rehearsal(tmp_path / "cloud", in_process=True)
