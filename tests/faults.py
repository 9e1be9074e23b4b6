"""Meet every fault again and again, each time with other timing.

    python -m tests.faults --times 20

runs `tests/sagemaker/test_faults.py` so many times, each run in a process of its own and with a seed
of its own, which sets how often jobs are looked at and how long their states last. Says which tests failed,
and with which seeds; ends with 1 if any did.
"""

# ruff: noqa: T201 -- a command says what it does

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = "tests/sagemaker/test_faults.py"
LIMIT = 900.0  # seconds for one run: something hangs then


def run(seed: int, extra: list[str]) -> tuple[str, list[str]]:
    """Run the tests once; the last line that pytest says, and the tests that failed."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", TESTS, *extra]
    environment = {**os.environ, "SHAPECLUSTER_TESTS_GLOBAL_RANDOM_SEED": str(seed)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired as late:
        print((late.stdout or b"").decode(errors="replace"))
        return f"not over after {LIMIT:.0f} seconds", [f"something hung in {TESTS}"]
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    failed = [
        line.split(" - ")[0].partition(" ")[2] for line in lines if line.startswith(("FAILED ", "ERROR "))
    ]
    if done.returncode and not failed:
        failed = [f"pytest itself, with {done.returncode}"]
    if failed:
        print(done.stdout, done.stderr, sep="\n")
    return (lines or ["nothing was said"])[-1], failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how often (default: 20)")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds count from here (default: 0)")
    options, extra = parser.parse_known_args()
    failures: dict[str, list[int]] = defaultdict(list)
    for seed in range(options.first_seed, options.first_seed + options.times):
        start = time.monotonic()
        said, failed = run(seed, extra)
        print(f"seed {seed}: {said} ({time.monotonic() - start:.0f} s in all)", flush=True)
        for name in failed:
            failures[name.replace(f"[{seed}-", "[")].append(seed)
    print(f"{options.times} runs: " + ("some tests failed" if failures else "all passed"))
    for name, seeds in sorted(failures.items()):
        print(f"  {len(seeds)} of {options.times}: {name} (seeds {', '.join(map(str, seeds))})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
