"""Print the time of `import shapecluster` after `sklearn.cluster` and `pandas`, best of several runs.

    python .ci/import_time.py

The budget is 50 ms; above it the exit code is 1.
"""

from __future__ import annotations

import subprocess
import sys

BUDGET = 0.050
REPEATS = 9
CODE = """
import time
import sklearn.cluster, pandas
start = time.perf_counter()
import shapecluster
print(time.perf_counter() - start)
"""


def main() -> None:
    times = []
    for _ in range(REPEATS):  # a fresh interpreter each
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True)
        times.append(float(done.stdout))
    print(f"import shapecluster, after sklearn and pandas: {1000 * min(times):.0f} ms, best of {REPEATS}")
    if min(times) > BUDGET:
        sys.exit(f"this exceeds the budget of {1000 * BUDGET:.0f} ms")


if __name__ == "__main__":
    main()
