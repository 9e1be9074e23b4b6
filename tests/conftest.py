"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.emulator import Emulator

# A busy machine is no failure; and a failing example is printed, so nothing needs to be kept on disk.
hypothesis.settings.register_profile("shapecluster", deadline=None, print_blob=True)
hypothesis.settings.load_profile("shapecluster")

# Shells start background commands deaf to Ctrl-C, and so would be all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SEEDS = os.environ.get("SHAPECLUSTER_TESTS_GLOBAL_RANDOM_SEED", "42")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that takes `global_random_seed` with the seeds asked for ("42", "7" or "0-9")."""
    if "global_random_seed" in metafunc.fixturenames:
        first, _, last = _SEEDS.partition("-")
        metafunc.parametrize("global_random_seed", range(int(first), int(last or first) + 1))


@pytest.fixture
def rng(global_random_seed: int) -> np.random.Generator:
    return np.random.default_rng(global_random_seed)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real prices and UCR sets, which is no part of the project."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("SHAPECLUSTER_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(
            "real data not found: set SHAPECLUSTER_TEST_DATA to the folder that holds market/ and ucr/"
        )
    return folder


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Amazon SageMaker, S3 and STS on this machine; boto3's own settings lead there, and nowhere else."""
    from tests.emulator import Emulator

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with Emulator(tmp_path / "emulator") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running
