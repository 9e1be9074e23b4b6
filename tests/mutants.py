"""Change one line of the package at a time, and check that the tests named for it fail.

    python -m tests.mutants                 all of them
    python -m tests.mutants --only seeding  those whose path or change contains a word

Each mutation is applied to a copy of the package in a temporary folder. A mutation is killed when every test
that is named for it fails. The same tests pass on an unchanged copy, which is tried first. The command ends
with 1 if a mutation survives, or if one no longer fits the code.
"""

# ruff: noqa: T201 -- a command says what it does

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "shapecluster"
LIMIT = 300.0  # seconds for the tests of one mutation


@dataclass(frozen=True)
class Mutation:
    """One change of one line.

    Attributes
    ----------
    path : str
        File, relative to the package.
    before, after : str
        Part of a line, which occurs once in the file, and what replaces it.
    tests : tuple of str
        Tests that must fail, as pytest names them. A name stands for all its cases, of which one must fail.
    """

    path: str
    before: str
    after: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}: {self.before} -> {self.after}"

    def problem(self) -> str | None:
        """Say why the mutation does not fit the code, or return None."""
        if "\n" in self.before or "\n" in self.after:
            return "a mutation changes one line"
        n_found = (PACKAGE / self.path).read_text("utf-8").count(self.before)
        return None if n_found == 1 else f"{self.before!r} occurs {n_found} times in {self.path}"


