"""The command line of the container: `python -m shapecluster.container train|serve`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from shapecluster.container import _kmeans, _kshape, _serving
from shapecluster.container._files import FAILURE, write_bytes
from shapecluster.container._input import read_job
from shapecluster.container._signals import EXIT_CODE, Terminated, exit_on_sigterm

logger = logging.getLogger("shapecluster.container")

_DEFAULT_ROOT = "/opt/ml"
_ROOT_VARIABLE = "SHAPECLUSTER_ROOT"

_TRAINERS = {_kshape.ALGORITHM: _kshape.train, _kmeans.ALGORITHM: _kmeans.train}


def main(arguments: Sequence[str]) -> int:
    r"""Train or serve in this process, as `python -m shapecluster.container` does in its own.

    The function logs to the logger "shapecluster.container" and installs no signal handler.

    Parameters
    ----------
    arguments : sequence of str
        The arguments of the command: "train" or "serve", and options.

    Returns
    -------
    int
        The exit code: 0 on success, 1 on failure, 143 after SIGTERM.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from shapecluster.container import main
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     root = pathlib.Path(folder)
    ...     for name in ("config", "data/train"):
    ...         (root / "input" / name).mkdir(parents=True)
    ...     _ = (root / "input/config/hyperparameters.json").write_text('{"k": "2", "random_state": "0"}')
    ...     _ = (root / "input/data/train/series.csv").write_text("1,2,1\n2,4,2\n3,1,3\n")
    ...     code = main(["train", "--root", folder])
    ...     print(code, sorted(path.name for path in (root / "model").iterdir()))
    0 ['centroids', 'shapecluster.json']
    """
    options = _parser().parse_args(arguments)
    root = Path(options.root or os.environ.get(_ROOT_VARIABLE) or _DEFAULT_ROOT)
    if options.task == "train":
        return _train(root, options.algorithm)
    return _serving.serve(root, options.host, options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shapecluster.container", description="Train or serve a model of shapecluster."
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    train = tasks.add_parser("train", help="train on the channels below the root, and write a model there")
    serve = tasks.add_parser("serve", help="answer requests for predictions over HTTP")
    algorithm = os.environ.get("SHAPECLUSTER_ALGORITHM") or "k-shape"
    for task in (train, serve):
        task.add_argument(
            "--root", help=f"the job's folder (default: ${_ROOT_VARIABLE}, else {_DEFAULT_ROOT})"
        )
        # argparse does not check a default: an unknown one fails in training, with a reason in a file.
        task.add_argument(
            "--algorithm",
            choices=list(_TRAINERS),
            default=algorithm,
            help="algorithm to train (default: $SHAPECLUSTER_ALGORITHM, else k-shape); ignored by serve",
        )
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    serve.add_argument("--port", type=int, default=port, help="0 selects a free port, which the log names")
    return parser


def _train(root: Path, algorithm: str) -> int:
    """Train a model and return the exit code.

    The reason of a failure is written to `output/failure`, and its traceback to the log.
    """
    with suppress(OSError):
        (root / FAILURE).unlink()  # a restarted job must not show the reason of its last attempt
    logger.info("shapecluster %s trains %s in %s", version("shapecluster"), algorithm, root)
    try:
        if algorithm not in _TRAINERS:
            raise ValueError(f"The algorithm must be {' or '.join(_TRAINERS)}. Got {algorithm!r} instead.")
        _TRAINERS[algorithm](read_job(root))
    except Terminated:
        # No reason in output/failure: the platform stopped the job, and may restart it.
        logger.warning("SIGTERM received: the last checkpoint is saved, and no model is written")
        return EXIT_CODE
    except Exception as error:
        reason = _failure_reason(error)
        logger.error("training failed: %s", reason, exc_info=True)
        try:
            write_bytes(root / FAILURE, reason.encode())
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


def run() -> int:
    """Run the program as a process of its own: log to stderr, and exit on SIGTERM."""
    exit_on_sigterm()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.captureWarnings(True)
    return main(sys.argv[1:])
