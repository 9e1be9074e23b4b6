"""The folder of results: whole or as it was."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from shapecluster import _files
from shapecluster._files import new_name
from shapecluster.report._folder import publish, staging_folder


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(name)


def names(path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def test_makes_the_folder_with_its_parents_and_publishes_into_it(tmp_path):
    out = tmp_path / "a" / "b"
    with staging_folder(out) as stage:
        fill(stage, "findings.json", "index.html")
        assert names(out) == [stage.name]
        files = publish(stage, out)
    assert [file.name for file in files] == names(out) == ["findings.json", "index.html"]


def test_a_failure_leaves_no_trace_of_a_new_folder(tmp_path):
    out = tmp_path / "a" / "b"
    with suppress(RuntimeError), staging_folder(out) as stage:
        fill(stage, "findings.json")
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_failure_leaves_an_earlier_report_as_it_was(tmp_path):
    (tmp_path / "findings.json").write_text("earlier")
    with suppress(KeyboardInterrupt), staging_folder(tmp_path) as stage:
        fill(stage, "findings.json")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["findings.json"]
    assert (tmp_path / "findings.json").read_text() == "earlier"


def test_files_of_an_earlier_report_are_removed_and_other_files_stay(tmp_path):
    for name in ("cluster_07.png", "lookalikes.csv", "cluster_notes.png", "mine.csv", "findings.json"):
        (tmp_path / name).write_text("earlier")
    with staging_folder(tmp_path) as stage:
        fill(stage, "findings.json", "cluster_00.png")
        publish(stage, tmp_path)
    assert names(tmp_path) == ["cluster_00.png", "cluster_notes.png", "findings.json", "mine.csv"]
    assert (tmp_path / "findings.json").read_text() == "findings.json"


def test_a_run_that_fails_can_leave_a_file_in_a_new_folder(tmp_path):
    out = tmp_path / "out"
    with staging_folder(out) as stage:
        fill(stage, "findings.json")
        fill(out, "prices_arrived.csv")
    assert names(out) == ["prices_arrived.csv"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write to the output directory '.*file': it is a file"):
        staging_folder(tmp_path / "file").__enter__()
    with pytest.raises(ValueError, match=r"cannot write to the output directory '.*below': not a directory"):
        staging_folder(tmp_path / "file" / "below").__enter__()


def test_a_folder_that_takes_no_files_is_refused_before_any_work(tmp_path, monkeypatch):
    make = Path.mkdir

    def make_or_refuse(path, *args, **options):
        if path.parent == tmp_path / "new":
            raise PermissionError(13, "Permission denied")
        make(path, *args, **options)

    # root may write anywhere, so the system cannot refuse
    monkeypatch.setattr(Path, "mkdir", make_or_refuse)
    with pytest.raises(ValueError, match=r"cannot write to the output directory '.*new': permission denied"):
        staging_folder(tmp_path / "new").__enter__()
    assert names(tmp_path) == []


def enter_until_line(out: Path, last: int | None = None) -> int:
    """Enter an output folder, with an interrupt at a line of our code; the number of lines that ran."""
    ours, n_lines = str(Path(_files.__file__).parent), 0

    def trace(frame, event, argument):
        nonlocal n_lines
        if event == "line" and frame.f_code.co_filename.startswith(ours):
            n_lines += 1
            if n_lines == last:
                raise KeyboardInterrupt
        return trace

    folder, before = staging_folder(out), sys.gettrace()
    sys.settrace(trace)
    try:
        folder.__enter__()
    finally:
        sys.settrace(before)
    return n_lines


def test_an_interrupt_at_any_line_leaves_no_folder(tmp_path):
    for name in ("counted", "interrupted"):
        (tmp_path / name).mkdir()
    n_lines = enter_until_line(tmp_path / "counted" / "a" / "b")
    assert n_lines > 20
    for line in range(1, n_lines + 1):
        with pytest.raises(KeyboardInterrupt):
            enter_until_line(tmp_path / "interrupted" / "a" / "b", line)
        assert names(tmp_path / "interrupted") == [], line


def test_what_a_killed_run_left_is_removed(tmp_path):
    left = tmp_path / new_name()
    left.mkdir()
    (left / "findings.json").write_text("half")
    with staging_folder(tmp_path) as stage:
        fill(stage, "findings.json")
        publish(stage, tmp_path)
    assert names(tmp_path) == ["findings.json"]
