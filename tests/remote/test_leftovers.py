"""The public way to find and delete leftovers; what is found and in which order is tested with endpoints."""

from __future__ import annotations

import numpy as np
import pytest

from shapecluster import SageMakerKShape
from shapecluster.exceptions import CredentialsError, RemoteError
from shapecluster.remote import Rehearsal, clean_up, list_leftovers
from shapecluster.remote._errors import from_code
from shapecluster.remote._platform import DROPPED


@pytest.fixture
def model(tmp_path):
    X = np.random.default_rng(0).normal(size=(6, 8))
    return SageMakerKShape(2, session=Rehearsal(tmp_path, in_process=True), random_state=0).fit(X)


def test_what_is_listed_can_be_deleted_and_is_gone_then(model):
    session = model.session
    model.deploy(keep=True, name="kept")
    assert [one.kind for one in list_leftovers(session)] == ["endpoint", "endpoint configuration", "model"]
    found = list_leftovers(session, min_age=0)
    assert [one.kind for one in found][3:] == ["staged data"]
    assert {one.name for one in clean_up(reversed(found), session)} == {one.name for one in found}
    assert list_leftovers(session, min_age=0) == []


def test_another_prefix_holds_other_data(model):
    assert list_leftovers(model.session, prefix="elsewhere", min_age=0) == []


def test_data_of_an_uncollected_job_is_listed_and_stays(model):
    waiting = SageMakerKShape(2, session=model.session, wait=False).fit(np.eye(4))
    found = list_leftovers(model.session, min_age=0)
    (kept,) = [one for one in found if one.kept_for]
    assert kept.kept_for == (waiting.training_job_name_,)
    assert kept not in clean_up(found, model.session)
    assert list_leftovers(model.session, min_age=0) == [kept]


def test_what_could_not_be_deleted_is_named(model, monkeypatch):
    model.deploy(keep=True)
    found = list_leftovers(model.session, min_age=0)
    call = Rehearsal.call

    def refuse(self, operation, /, **request):
        if operation == "sagemaker.delete_model":
            raise from_code("AccessDenied", "no", operation)
        return call(self, operation, **request)

    monkeypatch.setattr(Rehearsal, "call", refuse)
    with pytest.raises(RemoteError, match=r"Could not be deleted: model '.*' \(AccessError: .*no\."):
        clean_up(found, model.session)
    monkeypatch.undo()
    assert [one.kind for one in list_leftovers(model.session, min_age=0)] == ["model"]  # all else is gone


def test_a_dropped_session_never_falls_back_to_the_default():
    with pytest.raises(CredentialsError, match="set it again"):
        list_leftovers(DROPPED)
    with pytest.raises(CredentialsError, match="set it again"):
        clean_up([], DROPPED)
