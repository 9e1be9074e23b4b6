"""Plots of clusters: the members, aligned, with the center on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shapecluster._pipelines import split_clusterer
from shapecluster._typing import ArrayLike, is_integer
from shapecluster.plotting._curves import align_in_z_units, value_limits
from shapecluster.plotting._style import (
    MEMBER_COLOR,
    add_legend_below,
    draw_center,
    new_figure,
    resolve_axes,
    set_time_axis,
    set_title,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from sklearn.base import BaseEstimator

_TITLE_WIDTH = 54  # characters that fit above a panel of the grid
_TITLE_LINES = 3


class ClusterDisplay:
    """The members of one cluster, aligned with its center, in z-units.

    The center has mean 0 and standard deviation 1. Each member is moved by its shift, and scaled to the mean
    and the standard deviation of the center over the member's observed timepoints. Use `from_estimator` to
    create a display from a fitted clusterer.

    Parameters
    ----------
    members : array-like of shape (n_members, n_timepoints)
        Series of the members, in any unit; NaN where missing.
    center : array-like of shape (n_timepoints,)
        Center of the cluster.
    shifts : array-like of int of shape (n_members,), default=None
        By how many timepoints each member trails the center. None means 0.
    timepoints : array-like of shape (n_timepoints,), default=None
        Positions on the time axis, as dates or numbers. None counts from 0.
    cumulative : bool, default=False
        Whether to draw cumulative sums: the price paths that belong to returns.
    title : str, default=None
        Title of the plot. None gives the number of members.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the curves.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ClusterGridDisplay : All clusters of a clusterer.

    Examples
    --------
    >>> from shapecluster.plotting import ClusterDisplay
    >>> display = ClusterDisplay([[1.0, 2.0, 4.0], [10.0, 20.0, 45.0]], [-1.0, -0.3, 1.3]).plot()
    >>> display.ax_.get_title(loc="left")
    '2 members'
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        members: ArrayLike,
        center: ArrayLike,
        *,
        shifts: ArrayLike | None = None,
        timepoints: ArrayLike | pd.Index[Any] | None = None,
        cumulative: bool = False,
        title: str | None = None,
    ) -> None:
        self.members = np.asarray(members, dtype=np.float64)
        self.center = np.asarray(center, dtype=np.float64)
        self.shifts = np.zeros(len(self.members), dtype=np.intp) if shifts is None else np.asarray(shifts)
        self.timepoints = np.arange(len(self.center)) if timepoints is None else timepoints
        self.cumulative = cumulative
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | pd.DataFrame,
        *,
        cluster: int = 0,
        cumulative: bool = False,
        title: str | None = None,
        ax: Axes | None = None,
    ) -> ClusterDisplay:
        """Draw one cluster of a fitted clusterer.

        Parameters
        ----------
        estimator : estimator
            A fitted clusterer with `labels_` and `cluster_centers_`, such as `LocalKShape` or scikit-learn's
            `KMeans`; a fitted `KSweep`; or a fitted Pipeline that ends in one of these.
        X : array-like or DataFrame of shape (n_series, n_timepoints)
            The data that the estimator was fitted on. With a Pipeline they are its input, and the display
            draws them as the clusterer sees them: `pipe[:-1].transform(X)`, with the columns of that.
        cluster : int, default=0
            The label of the cluster.
        cumulative : bool, default=False
            Whether to draw cumulative sums: the price paths that belong to returns.
        title : str, default=None
            Title of the plot. None gives the cluster and its number of members.
        ax : matplotlib Axes, default=None
            The axes to draw on. None creates a new figure, outside of pyplot.

        Returns
        -------
        ClusterDisplay
            The display, after drawing.

        Raises
        ------
        ValueError
            When the estimator is not fitted, was fitted on data of another shape, or has no such cluster.
        """
        titles = {} if title is None else {cluster: title}
        return _displays(estimator, X, [cluster], cumulative, titles)[0].plot(ax)

    def plot(self, ax: Axes | None = None) -> ClusterDisplay:
        """Draw the members and the center.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. None creates a new figure, outside of pyplot.

        Returns
        -------
        ClusterDisplay
            The display itself.
        """
        # Before the imports below: without matplotlib this raises the error that names the extra.
        self.figure_, self.ax_ = resolve_axes(ax, width=6.4, height=3.6)
        from matplotlib.collections import LineCollection

        style_axes(self.ax_)
        members, center = align_in_z_units(self.members, self.center, self.shifts, cumulative=self.cumulative)
        x = set_time_axis(self.ax_, self.timepoints)
        # One collection draws hundreds of members many times faster than as many lines.
        curves = LineCollection(
            [np.column_stack([x, row]) for row in members],
            colors=MEMBER_COLOR,
            linewidths=0.8,
            # The more members, the fainter each: a large cluster must not become one solid block.
            alpha=float(np.clip(4.0 / max(len(members), 1), 0.12, 0.6)),
            label="members",
            zorder=2,
        )
        self.ax_.add_collection(curves, autolim=False)
        self.ax_.set_ylim(*value_limits(members, center))
        draw_center(self.ax_, x, center, label="center")
        self.ax_.set_ylabel("cumulative sum, z-units" if self.cumulative else "z-units", fontsize=8)
        title = f"{len(members)} members" if self.title is None else self.title
        set_title(self.ax_, title, width=_TITLE_WIDTH, max_lines=_TITLE_LINES)
        legend = add_legend_below(self.ax_, -0.09)
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1.0)  # the members' own opacity is too faint for a legend
        return self


