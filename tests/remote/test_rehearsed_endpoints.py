"""Endpoints, batch transforms and what is left of them, in a rehearsal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shapecluster import _programs
from shapecluster._programs import container_programs
from shapecluster.exceptions import (
    EndpointError,
    InvalidRequestError,
    JobFailedError,
    NameTakenError,
    NotFoundError,
    RemoteError,
)
from shapecluster.remote import Endpoint, Job, Rehearsal, clean_up, list_leftovers
from shapecluster.remote._endpoints import deploy, deployed
from shapecluster.remote._leftovers import STAGED
from shapecluster.remote._polling import JobClient
from shapecluster.remote._rehearsal.programs import read_log
from shapecluster.remote._request import TrainingSpec
from shapecluster.remote._retries import Clock
from shapecluster.remote._staging import Dataset, StagedDataset, mark_collected, stage
from shapecluster.remote._training import start_training
from shapecluster.remote._transform import run_transform
from tests.remote.fakes import ARN, ROLE, trained

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a rehearsal needs process groups and file locks")

STUB = [sys.executable, "-S", "-E", str(Path(__file__).with_name("stub.py"))]
JOB = Job(poll_interval=0.01)
LATER = Clock(wall=lambda: time.time() + 4000)
MODEL = "s3://rehearsal/models/model.tar.gz"
IMAGE = trained("image", MODEL)


def archive(*members: tarfile.TarInfo | str) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = 4 if info.isfile() else 0
            tar.addfile(info, io.BytesIO(b"data"))
    file.seek(0)
    return file


@pytest.fixture
def rehearsal(tmp_path) -> Rehearsal:
    found = Rehearsal(tmp_path / "cloud", program=STUB)
    found.upload(archive("centroids"), MODEL)
    return found


def things(rehearsal) -> list[str]:
    kinds = ("endpoint", "endpoint-config", "model", "model-package")
    return [kind for kind in kinds if list((rehearsal.path / "sagemaker").glob(f"{kind}/*"))]


@pytest.mark.parametrize("source", [IMAGE, trained(ARN, MODEL)])
def test_an_endpoint_answers_and_goes(rehearsal, source):
    with deployed(JobClient(rehearsal, JOB), source) as endpoint:
        assert endpoint.status == "InService"
        assert endpoint.invoke(b"1,2\n1,2,3\n", "text/csv") == b"3\n5\n"
        with pytest.raises(EndpointError, match="row 0 is no number") as caught:
            endpoint.invoke(b"bad", "text/csv")
        assert caught.value.status == 400
        with pytest.raises(EndpointError, match="server error") as caught:
            endpoint.invoke(b"break", "text/csv")
        assert caught.value.status == 500
        folder = next((rehearsal.path / "sagemaker/endpoint").iterdir())
        end = time.monotonic() + 20
        while not read_log(folder) and time.monotonic() < end:  # the supervisor writes it after the answer
            time.sleep(0.005)
        assert [event["message"] for event in read_log(folder)].count("serving ['centroids']") == 1
    assert things(rehearsal) == []
    with pytest.raises(NotFoundError):
        Endpoint.attach(endpoint.name, rehearsal)


def test_a_kept_endpoint_is_found_by_another_rehearsal_of_the_folder(rehearsal):
    deploy(JobClient(rehearsal, JOB), IMAGE, name="prices")
    with pytest.raises(NameTakenError):
        deploy(JobClient(rehearsal, JOB), IMAGE, name="prices")
    other = Rehearsal(rehearsal.path)
    with Endpoint.attach("prices", other) as endpoint:
        assert endpoint.invoke(b"1,2\n", "text/csv") == b"3\n"
    assert things(rehearsal) == []


def test_a_server_that_ends_is_an_endpoint_that_failed(rehearsal):
    rehearsal.upload(archive("broken"), MODEL)
    with pytest.raises(EndpointError, match="the model is broken"):
        deploy(JobClient(rehearsal, JOB), IMAGE)
    assert things(rehearsal) == []


def test_a_model_that_is_not_there_is_an_endpoint_that_failed(rehearsal):
    rehearsal.delete(MODEL)
    with pytest.raises(EndpointError, match="There is no file"):
        deploy(JobClient(rehearsal, JOB), IMAGE)
    assert things(rehearsal) == []


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        "../outside",
        "/absolute",
        link("a", "/etc/passwd", tarfile.SYMTYPE),
        link("b", "../x", tarfile.LNKTYPE),
    ],
    ids=["up", "absolute", "symlink", "hardlink"],
)
def test_an_archive_that_reaches_outside_is_refused(rehearsal, tmp_path, member):
    rehearsal.upload(archive("centroids", member), MODEL)
    with pytest.raises(EndpointError, match="archive is refused"):
        deploy(JobClient(rehearsal, JOB), IMAGE)
    assert not list(tmp_path.rglob("outside"))


def test_an_archive_that_is_cut_short_is_refused(rehearsal):
    rehearsal.upload(io.BytesIO(archive("centroids").getvalue()[:40]), MODEL)
    with pytest.raises(EndpointError, match="cannot be read"):
        deploy(JobClient(rehearsal, JOB), IMAGE)


def test_requests_have_the_limits_of_the_real_thing(rehearsal):
    with deployed(JobClient(rehearsal, JOB), IMAGE) as endpoint:
        request = {"EndpointName": endpoint.name, "Body": bytes(6 * 2**20 + 1), "ContentType": "text/csv"}
        with pytest.raises(InvalidRequestError, match="exceeds the limit"):
            rehearsal.call("sagemaker-runtime.invoke_endpoint", **request)


def transform(rehearsal, training=IMAGE):
    rows = StagedDataset("s3://rehearsal/in", "text/csv")
    return run_transform(JobClient(rehearsal, JOB), training, rows, "text/csv", "s3://rehearsal/out")


def test_a_transform_answers_every_file(rehearsal):
    rehearsal.upload(io.BytesIO(b"1\n22\n"), "s3://rehearsal/in/data/part-0.csv")
    rehearsal.upload(io.BytesIO(b"333\n"), "s3://rehearsal/in/data/part-1.csv")
    outputs = transform(rehearsal)
    answers = []
    for uri in outputs:
        with rehearsal.open(uri) as file:
            answers.append(file.read())
    assert answers == [b"1\n2\n", b"3\n"]
    assert things(rehearsal) == []


def test_a_transform_cuts_files_at_the_limit_between_records(rehearsal):
    line = b"x" * 999 + b"\n"
    rehearsal.upload(io.BytesIO(line * 8000), "s3://rehearsal/in/data/part-0.csv")
    (uri,) = transform(rehearsal)
    with rehearsal.open(uri) as file:
        assert file.read() == b"999\n" * 8000


def test_a_transform_of_what_the_model_refuses_fails(rehearsal):
    rehearsal.upload(io.BytesIO(b"bad\n"), "s3://rehearsal/in/data/part-0.csv")
    with pytest.raises(JobFailedError, match="row 0 is no number"):
        transform(rehearsal)
    assert things(rehearsal) == []


def test_a_transform_whose_server_does_not_start_fails(rehearsal):
    rehearsal.upload(archive("broken"), MODEL)
    rehearsal.upload(io.BytesIO(b"1\n"), "s3://rehearsal/in/data/part-0.csv")
    with pytest.raises(JobFailedError, match="the model is broken"):
        transform(rehearsal)


def test_servers_in_this_process_answer_without_a_port(tmp_path, monkeypatch):
    def load(model):
        text = (model / "centroids").read_bytes()

        def app(environ, start_response):
            body = environ["wsgi.input"].read()
            start_response("400 Bad Request" if body == b"bad" else "200 OK", [("Content-Type", "text/csv")])
            return [text, body, environ["HTTP_ACCEPT"].encode(), environ["CONTENT_TYPE"].encode()]

        return app

    given = replace(container_programs(), load_app=load)
    monkeypatch.setattr(_programs, "_provider", lambda: given)
    inside = Rehearsal(tmp_path, in_process=True)
    inside.upload(archive("centroids"), MODEL)
    inside.upload(io.BytesIO(b"1\n"), "s3://rehearsal/in/data/part-0.csv")
    with deployed(JobClient(inside, JOB), IMAGE) as endpoint:
        assert endpoint.invoke(b"x", "text/csv", "application/json") == b"dataxapplication/jsontext/csv"
        with pytest.raises(EndpointError):
            endpoint.invoke(b"bad", "text/csv")
    (uri,) = transform(inside)
    with inside.open(uri) as file:
        assert file.read() == b"data1\ntext/csvtext/csv"
    assert threading.active_count() == 1 or not [t for t in threading.enumerate() if "shapecluster" in t.name]


# ------------------------------------------------------------------------------------------- leftovers


def staged_job(rehearsal, content=b"1,2\n", **hyperparameters):
    data = Dataset(str(content), 1, lambda file, rows: file.write(content), "text/csv", ".csv")
    staged = stage(rehearsal, data, "s3://rehearsal/shapecluster")
    models = "s3://rehearsal/shapecluster/models"
    spec = TrainingSpec("image", {"train": staged}, hyperparameters, ROLE, models)
    return staged, start_training(JobClient(rehearsal, JOB), spec)


def test_an_endpoint_in_this_process_needs_no_estimator_to_find_its_program(tmp_path):
    from shapecluster import SageMakerKShape

    X = np.random.default_rng(0).normal(size=(20, 30)).cumsum(axis=1)
    model = SageMakerKShape(2, session=Rehearsal(tmp_path, in_process=True), random_state=0).fit(X)
    model.deploy(keep=True, name="mine")
    code = f"""
