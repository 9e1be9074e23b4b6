"""One generator for each feature of what is simulated, so that a feature can be switched on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def generators(random_state: Any, features: Sequence[str]) -> dict[str, np.random.Generator]:
    """One independent generator for each feature; their order is part of what a seed means."""
    if isinstance(random_state, np.random.Generator):
        random_state = random_state.integers(2**32, size=4).tolist()
    elif isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint64).tolist()
    children = np.random.SeedSequence(random_state).spawn(len(features))
    return {
        feature: np.random.Generator(np.random.PCG64(child))
        for feature, child in zip(features, children, strict=True)
    }
