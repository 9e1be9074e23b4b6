"""`attach`: an estimator for a training job that was created before, here or in another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from shapecluster.exceptions import ArtifactError
from shapecluster.remote import JobProgress
from shapecluster.remote._client import TrainingRun, attach_training, read_record

if TYPE_CHECKING:
    from typing import Self

# Arrays of `init` travel in a channel; the others belong to the caller and not to the job.
_NOT_RECORDED = ("job", "session", "wait", "progress", "init")


class AttachMixin:
    """`attach` of an estimator whose fit is a training job."""

    session: object
    progress: Callable[[JobProgress], object] | None
    training_job_name_: str
    _run: TrainingRun | None

    if TYPE_CHECKING:

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def result(self, timeout: float | None = None) -> Self: ...
        def _validate_params(self) -> None: ...

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
        model = cls._from_record(job_name, record.get("parameters"))
        model.session, model.progress = session, progress
        model.training_job_name_, model._run = job_name, run
        if description["TrainingJobStatus"] == "Completed":
            model.result()
        return model

    @classmethod
    def _from_record(cls, job_name: str, parameters: Any) -> Self:
        """An estimator with recorded parameters; the record may have been written by someone else."""
        model = cls()
        known = model.get_params(deep=False).keys() - {"job", "session", "wait", "progress"}
        if not isinstance(parameters, dict) or not parameters.keys() <= known:
            raise ArtifactError(
                f"The record of the training job {job_name!r} must hold parameters of {cls.__name__}. Got "
                f"something else instead, so it cannot be attached to: fit again."
            )
        # JSON has no tuples: lists in a record were tuples in the estimator.
        model.set_params(**{n: tuple(v) if isinstance(v, list) else v for n, v in parameters.items()})
        model._validate_params()
        return model

    def _job_record(self, **more: Any) -> dict[str, Any]:
        """Return the record for `attach`: the class, and the parameters that JSON can hold."""
        recorded: dict[str, Any] = {}
        for name, value in self.get_params(deep=False).items():
            plain = value.item() if isinstance(value, np.generic) else value
            if isinstance(plain, (str, int, float, type(None), tuple, list)) and name not in _NOT_RECORDED:
                recorded[name] = plain
        return {"estimator": type(self).__name__, "parameters": recorded | more}
