"""What all pictures have in common: a white card that is readable on any page, and no global state.

Figures are made as objects and not through pyplot, so that drawing in a library, a thread or a test
opens no window, needs no backend and leaves the caller's figures and rcParams alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from shapecluster._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

INK = "#1f2933"  # text
FAINT = "#d5dbe3"  # grid and frame
MEMBER = "#5b7fa6"  # the many
CENTROID = "#c2410c"  # the one
CURVE = "#2a5d9f"
CHOICES = ("#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d")  # one a criterion, told apart by shape too


def new_figure(width: float, height: float) -> Figure:
    """Make a white figure of so many inches that pyplot knows nothing of."""
    figure = import_optional("matplotlib.figure", extra="plot", needed_for="Drawing a picture")
    made: Figure = figure.Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return made


def own_axes(ax: Axes | None, *, width: float, height: float) -> tuple[Figure, Axes]:
    """Return the axes to draw on, and their figure; new ones where none are given."""
    if ax is None:
        made = new_figure(width, height)
        return made, made.add_subplot()
    return cast("Figure", ax.figure), ax


def tidy(ax: Axes) -> None:
    """Two spines, a faint grid behind the data, text that is dark on white."""
    ax.set_facecolor("white")
    ax.set_axisbelow(True)
    ax.grid(visible=True, color=FAINT, linewidth=0.6)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#9aa5b1")
    ax.tick_params(colors=INK, labelsize=8, length=3)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def plain(text: Text) -> Text:
    """Make a text literal: names are input, and a `$` in one must not start a formula."""
    text.set_parse_math(False)
    text.set_color(INK)
    return text


def date_axis(ax: Axes, timepoints: Any) -> None:
    """Short dates where the timepoints are dates."""
    dates: Any = import_optional("matplotlib.dates", extra="plot", needed_for="Drawing a picture")
    locator = dates.AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    ax.xaxis.get_offset_text().set_fontsize(8)
    ax.set_xlim(timepoints[0], timepoints[-1])
