"""`Rehearsal`: everything that a job does on AWS, in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from shapecluster.exceptions import RemoteError
from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal import listing
from shapecluster.remote._rehearsal.logs import Logs
from shapecluster.remote._rehearsal.objects import Objects
from shapecluster.remote._rehearsal.records import ACCOUNT, REGION, Call, utc_datetime
from shapecluster.remote._rehearsal.register import crud_calls, list_call, list_tags_call
from shapecluster.remote._rehearsal.serving import Serving
from shapecluster.remote._rehearsal.training import TrainingJobs
from shapecluster.remote._rehearsal.transform import TransformJobs
from shapecluster.remote._uris import split_uri


class Rehearsal:
    """A cloud in a folder, to try a pipeline without an account, a role, a bucket, an image or a bill.

    Pass it as `session`. Training jobs, endpoints and batch transform jobs then run on this machine, as
    processes of their own that see what a container would see: files under one folder, and no variable of
    AWS. States, errors, files and logs are those of AWS; so a pipeline that works here needs other settings
    on AWS, and no other code.

    Parameters
    ----------
    path : path-like
        Folder for data, models and jobs; made when it is first needed. Another process that opens the same
        folder finds the same jobs.
    in_process : bool, default=False
        Whether programs run as functions of this process. A job is then over when the call that creates it
        returns, which saves the start of Python: for tests in the hundreds. Such a job can neither be
        stopped nor end at its time limit. What it logs and warns of is in its log, as always.
    program : sequence of str or None, default=None
        The command that stands for the container; it is called with ``train`` or ``serve`` and the options
        ``--root``, ``--algorithm``, ``--host`` and ``--port``. None means this package's own programs.

    Notes
    -----
    Settings about machines, networks, keys and roles are taken and passed over. One machine is rehearsed
    however many a job asks for. An endpoint runs until it is deleted, also when this process ends.

    For an algorithm of the Marketplace our own k-Shape stands in, behind a listing with the
    hyperparameters `k` and `label_size` and the channel `train`.

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
        if in_process and program is not None:
            raise ValueError(
                "program of Rehearsal is a command, which in_process=True does not run: leave one out."
            )
        self.path = Path(path).expanduser().absolute()
        self.in_process = bool(in_process)
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
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Rehearsal:
        return self

    def _key(self) -> tuple[str, bool, tuple[str, ...] | None]:
        return str(self.path), self.in_process, self.program

    @property
    def identity(self) -> str:
        """The folder, as processes that share it agree on it."""
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
        """Where data goes unless the job says otherwise.

        Returns
        -------
        str
            The name "rehearsal".
        """
        return "rehearsal"

    def default_role(self) -> str | None:
        """The role that jobs run under, which means nothing here.

        Returns
        -------
        str
            An ARN.
        """
        return f"arn:aws:iam::{ACCOUNT}:role/rehearsal"

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call a service, with boto3's names.

        Parameters
        ----------
        operation : str
            Such as ``"sagemaker.describe_training_job"``.
        **request
            What boto3 would be given.

        Returns
        -------
        dict
            What boto3 would answer.
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
            Such as ``"s3://rehearsal/folder/file"``.
        kms_key : str, default=None
            Passed over.
        """
        self._objects.upload(body, uri)

    def open(self, uri: str) -> BinaryIO:
        """Read a file.

        Parameters
        ----------
        uri : str
            Where it is stored.

        Returns
        -------
        binary file
            To be closed by the caller.
        """
        return self._objects.open(uri)

    def exists(self, uri: str) -> bool:
        """Whether a file is stored at this place.

        Parameters
        ----------
        uri : str
            The place.

        Returns
        -------
        bool
            False for a folder.
        """
        return self._objects.exists(uri)

    def list(self, uri: str) -> Iterator[str]:
        """All files below a place.

        Parameters
        ----------
        uri : str
            What their URIs begin with.

        Returns
        -------
        iterator of str
            URIs in the order of their names.
        """
        return self._objects.list(uri)

    def delete(self, uri: str) -> None:
        """Remove a file, if it is there.

        Parameters
        ----------
        uri : str
            Where it is stored.
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
            **list_call(serving.endpoints, "endpoint", "Endpoint"),
            **list_tags_call(
                [serving.models, serving.configs, serving.endpoints, serving.packages, jobs.records]
            ),
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