import sys
from shapecluster.remote import Endpoint, Rehearsal
endpoint = Endpoint.attach("mine", Rehearsal({str(tmp_path)!r}, in_process=True))
print(endpoint.invoke({",".join(map(str, X[0])).encode()!r}, "text/csv", "text/csv").decode().split(",")[0])
assert "shapecluster.sagemaker" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert float(done.stdout) == model.labels_[0]


def test_what_carries_our_tag_is_found_and_deleted_in_order(rehearsal):
    deploy(JobClient(rehearsal, JOB), trained(ARN, MODEL))
    theirs = {"PrimaryContainer": {"Image": "x"}, "ExecutionRoleArn": ROLE}
    rehearsal.call("sagemaker.create_model", ModelName="theirs", **theirs)
    found = list_leftovers(rehearsal)
    assert [one.kind for one in found] == ["endpoint", "endpoint configuration", "model", "model package"]
    assert all(one.created is not None for one in found)
    assert clean_up(reversed(found), rehearsal) == found
    assert list_leftovers(rehearsal) == []
    rehearsal.call("sagemaker.describe_model", ModelName="theirs")


def test_data_that_an_uncollected_job_reads_is_never_deleted(rehearsal):
    staged, run = staged_job(rehearsal)
    outcome = run.result()
    (found,) = list_leftovers(JobClient(rehearsal, clock=LATER))
    assert (found.kind, found.name, found.kept_for) == (STAGED, staged.folder, (run.name,))
    assert clean_up([found], rehearsal) == []
    assert rehearsal.exists(staged.manifest_uri)
    mark_collected(rehearsal, outcome.description)
    (found,) = list_leftovers(JobClient(rehearsal, clock=LATER))
    assert found.kept_for == ()
    assert clean_up([found], rehearsal) == [found]
    assert not list(rehearsal.list(staged.folder))
    assert rehearsal.exists(outcome.artifact_uri)


