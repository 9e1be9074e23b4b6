"""`python -m shapecluster.cli`: the command `shapecluster`, where its script is not on the path."""

import sys

from shapecluster.cli import main

if __name__ == "__main__":
    sys.exit(main())
