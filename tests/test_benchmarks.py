"""The frame of the benchmarks, its page, and the baseline in plain NumPy.

The baseline does no needless work, and its results equal those of the library.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import fft

from benchmarks import _frame, _works, matching, page, peers, plain
from benchmarks._arena import Entry, Turn, contest, in_turns, timed
from benchmarks._frame import Benchmark, load
from benchmarks._report import Table, check, failures, markdown, restructured, seconds
from benchmarks._works import Contest, Kind, Task, Work, columns_of_all, faster_than
from benchmarks.accuracy import verdict
from shapecluster import LocalKShape
from shapecluster._core.kshape.run import FitSettings, best_run
from shapecluster._core.kshape.seeding import Start
from shapecluster._core.sbd import bounds
from shapecluster._core.sbd.shapes import shapes_of


@pytest.fixture
def walks(rng):
    """Random walks with three common factors."""
    factors = rng.normal(size=(3, 96)).cumsum(axis=1)
    return rng.normal(size=(150, 3)) @ factors + rng.normal(size=(150, 96)).cumsum(axis=1)


@pytest.fixture
def transformed(monkeypatch):
    """Number of inverse transforms and of their points so far."""
    counts = {"rows": 0, "points": 0}
    irfft = fft.irfft

    def counting(*args, **kwargs):
        out = irfft(*args, **kwargs)
        counts["rows"] += out.size // out.shape[-1]
        counts["points"] += out.size
        return out

    monkeypatch.setattr(fft, "irfft", counting)
    return counts


def test_a_fit_without_bounds_makes_as_many_transforms_as_the_baseline(walks, transformed, monkeypatch):
    k = 6
    theirs = plain.k_shape(walks, walks[:k])
    assert transformed["rows"] == len(walks) * k * (theirs.n_iter + 1)
    points = transformed["points"] / transformed["rows"]

    transformed.update(rows=0, points=0)
    shapes = shapes_of(walks[:, None], None)
    start = Start(walks[:k, None])
    ours = best_run(shapes, [lambda: start], np.ones(len(walks)), FitSettings())  # too few rows for bounds
    n_pairs = len(walks) * k * (ours.n_iter + 1)
    assert n_pairs <= transformed["rows"] <= 1.03 * n_pairs
    assert transformed["points"] <= 1.03 * n_pairs * points

    transformed.update(rows=0, points=0)
    monkeypatch.setattr(bounds, "_MIN_POINTS", 0)
    pruned = best_run(shapes, [lambda: start], np.ones(len(walks)), FitSettings())
    assert pruned.best.inertia == ours.best.inertia
    assert transformed["rows"] < 0.9 * n_pairs  # the count reacts to bounds


@pytest.mark.parametrize("small_side", [False, True])
def test_the_baseline_ends_at_the_same_result(walks, small_side):
    theirs = plain.k_shape(walks, walks[:6], small_side=small_side)
    ours = LocalKShape(6, init=walks[:6]).fit(walks)
    assert theirs.inertia == pytest.approx(ours.inertia_, rel=1e-10)
    np.testing.assert_array_equal(theirs.assigned.labels, ours.labels_)
    np.testing.assert_array_equal(theirs.assigned.shifts, ours.shifts_)
    assert theirs.n_iter == ours.n_iter_


def fits(ari, inertia):
    return [{"ari": a, "ri": a, "inertia": inertia, "seconds": 1.0} for a in ari]


def test_the_summary_of_sets_accounts_for_failures_and_missing_peers():
    ours = {"ours (random start)": fits([0.5], 2.0)}
    sets = {
        "won": ours | {"ours": fits([0.8, 0.6], 2.0), "ours (best of 10)": fits([0.8], 1.0)},
        "lost": ours | {"ours": fits([0.1, 0.3], 2.0), "ours (best of 10)": fits([0.3], 4.0)},
        "alone": ours | {"ours": fits([0.9], 2.0), "ours (best of 10)": fits([0.9], 2.0)},
    }
    sets["won"]["tslearn"] = [*fits([0.5], 2.0), {"trouble": "no centers", "seconds": 9.0}]
    sets["lost"]["tslearn"] = fits([0.4], 2.0)
    judged = verdict(sets)
    assert set(judged["sets"]) == {"won", "lost"}
    assert judged["inertia_ratio"] == pytest.approx(1.0)  # a half and twice
    assert (judged["not_above"], judged["above"]) == (1, ["lost"])
    assert judged["failed"] == {"won": 1, "lost": 0, "alone": 0}
    difference = judged["differences"]["ours"]["ari"]
    assert difference["mean"] == pytest.approx(0.0)
    assert difference["interval"] == pytest.approx([-0.2, 0.2])
    assert difference["losing"] == ["lost"]


# ------------------------------------------------------------------------------------------------- turns


def ours(task):
    return lambda: task


def slow(task):
    return lambda: time.sleep(task / 10)


def broken(task):
    def fit():
        if task > 1:
            raise ValueError("no centers")

    return fit


def killed(task):
    return lambda: os._exit(3) if task > 1 else None


def absent(task):
    import no_such_library

    return no_such_library


def test_contestants_that_fail_are_killed_or_absent_say_so_and_the_others_go_on():
    names = {"ours": ours, "slow": slow, "broken": broken, "killed": killed, "absent": absent}
    entries = contest(names, 3, 1, repeats=2, budget=0.5)
    assert {name: entry.failure for name, entry in entries.items()} == {
        "ours": "",
        "slow": "",
        "broken": "ValueError: no centers",
        "killed": "its process was killed, perhaps for its memory",
        "absent": "not installed (no_such_library)",
    }
    assert (len(entries["ours"].times), entries["ours"].outcome) == (2, 3)
    assert len(entries["slow"].times) == 1  # a second turn would exceed the budget
    assert entries["slow"].seconds > 0.2
    assert entries["broken"].seconds is None


def test_a_failure_of_ours_is_an_error():
    with pytest.raises(RuntimeError, match="ours failed: ValueError: no centers"):
        contest({"ours": broken}, 3, 1, repeats=1, budget=1.0)


def test_turns_go_round_by_round_and_the_first_one_gives_the_memory():
    taken = []

    def take_turn(name):
        taken.append(name)
        return Turn(float(len(taken)), 100 // len(taken), len(taken))

    entries = in_turns({"a": "a", "b": "b"}, repeats=3, take_turn=take_turn)
    assert taken == ["a", "b"] * 3
    assert (entries["a"].times, entries["b"].times) == ([1.0, 3.0, 5.0], [2.0, 4.0, 6.0])
    assert (entries["a"].seconds, entries["a"].peak, entries["a"].outcome) == (3.0, 100, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak of memory")
def test_a_turn_has_the_time_the_peak_of_memory_and_the_outcome():
    turn = timed(lambda: [time.sleep(0.05), np.ones(8_000_000).sum()][1])
    assert turn.outcome == 8_000_000
    assert turn.seconds >= 0.05
    assert turn.peak >= 50e6
    assert timed(lambda: time.sleep(0.05), "process_time").seconds < 0.04


# ------------------------------------------------------------------------------------------------ reports


def test_a_table_has_a_row_per_result_and_says_why_one_is_missing():
    columns = {"who": lambda row: row["name"], "time": lambda row: seconds(row["s"]), "n": lambda row: "7"}
    rows = [{"name": "ours", "s": 0.25}, {"name": "b", "s": None}, {"name": "c", "trouble": "not installed"}]
    table = Table("Fits", columns, rows)
    assert markdown([table]) == (
        "### Fits\n\n| who | time | n |\n| --- | ---: | ---: |\n"
        "| ours | 250 ms | 7 |\n| b |  | 7 |\n| c | not installed |  |"
    )
    assert restructured(["Text.", table, []]) == (
        "Text.\n\n.. list-table:: Fits\n   :header-rows: 1\n   :class: benchmark\n\n"
        "   * - who\n     - time\n     - n\n   * - ours\n     - 250 ms\n     - 7\n"
        "   * - b\n     -\n     - 7\n   * - c\n     - not installed\n     -"
    )


def test_checks_are_listed_and_only_wrong_results_are_failures():
    missed = check("faster by", 2.0, ">=", 3.0)
    wrong = check("differences", 1, "<=", 0, must=True)
    met = check("differences", 0, "<=", 0, must=True)
    assert markdown([["A finding.", missed, met]]) == (
        "- A finding.\n- faster by: 2 (target: at least 3, missed)\n- differences: 0 (target: at most 0, met)"
    )
    assert failures(["text", [missed, met, "finding"], [wrong]]) == [wrong]


class Options:
    """Options of a command that runs all works."""

    def __init__(self, *work, quick):
        self.work, self.skip, self.repeats, self.budget, self.quick = work, ["skipped"], 1, 1.0, quick


def test_a_report_has_the_figures_ratios_and_targets_of_all_who_took_part(monkeypatch):
    entries = {
        "ours": Entry("ours", [1.0, 2.0, 3.0], 5_000_000, {"n": 1}),
        "peer": Entry("peer", [8.0], 9_000_000, {"n": 2}),
        "gone": Entry("gone", failure="not installed (gone)"),
    }
    asked = {}
    monkeypatch.setattr(_works, "contest", lambda names, *args, **kwargs: asked.update(names) or entries)
    columns = {**columns_of_all(), "n": lambda row: str(row["n"])}
    kind = Kind({"ours": ours, "skipped": slow, "peer": slow}, columns, lambda entries, rows: [])
    targets = [faster_than("peer", 5.0), faster_than("gone", 5.0)]
    works = [
        Work(name, name, "fit", lambda quick: Task(np.ones((7, 2)), 3), targets) for name in ("one", "two")
    ]
    benchmark = Contest(
        works,
        {"fit": kind},
        Task(np.ones((1, 1)), 1),
        sizes=("n", "m", "k"),
        caption="{title} of {n} x {m}",
        figures=lambda entry, *_: entry.outcome,
        clock="perf_counter",
        repeats=3,
    )
    results = {}
    blocks = [block for blocks in benchmark.measure(results, Options("two", quick=False)) for block in blocks]
    assert list(asked) == ["ours", "peer"]
    assert list(results["works"]) == ["two"]
    assert markdown(blocks).splitlines() == [
        *(
            "### two of 7 x 2",
            "",
            "|  | time | turns | over ours | n |",
            "| --- | ---: | ---: | ---: | ---: |",
        ),
        *("| ours | 2 s | 3 | 1 | 1 |", "| peer | 8 s | 1 | 4 | 2 |"),
        *("| gone | not installed (gone) |  |  |  |", ""),
        "- faster than peer by: 4 (target: at least 5, missed)",
    ]
    assert benchmark.report(works[0], Options("one", quick=True))["checks"] == []  # no targets of small sizes


def test_answers_that_disagree_are_wrong():
    labels = np.array([0, 1, 1])
    one = {"labels": labels, "shifts": labels, "inertia": 1.0, "centers": labels, "n_iter": 3}
    entries = {name: Entry(name, [1.0], 0, one) for name in ("ours", "ours (bounds off)")}
    (found,) = peers.KINDS["fit"].checks(entries, {})
    assert found["met"]
    entries["ours (bounds off)"].outcome = one | {"inertia": np.nextafter(1.0, 2.0), "labels": labels[::-1]}
    (found,) = peers.KINDS["fit"].checks(entries, {})
    assert (found["value"], found["met"], found["must"]) == (2, False, True)

    outcomes = {"ours": [[1, 2], [3, 4]], "sparse products": [[1, 2], [5, 6]]}
    entries = {name: Entry(name, [1.0], 0, {"pairs": np.array(rows)}) for name, rows in outcomes.items()}
    (found,) = matching.KINDS["match pairs"].checks(entries, dict.fromkeys(entries))
    assert (found["value"], found["met"], found["must"]) == (2, False, True)


# ----------------------------------------------------------------------------------------------- commands


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Run a benchmark in this process: a function from arguments to the exit code and the results."""
    monkeypatch.setattr(_frame, "in_one_thread", lambda name: None)

    def measure(results, options):
        results.setdefault("runs", []).append(np.float64(options.add))
        results["checks"] = [check("sum", sum(results["runs"]), "<=", 5, must=True)]
        yield ["Some text.", results["checks"]]

    def parts(results):
        return {"part": [f"{len(results['runs'])} runs."]}

    benchmark = Benchmark("trial", "About.", measure, parts, {"--add": {"type": float, "default": 1.0}})

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["trial", "--out", str(tmp_path), *arguments])
        return benchmark.main(), load("trial", tmp_path)

    return run


