"""Colors and helpers that all plots share.

Figures are created as objects and not through pyplot. Drawing in a library, a thread or a test then opens
no window, needs no backend, and does not change the caller's figures or rcParams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from shapecluster._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from shapecluster._typing import Float64Array

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


def style_literal_text(text: Text) -> None:
    """Style a text that contains user input, and draw it literally."""
    text.set_parse_math(False)  # a `$` in a ticker would start a formula, and may not parse
    text.set_color(TEXT_COLOR)


def set_date_axis(ax: Axes, dates: Float64Array) -> None:
    """Set limits and short date labels; `dates` are numbers as matplotlib counts days."""
    module: Any = import_optional("matplotlib.dates", extra="plot", needed_for="Drawing a picture")
    locator = module.AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(module.ConciseDateFormatter(locator))
    ax.xaxis.get_offset_text().set_fontsize(8)
    ax.set_xlim(dates[0], dates[-1])
