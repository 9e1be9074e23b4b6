"""One training job from its configuration to its exit code, with the reason if it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

from shapecluster.container import _kmeans, _kshape
from shapecluster.container._configuration import JobConfiguration, read_configuration
from shapecluster.container._files import write_bytes
from shapecluster.container._paths import ContainerPaths
from shapecluster.container._signals import EXIT_CODE, Terminated

logger = logging.getLogger("shapecluster.container")

TRAINERS: dict[str, Callable[[JobConfiguration, ContainerPaths], None]] = {
    _kshape.ALGORITHM: _kshape.train,
    _kmeans.ALGORITHM: _kmeans.train,
}


def train(paths: ContainerPaths, algorithm: str) -> int:
    """Train a model and return the exit code.

    The reason of a failure is written to `output/failure`, and its traceback to the log.
    """
    with suppress(OSError):
        paths.failure.unlink(missing_ok=True)  # a restarted job must not show the reason of its last attempt
    logger.info("shapecluster %s trains %s in %s", version("shapecluster"), algorithm, paths.root)
    try:
        if algorithm not in TRAINERS:
            raise ValueError(f"The algorithm must be {' or '.join(TRAINERS)}. Got {algorithm!r} instead.")
        TRAINERS[algorithm](read_configuration(paths), paths)
    except Terminated:
        # No reason in output/failure: the platform stopped the job, and may restart it.
        logger.warning("SIGTERM received: the last checkpoint is saved, and no model is written")
        return EXIT_CODE
    except Exception as error:
        reason = _failure_reason(error)
        logger.error("training failed: %s", reason, exc_info=True)
        try:
            write_bytes(paths.failure, reason.encode())
        except OSError as write_error:
            logger.error("output/failure cannot be written: %s", write_error)
        return 1
    return 0


def _failure_reason(error: Exception) -> str:
    """Say what happened and what to do; a platform shows the first 1,024 characters."""
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"There is not enough memory: choose a larger instance. ({error or 'MemoryError'})"
    if isinstance(error, OSError):
        return f"A file could not be read or written: {error}. Check the volume's size and the channels."
    return (
        f"The training program failed unexpectedly with {type(error).__name__}: {error}. "
        f"Its log has the traceback: please report it (shapecluster {version('shapecluster')})."
    )
