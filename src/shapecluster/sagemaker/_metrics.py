"""What a job of the built-in K-Means reports of its channel `test`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shapecluster.remote._logs import LogReader
from shapecluster.remote._platform import Platform

if TYPE_CHECKING:
    from shapecluster.remote._outcome import JobOutcome

TEST = "test"  # what the algorithm calls the channel

_LINE = re.compile(r"#quality_metric: host=\S+, test (msd|ssd) <loss>=(\S+)")


def metrics_of_test(platform: Platform, outcome: JobOutcome) -> dict[str, float]:
    """The metrics by name: as the service describes them, else as the job has printed them."""
    told = outcome.description.get("FinalMetricDataList", [])
    found = {
        str(metric["MetricName"]).removeprefix("test:"): float(metric["Value"])
        for metric in told
        if str(metric["MetricName"]) in ("test:msd", "test:ssd")
    }
    if found:
        return found
    printed = (_LINE.search(line) for line in LogReader(platform, outcome.name).read())
    return {match[1]: float(match[2]) for match in printed if match is not None}
