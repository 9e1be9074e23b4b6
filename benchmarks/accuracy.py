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
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score, rand_score

from benchmarks._common import (
    Check,
    check,
    check_text,
    data_folder,
    environment,
    figure,
    in_one_thread,
    inertia_of,
    load,
    markdown_table,
    parse,
    parser_of,
    save,
    seconds,
    z_scores,
)
from benchmarks.verdict import verdict
from shapecluster import LocalKShape

QUICK = ["Coffee", "ItalyPowerDemand", "Chinatown", "SmoothSubspace", "GesturePebbleZ1"]
N_INIT = 10


def main() -> int:
    """Measure the sets that are missing, and summarize all of them."""
    folder = data_folder() / "ucr"
    sets = sorted(path.stem for path in folder.glob("*.npz"))
    options = _options(sets)
    in_one_thread("benchmarks.accuracy")
    n_seeds = 3 if options.quick else 10
    results = None if options.afresh else load("accuracy", options.out)
    if results is None or results["quick"] != options.quick:
        results = {"quick": options.quick, "n_seeds": n_seeds, "sets": {}}
    results["environment"] = environment()
    k_shape = _tslearn_k_shape()
    for each in options.sets or (QUICK if options.quick else sets):
        entry = results["sets"].get(each)
        lacks_theirs = entry and k_shape and "tslearn" not in entry and not entry["n_missing"]
        if entry is None or lacks_theirs or options.ours_again:
            theirs = (entry or {}).get("tslearn")
            results["sets"][each] = measure(folder / f"{each}.npz", n_seeds, k_shape, theirs)
            results["verdict"] = verdict(results["sets"])
            results["checks"] = [] if options.quick else checks_of(results["verdict"])
            save("accuracy", results, markdown_of(results), options.out)
    print(f"\n{markdown_of(results)}")
    return 0


def _options(sets: list[str]) -> argparse.Namespace:
    parser = parser_of("accuracy", __doc__)
    parser.add_argument("--sets", nargs="+", choices=sets, metavar="SET", help="some sets only")
    parser.add_argument("--ours-again", action="store_true", help="keep former results of tslearn only")
    parser.add_argument("--afresh", action="store_true", help="forget former results")
    return parse(parser)


def _tslearn_k_shape() -> Any:
    """Return KShape of tslearn after a first call that compiles it, or None if it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tslearn warns of optional packages that are missing
        try:
            from tslearn.clustering import KShape
        except ModuleNotFoundError:
            print("tslearn is not installed: ours alone.")
            return None
    # Numba compiles at the first call, which must not count.
    rows = np.sin(np.arange(32) * np.linspace(0.1, 0.8, 4)[:, None])
    KShape(2, init=z_scores(rows)[:2, :, None].copy(), max_iter=2).fit(z_scores(rows)[:, :, None])
    return KShape


# ------------------------------------------------------------------------------------------------ measures


def measure(
    path: Path, n_seeds: int, k_shape: Any, theirs: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Run all fits of one set. If values are missing, ours masks them; tslearn cannot, and is left out."""
    with np.load(path) as archive:
        X, y = archive["X"].astype(np.float64), archive["y"]
    k, n_missing = len(np.unique(y)), int(np.isnan(X).sum())
    entry: dict[str, Any] = {"n_series": len(X), "n_timepoints": X.shape[1], "k": k, "n_missing": n_missing}
    own = LocalKShape(k, missing="mask" if n_missing else "error")
    random_start = LocalKShape(k, init="random", n_init=1, missing=own.missing)
    entry["ours"] = [_ours(own, seed, X, y) for seed in range(n_seeds)]
    entry["ours (random start)"] = [_ours(random_start, seed, X, y) for seed in range(n_seeds)]
    best = LocalKShape(k, n_init=N_INIT, missing=own.missing)
    entry["ours (best of 10)"] = [_ours(best, 0, X, y)]
    # Fits of tslearn take most of the hour, so those of earlier runs are kept.
    if theirs is not None:
        entry["tslearn"] = theirs
    elif k_shape is not None and not n_missing:
        z = z_scores(X)[:, :, None]
        entry["tslearn"] = [_tslearn(k_shape(k, random_state=seed), z, X, y) for seed in range(n_seeds)]
    print(f"{path.stem}: done", flush=True)
    return entry


