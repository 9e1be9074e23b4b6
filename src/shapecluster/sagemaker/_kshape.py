"""`SageMakerKShape`: k-Shape as a training job, with the contract of `LocalKShape`."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import ClusterRun, Iterate, inertia
from shapecluster._core.sbd.shapes import shapes_of
from shapecluster._sklearn_compat import Interval
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike, Float64Array, FloatArray, InitialCenters, IntArray
from shapecluster._validation import SeriesData
from shapecluster._warnings import warn_user
from shapecluster.cluster._base import BaseShapeClusterer
from shapecluster.cluster._local import LocalKShape
from shapecluster.exceptions import ArtifactWarning
from shapecluster.formats import CentroidReport, decode_centroids, read_member
from shapecluster.remote import Job, JobProgress
from shapecluster.remote._client import (
    Algorithm,
    CompletedJob,
    Dataset,
    JobClient,
    PreparedTraining,
    describe_algorithm,
    prepare,
)
from shapecluster.sagemaker._algorithm import (
    PARAMETERS,
    check_channels,
    check_series,
    container_hyperparameters,
    has_label_column,
    listing_hyperparameters,
)
from shapecluster.sagemaker._base import TrainingJobEstimator
from shapecluster.sagemaker._files import csv_of, json_names, read_description, read_staged_data, recordio_of

if TYPE_CHECKING:
    from typing import Self

_CENTROIDS = "centroids"
_MOST_CENTROIDS = 1 << 28  # bytes
# Mean and standard deviation of a center that was normalized in this precision differ from 0 and 1 so much.
_ROUNDING = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-12}
_REHEARSED = "rehearsal/shapecluster"  # an image that is never pulled


class SageMakerKShape(TrainingJobEstimator, BaseShapeClusterer):
    """Cluster series by shape with k-Shape in an Amazon SageMaker training job.

    `fit` checks everything locally, uploads the data, runs a training job, and reads its centers. Labels,
    shifts, inertia and predictions are computed locally from these centers. With the same seed the result is
    that of `LocalKShape`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    algorithm_arn : str or None, default=None
        ARN of a K-Shape algorithm of the AWS Marketplace to which the account is subscribed. The job gets the
        hyperparameters that the listing has; other parameters must be at their defaults.
    image_uri : str or None, default=None
        URI of the image of this package's container, which takes every parameter. AWS needs either this or
        `algorithm_arn`; a rehearsal needs neither.
    role : str or None, default=None
        ARN of the execution role; None means the variable SAGEMAKER_ROLE, or the session's own.
    job : Job or None, default=None
        Machines, limits, bucket and other settings of the job; None means ``Job()``.
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
        Where jobs run; None means the default credentials. Clones share it, pickles leave it out.
    wait : bool, default=True
        Whether `fit` waits for the job. If not, `result` does.
    progress : callable, default=None
        Called with a `JobProgress` at every change of the job's state, and with new lines of its log.
    init : {"k-shape++", "random"} or array-like of shape (n_clusters, n_timepoints[, n_channels]), \
