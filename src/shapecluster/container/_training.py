"""One training job from its configuration to its exit code, and in words why it failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

from shapecluster.container import _kmeans, _kshape
from shapecluster.container._configuration import JobConfiguration, read_job
from shapecluster.container._files import write_bytes
from shapecluster.container._paths import Root
from shapecluster.container._signals import EXIT_CODE, Terminated

logger = logging.getLogger("shapecluster.container")

PROGRAMS: dict[str, Callable[[JobConfiguration, Root], None]] = {
    _kshape.ALGORITHM: _kshape.train,
    _kmeans.ALGORITHM: _kmeans.train,
}


def train(root: Root, algorithm: str) -> int:
    """Train; returns the exit code of the program.

    What went wrong goes to `output/failure` in words, and to the log with its traceback.
    """
    with suppress(OSError):
        root.failure.unlink(missing_ok=True)  # of an earlier attempt
    logger.info("shapecluster %s trains %s in %s", version("shapecluster"), algorithm, root.path)
    try:
        if algorithm not in PROGRAMS:
            raise ValueError(f"The algorithm must be {' or '.join(PROGRAMS)}. Got {algorithm!r} instead.")
        PROGRAMS[algorithm](read_job(root), root)
    except Terminated:
        logger.warning("asked to end by SIGTERM: what there is to save is saved, and there is no model")
        return EXIT_CODE
    except Exception as error:
        reason = _reason(error)
        logger.error("training failed: %s", reason, exc_info=True)
        try:
            write_bytes(root.failure, reason.encode())
        except OSError as unwritten:
            logger.error("output/failure cannot be written: %s", unwritten)
        return 1
    return 0


def _reason(error: Exception) -> str:
    """What happened and what to do, in words; the first 1,024 characters are what a platform shows."""
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
