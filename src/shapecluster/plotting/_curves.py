"""The curves of a display: aligned series in z-units, and the limits of their axis."""

from __future__ import annotations

import numpy as np

from shapecluster._typing import Float64Array, IntArray

# Single days with extreme returns would flatten all other curves: they may leave the axes.
_SHOWN_QUANTILES = (0.002, 0.998)


def align_in_z_units(
    members: Float64Array, center: Float64Array, shifts: IntArray, *, cumulative: bool
) -> tuple[Float64Array, Float64Array]:
    """Compute the curves of a display: cumulative sums on request, aligned, in z-units.

    Returns
    -------
    members : ndarray of shape (n_members, n_timepoints)
        NaN where a member is not observed, or where its shift leaves no value.
    center : ndarray of shape (n_timepoints,)
        Mean 0 and standard deviation 1.
    """
    if cumulative:
        center = np.cumsum(center)
        # Without the mean a drift would dominate every path. A gap counts as 0, so the path goes on after it.
        steps = members - _mean(members)
        members = np.where(np.isnan(members), np.nan, np.nancumsum(steps, axis=1))
    center = (center - center.mean()) / (center.std() or 1.0)
    n_timepoints = members.shape[1]
    source = np.arange(n_timepoints) + np.asarray(shifts, dtype=np.intp)[:, np.newaxis]
    inside = (source >= 0) & (source < n_timepoints)
    aligned = np.take_along_axis(members, source.clip(0, n_timepoints - 1), axis=1)
    aligned = np.where(inside, aligned, np.nan)
    # A member observed for a part of the time lies on that part of the center, not around 0.
    observed_center = np.where(np.isnan(aligned), np.nan, center)
    spread = _standard_deviation(aligned)
    scale = np.divide(
        _standard_deviation(observed_center), spread, out=np.zeros_like(spread), where=spread > 0
    )
    return (aligned - _mean(aligned)) * scale + _mean(observed_center), center


def _mean(rows: Float64Array) -> Float64Array:
    """Mean of the observed values of each row; 0 for a row without any."""
    # np.nanmean would warn of rows without values.
    count = np.maximum((~np.isnan(rows)).sum(axis=1, keepdims=True), 1)
    mean: Float64Array = np.nansum(rows, axis=1, keepdims=True) / count
    return mean


def _standard_deviation(rows: Float64Array) -> Float64Array:
    """Standard deviation of the observed values of each row; 0 for a row without any."""
    deviation: Float64Array = np.sqrt(_mean((rows - _mean(rows)) ** 2))
    return deviation


def value_limits(members: Float64Array, center: Float64Array) -> tuple[float, float]:
    """Return limits of the value axis that show the whole center and nearly all values of the members."""
    values = np.concatenate([members.ravel(), center])
    low, high = np.nanquantile(values, _SHOWN_QUANTILES) if np.isfinite(values).any() else (-1.0, 1.0)
    padding = 0.08 * max(high - low, 1e-9)  # equal limits would make matplotlib warn
    return float(min(low, center.min()) - padding), float(max(high, center.max()) + padding)
