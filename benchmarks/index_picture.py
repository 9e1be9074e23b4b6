"""Plot of recall against speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STYLES = {
    "ours": {"color": "#0b5cad", "marker": "o"},
    "ours without faiss": {"color": "#0b5cad", "marker": "s", "linestyle": "--"},
    "faiss": {"color": "#b4550a", "marker": "^"},
}
TITLES = {"levels": "shapes", "vectors": "vectors"}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write PATH.png and PATH.svg: recall over speed relative to brute force, one point per n_probe."""
    import matplotlib as mpl

    mpl.use("agg")  # needs no display
    mpl.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "shapecluster", "font.size": 11})
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    figure, axes = plt.subplots(1, len(results), figsize=(5.5 * len(results), 4), layout="constrained")
    for axis, (name, found) in zip([axes] if len(results) == 1 else axes, results.items(), strict=True):
        for who, points in (found.get("curves") or {"ours": found["curve"]}).items():
            if points:
                speed, recall = [p["times"] for p in points], [p["recall"] for p in points]
                axis.errorbar(speed, recall, [p["error"] for p in points], label=who, **STYLES[who])
        if "exact_mode_ms" in found:
            times = found["exact_search_ms"] / found["exact_mode_ms"]
            axis.plot(
                times, 1.0, marker="*", markersize=13, color="#2f6b2f", linestyle="", label="exact mode"
            )
        for point in (
            p for p in found.get("curve", []) if p["n_probe"] not in (24, 48)
        ):  # these labels would overlap
            axis.annotate(
                str(point["n_probe"]),
                (point["times"], point["recall"]),
                (4, 5),
                textcoords="offset points",
                fontsize=8.5,
            )
        axis.axhline(0.95, color="#777777", linewidth=0.8, linestyle=":")
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_title(f"{found['n_rows']:,} {TITLES[name]}, {found['n_cells']:,} cells", fontsize=11)
        axis.set_xlabel(
            "times the speed of exact search" if name == "levels" else "times scikit-learn's brute force"
        )
        axis.set_ylabel("recall@10")
        axis.grid(visible=True, which="major", color="#dddddd", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9.5, loc="lower left")
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else None  # the same picture gives the same file
        figure.savefig(path.with_suffix(f".{suffix}"), dpi=150, metadata=metadata, facecolor="white")
    plt.close(figure)
