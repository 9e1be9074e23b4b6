"""Endpoints come up whole or leave nothing, are asked in pieces, and go."""

from __future__ import annotations

import io

import pytest

from shapecluster.exceptions import (
    AccessError,
    CredentialsError,
    EndpointError,
    JobFailedError,
    JobStoppedError,
    NameTakenError,
    NotFoundError,
    QuotaError,
    ThrottledError,
)
from shapecluster.remote import Endpoint, Job
from shapecluster.remote._endpoints import chunks, deploy, deployed
from shapecluster.remote._errors import from_code
from shapecluster.remote._polling import JobClient
from shapecluster.remote._staging import StagedDataset
from shapecluster.remote._transform import run_transform
from tests.remote.fakes import ARN, FakeClock, FakePlatform, trained

JOB = Job(poll_interval=10.0, tags={"desk": "x"})
IMAGE = trained("image", "s3://bucket/model.tar.gz")
LISTING = trained(ARN, "s3://bucket/model.tar.gz")

NOUNS = {
    "model_package": "ModelPackage",
    "model": "Model",
    "endpoint_config": "EndpointConfig",
    "endpoint": "Endpoint",
}


class FakeServing(FakePlatform):
    """Keeps what is created; endpoints take two looks to come up."""

    def __init__(self) -> None:
        super().__init__()
        self.there: dict[tuple[str, str], dict] = {}
        self.states: list[str] = ["Creating", "Creating", "InService"]
        self.transforms: list[str] = ["InProgress", "Completed"]
        for noun, title in NOUNS.items():
            for verb in ("create", "describe", "delete"):
                self.script(f"sagemaker.{verb}_{noun}", getattr(self, f"_{verb}")(noun, title))
        self.script("sagemaker.create_transform_job", self._create("transform_job", "TransformJob"))
        self.script("sagemaker.describe_transform_job", self._describe_transform)
        self.script("sagemaker.stop_transform_job", self._stop_transform)
        self.script("sagemaker-runtime.invoke_endpoint", self._invoke)

    def _create(self, noun, title):
        def create(**request):
            name = request[f"{title}Name"]
            if (noun, name) in self.there:
                raise from_code(
                    "ValidationException",
                    f"Cannot create already existing {noun}",
                    f"sagemaker.create_{noun}",
                )
            self.there[noun, name] = request
            return {f"{title}Arn": f"arn:{noun}/{name}"}

        return create

    def _describe(self, noun, title):
        def describe(**request):
            name = request[f"{title}Name"].rpartition("/")[2]
            self._missing(noun, name, "describe")
            answer = dict(self.there[noun, name])
            if noun == "endpoint":
                state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
                answer |= {"EndpointStatus": state, "FailureReason": "no ping"}
            if noun == "model_package":
                answer |= {"ModelPackageStatus": "Completed", "ModelPackageArn": f"arn:package/{name}"}
            return answer

        return describe

    def _delete(self, noun, title):
        def delete(**request):
            name = request[f"{title}Name"]
            self._missing(noun, name, "delete")
            if noun == "endpoint" and self.states[0] == "Creating":
                raise from_code("ValidationException", "Cannot update in-progress endpoint", "x")
            del self.there[noun, name]
            return {}

        return delete

    def _missing(self, noun, name, verb):
        if (noun, name) not in self.there:
            raise from_code(
                "ValidationException", f'Could not find {noun} "{name}".', f"sagemaker.{verb}_{noun}"
            )

    def _describe_transform(self, TransformJobName):
        self._missing("transform_job", TransformJobName, "describe")
        state = self.transforms.pop(0) if len(self.transforms) > 1 else self.transforms[0]
        return self.there["transform_job", TransformJobName] | {"TransformJobStatus": state}

    def _stop_transform(self, TransformJobName):
        self._missing("transform_job", TransformJobName, "stop")
        self.transforms = ["Stopped"]
        return {}

    def _invoke(self, **request):
        return {"Body": io.BytesIO(request["Body"].upper())}

    def left(self):
        return sorted(noun for noun, _ in self.there if noun != "transform_job")


@pytest.fixture
def platform() -> FakeServing:
    return FakeServing()


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


def block(platform, time):
    return deployed(JobClient(platform, JOB, time.clock), IMAGE)


# ---------------------------------------------------------------------------------------------- creation


def test_an_endpoint_lives_as_long_as_its_block(platform, time):
    with deployed(JobClient(platform, JOB, time.clock), IMAGE) as endpoint:
        assert platform.left() == ["endpoint", "endpoint_config", "model"]
        assert endpoint.invoke(b"abc", "text/csv") == b"ABC"
        assert endpoint.status == "InService"
    assert platform.left() == []


