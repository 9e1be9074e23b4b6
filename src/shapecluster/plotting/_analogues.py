"""Plots of historical analogues: the windows on top of the query, and the returns after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from shapecluster._typing import ArrayLike, Float64Array, IntArray
from shapecluster.plotting._curves import align_in_z_units
from shapecluster.plotting._style import (
    CURVE_COLOR,
    MEMBER_COLOR,
    TEXT_COLOR,
    add_legend_below,
    draw_center,
    new_figure,
    set_title,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shapecluster.analogues import Analogues

_QUARTILES = [0.25, 0.5, 0.75]
_BASE_RATE_COLOR = "#6b7280"  # gray: a reference, not a finding
_TITLE_WIDTH = 64  # characters that fit above the left panel


class AnaloguesDisplay:
    """A query window with its historical analogues, and the returns after them.

    The left panel shows all windows in z-units, moved by their shifts onto the query. The right panel shows
    the returns after each analogue, with their median and quartiles. For comparison it has the quartiles of
    all stocks on the same dates. Use `from_answer` to create one from the result of
    `HistoricalAnalogues.analogues`.

    Parameters
    ----------
    query : array-like of shape (n_days,)
        The window whose analogues were searched for.
    windows : array-like of shape (n_analogues, n_days)
        The analogues, in any unit.
    paths : array-like of shape (n_analogues, horizon)
        Simple returns from the last day of each analogue to each day after it; NaN where unknown.
    shifts : array-like of int of shape (n_analogues,), default=None
        By how many days the query trails each analogue. None means 0.
    same_dates : array-like of shape (3, horizon), default=None
        Lower quartile, median and upper quartile of the returns of all stocks on the same dates. None draws
        no such curves.
    title : str, default=None
        Title of the left panel. None gives the number of analogues.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The two panels.
    figure_ : matplotlib Figure
        The figure of the panels.

    See Also
    --------
    HistoricalAnalogues : Searches for analogues.

    Examples
    --------
    >>> from shapecluster.plotting import AnaloguesDisplay
    >>> display = AnaloguesDisplay([1.0, 2.0, 4.0], [[5.0, 6.0, 8.0], [3.0, 3.0, 4.0]], [[0.01], [-0.02]])
    >>> display.plot().axes_[0].get_title(loc="left")
    '2 analogues'
    """

    axes_: list[Axes]
    figure_: Figure

    def __init__(
        self,
        query: ArrayLike,
        windows: ArrayLike,
        paths: ArrayLike,
        *,
        shifts: ArrayLike | None = None,
        same_dates: ArrayLike | None = None,
        title: str | None = None,
    ) -> None:
        self.query = np.asarray(query, dtype=np.float64)
        self.windows = np.asarray(windows, dtype=np.float64)
        self.paths = np.asarray(paths, dtype=np.float64)
        self.shifts = np.zeros(len(self.windows), dtype=np.intp) if shifts is None else np.asarray(shifts)
        self.same_dates = None if same_dates is None else np.asarray(same_dates, dtype=np.float64)
        self.title = title

    @classmethod
    def from_answer(
        cls, answer: Analogues, *, title: str | None = None, axes: Sequence[Axes] | None = None
    ) -> AnaloguesDisplay:
        """Draw the result of a search.

        Parameters
        ----------
        answer : Analogues
            The result of `HistoricalAnalogues.analogues`.
        title : str, default=None
            Title of the left panel. None gives the ticker, the last day and the number of analogues.
        axes : sequence of two matplotlib Axes, default=None
            The axes to draw on. None creates a new figure, outside of pyplot.

        Returns
        -------
        AnaloguesDisplay
            The display, after drawing.
        """
        if title is None:
            name = "A query" if answer.query.name is None else str(answer.query.name)
            day = answer.as_of.date() if hasattr(answer.as_of, "date") else answer.as_of
            title = f"{name} as of {day}, and {len(answer.table)} analogues"
        display = cls(
            answer.query,
            answer.windows,
            answer.paths,
            shifts=answer.table["shift"],
            same_dates=answer.same_dates.loc[["q25", "median", "q75"]],
            title=title,
        )
        return display.plot(axes)

    def plot(self, axes: Sequence[Axes] | None = None) -> AnaloguesDisplay:
        """Draw both panels.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
            The axes to draw on. None creates a new figure, outside of pyplot.

        Returns
        -------
        AnaloguesDisplay
            The display itself.
        """
        if axes is None:
            self.figure_ = new_figure(9.6, 3.9)
            panels = self.figure_.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
            self.axes_ = list(cast("Iterable[Axes]", panels))
        else:
            self.axes_ = list(axes)
            self.figure_ = cast("Figure", self.axes_[0].figure)
        windows_ax, returns_ax = self.axes_
        self._draw_windows(windows_ax)
        self._draw_returns(returns_ax)
        for ax in self.axes_:
            add_legend_below(ax, -0.16)
        return self

    def _draw_windows(self, ax: Axes) -> None:
        style_axes(ax)
        # A shift says by how much the query trails the analogue; the function takes the opposite direction.
        windows, query = align_in_z_units(self.windows, self.query, -self.shifts, cumulative=False)
        days = np.arange(1 - len(query), 1)  # the last day is day 0
        _draw_lines(ax, days, windows, "analogues")
        draw_center(ax, days, query, label="query")
        ax.set_xlim(days[0], days[-1])
        ax.set_xlabel("days relative to the last day", fontsize=8)
        ax.set_ylabel("z-units", fontsize=8)
        title = f"{len(self.windows)} analogues" if self.title is None else self.title
        set_title(ax, title, width=_TITLE_WIDTH, max_lines=2)

    def _draw_returns(self, ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        style_axes(ax)
        paths = _prepend_zero(self.paths)
        days = np.arange(paths.shape[1])
        _draw_lines(ax, days, paths, None)
        if self.same_dates is not None:
            low, median, high = _prepend_zero(self.same_dates)
            for edge in (low, high):
                ax.plot(days, edge, color=_BASE_RATE_COLOR, linewidth=0.9, linestyle=":", zorder=3)
            ax.plot(
                days, median, color=_BASE_RATE_COLOR, linestyle="--", label="all stocks, same dates", zorder=3
            )
        # Of the known returns of each day: np.nanquantile would warn of a day without any.
        low, median, high = pd.DataFrame(paths).quantile(_QUARTILES).to_numpy()
        ax.fill_between(days, low, high, color=CURVE_COLOR, alpha=0.18, linewidth=0, zorder=1)
        ax.plot(days, median, color=CURVE_COLOR, linewidth=1.8, label="median, quartiles", zorder=4)
        ax.axhline(0, color=TEXT_COLOR, linewidth=0.6, zorder=1)
        ax.set_xlim(0, days[-1])
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        ax.set_xlabel("days after the last day", fontsize=8)
        ax.set_ylabel("return since the last day", fontsize=8)
        set_title(ax, "Returns afterward", width=_TITLE_WIDTH, max_lines=1)


def _draw_lines(ax: Axes, days: IntArray, rows: Float64Array, label: str | None) -> None:
    """Draw each row as a thin line; all together get one entry in the legend."""
    lines = ax.plot(days, rows.T, color=MEMBER_COLOR, linewidth=0.9, alpha=0.55, zorder=2)
    if lines and label:
        lines[0].set_label(label)


def _prepend_zero(paths: Float64Array) -> Float64Array:
    """Add the last day itself in front, whose return is 0."""
    return np.pad(paths, ((0, 0), (1, 0)))
