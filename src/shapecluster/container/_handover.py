"""The container's program as a rehearsal runs it: as a command, or as functions of the same process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from shapecluster._programs import ContainerPrograms, ProgramMain, WsgiApp

_BUILT_IN_K_MEANS = re.compile(r"/kmeans(:|@|$)")


def _algorithm_for(image: str) -> str:
    """K-Means for the built-in's image; k-Shape for any other, and for the Marketplace."""
    return "k-means" if _BUILT_IN_K_MEANS.search(image) else "k-shape"


# The imports are late: a rehearsal in processes of its own needs the command line only.
def _load_main() -> ProgramMain:
    """`main` of `__main__`, which leaves signals and logging alone."""
    from shapecluster.container.__main__ import main

    return main


def _load_app(model: Path) -> WsgiApp:
    """The application that `serve` would run for this model."""
    from shapecluster.container._models import load_model
    from shapecluster.container._serving import application

    return application(load_model(model))


PROGRAMS = ContainerPrograms(
    command=(sys.executable, "-m", "shapecluster.container"),
    logger_name="shapecluster.container",
    algorithm_for=_algorithm_for,
    load_main=_load_main,
    load_app=_load_app,
)