def test_everything_says_what_the_job_says(platform, time):
    job = Job(
        poll_interval=10,
        instance_type="ml.c5.large",
        volume_kms_key="key",
        subnets=("subnet-1",),
        security_group_ids=("sg-1",),
        network_isolation=True,
        tags={"desk": "x"},
    )
    deploy(JobClient(platform, job, time.clock), IMAGE, instance_count=2)
    (model,) = platform.requests("sagemaker.create_model")
    assert model["PrimaryContainer"] == {"Image": "image", "ModelDataUrl": "s3://bucket/model.tar.gz"}
    assert model["EnableNetworkIsolation"]
    assert model["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    (config,) = platform.requests("sagemaker.create_endpoint_config")
    assert config["KmsKeyId"] == "key"
    (variant,) = config["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c5.large", 2)
    for noun in ("model", "endpoint_config", "endpoint"):
        (request,) = platform.requests(f"sagemaker.create_{noun}")
        assert {tag["Key"] for tag in request["Tags"]} == {"desk", "shapecluster"}


def test_an_algorithm_of_the_marketplace_goes_by_a_package(platform, time):
    with deployed(JobClient(platform, JOB, time.clock), LISTING):
        (model,) = platform.requests("sagemaker.create_model")
        (package,) = platform.requests("sagemaker.create_model_package")
        assert model["PrimaryContainer"] == {"ModelPackageName": f"arn:package/{package['ModelPackageName']}"}
        assert model["EnableNetworkIsolation"] is True
        source = {"AlgorithmName": ARN, "ModelDataUrl": "s3://bucket/model.tar.gz"}
        assert package["SourceAlgorithmSpecification"] == {"SourceAlgorithms": [source]}
    assert platform.left() == []


def test_a_package_that_fails_leaves_nothing(platform, time):
    details = {"ValidationStatuses": [{"Name": "x", "Status": "Failed", "FailureReason": "cannot read"}]}
    platform.script(
        "sagemaker.describe_model_package",
        {"ModelPackageStatus": "Failed", "ModelPackageStatusDetails": details},
    )
    with pytest.raises(EndpointError, match="cannot read"):
        deploy(JobClient(platform, JOB, time.clock), LISTING)
    assert platform.left() == []


@pytest.mark.parametrize("noun", list(NOUNS))
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDeniedException", AccessError),
        ("ResourceLimitExceeded", QuotaError),
        (None, KeyboardInterrupt),
    ],
)
def test_a_creation_that_breaks_off_leaves_nothing(platform, time, noun, code, expected):
    operation = f"sagemaker.create_{noun}"
    create = platform.scripts[operation][0]

    def create_and_break(**request):
        create(**request)  # it is there, and its creator was interrupted
        raise KeyboardInterrupt

    platform.script(operation, create_and_break if code is None else from_code(code, "no", operation))
    if noun == "endpoint" and code is None:
        platform.states = ["Creating", "InService"]
    with pytest.raises(expected):
        deploy(JobClient(platform, JOB, time.clock), LISTING)
    assert platform.left() == []


def test_an_endpoint_that_does_not_come_up_leaves_nothing(platform, time):
    platform.states = ["Creating", "Failed"]
    with pytest.raises(EndpointError, match=r"\(Failed\): no ping"):
        deploy(JobClient(platform, JOB, time.clock), IMAGE)
    assert platform.left() == []


def test_an_interruption_while_it_comes_up_waits_until_it_can_be_deleted(platform, time):
    platform.states = ["Creating", "Creating", "Creating", "Creating", "InService"]
    left = [1]

    def interrupt():
        if left[0]:
            left[0] = 0
            raise KeyboardInterrupt

    time.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        deploy(JobClient(platform, JOB, time.clock), IMAGE)
    assert platform.left() == []


def test_a_lost_answer_makes_nothing_twice_and_loses_nothing(platform, time):
    for noun in ("model", "endpoint_config", "endpoint"):
        operation = f"sagemaker.create_{noun}"
        create = platform.scripts[operation][0]

        def create_and_lose(create=create, operation=operation, **request):
            create(**request)
            raise from_code("ServiceUnavailable", "lost", operation)

        platform.script(operation, create_and_lose, create)
    with deployed(JobClient(platform, JOB, time.clock), IMAGE):
        assert platform.left() == ["endpoint", "endpoint_config", "model"]
    assert platform.left() == []


