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
from shapecluster.remote._logs import TRAINING, TRANSFORM
from shapecluster.remote._rehearsal.jobs import Logs
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import ACCOUNT, REGION, Call, Refusal, search
from shapecluster.remote._rehearsal.serving import Endpoints, Servers
from shapecluster.remote._rehearsal.training import TrainingJobs
from shapecluster.remote._rehearsal.transform import TransformJobs

_MACHINES = ["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge", "ml.c5.4xlarge"]


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
        jobs, servers = TrainingJobs(self), Servers(self)
        endpoints, transforms = Endpoints(servers), TransformJobs(servers)
        logs = Logs({TRAINING: jobs, TRANSFORM: transforms})
        tagged = [endpoints, endpoints.configs, servers.models, servers.packages]
        caller = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/rehearsal", "UserId": "rehearsal"}
        package = {"ModelPackageStatus": "Completed", "ModelPackageStatusDetails": {}}
        return {
            "sts.get_caller_identity": lambda: caller,
            "s3.head_bucket": lambda Bucket: {"BucketRegion": REGION},
            "s3.head_object": self._head_object,
            "logs.describe_log_streams": logs.describe_streams,
            "logs.get_log_events": logs.get_events,
            "sagemaker.describe_algorithm": _describe_listing,
            **jobs.calls(),
            **transforms.calls(),
            **servers.models.calls(),
            **servers.packages.calls(**package),
            **endpoints.configs.calls(),
            **endpoints.calls(),
            "sagemaker-runtime.invoke_endpoint": endpoints.invoke,
            "resourcegroupstaggingapi.get_resources": lambda **request: search(tagged, request),
        }

    def _head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        uri = f"s3://{Bucket}/{Key}"
        if not self.exists(uri):
            raise Refusal("404", f"There is no file {uri}", 404)
        known = self._file(uri).stat()
        return {"ContentLength": known.st_size, "LastModified": datetime.fromtimestamp(known.st_mtime, UTC)}


def _describe_listing(AlgorithmName: str) -> dict[str, Any]:
    """The listing of every ARN: a rehearsal cannot look it up.

    It is the K-Shape listing that this package was made for: two hyperparameters, one channel, CSV. The
    instance types are made up.
    """
    any_count = {"IntegerParameterRangeSpecification": {"MinValue": "0", "MaxValue": "1000000"}}
    integer = {"Type": "Integer", "Range": any_count, "IsTunable": False}
    k = {"Name": "k", "Description": "Number of clusters", "IsRequired": True, **integer}
    label_size = {"Name": "label_size", "Description": "Number of columns before the series", **integer}
    channel = {
        "Name": "train",
        "IsRequired": True,
        "SupportedContentTypes": ["text/csv"],
        "SupportedCompressionTypes": ["None"],
        "SupportedInputModes": ["File"],
    }
    return {
        "AlgorithmName": AlgorithmName.rpartition("/")[2],
        "AlgorithmArn": AlgorithmName,
        "CreationTime": datetime.fromtimestamp(0.0, UTC),
        "AlgorithmStatus": "Completed",
        "TrainingSpecification": {
            "SupportedHyperParameters": [k, label_size | {"IsRequired": False, "DefaultValue": "0"}],
            "SupportedTrainingInstanceTypes": _MACHINES,
            "SupportsDistributedTraining": False,
            "TrainingChannels": [channel],
        },
    }
