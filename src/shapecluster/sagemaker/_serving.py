"""Predictions made elsewhere: by an endpoint, or by a batch transform job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from shapecluster._typing import IntArray
from shapecluster._warnings import warn_user
from shapecluster.exceptions import ArtifactWarning
from shapecluster.formats import decode_predictions, encode_rows
from shapecluster.remote import Endpoint, Job
from shapecluster.remote._account import find_bucket
from shapecluster.remote._endpoints import deploy, deployed
from shapecluster.remote._models import ModelSource
from shapecluster.remote._staging import stage
from shapecluster.remote._transform import TransformSpec, run_transform
from shapecluster.remote._uris import join
from shapecluster.sagemaker._files import csv_of

if TYPE_CHECKING:
    from shapecluster.remote._outcome import JobOutcome
    from shapecluster.remote._platform import Platform

_CSV = "text/csv"
_MOST_ANSWER = 1 << 30  # bytes of one file of answers


class ServingMixin:
    """`deploy`, `predict_at` and `batch_predict` of an estimator whose model lies where a job left it.

    Predictions of the estimator itself are made here, and need none of these.
    """

    if TYPE_CHECKING:
        _outcome: JobOutcome

        def predict(self, X: Any) -> IntArray: ...
        def _check_is_fitted(self) -> None: ...
        def _platform(self) -> Platform: ...
        def _job(self) -> Job: ...
        def _sendable(self, X: Any) -> Any: ...
        def _ids(self, labels: IntArray) -> IntArray: ...

    def deploy(
        self, *, keep: bool = False, name: str | None = None, job: Job | None = None, instance_count: int = 1
    ) -> Any:
        """Serve the model by an endpoint, which is billed until it is deleted.

        Parameters
        ----------
        keep : bool, default=False
            False gives a context manager: the endpoint, its configuration and its model are deleted when the
            block ends, whatever happens in it. True creates the endpoint now, and leaves it to you.
        name : str or None, default=None
            Of the endpoint; None for one that nobody has.
        job : Job or None, default=None
            Machine, network, keys and tags; None means those of the training job.
        instance_count : int, default=1
            How many machines serve.

        Returns
        -------
        context manager of Endpoint, or Endpoint
            For `predict_at`. ``Endpoint.attach(name)`` finds one again that was kept.

        Raises
        ------
        EndpointError
            When it does not come up. Nothing of it is left then, or the message says what is.
        """
        self._check_is_fitted()
        options: dict[str, Any] = {"name": name, "instance_count": instance_count}
        options["base_name"] = "shapecluster"
        given = (self._platform(), self._source(), self._job() if job is None else job)
        if keep:
            return deploy(*given, **options)
        block: AbstractContextManager[Endpoint] = deployed(*given, **options)
        return block

    def predict_at(self, endpoint: Endpoint, X: Any) -> IntArray:
        """Ask an endpoint for the nearest cluster of each row, in requests that are small enough.

        Parameters
        ----------
        endpoint : Endpoint
            A server of this model.
        X : array-like
            Rows, as for `predict`.

        Returns
        -------
        ids : ndarray of shape (n_rows,)
            Clusters, as the endpoint numbers them.

        Warns
        -----
        ArtifactWarning
            They are not those that `predict` finds here.
        """
        self._check_is_fitted()
        rows = self._sendable(X)
        answers = endpoint.invoke_rows(
            lambda part: encode_rows(_dense(rows[part]), _CSV), rows.shape[0], _CSV, _CSV
        )
        ids = [
            decode_predictions(answer, _CSV, n_rows=part.stop - part.start).closest_cluster
            for part, answer in answers
        ]
        return self._compared(ids, X, f"the endpoint {endpoint.name!r}")

    def batch_predict(self, X: Any, *, job: Job | None = None) -> IntArray:
        """Have a batch transform job find the nearest cluster of each row; nothing but its files is left.

        Parameters
        ----------
        X : array-like
            Rows, as for `predict`.
        job : Job or None, default=None
            Machines, keys and tags; None means those of the training job.

        Returns
        -------
        ids : ndarray of shape (n_rows,)
            Clusters, as the job numbers them.

        Warns
        -----
        ArtifactWarning
            They are not those that `predict` finds here.
        """
        self._check_is_fitted()
        rows, platform = _dense(self._sendable(X)), self._platform()
        job = self._job() if job is None else job
        base = f"s3://{find_bucket(platform, job)}/{job.prefix}"
        staged = stage(platform, csv_of(rows, None, {}), base, kms_key=job.output_kms_key)
        spec = TransformSpec(staged.data_uri, _CSV, _CSV, join(base, "predictions"))
        ids = []
        for uri in run_transform(platform, self._source(), spec, job):
            with platform.open(uri) as file:
                answer = decode_predictions(file.read(_MOST_ANSWER), _CSV, max_bytes=_MOST_ANSWER)
            ids.append(answer.closest_cluster)
        return self._compared(ids, X, "the batch transform job")

    def _source(self) -> ModelSource:
        description = self._outcome.description
        algorithm = description["AlgorithmSpecification"]
        return ModelSource(
            algorithm.get("AlgorithmName") or algorithm["TrainingImage"],
            self._outcome.artifact_uri,
            description["RoleArn"],
        )

    def _compared(self, parts: Sequence[IntArray], X: Any, who: str) -> IntArray:
        """The ids of all parts; a warning where they are not ours."""
        ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.intp)
        ours = self._ids(self.predict(X))
        if len(ids) != len(ours):
            raise ValueError(f"{who} must answer for {len(ours)} rows. Got {len(ids)} answers instead.")
        other = np.flatnonzero(ids != ours)
        if len(other):
            warn_user(
                self,
                f"{who} answers otherwise than predict() here for {len(other)} of {len(ids)} rows, the first "
                f"of them row {other[0]}: cluster {ids[other[0]]}, and {ours[other[0]]} here. It may serve "
                "another model, number clusters in its own way, or round otherwise.",
                ArtifactWarning,
            )
        return ids


def _dense(rows: Any) -> Any:
    return rows.toarray() if hasattr(rows, "toarray") else rows
