"""Taking up a training job again, here or elsewhere: what is recorded of an estimator, and made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from shapecluster.exceptions import ArtifactError
from shapecluster.remote._platform import open_platform
from shapecluster.remote._records import recall
from shapecluster.remote._training import TrainingRun, attach_training

if TYPE_CHECKING:
    from typing import Self

    from shapecluster.remote._outcome import JobProgress

_NOT_RECORDED = ("job", "session", "wait", "callback", "init")


class AttachMixin:
    """`attach` of an estimator whose fit is a training job."""

    session: Any
    callback: Callable[[JobProgress], object] | None
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
        session: Any = None,
        *,
        callback: Callable[[JobProgress], object] | None = None,
    ) -> Self:
        """Take up a training job that `fit` of such an estimator began, here or elsewhere.

        Parameters
        ----------
        job_name : str
            As in `training_job_name_`.
        session : boto3.Session, Rehearsal or None, default=None
            As in the constructor.
        callback : callable, default=None
            As in the constructor.

        Returns
        -------
        estimator
            With the parameters of the one that began the job; fitted when the job has completed, else
            `result` waits for it. An interrupted wait lets the job run on.

        Raises
        ------
        NotFoundError
            When there is no such job.
        ValueError
            When the job was not begun by such an estimator.
        """
        platform = open_platform(session)
        run, description = attach_training(platform, job_name, progress=callback)
        record = recall(platform, description).record
        if record is None or record.get("estimator") != cls.__name__:
            made = "an unknown program" if record is None else str(record.get("estimator"))
            raise ValueError(
                f"job_name must name a training job of {cls.__name__}. Got {job_name!r}, which was begun by "
                f"{made}, instead."
            )
        model = cls._recreated(job_name, record.get("parameters"))
        model.session, model.callback = session, callback
        model.training_job_name_, model._run = job_name, run
        if description["TrainingJobStatus"] == "Completed":
            model.result()
        return model

    @classmethod
    def _recreated(cls, job_name: str, parameters: Any) -> Self:
        """An estimator with the parameters that a record holds, which others may have written."""
        model = cls()
        known = model.get_params(deep=False).keys() - {"job", "session", "wait", "callback"}
        if not isinstance(parameters, dict) or not parameters.keys() <= known:
            raise ArtifactError(
                f"The record of the training job {job_name!r} must hold parameters of {cls.__name__}. Got "
                f"something else instead, so it cannot be attached to: fit again."
            )
        model.set_params(**{n: tuple(v) if isinstance(v, list) else v for n, v in parameters.items()})
        model._validate_params()
        return model

    def _recorded(self) -> dict[str, Any]:
        """The parameters that `attach` sets again, as JSON can hold them; arrays are for channels."""
        recorded: dict[str, Any] = {}
        for name, value in self.get_params(deep=False).items():
            plain = value.item() if isinstance(value, np.generic) else value
            if isinstance(plain, (str, int, float, type(None), tuple, list)) and name not in _NOT_RECORDED:
                recorded[name] = plain
        return recorded
