"""Base of the estimators whose `fit` is a training job: session, waiting, and reading the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from shapecluster._sklearn_compat import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    check_is_fitted,
    clone,
)
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike, FloatArray, IntArray
from shapecluster.exceptions import ArtifactError, RemoteError
from shapecluster.remote import Job, JobProgress
from shapecluster.remote._client import (
    Algorithm,
    CompletedJob,
    Dataset,
    JobClient,
    TrainingRun,
    attach_training,
    job_cost,
    job_slot,
    mark_collected,
    open_client,
    prepare,
    read_record,
    sdk_training_job,
    start_training,
)
from shapecluster.sagemaker._copies import SessionMixin
from shapecluster.sagemaker._sweep import fit_in_parallel, interruptible_sleep

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd
    from sagemaker.core.resources import TrainingJob


# Arrays of `init` travel in a channel; the others belong to the caller and not to the job.
_NOT_RECORDED = ("job", "session", "wait", "progress", "init")


class TrainingJobEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, SessionMixin, ABC
):
    """An estimator whose `fit` is a training job.

    A subclass has the parameters `role`, `job`, `session`, `wait` and `progress`. Its `fit` checks the input
    and calls `_run_job`; its `_read_result` reads the model of the completed job.
    """

    role: str | None
    job: Job | None
    session: object
    wait: bool
    progress: Callable[[JobProgress], object] | None

    training_job_name_: str
    billable_seconds_: int | None
    labels_: IntArray

    _base_name: ClassVar[str]  # what the name of a job begins with
    _run: TrainingRun | None = None
    _described: dict[str, Any]  # the service's description of the completed job

    _remote_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "role": [str, None],
        "job": [Job, None],
        "session": "no_validation",
        "wait": ["boolean"],
        "progress": [callable, None],
    }

    if TYPE_CHECKING:  # attributes of subclasses, some from another parent

        def fit(self, X: Any, y: None = None) -> Self: ...
        def predict(self, X: Any) -> IntArray: ...
        def transform(self, X: Any) -> FloatArray | pd.DataFrame: ...

    @abstractmethod
    def _read_result(self, job: CompletedJob, data: Any) -> None:
        """Read the model of a completed job, and label the data; None: the data as it was staged."""

    # --------------------------------------------------------------------------------- the life of a job

    @classmethod
    def attach(
        cls,
        job_name: str,
        session: object = None,
        *,
        progress: Callable[[JobProgress], object] | None = None,
    ) -> Self:
        """Find a training job again that `fit` of such an estimator created.

        Parameters
        ----------
        job_name : str
            As in `training_job_name_`.
        session : boto3.Session, Rehearsal or None, default=None
            As in the constructor.
        progress : callable, default=None
            As in the constructor.

        Returns
        -------
        estimator
            An estimator with the parameters of the one that created the job. It is fitted when the job has
            completed; else `result` waits for the job. An interrupted wait lets the job run on.

        Raises
        ------
        NotFoundError
            When there is no such job.
        ValueError
            When another program created the job.
        """
        run, description = attach_training(session, job_name, progress=progress)
        record = read_record(run.client.platform, description)
        if record is None or record.get("estimator") != cls.__name__:
            made = "an unknown program" if record is None else str(record.get("estimator"))
            raise ValueError(
                f"job_name must name a training job of {cls.__name__}. Got {job_name!r}, which was begun by "
                f"{made}, instead."
            )
        model, parameters = cls(), record.get("parameters")
        known = model.get_params(deep=False).keys() - {"job", "session", "wait", "progress"}
        if not isinstance(parameters, dict) or not parameters.keys() <= known:
            raise ArtifactError(
                f"The record of the training job {job_name!r} must hold parameters of {cls.__name__}. Got "
                f"something else instead, so it cannot be attached to: fit again."
            )
        # JSON has no tuples: lists in a record were tuples in the estimator.
        model.set_params(**{n: tuple(v) if isinstance(v, list) else v for n, v in parameters.items()})
        model._validate_params()
        model.session, model.progress = session, progress
        model.training_job_name_, model._run = job_name, run
        if description["TrainingJobStatus"] == "Completed":
            model.result()
        return model

    def result(self, timeout: float | None = None) -> Self:
        """Wait for the training job, and read its result.

        Parameters
        ----------
        timeout : float, default=None
            Seconds to wait; None waits to the end, 0 asks once.

        Returns
        -------
        self : estimator
            Fitted.

        Raises
        ------
        JobRunningError
            When the time is over before the job is.
        JobFailedError, JobStoppedError, CapacityError
            When the job ended without a model.
        """
        if hasattr(self, "labels_"):
            return self
        self._store_result(self._current_run().result(timeout), None)
        return self

    def stop(self) -> None:
        """Ask the training job to end. Its billing ends then, and it has no result."""
        self._current_run().stop()

    def training_job(self) -> TrainingJob:
        """Return the job as an object of the SageMaker SDK (version 3).

        Returns
        -------
        sagemaker.core.resources.TrainingJob
            Under the session's credentials. Its `wait` returns in silence when the job was stopped; `result`
            of this estimator raises.

        Raises
        ------
        ImportError
            Without the extra `sagemaker`.
        ValueError
            For a rehearsal, whose jobs do not exist on AWS.
        """
        name = self._job_name()
        return sdk_training_job(self._client(), name)

    def _job(self) -> Job:
        return Job() if self.job is None else self.job

    def _client(self) -> JobClient:
        return open_client(self.session, self.job)

    @contextmanager
    def _unchanged_unless_created(self) -> Iterator[None]:
        """Restore the estimator when `fit` raises before there is a job."""
        before = dict(vars(self))
        try:
            yield
        except BaseException as error:
            name = vars(self).get("training_job_name_")
            named = name is not None and name != before.get("training_job_name_")
            # An error without a job's name means that no job was created.
            if not named or (isinstance(error, RemoteError) and error.job_name is None):
                vars(self).clear()
                vars(self).update(before)
            raise

    def _run_job(
        self,
        client: JobClient,
        algorithm: str | Algorithm,
        datasets: Mapping[str, Dataset],
        hyperparameters: Mapping[str, str],
        data: Any,
    ) -> None:
        """Stage the data and create the job; with ``wait=True`` also wait for it, and read its result."""
        spec = prepare(
            client,
            algorithm,
            datasets,
            hyperparameters,
            role=self.role,
            record=self._job_record(),
            base_name=self._base_name,
        )

        def on_named(name: str) -> None:
            # The name is stored before the job exists, so that no crash can lose a billed job.
            self._drop_results()
            self.training_job_name_ = name

        sleep = interruptible_sleep()
        if sleep is not None:
            client = replace(client, clock=replace(client.clock, sleep=sleep))
        start = partial(start_training, client, spec, on_named=on_named, progress=self.progress)
        if not self.wait:
            self._run = start()
            return
        with job_slot(client.platform.identity, client.job.max_parallel_jobs):
            if sleep is not None:
                sleep(0.0)  # raises if the sweep was canceled while this fit waited for its turn
            job = start().result()
        self._store_result(job, data)

    def _job_record(self) -> dict[str, Any]:
        """Return the record for `attach`: the class, and the parameters that JSON can hold."""
        parameters, recorded = self.get_params(deep=False), {}
        for name, value in parameters.items():
            plain = value.item() if isinstance(value, np.generic) else value
            if isinstance(plain, (str, int, float, type(None), tuple, list)) and name not in _NOT_RECORDED:
                recorded[name] = plain
        if isinstance(parameters.get("init"), str):
            recorded["init"] = parameters["init"]
        return {"estimator": type(self).__name__, "parameters": recorded}

    def _store_result(self, job: CompletedJob, data: Any) -> None:
        try:
            self._read_result(job, data)
        except ArtifactError as error:
            raise ArtifactError(
                f"The training job {job.name!r} completed, but its result cannot be used. {error}"
            ) from None
        except RemoteError as error:
            if error.job_name is None:
                error.job_name = job.name
                attach = f"attach({job.name!r}, session=...) reads its result."
                error.args = (f"{error} The training job {job.name!r} has completed: {attach}",)
            raise
        self.billable_seconds_ = job.billable_seconds
        self._described = job.description
        self._run = None
        with suppress(RemoteError):  # the mark is for cleaning up, and no reason to lose the result
            mark_collected(job.platform, job.description, self._job().output_kms_key)

    def estimated_cost(self, hourly_rate: float) -> float | None:
        """Estimate what the training job cost.

        Parameters
        ----------
        hourly_rate : float
            Price of one machine of `job.instance_type` for an hour, in any currency.

        Returns
        -------
        float or None
            In the same currency; None when the service does not report the billed time.
        """
        self._check_is_fitted()
        return job_cost(self._described, hourly_rate)

    def _drop_results(self) -> None:
        """Drop the results of an earlier fit; what `fit` has just stored about its input stays."""
        inputs = {"n_features_in_", "feature_names_in_", "series_names_in_"}
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_") and n not in inputs]:
            delattr(self, name)
        self._run = None

    def _current_run(self) -> TrainingRun:
        name = self._job_name()
        if self._run is None:  # after unpickling
            self._run = TrainingRun(self._client(), name, self.progress)
        return self._run

    def _job_name(self) -> str:
        if not hasattr(self, "training_job_name_"):
            raise NotFittedError(f"This {type(self).__name__} has no training job yet: call fit first.")
        return self.training_job_name_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    def _check_is_fitted(self) -> None:
        if hasattr(self, "training_job_name_") and not hasattr(self, "labels_"):
            raise NotFittedError(
                f"The training job {self.training_job_name_!r} of this {type(self).__name__} has not been "
                "collected yet: result() waits for it."
            )
        check_is_fitted(self)

    def _refuse_not_waiting(self, method: str) -> None:
        if not self.wait:
            raise ValueError(
                f"{method} of {type(self).__name__} needs the result at once, but wait=False. Set wait=True, "
                "or call fit, and later result()."
            )

    # ------------------------------------------------------------------------------- scikit-learn's hooks

    def fit_predict(self, X: Any, y: None = None, **kwargs: Any) -> IntArray:
        """Fit, and return the labels.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : None
            Ignored.
        **kwargs
            Passed to `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            `labels_`.
        """
        self._refuse_not_waiting("fit_predict")
        return self.fit(X, y, **kwargs).labels_

    def fit_transform(self, X: Any, y: None = None, **fit_params: Any) -> FloatArray | pd.DataFrame:
        """Fit, and return the distances to the centers.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : None
            Ignored.
        **fit_params
            Passed to `fit`.

        Returns
        -------
        distances : ndarray or DataFrame of shape (n_samples, n_clusters)
            As of `transform`.
        """
        self._refuse_not_waiting("fit_transform")
        return self.fit(X, y, **fit_params).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only used to validate feature names with the names seen in `fit`.

        Returns
        -------
        feature_names_out : ndarray of str objects
            The name of the class in lower case, and the number of the cluster.
        """
        self._check_is_fitted()
        names: NDArray[np.object_] = super().get_feature_names_out(input_features)
        return names

    def _fit_path(
        self, X: Any, ks: list[int], *, sample_weight: ArrayLike | None = None, n_jobs: int | None = None
    ) -> Iterator[Self]:
        """Fit a clone for each k: jobs in parallel, each watched by a thread.

        Without `n_jobs` as many run as `job.max_parallel_jobs` allows. When one fails, or the sweep is
        interrupted, the others are stopped, unless `job.on_interrupt` is "detach".
        """
        self._refuse_not_waiting("A sweep")
        models: list[Self] = [clone(self).set_params(n_clusters=k) for k in ks]
        threads = self._job().max_parallel_jobs if n_jobs is None else n_threads(n_jobs)
        weights: dict[str, Any] = {} if sample_weight is None else {"sample_weight": sample_weight}
        yield from fit_in_parallel(models, lambda model: model.fit(X, **weights), threads)
