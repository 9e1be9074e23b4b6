"""The members of a cluster, aligned, with its centroid on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shapecluster._optional import import_optional
from shapecluster._typing import ArrayLike, Float64Array, IntArray
from shapecluster.plotting._style import CENTROID, INK, MEMBER, date_axis, new_figure, own_axes, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE_WIDTH = 54  # letters that fit above a panel of the grid


class ClusterDisplay:
    """One cluster's members, moved by their shifts onto its centroid, in z-units.

    Every curve has mean 0 and standard deviation 1, as k-Shape sees it; a member that is not observed all
    the time takes the mean and the standard deviation that the centroid has where the member is observed.
    Use `from_estimator` to make one from a fitted clustering.

    Parameters
    ----------
    members : array-like of shape (n_members, n_timepoints)
        The members' series, in any unit; NaN where missing.
    centroid : array-like of shape (n_timepoints,)
        The cluster's center.
    shifts : array-like of int of shape (n_members,), default=None
        By how many timepoints each member trails the centroid; None for none.
    timepoints : array-like of shape (n_timepoints,), default=None
        Where on the axis each value lies, as dates or numbers; None counts from 0.
    cumulative : bool, default=False
        Draw running sums: the paths that belong to returns, which are noise to the eye.
    title : str, default=None
        Title of the picture; None for the number of members.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ClusterGridDisplay : All the clusters of a clustering.

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
        centroid: ArrayLike,
        *,
        shifts: ArrayLike | None = None,
        timepoints: Any = None,
        cumulative: bool = False,
        title: str | None = None,
    ) -> None:
        self.members = np.asarray(members, dtype=np.float64)
        self.centroid = np.asarray(centroid, dtype=np.float64)
        self.shifts = np.zeros(len(self.members), dtype=np.intp) if shifts is None else np.asarray(shifts)
        self.timepoints = np.arange(len(self.centroid)) if timepoints is None else timepoints
        self.cumulative = cumulative
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        cluster: int = 0,
        cumulative: bool = False,
        title: str | None = None,
        ax: Axes | None = None,
    ) -> ClusterDisplay:
        """Draw one cluster of a fitted clustering.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `labels_` and `cluster_centers_`: LocalKShape, KSweep, or a clustering of
            scikit-learn.
        X : array-like or DataFrame of shape (n_series, n_timepoints)
            What it was fitted on.
        cluster : int, default=0
            Which cluster.
        cumulative : bool, default=False
            Draw running sums, as paths out of returns.
        title : str, default=None
            Title; None for the cluster and its number of members.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure, outside of pyplot, when None.

        Returns
        -------
        ClusterDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            When the estimator is not fitted, or not on X, or has no such cluster.
        """
        titles = {} if title is None else {cluster: title}
        return _displays(estimator, X, [cluster], cumulative, titles)[0].plot(ax)

    def plot(self, ax: Axes | None = None) -> ClusterDisplay:
        """Draw the members and the centroid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure, outside of pyplot, when None.

        Returns
        -------
        ClusterDisplay
            The display itself.
        """
        self.figure_, self.ax_ = own_axes(ax, width=6.4, height=3.6)  # says what to install, if need be
        from matplotlib.collections import LineCollection
        from matplotlib.patheffects import Normal, Stroke

        tidy(self.ax_)
        members, centroid = z_paths(self.members, self.centroid, self.shifts, cumulative=self.cumulative)
        x = _axis_numbers(self.timepoints)
        many = LineCollection(
            [np.column_stack([x, row]) for row in members],
            colors=MEMBER,
            linewidths=0.8,
            alpha=float(np.clip(4.0 / max(len(members), 1), 0.12, 0.6)),
            label="members",
            zorder=2,
        )
        self.ax_.add_collection(many, autolim=False)
        # Outliers of single days would flatten everything else, and the eye is here for the shape.
        drawn = np.concatenate([members.ravel(), centroid])
        low, high = np.nanquantile(drawn, [0.002, 0.998]) if np.isfinite(drawn).any() else (-1.0, 1.0)
        pad = 0.08 * max(high - low, 1e-9)
        self.ax_.set_ylim(min(low, centroid.min()) - pad, max(high, centroid.max()) + pad)
        (line,) = self.ax_.plot(x, centroid, color=CENTROID, linewidth=1.8, label="centroid", zorder=3)
        line.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])
        _set_time_axis(self.ax_, self.timepoints, x)
        self.ax_.set_ylabel("running sum, z-units" if self.cumulative else "z-units", fontsize=8)
        title = f"{len(members)} members" if self.title is None else self.title
        title = "\n".join(wrap(title, _TITLE_WIDTH)[:3])  # matplotlib's own wrapping reads formulas
        plain(self.ax_.set_title(title, loc="left", fontsize=10, fontweight="bold"))
        legend = self.ax_.legend(  # below the axes, where it hides no data
            loc="upper left",
            bbox_to_anchor=(0.0, -0.09),
            ncols=2,
            fontsize=8,
            labelcolor=INK,
            frameon=False,
            borderaxespad=0.0,
        )
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1.0)
        return self


