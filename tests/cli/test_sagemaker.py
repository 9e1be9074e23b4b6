"""`shapecluster sagemaker`: jobs, what is written and said, interruptions, refusals."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import shapecluster.remote
from shapecluster import LocalKShape, SageMakerKShape
from shapecluster.cli import main
from shapecluster.cli._jobs import job_progress
from shapecluster.cli._location import Location
from shapecluster.datasets import make_market
from shapecluster.preprocessing import LogReturns
from shapecluster.remote import Rehearsal
from shapecluster.remote._outcome import JobProgress
from shapecluster.remote._polling import _INTERVALS

SECONDS = 60
ARN = "arn:aws:sagemaker:us-east-1:123456789012:algorithm/k-shape"
SLEEPS = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(60)"]
FAILS = [
    sys.executable,
    "-c",
    "import sys, pathlib; print('rows: 3'); root = pathlib.Path(sys.argv[3])\n"
    "(root / 'output' / 'failure').write_text('column 7 is empty'); sys.exit(1)",
]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def market():
    return make_market(20, 3, 60, n_late=1, random_state=2)


@pytest.fixture(scope="module")
def files(market, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("input")
    market.prices.T.to_csv(folder / "prices.csv")
    market.prices.dropna().T.to_csv(folder / "complete.csv")
    (folder / "words.csv").write_text("date,A\n2020-01-01,one\n")
    return {path.stem: str(path) for path in folder.iterdir()}


@pytest.fixture
def run(tmp_path, capsys, monkeypatch) -> Run:
    """The exit code, standard output and standard error of a command, whose jobs run in this process."""
    monkeypatch.setattr(shapecluster.remote, "Rehearsal", functools.partial(Rehearsal, in_process=True))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["sagemaker", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def job_of(text: str) -> str:
    return re.search(r"shapecluster-kshape-\d+-\d+-\w+", text)[0]


def one_line(error: str) -> str:
    """The last line of the standard error, which says what went wrong."""
    *_, line = error.splitlines()
    assert line.startswith("shapecluster: ")
    return line


def program(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr(shapecluster.remote, "Rehearsal", functools.partial(Rehearsal, program=command))


# What it does


def test_a_rehearsal_writes_the_labels_of_a_local_fit(run, files, market, tmp_path):
    code, text, error = run("rehearse", "--prices", files["complete"], "-k", "3", "--seed", "5")
    assert code == 0
    labels = pd.read_csv("labels.csv", index_col="ticker", converters={"sbd": float})  # digit by digit
    returns = LogReturns().fit_transform(market.prices.dropna())
    local = LocalKShape(3, max_shift=5, random_state=5).fit(returns).labels_frame()
    pd.testing.assert_frame_equal(labels, local, check_exact=True)
    assert f"{len(labels)} stocks in 3 clusters" in text
    assert "Labels: labels.csv" in text
    name = job_of(text)
    assert f"{name}: Completed" in error
    assert (tmp_path / "shapecluster-rehearsal" / "s3" / "rehearsal").is_dir()


def test_a_process_rehearses_and_another_one_attaches(run, files, tmp_path):
    folder, out = str(tmp_path / "there"), str(tmp_path / "first.csv")
    command = [sys.executable, "-m", "shapecluster.cli", "sagemaker", "rehearse", "--prices", files["prices"]]
    done = subprocess.run(
        [*command, "--k", "3", "--folder", folder, "--out", out],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states = re.findall(r"^shapecluster-kshape-\S+: (\w+)$", done.stderr, re.MULTILINE)
    assert states[-1] == "Completed"
    assert set(states) <= {"Starting", "Downloading", "Training", "Uploading", "Completed"}
    code, text, _ = run(
        *("attach", job_of(done.stdout), "--folder", folder, "--out", "second.csv", "--hourly-rate", "3600")
    )
    assert code == 0
    billed = re.search(r"billed time: (\d+) seconds?. At 3600 an hour that is about (\d+).0000", text)
    assert billed[1] == billed[2]
    assert Path("second.csv").read_bytes() == Path(out).read_bytes()


def test_late_listings_stay_with_our_program_and_are_dropped_for_an_algorithm(run, files, market):
    (late,) = market.prices.index[market.prices.isna().any(axis=1)]
    code, _, error = run("rehearse", "--prices", files["prices"], "-k", "2")
    assert code == 0
    assert late in pd.read_csv("labels.csv")["ticker"].tolist()
    code, text, error = run("rehearse", "--prices", files["prices"], "-k", "2", "--algorithm-arn", ARN)
    assert code == 0
    assert re.search(f"late listing, stock dropped: {late}", error)
    assert "All shifts are tried" in error
    assert late not in pd.read_csv("labels.csv")["ticker"].tolist()
    job = Rehearsal("shapecluster-rehearsal").call(
        "sagemaker.describe_training_job", TrainingJobName=job_of(text)
    )
    assert job["HyperParameters"] == {"k": "2", "label_size": "1"}


def test_levels_are_compared_with_a_warning_and_without_a_bound_on_shifts(run, files, market):
    code, _, error = run("rehearse", "--prices", files["complete"], "-k", "2", "--on", "levels")
    assert code == 0
    assert "two trending prices look alike whatever the companies do" in error
    local = LocalKShape(2, random_state=0).fit(market.prices.dropna())
    assert pd.read_csv("labels.csv")["cluster"].tolist() == local.labels_.tolist()


def test_without_prices_a_rehearsal_runs_on_a_simulated_market_and_says_so(run):
    code, text, error = run("rehearse", "-k", "2", "--folder", "mine")
    assert code == 0
    assert "these are simulated: no such stocks exist" in " ".join(error.split())
    assert "300 stocks in 2 clusters" in text


def test_warnings_are_shown_as_notes(run, market):
    prices = market.prices.dropna().copy()
    prices.iloc[3] = 10.0
    prices.T.to_csv("flat.csv")
    code, _, error = run("rehearse", "--prices", "flat.csv", "-k", "2")
    assert code == 0
    assert re.search(f"^Note: .*{prices.index[3]}", error, re.MULTILINE)
    assert "Warning" not in error


def test_a_job_that_is_not_waited_for_is_collected_later(run, files):
    code, text, _ = run("rehearse", "--prices", files["prices"], "-k", "2", "--no-wait", "--folder", "a b")
    assert code == 0
    assert not Path("labels.csv").exists()
    name = job_of(text)
    assert f"Collect it with: shapecluster sagemaker attach {name} --folder 'a b'" in text
    assert run("attach", name, "--folder", "a b")[0] == 0
    assert len(pd.read_csv("labels.csv")) == 20


def test_a_job_that_runs_is_looked_at_and_stopped(run, files, monkeypatch):
    program(monkeypatch, SLEEPS)
    name = job_of(run("rehearse", "--prices", files["prices"], "-k", "2", "--no-wait")[1])
    where = ("--folder", "shapecluster-rehearsal")
    code, _, error = run("attach", name, *where, "--timeout", "0")
    assert code == 1
    assert one_line(error).endswith(
        f"{name!r} is still running: "
        f"`shapecluster sagemaker attach {name} --folder shapecluster-rehearsal` waits for it."
    )
    assert run("stop", name, *where)[:2] == (0, f"The training job {name} was asked to stop.\n")
    code, _, error = run("attach", name, *where)
    assert code == 1
    assert f"The training job {name!r} was stopped before it was done" in one_line(error)
    assert run("stop", name, *where)[:2] == (0, f"The training job {name} has already ended: Stopped.\n")
    assert not Path("labels.csv").exists()


def test_a_failed_job_shows_the_end_of_its_log_and_one_line_that_says_why(run, files, monkeypatch):
    program(monkeypatch, FAILS)
    code, text, error = run("rehearse", "--prices", files["prices"], "-k", "2")
    assert (code, text) == (1, "")
    assert "\n  rows: 3\n" in error
    assert "failed: AlgorithmError: column 7 is empty, exit code: 1" in one_line(error)
    assert "Its log ends with" not in error


def test_labels_that_cannot_be_written_are_not_lost(run, files, monkeypatch):
    def fails(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", fails)
        code, _, error = run("rehearse", "--prices", files["prices"], "-k", "2", "--folder", "mine")
    assert code == 1
    found = re.search(r"No space left on device. Collect them again: `(.*) --out FILE`", one_line(error))
    shapecluster_, sagemaker, *again = found[1].split()
    assert (shapecluster_, sagemaker) == ("shapecluster", "sagemaker")
    assert run(*again, "--out", "saved.csv")[0] == 0
    assert len(pd.read_csv("saved.csv")) == 20
    assert not list(Path().glob(".labels*"))


# What is left


def test_staged_data_is_listed_and_deleted_with_yes_alone(run, files):
    where = ("--folder", "shapecluster-rehearsal")
    assert run("list-leftovers", *where) == (0, "There are no leftovers.\n", "")
    assert run("rehearse", "--prices", files["prices"], "-k", "2")[0] == 0
    assert run("list-leftovers", *where)[1] == "There are no leftovers.\n"  # too young
    code, text, _ = run("list-leftovers", *where, "--min-age", "0")
    assert (code, text.count("\n")) == (0, 1)
    assert re.match(
        r"staged data s3://rehearsal/shapecluster/\w{40}, since \d{4}-\d\d-\d\d \d\d:\d\d UTC", text
    )
    for _ in range(2):
        code, again, _ = run("clean-up", *where, "--min-age", "0")
        assert (code, again) == (0, f"{text}Nothing was deleted. Add --yes to delete.\n")
    assert run("clean-up", *where, "--min-age", "0", "--yes")[:2] == (0, f"{text}Deleted: 1 of 1.\n")
    assert run("list-leftovers", *where, "--min-age", "0")[1] == "There are no leftovers.\n"


def test_data_that_an_uncollected_job_reads_stays(run, files):
    where = ("--folder", "shapecluster-rehearsal")
    name = job_of(run("rehearse", "--prices", files["prices"], "-k", "2", "--no-wait")[1])
    code, text, _ = run("clean-up", *where, "--min-age", "0", "--yes")
    assert code == 0
    assert f"kept: read by {name}, not collected yet" in text
    assert "Deleted: 0 of 1." in text
    assert run("attach", name, *where)[0] == 0
    assert "Deleted: 1 of 1." in run("clean-up", *where, "--min-age", "0", "--yes")[1]


def test_an_endpoint_that_was_kept_is_listed_and_deleted(run, files):
    where = ("--folder", "shapecluster-rehearsal")
    name = job_of(run("rehearse", "--prices", files["prices"], "-k", "2")[1])
    session = Rehearsal("shapecluster-rehearsal", in_process=True)
    SageMakerKShape.attach(name, session=session).deploy(keep=True, name="kept")
    listed = run("list-leftovers", *where)[1].splitlines()
    for line, kind in zip(listed, ("endpoint kept", "endpoint configuration", "model"), strict=True):
        assert line.startswith(kind)
        assert re.search(r", since \d{4}-\d\d-\d\d \d\d:\d\d UTC$", line)
    assert "Deleted: 3 of 3." in run("clean-up", *where, "--yes")[1]
    assert run("list-leftovers", *where)[1] == "There are no leftovers.\n"


def test_what_cannot_be_deleted_is_an_error(run, files, monkeypatch):
    run("rehearse", "--prices", files["prices"], "-k", "2")
    text = ["staged data 'x' (AccessError: no)"]
    monkeypatch.setattr("shapecluster.remote._leftovers._delete_data", lambda *_: text)
    code, _, error = run("clean-up", "--folder", "shapecluster-rehearsal", "--min-age", "0", "--yes")
    assert (code, error) == (1, "shapecluster: Could not be deleted: staged data 'x' (AccessError: no).\n")


# In a terminal


def test_a_terminal_shows_one_line_that_changes():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, markup=False, highlight=False)
    with job_progress(console) as update:
        for state in ("Starting", "Training"):
            update(JobProgress("job-1", "InProgress", state, "", 1.0, (f"\x1b[2J{state} " + "x" * 200,)))
            time.sleep(0.15)
    text = screen.getvalue()
    assert text.count("Training job job-1") == 1
    assert "Starting" in text
    assert "Training  \ufffd[2JTraining" in text
    assert "\x1b[2J" not in text


def test_in_a_terminal_the_line_is_gone_before_the_result_is_printed(files, tmp_path):
    pty = pytest.importorskip(
        "pty", reason="only a system with pseudo-terminals can show what a terminal gets"
    )
    reader, writer = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "shapecluster.cli",
        "sagemaker",
        "rehearse",
        "--prices",
        files["complete"],
    ]
    with subprocess.Popen(
        [*command, "-k", "2"], stdout=writer, stderr=writer, stdin=subprocess.DEVNULL, cwd=tmp_path
    ) as process:
        os.close(writer)
        shown = b""
        with contextlib.suppress(OSError):  # so Linux says that the other side has closed
            while more := os.read(reader, 4096):
                shown += more
        os.close(reader)
    assert process.returncode == 0
    before, _, after = shown.decode().partition("The training job ")
    assert "Training" in before
    assert before.endswith("\x1b[1A\x1b[2K")  # the line of progress is wiped
    assert "\x1b[2K" not in after
    assert "Labels: labels.csv" in after


# Interruptions


def interrupted(folder: Path, files: dict[str, str], *options: str) -> tuple[int, str]:
    """Send SIGINT to a command whose job sleeps; its exit code and its standard error."""
    code = (
        "import functools, sys, shapecluster.remote as remote\n"
        f"remote.Rehearsal = functools.partial(remote.Rehearsal, program={SLEEPS!r})\n"
        "from shapecluster.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = ["sagemaker", "rehearse", "--prices", files["prices"], "-k", "2", "--folder", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *command, *options],
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        before = []
        for line in process.stderr:
            before.append(line)
            if line.endswith(": Training\n"):
                break
        process.send_signal(signal.SIGINT)
        text, error = process.communicate(timeout=SECONDS)
    assert text == ""
    return process.returncode, "".join(before) + error


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to another process")
def test_an_interrupt_stops_the_job_and_says_so(files, tmp_path):
    code, error = interrupted(tmp_path / "there", files)
    # CPython may repeat the signal to itself at exit, where it hit inside `exec` of a string.
    assert code in (130, -signal.SIGINT)
    name = job_of(error)
    assert f"Interrupted: stopping The training job {name!r}. Interrupt again to let it run on." in error
    assert one_line(error) == f"shapecluster: interrupted. The training job {name!r} was stopped."
    assert error.count("was stopped") == 1
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to another process")
def test_an_interrupt_can_leave_the_job_running_and_says_how_to_attach(run, files, tmp_path):
    code, error = interrupted(tmp_path / "there", files, "--on-interrupt", "detach")
    assert code in (130, -signal.SIGINT)
    name, where = job_of(error), f"--folder {tmp_path / 'there'}"
    assert one_line(error) == (
        f"shapecluster: interrupted. The training job {name!r} runs on. "
        f"`shapecluster sagemaker attach {name} {where}` takes it up again, "
        f"`shapecluster sagemaker stop {name} {where}` ends it."
    )
    assert run("stop", name, *where.split())[1] == f"The training job {name} was asked to stop.\n"


# On AWS, emulated


@pytest.mark.parametrize("what", ["image", "algorithm"])
def test_fits_on_aws_and_attaches(run, files, emulator, what, monkeypatch):
    monkeypatch.setitem(_INTERVALS, "aws", 0.05)
    given = ["--image", "123456789012.dkr.ecr.us-east-1.amazonaws.com/shapecluster:1"]
    if what == "algorithm":
        given = ["--algorithm-arn", emulator.algorithm_arn, "--instance-type", "ml.m5.4xlarge"]
    code, text, error = run(
        *("fit", "--prices", files["prices"], "-k", "2", "--role", emulator.role, "--region", "us-east-1"),
        *("--prefix", "mine", "--max-run", "600", *given),
    )
    assert code == 0, error
    (created,) = emulator.calls("CreateTrainingJob")
    request = created.request
    assert request["RoleArn"] == emulator.role
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert request["OutputDataConfig"]["S3OutputPath"].startswith(f"s3://{emulator.bucket}/mine/")
    first = Path("labels.csv").read_bytes()
    assert first.count(b"\n") == (21 if what == "image" else 20)
    code, _, _ = run("attach", job_of(text), "--region", "us-east-1", "--out", "again.csv")
    assert code == 0
    assert Path("again.csv").read_bytes() == first


def test_a_parameter_that_the_algorithm_does_not_have_is_refused(run, files, emulator):
    code, text, error = run(
        *("fit", "--prices", files["complete"], "--role", emulator.role, "--seed", "1"),
        *("--algorithm-arn", emulator.algorithm_arn, "--instance-type", "ml.m5.4xlarge"),
    )
    assert (code, text) == (2, "")
    assert "--seed must be at its default, None" in one_line(error)
    assert not emulator.calls("CreateTrainingJob")


def test_a_profile_that_is_not_there_is_said_in_one_line(run, files, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    code, text, error = run("fit", "--prices", files["prices"], "--profile", "nobody", "--image", "x/y:1")
    assert (code, text) == (1, "")
    assert "The config profile (nobody) could not be found" in error
    assert error.count("\n") == 1


# What it refuses: one line on the standard error, nothing made and nothing billed

BAD = {
    "no prices": ("fit --image a/b:1", "--prices must name a file"),
    "nothing to run": (
        "fit --prices {prices}",
        "--algorithm-arn or --image must name the program to run on AWS",
    ),
    "no such file": ("rehearse --prices nowhere.csv", "nowhere.csv: there is no such file"),
    "words for prices": ("rehearse --prices {words}", "line 2"),
    "k of zero": ("rehearse --k 0", "--k"),
    "k of words": ("rehearse -k some", "-k"),
    "k above n": ("rehearse --prices {prices} -k 21", "--k must be at most the 20 stocks. Got 21"),
    "a bad kind": ("rehearse --on prices", "--on must be log-returns or levels. Got 'prices'"),
    "a negative lag": ("rehearse --max-shift -1", "--max-shift must be a number of trading days"),
    "a bad interrupt": (
        "rehearse --on-interrupt ignore",
        "--on-interrupt must be stop or detach. Got",
    ),
    "no time": ("rehearse --max-run 0", "--max-run must be a whole number, 1 or more. Got '0'"),
    "a bad machine": ("fit --prices {prices} --image a/b:1 --instance-type big", "--instance-type must be"),
    "no ARN": ("rehearse --prices {prices} --algorithm-arn k-shape", "--algorithm-arn must look like"),
    "labels to a folder": ("rehearse --out .", "--out cannot be written to '.': it is a folder"),
    "labels to nowhere": ("rehearse --out no/labels.csv", "there is no folder"),
    "a folder with a region": ("attach job-1 --folder x --region y", "--folder is for a rehearsal"),
    "no job": ("attach", "JOB"),
    "a bad name": ("attach job_1 --folder x", "JOB must be"),
    "an unknown option": ("rehearse --color red", "--color"),
    "an unknown command": ("train", "No such command 'train'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(run, files, tmp_path, case):
    line, expected = BAD[case]
    code, text, error = run(*line.format(**files).split())
    assert code == 2
    assert text == ""
    assert expected in one_line(error)
    assert not list(tmp_path.glob("*/sagemaker"))
    assert not (tmp_path / "labels.csv").exists()


def test_a_job_that_does_not_exist_is_said_in_one_line(run):
    code, text, error = run("attach", "job-1", "--folder", "nowhere")
    assert (code, text) == (1, "")
    assert "There is no training job 'job-1'" in error
    assert error.count("\n") == 1


def test_a_missing_package_is_said_in_one_line(files):
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("boto3", "matplotlib", "jinja2"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from shapecluster.cli import main
sys.exit(main(["sagemaker", "fit", "--prices", {files["prices"]!r}, "--image", "a/b:1"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert 'needs boto3, which is not installed: pip install "shapecluster[aws]"' in one_line(done.stderr)


def test_no_command_shows_the_help(run):
    code, text, _ = run()
    assert code == 0
    for name in ("rehearse", "fit", "attach", "stop", "list-leftovers", "clean-up"):
        assert re.search(rf"\b{name}\b", text)


def test_commands_for_a_location_are_quoted():
    location = Location(region="eu-west-1", profile="my desk")
    assert location.command("attach", "job-1") == (
        "shapecluster sagemaker attach job-1 --region eu-west-1 --profile 'my desk'"
    )
