"""The container's program as a rehearsal runs it: as a command, or as functions of the same process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from shapecluster._programs import ProgramMain, WsgiApp

_BUILT_IN_K_MEANS = re.compile(r"/kmeans(:|@|$)")


class LocalContainer:
    """Implements `shapecluster._programs.ContainerPrograms`.

    The imports are late: a rehearsal in processes of its own needs the command line only.
    """

    logger_name = "shapecluster.container"

    @property
    def command(self) -> tuple[str, ...]:
        """The command that starts `__main__`."""
        return (sys.executable, "-m", "shapecluster.container")

    def algorithm_for(self, image: str) -> str:
        """K-Means for the built-in's image; k-Shape for any other, and for the Marketplace."""
        return "k-means" if _BUILT_IN_K_MEANS.search(image) else "k-shape"

    def load_main(self) -> ProgramMain:
        """`main` of `__main__`, which leaves signals and logging alone."""
        from shapecluster.container.__main__ import main

        return main

    def load_app(self, model: Path) -> WsgiApp:
        """The application that `serve` would run for this model."""
        from shapecluster.container._models import load_model
        from shapecluster.container._serving import application

        return application(load_model(model))
