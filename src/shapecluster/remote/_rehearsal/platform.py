"""`Rehearsal`: the platform that runs jobs in a local folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from shapecluster.exceptions import RemoteError
from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal.listing import describe_listing
from shapecluster.remote._rehearsal.logs import Logs
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import ACCOUNT, REGION, Call, Refusal, search
from shapecluster.remote._rehearsal.serving import Serving
from shapecluster.remote._rehearsal.training import TrainingJobs
from shapecluster.remote._rehearsal.transform import TransformJobs


class Rehearsal(Store):
    """Run jobs in a local folder, without an AWS account, a role, a bucket, an image or a bill.

    Pass it as `session`. Training jobs, endpoints and batch transform jobs then run on this machine, as
    processes of their own. Such a process sees what a container sees: files under one folder, and no AWS
    variables. States, errors, files and logs are those of AWS. A pipeline that works here needs other
    settings on AWS, but no other code.

    Parameters
    ----------
    path : path-like
        Folder for data, models and jobs, created when it is first needed. Another process that opens the same
        folder finds the same jobs.
    in_process : bool, default=False
        Whether programs run as functions of this process. A job is then over when the call that creates it
        returns. This saves the start of Python, for tests with hundreds of jobs. Such a job cannot be
        stopped, and has no time limit. Its logs and warnings go to its log only.
    program : sequence of str or None, default=None
        Command that takes the place of the container. It is called with ``train`` or ``serve`` and the
        options ``--root``, ``--algorithm``, ``--host`` and ``--port``. None means this package's container.

    Notes
    -----
    Settings of machines, networks, keys and roles are ignored. A job runs on one machine, however many it
    asks for. An endpoint runs until it is deleted, also after this process has ended.

    A Marketplace algorithm is replaced by this package's k-Shape, with a listing that has the hyperparameters
    `k` and `label_size` and the channel `train`.

    Examples
    --------
    >>> import io, tempfile
    >>> from shapecluster.remote import Rehearsal
    >>> folder = tempfile.TemporaryDirectory()
    >>> rehearsal = Rehearsal(folder.name)
    >>> rehearsal.upload(io.BytesIO(b"1,2,3"), "s3://rehearsal/prices.csv")
    >>> list(rehearsal.list("s3://rehearsal/"))
    ['s3://rehearsal/prices.csv']
    >>> folder.cleanup()
    """

    kind: Literal["aws", "rehearsal"] = "rehearsal"
    region = REGION

    def __init__(
        self, path: str | os.PathLike[str], *, in_process: bool = False, program: Sequence[str] | None = None
    ) -> None:
        if isinstance(program, str) or (program is not None and not all(isinstance(p, str) for p in program)):
            raise ValueError(f"program of Rehearsal must be a list of str, or None. Got {program!r} instead.")
        if not isinstance(in_process, bool):
            raise ValueError(f"in_process of Rehearsal must be True or False. Got {in_process!r} instead.")
        if in_process and program is not None:
            raise ValueError(
                "program of Rehearsal is a command, which in_process=True does not run: leave one out."
            )
        self.path = Path(path).expanduser().absolute()
        self.in_process = in_process
        self.program = None if program is None else tuple(program)
        self._calls = self._services()

    def __repr__(self) -> str:
        options = ", in_process=True" if self.in_process else ""
        return f"Rehearsal({str(self.path)!r}{options})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rehearsal) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return partial(Rehearsal, in_process=self.in_process, program=self.program), (str(self.path),)

    def __sklearn_clone__(self) -> Rehearsal:
        return self  # clones share running servers and jobs

    def __deepcopy__(self, memo: dict[int, Any]) -> Rehearsal:
        return self

    def _key(self) -> tuple[str, bool, tuple[str, ...] | None]:
        return str(self.path), self.in_process, self.program

    @property
    def identity(self) -> str:
        """The folder with links resolved, so that all processes agree on it."""
        return f"rehearsal:{self.path.resolve()}"

    def account(self) -> str:
        """Number of the account: twelve zeros.

        Returns
        -------
        str
            The number.
        """
        return ACCOUNT

    def default_bucket(self) -> str:
        """The bucket for jobs that name none.

        Returns
        -------
        str
            The name "rehearsal".
        """
        return "rehearsal"

    def default_role(self) -> str | None:
        """The execution role of jobs, which has no effect here.

        Returns
        -------
        str
            An ARN.
        """
        return f"arn:aws:iam::{ACCOUNT}:role/rehearsal"

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call a service with boto3's names.

        Parameters
        ----------
        operation : str
            Service and call, such as ``"sagemaker.describe_training_job"``.
        **request
            The arguments of the call in boto3.

        Returns
        -------
        dict
            The answer, as in boto3.
        """
        if operation not in self._calls:
            raise RemoteError(f"A rehearsal does not know the call {operation!r}.", operation=operation)
        try:
            return self._calls[operation](**request)
        except Refusal as refusal:
            error = from_code(refusal.code, str(refusal), operation, status=refusal.status)
        raise error

    def _services(self) -> dict[str, Call]:
        jobs, serving = TrainingJobs(self), Serving(self)
        transforms = TransformJobs(self, serving)
        logs = Logs(jobs.records, transforms.records)
        tagged = [serving.endpoints, serving.configs, serving.models, serving.packages]
        caller = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/rehearsal", "UserId": "rehearsal"}
        package = {"ModelPackageStatus": "Completed", "ModelPackageStatusDetails": {}}
        return {
            "sts.get_caller_identity": lambda: caller,
            "s3.head_bucket": lambda Bucket: {"BucketRegion": REGION},
            "s3.head_object": self._head_object,
            "logs.describe_log_streams": logs.describe_streams,
            "logs.get_log_events": logs.get_events,
            "sagemaker.create_training_job": jobs.create,
            "sagemaker.describe_training_job": jobs.describe,
            "sagemaker.stop_training_job": jobs.stop,
            "sagemaker.create_transform_job": transforms.create,
            "sagemaker.describe_transform_job": transforms.describe,
            "sagemaker.stop_transform_job": transforms.stop,
            "sagemaker.create_endpoint": serving.create_endpoint,
            "sagemaker.describe_endpoint": serving.describe_endpoint,
            "sagemaker.delete_endpoint": serving.delete_endpoint,
            "sagemaker-runtime.invoke_endpoint": serving.invoke,
            "sagemaker.describe_algorithm": lambda AlgorithmName: describe_listing(AlgorithmName),
            **serving.models.calls(),
            **serving.configs.calls(),
            **serving.packages.calls(**package),
            "resourcegroupstaggingapi.get_resources": lambda **request: search(tagged, request),
        }

    def _head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        uri = f"s3://{Bucket}/{Key}"
        if not self.exists(uri):
            raise Refusal("404", f"There is no file {uri}", 404)
        known = self._file(uri).stat()
        return {"ContentLength": known.st_size, "LastModified": datetime.fromtimestamp(known.st_mtime, UTC)}
