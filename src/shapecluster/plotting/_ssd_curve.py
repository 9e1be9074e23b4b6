"""The SSD of every k that was tried, with what each criterion chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shapecluster._typing import ArrayLike
from shapecluster.plotting._style import CHOICES, CURVE, INK, own_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CRITERIA = ("ssd", "elbow", "silhouette", "gap", "stability")
_MARKERS = ("o", "s", "D", "^", "v")
_RING = 13.0  # points; each further criterion at the same k draws a wider ring


class SSDCurveDisplay:
    """The sum of squared distances (SSD) by number of clusters, with the chosen k marked.

    Use `from_sweep` to make one from a fitted `KSweep`.

    Parameters
    ----------
    k : array-like of shape (n_k,)
        Numbers of clusters that were tried.
    ssd : array-like of shape (n_k,)
        SSD (`inertia_`) of each, in squared distances.
    choices : mapping of str to int or None, default=None
        The k that each criterion chose, by the criterion's name; None where it found none.
    criterion : str, default=None
        The criterion whose choice counts; drawn filled, the others as rings.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
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
    def from_sweep(cls, sweep: Any, *, ax: Axes | None = None) -> SSDCurveDisplay:
        """Draw the curve of a fitted sweep.

        Parameters
        ----------
        sweep : KSweep
            A fitted sweep.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure, outside of pyplot, when None.

        Returns
        -------
        SSDCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            When the sweep is not fitted.
        """
        if not hasattr(sweep, "results_"):
            raise ValueError(
                f"SSDCurveDisplay.from_sweep takes a fitted KSweep. Got {type(sweep).__name__} without "
                "results_ instead: call fit first."
            )
        results = sweep.results_
        names = [name for name in _CRITERIA if hasattr(sweep, f"{name}_k_")]
        display = cls(
            results.index.to_numpy(),
            results["ssd"].to_numpy(),
            choices={name: getattr(sweep, f"{name}_k_") for name in names},
            criterion=sweep.criterion,
        )
        return display.plot(ax)

    def plot(self, ax: Axes | None = None) -> SSDCurveDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure, outside of pyplot, when None.

        Returns
        -------
        SSDCurveDisplay
            The display itself.
        """
        self.figure_, self.ax_ = own_axes(ax, width=6.8, height=4.0)
        tidy(self.ax_)
        self.ax_.plot(self.k, self.ssd, color=CURVE, linewidth=1.8, marker="o", markersize=4, zorder=3)
        at: dict[int | None, int] = {}
        for style, name in enumerate(self._order()):
            self._mark(name, style, overlap=at.get(self.choices[name], 0))
            at[self.choices[name]] = at.get(self.choices[name], 0) + 1
        self.ax_.set_xlabel("number of clusters k")
        self.ax_.set_ylabel("SSD (sum of squared distances)")
        self.ax_.set_xticks(self.k if len(self.k) <= 25 else self.k[:: len(self.k) // 20 + 1])
        self.ax_.margins(y=0.12)
        if self.choices:
            self.ax_.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best", markerscale=0.6)
        return self

    def _order(self) -> list[str]:
        """Put the criterion that counts first: it is drawn filled, and heads the legend."""
        return sorted(self.choices, key=lambda name: name != self.criterion)

    def _mark(self, name: str, style: int, *, overlap: int) -> None:
        """One criterion's choice on the curve; at a k already marked, a wider ring around it."""
        chosen = name == self.criterion
        k = self.choices[name]
        where = np.flatnonzero(self.k == k) if k is not None else np.array([], dtype=np.intp)
        color = CHOICES[style % len(CHOICES)]
        self.ax_.plot(
            self.k[where],
            self.ssd[where],
            linestyle="none",
            marker=_MARKERS[style % len(_MARKERS)],
            markersize=_RING - 3 if chosen else _RING + 5 * overlap,
            markerfacecolor=color if chosen else "none",
            markeredgecolor=color,
            markeredgewidth=1.8,
            zorder=4,
            label=(f"{name}: none" if k is None else f"{name}: k = {k}") + (" (chosen)" if chosen else ""),
        )
