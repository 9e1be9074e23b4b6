"""`Rehearsal`: the platform that runs jobs in a local folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from shapecluster.exceptions import RemoteError
from shapecluster.remote._errors import from_code
from shapecluster.remote._names import split_uri
from shapecluster.remote._rehearsal import listing
from shapecluster.remote._rehearsal.logs import Logs
from shapecluster.remote._rehearsal.objects import Objects
from shapecluster.remote._rehearsal.records import ACCOUNT, REGION, Call, utc_datetime
from shapecluster.remote._rehearsal.register import crud_calls, search_call
from shapecluster.remote._rehearsal.serving import Serving
from shapecluster.remote._rehearsal.training import TrainingJobs
from shapecluster.remote._rehearsal.transform import TransformJobs


class Rehearsal:
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
        self._objects = Objects(self.path / "s3")
        self._calls = self._services()

    def __repr__(self) -> str:
        options = ", in_process=True" if self.in_process else ""
        return f"Rehearsal({str(self.path)!r}{options})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rehearsal) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return _rebuild, self._key()

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
        return self._calls[operation](**request)

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        """Store a file.

        Parameters
        ----------
        body : binary file
            Read to its end.
        uri : str
            URI of the file, such as ``"s3://rehearsal/folder/file"``.
        kms_key : str, default=None
            Ignored.
        """
        self._objects.upload(body, uri)

    def open(self, uri: str) -> BinaryIO:
        """Open a stored file for reading.

        Parameters
        ----------
        uri : str
            URI of the file.

        Returns
        -------
        binary file
            Close it after use.
        """
        return self._objects.open(uri)

    def exists(self, uri: str) -> bool:
        """Whether there is a file at this URI.

        Parameters
        ----------
        uri : str
            The URI.

        Returns
        -------
        bool
            False for a folder.
        """
        return self._objects.exists(uri)

    def list(self, uri: str) -> Iterator[str]:
        """URIs of all files whose URI begins so.

        Parameters
        ----------
        uri : str
            The beginning.

        Returns
        -------
        iterator of str
            URIs in the order of their names.
        """
        return self._objects.list(uri)

    def delete(self, uri: str) -> None:
        """Delete a file, if it exists.

        Parameters
        ----------
        uri : str
            URI of the file.
        """
        self._objects.delete(uri)

    def _services(self) -> dict[str, Call]:
        state = self.path / "sagemaker"
        jobs = TrainingJobs(state, self._objects, self.program, in_process=self.in_process)
        serving = Serving(state, self._objects, self.program, in_process=self.in_process)
        transforms = TransformJobs(state, serving)
        logs = Logs(
            {
                "/aws/sagemaker/TrainingJobs": jobs.records,
                "/aws/sagemaker/TransformJobs": transforms.records,
            }
        )
        return {
            "sts.get_caller_identity": lambda: {
                "Account": ACCOUNT,
                "Arn": f"arn:aws:iam::{ACCOUNT}:user/rehearsal",
                "UserId": "rehearsal",
            },
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
            "sagemaker.describe_algorithm": lambda AlgorithmName: listing.describe_listing(AlgorithmName),
            **crud_calls(serving.models, "model", "Model"),
            **crud_calls(serving.configs, "endpoint_config", "EndpointConfig"),
            **crud_calls(serving.packages, "model_package", "ModelPackage"),
            **search_call([serving.endpoints, serving.configs, serving.models, serving.packages]),
        }

    def _head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        uri = f"s3://{Bucket}/{Key}"
        split_uri(uri)
        if not self._objects.exists(uri):
            raise from_code("404", f"There is no file {uri}", "s3.head_object", status=404)
        known = self._objects.path(uri).stat()
        return {"ContentLength": known.st_size, "LastModified": utc_datetime(known.st_mtime)}


def _rebuild(path: str, in_process: bool, program: tuple[str, ...] | None) -> Rehearsal:
    return Rehearsal(path, in_process=in_process, program=program)