MUTATIONS = (
    Mutation(
        "_core/sbd/lowpass.py",
        "np.square(2 * np.pi * frequency / self.n_points) / 8",
        "np.square(2 * np.pi * frequency / self.n_points) / 16",
        (
            "tests/core/index/test_search.py::TestLowPass::test_no_correlation_exceeds_the_bounds_on_data_made_to_break_them",
        ),
    ),
    Mutation(
        "_core/sbd/bounds.py",
        "(starts[1 : band + 1] - 1) / n_grid) / 8",
        "(starts[1 : band + 1] - 1) / n_grid) / 16",
        ("tests/core/sbd/test_bounds.py::test_no_correlation_exceeds_what_low_frequencies_leave",),
    ),
    Mutation(
        "_core/sbd/bounds.py",
        "np.arccos(np.minimum(ncc + ncc.dtype.type(slack), 1.0))",
        "np.arccos(np.minimum(ncc, 1.0))",
        ("tests/core/sbd/test_bounds.py::test_slack_lowers_floors_and_raises_ceilings",),
    ),
    Mutation(
        "_core/sbd/bounds.py",
        "return np.where(same, 0.0, drift).astype(np.float32)",
        "return np.where(same, 0.0, drift / 2).astype(np.float32)",
        ("tests/core/sbd/test_bounds.py::test_a_step_never_leaves_a_floor_above_the_angle",),
    ),
    Mutation(
        "_core/sbd/shapes.py",
        "return 16 * float(np.finfo(self.dtype).eps)",
        "return 0 * float(np.finfo(self.dtype).eps)",
        (
            "tests/core/sbd/test_correlation.py::test_shifts_that_differ_by_rounding_are_settled_by_direct_values",
        ),
    ),
    Mutation(
        "_core/sbd/shapes.py",
        "return (0.0, 1.0) if self.all_shifts else (-1.0, 1.0)",
        "return (0.0, 1.0)",
        ("tests/core/sbd/test_correlation.py::test_the_range_of_the_best_correlation_follows_the_window",),
    ),
    Mutation(
        "_core/sbd/shapes.py",
        "return np.where(position <= self.window, position, position - self.length)",
        "return np.where(position < self.window, position, position - self.length)",
        ("tests/core/sbd/test_correlation.py::test_alignment_agrees_with_the_oracle",),
    ),
    Mutation(
        "_core/sbd/correlation.py",
        "rank = 2 * np.abs(shifts) + (shifts < 0)",
        "rank = 2 * np.abs(shifts) + (shifts > 0)",
        (
            "tests/core/sbd/test_correlation.py::test_among_equal_shifts_the_smallest_wins_then_the_positive_one",
        ),
    ),
    Mutation(
        "_core/sbd/correlation.py",
        "tied = np.flatnonzero(ncc >= best[rows] - tie_band)",
        "tied = np.flatnonzero(ncc >= best[rows])",
        (
            "tests/core/sbd/test_correlation.py::test_nearest_is_the_best_of_all_with_the_lowest_index_on_ties",
        ),
    ),
    Mutation(
        "_core/sbd/normalize.py",
        "flat = std <= _FLAT_EPS",
        "flat = std < 0 * _FLAT_EPS",
        ("tests/core/sbd/test_normalize.py::test_constant_rows_are_flat_whatever_their_level",),
    ),
    Mutation(
        "_core/sbd/alignment.py",
        "margin + shifts, :]",
        "margin - shifts, :]",
        ("tests/core/kshape/test_extraction.py::test_alignment_takes_the_shift_back",),
    ),
    Mutation(
        "_core/sbd/overlap.py",
        "joint.mean(axis=axes))",
        "x_observed.mean(axis=axes))",
        ("tests/neighbors/test_shape.py::TestSimilar::test_a_late_listed_twin_ranks_first",),
    ),
    Mutation(
        "_core/kshape/extraction.py",
        "roots = np.sqrt(scaled_weights(weights))",
        "roots = scaled_weights(weights)",
        ("tests/core/kshape/test_extraction.py::test_weight_two_is_the_same_as_twice",),
    ),
    Mutation(
        "_core/kshape/extraction.py",
        "aligned -= aligned.mean(axis=-1, keepdims=True)",
        "aligned -= aligned.mean()",
        ("tests/core/kshape/test_extraction.py::test_center_agrees_with_the_dense_oracle",),
    ),
    Mutation(
        "_core/kshape/extraction.py",
        "vector = np.copysign(1.0, agreement) * vector",
        "vector = np.copysign(1.0, vector[0]) * vector",
        (
            "tests/core/kshape/test_extraction.py::test_sign_agrees_with_the_members_over_all_channels_together",
        ),
    ),
    Mutation(
        "_core/kshape/run.py",
        "return float((weights * (sbd * sbd)).sum())",
        "return float((weights * sbd).sum())",
        ("tests/core/kshape/test_run.py::test_a_run_agrees_with_the_oracle",),
    ),
    Mutation(
        "_core/kshape/run.py",
        "best=iterate if iterate.inertia < state.best.inertia else state.best",
        "best=iterate",
        (
            "tests/core/kshape/test_run.py::test_the_best_iterate_is_kept_with_the_assignment_to_exactly_its_centers",
        ),
    ),
    Mutation(
        "_core/kshape/run.py",
        "((now.labels != before.labels) | (now.shifts != before.shifts))",
        "(now.labels != before.labels)",
        ("tests/core/kshape/test_run.py::test_a_run_agrees_with_the_oracle",),
    ),
    Mutation(
        "_core/kshape/run.py",
        "n_correlations=state.n_correlations + n_correlations",
        "n_correlations=0",
        ("tests/core/kshape/test_run.py::test_pairs_transformed_are_counted",),
    ),
    Mutation(
        "_core/kshape/seeding.py",
        "usable = np.where(x.flat, 0.0, scaled_weights(weights))",
        "usable = scaled_weights(weights)",
        ("tests/core/kshape/test_seeding.py::test_seeds_are_distinct_usable_rows",),
    ),
    Mutation(
        "_core/kshape/seeding.py",
        ".sum(axis=-1).argmin()",
        ".sum(axis=-1).argmax()",
        ("tests/core/kshape/test_seeding.py::test_spread_seeds_start_lower_than_random_ones",),
    ),
    Mutation(
        "_core/kshape/sketch.py",
        "np.sqrt((values[kept] - lost) / values[kept])",
        "np.sqrt(values[kept] / values[kept])",
        (
            "tests/core/kshape/test_sketch.py::TestBounds::test_no_direction_lacks_more_than_the_error_and_none_has_too_much",
        ),
    ),
    Mutation(
        "_core/matching/criterion.py",
        "root -= root * root > below",
        "root -= root * root >= below",
        ("tests/core/matching/test_matching.py::test_sets_match_as_exact_fractions_do",),
    ),
    Mutation(
        "_core/matching/criterion.py",
        "whole = np.minimum(a, b)",
        "whole = np.maximum(a, b)",
        ("tests/core/matching/test_matching.py::test_sets_match_as_exact_fractions_do",),
    ),
    Mutation(
        "_core/matching/pairs.py",
        "later = i < j",
        "later = i <= j",
        ("tests/core/matching/test_matching.py::test_sets_match_as_exact_fractions_do",),
    ),
    Mutation(
        "_core/matching/search.py",
        "matched = shared[candidates] >=",
        "matched = shared[candidates] >",
        ("tests/core/matching/test_matching.py::test_a_threshold_is_reached_exactly_or_not",),
    ),
    Mutation(
        "neighbors/_shape.py",
        "self.n_samples_fit_ - (X is None),",
        "self.n_samples_fit_,",
        ("tests/neighbors/test_shape.py::test_one_neighbor_more_than_there_are_series",),
    ),
    Mutation(
        "neighbors/_look_alikes.py",
        "z_scores = np.sqrt(is_observed.sum(axis=-1, keepdims=True)) * shapes.unit[held]",
        "z_scores = shapes.unit[held]",
        (
            "tests/neighbors/test_shape.py::TestSimilar::test_basket_with_missing_values_uses_what_is_observed",
        ),
    ),
    Mutation(
        "neighbors/_look_alikes.py",
        "score = overlap.correlation - lost * np.abs(overlap.correlation)",
        "score = overlap.correlation",
        (
            "tests/neighbors/test_shape.py::TestSimilar::test_under_a_mask_a_long_lag_still_counts_against_a_pair",
        ),
    ),
    Mutation(
        "model_selection/_criteria.py",
        "scores: Float64Array = down - down[0] - across",
        "scores: Float64Array = down - across",
        (
            "tests/model_selection/test_criteria.py::test_a_curve_that_rises_first_is_measured_from_its_first_point",
        ),
    ),
    Mutation(
        "model_selection/_criteria.py",
        "float(scores[ks == chosen][0]) < _LEAST_BEND",
        "float(scores[ks == chosen][0]) < 0",
        ("tests/model_selection/test_criteria.py::test_elbow_is_none_where_the_curve_has_none",),
    ),
    Mutation(
        "model_selection/_findings.py",
        "None if weights is None else weights[rows],",
        "None,",
        ("tests/model_selection/test_sweep.py::test_rows_of_weight_zero_have_no_influence",),
    ),
    Mutation(
        "prices/_clean.py",
        "first[first <= before] = 0",
        "first[first < before] = 0",
        (
            "tests/prices/test_clean.py::test_a_short_gap_at_the_start_costs_its_days_and_a_longer_one_the_stock",
        ),
    ),
    Mutation(
        "prices/_clean.py",
        "bad = self.values <= 0",
        "bad = self.values < 0",
        ("tests/prices/test_clean.py::test_zero_and_negative_prices_become_gaps",),
    ),
    Mutation(
        "prices/_suspects.py",
        "remainder <= _REVERTED * larger",
        "remainder <= larger",
        (
            "tests/prices/test_suspects.py::test_a_print_has_reverted_when_at_most_half_of_its_larger_move_is_left",
        ),
    ),
    Mutation(
        "prices/_cache.py",
        "return end < stored.date() - timedelta(days=1)",
        "return end < stored.date()",
        ("tests/prices/test_cache.py::test_a_range_that_is_not_over_is_kept_for_minutes_only",),
    ),
    Mutation(
        "portfolios/_query.py",
        "quantities = quantities[quantities > 0]",
        "quantities = quantities[quantities >= 0]",
        ("tests/portfolios/test_matcher.py::TestMatches::test_an_empty_portfolio_has_no_match",),
    ),
    Mutation(
        "portfolios/_portfolios.py",
        "wrong = ~(np.isfinite(held.data) & (held.data >= 0))",
        "wrong = ~(held.data >= 0)",
        ("tests/portfolios/test_portfolios.py::test_invalid_matrices_and_names_raise",),
    ),
    Mutation(
        "preprocessing/_returns.py",
        "np.diff(np.log(prices), axis=-1)",
        "np.diff(prices, axis=-1) / prices[..., :-1]",
        ("tests/preprocessing/test_returns.py::test_returns_equal_pandas_and_drop_the_first_date",),
    ),
    Mutation(
        "preprocessing/_scaling.py",
        '"scale_": std',
        '"scale_": std**2',
        ("tests/preprocessing/test_scaling.py::test_inverse_of_fit_transform_is_the_input",),
    ),
)