class ClusterGridDisplay:
    """All clusters of a clusterer, one panel each.

    Use `from_estimator` to create one from a fitted clusterer.

    Parameters
    ----------
    displays : sequence of ClusterDisplay
        One for each panel.
    n_columns : int, default=4
        Panels in a row.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels.
    figure_ : matplotlib Figure
        The figure of the panels.

    See Also
    --------
    ClusterDisplay : One cluster.

    Examples
    --------
    >>> from shapecluster.plotting import ClusterDisplay, ClusterGridDisplay
    >>> one = ClusterDisplay([[1.0, 2.0, 4.0]], [-1.0, -0.3, 1.3])
    >>> len(ClusterGridDisplay([one, one]).plot().axes_)
    2
    """

    axes_: list[Axes]
    figure_: Figure

    def __init__(self, displays: Sequence[ClusterDisplay], *, n_columns: int = 4) -> None:
        if not is_integer(n_columns) or n_columns < 1:
            raise ValueError(f"n_columns must be an integer of at least 1. Got {n_columns!r} instead.")
        self.displays = list(displays)
        self.n_columns = n_columns

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | pd.DataFrame,
        *,
        clusters: Sequence[int] | None = None,
        cumulative: bool = False,
        titles: Mapping[int, str] | None = None,
        n_columns: int = 4,
    ) -> ClusterGridDisplay:
        """Draw the clusters of a fitted clusterer.

        Parameters
        ----------
        estimator : estimator
            A fitted clusterer with `labels_` and `cluster_centers_`; a fitted `KSweep`; or a fitted Pipeline
            that ends in one of these.
        X : array-like or DataFrame of shape (n_series, n_timepoints)
            The data that the estimator was fitted on. With a Pipeline they are its input, and the display
            draws them as the clusterer sees them: `pipe[:-1].transform(X)`, with the columns of that.
        clusters : sequence of int, default=None
            Labels of the clusters to draw, in this order. None draws all.
        cumulative : bool, default=False
            Whether to draw cumulative sums: the price paths that belong to returns.
        titles : mapping of int to str, default=None
            Titles by cluster. Other clusters get their label and their number of members.
        n_columns : int, default=4
            Panels in a row.

        Returns
        -------
        ClusterGridDisplay
            The display, after drawing.

        Raises
        ------
        ValueError
            When the estimator is not fitted, was fitted on data of another shape, or has no such cluster.
        """
        displays = _displays(estimator, X, clusters, cumulative, titles or {})
        return cls(displays, n_columns=n_columns).plot()

    def plot(self) -> ClusterGridDisplay:
        """Draw all panels on a new figure, outside of pyplot.

        Returns
        -------
        ClusterGridDisplay
            The display itself.
        """
        columns = min(self.n_columns, max(len(self.displays), 1))
        rows = -(-len(self.displays) // columns)
        self.figure_ = new_figure(4.6 * columns, 2.9 * max(rows, 1))
        self.axes_ = []
        for position, display in enumerate(self.displays):
            ax = self.figure_.add_subplot(rows, columns, position + 1)
            display.plot(ax)
            if position and (legend := ax.get_legend()):
                legend.remove()  # all panels have the same legend
            self.axes_.append(ax)
        return self


def _displays(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    clusters: Sequence[int] | None,
    cumulative: bool,
    titles: Mapping[int, str],
) -> list[ClusterDisplay]:
    """Create a display for each cluster, without drawing; None stands for all clusters."""
    transformers, clusterer = split_clusterer(estimator)
    for attribute in ("labels_", "cluster_centers_"):
        if not hasattr(clusterer, attribute):
            # Some clusterers, such as DBSCAN, have no centers after `fit` either.
            advice = "" if hasattr(clusterer, "labels_") else ": fit it first"
            raise ValueError(
                f"A display of clusters takes a fitted clusterer with centers, or a KSweep or Pipeline that "
                f"ends in one. Got {type(clusterer).__name__} without {attribute} instead{advice}."
            )
    for transformer in transformers:
        X = transformer.transform(X)
    values = np.asarray(X, dtype=np.float64)
    centers, labels = np.asarray(clusterer.cluster_centers_), np.asarray(clusterer.labels_)
    if values.shape != (len(labels), *centers.shape[1:]) or values.ndim != 2:
        raise ValueError(
            f"X must be what {type(clusterer).__name__} was fitted on, in two dimensions: "
            f"{(len(labels), *centers.shape[1:])}. Got shape {values.shape} instead."
        )
    shifts = np.asarray(getattr(clusterer, "shifts_", np.zeros(len(labels), dtype=np.intp)))
    timepoints = X.columns if isinstance(X, pd.DataFrame) else np.arange(values.shape[1])
    displays = []
    for cluster in range(len(centers)) if clusters is None else clusters:
        if not is_integer(cluster) or not 0 <= cluster < len(centers):
            raise ValueError(f"cluster must be from 0 to {len(centers) - 1}. Got {cluster!r} instead.")
        rows = labels == cluster
        displays.append(
            ClusterDisplay(
                values[rows],
                centers[cluster],
                shifts=shifts[rows],
                timepoints=timepoints,
                cumulative=cumulative,
                title=titles.get(cluster, f"Cluster {cluster}: {int(rows.sum())} members"),
            )
        )
    return displays
