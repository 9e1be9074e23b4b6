"""A query and its historical analogues on top of each other, and what followed them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from shapecluster._typing import ArrayLike, Float64Array
from shapecluster.plotting._clusters import z_paths
from shapecluster.plotting._style import CENTROID, CURVE, INK, MEMBER, new_figure, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shapecluster.analogues import Analogues

_QUARTILES = (0.25, 0.5, 0.75)
_BESIDE = "#6b7280"  # the base rate
_TITLE_WIDTH = 64  # letters that fit above the left panel


class AnaloguesDisplay:
    """A window with its historical analogues, and what followed them as a fan.

    On the left all windows in z-units, moved by their shifts onto the query. On the right the returns that
    followed each analogue, their median and quartiles, and beside them those of all stocks on the same dates.
    Use `from_answer` to make one from what `HistoricalAnalogues.analogues` returns.

    Parameters
    ----------
    query : array-like of shape (n_days,)
        The window that was asked about.
    windows : array-like of shape (n_analogues, n_days)
        The analogues, in any unit.
    paths : array-like of shape (n_analogues, horizon)
        Simple returns from the last day of each to each day after it; NaN where not known.
    shifts : array-like of int of shape (n_analogues,), default=None
        By how many days the query trails each analogue; None for none.
    same_dates : array-like of shape (3, horizon), default=None
        Lower quartile, median and upper quartile of what followed all stocks; None for nothing.
    title : str, default=None
        Title of the picture; None for the number of analogues.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The two panels.
    figure_ : matplotlib Figure
        The figure they are on.

    See Also
    --------
    HistoricalAnalogues : Finds them.

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
        """Draw an answer.

        Parameters
        ----------
        answer : Analogues
            What `HistoricalAnalogues.analogues` returned.
        title : str, default=None
            Title; None for the ticker, the number of analogues and the last day of the query.
        axes : sequence of two matplotlib Axes, default=None
            Where to draw; a new figure, outside of pyplot, when None.

        Returns
        -------
        AnaloguesDisplay
            The display, drawn.
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
            Where to draw; a new figure, outside of pyplot, when None.

        Returns
        -------
        AnaloguesDisplay
            The display itself.
        """
        if axes is None:
            self.figure_ = new_figure(9.6, 3.9)  # says what to install, if need be
            made = self.figure_.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
            self.axes_ = list(cast("Any", made))
        else:
            self.axes_ = list(axes)
            self.figure_ = cast("Figure", self.axes_[0].figure)
        shapes, after = self.axes_
        self._draw_shapes(shapes)
        self._draw_fan(after)
        for ax in self.axes_:
            ax.legend(  # below the axes, where it hides no data
                loc="upper left",
                bbox_to_anchor=(0.0, -0.16),
                ncols=2,
                fontsize=8,
                labelcolor=INK,
                frameon=False,
                borderaxespad=0.0,
            )
        return self

    def _draw_shapes(self, ax: Axes) -> None:
        from matplotlib.patheffects import Normal, Stroke

        tidy(ax)
        windows, query = z_paths(self.windows, self.query, -self.shifts, cumulative=False)
        days = np.arange(1 - len(query), 1)
        _draw_many(ax, days, windows, "analogues")
        (line,) = ax.plot(days, query, color=CENTROID, linewidth=1.8, label="query", zorder=3)
        line.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])
        ax.set_xlim(days[0], days[-1])
        ax.set_xlabel("days to the last", fontsize=8)
        ax.set_ylabel("z-units", fontsize=8)
        title = f"{len(self.windows)} analogues" if self.title is None else self.title
        title = "\n".join(wrap(title, _TITLE_WIDTH)[:2])
        plain(ax.set_title(title, loc="left", fontsize=10, fontweight="bold"))

    def _draw_fan(self, ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        tidy(ax)
        paths = _from_zero(self.paths)
        days = np.arange(paths.shape[1])
        _draw_many(ax, days, paths, None)
        if self.same_dates is not None:
            low, median, high = _from_zero(self.same_dates)
            for edge in (low, high):
                ax.plot(days, edge, color=_BESIDE, linewidth=0.9, linestyle=":", zorder=3)
            ax.plot(days, median, color=_BESIDE, linestyle="--", label="all stocks, same dates", zorder=3)
        low, median, high = _quartiles(paths)
        ax.fill_between(days, low, high, color=CURVE, alpha=0.18, linewidth=0, zorder=1)
        ax.plot(days, median, color=CURVE, linewidth=1.8, label="their median, quartiles", zorder=4)
        ax.axhline(0, color=INK, linewidth=0.6, zorder=1)
        ax.set_xlim(0, days[-1])
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        ax.set_xlabel("days after", fontsize=8)
        ax.set_ylabel("return since the last day", fontsize=8)
        plain(ax.set_title("What followed", loc="left", fontsize=10, fontweight="bold"))


def _draw_many(ax: Axes, days: Any, rows: Float64Array, label: str | None) -> None:
    lines = ax.plot(days, rows.T, color=MEMBER, linewidth=0.9, alpha=0.55, zorder=2)
    if lines and label:
        lines[0].set_label(label)


def _from_zero(paths: Float64Array) -> Float64Array:
    """Returns with those of the last day itself, which are 0, in front."""
    return np.pad(paths, ((0, 0), (1, 0)))


def _quartiles(paths: Float64Array) -> Float64Array:
    """Of what is known on each day; NaN where nothing is."""
    columns = [column[~np.isnan(column)] for column in paths.T]
    return np.array([np.quantile(c, _QUARTILES) if len(c) else [np.nan] * 3 for c in columns]).T