@contextmanager
def copied_package(mutation: Mutation | None) -> Iterator[Path]:
    """Yield a folder to put on Python's path: a copy of the package, with the mutation."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        if mutation is not None:
            path = copy / mutation.path
            path.write_text(path.read_text("utf-8").replace(mutation.before, mutation.after), "utf-8")
        yield Path(name)


def passed_tests(mutation: Mutation | None, tests: list[str]) -> tuple[dict[str, bool], str]:
    """Run tests against a copy of the package; return whether each test passed, and what pytest printed."""
    with copied_package(mutation) as folder:
        report = folder / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"),
            *(f"--junitxml={report}", "-o", "junit_family=xunit1", *tests),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            # Failing examples of a mutant must not be tried again by the next run of the tests.
            "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        }
        # A copy that is not the one imported would pass all tests, whatever the mutation.
        probe = f"import shapecluster; assert shapecluster.__file__.startswith({str(folder)!r})"
        subprocess.run([sys.executable, "-c", probe], env=environment, cwd=ROOT, check=True)
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT
            )
        except subprocess.TimeoutExpired:
            return {}, f"the tests took more than {LIMIT:.0f} seconds"
        if done.returncode not in (0, 1) or not report.exists():
            return {}, done.stdout + done.stderr
        return _outcomes(report, tests), done.stdout


def _outcomes(report: Path, tests: list[str]) -> dict[str, bool]:
    """Read pytest's report: a test passed if it ran and none of its cases failed."""
    cases: dict[str, list[bool]] = {test: [] for test in tests}
    for case in ET.parse(report).iter("testcase"):
        path = f"{case.get('file')}"
        inner = f"{case.get('classname')}".removeprefix(path.removesuffix(".py").replace("/", "."))
        name = "::".join([path, *inner.strip(".").split(".")] if inner else [path])
        for test in tests:
            if f"{name}::{case.get('name')}".partition("[")[0] == test.partition("[")[0]:
                failed = case.find("failure") is not None or case.find("error") is not None
                cases[test].append(not failed and case.find("skipped") is None)
    return {test: bool(passed) and all(passed) for test, passed in cases.items()}


