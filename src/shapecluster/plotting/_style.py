"""Colors and helpers that all plots share.

Figures are created as objects and not through pyplot. Drawing in a library, a thread or a test then opens
no window, needs no backend, and does not change the caller's figures or rcParams.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from shapecluster._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

    from shapecluster._typing import ArrayLike, Float64Array

TEXT_COLOR = "#1f2933"
GRID_COLOR = "#d5dbe3"
FRAME_COLOR = "#9aa5b1"
MEMBER_COLOR = "#5b7fa6"
CENTER_COLOR = "#c2410c"  # orange on blue: the pair that most color-blind readers can distinguish
CURVE_COLOR = "#2a5d9f"
# One color for each criterion. Their markers differ as well, for readers who see no color.
CRITERION_COLORS = ("#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d")


def new_figure(width: float, height: float) -> Figure:
    """Create a white figure, with its size in inches, that pyplot does not manage."""
    module = import_optional("matplotlib.figure", extra="plot", needed_for="Drawing a picture")
    figure: Figure = module.Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return figure


def resolve_axes(ax: Axes | None, *, width: float, height: float) -> tuple[Figure, Axes]:
    """Return the given axes with their figure, or create both when `ax` is None."""
    if ax is None:
        figure = new_figure(width, height)
        return figure, figure.add_subplot()
    return cast("Figure", ax.figure), ax


def style_axes(ax: Axes) -> None:
    """Apply the common style: two spines, a pale grid behind the data, dark text on white."""
    # The colors are set here and not left to rcParams: a dark style would leave dark text on dark ground.
    ax.set_facecolor("white")
    ax.set_axisbelow(True)
    ax.grid(visible=True, color=GRID_COLOR, linewidth=0.6)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FRAME_COLOR)
    ax.tick_params(colors=TEXT_COLOR, labelsize=8, length=3)
    ax.xaxis.label.set_color(TEXT_COLOR)
    ax.yaxis.label.set_color(TEXT_COLOR)


def set_title(ax: Axes, title: str, *, width: int, max_lines: int) -> None:
    """Draw a title, which may contain user input, literally; break it into lines of so many characters."""
    # matplotlib can wrap texts itself, but would read formulas in them.
    text = ax.set_title("\n".join(wrap(title, width)[:max_lines]), loc="left", fontsize=10, fontweight="bold")
    text.set_parse_math(False)  # a `$` in a ticker would start a formula, and may not parse
    text.set_color(TEXT_COLOR)


def draw_center(ax: Axes, x: ArrayLike, y: ArrayLike, *, label: str) -> None:
    """Draw the curve that all others are compared with, on top of them."""
    from matplotlib.patheffects import Normal, Stroke

    (line,) = ax.plot(x, y, color=CENTER_COLOR, linewidth=1.8, label=label, zorder=3)
    line.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])


def add_legend_below(ax: Axes, y: float) -> Legend:
    """Add a legend below the axes: curves may fill all of a panel, so no corner is free."""
    return ax.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, y),
        ncols=2,
        fontsize=8,
        labelcolor=TEXT_COLOR,
        frameon=False,
        borderaxespad=0.0,
    )


def set_time_axis(ax: Axes, timepoints: ArrayLike | pd.Index[Any]) -> Float64Array:
    """Set limits and labels of the time axis, and return the timepoints as positions on it.

    Dates have short labels. Labels that are neither dates nor numbers count by their position.
    """
    if isinstance(timepoints, pd.DatetimeIndex):
        dates: Any = import_optional("matplotlib.dates", extra="plot", needed_for="Drawing a picture")
        locator = dates.AutoDateLocator(minticks=3, maxticks=7)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        ax.xaxis.get_offset_text().set_fontsize(8)
        x = np.asarray(dates.date2num(timepoints.to_numpy()), dtype=np.float64)
    else:
        try:
            x = np.asarray(timepoints, dtype=np.float64)
        except (TypeError, ValueError):
            x = np.arange(np.size(timepoints), dtype=np.float64)
        ax.set_xlabel("timepoint", fontsize=8)
    ax.set_xlim(x[0], x[-1])
    return x