class ClusterGridDisplay:
    """All clusters of a clustering, one panel each.

    Use `from_estimator` to make one from a fitted clustering.

    Parameters
    ----------
    displays : sequence of ClusterDisplay
        One a panel.
    n_columns : int, default=4
        Panels in a row.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels.
    figure_ : matplotlib Figure
        The figure they are on.

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
        self.displays = list(displays)
        self.n_columns = n_columns

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        clusters: Sequence[int] | None = None,
        cumulative: bool = False,
        titles: Mapping[int, str] | None = None,
        n_columns: int = 4,
    ) -> ClusterGridDisplay:
        """Draw the clusters of a fitted clustering.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `labels_` and `cluster_centers_`.
        X : array-like or DataFrame of shape (n_series, n_timepoints)
            What it was fitted on.
        clusters : sequence of int, default=None
            Which clusters, in this order; None for all.
        cumulative : bool, default=False
            Draw running sums, as paths out of returns.
        titles : mapping of int to str, default=None
            Titles by cluster; the others get the cluster and its number of members.
        n_columns : int, default=4
            Panels in a row.

        Returns
        -------
        ClusterGridDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            When the estimator is not fitted, or not on X, or has no such cluster.
        """
        chosen = range(len(_fitted(estimator).cluster_centers_)) if clusters is None else clusters
        return cls(_displays(estimator, X, chosen, cumulative, titles or {}), n_columns=n_columns).plot()

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
                legend.remove()  # one key is enough
            self.axes_.append(ax)
        return self


def z_paths(
    members: Float64Array, centroid: Float64Array, shifts: IntArray, *, cumulative: bool
) -> tuple[Float64Array, Float64Array]:
    """Members and centroid as drawn: running sums if asked, aligned, in z-units.

    Returns
    -------
    members : ndarray of shape (n_members, n_timepoints)
        NaN where a member has no value, or none that is aligned with the timepoint.
    centroid : ndarray of shape (n_timepoints,)
        Mean 0 and standard deviation 1.
    """
    if cumulative:
        centroid = np.cumsum(centroid)
        steps = members - _mean(members)
        members = np.where(np.isnan(members), np.nan, np.nancumsum(steps, axis=1))
    centroid = (centroid - centroid.mean()) / (centroid.std() or 1.0)
    n_timepoints = members.shape[1]
    source = np.arange(n_timepoints) + np.asarray(shifts, dtype=np.intp)[:, np.newaxis]
    inside = (source >= 0) & (source < n_timepoints)
    aligned = np.take_along_axis(members, source.clip(0, n_timepoints - 1), axis=1)
    aligned = np.where(inside, aligned, np.nan)
    beside = np.where(np.isnan(aligned), np.nan, centroid)
    spread = _spread(aligned)
    scale = np.divide(_spread(beside), spread, out=np.zeros_like(spread), where=spread > 0)
    return (aligned - _mean(aligned)) * scale + _mean(beside), centroid


def _mean(rows: Float64Array) -> Float64Array:
    """Average what each row has; 0 for a row that has nothing."""
    count = np.maximum((~np.isnan(rows)).sum(axis=1, keepdims=True), 1)
    mean: Float64Array = np.nansum(rows, axis=1, keepdims=True) / count
    return mean


def _spread(rows: Float64Array) -> Float64Array:
    """Take the standard deviation over what each row has."""
    spread: Float64Array = np.sqrt(_mean((rows - _mean(rows)) ** 2))
    return spread


def _fitted(estimator: Any) -> Any:
    """Find the clustering itself, out of a sweep; an error where it is none, or is not fitted."""
    found = getattr(estimator, "best_estimator_", estimator)
    for attribute in ("labels_", "cluster_centers_"):
        if not hasattr(found, attribute):
            raise ValueError(
                f"A display of clusters takes a fitted clustering. Got {type(found).__name__} without "
                f"{attribute} instead: fit it first; for a Pipeline pass pipe[-1] and pipe[:-1].transform(X)."
            )
    return found


def _displays(
    estimator: Any, X: Any, clusters: Sequence[int], cumulative: bool, titles: Mapping[int, str]
) -> list[ClusterDisplay]:
    """Make a display for each of the clusters, not yet drawn."""
    fitted = _fitted(estimator)
    values = np.asarray(X, dtype=np.float64)
    centers, labels = np.asarray(fitted.cluster_centers_), np.asarray(fitted.labels_)
    if values.shape != (len(labels), *centers.shape[1:]) or values.ndim != 2:
        raise ValueError(
            f"X must be what {type(fitted).__name__} was fitted on, in two dimensions: "
            f"{(len(labels), *centers.shape[1:])}. Got shape {values.shape} instead."
        )
    shifts = np.asarray(getattr(fitted, "shifts_", np.zeros(len(labels), dtype=np.intp)))
    timepoints = X.columns if isinstance(X, pd.DataFrame) else np.arange(values.shape[1])
    displays = []
    for cluster in clusters:
        if not 0 <= cluster < len(centers):
            raise ValueError(f"cluster must be from 0 to {len(centers) - 1}. Got {cluster} instead.")
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


def _axis_numbers(timepoints: Any) -> Float64Array:
    """Timepoints as numbers on an axis: dates as matplotlib counts them, labels by their position."""
    if isinstance(timepoints, pd.DatetimeIndex):
        dates = import_optional("matplotlib.dates", extra="plot", needed_for="Drawing a picture")
        return np.asarray(dates.date2num(timepoints.to_numpy()), dtype=np.float64)
    try:
        return np.asarray(timepoints, dtype=np.float64)
    except (TypeError, ValueError):
        return np.arange(len(timepoints), dtype=np.float64)


def _set_time_axis(ax: Axes, timepoints: Any, x: Float64Array) -> None:
    """Limits and ticks of the time axis."""
    if isinstance(timepoints, pd.DatetimeIndex):
        date_axis(ax, x)
    else:
        ax.set_xlim(x[0], x[-1])
        ax.set_xlabel("timepoint", fontsize=8)
