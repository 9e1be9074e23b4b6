"""Agreement with the classes, inertia and time of LocalKShape and tslearn on every UCR set.

    python -m benchmarks.accuracy                  20 sets, 10 seeds: about an hour, nearly all tslearn's
    python -m benchmarks.accuracy --quick          five small sets, 3 seeds
    python -m benchmarks.accuracy --sets Trace CBF

All series of a set, training and test, are clustered into as many clusters as there are classes. For each
seed there is one fit of ours and one of tslearn's with default settings. Another fit of ours starts from
random rows, as tslearn does. A last fit of ours has n_init=10. Results are saved in --out after every set.
Saved sets are not measured again, unless --afresh is given.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score, rand_score

from benchmarks._arena import timed
from benchmarks._data import data_folder, inertia_of, z_scores
from benchmarks._frame import Benchmark, Results
from benchmarks._report import Block, Check, Columns, Row, Table, check, figure, seconds
from benchmarks.contestants import tslearn_k_shape
from shapecluster import LocalKShape

QUICK = ["Coffee", "ItalyPowerDemand", "Chinatown", "SmoothSubspace", "GesturePebbleZ1"]
N_RESAMPLES = 10_000
_ROUNDING = 1e-9  # equal partitions have inertias that differ by rounding

Fit = dict[str, Any]
"""Figures of one fit: ari, ri, inertia and seconds; or trouble and seconds if it failed."""


def set_name(name: str) -> str:
    """Return the name of a set, if there is one."""
    if not (data_folder("ucr") / f"{name}.npz").exists():
        raise argparse.ArgumentTypeError(f"there is no {name}.npz in {data_folder('ucr')}")
    return name


OPTIONS = {
    "--sets": {"nargs": "+", "type": set_name, "metavar": "SET", "help": "some sets only"},
    "--ours-again": {"action": "store_true", "help": "keep former results of tslearn only"},
}


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Measure the sets that are missing, and summarize all of them."""
    results["n_seeds"] = 3 if options.quick else 10
    sets = results.setdefault("sets", {})
    all_sets = sorted(path.stem for path in data_folder("ucr").glob("*.npz"))
    k_shape = compiled_k_shape()
    for each in options.sets or (QUICK if options.quick else all_sets):
        entry = sets.get(each, {})
        lacks_theirs = k_shape and "tslearn" not in entry and not entry.get("n_missing")
        if not entry or lacks_theirs or options.ours_again:
            path = data_folder("ucr") / f"{each}.npz"
            sets[each] = fits_of(path, results["n_seeds"], k_shape, entry.get("tslearn"))
            results["verdict"] = verdict(sets)
            results["checks"] = [] if options.quick else checks_of(results["verdict"])
            yield [f"{each}: done"]
    yield [*parts(results)["accuracy"], results["checks"]]


def compiled_k_shape() -> Any:
    """Return KShape of tslearn after a first call that compiles it, or None if it is not installed."""
    try:
        k_shape = tslearn_k_shape()
    except ModuleNotFoundError:
        print("tslearn is not installed: ours alone.")
        return None
    rows = z_scores(np.sin(np.arange(32) * np.linspace(0.1, 0.8, 4)[:, None]))[:, :, None]
    k_shape(2, init=rows[:2].copy(), max_iter=2).fit(rows)
    return k_shape


# -------------------------------------------------------------------------------------------------- fits


def fits_of(path: Path, n_seeds: int, k_shape: Any, theirs: list[Fit] | None) -> dict[str, Any]:
    """Run all fits of one set. If values are missing, ours masks them; tslearn cannot, and is left out."""
    with np.load(path) as archive:
        X, y = archive["X"].astype(np.float64), archive["y"]
    k, n_missing = len(np.unique(y)), int(np.isnan(X).sum())
    entry: dict[str, Any] = {"n_series": len(X), "n_timepoints": X.shape[1], "k": k, "n_missing": n_missing}
    own = partial(LocalKShape, k, missing="mask" if n_missing else "error")
    random_start = partial(own, init="random", n_init=1)
    seeds = range(n_seeds)
    entry["ours"] = [_ours(own(random_state=seed), X, y) for seed in seeds]
    entry["ours (random start)"] = [_ours(random_start(random_state=seed), X, y) for seed in seeds]
    entry["ours (best of 10)"] = [_ours(own(n_init=10, random_state=0), X, y)]
    # Fits of tslearn take most of the hour, so those of earlier runs are kept.
    if theirs is not None:
        entry["tslearn"] = theirs
    elif k_shape is not None and not n_missing:
        entry["tslearn"] = [_tslearn(k_shape(k, random_state=seed), X, y) for seed in seeds]
    return entry


