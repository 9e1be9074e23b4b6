"""The command line of the program: `python -m shapecluster.container train|serve`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from shapecluster.container import _serving, _training
from shapecluster.container._paths import DEFAULT, VARIABLE, root_folder
from shapecluster.container._signals import end_on_sigterm


def main(argv: Sequence[str]) -> int:
    """Run the program inside this process; returns its exit code.

    It logs to the logger "shapecluster.container", and leaves signals alone.
    """
    arguments = _parser().parse_args(argv)
    root = root_folder(arguments.root)
    if arguments.task == "train":
        return _training.train(root, arguments.algorithm)
    return _serving.serve(root, arguments.host, arguments.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shapecluster.container", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    train = tasks.add_parser("train", help="train on the channels below the root, and leave a model there")
    serve = tasks.add_parser("serve", help="answer requests for predictions over HTTP")
    algorithm = os.environ.get("SHAPECLUSTER_ALGORITHM") or "k-shape"
    for task in (train, serve):
        task.add_argument("--root", help=f"instead of ${VARIABLE} or {DEFAULT}")
        task.add_argument(
            "--algorithm",
            choices=list(_training.PROGRAMS),
            default=algorithm,
            help="instead of $SHAPECLUSTER_ALGORITHM or k-shape; serving sees it by the model",
        )
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    serve.add_argument("--port", type=int, default=port, help="0 takes a free one, which the log names")
    return parser


def _run() -> int:
    """The program as a process: its log goes to stderr, and SIGTERM ends it."""
    end_on_sigterm()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.captureWarnings(True)
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
