"""Predictions made elsewhere, by an endpoint or a batch transform job; and what is left of these."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from shapecluster import SageMakerKMeans, SageMakerKShape
from shapecluster.exceptions import ArtifactWarning, EndpointError, NotFoundError
from shapecluster.remote import Endpoint, Job, _endpoints, _polling, clean_up, list_leftovers
from shapecluster.remote._errors import from_code
from shapecluster.remote._leftovers import STAGED
from tests.emulator import programs
from tests.sagemaker.test_kshape import frame, walks

ARN = "arn:aws:sagemaker:us-east-1:111122223333:algorithm/k-shape"
KINDS = {
    "image": (SageMakerKShape, {"random_state": 0}),
    "listing": (SageMakerKShape, {"algorithm_arn": ARN}),
    "k-means": (SageMakerKMeans, {}),
}


def left(cloud):
    """What is still there and costs money."""
    return [(one.kind, one.name) for one in list_leftovers(cloud) if one.kind != STAGED]


@pytest.fixture(params=KINDS)
def model(request, rng, rehearsal):
    estimator, given = KINDS[request.param]
    return estimator(3, session=rehearsal, **given).fit(frame(walks(rng)))


# ------------------------------------------------------------------------------------------- by rehearsal


def test_an_endpoint_lives_as_long_as_its_block_and_answers_as_predict_does(rng, rehearsal, model):
    fresh = frame(walks(rng, n=50))
    with model.deploy() as endpoint:
        assert isinstance(endpoint, Endpoint)
        assert endpoint.status == "InService"
        ids = model.predict_at(endpoint, fresh)
        assert {kind for kind, _ in left(rehearsal)} >= {"endpoint", "endpoint configuration", "model"}
    np.testing.assert_array_equal(ids, model.predict(fresh))
    assert ids.dtype.kind == "i"
    assert left(rehearsal) == []
    with pytest.raises(NotFoundError, match=endpoint.name):
        model.predict_at(endpoint, fresh)


def test_a_kept_endpoint_is_found_again_listed_and_deleted(rng, rehearsal, model):
    fresh = walks(rng, n=8)
    kept = model.deploy(keep=True, name="prices")
    assert ("endpoint", "prices") in left(rehearsal)
    found = Endpoint.attach("prices", session=rehearsal)
    other = type(model).attach(model.training_job_name_, session=rehearsal)
    if isinstance(model, SageMakerKShape):  # whose columns have no names
        np.testing.assert_array_equal(other.predict_at(found, fresh), other.predict(fresh))
    with pytest.raises(Exception, match="prices") as caught:
        model.deploy(keep=True, name="prices")
    assert type(caught.value).__name__ == "NameTakenError"
    assert kept.status == "InService"  # and is not what was cleaned up
    found.delete()
    assert left(rehearsal) == []
    found.delete()  # what is gone is passed over
    with pytest.raises(NotFoundError, match="There is no endpoint 'prices'"):
        Endpoint.attach("prices", session=rehearsal)


def test_kept_endpoints_are_cleaned_up_with_all_that_belongs_to_them(rehearsal, model):
    model.deploy(keep=True)
    deleted = clean_up(list_leftovers(rehearsal), rehearsal)
    assert {one.kind for one in deleted} >= {"endpoint", "endpoint configuration", "model"}
    assert left(rehearsal) == []


def test_a_batch_transform_answers_as_predict_does_and_leaves_nothing(rng, rehearsal, model):
    fresh = frame(walks(rng, n=50))
    np.testing.assert_array_equal(model.batch_predict(fresh), model.predict(fresh))
    assert left(rehearsal) == []


@pytest.mark.parametrize("call", ["endpoint", "batch"])
def test_other_answers_than_ours_are_told(rng, rehearsal, call):
    X = walks(rng)
    model = SageMakerKShape(3, session=rehearsal, random_state=0).fit(X)
    other = SageMakerKShape(3, session=rehearsal, random_state=0).fit(X)
    other.cluster_centers_ = other.cluster_centers_[[1, 0, 2]]
    expected = model.predict(X)
    wrong = expected != other.predict(X)
    message = rf"for {wrong.sum()} of 30 rows, first row {wrong.argmax()}: "
    with model.deploy() as endpoint, pytest.warns(ArtifactWarning, match=message) as caught:
        ids = other.batch_predict(X) if call == "batch" else other.predict_at(endpoint, X)
    np.testing.assert_array_equal(ids, expected)  # as they were given
    assert caught[0].filename == __file__


@pytest.mark.parametrize("noun", ["model", "endpoint_config", "endpoint"])
def test_a_deployment_that_breaks_off_half_way_leaves_nothing(rehearsal, model, monkeypatch, noun):
    refused = from_code("ResourceLimitExceeded", "no more of them", f"sagemaker.create_{noun}")

    def refuse(**request):
        raise refused

    monkeypatch.setitem(rehearsal._calls, f"sagemaker.create_{noun}", refuse)
    for begin in (lambda: model.deploy().__enter__(), lambda: model.deploy(keep=True)):
        with pytest.raises(type(refused), match="no more of them"):
            begin()
        assert left(rehearsal) == []


def test_an_endpoint_that_does_not_come_up_leaves_nothing(rehearsal, model):
    (
        rehearsal.path / "s3" / model._described["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://")
    ).write_bytes(b"damaged")
    with pytest.raises(EndpointError, match="did not come up"):
        model.deploy(keep=True)
    assert left(rehearsal) == []


def test_an_error_in_the_block_stays_and_the_endpoint_goes(rehearsal, model):
    with pytest.raises(ZeroDivisionError), model.deploy():
        _ = 1 / 0
    assert left(rehearsal) == []


def test_rows_travel_in_requests_that_are_small_enough(rng, rehearsal, monkeypatch):
    X = walks(rng)
    model = SageMakerKShape(3, session=rehearsal, random_state=0).fit(X)
    monkeypatch.setattr(_endpoints, "MAX_BODY", 2000)
    sizes, invoke = [], rehearsal._calls["sagemaker-runtime.invoke_endpoint"]

    def count(**request):
        sizes.append(len(request["Body"]))
        return invoke(**request)

    monkeypatch.setitem(rehearsal._calls, "sagemaker-runtime.invoke_endpoint", count)
    with model.deploy() as endpoint:
        np.testing.assert_array_equal(model.predict_at(endpoint, X), model.labels_)
    assert len(sizes) > 5
    assert max(sizes) <= 2000


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_channels_missing_values_and_shifts_travel(rng, rehearsal, dtype):
    X = walks(rng, channels=2).astype(dtype)
    X[::7, :5] = np.nan
    model = SageMakerKShape(3, session=rehearsal, random_state=0, missing="mask", max_shift=4).fit(X)
    with model.deploy() as endpoint:
        np.testing.assert_array_equal(model.predict_at(endpoint, X), model.labels_)
    np.testing.assert_array_equal(model.batch_predict(X), model.labels_)


def test_sparse_rows_travel(rng, rehearsal):
    X = sparse.random(40, 12, density=0.3, random_state=0, format="csr", dtype=np.float32)
    model = SageMakerKMeans(3, session=rehearsal).fit(X)
    with model.deploy() as endpoint:
        np.testing.assert_array_equal(model.predict_at(endpoint, X), model.labels_)
    np.testing.assert_array_equal(model.batch_predict(X), model.labels_)


@pytest.mark.parametrize("estimator", [SageMakerKShape(), SageMakerKMeans()])
def test_there_is_nothing_to_serve_before_a_fit(rng, estimator):
    X = walks(rng)
    for call in (estimator.deploy, lambda: estimator.batch_predict(X), lambda: estimator.predict_at(None, X)):
        with pytest.raises(NotFittedError):
            call()


def test_what_fit_would_refuse_is_refused_before_anything_is_asked(rng, rehearsal, model):
    short = pd.DataFrame(walks(rng, n=4, timepoints=7))
    with model.deploy() as endpoint, pytest.raises(ValueError, match=r"7|feature names"):
        model.predict_at(endpoint, short)
    files = list(rehearsal.list("s3://rehearsal/"))
    with pytest.raises(ValueError, match=r"7|feature names"):
        model.batch_predict(short)
    assert list(rehearsal.list("s3://rehearsal/")) == files


# ------------------------------------------------------------------------------------------- by emulator


@pytest.fixture
def quick(emulator, monkeypatch):
    """The emulator; nobody looks at it every ten seconds only."""
    monkeypatch.setitem(_polling._INTERVALS, "aws", 0.02)
    return emulator


def assert_gone(aws):
    """Nothing is left; an endpoint that is being deleted gets the time to go."""
    end = time.monotonic() + 20
    while aws.inventory().endpoints and time.monotonic() < end:
        time.sleep(0.01)
    assert not aws.inventory()
    assert aws.inventory().model_packages == ()


def test_somebody_elses_program_serves(rng, quick):
    X = frame(walks(rng))
    given = {"role": quick.role, "session": quick.session(), "job": Job(poll_interval=0.02)}
    model = SageMakerKShape(3, algorithm_arn=quick.algorithm_arn, **given).fit(X)
    with model.deploy() as endpoint:
        np.testing.assert_array_equal(model.predict_at(endpoint, X), model.labels_)
        (package,) = quick.calls("CreateModelPackage")
        (made,) = quick.calls("CreateModel")
        assert made.request["EnableNetworkIsolation"] is True
        assert "Environment" not in made.request["PrimaryContainer"]
        assert package.request["SourceAlgorithmSpecification"]["SourceAlgorithms"][0]["ModelDataUrl"]
    assert_gone(quick)
    np.testing.assert_array_equal(model.batch_predict(X), model.labels_)
    assert_gone(quick)
    quick.algorithms[quick.algorithm_arn].program = programs.foreign_kshape(FOREIGN_FLAW="ids")
    with model.deploy() as endpoint, pytest.warns(ArtifactWarning, match="for 30 of 30 rows"):
        ids = model.predict_at(endpoint, X)
    np.testing.assert_array_equal(ids, model.labels_ + 1)  # which it counts from one
    assert_gone(quick)


def test_k_means_serves(rng, quick):
    X = np.repeat(10 * np.eye(4), 8, axis=0) + 0.01 * rng.normal(size=(32, 4))
    given = {"role": quick.role, "session": quick.session(), "job": Job(poll_interval=0.02)}
    model = SageMakerKMeans(4, **given).fit(X, test=X[:8])
    with model.deploy() as endpoint:
        np.testing.assert_array_equal(model.predict_at(endpoint, X), model.labels_)
    np.testing.assert_array_equal(model.batch_predict(X), model.labels_)
    assert model.test_metrics_["msd"] == pytest.approx(-model.score(X[:8]) / 8, rel=1e-4)
    assert_gone(quick)
