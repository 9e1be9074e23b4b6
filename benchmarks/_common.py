"""Common parts of the benchmarks: data, thread limits, peak memory, results and tables."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from shapecluster.metrics import sbd_distances

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
QUICK_RESULTS = ROOT / "build" / "benchmarks"
LIBRARIES = (
    "shapecluster",
    "numpy",
    "scipy",
    "scikit-learn",
    "tslearn",
    "aeon",
    "kshape",
    "datasketch",
    "numba",
    "faiss-cpu",
    "pynndescent",
)
MAX_ITER = 100
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMBA")
}


# ---------------------------------------------------------------------------------------------- commands


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a command, with the options that all commands have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument(
        *("--out", "--from"),
        dest="out",
        type=Path,
        metavar="DIR",
        help="folder of results (default: benchmarks/results; with --quick: build/benchmarks)",
    )
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line, and set the folder of results."""
    options = parser.parse_args()
    options.out = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    return options


def in_one_thread(module: str) -> None:
    """Restart the command with BLAS, OpenMP and numba limited to one thread, unless they are already."""
    # The libraries read these variables when they are loaded, so setting them now would be too late.
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        sys.stdout.flush()
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | ONE_THREAD)


# -------------------------------------------------------------------------------------------------- work


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes
    ----------
    X : ndarray of shape (n_series, n_timepoints), or CSR matrix of shape (n_traders, n_tickers)
        Raw data in float64.
    k : int
        Number of clusters, of neighbors, or of queries. Fits start from the first k rows.
    centers : ndarray of shape (k, n_timepoints) or None
        z-normalized centers, for tasks that assign series to them.
    """

    X: Any
    k: int
    centers: np.ndarray | None = None


Outcome = dict[str, Any]


# -------------------------------------------------------------------------------------------------- data


def data_folder() -> Path:
    """Return the folder of real prices and UCR sets, which is not part of the repository."""
    folder = Path(os.environ.get("SHAPECLUSTER_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"There is no {folder}: set SHAPECLUSTER_TEST_DATA to the folder of market/ and ucr/.")
    return folder


def panel_levels() -> np.ndarray:
    """Daily closes of the stocks of panel A without gaps, in float64, with stocks as rows."""
    from shapecluster.prices import load_prices

    panel = load_prices(data_folder() / "market" / "panel_a_sp500_close_2013_2018.parquet")
    return np.ascontiguousarray(panel.dropna().to_numpy(dtype=np.float64))


def factor_walks(
    n_series: int, n_timepoints: int, *, seed: int = 0, dtype: Any = np.float64, n_factors: int = 10
) -> np.ndarray:
    """Random walks: each is a mixture of common factors, which are random walks too, plus its own walk.

    Rows are drawn in blocks, so that a million rows need hardly more memory than the result.
    """
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_factors, n_timepoints)).cumsum(axis=1)
    walks = np.empty((n_series, n_timepoints), dtype=dtype)
    for start in range(0, n_series, 4096):
        rows = slice(start, min(start + 4096, n_series))
        loadings = rng.normal(size=(rows.stop - start, n_factors))
        own = rng.normal(size=(rows.stop - start, n_timepoints)).cumsum(axis=1)
        walks[rows] = loadings @ factors + own
    return walks


def z_scores(X: np.ndarray) -> np.ndarray:
    """Rows with zero mean and unit standard deviation, as the peers expect them."""
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def inertia_of(X: np.ndarray, centers: np.ndarray) -> float:
    """Sum over the series of SBD^2 to the nearest center, in float64 for the centers of any library."""
    if not np.isfinite(centers).all():
        return float("nan")
    sbd = sbd_distances(X.astype(np.float64), centers.astype(np.float64)).min(axis=1)
    return float((sbd * sbd).sum())


# ------------------------------------------------------------------------------------------------ memory


class PeakMemory:
    """Peak memory of the process during a `with` block, above the memory before it.

    Linux can reset the peak. On other systems, only a peak above all earlier ones is seen.
    """

    bytes: int

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _memory("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = max(0, _memory("VmHWM") - self._before)


def _memory(entry: str) -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith(entry):
                return 1024 * int(line.split()[1])
    import resource  # not available on Windows

    # macOS reports bytes, other systems kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# ----------------------------------------------------------------------------------------------- results


def environment() -> dict[str, Any]:
    """The environment of the figures: versions, and a general description of the machine."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"versions": versions, "machine": f"{cores} cores of a shared machine, {platform.machine()}"}


def save(name: str, results: Mapping[str, Any], markdown: str, folder: Path) -> None:
    """Write NAME.json and NAME.md, and print where."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False, default=_plain)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(markdown.rstrip() + "\n", encoding="utf-8")
    print(f"\nWritten: {folder / name}.json and .md")


def load(name: str, folder: Path) -> dict[str, Any] | None:
    """Return the results of an earlier run, or None."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be stored in a result file")


Check = dict[str, Any]


def check(what: str, value: float, sense: str, bound: float, *, must: bool = False) -> Check:
    """Compare a figure with its target. `must` marks a target of correctness instead of speed."""
    met = value <= bound if sense == "<=" else value >= bound
    return {"what": what, "value": value, "sense": sense, "bound": bound, "met": bool(met), "must": must}


def check_text(found: Check) -> str:
    """Describe a check in words."""
    target = "at most" if found["sense"] == "<=" else "at least"
    verdict = "met" if found["met"] else "missed"
    value, bound = figure(found["value"]), figure(found["bound"])
    return f"{found['what']}: {value} (target: {target} {bound}, {verdict})"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table with text in the first column and figures in the others."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def seconds(value: float | None) -> str:
    """Format a time with its unit; nothing for None."""
    if value is None:
        return ""
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def figure(value: float | None, digits: int = 4) -> str:
    """Format a number with so many significant digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