def test_a_name_that_is_taken_is_left_to_its_owner(platform, time):
    platform.there["endpoint", "prices"] = {"EndpointConfigName": "theirs"}
    with pytest.raises(NameTakenError):
        deploy(JobClient(platform, JOB, time.clock), IMAGE, name="prices")
    assert list(platform.there) == [("endpoint", "prices")]
    with pytest.raises(ValueError, match="name must be"):
        deploy(JobClient(platform, JOB, time.clock), IMAGE, name="not a name")
    assert list(platform.there) == [("endpoint", "prices")]


def test_throttled_creations_are_tried_again(platform, time):
    operation = "sagemaker.create_endpoint"
    slow = from_code("ThrottlingException", "Rate exceeded", operation)
    platform.script(operation, slow, slow, platform.scripts[operation][0])
    deploy(JobClient(platform, JOB, time.clock), IMAGE)
    assert platform.left() == ["endpoint", "endpoint_config", "model"]


# ---------------------------------------------------------------------------------------------- deletion


@pytest.mark.parametrize("source", [IMAGE, LISTING])
def test_a_kept_endpoint_is_found_again_and_deleted_with_all_that_belongs_to_it(platform, time, source):
    kept = deploy(JobClient(platform, JOB, time.clock), source, name="prices")
    assert kept.name == "prices"
    again = Endpoint.attach("prices", platform)
    again.delete()
    assert platform.left() == []
    again.delete()  # once more does no harm


def test_attach_to_what_is_not_there_says_where_it_looked(platform):
    with pytest.raises(NotFoundError, match="'nothing' in region eu-west-1"):
        Endpoint.attach("nothing", platform)


def test_the_error_of_a_block_stays_and_its_endpoint_goes(platform, time):
    with pytest.raises(ZeroDivisionError), deployed(JobClient(platform, JOB, time.clock), IMAGE):
        raise ZeroDivisionError
    assert platform.left() == []


def test_what_cannot_be_deleted_is_told_and_the_rest_goes(platform, time):
    denied = from_code("AccessDeniedException", "no", "sagemaker.delete_endpoint_config")
    platform.script("sagemaker.delete_endpoint_config", denied)
    with (
        pytest.raises(EndpointError, match="may be billed: endpoint config") as caught,
        block(platform, time),
    ):
        pass
    assert "sagemaker:DeleteEndpointConfig" in str(caught.value)
    assert platform.left() == ["endpoint_config"]


def test_what_cannot_be_deleted_after_an_error_is_noted_on_it(platform, time):
    denied = from_code("AccessDeniedException", "no", "sagemaker.delete_model")
    platform.script("sagemaker.delete_model", denied)
    with pytest.raises(ZeroDivisionError) as caught, block(platform, time):
        raise ZeroDivisionError
    assert "may be billed: model" in caught.value.__notes__[0]


def test_credentials_that_expire_while_it_comes_up_are_told_with_what_is_left(platform, time):
    expired = from_code("ExpiredTokenException", "expired", "sagemaker.describe_endpoint")
    for noun in NOUNS:
        platform.script(f"sagemaker.delete_{noun}", expired)
    platform.script("sagemaker.describe_endpoint", expired)
    with pytest.raises(CredentialsError) as caught:
        deploy(JobClient(platform, JOB, time.clock), IMAGE)
    (note,) = caught.value.__notes__
    assert note.count("shapecluster-") == 3


# ------------------------------------------------------------------------------------------------ asking


def endpoint_of(platform, time):
    return deploy(JobClient(platform, JOB, time.clock), IMAGE)


def test_a_request_that_was_not_answered_is_sent_again(platform, time):
    operation = "sagemaker-runtime.invoke_endpoint"
    endpoint = endpoint_of(platform, time)
    busy = from_code("ModelError", "busy", operation, status=503)
    lost = from_code("ServiceUnavailable", "", operation)
    slow = from_code("ThrottlingException", "", operation)
    platform.script(operation, busy, lost, slow, platform._invoke)
    assert endpoint.invoke(b"x", "text/csv") == b"X"
    assert len(platform.requests(operation)) == 4


@pytest.mark.parametrize("status", [400, 415, 500])
def test_an_answer_that_is_no_prediction_is_told_at_once(platform, time, status):
    operation = "sagemaker-runtime.invoke_endpoint"
    endpoint = endpoint_of(platform, time)
    platform.script(operation, from_code("ModelError", "row 0 is no number", operation, status=status))
    with pytest.raises(EndpointError, match="row 0 is no number") as caught:
        endpoint.invoke(b"x", "text/csv")
    assert caught.value.status == status
    assert endpoint.name in str(caught.value)
    assert len(platform.requests(operation)) == 1


