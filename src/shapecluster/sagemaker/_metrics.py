"""Metrics that a job of the built-in K-Means reports of its channel `test`."""

from __future__ import annotations

import re

from shapecluster.remote._client import CompletedJob

TEST = "test"  # the name that the algorithm gives the channel

_LINE = re.compile(r"#quality_metric: host=\S+, test (msd|ssd) <loss>=(\S+)")


def read_test_metrics(job: CompletedJob) -> dict[str, float]:
    """The metrics by name, as the service reports them, else as the job printed them."""
    reported = {
        name.removeprefix("test:"): value
        for name, value in job.metrics.items()
        if name in ("test:msd", "test:ssd")
    }
    if reported:
        return reported
    # A rehearsal, and an image of one's own, report no metrics but in the log.
    printed = (_LINE.search(line) for line in job.read_log())
    return {match[1]: float(match[2]) for match in printed if match is not None}
