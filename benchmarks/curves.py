"""Plot of the scaling curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STYLES = {"ours": {"color": "#0b5cad", "marker": "o"}, "plain NumPy": {"color": "#b4550a", "marker": "s"}}


def draw(curves: dict[str, Any], path: Path) -> None:
    """Write PATH.png and PATH.svg: time per step over each size, with two logarithmic axes."""
    import matplotlib as mpl

    mpl.use("agg")  # needs no display
    mpl.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "shapecluster", "font.size": 11})
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure, axes = plt.subplots(1, len(curves), figsize=(11, 3.8), layout="constrained", sharey=True)
    for axis, (name, found) in zip(axes, curves.items(), strict=True):
        sizes = [point["size"] for point in found["points"]]
        for who, style in STYLES.items():
            times = [1000 * point[who] for point in found["points"]]
            axis.loglog(sizes, times, label=f"{who}: exponent {found['exponents'][who]:.2f}", **style)
        axis.set_xticks(sizes, labels=[f"{size:,}" for size in sizes], rotation=45)
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_xlabel(f"number of {name}")
        axis.grid(visible=True, which="major", color="#dddddd", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9.5, loc="upper left")
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, high * 4)  # room for the legends
    axes[0].set_ylabel("milliseconds a step")
    for suffix in ("png", "svg"):
        metadata = {"Date": None} if suffix == "svg" else None  # the same picture gives the same file
        figure.savefig(path.with_suffix(f".{suffix}"), dpi=150, metadata=metadata)
    plt.close(figure)