def survivors(mutation: Mutation) -> str | None:
    """Say why a mutation is not killed, or return None."""
    passed, printed = passed_tests(mutation, list(mutation.tests))
    if not passed:
        return f"pytest could not run its tests:\n{printed}"
    missed = [test for test, did_pass in passed.items() if did_pass]
    return "it survives " + ", ".join(missed) if missed else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="a word of the path or of the change")
    parser.add_argument("--workers", type=int, default=2, help="mutations at a time (default: 2)")
    options = parser.parse_args()
    start = time.monotonic()
    chosen = [mutation for mutation in MUTATIONS if options.only in str(mutation)]
    problems = {str(m): problem for m in chosen if (problem := m.problem())}
    tests = sorted({test for mutation in chosen for test in mutation.tests})
    passed, printed = passed_tests(None, tests)
    if not all(passed.get(test) for test in tests):
        print(printed, "Without any mutation these tests do not pass:", sep="\n")
        print(*(f"  {test}" for test in tests if not passed.get(test)), sep="\n")
        return 1
    print(f"{len(tests)} tests pass on the unchanged package ({time.monotonic() - start:.0f} s)", flush=True)
    fitting = [mutation for mutation in chosen if str(mutation) not in problems]
    with ThreadPoolExecutor(options.workers) as pool:
        for mutation, problem in zip(fitting, pool.map(survivors, fitting), strict=True):
            print(f"{'SURVIVES' if problem else 'killed  '}  {mutation}", flush=True)
            if problem:
                problems[str(mutation)] = problem
    print(f"{len(chosen) - len(problems)} of {len(chosen)} killed in {time.monotonic() - start:.0f} s")
    for name, problem in problems.items():
        print(f"\n{name}\n  {problem}")
    return 1 if problems or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