def _ours(model: LocalKShape, seed: int, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    began = time.perf_counter()
    model.set_params(random_state=seed).fit(X)
    return _fit(y, model.labels_, model.inertia_, time.perf_counter() - began)


def _tslearn(model: Any, z: np.ndarray, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(z)
    except Exception as error:  # tslearn raises if ten attempts end with empty clusters
        return {"trouble": f"{type(error).__name__}: {error}", "seconds": time.perf_counter() - began}
    taken = time.perf_counter() - began
    return _fit(y, model.labels_, inertia_of(X, model.cluster_centers_[..., 0]), taken)


def _fit(y: np.ndarray, labels: np.ndarray, inertia: float, taken: float) -> dict[str, Any]:
    ari, ri = adjusted_rand_score(y, labels), rand_score(y, labels)
    return {"ari": float(ari), "ri": float(ri), "inertia": float(inertia), "seconds": taken}


def checks_of(judged: dict[str, Any]) -> list[Check]:
    """The targets over all sets."""
    n_sets = len(judged["sets"])
    if not n_sets:
        return []
    checks = [
        check("geometric mean of SSD over tslearn's best", judged["inertia_ratio"], "<=", 1),
        check("sets with an SSD not above tslearn's best", judged["not_above"], ">=", 15),
        check("sets on which 10 runs take no longer than tslearn's fit", judged["not_slower"], ">=", n_sets),
    ]
    for what, found in judged["differences"]["ours"].items():
        high = found["interval"][1]
        checks.append(check(f"upper end of the interval of {what.upper()} minus tslearn's", high, ">=", 0))
    return checks


# -------------------------------------------------------------------------------------------------- tables

HEADER = ["set", "series x points, k", "ARI", "RI", "least SSD", "ratio", "10 runs / 1 fit"]


def lines_of(results: dict[str, Any]) -> list[list[str]]:
    """One row per set, ours / tslearn: means over the seeds, best inertia, and times."""
    lines = []
    for name, entry in results["sets"].items():
        judged = results["verdict"]["sets"].get(name)
        means = [f"{_mean(entry, 'ours', what)} / {_mean(entry, 'tslearn', what)}" for what in ("ari", "ri")]
        best = entry["ours (best of 10)"][0]
        size = f"{entry['n_series']} x {entry['n_timepoints']}, {entry['k']}"
        inertia, taken, ratio = figure(best["inertia"], 5), seconds(best["seconds"]), ""
        if judged is None:
            inertia, taken = f"{inertia} / -", f"{taken} / -"
        else:
            inertia = f"{inertia} / {figure(judged['their_inertia'], 5)}"
            taken = f"{taken} / {seconds(judged['their_seconds'])}"
            ratio = f"{judged['inertia_ratio']:.3f}"
        lines.append([name, size, *means, inertia, ratio, taken])
    return lines


def _mean(entry: dict[str, Any], who: str, what: str) -> str:
    values = [fit[what] for fit in entry.get(who, []) if what in fit]
    return f"{np.mean(values):.3f}" if values else "-"


def findings(results: dict[str, Any]) -> list[str]:
    """Summary of all sets in sentences."""
    judged = results["verdict"]
    if not judged["sets"]:
        return ["No set was fitted by both."]
    n_sets = len(judged["sets"])
    lines = [
        f"SSD of ours (best of {N_INIT} runs) over the best of tslearn's {results['n_seeds']} fits: "
        f"geometric mean {judged['inertia_ratio']:.4f}, not above on {judged['not_above']} of {n_sets} sets.",
        f"Those {N_INIT} runs took no longer than tslearn's median fit on {judged['not_slower']} of {n_sets} "
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
    failed = {name: n for name, n in judged["failed"].items() if n}
    if failed:
        lines.append(
            f"Fits of tslearn that failed: {', '.join(f'{n} on {name}' for name, n in failed.items())}."
        )
    masked = [name for name, entry in results["sets"].items() if entry["n_missing"]]
    if masked:
        lines.append(f'With missing values, so by ours alone (missing="mask"): {", ".join(masked)}.')
    return lines


def markdown_of(results: dict[str, Any]) -> str:
    """The complete result page."""
    lines = [*findings(results), *(check_text(each) for each in results["checks"])]
    found = "\n".join(f"- {line}" for line in lines)
    return f"{markdown_table(HEADER, lines_of(results))}\n\n{found}"


if __name__ == "__main__":
    sys.exit(main())
