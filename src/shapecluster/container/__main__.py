"""The command line of the container: `python -m shapecluster.container train|serve`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from shapecluster.container import _serving, _training
from shapecluster.container._paths import DEFAULT_ROOT, ROOT_VARIABLE, container_paths
from shapecluster.container._signals import exit_on_sigterm


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
    paths = container_paths(options.root)
    if options.task == "train":
        return _training.train(paths, options.algorithm)
    return _serving.serve(paths, options.host, options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shapecluster.container", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    train = tasks.add_parser("train", help="train on the channels below the root, and write a model there")
    serve = tasks.add_parser("serve", help="answer requests for predictions over HTTP")
    algorithm = os.environ.get("SHAPECLUSTER_ALGORITHM") or "k-shape"
    for task in (train, serve):
        task.add_argument("--root", help=f"the job's folder (default: ${ROOT_VARIABLE}, else {DEFAULT_ROOT})")
        # argparse does not check a default: an unknown one fails in training, with a reason in a file.
        task.add_argument(
            "--algorithm",
            choices=list(_training.TRAINERS),
            default=algorithm,
            help="algorithm to train (default: $SHAPECLUSTER_ALGORITHM, else k-shape); ignored by serve",
        )
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    serve.add_argument("--port", type=int, default=port, help="0 selects a free port, which the log names")
    return parser


def _run() -> int:
    """Run the program as a process of its own: log to stderr, and exit on SIGTERM."""
    exit_on_sigterm()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.captureWarnings(True)
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
