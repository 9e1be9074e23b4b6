"""The whole life of jobs and endpoints over real HTTP, under policies with no permission to spare."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

boto3 = pytest.importorskip("boto3", reason="boto3 comes with the extra `aws`")
pytest.importorskip("moto", reason="the emulator needs moto")

from shapecluster.exceptions import AccessError  # noqa: E402
from shapecluster.remote import Job, clean_up, list_leftovers  # noqa: E402
from shapecluster.remote._client import find_bucket  # noqa: E402
from shapecluster.remote._endpoints import deploy, deployed  # noqa: E402
from shapecluster.remote._marketplace import describe_algorithm  # noqa: E402
from shapecluster.remote._names import join_uri  # noqa: E402
from shapecluster.remote._platform import Platform, open_platform  # noqa: E402
from shapecluster.remote._polling import JobClient  # noqa: E402
from shapecluster.remote._request import TrainingSpec  # noqa: E402
from shapecluster.remote._staging import (  # noqa: E402
    Dataset,
    StagedDataset,
    mark_collected,
    read_record,
    stage,
    staged_channels,
)
from shapecluster.remote._training import attach_training, start_training  # noqa: E402
from shapecluster.remote._transform import run_transform  # noqa: E402
from shapecluster.remote.permissions import Scope, caller_policy  # noqa: E402
from tests.emulator import Emulator  # noqa: E402
from tests.emulator.errors import ServiceError  # noqa: E402
from tests.emulator.programs import stub  # noqa: E402

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stub:1"
JOB = Job(poll_interval=0.01, tags={"desk": "x"})
CONTENT = b"1,2\n3,4,5\n"


@pytest.fixture
def platform(emulator: Emulator) -> Platform:
    emulator.images.add(IMAGE, stub())
    return open_platform(emulator.session())


def staged_data(platform: Platform, content: bytes = CONTENT) -> tuple[str, StagedDataset]:
    base = join_uri(f"s3://{find_bucket(platform, JOB)}", JOB.prefix)
    data = Dataset(
        repr(content), 2, lambda file, rows: file.write(content), "text/csv", ".csv", {"names": ["A", "B"]}
    )
    return base, stage(platform, data, base)


def train(platform: Platform, role: str, progress=None, job: Job = JOB, **hyperparameters: str):
    base, staged = staged_data(platform)
    spec = TrainingSpec(
        algorithm=IMAGE,
        channels={"train": staged},
        hyperparameters={"k": "3", **hyperparameters},
        role=role,
        output_uri=join_uri(base, "models"),
        record={"k": 3},
    )
    return start_training(JobClient(platform, job), spec, progress=progress)


def live(platform: Platform, emulator: Emulator) -> None:
    """Everything that this package does, once; with an algorithm's listing, two endpoints and a clean-up."""
    algorithm = describe_algorithm(JobClient(platform), emulator.algorithm_arn)
    news = []
    outcome = train(platform, emulator.role, news.append).result()
    assert [line for one in news for line in one.lines if line == "done"]
    run, description = attach_training(JobClient(platform, JOB), outcome.name)
    assert read_record(platform, description) == {"k": 3}
    assert staged_channels(platform, description)["train"].manifest == {"names": ["A", "B"]}
    run.stop()
    with outcome.open_model() as file:
        assert file.read(2) == b"\x1f\x8b"
    source = outcome.description
    with deployed(JobClient(platform, JOB), source) as endpoint:
        assert endpoint.invoke(CONTENT, "text/csv") == b"3\n5\n"
    before = len(emulator.calls("PutObject"))
    base, staged = staged_data(platform)
    assert len(emulator.calls("PutObject")) == before  # it is there already
    (uri,) = run_transform(JobClient(platform, JOB), source, staged, "text/csv", join_uri(base, "answers"))
    with platform.open(uri) as file:
        assert file.read() == b"3\n5\n"
    algorithm_name = {"AlgorithmName": emulator.algorithm_arn}
    listing = outcome.description | {"AlgorithmSpecification": algorithm_name}
    assert algorithm.channels["train"].required
    with deployed(JobClient(platform, JOB), listing):
        found = list_leftovers(platform, min_age=0.0)
        assert {one.kind for one in found} > {"endpoint", "endpoint configuration", "model", "model package"}
    mark_collected(platform, outcome.description)
    found = list_leftovers(platform, min_age=0.0)
    assert clean_up(found, platform) == found


