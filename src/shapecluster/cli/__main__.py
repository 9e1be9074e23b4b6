"""`python -m shapecluster.cli`: the command `shapecluster` when its script is not on the path."""

from __future__ import annotations

import sys

from shapecluster.cli import main

# Guarded: worker processes of joblib import the main module again.
if __name__ == "__main__":
    sys.exit(main())
