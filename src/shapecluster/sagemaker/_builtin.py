"""SageMaker's built-in K-Means: where its image is, and what it reports of its channel `test`."""

from __future__ import annotations

import re

from shapecluster._optional import import_optional
from shapecluster.remote._client import CompletedJob, LogReader

# From the image_uri_config of the SageMaker SDK, version 3; it has the other regions as well.
_ACCOUNTS = {
    "us-east-1": "382416733822",
    "us-east-2": "404615174143",
    "us-west-2": "174872318107",
    "eu-west-1": "438346466558",
    "eu-central-1": "664544806723",
    "ap-northeast-1": "351501993468",
}
REHEARSED = "rehearsal/kmeans:1"  # an image that is never pulled
TEST = "test"  # the name that the algorithm gives the channel

_LINE = re.compile(r"#quality_metric: host=\S+, test (msd|ssd) <loss>=(\S+)")


def k_means_image(region: str) -> str:
    """URI of the image of a region.

    Raises
    ------
    ImportError
        For a region that is not listed here, when the SageMaker SDK is not installed.
    """
    if region in _ACCOUNTS:
        return f"{_ACCOUNTS[region]}.dkr.ecr.{region}.amazonaws.com/kmeans:1"
    uris = import_optional(
        "sagemaker.core.image_uris",
        extra="sagemaker",
        needed_for=f"SageMakerKMeans without image_uri in region {region}",
    )
    return str(uris.retrieve("kmeans", region))


def read_test_metrics(job: CompletedJob) -> dict[str, float]:
    """The metrics by name, as the service reports them, else as the job printed them."""
    reported = {
        metric["MetricName"].removeprefix("test:"): float(metric["Value"])
        for metric in job.description.get("FinalMetricDataList", [])
        if metric["MetricName"] in ("test:msd", "test:ssd")
    }
    if reported:
        return reported
    # A rehearsal, and an image of one's own, report no metrics but in the log.
    printed = (_LINE.search(line) for line in LogReader(job.platform, job.name).read())
    return {match[1]: float(match[2]) for match in printed if match is not None}
