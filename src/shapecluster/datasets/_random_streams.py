"""One random generator per feature of a simulation, so that features can be switched on one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

RandomSource: TypeAlias = int | np.random.Generator | np.random.RandomState | None
"""Values that `random_state` accepts."""


def spawn_generators(random_state: RandomSource, features: Sequence[str]) -> dict[str, np.random.Generator]:
    """Return an independent generator for each feature. Their order determines the result of a seed."""
    entropy: int | list[int] | None
    if isinstance(random_state, np.random.Generator):
        entropy = random_state.integers(2**32, size=4).tolist()
    elif isinstance(random_state, np.random.RandomState):
        entropy = random_state.randint(2**32, size=4, dtype=np.uint64).tolist()
    else:
        entropy = random_state
    children = np.random.SeedSequence(entropy).spawn(len(features))
    # PCG64 by name, because NumPy may change the generator behind `default_rng`.
    return {
        feature: np.random.Generator(np.random.PCG64(child))
        for feature, child in zip(features, children, strict=True)
    }
