"""Summary of the fits of all sets: ratios of inertia, and differences with their uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np

CONTESTANTS = ("ours", "ours (random start)")
N_RESAMPLES = 10_000
_ROUNDING = 1e-9  # equal partitions have inertias that differ by rounding


def verdict(sets: dict[str, Any]) -> dict[str, Any]:
    """Summarize the sets with fits of both libraries.

    Parameters
    ----------
    sets : dict
        The fits of each contestant for each set: dicts with `ari`, `ri`, `inertia`, `seconds`.
    """
    judged = {name: _of_set(entry) for name, entry in sets.items() if _succeeded(entry, "tslearn")}
    ratios = np.array([found["inertia_ratio"] for found in judged.values()])
    differences = {
        who: {what: _difference({name: sets[name] for name in judged}, who, what) for what in ("ari", "ri")}
        for who in CONTESTANTS
    }
    return {
        "sets": judged,
        "inertia_ratio": float(np.exp(np.log(ratios).mean())) if len(ratios) else None,
        "not_above": int((ratios <= 1 + _ROUNDING).sum()),
        "above": [name for name, found in judged.items() if found["inertia_ratio"] > 1 + _ROUNDING],
        "not_slower": sum(found["our_seconds"] <= found["their_seconds"] for found in judged.values()),
        "our_seconds": sum(found["our_seconds"] for found in judged.values()),
        "their_seconds": sum(found["their_seconds"] for found in judged.values()),
        "differences": differences if judged else {},
        "failed": {
            name: sum("trouble" in fit for fit in entry.get("tslearn", [])) for name, entry in sets.items()
        },
    }


def _succeeded(entry: dict[str, Any], who: str) -> list[dict[str, Any]]:
    return [fit for fit in entry.get(who, []) if "trouble" not in fit]


def _of_set(entry: dict[str, Any]) -> dict[str, Any]:
    best = entry["ours (best of 10)"][0]
    their_inertia = min(fit["inertia"] for fit in _succeeded(entry, "tslearn"))
    return {
        "their_inertia": their_inertia,
        "inertia_ratio": best["inertia"] / their_inertia,
        "our_seconds": best["seconds"],
        "their_seconds": float(np.median([fit["seconds"] for fit in entry["tslearn"]])),
    }


def _difference(sets: dict[str, Any], who: str, what: str) -> dict[str, Any]:
    """Mean over the sets of ours minus theirs, by seed means, with a bootstrap interval over the sets."""
    ours = np.array([np.mean([fit[what] for fit in entry[who]]) for entry in sets.values()])
    theirs = np.array(
        [np.mean([fit[what] for fit in _succeeded(entry, "tslearn")]) for entry in sets.values()]
    )
    gain = ours - theirs
    if not len(gain):
        return {}
    chosen = np.random.default_rng(0).integers(len(gain), size=(N_RESAMPLES, len(gain)))
    low, high = np.percentile(gain[chosen].mean(axis=1), [2.5, 97.5])
    losing = [name for name, value in zip(sets, gain, strict=True) if value < 0]
    return {"mean": float(gain.mean()), "interval": [float(low), float(high)], "losing": losing}
