"""Predictions by an endpoint or a batch transform job, compared with those of `predict`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, overload

import numpy as np

from shapecluster._typing import IntArray, is_integer
from shapecluster._warnings import warn_user
from shapecluster.cluster._euclidean import dense
from shapecluster.exceptions import ArtifactWarning
from shapecluster.formats import decode_predictions, encode_rows
from shapecluster.remote import Endpoint, Job
from shapecluster.remote._client import deploy, deployed, open_client, transform
from shapecluster.sagemaker._base import TrainingJobEstimator
from shapecluster.sagemaker._files import CSV, csv_of

_MOST_ANSWER = 1 << 30  # bytes of one file of answers


class ServedEstimator(TrainingJobEstimator):
    """An estimator whose model an endpoint or a batch transform job can serve; `predict` needs neither."""

    @abstractmethod
    def _new_rows(self, X: Any) -> Any:
        """Check rows for predictions, and return them as a request holds them; raise if there is no model."""

    def _served_ids(self, labels: IntArray) -> IntArray:
        """Return labels of `predict` as the model's own program numbers them."""
        return labels

    @overload
    def deploy(
        self,
        *,
        keep: Literal[False] = False,
        name: str | None = None,
        job: Job | None = None,
        instance_count: int = 1,
    ) -> AbstractContextManager[Endpoint]: ...

    @overload
    def deploy(
        self, *, keep: Literal[True], name: str | None = None, job: Job | None = None, instance_count: int = 1
    ) -> Endpoint: ...

    @overload
    def deploy(
        self, *, keep: bool, name: str | None = None, job: Job | None = None, instance_count: int = 1
    ) -> AbstractContextManager[Endpoint] | Endpoint: ...

    def deploy(
        self, *, keep: bool = False, name: str | None = None, job: Job | None = None, instance_count: int = 1
    ) -> AbstractContextManager[Endpoint] | Endpoint:
        """Serve the model by an endpoint, which is billed until it is deleted.

        Parameters
        ----------
        keep : bool, default=False
            False returns a context manager: the endpoint, its configuration and its model are deleted when
            the block ends, even by an error. True creates the endpoint now, and you delete it.
        name : str or None, default=None
            Name of the endpoint; None means a new, unique name.
        job : Job or None, default=None
            Machine, network, keys and tags; None means those of the training job.
        instance_count : int, default=1
            Number of machines that serve.

        Returns
        -------
        context manager of Endpoint, or Endpoint
            For `predict_at`. ``Endpoint.attach(name)`` finds a kept endpoint again.

        Raises
        ------
        TypeError
            When `keep` is neither True nor False.
        ValueError
            When `instance_count` is no positive number.
        EndpointError
            When it does not come up. Everything that was created is deleted then; the message names what
            could not be.
        """
        if not isinstance(keep, bool):  # a kept endpoint is billed until somebody deletes it
            raise TypeError(f"keep must be True or False. Got {keep!r} instead.")
        if not is_integer(instance_count) or instance_count < 1:
            raise ValueError(f"instance_count must be an int of at least 1. Got {instance_count!r} instead.")
        self._check_is_fitted()
        client = open_client(self.session, self._job() if job is None else job)
        create = deploy if keep else deployed
        return create(client, self._described, name=name, instance_count=instance_count)

    def predict_at(self, endpoint: Endpoint, X: Any) -> IntArray:
        """Ask an endpoint for the nearest cluster of each row, in as many requests as it takes.

        Parameters
        ----------
        endpoint : Endpoint
            A server of this model.
        X : array-like
            Rows, as for `predict`.

        Returns
        -------
        ids : ndarray of shape (n_samples,)
            Clusters, as the endpoint numbers them.

        Warns
        -----
        ArtifactWarning
            When they differ from those of `predict`.
        """
        rows = self._new_rows(X)
        answers = endpoint.invoke_rows(
            lambda part: encode_rows(dense(rows[part], rows.dtype), CSV), rows.shape[0], CSV, CSV
        )
        ids = [
            decode_predictions(answer, CSV, n_rows=part.stop - part.start).closest_cluster
            for part, answer in answers
        ]
        return self._joined_and_compared(ids, X, f"the endpoint {endpoint.name!r}")

    def batch_predict(self, X: Any, *, job: Job | None = None) -> IntArray:
        """Find the nearest cluster of each row by a batch transform job, which leaves only files.

        Parameters
        ----------
        X : array-like
            Rows, as for `predict`.
        job : Job or None, default=None
            Machines, keys and tags; None means those of the training job.

        Returns
        -------
        ids : ndarray of shape (n_samples,)
            Clusters, as the job numbers them.

        Warns
        -----
        ArtifactWarning
            When they differ from those of `predict`.
        """
        rows = self._new_rows(X)
        client = open_client(self.session, self._job() if job is None else job)
        ids = []
        for file in transform(client, self._described, csv_of(dense(rows, rows.dtype), None, {}), CSV):
            answer = decode_predictions(file.read(_MOST_ANSWER), CSV, max_bytes=_MOST_ANSWER)
            ids.append(answer.closest_cluster)
        return self._joined_and_compared(ids, X, "the batch transform job")

    def _joined_and_compared(self, parts: Sequence[IntArray], X: Any, server: str) -> IntArray:
        """The ids of all parts, with a warning where `predict` answers differently."""
        ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.intp)
        local = self._served_ids(self.predict(X))
        if len(ids) != len(local):
            raise ValueError(f"{server} must answer for {len(local)} rows. Got {len(ids)} answers instead.")
        other = np.flatnonzero(ids != local)
        if len(other):
            warn_user(
                self,
                f"{server} answers differently from predict() for {len(other)} of {len(ids)} rows, first row "
                f"{other[0]}: cluster {ids[other[0]]}, where predict() has {local[other[0]]}. It may serve "
                "another model, number clusters differently, or round differently.",
                ArtifactWarning,
            )
        return ids
