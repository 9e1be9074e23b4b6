"""`Job`: what it refuses, and that estimators can share it."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from shapecluster.remote import Job


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("bucket", v) for v in ("s3://data", "UPPER", "ab", 3)],
        *[("prefix", v) for v in ("/a", "a/", "a//b", "", "../up", "a/../b", None)],
        *[("instance_type", v) for v in ("m5.large", "ml.m5", None)],
        *[("instance_count", v) for v in (0, 1.0, True, "2")],
        *[("volume_size_gb", v) for v in (0, 2.5)],
        *[("max_run_seconds", v) for v in (0, -1, 28 * 86_400 + 1, 60.0)],
        ("spot", 1),
        ("create_bucket", "yes"),
        ("network_isolation", None),
        *[("checkpoint", v) for v in ("here", 1, "s3:/x", None)],
        *[("keep_alive_seconds", v) for v in (-1, 3601)],
        *[("subnets", v) for v in ("subnet-1", ("sg-1",), (1,))],
        *[("security_group_ids", v) for v in (("subnet-1",), {"sg-1"})],
        ("volume_kms_key", "a key"),
        ("output_kms_key", 5),
        *[("tags", v) for v in ({"aws:x": "y"}, {"": "y"}, {"x": "y" * 257}, {"x": 1}, ["x"])],
        ("tags", {f"tag{i}": "" for i in range(50)}),
        *[("channel", v) for v in ("a b", "")],
        *[("hyperparameters", v) for v in ({"k": 5}, {"k": "x" * 2501}, {"": "x"})],
        *[("on_interrupt", v) for v in ("kill", None)],
        *[("max_parallel_jobs", v) for v in (0, None)],
        *[("poll_interval", v) for v in (0, -1, "10", 3601, float("nan"), True)],
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field, value):
    with pytest.raises(ValueError, match=rf"^{field} of Job must .*Got .* instead\.$"):
        Job(**{field: value})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_wait_seconds": 7200}, "spot=True"),
        ({"spot": True, "max_run_seconds": 3600, "max_wait_seconds": 3599}, "at least max_run_seconds"),
        ({"spot": True, "keep_alive_seconds": 60}, "keep_alive_seconds"),
        ({"subnets": ("subnet-1",)}, "security_group_ids"),
        ({"security_group_ids": ("sg-1",)}, "subnets"),
    ],
)
def test_values_that_do_not_go_together_are_refused(fields, named):
    with pytest.raises(ValueError, match=named):
        Job(**fields)


def test_a_job_is_immutable_hashable_and_shared_by_clones():
    job = Job(subnets=["subnet-1"], security_group_ids=["sg-2"], tags={"a": "b"}, instance_count=np.int64(3))
    assert job.subnets == ("subnet-1",)
    assert type(job.instance_count) is int
    assert clone(job, safe=False) is job
    assert hash(job) == hash(copy.deepcopy(job))
    assert pickle.loads(pickle.dumps(job)) == copy.deepcopy(job) == job
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.spot = True


def test_changing_the_mapping_that_was_given_changes_nothing():
    tags = {"a": "b"}
    job = Job(tags=tags)
    tags["a"] = "c"
    assert job.tags == {"a": "b"}


def test_the_same_settings_are_the_same_job():
    assert Job() == Job()
    assert Job() != Job(spot=True)
    assert dataclasses.replace(Job(), spot=True, max_wait_seconds=7200).max_wait_seconds == 7200
