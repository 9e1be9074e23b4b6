"""A rehearsal has the states, errors and files of the real thing, and lives on without its process."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.base import clone

from shapecluster import _programs
from shapecluster._programs import container_programs
from shapecluster.exceptions import (
    InvalidRequestError,
    JobFailedError,
    JobStoppedError,
    NameTakenError,
    NotFoundError,
    RemoteError,
)
from shapecluster.remote import Job, Rehearsal
from shapecluster.remote._logs import LogReader
from shapecluster.remote._polling import JobClient
from shapecluster.remote._rehearsal import programs, supervisor
from shapecluster.remote._rehearsal.records import Records, Refusal
from shapecluster.remote._request import TrainingSpec
from shapecluster.remote._staging import StagedDataset
from shapecluster.remote._training import attach_training, start_training

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a rehearsal needs process groups and file locks")

needs_proc = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="the test finds processes in /proc, which only Linux has"
)

STUB = [sys.executable, "-S", "-E", str(Path(__file__).with_name("stub.py"))]
DATA = "s3://rehearsal/p/0/data/"
JOB = Job(poll_interval=0.01)


@pytest.fixture
def rehearsal(tmp_path) -> Rehearsal:
    found = Rehearsal(tmp_path / "cloud", program=STUB)
    found.upload(io.BytesIO(b"1,2\n"), DATA + "part-0.csv")
    found.upload(io.BytesIO(b"3,4\n"), DATA + "part-1.csv")
    return found


def start(rehearsal, job=JOB, **hyperparameters):
    spec = TrainingSpec(
        algorithm="image",
        channels={"train": StagedDataset(DATA.removesuffix("/data/"), "text/csv")},
        hyperparameters=hyperparameters,
        role=str(rehearsal.default_role()),
        output_uri="s3://rehearsal/p/models",
    )
    return start_training(JobClient(rehearsal, job), spec)


def members(rehearsal, outcome):
    with outcome.open_model() as file, tarfile.open(fileobj=file) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}


def job_folder(rehearsal, run):
    return rehearsal.path / "sagemaker" / "training-job" / run.name


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_job_goes_through_its_states_and_leaves_a_model(rehearsal):
    run = start(rehearsal)
    outcome = run.result()
    assert outcome.artifact_uri == f"s3://rehearsal/p/models/{run.name}/output/model.tar.gz"
    assert members(rehearsal, outcome) == {"centroids": b"1,2\n3,4\n"}
    description = outcome.description
    assert [t["Status"] for t in description["SecondaryStatusTransitions"]] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed")
    ]
    assert description["CreationTime"] <= description["TrainingStartTime"] <= description["TrainingEndTime"]
    assert outcome.billable_seconds == 1
    assert not (job_folder(rehearsal, run) / "root/input/data").exists()


def test_the_program_finds_what_sagemaker_would_give_it(rehearsal):
    run = start(rehearsal, Job(poll_interval=0.01, instance_count=2), k="3")
    run.result()
    config = job_folder(rehearsal, run) / "root/input/config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"k": "3"}
    assert json.loads((config / "inputdataconfig.json").read_text()) == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert json.loads((config / "resourceconfig.json").read_text())["hosts"] == ["algo-1"]


def test_the_program_sees_no_variable_of_aws_and_no_home(rehearsal, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "MY_PASSWORD"):
        monkeypatch.setenv(name, "planted-secret")
    seen = json.loads(members(rehearsal, start(rehearsal, environment="1").result())["environment"])
    assert "planted-secret" not in seen.values()
    assert not [name for name in seen if name.startswith("AWS_")]
    assert seen["HOME"] != os.environ.get("HOME")
    everything = [p.read_bytes() for p in rehearsal.path.rglob("*") if p.is_file()]
    assert not [data for data in everything if b"planted-secret" in data]


def test_a_failure_is_told_in_the_programs_own_words(rehearsal):
    run = start(rehearsal, fail="k must be at most 2" + "." * 2000, lines="3")
    with pytest.raises(JobFailedError) as caught:
        run.result()
    assert (
        caught.value.failure_reason == f"AlgorithmError: {'k must be at most 2' + '.' * 1005}, exit code: 7"
    )
    assert caught.value.log_tail == ("channel train", "line 0", "line 1", "line 2")
    assert not list(rehearsal.list("s3://rehearsal/p/models"))


def test_data_that_is_not_there_is_told(rehearsal):
    for uri in list(rehearsal.list(DATA)):
        rehearsal.delete(uri)
    with pytest.raises(
        JobFailedError, match="no file is under s3://rehearsal/p/0/data/, the data of channel train"
    ):
        start(rehearsal).result()


def test_a_program_that_cannot_be_started_is_told(tmp_path, rehearsal):
    broken = Rehearsal(rehearsal.path, program=[str(tmp_path / "nothing")])
    with pytest.raises(JobFailedError, match="cannot be started"):
        start(broken).result()


def test_news_come_with_the_log(rehearsal):
    news = []
    spec = TrainingSpec(
        "image",
        {"train": StagedDataset(DATA.removesuffix("/data/"), "text/csv")},
        {"lines": "2"},
        "role",
        "s3://rehearsal/p/models",
    )
    start_training(JobClient(rehearsal, JOB), spec, progress=news.append).result()
    assert [line for n in news for line in n.lines] == ["channel train", "line 0", "line 1"]
    assert news[-1].status == "Completed"


def test_a_log_is_read_page_by_page(rehearsal, monkeypatch):
    from shapecluster.remote._rehearsal import jobs

    monkeypatch.setattr(jobs, "PAGE", 7)
    run = start(rehearsal, lines="30")
    run.result()
    reader = LogReader(rehearsal, run.name)
    assert reader.read() == ["channel train", *(f"line {i}" for i in range(30))]
    assert reader.read() == []
    assert LogReader(rehearsal, "nothing").read() == []


def test_a_stopped_job_ends_at_sigterm_and_is_no_success(rehearsal):
    run = start(rehearsal, sleep="60", save_on_sigterm="1")
    wait_until((job_folder(rehearsal, run) / "root/output/data/ready").exists)
    run.stop()
    with pytest.raises(JobStoppedError, match="Someone stopped it"):
        run.result()
    description = run.describe()
    assert description["SecondaryStatus"] == "Stopped"
    assert rehearsal.exists(description["ModelArtifacts"]["S3ModelArtifacts"])  # as on SageMaker
    run.stop()  # once more does no harm


def test_a_job_ends_at_its_limit(rehearsal):
    run = start(rehearsal, Job(poll_interval=0.01, max_run_seconds=1), sleep="60")
    with pytest.raises(JobStoppedError, match="max_run_seconds=1"):
        run.result()


@needs_proc
def test_a_program_that_does_not_end_is_killed_with_all_it_started(rehearsal, monkeypatch):
    from shapecluster.remote._rehearsal import training

    monkeypatch.setattr(training, "GRACE", 0.1)
    run = start(rehearsal, sleep="60", ignore_sigterm="1", child="1")
    wait_until((job_folder(rehearsal, run) / "root/output/data/ready").exists)
    name = f"JOB_NAME={run.name}".encode()
    wait_until(lambda: len(_processes(name)) == 2)  # the program and its child
    group = _processes(name)
    run.stop()
    with pytest.raises(JobStoppedError):
        run.result()
    for process in group:
        wait_until(lambda process=process: gone(int(process.name)))


def _processes(variable):
    return [p for p in Path("/proc").glob("[0-9]*") if variable in _environ(p)]


def _environ(process):
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


@needs_proc
def test_a_supervisor_that_was_killed_is_a_failed_job(rehearsal):
    run = start(rehearsal, sleep="5")
    folder = job_folder(rehearsal, run)
    wait_until((folder / "root/output/data/ready").exists)
    lines = [(p, _command(p)) for p in Path("/proc").glob("[0-9]*")]
    (pid,) = [int(p.name) for p, c in lines if "supervisor.py" in c and str(folder) in c]
    programs = [int(p.name) for p, c in lines if "stub.py" in c and str(folder) in c]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(JobFailedError, match="ended from outside"):
        run.result()
    for program in programs:
        os.kill(program, signal.SIGKILL)


def _command(process):
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@needs_proc
def test_a_job_ends_when_its_folder_is_removed(rehearsal):
    run = start(rehearsal, sleep="60")
    wait_until((job_folder(rehearsal, run) / "root/output/data/ready").exists)
    name = f"JOB_NAME={run.name}".encode()
    assert len(_processes(name)) == 1
    shutil.rmtree(rehearsal.path)
    wait_until(lambda: not _processes(name))
    wait_until(lambda: not [p for p in Path("/proc").glob("[0-9]*") if run.name in _command(p)])
    assert not (rehearsal.path / "sagemaker").exists()


def test_checkpoints_are_kept_and_found_by_the_next_job(rehearsal):
    job = Job(poll_interval=0.01, checkpoint="s3://rehearsal/checkpoints")
    for expected in (b"x", b"xx"):
        start(rehearsal, job).result()
        with rehearsal.open("s3://rehearsal/checkpoints/seen") as file:
            assert file.read() == expected


def test_names_are_taken_once(rehearsal):
    run = start(rehearsal)
    request = json.loads((job_folder(rehearsal, run) / "record.json").read_text())["request"]
    with pytest.raises(NameTakenError, match="must be unique"):
        rehearsal.call("sagemaker.create_training_job", **request)
    run.result()


def test_jobs_and_files_that_are_not_there_are_told(rehearsal):
    with pytest.raises(NotFoundError):
        attach_training(rehearsal, "nothing")
    with pytest.raises(NotFoundError):
        rehearsal.open("s3://rehearsal/nothing")
    with pytest.raises(NotFoundError):
        rehearsal.open("s3://rehearsal/p")
    with pytest.raises(ValueError, match=r"no '\.' or '\.\.'"):
        rehearsal.open("s3://rehearsal/../sagemaker")
    with pytest.raises(InvalidRequestError):
        rehearsal.call("sagemaker.describe_training_job", TrainingJobName="../../etc")
    with pytest.raises(RemoteError, match="does not know"):
        rehearsal.call("sagemaker.create_hub")


def test_a_job_outlives_its_process_and_is_found_by_another(rehearsal, tmp_path):
    go, hyperparameters = tmp_path / "go", {"until": str(tmp_path / "go")}
    code = f"""