default="k-shape++"
        Where to start, as for `LocalKShape`. The job reads an array from a channel of its own.
    n_init : int or "auto", default="auto"
        Number of runs, as for `LocalKShape`.
    max_iter : int, default=100
        Maximum number of iterations of one run.
    tol : float, default=1e-6
        A run stops when the best inertia has not decreased by this share within 5 iterations.
    max_shift : int or None, default=None
        Largest shift in timepoints.
    missing : {"error", "mask"}, default="error"
        What NaN means, as for `LocalKShape`.
    random_state : int or None, default=None
        Seed. It is sent as text, so it must not be a generator.
    n_jobs : int or None, default=None
        Number of threads for local computations. The container uses all cores of its machine.
    verbose : int, default=0
        Has no effect; `progress` gets the job's log.

    Attributes
    ----------
    cluster_centers_, labels_, shifts_, sbd_, inertia_, n_features_in_, series_names_in_
        As of `LocalKShape`. There are fewer centers than `n_clusters` when the job returned fewer.
    n_iter_ : int
        Iterations of the best run. Defined only when the container reports them.
    n_correlations_ : int
        Number of pairs that were transformed locally, to label the series.
    training_job_name_ : str
        Name of the job. It is set before the job is created, and stays when the wait for the job fails.
    centroid_report_ : CentroidReport
        Defects of the centers in the job's file, such as missing or flat ones.
    billable_seconds_ : int or None
        Billed time of each machine.

    Warns
    -----
    ArtifactWarning
        When the job returned fewer centers than clusters, or ran another version of this package.

    See Also
    --------
    shapecluster.LocalKShape : The same algorithm on this machine.
    shapecluster.remote.Rehearsal : Jobs in a local folder, without an account.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shapecluster import LocalKShape, SageMakerKShape
    >>> from shapecluster.remote import Rehearsal
    >>> X = np.random.default_rng(0).normal(size=(30, 40)).cumsum(axis=1)
    >>> folder = tempfile.TemporaryDirectory()
    >>> session = Rehearsal(folder.name, in_process=True)
    >>> model = SageMakerKShape(3, session=session, random_state=0).fit(X)
    >>> bool((model.labels_ == LocalKShape(3, random_state=0).fit(X).labels_).all())
    True
    >>> folder.cleanup()
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        **TrainingJobEstimator._remote_constraints,
        **LocalKShape._parameter_constraints,
        "algorithm_arn": [str, None],
        "image_uri": [str, None],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both"), None],
    }

    centroid_report_: CentroidReport

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        algorithm_arn: str | None = None,
        image_uri: str | None = None,
        role: str | None = None,
        job: Job | None = None,
        session: object = None,
        wait: bool = True,
        progress: Callable[[JobProgress], object] | None = None,
        init: InitialCenters = "k-shape++",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 100,
        tol: float = 1e-6,
        max_shift: int | None = None,
        missing: Literal["error", "mask"] = "error",
        random_state: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.algorithm_arn = algorithm_arn
        self.image_uri = image_uri
        self.role = role
        self.job = job
        self.session = session
        self.wait = wait
        self.progress = progress
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_shift = max_shift
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the centers in a training job, and label the series by them.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows: a DataFrame has tickers as its index and dates as its columns.
        y : None
            Ignored; here for Pipelines.
        sample_weight : array-like of shape (n_series,), default=None
            Weight of each series; the job reads them from a channel of their own. Not for `algorithm_arn`.

        Returns
        -------
        self : SageMakerKShape
            The fitted estimator; with ``wait=False`` only `training_job_name_` is set.

        Raises
        ------
        ValueError
            When the job could not take the input or a parameter. Nothing was billed then.
        RemoteError
            When a call or the job fails: one of the classes in `shapecluster.exceptions`, which names the
            job and says what to do.
        """
        self._validate_params()
        with self._unchanged_unless_created():
            data = self._check(X, reset=True)
            weights = self._weights(sample_weight, data)
            self._check_size(len(data.values))
            if not isinstance(self.init, str):
                self._given_centers(data)
            # Warns of flat series and raises for all-flat data before anything is uploaded.
            self._taking_part(self._shapes(data, data.values.dtype), weights)
            prepared = self._prepare(self._client(), data, None if sample_weight is None else weights)
            self._store_names(data)
            self._start(prepared, (data, weights))
        return self

    def to_local(self) -> LocalKShape:
        """Convert to a `LocalKShape`, which needs neither the session nor the job.

        Returns
        -------
        LocalKShape
            Fitted, with the same parameters.
        """
        self._check_is_fitted()
        local = LocalKShape(**{name: getattr(self, name) for name in PARAMETERS})
        local.set_params(n_clusters=len(self.cluster_centers_))
        for name, value in vars(self).items():
            of_jobs = {"centroid_report_", "training_job_name_", "billable_seconds_"}
            if name == "_axis_name" or (name.endswith("_") and name not in of_jobs):
                setattr(local, name, value)
        return local

    def _payload_rows(self, X: Any) -> Any:
        values = self._check(X, reset=False).values
        return values.reshape(len(values), -1)

    def _served_ids(self, labels: IntArray) -> IntArray:
        """Clusters as the job's file of centroids numbers them, without those that could not be used."""
        return np.asarray(self.centroid_report_.kept, dtype=np.intp)[labels]

    def _given_centers(self, data: SeriesData) -> Any:
        return LocalKShape(self.n_clusters, init=self.init)._given_centers(data)

    # ------------------------------------------------------------------------------------ before the job

    def _prepare(self, client: JobClient, data: SeriesData, weights: Float64Array | None) -> PreparedTraining:
        parameters = {name: getattr(self, name) for name in PARAMETERS}
        manifest = self._manifest(data)
        rows = data.values.reshape(len(data.values), -1)
        algorithm: str | Algorithm
        if self.algorithm_arn is not None:
            algorithm = listing = self._listing(client)
            channel = listing.training_channel(client.job)
            check_channels(listing, channel)
            owner = type(self).__name__
            check_series(data, weighted=weights is not None, owner=owner)
            sent = listing_hyperparameters(parameters, LocalKShape().get_params(), listing, owner)
            names = _tickers(data) if has_label_column(listing) else None
            manifest["label_size"] = int(names is not None)
            datasets = {channel.name: csv_of(rows, names, manifest)}
        else:
            algorithm = self._image(client)
            n_channels = None if data.values.ndim == 2 else data.values.shape[2]
            sent = container_hyperparameters(parameters, n_channels)
            datasets = self._datasets(client.job, data, rows, weights, manifest)
        recorded = {"init": self.init} if isinstance(self.init, str) else {}
        return prepare(
            client,
            algorithm,
            datasets,
            sent,
            role=self.role,
            record=self._job_record(**recorded),
            base_name="shapecluster-kshape",
        )

    def _datasets(
        self,
        job: Job,
        data: SeriesData,
        rows: FloatArray,
        weights: Float64Array | None,
        manifest: dict[str, Any],
    ) -> dict[str, Dataset]:
        """The channels of this package's container."""
        datasets = {job.channel or "train": recordio_of(rows, manifest)}
        if not isinstance(self.init, str):
            centers = np.asarray(self.init, dtype=data.values.dtype).reshape(self.n_clusters, -1)
            datasets["init"] = recordio_of(centers, {"dtype": str(centers.dtype)})
        if weights is not None:
            datasets["weights"] = recordio_of(weights[:, None], {"dtype": str(weights.dtype)})
        return datasets

    def _image(self, client: JobClient) -> str:
        if self.image_uri is None and client.platform.kind == "aws":
            raise ValueError(
                f"algorithm_arn or image_uri of {type(self).__name__} must name the algorithm: the ARN of "
                "the Marketplace's algorithm, or the URI of the image that `make image` builds. Got neither."
            )
        if client.job.instance_count > 1:
            raise ValueError(
                "instance_count of Job must be 1: k-Shape runs on one machine. "
                f"Got {client.job.instance_count} instead."
            )
        return _REHEARSED if self.image_uri is None else self.image_uri

    def _listing(self, client: JobClient) -> Algorithm:
        if self.image_uri is not None:
            raise ValueError("algorithm_arn and image_uri exclude each other: give one of them. Got both.")
        return describe_algorithm(client, str(self.algorithm_arn))

    def _manifest(self, data: SeriesData) -> dict[str, Any]:
        """Return names and shape of the data, for `attach`."""
        return {
            "names": json_names(data.names),
            "axis": None if data.names is None or data.names.name is None else str(data.names.name),
            "columns": json_names(data.timepoints),
            "shape": list(data.values.shape),
            "dtype": str(data.values.dtype),
        }

    # ------------------------------------------------------------------------------------- after the job

    def _read_result(self, job: CompletedJob, data: Any) -> None:
        # After `fit` flat series were warned of already; attached data has not been checked yet.
        already_warned = data is not None
        series, weights = self._read_staged_series(job) if data is None else data
        dtype = series.values.dtype
        with job.open_model() as file:
            member = read_member(file, _CENTROIDS, max_bytes=_MOST_CENTROIDS)
        centers, report = decode_centroids(
            member.data,
            self.n_clusters,
            series.values.shape[1],
            n_channels=None if series.values.ndim == 2 else series.values.shape[2],
            tolerance=_ROUNDING[dtype],
        )
        if not report.complete:
            warn_user(self, f"training job {job.name!r}: {report}", ArtifactWarning)
        described = read_description(job) if self.algorithm_arn is None else {}
        self.n_features_in_ = series.values.shape[1]
        self.cluster_centers_ = centers.astype(dtype)
        self._label(series, weights, described.get("n_iter"), already_warned=already_warned)
        self.centroid_report_ = report

    def _label(self, series: SeriesData, weights: Float64Array, n_iter: Any, *, already_warned: bool) -> None:
        """Assign the series to the centers, as `predict` does."""
        centers, threads = self._centers(), n_threads(self.n_jobs)
        if already_warned:
            dtype = self.cluster_centers_.dtype
            x = shapes_of(series.channels_first, self.max_shift, dtype, n_threads=threads)
        else:
            x = self._shapes(series)
        assigned = assign(x, centers, keep=False, n_threads=threads)
        labels, shifts, ncc = assigned.nearest
        sbd = 1.0 - ncc
        first = SeriesData(self.cluster_centers_).channels_first
        iterate = Iterate(first, labels, shifts, sbd, inertia(sbd, weights))
        run = ClusterRun(iterate, n_iter or 0, assigned.n_correlations, "unchanged")
        self._store(run, series, self._taking_part(x, weights))
        if n_iter is None:
            del self.n_iter_  # unknown, which 0 would not say

    def _read_staged_series(self, job: CompletedJob) -> tuple[SeriesData, Float64Array]:
        """The series as they were staged and their weights; given centers become the parameter `init`."""
        staged = read_staged_data(job)
        names, shape = staged.manifest["names"], staged.manifest["shape"]
        index = None if names is None else pd.Index(names, name=staged.manifest["axis"])
        series = SeriesData(staged.rows.reshape(shape), index)
        weights = staged.channel("weights")
        centers = staged.channel("init")
        if centers is not None and isinstance(self.init, str):  # attached: a record holds no array
            self.init = centers.reshape(self.n_clusters, *shape[1:])
        if weights is None:
            return series, np.ones(len(series.values))
        return series, weights[:, 0].astype(np.float64)


def _tickers(data: SeriesData) -> list[str]:
    """Names for the first column, which the listing requires; row numbers where the series have none."""
    return [str(n) for n in (range(len(data.values)) if data.names is None else data.names)]