def test_a_server_that_stays_busy_is_told(platform, time):
    operation = "sagemaker-runtime.invoke_endpoint"
    endpoint = endpoint_of(platform, time)
    platform.script(operation, from_code("ThrottlingException", "", operation))
    with pytest.raises(ThrottledError):
        endpoint.invoke(b"x", "text/csv")


def test_too_large_a_request_is_refused_unsent(platform, time):
    endpoint = endpoint_of(platform, time)
    with pytest.raises(ValueError, match="at most 6291456 bytes"):
        endpoint.invoke(bytes(6 * 2**20 + 1), "text/csv")
    assert not platform.requests("sagemaker-runtime.invoke_endpoint")


def test_rows_are_asked_in_requests_of_the_size_that_is_allowed(platform, time):
    endpoint = endpoint_of(platform, time)
    row = b"x" * 1000 + b"\n"

    def encode(rows):
        return row * (rows.stop - rows.start)

    seen = list(endpoint.invoke_rows(encode, 20_000, "text/csv"))
    sizes = [len(r["Body"]) for r in platform.requests("sagemaker-runtime.invoke_endpoint")]
    assert max(sizes) <= 6 * 2**20
    assert sum(sizes) == 20_000 * 1001
    assert [rows.start for rows, _ in seen[1:]] == [rows.stop for rows, _ in seen[:-1]]
    assert len(sizes) <= 5


@pytest.mark.parametrize("seed", range(5))
def test_chunks_hold_every_row_once_whatever_their_lengths(seed):
    import random

    chance = random.Random(seed)
    rows = [bytes([65 + i % 26]) * chance.choice([1, 3, 50, 90]) for i in range(200)]
    pieces = list(chunks(lambda s: b"".join(rows[s]), len(rows), 100))
    assert b"".join(body for _, body in pieces) == b"".join(rows)
    assert all(len(body) <= 100 for _, body in pieces)
    assert [i for s, _ in pieces for i in range(s.start, s.stop)] == list(range(200))


def test_a_row_that_no_request_holds_is_told():
    rows = [b"x", b"y" * 101]
    with pytest.raises(ValueError, match="Row 1 alone has 101 bytes"):
        list(chunks(lambda s: b"".join(rows[s]), 2, 100))
    assert list(chunks(lambda s: b"", 0, 100)) == []


# ------------------------------------------------------------------------------------------------- batch

ROWS = StagedDataset("s3://bucket/p/0", "text/csv")
WHERE = ("application/json", "s3://bucket/p/out")


def test_a_transform_leaves_its_answers_and_nothing_else(platform, time):
    for name in ("part-1.csv", "part-0.csv"):
        platform.files[f"s3://bucket/p/0/data/{name}"] = b""
    outputs = run_transform(JobClient(platform, JOB, time.clock), IMAGE, ROWS, *WHERE)
    (request,) = platform.requests("sagemaker.create_transform_job")
    base = f"s3://bucket/p/out/{request['TransformJobName']}"
    assert outputs == [f"{base}/part-0.csv.out", f"{base}/part-1.csv.out"]
    assert request["TransformOutput"] == {
        "S3OutputPath": base,
        "Accept": "application/json",
        "AssembleWith": "Line",
    }
    assert request["TransformInput"]["SplitType"] == "Line"
    assert "Environment" not in request
    assert platform.left() == []


def test_a_transform_that_fails_leaves_nothing(platform, time):
    platform.transforms = ["InProgress", "Failed"]
    with pytest.raises(JobFailedError, match="transform job") as caught:
        run_transform(JobClient(platform, JOB, time.clock), IMAGE, ROWS, *WHERE)
    assert not isinstance(caught.value, JobStoppedError)
    assert platform.left() == []


def test_a_transform_that_was_stopped_is_no_success(platform, time):
    platform.transforms = ["InProgress", "Stopped"]
    with pytest.raises(JobStoppedError):
        run_transform(JobClient(platform, JOB, time.clock), LISTING, ROWS, *WHERE)
    assert platform.left() == []


def test_an_interrupted_transform_is_stopped_and_leaves_nothing(platform, time):
    platform.transforms = ["InProgress"]

    def interrupt():
        time.during = None
        raise KeyboardInterrupt

    time.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_transform(JobClient(platform, JOB, time.clock), IMAGE, ROWS, *WHERE)
    assert platform.requests("sagemaker.stop_transform_job")
    assert platform.left() == []


def test_a_transform_that_is_refused_leaves_nothing(platform, time):
    operation = "sagemaker.create_transform_job"
    platform.script(operation, from_code("ResourceLimitExceeded", "no", operation))
    with pytest.raises(QuotaError):
        run_transform(JobClient(platform, JOB, time.clock), IMAGE, ROWS, *WHERE)
    assert platform.left() == []
