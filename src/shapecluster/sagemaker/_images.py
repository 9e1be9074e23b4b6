"""Locations of the images of the built-in K-Means: one account for each region."""

from __future__ import annotations

from shapecluster._optional import import_optional

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