def test_results_are_added_to_those_of_the_same_size(command, tmp_path, capsys):
    assert command()[1]["runs"] == [1.0]
    code, results = command("--add", "3")
    assert (code, results["runs"], results["quick"]) == (0, [1.0, 3.0], False)
    assert results["environment"]["versions"]["numpy"] == np.__version__
    report = (tmp_path / "trial.md").read_text("utf-8")
    assert report.startswith("Measured on ")
    assert report.endswith("2 runs.\n\n- sum: 4 (target: at most 5, met)\n")
    assert "Some text." in capsys.readouterr().out
    code, results = command("--quick")
    assert (results["runs"], results["quick"]) == ([1.0], True)
    assert "Small sizes" in (tmp_path / "trial.md").read_text("utf-8")
    assert command("--quick")[1]["runs"] == [1.0, 1.0]
    assert command("--quick", "--afresh")[1]["runs"] == [1.0]


def test_a_wrong_result_is_saved_and_told_by_the_exit_code(command, capsys):
    code, results = command("--add", "9")
    assert (code, results["runs"]) == (1, [9.0])
    assert capsys.readouterr().err == "WRONG: sum: 9 (target: at most 5, missed)\n"


def test_a_command_restarts_itself_with_one_thread(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *command: started.append(command))
    monkeypatch.setattr(sys, "argv", ["peers.py", "--quick"])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    _frame.in_one_thread("peers")
    ((program, arguments, environment),) = started
    assert arguments == [program, "-m", "benchmarks.peers", "--quick"]
    assert {environment[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"1"}
    monkeypatch.setattr(os, "environ", environment)
    _frame.in_one_thread("peers")
    assert len(started) == 1


# --------------------------------------------------------------------------------------------------- page

RESULTS = Path(page.__file__).parent / "results"


def test_the_page_and_the_reports_are_what_the_results_give():
    results = {benchmark.name: load(benchmark.name, RESULTS) for benchmark in page.BENCHMARKS}
    parts = page.parts_of(results)
    assert sorted(parts) == sorted(file.stem for file in page.PAGE.glob("*.inc"))
    for name, blocks in parts.items():
        assert (page.PAGE / f"{name}.inc").read_text("utf-8") == restructured(blocks) + "\n", name
    for benchmark in page.BENCHMARKS:
        report = (RESULTS / f"{benchmark.name}.md").read_text("utf-8")
        assert report == markdown(benchmark.report(results[benchmark.name])) + "\n", benchmark.name


def test_a_page_is_written_from_all_results_or_none(monkeypatch, tmp_path, capsys):
    target = tmp_path / "page"
    monkeypatch.setattr(page, "PAGE", target)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["page", "--from", str(tmp_path)])
    for benchmark in page.BENCHMARKS[1:]:
        results = load(benchmark.name, RESULTS) | {"quick": True}
        (tmp_path / f"{benchmark.name}.json").write_text(json.dumps(results), encoding="utf-8")
    assert page.main() == 1
    assert "of: peers. Run them first." in capsys.readouterr().err
    assert not target.exists()
    (tmp_path / "peers.json").write_text((RESULTS / "peers.json").read_text("utf-8"), encoding="utf-8")
    assert page.main() == 0
    assert "**Small sizes" in (target / "environment.inc").read_text("utf-8")
    assert (target / "fits.inc").read_text("utf-8").startswith(".. list-table:: Fit: log returns of panel A.")