def _ours(model: LocalKShape, X: np.ndarray, y: np.ndarray) -> Fit:
    taken = timed(lambda: model.fit(X)).seconds
    return {"seconds": taken, "inertia": float(model.inertia_), **_agreement(y, model.labels_)}


def _tslearn(model: Any, X: np.ndarray, y: np.ndarray) -> Fit:
    z = z_scores(X)[:, :, None]
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(z)
    except Exception as error:  # tslearn raises if ten attempts end with empty clusters
        return {"trouble": f"{type(error).__name__}: {error}", "seconds": time.perf_counter() - began}
    taken = time.perf_counter() - began
    inertia = inertia_of(X, model.cluster_centers_[..., 0])
    return {"seconds": taken, "inertia": inertia, **_agreement(y, model.labels_)}


def _agreement(y: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {"ari": float(adjusted_rand_score(y, labels)), "ri": float(rand_score(y, labels))}


# ----------------------------------------------------------------------------------------------- verdict


def verdict(sets: dict[str, Any]) -> dict[str, Any]:
    """Summarize the sets with fits of both libraries: ratios of inertia, and differences of agreement."""
    both = {name: entry for name, entry in sets.items() if _figures(entry, "tslearn", "inertia")}
    judged = {name: _of_set(entry) for name, entry in both.items()}
    ratios = np.array([found["inertia_ratio"] for found in judged.values()])
    return {
        "sets": judged,
        "inertia_ratio": float(np.exp(np.log(ratios).mean())) if judged else None,
        "not_above": int((ratios <= 1 + _ROUNDING).sum()),
        "above": [name for name, found in judged.items() if found["inertia_ratio"] > 1 + _ROUNDING],
        "not_slower": sum(found["our_seconds"] <= found["their_seconds"] for found in judged.values()),
        "our_seconds": sum(found["our_seconds"] for found in judged.values()),
        "their_seconds": sum(found["their_seconds"] for found in judged.values()),
        "differences": {
            who: {what: _difference(both, who, what) for what in ("ari", "ri")}
            for who in (("ours", "ours (random start)") if judged else ())
        },
        "failed": {
            name: sum("trouble" in fit for fit in entry.get("tslearn", [])) for name, entry in sets.items()
        },
    }


def _figures(entry: dict[str, Any], who: str, what: str) -> list[float]:
    """A figure of all fits that did not fail."""
    return [fit[what] for fit in entry.get(who, []) if what in fit]


def _of_set(entry: dict[str, Any]) -> dict[str, Any]:
    best = entry["ours (best of 10)"][0]
    their_inertia = min(_figures(entry, "tslearn", "inertia"))
    return {
        "their_inertia": their_inertia,
        "inertia_ratio": best["inertia"] / their_inertia,
        "our_seconds": best["seconds"],
        "their_seconds": float(np.median(_figures(entry, "tslearn", "seconds"))),
    }


def _difference(sets: dict[str, Any], who: str, what: str) -> dict[str, Any]:
    """Mean over the sets of ours minus theirs, by seed means, with a bootstrap interval over the sets."""
    means = [[np.mean(_figures(entry, each, what)) for each in (who, "tslearn")] for entry in sets.values()]
    gain = -np.diff(means)[:, 0]
    chosen = np.random.default_rng(0).integers(len(gain), size=(N_RESAMPLES, len(gain)))
    low, high = np.percentile(gain[chosen].mean(axis=1), [2.5, 97.5])
    losing = [name for name, value in zip(sets, gain, strict=True) if value < 0]
    return {"mean": float(gain.mean()), "interval": [float(low), float(high)], "losing": losing}


def checks_of(judged: dict[str, Any]) -> list[Check]:
    """The targets over all sets."""
    n_sets = len(judged["sets"])
    if not n_sets:
        return []
    higher = "upper end of the interval of {} minus tslearn's"
    return [
        check("geometric mean of SSD over tslearn's best", judged["inertia_ratio"], "<=", 1),
        check("sets with an SSD not above tslearn's best", judged["not_above"], ">=", 15),
        check("sets on which 10 runs take no longer than tslearn's fit", judged["not_slower"], ">=", n_sets),
        *(
            check(higher.format(what.upper()), found["interval"][1], ">=", 0)
            for what, found in judged["differences"]["ours"].items()
        ),
    ]


# ------------------------------------------------------------------------------------------------ report


def _mean(who: str, what: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        values = _figures(row, who, what)
        return f"{np.mean(values):.3f}" if values else "-"

    return text


def _both(ours: Callable[[Row], str], theirs: Callable[[Row], str]) -> Callable[[Row], str]:
    return lambda row: f"{ours(row)} / {theirs(row) or '-'}"


COLUMNS: Columns = {
    "set": lambda row: row["name"],
    "series x points, k": lambda row: f"{row['n_series']} x {row['n_timepoints']}, {row['k']}",
    "ARI": _both(_mean("ours", "ari"), _mean("tslearn", "ari")),
    "RI": _both(_mean("ours", "ri"), _mean("tslearn", "ri")),
    "least SSD": _both(
        lambda row: figure(row["ours (best of 10)"][0]["inertia"], 5),
        lambda row: figure(row.get("their_inertia"), 5),
    ),
    "ratio": lambda row: f"{row['inertia_ratio']:.3f}" if "inertia_ratio" in row else "",
    "10 runs / 1 fit": _both(
        lambda row: seconds(row["ours (best of 10)"][0]["seconds"]),
        lambda row: seconds(row.get("their_seconds")),
    ),
}


def findings(results: Results) -> list[str]:
    """Summary of all sets in sentences."""
    judged = results["verdict"]
    if not judged["sets"]:
        return ["No set was fitted by both."]
    n_sets = len(judged["sets"])
    lines = [
        f"SSD of ours (best of 10 runs) over the best of tslearn's {results['n_seeds']} fits: "
        f"geometric mean {judged['inertia_ratio']:.4f}, not above on {judged['not_above']} of {n_sets} sets.",
        f"Those 10 runs took no longer than tslearn's median fit on {judged['not_slower']} of {n_sets} "
        f"sets; together {judged['our_seconds']:.1f} s against {judged['their_seconds']:.1f} s.",
    ]
    if judged["above"]:
        lines.append(f"SSD above tslearn's best: {', '.join(judged['above'])}.")
    for who, differences in judged["differences"].items():
        for what, found in differences.items():
            low, high = found["interval"]
            losing = ", ".join(found["losing"]) or "none"
            lines.append(
                f"{what.upper()} of {who} minus tslearn's, mean over the sets: {found['mean']:+.4f}, 95 % "
                f"paired bootstrap interval {low:+.4f} to {high:+.4f}. Sets that lose: {losing}."
            )
    failed = [f"{n} on {name}" for name, n in judged["failed"].items() if n]
    if failed:
        lines.append(f"Fits of tslearn that failed: {', '.join(failed)}.")
    masked = [name for name, entry in results["sets"].items() if entry["n_missing"]]
    if masked:
        lines.append(f'With missing values, so by ours alone (missing="mask"): {", ".join(masked)}.')
    return lines


def parts(results: Results) -> dict[str, list[Block]]:
    """A summary, and a table with one row per set: ours / tslearn."""
    judged = results["verdict"]["sets"]
    rows = [{"name": name, **entry, **judged.get(name, {})} for name, entry in results["sets"].items()]
    caption = f"Ours / tslearn. ARI and RI: means over {results['n_seeds']} seeds"
    return {"accuracy": [findings(results), Table(caption, COLUMNS, rows)]}


BENCHMARK = Benchmark("accuracy", __doc__, measure, parts, OPTIONS)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