def test_a_job_that_began_after_the_list_was_made_keeps_its_data(rehearsal):
    staged, run = staged_job(rehearsal, fail="no")
    with pytest.raises(JobFailedError):
        run.result()
    (found,) = list_leftovers(JobClient(rehearsal, clock=LATER))
    assert found.kept_for == ()  # a job that failed has nothing to collect
    _, second = staged_job(rehearsal, sleep="60")
    with pytest.raises(RemoteError, match=f"read by {second.name}, whose results are not collected"):
        clean_up([found], rehearsal)
    assert rehearsal.exists(staged.manifest_uri)
    second.stop()


def test_young_data_is_passed_over(rehearsal):
    staged, run = staged_job(rehearsal, fail="no")
    with pytest.raises(JobFailedError):
        run.result()
    assert list_leftovers(rehearsal) == []
    assert [one.name for one in list_leftovers(rehearsal, min_age=0.0)] == [staged.folder]


def test_only_folders_that_are_ours_are_looked_at(rehearsal):
    rehearsal.upload(io.BytesIO(b"x"), "s3://rehearsal/shapecluster/notes/readme.txt")
    rehearsal.upload(io.BytesIO(b"x"), "s3://rehearsal/other/" + "0" * 40 + "/data/x")
    assert list_leftovers(JobClient(rehearsal, clock=LATER)) == []


def test_the_mark_of_whole_data_goes_first(rehearsal, monkeypatch):
    staged, run = staged_job(rehearsal, fail="no")
    with pytest.raises(JobFailedError):
        run.result()
    (found,) = list_leftovers(JobClient(rehearsal, clock=LATER))
    order = []
    monkeypatch.setattr(rehearsal, "delete", order.append)
    clean_up([found], rehearsal)
    assert order[0] == staged.manifest_uri
    assert any("/data/" in uri for uri in order)
    assert any("/jobs/" in uri for uri in order)
