"""Plots of results: scaling curves, and recall against speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BLUE, ORANGE, GREEN = "#0b5cad", "#b4550a", "#2f6b2f"
STYLES: dict[str, dict[str, Any]] = {
    "ours": {"color": BLUE, "marker": "o"},
    "plain NumPy": {"color": ORANGE, "marker": "s"},
    "ours without faiss": {"color": BLUE, "marker": "s", "linestyle": "--"},
    "faiss": {"color": ORANGE, "marker": "^"},
    "exact mode": {"color": GREEN, "marker": "*", "markersize": 13, "linestyle": ""},
}
INDEXED = {
    "levels": ("shapes", "the speed of exact search"),
    "vectors": ("vectors", "scikit-learn's brute force"),
}


@contextmanager
def panels(path: Path, n: int, size: tuple[float, float], legend: str, **options: Any) -> Iterator[Any]:
    """Give empty axes side by side, and write PATH.png and PATH.svg with what was drawn on them."""
    import matplotlib as mpl

    mpl.use("agg")  # needs no display
    mpl.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "shapecluster", "font.size": 11})
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(1, n, figsize=size, layout="constrained", squeeze=False, **options)
    yield grid[0]
    for axis in grid[0]:
        axis.grid(visible=True, which="major", color="#dddddd", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9.5, loc=legend)
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else None  # the same picture gives the same file
        figure.savefig(path.with_suffix(f".{suffix}"), dpi=150, metadata=metadata, facecolor="white")
    plt.close(figure)


def draw_scaling(results: dict[str, Any], path: Path) -> None:
    """Draw the time per step over each size, with two logarithmic axes."""
    curves = results["curves"]
    with panels(path, len(curves), (11, 3.8), "upper left", sharey=True) as axes:
        for axis, (name, found) in zip(axes, curves.items(), strict=True):
            sizes = [point["size"] for point in found["points"]]
            for who, exponent in found["exponents"].items():
                times = [1000 * point[who] for point in found["points"]]
                axis.loglog(sizes, times, label=f"{who}: exponent {exponent:.2f}", **STYLES[who])
            axis.set_xticks(sizes, labels=[f"{size:,}" for size in sizes], rotation=45)
            axis.set_xticks([], minor=True)
            axis.yaxis.set_major_formatter("{x:g}")
            axis.set_xlabel(f"number of {name}")
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low, high * 4)  # room for the legends
        axes[0].set_ylabel("milliseconds a step")


def draw_index(results: dict[str, Any], path: Path) -> None:
    """Draw recall over speed relative to brute force, with the number of cells at each point."""
    there = [name for name in INDEXED if name in results]
    if not there:
        return
    with panels(path, len(there), (5.5 * len(there), 4), "lower left") as axes:
        for axis, name in zip(axes, there, strict=True):
            found = results[name]
            for who, points in (found.get("curves") or {"ours": found["curve"]}).items():
                if points:
                    speed, recall = [p["times"] for p in points], [p["recall"] for p in points]
                    axis.errorbar(speed, recall, [p["error"] for p in points], label=who, **STYLES[who])
            if "exact_mode_ms" in found:
                times = found["exact_search_ms"] / found["exact_mode_ms"]
                axis.plot(times, 1.0, label="exact mode", **STYLES["exact mode"])
            for point in found.get("curve", []):
                if point["n_probe"] not in (24, 48):  # these labels would overlap
                    place = {"xytext": (4, 5), "textcoords": "offset points"}
                    axis.annotate(
                        str(point["n_probe"]), (point["times"], point["recall"]), fontsize=8.5, **place
                    )
            axis.axhline(0.95, color="#777777", linewidth=0.8, linestyle=":")
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
            what, slow = INDEXED[name]
            axis.set_title(f"{found['n_rows']:,} {what}, {found['n_cells']:,} cells", fontsize=11)
            axis.set_xlabel(f"times {slow}")
            axis.set_ylabel("recall@10")
