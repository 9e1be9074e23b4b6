"""The SSD curve: the sum of squared distances by number of clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from shapecluster._pipelines import last_step
from shapecluster._typing import ArrayLike
from shapecluster.plotting._style import CRITERION_COLORS, CURVE_COLOR, TEXT_COLOR, resolve_axes, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from sklearn.pipeline import Pipeline

    from shapecluster.model_selection import KSweep

_CRITERIA = ("ssd", "elbow", "silhouette")  # the order of the legend
_MARKERS = ("o", "s", "D", "^", "v")
_MARKER_SIZE = 13.0  # points; each further criterion at the same k gets a wider marker
_MAX_TICKS = 25  # more labels would overlap at the figure's default width


class SSDCurveDisplay:
    """The sum of squared distances (SSD) by number of clusters, with the chosen k marked.

    Use `from_sweep` to create one from a fitted `KSweep`.

    Parameters
    ----------
    k : array-like of shape (n_k,)
        Numbers of clusters that were tried.
    ssd : array-like of shape (n_k,)
        SSD (`inertia_`) of each, in squared distances.
    choices : mapping of str to int or None, default=None
        The k that each criterion chose, by the criterion's name; None where it chose none.
    criterion : str, default=None
        The criterion that decided, by its name in `choices`. Its marker is filled; the others are rings.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the curve.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    KSweep : Fits an estimator for every k.

    Examples
    --------
    >>> from shapecluster.plotting import SSDCurveDisplay
    >>> display = SSDCurveDisplay([2, 3, 4], [9.0, 4.0, 3.5], choices={"ssd": 4, "elbow": 3}, criterion="ssd")
    >>> display.plot().ax_.get_xlabel()
    'number of clusters k'
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        k: ArrayLike,
        ssd: ArrayLike,
        *,
        choices: Mapping[str, int | None] | None = None,
        criterion: str | None = None,
    ) -> None:
        self.k = np.asarray(k)
        self.ssd = np.asarray(ssd, dtype=np.float64)
        self.choices = dict(choices or {})
        self.criterion = criterion

    @classmethod
    def from_sweep(cls, sweep: KSweep | Pipeline, *, ax: Axes | None = None) -> SSDCurveDisplay:
        """Draw the curve of a fitted sweep.

        Parameters
        ----------
        sweep : KSweep or Pipeline
            A fitted sweep, or a fitted Pipeline whose last step is one.
        ax : matplotlib Axes, default=None
            The axes to draw on. None creates a new figure, outside of pyplot.

        Returns
        -------
        SSDCurveDisplay
            The display, after drawing.

        Raises
        ------
        ValueError
            When `sweep` is not a fitted sweep.
        """
        sweep = last_step(sweep)
        if not hasattr(sweep, "results_"):
            raise ValueError(
                "SSDCurveDisplay.from_sweep takes a fitted KSweep, or a Pipeline that ends in one. Got "
                f"{type(sweep).__name__} without results_ instead: call fit first."
            )
        results = sweep.results_
        display = cls(
            results.index.to_numpy(),
            results["ssd"].to_numpy(),
            choices={name: getattr(sweep, f"{name}_k_") for name in _CRITERIA},
            criterion=sweep.criterion,
        )
        return display.plot(ax)

    def plot(self, ax: Axes | None = None) -> SSDCurveDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. None creates a new figure, outside of pyplot.

        Returns
        -------
        SSDCurveDisplay
            The display itself.
        """
        self.figure_, self.ax_ = resolve_axes(ax, width=6.8, height=4.0)
        style_axes(self.ax_)
        self.ax_.plot(self.k, self.ssd, color=CURVE_COLOR, linewidth=1.8, marker="o", markersize=4, zorder=3)
        n_marked: Counter[int | None] = Counter()
        # The deciding criterion comes first: its filled marker must lie inside the rings of the others.
        names = sorted(self.choices, key=lambda name: name != self.criterion)
        for style, name in enumerate(names):
            k, decides = self.choices[name], name == self.criterion
            # Without a choice (None) the line is empty: it adds the entry to the legend, and no marker.
            position = np.flatnonzero(self.k == k)
            color = CRITERION_COLORS[style % len(CRITERION_COLORS)]
            self.ax_.plot(
                self.k[position],
                self.ssd[position],
                linestyle="none",
                marker=_MARKERS[style % len(_MARKERS)],
                # A k that is marked already gets a wider ring.
                markersize=_MARKER_SIZE - 3 if decides else _MARKER_SIZE + 5 * n_marked[k],
                markerfacecolor=color if decides else "none",
                markeredgecolor=color,
                markeredgewidth=1.8,
                zorder=4,
                label=f"{name}: {'none' if k is None else f'k = {k}'}{' (chosen)' if decides else ''}",
            )
            n_marked[k] += 1
        self.ax_.set_xlabel("number of clusters k")
        self.ax_.set_ylabel("SSD (sum of squared distances)")
        self.ax_.set_xticks(self.k if len(self.k) <= _MAX_TICKS else self.k[:: len(self.k) // 20 + 1])
        self.ax_.margins(y=0.12)  # room for the rings around the highest and the lowest SSD
        if self.choices:
            self.ax_.legend(frameon=False, fontsize=9, labelcolor=TEXT_COLOR, loc="best", markerscale=0.6)
        return self
