"""What is said where the SageMaker SDK is missing, or has nothing to hand out."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from shapecluster import SageMakerKShape
from shapecluster.remote import Rehearsal
from shapecluster.sagemaker._builtin import k_means_image

HINT = r'not installed: pip install "shapecluster\[sagemaker\]"'


@pytest.fixture
def no_sdk(monkeypatch):
    for module in ("sagemaker.core.resources", "sagemaker.core.image_uris"):
        monkeypatch.setitem(sys.modules, module, None)


def test_an_image_that_only_the_sdk_knows_asks_for_it(no_sdk):
    assert k_means_image("eu-west-1").endswith(".dkr.ecr.eu-west-1.amazonaws.com/kmeans:1")
    with pytest.raises(ImportError, match=f"in region eu-west-3 needs sagemaker, which is {HINT}"):
        k_means_image("eu-west-3")


def test_a_training_job_asks_for_the_sdk(no_sdk, emulator):
    model = SageMakerKShape(2, session=emulator.session())
    model.training_job_name_ = "job"
    with pytest.raises(ImportError, match=HINT):
        model.training_job()


def test_a_rehearsed_job_is_unknown_to_the_sdk(tmp_path):
    model = SageMakerKShape(2, session=Rehearsal(tmp_path, in_process=True))
    with pytest.raises(NotFittedError):
        model.training_job()
    model.fit(np.random.default_rng(0).normal(size=(6, 8)))
    with pytest.raises(ValueError, match=r"does not see into a rehearsal\. Got Rehearsal\("):
        model.training_job()
