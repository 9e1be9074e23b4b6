"""The container's program as a rehearsal runs it: as a command, or as functions of the same process."""

from __future__ import annotations

import re
import sys

from shapecluster._programs import ContainerPrograms
from shapecluster.container import application, load_model, main

_BUILT_IN_K_MEANS = re.compile(r"/kmeans(:|@|$)")


def _algorithm_for(image: str) -> str:
    """K-Means for the built-in's image; k-Shape for any other, and for the Marketplace."""
    return "k-means" if _BUILT_IN_K_MEANS.search(image) else "k-shape"


PROGRAMS = ContainerPrograms(
    command=(sys.executable, "-m", "shapecluster.container"),
    logger_name="shapecluster.container",
    algorithm_for=_algorithm_for,
    load_main=lambda: main,
    load_app=lambda model: application(load_model(model)),
)