def test_a_life_under_no_policy_leaves_nothing(platform, emulator):
    live(platform, emulator)
    assert not emulator.inventory()
    (created,) = emulator.calls("CreateTrainingJob")
    assert "shapecluster/" in created.user_agent
    # Lists are for clean-ups, never for watching.
    assert not emulator.calls("ListTrainingJobs")


@pytest.fixture
def scope(emulator) -> Scope:
    emulator.images.add(IMAGE, stub())
    return Scope("123456789012", "us-east-1", emulator.role, algorithm_arn=emulator.algorithm_arn)


def test_a_life_under_the_policy_lacks_nothing_and_needs_every_statement(emulator, scope):
    policy = caller_policy(scope)
    emulator.policies.attach(emulator.caller.access_key, policy)
    live(open_platform(emulator.session()), emulator)
    assert not [call for call in emulator.calls() if call.status == 403]
    assert not emulator.inventory()
    calls = [
        SimpleNamespace(service=c.service, operation=c.operation, request=c.request, caller=emulator.caller)
        for c in emulator.calls()
    ]
    for statement in policy["Statement"]:
        less = {**policy, "Statement": [one for one in policy["Statement"] if one is not statement]}
        emulator.policies.attach(emulator.caller.access_key, less)
        assert any(refused(emulator, call) for call in calls), statement["Sid"]


def refused(emulator, call) -> bool:
    try:
        emulator.policies.check(call)
    except ServiceError:
        return True
    return False


def test_without_the_right_to_pass_the_role_the_error_says_so(emulator, scope):
    policy = caller_policy(scope)
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] != "Role"]
    emulator.policies.attach(emulator.caller.access_key, policy)
    with pytest.raises(AccessError, match="iam:PassRole on the execution role"):
        train(open_platform(emulator.session()), emulator.role)
    assert not emulator.inventory()


def test_the_search_by_tag_finds_what_exists_and_nothing_else(platform, emulator):
    """The index of tags has more: jobs, resources that are gone, and those of others."""
    outcome = train(platform, emulator.role).result()
    source = outcome.description
    client = JobClient(platform, JOB)
    with deployed(client, source):
        pass
    kept = [deploy(client, source, name=f"Kept-{number}") for number in range(20)]
    others = emulator.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": outcome.artifact_uri}
    others.create_model(ModelName="theirs", PrimaryContainer=container, ExecutionRoleArn=emulator.role)
    assert emulator.gone_tags
    emulator.calls.clear()
    found = [one for one in list_leftovers(platform) if one.kind != "staged data"]
    assert len(emulator.calls("GetResources")) == 2  # pages
    assert not emulator.calls("List*Tags")
    assert [one.kind for one in found] == (
        ["endpoint"] * 20 + ["endpoint configuration"] * 20 + ["model"] * 20
    )
    # As they were given, and not in the lower case of ARNs.
    assert {one.name for one in found[:20]} == {one.name for one in kept}
    for kind in range(3):
        times = [one.created for one in found[20 * kind : 20 * kind + 20]]
        assert times == sorted(times, reverse=True)
    assert clean_up(found, platform) == found


def test_what_a_policy_hides_is_listed_all_the_same(platform, emulator, scope):
    outcome = train(platform, emulator.role).result()
    source = outcome.description
    deploy(JobClient(platform, JOB), source, name="named-by-a-user")
    emulator.policies.attach(emulator.caller.access_key, caller_policy(scope))
    found = [one for one in list_leftovers(platform) if one.kind == "endpoint"]
    assert [(one.name, one.created) for one in found] == [("named-by-a-user", None)]
