"""The command of the container: `python -m shapecluster.container train|serve`."""

import sys

from shapecluster.container._program import run

if __name__ == "__main__":
    sys.exit(run())
