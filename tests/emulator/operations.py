"""Which function answers which operation; what is not here goes to moto, or is an error of the emulator's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.emulator import endpoints, logs, marketplace, tags, training, transform

_SAGEMAKER = [
    training.create_training_job,
    training.describe_training_job,
    training.stop_training_job,
    training.list_training_jobs,
    transform.create_transform_job,
    transform.describe_transform_job,
    transform.stop_transform_job,
    transform.list_transform_jobs,
    marketplace.describe_algorithm,
    marketplace.create_model_package,
    marketplace.describe_model_package,
    marketplace.delete_model_package,
    marketplace.list_model_packages,
    endpoints.create_model,
    endpoints.describe_model,
    endpoints.delete_model,
    endpoints.list_models,
    endpoints.create_endpoint_config,
    endpoints.describe_endpoint_config,
    endpoints.delete_endpoint_config,
    endpoints.list_endpoint_configs,
    endpoints.create_endpoint,
    endpoints.describe_endpoint,
    endpoints.delete_endpoint,
    endpoints.list_endpoints,
    tags.list_tags,
    tags.add_tags,
    tags.delete_tags,
]


def _operation(function: Callable[..., Any]) -> str:
    return re.sub("(?:^|_)([a-z])", lambda match: match[1].upper(), function.__name__)


HANDLERS: dict[tuple[str, str], Callable[..., Any]] = {
    **{("sagemaker", _operation(function)): function for function in _SAGEMAKER},
    ("logs", "GetLogEvents"): logs.get_log_events,
    ("logs", "DescribeLogStreams"): logs.describe_log_streams,
    ("tagging", "GetResources"): tags.get_resources,
    ("runtime", "InvokeEndpoint"): endpoints.invoke_endpoint,
}