from shapecluster.remote import Rehearsal
from shapecluster.remote._polling import JobClient
from shapecluster.remote._request import TrainingSpec
from shapecluster.remote._staging import StagedDataset
from shapecluster.remote._training import start_training
rows = StagedDataset({DATA.removesuffix("/data/")!r}, "text/csv")
spec = TrainingSpec("image", {{"train": rows}}, {hyperparameters!r}, "r", "s3://rehearsal/m")
print(start_training(JobClient(Rehearsal({str(rehearsal.path)!r}, program={STUB!r})), spec).name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    run, description = attach_training(JobClient(Rehearsal(rehearsal.path), JOB), done.stdout.strip())
    assert description["TrainingJobStatus"] == "InProgress"
    go.touch()
    assert members(rehearsal, run.result()) == {"centroids": b"1,2\n3,4\n"}


def test_whoever_sees_a_job_that_just_starts_finds_it_alive(rehearsal, monkeypatch):
    real, seen = programs.subprocess.run, []

    def run(command, **options):
        (name,) = os.listdir(rehearsal.path / "sagemaker" / "training-job")
        seen.append(attach_training(JobClient(Rehearsal(rehearsal.path), JOB), name)[1]["TrainingJobStatus"])
        return real(command, **options)

    monkeypatch.setattr(programs.subprocess, "run", run)
    assert members(rehearsal, start(rehearsal).result()) == {"centroids": b"1,2\n3,4\n"}
    assert seen == ["InProgress"]


def test_files_are_whole_listed_in_order_and_removed_with_their_folders(rehearsal):
    class Breaks(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        rehearsal.upload(io.BufferedReader(Breaks()), "s3://rehearsal/x/broken")
    assert not rehearsal.exists("s3://rehearsal/x/broken")
    assert list(rehearsal.list("s3://rehearsal/p/0/data/part")) == [DATA + "part-0.csv", DATA + "part-1.csv"]
    assert list(rehearsal.list("s3://rehearsal/p/0/data/part-1")) == [DATA + "part-1.csv"]
    for uri in list(rehearsal.list("s3://rehearsal/p/")):
        rehearsal.delete(uri)
        rehearsal.delete(uri)
    assert not list((rehearsal.path / "s3/rehearsal").iterdir())


def test_a_rehearsal_is_shared_by_clones_and_can_be_pickled(rehearsal):
    assert clone(rehearsal, safe=False) is rehearsal
    assert copy.deepcopy(rehearsal) is rehearsal
    assert pickle.loads(pickle.dumps(rehearsal)) == rehearsal
    assert rehearsal != Rehearsal(rehearsal.path)
    assert repr(Rehearsal("/a", in_process=True)) == "Rehearsal('/a', in_process=True)"


@pytest.mark.parametrize("program", ["python", [1]])
def test_a_program_is_a_list_of_str(tmp_path, program):
    with pytest.raises(ValueError, match="program of Rehearsal"):
        Rehearsal(tmp_path, program=program)


def test_a_program_in_this_process_is_no_command(tmp_path):
    with pytest.raises(ValueError, match="in_process"):
        Rehearsal(tmp_path, program=STUB, in_process=True)


# ------------------------------------------------------------------------------------------- in process


@pytest.fixture
def inside(tmp_path, monkeypatch) -> Rehearsal:
    def main(argv):
        assert argv[0] == "train"
        root = Path(argv[argv.index("--root") + 1])
        hyperparameters = json.loads((root / "input/config/hyperparameters.json").read_text())
        if "raise" in hyperparameters:
            raise RuntimeError(hyperparameters["raise"])
        if "exit" in hyperparameters:
            (root / "output/failure").write_text("said so")
            sys.exit(int(hyperparameters["exit"]))
        (root / "model/centroids").write_text(argv[argv.index("--algorithm") + 1])

    given = replace(container_programs(), load_main=lambda: main)
    monkeypatch.setattr(_programs, "_provider", lambda: given)
    found = Rehearsal(tmp_path / "cloud", in_process=True)
    found.upload(io.BytesIO(b"1,2\n"), DATA + "part-0.csv")
    return found


def test_a_job_in_this_process_is_over_when_it_is_created(inside):
    run = start(inside)
    assert run.describe()["TrainingJobStatus"] == "Completed"
    assert members(inside, run.result()) == {"centroids": b"k-shape"}


def test_a_job_in_this_process_fails_as_any_other(inside):
    with pytest.raises(JobFailedError, match="said so, exit code: 3"):
        start(inside, exit="3").result()
    with pytest.raises(JobFailedError, match="exit code: 1") as caught:
        start(inside, **{"raise": "boom"}).result()
    assert "RuntimeError: boom" in caught.value.log_tail[-1]


@pytest.mark.parametrize(
    ("image", "algorithm"),
    [
        ("438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1", "k-means"),
        ("1234.dkr.ecr.eu-west-1.amazonaws.com/my-kmeans:1", "k-shape"),
        ("arn:aws:sagemaker:eu-west-1:1234:algorithm/k-shape", "k-shape"),
    ],
)
def test_the_built_in_k_means_is_told_by_its_image(image, algorithm):
    assert container_programs().algorithm_for(image) == algorithm


@pytest.mark.parametrize("in_process", [False, True])
def test_a_job_needs_no_estimator_to_find_its_program(tmp_path, in_process):
    """The package hands the program over whoever imports `remote`; and imports it when a job needs it."""
    code = f"""
import io, sys
from shapecluster.remote import Rehearsal
rehearsal = Rehearsal({str(tmp_path)!r}, in_process={in_process})
rehearsal.upload(io.BytesIO(b"1,2,3\\n3,2,2\\n"), {DATA!r} + "part-0.csv")
assert not [name for name in sys.modules if name.startswith("shapecluster.container")]
source = {{"S3DataType": "S3Prefix", "S3Uri": {DATA!r}}}
channel = {{"ChannelName": "train", "DataSource": {{"S3DataSource": source}}, "ContentType": "text/csv"}}
rehearsal.call(
    "sagemaker.create_training_job",
    TrainingJobName="job",
    AlgorithmSpecification={{"TrainingImage": "image", "TrainingInputMode": "File"}},
    HyperParameters={{"k": "1"}},
    InputDataConfig=[channel],
    OutputDataConfig={{"S3OutputPath": "s3://rehearsal/models"}},
    ResourceConfig={{"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    StoppingCondition={{"MaxRuntimeInSeconds": 100}},
)
assert "shapecluster.sagemaker" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    run, _ = attach_training(JobClient(Rehearsal(tmp_path), JOB), "job")
    assert run.result().artifact_uri == "s3://rehearsal/models/job/output/model.tar.gz"


def test_programs_that_nobody_handed_over_are_missed_by_name(monkeypatch):
    monkeypatch.setattr(_programs, "_provider", None)
    with pytest.raises(RuntimeError, match="provide_programs"):
        container_programs()


def test_what_main_returns_or_raises_is_an_exit_code():
    assert programs.exit_code(lambda _: None, []) == 0
    assert programs.exit_code(len, ["a", "b"]) == 2
    assert programs.exit_code(sys.exit, ["text"]) == 1


# ------------------------------------------------------------------------------------------- supervisor


def test_the_supervisor_needs_the_standard_library_only():
    code = f"import sys, runpy; runpy.run_path({supervisor.__file__!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"numpy", "shapecluster", "pandas"} & set(done.stdout.split())


def test_files_are_replaced_at_once(tmp_path):
    path = tmp_path / "x.json"
    supervisor.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        supervisor.write_json(path, {"a": object()})
    assert supervisor.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_claimed_once(tmp_path):
    models = Records(Rehearsal(tmp_path), "model")
    folder = models.claim("b")
    with pytest.raises(Refusal, match="already existing"):
        models.claim("b")
    assert not programs.is_alive(folder)
    with programs.locked(tmp_path):
        assert programs.is_alive(tmp_path)
    assert not programs.is_alive(tmp_path)


@pytest.mark.parametrize(("on_interrupt", "status"), [("stop", "Stopped"), ("detach", "InProgress")])
def test_jobs_that_other_threads_wait_for_do_not_outlive_the_interpreter_unless_detached(
    rehearsal, tmp_path, on_interrupt, status
):
    code = f"""
import sys, threading
from pathlib import Path
from shapecluster.remote import Job, Rehearsal
from shapecluster.remote._polling import JobClient
from shapecluster.remote._request import TrainingSpec
from shapecluster.remote._staging import StagedDataset
from shapecluster.remote._training import start_training
rows = StagedDataset({DATA.removesuffix("/data/")!r}, "text/csv")
spec = TrainingSpec("image", {{"train": rows}}, {{"sleep": "60"}}, "r", "s3://rehearsal/m")
platform = Rehearsal({str(rehearsal.path)!r}, program={STUB!r})
job = Job(on_interrupt={on_interrupt!r}, poll_interval=0.01)
started = threading.Event()
def progress(news):
    if news.secondary_status == "Training":
        started.set()
def run():
    start_training(JobClient(platform, job), spec, progress=progress).result()
threading.Thread(target=run, daemon=True).start()
assert started.wait(20)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    (folder,) = (rehearsal.path / "sagemaker/training-job").iterdir()
    run, _ = attach_training(JobClient(rehearsal, JOB), folder.name)
    if status == "Stopped":
        assert "was asked to stop" in done.stderr
        with pytest.raises(JobStoppedError):
            run.result()
    else:
        assert run.describe()["TrainingJobStatus"] == "InProgress"
        run.stop()
        with pytest.raises(JobStoppedError):
            run.result()
