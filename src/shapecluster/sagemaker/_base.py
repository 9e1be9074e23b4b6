"""What estimators have in common whose fit is a training job: sessions, waiting, and taking in its result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sklearn.exceptions import NotFittedError

from shapecluster._sklearn_compat import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    check_is_fitted,
    clone,
)
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike
from shapecluster.exceptions import ArtifactError, RemoteError
from shapecluster.remote import Job
from shapecluster.remote._aws import AwsPlatform
from shapecluster.remote._concurrency import slot
from shapecluster.remote._platform import Platform, open_platform
from shapecluster.remote._records import collected
from shapecluster.remote._request import TrainingSpec
from shapecluster.remote._staging import Staged
from shapecluster.remote._training import TrainingRun, start_training
from shapecluster.sagemaker._attaching import AttachMixin
from shapecluster.sagemaker._copies import KeepsSession
from shapecluster.sagemaker._serving import ServingMixin
from shapecluster.sagemaker._sweep import check_wanted, clock, side_by_side

if TYPE_CHECKING:
    from typing import Self

    from shapecluster.remote._outcome import JobOutcome, JobProgress


class Order(NamedTuple):
    """A training job that is ready to be created.

    Attributes
    ----------
    platform : Platform
        Where it is to run.
    spec : TrainingSpec
        What it is to do.
    staged : sequence of Staged
        The data that it reads.
    record : mapping
        What `attach` has to know of it.
    """

    platform: Platform
    spec: TrainingSpec
    staged: Sequence[Staged]
    record: Mapping[str, Any]


class TrainingJobEstimator(
    AttachMixin,
    ServingMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    KeepsSession,
    ABC,
):
    """An estimator whose `fit` is a training job.

    A subclass has the parameters `role`, `job`, `session`, `wait` and `callback`, and says how a job is
    ordered (`_order`) and what becomes of its model (`_collect`).
    """

    role: str | None
    job: Job | None
    session: Any
    wait: bool
    callback: Callable[[JobProgress], object] | None

    training_job_name_: str
    billable_seconds_: int | None
    labels_: Any

    _run: TrainingRun | None = None
    _begun: bool
    _outcome: JobOutcome

    _remote_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "role": [str, None],
        "job": [Job, None],
        "session": "no_validation",
        "wait": ["boolean"],
        "callback": [callable, None],
    }

    if TYPE_CHECKING:  # what subclasses have, some from another parent

        def fit(self, X: Any, y: None = None) -> Self: ...
        def transform(self, X: Any) -> Any: ...

    @abstractmethod
    def _collect(self, platform: Platform, outcome: JobOutcome, data: Any) -> None:
        """Read the model of a completed job, and label the data; None: as it was staged."""

    # --------------------------------------------------------------------------------- the life of a job

    def result(self, timeout: float | None = None) -> Self:
        """Wait for the training job, and take in its result.

        Parameters
        ----------
        timeout : float, default=None
            Seconds to wait; None waits to the end, 0 looks once.

        Returns
        -------
        self : estimator
            Fitted.

        Raises
        ------
        JobRunningError
            When the time is over, and the job is not.
        JobFailedError, JobStoppedError, CapacityError
            When the job ended without a model.
        """
        if hasattr(self, "labels_"):
            return self
        run = self._running()
        self._take_in(run.platform, run.result(timeout), None)
        return self

    def stop(self) -> None:
        """Ask the training job to end; it is billed no longer, and has no result."""
        self._running().stop()

    def training_job(self) -> Any:
        """The job as the SageMaker SDK (version 3) knows it.

        Returns
        -------
        sagemaker.core.resources.TrainingJob
            Under the session's credentials. Its `wait` takes a job that was stopped for one that went well;
            `result` does not.

        Raises
        ------
        ImportError
            Without the extra `sagemaker`.
        ValueError
            For a rehearsal, whose jobs only this package knows.
        """
        name, platform = self._job_name(), self._platform()
        if not isinstance(platform, AwsPlatform):
            raise ValueError(
                "session must be one of AWS for training_job(): the SageMaker SDK does not see into a "
                f"rehearsal. Got {platform!r} instead."
            )
        return platform.sdk_training_job(name)

    def _platform(self) -> Platform:
        return open_platform(self.session)

    def _job(self) -> Job:
        return Job() if self.job is None else self.job

    @contextmanager
    def _as_before_unless_begun(self) -> Iterator[None]:
        """Leave the estimator as it was when `fit` raises before there is a job."""
        before = dict(vars(self))
        self._begun = False
        try:
            yield
        except BaseException as error:
            if not self._begun or (isinstance(error, RemoteError) and error.job_name is None):
                vars(self).clear()
                vars(self).update(before)
            raise
        finally:
            vars(self).pop("_begun", None)

    def _start(self, order: Order, data: Any) -> None:
        """Create the job; and wait for it and take in its result, if that is wanted."""

        def named(name: str) -> None:
            self._forget()
            self.training_job_name_, self._begun = name, True

        given: dict[str, Any] = {
            "staged": order.staged,
            "record": {"estimator": type(self).__name__, **order.record},
            "named": named,
            "progress": self.callback,
            "clock": clock(),
        }
        if not self.wait:
            self._run = start_training(order.platform, order.spec, self._job(), **given)
            return
        with slot(order.platform.identity, self._job().max_parallel_jobs):
            check_wanted()
            outcome = start_training(order.platform, order.spec, self._job(), **given).result()
        self._take_in(order.platform, outcome, data)

    def _take_in(self, platform: Platform, outcome: JobOutcome, data: Any) -> None:
        try:
            self._collect(platform, outcome, data)
        except (RemoteError, ArtifactError) as error:
            raise _about(outcome.name, error) from None
        self.billable_seconds_ = outcome.billable_seconds
        self._outcome = outcome
        self._run = None
        with suppress(RemoteError):  # a note for the cleaning up, and no reason to lose the result
            collected(platform, outcome.description, self._job().output_kms_key)

    def estimated_cost(self, hourly_rate: float) -> float | None:
        """Estimate what the training job cost.

        Parameters
        ----------
        hourly_rate : float
            Price of one machine of `job.instance_type` for an hour, in any currency.

        Returns
        -------
        float or None
            In the same currency; None when the service does not say for how long it bills.
        """
        self._check_is_fitted()
        return self._outcome.cost(hourly_rate)

    def _forget(self) -> None:
        """Drop what an earlier fit has left; what was learned of the input just now stays."""
        kept = {"n_features_in_", "feature_names_in_", "series_names_in_"}
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_") and n not in kept]:
            delattr(self, name)
        self._run = None

    def _running(self) -> TrainingRun:
        name = self._job_name()
        if self._run is None:
            self._run = TrainingRun(self._platform(), name, self._job(), progress=self.callback)
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

    def fit_predict(self, X: Any, y: None = None, **kwargs: Any) -> Any:
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
        labels : ndarray of shape (n_rows,)
            `labels_`.
        """
        self._refuse_not_waiting("fit_predict")
        return self.fit(X, y, **kwargs).labels_

    def fit_transform(self, X: Any, y: None = None, **fit_params: Any) -> Any:
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
        distances : ndarray or DataFrame of shape (n_rows, n_clusters)
            As of `transform`.
        """
        self._refuse_not_waiting("fit_transform")
        return self.fit(X, y, **fit_params).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
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
        return super().get_feature_names_out(input_features)

    def _fit_path(
        self, X: Any, ks: list[int], *, sample_weight: ArrayLike | None = None, n_jobs: int | None = None
    ) -> Iterator[Self]:
        """Fit a clone for each k: jobs side by side, each watched by a thread.

        Without `n_jobs` as many as `job.max_parallel_jobs` lets run. When one fails, or the sweep is
        interrupted, the others are stopped, unless the job says that they are to run on.
        """
        self._refuse_not_waiting("A sweep")
        models: list[Self] = [clone(self).set_params(n_clusters=k) for k in ks]
        threads = self._job().max_parallel_jobs if n_jobs is None else n_threads(n_jobs)
        weights: dict[str, Any] = {} if sample_weight is None else {"sample_weight": sample_weight}
        yield from side_by_side(models, lambda model: model.fit(X, **weights), threads)


def _about(name: str, error: RemoteError | ArtifactError) -> RemoteError | ArtifactError:
    """The error of a job that completed and whose result could not be taken in: it names the job."""
    if isinstance(error, ArtifactError):
        return ArtifactError(f"The training job {name!r} completed, but its result cannot be used. {error}")
    if error.job_name is not None:
        return error
    return type(error)(
        f"{error} The training job {name!r} has completed: attach({name!r}, session=...) reads its result.",
        operation=error.operation,
        code=error.code,
        status=error.status,
        job_name=name,
    )
