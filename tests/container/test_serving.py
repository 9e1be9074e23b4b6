"""Requests and responses without a network."""

from __future__ import annotations

import io
import json
import logging
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shapecluster import LocalKShape
from shapecluster.container import application, load_model
from shapecluster.container._serving import MAX_BYTES, RequestError, _payload_limit, respond
from shapecluster.exceptions import ArtifactError, FlatSeriesWarning
from shapecluster.formats import (
    decode_ndarrays,
    decode_predictions,
    encode_ndarrays,
    encode_rows,
)
from tests.container.conftest import RECORDIO, JobFolder

FORMATS = ["text/csv", "application/json", "application/jsonlines", RECORDIO]


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(30, 16)).cumsum(axis=1)


@pytest.fixture(scope="module")
def k_shape(tmp_path_factory, series) -> JobFolder:
    job = JobFolder(tmp_path_factory.mktemp("k_shape")).channel("train", series)
    assert job.train(k=3, random_state=1) == 0
    return job


@pytest.fixture(scope="module")
def k_means(tmp_path_factory, series) -> JobFolder:
    job = JobFolder(tmp_path_factory.mktemp("k_means")).channel("train", series)
    assert job.train("k-means", k=3, feature_dim=16) == 0
    return job


def expected(job: JobFolder, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters and distances from another computation."""
    if job.description["algorithm"] == "k-shape":
        X_train = np.random.default_rng(3).normal(size=(30, 16)).cumsum(axis=1)
        local = LocalKShape(3, random_state=1).fit(X_train)
        sbd = local.transform(X)
        return local.predict(X), sbd[np.arange(len(X)), local.predict(X)]
    centers = decode_ndarrays((job.model / "model_algo-1").read_bytes()).arrays[0].astype(np.float64)
    distances = np.linalg.norm(X[:, None] - centers, axis=2)
    return distances.argmin(axis=1), distances.min(axis=1)


@pytest.mark.parametrize("job", ["k_shape", "k_means"])
@pytest.mark.parametrize("content_type", FORMATS)
@pytest.mark.parametrize("accept", FORMATS)
def test_every_format_in_and_out(request, series, job, content_type, accept):
    job = request.getfixturevalue(job)
    body, answered = respond(load_model(job.model), encode_rows(series, content_type), content_type, accept)
    assert answered == accept
    found = decode_predictions(body, answered, n_rows=len(series))
    labels, distances = expected(job, series)
    np.testing.assert_array_equal(found.closest_cluster, labels)
    if job.description["algorithm"] == "k-shape" and accept == "text/csv":
        assert found.distance_to_cluster is None
        assert body == "".join(f"{label}\n" for label in labels).encode()
    else:
        np.testing.assert_allclose(found.distance_to_cluster, distances, rtol=2e-7, atol=1e-12)


def test_the_fields_and_defaults_are_those_of_the_built_in(k_means, k_shape, series):
    row = encode_rows(series[:1], "text/csv")
    body, answered = respond(load_model(k_means.model), row, "text/csv")
    assert answered == "application/json"
    (prediction,) = json.loads(body)["predictions"]
    assert list(prediction) == ["closest_cluster", "distance_to_cluster"]
    assert all(isinstance(value, float) for value in prediction.values())
    body, answered = respond(load_model(k_shape.model), row, "text/csv")
    assert (answered, body) == ("text/csv", f"{expected(k_shape, series[:1])[0][0]}\n".encode())


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, text/csv;q=0.9", "text/csv"),
        ("text/csv;q=0, application/jsonlines", "application/jsonlines"),
        ("Application/JSON; charset=utf-8", "application/json"),
    ],
)
def test_accept_headers_are_lists_in_order_of_preference(k_means, series, accept, answered):
    row = encode_rows(series[:1], "text/csv")
    assert respond(load_model(k_means.model), row, "text/csv", accept)[1] == answered


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "message"),
    [
        (b"1,2,3\n", "text/csv", "", 400, "line 1 must have 16 numbers. Got 3"),
        (b"AAPL" + b",1" * 15, "text/csv", "", 400, "field 1 of line 1 must be a number. Got 'AAPL'"),
        (b"", "text/csv", "", 400, "The request holds no row"),
        (b'{"instances": []}', "application/json", "", 400, "The request holds no row"),
        (b"{", "application/json", "", 400, "not valid JSON"),
        (b'{"instances": [{"features": [1, "a"]}]}', "application/json", "", 400, "row 0 must be a list"),
        (b"[1, 2]", "application/jsonlines", "", 400, "16 values"),
        (b"nonsense", RECORDIO, "", 400, "RecordIO data cannot be read"),
        (b"nan" + b",1" * 15, "text/csv", "", 400, "NaN"),
        (b"inf" + b",1" * 15, "text/csv", "", 400, "nfinity"),
        (b"1" + b",1" * 15, "text/csv;label_size=1", "", 400, "no column of names"),
        (b"1", "text/csv; charset=utf-16", "", 415, "charset must be utf-8"),
        (b"1", "text/plain", "", 415, "The content type must be text/csv"),
        (b"1", "", "", 415, "The content type must be text/csv"),
        (b"1", "text/csv", "image/png", 406, "Got Accept: 'image/png'"),
        (b"1" * 1001, "text/csv", "", 413, "at most 1,000 bytes. Got 1,001"),
    ],
)
@pytest.mark.parametrize("job", ["k_shape", "k_means"])
def test_invalid_requests_get_a_status_and_reason(request, job, body, content_type, accept, status, message):
    model = load_model(request.getfixturevalue(job).model)
    with pytest.raises(RequestError, match=re.escape(message)) as caught:
        respond(model, body, content_type, accept, max_bytes=1000)
    assert caught.value.status == status


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200) | st.text(max_size=60).map(str.encode), content_type=st.sampled_from(FORMATS)
)
def test_any_body_gives_a_response_or_status_400(k_means, body, content_type):
    status = 200
    model = load_model(k_means.model)
    try:
        respond(model, body, content_type)
    except RequestError as error:
        status = error.status
    assert status in (200, 400)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=16, max_size=16, unique=True),
        min_size=1,
        max_size=5,
    )
)
def test_the_response_is_the_same_for_every_request_format(k_shape, rows):
    model, X = load_model(k_shape.model), np.array(rows)
    answers = {respond(model, encode_rows(X, media), media, "application/json")[0] for media in FORMATS}
    assert len(answers) == 1


def test_series_with_channels_and_missing_values(tmp_path, rng):
    X = rng.normal(size=(20, 12, 2)).cumsum(axis=1)
    X[2, :5, 0] = np.nan
    job = JobFolder(tmp_path).channel("train", X.reshape(20, -1))
    assert job.train(k=2, random_state=0, n_channels=2, missing="mask", max_shift=3) == 0
    local = LocalKShape(2, random_state=0, missing="mask", max_shift=3).fit(X)
    model = load_model(job.model)
    assert model.n_features == 24
    body, _ = respond(model, encode_rows(X.reshape(20, -1), "text/csv"), "text/csv", "application/json")
    found = decode_predictions(body, "application/json")
    np.testing.assert_array_equal(found.closest_cluster, local.labels_)
    np.testing.assert_array_equal(found.distance_to_cluster, local.sbd_)


def test_a_model_of_float32_answers_as_it_was_trained(tmp_path, series):
    X = series.astype(np.float32)
    job = JobFolder(tmp_path).channel("train", X, RECORDIO)
    assert job.train(k=3, random_state=0) == 0
    local = LocalKShape(3, random_state=0).fit(X)
    found = load_model(job.model).predict(X.astype(np.float64))
    np.testing.assert_array_equal(found.closest_cluster, local.labels_)
    np.testing.assert_array_equal(found.distance_to_cluster, local.sbd_)


def test_flat_rows_belong_to_the_first_cluster_at_distance_one(k_shape):
    with pytest.warns(FlatSeriesWarning):
        found = load_model(k_shape.model).predict(np.full((1, 16), 7.0))
    assert (found.closest_cluster[0], found.distance_to_cluster[0]) == (0, 1.0)


# ------------------------------------------------------------------------------------------- models


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("job", ["k_shape", "k_means"])
def test_an_archive_is_read_without_extracting_it(request, job, series, tmp_path):
    job = request.getfixturevalue(job)
    write_archive(tmp_path / "model.tar.gz", {path.name: path.read_bytes() for path in job.model.iterdir()})
    row = encode_rows(series, "text/csv")
    answer = respond(load_model(job.model), row, "text/csv")
    assert respond(load_model(tmp_path), row, "text/csv") == answer
    assert respond(load_model(tmp_path / "model.tar.gz"), row, "text/csv") == answer


@pytest.mark.parametrize("packed", [True, False])
def test_the_artifact_of_the_built_in_is_served_too(tmp_path, packed):
    members = {"model_algo-1": encode_ndarrays([np.eye(3, dtype=np.float32)]), "state_1-2-3": b"\x80binary"}
    if packed:
        write_archive(tmp_path / "model.tar.gz", members)
    else:
        for name, data in members.items():
            (tmp_path / name).write_bytes(data)
    assert respond(load_model(tmp_path), b"0,0,2", "text/csv", "text/csv") == (b"2.0,1.0\n", "text/csv")


def copy_of(job: JobFolder, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in job.model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("shapecluster.json", b"{", "shapecluster.json cannot be read"),
        ("shapecluster.json", b"[]", "must be a JSON object"),
        ("shapecluster.json", b"[" * 100_000, "cannot be read"),
        ("shapecluster.json", b'{"algorithm": "k-shape"}', "does not describe a k-Shape model"),
        ("shapecluster.json", b'{"algorithm": "k-means"}', "must hold a file 'model_algo-*'"),
        ("centroids", b"1,2\n", "line 1 must have 16 numbers. Got 2 instead"),
        ("centroids", b"\n".join([b"nan" + b",1" * 15] * 2), "can be used"),
        (
            "centroids",
            b",".join([b"%d" % i for i in range(16)]),
            "incomplete: 1 of 3 centroids can be used",
        ),
    ],
)
def test_damaged_models_are_rejected(k_shape, tmp_path, name, data, message):
    folder = copy_of(k_shape, tmp_path / "model")
    (folder / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=re.escape(message)):
        load_model(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_timepoints", 0), ("n_timepoints", 16.0), ("n_channels", "2"), ("dtype", "int8"), ("parameters", {})],
)
def test_invalid_descriptions_are_rejected(k_shape, tmp_path, field, value):
    folder = copy_of(k_shape, tmp_path / "model")
    described = k_shape.description | {field: value}
    (folder / "shapecluster.json").write_text(json.dumps(described))
    with pytest.raises(ArtifactError, match="does not describe a k-Shape model"):
        load_model(folder)


@pytest.mark.parametrize(
    "arrays", [[np.zeros(3, np.float32)], [np.zeros((2, 2), np.int32)], [np.full((2, 2), np.nan, np.float32)]]
)
def test_arrays_that_cannot_be_centers_are_rejected(tmp_path, arrays):
    (tmp_path / "model_algo-1").write_bytes(encode_ndarrays(arrays))
    with pytest.raises(ArtifactError, match="model_algo-1"):
        load_model(tmp_path)


def test_an_absent_model_is_reported(tmp_path):
    with pytest.raises(ArtifactError, match="Got nothing in"):
        load_model(tmp_path)
    with pytest.raises(ArtifactError, match="Got nothing in"):
        load_model(tmp_path / "absent")


def test_a_model_of_another_version_is_served_with_a_warning(k_shape, tmp_path, caplog):
    folder = copy_of(k_shape, tmp_path / "model")
    (folder / "shapecluster.json").write_text(json.dumps(k_shape.description | {"library": "0.0.1"}))
    with caplog.at_level(logging.WARNING, logger="shapecluster"):
        load_model(folder)
    assert "the model was trained by shapecluster 0.0.1" in caplog.text


# --------------------------------------------------------------------------------------------- WSGI


def call(model, method: str, path: str, body: bytes = b"", **headers: str):
    """One request to the WSGI application."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body), **headers}
    started = []
    app = application(model)
    content = b"".join(app(environ, lambda status, headers: started.append((status, dict(headers)))))
    ((status, found),) = started
    return int(status.split()[0]), content, found


def test_ping_and_invocations(k_shape, series):
    model = load_model(k_shape.model)
    assert call(model, "GET", "/ping")[0] == 200
    assert call(model, "HEAD", "/ping")[:2] == (200, b"")
    body = encode_rows(series, "text/csv")
    status, content, headers = call(
        model, "POST", "/invocations", body, CONTENT_TYPE="text/csv", HTTP_ACCEPT="application/json"
    )
    assert (status, content) == (200, respond(model, body, "text/csv", "application/json")[0])
    assert headers == {"Content-Type": "application/json", "Content-Length": str(len(content))}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/", 404), ("POST", "/invocations", 415)],
)
def test_other_paths_and_methods_are_rejected(k_shape, method, path, status):
    found, content, headers = call(load_model(k_shape.model), method, path)
    assert found == status
    assert content.strip()
    assert headers["Content-Type"].startswith("text/plain")
    assert ("Allow" in headers) == (status == 405)


def test_an_unexpected_error_is_logged_and_hidden_from_the_client(k_shape, monkeypatch, caplog):
    class Broken:
        algorithm, n_features = "k-shape", 1

        def predict(self, rows):
            raise RuntimeError("secret")

    status, content, _ = call(Broken(), "POST", "/invocations", b"1", CONTENT_TYPE="text/csv")
    assert status == 500
    assert b"secret" not in content
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("megabytes", "limit"),
    [("", MAX_BYTES), ("6", MAX_BYTES), ("100", 100 << 20), ("500", 100 << 20), ("x", MAX_BYTES)],
)
def test_the_limit_of_a_batch_transform(monkeypatch, megabytes, limit):
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", megabytes)
    assert _payload_limit() == limit
